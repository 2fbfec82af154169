#include "text/pretokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <utility>

#include <wattle/error.h>

namespace wattle {
namespace {

// Radford et al. 2019 (GPT-2).
constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
// Every digit alone, then GPT-2's pattern on what lies between: written as one, so that white space before a
// digit ends a piece as the end of a text does.
constexpr std::string_view kDigitsThenGpt2 =
    R"(\p{N}|'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?![^\s\p{N}])|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

struct Named {
  std::string_view name;
  PretokenizerSpec spec;
};

constexpr PretokenizerSpec kGpt2Spec{.pattern = kGpt2};
constexpr PretokenizerSpec kDigitsSpec{.pattern = kDigitsThenGpt2};
constexpr PretokenizerSpec kQwen2Spec{.pattern = kQwen2, .nfc = true};
constexpr PretokenizerSpec kLlama3Spec{.pattern = kLlama3, .ignore_merges = true, .add_bos = true};

// "default" and a missing key come from files written before the key existed, nearly all of them of GPT-2's
// kin.
constexpr Named kNamed[] = {
    {"gpt-2", kGpt2Spec},       {"default", kGpt2Spec},     {"phi-2", kGpt2Spec},
    {"mpt", kGpt2Spec},         {"olmo", kGpt2Spec},        {"roberta-bpe", kGpt2Spec},
    {"smollm", kDigitsSpec},    {"starcoder", kDigitsSpec}, {"refact", kDigitsSpec},
    {"codeshell", kDigitsSpec}, {"qwen2", kQwen2Spec},      {"deepseek-r1-qwen", kQwen2Spec},
    {"llama-bpe", kLlama3Spec}, {"llama3", kLlama3Spec},    {"llama-v3", kLlama3Spec},
};

// PCRE2's own \s takes U+180E as well, which is no white space since Unicode 6.3.
constexpr std::string_view kSpaces =
    R"(\t-\r\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";

/// Spells out \s and \S by White_Space.
std::string with_white_space(std::string_view pattern) {
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const std::string_view two = pattern.substr(i, 2);
    if (two == "\\s" || two == "\\S") {
      const std::string negation = two == "\\S" ? "^" : "";
      out += in_class ? std::string(kSpaces) : "[" + negation + std::string(kSpaces) + "]";
      ++i;
    } else if (two[0] == '\\') {
      out += two;
      ++i;
    } else {
      if (two[0] == '[') in_class = true;
      if (two[0] == ']') in_class = false;
      out += two[0];
    }
  }
  return out;
}

}  // namespace

const PretokenizerSpec* find_pretokenizer(std::string_view name) {
  const auto* const found = std::find_if(std::begin(kNamed), std::end(kNamed),
                                         [&](const Named& named) { return named.name == name; });
  return found == std::end(kNamed) ? nullptr : &found->spec;
}

std::string pretokenizer_names() {
  std::string names;
  for (const Named& named : kNamed) names += (names.empty() ? "" : ", ") + std::string(named.name);
  return names;
}

struct Pretokenizer::Compiled {
  pcre2_code* code = nullptr;
  ~Compiled() { pcre2_code_free(code); }
};

Pretokenizer::Pretokenizer(std::string_view pattern, std::string origin)
    : compiled_(std::make_unique<Compiled>()), origin_(std::move(origin)) {
  const std::string expanded = with_white_space(pattern);
  int error = 0;
  PCRE2_SIZE where = 0;
  compiled_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expanded.data()), expanded.size(),
                                  PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK, &error, &where, nullptr);
  if (compiled_->code == nullptr) {
    PCRE2_UCHAR message[200] = {};
    pcre2_get_error_message(error, message, sizeof message);
    fail("{}: the pre-tokenisation pattern does not compile: {}; pull the model again", origin_,
         reinterpret_cast<const char*>(message));
  }
  // Without just-in-time compilation (some processors have none) the same matches come, slower.
  pcre2_jit_compile(compiled_->code, PCRE2_JIT_COMPLETE);
}

Pretokenizer::~Pretokenizer() = default;

std::vector<size_t> Pretokenizer::word_ends(std::string_view text) const {
  const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> match(
      pcre2_match_data_create(1, nullptr), &pcre2_match_data_free);
  const PCRE2_SIZE* const span = pcre2_get_ovector_pointer(match.get());
  std::vector<size_t> ends;
  ends.reserve(text.size() / 4 + 1);
  for (size_t position = 0; position < text.size();) {
    const int found = pcre2_match(compiled_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                  position, PCRE2_NO_UTF_CHECK, match.get(), nullptr);
    if (found == PCRE2_ERROR_NOMATCH || (found >= 0 && span[1] == position)) break;
    if (found < 0) {
      fail(
          "{}: a text of {} bytes is too hard to cut into words at byte {} (PCRE2 error {}); shorten the "
          "text",
          origin_, text.size(), position, found);
    }
    if (span[0] > position) ends.push_back(span[0]);
    ends.push_back(span[1]);
    position = span[1];
  }
  if (!text.empty() && (ends.empty() || ends.back() < text.size())) ends.push_back(text.size());
  return ends;
}

}  // namespace wattle
