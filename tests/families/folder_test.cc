#include <gtest/gtest.h>
#include <wattle/error.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "families/open_file.h"
#include "file/samples.h"
#include "file/temporary_directory.h"

namespace wattle {
namespace {

/// A safetensors file of F32 tensors whose values count up from the tensor's `first`.
class Weights {
 public:
  Weights& add(const std::string& name, std::vector<int64_t> shape, float first = 0) {
    int64_t count = 1;
    for (const int64_t dimension : shape) count *= dimension;
    header_ += fmt::format(R"({}"{}":{{"dtype":"F32","shape":[{}],"data_offsets":[{},{}]}})",
                           header_.empty() ? "" : ",", name, fmt::join(shape, ","), data_.str().size(),
                           data_.str().size() + 4 * count);
    for (int64_t i = 0; i < count; ++i) data_.put(first + static_cast<float>(i));
    return *this;
  }
  std::string bytes() const {
    const std::string header = "{" + header_ + "}";
    return samples::Bytes().put(uint64_t{header.size()}).text(header).text(data_.str()).str();
  }

 private:
  std::string header_;
  samples::Bytes data_;
};

constexpr const char* kBertConfig =
    R"({"model_type":"bert","hidden_size":4,"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":8,)"
    R"("layer_norm_eps":1e-12,"max_position_embeddings":16,"type_vocab_size":2,"hidden_act":"gelu"})";
constexpr const char* kLlamaConfig =
    R"({"model_type":"llama","hidden_size":8,"num_hidden_layers":1,"num_attention_heads":2,"num_key_value_heads":1,)"
    R"("intermediate_size":8,"rms_norm_eps":1e-5,"max_position_embeddings":64,"vocab_size":7,"rope_theta":500000,)"
    R"("hidden_act":"silu"})";

std::string message_of(const std::filesystem::path& path) {
  try {
    (void)open_model_file(path);
  } catch (const Error& error) {
    return error.what();
  }
  return "was accepted";
}

void expect_refused(const std::filesystem::path& path, std::string_view reason) {
  const std::string message = message_of(path);
  EXPECT_NE(message.find(reason), std::string::npos) << message;
}

Weights bert_weights(const std::string& prefix = "") {
  Weights weights;
  weights.add(prefix + "embeddings.word_embeddings.weight", {7, 4})
      .add(prefix + "embeddings.LayerNorm.gamma", {4}, 10)
      .add(prefix + "embeddings.LayerNorm.beta", {4}, 20)
      .add(prefix + "encoder.layer.0.attention.self.query.weight", {4, 4})
      .add(prefix + "encoder.layer.0.output.LayerNorm.bias", {4})
      .add(prefix + "pooler.dense.weight", {4, 4});
  return weights;
}

TEST(Folder, BertSpeaksGguf) {
  const TemporaryDirectory folder;
  folder.write("config.json", kBertConfig);
  folder.write("model.safetensors", bert_weights("bert.").bytes());
  folder.write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nhello\n##s\nwörld\n");
  folder.write(
      "tokenizer_config.json",
      R"({"do_lower_case":false,"unk_token":"[UNK]","pad_token":{"content":"[PAD]"},"cls_token":"[CLS]"})");
  folder.write("special_tokens_map.json", R"({"sep_token":"[SEP]"})");
  folder.write("1_Pooling/config.json",
               R"({"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":false})");
  folder.write("modules.json", R"([{"path":"","type":"sentence_transformers.models.Transformer"},)"
                               R"({"path":"1_Pooling","type":"sentence_transformers.models.Pooling"},)"
                               R"({"path":"2_Normalize","type":"sentence_transformers.models.Normalize"}])");
  folder.write("sentence_bert_config.json", R"({"max_seq_length":12})");
  folder.write("README.md", "---\nlanguage: en\nlicense: \"mit\"\n---\n# Model\nlicense: none\n");

  const ModelFile file = open_model_file(folder.path());
  EXPECT_EQ(file.kind(), "folder");
  EXPECT_EQ(file.architecture(), "bert");
  const Metadata& metadata = file.metadata();
  EXPECT_EQ(metadata.integer("bert.block_count"), 1);
  EXPECT_EQ(metadata.integer("bert.context_length"), 16);
  EXPECT_EQ(metadata.number("bert.attention.layer_norm_epsilon"), 1e-12);
  EXPECT_EQ(metadata.integer("bert.pooling_type"), 2);
  EXPECT_EQ(metadata.flag("wattle.normalize_embeddings"), true);
  EXPECT_EQ(metadata.text("general.license"), "mit");
  EXPECT_EQ(file.decoded(file.need("token_embd_norm.weight")), (std::vector<float>{10, 11, 12, 13}));
  EXPECT_EQ(file.decoded(file.need("token_embd_norm.bias")), (std::vector<float>{20, 21, 22, 23}));
  EXPECT_NE(file.find("blk.0.attn_q.weight"), nullptr);
  EXPECT_NE(file.find("blk.0.layer_output_norm.bias"), nullptr);
  ASSERT_EQ(file.notes().size(), 1U);
  EXPECT_NE(file.notes()[0].find("pooler.dense.weight"), std::string::npos);

  EXPECT_EQ(metadata.text("tokenizer.ggml.model"), "bert");
  const auto tokens = metadata.strings("tokenizer.ggml.tokens");
  EXPECT_EQ(
      std::vector<std::string>(tokens.begin(), tokens.end()),
      (std::vector<std::string>{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "\u2581hello", "s", "\u2581wörld"}));
  const auto types = metadata.integers("tokenizer.ggml.token_type");
  EXPECT_EQ(std::vector<int64_t>(types.begin(), types.end()), (std::vector<int64_t>{3, 3, 3, 3, 1, 1, 1}));
  EXPECT_EQ(metadata.integer("tokenizer.ggml.seperator_token_id"), 3);
  EXPECT_EQ(metadata.integer("tokenizer.ggml.bos_token_id"), 2);
  EXPECT_EQ(metadata.flag("tokenizer.ggml.normalizer.lowercase"), false);
  EXPECT_EQ(metadata.integer("tokenizer.wattle.max_length"), 12);

  // The weights alone, with config.json beside them, are the same model.
  EXPECT_EQ(open_model_file(folder.path() / "model.safetensors").architecture(), "bert");
}

TEST(Folder, LlamaRowsAreInterleavedByHead) {
  const TemporaryDirectory folder;
  folder.write("config.json", kLlamaConfig);
  folder.write("model.safetensors", Weights()
                                        .add("model.embed_tokens.weight", {7, 8})
                                        .add("model.layers.0.self_attn.q_proj.weight", {8, 1})
                                        .add("model.layers.0.self_attn.k_proj.weight", {4, 1})
                                        .add("model.layers.0.self_attn.v_proj.weight", {4, 1})
                                        .add("lm_head.weight", {7, 8}, 5)
                                        .bytes());
  const ModelFile file = open_model_file(folder.path());
  EXPECT_EQ(file.decoded(file.need("blk.0.attn_q.weight")), (std::vector<float>{0, 2, 1, 3, 4, 6, 5, 7}));
  EXPECT_EQ(file.decoded(file.need("blk.0.attn_k.weight")), (std::vector<float>{0, 2, 1, 3}));
  EXPECT_EQ(file.decoded(file.need("blk.0.attn_v.weight")), (std::vector<float>{0, 1, 2, 3}));
  EXPECT_EQ(file.decoded(file.need("output.weight"))[0], 5);
  EXPECT_EQ(file.metadata().number("llama.rope.freq_base"), 500000);
  EXPECT_EQ(file.metadata().integer("llama.attention.head_count_kv"), 1);
  EXPECT_EQ(file.metadata().integer("llama.rope.dimension_count"), 4);
}

TEST(Folder, Llama3SlowsItsLowFrequencies) {
  const TemporaryDirectory folder;
  std::string config = kLlamaConfig;
  config.pop_back();
  config += R"(,"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,)"
            R"("original_max_position_embeddings":8192}})";
  folder.write("config.json", config);
  folder.write("model.safetensors", Weights().add("model.norm.weight", {8}).bytes());
  const ModelFile file = open_model_file(folder.path());
  // Wavelengths 2 pi and 2 pi sqrt(500000) = 4443: the first is short, the second between 8192/4 and 8192.
  const double smooth = (8192 / (2 * 3.14159265358979 * std::sqrt(500000.0)) - 1) / 3;
  const auto factors = file.decoded(file.need("rope_freqs.weight"));
  ASSERT_EQ(factors.size(), 2U);
  EXPECT_FLOAT_EQ(factors[0], 1);
  EXPECT_NEAR(factors[1], 1 / ((1 - smooth) / 8 + smooth), 1e-5);
}

TEST(Folder, TensorsThatAFileKeepsApartAreJoined) {
  const TemporaryDirectory folder;
  folder.write(
      "config.json",
      R"({"model_type":"stablelm","hidden_size":8,"num_hidden_layers":1,"num_attention_heads":2,)"
      R"("num_key_value_heads":1,"intermediate_size":8,"layer_norm_eps":1e-5,"max_position_embeddings":64,)"
      R"("vocab_size":7,"partial_rotary_factor":0.5,"qk_layernorm":true})");
  const std::string layer = "model.layers.0.self_attn.";
  const auto write = [&](bool second, int64_t width) {
    Weights weights;
    if (second) weights.add(layer + "q_layernorm.norms.1.weight", {width}, 10);
    weights.add(layer + "q_layernorm.norms.0.weight", {4}).add(layer + "k_layernorm.norms.0.weight", {4}, 20);
    folder.write("model.safetensors", weights.bytes());
  };
  write(true, 4);
  const ModelFile file = open_model_file(folder.path());
  const Tensor& joined = file.need("blk.0.attn_q_norm.weight");
  EXPECT_EQ(joined.shape, (std::vector<int64_t>{2, 4}));
  EXPECT_EQ(file.decoded(joined), (std::vector<float>{0, 1, 2, 3, 10, 11, 12, 13}));
  EXPECT_EQ(file.need("blk.0.attn_k_norm.weight").shape, (std::vector<int64_t>{1, 4}));
  write(true, 3);
  expect_refused(folder.path(), "norms.1.weight is unlike the others");
  write(false, 4);
  expect_refused(folder.path(), "lacks the tensor layers.0.self_attn.q_layernorm.norms.1.weight");
}

TEST(Folder, LongRopeBecomesTwoTensors) {
  const TemporaryDirectory folder;
  const auto config = [](const std::string& factors) {
    return R"({"model_type":"phi3","hidden_size":8,"num_hidden_layers":1,"num_attention_heads":2,)"
           R"("num_key_value_heads":1,"intermediate_size":8,"rms_norm_eps":1e-5,"max_position_embeddings":128,)"
           R"("original_max_position_embeddings":64,"vocab_size":7,"rope_scaling":{"type":"su",)" +
           factors + "}}";
  };
  folder.write("config.json", config(R"("short_factor":[1,1.5],"long_factor":[2,4])"));
  folder.write("model.safetensors", Weights().add("model.norm.weight", {8}).bytes());
  const ModelFile file = open_model_file(folder.path());
  EXPECT_EQ(file.decoded(file.need("rope_factors_short.weight")), (std::vector<float>{1, 1.5F}));
  EXPECT_EQ(file.decoded(file.need("rope_factors_long.weight")), (std::vector<float>{2, 4}));
  EXPECT_EQ(file.metadata().integer("phi3.rope.scaling.original_context_length"), 64);
  EXPECT_NEAR(file.metadata().number("phi3.rope.scaling.attn_factor").value_or(0), std::sqrt(1 + 1.0 / 6),
              1e-6);
  folder.write("config.json", config(R"("short_factor":[1],"long_factor":[2,4])"));
  expect_refused(folder.path(), "short_factor of rope_scaling is not a list of 2 positive numbers");
}

TEST(Folder, Gemma3NormsCarryTheirOne) {
  const TemporaryDirectory folder;
  folder.write("config.json",
               R"({"model_type":"gemma3_text","hidden_size":8,"num_hidden_layers":1,"num_attention_heads":2,)"
               R"("num_key_value_heads":1,"head_dim":4,"query_pre_attn_scalar":4,"intermediate_size":8,)"
               R"("rms_norm_eps":1e-6,"max_position_embeddings":64,"vocab_size":7,"sliding_window":32})");
  folder.write("model.safetensors", Weights()
                                        .add("model.norm.weight", {3}, 0.5F)
                                        .add("model.layers.0.pre_feedforward_layernorm.weight", {2})
                                        .add("model.layers.0.self_attn.q_norm.weight", {2}, -1)
                                        .bytes());
  const ModelFile file = open_model_file(folder.path());
  EXPECT_EQ(file.decoded(file.need("output_norm.weight")), (std::vector<float>{1.5F, 2.5F, 3.5F}));
  EXPECT_EQ(file.decoded(file.need("blk.0.ffn_norm.weight")), (std::vector<float>{1, 2}));
  EXPECT_EQ(file.decoded(file.need("blk.0.attn_q_norm.weight")), (std::vector<float>{0, 1}));
  EXPECT_EQ(file.metadata().integer("gemma3.attention.sliding_window"), 32);
  EXPECT_EQ(file.metadata().number("gemma3.rope.freq_base"), 1000000);
}

/// tokenizer.json of a byte-level BPE tokenizer; `pre` is its pre-tokenizer.
std::string bpe(const std::string& pre) {
  return R"({"added_tokens":[{"id":3,"content":"<|end|>","special":true},{"id":4,"content":"<tool>","special":false}],)"
         R"("pre_tokenizer":)" +
         pre + R"(,"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}})";
}

