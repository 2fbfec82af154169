// The grammar of precisions, and which tensor takes which format.
#include "quant/precision.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <wattle/error.h>

namespace wattle {
namespace {

Format format_of(const Precision& precision, Role role, const std::string& tensor, int64_t row = 512) {
  const auto found = precision.format_for(role, tensor, row);
  return found ? found->format : Format::kI8;  // kI8: keeps its own
}

TEST(Precision, NamesAreCanonicalAndReadBack) {
  const std::pair<std::string, std::string> cases[] = {
      {"q4_k", "Q4_K"},
      {"AS-PUBLISHED", "as-published"},
      {"as-published,cache=q8_0", "as-published,cache=Q8_0"},
      {"Q4_K,output=Q6_K,blk.*.ffn_down=Q5_K,cache=Q8_0,activations=w8a8",
       "Q4_K,output=Q6_K,blk.*.ffn_down=Q5_K,cache=Q8_0,activations=w8a8"},
      {" Q4_K , activations=q8, z*=F16, cache = F32, norm=F16, a*=F32, linear=Q8_0",
       "Q4_K,linear=Q8_0,norm=F16,z*=F16,a*=F32,cache=F32,activations=q8"},
      {"w8a8", "W8A8"},
      {"Q8_0,activations=w8a8", "W8A8"},
      {"W8A8,output=F32", "W8A8,output=F32"},
  };
  for (const auto& [text, canonical] : cases) {
    const Precision precision = Precision::parse(text);
    EXPECT_EQ(precision.name(), canonical);
    EXPECT_EQ(Precision::parse(precision.name()), precision) << text;
  }
  EXPECT_EQ(Precision::parse("as-published,output=Q6_K").name("Q4_K_M"), "Q4_K_M,output=Q6_K");
  EXPECT_EQ(Precision::parse("F16"), Precision(Format::kF16));
  EXPECT_NE(Precision::parse("F16"), Precision());
}

TEST(Precision, EveryMistakeIsNamedWithItsItem) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "names no format"},
      {"Q4", "Q4: unknown format"},
      {"IQ4_XS", "only read"},
      {"Q4_K,output", "\"output\" is not of the form"},
      {"Q4_K,,output=Q6_K", "\"\" is not of the form"},
      {"Q4_K,", "\"\" is not of the form"},
      {"Q4_K,=F16", "lacks its name"},
      {"Q4_K,output=", "unknown format"},
      {"output=Q6_K", "write as-published,output=Q6_K"},
      {"Q4_K,output=I8", "I8: is only read"},
      {"Q4_K,output=F16,output=F32", "output is named twice"},
      {"Q4_K,a*=F16,a*=F32", "a* is named twice"},
      {"Q4_K,cache=Q5_0", "a cache cannot be Q5_0; choose F32, F16, Q8_0 or Q4_0"},
      {"Q4_K,cache=F16,cache=F32", "cache is named twice"},
      {"Q4_K,activations=int3", "activations int3: unknown"},
      {"W8A8,activations=q8", "activations are named twice"},
  };
  for (const auto& [text, part] : cases) {
    try {
      Precision::parse(text);
      ADD_FAILURE() << text << " was read";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
    }
  }
}

TEST(Precision, RolesHaveTheirDefaults) {
  const Precision plain = Format::kQ4_0, single = Format::kF32;
  for (const Role role : {Role::kLinear, Role::kOutput, Role::kEmbedding}) {
    EXPECT_EQ(format_of(plain, role, "x.weight"), Format::kQ4_0);
  }
  for (const Role role : {Role::kPosition, Role::kConvolution, Role::kDepthwise}) {
    EXPECT_EQ(format_of(plain, role, "x.weight"), Format::kF16);
    EXPECT_EQ(format_of(single, role, "x.weight"), Format::kF32);
  }
  for (const Role role : {Role::kTable, Role::kNorm, Role::kBias}) {
    EXPECT_EQ(format_of(plain, role, "x.weight"), Format::kF32);
  }
  EXPECT_EQ(Precision().format_for(Role::kLinear, "x.weight", 512), std::nullopt);
}

TEST(Precision, MoreParticularItemsWin) {
  const Precision precision =
      Precision::parse("Q4_K,blk.*.ffn_down=Q5_K,blk.0.*=F16,output=Q6_K,linear=Q8_0,bias=F16");
  EXPECT_EQ(format_of(precision, Role::kOutput, "output.weight"), Format::kQ6_K);
  EXPECT_EQ(format_of(precision, Role::kEmbedding, "token_embd.weight"), Format::kQ4_K);
  EXPECT_EQ(format_of(precision, Role::kLinear, "blk.1.attn_q.weight"), Format::kQ8_0);
  EXPECT_EQ(format_of(precision, Role::kLinear, "blk.1.ffn_down.weight"), Format::kQ5_K);
  EXPECT_EQ(format_of(precision, Role::kLinear, "blk.0.ffn_down.weight"), Format::kF16);
  EXPECT_EQ(format_of(precision, Role::kBias, "blk.1.attn_q.bias"), Format::kF16);
  // A pattern never reaches what only a role may name.
  EXPECT_EQ(format_of(Precision::parse("Q4_0,blk.*=Q8_0"), Role::kNorm, "blk.0.attn_norm.weight"),
            Format::kF32);
  // Nothing but what is named changes.
  const Precision one = Precision::parse("as-published,output=Q6_K");
  EXPECT_EQ(format_of(one, Role::kOutput, "output.weight"), Format::kQ6_K);
  EXPECT_EQ(one.format_for(Role::kLinear, "blk.0.attn_q.weight", 512), std::nullopt);
  EXPECT_TRUE(one.changes_weights());
  EXPECT_FALSE(Precision::parse("as-published,cache=F32").changes_weights());
}

TEST(Precision, SaysWhereBlocksDoNotDivideTheRow) {
  const auto fitting = Precision(Format::kQ4_K).format_for(Role::kLinear, "x.weight", 384);
  EXPECT_EQ(fitting->format, Format::kQ4_1);
  EXPECT_TRUE(fitting->fell_back);
  EXPECT_FALSE(Precision(Format::kQ4_K).format_for(Role::kLinear, "x.weight", 512)->fell_back);
  EXPECT_FALSE(Precision(Format::kQ4_K).format_for(Role::kConvolution, "x.weight", 3)->fell_back);
  const auto named = Precision::parse("F32,x=Q6_K").format_for(Role::kLinear, "x.weight", 50);
  EXPECT_EQ(named->format, Format::kF16);
  EXPECT_TRUE(named->fell_back);
}

TEST(Precision, WeightsAloneLeaveHowTheyAreRunOut) {
  const Precision precision = Precision::parse("W8A8,output=F32,cache=F32");
  EXPECT_EQ(precision.of_weights().name(), "Q8_0,output=F32");
  EXPECT_EQ(precision.activations(), Activations::kW8A8);
  EXPECT_EQ(precision.cache(), Format::kF32);
}

TEST(Activations, NamesReadBack) {
  EXPECT_EQ(activations_list(), "q8, q8-row, bf16, f32, w8a8");
  for (size_t i = 0; i < kActivations; ++i) {
    const auto activations = static_cast<Activations>(i);
    EXPECT_EQ(activations_from_name(name(activations)), activations);
  }
  EXPECT_THROW(activations_from_name("Q8"), Error);
}

}  // namespace
}  // namespace wattle
