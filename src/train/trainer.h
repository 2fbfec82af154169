#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tensor/matrix.h"
#include "train/head.h"

namespace wattle::inline train {

struct TrainOptions {
  HeadKind kind = HeadKind::kLinear;
  std::vector<double> costs = {
      1, 4, 16, 64, 256};  ///< of the linear head; chosen by cross-validation: 5 folds, 3 above 10 labels
  int trees = 200;         ///< of the forest
  /// Of the head of nearest rows; chosen as costs are.
  std::vector<int64_t> neighbours = {1, 3, 5, 7, 10, 15, 20, 30};
  int keywords = 20;                   ///< of the keyword rule: at most so many for each label
  TextUnits units = TextUnits::kAuto;  ///< of heads on texts
  uint64_t seed = 0;
  /// Of the linear head's search for a cost: see LinearOptions. One a row, of cost_folds() folds.
  std::vector<int> fold_of = {};
  std::string origin = "training";  ///< of the rows, for error sentences
  std::function<void(double)> progress = {};
};

/// Trains a head on texts: on n-grams of 1 and 2 words (single words for the keyword rule), of 2 to 5
/// characters, or both; see TextUnits. What kAuto chose beside words is a note of the training record.
/// `labels` are indices into `label_names`. The same texts, options and seed give the same bytes for any
/// number of threads. Error when there are fewer than two labels, no n-grams at all, or labels and texts do
/// not match.
Head train_on_ngrams(std::span<const std::string> texts, std::span<const int> labels,
                     std::vector<std::string> label_names, const TrainOptions& options);

/// Trains a linear head, a forest or a head of nearest rows on embeddings [rows, base.width].
Head train_on_embeddings(ConstMatrixView embeddings, BaseModel base, std::span<const int> labels,
                         std::vector<std::string> label_names, const TrainOptions& options);

/// The same for the labels of tokens, on their hidden states [tokens, base.width]. A linear head is trained
/// on the states with each feature's mean taken off and its deviation made 1, in place, and then written for
/// the states as they are: the features of hidden states lie orders of magnitude apart.
Head train_on_tokens(MatrixView hidden, BaseModel base, std::span<const int> labels,
                     std::vector<std::string> label_names, const TrainOptions& options);

/// Costs to choose from for linear heads on tables, whose features are standardised.
inline const std::vector<double> kTableCosts = {0.01, 0.1, 1, 10, 100};

/// The rows of a table that is to be learnt.
struct TableData {
  std::vector<std::string> columns;
  std::vector<TableRow> rows;
  std::vector<std::string> as_categories = {};  ///< columns of categories that look like numbers
};

/// Trains a linear head, a forest or the majority rule on the rows of a table; see TableFeatures, whose
/// errors it throws too.
Head train_on_table(const TableData& table, std::span<const int> labels, std::vector<std::string> label_names,
                    const TrainOptions& options);

/// The same for a number a row: ridge regression, a forest whose nodes choose from all of the features,
/// or the mean. The greatest cost is the least ridge.
Head train_numbers_on_table(const TableData& table, std::span<const float> numbers,
                            const TrainOptions& options);

/// How many folds the search for a cost has with so many labels.
int cost_folds(size_t n_labels);

}  // namespace wattle::inline train