TEST(Folder, ByteLevelBpeNamesItsPretokenizer) {
  const TemporaryDirectory folder;
  folder.write("config.json", kLlamaConfig);
  folder.write("model.safetensors", Weights().add("model.embed_tokens.weight", {7, 8}).bytes());
  folder.write("tokenizer_config.json", R"({"eos_token":"<|end|>","chat_template":"{{ messages }}"})");
  const auto pre_of = [&](const std::string& pre) {
    folder.write("tokenizer.json", bpe(pre));
    return open_model_file(folder.path()).metadata().text("tokenizer.ggml.pre");
  };
  EXPECT_EQ(pre_of(R"({"type":"ByteLevel"})"), "gpt-2");
  EXPECT_EQ(
      pre_of(
          R"({"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},{"type":"ByteLevel"}]})"),
      "smollm");

  const ModelFile file = open_model_file(folder.path());
  const Metadata& metadata = file.metadata();
  const auto tokens = metadata.strings("tokenizer.ggml.tokens");
  EXPECT_EQ(std::vector<std::string>(tokens.begin(), tokens.end()),
            (std::vector<std::string>{"a", "b", "ab", "<|end|>", "<tool>", "[PAD5]", "[PAD6]"}));
  const auto types = metadata.integers("tokenizer.ggml.token_type");
  EXPECT_EQ(std::vector<int64_t>(types.begin(), types.end()), (std::vector<int64_t>{1, 1, 1, 3, 4, 5, 5}));
  EXPECT_EQ(metadata.strings("tokenizer.ggml.merges")[0], "a b");
  EXPECT_EQ(metadata.integer("tokenizer.ggml.eos_token_id"), 3);
  EXPECT_EQ(metadata.text("tokenizer.chat_template"), "{{ messages }}");

  folder.write("tokenizer_config.json",
               R"({"eos_token":"<|end|>","chat_template":[)"
               R"({"name":"default","template":"d"},{"name":"tool_use","template":"t"}]})");
  const auto template_of = [&](const std::string& key) {
    return open_model_file(folder.path()).metadata().text("tokenizer.chat_template" + key);
  };
  EXPECT_EQ(template_of(""), "d");
  EXPECT_EQ(template_of(".tool_use"), "t");
  folder.write("chat_template.json", R"({"chat_template":"old"})");
  EXPECT_EQ(template_of(""), "d");
  folder.write("chat_template.jinja", "file");
  EXPECT_EQ(template_of(""), "file");

  // What llama.cpp does not know has a name that it refuses.
  folder.write("tokenizer.json", bpe(R"({"type":"Whitespace"})"));
  EXPECT_EQ(open_model_file(folder.path()).metadata().text("tokenizer.ggml.model"), "wattle.bpe");
  folder.write("tokenizer.json", bpe(R"({"type":"ByteLevel","add_prefix_space":true})"));
  EXPECT_EQ(open_model_file(folder.path()).metadata().text("tokenizer.ggml.pre"), "wattle");
}

