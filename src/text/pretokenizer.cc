#include "text/pretokenizer.h"

#include <algorithm>
#include <optional>

#include <wattle/error.h>

#include "text/normalizer.h"
#include "text/pattern.h"
#include "text/scripts.h"
#include "text/unicode.h"
#include "text/unicode_classes.h"

namespace wattle::inline text {
namespace {

// Radford et al. 2019 (GPT-2).
constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

Behavior behavior_of(const JsonView& step) {
  constexpr std::pair<std::string_view, Behavior> kNames[] = {
      {"Removed", Behavior::kRemoved},
      {"Isolated", Behavior::kIsolated},
      {"MergedWithPrevious", Behavior::kMergedWithPrevious},
      {"MergedWithNext", Behavior::kMergedWithNext},
      {"Contiguous", Behavior::kContiguous}};
  const std::string text = step.text("behavior").value_or("Isolated");
  for (const auto& [name, behavior] : kNames) {
    if (name == text) return behavior;
  }
  fail("{}: the behavior {} of a pre-tokenizer is not known here; use another model", step.origin(), text);
}

struct Part {
  ByteRange range;
  bool is_match;
};

/// Joins the parts of a text (matches and what lies between, in order, none left out) as the behavior says.
void join(std::vector<Part>& parts, Behavior behavior) {
  if (behavior == Behavior::kIsolated) return;
  if (behavior == Behavior::kRemoved) {
    std::erase_if(parts, [](const Part& part) { return part.is_match; });
    return;
  }
  const bool backwards = behavior == Behavior::kMergedWithNext;
  if (backwards) std::reverse(parts.begin(), parts.end());
  size_t kept = 0;
  bool previous = false;
  for (const Part& part : parts) {
    const bool joins =
        behavior == Behavior::kContiguous ? part.is_match == previous : part.is_match && !previous;
    if (joins && kept > 0) {
      ByteRange& last = parts[kept - 1].range;
      last = backwards ? ByteRange{part.range.begin, last.end} : ByteRange{last.begin, part.range.end};
    } else {
      parts[kept++] = part;
    }
    previous = part.is_match;
  }
  parts.resize(kept);
  if (backwards) std::reverse(parts.begin(), parts.end());
}

/// Cuts each piece by what `find(view, found(begin, end))` finds in it.
template <typename Find>
void split(Pieces& pieces, Behavior behavior, bool invert, const Find& find) {
  std::vector<ByteRange> out;
  out.reserve(pieces.text.size() / 4 + 1);
  std::vector<Part> parts;
  for (const ByteRange& piece : pieces.list) {
    parts.clear();
    uint32_t last = piece.begin;
    find(pieces.text.view().substr(piece.begin, piece.end - piece.begin), [&](size_t begin, size_t end) {
      const auto from = static_cast<uint32_t>(piece.begin + begin),
                 to = static_cast<uint32_t>(piece.begin + end);
      if (last != from) parts.push_back({{last, from}, invert});
      parts.push_back({{from, to}, !invert});
      last = to;
    });
    if (last != piece.end) parts.push_back({{last, piece.end}, invert});
    join(parts, behavior);
    for (const Part& part : parts) {
      if (part.range.begin < part.range.end) out.push_back(part.range);
    }
  }
  pieces.list = std::move(out);
}

/// Cuts at each character of a class.
template <typename Is>
void split_at(Pieces& pieces, Behavior behavior, const Is& is) {
  split(pieces, behavior, false, [&](std::string_view text, const auto& found) {
    for (size_t i = 0; i < text.size();) {
      const DecodedCharacter c = decode_utf8(text, i);
      if (is(c.value)) found(i, i + c.bytes);
      i += c.bytes;
    }
  });
}

/// Rewrites each piece; `change(writer, text of the piece)`.
template <typename Change>
void rewrite_pieces(Pieces& pieces, const Change& change) {
  AlignedText out = blank_like(pieces.text);
  for (ByteRange& piece : pieces.list) {
    const auto begin = static_cast<uint32_t>(out.size());
    Rewriter writer(pieces.text, piece.begin, piece.end, out);
    change(writer, pieces.text.view().substr(piece.begin, piece.end - piece.begin));
    piece = {begin, static_cast<uint32_t>(out.size())};
  }
  pieces.text = std::move(out);
  std::erase_if(pieces.list, [](const ByteRange& piece) { return piece.begin == piece.end; });
}

class Bert final : public Pretokenizer {
 public:
  void apply(Pieces& pieces) const override {
    std::vector<ByteRange> out;
    for (const ByteRange& piece : pieces.list) {
      uint32_t begin = piece.begin;
      const auto finish = [&](uint32_t end) {
        if (begin < end) out.push_back({begin, end});
      };
      for (uint32_t i = piece.begin; i < piece.end;) {
        const DecodedCharacter c = decode_utf8(pieces.text.view(), i);
        const uint32_t next = i + c.bytes;
        const bool alone = is_punctuation(c.value);
        if (alone || is_white_space(c.value)) {
          finish(i);
          if (alone) out.push_back({i, next});
          begin = next;
        }
        i = next;
      }
      finish(piece.end);
    }
    pieces.list = std::move(out);
  }
};

class ByteLevel final : public Pretokenizer {
 public:
  ByteLevel(const JsonView& json, bool raw_bytes)
      : add_prefix_space_(json.flag("add_prefix_space").value_or(true)), raw_bytes_(raw_bytes) {
    if (json.flag("use_regex").value_or(true)) regex_.emplace(kGpt2, json.origin());
  }
  void apply(Pieces& pieces) const override {
    if (add_prefix_space_) {
      rewrite_pieces(pieces, [](Rewriter& writer, std::string_view text) {
        if (!text.starts_with(' ')) writer.prepend(" ");
        writer.keep(text.size());
      });
    }
    if (regex_) {
      split(pieces, Behavior::kIsolated, false,
            [&](std::string_view text, const auto& found) { regex_->for_each_match(text, found); });
    }
    if (raw_bytes_) return;
    rewrite_pieces(pieces, [&](Rewriter& writer, std::string_view) { write_stand_ins(writer); });
  }

