#include "tasks/tag_training.h"

#include <algorithm>
#include <array>
#include <utility>

#include <wattle/error.h>

#include "tasks/own_head.h"
#include "tasks/places.h"
#include "train/embedder.h"

namespace wattle::inline tasks {
namespace {

/// Tokens that the cost is chosen on: it hardly depends on more, and each cost is fitted several times.
constexpr size_t kSearchTokens = 20000;

/// Rows that are read together, between two words on how far it is.
constexpr size_t kRowsAtOnce = 64;

/// Gives a network's hidden states themselves.
class HiddenStates : public HasHead {
 public:
  explicit HiddenStates(int64_t width) : width_(width) {}
  std::optional<NetworkHeadKind> head_kind() const override { return NetworkHeadKind::kToken; }
  int64_t head_outputs() const override { return width_; }
  void head(const Ragged<int32_t>&, ConstMatrixView hidden, Matrix& logits, Work&) override {
    logits.resize(hidden.rows, hidden.columns);
    for (int64_t i = 0; i < hidden.rows; ++i) std::ranges::copy(hidden.row(i), logits.row(i).begin());
  }

 private:
  int64_t width_;
};

uint32_t overlap(ByteRange a, ByteRange b) {
  const uint32_t begin = std::max(a.begin, b.begin), end = std::min(a.end, b.end);
  return end > begin ? end - begin : 0;
}

/// The span that most of a token lies under, as an index; nothing: none.
std::optional<size_t> span_of(ByteRange token, const std::vector<TaggedSpan>& spans) {
  std::optional<size_t> best;
  uint32_t most = 0;
  auto span = std::ranges::partition_point(
      spans, [&](const TaggedSpan& each) { return each.bytes.end <= token.begin; });
  for (; span != spans.end() && span->bytes.begin < token.end; ++span) {
    if (const uint32_t shared = overlap(token, span->bytes); shared > most) {
      most = shared;
      best = static_cast<size_t>(span - spans.begin());
    }
  }
  return best;
}

/// The label of each token of a text; nothing: it is under no span and the labels know no O.
std::vector<std::optional<int>> labels_of(const Encoding& body, const TaggedRow& row,
                                          const TagWriter& writer) {
  std::vector<std::optional<size_t>> under;
  for (const ByteRange& token : body.offsets) under.push_back(span_of(token, row.spans));
  std::vector<std::optional<int>> labels(under.size(), writer.outside());
  for (size_t begin = 0; begin < under.size();) {
    size_t end = begin + 1;
    while (end < under.size() && under[end] == under[begin]) ++end;
    for (size_t i = begin; under[begin] && i < end; ++i)
      labels[i] = writer.label(row.spans[*under[begin]].name, i - begin, end - begin);
    begin = end;
  }
  return labels;
}

/// A stretch of a text as the model reads it, with a label for some of its tokens.
struct Window {
  HeadInput input;
  std::vector<std::optional<int>> labels;  ///< one an id
  size_t row = 0;

  size_t labelled() const {
    return static_cast<size_t>(
        std::ranges::count_if(labels, [](const auto& label) { return label.has_value(); }));
  }
};

class Examples {
 public:
  Examples(Model& model, const TaggedRows& rows)
      : states_(model.can<ReadsText>() != nullptr ? model.can<ReadsText>()->width() : 0),
        reader_(model, states_),
        rows_(rows) {
    for (size_t row = 0; row < rows.rows.size(); ++row) cut(model, row);
    size_t tokens = 0;
    for (const Window& window : windows_) tokens += window.labelled();
    hidden_.resize(static_cast<int64_t>(tokens), states_.head_outputs());
  }

  void read(const TrainingProgress& progress, Work& work) {
    std::vector<HeadInput> inputs;
    size_t first = 0;
    const auto flush = [&](size_t end) {
      StretchLog log;
      log.restart();
      const auto records = reader_.run(
          inputs, [&](size_t i, ConstMatrixView hidden) { keep(windows_[first + i], hidden); }, log);
      for (const HeadRecord& record : records) work += record.work;
      progress("reading", static_cast<double>(end) / static_cast<double>(windows_.size()));
      inputs.clear();
      first = end;
    };
    for (size_t i = 0; i < windows_.size(); ++i) {
      inputs.push_back(windows_[i].input);
      if (inputs.size() == kRowsAtOnce) flush(i + 1);
    }
    flush(windows_.size());
  }

  MatrixView hidden() { return hidden_.view(); }
  const std::vector<int>& labels() const { return labels_; }

  /// Whole texts lie in one fold; of many tokens some of the texts lie in none.
  std::vector<int> folds(int count) const {
    const size_t every = (labels_.size() + kSearchTokens - 1) / kSearchTokens;
    std::vector<int> folds;
    for (const size_t row : row_of_) {
      folds.push_back(row % every == 0 ? static_cast<int>(row / every % static_cast<size_t>(count)) : -1);
    }
    return folds;
  }

 private:
  void cut(const Model& model, size_t row) {
    const Tokenizer& tokenizer = model.tokenizer();
    const int64_t room = reader_.max_tokens() - tokenizer.added_tokens(false);
    if (room < 1) fail("{}: has no room for a text; use another model", model.file().path().string());
    const Encoding body = tokenizer.encode_body(rows_.rows[row].question.text());
    const auto labels = labels_of(body, rows_.rows[row], rows_.labels);
    for (const auto& [begin, end] : windows(body.size(), static_cast<size_t>(room), 0)) {
      const Encoding encoding = tokenizer.assemble(body.slice(begin, end), std::nullopt);
      Window window{reader_.input_of(encoding), {}, row};
      size_t next = begin;
      for (const int8_t sequence : encoding.sequence)
        window.labels.push_back(sequence < 0 ? std::nullopt : labels[next++]);
      if (window.labelled() > 0) windows_.push_back(std::move(window));
    }
  }

  void keep(const Window& window, ConstMatrixView hidden) {
    for (size_t i = 0; i < window.labels.size(); ++i) {
      if (!window.labels[i]) continue;
      std::ranges::copy(hidden.row(static_cast<int64_t>(i)),
                        hidden_.row(static_cast<int64_t>(labels_.size())).begin());
      labels_.push_back(*window.labels[i]);
      row_of_.push_back(window.row);
    }
  }

  HiddenStates states_;
  OwnHead reader_;
  const TaggedRows& rows_;
  std::vector<Window> windows_;
  Matrix hidden_;
  std::vector<int> labels_;
  std::vector<size_t> row_of_;  ///< of each token
};

}  // namespace

Head train_token_head(Model& model, const std::string& base_path, const TaggedRows& rows,
                      const TrainOptions& options, const TrainingProgress& progress, Work& work) {
  Examples examples(model, rows);
  examples.read(progress, work);
  TrainOptions train = options;
  train.fold_of = examples.folds(cost_folds(rows.labels.labels().size()));
  train.progress = [&](double part) { progress("training", part); };
  BaseModel base{base_path, fingerprint(model.file()), examples.hidden().columns};
  return train_on_tokens(examples.hidden(), std::move(base), examples.labels(), rows.labels.labels(), train);
}

}  // namespace wattle::inline tasks
