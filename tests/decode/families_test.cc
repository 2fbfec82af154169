#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <wattle/error.h>

#include "base/json.h"
#include "decode/generation.h"
#include "families/family.h"
#include "families/golden_case.h"
#include "families/open_file.h"

// What the reference library generates, greedily and by beam search, with every family's tiny model.

namespace wattle {
namespace {

constexpr int64_t kCapacity = 64;

struct Opened {
  std::unique_ptr<TemporaryDirectory> folder;
  ModelFile file;
  std::unique_ptr<Network> network;

  explicit Opened(const golden::Case& golden)
      : folder(golden.write_folder()), file(open_model_file(folder->path())) {
    Weights weights(file);
    NetworkOptions options;
    options.cache_format = Format::kF32;
    network = family_of(file.architecture(), file.path().string())
                  .build(weights, Hyperparameters(file.metadata()), options);
  }
};

GenerationOptions options_of(const golden::Generation& golden) {
  GenerationOptions options;
  options.max_tokens = golden.max_new_tokens;
  options.min_length = golden.min_length;
  options.end_tokens = golden.eos;
  options.no_repeat_ngram = golden.no_repeat_ngram_size;
  options.beams = golden.num_beams;
  options.length_penalty = golden.length_penalty;
  options.early_stopping = golden.early_stopping == "true"    ? EarlyStopping::kYes
                           : golden.early_stopping == "never" ? EarlyStopping::kNever
                                                              : EarlyStopping::kNo;
  options.forced_bos = golden.forced_bos;
  if (golden.forced_eos) options.forced_eos = std::vector<TokenId>{*golden.forced_eos};
  if (!golden.bad_words.empty()) options.bad_words = golden.bad_words;
  return options;
}

int64_t admit(Generation& generation, Network& network, const golden::Generation& golden) {
  auto* translator = capability<Translates>(network);
  if (translator == nullptr) return generation.admit(golden.ids, options_of(golden));
  Ragged<int32_t> source;
  source.append(golden.ids);
  Work work;
  auto caches = translator->begin(source, kCapacity, work);
  return generation.admit(std::move(caches.front()), {golden.decoder_start.value_or(0)}, options_of(golden),
                          golden.ids);
}

/// Without the end token and what pads the rest.
std::vector<TokenId> wanted(const golden::Generation& golden) {
  const auto end = std::ranges::find_first_of(golden.expect, golden.eos);
  return {golden.expect.begin(), end};
}

class FamiliesGenerate : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(FamiliesGenerate, TheReferencesIdsAloneAndTogether) {
  const golden::Case golden(GetParam());
  const Opened opened(golden);
  ContinuesText& decoder = *capability<ContinuesText>(*opened.network);
  Generation together(decoder, nullptr, {.capacity = kCapacity});
  Work work;
  std::vector<int64_t> handles;
  for (const golden::Generation& text : golden.generations()) {
    Generation alone(decoder, nullptr, {.capacity = kCapacity});
    const int64_t handle = admit(alone, *opened.network, text);
    while (!alone.idle()) alone.step(work);
    EXPECT_EQ(alone.take(handle).answers.front().ids, wanted(text))
        << golden.label() << ", " << text.num_beams << " beams";
    handles.push_back(admit(together, *opened.network, text));
  }
  while (!together.idle()) together.step(work);
  for (size_t i = 0; i < handles.size(); ++i) {
    EXPECT_EQ(together.take(handles[i]).answers.front().ids, wanted(golden.generations()[i]))
        << golden.label();
  }
}

std::string case_name(const testing::TestParamInfo<std::filesystem::path>& info) {
  std::string name = info.param.parent_path().filename().string() + "_" + info.param.stem().string();
  std::ranges::replace(name, '-', '_');
  return name;
}

/// The cases in which something is generated.
std::vector<std::filesystem::path> cases() {
  std::vector<std::filesystem::path> files = golden::case_files();
  std::erase_if(files, [](const auto& file) { return !read_json_file(file).contains("generations"); });
  return files;
}

INSTANTIATE_TEST_SUITE_P(Cases, FamiliesGenerate, testing::ValuesIn(cases()), case_name);

}  // namespace
}  // namespace wattle
