#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <wattle/error.h>
#include <wattle/meter.h>

#include "base/output_file.h"
#include "cli/help.h"
#include "cli/paths.h"
#include "cli/progress.h"
#include "cli/row_writer.h"
#include "cli/verbs.h"
#include "data/labelled_rows.h"
#include "data/labelled_table.h"
#include "tasks/tag_training.h"
#include "tasks/tagged_rows.h"
#include "tasks/task.h"
#include "train/embedder.h"
#include "train/trainer.h"

namespace wattle {
namespace {

/// Costs of a head on standardised hidden states: some hundred features, each as large as a whole embedding.
const std::vector<double> kTokenCosts = {0.0005, 0.002, 0.008, 0.03};

struct Arguments {
  std::string task = "classify", kind = "linear", on = "ngrams", features = "auto", input, output, eval,
              field, label;
  std::vector<std::string> leave_out, categories;
  MeterOptions meter;
  TrainOptions train;
  int batch = 32;
  bool json = false, costs_given = false, table = false;
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

Head train_head(const Arguments& arguments, const TaggedRows& data, const GlobalOptions& options,
                Work& work) {
  TrainOptions train = arguments.train;
  train.origin = arguments.input;
  ProgressBar bar(options.quiet);
  const std::string path = model_path(arguments.on);
  const std::unique_ptr<Model> model = Model::open(path);
  return train_token_head(
      *model, std::filesystem::weakly_canonical(path).string(), data, train,
      [&](const std::string& what, double part) { bar(what, static_cast<size_t>(1000 * part), 1000); }, work);
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

TableData table_of(const Arguments& arguments, const LabelledTable& data) {
  TableData table{data.column_names(), {}, arguments.categories};
  for (const Question& row : data.rows) table.rows.push_back(row.table_row());
  return table;
}

Head train_head(const Arguments& arguments, const LabelledTable& data, const GlobalOptions& options, Work&) {
  TrainOptions train = arguments.train;
  train.origin = arguments.input;
  ProgressBar bar(options.quiet);
  train.progress = [&](double part) { bar("training", static_cast<size_t>(1000 * part), 1000); };
  const TableData table = table_of(arguments, data);
  if (arguments.task == "regression")
    return train_numbers_on_table(table, std::vector<float>(data.numbers.begin(), data.numbers.end()), train);
  return train_on_table(table, data.labels, data.label_names, train);
}

using Json = nlohmann::ordered_json;

/// Share of the rows that the saved head answers rightly.
Json quality(const Arguments& arguments, const LabelledRows& rows) {
  const auto task = Task::create(arguments.output, {.task = "classify"});
  const std::vector<Answer> answers = task->answer(rows.rows);
  int64_t correct = 0;
  for (size_t i = 0; i < answers.size(); ++i) {
    const auto& answer = std::get<LabelAnswer>(answers[i].value);
    correct += answer.name() == rows.label_names[static_cast<size_t>(rows.labels[i])] ? 1 : 0;
  }
  return {{"accuracy", static_cast<double>(correct) / static_cast<double>(answers.size())}};
}

/// The same of a table's rows; of numbers the root of the mean squared error, and R2.
Json quality(const Arguments& arguments, const LabelledTable& table) {
  if (table.numbers.empty()) return quality(arguments, static_cast<const LabelledRows&>(table));
  const auto task = Task::create(arguments.output, {.task = "regression"});
  const std::vector<Answer> answers = task->answer(table.rows);
  double mean = 0, errors = 0, variance = 0;
  const auto count = static_cast<double>(answers.size());
  for (const double number : table.numbers) mean += number / count;
  for (size_t i = 0; i < answers.size(); ++i) {
    const double truth = table.numbers[i];
    const double off = std::get<ScoreAnswer>(answers[i].value).score - truth;
    errors += off * off;
    variance += (truth - mean) * (truth - mean);
  }
  Json quality = {{"rmse", std::sqrt(errors / count)}};
  if (variance > 0) quality["r2"] = 1 - errors / variance;
  return quality;
}

/// Words that the saved head labels rightly, and spans that it finds, by what `run --task tag` answers.
Json quality(const Arguments& arguments, const TaggedRows& rows) {
  TaskOptions options{.task = "tag"};
  options.head.overlap = 0;  // nothing is cut away
  const auto task = Task::create(arguments.output, options);
  const TagScores scores = score_tags(rows.rows, task->answer(rows.questions()));
  return {{"accuracy", scores.accuracy()},
          {"span_f1", scores.f1()},
          {"span_precision", scores.precision()},
          {"span_recall", scores.recall()},
          {"spans", scores.wanted}};
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
  if (!head.training().notes.empty()) summary["notes"] = head.training().notes;
  if (head.training().cost > 0) summary["cost"] = head.training().cost;
  const auto* nearest = std::get_if<NearestModel>(&head.parts().classifier);
  if (nearest != nullptr) summary["neighbours"] = nearest->neighbours();
  const char* const measure = head.answers_numbers() ? "r2" : "accuracy";
  for (const CostScore& score : head.training().scores) {
    summary["cross_validation"].push_back(
        {{nearest != nullptr ? "neighbours" : "cost", score.cost}, {measure, score.accuracy}});
  }
  return summary;
}

void print_summary(const nlohmann::ordered_json& summary) {
  fmt::print("{}: {} on {}, {} rows, {} labels, {} parameters\n", summary["output"].get<std::string>(),
             summary["kind"].get<std::string>(), summary["features"].get<std::string>(),
             summary["rows"].get<int64_t>(), summary["labels"].size(), summary["parameters"].get<int64_t>());
  if (summary.contains("cross_validation")) {
    const char* const what = summary.contains("neighbours") ? "neighbours" : "cost";
    for (const auto& score : summary["cross_validation"]) {
      const bool is_share = score.contains("accuracy");
      fmt::print("  {} {:<6g} cross-validated {} {:.4g}{}\n", what, score[what].get<double>(),
                 is_share ? "accuracy" : "R2",
                 is_share ? 100 * score["accuracy"].get<double>() : score["r2"].get<double>(),
                 fmt::format("{}{}", is_share ? " %" : "", score[what] == summary[what] ? "  (chosen)" : ""));
    }
  }
  fmt::print("  training took {:.3g} s and {:.3g} J ({}, {:.3g} to {:.3g})\n",
             summary["seconds"].get<double>(), summary["training_joules"].get<double>(),
             summary["grade"].get<std::string>(), summary["low"].get<double>(),
             summary["high"].get<double>());
  const auto percent = [&](const char* key) { return 100 * summary[key].get<double>(); };
  if (summary.contains("accuracy"))
    fmt::print("  accuracy {:.2f} %{}\n", percent("accuracy"), summary.contains("spans") ? " of words" : "");
  if (summary.contains("rmse")) {
    fmt::print("  RMSE {:.6g}{}\n", summary["rmse"].get<double>(),
               summary.contains("r2") ? fmt::format(", R2 {:.4f}", summary["r2"].get<double>()) : "");
  }
  if (summary.contains("spans")) {
    fmt::print("  span F1 {:.2f} % (precision {:.2f} %, recall {:.2f} % of {} spans)\n", percent("span_f1"),
               percent("span_precision"), percent("span_recall"), summary["spans"].get<int64_t>());
  }
}

LabelledRows read_rows(const Arguments& arguments, const std::string& path, const LabelledRows* training) {
  LabelledOptions options;
  if (!arguments.field.empty()) options.text_field = arguments.field;
  if (!arguments.label.empty()) options.label_field = arguments.label;
  if (training != nullptr) options.label_names = training->label_names;
  return read_labelled_rows(path, options);
}

LabelledTable read_rows(const Arguments& arguments, const std::string& path, const LabelledTable* training) {
  TableOptions options{.leave_out = arguments.leave_out, .numbers = arguments.task == "regression"};
  if (!arguments.label.empty()) options.label_field = arguments.label;
  if (training != nullptr) {
    options.label_names = training->label_names;
    options.columns = training->columns;
  }
  return read_labelled_table(path, options);
}

TaggedRows read_rows(const Arguments& arguments, const std::string& path, const TaggedRows* training) {
  TaggedOptions options{
      .field = arguments.field, .label_field = arguments.label, .bad_rows = BadRows::kLeaveOut};
  if (training != nullptr) options.labels = training->labels.labels();
  return read_tagged_rows(path, options);
}

void print_remarks(const std::vector<std::string>& remarks) {
  for (const std::string& remark : remarks) fmt::print(stderr, "{}\n", remark);
}

template <class LabelledData>
void run(const Arguments& arguments, const GlobalOptions& options) {
  const auto data = read_rows(arguments, arguments.input, static_cast<const LabelledData*>(nullptr));
  if (data.repaired > 0) {
    fmt::print(stderr, "{} not valid UTF-8; the bad bytes were read as U+FFFD\n",
               data.repaired == 1 ? "1 row was" : fmt::format("{} rows were", data.repaired));
  }
  // Read before the training: a mistake in these rows should not cost it.
  std::optional<LabelledData> eval;
  if (!arguments.eval.empty()) eval = read_rows(arguments, arguments.eval, &data);
  print_remarks(data.remarks);
  if (eval) print_remarks(eval->remarks);
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
  for (const std::string& note : record.notes) {
    if (!options.quiet) fmt::print(stderr, "{}\n", note);
  }
  auto summary = summary_of(arguments, head, energy);
  if (eval) summary.update(quality(arguments, *eval));
  if (arguments.json) {
    fmt::print("{}\n", summary.dump(2));
  } else {
    print_summary(summary);
  }
}

/// Regression is of tables; classification where it is asked for, or the rows have no text but several
/// fields.
bool is_table_task(const Arguments& arguments) {
  if (arguments.task != "classify") return arguments.task == "regression";
  return arguments.table ||
         (arguments.field.empty() &&
          is_table(arguments.input, "text", arguments.label.empty() ? "label" : arguments.label));
}

void run_task(Arguments arguments, const GlobalOptions& options) {
  arguments.train.kind = head_kind_from_name(arguments.kind, "--kind");
  arguments.train.units = text_units_from_name(arguments.features);
  if (is_table_task(arguments)) {
    if (arguments.on != "ngrams")
      fail("--on {}: a table's rows are no texts for an encoder; leave it out", arguments.on);
    if (!arguments.costs_given) arguments.train.costs = kTableCosts;
    return run<LabelledTable>(arguments, options);
  }
  if (!arguments.leave_out.empty() || !arguments.categories.empty())
    fail("--leave-out and --categories name columns of a table; give --table");
  if (arguments.task == "classify") return run<LabelledRows>(arguments, options);
  if (arguments.on == "ngrams") fail("--task tag: labels tokens, which an encoder reads; name one with --on");
  if (!arguments.costs_given) arguments.train.costs = kTokenCosts;
  run<TaggedRows>(arguments, options);
}

}  // namespace

void add_train(CLI::App& app, const GlobalOptions& options) {
  CLI::App* verb =
      app.add_subcommand("train", "Train a keyword rule, linear head or forest, for texts, tokens or tables");
  auto a = std::make_shared<Arguments>();
  verb->add_option(
          "--task", a->task,
          "classify: a label a text or row; regression: a number a row of a table; tag: labels of tokens, "
          "joined to spans")
      ->check(CLI::IsMember({"classify", "regression", "tag"}))
      ->capture_default_str();
  verb->add_option("--kind", a->kind, "majority, keywords, linear, forest or nearest")->capture_default_str();
  verb->add_option("--on", a->on, "ngrams, or an encoder whose frozen embeddings to read")
      ->capture_default_str();
  verb->add_option("--features", a->features,
                   "n-grams of words (1 to 2), characters (2 to 5) or both; auto: words, and characters too "
                   "where words serve less than nine in ten texts (Chinese, emoji, code)")
      ->check(CLI::IsMember({"auto", "words", "characters", "both"}))
      ->capture_default_str();
  verb->add_option("--input,-i", a->input, "labelled rows: .jsonl, .csv or .tsv, also gzipped")->required();
  verb->add_option("--field", a->field,
                   "the field of the text (text), or of words or text to tag (tokens, words or text)");
  verb->add_option("--label", a->label,
                   "the field of the label (label), or of the words' tags (tags, ner_tags) or a text's spans "
                   "(spans, entities)");
  verb->add_flag(
      "--table", a->table,
      "the rows are of a table: every field but the label and `id` is a column of numbers or "
      "categories, and may be missing (so it is where rows have a label, no text and several fields)");
  verb->add_option("--leave-out", a->leave_out, "columns of the table to leave out, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false);
  verb->add_option("--categories", a->categories,
                   "columns of the table whose numbers are names of categories, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false);
  verb->add_option("--output,-o", a->output, "the file to write; `wattle run` takes it like any model")
      ->required();
  verb->add_option("--eval", a->eval,
                   "labelled rows to state the accuracy on; tag: and span F1; regression: RMSE and R2");
  verb->add_option("--seed", a->train.seed, "of folds and trees")->capture_default_str();
  verb->add_option("--cost", a->train.costs,
                   fmt::format("costs to choose from by cross-validation, separated by commas ({}; tag: {}; "
                               "tables: {})",
                               fmt::join(a->train.costs, ","), fmt::join(kTokenCosts, ","),
                               fmt::join(kTableCosts, ",")))
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::PositiveNumber);
  verb->add_option("--trees", a->train.trees, "of the forest")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  verb->add_option("--keywords", a->train.keywords, "of the rule, at most, for each label")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  verb->add_option("--batch", a->batch, "rows that are embedded together")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  add_meter_flags(*verb, a->meter);
  verb->add_flag("--json", a->json, "print the summary as JSON");
  verb->footer(
      "Examples:\n"
      "  wattle train --input train.jsonl --output linear.gguf --eval eval.jsonl\n"
      "  wattle train --kind forest --input mine.csv --field message --label kind --output forest.gguf\n"
      "  wattle train --on all-minilm-l6-v2 --input train.jsonl --output head.gguf\n"
      "  wattle train --task tag --on all-minilm-l6-v2 --input wnut17/train.jsonl --output tags.gguf\n"
      "  wattle train --input customers.csv --label churned --leave-out customer_id --output churn.gguf\n"
      "  wattle train --task regression --kind forest --input houses.csv --label price --output price.gguf\n"
      "Rows to tag are JSON Lines of words and tags, {\"tokens\": [\"Ada\"], \"tags\": [\"B-PER\"]}, or of "
      "texts "
      "with spans,\n{\"text\": \"Ada\", \"spans\": [{\"start\": 0, \"end\": 3, \"label\": \"PER\"}]}.\n"
      "Labels are names or, with a meta.json beside the rows, indices into its `labels`.");
  verb->callback([verb, a, &options] {
    a->costs_given = verb->count("--cost") > 0;
    run_task(*a, options);
  });
}

}  // namespace wattle
