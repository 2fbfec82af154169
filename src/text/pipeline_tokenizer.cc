#include "text/pipeline_tokenizer.h"

#include <algorithm>
#include <limits>

#include <wattle/error.h>

#include "base/utf8.h"

namespace wattle::inline text {
namespace {

std::vector<std::string> user_defined_symbols(const Vocabulary& vocabulary) {
  std::vector<std::string> symbols;
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    if (vocabulary.type(id) == TokenType::kUserDefined) symbols.push_back(vocabulary.text(id));
  }
  return symbols;
}

/// Without the tokens that the model does not have ("added_only", which the reader of tokenizer.json notes),
/// and with SentencePiece's symbols as they are there: GGUF keeps those that users defined with plain spaces
/// instead of U+2581.
Vocabulary prepared(Vocabulary vocabulary, const JsonView& model) {
  const nlohmann::json* const added_only = model.find("added_only");
  for (const nlohmann::json& id :
       added_only != nullptr && added_only->is_array() ? *added_only : nlohmann::json::array()) {
    if (id.is_number_integer() && vocabulary.contains(id.get<TokenId>())) vocabulary.hide(id.get<TokenId>());
  }
  if (!model.text("type").value_or("").starts_with("SentencePiece")) return vocabulary;
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    if (vocabulary.type(id) != TokenType::kUserDefined) continue;
    std::string text;
    for (const char c : vocabulary.text(id)) text += c == ' ' ? std::string("\u2581") : std::string(1, c);
    vocabulary.set_text(id, std::move(text));
  }
  return vocabulary;
}

/// The well-formed text of one that may not be, and where each of its bytes stands in that.
struct Repaired {
  std::string text;
  std::vector<ByteRange> origins;  ///< one a byte
};
Repaired repaired_with_origins(std::string_view bytes) {
  Repaired repaired;
  for (size_t i = 0; i < bytes.size();) {
    const Utf8Part part = first_utf8_part(bytes.substr(i));
    const std::string_view text = part.well_formed ? bytes.substr(i, part.length) : "\uFFFD";
    repaired.text += text;
    const ByteRange origin{static_cast<uint32_t>(i), static_cast<uint32_t>(i + part.length)};
    repaired.origins.insert(repaired.origins.end(), text.size(), origin);
    i += part.length;
  }
  return repaired;
}

}  // namespace

struct PipelineTokenizer::Run {
  std::span<const TextPart> parts;
  std::vector<size_t> ends;  ///< of the parts in `text`
  std::string text;
  bool aligned = false;
  std::vector<TokenId> ids;
  std::vector<ByteRange> offsets;  ///< in `text`, where aligned
  std::vector<int32_t> words;      ///< of which piece each token is, where aligned
  int32_t word = 0;                ///< the piece that is being cut

  void append(TokenId id, ByteRange offset) {
    ids.push_back(id);
    if (!aligned) return;
    offsets.push_back(offset);
    words.push_back(word);
  }
  /// Whether special tokens may be taken from bytes [begin, end) of `text`.
  bool allows_special(size_t begin, size_t end) const {
    const auto part = std::upper_bound(ends.begin(), ends.end(), begin) - ends.begin();
    const auto place = static_cast<size_t>(part);
    return place < parts.size() && parts[place].parse_special && end <= ends[place];
  }
};

PipelineTokenizer::PipelineTokenizer(Vocabulary vocabulary, const JsonView& pipeline,
                                     const Metadata& metadata, std::vector<std::string> notes)
    : vocabulary_(prepared(std::move(vocabulary), pipeline.child("model"))),
      post_processor_(pipeline.child("post_processor"), vocabulary_),
      decoder_(pipeline.child("decoder")),
      special_tokens_(static_cast<size_t>(vocabulary_.size())),
      unused_are_tokens_(pipeline.child("model").text("type").value_or("").starts_with("SentencePiece")) {
  special_ = vocabulary_.special();
  end_tokens_ = vocabulary_.end_tokens();
  notes_ = std::move(notes);
  const JsonView model = pipeline.child("model"), words = pipeline.child("pre_tokenizer");
  const bool affixes = !model.text("continuing_subword_prefix").value_or("").empty() ||
                       !model.text("end_of_word_suffix").value_or("").empty();
  const bool raw_bytes = model.text("type") == "BPE" && ends_in_bytes(words) && !affixes;
  normalizer_ = make_normalizer(pipeline.child("normalizer"), user_defined_symbols(vocabulary_));
  pretokenizer_ = make_pretokenizer(words, raw_bytes);
  model_ = make_token_model({vocabulary_, model, metadata, raw_bytes});
  read_added_tokens(pipeline);
  find_edges();
}

