#include "train/trainer.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <utility>

#include <wattle/error.h>

#include "train/ridge.h"

namespace wattle::inline train {
namespace {

/// Terms of the forest and of the keyword rule occur in at least so many texts: rarer ones doubled the
/// forest's training time and won nothing.
constexpr int kMinDocuments = 3;
/// N-grams of characters of the linear head: most of them occur in one text and say what its words say.
constexpr int kLinearMinCharacters = 2;
constexpr int kShortest = 2, kLongest = 5;  ///< characters

/// Folds of the search for a cost. Its time grows with labels times (folds - 1); with many labels the costs
/// lie further apart than what more folds would tell (banking77: 3 of them choose as 5 do, in half the time).
constexpr int kFolds = 5, kFoldsOfMany = 3;
constexpr size_t kManyLabels = 10;

void check_labels(size_t rows, std::span<const int> labels, const std::vector<std::string>& label_names,
                  const std::string& origin) {
  if (labels.size() != rows)
    fail("{}: {} rows but {} labels; give one label a row", origin, rows, labels.size());
  const auto n_labels = static_cast<int>(label_names.size());
  for (const int label : labels) {
    if (label < 0 || label >= n_labels)
      fail("{}: label {} is not among the {} labels", origin, label, n_labels);
  }
  if (std::set<int>(labels.begin(), labels.end()).size() < 2) {
    fail("{}: all rows have one label; a classifier needs rows of at least two", origin);
  }
}

std::vector<int64_t> count_labels(std::span<const int> labels, size_t n_labels) {
  std::vector<int64_t> counts(n_labels, 0);
  for (const int label : labels) ++counts[static_cast<size_t>(label)];
  return counts;
}

/// The log-odds of each label's share: as probabilities, the shares themselves.
LinearModel majority(std::span<const int> labels, size_t n_labels) {
  LinearModel model;
  for (const int64_t count : count_labels(labels, n_labels)) {
    const double share = (static_cast<double>(count) + 1e-3) / (static_cast<double>(labels.size()) + 2e-3);
    model.bias.push_back(static_cast<float>(std::log(share / (1 - share))));
  }
  return model;
}

/// How strongly a word speaks for a label: the chi-square statistic of the 2x2 table, where the association
/// is positive.
double chi_square(double both, double word, double label, double rows) {
  const double expected = word * label / rows;
  if (both <= expected) return 0;
  const double determinant = both * rows - word * label;
  return rows * determinant * determinant / (word * label * (rows - word) * (rows - label));
}

/// Chi-square with one degree of freedom at p = 0.001: weaker words are noise.
constexpr double kSignificant = 10.83;

/// A number for the set of rows that each term occurs in, another one for another set.
std::vector<uint64_t> row_sets(const SparseMatrix& x) {
  std::vector<uint64_t> sets(static_cast<size_t>(x.columns), 0);
  std::mt19937_64 random;
  for (int64_t i = 0; i < x.rows(); ++i) {
    const uint64_t row = random();
    for (int64_t e = x.offsets[static_cast<size_t>(i)]; e < x.offsets[static_cast<size_t>(i) + 1]; ++e)
      sets[static_cast<size_t>(x.indices[static_cast<size_t>(e)])] += row;
  }
  return sets;
}

/// The terms of the rule and which label each one speaks for. Of n-grams of characters that occur in the same
/// texts, most of them parts of one word, one is enough.
std::map<std::string_view, int> choose_keywords(const Ngrams& words, const SparseMatrix& x,
                                                std::span<const int> labels, size_t n_labels, int keywords) {
  const size_t terms = words.size();
  const std::vector<uint64_t> row_set = row_sets(x);
  std::vector<double> in_label(terms * n_labels, 0), in_all(terms, 0);
  for (size_t i = 0; i < labels.size(); ++i) {
    for (int64_t e = x.offsets[i]; e < x.offsets[i + 1]; ++e) {
      const auto term = static_cast<size_t>(x.indices[static_cast<size_t>(e)]);
      in_label[term * n_labels + static_cast<size_t>(labels[i])] += 1;
      in_all[term] += 1;
    }
  }
  const std::vector<int64_t> counts = count_labels(labels, n_labels);
  const auto rows = static_cast<double>(labels.size());
  std::map<std::string_view, int> chosen;
  std::map<std::string_view, double> strength;
  for (size_t label = 0; label < n_labels; ++label) {
    std::vector<std::pair<double, size_t>> ranked;  // negative strength first: ties go to the earlier word
    for (size_t term = 0; term < terms; ++term) {
      if (in_all[term] >= rows) continue;
      const double value = chi_square(in_label[term * n_labels + label], in_all[term],
                                      static_cast<double>(counts[label]), rows);
      if (value > kSignificant) ranked.emplace_back(-value, term);
    }
    std::sort(ranked.begin(), ranked.end());
    if (words.rule().unit == NgramUnit::kCharacters) {
      std::set<uint64_t> known;
      std::erase_if(ranked, [&](const auto& entry) { return !known.insert(row_set[entry.second]).second; });
    }
    ranked.resize(std::min(ranked.size(), static_cast<size_t>(keywords)));
    for (const auto& [negative, term] : ranked) {
      const std::string_view word = words.term(term);
      if (chosen.contains(word) && strength[word] >= -negative) continue;
      chosen[word] = static_cast<int>(label);
      strength[word] = -negative;
    }
  }
  return chosen;
}

/// The units that a head reads: as asked for, or words, and characters too where words do not serve.
std::vector<NgramUnit> choose_units(std::span<const std::string> texts, TextUnits wanted,
                                    std::vector<std::string>& notes) {
  if (wanted == TextUnits::kAuto) {
    const double served = share_served_by_words(texts);
    if (served >= kLeastServed) return {NgramUnit::kWords};
    notes.push_back(
        fmt::format("words serve {:.0f} % of the texts; n-grams of {} to {} characters are read beside them",
                    100 * served, kShortest, kLongest));
  }
  if (wanted == TextUnits::kWords) return {NgramUnit::kWords};
  if (wanted == TextUnits::kCharacters) return {NgramUnit::kCharacters};
  return {NgramUnit::kWords, NgramUnit::kCharacters};
}

/// What the texts hold of each unit; a unit of which they hold nothing is left out.
TextFeatures fit_features(std::span<const std::string> texts, const std::vector<NgramUnit>& units,
                          HeadKind kind) {
  const NgramWeights weights = kind == HeadKind::kKeywords ? NgramWeights::kPresence : NgramWeights::kTfIdf;
  TextFeatures features;
  for (const NgramUnit unit : units) {
    const bool words = unit == NgramUnit::kWords;
    const NgramRule rule = words ? NgramRule{unit, weights, 1, kind == HeadKind::kKeywords ? 1 : 2}
                                 : NgramRule{unit, weights, kShortest, kLongest};
    const int min_documents = kind != HeadKind::kLinear ? kMinDocuments : words ? 1 : kLinearMinCharacters;
    Ngrams fitted = Ngrams::fit(texts, rule, min_documents);
    if (fitted.size() > 0) features.ngrams.push_back(std::move(fitted));
  }
  return features;
}

/// Each keyword counts 1 for its label; the labels' shares, all below 1, decide between equals.
void fit_keywords(std::span<const std::string> texts, std::span<const int> labels,
                  const TrainOptions& options, Head::Parts& parts) {
  const size_t n_labels = parts.labels.size();
  TextFeatures chosen;
  LinearModel model;
  for (const Ngrams& part : parts.text.ngrams) {
    const TextFeatures all{{part}};
    const auto keywords = choose_keywords(part, all.features(texts), labels, n_labels, options.keywords);
    if (keywords.empty()) continue;
    std::vector<std::string_view> terms;
    for (const auto& [word, label] : keywords) {
      terms.push_back(word);
      for (size_t k = 0; k < n_labels; ++k)
        model.weights.push_back(k == static_cast<size_t>(label) ? 1.0f : 0.0f);
    }
    chosen.ngrams.emplace_back(terms, std::vector<float>{}, part.rule(), "the keyword rule");
  }
  if (chosen.ngrams.empty())
    fail("{}: no term speaks for any label; use a head of the kind majority or give more rows",
         options.origin);
  model.features = chosen.columns();
  for (const int64_t count : count_labels(labels, n_labels)) {
    model.bias.push_back(
        static_cast<float>(static_cast<double>(count) / (static_cast<double>(labels.size()) + 1)));
  }
  parts.text = std::move(chosen);
  parts.classifier = std::move(model);
}

/// Rows of dense features.
void fit_nearest(const SparseMatrix& x, std::span<const int> labels, const TrainOptions& options,
                 Head::Parts& parts) {
  NearestFit fit = train_nearest(ConstMatrixView(x.values.data(), x.rows(), x.columns), labels,
                                 static_cast<int>(parts.labels.size()),
                                 {options.neighbours, cost_folds(parts.labels.size()), options.seed,
                                  options.fold_of, options.progress, options.origin});
  parts.classifier = std::move(fit.model);
  parts.training.scores = std::move(fit.scores);
}

/// Trains the classifier of a linear head, a forest or a head of nearest rows on features.
void fit_classifier(const SparseMatrix& x, std::span<const int> labels, const TrainOptions& options,
                    Head::Parts& parts) {
  const auto n_labels = static_cast<int>(parts.labels.size());
  if (options.kind == HeadKind::kForest) {
    parts.classifier = train_forest(x, labels, n_labels, {options.trees, options.seed, options.progress});
    return;
  }
  if (options.kind == HeadKind::kNearest) return fit_nearest(x, labels, options, parts);
  LinearFit fit = train_linear(
      x, labels, n_labels,
      {options.costs, cost_folds(parts.labels.size()), options.seed, options.fold_of, options.progress});
  parts.classifier = std::move(fit.model);
  parts.training.cost = fit.cost;
  parts.training.scores = std::move(fit.scores);
}

Head::Parts begin_parts(size_t rows, std::vector<std::string> label_names, const TrainOptions& options) {
  Head::Parts parts;
  parts.kind = options.kind;
  parts.labels = std::move(label_names);
  parts.training.rows = static_cast<int64_t>(rows);
  parts.training.seed = options.seed;
  return parts;
}

/// A feature's deviation counts as at least so much of their mean.
constexpr double kLeastDeviation = 0.01;

/// What is taken off each feature, and what it is divided by.
struct Standard {
  std::vector<double> mean, deviation;
};

Standard standardise(MatrixView rows) {
  const auto features = static_cast<size_t>(rows.columns);
  Standard standard{std::vector<double>(features, 0), std::vector<double>(features, 0)};
  const auto over_rows = [&](const std::function<void(size_t, float&)>& each) {
    for (int64_t i = 0; i < rows.rows; ++i) {
      const auto row = rows.row(i);
      for (size_t f = 0; f < features; ++f) each(f, row[f]);
    }
  };
  const auto count = static_cast<double>(std::max<int64_t>(1, rows.rows));
  over_rows([&](size_t f, float& value) { standard.mean[f] += value / count; });
  over_rows([&](size_t f, float& value) {
    const double off = value - standard.mean[f];
    standard.deviation[f] += off * off / count;
  });
  double all = 0;
  for (double& value : standard.deviation) all += value = std::sqrt(value);
  // What hardly moves is noise to a model at another precision.
  const double least = kLeastDeviation * all / static_cast<double>(std::max<size_t>(1, features));
  for (double& value : standard.deviation) value = all > 0 ? std::max(value, least) : 1;
  over_rows([&](size_t f, float& value) {
    value = static_cast<float>((value - standard.mean[f]) / standard.deviation[f]);
  });
  return standard;
}

/// Weights for features as they are from weights for standardised ones.
void undo(const Standard& standard, LinearModel& model) {
  const size_t outputs = model.bias.size();
  std::vector<double> bias(model.bias.begin(), model.bias.end());
  for (size_t f = 0; f < standard.mean.size(); ++f) {
    for (size_t k = 0; k < outputs; ++k) {
      float& weight = model.weights[f * outputs + k];
      weight = static_cast<float>(weight / standard.deviation[f]);
      bias[k] -= weight * standard.mean[f];
    }
  }
  std::ranges::transform(bias, model.bias.begin(), [](double value) { return static_cast<float>(value); });
}

void check_kind_on_model(HeadKind kind) {
  if (kind == HeadKind::kLinear || kind == HeadKind::kForest || kind == HeadKind::kNearest) return;
  fail("--kind {}: is trained on ngrams only; leave --on out", name(kind));
}

}  // namespace

int cost_folds(size_t n_labels) {
  return n_labels > kManyLabels ? kFoldsOfMany : kFolds;
}

Head train_on_ngrams(std::span<const std::string> texts, std::span<const int> labels,
                     std::vector<std::string> label_names, const TrainOptions& options) {
  if (options.kind == HeadKind::kNearest)
    fail("--kind nearest: compares embeddings; name the model that makes them with --on");
  check_labels(texts.size(), labels, label_names, options.origin);
  Head::Parts parts = begin_parts(texts.size(), std::move(label_names), options);
  if (options.kind == HeadKind::kMajority) {
    parts.classifier = majority(labels, parts.labels.size());
    return Head(std::move(parts));
  }
  const std::vector<NgramUnit> units = choose_units(texts, options.units, parts.training.notes);
  parts.text = fit_features(texts, units, options.kind);
  if (parts.text.ngrams.empty()) {
    fail("{}: no {} occurs in {} of the texts; give more rows{}", options.origin,
         units.back() == NgramUnit::kWords ? "word of at least two letters" : "run of two characters",
         options.kind == HeadKind::kLinear ? "any" : std::to_string(kMinDocuments),
         units.back() == NgramUnit::kWords ? " or train on characters" : "");
  }
  if (options.kind == HeadKind::kKeywords) {
    fit_keywords(texts, labels, options, parts);
  } else {
    fit_classifier(parts.text.features(texts), labels, options, parts);
  }
  return Head(std::move(parts));
}

Head train_on_embeddings(ConstMatrixView embeddings, BaseModel base, std::span<const int> labels,
                         std::vector<std::string> label_names, const TrainOptions& options) {
  check_kind_on_model(options.kind);
  check_labels(static_cast<size_t>(embeddings.rows), labels, label_names, options.origin);
  Head::Parts parts = begin_parts(static_cast<size_t>(embeddings.rows), std::move(label_names), options);
  parts.base = std::move(base);
  fit_classifier(SparseMatrix::of(embeddings), labels, options, parts);
  return Head(std::move(parts));
}

Head train_on_tokens(MatrixView hidden, BaseModel base, std::span<const int> labels,
                     std::vector<std::string> label_names, const TrainOptions& options) {
  if (options.kind == HeadKind::kNearest)
    fail("--kind nearest: compares texts, not their tokens; use linear or forest");
  check_kind_on_model(options.kind);
  check_labels(static_cast<size_t>(hidden.rows), labels, label_names, options.origin);
  Head::Parts parts = begin_parts(static_cast<size_t>(hidden.rows), std::move(label_names), options);
  parts.unit = HeadUnit::kToken;
  parts.base = std::move(base);
  if (options.kind == HeadKind::kForest) {
    fit_classifier(SparseMatrix::of(hidden), labels, options, parts);
    return Head(std::move(parts));
  }
  const Standard standard = standardise(hidden);
  fit_classifier(SparseMatrix::of(hidden), labels, options, parts);
  undo(standard, std::get<LinearModel>(parts.classifier));
  return Head(std::move(parts));
}

namespace {

SparseMatrix table_features(const TableData& table, const TrainOptions& options, Head::Parts& parts) {
  if (options.kind == HeadKind::kKeywords)
    fail("{}: keywords are of texts, and these are the rows of a table; use another kind", options.origin);
  parts.unit = HeadUnit::kRow;
  // Thresholds of trees are the same on any scale.
  const bool standardise = options.kind != HeadKind::kForest;
  parts.table =
      TableFeatures::fit(table.columns, table.rows, {standardise, table.as_categories, options.origin});
  SparseMatrix x;
  x.columns = parts.table->size();
  SparseVector row;
  for (size_t i = 0; i < table.rows.size(); ++i) {
    parts.table->features(table.rows[i], fmt::format("{}: row {}", options.origin, i), row);
    x.append(row);
  }
  return x;
}

/// Of the features, a node of a forest for numbers chooses from this part. Breiman's third was 4 to 9 % worse
/// on alcohol of wine_quality than all of them, as scikit-learn has it.
constexpr double kFeaturesOfNumbers = 1;

/// A linear model that answers the constants alone.
LinearModel constant(std::vector<float> bias, int64_t features) {
  return {features, std::vector<float>(static_cast<size_t>(features) * bias.size(), 0), std::move(bias)};
}

}  // namespace

Head train_on_table(const TableData& table, std::span<const int> labels, std::vector<std::string> label_names,
                    const TrainOptions& options) {
  check_labels(table.rows.size(), labels, label_names, options.origin);
  Head::Parts parts = begin_parts(table.rows.size(), std::move(label_names), options);
  const SparseMatrix x = table_features(table, options, parts);
  if (options.kind == HeadKind::kMajority) {
    parts.classifier = constant(majority(labels, parts.labels.size()).bias, x.columns);
  } else {
    fit_classifier(x, labels, options, parts);
  }
  return Head(std::move(parts));
}

Head train_numbers_on_table(const TableData& table, std::span<const float> numbers,
                            const TrainOptions& options) {
  if (numbers.size() != table.rows.size() || numbers.size() < 2)
    fail("{}: {} rows but {} numbers; give one a row, and at least two rows", options.origin,
         table.rows.size(), numbers.size());
  Head::Parts parts = begin_parts(table.rows.size(), {}, options);
  const SparseMatrix x = table_features(table, options, parts);
  if (options.kind == HeadKind::kMajority) {
    double sum = 0;
    for (const float number : numbers) sum += static_cast<double>(number);
    parts.classifier = constant({static_cast<float>(sum / static_cast<double>(numbers.size()))}, x.columns);
  } else if (options.kind == HeadKind::kForest) {
    parts.classifier = train_regression_forest(
        x, numbers, {options.trees, options.seed, options.progress, kFeaturesOfNumbers});
  } else {
    LinearFit fit = train_ridge(x, numbers, {options.costs, kFolds, options.seed, {}, options.progress});
    parts.classifier = std::move(fit.model);
    parts.training.cost = fit.cost;
    parts.training.scores = std::move(fit.scores);
  }
  return Head(std::move(parts));
}

}  // namespace wattle::inline train
