#pragma once

#include <string_view>

#include "metrics/words.h"

namespace wattle::inline metrics {

/// An answer's words as SQuAD compares them (Rajpurkar et al. 2016, 2018): lower case, without ASCII's
/// punctuation and articles.
Words words_of_answer(std::string_view text);

/// 1 where the words are the same in the same order.
double squad_exact_match(std::string_view answer, std::string_view reference);
/// F1 of the bags of words; where one has none: 1 if both have none.
double squad_f1(std::string_view answer, std::string_view reference);

}  // namespace wattle::inline metrics
