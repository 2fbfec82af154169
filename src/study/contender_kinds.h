#pragma once

#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "study/contender.h"

namespace wattle::inline study {

// The kinds of contenders, one file each; open_contender() chooses.

std::unique_ptr<Contender> open_model(const nlohmann::ordered_json& request);
std::unique_ptr<Contender> open_command(const nlohmann::ordered_json& request);
std::unique_ptr<Contender> open_server(const nlohmann::ordered_json& request);
std::unique_ptr<Contender> open_cascade(const nlohmann::ordered_json& request);

/// The fields of a request, each read once. Errors name the field and the kind of the contender.
class RequestFields {
 public:
  explicit RequestFields(const nlohmann::ordered_json& request);

  bool has(const char* key) const;
  std::string text(const char* key, const std::string& otherwise);
  std::string need_text(const char* key);
  double number(const char* key, double otherwise);
  int64_t count(const char* key, int64_t otherwise);
  bool flag(const char* key, bool otherwise);
  std::vector<std::string> texts(const char* key);
  /// Null where there is none.
  const nlohmann::ordered_json& value(const char* key);
  /// Error for a field that nobody read.
  void finish() const;

 private:
  const nlohmann::ordered_json* find(const char* key);
  [[noreturn]] void refuse(const char* key, const char* wanted) const;

  const nlohmann::ordered_json& request_;
  std::string kind_;
  std::vector<std::string> read_;
};

/// An answer in words for a labelled question: the label that it says, compared without case, spaces and
/// punctuation at its ends; else the only one that stands in it as words. Else a label of its own: it counts
/// as wrong.
LabelAnswer label_in_words(const std::string& text, const std::vector<std::string>& labels);

/// The names that a plan's data has for labels, in place of the words that were said for them, by place.
void rename_labels(Answer& answer, const std::vector<std::string>& words,
                   const std::shared_ptr<const std::vector<std::string>>& labels);

/// Cosines, and the answers that a study's questions want of them. `query` and the `others` have one width.
double cosine(std::span<const float> a, std::span<const float> b);
/// To a ranking a score each; to a pair its one score; to a choice the label with the greatest, whose scores
/// are the softmax of all.
decltype(Answer::value) answer_by_scores(const Question& question, std::vector<double> scores);

}  // namespace wattle::inline study
