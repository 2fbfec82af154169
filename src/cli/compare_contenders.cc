// Who competes in `wattle compare`: what learns from the rows, and the models that were pulled, as far as
// they can do the task.
#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "cli/compare_plan.h"
#include "cli/paths.h"
#include "families/capabilities.h"
#include "models/model.h"

namespace wattle {
namespace {

// A language model is asked in words where its labels are few: the likelihood of each is computed every row.
constexpr size_t kMostLabelsToAsk = 10;

/// What a model can be to a task.
enum class Role { kEncoder, kSequenceHead, kTokenHead, kSpanHead, kMaskedHead, kLanguageModel, kRewriter };

struct RoleName {
  Role role;
  std::string_view name;
};
constexpr std::array kRoleNames{
    RoleName{Role::kEncoder, "an encoder of sentences"},
    RoleName{Role::kSequenceHead, "a model with a head for whole texts"},
    RoleName{Role::kTokenHead, "a model with a head for words (a tagger)"},
    RoleName{Role::kSpanHead, "a model with a head for answers in a text"},
    RoleName{Role::kMaskedHead, "a model with a head for masked words"},
    RoleName{Role::kLanguageModel, "a language model"},
    RoleName{Role::kRewriter, "an encoder-decoder"},
};

std::string_view name_of(Role role) {
  return std::ranges::find(kRoleNames, role, &RoleName::role)->name;
}

/// How a role does a task: the kind of rung, and the model's own task where that is another.
struct Way {
  std::string_view task;
  Role role;
  RungKind kind;
  std::string_view own_task = {};
};

constexpr std::array kWays{
    Way{"classify", Role::kEncoder, RungKind::kHead},
    Way{"classify", Role::kSequenceHead, RungKind::kModel},
    Way{"classify", Role::kLanguageModel, RungKind::kZeroShot},
    Way{"tag", Role::kTokenHead, RungKind::kModel},
    Way{"answer", Role::kSpanHead, RungKind::kModel},
    Way{"fill", Role::kMaskedHead, RungKind::kModel},
    Way{"generate", Role::kLanguageModel, RungKind::kModel},
    Way{"generate", Role::kRewriter, RungKind::kModel},
    Way{"summarise", Role::kLanguageModel, RungKind::kModel},
    Way{"summarise", Role::kRewriter, RungKind::kModel},
    Way{"translate", Role::kLanguageModel, RungKind::kModel},
    Way{"translate", Role::kRewriter, RungKind::kModel},
    Way{"perplexity", Role::kLanguageModel, RungKind::kModel},
    Way{"perplexity", Role::kMaskedHead, RungKind::kModel},
    Way{"similarity", Role::kEncoder, RungKind::kModel},
    Way{"rank", Role::kEncoder, RungKind::kModel, "embed"},
    Way{"rank", Role::kSequenceHead, RungKind::kModel, "rank"},
    Way{"choose", Role::kEncoder, RungKind::kModel, "embed"},
    Way{"choose", Role::kLanguageModel, RungKind::kModel},
};

/// The catalogue's models that are tried when none is named, and what they are.
struct Known {
  std::string_view name;
  Role role;
};
constexpr std::array kKnown{
    Known{"all-minilm-l6-v2", Role::kEncoder},
    Known{"all-mpnet-base-v2", Role::kEncoder},
    Known{"smollm2-135m-instruct", Role::kLanguageModel},
    Known{"qwen2.5-coder-0.5b-instruct", Role::kLanguageModel},
};

struct Competitor {
  std::string name;
  Role role;
};

bool is_here(std::string_view model) {
  try {
    return std::filesystem::exists(model_path(std::string(model)));
  } catch (const Error&) {
    return false;
  }
}

Role role_of(const std::string& name) {
  const auto model = Model::open(model_path(name));
  if (model->can<Translates>() != nullptr) return Role::kRewriter;
  if (model->decoder() != nullptr) return Role::kLanguageModel;
  const auto* head = model->can<HasHead>();
  const auto kind = head == nullptr ? std::nullopt : head->head_kind();
  if (model->pooling() != Pooling::kNone || !kind) return Role::kEncoder;
  switch (*kind) {
    case NetworkHeadKind::kSequence:
      return Role::kSequenceHead;
    case NetworkHeadKind::kToken:
      return Role::kTokenHead;
    case NetworkHeadKind::kSpan:
      return Role::kSpanHead;
    case NetworkHeadKind::kMasked:
      return Role::kMaskedHead;
    default:
      return Role::kEncoder;
  }
}

/// One language model is enough of those that nobody asked for.
std::vector<Competitor> competitors(const std::vector<std::string>& named) {
  std::vector<Competitor> all;
  for (const std::string& name : named) all.push_back({name, role_of(name)});
  if (!named.empty()) return all;
  for (const Known& known : kKnown) {
    const bool has_one =
        known.role == Role::kLanguageModel &&
        std::ranges::any_of(all, [](const Competitor& one) { return one.role == Role::kLanguageModel; });
    if (!has_one && is_here(known.name)) all.push_back({std::string(known.name), known.role});
  }
  return all;
}

const Way* way_of(std::string_view task, Role role) {
  const auto way =
      std::ranges::find_if(kWays, [&](const Way& way) { return way.task == task && way.role == role; });
  return way == kWays.end() ? nullptr : &*way;
}

std::string needs_of(std::string_view task) {
  std::vector<std::string_view> needs;
  for (const Way& way : kWays) {
    if (way.task == task) needs.push_back(name_of(way.role));
  }
  return fmt::format("{}", fmt::join(needs, " or "));
}

std::string prompt_for(const std::vector<std::string>& labels) {
  return fmt::format(
      "Which of these labels fits the text: {}?\n\nText: {{text}}\n\nAnswer with the label alone.",
      fmt::join(labels, ", "));
}

/// Of models that are published as they are run (language models in a quantised file) the one below is tried
/// too, except where a task is dear; of others those that a study of encoders finds worth it.
std::vector<std::string> precisions_of(Role role, std::string_view task) {
  const bool as_it_is = role == Role::kLanguageModel || role == Role::kRewriter;
  if (!as_it_is) return {"F32", "Q8_0", "Q6_K", "Q4_0"};
  if (task == "classify") return {"as-published"};
  return {"as-published", "Q3_K"};
}

Rung rung_of(const Competitor& competitor, const Way& way, const CompareFlags& flags,
             const std::vector<std::string>& labels) {
  Rung rung;
  rung.kind = way.kind;
  rung.name = rung.model = competitor.name;
  rung.precisions = flags.precisions.empty() ? precisions_of(competitor.role, way.task) : flags.precisions;
  rung.task = way.own_task;
  if (way.kind == RungKind::kZeroShot) rung.prompt = prompt_for(labels);
  if (way.task == "translate") rung.from = flags.from, rung.to = flags.to;
  return rung;
}

/// What learns from the rows alone.
void add_learners(std::vector<Rung>& rungs, const std::string& task) {
  std::vector<RungKind> kinds;
  if (task == "classify")
    kinds = {RungKind::kMajority, RungKind::kKeywords, RungKind::kLinear, RungKind::kForest};
  if (task == "table") kinds = {RungKind::kMajority, RungKind::kLinear, RungKind::kForest};
  for (const RungKind kind : kinds) {
    Rung& rung = rungs.emplace_back();
    rung.kind = kind;
    rung.name = name(kind);
  }
}

}  // namespace

std::vector<Rung> contenders_for(const CompareFlags& flags, const std::string& task,
                                 const std::vector<std::string>& labels) {
  std::vector<Rung> rungs;
  add_learners(rungs, task);
  if (task == "table") {
    if (!flags.models.empty())
      fail("--model {}: models read texts, and the task is a table; leave it out", flags.models.front());
    return rungs;
  }
  for (const Competitor& competitor : competitors(flags.models)) {
    const Way* way = way_of(task, competitor.role);
    if (way == nullptr && !flags.models.empty()) {
      fail("--model {}: is {}, and the task {} takes {}; name another model", competitor.name,
           name_of(competitor.role), task, needs_of(task));
    }
    const bool too_many = way != nullptr && way->kind == RungKind::kZeroShot && flags.models.empty() &&
                          labels.size() > kMostLabelsToAsk;
    if (way != nullptr && !too_many) rungs.push_back(rung_of(competitor, *way, flags, labels));
  }
  if (rungs.empty()) {
    fail(
        "no model that was pulled does the task {}: it takes {}; pull one of the hub (`wattle pull "
        "OWNER/NAME`) "
        "and name it with --model",
        task, needs_of(task));
  }
  return rungs;
}

}  // namespace wattle
