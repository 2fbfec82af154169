#include "tasks/rewording.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include <fmt/ranges.h>
#include <wattle/error.h>

namespace wattle::inline tasks {
namespace {

/// A token that stands for a language: __fr__ (M2M100), fr_XX (mBART), fra_Latn (NLLB), >>fra<< (Marian).
struct Language {
  TokenId id;
  std::string token, code;
};

bool all_of(std::string_view text, int (*is)(int)) {
  return !text.empty() && std::ranges::all_of(text, [is](unsigned char c) { return is(c) != 0; });
}

std::string code_of(std::string_view token) {
  for (const auto& [begin, end] : {std::pair("__", "__"), std::pair(">>", "<<")}) {
    if (token.size() < 6 || !token.starts_with(begin) || !token.ends_with(end)) continue;
    const std::string_view code = token.substr(2, token.size() - 4);
    if (std::isalpha(static_cast<unsigned char>(code[0])) != 0) return std::string(code);
  }
  const size_t mark = token.find('_');
  if (mark != 2 && mark != 3) return {};
  const std::string_view script = token.substr(mark + 1);
  if (!all_of(token.substr(0, mark), std::islower) || !all_of(script, std::isalpha) || script.size() > 4)
    return {};
  return std::isupper(static_cast<unsigned char>(script[0])) != 0 ? std::string(token) : std::string();
}

std::vector<Language> languages_of(const Tokenizer& tokenizer) {
  std::vector<Language> languages;
  for (TokenId id = 0; id < tokenizer.size(); ++id) {
    std::string token = tokenizer.token_text(id);
    if (std::string code = code_of(token); !code.empty())
      languages.push_back({id, std::move(token), std::move(code)});
  }
  return languages;
}

/// The language that a user names by its whole code, its token, or the part of the code before "_".
const Language& language(const std::vector<Language>& languages, const std::string& wanted,
                         const Model& model) {
  std::vector<std::string_view> codes;
  std::vector<const Language*> found;
  for (const Language& one : languages) {
    if (one.code == wanted || one.token == wanted) return one;
    if (one.code.starts_with(wanted + "_")) found.push_back(&one);
    codes.push_back(one.code);
  }
  if (found.size() == 1) return *found.front();
  fail("{}: its languages are {}, and {} is {} of them; name one", model.file().path().string(),
       fmt::join(codes, ", "), wanted, found.empty() ? "none" : "several");
}

/// The translations that task_specific_params names, as "en_to_de".
std::vector<std::string> pairs_of(const Metadata& metadata) {
  constexpr std::string_view kBegin = "wattle.generation.task.translation_", kEnd = ".prefix";
  std::vector<std::string> pairs;
  for (const auto& [key, value] : metadata.entries()) {
    if (!key.starts_with(kBegin) || !key.ends_with(kEnd)) continue;
    pairs.emplace_back(key.substr(kBegin.size(), key.size() - kBegin.size() - kEnd.size()));
  }
  return pairs;
}

Rewording by_prefix(const Model& model, const TaskOptions& options, const std::vector<std::string>& pairs) {
  const std::string wanted = options.from + "_to_" + options.to;
  if (std::ranges::find(pairs, wanted) == pairs.end()) {
    fail("{}: translates {}; name one pair of these as the languages to translate from and to",
         model.file().path().string(), fmt::join(pairs, ", "));
  }
  Rewording rewording{.defaults = "translation_" + wanted};
  rewording.prefix =
      model.metadata().text("wattle.generation.task." + rewording.defaults + ".prefix").value_or("");
  return rewording;
}

Rewording by_tokens(const Model& model, const TaskOptions& options, const std::vector<Language>& languages) {
  Rewording rewording;
  if (languages.front().token.starts_with(">>")) {  // they stand before the text
    if (options.to.empty()) {
      fail("{}: translates into several languages; name the one to translate to",
           model.file().path().string());
    }
    rewording.prefix = language(languages, options.to, model).token + " ";
    return rewording;
  }
  for (const Language& one : languages) rewording.languages.push_back(one.id);
  if (!options.from.empty()) rewording.source = language(languages, options.from, model).id;
  if (!options.to.empty()) rewording.target = language(languages, options.to, model).id;
  return rewording;
}

}  // namespace

Rewording summarising(const Model& model, const TaskOptions&) {
  if (model.can<Translates>() == nullptr) {
    return {.instruction = "Summarise the following text in a few sentences.\n\n{text}\n\nSummary:"};
  }
  return {.defaults = "summarization",
          .prefix = model.metadata().text("wattle.generation.task.summarization.prefix").value_or(""),
          .first_is_global = model.can<ReadsText>()->knows_global()};
}

Rewording translating(const Model& model, const TaskOptions& options) {
  if (model.can<Translates>() == nullptr) {
    if (options.to.empty())
      fail("a decoder translates into the language that it is told; name the one to translate to");
    const std::string from = options.from.empty() ? "" : " from " + options.from;
    return {.instruction = "Translate the following text" + from + " to " + options.to +
                           ". Answer with the translation alone.\n\n{text}\n\nTranslation:"};
  }
  if (const auto pairs = pairs_of(model.metadata()); !pairs.empty()) return by_prefix(model, options, pairs);
  if (!model.has_tokenizer()) return {};
  if (const auto languages = languages_of(model.tokenizer()); !languages.empty()) {
    return by_tokens(model, options, languages);
  }
  if (!options.from.empty() || !options.to.empty()) {
    fail(
        "{}: has no tokens for languages and translates the one pair that it was trained for; leave the "
        "languages out",
        model.file().path().string());
  }
  return {};
}

}  // namespace wattle::inline tasks