 private:
  bool add_prefix_space_, raw_bytes_;
  std::optional<Regex> regex_;
};

class Split final : public Pretokenizer {
 public:
  Split(Pattern pattern, Behavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}
  explicit Split(const JsonView& json)
      : Split(Pattern::from_json(json), behavior_of(json), json.flag("invert").value_or(false)) {}
  void apply(Pieces& pieces) const override {
    split(pieces, behavior_, invert_,
          [&](std::string_view text, const auto& found) { pattern_.for_each_match(text, found); });
  }

 private:
  Pattern pattern_;
  Behavior behavior_;
  bool invert_;
};

class WhitespaceSplit final : public Pretokenizer {
 public:
  void apply(Pieces& pieces) const override { split_at(pieces, Behavior::kRemoved, is_white_space); }
};

class Punctuation final : public Pretokenizer {
 public:
  explicit Punctuation(const JsonView& json) : behavior_(behavior_of(json)) {}
  void apply(Pieces& pieces) const override { split_at(pieces, behavior_, is_punctuation); }

 private:
  Behavior behavior_;
};

class Digits final : public Pretokenizer {
 public:
  explicit Digits(const JsonView& json) : individual_(json.flag("individual_digits").value_or(false)) {}
  void apply(Pieces& pieces) const override {
    split_at(pieces, individual_ ? Behavior::kIsolated : Behavior::kContiguous, is_numeric);
  }

 private:
  bool individual_;
};

/// The one character of a key.
char32_t character_of(const JsonView& json, const char* key) {
  const std::string text = json.text(key).value_or("");
  if (text.empty() || decode_utf8(text, 0).bytes != text.size()) {
    fail("{}: {} of a pre-tokenizer is not one character; get the file again", json.origin(), key);
  }
  return decode_utf8(text, 0).value;
}

class CharDelimiterSplit final : public Pretokenizer {
 public:
  explicit CharDelimiterSplit(const JsonView& json) : delimiter_(character_of(json, "delimiter")) {}
  void apply(Pieces& pieces) const override {
    split_at(pieces, Behavior::kRemoved, [&](char32_t c) { return c == delimiter_; });
  }

 private:
  char32_t delimiter_;
};

class Metaspace final : public Pretokenizer {
 public:
  explicit Metaspace(const JsonView& json)
      : replacement_(character_of(json, "replacement")), split_(json.flag("split").value_or(true)) {
    const std::string scheme = json.text("prepend_scheme").value_or("always");
    always_ = scheme == "always";
    first_ = scheme == "first";
    const bool never = scheme == "never";
    if (!always_ && !first_ && !never) {
      fail("{}: the prepend_scheme {} is not known here; use another model", json.origin(), scheme);
    }
    if (!json.flag("add_prefix_space").value_or(true)) always_ = first_ = false;
    append_utf8(text_, replacement_);
  }
  void apply(Pieces& pieces) const override {
    rewrite_pieces(pieces, [&](Rewriter& writer, std::string_view text) {
      const bool has_space = text.starts_with(' ') || text.starts_with(text_);
      const bool first = writer.position() == 0 && pieces.text.at_start();
      if (!has_space && (always_ || (first_ && first))) writer.prepend(text_);
      for (size_t i = 0; i < text.size();) {
        const size_t space = std::min(text.find(' ', i), text.size());
        writer.keep(space - i);
        if (space < text.size()) writer.put(replacement_, 0);
        i = space + 1;
      }
    });
    if (split_) {
      ::wattle::split(pieces, Behavior::kMergedWithNext, false,
                      [&](std::string_view text, const auto& found) {
                        for (size_t place = text.find(text_); place != std::string_view::npos;
                             place = text.find(text_, place + text_.size())) {
                          found(place, place + text_.size());
                        }
                      });
    }
  }

