#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "file/hf_vocabulary.h"

namespace wattle::inline file {

/// Writes the post-processor TemplateProcessing of tokenizer.json.
class StepTemplate {
 public:
  StepTemplate(const HfVocabulary& vocabulary, std::string origin)
      : vocabulary_(vocabulary), origin_(std::move(origin)) {}

  /// A token of the vocabulary. Error when it is none.
  StepTemplate& token(const std::string& text, int type_id = 0) {
    const int64_t id = vocabulary_.need(text, origin_);
    list_.push_back({{"SpecialToken", {{"id", text}, {"type_id", type_id}}}});
    tokens_[text] = {
        {"id", text}, {"ids", nlohmann::json::array({id})}, {"tokens", nlohmann::json::array({text})}};
    return *this;
  }
  /// The first ("A") or the second text ("B").
  StepTemplate& text(const char* which, int type_id = 0) {
    list_.push_back({{"Sequence", {{"id", which}, {"type_id", type_id}}}});
    return *this;
  }
  /// What was put down so far is the template of one text; a pair begins with it too.
  StepTemplate& end_of_single() {
    single_ = list_;
    return *this;
  }
  /// What was put down so far is the template of one text; that of a pair begins anew.
  StepTemplate& end_of_single_alone() {
    single_ = std::move(list_);
    list_ = nlohmann::json::array();
    return *this;
  }
  nlohmann::json done() const {
    return {
        {"type", "TemplateProcessing"}, {"single", single_}, {"pair", list_}, {"special_tokens", tokens_}};
  }

 private:
  const HfVocabulary& vocabulary_;
  std::string origin_;
  nlohmann::json list_ = nlohmann::json::array(), single_, tokens_ = nlohmann::json::object();
};

/// The tokenizer of a class whose files are SentencePiece models; `name` is the class without "Fast",
/// `model_type` that of config.json. Nullopt where the class or the folder is another. Error for a class that
/// is not known.
std::optional<HfVocabulary> read_sentencepiece_tokenizer(const std::filesystem::path& folder,
                                                         const std::string& name,
                                                         const std::string& model_type,
                                                         const JsonView& tokenizer_config,
                                                         const JsonView& special_map);

}  // namespace wattle::inline file
