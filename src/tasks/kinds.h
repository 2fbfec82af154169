#pragma once

#include <memory>
#include <string_view>

#include <nlohmann/json.hpp>

#include "tasks/task.h"
#include "train/head.h"

namespace wattle {

// The tasks, one file each; Task::create chooses. All throw Error when the model cannot do the task.

/// Vectors, of length 1 unless the model says otherwise.
std::unique_ptr<Task> make_embed(std::unique_ptr<Model> model);

/// Labels. `base` is null for heads on n-grams.
std::unique_ptr<Task> make_classify_by_head(Head head, std::string path, std::unique_ptr<Model> base);

/// Labels: the one whose words the model finds likeliest after the prompt.
std::unique_ptr<Task> make_classify_by_likelihood(std::unique_ptr<Model> model, const TaskOptions& options,
                                                  const LoadOptions& load);

/// Texts that continue or answer; ids where the question is ids.
std::unique_ptr<Task> make_generate(std::unique_ptr<Model> model, const TaskOptions& options,
                                    const LoadOptions& load);

/// Perplexities; the summary is over all questions.
std::unique_ptr<Task> make_perplexity(std::unique_ptr<Model> model, const TaskOptions& options);

/// Token ids. Reads the model's tokenizer only.
std::unique_ptr<Task> make_tokenize(const std::string& model_path, const TaskOptions& options);

/// What the model's layers give, for checking it against a reference: hidden states after the last layer that
/// reads; logits of the model's own head, where the file has one, else after every token. Error for more
/// numbers than can be written, for an encoder-decoder's logits without decoder ids.
std::unique_ptr<Task> make_hidden(std::unique_ptr<Model> model);
std::unique_ptr<Task> make_logits(std::unique_ptr<Model> model);

/// Architecture, name, licence, tensors by format, bits per weight.
nlohmann::ordered_json describe(const ModelFile& file);

}  // namespace wattle
