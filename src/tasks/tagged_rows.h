#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tasks/answer.h"
#include "tasks/question.h"
#include "tasks/raw_rows.h"
#include "tasks/tag_scheme.h"

namespace wattle::inline tasks {

/// What a text's tags say: a part of it and the name of what it is.
struct TaggedSpan {
  ByteRange bytes;
  std::string name;
};

struct TaggedRow {
  Question question;              ///< a text
  std::vector<TaggedSpan> spans;  ///< in their order, none overlapping another
  std::vector<ByteRange> words;   ///< as the row gives them, else what spaces part
};

struct TaggedOptions {
  std::string field = {};                ///< of words or text; empty: tokens, words or text
  std::string label_field = {};          ///< of tags or spans; empty: tags, ner_tags, spans or entities
  std::vector<std::string> labels = {};  ///< those there may be; empty: those there are
  BadRows bad_rows = BadRows::kFail;
};

struct TaggedRows {
  std::vector<TaggedRow> rows;
  TagWriter labels;
  int64_t repaired = 0;
  std::vector<std::string> remarks;  ///< how an untidy file was read, and which rows were left out
  std::string sha256;                ///< of the file's bytes, unpacked

  std::vector<Question> questions() const;
};

/// Reads labelled tokens: words in columns (.conll, .iob, .bio; RowFormat::kConll), or JSON Lines of one of
/// two forms:
///
/// - words and as many tags: {"tokens": ["Ada", "lives"], "tags": ["B-PER", "O"]}. Tags are names in whatever
///   scheme TagScheme knows, or indices into `labels` of meta.json beside the file. The text is the words
///   with a space between.
/// - a text and spans: {"text": "Ada lives", "spans": [{"start": 0, "end": 3, "label": "PER"}]}; `start` and
///   `end` count code points, `begin` and `end` (as `run --task tag` writes them) bytes. Labels become B- and
///   I- ones.
///
/// Throws Error naming the file and the row for anything else, or leaves the row out: numbers of words and
/// tags that differ, spans that overlap or lie outside of their text. Always Error: a label that is not among
/// those there may be, more rows left out than read.
TaggedRows read_tagged_rows(const std::filesystem::path& path, const TaggedOptions& options = {});

/// How far answers agree with the rows that they answer.
struct TagScores {
  int64_t words = 0, words_right = 0;        ///< a word is what the span over it says, or nothing
  int64_t wanted = 0, found = 0, right = 0;  ///< spans; right: the same part (but for spaces) and label

  double accuracy() const;
  double precision() const;
  double recall() const;
  double f1() const;
};
TagScores score_tags(const std::vector<TaggedRow>& rows, const std::vector<Answer>& answers);

}  // namespace wattle::inline tasks