 private:
  char32_t replacement_;
  std::string text_;
  bool split_, always_ = false, first_ = false;
};

/// Runs of one script, as SentencePiece's trainer takes them; a space belongs to any.
class UnicodeScripts final : public Pretokenizer {
 public:
  void apply(Pieces& pieces) const override {
    std::vector<ByteRange> out;
    for (const ByteRange& piece : pieces.list) {
      std::optional<uint32_t> begin;
      int last = kAnyScript;
      for (uint32_t i = piece.begin; i < piece.end;) {
        const DecodedCharacter c = decode_utf8(pieces.text.view(), i);
        const int script = script_of(c.value);
        if (script != kAnyScript && script != last) {
          if (begin) out.push_back({*begin, i});
          begin = i;
          last = script;
        }
        i += c.bytes;
      }
      if (begin) out.push_back({*begin, piece.end});
    }
    pieces.list = std::move(out);
  }
};

class FixedLength final : public Pretokenizer {
 public:
  explicit FixedLength(const JsonView& json) : length_(json.integer("length").value_or(5)) {
    if (length_ < 1) fail("{}: a FixedLength pre-tokenizer has the length {}", json.origin(), length_);
  }
  void apply(Pieces& pieces) const override {
    std::vector<ByteRange> out;
    for (const ByteRange& piece : pieces.list) {
      uint32_t begin = piece.begin;
      int64_t count = 0;
      for (uint32_t i = piece.begin; i < piece.end;) {
        i += decode_utf8(pieces.text.view(), i).bytes;
        if (++count < length_ && i < piece.end) continue;
        out.push_back({begin, i});
        begin = i;
        count = 0;
      }
    }
    pieces.list = std::move(out);
  }

 private:
  int64_t length_;
};

class Chain final : public Pretokenizer {
 public:
  explicit Chain(std::vector<std::unique_ptr<Pretokenizer>> steps) : steps_(std::move(steps)) {}
  void apply(Pieces& pieces) const override {
    for (const auto& step : steps_) step->apply(pieces);
  }

 private:
  std::vector<std::unique_ptr<Pretokenizer>> steps_;
};

using Made = std::unique_ptr<Pretokenizer>;
template <typename Step>
Made plain(const JsonView&) {
  return std::make_unique<Step>();
}
template <typename Step>
Made described(const JsonView& json) {
  return std::make_unique<Step>(json);
}
Made words(const JsonView& json) {
  const std::string word(kWordCharacters);
  return std::make_unique<Split>(Pattern(Regex("[" + word + "]+|[^" + word + "\\s]+", json.origin())),
                                 Behavior::kRemoved, true);
}

struct Named {
  std::string_view type;
  Made (*make)(const JsonView&);
};
constexpr Named kPretokenizers[] = {
    {"BertPreTokenizer", plain<Bert>},
    {"Whitespace", words},
    {"WhitespaceSplit", plain<WhitespaceSplit>},
    {"Metaspace", described<Metaspace>},
    {"Split", described<Split>},
    {"Punctuation", described<Punctuation>},
    {"Digits", described<Digits>},
    {"CharDelimiterSplit", described<CharDelimiterSplit>},
    {"UnicodeScripts", plain<UnicodeScripts>},
    {"FixedLength", described<FixedLength>},
};

}  // namespace

bool ends_in_bytes(const JsonView& json) {
  const std::vector<JsonView> steps = pipeline_steps(json, "pretokenizers");
  return !steps.empty() && steps.back().text("type") == "ByteLevel";
}

std::unique_ptr<Pretokenizer> make_pretokenizer(const JsonView& json, bool raw_bytes) {
  std::vector<Made> steps;
  const std::vector<JsonView> described_steps = pipeline_steps(json, "pretokenizers");
  for (const JsonView& step : described_steps) {
    const std::string type = step.text("type").value_or("without a type");
    if (type == "ByteLevel") {
      steps.push_back(
          std::make_unique<ByteLevel>(step, raw_bytes && steps.size() + 1 == described_steps.size()));
      continue;
    }
    const auto* const known = std::find_if(std::begin(kPretokenizers), std::end(kPretokenizers),
                                           [&](const Named& named) { return named.type == type; });
    if (known == std::end(kPretokenizers)) {
      fail("{}: the pre-tokenizer {} is not known here; use another model", json.origin(), type);
    }
    steps.push_back(known->make(step));
  }
  if (steps.empty()) return nullptr;
  if (steps.size() == 1) return std::move(steps[0]);
  return std::make_unique<Chain>(std::move(steps));
}

}  // namespace wattle::inline text
