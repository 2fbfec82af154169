#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/json.h"
#include "text/aligned_text.h"

namespace wattle::inline text {

/// The first step of a tokenizer: rewrites a text before it is cut into words.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual void apply(AlignedText& text) const = 0;
};

/// The steps that a part of tokenizer.json describes: of a "Sequence" those in its `list`, else the part
/// itself; none for an absent one. Error for sequences nested deeper than 8 or of more than 64 steps.
std::vector<JsonView> pipeline_steps(const JsonView& part, const char* list);

/// The normalizer of tokenizer.json: BertNormalizer, NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents,
/// Replace, Prepend, Precompiled, Nmt, ByteLevel, Sequence; and SentencePiece, this project's name for the
/// steps of a SentencePiece model (`charsmap` in base64, `add_dummy_prefix`, `remove_extra_whitespaces`,
/// `escape_whitespaces`, `treat_whitespace_as_suffix`), in which `user_defined` symbols stay as they are.
/// Error naming an unknown one. Null where there is nothing to do.
std::unique_ptr<Normalizer> make_normalizer(const JsonView& json, std::span<const std::string> user_defined);

/// Well-formed UTF-8 in lower case, as the normalizer Lowercase writes it.
std::string lower_case(std::string_view text);

/// GPT-2's stand-in for each byte, one printable character.
char32_t byte_stand_in(uint8_t byte);
/// The byte that a character stands for; -1 for none.
int stood_for(char32_t c);
/// Rewrites bytes [begin, end) of the writer's text as stand-ins, with the alignment of their characters.
void write_stand_ins(Rewriter& writer);

}  // namespace wattle::inline text
