#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace wattle::inline tasks {

/// The text of a file of rows.
struct FileText {
  std::string text;                ///< UTF-8 but for bytes that are ill-formed; lines end in LF or CRLF
  std::string sha256;              ///< of the file's bytes, unpacked
  std::vector<std::string> notes;  ///< what had to be changed to read it, a sentence each
};

/// Reads a file, or standard input ("-"), that is said to hold rows; gzip is unpacked. A byte order mark is
/// dropped, UTF-16 and UTF-32 that begin with one become UTF-8, and carriage returns that end all lines
/// become line feeds. Throws Error naming the cure for what is no text by its first bytes: spreadsheets,
/// archives, Parquet, Arrow, PDF, databases, pictures.
FileText read_file_text(const std::filesystem::path& path);

/// The path for error sentences: "standard input" for "-".
std::string origin_of(const std::filesystem::path& path);

/// What a file that is no text is, for a sentence ("a spreadsheet (xlsx)"), with the cure; empty where its
/// first bytes tell of none.
struct Container {
  std::string what, cure;
};
Container container_of(std::string_view bytes);

}  // namespace wattle::inline tasks
