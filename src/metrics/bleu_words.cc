#include "metrics/bleu_words.h"

#include <algorithm>

#include "base/utf8.h"
#include "jinja/text.h"
#include "text/unicode_classes.h"

namespace wattle::inline metrics {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_point(char c) {
  return c == '.' || c == ',';
}

/// ASCII's punctuation but for ' , - and .
bool stands_alone(char c) {
  return is_ascii_punctuation(static_cast<unsigned char>(c)) &&
         std::string_view("',-.").find(c) == std::string_view::npos;
}

void replace_all(std::string& text, std::string_view what, std::string_view by) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size()) {
    text.replace(at, what.size(), by);
  }
}

/// Each pair of characters that `takes` is written by `write`; pairs do not overlap.
template <typename Takes, typename Write>
std::string rewrite_pairs(std::string_view text, const Takes& takes, const Write& write) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i + 1 < text.size() && takes(text[i], text[i + 1])) {
      write(out, text[i], text[i + 1]);
      ++i;
    } else {
      out += text[i];
    }
  }
  return out;
}

/// The part of mteval's tokenizer that concerns western languages.
Words western_words(std::string_view text) {
  std::string apart;
  for (const char c : text) {
    if (stands_alone(c)) {
      apart += {' ', c, ' '};
    } else {
      apart += c;
    }
  }
  apart = rewrite_pairs(
      apart, [](char a, char b) { return !is_digit(a) && is_point(b); },
      [](std::string& out, char a, char b) {
        out += {a, ' ', b, ' '};
      });
  apart = rewrite_pairs(
      apart, [](char a, char b) { return is_point(a) && !is_digit(b); },
      [](std::string& out, char a, char b) {
        out += {' ', a, ' ', b};
      });
  apart = rewrite_pairs(
      apart, [](char a, char b) { return is_digit(a) && b == '-'; },
      [](std::string& out, char a, char b) {
        out += {a, ' ', b, ' '};
      });
  return split_at_spaces(apart);
}

/// sacrebleu's ranges. The second, U+2001 to U+2A6D, is what its table says where it means U+20000 to
/// U+2A6D6; it holds the dashes and quotation marks of other languages too.
bool is_chinese(char32_t c) {
  static constexpr std::pair<char32_t, char32_t> kRanges[] = {
      {0x3400, 0x4DB5}, {0x2001, 0x2A6D}, {0x4E00, 0x9FBB}, {0xF900, 0xFA2D}, {0xFA30, 0xFA6A},
      {0xFA70, 0xFAD9}, {0x2F81, 0x2FA1}, {0xFF00, 0xFFEF}, {0x2E80, 0x2EFF}, {0x3000, 0x303F},
      {0x31C0, 0x31EF}, {0x2F00, 0x2FDF}, {0x2FF0, 0x2FFF}, {0x3100, 0x312F}, {0x31A0, 0x31BF},
      {0xFE10, 0xFE1F}, {0xFE30, 0xFE4F}, {0x3200, 0x33FF}};
  return std::ranges::any_of(kRanges,
                             [c](const auto& range) { return range.first <= c && c <= range.second; });
}

/// Brackets have names in the Penn Treebank; COCO's evaluation, which drops other signs, keeps them.
std::string sign_of_caption(char c) {
  static constexpr std::pair<char, std::string_view> kBrackets[] = {
      {'(', "-lrb-"}, {')', "-rrb-"}, {'[', "-lsb-"}, {']', "-rsb-"}, {'{', "-lcb-"}, {'}', "-rcb-"}};
  for (const auto& [bracket, name] : kBrackets) {
    if (c == bracket) return std::string(name);
  }
  return {c};
}

/// A word without spaces: what stands before and behind it, and its contraction, become words of their own.
void add_caption_words(std::string_view word, Words& words) {
  constexpr std::string_view kDropped = "'`.?!,:;-\"";
  constexpr std::string_view kKept = "&%$#@*+=<>()[]{}";
  while (!word.empty() && kDropped.find(word.front()) != std::string_view::npos) word.remove_prefix(1);
  while (!word.empty() && kDropped.find(word.back()) != std::string_view::npos) word.remove_suffix(1);
  if (word.empty()) return;
  // Signs within a word part it, but for hyphens, apostrophes, and points between digits or letters.
  for (size_t i = 0; i < word.size(); ++i) {
    const char c = word[i];
    const bool between_digits = i > 0 && i + 1 < word.size() && is_digit(word[i - 1]) &&
                                is_digit(word[i + 1]) && (c == ',' || c == ':');
    const bool kept = kKept.find(c) != std::string_view::npos;
    const bool parts = kept || std::string_view(",:;?!\"").find(c) != std::string_view::npos;
    const bool dashes = word.substr(i).starts_with("--");
    if ((!parts || between_digits) && !dashes) continue;
    add_caption_words(word.substr(0, i), words);
    if (kept) words.push_back(sign_of_caption(c));
    return add_caption_words(word.substr(i + 1), words);
  }
  for (const std::string_view ending : {"n't", "'s", "'re", "'ve", "'ll", "'d", "'m"}) {
    if (!word.ends_with(ending) || word.size() == ending.size()) continue;
    words.emplace_back(word.substr(0, word.size() - ending.size()));
    words.emplace_back(ending);
    return;
  }
  if (word == "cannot") return words.insert(words.end(), {"can", "not"}), void();
  words.emplace_back(word);
}

}  // namespace

Words words_13a(std::string_view text) {
  std::string plain(text);
  replace_all(plain, "<skipped>", "");
  replace_all(plain, "-\n", "");
  replace_all(plain, "\n", " ");
  replace_all(plain, "&quot;", "\"");
  replace_all(plain, "&amp;", "&");
  replace_all(plain, "&lt;", "<");
  replace_all(plain, "&gt;", ">");
  return western_words(" " + plain + " ");
}

Words words_zh(std::string_view text) {
  std::string apart;
  for (const char32_t c : code_points(trimmed(text))) {
    const std::string_view space = is_chinese(c) ? " " : "";
    apart += space;
    append_utf8(apart, c);
    apart += space;
  }
  return western_words(apart);
}

Words words_char(std::string_view text) {
  Words words;
  for (const char32_t c : code_points(text)) {
    if (!jinja::is_space(c)) append_utf8(words.emplace_back(), c);
  }
  return words;
}

Words words_of_caption(std::string_view text) {
  Words words;
  std::string plain = lowered(text);
  for (const auto& [from, to] :
       {std::pair{"\u2018", "'"}, {"\u2019", "'"}, {"\u201c", "\""}, {"\u201d", "\""}}) {
    replace_all(plain, from, to);
  }
  for (const std::string& word : split_at_spaces(plain)) add_caption_words(word, words);
  return words;
}

}  // namespace wattle::inline metrics
