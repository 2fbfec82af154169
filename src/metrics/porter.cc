#include "metrics/porter.h"

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace wattle::inline metrics {
namespace {

/// Which letters are consonants: all but a, e, i, o, u, and a y behind a consonant.
std::vector<bool> consonants(std::string_view word) {
  std::vector<bool> flags;
  for (const char c : word) {
    const bool vowel = std::string_view("aeiou").find(c) != std::string_view::npos;
    flags.push_back(c == 'y' ? flags.empty() || !flags.back() : !vowel);
  }
  return flags;
}

/// How often a vowel is followed by a consonant: Porter's m.
int measure(std::string_view stem) {
  const auto flags = consonants(stem);
  int m = 0;
  for (size_t i = 1; i < flags.size(); ++i) m += !flags[i - 1] && flags[i];
  return m;
}

bool has_vowel(std::string_view stem) {
  return std::ranges::count(consonants(stem), false) > 0;
}

bool ends_in_consonant(std::string_view stem) {
  return !stem.empty() && consonants(stem).back();
}

bool ends_in_double_consonant(std::string_view word) {
  return word.size() >= 2 && word.back() == word[word.size() - 2] && ends_in_consonant(word);
}

/// Porter's *o: consonant, vowel, consonant, the last not w, x or y; or a whole word of vowel and consonant.
bool ends_short(std::string_view word) {
  const auto flags = consonants(word);
  const size_t n = word.size();
  if (n == 2) return !flags[0] && flags[1];
  return n >= 3 && flags[n - 3] && !flags[n - 2] && flags[n - 1] &&
         std::string_view("wxy").find(word.back()) == std::string_view::npos;
}

struct Rule {
  std::string_view suffix, replacement;
};

/// The first rule whose suffix the word has decides; its stem must have more than `least` as its measure.
void replace_first(std::string& word, std::span<const Rule> rules, int least) {
  for (const Rule& rule : rules) {
    if (!word.ends_with(rule.suffix)) continue;
    const std::string_view stem = std::string_view(word).substr(0, word.size() - rule.suffix.size());
    if (measure(stem) > least) word.replace(stem.size(), std::string::npos, rule.replacement);
    return;
  }
}

void shorten(std::string& word, size_t letters) {
  word.resize(word.size() - letters);
}

void plurals(std::string& word) {
  if (word.ends_with("ies")) {
    shorten(word, word.size() == 4 ? 1 : 2);
  } else if (word.ends_with("sses")) {
    shorten(word, 2);
  } else if (word.ends_with("s") && !word.ends_with("ss")) {
    shorten(word, 1);
  }
}

/// After -ed or -ing has gone.
void repair(std::string& word) {
  if (word.ends_with("at") || word.ends_with("bl") || word.ends_with("iz")) {
    word += 'e';
  } else if (ends_in_double_consonant(word)) {
    if (std::string_view("lsz").find(word.back()) == std::string_view::npos) shorten(word, 1);
  } else if (measure(word) == 1 && ends_short(word)) {
    word += 'e';
  }
}

void past_and_participle(std::string& word) {
  if (word.ends_with("ied")) return shorten(word, word.size() == 4 ? 1 : 2);
  const std::string_view all = word;
  if (word.ends_with("eed")) {
    if (measure(all.substr(0, all.size() - 3)) > 0) shorten(word, 1);
    return;
  }
  for (const std::string_view suffix : {"ed", "ing"}) {
    if (!word.ends_with(suffix) || !has_vowel(all.substr(0, all.size() - suffix.size()))) continue;
    shorten(word, suffix.size());
    return repair(word);
  }
}

void final_y(std::string& word) {
  const std::string_view stem = std::string_view(word).substr(0, word.size() - 1);
  if (word.ends_with("y") && stem.size() > 1 && ends_in_consonant(stem)) word.back() = 'i';
}

void double_suffixes(std::string& word) {
  static constexpr Rule kRules[] = {
      {"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"}, {"anci", "ance"}, {"izer", "ize"},
      {"bli", "ble"},     {"alli", "al"},     {"entli", "ent"}, {"eli", "e"},     {"ousli", "ous"},
      {"ization", "ize"}, {"ation", "ate"},   {"ator", "ate"},  {"alism", "al"},  {"iveness", "ive"},
      {"fulness", "ful"}, {"ousness", "ous"}, {"aliti", "al"},  {"iviti", "ive"}, {"biliti", "ble"},
      {"fulli", "ful"},
  };
  while (word.ends_with("alli") && measure(std::string_view(word).substr(0, word.size() - 4)) > 0) {
    shorten(word, 2);
  }
  if (word.ends_with("logi")) {
    if (measure(std::string_view(word).substr(0, word.size() - 3)) > 0) shorten(word, 1);
    return;
  }
  replace_first(word, kRules, 0);
}

void single_suffixes(std::string& word) {
  static constexpr Rule kRules[] = {{"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"},
                                    {"ical", "ic"},  {"ful", ""},   {"ness", ""}};
  replace_first(word, kRules, 0);
}

void last_suffixes(std::string& word) {
  static constexpr Rule kRules[] = {{"al", ""},   {"ance", ""}, {"ence", ""}, {"er", ""},    {"ic", ""},
                                    {"able", ""}, {"ible", ""}, {"ant", ""},  {"ement", ""}, {"ment", ""},
                                    {"ent", ""},  {"ou", ""},   {"ism", ""},  {"ate", ""},   {"iti", ""},
                                    {"ous", ""},  {"ive", ""},  {"ize", ""}};
  if (word.ends_with("sion") || word.ends_with("tion")) {
    // The s or t belongs to the stem that is measured.
    if (measure(std::string_view(word).substr(0, word.size() - 3)) > 1) shorten(word, 3);
    return;
  }
  replace_first(word, kRules, 1);
}

void tidy(std::string& word) {
  if (word.ends_with("e")) {
    const std::string_view stem = std::string_view(word).substr(0, word.size() - 1);
    const int m = measure(stem);
    if (m > 1 || (m == 1 && !ends_short(stem))) shorten(word, 1);
  }
  if (word.ends_with("ll") && measure(std::string_view(word).substr(0, word.size() - 1)) > 1)
    shorten(word, 1);
}

}  // namespace

std::string porter_stem(std::string word) {
  static constexpr std::pair<std::string_view, std::string_view> kIrregular[] = {
      {"skies", "sky"},      {"sky", "sky"},         {"dying", "die"},        {"lying", "lie"},
      {"tying", "tie"},      {"news", "news"},       {"innings", "inning"},   {"inning", "inning"},
      {"outings", "outing"}, {"outing", "outing"},   {"cannings", "canning"}, {"canning", "canning"},
      {"howe", "howe"},      {"proceed", "proceed"}, {"exceed", "exceed"},    {"succeed", "succeed"}};
  for (const auto& [form, stem] : kIrregular) {
    if (word == form) return std::string(stem);
  }
  if (word.size() <= 2) return word;
  for (const auto step :
       {plurals, past_and_participle, final_y, double_suffixes, single_suffixes, last_suffixes, tidy}) {
    if (!word.empty()) step(word);
  }
  return word;
}

}  // namespace wattle::inline metrics
