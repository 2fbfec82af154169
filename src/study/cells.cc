#include "study/cells.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <set>

#include <wattle/error.h>

#include "base/sha256.h"
#include "families/open_file.h"
#include "file/model_file.h"
#include "models/convert.h"
#include "models/shapes.h"
#include "statistics/random.h"
#include "study/plan_task.h"
#include "study/rung_yaml.h"

namespace wattle::inline study {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// Of a folder: of its files' names and contents. A shape is told by its name.
std::string content_hash(const fs::path& path) {
  if (is_shape(path.string())) return sha256_hex(path.string());
  if (!fs::is_directory(path)) return sha256_hex_of_file(path);
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  Sha256 hash;
  for (const fs::path& file : files) {
    hash.add(file.lexically_relative(path).string() + " " + sha256_hex_of_file(file) + "\n");
  }
  return hash.hex();
}

/// For people: what answers in a rung.
std::string model_of(const Rung& rung, const PlanTask& task) {
  switch (rung.kind) {
    case RungKind::kMajority:
      return task.labelled ? "commonest label" : "mean";
    case RungKind::kKeywords:
      return "keyword rule";
    case RungKind::kLinear:
      if (task.table) return task.labelled ? "logistic regression" : "ridge regression";
      return "n-grams + logistic regression";
    case RungKind::kForest:
      return task.table ? "random forest" : "n-grams + random forest";
    case RungKind::kCommand:
      return fmt::format("{}", fmt::join(rung.command, " "));
    case RungKind::kServer:
      return rung.model.empty() ? rung.url : rung.model + " at " + rung.url;
    case RungKind::kCascade:
      return fmt::format("{}", fmt::join(rung.stages, ", then "));
    default:
      return rung.model;
  }
}

class Planner {
 public:
  Planner(const Plan& plan, const StudyData& data, const StudyOptions& options)
      : plan_(plan),
        task_(plan_task(plan)),
        data_(data),
        prepared_(options.directory / "prepared"),
        options_(options) {
    const bool cascades =
        std::ranges::any_of(plan.rungs, [](const Rung& rung) { return rung.kind == RungKind::kCascade; });
    held_out_ = cascades ? held_out_rows(data.train, plan.seed) : std::vector<bool>(data.train.rows.size());
  }

  CellPlan run() {
    for (const Rung& rung : plan_.rungs) add_rung(rung);
    // Their stages may stand after them.
    for (Cell& cell : cells_.cells) {
      if (cell.rung->kind == RungKind::kCascade) join_stages(cell);
    }
    return std::move(cells_);
  }

 private:
  void add_rung(const Rung& rung) {
    fs::path model;
    std::string hash, error;
    if (has_precisions(rung.kind)) {
      try {
        model = options_.resolve_model(rung.model);
        hash = content_hash(model);
      } catch (const Error& caught) {
        error = caught.what();
      }
    }
    std::vector<size_t> needs;
    if (error.empty() && learns(rung.kind)) needs.push_back(add_training(rung, model, hash));
    const std::vector<std::string> none{""};
    for (const std::string& precision : rung.precisions.empty() ? none : rung.precisions) {
      Cell cell = new_cell(rung, precision, hash);
      cell.result.error = error;
      cell.needs = needs;
      if (error.empty()) fill_in(cell, model, hash);
      cells_.cells.push_back(std::move(cell));
    }
  }

  Cell new_cell(const Rung& rung, const std::string& precision, const std::string& hash) const {
    Cell cell;
    cell.rung = &rung;
    CellResult& result = cell.result;
    result.rung = rung.name;
    result.kind = name(rung.kind);
    result.model = model_of(rung, task_);
    result.precision = precision;
    if (!precision.empty()) cell.precision = Precision::parse(precision);
    YAML::Emitter text;
    Rung told = rung;
    told.model = hash.empty() ? rung.model : hash;  // where the model lies is no part of what it answers
    told.precisions = {precision};
    write_rung(text, told);
    const Json identity{
        {"rung", text.c_str()}, {"task", plan_.task}, {"data", data_.sha256}, {"seed", plan_.seed}};
    result.key = sha256_hex(identity.dump(-1, ' ', false, Json::error_handler_t::replace)).substr(0, 16);
    return cell;
  }