TEST(Folder, SentencePieceModelGivesPiecesAndScores) {
  const auto piece = [](std::string_view text, float score, char type) {
    samples::Bytes inner;
    inner.text("\x0a")
        .put(static_cast<uint8_t>(text.size()))
        .text(text)
        .text("\x15")
        .put(score)
        .text("\x18")
        .put(type);
    return samples::Bytes()
        .text("\x0a")
        .put(static_cast<uint8_t>(inner.str().size()))
        .text(inner.str())
        .str();
  };
  const std::string trainer = std::string("\x12\x02\x18\x02");        // model_type: BPE
  const std::string normalizer = std::string("\x1a\x02\x18") + '\0';  // add_dummy_prefix: false
  const TemporaryDirectory folder;
  folder.write("config.json", kLlamaConfig);
  folder.write("model.safetensors", Weights().add("model.embed_tokens.weight", {3, 8}).bytes());
  folder.write("tokenizer.model", piece("<unk>", 0, 2) + piece("\u2581", -1.5F, 1) + piece("<0x0A>", 0, 6) +
                                      trainer + normalizer);
  const ModelFile file = open_model_file(folder.path());
  const Metadata& metadata = file.metadata();
  EXPECT_EQ(metadata.text("tokenizer.ggml.model"), "llama");
  EXPECT_EQ(metadata.strings("tokenizer.ggml.tokens")[1], "\u2581");
  EXPECT_EQ(metadata.numbers("tokenizer.ggml.scores")[1], -1.5);
  EXPECT_EQ(metadata.integers("tokenizer.ggml.token_type")[2], 6);
  EXPECT_EQ(metadata.flag("tokenizer.ggml.add_space_prefix"), false);

  folder.write("tokenizer.model", "\xff\xff\xff");
  expect_refused(folder.path(), "tokenizer.model");
}

