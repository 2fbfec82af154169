#include "text/normalizer.h"

#include <algorithm>
#include <array>
#include <optional>

#include <wattle/error.h>

#include "base/base64.h"
#include "text/character_map.h"
#include "text/pattern.h"
#include "text/special_matcher.h"
#include "text/unicode_classes.h"

namespace wattle::inline text {
namespace {

/// Keeps, changes or (nullopt) removes each character; what a removed one stood for goes to the kept one
/// before it.
template <typename Change>
void filter_map(AlignedText& text, const Change& change) {
  rewrite(text, [&](Rewriter& writer) {
    std::optional<char32_t> kept;
    int removed = 0;
    for (size_t i = 0; i < text.size();) {
      const DecodedCharacter c = decode_utf8(text.view(), i);
      i += c.bytes;
      const std::optional<char32_t> changed = change(c.value);
      if (!changed) {
        ++removed;
        continue;
      }
      if (kept) {
        writer.put(*kept, -removed);
      } else {
        writer.drop_characters(static_cast<size_t>(removed));
      }
      kept = changed;
      removed = 0;
    }
    if (kept) writer.put(*kept, -removed);
  });
}

void lower(AlignedText& text) {
  rewrite(text, [](Rewriter& writer) {
    while (!writer.done()) {
      const char32_t c = writer.next().value;
      if (c == 0x130) {  // the one character whose lower case is two (SpecialCasing.txt, unconditional)
        writer.put('i', 0);
        writer.put(0x307, 1);
      } else {
        writer.put(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))), 0);
      }
    }
  });
}

void to_form(AlignedText& text, NormalForm form) {
  if (is_ascii(text.view())) return;
  std::string result = normal_form(text.view(), form);
  if (result == text.view()) return;
  if (!text.aligned()) {
    const bool at_start = text.at_start();
    text = AlignedText(result, at_start ? 0 : 1, false);
    return;
  }
  rewrite(text, [&](Rewriter& writer) {
    for (const ChangedCharacter& c : normal_form_changes(text.view(), form)) writer.put(c.value, c.change);
  });
}

class Form final : public Normalizer {
 public:
  explicit Form(NormalForm form) : form_(form) {}
  void apply(AlignedText& text) const override { to_form(text, form_); }

 private:
  NormalForm form_;
};

class Lowercase final : public Normalizer {
 public:
  void apply(AlignedText& text) const override { lower(text); }
};

class Strip final : public Normalizer {
 public:
  explicit Strip(const JsonView& json)
      : left_(json.flag("strip_left").value_or(true)), right_(json.flag("strip_right").value_or(true)) {}
  void apply(AlignedText& text) const override {
    size_t begin = 0, end = text.size(), last = 0;
    for (size_t i = 0; i < text.size();) {
      const DecodedCharacter c = decode_utf8(text.view(), i);
      const bool space = is_white_space(c.value);
      if (space && left_ && i == begin) begin = i + c.bytes;
      if (!space) last = i + c.bytes;
      i += c.bytes;
    }
    if (right_) end = std::max(last, begin);
    if (begin == 0 && end == text.size()) return;
    rewrite(text, [&](Rewriter& writer) {
      writer.drop(begin);
      writer.keep(end - begin);
    });
  }

 private:
  bool left_, right_;
};

class StripAccents final : public Normalizer {
 public:
  void apply(AlignedText& text) const override {
    filter_map(text, [](char32_t c) { return is_mark(c) ? std::nullopt : std::optional(c); });
  }
};

class Replace final : public Normalizer {
 public:
  explicit Replace(const JsonView& json) : pattern_(Pattern::from_json(json)) {
    const auto content = json.text("content");
    if (!content) fail("{}: a Replace normalizer has no content; get the file again", json.origin());
    content_ = *content;
  }
  void apply(AlignedText& text) const override {
    matches_.clear();
    pattern_.for_each_match(text.view(), [](size_t begin, size_t end) { matches_.emplace_back(begin, end); });
    if (matches_.empty()) return;
    rewrite(text, [&](Rewriter& writer) {
      for (const auto& [begin, end] : matches_) {
        writer.keep(begin - writer.position());
        writer.drop(end - begin);
        for (size_t i = 0; i < content_.size();) {
          const DecodedCharacter c = decode_utf8(content_, i);
          writer.put(c.value, 1);
          i += c.bytes;
        }
      }
      writer.keep(text.size() - writer.position());
    });
  }

 private:
  static thread_local std::vector<std::pair<size_t, size_t>> matches_;
  Pattern pattern_;
  std::string content_;
};
thread_local std::vector<std::pair<size_t, size_t>> Replace::matches_;

