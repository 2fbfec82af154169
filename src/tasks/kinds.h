#pragma once

#include <memory>
#include <string_view>

#include <nlohmann/json.hpp>

#include "tasks/task.h"
#include "train/head.h"

namespace wattle {

// The tasks, one file each; Task::create chooses. All throw Error when the model cannot do the task.

/// Fields: `embedding`, L2-normalised.
std::unique_ptr<Task> make_embed(std::unique_ptr<Model> model);

/// Fields: `label`, `scores` (a probability for each label). `base` is null for heads on n-grams.
std::unique_ptr<Task> make_classify_by_head(Head head, std::string path, std::unique_ptr<Model> base);

/// Fields: `label`, `scores`. The label whose words the model finds likeliest after the prompt.
std::unique_ptr<Task> make_classify_by_likelihood(std::unique_ptr<Model> model, const TaskOptions& options,
                                                  const LoadOptions& load);

/// Fields: `text`, `tokens_in`, `tokens_out`, `stop` ("end" or "length").
std::unique_ptr<Task> make_generate(std::unique_ptr<Model> model, const TaskOptions& options,
                                    const LoadOptions& load);

/// Fields: `perplexity`, `bits_per_byte`, `tokens`, `windows`; the summary is over all rows.
std::unique_ptr<Task> make_perplexity(std::unique_ptr<Model> model, const TaskOptions& options);

/// Fields: `ids`. Reads the model's tokenizer only.
std::unique_ptr<Task> make_tokenize(const std::string& model_path, const TaskOptions& options);

std::vector<std::string_view> texts_of(std::span<const Row> rows);

/// The fields of a classification: `label` and `scores`, by name.
nlohmann::ordered_json classified(const std::vector<std::string>& labels, int label,
                                  std::span<const float> scores);

/// Architecture, name, licence, tensors by format, bits per weight.
nlohmann::ordered_json describe(const ModelFile& file);

}  // namespace wattle
