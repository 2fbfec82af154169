#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "file/model_file.h"
#include "quant/role.h"

namespace wattle::inline families {

/// Values of a tensor as a Hugging Face file has it -> as GGUF has it. Gets the whole tensor; what it changes
/// becomes F32 or keeps its format, in memory of the file's.
using Change = std::function<void(Tensor& tensor, std::vector<std::byte>& owned)>;

/// Any number of rows or columns: the configuration does not say.
inline constexpr int64_t kAnySize = -1;

/// One tensor of a model.
struct TensorSpec {
  std::string name;  ///< GGUF's, with .weight or .bias
  std::string
      source;  ///< Hugging Face's, with its ending and without the family's prefixes; empty: in no such file
  std::vector<int64_t> shape;  ///< as GGUF has it, outermost first; kAnySize where the file decides
  Role role = Role::kLinear;
  Change change = {};
  bool optional = false;
  /// Instead of `source`: Hugging Face's names where a file keeps the rows (shape[0]) apart, in order.
  std::vector<std::string> parts = {};
};

/// Every tensor of a model, in the order of its forward pass: the only list. Import of folders, shapes,
/// conversion, the order of packing and the check that nothing of a file is left unread are all driven by it.
class Description {
 public:
  /// Names of tensors below this call begin with `name` (GGUF) and `source` (Hugging Face): "blk.3.", "h.3.".
  void begin(std::string name, std::string source);

  struct Linear {
    std::string_view name, source;
    int64_t outputs = 0, inputs = 0;
    bool bias = true;
    Change change = {}, bias_change = {};
    Role role = Role::kLinear;
    bool optional = false;
    bool bias_optional = false;  ///< some files have the bias, some not
  };
  /// NAME.weight [outputs, inputs] and, with bias, NAME.bias [outputs].
  void linear(const Linear& linear);
  /// NAME.weight [size] and, with bias, NAME.bias.
  void norm(std::string_view name, std::string_view source, int64_t size, bool bias, Change change = {},
            bool optional = false);
  /// NAME.weight [rows, columns] of the role kEmbedding, kPosition or kTable.
  void table(Role role, std::string_view name, std::string_view source, int64_t rows, int64_t columns,
             Change change = {}, bool optional = false);
  /// One tensor by its full names, endings included.
  void tensor(TensorSpec spec);
  /// NAME.weight [count, size], whose rows Hugging Face keeps as tensors of their own, [size] or [1, size]:
  /// SOURCE.weight with the row's number in place of the "{}" (norms of heads).
  void joined(Role role, std::string_view name, std::string_view source, int64_t count, int64_t size,
              bool optional = false);

  /// Prefixes that Hugging Face names may begin with, in any number and order ("bert.", "model.").
  void prefixes(std::vector<std::string> names) { prefixes_ = std::move(names); }
  /// Another name that Hugging Face files may have for the tensor `name` (GGUF's): of several only the first
  /// is read.
  void alias(const std::string& name, const std::string& source);
  /// Names, or beginnings of names, that files may hold and that say nothing of the model's weights: buffers.
  void buffers(std::vector<std::string> names);
  /// Weights that files may hold and this program does not compute with; `why` ends the note "left out, ...".
  void left_out(std::vector<std::string> names);

  const std::vector<TensorSpec>& tensors() const { return tensors_; }
  const TensorSpec* find(std::string_view name) const;

  enum class Use { kTensor, kBuffer, kLeftOut, kUnknown };
  struct Found {
    Use use = Use::kUnknown;
    const TensorSpec* spec = nullptr;
    size_t part = 0;  ///< which of the tensor's parts
  };
  /// What a tensor of a Hugging Face file is for. The first BERT files call the two of a norm gamma and beta.
  Found find_source(std::string_view hugging_face_name) const;

 private:
  void add(TensorSpec spec);

  std::string name_prefix_, source_prefix_;
  std::vector<std::string> prefixes_, buffers_, left_out_;
  std::vector<TensorSpec> tensors_;
  std::unordered_map<std::string, size_t> by_name_;
  struct Place {
    size_t tensor, part;
  };
  std::unordered_map<std::string, Place> by_source_;
};

// Changes of tensors on import.

/// Rotary positions turn a head's values in pairs: Hugging Face keeps the two of a pair half a head apart,
/// GGUF's llama side by side.
Change interleave_rows(int64_t heads);
/// Weights of norms that are stored less 1 (Gemma).
Change add_one();
/// [inputs, outputs] -> [outputs, inputs] (GPT-2's Conv1D).
Change transpose();
/// Rows [groups, parts, rows / (groups * parts)] -> [parts, groups, ...]: fused queries, keys and values that
/// lie head by head -> all queries, all keys, all values (GPT-NeoX, BLOOM). `order`: which place each part
/// takes; empty: its own.
Change regroup_rows(int64_t groups, int64_t parts, std::vector<int64_t> order = {});
/// Leaves the first rows out (positions that no token takes).
Change drop_rows(int64_t count);
/// [1, n] -> [n].
Change flatten();
/// One after the other.
Change both(Change first, Change second);

}  // namespace wattle::inline families
