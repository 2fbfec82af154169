#include "text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include <wattle/error.h>

namespace wattle {
namespace {

int combining_class(char32_t c) {
  return utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->combining_class;
}

/// The text with long runs of combining marks in canonical order, which changes no normal form: utf8proc
/// orders them by exchanging neighbours, in quadratic time, and a megabyte of marks in disorder would take it
/// an hour.
std::string with_long_runs_sorted(std::string_view text) {
  constexpr size_t kLong = 32;  // the Stream-Safe Text Format (UAX 15, section 13) allows 30
  std::string out;
  std::vector<char32_t> marks;
  const auto flush = [&] {
    if (marks.size() > kLong) {
      std::stable_sort(marks.begin(), marks.end(),
                       [](char32_t a, char32_t b) { return combining_class(a) < combining_class(b); });
    }
    for (const char32_t mark : marks) append_utf8(out, mark);
    marks.clear();
  };
  for (size_t i = 0; i < text.size();) {
    const DecodedCharacter c = decode_utf8(text, i);
    if (combining_class(c.value) > 0) {
      marks.push_back(c.value);
    } else {
      flush();
      out.append(text, i, c.bytes);
    }
    i += c.bytes;
  }
  flush();
  return out;
}

std::string normalised(std::string_view original, int form) {
  const std::string text = with_long_runs_sorted(original);
  utf8proc_uint8_t* result = nullptr;
  const auto length = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                   static_cast<utf8proc_ssize_t>(text.size()), &result,
                                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | form));
  if (length < 0) {
    fail("a text of {} bytes cannot be normalised ({}); shorten the text", text.size(),
         utf8proc_errmsg(length));
  }
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(result, &std::free);
  return std::string(reinterpret_cast<const char*>(result), static_cast<size_t>(length));
}

}  // namespace

std::string to_nfc(std::string_view text) {
  return normalised(text, UTF8PROC_COMPOSE);
}

std::string to_nfd(std::string_view text) {
  return normalised(text, UTF8PROC_DECOMPOSE);
}

std::string Utf8Stream::push(std::string_view bytes) {
  pending_.append(bytes);
  const size_t whole = whole_characters(pending_).size();
  std::string ready = repaired_utf8(std::string_view(pending_).substr(0, whole));
  pending_.erase(0, whole);
  return ready;
}

std::string Utf8Stream::finish() {
  std::string rest = repaired_utf8(pending_);
  pending_.clear();
  return rest;
}

}  // namespace wattle