class Prepend final : public Normalizer {
 public:
  explicit Prepend(const JsonView& json) : text_(json.text("prepend").value_or("")) {}
  void apply(AlignedText& text) const override {
    if (text.empty()) return;
    rewrite(text, [&](Rewriter& writer) {
      writer.prepend(text_);
      writer.keep(text.size());
    });
  }

 private:
  std::string text_;
};

/// Grapheme by grapheme as Hugging Face's tokenizers do it: a short one that begins as an entry of the map
/// does becomes that entry's text, of others each character is looked up.
class Precompiled final : public Normalizer {
 public:
  explicit Precompiled(const JsonView& json) {
    const auto bytes = from_base64(json.text("precompiled_charsmap").value_or(""));
    if (!bytes) fail("{}: the precompiled character map is not base64; get the file again", json.origin());
    map_ = CharacterMap(*bytes, json.origin());
  }
  void apply(AlignedText& text) const override {
    if (map_.empty()) return;
    rewrite(text, [&](Rewriter& writer) {
      while (!writer.done()) {
        const size_t begin = writer.position();
        const size_t bytes = grapheme_bytes(text.view(), begin);
        if (bytes < 6 && replace(writer, text.view().substr(begin, bytes))) continue;
        while (writer.position() < begin + bytes) {
          const DecodedCharacter c = writer.next();
          if (!replace(writer, text.view().substr(writer.position(), c.bytes))) writer.keep(c.bytes);
        }
      }
    });
  }

 private:
  bool replace(Rewriter& writer, std::string_view old) const {
    const auto match = map_.shortest(old);
    if (!match) return false;
    std::vector<char32_t> characters;
    for (size_t i = 0; i < match->text.size();) {
      const DecodedCharacter c = decode_utf8(match->text, i);
      characters.push_back(c.value);
      i += c.bytes;
    }
    const int before = character_count(old), after = static_cast<int>(characters.size());
    const size_t end = writer.position() + old.size();
    for (int i = 0; i < after; ++i) {
      const bool last = i + 1 == after;
      writer.put(characters[static_cast<size_t>(i)], i >= before              ? 1
                                                     : last && after < before ? after - before
                                                                              : 0);
    }
    writer.drop(end - writer.position());
    return true;
  }

  CharacterMap map_;
};

class Nmt final : public Normalizer {
 public:
  void apply(AlignedText& text) const override { filter_map(text, changed); }

