#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace wattle::jinja {

/// Where a byte of a text comes from: kTemplate, or a number that the caller gave one of its arguments.
using Source = uint32_t;
inline constexpr Source kTemplate = 0;

/// Well-formed UTF-8 whose every byte remembers its source through all that templates do with texts, so that
/// what a user wrote can be told from what the template wrote after rendering.
class Text {
 public:
  Text() = default;
  explicit Text(std::string_view bytes, Source source = kTemplate) { append(bytes, source); }

  std::string_view bytes() const { return bytes_; }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  Source source_at(size_t byte) const;

  void append(std::string_view bytes, Source source = kTemplate);
  void append(const Text& other) { append(other, 0, other.size()); }
  /// The bytes [begin, end) of another text.
  void append(const Text& other, size_t begin, size_t end);
  void append_character(char32_t character, Source source);
  Text part(size_t begin, size_t end) const;

  /// Calls use(bytes, source) for the longest parts of one source.
  template <typename Use>
  void for_each_part(const Use& use) const {
    size_t begin = 0;
    for (const Run& run : runs_) {
      use(std::string_view(bytes_).substr(begin, run.end - begin), run.source);
      begin = run.end;
    }
  }

 private:
  struct Run {
    size_t end;
    Source source;
  };
  std::string bytes_;
  std::vector<Run> runs_;  ///< neighbours differ in source; the last ends where the bytes do
};

/// Characters (code points) of well-formed UTF-8.
size_t count_characters(std::string_view text);
/// The byte at which character `index` begins; the size of the text for all beyond its end.
size_t byte_of_character(std::string_view text, size_t index);

/// Python's str.isspace() of one character, as strip() and split() use it.
bool is_space(char32_t c);
/// `characters` empty: white space, as Python's strip() without an argument.
Text strip(const Text& text, std::string_view characters, bool left, bool right);

}  // namespace wattle::jinja
