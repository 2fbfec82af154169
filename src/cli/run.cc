#include <algorithm>
#include <cstdio>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <wattle/error.h>
#include <wattle/meter.h>

#include "base/interrupt.h"
#include "cli/help.h"
#include "cli/local_time.h"
#include "cli/paths.h"
#include "cli/precision.h"
#include "cli/progress.h"
#include "cli/row_writer.h"
#include "cli/run_head_flags.h"
#include "cli/run_identity.h"
#include "cli/verbs.h"
#include "data/labelled_rows.h"
#include "meter/energy_json.h"
#include "tasks/json.h"
#include "tasks/rows.h"
#include "tasks/task.h"
#include "text/chat.h"

namespace wattle {
namespace {

struct Arguments {
  std::string model, prompt, pair, input, output, field = "text", label = "label", examples;
  PrecisionFlags precision;
  std::vector<std::string> labels, biases;
  int64_t seed = 0;
  TaskOptions task;
  LoadOptions load;
  MeterOptions meter;
  int64_t context = 0;
  int batch = 1, shots = 8;
  bool no_chat = false, json = false;
  std::string given;  ///< what of these changes the answers, as text
};

using Json = nlohmann::ordered_json;

/// TOKEN=BIAS, as 42=-1.5 or 42=-inf.
std::pair<TokenId, float> bias_of(const std::string& text) {
  const size_t equals = text.find('=');
  std::pair<TokenId, float> bias;
  if (equals == std::string::npos || !CLI::detail::lexical_cast(text.substr(0, equals), bias.first) ||
      !CLI::detail::lexical_cast(text.substr(equals + 1), bias.second)) {
    fail("--logit-bias {}: write TOKEN=BIAS with a token's id, as 42=-1.5 or 42=-inf", text);
  }
  return bias;
}

void complete(Arguments& arguments, const GlobalOptions& options) {
  TaskOptions& task = arguments.task;
  task.chat = !arguments.no_chat;
  task.now = local_time();
  task.labels = arguments.labels;
  for (const std::string& bias : arguments.biases) task.generation.logit_bias.push_back(bias_of(bias));
  if (arguments.seed < 0) {
    arguments.seed = std::random_device()();
    if (!options.quiet) fmt::print(stderr, "seed {}\n", arguments.seed);
  }
  task.generation.sampler.seed = static_cast<uint64_t>(arguments.seed);
  if (arguments.context > 0) task.context = arguments.load.context = arguments.context;
  if (arguments.examples.empty()) return;
  const LabelledRows examples = read_labelled_rows(
      arguments.examples,
      {.text_field = arguments.field, .label_field = arguments.label, .label_names = arguments.labels});
  for (size_t i = 0; i < examples.rows.size() && i < static_cast<size_t>(arguments.shots); ++i) {
    task.examples.emplace_back(examples.rows[i].text(),
                               examples.label_names[static_cast<size_t>(examples.labels[i])]);
  }
}

Rows rows_of(const Arguments& arguments) {
  RowOptions options{.field = arguments.field, .columns = Task::columns_of(model_path(arguments.model))};
  const bool perplexity = arguments.task.task == "perplexity";
  const std::string& input = arguments.input;
  if (perplexity && (input.ends_with(".txt") || input.ends_with(".raw"))) options.format = RowFormat::kWhole;
  Rows rows = read_rows(input, options);
  if (perplexity) rows.rows = joined(std::move(rows.rows));
  return rows;
}

Json longest_json(const RunTotals& totals) {
  if (!totals.longest.happened()) return nullptr;
  return {{"id", Json::parse(totals.longest_id)},
          {"tokens", totals.longest.tokens},
          {"limit", totals.longest.limit}};
}

/// A model that was converted for this run is called by its own name, not by that of a file that is gone.
Json described(const Arguments& arguments, const Task& task) {
  Json description = task.description();
  if (!arguments.precision.precision.empty()) description["path"] = arguments.model;
  return description;
}

Json summary_json(const Arguments& arguments, const Task& task, const Rows& rows, const RunTotals& totals) {
  Json summary = {{"task", arguments.task.task},
                  {"model", described(arguments, task)},
                  {"rows", totals.rows},
                  {"truncated", totals.truncated},
                  {"longest_truncated", longest_json(totals)},
                  {"invalid_utf8", rows.repaired},
                  {"seconds", totals.seconds},
                  {"rows_per_second", static_cast<double>(totals.rows) / totals.seconds},
                  {"tokens_in", totals.work.tokens_in},
                  {"tokens_out", totals.work.tokens_out},
                  {"energy", energy_json(*totals.energy)},
                  {"wh_per_1000", totals.energy->joules / static_cast<double>(totals.rows) / 3.6}};
  if (arguments.task.generation.sampler.temperature > 0) summary["seed"] = arguments.seed;
  if (const Json own = task.summary(); !own.is_null()) summary["summary"] = own;
  return summary;
}

std::string joules_text(const Energy& energy) {
  return fmt::format("{:.3g} J ({}, {:.3g} to {:.3g})", energy.joules, name(energy.grade), energy.low,
                     energy.high);
}

void print_notices(const Arguments& arguments, const Rows& rows, const RunTotals& totals) {
  const auto rows_text = [](int64_t count) {
    return fmt::format("{} row{}", count, count == 1 ? " was" : "s were");
  };
  for (const std::string& note : rows.notes) fmt::print(stderr, "{}\n", note);
  if (rows.repaired > 0) {
    fmt::print(stderr, "{} not valid UTF-8; the bad bytes were read as U+FFFD\n", rows_text(rows.repaired));
  }
  if (totals.truncated > 0) {
    fmt::print(stderr, "{}\n",
               truncation_notice(totals.truncated, totals.longest, "id " + totals.longest_id));
  }
  fmt::print(stderr, "{} rows in {:.3g} s, {}, {:.3g} Wh per 1,000\n", totals.rows, totals.seconds,
             joules_text(*totals.energy), totals.energy->joules / static_cast<double>(totals.rows) / 3.6);
}

void run_rows(const Arguments& arguments, const GlobalOptions& options, Task& task, Meter& meter,
              const Rows& rows, const Json& identity) {
  RunTotals totals;
  RowWriter writer(task, meter, arguments.output, identity);
  if (writer.done() > 0 && !options.quiet) {
    fmt::print(stderr, "{} of {} rows were finished by an earlier run\n", writer.done(), rows.rows.size());
  }
  try {
    ProgressBar bar(options.quiet);
    const auto batch = static_cast<size_t>(arguments.batch);
    for (auto begin = static_cast<size_t>(writer.done()); begin < rows.rows.size(); begin += batch) {
      throw_if_interrupted();
      const size_t count = std::min(batch, rows.rows.size() - begin);
      writer.answer(std::span(rows.rows).subspan(begin, count));
      bar("rows", begin + count, rows.rows.size());
    }
    totals = writer.finish();
  } catch (const Error& error) {
    const std::string kept = writer.keep();
    const std::string what = error.exit_status() == 130 ? "interrupted" : error.what();
    if (error.exit_status() != 130 && writer.done() == 0) throw;
    throw Error(fmt::format("{} after {} of {} rows{}", what, writer.done(), rows.rows.size(), kept),
                error.exit_status());
  }
  if (arguments.json && !arguments.output.empty()) {
    fmt::print("{}\n", summary_json(arguments, task, rows, totals).dump(2));
  }
  if (!options.quiet) print_notices(arguments, rows, totals);
}

/// A single text given on the command line: generated text streams; other answers are one JSON object.
void run_prompt(const Arguments& arguments, const GlobalOptions& options, Task& task, Meter& meter) {
  const auto window = meter.begin();
  Question question{.content = arguments.prompt};
  if (!arguments.pair.empty()) question.content = TextPair{arguments.prompt, arguments.pair};
  const Answer answer = task.answer({&question, 1}).front();
  const Energy energy = meter.end(window, &answer.work);
  if (!std::holds_alternative<TextAnswer>(answer.value)) {
    Json object = to_json(answer);
    object["energy"] = energy_json(energy);
    const BatchRecord batch{{task.stretches().begin(), task.stretches().end()}, {answer.phases}};
    object["energy_phases"] = phases_json(divide_window(meter, energy, {&batch, 1}).front());
    fmt::print("{}\n", object.dump(2));
    return;
  }
  fmt::print("\n");
  if (options.quiet) return;
  const Work& work = answer.work;
  const auto rate = [](int64_t tokens, double seconds) {
    return static_cast<double>(tokens) / std::max(seconds, 1e-9);
  };
  fmt::print(
      stderr,
      "prompt {} tokens, {:.1f} tokens/s; generated {} tokens, {:.1f} tokens/s; {}, {:.3g} J a token\n",
      work.tokens_in, rate(work.tokens_in, answer.phases.prefill), work.tokens_out,
      rate(work.tokens_out, answer.phases.decode), joules_text(energy),
      energy.joules / static_cast<double>(std::max<int64_t>(1, work.tokens_out)));
}

void run(Arguments arguments, const GlobalOptions& options) {
  if (arguments.prompt.empty() == arguments.input.empty()) {
    fail("wattle run: give either a prompt after the model, or rows with --input");
  }
  complete(arguments, options);
  Rows rows;
  if (!arguments.input.empty()) rows = rows_of(arguments);
  if (arguments.input.empty()) {
    arguments.task.stream = [](std::string_view piece) {
      std::fwrite(piece.data(), 1, piece.size(), stdout);
      std::fflush(stdout);
    };
  }
  std::unique_ptr<ProgressBar> windows;
  if (arguments.task.task == "perplexity") {
    windows = std::make_unique<ProgressBar>(options.quiet);
    arguments.task.progress = [&](double part) {
      (*windows)("perplexity", static_cast<size_t>(part * 1000), 1000);
    };
  }
  const auto meter = Meter::open(arguments.meter);
  std::string model = model_path(arguments.model);
  if (!arguments.task.base.empty()) arguments.task.base = model_path(arguments.task.base);
  // A trained head stays as it is: its precision is that of the encoder it reads.
  const Precision precision = arguments.precision.read(model);
  arguments.load.take(precision);
  const std::string base =
      precision.changes_weights() ? Task::base_of(model, arguments.task.base) : std::string();
  Json identity;  // of rows, whose run may be taken up again
  if (!arguments.input.empty())
    identity = run_identity({model, Task::base_of(model, arguments.task.base)}, arguments.given, rows.sha256);
  const ModelAtPrecision at(base.empty() ? model : base, precision, options.quiet);
  (base.empty() ? model : arguments.task.base) = at.path();
  const auto task = Task::create(model, arguments.task, arguments.load);
  if (!options.quiet && !meter->notice().empty()) fmt::print(stderr, "{}\n", meter->notice());
  for (const std::string& note : task->notes()) {
    if (!options.quiet) fmt::print(stderr, "{}: {}\n", arguments.model, note);
  }
  if (arguments.input.empty()) {
    run_prompt(arguments, options, *task, *meter);
  } else {
    run_rows(arguments, options, *task, *meter, rows, identity);
  }
}

void add_model_flags(CLI::App& verb, Arguments& a) {
  verb.add_option("MODEL", a.model,
                  "file, folder, name of the catalogue, shape:NAME, or a file made by `wattle train`")
      ->required();
  verb.add_option("PROMPT", a.prompt, "a text to continue or answer; its answer streams to standard output");
  verb.add_option("--task", a.task.task, task_names() + " (default: what the model is for)");
  verb.add_option("--base", a.task.base, "for a trained head: the base model to use, at any precision");
  verb.add_option("--pair", a.pair, "with PROMPT: the second text of a pair, as the context of a question");
  add_precision_flags(verb, a.precision);
  verb.add_option("--cache", a.precision.cache,
                  fmt::format("format of the key-value cache: {}", kCacheFormats));
  verb.add_option("--context", a.context, "tokens of a window of perplexity (512), or that the cache holds")
      ->check(at_least_one());
}

void add_row_flags(CLI::App& verb, Arguments& a) {
  verb.add_option("--input,-i", a.input,
                  "rows: .jsonl, .csv, .tsv or .txt, also gzipped, or - for standard input");
  verb.add_option("--field", a.field, "the field that holds the text")->capture_default_str();
  verb.add_option("--output,-o", a.output,
                  "write one JSON object a row here (default: standard output); finished rows are kept in "
                  "OUTPUT.partial, and the same command goes on after Ctrl-C");
  verb.add_option("--batch", a.batch, "rows that run together")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  verb.add_flag("--json", a.json, "with --output: print a summary as JSON");
  add_meter_flags(verb, a.meter);
}

void add_task_flags(CLI::App& verb, Arguments& a) {
  verb.add_option("--labels", a.labels, "classify by likelihood: the labels' words, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false);
  verb.add_option("--prompt-template", a.task.prompt_template, "prompt with {text} (and {labels}) in it");
  verb.add_option("--examples", a.examples, "labelled rows that are shown before each text (few-shot)");
  verb.add_option("--shots", a.shots, "how many of them")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb.add_option("--label", a.label, "the examples' field that holds the label")->capture_default_str();
  verb.add_flag("--normalise-length", a.task.normalise_length,
                "compare labels by their mean likelihood a token");
  verb.add_option("--max-tokens", a.task.max_tokens,
                  "tokens to generate (128), or of the text for perplexity (all)")
      ->check(at_least_one());
  verb.add_flag("--no-chat", a.no_chat, "leave the model's chat template out");
  verb.add_flag("--parse-special", a.task.parse_special,
                "let texts such as <|im_end|> become special tokens");
}

void add_sampling_flags(CLI::App& verb, Arguments& a) {
  SamplerOptions& sampler = a.task.generation.sampler;
  const CLI::Range share(0.0, 1.0);
  verb.add_option("--temperature", sampler.temperature, "0: always the likeliest token")
      ->check(number_of_at_least(0))
      ->capture_default_str();
  verb.add_option("--top-k", sampler.top_k, "draw from the k likeliest; 0: all")
      ->check(number_of_at_least(0))
      ->capture_default_str();
  verb.add_option("--top-p", sampler.top_p, "draw from the likeliest that reach this probability")
      ->check(share)
      ->capture_default_str();
  verb.add_option("--min-p", sampler.min_p, "draw from those at least so likely, compared to the likeliest")
      ->check(share)
      ->capture_default_str();
  verb.add_option("--typical", sampler.typical,
                  "draw from those of nearly the expected surprise that reach this")
      ->check(share)
      ->capture_default_str();
  verb.add_option("--mirostat", sampler.mirostat,
                  "mirostat 2 instead: the bits that a token is to surprise by (0: off)")
      ->check(number_of_at_least(0))
      ->capture_default_str();
  verb.add_option("--mirostat-rate", sampler.mirostat_rate, "how fast it learns")
      ->check(number_above(0))
      ->capture_default_str();
  verb.add_option("--seed", a.seed, "of the draws; -1: another one each time, which is told")
      ->check(CLI::Range(int64_t{-1}, std::numeric_limits<int64_t>::max()))
      ->capture_default_str();
}

void add_generation_flags(CLI::App& verb, Arguments& a) {
  GenerationOptions& generation = a.task.generation;
  const std::map<std::string, EarlyStopping> stopping{
      {"no", EarlyStopping::kNo}, {"yes", EarlyStopping::kYes}, {"never", EarlyStopping::kNever}};
  verb.add_option("--beams", generation.beams,
                  "search with so many beams; 1: none (default: the model's own)")
      ->check(CLI::Range(1, 256));
  verb.add_option("--length-penalty", generation.length_penalty,
                  "of beam search: above 0 favours long texts, below 0 short ones");
  verb.add_option("--early-stopping", generation.early_stopping,
                  "of beam search: yes, no, or never before no better text can come")
      ->transform(CLI::Transformer(stopping));
  verb.add_option("--min-tokens", generation.min_tokens, "tokens before the text may end")
      ->check(number_of_at_least(0));
  verb.add_flag("--ignore-eos", generation.ignore_end, "end tokens end nothing");
  verb.add_option("--stop", generation.stop, "end the text before this string; may be given again")
      ->allow_extra_args(false);
  verb.add_option("--no-repeat-ngram", generation.no_repeat_ngram, "no run of so many tokens twice; 0: off")
      ->check(number_of_at_least(0));
  verb.add_option("--repetition-penalty", generation.repetition_penalty,
                  "divides the score of tokens that prompt or text have; 1: off")
      ->check(number_above(0));
  verb.add_option("--frequency-penalty", generation.frequency_penalty,
                  "lowers the score of a token by this each time it was generated")
      ->capture_default_str();
  verb.add_option("--presence-penalty", generation.presence_penalty,
                  "lowers the score of tokens that were generated")
      ->capture_default_str();
  verb.add_option("--logit-bias", a.biases, "TOKEN=BIAS is added to a token's score; separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false);
}

}  // namespace

void add_run(CLI::App& app, const GlobalOptions& options) {
  CLI::App* verb = app.add_subcommand("run", "Run a model on a prompt or on rows, with the energy of each");
  auto arguments = std::make_shared<Arguments>();
  add_model_flags(*verb, *arguments);
  add_row_flags(*verb, *arguments);
  add_task_flags(*verb, *arguments);
  add_head_flags(*verb, arguments->task.head);
  add_text_flags(*verb, arguments->task);
  add_sampling_flags(*verb, *arguments);
  add_generation_flags(*verb, *arguments);
  verb->footer(
      "Examples:\n"
      "  wattle run smollm2-135m-instruct.gguf \"What is a watt?\"\n"
      "  wattle run all-MiniLM-L6-v2 --task embed --input rows.jsonl --output vectors.jsonl --batch 32\n"
      "  wattle run head.gguf --input mine.csv --field message --base minilm.Q8_0.gguf\n"
      "  wattle run smollm2.gguf --task classify --labels negative,neutral,positive --input rows.jsonl\n"
      "  wattle run bert-ner --task tag \"Ada Lovelace lived in London.\"\n"
      "  wattle run squad-model --task answer \"Where did Ada live?\" --pair \"Ada Lovelace lived in "
      "London.\"\n"
      "  wattle run bert-base-uncased --task fill \"The capital of France is [MASK].\"\n"
      "  wattle run cross-encoder --task rank --input pairs.jsonl\n"
      "  wattle run flan-t5-base --task translate --from en --to de \"The house is small.\"\n"
      "  wattle run bart-large-cnn --task summarise --input articles.jsonl --output summaries.jsonl\n"
      "  wattle run model.gguf --task perplexity --input wikitext2/eval.jsonl.gz --max-tokens 16384\n"
      "  cat texts.txt | wattle run model.gguf --task tokenize --input -");
  verb->callback([verb, arguments, &options] {
    if (!arguments->input.empty())
      arguments->given = options_text(*verb, {"MODEL", "--input", "--output", "--batch", "--json", "--help"});
    try {
      run(*arguments, options);
    } catch (const ChatError& error) {
      fail("{}; give --no-chat to leave chat templates out", error.what());
    }
  });
}

}  // namespace wattle
