#include "tasks/own_head.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <wattle/error.h>

#include "base/interrupt.h"
#include "tasks/kinds.h"

namespace wattle::inline tasks {
namespace {

constexpr int64_t kTokensPerPass = 4096;
/// Logits of one pass take at most so many floats (128 MB): a vocabulary may have 262,144 words.
constexpr int64_t kLogitsPerPass = int64_t{1} << 25;

/// How many tokens of two texts stay when both together may have `room`: the longer one loses first, and what
/// is left is shared when both are too long (`longest_first` of Hugging Face's tokenizers).
std::pair<size_t, size_t> longest_first(size_t first, size_t second, size_t room) {
  if (first + second <= room) return {first, second};
  size_t shorter = std::min(first, second);
  size_t longer = shorter > room ? shorter : std::max(shorter, room - shorter);
  if (shorter + longer > room) {
    shorter = room / 2;
    longer = shorter + room % 2;
  }
  return first > second ? std::pair(longer, shorter) : std::pair(shorter, longer);
}

/// The model's head of one kind.
HasHead& own_head_of(const Model& model, NetworkHeadKind kind) {
  auto* head = model.can<HasHead>();
  if (head == nullptr || head->head_kind() != kind) {
    fail("{}: has no head for this task; use a model that was trained for it", model.file().path().string());
  }
  return *head;
}

}  // namespace

/// Inputs that run together.
struct OwnHead::Pass {
  Ragged<TokenId> tokens;
  std::vector<int32_t> types;
  bool has_types = false;
  size_t first = 0;                       ///< input
  std::vector<int64_t> places;            ///< rows of the hidden states that the head reads, where not all
  std::vector<int64_t> rows_of_input{0};  ///< of logits, one after another
  std::vector<int64_t> lengths;           ///< of the inputs
  bool chooses = false;

  void add(const HeadInput& input, const std::vector<int64_t>* chosen) {
    const auto begin = static_cast<int64_t>(tokens.items.size());
    tokens.append(input.ids);
    lengths.push_back(input.length());
    has_types |= !input.types.empty();
    types.insert(types.end(), input.types.begin(), input.types.end());
    types.resize(tokens.items.size());
    if (chosen != nullptr) {
      for (const int64_t place : *chosen) places.push_back(begin + place);
    }
    const int64_t rows = chosen != nullptr ? static_cast<int64_t>(chosen->size()) : input.length();
    rows_of_input.push_back(rows_of_input.back() + rows);
  }
  size_t count() const { return rows_of_input.size() - 1; }
  int64_t rows() const { return rows_of_input.back(); }
};

void add(const HeadRecord& record, Answer& answer) {
  answer.work += record.work;
  answer.phases.prefill += record.forward;
  answer.phases.post += record.post;
}

OwnHead::OwnHead(Model& model, NetworkHeadKind kind) : OwnHead(model, own_head_of(model, kind)) {}

OwnHead::OwnHead(Model& model, HasHead& head) : model_(model), reader_(model.can<ReadsText>()), head_(&head) {
  if (reader_ == nullptr) {
    fail("{}: a {} model reads no text as a whole; use an encoder", model.file().path().string(),
         model.architecture());
  }
  max_tokens_ = reader_->max_tokens();
  if (const auto stated = model.metadata().integer("tokenizer.wattle.max_length"); stated && *stated > 0) {
    max_tokens_ = std::min(max_tokens_, *stated);
  }
  has_types_ = model.file().find("token_types.weight") != nullptr;
}

HeadInput OwnHead::input_of(const Encoding& encoding) const {
  return {encoding.ids, has_types_ ? encoding.type_ids : std::vector<int32_t>()};
}

HeadInput OwnHead::input_of(const Question& question, Truncation& truncation) const {
  if (const TokenIds* given = question.ids()) {
    check_ids(question, given->ids, model_, reader_->max_tokens());
    if (!given->decoder_ids.empty()) {
      fail("row {}: has decoder ids, which this task does not read; leave `decoder_ids` out", question.id);
    }
    return {given->ids, given->type_ids};
  }
  const Tokenizer& tokenizer = model_.tokenizer();
  const auto limit = static_cast<size_t>(max_tokens_);
  const auto room = [&](bool pair) {
    const auto added = static_cast<size_t>(tokenizer.added_tokens(pair));
    if (added >= limit) fail("{}: has no room for a text; use another model", model_.file().path().string());
    return limit - added;
  };
  if (const auto* pair = std::get_if<TextPair>(&question.content)) {
    Encoding first = tokenizer.encode_body(pair->first), second = tokenizer.encode_body(pair->second);
    const size_t all = first.size() + second.size(), most = room(true);
    if (all > most) {
      truncation = {static_cast<int64_t>(all + limit - most), max_tokens_};
      const auto [left, right] = longest_first(first.size(), second.size(), most);
      first = first.slice(0, left);
      second = second.slice(0, right);
    }
    return input_of(tokenizer.assemble(std::move(first), std::move(second)));
  }
  std::vector<TokenId> ids = tokenizer.encode(question.text());
  if (ids.size() > limit) {
    truncation = {static_cast<int64_t>(ids.size()), max_tokens_};
    if (!model_.is_shape())
      return input_of(tokenizer.assemble(tokenizer.encode_body(question.text()).slice(0, room(false)), {}));
    ids.resize(limit);
  }
  if (ids.empty()) fail("row {}: the text has no tokens; give one that has", question.id);
  return {std::move(ids), {}};
}

std::vector<HeadRecord> OwnHead::run(std::span<const HeadInput> inputs, const Each& each, StretchLog& log) {
  return run_passes(inputs, nullptr, each, log);
}

std::vector<HeadRecord> OwnHead::run_at(std::span<const HeadInput> inputs,
                                        std::span<const std::vector<int64_t>> places, const Each& each,
                                        StretchLog& log) {
  return run_passes(inputs, places.data(), each, log);
}

std::vector<HeadRecord> OwnHead::run_passes(std::span<const HeadInput> inputs,
                                            const std::vector<int64_t>* places, const Each& each,
                                            StretchLog& log) {
  std::vector<HeadRecord> records(inputs.size());
  const bool sequences = *head_->head_kind() == NetworkHeadKind::kSequence;
  const int64_t most_rows = sequences ? kTokensPerPass : std::max<int64_t>(1, kLogitsPerPass / outputs());
  Pass pass;
  const auto flush = [&](size_t next) {
    if (pass.count() > 0) run_pass(pass, each, records, log);
    pass = {};
    pass.first = next;
    pass.chooses = places != nullptr;
  };
  flush(0);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const int64_t rows = places != nullptr ? static_cast<int64_t>(places[i].size()) : inputs[i].length();
    const auto tokens = static_cast<int64_t>(pass.tokens.items.size()) + inputs[i].length();
    if (tokens > kTokensPerPass || pass.rows() + rows > most_rows) flush(i);
    pass.add(inputs[i], places != nullptr ? &places[i] : nullptr);
  }
  flush(inputs.size());
  return records;
}

