// Answers out of JSON: what workers of a study, foreign programs and servers say.
#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "tasks/json.h"
#include "tasks/places.h"

namespace wattle::inline tasks {
namespace {

using Json = nlohmann::ordered_json;

// Shares that a program rounds may be this much above 1.
constexpr double kRounding = 1e-3;
constexpr size_t kMostQuoted = 60;

std::string quoted(const Json& json) {
  std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > kMostQuoted) text = text.substr(0, kMostQuoted) + "...";
  return text;
}

/// The fields of one object, each read once; what is left unread is refused.
class Fields {
 public:
  Fields(const Json& json, std::string what) : json_(json), what_(std::move(what)) {
    if (!json.is_object()) fail("{} is {}, and not an object in braces", what_, quoted(json));
  }

  const Json* find(const char* key) {
    const auto found = json_.find(key);
    if (found == json_.end() || found->is_null()) return nullptr;
    read_.push_back(key);
    return &*found;
  }
  const Json& need(const char* key) {
    const Json* found = find(key);
    if (found == nullptr) fail("{} has no `{}`: {}", what_, key, quoted(json_));
    return *found;
  }
  std::string text(const char* key) { return text_of(need(key), key); }
  std::string text_or_empty(const char* key) {
    const Json* found = find(key);
    return found == nullptr ? std::string() : text_of(*found, key);
  }
  double number(const char* key) { return number_of(need(key), key); }
  float share(const char* key) { return share_of(need(key), key); }
  int64_t count_or(const char* key, int64_t otherwise) {
    const Json* found = find(key);
    if (found == nullptr) return otherwise;
    if (!found->is_number_integer() || found->get<int64_t>() < 0)
      fail("{}: `{}` is {}, and not a whole number from 0", what_, key, quoted(*found));
    return found->get<int64_t>();
  }
  const Json& list(const char* key) {
    const Json& found = need(key);
    if (!found.is_array()) fail("{}: `{}` is {}, and not a list", what_, key, quoted(found));
    return found;
  }
  template <typename Number>
  std::vector<Number> numbers(const char* key) {
    std::vector<Number> numbers;
    for (const Json& number : list(key)) numbers.push_back(static_cast<Number>(number_of(number, key)));
    if (numbers.empty()) fail("{}: `{}` is empty; give one number at least", what_, key);
    return numbers;
  }
  std::vector<TokenId> ids(const char* key) {
    std::vector<TokenId> ids;
    for (const Json& id : list(key)) {
      if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() > INT32_MAX)
        fail("{}: `{}` holds {}, which is no token id", what_, key, quoted(id));
      ids.push_back(id.get<TokenId>());
    }
    return ids;
  }
  float share_of(const Json& value, const std::string& key) const {
    const double share = number_of(value, key);
    if (share < 0 || share > 1 + kRounding)
      fail("{}: `{}` is {}, and a probability is from 0 to 1", what_, key, share);
    return static_cast<float>(share);
  }
  void finish() const {
    for (const auto& item : json_.items()) {
      if (std::ranges::find(read_, item.key()) == read_.end() && !item.value().is_null())
        fail("{} has a field `{}` that is not known here; leave it out", what_, item.key());
    }
  }
  const std::string& what() const { return what_; }

 private:
  std::string text_of(const Json& value, const char* key) const {
    if (!value.is_string()) fail("{}: `{}` is {}, and not a text", what_, key, quoted(value));
    return value.get<std::string>();
  }
  double number_of(const Json& value, const std::string& key) const {
    if (!value.is_number() || !std::isfinite(value.get<double>()))
      fail("{}: `{}` is {}, and not a finite number", what_, key, quoted(value));
    return value.get<double>();
  }

  const Json& json_;
  std::string what_;
  std::vector<std::string> read_;
};

LabelAnswer read_label(Fields& fields) {
  LabelAnswer answer;
  const std::string label = fields.text("label");
  std::vector<std::string> names;
  if (const Json* scores = fields.find("scores")) {
    if (!scores->is_object())
      fail("{}: `scores` is {}, and not an object of a score a label", fields.what(), quoted(*scores));
    for (const auto& [name, score] : scores->items()) {
      names.push_back(name);
      answer.scores.push_back(fields.share_of(score, "scores." + name));
    }
  } else {
    names = {label};
  }
  const auto place = std::ranges::find(names, label);
  if (place == names.end())
    fail("{}: the label \"{}\" is none of those with a score, {}", fields.what(), label,
         fmt::join(names, ", "));
  answer.label = static_cast<int>(place - names.begin());
  answer.names = std::make_shared<const std::vector<std::string>>(std::move(names));
  if (const int64_t tokens = fields.count_or("tokens_in", -1); tokens >= 0) answer.tokens_in = tokens;
  return answer;
}

