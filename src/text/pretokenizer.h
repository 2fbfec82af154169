#pragma once

#include <memory>
#include <vector>

#include "base/json.h"
#include "text/aligned_text.h"

namespace wattle::inline text {

/// A text and the pieces of it that become tokens each for itself. What lies between them is dropped.
struct Pieces {
  AlignedText text;
  std::vector<ByteRange> list;  ///< none is empty
};

/// The step of a tokenizer that cuts a text into words.
class Pretokenizer {
 public:
  virtual ~Pretokenizer() = default;
  virtual void apply(Pieces& pieces) const = 0;
};

/// The pre-tokenizer of tokenizer.json: BertPreTokenizer, ByteLevel, Whitespace, WhitespaceSplit, Metaspace,
/// Split, Punctuation, Digits, CharDelimiterSplit, UnicodeScripts, FixedLength, Sequence. Error naming an
/// unknown one. Null where there is none. `raw_bytes`: a ByteLevel at the end leaves bytes as they are
/// instead of writing their stand-ins, for a model that knows its tokens by their bytes.
std::unique_ptr<Pretokenizer> make_pretokenizer(const JsonView& json, bool raw_bytes);
/// Whether the last step is ByteLevel.
bool ends_in_bytes(const JsonView& json);

}  // namespace wattle::inline text
