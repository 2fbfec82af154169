#include <algorithm>
#include <chrono>
#include <ctime>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <wattle/error.h>

#include "base/cpu.h"
#include "base/interrupt.h"
#include "base/output_file.h"
#include "base/threads.h"
#include "cli/bench.h"
#include "cli/help.h"
#include "kernels/matmul.h"
#include "kernels/peaks.h"
#include "report/roofline.h"
#include "statistics/descriptive.h"

namespace wattle {
namespace {

struct KernelBenchOptions {
  std::vector<std::string> formats;
  std::vector<int64_t> rows;
  std::vector<std::string> shapes{"2048x2048", "2048x5632"};
  std::string activations;
  int rounds = 5;
  std::string html;
  bool json = false;
};

/// One line of the result: a product of m rows with weights [n, k].
struct Case {
  Format format;
  Activations activations;
  int64_t m, n, k;
  struct Round {
    double seconds;  ///< of one product
    Peaks peaks;     ///< measured just before
  };
  std::vector<Round> rounds;

  double operations() const {
    return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  }
  double bytes() const {
    if (activations == Activations::kW8A8) return static_cast<double>(n) * static_cast<double>(k);
    return static_cast<double>(n) * static_cast<double>(row_bytes(format, static_cast<size_t>(k)));
  }
  double peak(const Peaks& peaks) const {
    if (activations == Activations::kF32) return peaks.fp32_gflops;
    return activations == Activations::kBF16 ? peaks.bf16_gflops : peaks.int8_gops;
  }
};

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Weights whose scales are ordinary numbers in every format: bytes of 0x20 to 0x2F.
PackedMatrix weights_of(Format format, int64_t n, int64_t k) {
  std::mt19937 random(1);
  std::vector<std::byte> bytes(static_cast<size_t>(n) * row_bytes(format, static_cast<size_t>(k)));
  for (std::byte& b : bytes) b = std::byte(0x20 + (random() & 15));
  return PackedMatrix::pack(format, n, k, bytes);
}

/// Seconds of one product, activations packed anew each time as in a model, over at least `least` seconds.
double time_product(const PackedMatrix& weights, const Matrix& x, Activations kind, Matrix& out,
                    double least) {
  PackedActivations packed;
  Work work;
  const auto once = [&] {
    packed.pack(x.view(), kind, sums_of(weights.format()));
    matmul(packed, weights, out.view(), {}, work);
  };
  once();
  int64_t count = 0;
  const double begin = now();
  do {
    once();
    ++count;
  } while (now() - begin < least);
  return (now() - begin) / static_cast<double>(count);
}

/// Outputs of a one-row product, grown until the weights are beyond any cache.
int64_t grown_rows(Format format, int64_t n, int64_t k) {
  constexpr size_t kBeyondCaches = 128u << 20;
  const size_t bytes = static_cast<size_t>(n) * row_bytes(format, static_cast<size_t>(k));
  return n * static_cast<int64_t>((kBeyondCaches + bytes - 1) / bytes);
}

std::vector<Case> cases_of(const KernelBenchOptions& options) {
  std::vector<Format> formats;
  for (const std::string& name : options.formats) formats.push_back(format_from_name(name));
  if (formats.empty()) {
    for (const FormatInfo& row : wattle::formats()) {
      const bool integers = row.format >= Format::kI8 && row.format <= Format::kF64;
      if (!integers) formats.push_back(row.format);
    }
  }
  std::vector<Case> cases;
  for (const Format format : formats) {
    const Activations kind = options.activations.empty() ? default_activations(format)
                                                         : activations_from_name(options.activations);
    for (const std::string& shape : options.shapes) {
      const size_t cross = shape.find('x');
      int64_t n = 0, k = 0;
      try {
        n = std::stoll(shape.substr(0, cross)), k = std::stoll(shape.substr(cross + 1));
      } catch (const std::exception&) {
        fail("--shape {}: not of the form OUTPUTSxINPUTS, for example 2048x5632", shape);
      }
      for (const int64_t m : options.rows)
        cases.push_back({format, kind, m, m == 1 ? grown_rows(format, n, k) : n, k, {}});
    }
  }
  return cases;
}

/// Median over the rounds of `figure(round)`.
template <class Figure>
double median_of(const std::vector<Case::Round>& rounds, Figure figure) {
  std::vector<double> values;
  for (const Case::Round& round : rounds) values.push_back(figure(round));
  return median(values);
}

/// Each case `rounds` times, the peaks measured before every one, so that both see the same machine.
void measure(Case& one, int rounds) {
  PackedMatrix weights = weights_of(one.format, one.n, one.k);
  if (one.activations == Activations::kW8A8) weights = weights.by_rows();
  Matrix x(one.m, one.k), out(one.m, one.n);
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  for (int64_t i = 0; i < one.m * one.k; ++i) x.data()[i] = normal(random);
  for (int round = 0; round < rounds; ++round) {
    throw_if_interrupted();
    const Peaks peaks = measure_peaks(0.005);
    one.rounds.push_back({time_product(weights, x, one.activations, out, 0.01), peaks});
  }
}

/// Shares are medians of each round's share of its own peaks: a shared machine's limits move from second to
/// second.
nlohmann::ordered_json row_of(const Case& one) {
  const double seconds = median_of(one.rounds, [](const Case::Round& round) { return round.seconds; });
  return {{"format", info(one.format).name},
          {"isa", name(active_isa())},
          {"activations", name(one.activations)},
          {"m", one.m},
          {"n", one.n},
          {"k", one.k},
          {"gops", one.operations() / seconds / 1e9},
          {"percent_of_peak", median_of(one.rounds,
                                        [&](const Case::Round& round) {
                                          return 100 * one.operations() / round.seconds / 1e9 /
                                                 one.peak(round.peaks);
                                        })},
          {"gbs", one.bytes() / seconds / 1e9},
          {"percent_of_read_loop", median_of(one.rounds, [&](const Case::Round& round) {
             return 100 * one.bytes() / round.seconds / 1e9 / round.peaks.read_gbs;
           })}};
}

Peaks peaks_of(const std::vector<Case>& cases) {
  std::vector<Case::Round> all;
  for (const Case& one : cases) all.insert(all.end(), one.rounds.begin(), one.rounds.end());
  const auto of = [&](double Peaks::*figure) {
    return median_of(all, [&](const Case::Round& round) { return round.peaks.*figure; });
  };
  return {of(&Peaks::int8_gops), of(&Peaks::bf16_gflops), of(&Peaks::fp32_gflops), of(&Peaks::read_gbs)};
}

std::string page_of(const Peaks& peaks, const std::vector<Case>& cases) {
  const std::string today = fmt::format("{:%F}", fmt::gmtime(std::time(nullptr)));
  Roofline roofline{
      fmt::format("{} · {} threads · {} · {}", cpu_name(), threads(), name(active_isa()), today), peaks, {}};
  for (const Case& one : cases) {
    const double seconds = median_of(one.rounds, [](const Case::Round& round) { return round.seconds; });
    RooflinePoint point{
        std::string(info(one.format).name), std::string(name(one.activations)), one.m, one.n, one.k,
        one.operations() / one.bytes(),     one.operations() / seconds / 1e9};
    point.share = median_of(one.rounds, [&](const Case::Round& round) {
      return one.operations() / round.seconds / 1e9 / roof(round.peaks, point);
    });
    roofline.points.push_back(std::move(point));
  }
  return html(roofline);
}

void print_table(const nlohmann::ordered_json& result) {
  const auto& peaks = result["peaks"];
  fmt::print(
      "{}, {} threads, {}\nint8 {:.0f} GOP/s   bf16 {:.0f} GFLOP/s   fp32 {:.0f} GFLOP/s   read {:.1f} "
      "GB/s\n\n",
      cpu_name(), threads(), name(active_isa()), peaks["int8_gops"].get<double>(),
      peaks["bf16_gflops"].get<double>(), peaks["fp32_gflops"].get<double>(),
      peaks["read_gbs"].get<double>());
  fmt::print("{:8} {:>6} {:>5} {:>7} {:>6} {:>9} {:>8} {:>8} {:>8}\n", "format", "acts", "m", "n", "k",
             "GOP/s", "of peak", "GB/s", "of read");
  for (const auto& row : result["rows"]) {
    fmt::print("{:8} {:>6} {:>5} {:>7} {:>6} {:>9.1f} {:>7.1f}% {:>8.1f} {:>7.1f}%\n",
               row["format"].get<std::string>(), row["activations"].get<std::string>(),
               row["m"].get<int64_t>(), row["n"].get<int64_t>(), row["k"].get<int64_t>(),
               row["gops"].get<double>(), row["percent_of_peak"].get<double>(), row["gbs"].get<double>(),
               row["percent_of_read_loop"].get<double>());
  }
}

void bench_kernels(const KernelBenchOptions& options) {
  std::vector<Case> cases = cases_of(options);
  // Before the measuring, so that a place that cannot be written costs no minutes.
  std::unique_ptr<OutputFile> page;
  if (!options.html.empty()) page = std::make_unique<OutputFile>(options.html);
  for (Case& one : cases) measure(one, options.rounds);
  nlohmann::ordered_json result;
  const Peaks peaks = peaks_of(cases);
  result["peaks"] = {{"int8_gops", peaks.int8_gops},
                     {"bf16_gflops", peaks.bf16_gflops},
                     {"fp32_gflops", peaks.fp32_gflops},
                     {"read_gbs", peaks.read_gbs}};
  result["rows"] = nlohmann::ordered_json::array();
  for (const Case& one : cases) result["rows"].push_back(row_of(one));
  if (page) {
    page->write(page_of(peaks, cases));
    page->commit();
  }
  if (options.json) {
    fmt::print("{}\n", result.dump(2));
  } else {
    print_table(result);
  }
}

}  // namespace

void add_bench_kernels(CLI::App& bench) {
  auto options = std::make_shared<KernelBenchOptions>();
  options->rows = {1, 2, 3, 4, 5, 6, 32, 128, 512};
  CLI::App* verb =
      bench.add_subcommand("kernels", "Products of every format against the limits of the machine");
  verb->add_option("--format,-f", options->formats, "formats (default: all)")
      ->delimiter(',')
      ->allow_extra_args(false);
  verb->add_option("--m,-m", options->rows, "rows of activations (default: 1 to 6, 32, 128, 512)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(at_least_one());
  verb->add_option("--shape", options->shapes, "outputs x inputs (default: 2048x2048, 2048x5632)")
      ->delimiter(',')
      ->allow_extra_args(false);
  verb->add_option("--activations", options->activations,
                   "one of " + activations_list() + " (default: what the format takes)");
  verb->add_option("--rounds", options->rounds, "repetitions that the medians are of")->check(at_least_one());
  verb->add_option("--html", options->html, "write one self-contained page with a roofline chart");
  verb->add_flag("--json", options->json, "the result as JSON");
  verb->footer(
      "Examples:\n"
      "  wattle bench kernels --threads 2\n"
      "  wattle bench kernels --format Q4_0,Q8_0 --m 6,128 --json\n"
      "  wattle bench kernels --shape 2048x2048 --html kernels.html\n"
      "  wattle --isa avx2 bench kernels --format Q4_0 --m 6\n"
      "One row (m = 1) reads weights beyond the caches: outputs are repeated until they take 128 MiB.");
  verb->callback([options] { bench_kernels(*options); });
}

}  // namespace wattle