void OwnHead::run_pass(Pass& pass, const Each& each, std::span<HeadRecord> records, StretchLog& log) {
  throw_if_interrupted();
  Work work;
  const auto tokens = static_cast<int64_t>(pass.tokens.items.size());
  hidden_.resize(tokens, reader_->width());
  reader_->hidden_states(pass.tokens, pass.has_types ? pass.types : std::vector<int32_t>(), hidden_.view(),
                         work);
  ConstMatrixView read = hidden_.view();
  if (pass.chooses) {
    chosen_.resize(pass.rows(), reader_->width());
    Ragged<TokenId> of_places;
    for (int64_t row = 0; row < pass.rows(); ++row) {
      const int64_t place = pass.places[static_cast<size_t>(row)];
      std::ranges::copy(hidden_.view().row(place), chosen_.row(row).begin());
      of_places.append({&pass.tokens.items[static_cast<size_t>(place)], 1});
    }
    pass.tokens = std::move(of_places);
    read = chosen_.view();
  }
  head_->head(pass.tokens, read, logits_, work);
  const double forward = log.end(Phase::kPrefill, work);
  const bool sequences = *head_->head_kind() == NetworkHeadKind::kSequence;
  for (size_t i = 0; i < pass.count(); ++i) {
    const int64_t begin = pass.rows_of_input[i], end = pass.rows_of_input[i + 1];
    const ConstMatrixView all = logits_.view();
    each(pass.first + i,
         sequences ? all.rows_from(static_cast<int64_t>(i), 1) : all.rows_from(begin, end - begin));
  }
  const double post = log.end(Phase::kPost);
  for (size_t i = 0; i < pass.count(); ++i) {
    const double share = static_cast<double>(pass.lengths[i]) / static_cast<double>(tokens);
    HeadRecord& record = records[pass.first + i];
    record.work = work.part(share);
    record.work.tokens_in = pass.lengths[i];
    record.forward = forward * share;
    record.post = post * share;
  }
}

std::shared_ptr<const std::vector<std::string>> label_names(const Model& model) {
  const int64_t outputs = model.can<HasHead>()->head_outputs();
  const auto stored = model.metadata().strings("wattle.labels");
  std::vector<std::string> names(stored.begin(), stored.end());
  if (names.empty() && outputs == 2) names = {"LABEL_0", "LABEL_1"};
  if (static_cast<int64_t>(names.size()) != outputs) {
    fail(
        "{}: its head has {} outputs and names {} labels; correct id2label in config.json, or convert the "
        "model again",
        model.file().path().string(), outputs, names.size());
  }
  return std::make_shared<const std::vector<std::string>>(std::move(names));
}

void softmax(std::span<float> logits) {
  const float largest = *std::ranges::max_element(logits);
  double sum = 0;
  for (float& value : logits) sum += value = std::exp(value - largest);
  for (float& value : logits) value = static_cast<float>(value / sum);
}

float sigmoid(float logit) {
  return 1 / (1 + std::exp(-logit));
}

}  // namespace wattle::inline tasks
