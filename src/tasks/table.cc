#include "tasks/table.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

#include <unistd.h>
#include <wattle/error.h>
#include <zlib.h>

namespace wattle {
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
  DelimitedParser(std::string_view text, char delimiter, bool strict_quotes, const std::string& origin)
      : text_(text), delimiter_(delimiter), strict_quotes_(strict_quotes), origin_(origin) {}

  std::vector<Record> parse() {
    std::vector<Record> records;
    while (position_ < text_.size()) {
      Record record{{}, line_};
      bool more = true;
      while (more) {
        record.fields.push_back(field());
        more = position_ < text_.size() && text_[position_] == delimiter_;
        if (more) ++position_;
      }
      skip_line_end();
      if (record.fields.size() > 1 || !record.fields.front().empty()) records.push_back(std::move(record));
    }
    return records;
  }

 private:
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
    if (!closed && strict_quotes_) {
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
  char delimiter_;
  bool strict_quotes_;
  const std::string& origin_;
  size_t position_ = 0;
  int64_t line_ = 1;
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

std::vector<Record> parse_delimited(std::string_view text, char delimiter, bool strict_quotes,
                                    const std::string& origin) {
  return DelimitedParser(text, delimiter, strict_quotes, origin).parse();
}

}  // namespace wattle
