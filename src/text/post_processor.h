#pragma once

#include <memory>
#include <optional>

#include "base/json.h"
#include "text/vocabulary.h"

namespace wattle::inline text {

/// The step of a tokenizer after its model: special tokens round one or two texts, segments, trimmed offsets.
class PostProcessor {
 public:
  /// The post_processor of tokenizer.json: TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel,
  /// Sequence; an absent one joins two texts as they are. Error naming an unknown one, or for a token or a
  /// text that is not there.
  PostProcessor(const JsonView& json, const Vocabulary& vocabulary);

  Encoding apply(Encoding first, std::optional<Encoding> second, bool add_special) const;
  /// The ids alone, of one text.
  std::vector<TokenId> apply(std::vector<TokenId> ids, bool add_special) const;
  /// Whether white space is no part of a token's offsets.
  bool trims_offsets() const;

  /// What stands in a template: a text (0 or 1), or special tokens.
  struct Part {
    int text = -1;
    std::vector<TokenId> tokens;
    int32_t type_id = 0;
  };

 private:
  struct Step {
    std::vector<Part> single, pair;  ///< empty: no template
    bool trims = false, add_prefix_space = false;
  };
  void read_template(const JsonView& json, Step& step) const;
  std::vector<Part> read_parts(const JsonView& json, const char* key) const;
  void read_bert(const JsonView& json, bool roberta, Step& step) const;
  void trim(Encoding& encoding, const Step& step) const;

  const Vocabulary& vocabulary_;
  std::vector<Step> steps_;
};

}  // namespace wattle::inline text
