#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "file/metadata.h"
#include "kernels/matmul.h"
#include "layers/attention.h"

namespace wattle::inline families {

/// Reads the numbers of a model's architecture (`<arch>.block_count`) and refuses the absurd before anything
/// is allocated. Every Error names the file and the key.
class Hyperparameters {
 public:
  explicit Hyperparameters(const Metadata& metadata);

  int64_t count(std::string_view key, int64_t least, int64_t most) const;
  int64_t count_or(std::string_view key, int64_t fallback, int64_t least, int64_t most) const;
  /// A finite number above 0.
  double positive(std::string_view key) const;
  double positive_or(std::string_view key, double fallback) const;

  bool flag_or(std::string_view key, bool fallback) const;
  std::string word_or(std::string_view key, std::string_view fallback) const;
  bool has(std::string_view key) const;
  std::span<const int64_t> integers(std::string_view key) const;  ///< empty where there is no such list
  const Value* find(std::string_view key) const;                  ///< null where there is none
  const Metadata& metadata() const { return metadata_; }
  /// For error sentences: the file, and the whole name of a key.
  const std::string& origin() const { return metadata_.origin(); }

  int64_t layers() const { return count("block_count", 1, 1024); }
  int64_t width() const { return count("embedding_length", 1, 1 << 20); }
  int64_t inner_width() const { return count("feed_forward_length", 1, 1 << 24); }
  int64_t context_length() const { return count("context_length", 1, int64_t{1} << 31); }
  /// Rows of the token embedding, or kAnySize (families/description.h) where the metadata do not say.
  int64_t vocabulary() const;
  /// What <arch>.hidden_activation says, by the names that config.json has for them ("gelu", "gelu_new",
  /// "relu", "silu", ...).
  ActivationFunction activation(ActivationFunction fallback) const;
  /// Heads, key-value heads and head dimension, with scale 1 / sqrt(head_dim); Error where they do not
  /// divide.
  AttentionShape attention() const;
  float epsilon() const;  ///< of the norms, whichever kind they are

 private:
  std::string key(std::string_view name) const { return prefix_ + std::string(name); }

  const Metadata& metadata_;
  std::string prefix_;
};

/// The function that config.json calls `name`; Error naming `origin` for one that is not known.
ActivationFunction activation_from_name(std::string_view name, const std::string& origin);

}  // namespace wattle::inline families
