#pragma once

#include <memory>
#include <vector>

#include "families/text_decoder.h"
#include "families/text_encoder.h"

namespace wattle::inline families {

/// A network of an encoder and a decoder that attends to what the encoder left (Vaswani et al. 2017): T5,
/// BART and their kin. Its tensors are enc.* and dec.*; token_embd and output serve both.
class TextTranslator : public Network,
                       public ReadsText,
                       public ContinuesText,
                       public Translates,
                       public HasHead {
 public:
  /// `start`: the token that a decoder's text begins with.
  TextTranslator(Weights& weights, EncoderPlan encoder, DecoderPlan decoder, int32_t start,
                 const NetworkOptions& options);

  using ReadsText::hidden_states;
  void hidden_states(const Ragged<int32_t>& tokens, const TokenMarks& marks, MatrixView out,
                     Work& work) override {
    encoder_.run(tokens, marks, out, work);
  }
  bool knows_global() const override { return encoder_.knows_global(); }
  int64_t width() const override { return encoder_.width(); }
  int64_t max_tokens() const override { return encoder_.max_tokens(); }

  std::unique_ptr<KeyValueCache> new_cache(int64_t capacity) const override;
  void forward(std::span<const DecoderInput> inputs, LogitsWanted wanted, Matrix& logits,
               Work& work) override;
  int64_t vocabulary() const override { return decoder_.vocabulary(); }
  int64_t context_length() const override { return decoder_.context_length(); }

  using Translates::begin;
  std::vector<std::unique_ptr<KeyValueCache>> begin(const Ragged<int32_t>& sources, const TokenMarks& marks,
                                                    int64_t capacity, Work& work) override;
  int32_t start_token() const override { return start_; }

  std::optional<NetworkHeadKind> head_kind() const override { return head_.kind(); }
  int64_t head_outputs() const override { return head_.outputs(); }
  /// The head reads the decoder, which is given the encoder's text again, moved by one token (BART, Lewis et
  /// al. 2020).
  void head(const Ragged<int32_t>& tokens, ConstMatrixView hidden, Matrix& logits, Work& work) override;

 private:
  EncoderStack encoder_;
  DecoderStack decoder_;
  int32_t start_;
  NetworkHead head_;
  Matrix hidden_;
};

}  // namespace wattle::inline families
