#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include <wattle/error.h>

namespace wattle::inline base {

MappedFile::MappedFile(const std::filesystem::path& path) {
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) fail("{}: cannot be opened ({}); check the path", path.string(), std::strerror(errno));
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    fail("{}: is not a regular file; give the path of a file", path.string());
  }
  if (static_cast<uint64_t>(status.st_size) > std::numeric_limits<size_t>::max()) {
    ::close(descriptor_);
    fail("{}: has {} bytes, more than this machine can address; use a smaller model", path.string(),
         status.st_size);
  }
  size_ = static_cast<size_t>(status.st_size);
  if (size_ > 0) {
    void* address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor_, 0);
    if (address == MAP_FAILED) {
      const int code = errno;
      ::close(descriptor_);
      fail("{}: cannot be mapped into memory ({}); free some memory and try again", path.string(),
           std::strerror(code));
    }
    data_ = static_cast<const std::byte*>(address);
  }
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
  if (descriptor_ >= 0) ::close(descriptor_);
}

void MappedFile::release(std::span<const std::byte> range) const {
  // Touching a page maps its neighbours too, within 64 KiB (fault_around_bytes of Linux): those go with it.
  // Pages that somebody still needs are clean and come back.
  constexpr uintptr_t kWindow = 65536;
  const auto first = reinterpret_cast<uintptr_t>(data_), start = reinterpret_cast<uintptr_t>(range.data());
  const uintptr_t begin = std::max(first, start / kWindow * kWindow);
  const uintptr_t end = std::min(first + size_, (start + range.size() + kWindow - 1) / kWindow * kWindow);
  if (end > begin) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

void MappedFile::read(std::span<const std::byte> range, std::span<std::byte> into) const {
  auto offset = range.data() - data_;
  while (!into.empty()) {
    const ssize_t got = ::pread(descriptor_, into.data(), into.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      fail("a model file cannot be read at byte {} any more ({}); leave files alone while they are in use",
           offset, got == 0 ? "it has become shorter" : std::strerror(errno));
    }
    into = into.subspan(static_cast<size_t>(got));
    offset += got;
  }
}

}  // namespace wattle::inline base
