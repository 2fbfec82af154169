#include "data/folded.h"

#include <cstdlib>
#include <memory>

#include <utf8proc.h>
#include <wattle/error.h>

#include "base/utf8.h"
#include "text/unicode.h"
#include "text/unicode_classes.h"

namespace wattle::inline data {
namespace {

std::string case_folded(const std::string& text) {
  utf8proc_uint8_t* result = nullptr;
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD |
                                                      UTF8PROC_IGNORE);
  const auto length = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                   static_cast<utf8proc_ssize_t>(text.size()), &result, options);
  if (length < 0) {
    fail("a text of {} bytes cannot be folded ({}); shorten the text", text.size(), utf8proc_errmsg(length));
  }
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(result, &std::free);
  return std::string(reinterpret_cast<const char*>(result), static_cast<size_t>(length));
}

}  // namespace

std::string folded(std::string_view text) {
  // Composition may join what folding took apart, so compatibility comes first.
  const std::string same =
      is_ascii(text) ? std::string(text) : case_folded(normal_form(text, NormalForm::kKC));
  std::string out;
  bool gap = false;
  for (size_t at = 0; at < same.size();) {
    const DecodedCharacter c = decode_utf8(same, at);
    at += c.bytes;
    if (is_white_space(c.value)) {
      gap = !out.empty();
      continue;
    }
    if (gap) out += ' ';
    gap = false;
    append_utf8(out, c.value >= 'A' && c.value <= 'Z' ? c.value - 'A' + 'a' : c.value);
  }
  return out;
}

}  // namespace wattle::inline data