void PipelineTokenizer::read_added_tokens(const JsonView& pipeline) {
  const nlohmann::json* const list = pipeline.find("added_tokens");
  if (list == nullptr) return;
  if (!list->is_array()) fail("{}: added_tokens is no list; get the file again", pipeline.origin());
  for (const nlohmann::json& entry : *list) {
    const JsonView json(&entry, pipeline.origin());
    const auto text = json.text("content");
    const auto id = json.integer("id");
    if (!text || !id || *id < 0 || *id >= vocabulary_.size()) {
      fail("{}: an added token lacks its content or has an id beyond the {} tokens; get the file again",
           pipeline.origin(), vocabulary_.size());
    }
    AddedToken token{static_cast<TokenId>(*id), *text};
    token.special = json.flag("special").value_or(false);
    token.lstrip = json.flag("lstrip").value_or(false);
    token.rstrip = json.flag("rstrip").value_or(false);
    token.single_word = json.flag("single_word").value_or(false);
    if (token.special) special_tokens_[static_cast<size_t>(token.id)] = true;
    const bool after = json.flag("normalized").value_or(!token.special);
    if (after && normalizer_) token.text = normalised(token.text);
    (after ? normalized_ : raw_).add(std::move(token));
  }
}

std::string PipelineTokenizer::normalised(const std::string& text) const {
  AlignedText whole(repaired_utf8(text), 0, false);
  normalizer_->apply(whole);
  return std::string(whole.view());
}

/// Which tokens stand at the ends of an encoded text, for those who put texts together themselves.
void PipelineTokenizer::find_edges() {
  Encoding body;
  body.append(0, 0, {}, 0, 0);
  const Encoding whole = post_processor_.apply(std::move(body), std::nullopt, true);
  special_.add_bos = !whole.sequence.empty() && whole.sequence.front() < 0;
  special_.add_eos = !whole.sequence.empty() && whole.sequence.back() < 0;
}

std::vector<TokenId> PipelineTokenizer::encode(std::string_view text, EncodeOptions options) const {
  const TextPart part{text, options.parse_special};
  return encode_parts({&part, 1}, options.add_special);
}

std::vector<TokenId> PipelineTokenizer::encode_parts(std::span<const TextPart> parts,
                                                     bool add_special) const {
  Run run;
  run.parts = parts;
  for (const TextPart& part : parts) {
    run.text += is_ascii(part.text) ? std::string(part.text) : repaired_utf8(part.text);
    run.ends.push_back(run.text.size());
  }
  encode_all(run);
  return post_processor_.apply(std::move(run.ids), add_special);
}

Encoding PipelineTokenizer::encode_body(std::string_view text, bool parse_special) const {
  const TextPart part{text, parse_special};
  Run run;
  run.parts = {&part, 1};
  run.aligned = true;
  Repaired repaired;
  const bool well_formed = is_utf8(text);
  if (!well_formed) repaired = repaired_with_origins(text);
  run.text = well_formed ? std::string(text) : repaired.text;
  run.ends.push_back(run.text.size());
  encode_all(run);
  Encoding encoding;
  encoding.type_ids.assign(run.ids.size(), 0);
  encoding.sequence.assign(run.ids.size(), 0);
  encoding.ids = std::move(run.ids);
  encoding.offsets = std::move(run.offsets);
  encoding.words = std::move(run.words);
  for (ByteRange& range : encoding.offsets) {
    if (well_formed || repaired.origins.empty()) break;
    const uint32_t begin = range.begin < repaired.origins.size() ? repaired.origins[range.begin].begin
                                                                 : static_cast<uint32_t>(text.size());
    range = {begin, range.end > range.begin ? repaired.origins[range.end - 1].end : begin};
  }
  return encoding;
}

