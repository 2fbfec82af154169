#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tasks/task.h"

namespace wattle::inline tasks {

/// What a network reads: ids, and their segments where the model has segments.
struct HeadInput {
  std::vector<TokenId> ids;
  std::vector<int32_t> types;  ///< one an id, or none: all 0

  int64_t length() const { return static_cast<int64_t>(ids.size()); }
};

/// What an input took: its share, by tokens, of the pass that it ran in.
struct HeadRecord {
  Work work;
  double forward = 0, post = 0;  ///< seconds
};

/// Adds what an input took to the answer that it is a part of.
void add(const HeadRecord& record, Answer& answer);

/// A model and the head on its hidden states, mostly its own: what the tasks of heads share. Both must
/// outlive this object.
class OwnHead {
 public:
  /// Error when the model has no head of that kind.
  OwnHead(Model& model, NetworkHeadKind kind);
  /// With another head than its own. Error when the model reads no texts.
  OwnHead(Model& model, HasHead& head);

  /// Tokens of a text, special ones included: what the model has positions for, or less where its tokenizer
  /// says so.
  int64_t max_tokens() const { return max_tokens_; }
  int64_t outputs() const { return head_->head_outputs(); }

  /// The tokens of a text, of two texts, or ids. Longer texts are cut: of two the longer one first. Error for
  /// a conversation, for two texts where the tokenizer joins none, and for ids that the model has not.
  HeadInput input_of(const Question& question, Truncation& truncation) const;
  /// The input of an encoding.
  HeadInput input_of(const Encoding& encoding) const;

  /// Runs inputs in passes of at most about 4,096 tokens; `each(i, logits)` gets those of an input: one row
  /// for a sequence's head, else one a token. What an input gets does not depend on its company.
  using Each = std::function<void(size_t input, ConstMatrixView logits)>;
  std::vector<HeadRecord> run(std::span<const HeadInput> inputs, const Each& each, StretchLog& log);
  /// The same for a head over tokens at some places of each input alone; one row of logits a place.
  std::vector<HeadRecord> run_at(std::span<const HeadInput> inputs,
                                 std::span<const std::vector<int64_t>> places, const Each& each,
                                 StretchLog& log);

 private:
  struct Pass;
  std::vector<HeadRecord> run_passes(std::span<const HeadInput> inputs, const std::vector<int64_t>* places,
                                     const Each& each, StretchLog& log);
  void run_pass(Pass& pass, const Each& each, std::span<HeadRecord> records, StretchLog& log);

  Model& model_;
  ReadsText* reader_;
  HasHead* head_;
  int64_t max_tokens_;
  bool has_types_;
  Matrix hidden_, chosen_, logits_;
};

/// The names of a head's outputs, as the file has them; two outputs without names are LABEL_0 and LABEL_1, as
/// the reference library calls them. Error when outputs lack a name.
std::shared_ptr<const std::vector<std::string>> label_names(const Model& model);

void softmax(std::span<float> logits);
float sigmoid(float logit);

}  // namespace wattle::inline tasks