TEST(Folder, ShardsAreOneModel) {
  const TemporaryDirectory folder;
  folder.write("one.safetensors", Weights().add("a", {2}).bytes());
  folder.write("two.safetensors", Weights().add("b", {2}, 7).bytes());
  const auto index = [&](const std::string& map) {
    return folder.write("model.safetensors.index.json", R"({"weight_map":)" + map + "}");
  };
  const ModelFile file = open_model_file(index(R"({"a":"one.safetensors","b":"two.safetensors"})"));
  EXPECT_EQ(file.tensors().size(), 2U);
  EXPECT_EQ(file.decoded(file.need("b")), (std::vector<float>{7, 8}));

  expect_refused(index(R"({"a":"one.safetensors","c":"two.safetensors"})"), "does not hold the tensor c");
  expect_refused(index(R"({"a":"../one.safetensors"})"), "does not lie beside it");
  expect_refused(index(R"({"a":"model.safetensors.index.json"})"), "another index");
  expect_refused(index(R"({"a":"three.safetensors"})"), "three.safetensors");
  expect_refused(index("{}"), "no weight_map");
  folder.write("two.safetensors", Weights().add("a", {2}).bytes());
  expect_refused(index(R"({"a":"one.safetensors","b":"two.safetensors"})"), "does not hold the tensor b");
}

