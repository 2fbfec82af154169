#include <sstream>

#include <wattle/error.h>

#include "fuzz/fuzz.h"
#include "text/tokenizer.h"

using namespace wattle;

namespace {

/// An input that begins with "{" is the steps of a tokenizer.json, and behind an empty line the text to
/// encode. The vocabulary is this one.
Metadata read_steps(std::string_view input, std::string_view& text) {
  const size_t end = std::min(input.find("\n\n"), input.size());
  text = input.substr(std::min(end + 2, input.size()));
  std::vector<std::string> tokens = {"<s>", "</s>",  "[UNK]", "<b>",    "\u2581",
                                     "##b", "a</w>", "ab",    "<0x41>", "\u0120"};
  for (char c = '!'; c <= '~'; ++c) tokens.emplace_back(1, c);
  std::vector<int64_t> types(tokens.size(), 1);
  types[0] = types[1] = 3, types[2] = 2, types[3] = 4, types[8] = 6;
  std::vector<double> scores;
  for (size_t i = 0; i < tokens.size(); ++i) scores.push_back(-static_cast<double>(i) / 4);
  Metadata metadata("fuzz");
  metadata.set("tokenizer.ggml.model", Value::of(std::string("gpt2")));
  metadata.set("tokenizer.ggml.tokens", Value::of(tokens));
  metadata.set("tokenizer.ggml.token_type", Value::of(types));
  metadata.set("tokenizer.ggml.scores", Value::of(scores));
  metadata.set("tokenizer.ggml.merges", Value::of(std::vector<std::string>{"a b"}));
  metadata.set("tokenizer.ggml.unknown_token_id", Value::of(int64_t{2}));
  metadata.set("tokenizer.wattle.pipeline", Value::of(std::string(input.substr(0, end))));
  return metadata;
}

/// Any other is lines: "model pre flags", tokens as "type score text" up to an empty line, merges up to an
/// empty line, and the text to encode. Token i < 4 is bos, eos, unknown and pad.
Metadata read(std::istream& lines) {
  Metadata metadata("fuzz");
  std::string line, model, pre;
  int flags = 0;
  std::getline(lines, line);
  std::istringstream(line) >> model >> pre >> flags;
  std::vector<std::string> tokens, merges;
  std::vector<int64_t> types;
  std::vector<double> scores;
  while (std::getline(lines, line) && !line.empty()) {
    std::istringstream fields(line);
    int64_t type = 1;
    double score = 0;
    fields >> type >> score;
    fields.get();
    std::string text;
    std::getline(fields, text);
    types.push_back(type);
    scores.push_back(score);
    tokens.push_back(text);
  }
  while (std::getline(lines, line) && !line.empty()) merges.push_back(line);
  const auto put = [&](const char* key, Value value) { metadata.set(key, std::move(value)); };
  put("tokenizer.ggml.model", Value::of(model));
  put("tokenizer.ggml.pre", Value::of(pre));
  put("tokenizer.ggml.tokens", Value::of(tokens));
  put("tokenizer.ggml.token_type", Value::of(types));
  put("tokenizer.ggml.scores", Value::of(scores));
  put("tokenizer.ggml.merges", Value::of(merges));
  put("tokenizer.ggml.bos_token_id", Value::of(int64_t{0}));
  put("tokenizer.ggml.eos_token_id", Value::of(int64_t{1}));
  put("tokenizer.ggml.unknown_token_id", Value::of(int64_t{2}));
  put("tokenizer.ggml.add_space_prefix", Value::of((flags & 1) != 0));
  put("tokenizer.wattle.lowercase", Value::of((flags & 2) != 0));
  return metadata;
}

}  // namespace

