#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/work.h"
#include "families/capabilities.h"
#include "file/model_file.h"
#include "kernels/matmul.h"
#include "layers/key_value_cache.h"
#include "layers/weights.h"
#include "quant/precision.h"
#include "tensor/matrix.h"
#include "tensor/ragged.h"
#include "text/tokenizer.h"

namespace wattle::inline models {

struct LoadOptions {
  std::optional<Activations> activations;  ///< default: what each format multiplies with
  Format cache_format = Format::kF16;      ///< of the key-value cache: one of is_cache_format()
  /// Takes the activations and the cache's format that `precision` names.
  void take(const Precision& precision);
  int64_t context = 0;         ///< tokens a cache holds; 0: what the model was trained with, at most 4096
  ObserveInput observe_input;  ///< calibration: sees the input of every linear layer
  /// For a shape: file or folder of a model whose tokenizer counts its tokens (wattle.shape.tokenizer of its
  /// metadata names the nearest of the catalogue); empty or absent: four bytes a token. Tokenizer::kind says
  /// which was used.
  std::filesystem::path shape_tokenizer;
};

enum class Pooling { kNone, kMean, kCls, kLast };

/// An opened model: weights packed for this machine, tokenizer, family. Knows no tasks and no joules.
class Model {
 public:
  /// A file or folder (see open_model_file), or `shape:NAME`. Error for an unknown architecture, naming those
  /// known.
  static std::unique_ptr<Model> open(const std::string& path, const LoadOptions& options = {});

  const ModelFile& file() const { return *file_; }
  const Metadata& metadata() const { return file_->metadata(); }
  const Tokenizer& tokenizer() const;  ///< Error when the file has none
  bool has_tokenizer() const { return tokenizer_ != nullptr; }
  /// What the tokenizer lacks and how it is read instead (Tokenizer::notes).
  std::vector<std::string> tokenizer_notes() const {
    return tokenizer_ != nullptr ? tokenizer_->notes() : std::vector<std::string>();
  }
  std::string architecture() const { return file_->architecture(); }
  bool is_shape() const { return is_shape_; }

  /// What the network can do: null for a capability that it has not.
  template <class Capability>
  Capability* can() const {
    return capability<Capability>(*network_);
  }
  /// The network as a reader of texts alone; null where it also writes them.
  ReadsText* encoder() const { return can<ContinuesText>() == nullptr ? can<ReadsText>() : nullptr; }
  ContinuesText* decoder() const { return can<ContinuesText>(); }
  Pooling pooling() const { return pooling_; }

  size_t weight_bytes() const { return weight_bytes_; }

 private:
  Model() = default;
  std::unique_ptr<ModelFile> file_;
  std::vector<std::vector<std::byte>> generated_tables_;  ///< embedding tables of a shape
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<Network> network_;
  Pooling pooling_ = Pooling::kNone;
  size_t weight_bytes_ = 0;
  bool is_shape_ = false;
};

}  // namespace wattle::inline models