FinishReason read_stop(Fields& fields) {
  const std::string stop = fields.text_or_empty("stop");
  if (stop.empty()) return FinishReason::kEnd;
  constexpr std::array kReasons = {FinishReason::kEnd,       FinishReason::kStop,
                                   FinishReason::kLength,    FinishReason::kContext,
                                   FinishReason::kForbidden, FinishReason::kCancelled};
  for (const FinishReason reason : kReasons) {
    if (name(reason) == stop) return reason;
  }
  fail("{}: `stop` is \"{}\"; known are end, stop, length, context, forbidden, cancelled", fields.what(),
       stop);
}

TextAnswer read_text(Fields& fields) {
  TextAnswer answer;
  if (fields.find("ids") != nullptr) answer.ids = fields.ids("ids");
  if (fields.find("text") != nullptr || !answer.ids) answer.text = fields.text("text");
  answer.tokens_in = fields.count_or("tokens_in", 0);
  answer.tokens_out = fields.count_or("tokens_out", 0);
  answer.stop = read_stop(fields);
  return answer;
}

/// The text whose parts an answer names; null where it is not known or is something else.
const std::string* text_of_spans(const Question* question) {
  if (question == nullptr) return nullptr;
  if (const auto* pair = std::get_if<TextPair>(&question->content)) return &pair->second;
  return std::get_if<std::string>(&question->content);
}

/// The byte at which code point `wanted` begins; the text's length for its end.
int64_t byte_of_code_point(std::string_view text, int64_t wanted, const std::string& what) {
  int64_t seen = 0;
  for (size_t byte = 0; byte < text.size(); ++byte) {
    if ((static_cast<unsigned char>(text[byte]) & 0xC0) == 0x80) continue;
    if (seen++ == wanted) return static_cast<int64_t>(byte);
  }
  if (wanted == seen) return static_cast<int64_t>(text.size());
  fail("{}: code point {} is beyond the text's {}", what, wanted, seen);
}

Span read_span(const Json& json, const std::string& what, const std::string* text) {
  Fields fields(json, what);
  Span span;
  span.label = fields.text_or_empty("label");
  span.text = fields.text_or_empty("text");
  span.score = fields.find("score") != nullptr ? fields.share("score") : 1;
  span.begin = fields.count_or("begin", -1);
  span.end = fields.count_or("end", -1);
  span.begin_code_point = fields.count_or("begin_code_point", -1);
  span.end_code_point = fields.count_or("end_code_point", -1);
  fields.finish();
  const bool bytes = span.begin >= 0 && span.end >= 0;
  const bool code_points = span.begin_code_point >= 0 && span.end_code_point >= 0;
  if (!bytes && !(code_points && text != nullptr)) {
    fail("{} has neither `begin` and `end` in bytes nor `begin_code_point` and `end_code_point`: {}", what,
         quoted(json));
  }
  if (text != nullptr && !bytes) {
    span.begin = byte_of_code_point(*text, span.begin_code_point, what);
    span.end = byte_of_code_point(*text, span.end_code_point, what);
  }
  const auto length = static_cast<int64_t>(text == nullptr ? 0 : text->size());
  if (span.begin > span.end || (text != nullptr && span.end > length))
    fail("{}: bytes {} to {} are no part of the text", what, span.begin, span.end);
  if (text == nullptr) return span;
  const ByteRange range{static_cast<uint32_t>(span.begin), static_cast<uint32_t>(span.end)};
  return Places(*text).span(range, std::move(span.label), span.score);
}

SpansAnswer read_spans(Fields& fields, const Question* question, bool answers) {
  SpansAnswer answer;
  if (answers && fields.find("text") != nullptr) answer.text = fields.text("text");
  if (answers && answer.text && fields.find("spans") == nullptr) return answer;
  const std::string* text = text_of_spans(question);
  const Json& spans = fields.list("spans");
  for (size_t i = 0; i < spans.size(); ++i)
    answer.spans.push_back(read_span(spans[i], fmt::format("span {} of {}", i, fields.what()), text));
  if (answers && !answer.text) answer.text = answer.spans.empty() ? "" : answer.spans.front().text;
  return answer;
}

FillsAnswer read_fills(Fields& fields) {
  FillsAnswer answer;
  for (const Json& mask : fields.list("masks")) {
    if (!mask.is_array())
      fail("{}: `masks` holds {}, and not a list of fillings", fields.what(), quoted(mask));
    std::vector<Fill>& fills = answer.masks.emplace_back();
    for (const Json& entry : mask) {
      Fields fill(entry, "a filling of " + fields.what());
      const std::string token = fill.text("token");
      const float score = fill.share("score");
      const auto id = static_cast<TokenId>(fill.count_or("id", 0));
      fills.push_back({id, token, score, fill.text_or_empty("text")});
      fill.finish();
    }
  }
  return answer;
}