  size_t add_training(const Rung& rung, const fs::path& model, const std::string& hash) {
    Preparation training;
    training.kind = "train";
    training.what = fmt::format("training {}", rung.name);
    training.rows.resize(data_.train.rows.size());
    std::iota(training.rows.begin(), training.rows.end(), size_t{0});
    const std::string head_kind(rung.kind == RungKind::kHead ? name(RungKind::kLinear) : name(rung.kind));
    training.request = {{"verb", "train"},
                        {"kind", head_kind},
                        {"base", model.string()},
                        {"seed", plan_.seed},
                        {"label_names", data_.labels()},
                        {"labels", data_.train.labels}};
    if (task_.table) add_columns(training.request);
    // Where the base lies is no part of what the head is.
    training.key = sha256_hex(Json{head_kind, hash, plan_.seed, data_.sha256}.dump()).substr(0, 16);
    training.path = prepared_ / (training.key + ".head.gguf");
    return add(std::move(training));
  }

  /// The same training without the rows held out.
  size_t add_training_for_choosing(Preparation training) {
    std::erase_if(training.rows, [&](size_t row) { return held_out_[row]; });
    std::vector<int> labels;
    for (const size_t row : training.rows) labels.push_back(data_.train.labels[row]);
    training.request["labels"] = std::move(labels);
    training.what += " without the rows held out";
    training.key = sha256_hex(Json{training.key, training.rows}.dump()).substr(0, 16);
    training.path = prepared_ / (training.key + ".head.gguf");
    return add(std::move(training));
  }

  void add_columns(Json& request) const {
    Json& columns = request["columns"] = Json::array();
    Json& categories = request["categories"] = Json::array();
    for (const DataColumn& column : data_.columns) {
      columns.push_back(column.name);
      if (!column.is_number) categories.push_back(column.name);
    }
    if (!task_.labelled) request["numbers"] = data_.train.numbers;
  }

  size_t add(Preparation preparation) {
    if (preparation.kind != "threshold") preparation.request["path"] = preparation.path.string();
    auto& all = cells_.preparations;
    const auto same =
        std::find_if(all.begin(), all.end(), [&](const auto& p) { return p.path == preparation.path; });
    if (same != all.end()) return static_cast<size_t>(same - all.begin());
    all.push_back(std::move(preparation));
    return all.size() - 1;
  }

  void fill_in(Cell& cell, const fs::path& model, const std::string& hash) {
    const Rung& rung = *cell.rung;
    cell.weights = model;
    cell.open = {{"verb", "open"}, {"task", task_.answers}};
    if (has_precisions(rung.kind)) cell.open["precision"] = cell.precision.name();
    if (is_shape(model.string())) {
      cell.weights = shape_at(model.string(), cell.precision);
    } else if (has_precisions(rung.kind) && cell.precision.changes_weights()) {
      const std::string precision = cell.precision.of_weights().name();
      Preparation conversion;
      conversion.kind = "convert";
      conversion.what = fmt::format("converting {} to {}", rung.model, precision);
      conversion.request = {{"verb", "convert"}, {"model", model.string()}, {"precision", precision}};
      conversion.key = sha256_hex(Json{hash, precision}.dump()).substr(0, 16);
      conversion.path = cell.weights = prepared_ / (conversion.key + ".gguf");
      cell.needs.push_back(add(std::move(conversion)));
    }
    if (!learns(rung.kind)) {
      open_contender(cell);
      return;
    }
    const fs::path head = cells_.preparations[cell.needs.front()].path;
    cell.open["model"] = head.string();
    if (rung.model.empty()) {
      cell.weights = head;
    } else {
      cell.open["base"] = cell.weights.string();
    }
    if (task_.labelled) cell.open["answers"] = data_.labels();
  }

