#include "file/zip.h"

#include <algorithm>
#include <cstring>

#include "file/byte_reader.h"

namespace wattle::inline file {
namespace {

constexpr uint32_t kLocalHeader = 0x04034b50;
constexpr uint32_t kCentralHeader = 0x02014b50;
constexpr uint32_t kEnd = 0x06054b50;
constexpr uint32_t kEnd64 = 0x06064b50;
constexpr uint32_t kLocator64 = 0x07064b50;
constexpr size_t kEndBytes = 22;
constexpr size_t kLocatorBytes = 20;
constexpr size_t kMaxComment = 65535;

struct Directory {
  uint64_t entries = 0, bytes = 0, offset = 0;
};

uint32_t signature_at(std::span<const std::byte> bytes, size_t position) {
  uint32_t value = 0;
  if (position <= bytes.size() && bytes.size() - position >= sizeof value) {
    std::memcpy(&value, bytes.data() + position, sizeof value);
  }
  return value;
}

ByteReader reader_at(std::span<const std::byte> bytes, uint64_t position, const std::string& origin) {
  ByteReader reader(bytes, origin);
  reader.take(position, "a part of the archive");
  return reader;
}

size_t find_end(std::span<const std::byte> bytes, const std::string& origin) {
  const size_t furthest = std::min(bytes.size(), kEndBytes + kMaxComment);
  for (size_t back = kEndBytes; back <= furthest; ++back) {
    if (signature_at(bytes, bytes.size() - back) == kEnd) return bytes.size() - back;
  }
  fail("{}: the archive has no directory at its end; the file is cut, get it again", origin);
}

Directory read_directory64(std::span<const std::byte> bytes, size_t end, const std::string& origin) {
  auto locator = reader_at(bytes, end - kLocatorBytes + 8, origin);
  auto reader = reader_at(bytes, locator.read<uint64_t>("the directory's place"), origin);
  if (reader.read<uint32_t>("the directory") != kEnd64) {
    fail("{}: the archive's 64-bit directory is not where it should be; the file is corrupt, get it again",
         origin);
  }
  reader.take(8 + 2 + 2 + 4 + 4 + 8, "the directory");
  Directory directory;
  directory.entries = reader.read<uint64_t>("the directory");
  directory.bytes = reader.read<uint64_t>("the directory");
  directory.offset = reader.read<uint64_t>("the directory");
  return directory;
}

Directory read_directory(std::span<const std::byte> bytes, const std::string& origin) {
  const size_t end = find_end(bytes, origin);
  if (end >= kLocatorBytes && signature_at(bytes, end - kLocatorBytes) == kLocator64) {
    return read_directory64(bytes, end, origin);
  }
  auto reader = reader_at(bytes, end + 4, origin);
  const auto disk = reader.read<uint16_t>("the directory");
  const auto first_disk = reader.read<uint16_t>("the directory");
  const auto entries_here = reader.read<uint16_t>("the directory");
  Directory directory;
  directory.entries = reader.read<uint16_t>("the directory");
  directory.bytes = reader.read<uint32_t>("the directory");
  directory.offset = reader.read<uint32_t>("the directory");
  if (disk != 0 || first_disk != 0 || entries_here != directory.entries) {
    fail("{}: the archive is split over several files; join them first", origin);
  }
  return directory;
}

/// Sizes and place of an entry, from its 32-bit fields or, where those say "too large", from the zip64 extra
/// field.
struct Extent {
  uint64_t full = 0, stored = 0, offset = 0;
};

void read_extra64(ByteReader extra, Extent& extent) {
  constexpr uint16_t kZip64 = 1;
  constexpr uint64_t kElsewhere = 0xFFFFFFFF;
  while (extra.remaining() >= 4) {
    const auto id = extra.read<uint16_t>("an extra field");
    const auto length = extra.read<uint16_t>("an extra field");
    ByteReader field(extra.take(length, "an extra field"), extra.origin());
    if (id != kZip64) continue;
    for (uint64_t* value : {&extent.full, &extent.stored, &extent.offset}) {
      if (*value == kElsewhere) *value = field.read<uint64_t>("a 64-bit size");
    }
  }
}

ZipEntry read_entry(std::span<const std::byte> bytes, ByteReader& directory) {
  const std::string& origin = directory.origin();
  if (directory.read<uint32_t>("a directory entry") != kCentralHeader) {
    fail("{}: the archive's directory is corrupt; get the file again", origin);
  }
  directory.take(2 + 2, "a directory entry");
  const auto flags = directory.read<uint16_t>("a directory entry");
  const auto method = directory.read<uint16_t>("a directory entry");
  directory.take(2 + 2 + 4, "a directory entry");
  Extent extent;
  extent.stored = directory.read<uint32_t>("a directory entry");
  extent.full = directory.read<uint32_t>("a directory entry");
  const auto name_bytes = directory.read<uint16_t>("a directory entry");
  const auto extra_bytes = directory.read<uint16_t>("a directory entry");
  const auto comment_bytes = directory.read<uint16_t>("a directory entry");
  directory.take(2 + 2 + 4, "a directory entry");
  extent.offset = directory.read<uint32_t>("a directory entry");
  ZipEntry entry;
  entry.name = directory.text(name_bytes, "an entry's name");
  read_extra64(ByteReader(directory.take(extra_bytes, "an extra field"), origin), extent);
  directory.take(comment_bytes, "a comment");
  if ((flags & 1) != 0) fail("{}: the archive is encrypted; get the plain file", origin);
  entry.stored = method == 0;
  if (!entry.stored) return entry;
  if (extent.full != extent.stored) {
    fail("{}: the entry {} has two different sizes; the file is corrupt, get it again", origin, entry.name);
  }
  auto local = reader_at(bytes, extent.offset, origin);
  if (local.read<uint32_t>("an entry") != kLocalHeader) {
    fail("{}: the entry {} is not where the directory says; the file is corrupt, get it again", origin,
         entry.name);
  }
  local.take(22, "an entry");
  const auto local_name = local.read<uint16_t>("an entry");
  const auto local_extra = local.read<uint16_t>("an entry");
  local.take(size_t{local_name} + local_extra, "an entry");
  entry.bytes = local.take(extent.full, "an entry's data");
  return entry;
}

}  // namespace

bool is_zip(std::span<const std::byte> bytes) {
  return signature_at(bytes, 0) == kLocalHeader;
}

std::vector<ZipEntry> read_zip(std::span<const std::byte> bytes, const std::string& origin) {
  constexpr size_t kLeastEntryBytes = 46;
  const Directory directory = read_directory(bytes, origin);
  auto reader = reader_at(bytes, directory.offset, origin);
  ByteReader list(reader.take(directory.bytes, "the archive's directory"), origin);
  list.need_items(directory.entries, kLeastEntryBytes, "the archive's directory");
  std::vector<ZipEntry> entries;
  for (uint64_t i = 0; i < directory.entries; ++i) entries.push_back(read_entry(bytes, list));
  return entries;
}

}  // namespace wattle::inline file
