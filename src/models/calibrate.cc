#include "models/calibrate.h"

#include <algorithm>
#include <cmath>

#include <wattle/error.h>

#include "base/interrupt.h"
#include "models/model.h"

namespace wattle::inline models {
namespace {

constexpr size_t kWindow = 512;             // tokens run at a time
constexpr int64_t kMostBytesPerToken = 16;  // more text than this is not tokenised

/// Runs whole texts through an encoder, a few at a time; a text beyond its longest sequence is cut.
int64_t run_encoder(const Model& model, std::span<const std::string> texts, int64_t most_tokens,
                    const std::function<void(int64_t, int64_t)>& progress) {
  ReadsText& encoder = *model.encoder();
  int64_t done = 0;
  Work work;
  Matrix hidden;
  for (size_t next = 0; next < texts.size() && done < most_tokens;) {
    throw_if_interrupted();
    Ragged<TokenId> batch;
    while (next < texts.size() && batch.items.size() < kWindow) {
      std::vector<TokenId> ids = model.tokenizer().encode(texts[next++]);
      ids.resize(std::min(ids.size(), static_cast<size_t>(encoder.max_tokens())));
      if (!ids.empty()) batch.append(ids);
    }
    if (batch.items.empty()) break;
    hidden.resize(static_cast<int64_t>(batch.items.size()), encoder.width());
    encoder.hidden_states(batch, hidden.view(), work);
    done += hidden.rows();
    if (progress) progress(std::min(done, most_tokens), most_tokens);
  }
  return done;
}

/// Runs windows of the joined texts through a decoder, each from an empty cache and with the model's own
/// beginning.
int64_t run_decoder(const Model& model, std::span<const std::string> texts, int64_t most_tokens,
                    const std::function<void(int64_t, int64_t)>& progress) {
  ContinuesText& decoder = *model.decoder();
  std::string text;
  for (const std::string& part : texts) {
    if (static_cast<int64_t>(text.size()) > kMostBytesPerToken * most_tokens) break;
    text += part + "\n";
  }
  std::vector<TokenId> ids = model.tokenizer().encode(text, {.add_special = false});
  ids.resize(std::min(ids.size(), static_cast<size_t>(most_tokens)));
  const Tokenizer::Special& special = model.tokenizer().special();
  const auto cache = decoder.new_cache(kWindow + 1);
  Matrix logits;
  Work work;
  for (size_t begin = 0; begin < ids.size(); begin += kWindow) {
    throw_if_interrupted();
    cache->truncate(0);
    std::vector<TokenId> window;
    if (special.add_bos && special.bos) window.push_back(*special.bos);
    const size_t end = std::min(begin + kWindow, ids.size());
    window.insert(window.end(), ids.begin() + static_cast<std::ptrdiff_t>(begin),
                  ids.begin() + static_cast<std::ptrdiff_t>(end));
    const DecoderInput input{cache.get(), window};
    decoder.forward({&input, 1}, LogitsWanted::kAll, logits, work);
    if (progress) progress(static_cast<int64_t>(end), static_cast<int64_t>(ids.size()));
  }
  return static_cast<int64_t>(ids.size());
}

}  // namespace

void InputStatistics::add(const std::string& name, ConstMatrixView input) {
  Sums& sums = sums_[name];
  sums.squares.resize(static_cast<size_t>(input.columns));
  for (int64_t row = 0; row < input.rows; ++row) {
    const std::span<const float> values = input.row(row);
    if (!std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); }))
      continue;
    for (size_t i = 0; i < values.size(); ++i) sums.squares[i] += double{values[i]} * values[i];
    ++sums.rows;
  }
  sums.means.resize(sums.squares.size());
  for (size_t i = 0; i < sums.means.size(); ++i) {
    sums.means[i] =
        static_cast<float>(sums.squares[i] / static_cast<double>(std::max<int64_t>(sums.rows, 1)));
  }
}

std::span<const float> InputStatistics::of(const Tensor& tensor) const {
  const auto found = sums_.find(tensor.name);
  if (found == sums_.end() || static_cast<int64_t>(found->second.means.size()) != tensor.row_length())
    return {};
  return found->second.means;
}

InputStatistics calibrate(const std::string& path, std::span<const std::string> texts, int64_t most_tokens,
                          const std::function<void(int64_t done, int64_t total)>& progress) {
  InputStatistics statistics;
  LoadOptions options;
  options.observe_input = [&](std::span<const std::string> tensors, ConstMatrixView input) {
    for (const std::string& tensor : tensors) statistics.add(tensor, input);
  };
  const std::unique_ptr<Model> model = Model::open(path, options);
  const int64_t done = model->encoder() != nullptr ? run_encoder(*model, texts, most_tokens, progress)
                                                   : run_decoder(*model, texts, most_tokens, progress);
  if (done == 0) fail("{}: the calibration text holds no token; give a text of some pages", path);
  return statistics;
}

}  // namespace wattle::inline models
