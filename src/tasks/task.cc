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

namespace wattle {
namespace {

constexpr std::string_view kTasks[] = {"embed",      "classify", "generate", "tokenize",
                                       "perplexity", "hidden",   "logits"};

bool is_shape(const std::string& path) {
  return path.starts_with("shape:");
}

/// The trained head in a file, or nullopt for a model.
std::optional<Head> head_in(const std::string& path) {
  if (is_shape(path) || !std::filesystem::is_regular_file(path)) return std::nullopt;
  const ModelFile file = open_model_file(path);
  if (file.metadata().text("general.architecture") != std::string(Head::kArchitecture)) return std::nullopt;
  return Head::load(file);
}

/// The base model's path: as asked for, else where it was in training, else beside the head.
std::string base_path(const Head& head, const std::string& head_path, const std::string& wanted) {
  if (!wanted.empty()) return wanted;
  const std::filesystem::path recorded = head.base()->path;
  if (std::filesystem::exists(recorded)) return recorded.string();
  const auto beside = std::filesystem::path(head_path).parent_path() / recorded.filename();
  if (std::filesystem::exists(beside)) return beside.string();
  fail("{}: its base model {} is not there; name it with --base", head_path, recorded.string());
}

std::unique_ptr<Task> create_for_head(Head head, const std::string& path, const TaskOptions& options,
                                      const LoadOptions& load) {
  if (!options.task.empty() && options.task != "classify") {
    fail("{}: is a trained head and can do --task classify only, not {}", path, options.task);
  }
  if (!head.base() && !options.base.empty()) fail("{}: reads no model; leave --base out", path);
  std::unique_ptr<Model> base;
  if (head.base()) {
    base = Model::open(base_path(head, path, options.base), load);
    if (fingerprint(base->file()) != head.base()->fingerprint) {
      fail("{}: was trained on the embeddings of {}, and {} is another model; name the right one with --base",
           path, head.base()->path, base->file().path().string());
    }
  }
  return make_classify_by_head(std::move(head), path, std::move(base));
}

}  // namespace

std::string task_names() {
  return fmt::format("{}", fmt::join(kTasks, ", "));
}

std::string Task::base_of(const std::string& model_path, const std::string& wanted) {
  const auto head = head_in(model_path);
  return head && head->base() ? base_path(*head, model_path, wanted) : std::string();
}

std::unique_ptr<Task> Task::create(const std::string& model_path, const TaskOptions& options,
                                   const LoadOptions& load) {
  if (auto head = head_in(model_path)) return create_for_head(std::move(*head), model_path, options, load);
  if (!options.base.empty()) fail("{}: is a model, not a trained head; leave --base out", model_path);
  std::string task = options.task;
  if (task == "tokenize" && !is_shape(model_path)) return make_tokenize(model_path, options);
  std::unique_ptr<Model> model = Model::open(model_path, load);
  const bool encoder = model->encoder() != nullptr;
  if (task.empty()) task = encoder ? "embed" : "generate";
  if (task == "embed") return make_embed(std::move(model));
  if (task == "classify" && encoder) {
    fail("{}: an encoder needs a trained head to classify; make one with `wattle train --on {}` and run that",
         model_path, model_path);
  }
  if (std::ranges::find(kTasks, task) == std::end(kTasks)) {
    fail("--task {}: unknown task; one of {}", task, task_names());
  }
  if (task == "hidden") return make_hidden(std::move(model));
  if (task == "logits") return make_logits(std::move(model));
  if (encoder) {
    fail("{}: is an encoder and can do embed, tokenize, hidden and logits, not {}", model_path, task);
  }
  if (task == "classify") return make_classify_by_likelihood(std::move(model), options, load);
  if (task == "generate") return make_generate(std::move(model), options, load);
  if (task == "tokenize") fail("{}: a shape has no tokenizer; name a model file", model_path);
  return make_perplexity(std::move(model), options);
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

}  // namespace wattle
