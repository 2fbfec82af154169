#include "study/rung_yaml.h"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/ranges.h>

#include "quant/precision.h"
#include "study/plan_variants.h"

namespace wattle::inline study {
namespace {

/// What a kind of rung is and takes.
struct Kind {
  RungKind kind;
  std::string_view name;
  bool learns = false;      ///< from training rows
  bool precisions = false;  ///< a model of ours, at several precisions
};

constexpr std::array kKinds{
    Kind{RungKind::kMajority, "majority", true, false},  Kind{RungKind::kKeywords, "keywords", true, false},
    Kind{RungKind::kLinear, "linear", true, false},      Kind{RungKind::kForest, "forest", true, false},
    Kind{RungKind::kHead, "head", true, true},           Kind{RungKind::kNearest, "nearest", true, true},
    Kind{RungKind::kZeroShot, "zero-shot", false, true}, Kind{RungKind::kModel, "model", false, true},
    Kind{RungKind::kCommand, "command", false, false},   Kind{RungKind::kServer, "server", false, false},
    Kind{RungKind::kCascade, "cascade", false, false}};

const Kind& kind_of(RungKind kind) {
  return *std::ranges::find(kKinds, kind, &Kind::kind);
}

const Kind& read_kind(YamlMap& map) {
  const std::string wanted = map.text("kind", "");
  const auto found = std::ranges::find(kKinds, std::string_view(wanted), &Kind::name);
  if (found != kKinds.end()) return *found;
  std::vector<std::string_view> names;
  for (const Kind& kind : kKinds) names.push_back(kind.name);
  map.fail_at(map.has("kind") ? map.node("kind") : map.whole(),
              fmt::format("a rung's `kind` must be one of {}{}", fmt::join(names, ", "),
                          wanted.empty() ? "" : ", not \"" + wanted + "\""));
}

/// Whether a rung of the kind answers rows of a table.
bool reads_tables(RungKind kind) {
  return kind == RungKind::kMajority || kind == RungKind::kLinear || kind == RungKind::kForest ||
         kind == RungKind::kCommand;
}

void check_fits(const YamlMap& map, const Kind& kind, const PlanTask& task) {
  if (task.table) {
    if (reads_tables(kind.kind)) return;
    map.fail_at(map.whole(),
                fmt::format("a {} rung reads texts, and the plan's task is table; take majority, "
                            "linear, forest or command",
                            kind.name));
  }
  const bool of_labels = kind.learns || kind.kind == RungKind::kZeroShot || kind.kind == RungKind::kCascade;
  if (of_labels && !task.labelled) {
    map.fail_at(
        map.whole(),
        fmt::format("a {} rung gives labels, and the plan's task is {}; take model, command or server",
                    kind.name, task.name));
  }
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

/// A key of a model's or server's rung and the tasks that have a use for it.
struct TaskKey {
  std::string_view key;
  std::vector<std::string_view> tasks;
};

const std::vector<TaskKey>& task_keys() {
  static const std::vector<TaskKey> kKeys{
      {"prompt", {"classify", "generate", "summarise", "translate", "similarity", "choose"}},
      {"words", {"classify"}},
      {"examples", {"classify"}},
      {"max_tokens", {"generate", "summarise", "translate"}},
      {"beams", {"generate", "summarise", "translate"}},
      {"top", {"fill", "answer"}},
      {"from", {"translate"}},
      {"to", {"translate"}},
      {"task", {"rank", "choose"}},
  };
  return kKeys;
}

bool takes(std::string_view key, const PlanTask& task) {
  const auto found = std::ranges::find(task_keys(), key, &TaskKey::key);
  return std::ranges::find(found->tasks, task.name) != found->tasks.end();
}

void read_words(YamlMap& map, const std::string& file, Rung& rung) {
  if (map.has("words")) {
    YamlMap words(map.node("words"), file, "`words`");
    for (const auto& entry : words.whole())
      rung.words[entry.first.Scalar()] = words.text(entry.first.Scalar(), "");
  }
  map.node("words");
}

void read_prompt(YamlMap& map, const Kind& kind, const PlanTask& task, Rung& rung) {
  if (!takes("prompt", task)) return;
  rung.prompt = map.text("prompt", "");
  const bool needed = kind.kind == RungKind::kZeroShot;
  // What stands before a text to be embedded has no place for it.
  const bool has_place = task.name == "similarity" || rung.prompt.find("{text}") != std::string::npos;
  if (has_place || (rung.prompt.empty() && !needed)) return;
  map.fail_at(
      map.has("prompt") ? map.node("prompt") : map.whole(),
      fmt::format("a {} rung needs a `prompt` that holds {{text}}, where the row's text goes", kind.name));
}

/// What the plan's task lets a model be told.
void read_task_options(YamlMap& map, const std::string& file, const Kind& kind, const PlanTask& task,
                       Rung& rung) {
  read_prompt(map, kind, task, rung);
  if (takes("examples", task)) rung.examples = static_cast<int>(map.integer("examples", 0, 0, 64));
  if (takes("words", task)) read_words(map, file, rung);
  if (rung.examples > 0 && rung.prompt.empty())
    map.fail_at(map.node("examples"), "`examples` stand before a `prompt`; give one that holds {text}");
  if (takes("max_tokens", task)) rung.max_tokens = map.integer("max_tokens", 0, 1, 1'000'000);
  if (kind.kind == RungKind::kModel && takes("beams", task)) rung.beams = map.integer("beams", 0, 1, 256);
  if (takes("top", task)) rung.top = map.integer("top", 0, 1, 1000);
  if (takes("from", task)) rung.from = map.text("from", "");
  if (takes("to", task)) rung.to = map.text("to", "");
  if (!takes("task", task)) return;
  rung.task = map.text("task", "");
  if (!rung.task.empty() && rung.task != "rank" && rung.task != "embed" && rung.task != "classify")
    map.fail_at(map.node("task"), "a rung's `task` must be rank, embed or classify");
}

void read_server(YamlMap& map, Rung& rung) {
  rung.url = map.text("url", "");
  if (!rung.url.starts_with("http://") && !rung.url.starts_with("https://")) {
    map.fail_at(map.has("url") ? map.node("url") : map.whole(),
                "a server rung needs `url`, as \"http://127.0.0.1:8080\"");
  }
  rung.api = map.text("api", "openai");
  if (rung.api != "openai" && rung.api != "tei" && rung.api != "huggingface")
    map.fail_at(map.node("api"), "`api` must be openai, tei or huggingface");
  rung.model = map.text("model", "");
  rung.pid = map.integer("pid", 0, 1, INT32_MAX);
  rung.meter = map.text("meter", "");
  if (rung.pid > 0 && !rung.meter.empty())
    map.fail_at(map.node("meter"),
                "a server has a `pid` on this machine or a `meter` of another; remove one");
}

void read_cascade(YamlMap& map, Rung& rung) {
  rung.stages = map.texts("stages");
  if (rung.stages.size() < 2) {
    map.fail_at(map.has("stages") ? map.node("stages") : map.whole(),
                "a cascade needs `stages`, at least two names of rungs, the cheapest first");
  }
  rung.target = map.number("target", rung.target, 0.01, 1);
}

}  // namespace

std::string_view name(RungKind kind) {
  return kind_of(kind).name;
}

bool has_precisions(RungKind kind) {
  return kind_of(kind).precisions;
}

bool learns(RungKind kind) {
  return kind_of(kind).learns;
}

bool names_cell_of(const std::string& stage, const Rung& rung) {
  if (rung.precisions.size() < 2 && stage == rung.name) return true;
  return std::ranges::any_of(
      rung.precisions, [&](const std::string& precision) { return stage == rung.name + " " + precision; });
}

Rung read_rung(const YAML::Node& node, const std::string& file, const PlanTask& task) {
  YamlMap map(node, file, "a rung");
  Rung rung;
  const Kind& kind = read_kind(map);
  rung.kind = kind.kind;
  check_fits(map, kind, task);
  if (kind.precisions) {
    rung.model = map.text("model", "");
    if (rung.model.empty())
      map.fail_at(node, fmt::format("a {} rung needs `model`, a catalogue name or a path", kind.name));
    rung.precisions = read_precisions(map);
    read_published(map, rung, file);
  }
  if (kind.kind == RungKind::kServer) read_server(map, rung);
  if (kind.kind == RungKind::kZeroShot || kind.kind == RungKind::kModel || kind.kind == RungKind::kServer)
    read_task_options(map, file, kind, task, rung);
  if (kind.kind == RungKind::kCascade) read_cascade(map, rung);
  if (kind.kind == RungKind::kCommand) {
    rung.command = map.texts("command");
    if (rung.command.empty())
      map.fail_at(node, "a command rung needs `command`, a program and its arguments as a list");
  }
  rung.name = map.text("name", kind.precisions ? rung.model : std::string(kind.name));
  map.reject_unknown();
  return rung;
}

void write_rung(YAML::Emitter& out, const Rung& rung) {
  const auto put = [&](const char* key, const auto& value) {
    out << YAML::Key << key << YAML::Value << value;
  };
  const auto put_text = [&](const char* key, const std::string& value) {
    if (!value.empty()) put(key, value);
  };
  const auto put_count = [&](const char* key, int64_t value) {
    if (value > 0) put(key, value);
  };
  out << YAML::BeginMap;
  put("name", rung.name);
  put("kind", std::string(name(rung.kind)));
  put_text("model", rung.model);
  if (!rung.precisions.empty())
    out << YAML::Key << "precisions" << YAML::Value << YAML::Flow << rung.precisions;
  write_published(out, rung);
  put_text("url", rung.url), put_text("api", rung.api), put_count("pid", rung.pid),
      put_text("meter", rung.meter);
  if (!rung.command.empty()) put("command", rung.command);
  if (!rung.stages.empty()) put("stages", rung.stages), put("target", rung.target);
  put_text("prompt", rung.prompt);
  put_count("examples", rung.examples);
  if (!rung.words.empty()) put("words", rung.words);
  put_count("max_tokens", rung.max_tokens), put_count("beams", rung.beams), put_count("top", rung.top);
  put_text("from", rung.from), put_text("to", rung.to), put_text("task", rung.task);
  out << YAML::EndMap;
}

}  // namespace wattle::inline study
