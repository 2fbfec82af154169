#include "decode/text_stream.h"

#include <algorithm>
#include <utility>

#include "base/utf8.h"

namespace wattle::inline decode {
namespace {

/// A character has at most four bytes, so it is whole after so many tokens, or never.
constexpr size_t kTokensOfCharacter = 4;

/// Whether more tokens may complete the last character. Decoders that give text rather than bytes stand
/// U+FFFD for it.
bool ends_open(std::string_view text) {
  return whole_characters(text).size() < text.size() || text.ends_with("\uFFFD");
}

}  // namespace

TextStream::TextStream(const Tokenizer& tokenizer, std::vector<std::string> stops)
    : tokenizer_(tokenizer), stops_(std::move(stops)) {}

std::string TextStream::fresh() const {
  std::string text = tokenizer_.decode(window_);
  return text.substr(static_cast<size_t>(std::ranges::mismatch(text, known_).in1 - text.begin()));
}

std::string_view TextStream::append(TokenId id) {
  window_.push_back(id);
  const std::string added = fresh();
  if (added.empty()) {
    window_.pop_back();  // a special token, which stands between no two others
    return {};
  }
  if (ends_open(added) && window_.size() - known_tokens_ < kTokensOfCharacter) return {};
  text_ += repaired_utf8(added);
  window_.erase(window_.begin(), window_.begin() + static_cast<std::ptrdiff_t>(known_tokens_));
  known_tokens_ = window_.size();
  known_ = tokenizer_.decode(window_);
  return give(false);
}

std::string_view TextStream::finish() {
  if (stopped_) return {};
  text_ += repaired_utf8(fresh());
  return give(true);
}

std::string_view TextStream::give(bool all) {
  const std::string_view rest = std::string_view(text_).substr(given_);
  size_t end = rest.size();
  for (const std::string& stop : stops_) end = std::min(end, rest.find(stop));
  stopped_ = end < rest.size();
  if (!stopped_ && !all) {
    // The longest end of the text that a stop string may begin with.
    for (const std::string& stop : stops_) {
      for (size_t held = std::min(stop.size() - 1, rest.size()); held > rest.size() - end; --held) {
        if (stop.starts_with(rest.substr(rest.size() - held))) end = rest.size() - held;
      }
    }
  }
  given_ += end;
  if (stopped_ || all) text_.resize(given_);
  return std::string_view(text_).substr(given_ - end, end);
}

}  // namespace wattle::inline decode
