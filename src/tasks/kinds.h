#pragma once

#include <memory>
#include <string_view>

#include <nlohmann/json.hpp>

#include "tasks/task.h"
#include "train/head.h"

namespace wattle::inline tasks {

// The tasks, one file each; Task::create chooses. All throw Error when the model cannot do the task.

/// Vectors, of length 1 unless the model says otherwise.
std::unique_ptr<Task> make_embed(std::unique_ptr<Model> model, const TaskOptions& options);

/// Labels. `base` is null for heads on n-grams.
std::unique_ptr<Task> make_classify_by_head(Head head, std::string path, std::unique_ptr<Model> base);

/// Labels by the model's own head: probabilities, or a score where it has one output alone. Texts, pairs, or
/// ids.
std::unique_ptr<Task> make_classify_by_own_head(std::unique_ptr<Model> model);

/// Scores of pairs of texts by the model's own head with one output (a cross-encoder).
std::unique_ptr<Task> make_rank(std::unique_ptr<Model> model, const TaskOptions& options);

/// What may stand in the places of a text's mask tokens.
std::unique_ptr<Task> make_fill(std::unique_ptr<Model> model, const TaskOptions& options);

/// Spans of the text by labels of tokens.
std::unique_ptr<Task> make_tag(std::unique_ptr<Model> model, const TaskOptions& options);

/// The same by a trained head on the hidden states of `base`.
std::unique_ptr<Task> make_tag_by_head(Head head, const std::string& path, std::unique_ptr<Model> base,
                                       const TaskOptions& options);

/// Spans of a context that answer a question.
std::unique_ptr<Task> make_extract(std::unique_ptr<Model> model, const TaskOptions& options);

/// Labels: the one whose words the model finds likeliest after the prompt.
std::unique_ptr<Task> make_classify_by_likelihood(std::unique_ptr<Model> model, const TaskOptions& options,
                                                  const LoadOptions& load);

/// Texts that continue or answer; ids where the question is ids.
std::unique_ptr<Task> make_generate(std::unique_ptr<Model> model, const TaskOptions& options,
                                    const LoadOptions& load);

/// Shorter texts that say the same, and texts in another language: by an encoder-decoder with its own
/// settings for that, or by a decoder that is asked to.
std::unique_ptr<Task> make_summarise(std::unique_ptr<Model> model, const TaskOptions& options,
                                     const LoadOptions& load);
std::unique_ptr<Task> make_translate(std::unique_ptr<Model> model, const TaskOptions& options,
                                     const LoadOptions& load);

/// Pseudo-perplexities by a head for masked tokens.
std::unique_ptr<Task> make_pseudo_perplexity(std::unique_ptr<Model> model, const TaskOptions& options);

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
/// The same of a trained head and its base model; null: it reads none.
nlohmann::ordered_json describe(const Head& head, const std::string& path, const Model* base);

}  // namespace wattle::inline tasks