  /// Of a model that is asked as it is, a command or a server.
  void open_contender(Cell& cell) const {
    const Rung& rung = *cell.rung;
    Json& open = cell.open;
    if (rung.kind == RungKind::kZeroShot || rung.kind == RungKind::kModel)
      open["model"] = cell.weights.string();
    if (rung.kind == RungKind::kCommand) open["kind"] = "command", open["command"] = rung.command;
    if (rung.kind == RungKind::kServer) {
      open["kind"] = "server", open["url"] = rung.url, open["api"] = rung.api;
      if (!rung.model.empty()) open["model"] = rung.model;
      if (rung.pid > 0) open["pid"] = rung.pid;
    }
    if (!rung.task.empty()) open["task"] = rung.task;
    if (!rung.prompt.empty()) open["prompt"] = rung.prompt;
    if (rung.max_tokens > 0) open["max_tokens"] = rung.max_tokens;
    if (rung.beams > 0) open["beams"] = rung.beams;
    if (rung.top > 0) open["top"] = rung.top;
    if (!rung.from.empty()) open["from"] = rung.from;
    if (!rung.to.empty()) open["to"] = rung.to;
    if (task_.labelled) ask_in_words(cell);
  }

  /// The stage as a threshold is chosen with it: what it learns, it learns without the rows held out.
  Json stage_for_choosing(const Cell& stage, std::vector<size_t>& needs) {
    Json open = stage.open;
    open.erase("verb");
    if (!learns(stage.rung->kind)) return open;
    needs.push_back(add_training_for_choosing(cells_.preparations[stage.needs.front()]));
    open["model"] = cells_.preparations[needs.back()].path.string();
    return open;
  }

  /// The rows held out but for those that stand as examples in a stage's prompt.
  std::vector<size_t> rows_for_choosing(const Json& stages) const {
    std::set<std::string> shown;
    for (const Json& stage : stages) {
      for (const Json& example : stage.value("examples", Json::array()))
        shown.insert(example.at(0).get<std::string>());
    }
    std::vector<size_t> rows;
    for (size_t row = 0; row < held_out_.size(); ++row) {
      if (held_out_[row] && shown.count(data_.train.rows[row].text()) == 0) rows.push_back(row);
    }
    return rows;
  }

  /// The cells of a cascade's stages, and the preparation that chooses its threshold.
  void join_stages(Cell& cascade) {
    cascade.open = {{"verb", "open"}, {"kind", "cascade"}, {"stages", Json::array()}};
    Preparation choice;
    choice.open = cascade.open;
    Json keys = Json::array();
    for (const std::string& stage : cascade.rung->stages) {
      const auto named = std::ranges::find_if(cells_.cells, [&](const Cell& cell) {
        return stage == cell.result.rung || stage == cell.result.rung + " " + cell.result.precision;
      });
      if (!named->result.error.empty()) {
        cascade.result.error = fmt::format("its stage {} cannot answer: {}", stage, named->result.error);
        return;
      }
      Json open = named->open;
      open.erase("verb");
      cascade.open["stages"].push_back(std::move(open));
      cascade.needs.insert(cascade.needs.end(), named->needs.begin(), named->needs.end());
      choice.open["stages"].push_back(stage_for_choosing(*named, cascade.needs));
      keys.push_back(named->result.key);
    }
    choice.rows = rows_for_choosing(choice.open["stages"]);
    if (choice.rows.empty()) {
      cascade.result.error =
          "no training row can be held out to choose its threshold on; give the study more training rows";
      return;
    }
    choice.kind = "threshold";
    choice.what = fmt::format("choosing the threshold of {}", cascade.rung->name);
    choice.request = {{"verb", "choose_threshold"},
                      {"target", cascade.rung->target},
                      {"window_seconds", plan_.window_seconds}};
    choice.key = sha256_hex(Json{keys, cascade.rung->target, data_.sha256, choice.rows}.dump()).substr(0, 16);
    choice.path = prepared_ / (choice.key + ".threshold");
    cascade.needs.push_back(add(std::move(choice)));
  }

