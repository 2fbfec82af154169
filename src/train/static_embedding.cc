#include "train/static_embedding.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <wattle/error.h>

#include "base/sha256.h"
#include "families/open_file.h"
#include "file/gguf_writer.h"
#include "models/model.h"
#include "train/embedder.h"
#include "train/principal_components.h"

namespace wattle::inline train {
namespace {

constexpr std::string_view kArchitecture = "static-embedding";
constexpr std::string_view kWordStart = "\u2581";
constexpr size_t kSequencesAtOnce = 1024;

/// BERT keeps rows free for tokens to come.
bool is_unused(std::string_view token) {
  if (!token.starts_with("[unused") || !token.ends_with(']') || token.size() < 9) return false;
  token = token.substr(7, token.size() - 8);
  return std::ranges::all_of(token, [](unsigned char c) { return std::isdigit(c) != 0; });
}

/// A token of the static model, and what the teacher reads for it.
struct StaticToken {
  TokenId row;
  std::vector<TokenId> pieces;
};

std::vector<StaticToken> tokens_of(const Tokenizer& tokenizer) {
  std::vector<StaticToken> tokens;
  for (TokenId id = 0; id < tokenizer.size(); ++id) {
    // What adds nothing to a text is special, or a row without a token.
    if (!tokenizer.piece(id).empty() && !is_unused(tokenizer.token_text(id))) tokens.push_back({id, {id}});
  }
  return tokens;
}

/// A word that the teacher cuts into pieces.
struct Word {
  std::vector<TokenId> pieces;
  int64_t texts = 0;
};

/// The words of `texts` that occur in enough of them, by their normalised spelling.
std::map<std::string, Word> words_of(const Tokenizer& tokenizer, const DistilOptions& options) {
  constexpr std::string_view kContinues = "##";
  std::map<std::string, Word> words;
  for (const std::string& text : options.texts) {
    std::map<std::string, std::vector<TokenId>> of_text;
    const Encoding encoding = tokenizer.encode_body(text);
    for (size_t i = 0, end = 0; i < encoding.size(); i = end) {
      std::string word;
      for (end = i; end < encoding.size() && encoding.words[end] == encoding.words[i]; ++end) {
        const std::string piece = tokenizer.token_text(encoding.ids[end]);
        word += end > i && piece.starts_with(kContinues) ? piece.substr(kContinues.size()) : piece;
      }
      if (end - i > 1) of_text[word].assign(encoding.ids.begin() + i, encoding.ids.begin() + end);
    }
    for (auto& [word, pieces] : of_text) {
      Word& known = words[word];
      known.pieces = std::move(pieces);
      ++known.texts;
    }
  }
  std::erase_if(words, [&](const auto& entry) { return entry.second.texts < options.word_count; });
  return words;
}

/// Appends the words to the vocabulary that `metadata` keep.
void add_words(const std::map<std::string, Word>& words, TokenId first, Metadata& metadata,
               std::vector<StaticToken>& tokens) {
  std::vector<std::pair<int64_t, std::string>> order;  // the commonest first, as a vocabulary has them
  for (const auto& [text, word] : words) order.emplace_back(-word.texts, text);
  std::ranges::sort(order);
  const auto texts = metadata.strings("tokenizer.ggml.tokens");
  const auto types = metadata.integers("tokenizer.ggml.token_type");
  std::vector<std::string> all(texts.begin(), texts.end());
  std::vector<int64_t> all_types(types.begin(), types.end());
  for (const auto& [count, text] : order) {
    tokens.push_back({first++, words.at(text).pieces});
    all.push_back(std::string(kWordStart) + text);
    if (!types.empty()) all_types.push_back(1);
  }
  metadata.set("tokenizer.ggml.tokens", Value::of(std::move(all)));
  if (!all_types.empty()) metadata.set("tokenizer.ggml.token_type", Value::of(std::move(all_types)));
  metadata.erase("tokenizer.ggml.scores");  // WordPiece has none; llama.cpp's converter writes zeros
}

/// The teacher's vector of each token, [tokens, width].
Matrix teach(const Model& model, Embedder& teacher, std::span<const StaticToken> tokens,
             const std::function<void(double)>& progress, Work& work) {
  Matrix vectors(static_cast<int64_t>(tokens.size()), teacher.width()), some;
  StretchLog log;
  teacher.set_normalised(false);
  for (size_t first = 0; first < tokens.size(); first += kSequencesAtOnce) {
    const size_t count = std::min(kSequencesAtOnce, tokens.size() - first);
    const auto sequence = [&](size_t i, Truncation&) {
      Encoding body;
      for (const TokenId id : tokens[first + i].pieces) body.append(id, 0, {}, 0, 0);
      return model.tokenizer().assemble(std::move(body), std::nullopt).ids;
    };
    for (const EmbeddingRecord& record : teacher.embed(count, sequence, some, log)) work += record.work;
    std::copy_n(some.data(), count * static_cast<size_t>(teacher.width()),
                vectors.row(static_cast<int64_t>(first)).data());
    if (progress) progress(static_cast<double>(first + count) / static_cast<double>(tokens.size()));
  }
  return vectors;
}

/// a / (a + p) of each rank, p by Zipf's law: proportional to 1 / (rank + 2).
std::vector<float> frequency_weights(size_t count, double a) {
  double sum = 0;
  for (size_t rank = 0; rank < count; ++rank) sum += 1 / static_cast<double>(rank + 2);
  std::vector<float> weights;
  for (size_t rank = 0; rank < count; ++rank)
    weights.push_back(static_cast<float>(a / (a + 1 / (static_cast<double>(rank + 2) * sum))));
  return weights;
}

/// [vocabulary, width]: the vectors times their weights, each at its token's row, as they are written.
std::vector<float> table_of(const Matrix& vectors, std::span<const StaticToken> tokens, int64_t vocabulary,
                            double sif) {
  const std::vector<float> weights = frequency_weights(tokens.size(), sif);
  const auto width = static_cast<size_t>(vectors.columns());
  std::vector<float> table(static_cast<size_t>(vocabulary) * width, 0.0f);
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto vector = vectors.row(static_cast<int64_t>(i));
    float* row = table.data() + static_cast<size_t>(tokens[i].row) * width;
    for (size_t c = 0; c < width; ++c) row[c] = vector[c] * weights[i];
  }
  return table;
}

/// The teacher's tokenizer, name and licence.
Metadata metadata_of(const Metadata& teacher, const std::filesystem::path& output) {
  Metadata metadata(output.string());
  const std::string name = teacher.text("general.name").value_or("model");
  metadata.set("general.architecture", Value::of(std::string(kArchitecture)));
  metadata.set("general.type", Value::of(std::string("model")));
  metadata.set("general.name", Value::of(name + " static"));
  metadata.set("general.file_type", Value::of(int64_t{0}));
  metadata.set("wattle.distilled_from", Value::of(name));
  if (const auto licence = teacher.text("general.license"))
    metadata.set("general.license", Value::of(*licence));
  for (const auto& [key, value] : teacher.entries()) {
    if (key.starts_with("tokenizer.") && key != "tokenizer.wattle.max_length" &&
        !key.starts_with("tokenizer.chat_template"))
      metadata.set(key, value);
  }
  return metadata;
}

void set_numbers(const std::string& prefix, int64_t width, Metadata& metadata) {
  metadata.set(prefix + ".embedding_length", Value::of(width));
  metadata.set(prefix + ".pooling_type", Value::of(int64_t{1}));
  metadata.set("wattle.normalize_embeddings", Value::of(true));
}

}  // namespace

