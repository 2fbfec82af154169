#include "tasks/table.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

#include <unistd.h>
#include <wattle/error.h>
#include <zlib.h>

namespace wattle::inline tasks {
namespace {

struct CloseGzip {
  void operator()(gzFile file) const { gzclose(file); }
};
using GzipFile = std::unique_ptr<std::remove_pointer_t<gzFile>, CloseGzip>;

GzipFile open_gzip(const std::filesystem::path& path) {
  if (path == "-") return GzipFile(gzdopen(::dup(STDIN_FILENO), "rb"));
  if (std::filesystem::is_directory(path)) {
    fail("{}: is a directory; name a file of rows (jsonl, csv or tsv) in it", path.string());
  }
  errno = 0;
  GzipFile file(gzopen(path.c_str(), "rb"));
  if (!file) fail("{}: cannot be read ({}); check the path", path.string(), std::strerror(errno));
  return file;
}

class DelimitedParser {
 public:
  DelimitedParser(std::string_view text, const Delimited& how, const std::string& origin)
      : text_(text), how_(how), delimiter_(how.delimiter), origin_(origin), line_(how.first_line) {}

  std::vector<Record> parse() {
    std::vector<Record> records;
    while (position_ < text_.size() && records.size() < how_.most) {
      const size_t begin = position_;
      Record record{{}, line_};
      try {
        read(record);
      } catch (const Error& error) {
        if (!how_.refuse) throw;
        how_.refuse(error.what());
        position_ = std::min(text_.find('\n', begin), text_.size());
        line_ = record.line;
        record.fields.clear();
      }
      skip_line_end();
      const bool blank = record.fields.empty() || (record.fields.size() == 1 && record.fields[0].empty());
      if (!blank) records.push_back(std::move(record));
    }
    return records;
  }

 private:
  void read(Record& record) {
    for (bool more = true; more;) {
      record.fields.push_back(field());
      more = position_ < text_.size() && text_[position_] == delimiter_;
      if (more) ++position_;
    }
  }

  bool at_field_end(size_t i) const {
    return i >= text_.size() || text_[i] == delimiter_ || text_[i] == '\n' ||
           (text_[i] == '\r' && (i + 1 == text_.size() || text_[i + 1] == '\n'));
  }

  std::string field() {
    if (position_ < text_.size() && text_[position_] == '"') {
      if (auto quoted = quoted_field()) return std::move(*quoted);
    }
    const size_t begin = position_;
    while (!at_field_end(position_)) ++position_;
    return std::string(text_.substr(begin, position_ - begin));
  }

  /// nullopt, with the position unchanged, when the quote is an ordinary character.
  std::optional<std::string> quoted_field() {
    std::string value;
    int64_t lines = 0;
    size_t i = position_ + 1;
    for (; i < text_.size(); ++i) {
      if (text_[i] == '\n') ++lines;
      if (text_[i] != '"') {
        value += text_[i];
      } else if (i + 1 < text_.size() && text_[i + 1] == '"') {
        value += text_[i++];
      } else {
        break;
      }
    }
    const bool closed = i < text_.size() && at_field_end(i + 1);
    if (!closed && how_.strict_quotes) {
      fail("{}: line {}: the quote that opens a field is not closed; double a quote that belongs to the text",
           origin_, line_);
    }
    if (!closed) return std::nullopt;
    position_ = i + 1;
    line_ += lines;
    return value;
  }

  void skip_line_end() {
    if (position_ < text_.size() && text_[position_] == '\r') ++position_;
    if (position_ < text_.size() && text_[position_] == '\n') ++position_;
    ++line_;
  }

  std::string_view text_;
  const Delimited& how_;
  char delimiter_;
  const std::string& origin_;
  size_t position_ = 0;
  int64_t line_;
};

}  // namespace

std::string read_all(const std::filesystem::path& path) {
  const GzipFile file = open_gzip(path);
  std::string text;
  for (size_t chunk = 1 << 16;; chunk = std::min<size_t>(2 * chunk, 1 << 26)) {
    const size_t before = text.size();
    text.resize(before + chunk);
    const int count = gzread(file.get(), text.data() + before, static_cast<unsigned>(chunk));
    int code = Z_OK;
    const char* reason = gzerror(file.get(), &code);
    if (count < 0 || (code != Z_OK && code != Z_STREAM_END)) {
      if (code == Z_ERRNO) reason = std::strerror(errno);
      fail("{}: reading failed ({}); the file may be cut or damaged", path.string(), reason);
    }
    text.resize(before + static_cast<size_t>(count));
    if (count == 0) return text;
  }
}

std::vector<Record> parse_delimited(std::string_view text, const Delimited& how, const std::string& origin) {
  return DelimitedParser(text, how, origin).parse();
}

char delimiter_of(std::string_view text, char usual) {
  constexpr size_t kSample = 50;
  /// Share of the first records that are as wide as their header; 0 for a single column.
  const auto fit = [&](char delimiter) {
    const Delimited how{.delimiter = delimiter, .strict_quotes = false, .most = kSample};
    const std::vector<Record> records = parse_delimited(text, how, "sample");
    if (records.empty() || records[0].fields.size() < 2) return 0.0;
    const auto fits = std::ranges::count_if(
        records, [&](const Record& record) { return record.fields.size() == records[0].fields.size(); });
    return static_cast<double>(fits) / static_cast<double>(records.size());
  };
  char best = usual;
  double best_fit = fit(usual);
  for (const char other : {',', ';', '\t', '|'}) {
    if (best_fit == 1) break;
    if (const double other_fit = fit(other); other_fit > best_fit) {
      best = other;
      best_fit = other_fit;
    }
  }
  return best;
}

}  // namespace wattle::inline tasks
