#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <wattle/error.h>

#include "decode/generation.h"
#include "decode/golden_generations.h"
#include "families/family.h"
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

int64_t admit(Generation& generation, Network& network, const golden::Generation& golden) {
  auto* translator = capability<Translates>(network);
  if (translator == nullptr) return generation.admit(golden.ids, golden::options_of(golden));
  Ragged<int32_t> source;
  source.append(golden.ids);
  Work work;
  auto caches = translator->begin(source, kCapacity, work);
  return generation.admit(std::move(caches.front()), {golden.decoder_start.value_or(0)},
                          golden::options_of(golden), golden.ids);
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
    EXPECT_EQ(alone.take(handle).answers.front().ids, golden::wanted(text))
        << golden.label() << ", " << text.num_beams << " beams";
    handles.push_back(admit(together, *opened.network, text));
  }
  while (!together.idle()) together.step(work);
  for (size_t i = 0; i < handles.size(); ++i) {
    EXPECT_EQ(together.take(handles[i]).answers.front().ids, golden::wanted(golden.generations()[i]))
        << golden.label();
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, FamiliesGenerate, testing::ValuesIn(golden::cases_that_generate()),
                         golden::case_name);

}  // namespace
}  // namespace wattle
