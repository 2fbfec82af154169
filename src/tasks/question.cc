#include "tasks/question.h"

#include <algorithm>
#include <array>

#include <wattle/error.h>

namespace wattle::inline tasks {
namespace {

constexpr std::array kKinds = {"a text",
                               "a pair of texts",
                               "a conversation",
                               "token ids",
                               "documents to be ranked",
                               "a choice of answers",
                               "the row of a table"};
static_assert(kKinds.size() == std::variant_size_v<decltype(Question::content)>);

int64_t vocabulary_of(const Model& model) {
  if (model.decoder() != nullptr) return model.decoder()->vocabulary();
  return model.file().need("token_embd.weight").rows();
}

}  // namespace

const std::string& Question::text() const {
  if (const auto* one = std::get_if<std::string>(&content)) return *one;
  fail("row {}: is {}, and this task answers one text; give rows with a text alone", id,
       kKinds[content.index()]);
}

const TableRow& Question::table_row() const {
  if (const auto* row = std::get_if<TableRow>(&content)) return *row;
  fail("row {}: is {}, and this head reads the rows of a table; give a file that has its columns", id,
       kKinds[content.index()]);
}

int64_t size_of(const Question& question) {
  const auto bytes = [](const auto& texts) {
    size_t sum = 0;
    for (const auto& text : texts) sum += text.size();
    return sum;
  };
  const auto size = [&](const auto& content) -> size_t {
    using Content = std::decay_t<decltype(content)>;
    if constexpr (std::is_same_v<Content, std::string>) return content.size();
    if constexpr (std::is_same_v<Content, TextPair>) return content.first.size() + content.second.size();
    if constexpr (std::is_same_v<Content, TokenIds>) return content.ids.size() * sizeof(TokenId);
    if constexpr (std::is_same_v<Content, Ranking>) return content.query.size() + bytes(content.documents);
    if constexpr (std::is_same_v<Content, TableRow>) return content.cells.size() * sizeof(double);
    if constexpr (std::is_same_v<Content, MultipleChoice>) {
      return content.question.size() + bytes(content.choices);
    }
    if constexpr (std::is_same_v<Content, Conversation>) {
      size_t sum = 0;
      for (const ChatMessage& message : content.messages) sum += message.content.size();
      return sum;
    }
  };
  return static_cast<int64_t>(std::visit(size, question.content));
}

void check_ids(const Question& question, std::span<const TokenId> ids, const Model& model, int64_t limit) {
  const int64_t vocabulary = vocabulary_of(model);
  for (const TokenId id : ids) {
    if (id < 0 || id >= vocabulary) {
      fail("row {}: token id {} is beyond the model's vocabulary of {}; give ids of its own tokenizer",
           question.id, id, vocabulary);
    }
  }
  if (static_cast<int64_t>(ids.size()) > limit) {
    fail("row {}: has {} token ids, more than the {} that there is room for; give fewer", question.id,
         ids.size(), limit);
  }
}

std::span<const TokenId> checked_ids(const Question& question, const Model& model, int64_t limit) {
  const TokenIds& given = std::get<TokenIds>(question.content);
  check_ids(question, given.ids, model, limit);
  if (std::ranges::any_of(given.type_ids, [](int32_t type) { return type != 0; })) {
    fail("row {}: has type ids other than 0, which this task does not read; leave `type_ids` out",
         question.id);
  }
  if (!given.decoder_ids.empty()) {
    fail("row {}: has decoder ids, and the model is no encoder-decoder; leave `decoder_ids` out",
         question.id);
  }
  return given.ids;
}

}  // namespace wattle::inline tasks
