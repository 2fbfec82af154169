// How a head is stored: keys `wattle.head.*` and `wattle.training.*`, tensors named after the classifier's
// parts.
#include <algorithm>
#include <cstring>
#include <utility>

#include <wattle/error.h>

#include "file/gguf_writer.h"
#include "train/head.h"

namespace wattle::inline train {
namespace {

template <typename T>
TensorToWrite tensor_of(std::string name, std::vector<int64_t> shape, std::vector<T> values) {
  const Format format = std::is_same_v<T, float> ? Format::kF32 : Format::kI32;
  return {std::move(name), format, std::move(shape), [values = std::move(values)] {
            std::vector<std::byte> bytes(values.size() * sizeof(T));
            std::memcpy(bytes.data(), values.data(), bytes.size());
            return bytes;
          }};
}

template <typename T>
TensorToWrite vector_of(std::string name, const std::vector<T>& values) {
  return tensor_of(std::move(name), {static_cast<int64_t>(values.size())}, values);
}

template <typename T>
const Tensor& tensor_with(const ModelFile& file, std::string_view name, std::span<const int64_t> shape) {
  const Tensor& tensor = file.need(name, shape);
  if (tensor.format != (std::is_same_v<T, float> ? Format::kF32 : Format::kI32)) {
    fail("{}: tensor {} is {}; train the head again", file.path().string(), name, info(tensor.format).name);
  }
  return tensor;
}

template <typename T>
std::vector<T> values_of(const ModelFile& file, std::string_view name, std::span<const int64_t> shape) {
  const Tensor& tensor = tensor_with<T>(file, name, shape);
  std::vector<T> values(static_cast<size_t>(tensor.elements()));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

/// Values that are read where the file is mapped, unless their place there is no multiple of their size.
template <typename T>
class MappedValues {
 public:
  MappedValues(const ModelFile& file, std::string_view name, std::span<const int64_t> shape) {
    const Tensor& tensor = tensor_with<T>(file, name, shape);
    if (reinterpret_cast<uintptr_t>(tensor.bytes.data()) % alignof(T) == 0) {
      values_ = {reinterpret_cast<const T*>(tensor.bytes.data()), static_cast<size_t>(tensor.elements())};
    } else {
      own_ = values_of<T>(file, name, shape);
      values_ = own_;
    }
  }
  std::span<const T> get() const { return values_; }

 private:
  std::vector<T> own_;
  std::span<const T> values_;
};

/// Where the n-grams of a unit are in the file.
struct NgramKeys {
  const char *max, *terms, *idf;
};

NgramKeys keys_of(NgramUnit unit) {
  if (unit == NgramUnit::kWords) return {"wattle.head.max_words", "wattle.head.terms", "idf"};
  return {"wattle.head.max_characters", "wattle.head.characters", "characters.idf"};
}

/// A column a value, but for the categories, which stand one column's after another's.
void add_table(const TableFeatures& table, Metadata& metadata) {
  std::vector<std::string> categories;
  std::vector<int64_t> counts, misses;
  std::vector<double> medians, means, deviations;
  for (const TableColumn& column : table.columns()) {
    categories.insert(categories.end(), column.categories.begin(), column.categories.end());
    counts.push_back(static_cast<int64_t>(column.categories.size()));
    misses.push_back(column.misses ? 1 : 0);
    medians.push_back(static_cast<double>(column.median));
    means.push_back(static_cast<double>(column.mean));
    deviations.push_back(static_cast<double>(column.deviation));
  }
  metadata.set("wattle.head.table.columns", Value::of(table.names()));
  metadata.set("wattle.head.table.category_counts", Value::of(std::move(counts)));
  if (!categories.empty()) metadata.set("wattle.head.table.categories", Value::of(std::move(categories)));
  metadata.set("wattle.head.table.misses", Value::of(std::move(misses)));
  metadata.set("wattle.head.table.medians", Value::of(std::move(medians)));
  metadata.set("wattle.head.table.means", Value::of(std::move(means)));
  metadata.set("wattle.head.table.deviations", Value::of(std::move(deviations)));
}

std::optional<TableFeatures> table_of(const Metadata& metadata, HeadKind kind) {
  const auto names = metadata.strings("wattle.head.table.columns");
  if (names.empty()) return std::nullopt;
  const auto categories = metadata.strings("wattle.head.table.categories");
  const auto counts = metadata.integers("wattle.head.table.category_counts");
  const auto misses = metadata.integers("wattle.head.table.misses");
  const auto medians = metadata.numbers("wattle.head.table.medians");
  const auto means = metadata.numbers("wattle.head.table.means");
  const auto deviations = metadata.numbers("wattle.head.table.deviations");
  size_t used = 0;
  std::vector<TableColumn> columns;
  for (const size_t size : {counts.size(), misses.size(), medians.size(), means.size(), deviations.size()}) {
    if (size != names.size())
      fail("{}: the columns of the table are contradictory; train the head again", metadata.origin());
  }
  for (size_t i = 0; i < names.size(); ++i) {
    if (counts[i] < 0 || static_cast<size_t>(counts[i]) > categories.size() - used)
      fail("{}: the categories of the table are contradictory; train the head again", metadata.origin());
    const auto own = categories.subspan(used, static_cast<size_t>(counts[i]));
    used += own.size();
    columns.push_back({names[i],
                       {own.begin(), own.end()},
                       misses[i] != 0,
                       static_cast<float>(medians[i]),
                       static_cast<float>(means[i]),
                       static_cast<float>(deviations[i])});
  }
  return TableFeatures(std::move(columns), kind != HeadKind::kForest, metadata.origin());
}

Metadata metadata_of(const Head& head, const std::filesystem::path& path) {
  const Head::Parts& parts = head.parts();
  Metadata metadata(path.string());
  metadata.set("general.architecture", Value::of(std::string(Head::kArchitecture)));
  metadata.set("general.name", Value::of(fmt::format("{} on {}", name(parts.kind), head.features())));
  metadata.set("wattle.head.kind", Value::of(std::string(name(parts.kind))));
  if (parts.unit != HeadUnit::kText)
    metadata.set("wattle.head.unit",
                 Value::of(std::string(parts.unit == HeadUnit::kToken ? "token" : "row")));
  if (!parts.labels.empty()) metadata.set("wattle.head.labels", Value::of(parts.labels));
  if (parts.table) add_table(*parts.table, metadata);
  for (const Ngrams& part : parts.text.ngrams) {
    const NgramKeys keys = keys_of(part.rule().unit);
    const auto terms = part.terms();
    if (part.rule().unit == NgramUnit::kCharacters)
      metadata.set("wattle.head.min_characters", Value::of(int64_t{part.rule().min}));
    metadata.set(keys.max, Value::of(int64_t{part.rule().max}));
    metadata.set(keys.terms, Value::of(std::vector<std::string>(terms.begin(), terms.end())));
  }
  if (parts.base) {
    metadata.set("wattle.head.base.path", Value::of(parts.base->path));
    metadata.set("wattle.head.base.fingerprint", Value::of(parts.base->fingerprint));
    metadata.set("wattle.head.base.width", Value::of(parts.base->width));
  }
  if (const auto* nearest = std::get_if<NearestModel>(&parts.classifier))
    metadata.set("wattle.head.neighbours", Value::of(nearest->neighbours()));
  const TrainingRecord& training = parts.training;
  metadata.set("wattle.training.rows", Value::of(training.rows));
  metadata.set("wattle.training.seed", Value::of(static_cast<int64_t>(training.seed), ValueType::kU64));
  if (training.cost > 0) metadata.set("wattle.training.cost", Value::of(training.cost));
  if (!training.scores.empty()) {
    std::vector<double> costs, accuracies;
    for (const CostScore& score : training.scores) {
      costs.push_back(score.cost);
      accuracies.push_back(score.accuracy);
    }
    metadata.set("wattle.training.cross_validation.costs", Value::of(std::move(costs)));
    metadata.set("wattle.training.cross_validation.accuracies", Value::of(std::move(accuracies)));
  }
  if (!training.notes.empty()) metadata.set("wattle.training.notes", Value::of(training.notes));
  if (!training.grade.empty()) {
    metadata.set("wattle.training.seconds", Value::of(training.seconds));
    metadata.set("wattle.training.joules", Value::of(training.joules));
    metadata.set("wattle.training.joules_low", Value::of(training.joules_low));
    metadata.set("wattle.training.joules_high", Value::of(training.joules_high));
    metadata.set("wattle.training.grade", Value::of(training.grade));
  }
  return metadata;
}

TrainingRecord training_of(const Metadata& metadata) {
  TrainingRecord training;
  training.rows = metadata.integer("wattle.training.rows").value_or(0);
  training.seed = static_cast<uint64_t>(metadata.integer("wattle.training.seed").value_or(0));
  training.cost = metadata.number("wattle.training.cost").value_or(0);
  const auto costs = metadata.numbers("wattle.training.cross_validation.costs");
  const auto accuracies = metadata.numbers("wattle.training.cross_validation.accuracies");
  for (size_t i = 0; i < std::min(costs.size(), accuracies.size()); ++i) {
    training.scores.push_back({costs[i], accuracies[i]});
  }
  training.seconds = metadata.number("wattle.training.seconds").value_or(0);
  training.joules = metadata.number("wattle.training.joules").value_or(0);
  training.joules_low = metadata.number("wattle.training.joules_low").value_or(0);
  training.joules_high = metadata.number("wattle.training.joules_high").value_or(0);
  training.grade = metadata.text("wattle.training.grade").value_or("");
  const auto notes = metadata.strings("wattle.training.notes");
  training.notes.assign(notes.begin(), notes.end());
  return training;
}

int64_t length_of(const ModelFile& file, std::string_view name) {
  return file.need(name).elements();
}

LinearModel linear_of(const ModelFile& file, int64_t features) {
  LinearModel linear;
  linear.features = features;
  const int64_t outputs = length_of(file, "bias");
  linear.bias = values_of<float>(file, "bias", std::array{outputs});
  if (features > 0) linear.weights = values_of<float>(file, "weights", std::array{features, outputs});
  return linear;
}

Forest forest_of(const ModelFile& file, int64_t features) {
  const int64_t count = length_of(file, "forest.split");
  const MappedValues<int32_t> splits(file, "forest.split", std::array{count});
  const MappedValues<float> values(file, "forest.value", std::array{count});
  const MappedValues<int32_t> far(file, "forest.far", std::array{count});
  const std::vector<int64_t> shape = file.need("forest.roots").shape;
  if (shape.size() != 2)
    fail("{}: tensor forest.roots is not [outputs, trees]; train the head again", file.path().string());
  return Forest(features, shape[0], {splits.get(), values.get(), far.get()},
                values_of<int32_t>(file, "forest.roots", shape), file.path().string());
}

NearestModel nearest_of(const ModelFile& file, int64_t features, size_t n_labels) {
  const int64_t count = length_of(file, "nearest.labels");
  const auto values = values_of<float>(file, "nearest.rows", std::array{count, features});
  Matrix rows(count, features);
  std::copy(values.begin(), values.end(), rows.data());
  return NearestModel(std::move(rows), values_of<int32_t>(file, "nearest.labels", std::array{count}),
                      static_cast<int>(n_labels), file.metadata().need_integer("wattle.head.neighbours"),
                      file.path().string());
}

HeadUnit unit_of(const Metadata& metadata) {
  const auto unit = metadata.text("wattle.head.unit");
  if (!unit) return HeadUnit::kText;
  if (*unit == "token") return HeadUnit::kToken;
  if (*unit == "row") return HeadUnit::kRow;
  fail("{}: wattle.head.unit is {}; known are token and row: train the head again", metadata.origin(), *unit);
}

std::optional<Ngrams> ngrams_of(const ModelFile& file, HeadKind kind, NgramUnit unit) {
  const NgramKeys keys = keys_of(unit);
  const auto stored = file.metadata().strings(keys.terms);
  if (stored.empty()) return std::nullopt;
  const std::vector<std::string_view> terms(stored.begin(), stored.end());
  NgramRule rule{.unit = unit};
  if (kind == HeadKind::kKeywords) rule.weights = NgramWeights::kPresence;
  std::vector<float> idf;
  if (rule.weights == NgramWeights::kTfIdf) {
    idf = values_of<float>(file, keys.idf, std::array{static_cast<int64_t>(terms.size())});
  }
  // Ngrams refuses what is no length.
  const auto length = [&](const char* key) {
    return static_cast<int>(std::clamp<int64_t>(file.metadata().need_integer(key), 0, 1000));
  };
  if (unit == NgramUnit::kCharacters) rule.min = length("wattle.head.min_characters");
  rule.max = length(keys.max);
  return Ngrams(terms, std::move(idf), rule, file.path().string());
}

TextFeatures text_features_of(const ModelFile& file, HeadKind kind) {
  TextFeatures text;
  for (const NgramUnit unit : {NgramUnit::kWords, NgramUnit::kCharacters}) {
    if (auto part = ngrams_of(file, kind, unit)) text.ngrams.push_back(std::move(*part));
  }
  return text;
}

}  // namespace

void Head::save(const std::filesystem::path& path) const {
  std::vector<TensorToWrite> tensors;
  for (const Ngrams& part : parts_.text.ngrams) {
    if (!part.idf().empty()) tensors.push_back(vector_of(keys_of(part.rule().unit).idf, part.idf()));
  }
  if (const auto* linear = std::get_if<LinearModel>(&parts_.classifier)) {
    if (linear->features > 0)
      tensors.push_back(tensor_of("weights", {linear->features, linear->outputs()}, linear->weights));
    tensors.push_back(vector_of("bias", linear->bias));
  } else if (const auto* nearest = std::get_if<NearestModel>(&parts_.classifier)) {
    const Matrix rows = nearest->rows();
    const std::span<const float> values(rows.data(), static_cast<size_t>(rows.rows() * rows.columns()));
    tensors.push_back(tensor_of("nearest.rows", {rows.rows(), rows.columns()},
                                std::vector<float>(values.begin(), values.end())));
    const auto labels = nearest->labels();
    tensors.push_back(vector_of("nearest.labels", std::vector<int32_t>(labels.begin(), labels.end())));
  } else {
    const auto& forest = std::get<Forest>(parts_.classifier);
    const int64_t trees = static_cast<int64_t>(forest.roots().size()) / forest.outputs();
    const Forest::Nodes nodes = forest.nodes();
    tensors.push_back(vector_of("forest.split", nodes.split));
    tensors.push_back(vector_of("forest.value", nodes.value));
    tensors.push_back(vector_of("forest.far", nodes.far));
    tensors.push_back(tensor_of("forest.roots", {forest.outputs(), trees}, forest.roots()));
  }
  write_gguf(path, metadata_of(*this, path), tensors);
}

Head Head::load(const ModelFile& file) {
  file.release();  // of the pages of the metadata, which have their own form by now
  const std::string origin = file.path().string();
  const Metadata& metadata = file.metadata();
  if (file.architecture() != kArchitecture)
    fail("{}: is not a trained head; make one with `wattle train`", origin);
  const HeadKind kind = head_kind_from_name(metadata.need_text("wattle.head.kind"), origin);
  const auto labels = metadata.strings("wattle.head.labels");
  Parts parts{kind,
              unit_of(metadata),
              {labels.begin(), labels.end()},
              text_features_of(file, kind),
              table_of(metadata, kind),
              std::nullopt,
              LinearModel{},
              training_of(metadata)};
  if (const auto base = metadata.text("wattle.head.base.path")) {
    parts.base = {*base, metadata.need_text("wattle.head.base.fingerprint"),
                  metadata.need_integer("wattle.head.base.width")};
    if (parts.base->width < 1 || !parts.text.ngrams.empty())
      fail("{}: the head's features are contradictory; train it again", origin);
  } else if (parts.unit == HeadUnit::kRow ? !parts.table || !parts.text.ngrams.empty()
                                          : parts.table.has_value()) {
    fail("{}: the head's features are contradictory; train it again", origin);
  } else if (parts.unit == HeadUnit::kToken) {
    fail("{}: labels tokens and names no model that has them; train it again", origin);
  }
  const int64_t features = parts.base    ? parts.base->width
                           : parts.table ? parts.table->size()
                                         : parts.text.columns();
  if (kind == HeadKind::kNearest) {
    if (!parts.base) fail("{}: looks for neighbours and names no model that embeds; train it again", origin);
    parts.classifier = nearest_of(file, features, parts.labels.size());
    if (parts.labels.size() < 2) fail("{}: has fewer than two labels; train the head again", origin);
    return Head(std::move(parts));
  }
  if (kind == HeadKind::kForest) {
    parts.classifier = forest_of(file, features);
  } else {
    parts.classifier = linear_of(file, features);
  }
  const int64_t outputs = kind == HeadKind::kForest ? std::get<Forest>(parts.classifier).outputs()
                                                    : std::get<LinearModel>(parts.classifier).outputs();
  const auto n_labels = static_cast<int64_t>(parts.labels.size());
  const bool numbers = n_labels == 0 && parts.table && outputs == 1;
  if (!numbers && (n_labels < 2 || (outputs != n_labels && !(n_labels == 2 && outputs == 1)))) {
    fail("{}: {} labels but {} outputs; train the head again", origin, n_labels, outputs);
  }
  return Head(std::move(parts));
}

}  // namespace wattle::inline train