 private:
  static std::optional<char32_t> changed(char32_t c) {
    const bool removed =
        (c >= 0x1 && c <= 0x8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
    if (removed) return std::nullopt;
    const bool space = c == '\t' || c == '\n' || c == 0xC || c == '\r' || c == 0x1680 ||
                       (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
                       c == 0xFEFF || c == 0xFFFD;
    return space ? U' ' : c;
  }
};

class StandIns final : public Normalizer {
 public:
  void apply(AlignedText& text) const override {
    rewrite(text, [&](Rewriter& writer) { write_stand_ins(writer); });
  }
};

/// BERT's basic cleaning (Devlin et al. 2019). Character classes are those of utf8proc's Unicode 15; Hugging
/// Face's tables are of Unicode 8, so that 568 characters of rare scripts, nearly all assigned since, are
/// cleaned otherwise.
class Bert final : public Normalizer {
 public:
  explicit Bert(const JsonView& json)
      : clean_(json.flag("clean_text").value_or(true)),
        ideographs_(json.flag("handle_chinese_chars").value_or(true)),
        lowercase_(json.flag("lowercase").value_or(true)),
        strip_accents_(json.flag("strip_accents").value_or(lowercase_)) {}

  void apply(AlignedText& text) const override {
    const bool ascii = is_ascii(text.view());
    if (ascii && !text.aligned()) return apply_to_ascii(text);
    if (clean_) {
      filter_map(text, [](char32_t c) -> std::optional<char32_t> {
        if (c == '\t' || c == '\n' || c == '\r') return U' ';
        if (c == 0 || c == kReplacementCharacter || is_control_or_format(c)) return std::nullopt;
        return is_white_space(c) ? U' ' : c;
      });
    }
    if (ideographs_ && !ascii) surround_ideographs(text);
    if (strip_accents_ && !ascii) {
      to_form(text, NormalForm::kD);
      filter_map(text, [](char32_t c) { return is_nonspacing_mark(c) ? std::nullopt : std::optional(c); });
    }
    if (lowercase_) lower(text);
  }

 private:
  /// The same for most texts, in one pass: this is half of what static embeddings take.
  void apply_to_ascii(AlignedText& text) const {
    std::string result;
    result.reserve(text.size());
    bool first_is_kept = true;
    for (const char c : text.view()) {
      if (clean_ && (c == '\t' || c == '\n' || c == '\r')) {
        result += ' ';
      } else if (clean_ && is_control_or_format(static_cast<unsigned char>(c))) {
        first_is_kept = first_is_kept && !result.empty();
      } else {
        result += lowercase_ && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      }
    }
    text = AlignedText(result, text.at_start() && first_is_kept ? 0 : 1, false);
  }

  static void surround_ideographs(AlignedText& text) {
    rewrite(text, [](Rewriter& writer) {
      while (!writer.done()) {
        const DecodedCharacter c = writer.next();
        if (!is_ideograph(c.value)) {
          writer.keep(c.bytes);
          continue;
        }
        writer.put(' ', 0);
        writer.put(c.value, 1);
        writer.put(' ', 1);
      }
    });
  }

  bool clean_, ideographs_, lowercase_, strip_accents_;
};

/// The steps before a SentencePiece model (github.com/google/sentencepiece, src/normalizer.cc).
class SentencePieceSteps final : public Normalizer {
 public:
  SentencePieceSteps(const JsonView& json, std::span<const std::string> user_defined)
      : dummy_prefix_(json.flag("add_dummy_prefix").value_or(true)),
        remove_extra_(json.flag("remove_extra_whitespaces").value_or(true)),
        escape_(json.flag("escape_whitespaces").value_or(true)),
        suffix_(json.flag("treat_whitespace_as_suffix").value_or(false)) {
    const auto bytes = from_base64(json.text("charsmap").value_or(""));
    if (!bytes) fail("{}: the character map is not base64; get the file again", json.origin());
    map_ = CharacterMap(*bytes, json.origin());
    for (const std::string& symbol : user_defined) symbols_.add(symbol, 0);
  }

  void apply(AlignedText& text) const override {
    size_t begin = 0;
    while (remove_extra_ && begin < text.size()) {
      const Part part = first_part(text.view().substr(begin));
      if (part.text != " ") break;
      begin += part.bytes;
    }
    if (begin == text.size()) {
      if (begin > 0) rewrite(text, [](Rewriter&) {});
      return;
    }
    rewrite(text, [&](Rewriter& writer) {
      writer.drop(begin);
      write_all(writer, text.view());
    });
  }

 private:
  struct Part {
    std::string_view text;
    size_t bytes;
  };
  Part first_part(std::string_view text) const {
    if (const auto symbol = symbols_.longest_at(text, 0, [](TokenId, size_t) { return true; })) {
      return {text.substr(0, symbol->length), symbol->length};
    }
    if (const auto match = map_.longest(text)) return {match->text, match->length};
    const size_t bytes = decode_utf8(text, 0).bytes;
    return {text.substr(0, bytes), bytes};
  }

  /// Spaces are held back until something follows, where those at the end are to go.
  void write_all(Rewriter& writer, std::string_view text) const {
    const char32_t space = escape_ ? U'\u2581' : U' ';
    std::vector<std::pair<size_t, size_t>> held;
    if (dummy_prefix_ && !suffix_) held.emplace_back(writer.position(), writer.position());
    bool after_space = remove_extra_;
    while (!writer.done()) {
      const size_t begin = writer.position();
      const Part part = first_part(text.substr(begin));
      std::string_view rest = part.text;
      while (after_space && rest.starts_with(' ')) rest.remove_prefix(1);
      if (!rest.empty()) after_space = rest.ends_with(' ');
      after_space = after_space && remove_extra_;
      for (size_t i = 0; i < rest.size();) {
        const DecodedCharacter c = decode_utf8(rest, i);
        i += c.bytes;
        const bool is_space = c.value == ' ' || c.value == space;
        if (is_space) held.emplace_back(begin, begin + part.bytes);
        if (is_space && remove_extra_) continue;
        for (const auto& [from, to] : held) writer.write(space, from, to);
        held.clear();
        if (!is_space) writer.write(c.value, begin, begin + part.bytes);
      }
      writer.drop(part.bytes);
    }
    if (!remove_extra_) {
      for (const auto& [from, to] : held) writer.write(space, from, to);
    }
    if (dummy_prefix_ && suffix_) writer.write(space, text.size(), text.size());
  }

  bool dummy_prefix_, remove_extra_, escape_, suffix_;
  CharacterMap map_;
  SpecialMatcher symbols_;
};

class Chain final : public Normalizer {
 public:
  explicit Chain(std::vector<std::unique_ptr<Normalizer>> steps) : steps_(std::move(steps)) {}
  void apply(AlignedText& text) const override {
    for (const auto& step : steps_) step->apply(text);
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> steps_;
};

using Symbols = std::span<const std::string>;
using Maker = std::unique_ptr<Normalizer> (*)(const JsonView&, Symbols);
struct Named {
  std::string_view type;
  Maker make;
};

template <typename Step>
std::unique_ptr<Normalizer> plain(const JsonView&, Symbols) {
  return std::make_unique<Step>();
}
template <typename Step>
std::unique_ptr<Normalizer> described(const JsonView& json, Symbols) {
  return std::make_unique<Step>(json);
}
template <NormalForm form>
std::unique_ptr<Normalizer> in_form(const JsonView&, Symbols) {
  return std::make_unique<Form>(form);
}
std::unique_ptr<Normalizer> sentencepiece(const JsonView& json, Symbols user_defined) {
  return std::make_unique<SentencePieceSteps>(json, user_defined);
}

constexpr Named kNormalizers[] = {
    {"BertNormalizer", described<Bert>},
    {"NFC", in_form<NormalForm::kC>},
    {"NFD", in_form<NormalForm::kD>},
    {"NFKC", in_form<NormalForm::kKC>},
    {"NFKD", in_form<NormalForm::kKD>},
    {"Lowercase", plain<Lowercase>},
    {"Strip", described<Strip>},
    {"StripAccents", plain<StripAccents>},
    {"Replace", described<Replace>},
    {"Prepend", described<Prepend>},
    {"Precompiled", described<Precompiled>},
    {"Nmt", plain<Nmt>},
    {"ByteLevel", plain<StandIns>},
    {"SentencePiece", sentencepiece},
};

void add_steps(const JsonView& part, const char* list, int depth, std::vector<JsonView>& steps) {
  if (!part) return;
  if (part.text("type") != "Sequence") {
    if (steps.size() >= 64) fail("{}: has more than 64 {}; get the file again", part.origin(), list);
    steps.push_back(part);
    return;
  }
  const nlohmann::json* const parts = part.find(list);
  if (depth >= 8 || parts == nullptr || !parts->is_array()) {
    fail("{}: has a sequence of {} that is no list or nested too deep; get the file again", part.origin(),
         list);
  }
  for (const nlohmann::json& step : *parts) add_steps(JsonView(&step, part.origin()), list, depth + 1, steps);
}

}  // namespace

std::vector<JsonView> pipeline_steps(const JsonView& part, const char* list) {
  std::vector<JsonView> steps;
  add_steps(part, list, 0, steps);
  return steps;
}

std::unique_ptr<Normalizer> make_normalizer(const JsonView& json, std::span<const std::string> user_defined) {
  std::vector<std::unique_ptr<Normalizer>> steps;
  for (const JsonView& step : pipeline_steps(json, "normalizers")) {
    const std::string type = step.text("type").value_or("without a type");
    const auto* const known = std::find_if(std::begin(kNormalizers), std::end(kNormalizers),
                                           [&](const Named& named) { return named.type == type; });
    if (known == std::end(kNormalizers)) {
      fail("{}: the normalizer {} is not known here; use another model", json.origin(), type);
    }
    steps.push_back(known->make(step, user_defined));
  }
  if (steps.empty()) return nullptr;
  if (steps.size() == 1) return std::move(steps[0]);
  return std::make_unique<Chain>(std::move(steps));
}

namespace {
struct ByteAlphabet {
  std::array<char32_t, 256> character{};
  std::array<int16_t, 512> byte{};

  ByteAlphabet() {
    byte.fill(-1);
    char32_t next = 256;
    for (int b = 0; b < 256; ++b) {
      const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      character[static_cast<size_t>(b)] = printable ? static_cast<char32_t>(b) : next++;
      byte[character[static_cast<size_t>(b)]] = static_cast<int16_t>(b);
    }
  }
};
const ByteAlphabet& byte_alphabet() {
  static const ByteAlphabet alphabet;
  return alphabet;
}
}  // namespace

char32_t byte_stand_in(uint8_t byte) {
  return byte_alphabet().character[byte];
}

int stood_for(char32_t c) {
  return c < byte_alphabet().byte.size() ? byte_alphabet().byte[c] : -1;
}

void write_stand_ins(Rewriter& writer) {
  while (!writer.done()) {
    std::string bytes;
    append_utf8(bytes, writer.next().value);
    for (size_t i = 0; i < bytes.size(); ++i) {
      writer.put(byte_stand_in(static_cast<uint8_t>(bytes[i])), i == 0 ? 0 : 1);
    }
  }
}

std::string lower_case(std::string_view text) {
  AlignedText lowered(text, 0, false);
  lower(lowered);
  return std::string(lowered.view());
}

}  // namespace wattle::inline text