Distillation distil(const std::string& teacher, const std::filesystem::path& output,
                    const DistilOptions& options) {
  const std::unique_ptr<Model> model = Model::open(teacher);
  Embedder embedder(*model);
  const Tokenizer& tokenizer = model->tokenizer();
  // The opened model has given the lists of its tokenizer back.
  Metadata metadata = metadata_of(open_model_file(teacher).metadata(), output);
  std::vector<StaticToken> tokens = tokens_of(tokenizer);
  Distillation result;
  int64_t vocabulary = tokenizer.size();
  if (!options.texts.empty()) {
    if (tokenizer.kind() != "wordpiece") {
      fail("{}: its tokenizer is {}, and only WordPiece takes words of texts; distil it without texts",
           teacher, tokenizer.kind());
    }
    const auto words = words_of(tokenizer, options);
    result.words = static_cast<int64_t>(words.size());
    add_words(words, static_cast<TokenId>(vocabulary), metadata, tokens);
    vocabulary += result.words;
  }
  if (tokens.empty()) fail("{}: its vocabulary has no token that a text has; use another model", teacher);
  const Matrix taught = teach(*model, embedder, tokens, options.progress, result.work);
  const PrincipalComponents components = principal_components(taught.view(), options.width);
  result.tokens = static_cast<int64_t>(tokens.size());
  result.width = components.scores.columns();
  result.teacher_width = embedder.width();
  result.variance = components.variance;
  std::vector<float> table = table_of(components.scores, tokens, vocabulary, options.sif);
  set_numbers(std::string(kArchitecture), result.width, metadata);
  Sha256 hash;
  hash.add(std::as_bytes(std::span<const float>(table)));
  metadata.set("wattle.fingerprint", Value::of(hash.hex()));
  write_gguf(output, metadata, {{"token_embd.weight", Format::kF32, {vocabulary, result.width}, [&table] {
                                   std::vector<std::byte> bytes(table.size() * sizeof(float));
                                   std::memcpy(bytes.data(), table.data(), bytes.size());
                                   return bytes;
                                 }}});
  return result;
}

}  // namespace wattle::inline train
