#pragma once

#include <string_view>

#include "metrics/words.h"

namespace wattle::inline metrics {

// Words as sacrebleu's tokenizers cut them.

/// mteval-v13a's, for languages that part words by spaces.
Words words_13a(std::string_view text);
/// Each Chinese character a word, the rest as above.
Words words_zh(std::string_view text);
/// Each character a word.
Words words_char(std::string_view text);

/// Words of captions: lower case, without punctuation but for brackets, cut as Stanford's PTBTokenizer cuts
/// plain sentences (contractions in two, hyphens within words kept).
Words words_of_caption(std::string_view text);

}  // namespace wattle::inline metrics
