#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <wattle/error.h>
#include <wattle/meter.h>
#include <nlohmann/json.hpp>

#include "base/interrupt.h"
#include "base/operation_times.h"
#include "base/stopwatch.h"
#include "base/threads.h"
#include "cli/bench.h"
#include "cli/help.h"
#include "cli/paths.h"
#include "cli/precision.h"
#include "decode/generation.h"
#include "decode/sampler.h"
#include "kernels/peaks.h"
#include "models/convert.h"
#include "models/model.h"
#include "statistics/descriptive.h"
#include "study/conditions.h"
#include "tasks/rows.h"

namespace wattle {
namespace {

using Json = nlohmann::ordered_json;

struct ModelBenchOptions {
  std::string model, input, field = "text", tokenizer;
  PrecisionFlags precision;
  int64_t prompt = 512, generate = 64, beams = 1, batch = 1;
  std::vector<int64_t> sequences;
  int rounds = 3;
  bool json = false;
};

std::string name_of_sequences(int64_t count) {
  return fmt::format("sequences_{}", count);
}

/// In the order in which they are told.
std::vector<std::string> phase_names(const ModelBenchOptions& options) {
  std::vector<std::string> names{"prompt", "generate", "beams"};
  for (const int64_t count : options.sequences) names.push_back(name_of_sequences(count));
  names.emplace_back("rows");
  return names;
}

// What was run once: tokens, the engine's record, seconds, joules.
struct Phase {
  std::vector<double> seconds, joules;
  Work work;                  ///< of one round; the same in all
  OperationTimes operations;  ///< sums of all rounds
  int64_t tokens = 0;
  Json extra = Json::object();  ///< more fields of its result
};

template <typename Run>
void measure_phase(Meter& meter, Phase& phase, Run run) {
  Work work;
  const RecordOperations recording(phase.operations);
  const auto begin = meter.begin();
  const Stopwatch watch;
  run(work);
  phase.seconds.push_back(watch.seconds());
  phase.joules.push_back(meter.end(begin, &work).joules);
  phase.work = work;
}

// Seconds of a round in each operation, means over the rounds; `other` is what no operation claims.
Json operations_json(const Phase& phase) {
  const auto rounds = static_cast<double>(phase.seconds.size());
  double rest = std::accumulate(phase.seconds.begin(), phase.seconds.end(), 0.0);
  Json json;
  for (size_t i = 0; i < kOperations; ++i) {
    const double seconds = phase.operations.seconds[i];
    rest -= seconds;
    if (seconds > 0) json[kOperationNames[i]] = seconds / rounds;
  }
  json["other"] = rest / rounds;
  return json;
}

// percent_of_peak: the seconds that the multiply-adds would take at the peaks of their types, of the seconds
// taken.
Json phase_json(const Phase& phase, const Peaks& peaks) {
  const double seconds = median(phase.seconds), tokens = static_cast<double>(phase.tokens);
  const Work& work = phase.work;
  const double operations = 2 * (work.macs_int8 + work.macs_bf16 + work.macs_fp32);
  const double at_peak = 2e-9 * (work.macs_int8 / peaks.int8_gops + work.macs_bf16 / peaks.bf16_gflops +
                                 work.macs_fp32 / peaks.fp32_gflops);
  const double read_gbs = 1e-9 * work.weight_bytes / seconds;
  Json json;
  json["tokens_per_s"] = tokens / seconds;
  json["work_gops"] = 1e-9 * operations / seconds;
  json["percent_of_peak"] = 100 * at_peak / seconds;
  json["read_gbs"] = read_gbs;
  json["percent_of_read_loop"] = 100 * read_gbs / peaks.read_gbs;
  json["joules_per_token"] = median(phase.joules) / tokens;
  json["seconds_by_operation"] = operations_json(phase);
  json.update(phase.extra);
  return json;
}

std::vector<TokenId> random_tokens(int64_t count, int64_t vocabulary, uint64_t seed = 1) {
  std::mt19937_64 random(seed);
  std::vector<TokenId> ids(static_cast<size_t>(count));
  for (TokenId& id : ids) id = static_cast<TokenId>(random() % static_cast<uint64_t>(vocabulary));
  return ids;
}

// A prompt, or what an encoder reads, then tokens one after another.
void bench_text(Model& model, const ModelBenchOptions& options, Meter& meter,
                std::map<std::string, Phase>& phases) {
  ContinuesText& decoder = *model.decoder();
  auto* translator = model.can<Translates>();
  const std::vector<TokenId> prompt = random_tokens(options.prompt, decoder.vocabulary());
  Ragged<TokenId> source;
  source.append(prompt);
  std::unique_ptr<KeyValueCache> cache;
  if (translator == nullptr) cache = decoder.new_cache(options.prompt + options.generate);
  Phase reading, writing;
  reading.tokens = options.prompt, writing.tokens = options.generate;
  Matrix logits;
  for (int round = 0; round < options.rounds; ++round) {
    throw_if_interrupted();
    TokenId next = 0;
    measure_phase(meter, reading, [&](Work& work) {
      if (translator != nullptr) {
        cache = std::move(translator->begin(source, options.generate, work).at(0));
        next = translator->start_token();
        return;
      }
      cache->truncate(0);
      const DecoderInput all{cache.get(), prompt};
      decoder.forward({&all, 1}, LogitsWanted::kLast, logits, work);
      next = arg_max(logits.row(0));
    });
    measure_phase(meter, writing, [&](Work& work) {
      for (int64_t i = 0; i < options.generate; ++i) {
        const DecoderInput step{cache.get(), {&next, 1}};
        decoder.forward({&step, 1}, LogitsWanted::kLast, logits, work);
        next = arg_max(logits.row(0));
      }
    });
  }
  phases["prompt"] = std::move(reading);
  phases["generate"] = std::move(writing);
}

// Steps of a beam search after its first, which reads the prompt.
void bench_beams(Model& model, const ModelBenchOptions& options, Meter& meter,
                 std::map<std::string, Phase>& phases) {
  ContinuesText& decoder = *model.decoder();
  auto* translator = model.can<Translates>();
  const std::vector<TokenId> prompt = random_tokens(options.prompt, decoder.vocabulary());
  Ragged<TokenId> source;
  source.append(prompt);
  const int64_t tokens = options.generate + 1;
  GenerationOptions search;
  search.max_tokens = tokens, search.beams = options.beams, search.ignore_end = true;
  Generation generation(decoder, nullptr, {.capacity = options.prompt + tokens, .sequences = options.beams});
  Phase phase;
  phase.tokens = options.generate;
  for (int round = 0; round < options.rounds; ++round) {
    throw_if_interrupted();
    Work before;
    if (translator != nullptr) {
      generation.admit(std::move(translator->begin(source, tokens, before).at(0)),
                       {translator->start_token()}, search, prompt);
    } else {
      generation.admit(prompt, search);
    }
    generation.step(before);
    measure_phase(meter, phase, [&](Work& work) {
      while (!generation.idle()) generation.step(work);
    });
    generation.clear();
  }
  phases["beams"] = std::move(phase);
}

// So many texts, each of a prompt of its own, that are continued together: the steps after the one that reads
// the prompts. Sources of an encoder-decoder are read before.
Phase bench_sequences(Model& model, const ModelBenchOptions& options, int64_t count, Meter& meter) {
  ContinuesText& decoder = *model.decoder();
  auto* translator = model.can<Translates>();
  GenerationOptions search;
  search.max_tokens = options.generate + 1, search.beams = 1, search.ignore_end = true;
  Generation generation(decoder, nullptr,
                        {.capacity = options.prompt + options.generate + 1, .sequences = count});
  Phase phase;
  phase.tokens = count * options.generate;
  for (int round = 0; round < options.rounds; ++round) {
    throw_if_interrupted();
    Work before;
    for (int64_t i = 0; i < count; ++i) {
      const auto prompt = random_tokens(options.prompt, decoder.vocabulary(), static_cast<uint64_t>(i) + 1);
      if (translator == nullptr) {
        generation.admit(prompt, search);
        continue;
      }
      Ragged<TokenId> source;
      source.append(prompt);
      generation.admit(std::move(translator->begin(source, options.generate + 1, before).at(0)),
                       {translator->start_token()}, search, prompt);
    }
    generation.step(before);
    measure_phase(meter, phase, [&](Work& work) {
      while (!generation.idle()) generation.step(work);
    });
    generation.clear();
  }
  return phase;
}

using Sequences = std::span<const std::vector<TokenId>>;

void run_encoder(ReadsText& encoder, Sequences sequences, Work& work) {
  Ragged<TokenId> tokens;
  for (const auto& ids : sequences) tokens.append(ids);
  Matrix hidden(tokens.offsets.back(), encoder.width());
  encoder.hidden_states(tokens, hidden.view(), work);
}

void run_decoder(ContinuesText& decoder, Sequences sequences, Matrix& logits, Work& work) {
  std::vector<std::unique_ptr<KeyValueCache>> caches;
  std::vector<DecoderInput> inputs;
  for (const auto& ids : sequences) {
    caches.push_back(decoder.new_cache(static_cast<int64_t>(ids.size())));
    inputs.push_back({caches.back().get(), ids});
  }
  decoder.forward(inputs, LogitsWanted::kLast, logits, work);
}

void bench_encoder(ReadsText& encoder, const ModelBenchOptions& options, Meter& meter, int vocabulary,
                   std::map<std::string, Phase>& phases) {
  const std::vector<TokenId> ids = random_tokens(std::min(options.prompt, encoder.max_tokens()), vocabulary);
  Phase reading;
  reading.tokens = static_cast<int64_t>(ids.size());
  for (int round = 0; round < options.rounds; ++round) {
    throw_if_interrupted();
    measure_phase(meter, reading, [&](Work& work) { run_encoder(encoder, {&ids, 1}, work); });
  }
  phases["prompt"] = std::move(reading);
}

/// The token ids of every row with text, cut at what the model reads.
std::vector<std::vector<TokenId>> tokens_of_rows(Model& model, const ModelBenchOptions& options) {
  std::vector<std::vector<TokenId>> rows;
  for (const Question& row : read_rows(options.input, {.field = options.field}).rows) {
    rows.push_back(row.ids() != nullptr ? row.ids()->ids : model.tokenizer().encode(row.text()));
    const int64_t most =
        model.encoder() != nullptr ? model.encoder()->max_tokens() : model.decoder()->context_length();
    if (static_cast<int64_t>(rows.back().size()) > most) rows.back().resize(static_cast<size_t>(most));
    if (rows.back().empty()) rows.pop_back();
  }
  if (rows.empty()) fail("{}: has no rows to run; give a file with texts", options.input);
  return rows;
}

// Batches of the rows in the file's order, tokenised outside the clock: rows/s and percentiles of a batch's
// seconds, which are what each of its rows waits.
void bench_rows(Model& model, const ModelBenchOptions& options, Meter& meter,
                std::map<std::string, Phase>& phases) {
  const std::vector<std::vector<TokenId>> rows = tokens_of_rows(model, options);
  std::vector<double> seconds;
  Phase phase;
  for (const auto& ids : rows) phase.tokens += static_cast<int64_t>(ids.size());
  Matrix logits;
  const auto run = [&](Work& work) {
    for (size_t begin = 0; begin < rows.size(); begin += static_cast<size_t>(options.batch)) {
      throw_if_interrupted();
      const Sequences batch =
          Sequences(rows).subspan(begin, std::min(rows.size() - begin, static_cast<size_t>(options.batch)));
      const Stopwatch watch;
      if (model.encoder() != nullptr) {
        run_encoder(*model.encoder(), batch, work);
      } else {
        run_decoder(*model.decoder(), batch, logits, work);
      }
      seconds.push_back(watch.seconds());
    }
  };
  for (int round = 0; round < options.rounds; ++round) measure_phase(meter, phase, run);
  std::ranges::sort(seconds);
  const auto percentile = [&](double share) {
    return 1e3 * seconds[static_cast<size_t>(share * static_cast<double>(seconds.size() - 1))];
  };
  Json json;
  json["rows"] = rows.size();
  json["batch"] = options.batch;
  json["tokens"] = phase.tokens;
  json["rows_per_s"] = static_cast<double>(rows.size()) / median(phase.seconds);
  json["latency_ms"] = {{"p50", percentile(0.5)}, {"p95", percentile(0.95)}};
  phase.extra = std::move(json);
  phases["rows"] = std::move(phase);
}

void print_operations(const Json& seconds) {
  double all = 0;
  for (const auto& [name, value] : seconds.items()) all += value.get<double>();
  std::string line;
  for (const auto& [name, value] : seconds.items())
    line += fmt::format("{}{} {:.1f} %", line.empty() ? "" : ", ", name, 100 * value.get<double>() / all);
  fmt::print("{:12} {}\n", "", line);
}

void print(const Json& result) {
  fmt::print("{} loaded in {:.2f} s, peak memory {:.0f} MB, energy {} ({})\n",
             result["model"].get<std::string>(), result["load_seconds"].get<double>(),
             1e-6 * result["peak_memory_bytes"].get<double>(), result["energy_grade"].get<std::string>(),
             result["energy_source"].get<std::string>());
  fmt::print("team         {}\n", result["team"]["described"].get<std::string>());
  for (const auto& [phase, p] : result.items()) {
    if (!p.contains("tokens_per_s")) continue;
    fmt::print(
        "{:12} {:9.1f} tokens/s {:8.1f} GOP/s ({:.0f} % of peak) {:6.1f} GB/s ({:.0f} % of read loop) {:.4f} "
        "J/token\n",
        phase, p["tokens_per_s"].get<double>(), p["work_gops"].get<double>(),
        p["percent_of_peak"].get<double>(), p["read_gbs"].get<double>(),
        p["percent_of_read_loop"].get<double>(), p["joules_per_token"].get<double>());
    print_operations(p["seconds_by_operation"]);
    if (!p.contains("rows_per_s")) continue;
    fmt::print("{:12} {:9.1f} rows/s, p50 {:.2f} ms, p95 {:.2f} ms\n", "", p["rows_per_s"].get<double>(),
               p["latency_ms"]["p50"].get<double>(), p["latency_ms"]["p95"].get<double>());
  }
}

Json team_json(const TeamReport& report) {
  return {{"threads", report.most},
          {"chosen_by", threads_chosen_by()},
          {"fewest", report.smallest},
          {"shrunk", report.shrunk},
          {"part_of_time_shrunk", report.seconds > 0 ? report.seconds_shrunk / report.seconds : 0},
          {"because", report.shrunk > 0 || report.smallest < report.most ? Json(name(report.why)) : Json()},
          {"described", describe(report)}};
}

void bench_model(const ModelBenchOptions& options, bool quiet) {
  if (options.prompt < 1 || options.generate < 1) fail("--prompt and --generate: must be 1 or more tokens");
  const std::string path = model_path(options.model);
  const Precision precision = options.precision.read(path);
  const ModelAtPrecision at(path, precision, quiet);
  const Stopwatch watch;
  LoadOptions load;
  if (!options.tokenizer.empty()) load.shape_tokenizer = model_path(options.tokenizer);
  load.take(precision);
  const auto model = Model::open(at.path(), load);
  Json result;
  result["model"] = options.model;
  result["precision"] = precision.name(precision_name(model->file()));
  if (precision.activations()) result["activations"] = name(*precision.activations());
  result["shape"] = model->is_shape();
  result["load_seconds"] = watch.seconds();
  const auto meter = Meter::open();
  std::map<std::string, Phase> phases;
  forget_team_report();
  if (!options.input.empty()) {
    bench_rows(*model, options, *meter, phases);
  } else if (model->decoder() != nullptr) {
    bench_text(*model, options, *meter, phases);
    if (options.beams > 1) bench_beams(*model, options, *meter, phases);
    for (const int64_t count : options.sequences)
      phases[name_of_sequences(count)] = bench_sequences(*model, options, count, *meter);
  } else {
    bench_encoder(*model->encoder(), options, *meter, model->tokenizer().size(), phases);
  }
  result["team"] = team_json(team_report());
  // Before the peaks: their read loop walks through memory beyond the caches, which is not the model's.
  result["peak_memory_bytes"] = peak_memory_bytes();
  const Peaks peaks = measure_peaks();
  result["peaks"] = {{"int8_gops", peaks.int8_gops},
                     {"bf16_gflops", peaks.bf16_gflops},
                     {"fp32_gflops", peaks.fp32_gflops},
                     {"read_gbs", peaks.read_gbs}};
  result["energy_source"] = meter->source();
  result["energy_grade"] = name(meter->grade());
  for (const std::string& phase : phase_names(options)) {
    if (phases.contains(phase)) result[phase] = phase_json(phases[phase], peaks);
  }
  if (options.json) {
    fmt::print("{}\n", result.dump(2));
  } else {
    print(result);
  }
}

}  // namespace

void add_bench_model(CLI::App& bench, const GlobalOptions& global) {
  auto options = std::make_shared<ModelBenchOptions>();
  bench.add_option("MODEL", options->model, "model file or folder, or shape:NAME[@PRECISION]");
  add_precision_flags(bench, options->precision);
  bench
      .add_option("--prompt", options->prompt,
                  "tokens that are read at once, by an encoder-decoder's encoder")
      ->capture_default_str();
  bench.add_option("--generate", options->generate, "tokens that a decoder writes")->capture_default_str();
  bench.add_option("--beams", options->beams, "of a beam search that writes as many tokens once more")
      ->check(at_least_one());
  bench
      .add_option("--sequences", options->sequences,
                  "texts that write as many tokens each, together: 4,16 measures both; each has a prompt of "
                  "--prompt tokens")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(1, 4096));
  bench.add_option("--input,-i", options->input, "rows to run instead, texts or ids: jsonl, csv, tsv");
  bench
      .add_option("--batch", options->batch,
                  "rows of --input that are run together, concatenated, not padded")
      ->capture_default_str()
      ->check(at_least_one());
  bench.add_option("--tokenizer", options->tokenizer,
                   "of a shape's rows: a model that has it (default: four bytes a token)");
  bench.add_option("--field", options->field, "the rows' field that holds the text")->capture_default_str();
  bench.add_option("--rounds", options->rounds, "repetitions; medians are told")->check(at_least_one());
  bench.add_flag("--json", options->json, "print the result as JSON");
  bench.callback([&bench, &global, options] {
    if (!bench.get_subcommands().empty()) return;
    if (options->model.empty()) fail("bench: name a model, or `bench kernels`");
    bench_model(*options, global.quiet);
  });
}

}  // namespace wattle
