// Whole models, converted to every format, give the same bits under every instruction set and on every
// machine.
#include "bits.h"

#include <filesystem>
#include <fstream>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/cpu.h"
#include "families/open_file.h"
#include "file/temporary_directory.h"
#include "models/convert.h"
#include "models/model.h"

namespace wattle {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kWidth = 256, kInner = 512, kVocabulary = 67, kLayers = 2;

/// A llama as Hugging Face's folders hold it, of rows that every format divides. Weights are small multiples
/// of powers of two.
void write_llama(const fs::path& folder) {
  const nlohmann::json config = {{"model_type", "llama"},          {"architectures", {"LlamaForCausalLM"}},
                                 {"hidden_size", kWidth},          {"intermediate_size", kInner},
                                 {"num_attention_heads", 4},       {"num_key_value_heads", 2},
                                 {"num_hidden_layers", kLayers},   {"vocab_size", kVocabulary},
                                 {"max_position_embeddings", 128}, {"rms_norm_eps", 1e-5},
                                 {"hidden_act", "silu"},           {"rope_theta", 10000.0},
                                 {"tie_word_embeddings", false}};
  std::ofstream(folder / "config.json") << config;
  nlohmann::json header;
  std::string data;
  ExactNumbers random(1);
  const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
    const size_t begin = data.size();
    int64_t count = 1;
    for (const int64_t size : shape) count *= size;
    for (int64_t i = 0; i < count; ++i) {
      const float draw = static_cast<float>(static_cast<int64_t>(random.bits() >> 40) - (1 << 23)) * 0x1p-23f;
      const float value = shape.size() == 1 ? 1 + draw * 0.5f : draw * 0.125f;
      data.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    header[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {begin, data.size()}}};
  };
  add("model.embed_tokens.weight", {kVocabulary, kWidth});
  add("model.norm.weight", {kWidth});
  add("lm_head.weight", {kVocabulary, kWidth});
  for (int64_t i = 0; i < kLayers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    add(layer + "input_layernorm.weight", {kWidth});
    add(layer + "post_attention_layernorm.weight", {kWidth});
    add(layer + "self_attn.q_proj.weight", {kWidth, kWidth});
    add(layer + "self_attn.k_proj.weight", {kWidth / 2, kWidth});
    add(layer + "self_attn.v_proj.weight", {kWidth / 2, kWidth});
    add(layer + "self_attn.o_proj.weight", {kWidth, kWidth});
    add(layer + "mlp.gate_proj.weight", {kInner, kWidth});
    add(layer + "mlp.up_proj.weight", {kInner, kWidth});
    add(layer + "mlp.down_proj.weight", {kWidth, kInner});
  }
  const std::string text = header.dump();
  const uint64_t length = text.size();
  std::ofstream file(folder / "model.safetensors", std::ios::binary);
  file.write(reinterpret_cast<const char*>(&length), sizeof length) << text << data;
}

/// Logits of a prompt, and of two tokens that follow it one by one.
void add_logits(const Model& model, Bits& bits) {
  const auto cache = model.decoder()->new_cache(64);
  std::vector<TokenId> prompt;
  for (TokenId i = 0; i < 40; ++i) prompt.push_back(i * i % kVocabulary);
  Matrix out;
  Work work;
  for (const std::vector<TokenId>& tokens : {prompt, {5}, {8}}) {
    const DecoderInput input{cache.get(), tokens};
    model.decoder()->forward({&input, 1}, LogitsWanted::kAll, out, work);
    bits.add({out.data(), static_cast<size_t>(out.rows() * out.columns())});
  }
}

void add_hidden_states(const Model& model, Bits& bits) {
  Ragged<TokenId> tokens;
  for (const TokenId length : {5, 1, 70}) {
    std::vector<TokenId> ids;
    for (TokenId i = 0; i < length; ++i) ids.push_back(1000 + 37 * i);
    tokens.append(ids);
  }
  Matrix out(static_cast<int64_t>(tokens.items.size()), model.encoder()->width());
  Work work;
  model.encoder()->hidden_states(tokens, out.view(), work);
  bits.add({out.data(), static_cast<size_t>(out.rows() * out.columns())});
}

/// What `add_outputs` makes of the model under every instruction set.
void expect_same_bits(const std::string& name, const std::string& path, const LoadOptions& options,
                      void (*add_outputs)(const Model&, Bits&)) {
  static const GoldenBits golden("models");
  const Isa before = active_isa();
  for (const Isa isa : runnable_isas()) {
    force_isa(isa);
    SCOPED_TRACE(wattle::name(isa));
    Bits bits;
    add_outputs(*Model::open(path, options), bits);
    golden.expect(name, bits);
  }
  force_isa(before);
}

const std::vector<std::string> kPrecisions = {"F32",  "F16",  "Q8_0", "Q6_K", "Q5_K", "Q5_1",  "Q5_0",
                                              "Q4_K", "Q4_1", "Q4_0", "Q3_K", "Q2_K", "IQ4_NL"};

TEST(ModelBits, OfADecoderInEveryFormat) {
  const TemporaryDirectory folder;
  write_llama(folder.path());
  const ModelFile source = open_model_file(folder.path());
  for (const std::string& precision : kPrecisions) {
    const fs::path path = folder.path() / (precision + ".gguf");
    convert(source, path, Precision::parse(precision));
    expect_same_bits("llama " + precision, path, {}, add_logits);
  }
}

TEST(ModelBits, OfADecoderWithEveryKindOfActivationsAndCache) {
  const TemporaryDirectory folder;
  write_llama(folder.path());
  convert(open_model_file(folder.path()), folder.path() / "model.gguf", Precision::parse("Q4_K"));
  for (const char* run :
       {"as-published,activations=q8-row,cache=F32", "as-published,activations=f32,cache=Q8_0",
        "as-published,cache=Q4_0", "as-published,activations=w8a8,cache=F16"}) {
    LoadOptions options;
    options.take(Precision::parse(run));
    expect_same_bits(fmt::format("llama Q4_K {}", run), folder.path() / "model.gguf", options, add_logits);
  }
}

TEST(ModelBits, OfAnEncoderInEveryFormat) {
  for (const std::string& precision : kPrecisions)
    expect_same_bits("bert " + precision, "shape:bert-mini@" + precision, {}, add_hidden_states);
}

}  // namespace
}  // namespace wattle