namespace {

void use(const Tokenizer& tokenizer, std::string_view text) {
  const size_t half = text.size() / 2;
  for (const bool parse_special : {false, true}) {
    const auto ids = tokenizer.encode(text, {true, parse_special});
    const Encoding pair =
        tokenizer.encode_pair(text.substr(0, half), text.substr(half), {true, parse_special});
    for (size_t i = 0; i < pair.size(); ++i) {
      const ByteRange range = pair.offsets[i];
      if (range.begin > range.end || range.end > text.size()) __builtin_trap();
    }
    for (const TokenId id : ids) {
      if (id < 0 || id >= tokenizer.size()) __builtin_trap();
      tokenizer.piece(id);
    }
    tokenizer.decode(ids);
    tokenizer.decode_with_special(ids);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  std::istringstream lines(input);
  try {
    if (input.starts_with('{')) {
      std::string_view text;
      const Metadata metadata = read_steps(input, text);
      use(*Tokenizer::create(metadata), text);
    } else {
      const Metadata metadata = read(lines);
      const auto tokenizer = Tokenizer::create(metadata);
      const std::string text(std::istreambuf_iterator<char>(lines), {});
      use(*tokenizer, text);
    }
  } catch (const Error&) {
  }
  return 0;
}

std::vector<std::string> fuzz_seeds() {
  const std::string controls = "3 0 <s>\n3 0 </s>\n3 0 [UNK]\n3 0 <pad>\n4 0 <b>\n";
  const std::string text = "ab abc  ba\n\n<s>\xC3\xA9 e\xCC\x81 \xE4\xB8\xAD<b> \xFF 12 a's";
  return {
      "bert - 2\n" + controls +
          "1 0 \xE2\x96\x81"
          "a\n1 0 \xE2\x96\x81"
          "ab\n1 0 b\n1 0 c\n1 0 \xE2\x96\x81"
          "e\n\n\n" +
          text,
      "gpt2 qwen2 0\n" + controls +
          "1 0 a\n1 0 b\n1 0 c\n1 0 \xC4\xA0\n1 0 ab\n1 0 \xC4\xA0"
          "ab\n1 0 abc\n\na b\n\xC4\xA0 ab\nab c\n\n" +
          text,
      "llama - 1\n" + controls +
          "1 -1 a\n1 -2 b\n5 -3 ab\n1 -4 \xE2\x96\x81\n1 -5 abc\n1 -6 \xE2\x96\x81"
          "ab\n1 -7 c\n\n\n" +
          text,
      R"({"normalizer":{"type":"Sequence","normalizers":[{"type":"BertNormalizer"},{"type":"NFKC"},{"type":"StripAccents"},)"
      R"({"type":"Nmt"},{"type":"Strip"},{"type":"Replace","pattern":{"Regex":" {2,}"},"content":" "},)"
      R"({"type":"Prepend","prepend":"_"},{"type":"Precompiled","precompiled_charsmap":""}]},)"
      R"("pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"[^\\s]+|\\s"},)"
      R"("behavior":"MergedWithNext","invert":true},{"type":"Punctuation","behavior":"Contiguous"},{"type":"Digits"},)"
      R"({"type":"Metaspace","replacement":"\u2581","prepend_scheme":"first"},{"type":"FixedLength","length":3}]},)"
      R"("model":{"type":"Unigram","unk_id":2,"byte_fallback":true},"post_processor":{"type":"TemplateProcessing",)"
      R"("single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],)"
      R"("pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],)"
      R"("special_tokens":{"<s>":{"id":"<s>","ids":[0],"tokens":["<s>"]}}},)"
      R"("decoder":{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Metaspace"},{"type":"Fuse"},)"
      R"({"type":"Strip","content":" ","start":1,"stop":1}]},"added_tokens":[{"id":3,"content":"<b>","lstrip":true,)"
      R"("rstrip":true,"single_word":true,"normalized":true},{"id":0,"content":"<s>","special":true}]})"
      "\n\n" +
          text,
      R"({"pre_tokenizer":{"type":"ByteLevel"},"model":{"type":"BPE","unk_token":"[UNK]","fuse_unk":true},)"
      R"("post_processor":{"type":"RobertaProcessing","cls":["<s>",0],"sep":["</s>",1]},"decoder":{"type":"ByteLevel"}})"
      "\n\n" +
          text,
      R"({"pre_tokenizer":{"type":"Whitespace"},"model":{"type":"WordPiece"},"decoder":{"type":"WordPiece"}})"
      "\n\n" +
          text,
  };
}
