#include "train/embedder.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "base/interrupt.h"
#include "base/sha256.h"
#include "train/features.h"

namespace wattle::inline train {
namespace {

constexpr int64_t kTokensPerPass = 4096;
/// A beginning, one token, an end.
constexpr int64_t kFewestTokens = 3;

}  // namespace

Embedder::Embedder(Model& model) : model_(model), averages_(model.can<AveragesTokens>()) {
  const std::string path = model.file().path().string();
  if (model.encoder() == nullptr) {
    fail("{}: a {} model continues text and gives no embeddings; use an encoder such as all-minilm-l6-v2",
         path, model.architecture());
  }
  if (model.pooling() == Pooling::kNone) {
    fail("{}: does not say how its token vectors are pooled (1_Pooling, or the key {}.pooling_type)", path,
         model.architecture());
  }
  width_ = model.encoder()->width();
  max_tokens_ = model.encoder()->max_tokens();
  if (const auto stated = model.metadata().integer("tokenizer.wattle.max_length")) {
    max_tokens_ = std::min(max_tokens_, std::max(*stated, kFewestTokens));
  }
  normalised_ = model.metadata().flag("wattle.normalize_embeddings").value_or(true);
  if (const auto name = model.metadata().text("wattle.prompts.default")) set_prompt_by_name(*name);
}

void Embedder::set_prompt(std::string prompt) {
  if (!prompt.empty() && !model_.metadata().flag("wattle.pooling.include_prompt").value_or(true)) {
    fail("{}: leaves prompts out of its pooling, which is not known here; embed without a prompt",
         model_.file().path().string());
  }
  prompt_ = std::move(prompt);
}

void Embedder::set_prompt_by_name(const std::string& name) {
  const auto names = model_.metadata().strings("wattle.prompts.names");
  const auto texts = model_.metadata().strings("wattle.prompts.texts");
  const auto found = std::ranges::find(names, name);
  const auto place = static_cast<size_t>(found - names.begin());
  if (found == names.end() || place >= texts.size()) {
    fail("{}: has no prompt named {}; its prompts are: {}", model_.file().path().string(), name,
         names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
  }
  set_prompt(texts[place]);
}

std::vector<EmbeddingRecord> Embedder::embed(std::span<const std::string_view> texts, Matrix& embeddings) {
  StretchLog log;
  return embed(
      texts.size(), [&](size_t i, Truncation& truncation) { return tokens_of(texts[i], truncation); },
      embeddings, log);
}

std::vector<EmbeddingRecord> Embedder::embed(size_t count, const Tokens& tokens_at, Matrix& embeddings,
                                             StretchLog& log) {
  std::vector<EmbeddingRecord> records(count);
  embeddings.resize(static_cast<int64_t>(count), width_);
  Ragged<TokenId> tokens;
  size_t first = 0;
  const auto flush = [&](size_t end) {
    if (end == first) return;
    throw_if_interrupted();
    run_pass(tokens,
             embeddings.view().rows_from(static_cast<int64_t>(first), static_cast<int64_t>(end - first)),
             std::span(records).subspan(first, end - first), log);
    tokens = {};
    first = end;
  };
  log.restart();
  for (size_t i = 0; i < count; ++i) {
    const std::vector<TokenId> ids = tokens_at(i, records[i].truncation);
    records[i].tokenize = log.end(Phase::kTokenize);
    if (static_cast<int64_t>(tokens.items.size() + ids.size()) > kTokensPerPass) flush(i);
    tokens.append(ids);
  }
  flush(count);
  return records;
}

std::vector<TokenId> Embedder::tokens_of(std::string_view text, Truncation& truncation) const {
  const EncodeOptions options{.add_special = averages_ == nullptr};
  std::vector<TokenId> ids = prompt_.empty()
                                 ? model_.tokenizer().encode(text, options)
                                 : model_.tokenizer().encode(prompt_ + std::string(text), options);
  const auto limit = static_cast<size_t>(max_tokens_);
  if (ids.size() > limit) {
    truncation = {static_cast<int64_t>(ids.size()), max_tokens_};
    const Tokenizer::Special& special = model_.tokenizer().special();
    const TokenId last = ids.back();
    ids.resize(limit);
    // The model has never read a text without its end.
    if (last == special.sep || last == special.eos) ids.back() = last;
  }
  // As model2vec does: the unknown takes a place before it goes.
  if (averages_ != nullptr && model_.tokenizer().special().unk)
    std::erase(ids, *model_.tokenizer().special().unk);
  return ids;
}

void Embedder::run_pass(const Ragged<TokenId>& tokens, MatrixView embeddings,
                        std::span<EmbeddingRecord> records, StretchLog& log) {
  Work work;
  if (averages_ != nullptr) {
    averages_->means(tokens, embeddings, work);
  } else {
    hidden_.resize(static_cast<int64_t>(tokens.items.size()), width_);
    if (!tokens.items.empty()) model_.encoder()->hidden_states(tokens, hidden_.view(), work);
  }
  const double forward = log.end(Phase::kPrefill, work);
  for (int64_t i = 0; i < tokens.sequences(); ++i) {
    if (averages_ == nullptr)
      pool(hidden_.view().rows_from(tokens.offsets[static_cast<size_t>(i)], tokens.length(i)),
           embeddings.row(i));
    if (normalised_) to_unit_length(embeddings.row(i));
  }
  const double pooling = log.end(Phase::kPost);
  const double total = std::max<double>(1, static_cast<double>(tokens.items.size()));
  for (size_t i = 0; i < records.size(); ++i) {
    const int64_t length = tokens.length(static_cast<int64_t>(i));
    const double share = static_cast<double>(length) / total;
    records[i].work = work.part(share);
    records[i].work.tokens_in = length;
    records[i].forward = forward * share;
    records[i].pool = pooling * share;
  }
}

void Embedder::pool(ConstMatrixView hidden, std::span<float> embedding) const {
  std::fill(embedding.begin(), embedding.end(), 0.0f);
  if (hidden.rows == 0) return;
  if (model_.pooling() == Pooling::kMean) {
    for (int64_t t = 0; t < hidden.rows; ++t) {
      for (int64_t c = 0; c < hidden.columns; ++c)
        embedding[static_cast<size_t>(c)] += hidden.row(t)[static_cast<size_t>(c)];
    }
    if (normalised_) return;  // then the sum has the direction of the mean, and its length goes
    const float share = 1 / static_cast<float>(hidden.rows);
    for (float& value : embedding) value *= share;
  } else {
    const auto row = hidden.row(model_.pooling() == Pooling::kCls ? 0 : hidden.rows - 1);
    std::copy(row.begin(), row.end(), embedding.begin());
  }
}

std::string fingerprint(const ModelFile& file) {
  std::vector<const Tensor*> norms;
  for (const Tensor& tensor : file.tensors()) {
    if (tensor.shape.size() == 1 && tensor.name.find("norm") != std::string::npos) norms.push_back(&tensor);
  }
  std::sort(norms.begin(), norms.end(), [](const Tensor* a, const Tensor* b) { return a->name < b->name; });
  Sha256 hash;
  hash.add(file.architecture());
  if (const auto stated = file.metadata().text("wattle.fingerprint")) hash.add(*stated);
  for (const Tensor* tensor : norms) {
    hash.add(tensor->name);
    hash.add(std::as_bytes(std::span<const float>(file.decoded(*tensor))));
  }
  return hash.hex();
}

}  // namespace wattle::inline train
