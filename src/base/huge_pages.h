#pragma once

#include <cstddef>
#include <memory>

namespace wattle::inline base {

/// `size` bytes, aligned to 64, in memory that asks for pages of 2 MiB (madvise), for weights that a pass
/// reads from end to end: with pages of 4 KiB the page walks cost as much as the reading. Neighbouring
/// requests share chunks, so that small matrices get large pages too; a chunk goes when the last of its
/// owners does. The memory is zero. Throws std::bad_alloc. Safe from several threads.
std::shared_ptr<std::byte> allocate_in_huge_pages(size_t size);

}  // namespace wattle::inline base
