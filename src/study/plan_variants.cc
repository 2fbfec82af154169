#include "study/plan_variants.h"

#include <algorithm>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "quant/precision.h"

namespace wattle::inline study {
namespace {

bool has_rung(const Plan& plan, const std::string& rung) {
  return std::ranges::find(plan.rungs, rung, &Rung::name) != plan.rungs.end();
}

bool has_precision(const Plan& plan, const std::string& precision) {
  return std::ranges::any_of(plan.rungs, [&](const Rung& rung) {
    return std::ranges::find(rung.precisions, precision) != rung.precisions.end();
  });
}

/// Those of `all` that `wanted` names, in the order of `all`; all of them where it names none.
std::vector<std::string> chosen(const std::vector<std::string>& all, const std::vector<std::string>& wanted) {
  std::vector<std::string> some;
  for (const std::string& one : all) {
    if (std::ranges::find(wanted, one) != wanted.end()) some.push_back(one);
  }
  return some.empty() ? all : some;
}

}  // namespace

void read_quick(YamlMap& map, Plan& plan, const std::string& file) {
  const YAML::Node node = map.node("quick");
  if (!node.IsDefined()) return;
  YamlMap quick(node, file, "`quick`");
  plan.quick.rungs = quick.texts("rungs");
  for (const std::string& rung : plan.quick.rungs) {
    if (!has_rung(plan, rung))
      quick.fail_at(quick.node("rungs"),
                    fmt::format("`quick` names the rung \"{}\", which the plan has not", rung));
  }
  plan.quick.precisions = quick.texts("precisions");
  for (std::string& precision : plan.quick.precisions) {
    try {
      precision = Precision::parse(precision).name();
    } catch (const Error& error) {
      quick.fail_at(quick.node("precisions"), error.what());
    }
    if (!has_precision(plan, precision)) {
      quick.fail_at(quick.node("precisions"),
                    fmt::format("`quick` names the precision {}, which no rung of the plan has", precision));
    }
  }
  plan.quick.rows = quick.integer("rows", 0, 1, 100'000'000);
  quick.reject_unknown();
}

void write_quick(YAML::Emitter& out, const Plan& plan) {
  const QuickPlan& quick = plan.quick;
  if (quick.rungs.empty() && quick.precisions.empty() && quick.rows == 0) return;
  out << YAML::Key << "quick" << YAML::Value << YAML::BeginMap;
  if (!quick.rungs.empty()) out << YAML::Key << "rungs" << YAML::Value << YAML::Flow << quick.rungs;
  if (!quick.precisions.empty())
    out << YAML::Key << "precisions" << YAML::Value << YAML::Flow << quick.precisions;
  if (quick.rows > 0) out << YAML::Key << "rows" << YAML::Value << quick.rows;
  out << YAML::EndMap;
}

void read_published(YamlMap& map, Rung& rung, const std::string& file) {
  const YAML::Node node = map.node("published");
  if (!node.IsDefined()) return;
  YamlMap published(node, file, "`published`");
  rung.published.model = published.text("model", "");
  if (rung.published.model.empty())
    published.fail_at(node, "`published` needs `model`, as OWNER/NAME of the hub or a name of the catalogue");
  rung.published.max_tokens = published.integer("max_tokens", 0, 1, 1'000'000);
  if (published.has("words")) {
    YamlMap words(published.node("words"), file, "`words`");
    for (const auto& entry : words.whole())
      rung.published.words[entry.first.Scalar()] = words.text(entry.first.Scalar(), "");
  }
  published.node("words");
  published.reject_unknown();
}

void write_published(YAML::Emitter& out, const Rung& rung) {
  if (rung.published.model.empty()) return;
  out << YAML::Key << "published" << YAML::Value << YAML::BeginMap;
  out << YAML::Key << "model" << YAML::Value << rung.published.model;
  if (rung.published.max_tokens > 0)
    out << YAML::Key << "max_tokens" << YAML::Value << rung.published.max_tokens;
  if (!rung.published.words.empty()) out << YAML::Key << "words" << YAML::Value << rung.published.words;
  out << YAML::EndMap;
}

void make_quick(Plan& plan) {
  plan.name += " (quick)";
  plan.rounds = plan.max_rounds = 2;
  plan.window_seconds = 0.2;
  plan.warm_up_seconds = 0.5;
  const int64_t rows = plan.quick.rows > 0 ? plan.quick.rows : 200;
  plan.max_eval = plan.max_eval == 0 ? rows : std::min(plan.max_eval, rows);
  if (!plan.quick.rungs.empty()) {
    std::erase_if(plan.rungs, [&](const Rung& rung) {
      return std::ranges::find(plan.quick.rungs, rung.name) == plan.quick.rungs.end();
    });
  }
  for (Rung& rung : plan.rungs) rung.precisions = chosen(rung.precisions, plan.quick.precisions);
  plan.quick = {};
}

void take_published_weights(Plan& plan) {
  size_t taken = 0;
  for (Rung& rung : plan.rungs) {
    if (rung.published.model.empty()) continue;
    ++taken;
    rung.model = rung.published.model;
    if (rung.published.max_tokens > 0) rung.max_tokens = rung.published.max_tokens;
    if (!rung.published.words.empty()) rung.words = rung.published.words;
    rung.published = {};
  }
  if (taken == 0) {
    fail(
        "the plan {} has no rung that names its `published` weights; write for example `published: {{model: "
        "OWNER/NAME}}` there",
        plan.name);
  }
  plan.name += " (published weights)";
}

}  // namespace wattle::inline study
