#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <wattle/error.h>
#include <wattle/meter.h>

#include "base/output_file.h"
#include "cli/help.h"
#include "cli/paths.h"
#include "cli/progress.h"
#include "cli/row_writer.h"
#include "cli/verbs.h"
#include "tasks/rows.h"
#include "tasks/task.h"
#include "train/embedder.h"
#include "train/trainer.h"

namespace wattle {
namespace {

struct Arguments {
  std::string kind = "linear", on = "ngrams", input, output, eval, field = "text", label = "label";
  MeterOptions meter;
  TrainOptions train;
  int batch = 32;
  bool json = false;
};

Head train_on_model(const Arguments& arguments, const LabelledRows& data, TrainOptions options,
                    ProgressBar& bar, Work& work) {
  const std::unique_ptr<Model> model = Model::open(model_path(arguments.on));
  Embedder embedder(*model);
  Matrix all(static_cast<int64_t>(data.rows.size()), embedder.width()), some;
  int64_t truncated = 0;
  Truncation longest;
  size_t longest_row = 0;
  const auto batch = static_cast<size_t>(arguments.batch);
  for (size_t begin = 0; begin < data.rows.size(); begin += batch) {
    std::vector<std::string_view> texts;
    for (size_t i = begin; i < std::min(begin + batch, data.rows.size()); ++i)
      texts.push_back(data.rows[i].text());
    const std::vector<EmbeddingRecord> records = embedder.embed(texts, some);
    for (size_t i = 0; i < records.size(); ++i) {
      work += records[i].work;
      const Truncation& truncation = records[i].truncation;
      truncated += truncation.happened() ? 1 : 0;
      if (truncation.tokens <= longest.tokens) continue;
      longest = truncation;
      longest_row = begin + i;
    }
    std::copy_n(some.data(), texts.size() * static_cast<size_t>(embedder.width()),
                all.row(static_cast<int64_t>(begin)).data());
    bar("embedding", begin + texts.size(), data.rows.size());
  }
  if (truncated > 0) {
    fmt::print(stderr, "{}\n", truncation_notice(truncated, longest, fmt::format("row {}", longest_row + 1)));
  }
  const BaseModel base{std::filesystem::weakly_canonical(model_path(arguments.on)).string(),
                       fingerprint(model->file()), embedder.width()};
  return train_on_embeddings(all.view(), base, data.labels, data.label_names, options);
}

Head train_head(const Arguments& arguments, const LabelledRows& data, const GlobalOptions& options,
                Work& work) {
  TrainOptions train = arguments.train;
  train.origin = arguments.input;
  ProgressBar bar(options.quiet);
  train.progress = [&](double part) { bar("training", static_cast<size_t>(1000 * part), 1000); };
  const std::vector<std::string> texts = data.texts();
  if (arguments.on == "ngrams") return train_on_ngrams(texts, data.labels, data.label_names, train);
  return train_on_model(arguments, data, train, bar, work);
}

/// Share of the rows that the saved head answers rightly.
double accuracy(const Arguments& arguments, const LabelledRows& rows) {
  const auto task = Task::create(arguments.output, {.task = "classify"});
  const std::vector<Answer> answers = task->answer(rows.rows);
  int64_t correct = 0;
  for (size_t i = 0; i < answers.size(); ++i) {
    const auto& answer = std::get<LabelAnswer>(answers[i].value);
    correct += answer.name() == rows.label_names[static_cast<size_t>(rows.labels[i])] ? 1 : 0;
  }
  return static_cast<double>(correct) / static_cast<double>(answers.size());
}

nlohmann::ordered_json summary_of(const Arguments& arguments, const Head& head, const Energy& energy) {
  nlohmann::ordered_json summary = {{"output", arguments.output},
                                    {"kind", name(head.kind())},
                                    {"features", head.features()},
                                    {"labels", head.labels()},
                                    {"rows", head.training().rows},
                                    {"parameters", head.parameters()},
                                    {"seed", head.training().seed},
                                    {"seconds", energy.seconds},
                                    {"training_joules", energy.joules},
                                    {"low", energy.low},
                                    {"high", energy.high},
                                    {"grade", name(energy.grade)}};
  if (head.training().cost > 0) summary["cost"] = head.training().cost;
  for (const CostScore& score : head.training().scores) {
    summary["cross_validation"].push_back({{"cost", score.cost}, {"accuracy", score.accuracy}});
  }
  return summary;
}

void print_summary(const nlohmann::ordered_json& summary) {
  fmt::print("{}: {} on {}, {} rows, {} labels, {} parameters\n", summary["output"].get<std::string>(),
             summary["kind"].get<std::string>(), summary["features"].get<std::string>(),
             summary["rows"].get<int64_t>(), summary["labels"].size(), summary["parameters"].get<int64_t>());
  if (summary.contains("cross_validation")) {
    for (const auto& score : summary["cross_validation"]) {
      fmt::print("  cost {:<6g} cross-validated accuracy {:.2f} %{}\n", score["cost"].get<double>(),
                 100 * score["accuracy"].get<double>(), score["cost"] == summary["cost"] ? "  (chosen)" : "");
    }
  }
  fmt::print("  training took {:.3g} s and {:.3g} J ({}, {:.3g} to {:.3g})\n",
             summary["seconds"].get<double>(), summary["training_joules"].get<double>(),
             summary["grade"].get<std::string>(), summary["low"].get<double>(),
             summary["high"].get<double>());
  if (summary.contains("accuracy"))
    fmt::print("  accuracy {:.2f} %\n", 100 * summary["accuracy"].get<double>());
}

void run(Arguments arguments, const GlobalOptions& options) {
  arguments.train.kind = head_kind_from_name(arguments.kind);
  const LabelledRows data =
      read_labelled_rows(arguments.input, {.text_field = arguments.field, .label_field = arguments.label});
  if (data.repaired > 0) {
    fmt::print(stderr, "{} not valid UTF-8; the bad bytes were read as U+FFFD\n",
               data.repaired == 1 ? "1 row was" : fmt::format("{} rows were", data.repaired));
  }
  // Read before the training: a mistake in these rows should not cost it.
  LabelledRows eval;
  if (!arguments.eval.empty()) {
    eval = read_labelled_rows(
        arguments.eval,
        {.text_field = arguments.field, .label_field = arguments.label, .label_names = data.label_names});
  }
  OutputFile::check(arguments.output);
  const auto meter = Meter::open(arguments.meter);
  if (!options.quiet && !meter->notice().empty()) fmt::print(stderr, "{}\n", meter->notice());
  Work work;
  const auto window = meter->begin();
  Head head = train_head(arguments, data, options, work);
  // Solvers and tree growers are not the engine's work: without a counter, processor time is what there is to
  // go by.
  const Energy energy = meter->end(window);
  TrainingRecord& record = head.training();
  record.seconds = energy.seconds;
  record.joules = energy.joules, record.joules_low = energy.low, record.joules_high = energy.high;
  record.grade = name(energy.grade);
  head.save(arguments.output);
  auto summary = summary_of(arguments, head, energy);
  if (!arguments.eval.empty()) summary["accuracy"] = accuracy(arguments, eval);
  if (arguments.json) {
    fmt::print("{}\n", summary.dump(2));
  } else {
    print_summary(summary);
  }
}

}  // namespace

void add_train(CLI::App& app, const GlobalOptions& options) {
  CLI::App* verb =
      app.add_subcommand("train", "Train a small classifier: keyword rule, linear head or random forest");
  auto a = std::make_shared<Arguments>();
  verb->add_option("--kind", a->kind, "majority, keywords, linear or forest")->capture_default_str();
  verb->add_option("--on", a->on, "ngrams (word 1-2-grams), or an encoder whose frozen embeddings to read")
      ->capture_default_str();
  verb->add_option("--input,-i", a->input, "labelled rows: .jsonl, .csv or .tsv, also gzipped")->required();
  verb->add_option("--field", a->field, "the field that holds the text")->capture_default_str();
  verb->add_option("--label", a->label, "the field that holds the label")->capture_default_str();
  verb->add_option("--output,-o", a->output, "the file to write; `wattle run` takes it like any model")
      ->required();
  verb->add_option("--eval", a->eval, "labelled rows to state the accuracy on");
  verb->add_option("--seed", a->train.seed, "of folds and trees")->capture_default_str();
  verb->add_option("--cost", a->train.costs, "costs to choose from by cross-validation, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb->add_option("--trees", a->train.trees, "of the forest")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  verb->add_option("--keywords", a->train.keywords, "of the rule, at most, for each label")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  verb->add_option("--batch", a->batch, "rows that are embedded together")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  verb->add_option("--meter", a->meter.source,
                   "force a source of energy: rapl, model, file:PATH, exec:COMMAND");
  verb->add_flag("--require-measured", a->meter.require_measured, "exit with 3 rather than model the energy");
  verb->add_flag("--json", a->json, "print the summary as JSON");
  verb->footer(
      "Examples:\n"
      "  wattle train --input train.jsonl --output linear.gguf --eval eval.jsonl\n"
      "  wattle train --kind forest --input mine.csv --field message --label kind --output forest.gguf\n"
      "  wattle train --on all-minilm-l6-v2 --input train.jsonl --output head.gguf\n"
      "Labels are names or, with a meta.json beside the rows, indices into its `labels`.");
  verb->callback([a, &options] { run(*a, options); });
}

}  // namespace wattle