  /// The words for each label, and examples drawn from the training rows, one label in turn.
  void ask_in_words(Cell& cell) const {
    const Rung& rung = *cell.rung;
    std::vector<std::string> words;
    for (const std::string& label : data_.labels()) {
      const auto word = rung.words.find(label);
      words.push_back(word == rung.words.end() ? label : word->second);
    }
    for (const auto& [label, word] : rung.words) {
      if (std::find(data_.labels().begin(), data_.labels().end(), label) == data_.labels().end()) {
        cell.result.error = fmt::format(
            "`words` of the rung {} names the label \"{}\", which the data does not have; it has {}",
            rung.name, label, fmt::join(data_.labels(), ", "));
      }
    }
    Json examples = Json::array();
    std::vector<bool> used(data_.train.rows.size(), false);
    for (int i = 0; i < rung.examples; ++i) {
      const int wanted = i % static_cast<int>(words.size());
      for (size_t row = 0; row < used.size(); ++row) {
        if (used[row] || data_.train.labels[row] != wanted) continue;
        used[row] = true;
        examples.push_back({data_.train.rows[row].text(), words[wanted]});
        break;
      }
    }
    cell.open["answers"] = words;
    cell.open["labels"] = data_.labels();
    if (!examples.empty()) cell.open["examples"] = examples;
  }

  const Plan& plan_;
  const PlanTask& task_;
  const StudyData& data_;
  const fs::path prepared_;
  const StudyOptions& options_;
  std::vector<bool> held_out_;  ///< of the training rows; none without cascades
  CellPlan cells_;
};

}  // namespace

Cell empty_cell() {
  Cell cell;
  cell.result.key = cell.result.kind = "empty";
  cell.result.rung = "(asking alone)";
  cell.result.model = "answers nothing, at once";
  cell.open = {{"verb", "open"}, {"kind", "empty"}};
  return cell;
}

CellPlan plan_cells(const Plan& plan, const StudyData& data, const StudyOptions& options) {
  return Planner(plan, data, options).run();
}

std::vector<int64_t> order_of_round(int64_t cells, uint64_t seed, int round) {
  return shuffled(cells, seed * 1'000'003 + static_cast<uint64_t>(round));
}

void describe_weights(Cell& cell) {
  if (cell.weights.empty()) return;
  const bool shape = is_shape(cell.weights.string());
  const ModelFile file = shape ? shape_file(cell.weights.string()) : open_model_file(cell.weights);
  std::map<Format, double> weights;
  double matrices = 0;
  for (const Tensor& tensor : file.tensors()) {
    if (tensor.shape.size() < 2) continue;
    weights[tensor.format] += static_cast<double>(tensor.elements());
    matrices += static_cast<double>(tensor.elements());
  }
  cell.result.note.clear();
  if (!has_precisions(cell.rung->kind)) return;
  cell.result.bits_per_weight = bits_per_weight(file);
  const Precision& precision = cell.precision;
  if (!precision.changes_weights()) {
    cell.result.precision = precision.name(precision_name(file));
    cell.result.note = shape ? "" : "as published";
  }
  const auto add_note = [&](const std::string& text) {
    cell.result.note += (cell.result.note.empty() ? "" : "; ") + text;
  };
  if (shape) add_note("shape: pseudo-random weights, so its answers are not scored");
  if (precision.activations() == Activations::kW8A8) {
    add_note("weights and activations in 8 bits with one scale a row");
  }
  for (const std::string& role : unused_roles(precision, file, cell.rung->model)) {
    add_note("no tensor of the role " + role);
  }
  const std::string from = file.metadata().text("wattle.converted_from").value_or("");
  if (!from.empty()) add_note("made from " + from);
  std::string mixture;
  for (const auto& [format, count] : weights) {
    if (weights.size() < 2 || count < 0.005 * matrices) continue;
    mixture +=
        fmt::format("{}{} {:.0f} %", mixture.empty() ? "" : ", ", info(format).name, 100 * count / matrices);
  }
  if (!mixture.empty() && mixture.find(',') != std::string::npos) add_note("matrices: " + mixture);
}

}  // namespace wattle::inline study
