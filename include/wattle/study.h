#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <wattle/meter.h>
#include <wattle/statistics.h>

namespace wattle::inline study {

/// How a rung of the ladder answers.
enum class RungKind {
  kMajority,  ///< always the commonest label of the training rows
  kKeywords,  ///< the label with the most of its keywords in the text
  kLinear,    ///< logistic regression on word n-grams
  kForest,    ///< random forest on word n-grams
  kHead,      ///< frozen encoder with a trained linear head
  kNearest,   ///< frozen encoder, the labels of the nearest training rows
  kZeroShot,  ///< language model, by the likelihood of each label's words
  kModel,     ///< any model at the plan's task: its own head, or by prompting
  kCommand,   ///< a foreign program that reads questions and writes answers as JSON lines
  kServer,    ///< an HTTP endpoint
  kCascade,   ///< other rungs in a row: the next is asked where the one before is unsure
};
std::string_view name(RungKind kind);

/// What a rung that names a shape is with published weights (take_published_weights()).
struct PublishedWeights {
  std::string model;       ///< OWNER/NAME of the hub, or a name of the catalogue; empty: none are named
  int64_t max_tokens = 0;  ///< in place of the rung's, because a shape never ends by itself; 0: the same
  std::map<std::string, std::string> words;  ///< what the model calls the data's labels; none: as the data
};

/// What make_quick() leaves of a plan. Empty: what the plan has.
struct QuickPlan {
  std::vector<std::string> rungs, precisions;
  int64_t rows = 0;
};

/// One entry of the ladder. What a kind does not take stays as it is here; the plan's reader refuses it.
struct Rung {
  std::string name;
  RungKind kind = RungKind::kMajority;
  std::string model;  ///< catalogue name or path, of a server the name that it knows; empty: none
  /// As precisions are written: Q8_0, as-published, or Q4_K,output=Q6_K,cache=Q8_0; empty where the kind has
  /// none.
  std::vector<std::string> precisions;
  PublishedWeights published;
  std::string prompt;  ///< "{text}" stands for the row's text
  std::map<std::string, std::string>
      words;                         ///< classify: what the model is to say for a label; default: the label
  int examples = 0;                  ///< classify: training rows shown before the question, one label in turn
  int64_t max_tokens = 0;            ///< of a generated text; 0: as the task has it
  int64_t beams = 0;                 ///< of a generated text; 1: no beam search; 0: the model's own settings
  int64_t top = 0;                   ///< fill and answer: how many are answered; 0: as the task has it
  std::string from, to;              ///< translate: languages
  std::string task;                  ///< rank, choose: the model's own task by which it is done
  std::vector<std::string> command;  ///< program and arguments
  std::string url, api;              ///< server: where it answers, and "openai", "tei" or "huggingface"
  int64_t pid = 0;                   ///< server: its process on this machine
  std::string meter;                 ///< server on another machine: the source that measures it
  std::vector<std::string> stages;   ///< cascade: names of rungs, the cheapest first
  double target = 0.99;              ///< cascade: share of the last stage's accuracy to keep on training rows
};

/// What a plan's `paper` may be: the tasks of "Power Hungry Processing" about text, in the paper's order.
const std::vector<std::string>& paper_tasks();

/// A study as its YAML file states it (docs: examples/plans/demo.yaml). One cell is one rung at one
/// precision.
struct Plan {
  std::string name;
  std::string data;        ///< catalogue name, folder with train.jsonl and eval.jsonl, or one file of rows
  std::string train_data;  ///< with `data` empty: training and evaluation rows in files of their own
  std::string eval_data;
  /// What is asked: "classify", "tag", "answer", "fill", "generate", "summarise", "translate", "perplexity",
  /// "similarity", "rank", "choose", "table".
  std::string task = "classify";
  std::string text = "text";  ///< field of a row
  std::string label = "label";
  std::vector<std::string>
      labels;  ///< classify, table: the data's labels in the order of their indices; none: its own
  std::map<std::string, std::string> fields;  ///< other parts of a row by the task's names for them
  std::vector<std::string> leave_out;         ///< table: columns that are not looked at
  std::string split = "auto";  ///< "auto": the data's own; "hash": by label and SHA-256 of seed and text
  double eval_share = 0.2;     ///< of a hash split
  int64_t max_train = 0;       ///< rows at most; 0: all
  int64_t max_eval = 0;
  std::vector<std::string> metrics{"accuracy"};  ///< the first decides; all are reported
  std::optional<double> quality;  ///< bar for the advice in the report, in the first metric's own numbers
  std::vector<Rung> rungs;
  QuickPlan quick;
  int threads = 0;  ///< 0: one a physical core
  int rounds = 5;
  int max_rounds = 0;          ///< 0: as `rounds`; more: go on until every interval is below `interval`
  double interval = 0.05;      ///< statistical half-width of a cell's energy, relative
  double window_seconds = 1;   ///< a window repeats its rows until it is that long
  double warm_up_seconds = 3;  ///< at most, each time a cell's process starts
  double disturbance =
      0.1;           ///< share of the processors' time taken by others beyond which a window is repeated
  int attempts = 3;  ///< at most, before a disturbed window is kept and marked
  double time_limit_seconds = 900;  ///< for one window of one cell; then its process is ended
  std::string meter;                ///< source by name; empty: the best there is
  std::string paper;  ///< task of "Power Hungry Processing" whose figures stand beside ours in the report
  std::string zone;   ///< of the electricity, for grams of CO2e; empty: none is told
  uint64_t seed = 1;
};

/// Reads a plan strictly. Error "FILE:LINE: what is wrong; cure" for an unknown key, a wrong type or value.
Plan parse_plan(std::string_view yaml, const std::string& file_name);
Plan read_plan(const std::filesystem::path& path);
/// The plan as YAML that parse_plan reads back to the same plan.
std::string to_yaml(const Plan& plan);

/// A look at everything, or at what the plan's `quick` names, in a small part of the time: 2 rounds, short
/// windows, 200 rows at most. Figures are rough.
void make_quick(Plan& plan);
/// Every rung that names `published` weights has them in place of its model. Error when none does.
void take_published_weights(Plan& plan);

/// One measured window of a cell, as the store keeps it.
struct Window {
  std::string kind;  ///< "queries", "load", "train", "convert", "threshold"
  int round = 0;     ///< of a preparation: which one of its kind among those of the cell
  int attempt = 0;
  int64_t queries = 0;  ///< answered in the window, repeats counted
  Energy energy;
  std::string readings;         ///< JSON: the raw samples that `energy` follows from (meter/raw_window.h)
  std::string readings_sha256;  ///< of them, as the worker that took them told
  std::vector<double> latencies_ms;  ///< one a query, or the mean of `queries_a_latency` in a row
  int64_t queries_a_latency = 1;     ///< more where one takes less than 20 microseconds
  int64_t peak_memory_bytes = 0;
  std::string outputs_sha256;  ///< of the answers to the round's rows, in order
  std::string conditions;      ///< JSON: governor, turbo, SMT, temperature, throttling, steal, other load
  double disturbance = 0;      ///< share of the processors' time taken by others
  bool accepted = true;
  std::string remark;  ///< why it was rejected, or kept although disturbed
};

/// One answer to an evaluation row.
struct Output {
  int64_t row = 0;     ///< index into Results::truths
  std::string answer;  ///< JSON, without its longer parts where it would be too long to keep
  std::vector<std::vector<double>> scores;  ///< what the row contributes to each of the plan's metrics
};

/// What was published of a cell, and the raw samples that it was computed from.
struct CellResult {
  std::string key, rung, kind, model;
  std::string precision;  ///< empty for rungs without a neural model, as are their bits
  std::optional<double> bits_per_weight;
  std::string note;                         ///< of the precision: mixtures, "from Q4_1", fallbacks
  int64_t n = 0;                            ///< rows with an answer
  std::optional<Interval> quality;          ///< by the plan's first metric
  std::map<std::string, Interval> metrics;  ///< by all of the plan's metrics that are defined for the answers
  std::optional<Interval> wh_per_1000;      ///< without bounds where fewer than three windows were kept
  std::optional<Interval> net_wh_per_1000;  ///< above idle; nothing where idle is not known
  std::optional<Interval> grams_per_1000;  ///< CO2e, where the plan names a zone: of that factor as it stands
  double wh_statistical = 0;  ///< relative half-width of wh_per_1000 from repetition alone; NaN as its bounds
  double idle_share = 0;      ///< part of the energy that the idle machine would have drawn
  double watts = 0;           ///< mean power of the accepted windows
  Grade grade = Grade::kModelled;
  std::string source, scope;
  double p50_ms = 0, p95_ms = 0;
  int64_t peak_memory_bytes = 0;
  std::optional<Interval> load_wh;
  std::optional<Interval> preparation_wh;  ///< training, conversion, choosing thresholds: once
  int windows = 0, rejected = 0, disturbed = 0, outliers = 0;
  bool answers_repeat = true;  ///< every repeated window gave the same bytes
  std::string error;           ///< the sentence of a cell that failed

