#include "tasks/tagged_rows.h"

#include <algorithm>
#include <utility>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "base/utf8.h"
#include "tasks/file_text.h"
#include "tasks/json.h"
#include "tasks/raw_rows.h"

namespace wattle::inline tasks {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kForms =
    "give words and as many tags (tokens, tags), or a text and spans with start, end and label (text, spans)";

/// A row before its labels are known to be of the set.
struct Draft {
  std::string place;
  TaggedRow row;
  std::vector<std::string> tags;  ///< one a word
};

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

/// The field that a caller names, or the first of the usual ones that the row has.
Json& field_of(RawRow& raw, const std::string& wanted, std::initializer_list<const char*> usual,
               std::string_view flag) {
  if (!wanted.empty()) return need_field(raw.fields, wanted, flag, raw.place);
  for (const char* name : usual) {
    if (raw.fields.contains(name)) return raw.fields[name];
  }
  fail("{} has none of the fields {}; name one with {}", raw.place, fmt::join(usual, ", "), flag);
}

std::string tag_of(const Json& tag, const std::vector<std::string>& names, const std::string& place) {
  if (tag.is_string()) return tag.get<std::string>();
  if (!tag.is_number_unsigned())
    fail("{}: the tag {} is neither a name nor an index; {}", place, tag.dump(), kForms);
  const auto index = tag.get<uint64_t>();
  if (index >= names.size()) {
    fail("{}: tag {} is beyond the {} labels of meta.json; write tags as names or name them all there", place,
         index, names.size());
  }
  return names[index];
}

Draft read_words(const Json& words, const Json& tags, const std::vector<std::string>& names,
                 const std::string& place) {
  Draft draft{place, {}, {}};
  if (!tags.is_array() || tags.size() != words.size()) {
    fail("{}: has {} words and {} tags; {}", place, words.size(), tags.is_array() ? tags.size() : 0, kForms);
  }
  std::string text;
  for (const Json& word : words) {
    if (!word.is_string() || word.get_ref<const std::string&>().empty())
      fail("{}: the word {} is no text; {}", place, word.dump(), kForms);
    if (!text.empty()) text += ' ';
    const auto begin = static_cast<uint32_t>(text.size());
    text += word.get_ref<const std::string&>();
    draft.row.words.push_back({begin, static_cast<uint32_t>(text.size())});
  }
  for (const Json& tag : tags) draft.tags.push_back(tag_of(tag, names, place));
  draft.row.question.content = std::move(text);
  return draft;
}

/// Where each code point of a text begins, and where the text ends.
std::vector<uint32_t> code_points(std::string_view text) {
  std::vector<uint32_t> begins;
  for (uint32_t at = 0; at < text.size(); at += decode_utf8(text, at).bytes) begins.push_back(at);
  begins.push_back(static_cast<uint32_t>(text.size()));
  return begins;
}

TaggedSpan read_span(const Json& span, const std::vector<uint32_t>& points, const std::string& place) {
  const auto number = [&](const char* key) {
    const bool there = span.is_object() && span.contains(key) && span[key].is_number_unsigned();
    return there ? std::optional(span[key].get<uint64_t>()) : std::nullopt;
  };
  const bool named = span.is_object() && span.contains("label") && span["label"].is_string();
  const auto start = number("start"), begin = number("begin"), end = number("end");
  if (!named || !end || start.has_value() == begin.has_value())
    fail("{}: the span {} lacks start, end or label; {}", place, span.dump(), kForms);
  TaggedSpan tagged{{}, span["label"].get<std::string>()};
  if (tagged.name.empty() || TagScheme::is_outside(tagged.name))
    fail("{}: a span's label is '{}', which is the name of none; leave the span out", place, tagged.name);
  const uint64_t size = start ? points.size() - 1 : points.back();
  const uint64_t first = start ? *start : *begin;
  if (first >= *end || *end > size) {
    fail("{}: the span {} is empty or outside of the text of {} {}; mend the row", place, span.dump(), size,
         start ? "code points" : "bytes");
  }
  const auto byte = [&](uint64_t at) { return start ? points[at] : static_cast<uint32_t>(at); };
  tagged.bytes = {byte(first), byte(*end)};
  for (const uint32_t bound : {tagged.bytes.begin, tagged.bytes.end}) {
    if (!std::ranges::binary_search(points, bound))
      fail("{}: the span {} cuts a character; `begin` and `end` count bytes, `start` and `end` code points",
           place, span.dump());
  }
  return tagged;
}

Draft read_spans(std::string text, const Json& spans, const std::string& place) {
  Draft draft{place, {}, {}};
  if (!spans.is_array()) fail("{}: its spans are no array; {}", place, kForms);
  const std::vector<uint32_t> points = code_points(text);
  for (const Json& span : spans) draft.row.spans.push_back(read_span(span, points, place));
  std::ranges::sort(draft.row.spans, {}, [](const TaggedSpan& span) { return span.bytes.begin; });
  for (size_t i = 1; i < draft.row.spans.size(); ++i) {
    if (draft.row.spans[i].bytes.begin < draft.row.spans[i - 1].bytes.end)
      fail("{}: two spans overlap at byte {}, and a token has one label; keep one of them", place,
           draft.row.spans[i].bytes.begin);
  }
  for (uint32_t at = 0; at < text.size(); ++at) {
    if (is_space(text[at])) continue;
    const bool begins = at == 0 || is_space(text[at - 1]);
    if (begins) draft.row.words.push_back({at, at});
    draft.row.words.back().end = at + 1;
  }
  draft.row.question.content = std::move(text);
  return draft;
}

Draft read_draft(RawRow& raw, const TaggedOptions& options, const std::vector<std::string>& names) {
  Json& text = field_of(raw, options.field, {"tokens", "words", "text"}, "--field");
  const Json& labels =
      field_of(raw, options.label_field, {"tags", "ner_tags", "spans", "entities"}, "--label");
  if (text.is_array()) return read_words(text, labels, names, raw.place);
  if (!text.is_string()) fail("{}: has neither words nor a text; {}", raw.place, kForms);
  return read_spans(std::move(text.get_ref<std::string&>()), labels, raw.place);
}

std::vector<std::string> tags_of(const std::vector<Draft>& drafts) {
  std::vector<std::string> all;
  for (const Draft& draft : drafts) {
    all.insert(all.end(), draft.tags.begin(), draft.tags.end());
    if (!draft.tags.empty()) continue;
    all.emplace_back("O");
    for (const TaggedSpan& span : draft.row.spans) {
      all.push_back("B-" + span.name);
      all.push_back("I-" + span.name);
    }
  }
  return distinct_sorted(all);
}

/// The spans that a row's tags name, joined as the answers of a model are.
void read_tags(Draft& draft, const TagWriter& writer) {
  std::vector<TaggedPiece> pieces;
  for (size_t i = 0; i < draft.tags.size(); ++i) {
    const auto label = std::ranges::find(writer.labels(), draft.tags[i]);
    if (label == writer.labels().end()) {
      fail("{}: the tag {} is none of the {} known ones ({}); mend the row", draft.place, draft.tags[i],
           writer.labels().size(), fmt::join(writer.labels(), ", "));
    }
    pieces.push_back({draft.row.words[i], static_cast<int>(label - writer.labels().begin()), 1});
  }
  const TagScheme scheme(writer.labels());
  for (const TagScheme::Run& run : scheme.runs(pieces)) {
    if (TagScheme::is_outside(run.name)) continue;
    draft.row.spans.push_back(
        {{pieces[run.first].bytes.begin, pieces[run.last].bytes.end}, std::string(run.name)});
  }
}

}  // namespace

