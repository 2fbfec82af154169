#include "text/post_processor.h"

#include <algorithm>

#include <wattle/error.h>

#include "text/normalizer.h"
#include "text/unicode.h"
#include "text/unicode_classes.h"

namespace wattle::inline text {
namespace {

constexpr size_t kMostParts = 64;

TokenId checked_id(const nlohmann::json& value, const Vocabulary& vocabulary, const std::string& origin) {
  if (!value.is_number_integer() || value.get<int64_t>() < 0 || value.get<int64_t>() >= vocabulary.size()) {
    fail("{}: the post-processor puts a token that is none of the {} there are; get the file again", origin,
         vocabulary.size());
  }
  return value.get<TokenId>();
}

/// ["[SEP]", 102]
TokenId token_of(const JsonView& json, const char* key, const Vocabulary& vocabulary) {
  const nlohmann::json* const value = json.find(key);
  if (value == nullptr || !value->is_array() || value->size() != 2) {
    fail("{}: the post-processor has no {}; get the file again", json.origin(), key);
  }
  return checked_id((*value)[1], vocabulary, json.origin());
}

Encoding join(const std::vector<PostProcessor::Part>& parts, Encoding* const* texts, bool add_special) {
  Encoding out;
  for (const PostProcessor::Part& part : parts) {
    if (part.text >= 0) {
      const Encoding& text = *texts[part.text];
      for (size_t i = 0; i < text.size(); ++i) {
        const bool own = text.sequence[i] < 0;
        out.append(text.ids[i], part.type_id, text.offsets[i],
                   own ? int8_t{-1} : static_cast<int8_t>(part.text), text.words[i]);
      }
    } else if (add_special) {
      for (const TokenId id : part.tokens) out.append(id, part.type_id, {}, -1, -1);
    }
  }
  return out;
}

}  // namespace

PostProcessor::PostProcessor(const JsonView& json, const Vocabulary& vocabulary) : vocabulary_(vocabulary) {
  for (const JsonView& described : pipeline_steps(json, "processors")) {
    const std::string type = described.text("type").value_or("without a type");
    Step step;
    if (type == "TemplateProcessing") {
      read_template(described, step);
    } else if (type == "BertProcessing" || type == "RobertaProcessing") {
      read_bert(described, type == "RobertaProcessing", step);
    } else if (type == "ByteLevel") {
      step.trims = described.flag("trim_offsets").value_or(true);
      step.add_prefix_space = described.flag("add_prefix_space").value_or(true);
    } else {
      fail("{}: the post-processor {} is not known here; use another model", json.origin(), type);
    }
    steps_.push_back(std::move(step));
  }
  const auto templates =
      std::count_if(steps_.begin(), steps_.end(), [](const Step& step) { return !step.single.empty(); });
  if (templates > 1) {
    fail("{}: has {} post-processors that put special tokens, where one is known here; use another model",
         json.origin(), templates);
  }
}

void PostProcessor::read_template(const JsonView& json, Step& step) const {
  step.single = read_parts(json, "single");
  step.pair = read_parts(json, "pair");
  const auto has = [](const std::vector<Part>& parts, int text) {
    return std::any_of(parts.begin(), parts.end(), [&](const Part& part) { return part.text == text; });
  };
  if (has(step.single, 1)) {
    fail("{}: the template of a single text has two; get the file again", json.origin());
  }
  if (step.single.empty()) step.single = {{0, {}, 0}};
}

std::vector<PostProcessor::Part> PostProcessor::read_parts(const JsonView& json, const char* key) const {
  const nlohmann::json* const list = json.find(key);
  std::vector<Part> parts;
  if (list == nullptr) return parts;
  if (!list->is_array() || list->size() > kMostParts) {
    fail("{}: the template {} is no list of at most {} parts; get the file again", json.origin(), key,
         kMostParts);
  }
  const JsonView tokens = json.child("special_tokens");
  for (const nlohmann::json& value : *list) {
    const JsonView entry(&value, json.origin());
    const JsonView text = entry.child("Sequence"), special = entry.child("SpecialToken");
    Part part;
    part.type_id = static_cast<int32_t>((text ? text : special).integer("type_id").value_or(0));
    if (part.type_id < 0 || part.type_id > 255)
      fail("{}: a template has the segment {}", json.origin(), part.type_id);
    if (text) {
      part.text = text.text("id") == "B" ? 1 : 0;
    } else if (special) {
      const std::string name = special.text("id").value_or("");
      const JsonView described = tokens ? tokens.child(name) : JsonView(nullptr, json.origin());
      const nlohmann::json* const ids = described ? described.find("ids") : nullptr;
      if (ids == nullptr || !ids->is_array() || ids->size() > kMostParts) {
        fail("{}: the template puts \"{}\", whose ids are not given; get the file again", json.origin(),
             name);
      }
      for (const nlohmann::json& id : *ids) part.tokens.push_back(checked_id(id, vocabulary_, json.origin()));
    } else {
      fail("{}: the template {} has a part that is neither a text nor a token; get the file again",
           json.origin(), key);
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

void PostProcessor::read_bert(const JsonView& json, bool roberta, Step& step) const {
  const TokenId cls = token_of(json, "cls", vocabulary_), sep = token_of(json, "sep", vocabulary_);
  const int32_t second = roberta ? 0 : 1;
  step.single = {{-1, {cls}, 0}, {0, {}, 0}, {-1, {sep}, 0}};
  step.pair = step.single;
  if (roberta) step.pair.push_back({-1, {sep}, 0});
  step.pair.insert(step.pair.end(), {{1, {}, second}, {-1, {sep}, second}});
  if (!roberta) return;
  step.trims = json.flag("trim_offsets").value_or(true);
  step.add_prefix_space = json.flag("add_prefix_space").value_or(true);
}

/// White space at the ends of a token is no part of its offsets, but for the one space that the tokenizer put
/// before a text.
void PostProcessor::trim(Encoding& encoding, const Step& step) const {
  for (size_t i = 0; i < encoding.size(); ++i) {
    std::vector<bool> space;
    const std::string& text = vocabulary_.text(encoding.ids[i]);
    for (size_t k = 0; k < text.size();) {
      const DecodedCharacter c = decode_utf8(text, k);
      space.push_back(c.value == byte_stand_in(' ') || is_white_space(c.value));
      k += c.bytes;
    }
    auto leading = static_cast<uint32_t>(std::find(space.begin(), space.end(), false) - space.begin());
    const auto trailing =
        static_cast<uint32_t>(std::find(space.rbegin(), space.rend(), false) - space.rbegin());
    ByteRange& range = encoding.offsets[i];
    if (leading > 0) {
      const bool first = i == 0 || range.begin == 0;
      if (first && step.add_prefix_space && leading == 1) leading = 0;
      range.begin = std::min(range.begin + leading, range.end);
    }
    const bool nothing_else = trailing == space.size();
    if (nothing_else) range.end = range.begin;
    if (trailing > 0 && range.end >= trailing) range.end = std::max(range.end - trailing, range.begin);
  }
}

Encoding PostProcessor::apply(Encoding first, std::optional<Encoding> second, bool add_special) const {
  Encoding* const texts[2] = {&first, second ? &*second : nullptr};
  const Step* with_template = nullptr;
  for (const Step& step : steps_) {
    if (step.trims) {
      trim(first, step);
      if (second) trim(*second, step);
    }
    if (!step.single.empty()) with_template = &step;
  }
  static const std::vector<Part> kSingle = {{0, {}, 0}}, kPair = {{0, {}, 0}, {1, {}, 1}};
  if (with_template == nullptr) return join(second ? kPair : kSingle, texts, add_special);
  const std::vector<Part>& parts = second ? with_template->pair : with_template->single;
  if (second && parts.empty()) {
    fail("the tokenizer has no template for two texts; give one, or use a model for pairs");
  }
  return join(parts, texts, add_special);
}

std::vector<TokenId> PostProcessor::apply(std::vector<TokenId> ids, bool add_special) const {
  for (const Step& step : steps_) {
    if (step.single.empty() || !add_special) continue;
    std::vector<TokenId> out;
    out.reserve(ids.size() + 2);
    for (const Part& part : step.single) {
      const std::vector<TokenId>& tokens = part.text >= 0 ? ids : part.tokens;
      out.insert(out.end(), tokens.begin(), tokens.end());
    }
    ids = std::move(out);
  }
  return ids;
}

bool PostProcessor::trims_offsets() const {
  return std::any_of(steps_.begin(), steps_.end(), [](const Step& step) { return step.trims; });
}

}  // namespace wattle::inline text