  std::vector<Window> samples;
  std::vector<Output> outputs;
};

/// How far a race came (RaceRules): a cell that cannot win any more is measured no further.
struct Race {
  int rounds = 0;                              ///< that were measured and looked at
  std::map<std::string, std::string> stopped;  ///< by the key of a cell: why the race went on without it
  std::string ended;         ///< the sentence that says why no further round was measured; empty: it goes on
  bool decided = false;      ///< it ended because nothing is left open
  bool out_of_time = false;  ///< it ended by its time limit; the same study may go on
  std::string rules;         ///< the name of the rules by which it was looked at
};

struct Results {
  Plan plan;
  std::string machine;  ///< JSON: processor, threads, instruction set, system, governor
  std::string began;    ///< UTC, ISO 8601
  std::vector<std::string> labels;
  std::vector<std::string> truths;  ///< of every evaluation row, as JSON (study/scoring.h)
  int64_t train_rows = 0;
  std::vector<CellResult> cells;  ///< in the plan's order
  /// A contender that answers at once with nothing, measured in the same rounds: what asking costs by itself.
  /// The energies of queries are net of it, in every cell.
  std::optional<CellResult> empty;
  std::optional<Race> race;  ///< of a study that was one
  bool complete = false;
};

/// Progress of a study: what runs, how many of how many windows are done, and the seconds that remain
/// (negative: unknown).
struct StudyProgress {
  std::string what;
  int done = 0, total = 0;
  double seconds_left = -1;
};

/// Makes a study a race: after every round `look` says which cells go on and whether any does. The first
/// `rounds` of the plan ask all evaluation rows once; the race has as many as it needs.
struct RaceRules {
  /// Of the rules with their numbers. What others decided about the same study is forgotten.
  std::string name;
  /// Gets everything measured so far, summarised; `race.rounds` counts the round that was just finished.
  std::function<void(const Results&, Race& race)> look;
  double seconds = 600;  ///< no round begins that would most likely end later, but for the first
};

struct StudyOptions {
  std::filesystem::path directory;  ///< of the store and the prepared models; made when it is not there
  std::filesystem::path program;    ///< the executable whose verb `worker` runs a cell
  std::string isa;                  ///< forced instruction set, or empty
  bool restart = false;             ///< forgets what was measured before
  std::function<std::filesystem::path(const std::string&)> resolve_model;
  std::function<std::filesystem::path(const std::string&)> resolve_data;
  std::function<void(const StudyProgress&)> progress;
  std::function<void(const std::string&)> notice;  ///< one line: a cell failed, a window was repeated
  std::optional<RaceRules> race;
  std::function<void(const Results&)> measured;  ///< after each window: everything so far, summarised
};

/// Runs what is missing of a study and returns its results. Resumes what an earlier call left; a changed plan
/// in the same directory is an Error. Error with exit status 130 on Ctrl-C: everything measured so far is
/// kept.
Results run_study(const Plan& plan, const StudyOptions& options);

/// Reads a study back; `path` is its directory or its store. Figures are those that were published when it
/// was written.
Results load_results(const std::filesystem::path& path);

/// Computes every figure of `results` again from its raw samples.
void summarise(Results& results);

/// Makes `metric` the first of the results' metrics, scores the answers by it where the plan did not ask for
/// it, and summarises. Error where an answer was too long to be kept whole.
void use_metric(Results& results, const std::string& metric);

/// The serving side of a cell: one JSON request on `input`, JSON lines on `output`. The hidden verb `worker`
/// calls it.
int run_worker(std::istream& input, std::ostream& output);

}  // namespace wattle::inline study
