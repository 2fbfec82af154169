#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wattle::inline file {

/// An entry of a zip archive that is stored as it is; compressed ones have no bytes here.
struct ZipEntry {
  std::string_view name;
  std::span<const std::byte> bytes;
  bool stored = true;
};

/// Whether the bytes begin as a zip archive does.
bool is_zip(std::span<const std::byte> bytes);

/// The entries of an archive's central directory (PKWARE APPNOTE 6.3.9, zip64 included), as views into
/// `bytes`. Throws Error for an archive that is cut, split over volumes, encrypted or inconsistent.
std::vector<ZipEntry> read_zip(std::span<const std::byte> bytes, const std::string& origin);

}  // namespace wattle::inline file
