#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/mapped_file.h"
#include "file/metadata.h"
#include "quant/format.h"

namespace wattle::inline file {

/// A named tensor of a file: a view into the mapping (or into memory the ModelFile owns).
struct Tensor {
  std::string name;
  Format format = Format::kF32;
  std::vector<int64_t> shape;  ///< outermost first, as PyTorch prints it: [out, in]; GGUF stores the reverse
  std::span<const std::byte> bytes;  ///< contiguous, last dimension fastest; may be unaligned
  bool packed = false;               ///< bytes are panels instead, see file/packed_file.h

  int64_t elements() const;
  int64_t row_length() const { return shape.empty() ? 1 : shape.back(); }
  int64_t rows() const { return row_length() == 0 ? 0 : elements() / row_length(); }
};

/// An opened model: tensors under GGUF names and metadata under GGUF keys, whatever the file was.
/// Every count was checked against the bytes there are; nothing of the file is ever executed.
class ModelFile {
 public:
  /// A GGUF file (or the first of its parts), safetensors (or the index of a sharded one), a PyTorch or ONNX
  /// file, with the names and metadata that it has (folders: families/open_file.h); a file is what its bytes
  /// say. Throws Error with one sentence for anything cut, corrupt, hostile or unknown.
  static ModelFile open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  std::string_view kind() const { return kind_; }  ///< "gguf", "safetensors", "pickle", "onnx", "folder"
  const Metadata& metadata() const { return metadata_; }
  /// Forgets an entry that nobody will ask for again, with its memory.
  void forget(std::string_view key) { metadata_.erase(key); }
  const std::vector<Tensor>& tensors() const { return tensors_; }
  /// What a reader left out or lacked, one sentence each ("the tensors ... are not used by bert").
  const std::vector<std::string>& notes() const { return notes_; }

  const Tensor* find(std::string_view name) const;
  /// Error naming the file and the tensor when it is missing or its shape differs.
  const Tensor& need(std::string_view name) const;
  const Tensor& need(std::string_view name, std::span<const int64_t> shape) const;

  std::string architecture() const { return metadata_.need_text("general.architecture"); }

  /// The bytes [offset, offset + size) of a tensor without making pages of the mapping resident: read into
  /// `buffer` (and resized for it), or a view of memory where the tensor is not mapped. Threads may read at
  /// once.
  std::span<const std::byte> read(const Tensor& tensor, size_t offset, size_t size,
                                  std::vector<std::byte>& buffer) const;

  /// The values of a tensor as float32, decoded by the scalar code of quant. Error for a packed one.
  std::vector<float> decoded(const Tensor& tensor) const;

  /// Gives the pages of a tensor, or of a part of one, back after they have been packed or decoded.
  void release(std::span<const std::byte> bytes) const;
  /// The same for all of the file: what is read again is mapped again.
  void release() const;

  // Readers fill these (src/file only).
  struct Contents {
    std::filesystem::path path;
    std::string kind;
    Metadata metadata;
    std::vector<Tensor> tensors;
    std::vector<MappedFile> mappings;
    std::vector<std::unique_ptr<std::vector<std::byte>>> owned;
    std::vector<std::string> notes;
  };
  explicit ModelFile(Contents contents);

 private:
  /// The mapping that holds `bytes`; null for memory.
  const MappedFile* mapping_of(std::span<const std::byte> bytes) const;

  std::filesystem::path path_;
  std::string kind_;
  Metadata metadata_;
  std::vector<Tensor> tensors_;
  std::vector<MappedFile> mappings_;
  std::vector<std::unique_ptr<std::vector<std::byte>>> owned_;
  std::vector<std::string> notes_;
  std::unordered_map<std::string, size_t> index_;  ///< name -> position in tensors_
};

/// Bits per weight over all tensors, as stored.
double bits_per_weight(const ModelFile& file);

}  // namespace wattle::inline file
