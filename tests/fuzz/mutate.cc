// Runs a fuzz target without libFuzzer: the seeds themselves, then mutations of them by a fixed sequence, the
// same on every machine.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "fuzz/fuzz.h"

namespace {

constexpr int kRuns = 300000;
constexpr size_t kMostBytes = 1 << 16;
constexpr uint64_t kNumbers[] = {0,
                                 1,
                                 2,
                                 7,
                                 31,
                                 32,
                                 33,
                                 127,
                                 128,
                                 255,
                                 256,
                                 0x7FFF,
                                 0x8000,
                                 0xFFFF,
                                 0x7FFFFFFF,
                                 0x80000000,
                                 0xFFFFFFFF,
                                 uint64_t{1} << 32,
                                 uint64_t{1} << 62,
                                 ~uint64_t{0} >> 1,
                                 uint64_t{1} << 63,
                                 ~uint64_t{0}};

class Mutator {
 public:
  explicit Mutator(const std::vector<std::string>& seeds) : seeds_(seeds) {}

  std::string next() {
    std::string input = seeds_[below(seeds_.size())];
    for (size_t changes = 1 + below(4); changes > 0; --changes) change(input);
    if (input.size() > kMostBytes) input.resize(kMostBytes);
    return input;
  }

 private:
  size_t below(size_t limit) { return static_cast<size_t>(random_() % limit); }

  void change(std::string& input) {
    if (input.empty()) input.assign(1, '\0');
    const size_t at = below(input.size());
    const size_t length = 1 + below(std::min<size_t>(input.size() - at, 64));
    switch (below(7)) {
      case 0:
        input[at] = static_cast<char>(input[at] ^ (1 << below(8)));
        break;
      case 1:
        input[at] = static_cast<char>(random_());
        break;
      case 2:
        overwrite(input, at);
        break;
      case 3:
        input.erase(at, length);
        break;
      case 4:
        input.insert(below(input.size()), input.substr(at, length));
        break;
      case 5:
        input.resize(at);
        break;
      default: {
        const std::string& other = seeds_[below(seeds_.size())];
        const size_t from = below(other.size());
        input.replace(at, length, other, from, length);
      }
    }
  }

  /// A number at the edge of its range, of 1, 2, 4 or 8 bytes.
  void overwrite(std::string& input, size_t at) {
    const uint64_t number = kNumbers[below(std::size(kNumbers))];
    std::memcpy(input.data() + at, &number, std::min<size_t>(input.size() - at, size_t{1} << below(4)));
  }

  std::vector<std::string> seeds_;
  std::mt19937_64 random_{20240601};
};

void run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> seeds = fuzz_seeds();
  if (argc == 3 && std::strcmp(argv[1], "--write-seeds") == 0) {
    std::filesystem::create_directories(argv[2]);
    for (size_t i = 0; i < seeds.size(); ++i) {
      std::ofstream(std::filesystem::path(argv[2]) / ("seed" + std::to_string(i)), std::ios::binary)
          << seeds[i];
    }
    return 0;
  }
  for (const std::string& seed : seeds) {
    if (seed.empty()) return std::fputs("a seed is empty\n", stderr), 1;
    run(seed);
  }
  Mutator mutator(seeds);
  for (int i = 0; i < kRuns; ++i) run(mutator.next());
  std::printf("%d mutations of %zu seeds\n", kRuns, seeds.size());
  return 0;
}
