#include <gtest/gtest.h>
#include <wattle/error.h>

#include "file/file_kind.h"
#include "file/onnx.h"
#include "file/samples.h"
#include "file/temporary_directory.h"

namespace wattle {
namespace {

std::filesystem::path golden_path(const std::string& name) {
  return std::filesystem::path(WATTLE_SOURCE_DIR) / "tests/golden/onnx" / name;
}

ModelFile::Contents weights_of(const std::filesystem::path& path, const WantTensor& wanted = {}) {
  ModelFile::Contents contents;
  contents.metadata = Metadata(path.string());
  add_weights(path, wanted, contents);
  return contents;
}

std::string refusal_of(const std::filesystem::path& path) {
  try {
    (void)weights_of(path);
  } catch (const Error& error) {
    return error.what();
  }
  return "was accepted";
}

struct Export {
  const char *onnx, *tensors;
  bool from_int8;
};

class OnnxExport : public testing::TestWithParam<Export> {};

TEST_P(OnnxExport, HoldsTheTensorsThatPyTorchHas) {
  const ModelFile::Contents found = weights_of(golden_path(GetParam().onnx));
  const ModelFile expected(weights_of(golden_path(GetParam().tensors)));
  EXPECT_EQ(found.kind, "onnx");
  EXPECT_EQ(found.metadata.text("wattle.converted_from").value_or(""), GetParam().from_int8 ? "int8" : "");
  size_t known = 0;
  for (const Tensor& tensor : found.tensors) {
    // The one table of T5, which the encoder's export has under its other name.
    const bool table =
        tensor.name == "encoder.embed_tokens.weight" && expected.find("shared.weight") != nullptr;
    const Tensor* same = expected.find(tensor.name);
    ASSERT_NE(same, nullptr) << tensor.name;
    known += table ? 0 : 1;
    EXPECT_EQ(tensor.format, same->format) << tensor.name;
    EXPECT_EQ(tensor.shape, same->shape) << tensor.name;
    EXPECT_TRUE(std::ranges::equal(tensor.bytes, same->bytes)) << tensor.name;
  }
  EXPECT_GE(known + 1, expected.tensors().size());
  EXPECT_LE(known, expected.tensors().size());
}

INSTANTIATE_TEST_SUITE_P(Files, OnnxExport,
                         testing::Values(Export{"bert.onnx", "bert.safetensors", false},
                                         Export{"external.onnx", "forms.safetensors", true},
                                         Export{"bert_int8.onnx", "bert_int8.safetensors", true},
                                         Export{"encoder.onnx", "t5.safetensors", false},
                                         Export{"decoder.onnx", "t5.safetensors", false},
                                         Export{"forms.onnx", "forms.safetensors", true}),
                         [](const auto& info) {
                           const std::string name = info.param.onnx;
                           return name.substr(0, name.find('.'));
                         });

TEST(Onnx, OnlyWantedTensorsAreRead) {
  const auto contents = weights_of(golden_path("bert.onnx"),
                                   [](const std::string& name) { return name == "classifier.weight"; });
  ASSERT_EQ(contents.tensors.size(), 1U);
  EXPECT_EQ(contents.tensors[0].shape, (std::vector<int64_t>{3, 8}));
  // A view of the file: nothing had to be turned over.
  EXPECT_TRUE(contents.owned.empty());
}

TEST(Onnx, EncoderAndDecoderBelongTogetherWhicheverIsNamed) {
  const auto files = onnx_files(golden_path("decoder.onnx"));
  EXPECT_EQ(files, onnx_files(golden_path("encoder.onnx")));
  EXPECT_EQ(files,
            (std::vector<std::filesystem::path>{golden_path("encoder.onnx"), golden_path("decoder.onnx")}));
  EXPECT_EQ(onnx_files(golden_path("bert.onnx")).size(), 1U);
  const TemporaryDirectory folder;
  folder.write("encoder_model.onnx", "");
  folder.write("decoder_model_merged.onnx", "");
  EXPECT_EQ(onnx_files(folder.path() / "encoder_model.onnx").size(), 2U);
  EXPECT_EQ(onnx_files(folder.path() / "decoder_model_merged.onnx").front().filename(), "encoder_model.onnx");
}

TEST(Onnx, ConfigurationIsReadOffTheGraph) {
  const auto bert = nlohmann::json::parse(
      R"({"model_type":"bert","hidden_size":8,"num_hidden_layers":1,"num_attention_heads":2,)"
      R"("intermediate_size":12,"vocab_size":19,"max_position_embeddings":10,"type_vocab_size":2,)"
      R"("layer_norm_eps":1e-12,"hidden_act":"gelu","position_embedding_type":"absolute","pad_token_id":0})");
  EXPECT_EQ(onnx_config(golden_path("bert.onnx")), bert);
  EXPECT_EQ(onnx_config(golden_path("bert_int8.onnx")), bert);
  const auto t5 = nlohmann::json::parse(
      R"({"model_type":"t5","architectures":["T5ForConditionalGeneration"],"is_encoder_decoder":true,)"
      R"("d_model":8,"d_kv":3,"d_ff":12,"num_layers":1,"num_decoder_layers":1,"num_heads":2,"vocab_size":19,)"
      R"("relative_attention_num_buckets":8,"relative_attention_max_distance":20,"layer_norm_epsilon":1e-6,)"
      R"("feed_forward_proj":"gated-gelu","tie_word_embeddings":false,"pad_token_id":0,"eos_token_id":1,)"
      R"("decoder_start_token_id":0})");
  EXPECT_EQ(onnx_config(golden_path("decoder.onnx")), t5);
  EXPECT_THROW(onnx_config(golden_path("forms.onnx")), Error);
}

TEST(Onnx, ExternalDataMustLieBesideTheFile) {
  const TemporaryDirectory folder;
  std::string file = samples::golden("onnx/external.onnx");
  const auto path = folder.write("model.onnx", file);
  EXPECT_NE(refusal_of(path).find("external.data, which is missing beside it"), std::string::npos);
  folder.write("external.data", samples::golden("onnx/external.data").substr(0, 50));
  EXPECT_NE(refusal_of(path).find("is cut or another model's"), std::string::npos);
  // A name of the same length that leads out.
  for (const std::string out : {"../nal.data00", "/external.dat"}) {
    std::string changed = file;
    for (size_t at = changed.find("external.data"); at != std::string::npos;
         at = changed.find("external.data", at))
      changed.replace(at, out.size(), out);
    EXPECT_NE(refusal_of(folder.write("model.onnx", changed)).find("does not lie in its folder"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace wattle