TEST(Folder, RefusesWhatItCannotPresentFaithfully) {
  const TemporaryDirectory folder;
  const auto with_config = [&](std::string_view from, std::string_view to) {
    std::string config = kBertConfig;
    config.replace(config.find(from), from.size(), to);
    folder.write("config.json", config);
  };
  folder.write("config.json", kBertConfig);
  expect_refused(folder.path(), "holds none of model.safetensors");
  folder.write("model.safetensors", bert_weights().add("mystery.weight", {1}).bytes());
  expect_refused(folder.path(), "mystery.weight has no place");
  folder.write("model.safetensors", bert_weights().bytes());
  EXPECT_EQ(message_of(folder.path()), "was accepted");

  with_config("\"bert\"", "\"resnet\"");
  expect_refused(folder.path(), "\"resnet\" is not known");
  with_config("\"gelu\"", "\"xielu\"");
  expect_refused(folder.path(), "the activation function xielu is not known");
  with_config("\"hidden_size\":4", "\"hidden_size\":\"4\"");
  expect_refused(folder.path(), "not an integer");
  with_config("\"hidden_size\":4", "\"hidden_size\":-4");
  expect_refused(folder.path(), "hidden_size is -4");
  with_config("\"hidden_size\":4,", "");
  expect_refused(folder.path(), "lacks \"hidden_size\"");
  folder.write("config.json", "{\"model_type\":");
  expect_refused(folder.path(), "is not JSON");

  folder.write("config.json", kBertConfig);
  folder.write("vocab.txt", "[UNK]\n[CLS]\n[SEP]\nd\ne\nf\ng\nh\ni\n");
  expect_refused(folder.path(), "has 9 tokens and the model an embedding for 7");
  folder.write("vocab.txt", "[UNK]\n[CLS]\n[SEP]\n");
  folder.write("modules.json", R"([{"path":"2_Dense","type":"sentence_transformers.models.Dense"}])");
  expect_refused(folder.path(), "Dense is not known");
  folder.write("modules.json", R"([{"path":"../x","type":"sentence_transformers.models.Pooling"}])");
  expect_refused(folder.path(), "not in a folder beside it");
}

