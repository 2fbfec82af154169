#include "tasks/file_text.h"

#include <algorithm>

#include <wattle/error.h>

#include "base/sha256.h"
#include "base/utf8.h"
#include "tasks/table.h"

namespace wattle::inline tasks {
namespace {

using namespace std::string_view_literals;

/// A kind of file by the bytes that stand at `at`, and those that it ends with where words might begin so.
struct Magic {
  std::string_view bytes, what;
  std::string_view cure;  ///< or the name of the function of pandas that reads it
  size_t at = 0;
  std::string_view end = {};
};

constexpr std::string_view kGiveRows = "give a file of rows";

constexpr Magic kMagics[] = {
    {"PAR1"sv, "Parquet", "read_parquet", 0, "PAR1"sv},
    {"ARROW1"sv, "Arrow (Feather)", "read_feather", 0, "ARROW1"sv},
    {"FEA1"sv, "Feather", "read_feather", 0, "FEA1"sv},
    {"\xFF\xFF\xFF\xFF"sv, "a stream of Arrow",
     "convert it with `python3 -c \"import sys, datasets; datasets.Dataset.from_file(sys.argv[1])"
     ".to_json(sys.argv[2])\" FILE FILE.jsonl`"},
    {"ORC"sv, "ORC", "read_orc", 0, "ORC"sv},
    {"Obj\x01"sv, "Avro", "convert it with `avro cat FILE > FILE.jsonl`"},
    {"\x89HDF"sv, "HDF5", "read_hdf"},
    {"\x93NUMPY"sv, "an array of NumPy", "write its rows as CSV or JSON Lines"},
    {"SQLite format 3\0"sv, "an SQLite database",
     "export a table with `sqlite3 -header -csv FILE 'SELECT * FROM table' > FILE.csv`"},
    {"\xD0\xCF\x11\xE0"sv, "an old spreadsheet or document (xls, doc)",
     "save it as CSV UTF-8 in the spreadsheet program"},
    {"%PDF-"sv, "PDF", "take the rows out as CSV, or the text alone with `pdftotext FILE FILE.txt`"},
    {"{\\rtf"sv, "RTF", "save it as plain text"},
    {"1AY&SY"sv, "packed by bzip2", "unpack it with `bunzip2 FILE`", 4},
    {"\xFD\x37zXZ\0"sv, "packed by xz", "unpack it with `unxz FILE`"},
    {"\x28\xB5\x2F\xFD"sv, "packed by zstd", "unpack it with `unzstd FILE`"},
    {"7z\xBC\xAF\x27\x1C"sv, "a 7z archive", "unpack it with `7z x FILE`"},
    {"Rar!\x1A"sv, "a RAR archive", "unpack it with `unrar x FILE`"},
    {"ustar"sv, "a tar archive", "unpack it with `tar xf FILE` and name a file of rows", 257},
    {"\x89PNG"sv, "a picture (PNG)", kGiveRows},
    {"\xFF\xD8\xFF"sv, "a picture (JPEG)", kGiveRows},
    {"GIF89a"sv, "a picture (GIF)", kGiveRows},
    {"WEBPVP8"sv, "a picture (WebP)", kGiveRows, 8},
    {"GGUF"sv, "a model (GGUF)", kGiveRows},
};

std::string cure_of(const Magic& magic) {
  if (!magic.cure.starts_with("read_")) return std::string(magic.cure);
  return fmt::format(
      "convert it with `python3 -c \"import sys, pandas; pandas.{}(sys.argv[1])"
      ".to_json(sys.argv[2], orient='records', lines=True)\" FILE FILE.jsonl`",
      magic.cure);
}

/// What a ZIP archive is by the names of what it holds.
Container zip_of(std::string_view bytes) {
  constexpr size_t kSearched = 1 << 16;
  struct Member {
    std::string_view name, what, cure;
  };
  constexpr Member kMembers[] = {
      {"opendocument.spreadsheet", "a spreadsheet (ods)", "save it as CSV in the spreadsheet program"},
      {"xl/workbook", "a spreadsheet (xlsx)", "save each sheet as CSV UTF-8 in the spreadsheet program"},
      {"word/document", "a document (docx)", "save its table as CSV or its text as plain text"},
      {".npy", "arrays of NumPy (npz)", "write their rows as CSV or JSON Lines"}};
  // The names stand again at the end, in the central directory.
  const std::string_view head = bytes.substr(0, kSearched);
  const std::string_view tail = bytes.substr(bytes.size() - std::min(bytes.size(), kSearched));
  for (const Member& member : kMembers) {
    if (head.find(member.name) != std::string_view::npos || tail.find(member.name) != std::string_view::npos)
      return {std::string(member.what), std::string(member.cure)};
  }
  return {"a ZIP archive", "unpack it with `unzip FILE` and name a file of rows"};
}

/// UTF-16 or UTF-32 without a byte order mark: every second byte, or more, of a plain text is 0.
bool is_wide(std::string_view bytes) {
  const std::string_view head = bytes.substr(0, 4096);
  const auto zeros = std::ranges::count(head, '\0');
  return head.size() >= 8 && 5 * zeros >= 2 * static_cast<ptrdiff_t>(head.size());
}

struct Encoding {
  std::string_view mark, name;
  size_t width;  ///< bytes of a unit
  bool big_endian;
};

// UTF-32 first: its little-endian mark begins with that of UTF-16.
constexpr Encoding kEncodings[] = {{"\xFF\xFE\0\0"sv, "UTF-32", 4, false},
                                   {"\0\0\xFE\xFF"sv, "UTF-32", 4, true},
                                   {"\xFF\xFE"sv, "UTF-16", 2, false},
                                   {"\xFE\xFF"sv, "UTF-16", 2, true}};

/// Well-formed UTF-8 of wide characters; a unit that is half of none, or cut, becomes U+FFFD.
std::string narrowed(std::string_view bytes, const Encoding& encoding) {
  std::vector<char32_t> units;
  for (size_t at = 0; at < bytes.size(); at += encoding.width) {
    char32_t unit = 0;
    for (size_t k = 0; k < encoding.width; ++k) {
      const size_t place = encoding.big_endian ? k : encoding.width - 1 - k;
      const bool cut = at + encoding.width > bytes.size();
      unit = cut ? kReplacementCharacter : (unit << 8) | static_cast<unsigned char>(bytes[at + place]);
    }
    units.push_back(unit);
  }
  const auto is_high = [](char32_t unit) { return unit >= 0xD800 && unit < 0xDC00; };
  const auto is_low = [](char32_t unit) { return unit >= 0xDC00 && unit < 0xE000; };
  std::string text;
  for (size_t i = 0; i < units.size(); ++i) {
    const char32_t unit = units[i];
    if (encoding.width == 2 && is_high(unit) && i + 1 < units.size() && is_low(units[i + 1])) {
      append_utf8(text, 0x10000 + ((unit - 0xD800) << 10) + (units[++i] - 0xDC00));
    } else {
      const bool whole = !is_high(unit) && !is_low(unit) && unit <= 0x10FFFF;
      append_utf8(text, whole ? unit : kReplacementCharacter);
    }
  }
  return text;
}

void decode_text(FileText& file, const std::string& origin) {
  for (const Encoding& encoding : kEncodings) {
    if (!file.text.starts_with(encoding.mark)) continue;
    file.text = narrowed(std::string_view(file.text).substr(encoding.mark.size()), encoding);
    file.notes.push_back(fmt::format("{}: is {} and was read as such", origin, encoding.name));
    return;
  }
  if (is_wide(file.text)) {
    fail("{}: is UTF-16 or UTF-32 without a byte order mark; convert it with `iconv -f UTF-16LE -t UTF-8`",
         origin);
  }
  if (file.text.starts_with("\xEF\xBB\xBF")) file.text.erase(0, 3);
}

}  // namespace

std::string origin_of(const std::filesystem::path& path) {
  return path == "-" ? "standard input" : path.string();
}

Container container_of(std::string_view bytes) {
  if (bytes.starts_with("PK\x03\x04") || bytes.starts_with("PK\x05\x06")) return zip_of(bytes);
  for (const Magic& magic : kMagics) {
    const bool begins = bytes.size() > magic.at && bytes.substr(magic.at).starts_with(magic.bytes);
    if (begins && bytes.ends_with(magic.end)) return {std::string(magic.what), cure_of(magic)};
  }
  return {};
}

FileText read_file_text(const std::filesystem::path& path) {
  const std::string origin = origin_of(path);
  FileText file{read_all(path), {}, {}};
  file.sha256 = sha256_hex(file.text);
  if (const Container container = container_of(file.text); !container.what.empty()) {
    fail("{}: is {} and not rows of text; {}", origin, container.what, container.cure);
  }
  decode_text(file, origin);
  if (file.text.find('\n') == std::string::npos && file.text.find('\r') != std::string::npos) {
    std::ranges::replace(file.text, '\r', '\n');
    file.notes.push_back(
        fmt::format("{}: its lines end in carriage returns alone and were read as lines", origin));
  }
  return file;
}

}  // namespace wattle::inline tasks
