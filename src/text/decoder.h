#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"

namespace wattle::inline text {

/// The step of a tokenizer that makes text of tokens.
class Decoder {
 public:
  /// The decoder of tokenizer.json: ByteLevel, WordPiece, Metaspace, BPEDecoder, ByteFallback, Fuse, Strip,
  /// Replace, CTC, Sequence; an absent one joins tokens with spaces. Error naming an unknown one.
  explicit Decoder(const JsonView& json);
  ~Decoder();

  /// The text of tokens. Bytes that are no UTF-8 become U+FFFD.
  std::string decode(std::vector<std::string> tokens) const;
  /// What one token adds to the text between two others; bytes as they are.
  std::string piece(const std::string& token) const;

  class Step;

 private:
  std::string run(std::vector<std::string> tokens, bool raw) const;

  std::vector<std::unique_ptr<Step>> steps_;
};

}  // namespace wattle::inline text
