#include "tasks/json.h"

#include "text/unicode.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include <fmt/ranges.h>
#include <wattle/error.h>

namespace wattle::inline tasks {
namespace {

using Json = nlohmann::ordered_json;

/// The double that prints as the shortest decimal of a float: 0.1 for 0.1f.
double shortest(float value) {
  if (!std::isfinite(value)) return value;
  char digits[32];
  const auto end = std::to_chars(std::begin(digits), std::end(digits), value).ptr;
  double result = 0;
  std::from_chars(digits, end, result);
  return result;
}

struct Writer {
  Json operator()(std::monostate) const { return Json::object(); }
  Json operator()(const LabelAnswer& answer) const {
    Json json;
    json["label"] = answer.name();
    for (size_t k = 0; k < answer.scores.size(); ++k) json["scores"][(*answer.names)[k]] = answer.scores[k];
    if (answer.tokens_in) json["tokens_in"] = *answer.tokens_in;
    return json;
  }
  Json operator()(const VectorAnswer& answer) const {
    return {{"embedding", answer.embedding}, {"tokens_in", answer.tokens_in}};
  }
  Json operator()(const TextAnswer& answer) const {
    Json json;
    if (answer.text) json["text"] = *answer.text;
    if (answer.ids) json["ids"] = *answer.ids;
    json["tokens_in"] = answer.tokens_in;
    json["tokens_out"] = answer.tokens_out;
    json["stop"] = name(answer.stop);
    return json;
  }
  Json operator()(const SpansAnswer& answer) const {
    Json json;
    if (answer.text) json["text"] = *answer.text;
    Json& spans = json["spans"] = Json::array();
    for (const Span& span : answer.spans) {
      Json entry;
      if (!span.label.empty()) entry["label"] = span.label;
      entry.update({{"text", span.text},
                    {"score", span.score},
                    {"begin", span.begin},
                    {"end", span.end},
                    {"begin_code_point", span.begin_code_point},
                    {"end_code_point", span.end_code_point}});
      spans.push_back(std::move(entry));
    }
    return json;
  }
  Json operator()(const FillsAnswer& answer) const {
    Json masks = Json::array();
    for (const auto& fills : answer.masks) {
      Json& list = masks.emplace_back(Json::array());
      for (const Fill& fill : fills) {
        list.push_back({{"token", fill.token}, {"id", fill.id}, {"score", fill.score}, {"text", fill.text}});
      }
    }
    return {{"masks", std::move(masks)}};
  }
  Json operator()(const TokensAnswer& answer) const { return {{"ids", answer.ids}}; }
  Json operator()(const ScoreAnswer& answer) const { return {{"score", answer.score}}; }
  Json operator()(const ScoresAnswer& answer) const { return {{"scores", answer.scores}}; }
  Json operator()(const PerplexityAnswer& answer) const { return to_json(answer); }
  Json operator()(const NumbersAnswer& answer) const {
    Json json;
    for (const Numbers& part : answer.parts) {
      std::vector<double> all;
      for (const float value : part.values) all.push_back(shortest(value));
      if (part.columns == 0) {
        json[part.name] = std::move(all);
        continue;
      }
      Json& rows = json[part.name] = Json::array();
      for (auto begin = all.begin(); begin != all.end(); begin += part.columns) {
        rows.push_back(std::vector<double>(begin, begin + part.columns));
      }
    }
    return json;
  }
};

template <typename Id>
std::vector<Id> id_list(const Json& row, const char* field, const std::string& place) {
  const auto found = row.find(field);
  std::vector<Id> ids;
  if (found == row.end()) return ids;
  if (!found->is_array()) fail("{}: `{}` is not an array of whole numbers; mend the row", place, field);
  for (const Json& value : *found) {
    const bool fits = value.is_number_integer() && value.get<int64_t>() >= 0 &&
                      value.get<int64_t>() <= std::numeric_limits<Id>::max();
    if (!fits) fail("{}: `{}` holds {}, which is no token id; mend the row", place, field, value.dump());
    ids.push_back(static_cast<Id>(value.get<int64_t>()));
  }
  return ids;
}

TokenIds read_ids(const Json& row, const std::string& place) {
  TokenIds ids{id_list<TokenId>(row, "ids", place), id_list<int32_t>(row, "type_ids", place),
               id_list<TokenId>(row, "decoder_ids", place)};
  if (ids.ids.empty()) fail("{}: `ids` is empty; give at least one token id", place);
  if (!ids.type_ids.empty() && ids.type_ids.size() != ids.ids.size()) {
    fail("{}: `type_ids` has {} numbers and `ids` {}; give one type an id", place, ids.type_ids.size(),
         ids.ids.size());
  }
  return ids;
}

Conversation read_messages(const Json& messages, const std::string& place) {
  Conversation conversation;
  if (!messages.is_array() || messages.empty()) {
    fail("{}: `messages` is not an array of messages with at least one; mend the row", place);
  }
  const auto is_text = [](const Json& message, const char* key) {
    const auto found = message.find(key);
    return found != message.end() && found->is_string();
  };
  for (const Json& message : messages) {
    if (!message.is_object() || !is_text(message, "role") || !is_text(message, "content")) {
      fail("{}: message {} has not both a `role` and a `content` that are texts; mend the row", place,
           conversation.messages.size());
    }
    conversation.messages.push_back(
        {message.at("role").get<std::string>(), message.at("content").get<std::string>()});
  }
  return conversation;
}

std::vector<std::string> read_texts(const Json& row, const char* field, size_t least,
                                    const std::string& place) {
  const Json& list = row.at(field);
  const bool texts = list.is_array() && list.size() >= least &&
                     std::ranges::all_of(list, [](const Json& text) { return text.is_string(); });
  if (!texts) fail("{}: `{}` is not an array of at least {} texts; mend the row", place, field, least);
  return list.get<std::vector<std::string>>();
}

MultipleChoice read_choices(const Json& row, std::string question, const std::string& place) {
  MultipleChoice asked{std::move(question), read_texts(row, "choices", 2, place)};
  std::set<std::string_view> seen;
  for (const std::string& choice : asked.choices) {
    if (!seen.insert(choice).second)
      fail("{}: `choices` holds \"{}\" twice; an answer could not say which", place, choice);
  }
  return asked;
}

std::string take_text(Json& row, const std::string& field, std::string_view flag, const std::string& place) {
  Json& text = need_field(row, field, flag, place);
  if (!text.is_string()) fail("{}: field '{}' is not a text; choose another with {}", place, field, flag);
  return std::move(text.get_ref<std::string&>());
}

struct QuestionWriter {
  Json operator()(const std::string& text) const { return {{"text", text}}; }
  Json operator()(const TextPair& pair) const { return {{"text", pair.first}, {"text_pair", pair.second}}; }
  Json operator()(const Ranking& ranking) const {
    return {{"query", ranking.query}, {"documents", ranking.documents}};
  }
  Json operator()(const MultipleChoice& asked) const {
    return {{"question", asked.question}, {"choices", asked.choices}};
  }
  Json operator()(const TableRow& row) const {
    Json cells = Json::array();
    for (const TableCell& cell : row.cells) {
      if (const auto* number = std::get_if<double>(&cell)) {
        cells.push_back(*number);
      } else if (const auto* text = std::get_if<std::string>(&cell)) {
        cells.push_back(*text);
      } else {
        cells.push_back(nullptr);
      }
    }
    return {{"cells", std::move(cells)}};
  }
  Json operator()(const TokenIds& ids) const {
    Json json{{"ids", ids.ids}};
    if (!ids.type_ids.empty()) json["type_ids"] = ids.type_ids;
    if (!ids.decoder_ids.empty()) json["decoder_ids"] = ids.decoder_ids;
    return json;
  }
  Json operator()(const Conversation& conversation) const {
    Json messages = Json::array();
    for (const ChatMessage& message : conversation.messages)
      messages.push_back({{"role", message.role}, {"content", message.content}});
    return {{"messages", std::move(messages)}};
  }
};

TableCell cell_of(const Json& value, const std::string& column, const std::string& place) {
  if (is_missing(value)) return {};
  if (value.is_number()) return value.get<double>();
  if (value.is_boolean()) return std::string(value.get<bool>() ? "true" : "false");
  if (!value.is_string())
    fail("{}: column '{}' is a list or an object, not one value; leave the column out", place, column);
  return std::string(trimmed(value.get_ref<const std::string&>()));
}

TableRow read_cells(const Json& cells, const std::string& place) {
  if (!cells.is_array() || cells.empty())
    fail("{}: `cells` is not an array of values with at least one; mend the row", place);
  TableRow row;
  for (const Json& cell : cells) row.cells.push_back(cell_of(cell, "cells", place));
  return row;
}

}  // namespace

bool is_missing(const Json& cell) {
  if (cell.is_null()) return true;
  if (!cell.is_string()) return false;
  static const std::set<std::string_view> kMissing = {"",    "?",   "NA",   "N/A",  "#N/A", "n/a",
                                                      "NaN", "nan", "NULL", "null", "None"};
  return kMissing.contains(trimmed(cell.get_ref<const std::string&>()));
}

Json question_to_json(const Question& question) {
  Json json = std::visit(QuestionWriter(), question.content);
  if (question.id != "null") json["id"] = Json::parse(question.id);
  return json;
}

Json to_json(const Answer& answer) {
  return std::visit(Writer(), answer.value);
}

Json to_json(const PerplexityAnswer& answer) {
  Json json;
  json["perplexity"] = answer.perplexity;
  if (answer.bits_per_byte) json["bits_per_byte"] = *answer.bits_per_byte;
  json["tokens"] = answer.tokens;
  json["windows"] = answer.windows;
  return json;
}

Json& need_field(Json& row, const std::string& field, std::string_view flag, const std::string& place) {
  const auto found = row.find(field);
  if (found != row.end()) return *found;
  std::vector<std::string> names;
  for (const auto& item : row.items()) names.push_back(item.key());
  fail("{} has no field '{}'; choose with {} one of: {}", place, field, flag, fmt::join(names, ", "));
}

Question table_question(const Json& row, std::span<const std::string> columns, size_t number,
                        const std::string& place) {
  Question question{std::to_string(number), TableRow{}};
  if (const auto id = row.find("id"); id != row.end()) question.id = id->dump();
  auto& cells = std::get<TableRow>(question.content).cells;
  cells.reserve(columns.size());
  for (const std::string& column : columns) {
    const auto found = row.find(column);
    if (found == row.end()) {
      std::vector<std::string> names;
      for (const auto& item : row.items()) names.push_back(item.key());
      fail("{}: has no column '{}'; its columns are {}: the first line of a table must name the columns {}",
           place, column, fmt::join(names, ", "), fmt::join(columns, ", "));
    }
    cells.push_back(cell_of(*found, column, place));
  }
  return question;
}

Question question_from_json(Json& row, const QuestionFields& fields, size_t number,
                            const std::string& place) {
  Question question{std::to_string(number), {}};
  if (const auto id = row.find("id"); id != row.end()) question.id = id->dump();
  if (!row.contains(fields.text) && row.contains("ids")) {
    question.content = read_ids(row, place);
  } else if (!row.contains(fields.text) && row.contains("messages")) {
    question.content = read_messages(row.at("messages"), place);
  } else if (!row.contains(fields.text) && row.contains("query") && row.contains("documents")) {
    question.content =
        Ranking{take_text(row, "query", "another name", place), read_texts(row, "documents", 1, place)};
  } else if (!row.contains(fields.text) && row.contains("cells")) {
    question.content = read_cells(row.at("cells"), place);
  } else if (!row.contains(fields.text) && row.contains("question") && row.contains("choices")) {
    question.content = read_choices(row, take_text(row, "question", "another name", place), place);
  } else if (!row.contains(fields.text) && row.contains("question") && row.contains("context")) {
    question.content = TextPair{take_text(row, "question", "another name", place),
                                take_text(row, "context", "another name", place)};
  } else {
    std::string text = take_text(row, fields.text, fields.text_flag, place);
    if (!fields.pair.empty() && row.contains(fields.pair)) {
      question.content = TextPair{std::move(text), take_text(row, fields.pair, "another name", place)};
    } else {
      question.content = std::move(text);
    }
  }
  return question;
}

}  // namespace wattle::inline tasks
