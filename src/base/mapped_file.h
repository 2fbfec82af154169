#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace wattle::inline base {

/// A file mapped read-only. Movable, not copyable; views of bytes() live as long as the object.
class MappedFile {
 public:
  MappedFile() = default;
  /// Throws Error naming the path when it cannot be opened, is not a regular file, or cannot be mapped.
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }

  /// Tells the kernel that these pages will not be read again, so that peak memory stays the model plus
  /// little.
  void release(std::span<const std::byte> range) const;

  /// Copies a part of bytes() from the file itself, so that none of its pages becomes resident: for few rows
  /// here and there of a large table, where each touched page brings its neighbours into memory. Error when
  /// the file has become shorter.
  void read(std::span<const std::byte> range, std::span<std::byte> into) const;

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  int descriptor_ = -1;
};

}  // namespace wattle::inline base