std::vector<Question> TaggedRows::questions() const {
  std::vector<Question> questions;
  for (const TaggedRow& row : rows) questions.push_back(row.question);
  return questions;
}

TaggedRows read_tagged_rows(const std::filesystem::path& path, const TaggedOptions& options) {
  RawRows raw = read_raw_rows(path, RowFormat::kByName, "text", options.bad_rows);
  const std::vector<std::string> names = names_of_meta(path);
  std::vector<Draft> drafts;
  for (RawRow& row : raw.rows) {
    try {
      drafts.push_back(read_draft(row, options, names));
    } catch (const Error& error) {
      if (options.bad_rows == BadRows::kFail) throw;
      raw.left_out.add(error.what());
    }
  }
  const auto read = static_cast<int64_t>(drafts.size());
  raw.left_out.check(origin_of(path), read);
  TaggedRows data{{},
                  TagWriter(options.labels.empty() ? tags_of(drafts) : options.labels),
                  raw.repaired,
                  std::move(raw.notes),
                  std::move(raw.sha256)};
  if (raw.left_out.count > 0) data.remarks.push_back(raw.left_out.remark(read));
  for (size_t i = 0; i < drafts.size(); ++i) {
    Draft& draft = drafts[i];
    read_tags(draft, data.labels);
    for (const TaggedSpan& span : draft.row.spans) {
      if (!data.labels.has_name(span.name)) {
        fail("{}: the label {} is in none of the known ones ({}); mend the row", draft.place, span.name,
             fmt::join(data.labels.labels(), ", "));
      }
    }
    draft.row.question.id = std::to_string(i);
    data.rows.push_back(std::move(draft.row));
  }
  return data;
}

// --- scores ---

namespace {

double ratio(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

/// A span as it is compared: tokens of some tokenizers begin with the space before their word.
TaggedSpan compared(const Span& span, std::string_view text) {
  ByteRange bytes{static_cast<uint32_t>(span.begin), static_cast<uint32_t>(span.end)};
  while (bytes.begin < bytes.end && is_space(text[bytes.begin])) ++bytes.begin;
  while (bytes.end > bytes.begin && is_space(text[bytes.end - 1])) --bytes.end;
  return {bytes, span.label};
}

/// The name of the first span over a word; empty: none.
std::string_view name_over(ByteRange word, const std::vector<TaggedSpan>& spans) {
  const auto over = std::ranges::find_if(spans, [&](const TaggedSpan& span) {
    return span.bytes.begin < word.end && word.begin < span.bytes.end;
  });
  return over == spans.end() ? std::string_view() : std::string_view(over->name);
}

}  // namespace

double TagScores::accuracy() const {
  return ratio(words_right, words);
}

double TagScores::precision() const {
  return ratio(right, found);
}

double TagScores::recall() const {
  return ratio(right, wanted);
}

double TagScores::f1() const {
  return ratio(2 * right, wanted + found);
}

TagScores score_tags(const std::vector<TaggedRow>& rows, const std::vector<Answer>& answers) {
  TagScores scores;
  for (size_t i = 0; i < rows.size(); ++i) {
    const TaggedRow& row = rows[i];
    std::vector<TaggedSpan> given;
    for (const Span& span : std::get<SpansAnswer>(answers[i].value).spans)
      given.push_back(compared(span, row.question.text()));
    scores.wanted += static_cast<int64_t>(row.spans.size());
    scores.found += static_cast<int64_t>(given.size());
    for (const TaggedSpan& span : given) {
      scores.right += std::ranges::count_if(row.spans, [&](const TaggedSpan& want) {
        return want.bytes == span.bytes && want.name == span.name;
      });
    }
    for (const ByteRange& word : row.words) {
      ++scores.words;
      scores.words_right += name_over(word, given) == name_over(word, row.spans) ? 1 : 0;
    }
  }
  return scores;
}

}  // namespace wattle::inline tasks
