#include "text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <vector>

#include <wattle/error.h>

#include "jinja/text.h"

namespace wattle::inline text {
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

int options_of(NormalForm form) {
  const bool composed = form == NormalForm::kC || form == NormalForm::kKC;
  const bool compatible = form == NormalForm::kKC || form == NormalForm::kKD;
  return (composed ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) | (compatible ? UTF8PROC_COMPAT : 0);
}

/// The character that two compose to.
std::optional<char32_t> composed(char32_t a, char32_t b) {
  utf8proc_int32_t pair[2] = {static_cast<utf8proc_int32_t>(a), static_cast<utf8proc_int32_t>(b)};
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
  if (utf8proc_normalize_utf32(pair, 2, options) != 1) return std::nullopt;
  return static_cast<char32_t>(pair[0]);
}

std::vector<ChangedCharacter> decomposed(std::string_view text, NormalForm form) {
  const bool compatible = form == NormalForm::kKC || form == NormalForm::kKD;
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE |
                                                      (compatible ? UTF8PROC_COMPAT : 0));
  std::vector<ChangedCharacter> out;
  utf8proc_int32_t parts[32];
  int boundary = 0;
  for (size_t i = 0; i < text.size();) {
    const DecodedCharacter c = decode_utf8(text, i);
    i += c.bytes;
    const auto count =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c.value), parts, 32, options, &boundary);
    for (utf8proc_ssize_t k = 0; k < count && k < 32; ++k) {
      out.push_back({static_cast<char32_t>(parts[k]), k == 0 ? 0 : 1});
    }
  }
  // Marks in canonical order.
  for (size_t begin = 0; begin < out.size();) {
    size_t end = begin;
    while (end < out.size() && combining_class(out[end].value) > 0) ++end;
    std::stable_sort(out.begin() + static_cast<ptrdiff_t>(begin), out.begin() + static_cast<ptrdiff_t>(end),
                     [](const ChangedCharacter& a, const ChangedCharacter& b) {
                       return combining_class(a.value) < combining_class(b.value);
                     });
    begin = end + 1;
  }
  return out;
}

/// Joins each character with the last starter that it is not kept from (Unicode 15, section 3.11).
void compose(std::vector<ChangedCharacter>& characters) {
  std::vector<ChangedCharacter> out;
  size_t starter = 0;
  bool has_starter = false;
  int last_class = 0;
  for (const ChangedCharacter& c : characters) {
    const int c_class = combining_class(c.value);
    const bool adjacent = has_starter && starter + 1 == out.size();
    if (has_starter && (adjacent || last_class < c_class)) {
      if (const auto joined = composed(out[starter].value, c.value)) {
        out[starter] = {*joined, out[starter].change + c.change - 1};
        continue;
      }
    }
    if (c_class == 0) {
      starter = out.size();
      has_starter = true;
    }
    last_class = c_class;
    out.push_back(c);
  }
  characters = std::move(out);
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

std::string normal_form(std::string_view text, NormalForm form) {
  return normalised(text, options_of(form));
}

std::vector<ChangedCharacter> normal_form_changes(std::string_view text, NormalForm form) {
  std::vector<ChangedCharacter> characters = decomposed(text, form);
  if (form == NormalForm::kC || form == NormalForm::kKC) compose(characters);
  return characters;
}

size_t grapheme_bytes(std::string_view text, size_t begin) {
  DecodedCharacter c = decode_utf8(text, begin);
  size_t end = begin + c.bytes;
  utf8proc_int32_t state = 0;
  while (end < text.size()) {
    const DecodedCharacter next = decode_utf8(text, end);
    if (utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(c.value),
                                         static_cast<utf8proc_int32_t>(next.value), &state)) {
      break;
    }
    end += next.bytes;
    c = next;
  }
  return end - begin;
}

int character_count(std::string_view text) {
  return static_cast<int>(std::count_if(
      text.begin(), text.end(), [](char byte) { return (static_cast<uint8_t>(byte) & 0xC0) != 0x80; }));
}

std::string_view trimmed(std::string_view text) {
  size_t begin = text.size(), end = 0;
  for (size_t i = 0; i < text.size();) {
    const DecodedCharacter next = decode_utf8(text, i);
    if (!jinja::is_space(next.value)) {
      begin = std::min(begin, i);
      end = i + next.bytes;
    }
    i += next.bytes;
  }
  return end == 0 ? std::string_view() : text.substr(begin, end - begin);
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

}  // namespace wattle::inline text
