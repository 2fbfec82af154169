#include "base/output_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <wattle/error.h>

namespace wattle::inline base {

OutputFile::OutputFile(const std::filesystem::path& path) : path_(path) {
  if (std::error_code ignored; std::filesystem::is_directory(path, ignored)) {
    fail("{}: is a directory; name a file in it", path.string());
  }
  temporary_ = path;
  temporary_ += ".part" + std::to_string(::getpid());
  file_ = std::fopen(temporary_.c_str(), "wbe");
  if (file_ == nullptr) {
    fail("{}: cannot be written ({}); choose a directory that exists and can be written", path.string(),
         std::strerror(errno));
  }
}

OutputFile::~OutputFile() {
  if (file_ == nullptr) return;
  std::fclose(file_);
  std::error_code ignored;
  std::filesystem::remove(temporary_, ignored);
}

void OutputFile::check(const std::filesystem::path& path) {
  const OutputFile opened(path);
}

void OutputFile::write(std::span<const std::byte> bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) fail_to_write(errno);
  position_ += bytes.size();
}

void OutputFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text.data(), text.size())));
}

void OutputFile::commit() {
  if (std::fflush(file_) != 0 || ::fsync(::fileno(file_)) != 0) fail_to_write(errno);
  if (std::fclose(std::exchange(file_, nullptr)) != 0) fail_to_write(errno);
  std::error_code code;
  std::filesystem::rename(temporary_, path_, code);
  if (code) fail_to_write(code.value());
}

void OutputFile::fail_to_write(int code) const {
  std::error_code ignored;
  std::filesystem::remove(temporary_, ignored);
  fail("{}: writing failed ({}); free some space or choose another place", path_.string(),
       std::strerror(code));
}

}  // namespace wattle::inline base