TEST(Folder, AnOnnxModelWithoutConfigurationOpensWithItsTokenizer) {
  const TemporaryDirectory folder;
  folder.write("model.onnx", samples::golden("onnx/bert.onnx"));
  EXPECT_EQ(open_model_file(folder.path() / "model.onnx").kind(), "onnx");
  folder.write("tokenizer.json", R"({"model":{"type":"WordPiece","unk_token":"a","vocab":{"a":0,"b":1}}})");
  for (const auto& path : {folder.path() / "model.onnx", folder.path()}) {
    const ModelFile file = open_model_file(path);
    EXPECT_EQ(file.architecture(), "bert");
    EXPECT_EQ(file.metadata().integer("bert.attention.head_count"), 2);
    EXPECT_EQ(file.need("blk.0.ffn_down.weight").shape, (std::vector<int64_t>{8, 12}));
    ASSERT_FALSE(file.notes().empty());
    EXPECT_NE(file.notes()[0].find("config.json is missing"), std::string::npos);
  }
}

TEST(Folder, QuantisedCheckpointsAndAdaptersAreNamed) {
  const TemporaryDirectory adapter;
  adapter.write("adapter_config.json", R"({"base_model_name_or_path":"org/base"})");
  adapter.write("adapter_model.safetensors", bert_weights().bytes());
  expect_refused(adapter.path(), "an adapter of org/base");

  const TemporaryDirectory quantised;
  quantised.write("config.json",
                  R"({"model_type":"llama","quantization_config":{"quant_method":"awq","bits":4}})");
  quantised.write("model.safetensors", bert_weights().bytes());
  expect_refused(quantised.path(), "quantised by awq");
}

}  // namespace
}  // namespace wattle
