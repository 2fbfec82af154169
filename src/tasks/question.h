#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "models/model.h"
#include "text/chat.h"
#include "train/table.h"

namespace wattle::inline tasks {

/// Two texts that belong together: premise and hypothesis, question and context. Well-formed UTF-8, as all
/// texts of questions.
struct TextPair {
  std::string first, second;
};

struct Conversation {
  std::vector<ChatMessage> messages;  ///< at least one
};

/// Token ids in place of a text: no tokenizer, template or special token has a part in them.
struct TokenIds {
  std::vector<TokenId> ids;          ///< at least one, none negative
  std::vector<int32_t> type_ids;     ///< one an id, or none
  std::vector<TokenId> decoder_ids;  ///< what an encoder-decoder's answer begins with; may be empty
};

/// Documents to be put in order for a query. At least one.
struct Ranking {
  std::string query;
  std::vector<std::string> documents;
};

/// A question with the answers to choose from. At least two.
struct MultipleChoice {
  std::string question;
  std::vector<std::string> choices;
};

/// What is asked. Knows no model.
struct Question {
  std::string id = "null";  ///< as JSON writes it, 7 or "x-1": the input's `id`, or the row's number from 0
  std::variant<std::string, TextPair, Conversation, TokenIds, Ranking, MultipleChoice, TableRow> content;

  /// The one text. Throws Error when the question is something else.
  const std::string& text() const;
  /// The row of a table. Throws Error when the question is something else.
  const TableRow& table_row() const;
  /// Null when the question is something else.
  const Conversation* conversation() const { return std::get_if<Conversation>(&content); }
  const TokenIds* ids() const { return std::get_if<TokenIds>(&content); }
};

/// Bytes of all texts of a question, or of its ids: what its cost grows with.
int64_t size_of(const Question& question);

/// Throws Error for an id beyond the model's vocabulary, and for more ids than `limit`; `question` is named.
void check_ids(const Question& question, std::span<const TokenId> ids, const Model& model, int64_t limit);

/// The token ids of a question, checked for a model that reads ids alone. Throws Error as check_ids
/// does, for type ids other than 0 and for decoder ids.
std::span<const TokenId> checked_ids(const Question& question, const Model& model, int64_t limit);

}  // namespace wattle::inline tasks
