#include "study/metrics.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace wattle {
namespace {

using Words = std::vector<std::string>;

bool is_ascii_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

Words words_of_summary(std::string_view text) {
  Words words;
  std::string word;
  for (const char c : text) {
    if (is_ascii_letter_or_digit(c)) {
      word += lower(c);
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

Words words_of_answer(std::string_view text) {
  constexpr std::string_view kPunctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
  constexpr std::string_view kSpace = " \t\n\r\f\v";
  Words words;
  std::string word;
  const auto finish = [&] {
    if (!word.empty() && word != "a" && word != "an" && word != "the") words.push_back(word);
    word.clear();
  };
  for (const char c : text) {
    if (kSpace.find(c) != std::string_view::npos) {
      finish();
    } else if (kPunctuation.find(c) == std::string_view::npos) {
      word += lower(c);
    }
  }
  finish();
  return words;
}

double f_measure(double matches, double answered, double wanted) {
  if (matches == 0) return 0;
  const double precision = matches / answered, recall = matches / wanted;
  return 2 * precision * recall / (precision + recall);
}

std::map<Words, int> count_ngrams(const Words& words, size_t n) {
  std::map<Words, int> counts;
  for (size_t i = 0; i + n <= words.size(); ++i) ++counts[Words(words.begin() + i, words.begin() + i + n)];
  return counts;
}

double overlap_f(const Words& answer, const Words& reference, size_t n) {
  const auto ours = count_ngrams(answer, n), theirs = count_ngrams(reference, n);
  int matches = 0, answered = 0, wanted = 0;
  for (const auto& [gram, count] : theirs) wanted += count;
  for (const auto& [gram, count] : ours) {
    answered += count;
    const auto found = theirs.find(gram);
    if (found != theirs.end()) matches += std::min(count, found->second);
  }
  return f_measure(matches, answered, wanted);
}

}  // namespace

double exact_match(std::string_view answer, std::string_view reference) {
  return words_of_answer(answer) == words_of_answer(reference) ? 1 : 0;
}

double answer_f1(std::string_view answer, std::string_view reference) {
  const Words ours = words_of_answer(answer), theirs = words_of_answer(reference);
  if (ours.empty() || theirs.empty()) return ours.empty() && theirs.empty() ? 1 : 0;
  return overlap_f(ours, theirs, 1);
}

double rouge_n(std::string_view summary, std::string_view reference, int n) {
  return overlap_f(words_of_summary(summary), words_of_summary(reference), static_cast<size_t>(n));
}

double rouge_l(std::string_view summary, std::string_view reference) {
  const Words ours = words_of_summary(summary), theirs = words_of_summary(reference);
  std::vector<int> previous(theirs.size() + 1), current(theirs.size() + 1);
  for (const std::string& word : ours) {
    for (size_t j = 0; j < theirs.size(); ++j) {
      current[j + 1] = word == theirs[j] ? previous[j] + 1 : std::max(previous[j + 1], current[j]);
    }
    std::swap(previous, current);
  }
  return f_measure(previous.back(), static_cast<double>(ours.size()), static_cast<double>(theirs.size()));
}

}  // namespace wattle
