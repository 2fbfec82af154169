#include "tasks/task.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "families/open_file.h"
#include "tasks/kinds.h"
#include "train/embedder.h"

namespace wattle::inline tasks {
namespace {

bool has_head(const Model& model, NetworkHeadKind kind) {
  const auto* head = model.can<HasHead>();
  return head != nullptr && head->head_kind() == kind;
}

bool has_any_head(const Model& model) {
  const auto* head = model.can<HasHead>();
  return head != nullptr && head->head_kind().has_value();
}

bool continues(const Model& model) {
  return model.decoder() != nullptr && model.can<Translates>() == nullptr;
}

using Made = std::unique_ptr<Task>;

/// A task: which models can do it, and how it is made.
struct Kind {
  std::string_view name;
  bool (*fits)(const Model& model);
  Made (*make)(std::unique_ptr<Model> model, const TaskOptions& options, const LoadOptions& load);
};

Made classify(std::unique_ptr<Model> model, const TaskOptions& options, const LoadOptions& load) {
  if (has_head(*model, NetworkHeadKind::kSequence)) return make_classify_by_own_head(std::move(model));
  return make_classify_by_likelihood(std::move(model), options, load);
}

constexpr Kind kTasks[] = {
    {"embed", [](const Model& model) { return model.encoder() != nullptr; },
     [](auto model, const auto& options, const auto&) { return make_embed(std::move(model), options); }},
    {"classify",
     [](const Model& model) { return has_head(model, NetworkHeadKind::kSequence) || continues(model); },
     classify},
    {"rank", [](const Model& model) { return has_head(model, NetworkHeadKind::kSequence); },
     [](auto model, const auto& options, const auto&) { return make_rank(std::move(model), options); }},
    {"tag", [](const Model& model) { return has_head(model, NetworkHeadKind::kToken); },
     [](auto model, const auto& options, const auto&) { return make_tag(std::move(model), options); }},
    {"answer", [](const Model& model) { return has_head(model, NetworkHeadKind::kSpan); },
     [](auto model, const auto& options, const auto&) { return make_extract(std::move(model), options); }},
    {"fill", [](const Model& model) { return has_head(model, NetworkHeadKind::kMasked); },
     [](auto model, const auto& options, const auto&) { return make_fill(std::move(model), options); }},
    {"generate", [](const Model& model) { return model.decoder() != nullptr; },
     [](auto model, const auto& options, const auto& load) {
       return make_generate(std::move(model), options, load);
     }},
    {"summarise", [](const Model& model) { return model.decoder() != nullptr; },
     [](auto model, const auto& options, const auto& load) {
       return make_summarise(std::move(model), options, load);
     }},
    {"translate", [](const Model& model) { return model.decoder() != nullptr; },
     [](auto model, const auto& options, const auto& load) {
       return make_translate(std::move(model), options, load);
     }},
    {"perplexity",
     [](const Model& model) { return continues(model) || has_head(model, NetworkHeadKind::kMasked); },
     [](auto model, const auto& options, const auto&) {
       return continues(*model) ? make_perplexity(std::move(model), options)
                                : make_pseudo_perplexity(std::move(model), options);
     }},
    {"tokenize", [](const Model&) { return true; },
     [](auto model, const auto&, const auto&) -> Made {
       fail("{}: a shape has no tokenizer; name a model file", model->file().path().string());
     }},
    {"hidden", [](const Model& model) { return model.can<ReadsText>() != nullptr; },
     [](auto model, const auto&, const auto&) { return make_hidden(std::move(model)); }},
    {"logits", [](const Model& model) { return model.decoder() != nullptr || has_any_head(model); },
     [](auto model, const auto&, const auto&) { return make_logits(std::move(model)); }},
};

/// What a model is for: what its head says, unless it says how it makes embeddings.
std::string_view default_task(const Model& model) {
  if (model.encoder() != nullptr && model.pooling() != Pooling::kNone) return "embed";
  for (const std::string_view task : {"classify", "tag", "answer", "fill"}) {
    const auto kind = std::ranges::find(kTasks, task, &Kind::name);
    if (has_any_head(model) && kind->fits(model)) return task;
  }
  if (model.can<Translates>() != nullptr) return "summarise";
  return model.encoder() != nullptr ? "embed" : "generate";
}

/// Error for a task that no model or not this one can do, with what it can.
const Kind& kind_for(std::string_view task, const Model& model, const std::string& path) {
  const auto kind = std::ranges::find(kTasks, task, &Kind::name);
  if (kind == std::end(kTasks)) fail("--task {}: unknown task; one of {}", task, task_names());
  if (kind->fits(model)) return *kind;
  if (task == "classify") {
    fail(
        "{}: an encoder without a head for labels needs a trained one to classify; make one with "
        "`wattle train --on {}` and run that",
        path, path);
  }
  std::vector<std::string_view> can;
  for (const Kind& other : kTasks) {
    if (other.fits(model)) can.push_back(other.name);
  }
  fail("{}: is {} of the family {} and can do {}, not {}; choose one of these or another model", path,
       model.can<Translates>() != nullptr ? "an encoder-decoder"
       : model.encoder() != nullptr       ? "an encoder"
                                          : "a decoder",
       model.architecture(), fmt::join(can, ", "), task);
}

bool is_shape(const std::string& path) {
  return path.starts_with("shape:");
}

/// The file of a trained head, or nullopt for a model.
std::optional<ModelFile> head_file(const std::string& path) {
  if (is_shape(path) || !std::filesystem::is_regular_file(path)) return std::nullopt;
  ModelFile file = open_model_file(path);
  if (file.metadata().text("general.architecture") != std::string(Head::kArchitecture)) return std::nullopt;
  return file;
}

/// The base model's path: as asked for, else where it was in training, else beside the head.
std::string base_path(const std::filesystem::path& recorded, const std::string& head_path,
                      const std::string& wanted) {
  if (!wanted.empty()) return wanted;
  if (std::filesystem::exists(recorded)) return recorded.string();
  const auto beside = std::filesystem::path(head_path).parent_path() / recorded.filename();
  if (std::filesystem::exists(beside)) return beside.string();
  fail("{}: its base model {} is not there; name it with --base", head_path, recorded.string());
}

Made create_for_head(Head head, const std::string& path, const TaskOptions& options, const LoadOptions& load,
                     std::vector<std::string>& notes) {
  const std::string_view task = head.unit() == HeadUnit::kToken ? "tag"
                                : head.answers_numbers()        ? "regression"
                                                                : "classify";
  if (!options.task.empty() && options.task != task) {
    fail("{}: is a trained head and can do --task {} only, not {}", path, task, options.task);
  }
  if (!head.base() && !options.base.empty()) fail("{}: reads no model; leave --base out", path);
  std::unique_ptr<Model> base;
  if (head.base()) {
    base = Model::open(base_path(head.base()->path, path, options.base), load);
    if (fingerprint(base->file()) != head.base()->fingerprint) {
      fail("{}: was trained on the {} of {}, and {} is another model; name the right one with --base", path,
           head.features(), head.base()->path, base->file().path().string());
    }
  }
  if (base) notes = base->tokenizer_notes();
  if (task == "tag") return make_tag_by_head(std::move(head), path, std::move(base), options);
  return make_classify_by_head(std::move(head), path, std::move(base));
}

}  // namespace

std::string task_names() {
  std::vector<std::string_view> names;
  for (const Kind& kind : kTasks) names.push_back(kind.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string Task::base_of(const std::string& model_path, const std::string& wanted) {
  const auto file = head_file(model_path);
  const auto base = file ? file->metadata().text("wattle.head.base.path") : std::nullopt;
  return base ? base_path(*base, model_path, wanted) : std::string();
}

std::vector<std::string> Task::columns_of(const std::string& model_path) {
  const auto file = head_file(model_path);
  if (!file) return {};
  const auto columns = file->metadata().strings("wattle.head.table.columns");
  return {columns.begin(), columns.end()};
}

std::unique_ptr<Task> Task::create(const std::string& model_path, const TaskOptions& options,
                                   const LoadOptions& load) {
  std::vector<std::string> notes;
  const auto noted = [&](Made task) {
    if (!notes.empty()) task->notes_ = std::move(notes);
    return task;
  };
  if (const auto file = head_file(model_path))
    return noted(create_for_head(Head::load(*file), model_path, options, load, notes));
  if (!options.base.empty()) fail("{}: is a model, not a trained head; leave --base out", model_path);
  if (options.task == "tokenize" && !is_shape(model_path)) return make_tokenize(model_path, options);
  std::unique_ptr<Model> model = Model::open(model_path, load);
  const Kind& kind = kind_for(options.task.empty() ? default_task(*model) : options.task, *model, model_path);
  notes = model->tokenizer_notes();
  return noted(kind.make(std::move(model), options, load));
}

nlohmann::ordered_json describe(const ModelFile& file) {
  const Metadata& metadata = file.metadata();
  nlohmann::ordered_json description;
  description["path"] = file.path().string();
  description["architecture"] = file.architecture();
  for (const auto& [key, field] : {std::pair("general.name", "name"), std::pair("general.license", "license"),
                                   std::pair("wattle.converted_from", "converted_from")}) {
    if (const auto text = metadata.text(key)) description[field] = *text;
  }
  std::map<std::string, int64_t> formats;
  for (const Tensor& tensor : file.tensors())
    formats[std::string(info(tensor.format).name)] += tensor.elements();
  description["weights_by_format"] = formats;
  description["bits_per_weight"] = bits_per_weight(file);
  return description;
}

}  // namespace wattle::inline tasks
