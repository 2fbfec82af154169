#include "base/huge_pages.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>

namespace wattle::inline base {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

/// A mapping that begins on a huge page.
class Chunk {
 public:
  explicit Chunk(size_t size) : mapped_(size + kHugePage) {
    base_ = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base_ == MAP_FAILED) throw std::bad_alloc();
    void* first = base_;
    size_t space = mapped_;
    first_ = static_cast<std::byte*>(std::align(kHugePage, size, first, space));
    madvise(first_, size, MADV_HUGEPAGE);  // advice: where it is not taken, small pages serve
  }
  Chunk(const Chunk&) = delete;
  Chunk& operator=(const Chunk&) = delete;
  ~Chunk() { munmap(base_, mapped_); }

  std::byte* first() const { return first_; }

 private:
  size_t mapped_;
  void* base_ = nullptr;
  std::byte* first_ = nullptr;
};

size_t round_up(size_t size, size_t step) {
  return (size + step - 1) / step * step;
}

}  // namespace

std::shared_ptr<std::byte> allocate_in_huge_pages(size_t size) {
#if defined(__SANITIZE_ADDRESS__)
  // Each block apart, so that the sanitizer sees its ends.
  void* block = std::aligned_alloc(64, round_up(size, 64));
  if (block == nullptr) throw std::bad_alloc();
  std::memset(block, 0, size);
  return {static_cast<std::byte*>(block), [](std::byte* memory) { std::free(memory); }};
#else
  // Address space only: a page takes memory when it is first written.
  constexpr size_t kChunk = size_t{64} << 20;
  static std::mutex mutex;
  static std::weak_ptr<Chunk> current;
  static size_t used = 0;
  const size_t wanted = round_up(size, 64);
  const std::lock_guard lock(mutex);
  std::shared_ptr<Chunk> chunk = current.lock();
  if (!chunk || wanted > kChunk - used) {
    if (wanted > SIZE_MAX - 2 * kHugePage) throw std::bad_alloc();
    chunk = std::make_shared<Chunk>(round_up(wanted > kChunk ? wanted : kChunk, kHugePage));
    if (wanted >= kChunk) return {chunk, chunk->first()};
    current = chunk, used = 0;
  }
  std::byte* block = chunk->first() + used;
  used += wanted;
  // Its own whole pages go back with the block, not only with all of the chunk: weights that are converted
  // while a model is opened leave nothing behind.
  return {block, [chunk = std::move(chunk), wanted](std::byte* begin) {
            constexpr uintptr_t kPage = 4096;
            const auto address = reinterpret_cast<uintptr_t>(begin);
            const uintptr_t first = round_up(address, kPage), last = (address + wanted) / kPage * kPage;
            if (last > first) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
          }};
#endif
}

}  // namespace wattle::inline base
