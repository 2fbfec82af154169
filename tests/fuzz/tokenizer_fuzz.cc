#include <sstream>

#include <wattle/error.h>

#include "fuzz/fuzz.h"
#include "text/tokenizer.h"

using namespace wattle;

namespace {

/// An input is lines: "model pre flags", tokens as "type score text" up to an empty line, merges up to an
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

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::istringstream lines(std::string(reinterpret_cast<const char*>(data), size));
  try {
    const Metadata metadata = read(lines);
    const auto tokenizer = Tokenizer::create(metadata);
    const std::string text(std::istreambuf_iterator<char>(lines), {});
    for (const bool parse_special : {false, true}) {
      const auto ids = tokenizer->encode(text, {true, parse_special});
      for (const TokenId id : ids) {
        if (id < 0 || id >= tokenizer->size()) __builtin_trap();
      }
      tokenizer->decode(ids);
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
  };
}