PerplexityAnswer read_perplexity(Fields& fields) {
  PerplexityAnswer answer;
  answer.perplexity = fields.number("perplexity");
  if (answer.perplexity < 1) fail("{}: a perplexity of {} is below 1", fields.what(), answer.perplexity);
  if (fields.find("bits_per_byte") != nullptr) answer.bits_per_byte = fields.number("bits_per_byte");
  answer.tokens = fields.count_or("tokens", 0);
  answer.windows = fields.count_or("windows", 1);
  return answer;
}

using Value = decltype(Answer::value);
using Read = Value (*)(Fields& fields, const Question* question);

/// A kind of answer: the field by which it is known.
struct AnswerKind {
  const char* key;
  bool (*fits)(const Json& value);
  Read read;
};

bool is_any(const Json&) {
  return true;
}
bool is_list(const Json& value) {
  return value.is_array();
}

constexpr AnswerKind kLabel = {"label", is_any,
                               [](Fields& fields, const Question*) -> Value { return read_label(fields); }};
constexpr AnswerKind kEmbedding = {
    "embedding", is_any, [](Fields& fields, const Question*) -> Value {
      auto embedding = fields.numbers<float>("embedding");
      return VectorAnswer{std::move(embedding), fields.count_or("tokens_in", 0)};
    }};
constexpr AnswerKind kScore = {"score", is_any, [](Fields& fields, const Question*) -> Value {
                                 return ScoreAnswer{fields.number("score")};
                               }};
constexpr AnswerKind kScores = {"scores", is_list, [](Fields& fields, const Question*) -> Value {
                                  return ScoresAnswer{fields.numbers<double>("scores")};
                                }};
constexpr AnswerKind kSpans = {"spans", is_any, [](Fields& fields, const Question* question) -> Value {
                                 return read_spans(fields, question, false);
                               }};
constexpr auto read_found = [](Fields& fields, const Question* question) -> Value {
  return read_spans(fields, question, true);
};
constexpr AnswerKind kFound = {"spans", is_any, read_found}, kFoundText = {"text", is_any, read_found};
constexpr AnswerKind kFills = {"masks", is_any,
                               [](Fields& fields, const Question*) -> Value { return read_fills(fields); }};
constexpr auto read_continuation = [](Fields& fields, const Question*) -> Value { return read_text(fields); };
constexpr AnswerKind kText = {"text", is_any, read_continuation},
                     kTextIds = {"ids", is_list, read_continuation};
constexpr AnswerKind kPerplexity = {
    "perplexity", is_any, [](Fields& fields, const Question*) -> Value { return read_perplexity(fields); }};
constexpr AnswerKind kTokens = {
    "ids", is_list, [](Fields& fields, const Question*) -> Value { return TokensAnswer{fields.ids("ids")}; }};

struct AnswersOfTask {
  std::string_view task;
  std::vector<AnswerKind> kinds;
};

const std::vector<AnswersOfTask>& answers_of_tasks() {
  static const std::vector<AnswersOfTask> kAnswers = {
      {"classify", {kLabel, kScore}},
      {"regression", {kScore}},
      {"embed", {kEmbedding, kLabel, kScore, kScores}},
      {"rank", {kScores, kLabel, kScore}},
      {"tag", {kSpans}},
      {"answer", {kFound, kFoundText}},
      {"fill", {kFills}},
      {"generate", {kText, kTextIds}},
      {"summarise", {kText, kTextIds}},
      {"translate", {kText, kTextIds}},
      {"perplexity", {kPerplexity}},
      {"tokenize", {kTokens}},
  };
  return kAnswers;
}

void check_against(const Question& question, const Answer& answer) {
  const auto* ranking = std::get_if<Ranking>(&question.content);
  const auto* scores = std::get_if<ScoresAnswer>(&answer.value);
  if (ranking != nullptr && scores == nullptr)
    fail("the question has documents to rank, and the answer has no `scores`, one a document");
  if (scores == nullptr) return;
  if (ranking == nullptr) fail("the answer has `scores` of documents, and the question has none to rank");
  if (scores->scores.size() != ranking->documents.size())
    fail("the answer has {} scores for {} documents", scores->scores.size(), ranking->documents.size());
}

}  // namespace

Answer answer_from_json(const Json& json, std::string_view task, const Question* question) {
  const auto row = std::ranges::find(answers_of_tasks(), task, &AnswersOfTask::task);
  if (row == answers_of_tasks().end()) fail("answers of the task \"{}\" are not read from JSON", task);
  Fields fields(json, "the answer");
  for (const AnswerKind& kind : row->kinds) {
    const auto value = json.find(kind.key);
    if (value == json.end() || value->is_null() || !kind.fits(*value)) continue;
    Answer answer;
    answer.value = kind.read(fields, question);
    fields.finish();
    if (question != nullptr) check_against(*question, answer);
    return answer;
  }
  std::vector<std::string_view> keys;
  for (const AnswerKind& kind : row->kinds) keys.push_back(kind.key);
  fail("the answer {} is none to the task {}; give `{}`", quoted(json), task, fmt::join(keys, "` or `"));
}

}  // namespace wattle::inline tasks
