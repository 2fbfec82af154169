#pragma once

#include <optional>
#include <string>
#include <vector>

#include "families/capabilities.h"
#include "families/config.h"
#include "families/description.h"
#include "families/hyperparameters.h"
#include "layers/linear.h"
#include "layers/norm.h"

namespace wattle::inline families {

/// Where Hugging Face keeps the tensors of a family's heads, without endings and prefixes; empty: the
/// family's heads have no such part.
struct HeadSources {
  /// Sequences: logits = out(f(dense(first token))).
  std::string sequence_dense = {}, sequence_out = {};
  bool sequence_out_bias = true;
  bool sequence_dense_bias = true, sequence_norm = false, sequence_norm_bias = false;
  std::string sequence_norm_source = {};
  std::string token = "classifier", span = "qa_outputs";
  bool dense_for_all =
      false;  ///< labels of tokens and spans, too, are read from what the sequence's dense makes
  /// Replaced tokens: a score = out(f(dense(token))).
  std::string replaced_dense = {}, replaced_out = {};
  /// Masked tokens: logits = decoder(norm(f(dense(token)))), the decoder often tied to the words.
  std::string masked_dense = {}, masked_norm = {}, masked_out = {};
  /// Its bias, by its whole name with ending (empty: it has none), and other names that the same tensor has.
  std::string masked_bias = {};
  std::vector<std::string> masked_duplicates = {};
  int64_t masked_width = 0;  ///< of norm and decoder, where it is not the layers' (ELECTRA, ALBERT)
  bool masked_dense_bias = true, masked_norm_bias = true;
};

/// The head that config.json's `architectures` names: for keys of the file that only a head reads.
std::optional<NetworkHeadKind> named_head(const ConfigReader& config);
/// The head that config.json's `architectures` names ("BertForTokenClassification"), as wattle.head, and its
/// labels (wattle.labels, in the order of their ids) and kind of problem (wattle.problem_type).
void read_head(ConfigReader& config, Metadata& metadata);
std::optional<NetworkHeadKind> head_of(const Metadata& metadata);

/// The tensors of a decoder's head for sequences or tokens: "score" or "classifier" of most families.
void describe_decoder_head(const Hyperparameters& hyper, Description& description);

/// The tensors of the head that the metadata name. GGUF names: cls, cls.norm, cls.output (sequences),
/// token_cls, span, replaced.dense, replaced.output, mlm.dense, mlm.norm, mlm.output.
void describe_head(const Hyperparameters& hyper, const HeadSources& sources, Description& description);

/// A network's head, or none.
class NetworkHead {
 public:
  /// Which of a sequence's hidden states its label is read from.
  enum class Pooling {
    kFirst,
    kLast,  ///< the last token that is no padding (wattle.head.padding), where the file names one
    kEnd,   ///< the last end token (wattle.head.end)
    kMean,
  };
  struct Plan {
    Pooling pooling = Pooling::kFirst;
    ActivationFunction sequence = ActivationFunction::kTanh;
    ActivationFunction masked = ActivationFunction::kGelu;
    ActivationFunction replaced = ActivationFunction::kGelu;
    NormKind norm = NormKind::kLayer;
    float epsilon = 1e-12f;
  };
  NetworkHead() = default;
  NetworkHead(Weights& weights, int64_t width, const Plan& plan);

  std::optional<NetworkHeadKind> kind() const { return kind_; }
  int64_t outputs() const { return out_.outputs(); }
  void operator()(const Ragged<int32_t>& tokens, ConstMatrixView hidden, Matrix& logits, Work& work) const;

 private:
  Matrix pooled(const Ragged<int32_t>& tokens, ConstMatrixView hidden) const;

  std::optional<NetworkHeadKind> kind_;
  Plan plan_;
  int32_t padding_ = -1, end_ = -1;
  Linear dense_, out_;
  Norm norm_;
};

}  // namespace wattle::inline families
