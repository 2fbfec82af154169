#pragma once

#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string_view>

namespace wattle::inline base {

/// Writes a file that appears whole or not at all: bytes go to a temporary name beside the target, commit()
/// syncs and renames it. Without commit() (an exception, Ctrl-C handled by unwinding) the temporary file is
/// removed and an older file of that name stays as it was. Every failure to write throws Error naming the
/// path (a full disk included).
class OutputFile {
 public:
  explicit OutputFile(const std::filesystem::path& path);
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile();

  /// Error when the file could not be written, so that long work is not done in vain.
  static void check(const std::filesystem::path& path);

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  size_t position() const { return position_; }
  void commit();

 private:
  [[noreturn]] void fail_to_write(int code) const;

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  std::FILE* file_ = nullptr;
  size_t position_ = 0;
};

}  // namespace wattle::inline base
