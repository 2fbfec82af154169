#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <sstream>

#include <fmt/ranges.h>
#include <wattle/error.h>
#include <wattle/study.h>

#include "meter/carbon.h"
#include "quant/precision.h"
#include "study/yaml_reader.h"

namespace wattle {
namespace {

constexpr std::array<std::pair<RungKind, std::string_view>, 6> kKinds{{{RungKind::kMajority, "majority"},
                                                                       {RungKind::kKeywords, "keywords"},
                                                                       {RungKind::kLinear, "linear"},
                                                                       {RungKind::kForest, "forest"},
                                                                       {RungKind::kHead, "head"},
                                                                       {RungKind::kZeroShot, "zero-shot"}}};

bool needs_model(RungKind kind) {
  return kind == RungKind::kHead || kind == RungKind::kZeroShot;
}

RungKind read_kind(YamlMap& map) {
  const std::string wanted = map.text("kind", "");
  for (const auto& [kind, known] : kKinds) {
    if (wanted == known) return kind;
  }
  map.fail_at(map.has("kind") ? map.node("kind") : map.whole(),
              fmt::format("a rung's `kind` must be majority, keywords, linear, forest, head or zero-shot{}",
                          wanted.empty() ? "" : ", not \"" + wanted + "\""));
}

std::vector<std::string> read_precisions(YamlMap& map) {
  std::vector<std::string> precisions = map.texts("precisions");
  if (precisions.empty()) return {std::string(kAsPublished)};
  std::set<std::string> seen;
  for (std::string& precision : precisions) {
    try {
      precision = Precision::parse(precision).name();
    } catch (const Error& error) {
      map.fail_at(map.node("precisions"),
                  fmt::format("`precisions`: {}; one with commas stands in quotes", error.what()));
    }
    if (!seen.insert(precision).second) {
      map.fail_at(map.node("precisions"),
                  fmt::format("`precisions` names {} twice; remove one of them", precision));
    }
  }
  return precisions;
}

Rung read_rung(const YAML::Node& node, const std::string& file) {
  YamlMap map(node, file, "a rung");
  Rung rung;
  rung.kind = read_kind(map);
  const std::string kind(name(rung.kind));
  if (needs_model(rung.kind)) {
    rung.model = map.text("model", "");
    if (rung.model.empty())
      map.fail_at(node, fmt::format("a {} rung needs `model`, a catalogue name or a path", kind));
    rung.precisions = read_precisions(map);
  }
  if (rung.kind == RungKind::kZeroShot) {
    rung.prompt = map.text("prompt", "");
    if (rung.prompt.find("{text}") == std::string::npos) {
      map.fail_at(map.has("prompt") ? map.node("prompt") : node,
                  "a zero-shot rung needs a `prompt` that holds {text}, where the row's text goes");
    }
    rung.examples = static_cast<int>(map.integer("examples", 0, 0, 64));
    if (map.has("words")) {
      YamlMap words(map.node("words"), file, "`words`");
      for (const auto& entry : words.whole()) {
        rung.words[entry.first.Scalar()] = words.text(entry.first.Scalar(), "");
      }
    }
    map.node("words");
  }
  rung.name = map.text("name", needs_model(rung.kind) ? rung.model : kind);
  map.reject_unknown();
  return rung;
}

void read_data(YamlMap& map, Plan& plan, const std::string& file) {
  const YAML::Node data = map.node("data");
  if (!data.IsDefined()) {
    map.fail_at(map.whole(),
                "a plan needs `data`: a catalogue name, a folder, a file, or {train: FILE, eval: FILE}");
  }
  if (data.IsScalar()) {
    plan.data = map.text("data", "");
    return;
  }
  YamlMap files(data, file, "`data`");
  plan.train_data = files.text("train", "");
  plan.eval_data = files.text("eval", "");
  files.reject_unknown();
  if (plan.train_data.empty() || plan.eval_data.empty()) {
    map.fail_at(data, "`data` must be a name, or name both files: {train: FILE, eval: FILE}");
  }
}

void read_split(YamlMap& map, Plan& plan, const std::string& file) {
  plan.split = map.text("split", plan.split);
  if (plan.split != "auto" && plan.split != "hash") {
    map.fail_at(map.node("split"),
                "`split` must be auto (the data's own, else by hash) or hash (by label and SHA-256 of seed "
                "and text)");
  }
  plan.eval_share = map.number("eval_share", plan.eval_share, 0.01, 0.99);
  if (map.has("rows")) {
    YamlMap rows(map.node("rows"), file, "`rows`");
    plan.max_train = rows.integer("train", 0, 1, 100'000'000);
    plan.max_eval = rows.integer("eval", 0, 1, 100'000'000);
    rows.reject_unknown();
  }
  map.node("rows");
}

void read_rungs(YamlMap& map, Plan& plan, const std::string& file) {
  const YAML::Node rungs = map.node("rungs");
  if (!rungs.IsDefined() || !rungs.IsSequence() || rungs.size() == 0) {
    map.fail_at(rungs.IsDefined() ? rungs : map.whole(),
                "a plan needs `rungs`, a list with at least one, as \"- kind: majority\"");
  }
  std::set<std::string> names;
  for (const auto& node : rungs) {
    plan.rungs.push_back(read_rung(node, file));
    if (!names.insert(plan.rungs.back().name).second) {
      map.fail_at(node, fmt::format("two rungs are called \"{}\"; give one of them another `name`",
                                    plan.rungs.back().name));
    }
  }
}

Plan read_keys(const YAML::Node& root, const std::string& file) {
  YamlMap map(root, file, "a plan");
  Plan plan;
  plan.name = map.text("name", std::filesystem::path(file).stem().string());
  read_data(map, plan, file);
  plan.text = map.text("text", plan.text);
  plan.label = map.text("label", plan.label);
  read_split(map, plan, file);
  try {
    plan.metric = metric_from_name(map.text("metric", "accuracy"));
  } catch (const Error& error) {
    map.fail_at(map.node("metric"), error.what());
  }
  plan.quality = map.number("quality", 0, 0, 1);
  read_rungs(map, plan, file);
  plan.threads = static_cast<int>(map.integer("threads", 0, 1, 1024));
  plan.rounds = static_cast<int>(map.integer("rounds", plan.rounds, 1, 1000));
  plan.max_rounds = static_cast<int>(map.integer("max_rounds", 0, 1, 1000));
  if (plan.max_rounds != 0 && plan.max_rounds < plan.rounds) {
    map.fail_at(map.node("max_rounds"),
                fmt::format("`max_rounds` must be at least `rounds`, which is {}", plan.rounds));
  }
  plan.interval = map.number("interval", plan.interval, 0.001, 1);
  plan.window_seconds = map.number("window_seconds", plan.window_seconds, 0.01, 3600);
  plan.warm_up_seconds = map.number("warm_up_seconds", plan.warm_up_seconds, 0, 3600);
  plan.disturbance = map.number("disturbance", plan.disturbance, 0.001, 1);
  plan.attempts = static_cast<int>(map.integer("attempts", plan.attempts, 1, 100));
  plan.time_limit_seconds = map.number("time_limit_seconds", plan.time_limit_seconds, 1, 1e6);
  plan.meter = map.text("meter", "");
  plan.zone = map.text("zone", "");
  plan.paper = map.text("paper", "");
  if (!plan.paper.empty() && std::ranges::find(paper_tasks(), plan.paper) == paper_tasks().end())
    map.fail_at(map.node("paper"), fmt::format("`paper` must be one of {}", fmt::join(paper_tasks(), ", ")));
  try {
    if (!plan.zone.empty()) carbon_zone(plan.zone);
  } catch (const Error& error) {
    map.fail_at(map.node("zone"), error.what());
  }
  plan.seed = static_cast<uint64_t>(map.integer("seed", 1, 0, INT64_MAX));
  map.reject_unknown();
  return plan;
}

void write_rung(YAML::Emitter& out, const Rung& rung) {
  out << YAML::BeginMap << YAML::Key << "name" << YAML::Value << rung.name;
  out << YAML::Key << "kind" << YAML::Value << std::string(name(rung.kind));
  if (needs_model(rung.kind)) {
    out << YAML::Key << "model" << YAML::Value << rung.model;
    out << YAML::Key << "precisions" << YAML::Value << YAML::Flow << rung.precisions;
  }
  if (rung.kind == RungKind::kZeroShot) {
    out << YAML::Key << "prompt" << YAML::Value << rung.prompt;
    if (rung.examples > 0) out << YAML::Key << "examples" << YAML::Value << rung.examples;
    if (!rung.words.empty()) out << YAML::Key << "words" << YAML::Value << rung.words;
  }
  out << YAML::EndMap;
}

}  // namespace

std::string_view name(RungKind kind) {
  return std::find_if(kKinds.begin(), kKinds.end(), [&](const auto& entry) { return entry.first == kind; })
      ->second;
}

std::string_view name(Metric metric) {
  return metric == Metric::kAccuracy ? "accuracy" : "macro_f1";
}

Metric metric_from_name(std::string_view wanted) {
  if (wanted == "accuracy") return Metric::kAccuracy;
  if (wanted == "macro_f1") return Metric::kMacroF1;
  fail("the metric \"{}\" is not known; use accuracy or macro_f1", wanted);
}

const std::vector<std::string>& paper_tasks() {
  static const std::vector<std::string> kTasks{"text-classification",  "question-answering",
                                               "token-classification", "masked-words",
                                               "text-generation",      "summarisation"};
  return kTasks;
}

Plan parse_plan(std::string_view yaml, const std::string& file_name) {
  try {
    const YAML::Node root = YAML::Load(std::string(yaml));
    if (!root.IsDefined() || root.IsNull())
      fail("{}:1: the plan is empty; start from examples/plans/demo.yaml", file_name);
    return read_keys(root, file_name);
  } catch (const YAML::Exception& error) {
    fail("{}:{}: this is not YAML ({}); mend the line", file_name,
         error.mark.is_null() ? 1 : error.mark.line + 1, error.msg);
  }
}

Plan read_plan(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  if (std::filesystem::is_directory(path) || !file || !(text << file.rdbuf())) {
    fail("{}: the plan cannot be read; give the path of a YAML file", path.string());
  }
  return parse_plan(text.str(), path.string());
}

std::string to_yaml(const Plan& plan) {
  YAML::Emitter out;
  out.SetDoublePrecision(15);
  const auto put = [&](const char* key, const auto& value) {
    out << YAML::Key << key << YAML::Value << value;
  };
  out << YAML::BeginMap;
  put("name", plan.name);
  if (plan.data.empty()) {
    put("data", std::map<std::string, std::string>{{"train", plan.train_data}, {"eval", plan.eval_data}});
  } else {
    put("data", plan.data);
  }
  put("text", plan.text), put("label", plan.label), put("split", plan.split),
      put("eval_share", plan.eval_share);
  std::map<std::string, int64_t> rows;
  if (plan.max_train > 0) rows["train"] = plan.max_train;
  if (plan.max_eval > 0) rows["eval"] = plan.max_eval;
  if (!rows.empty()) put("rows", rows);
  put("metric", std::string(name(plan.metric)));
  put("quality", plan.quality);
  if (plan.threads > 0) put("threads", plan.threads);
  put("rounds", plan.rounds);
  if (plan.max_rounds > 0) put("max_rounds", plan.max_rounds);
  put("interval", plan.interval), put("window_seconds", plan.window_seconds);
  put("warm_up_seconds", plan.warm_up_seconds), put("disturbance", plan.disturbance),
      put("attempts", plan.attempts);
  put("time_limit_seconds", plan.time_limit_seconds);
  if (!plan.meter.empty()) put("meter", plan.meter);
  if (!plan.zone.empty()) put("zone", plan.zone);
  if (!plan.paper.empty()) put("paper", plan.paper);
  put("seed", plan.seed);
  out << YAML::Key << "rungs" << YAML::Value << YAML::BeginSeq;
  for (const Rung& rung : plan.rungs) write_rung(out, rung);
  out << YAML::EndSeq << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

}  // namespace wattle
