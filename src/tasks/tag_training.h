#pragma once

#include <functional>
#include <string>

#include "models/model.h"
#include "tasks/tagged_rows.h"
#include "train/trainer.h"

namespace wattle::inline tasks {

/// Told what is being done and the part of it that is done, 0..1.
using TrainingProgress = std::function<void(const std::string& what, double part)>;

/// Trains a head for the labels of tokens on the hidden states of a frozen encoder. Every token under a span
/// takes its label in the rows' scheme, every other one O; texts longer than the model reads are read in
/// windows. The cost of a linear head is chosen by cross-validation over whole texts, on some 20,000 tokens
/// of them where there are more; the head is then fitted on all. Takes about 28 bytes of memory a token and
/// feature. `base_path` is where the head will look for the model. Throws Error for a model that reads no
/// text as a whole and for rows with a single label.
Head train_token_head(Model& model, const std::string& base_path, const TaggedRows& rows,
                      const TrainOptions& options, const TrainingProgress& progress, Work& work);

}  // namespace wattle::inline tasks
