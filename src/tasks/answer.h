#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/phases.h"
#include "base/work.h"
#include "decode/options.h"
#include "text/tokenizer.h"
#include "text/truncation.h"

namespace wattle::inline tasks {

struct LabelAnswer {
  int label = 0;              ///< index into names
  std::vector<float> scores;  ///< a probability for each name
  std::shared_ptr<const std::vector<std::string>> names;
  std::optional<int64_t> tokens_in;

  const std::string& name() const { return (*names)[static_cast<size_t>(label)]; }
};

struct VectorAnswer {
  std::vector<float> embedding;
  int64_t tokens_in = 0;
};

struct TextAnswer {
  std::optional<std::string> text;          ///< none: the model has no tokenizer
  std::optional<std::vector<TokenId>> ids;  ///< where the question was ids
  int64_t tokens_in = 0, tokens_out = 0;
  FinishReason stop = FinishReason::kEnd;
};

/// A part of the question's text.
struct Span {
  int64_t begin = 0, end = 0;  ///< bytes
  int64_t begin_code_point = 0, end_code_point = 0;
  std::string label, text;
  float score = 0;
};

struct SpansAnswer {
  std::vector<Span> spans;
  std::optional<std::string> text;  ///< of the best, where spans are answers; empty: there is no answer
};

/// What may stand in a masked token's place.
struct Fill {
  TokenId id = 0;
  std::string token;
  float score = 0;
  std::string text;  ///< the whole text with it
};

struct FillsAnswer {
  std::vector<std::vector<Fill>> masks;  ///< the likeliest first
};

struct TokensAnswer {
  std::vector<TokenId> ids;
};

struct ScoreAnswer {
  double score = 0;
};

/// One a document, in the question's order; greater is nearer to the query.
struct ScoresAnswer {
  std::vector<double> scores;
};

struct PerplexityAnswer {
  double perplexity = 0;
  std::optional<double> bits_per_byte;  ///< none: the model has no tokenizer
  int64_t tokens = 0, windows = 0;
};

/// A matrix [rows, columns], or with no columns a plain list.
struct Numbers {
  std::string_view name;
  int64_t columns = 0;
  std::vector<float> values;
};

/// What the model's own layers gave, for checking against a reference: "hidden" [tokens, width]; "logits" as
/// the head has them; "start_logits" and "end_logits" [tokens].
struct NumbersAnswer {
  std::vector<Numbers> parts;
};

/// What a task answers, with the engine's record of the work. Knows no JSON and no joules.
struct Answer {
  std::variant<std::monostate, LabelAnswer, VectorAnswer, TextAnswer, SpansAnswer, FillsAnswer, TokensAnswer,
               ScoreAnswer, ScoresAnswer, PerplexityAnswer, NumbersAnswer>
      value;
  Work work;
  Phases phases;
  Truncation truncation;  ///< of the question's text
};

}  // namespace wattle::inline tasks
