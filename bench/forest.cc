// What one row of a forest on n-grams takes, beside the same trees compiled by treelite in the same run:
// bench/forest.py trains, compiles and calls this.
//
//   bench_forest HEAD.gguf ROWS.jsonl [TREELITE.so]
//
// The fastest round over all rows, in microseconds a row: n-grams of the text, the walk, both with the
// answer's scores, and treelite's walk from the same features. Prints JSON; fails where two answers differ by
// more than single precision does.
#include <dlfcn.h>
#include <wattle/error.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <functional>
#include <iostream>

#include <nlohmann/json.hpp>

#include "base/threads.h"
#include "file/model_file.h"
#include "train/head.h"

namespace wattle {
namespace {

constexpr int kRounds = 100;
constexpr double kMostSeconds = 2;  ///< of one figure

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// The fastest of the rounds, in microseconds a row: what others do on the machine only adds.
double microseconds(size_t rows, const std::function<void(size_t)>& each) {
  std::vector<double> rounds;
  const double deadline = now() + kMostSeconds;
  for (int round = 0; round < kRounds && (round == 0 || now() < deadline); ++round) {
    const double begin = now();
    for (size_t i = 0; i < rows; ++i) each(i);
    rounds.push_back(1e6 * (now() - begin) / static_cast<double>(rows));
  }
  return *std::ranges::min_element(rounds);
}

/// tl2cgen's form of a feature.
union Entry {
  int missing;
  float value;
};
using TreelitePredict = void (*)(Entry* data, int margin, float* result);

std::vector<std::string> texts_of(const char* path) {
  std::vector<std::string> texts;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) texts.push_back(nlohmann::json::parse(line).at("text"));
  return texts;
}

int run(int argc, char** argv) {
  if (argc < 3) fail("usage: bench_forest HEAD.gguf ROWS.jsonl [TREELITE.so]");
  set_threads(1);
  Head head = Head::load(ModelFile::open(argv[1]));
  const auto& forest = std::get<Forest>(head.parts().classifier);
  const std::vector<std::string> texts = texts_of(argv[2]);
  const TextFeatures& features = head.parts().text;
  Pieces pieces;
  std::vector<SparseVector> rows(texts.size());
  size_t present = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    features.features(texts[i], pieces, rows[i]);
    present += rows[i].size();
  }
  Work work;
  Forest::Scratch scratch;
  SparseVector row;
  const auto outputs = static_cast<size_t>(forest.outputs());
  std::vector<float> shares(outputs), theirs(outputs);
  nlohmann::ordered_json result = {
      {"rows", texts.size()},
      {"features_a_row", static_cast<double>(present) / static_cast<double>(texts.size())},
      {"trees", forest.roots().size()},
      {"nodes", forest.node_count()}};
  result["features"] =
      microseconds(texts.size(), [&](size_t i) { features.features(texts[i], pieces, row); });
  result["walk"] =
      microseconds(texts.size(), [&](size_t i) { forest.shares(rows[i], scratch, shares, work); });
  Work one;
  for (const SparseVector& x : rows) forest.shares(x, scratch, shares, one);
  result["bytes_a_row"] = one.weight_bytes / static_cast<double>(texts.size());
  result["answer"] = microseconds(texts.size(), [&](size_t i) { head.predict(texts[i], work); });
  if (argc > 3) {
    void* library = ::dlopen(argv[3], RTLD_NOW);
    const auto predict =
        library == nullptr ? nullptr : reinterpret_cast<TreelitePredict>(::dlsym(library, "predict"));
    if (predict == nullptr) fail("{}: has no function predict; compile it with bench/forest.py", argv[3]);
    std::vector<Entry> entries(static_cast<size_t>(forest.features()), Entry{-1});
    const auto treelite = [&](size_t i) {
      for (size_t e = 0; e < rows[i].size(); ++e)
        entries[static_cast<size_t>(rows[i].columns[e])].value = rows[i].values[e];
      std::ranges::fill(theirs, 0.0f);
      predict(entries.data(), 1, theirs.data());
      for (const int32_t column : rows[i].columns) entries[static_cast<size_t>(column)].missing = -1;
    };
    double difference = 0;
    const auto trees = static_cast<float>(forest.roots().size() / outputs);
    for (size_t i = 0; i < rows.size(); ++i) {
      forest.shares(rows[i], scratch, shares, work);
      treelite(i);
      for (size_t k = 0; k < outputs; ++k)
        difference = std::max(difference, std::abs(static_cast<double>(shares[k] - theirs[k] / trees)));
    }
    result["largest_difference"] = difference;
    if (difference > 1e-5) fail("the forest and treelite answer differently, by {}", difference);
    result["treelite"] = microseconds(texts.size(), treelite);
    // Once more, so that a change of the machine's state between the two is seen.
    result["walk_again"] =
        microseconds(texts.size(), [&](size_t i) { forest.shares(rows[i], scratch, shares, work); });
  }
  std::cout << result.dump(2) << "\n";
  return 0;
}

}  // namespace
}  // namespace wattle

int main(int argc, char** argv) {
  try {
    return wattle::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}
