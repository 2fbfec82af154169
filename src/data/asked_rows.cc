// How rows become questions with truths, a task each.
#include <algorithm>
#include <cctype>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "data/folded.h"
#include "data/labelled_rows.h"
#include "data/row_parts.h"
#include "tasks/json.h"
#include "text/unicode.h"

namespace wattle::inline data {
namespace {

using Json = nlohmann::ordered_json;

TextsTruth references_of(const RowParts& parts, std::string_view part) {
  TextsTruth truth{parts.texts(part)};
  if (truth.texts.empty()) fail("{}: its {} is blank", parts.place(), part);
  return truth;
}

AskedRow classify(const RowParts& parts) {
  AskedRow asked;
  std::string text = parts.text("text");
  if (parts.find("pair") != nullptr) {
    asked.question.content = TextPair{std::move(text), parts.text("pair")};
  } else {
    asked.question.content = std::move(text);
  }
  std::string label = label_text(parts.need("label"), parts.place());
  if (label.empty()) fail("{}: its label is blank", parts.place());
  asked.truth = LabelTruth{std::move(label)};
  return asked;
}

AskedRow answer(const RowParts& parts) {
  AskedRow asked;
  asked.question.content = TextPair{parts.text("question"), parts.text("context")};
  bool impossible = false;
  for (const char* name : {"is_impossible", "impossible", "unanswerable"}) {
    const Json* flag = value_at(parts.row().fields, name);
    impossible = impossible || (flag != nullptr && flag->is_boolean() && flag->get<bool>());
  }
  // SQuAD 2 says it twice; other forms by an empty list alone.
  if (!impossible) parts.need("answers");
  asked.truth = TextsTruth{impossible ? std::vector<std::string>() : parts.texts("answers")};
  return asked;
}

AskedRow fill(const RowParts& parts) {
  AskedRow asked;
  std::string text = parts.text("text");
  size_t marks = 0;
  for (const std::string_view mark : {"[MASK]", "<mask>"}) {
    for (size_t at = 0; (at = text.find(mark, at)) != std::string::npos; at += mark.size()) ++marks;
  }
  if (marks != 1) {
    fail("{}: its text has {} places marked [MASK] or <mask>; mark the one word that is looked for",
         parts.place(), marks);
  }
  asked.question.content = std::move(text);
  asked.truth = references_of(parts, "target");
  return asked;
}

/// A conversation; when the assistant has the last word, that is the reference.
AskedRow continue_messages(const Json& messages, const RowParts& parts) {
  Json row = {{"messages", messages}};
  AskedRow asked{question_from_json(row, {}, 0, parts.place()), {}};
  auto& conversation = std::get<Conversation>(asked.question.content);
  if (conversation.messages.back().role == "assistant" && conversation.messages.size() > 1) {
    asked.truth = TextsTruth{{std::move(conversation.messages.back().content)}};
    conversation.messages.pop_back();
  }
  return asked;
}

AskedRow generate(const RowParts& parts) {
  AskedRow asked;
  if (const Json& text = parts.need("text"); text.is_array()) {
    asked = continue_messages(text, parts);
  } else {
    asked.question.content = parts.text("text");
  }
  if (parts.find("reference") != nullptr) asked.truth = references_of(parts, "reference");
  return asked;
}

AskedRow rewrite(const RowParts& parts) {
  AskedRow asked;
  asked.question.content = parts.text("text");
  asked.truth = references_of(parts, "reference");
  return asked;
}

AskedRow perplexity(const RowParts& parts) {
  AskedRow asked;
  asked.question.content = parts.text("text");
  return asked;
}

AskedRow similarity(const RowParts& parts) {
  AskedRow asked;
  asked.question.content = TextPair{parts.text("text"), parts.text("pair")};
  asked.truth = ScoreTruth{parts.number("score")};
  return asked;
}

struct Document {
  std::string text;
  double relevance = 0;
};

/// Two lists, in an order that tells nothing about which one a document is from.
std::vector<Document> graded(const RowParts& parts, const Json& positive) {
  std::vector<Document> documents;
  const auto add = [&](const Json* list, double relevance) {
    if (list == nullptr || !list->is_array()) return;
    for (const Json& text : *list) {
      if (!text.is_string()) fail("{}: the document {} is no text", parts.place(), text.dump());
      documents.push_back({text.get<std::string>(), relevance});
    }
  };
  add(&positive, 1);
  add(value_at(parts.row().fields, "negative"), 0);
  std::ranges::stable_sort(documents, {}, &Document::text);
  return documents;
}

std::vector<Document> documents_of(const RowParts& parts) {
  const Json& list = parts.need("documents");
  if (!list.is_array()) fail("{}: its documents are no list", parts.place());
  if (const Json* positive = value_at(parts.row().fields, "positive"); positive == &list) {
    return graded(parts, list);
  }
  const Json* relevance = parts.find("relevance");
  if (relevance != nullptr && (!relevance->is_array() || relevance->size() != list.size())) {
    fail("{}: has {} documents and {} numbers of relevance; give one a document", parts.place(), list.size(),
         relevance->is_array() ? relevance->size() : 1);
  }
  std::vector<Document> documents;
  for (size_t i = 0; i < list.size(); ++i) {
    const bool object = list[i].is_object();
    const Json* text = object ? value_at(list[i], "text") : &list[i];
    const Json* grade = object && relevance == nullptr ? value_at(list[i], "relevance")
                        : relevance != nullptr         ? &(*relevance)[i]
                                                       : nullptr;
    const auto number = grade != nullptr ? number_of(*grade) : std::nullopt;
    if (text == nullptr || !text->is_string() || !number) {
      fail("{}: the document {} has not both a text and a relevance", parts.place(), list[i].dump());
    }
    documents.push_back({text->get<std::string>(), *number});
  }
  return documents;
}

AskedRow rank(const RowParts& parts) {
  Ranking ranking{parts.text("query"), {}};
  RelevanceTruth truth;
  for (Document& document : documents_of(parts)) {
    ranking.documents.push_back(std::move(document.text));
    truth.relevance.push_back(document.relevance);
  }
  if (ranking.documents.empty()) fail("{}: has no documents", parts.place());
  return {{.content = std::move(ranking)}, std::move(truth)};
}

/// The place of the right choice: by its name (a letter as a rule), its number from 0, its words or its
/// letter.
std::optional<size_t> right_choice(const Json& label, const std::string& place,
                                   const std::vector<std::string>& choices,
                                   const std::vector<std::string>& names) {
  const std::string text(trimmed(label_text(label, place)));
  const auto place_in = [&](const std::vector<std::string>& list) -> std::optional<size_t> {
    const auto found = std::ranges::find(list, folded(text), folded);
    return found == list.end() ? std::nullopt : std::optional<size_t>(found - list.begin());
  };
  if (const auto named = place_in(names)) return named;
  const auto numbered = [&]() -> std::optional<size_t> {
    const bool digits =
        !text.empty() && text.size() < 4 && text.find_first_not_of("0123456789") == std::string::npos;
    if (!digits || !names.empty() || std::stoul(text) >= choices.size()) return std::nullopt;
    return std::stoul(text);
  };
  // A number is a place; a text may be a choice that happens to be a number.
  if (label.is_number()) return numbered();
  if (const auto worded = place_in(choices)) return worded;
  if (const auto number = numbered()) return number;
  if (text.size() != 1 || std::isalpha(static_cast<unsigned char>(text[0])) == 0) return std::nullopt;
  const auto letter = static_cast<size_t>(std::toupper(static_cast<unsigned char>(text[0])) - 'A');
  return letter < choices.size() ? std::optional(letter) : std::nullopt;
}

AskedRow choose(const RowParts& parts) {
  MultipleChoice choice{parts.text("question"), parts.texts("choices")};
  if (parts.find("context") != nullptr) choice.question = parts.text("context") + "\n" + choice.question;
  const Json& given = parts.need("choices");
  const size_t count = given.is_array()    ? given.size()
                       : given.is_object() ? value_at(given, "text")->size()
                                           : 1;
  if (choice.choices.size() != count || count < 2) {
    fail("{}: its choices are not two or more texts that differ", parts.place());
  }
  std::vector<std::string> names;
  if (const Json* labels = given.is_object() ? value_at(given, "label") : nullptr;
      labels != nullptr && labels->is_array()) {
    for (const Json& label : *labels) names.push_back(label_text(label, parts.place()));
  }
  const Json& label = parts.need("label");
  const auto place = right_choice(label, parts.place(), choice.choices, names);
  if (!place) {
    fail("{}: its label {} is neither one of the {} choices nor the place or letter of one", parts.place(),
         label.dump(), count);
  }
  LabelTruth truth{choice.choices[*place]};
  return {{.content = std::move(choice)}, std::move(truth)};
}

struct RowReader {
  std::string_view task;
  AskedRow (*read)(const RowParts& parts);
};

constexpr RowReader kReaders[] = {
    {"classify", classify},     {"answer", answer},         {"fill", fill},
    {"generate", generate},     {"summarise", rewrite},     {"translate", rewrite},
    {"perplexity", perplexity}, {"similarity", similarity}, {"rank", rank},
    {"choose", choose},
};

}  // namespace

AskedRow read_asked_row(std::string_view task, const RowParts& parts) {
  const auto reader = std::ranges::find(kReaders, task, &RowReader::task);
  return reader->read(parts);
}

void check_choices(const std::vector<RawRow>& rows, const PartFields& fields) {
  bool from_zero = false, beyond = false;
  for (const RawRow& row : rows) {
    const RowParts parts(row, fields);
    const Json *label = parts.find("label"), *choices = parts.find("choices");
    if (label == nullptr || !label->is_number_unsigned() || choices == nullptr || !choices->is_array())
      continue;
    from_zero = from_zero || label->get<uint64_t>() == 0;
    beyond = beyond || label->get<uint64_t>() == choices->size();
  }
  if (beyond && !from_zero) {
    fail("{}: the numbers of the right choices count from 1; count from 0, or give letters or words",
         rows.front().place);
  }
}

std::vector<RawRow> questions_of_articles(std::vector<RawRow> rows) {
  const auto list = [](const Json& object, const char* key) -> const Json& {
    static const Json kNone = Json::array();
    const auto found = object.is_object() ? object.find(key) : object.end();
    return object.is_object() && found != object.end() && found->is_array() ? *found : kNone;
  };
  std::vector<RawRow> all;
  for (RawRow& row : rows) {
    if (!row.fields.contains("paragraphs")) {
      all.push_back(std::move(row));
      continue;
    }
    for (const Json& paragraph : list(row.fields, "paragraphs")) {
      for (const Json& question : list(paragraph, "qas")) {
        RawRow one{question, fmt::format("{}, question {}", row.place, all.size())};
        if (!one.fields.is_object()) one.fields = Json::object();
        if (const Json* context = value_at(paragraph, "context")) one.fields["context"] = *context;
        all.push_back(std::move(one));
      }
    }
  }
  return all;
}

}  // namespace wattle::inline data