Encoding PipelineTokenizer::assemble(Encoding first, std::optional<Encoding> second, bool add_special) const {
  return post_processor_.apply(std::move(first), std::move(second), add_special);
}

void PipelineTokenizer::encode_all(Run& run) const {
  if (run.text.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    fail("a text of {} bytes is longer than the {} that can be tokenised at once; split it", run.text.size(),
         std::numeric_limits<int32_t>::max());
  }
  run.ids.reserve(run.text.size() / 4 + 2);
  size_t last = 0;
  for (const AddedTokens::Found& found :
       raw_.find(run.text, [&](size_t begin, size_t end) { return run.allows_special(begin, end); })) {
    encode_between(run, last, found.begin);
    const bool trims = post_processor_.trims_offsets();
    run.append(found.id,
               trims ? ByteRange{found.text_begin, found.text_end} : ByteRange{found.begin, found.end});
    ++run.word;
    last = found.end;
  }
  encode_between(run, last, run.text.size());
}

/// What lies between added tokens that are found before normalising.
void PipelineTokenizer::encode_between(Run& run, size_t begin, size_t end) const {
  if (begin >= end) return;
  // Only by its place in the text is it known which part a special token comes from.
  const bool places = run.aligned || (normalized_.any_special() && run.parts.size() > 1);
  AlignedText text(std::string_view(run.text).substr(begin, end - begin), static_cast<uint32_t>(begin),
                   places);
  if (normalizer_) normalizer_->apply(text);
  const auto allowed = [&](size_t from, size_t to) {
    if (run.parts.size() == 1) return run.parts[0].parse_special;
    const ByteRange origin = text.origin(from, to);
    return run.allows_special(origin.begin, origin.end);
  };
  const auto found = normalized_.find(text.view(), allowed);
  if (found.empty()) return encode_pieces(run, std::move(text));
  size_t last = 0;
  for (const AddedTokens::Found& token : found) {
    if (token.begin > last) encode_pieces(run, text.slice(last, token.begin));
    const bool trims = post_processor_.trims_offsets();
    run.append(token.id,
               trims ? text.origin(token.text_begin, token.text_end) : text.origin(token.begin, token.end));
    ++run.word;
    last = token.end;
  }
  if (last < text.size()) encode_pieces(run, text.slice(last, text.size()));
}

void PipelineTokenizer::encode_pieces(Run& run, AlignedText text) const {
  if (text.empty()) return;
  const auto size = static_cast<uint32_t>(text.size());
  Pieces pieces{std::move(text), {{0, size}}};
  if (pretokenizer_) pretokenizer_->apply(pieces);
  std::vector<TokenPlace> tokens;
  for (const ByteRange& piece : pieces.list) {
    tokens.clear();
    model_->encode(pieces.text.view().substr(piece.begin, piece.end - piece.begin), tokens);
    for (const TokenPlace& token : tokens) {
      run.append(token.id, run.aligned
                               ? pieces.text.origin(piece.begin + token.begin, piece.begin + token.end)
                               : ByteRange());
    }
    ++run.word;
  }
}

bool PipelineTokenizer::is_token(TokenId id) const {
  return vocabulary_.contains(id) && (unused_are_tokens_ || vocabulary_.is_real(id));
}

std::string PipelineTokenizer::piece(TokenId id) const {
  if (!is_token(id) || special_tokens_[static_cast<size_t>(id)]) return {};
  return decoder_.piece(vocabulary_.text(id));
}

std::string PipelineTokenizer::token_text(TokenId id) const {
  if (!vocabulary_.contains(id)) return {};
  return vocabulary_.text(id);
}

std::string PipelineTokenizer::decoded(std::span<const TokenId> ids, bool with_special) const {
  std::vector<std::string> tokens;
  for (const TokenId id : ids) {
    if (!is_token(id) || (!with_special && special_tokens_[static_cast<size_t>(id)])) continue;
    tokens.push_back(vocabulary_.text(id));
  }
  return decoder_.decode(std::move(tokens));
}

}  // namespace wattle::inline text
