#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/work.h"
#include "file/model_file.h"
#include "kernels/matmul.h"
#include "layers/key_value_cache.h"
#include "layers/weights.h"
#include "quant/precision.h"
#include "tensor/matrix.h"
#include "tensor/ragged.h"
#include "text/tokenizer.h"

namespace wattle {

struct LoadOptions {
  std::optional<Activations> activations;  ///< default: what each format multiplies with
  Format cache_format = Format::kF16;      ///< key-value cache: F16, F32 or Q8_0
  /// Takes the activations and the cache's format that `precision` names.
  void take(const Precision& precision);
  int64_t context = 0;         ///< tokens a cache holds; 0: what the model was trained with, at most 4096
  ObserveInput observe_input;  ///< calibration: sees the input of every linear layer
  /// For a shape: file or folder of a model whose tokenizer counts its tokens (wattle.shape.tokenizer of its
  /// metadata names the nearest of the catalogue); empty or absent: four bytes a token. Tokenizer::kind says
  /// which was used.
  std::filesystem::path shape_tokenizer;
};

/// A family that reads whole sequences at once (bert, mpnet).
class Encoder {
 public:
  virtual ~Encoder() = default;
  /// out [total tokens, width]: hidden states after the last layer. Sequences do not see each other.
  virtual void hidden_states(const Ragged<TokenId>& tokens, MatrixView out, Work& work) = 0;
  virtual int64_t width() const = 0;
  virtual int64_t max_tokens() const = 0;  ///< longest sequence, special tokens included
};

/// Tokens of one sequence that continue what its cache holds.
struct DecoderInput {
  KeyValueCache* cache = nullptr;
  std::span<const TokenId> tokens;
};

enum class LogitsWanted { kLast, kAll };

/// A family that continues text (llama, qwen2, gemma3).
class Decoder {
 public:
  virtual ~Decoder() = default;
  /// A cache for `capacity` tokens; 0: what LoadOptions::context asked for.
  virtual std::unique_ptr<KeyValueCache> new_cache(int64_t capacity) const = 0;
  /// Runs every input (a ragged batch, each with a cache of its own), appends to the caches. logits [rows,
  /// vocabulary]: one row an input (kLast), or one a token in order (kAll). Error when a cache is full.
  /// Work.tokens_in counts every token run; tokens_out is left to the caller, who knows which were generated.
  virtual void forward(std::span<const DecoderInput> inputs, LogitsWanted wanted, Matrix& logits,
                       Work& work) = 0;
  virtual int64_t vocabulary() const = 0;
  virtual int64_t context_length() const = 0;  ///< what the model was trained with
};

enum class Pooling { kNone, kMean, kCls, kLast };

/// An opened model: weights packed for this machine, tokenizer, family. Knows no tasks and no joules.
class Model {
 public:
  /// A file or folder (see ModelFile::open), or `shape:NAME`. Error for an unknown architecture, naming those
  /// known.
  static std::unique_ptr<Model> open(const std::string& path, const LoadOptions& options = {});

  const ModelFile& file() const { return *file_; }
  const Metadata& metadata() const { return file_->metadata(); }
  const Tokenizer& tokenizer() const;  ///< Error when the file has none
  bool has_tokenizer() const { return tokenizer_ != nullptr; }
  std::string architecture() const { return file_->architecture(); }
  bool is_shape() const { return is_shape_; }

  Encoder* encoder() const { return encoder_.get(); }  ///< null for decoders
  Decoder* decoder() const { return decoder_.get(); }  ///< null for encoders
  Pooling pooling() const { return pooling_; }

  size_t weight_bytes() const { return weight_bytes_; }

 private:
  Model() = default;
  std::unique_ptr<ModelFile> file_;
  std::vector<std::vector<std::byte>> generated_tables_;  ///< embedding tables of a shape
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<Encoder> encoder_;
  std::unique_ptr<Decoder> decoder_;
  Pooling pooling_ = Pooling::kNone;
  size_t weight_bytes_ = 0;
  bool is_shape_ = false;
};

}  // namespace wattle
