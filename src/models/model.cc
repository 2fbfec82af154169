#include "models/model.h"

#include <malloc.h>

#include <optional>
#include <string_view>

#include <wattle/error.h>

#include "base/memory.h"
#include "families/family.h"
#include "families/open_file.h"
#include "models/shape_tokenizer.h"
#include "models/shapes.h"

namespace wattle::inline models {
namespace {

Pooling pooling_of(const Metadata& metadata, const std::string& architecture) {
  const std::string key = architecture + ".pooling_type";
  const int64_t type = metadata.integer(key).value_or(0);
  if (type < 0 || type > 3) {
    fail("{}: {} is {}; known are 0 (none), 1 (mean), 2 (first token) and 3 (last token)", metadata.origin(),
         key, type);
  }
  return static_cast<Pooling>(type);
}

/// A model that does not fit would be killed by the system, or swap for hours.
void check_memory(const ModelFile& file) {
  const std::optional<int64_t> available = available_memory();
  double bytes = 0;
  for (const Tensor& tensor : file.tensors()) {
    bytes += static_cast<double>(row_bytes(tensor.format, static_cast<size_t>(tensor.row_length()))) *
             static_cast<double>(tensor.rows());
  }
  if (!available || bytes <= static_cast<double>(*available)) return;
  fail(
      "{}: its weights take {:.1f} GB and this machine has {:.1f} GB of memory left; choose a smaller "
      "precision "
      "or model",
      file.metadata().origin(), bytes / 1e9, static_cast<double>(*available) / 1e9);
}

}  // namespace

void LoadOptions::take(const Precision& precision) {
  if (precision.activations()) activations = precision.activations();
  if (precision.cache()) cache_format = *precision.cache();
}

std::unique_ptr<Model> Model::open(const std::string& path, const LoadOptions& wanted) {
  std::unique_ptr<Model> model(new Model);
  model->is_shape_ = wattle::is_shape(path);
  LoadOptions options = wanted;
  if (model->is_shape_) options.take(shape_precision(path));
  model->file_ = std::make_unique<ModelFile>(model->is_shape_ ? shape_file(path) : open_model_file(path));
  const std::string architecture = model->architecture();
  const Family& family = family_of(architecture, model->metadata().origin());
  const Hyperparameters hyper(model->metadata());
  Description description;
  family.describe(hyper, description);
  check_tensors(*model->file_, description);
  check_memory(*model->file_);
  if (model->is_shape_) {
    model->tokenizer_ = shape_tokenizer(*model->file_, options.shape_tokenizer);
  } else if (model->metadata().find("tokenizer.ggml.model") != nullptr) {
    model->file_->release();
    model->tokenizer_ = Tokenizer::create(model->metadata());
  }
  // The tokenizer has its own form of these, 4 MB of strings for 50,000 tokens. What making it took is given
  // back before the weights come: it would stand beside them in the peak.
  for (const std::string_view list : kTokenizerLists) model->file_->forget(list);
  model->file_->release();
  malloc_trim(0);
  Weights weights(*model->file_, options.activations,
                  model->is_shape_ ? Weights::Generate(shape_bytes) : Weights::Generate());
  weights.observe_inputs(options.observe_input);
  model->network_ = family.build(weights, hyper, {options.cache_format, options.context});
  model->pooling_ = pooling_of(model->metadata(), architecture);
  model->weight_bytes_ = weights.bytes();
  model->generated_tables_ = weights.take_generated_tables();
  model->file_->release();
  return model;
}

const Tokenizer& Model::tokenizer() const {
  if (!tokenizer_)
    fail("{}: has no tokenizer; convert it again from a folder that has one", metadata().origin());
  return *tokenizer_;
}

}  // namespace wattle::inline models
