#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/work.h"
#include "file/model_file.h"
#include "train/forest.h"
#include "train/linear.h"
#include "train/nearest.h"
#include "train/table.h"
#include "train/text_features.h"

namespace wattle::inline train {

/// The potato end of the ladder, from the cheapest up.
enum class HeadKind {
  kMajority,  ///< always the commonest label
  kKeywords,  ///< the label with the most of its keywords in the text; without any, the commonest label
  kLinear,    ///< logistic regression
  kForest,    ///< random forest
  kNearest,   ///< the labels of the nearest training rows
};
std::string_view name(HeadKind kind);
/// Throws Error naming the kinds; `origin` says where the name stands.
HeadKind head_kind_from_name(std::string_view name, std::string_view origin);

/// What a head labels, and so which of a base model's vectors it reads.
enum class HeadUnit {
  kText,   ///< the pooled embedding
  kToken,  ///< the hidden state of each token
  kRow,    ///< the row of a table
};

/// The frozen encoder whose embeddings a head reads.
struct BaseModel {
  std::string path;         ///< as given in training
  std::string fingerprint;  ///< see fingerprint(): the same at every precision
  int64_t width = 0;
};

/// How a head came about; stored with it.
struct TrainingRecord {
  int64_t rows = 0;
  uint64_t seed = 0;
  double cost = 0;                ///< of LIBLINEAR; 0 for other kinds
  std::vector<CostScore> scores;  ///< of cross-validation; of kNearest by its neighbours instead of costs
  double seconds = 0;
  double joules = 0, joules_low = 0, joules_high = 0;
  std::string grade;  ///< of the joules: measured, attributed, modelled; empty when not metered
  std::vector<std::string> notes = {};  ///< what was decided for the user, one sentence each
};

struct Prediction {
  int label = 0;
  std::vector<float> scores;  ///< a probability for each label
  double number = 0;          ///< of a head that answers numbers, which has no labels
};

/// A trained classifier of texts, embeddings or rows of tables, or what answers a number for such a row. One
/// GGUF file of architecture "wattle-head" holds all of it but the base model, to which it refers.
class Head {
 public:
  static constexpr std::string_view kArchitecture = "wattle-head";

  struct Parts {
    HeadKind kind = HeadKind::kMajority;
    HeadUnit unit = HeadUnit::kText;
    std::vector<std::string> labels;     ///< none: the head answers numbers (kRow only)
    TextFeatures text;                   ///< none for majority and for heads on embeddings
    std::optional<TableFeatures> table;  ///< of kRow
    std::optional<BaseModel> base;
    std::variant<LinearModel, Forest, NearestModel> classifier;
    TrainingRecord training;
  };
  explicit Head(Parts parts) : parts_(std::move(parts)) {}

  /// Throws Error for a file that is not a head or whose parts do not fit together.
  static Head load(const ModelFile& file);
  /// The file appears whole or not at all.
  void save(const std::filesystem::path& path) const;

  HeadKind kind() const { return parts_.kind; }
  HeadUnit unit() const { return parts_.unit; }
  const std::vector<std::string>& labels() const { return parts_.labels; }
  const std::optional<BaseModel>& base() const { return parts_.base; }
  const TrainingRecord& training() const { return parts_.training; }
  TrainingRecord& training() { return parts_.training; }
  const Parts& parts() const { return parts_; }
  bool answers_numbers() const { return parts_.labels.empty(); }
  /// "table", "none", "words", "ngrams" (of words), "characters", either of these with "+characters",
  /// "embeddings" or "tokens".
  std::string features() const;
  int64_t parameters() const;  ///< weights and biases, nodes of the forest, or values of the rows kept

  /// Only for heads without a base model. Adds what it did to `work`; tokens_in counts the words.
  Prediction predict(std::string_view text, Work& work);
  /// Only for heads on tables; Error, beginning with `place`, for a row that does not fit its columns.
  Prediction predict(const TableRow& row, std::string_view place, Work& work);
  /// Only for heads with one; embedding [width], of a text or a token.
  Prediction predict(std::span<const float> embedding, Work& work);

 private:
  Prediction classify(Work& work);

  Parts parts_;
  // Kept from call to call: a prediction of some microseconds should not spend them on allocation.
  Pieces pieces_;
  SparseVector row_;
  std::vector<float> decisions_;
  Forest::Scratch forest_scratch_;
};

}  // namespace wattle::inline train
