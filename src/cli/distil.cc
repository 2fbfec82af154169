#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <wattle/error.h>
#include <wattle/meter.h>
#include <nlohmann/json.hpp>

#include "base/output_file.h"
#include "cli/help.h"
#include "cli/paths.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "tasks/rows.h"
#include "train/static_embedding.h"

namespace wattle {
namespace {

struct Arguments {
  std::string teacher, output, input, field = "text";
  MeterOptions meter;
  DistilOptions options;
  bool json = false;
};

std::vector<std::string> texts_of(const Arguments& arguments) {
  std::vector<std::string> texts;
  if (arguments.input.empty()) return texts;
  RowOptions options;
  options.field = arguments.field;
  for (const Question& row : read_rows(arguments.input, options).rows) texts.push_back(row.text());
  return texts;
}

using Json = nlohmann::ordered_json;

Json summary_of(const Arguments& arguments, const Distillation& made, const Energy& energy) {
  return {{"output", arguments.output}, {"teacher", arguments.teacher}, {"tokens", made.tokens},
          {"words", made.words},        {"width", made.width},          {"teacher_width", made.teacher_width},
          {"variance", made.variance},  {"seconds", energy.seconds},    {"joules", energy.joules},
          {"low", energy.low},          {"high", energy.high},          {"grade", name(energy.grade)}};
}

void print_summary(const Arguments& arguments, const Distillation& made, const Energy& energy) {
  fmt::print("{}: {} tokens{} of {} values, {:.1f} % of the variance of the teacher's {}\n", arguments.output,
             made.tokens, made.words > 0 ? fmt::format(" ({} words of {})", made.words, arguments.input) : "",
             made.width, 100 * made.variance, made.teacher_width);
  fmt::print("  distilling took {:.3g} s and {:.3g} J ({}, {:.3g} to {:.3g})\n", energy.seconds,
             energy.joules, name(energy.grade), energy.low, energy.high);
}

void run(Arguments arguments, const GlobalOptions& options) {
  const std::string teacher = model_path(arguments.teacher);
  std::error_code ignored;
  if (std::filesystem::equivalent(teacher, arguments.output, ignored))
    fail("{}: is the model that is distilled; give the new file another name", arguments.output);
  const std::vector<std::string> texts = texts_of(arguments);
  OutputFile::check(arguments.output);
  const auto meter = Meter::open(arguments.meter);
  if (!options.quiet && !meter->notice().empty()) fmt::print(stderr, "{}\n", meter->notice());
  const auto window = meter->begin();
  Distillation made;
  {
    ProgressBar bar(options.quiet);
    arguments.options.texts = texts;
    arguments.options.progress = [&](double part) {
      bar("distilling", static_cast<size_t>(1000 * part), 1000);
    };
    made = distil(teacher, arguments.output, arguments.options);
  }
  // Principal components are not the engine's work: without a counter, processor time is what there is to go
  // by.
  const Energy energy = meter->end(window);
  if (arguments.json) {
    fmt::print("{}\n", summary_of(arguments, made, energy).dump(2));
  } else {
    print_summary(arguments, made, energy);
  }
}

}  // namespace

void add_distil(CLI::App& app, const GlobalOptions& options) {
  CLI::App* verb =
      app.add_subcommand("distil", "Make static embeddings, one vector a token, from an encoder");
  auto a = std::make_shared<Arguments>();
  verb->add_option("TEACHER", a->teacher, "the encoder: a file, a folder or a name of the catalogue")
      ->required();
  verb->add_option("OUT", a->output, "the GGUF file to write; every verb takes it like any encoder")
      ->required();
  verb->add_option("--width", a->options.width, "values of a vector: principal components of the teacher's")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  verb->add_option("--sif", a->options.sif,
                   "the a of the frequency weights a / (a + p): smaller ones make common words count less")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb->add_option(
      "--input,-i", a->input,
      "texts of the kind to be embedded: their words that the teacher cuts into pieces become tokens");
  verb->add_option("--field", a->field, "the field of the texts")->capture_default_str();
  verb->add_option("--word-count", a->options.word_count, "texts that such a word occurs in, at least")
      ->check(at_least_one())
      ->capture_default_str();
  add_meter_flags(*verb, a->meter);
  verb->add_flag("--json", a->json, "print the summary as JSON");
  verb->footer(
      "Examples:\n"
      "  wattle distil all-minilm-l6-v2 static.gguf\n"
      "  wattle distil all-minilm-l6-v2 static.gguf --width 128 --input messages.jsonl\n"
      "  wattle convert static.gguf static.Q8_0.gguf --to Q8_0\n"
      "  wattle train --on static.gguf --input train.jsonl --output head.gguf");
  verb->callback([a, &options] { run(*a, options); });
}

}  // namespace wattle
