#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "families/family.h"
#include "families/golden_case.h"
#include "families/open_file.h"

/// Networks of the golden cases and what they give.
namespace wattle {

/// A case's network, from its folder or another file of the same model.
struct Opened {
  std::unique_ptr<TemporaryDirectory> folder;
  std::unique_ptr<ModelFile> file;
  std::unique_ptr<Network> network;

  explicit Opened(std::unique_ptr<TemporaryDirectory> written) : folder(std::move(written)) {
    file = std::make_unique<ModelFile>(open_model_file(folder->path()));
    build();
  }
  explicit Opened(const std::filesystem::path& path) {
    file = std::make_unique<ModelFile>(open_model_file(path));
    build();
  }

  void build() {
    const Family& family = family_of(file->architecture(), file->path().string());
    const Hyperparameters hyper(file->metadata());
    Description description;
    family.describe(hyper, description);
    check_tensors(*file, description);
    Weights weights(*file);
    NetworkOptions options;
    options.cache_format = Format::kF32;
    network = family.build(weights, hyper, options);
  }
};

/// A model's outputs under the names that the cases have for them, one matrix a kind, sequences one after the
/// other.
using Outputs = std::map<std::string, Matrix>;

inline Matrix column(const Matrix& from, int64_t index) {
  Matrix values(1, from.rows());
  for (int64_t row = 0; row < from.rows(); ++row)
    values.data()[row] = from.row(row)[static_cast<size_t>(index)];
  return values;
}

inline void run_reader(Network& network, const golden::Case& golden, Outputs& outputs) {
  ReadsText& reader = *capability<ReadsText>(network);
  const Ragged<int32_t> tokens = golden.batch(&golden::Sequence::ids);
  Matrix hidden(static_cast<int64_t>(tokens.items.size()), reader.width());
  Work work;
  const Ragged<int32_t> types = golden.batch(&golden::Sequence::type_ids);
  const Ragged<int32_t> global = golden.batch(&golden::Sequence::global);
  reader.hidden_states(tokens, TokenMarks{types.items, global.items}, hidden.view(), work);
  auto* head = capability<HasHead>(network);
  if (head != nullptr && head->head_kind()) {
    Matrix logits;
    head->head(tokens, hidden.view(), logits, work);
    if (head->head_kind() == NetworkHeadKind::kSpan) {
      outputs["start_logits"] = column(logits, 0);
      outputs["end_logits"] = column(logits, 1);
    } else {
      outputs["logits"] = std::move(logits);
    }
  }
  const bool both = capability<ContinuesText>(network) != nullptr;
  outputs[capability<Translates>(network) != nullptr ? "encoder_hidden"
          : both                                     ? "decoder_hidden"
                                                     : "hidden"] = std::move(hidden);
}

inline void run_decoder(Network& network, const golden::Case& golden, Outputs& outputs) {
  auto& decoder = *capability<ContinuesText>(network);
  auto* translator = capability<Translates>(network);
  Work work;
  std::vector<std::unique_ptr<KeyValueCache>> caches;
  const Ragged<int32_t> global = golden.batch(&golden::Sequence::global);
  if (translator != nullptr)
    caches =
        translator->begin(golden.batch(&golden::Sequence::ids), TokenMarks{.global = global.items}, 0, work);
  std::vector<DecoderInput> inputs;
  for (const golden::Sequence& sequence : golden.sequences()) {
    if (translator == nullptr) caches.push_back(decoder.new_cache(0));
    inputs.push_back(
        {caches[inputs.size()].get(), translator == nullptr ? sequence.ids : sequence.decoder_ids});
  }
  decoder.forward(inputs, LogitsWanted::kAll, outputs["logits"], work);
}

inline Outputs run(Network& network, const golden::Case& golden) {
  Outputs outputs;
  if (capability<ReadsText>(network) != nullptr) run_reader(network, golden, outputs);
  const auto* head = capability<HasHead>(network);
  if (capability<ContinuesText>(network) != nullptr && !(head != nullptr && head->head_kind()))
    run_decoder(network, golden, outputs);
  return outputs;
}

}  // namespace wattle
