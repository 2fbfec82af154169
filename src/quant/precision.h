#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quant/activations.h"
#include "quant/format.h"
#include "quant/role.h"

namespace wattle::inline quant {

/// The first item of a precision that leaves weights as a model's file has them.
inline constexpr std::string_view kAsPublished = "as-published";
/// Another name of Q8_0,activations=w8a8: weights of 8 bits, and products in 8 bits with one scale a row of
/// weights and of activations.
inline constexpr std::string_view kW8A8 = "W8A8";

/// Formats of key-value caches, as sentences list them.
inline constexpr std::string_view kCacheFormats = "F32, F16, Q8_0 or Q4_0";
bool is_cache_format(Format format);

/// The format that a tensor takes.
struct TensorFormat {
  Format format;
  bool fell_back = false;  ///< not the one asked for, whose blocks do not divide the tensor's rows
};

/// Which tensor takes which format, how products read activations, the format of the key-value cache:
///
///     Q4_K,output=Q6_K,blk.*.ffn_down=Q5_K,cache=Q8_0,activations=w8a8
///
/// First the format of the weights of linear layers, outputs and embeddings, or "as-published"; then items
/// NAME=FORMAT, where NAME is a role (role.h) or a pattern (*, ?, [abc]) of names of weights as GGUF files
/// have them, without ".weight". Norms and biases are reached by their roles alone.
class Precision {
 public:
  struct Item {
    std::string name;
    std::optional<Role> role;  ///< none: `name` is a pattern
    Format format;
    bool operator==(const Item&) const = default;
  };

  /// As published.
  Precision() = default;
  Precision(Format weights) : weights_(weights) {}  // a format is the plainest of precisions

  /// Throws Error naming the item and the cure.
  static Precision parse(std::string_view text);

  /// The canonical form: parse(name()) is this precision. `published` stands for weights as published.
  std::string name(std::string_view published = kAsPublished) const;

  /// The format of a tensor, nullopt when it keeps its own. A pattern wins over a role, the later of two
  /// patterns over the earlier, any item over the first one, by which linear, output and embedding take the
  /// format; position, convolution and depthwise F16 (F32 with F32); table, norm and bias F32.
  /// `row_length`: weights in a row, for fitting_format().
  std::optional<TensorFormat> format_for(Role role, std::string_view tensor_name, int64_t row_length) const;

  /// Whether `item` reaches a tensor.
  static bool reaches(const Item& item, Role role, std::string_view tensor_name);

  /// Whether a file of weights at this precision differs from what was published.
  bool changes_weights() const { return weights_.has_value() || !items_.empty(); }
  /// What a file of weights can hold of it: neither cache nor activations.
  Precision of_weights() const;

  std::optional<Format> weights() const { return weights_; }
  std::span<const Item> items() const { return items_; }
  std::optional<Format> cache() const { return cache_; }
  std::optional<Activations> activations() const { return activations_; }

  /// Throw Error when this precision names them already; set_cache also for a format that caches do not have.
  void set_cache(Format format);
  void set_activations(Activations activations);

  bool operator==(const Precision&) const = default;

 private:
  void add_item(std::string_view name, std::string_view value);

  std::optional<Format> weights_;
  std::vector<Item> items_;  ///< roles in the order of Role, then patterns as they were given
  std::optional<Format> cache_;
  std::optional<Activations> activations_;
};

/// A format that weights can be written in. Throws Error for an unknown one and for one that is only read.
Format written_format_from_name(std::string_view name);

}  // namespace wattle::inline quant
