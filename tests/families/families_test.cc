#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <wattle/error.h>

#include "base/cpu.h"
#include "base/threads.h"
#include "families/family.h"
#include "families/golden_case.h"
#include "families/open_file.h"
#include "families/run_case.h"

// Every family against its reference implementation: the cases of tests/golden/families.

namespace wattle {
namespace {

constexpr double kTolerance = 5e-5;  // of the largest magnitude of what the reference gives

/// The largest difference of a kind of output, whose values of all sequences follow each other.
double difference(const golden::Case& golden, const std::string& kind, const Matrix& all) {
  const float* at = all.data();
  const float* const end = all.data() + all.rows() * all.columns();
  double worst = 0;
  for (const golden::Output* output : golden.outputs(kind)) {
    const ConstMatrixView want = output->values;
    if (end - at < want.rows * want.columns) return INFINITY;
    worst = std::max(worst, golden::relative_difference({at, want.rows, want.columns}, want));
    at += want.rows * want.columns;
  }
  return at == end ? worst : INFINITY;
}

bool same_bits(const Outputs& a, const Outputs& b) {
  for (const auto& [kind, matrix] : a) {
    const Matrix& other = b.at(kind);
    if (matrix.rows() != other.rows() || matrix.columns() != other.columns()) return false;
    if (!std::equal(matrix.data(), matrix.data() + matrix.rows() * matrix.columns(), other.data()))
      return false;
  }
  return true;
}

bool is_forced() {
  return std::getenv("WATTLE_TEST_ISA") != nullptr;
}

class Families : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(Families, MatchTheReference) {
  const golden::Case golden(GetParam());
  const Opened opened(golden.write_folder());
  const Outputs outputs = run(*opened.network, golden);
  int compared = 0;
  for (const auto& [kind, matrix] : outputs) {
    if (!golden.has(kind)) continue;
    const double found = difference(golden, kind, matrix);
    EXPECT_LE(found, kTolerance) << golden.label() << " " << kind;
    RecordProperty(kind, fmt::format("{:.1e}", found));  // docs/families.md has the largest of each family
    ++compared;
  }
  EXPECT_GT(compared, 0) << golden.label();
}

TEST_P(Families, AnyNumberOfThreadsAndAnyBatchGiveTheSameBits) {
  const golden::Case golden(GetParam());
  const Opened opened(golden.write_folder());
  const int before = threads();
  set_threads(1);
  const Outputs one = run(*opened.network, golden);
  for (const int count : {2, 3}) {
    set_threads(count);
    EXPECT_TRUE(same_bits(run(*opened.network, golden), one)) << golden.label() << " " << count << " threads";
  }
  set_threads(before);
}

TEST_P(Families, EveryInstructionSetGivesTheSameBits) {
  if (is_forced()) GTEST_SKIP() << "one process runs them all";
  const golden::Case golden(GetParam());
  std::optional<Outputs> first;
  for (const Isa isa : runnable_isas()) {
    force_isa(isa);
    const Opened opened(golden.write_folder());
    Outputs outputs = run(*opened.network, golden);
    if (!first)
      first = std::move(outputs);
    else
      EXPECT_TRUE(same_bits(outputs, *first)) << golden.label() << " " << name(isa);
  }
  force_isa(runnable_isas().back());
}

// A test that no change of the weights could fail would prove nothing.
constexpr double kMoves = 100 * kTolerance;

/// The largest difference between two models' outputs; infinite for other shapes.
double distance(const golden::Case& golden, const Outputs& a, const Outputs& b) {
  double most = 0;
  for (const auto& [kind, matrix] : a) {
    if (golden.has(kind))
      most = std::max(most, golden::relative_difference(b.at(kind).view(), matrix.view()));
  }
  return most;
}

/// Outputs of the case with changes; nothing where it is refused.
std::optional<Outputs> changed(const golden::Case& golden, const golden::Changes& changes) {
  try {
    const Opened opened(golden.write_folder(changes));
    return run(*opened.network, golden);
  } catch (const Error&) {
    return std::nullopt;
  }
}

TEST_P(Families, EveryTensorMovesTheOutput) {
  if (is_forced()) GTEST_SKIP() << "the same under every instruction set";
  const golden::Case golden(GetParam());
  const Outputs base = changed(golden, {}).value();
  const Description description = describe(Opened(golden.write_folder()).file->metadata());
  for (const golden::Tensor& tensor : golden.tensors()) {
    if (tensor.buffer || tensor.ignored || tensor.inert || !tensor.same_as.empty()) continue;
    // Poolers without a head are left out, and a note says so.
    if (description.find_source(tensor.name).use == Description::Use::kLeftOut) continue;
    golden::Changes changes;
    changes.redraw = {tensor.name};
    const auto outputs = changed(golden, changes);
    EXPECT_TRUE(outputs && distance(golden, base, *outputs) > kMoves) << golden.label() << " " << tensor.name;
  }
}

/// Another value of a configuration's key, of its own type.
nlohmann::json another(const std::string& key, const nlohmann::json& value) {
  if (value.is_boolean()) return !value.get<bool>();
  const auto names = [&](std::string_view part) { return key.find(part) != std::string::npos; };
  if (value.is_number_float()) return names("eps") ? value.get<double>() + 0.5 : value.get<double>() * 3;
  if (value.is_number_integer()) {
    const auto number = value.get<int64_t>();
    if (names("theta") || names("base") || names("distance")) return 3 * number;
    if (names("window") || names("local_attention")) return number / 2;
    if (names("every_n")) return number - 1;
    return names("heads") && number % 2 == 0 ? number / 2 : number + 1;
  }
  if (value.is_string()) return value == "relu" ? "tanh" : "relu";
  return nullptr;
}

/// Keys that bound what a model takes and do not touch what it computes.
constexpr std::string_view kBounds[] = {"max_position_embeddings",
                                        "n_positions",
                                        "n_ctx",
                                        "decoder_start_token_id",
                                        "pad_token_id",
                                        "model_type",
                                        "original_max_position_embeddings",
                                        "relative_attention_num_buckets",
                                        "max_window_layers",
                                        "max_relative_positions",
                                        "max_encoder_position_embeddings",
                                        "max_decoder_position_embeddings",
                                        "type_vocab_size",
                                        "vocab_size"};

/// Keys that a case is not made to show, by its label (or the end of it), and why.
struct Unmoved {
  std::string_view label, key;
};
constexpr Unmoved kUnmoved[] = {
    {"gpt2/unscaled", "scale_attn_by_inverse_layer_idx"},      // one layer
    {"marian/base", "decoder_vocab_size"},                     // one table
    {"llama/sequence_classification", "tie_word_embeddings"},  // no logits
    {"/encoder", "num_decoder_layers"},                        // no decoder
    {"/encoder", "tie_word_embeddings"},
    {"deberta_v2/own_projections", "position_buckets"},            // 0 and -1 are both none
    {"/masked_lm_published", "tie_word_embeddings"},               // a head of its own
    {"gemma3_text/scaled_layer_types", "sliding_window_pattern"},  // layer_types say it
    {"gemma3_text/scaled_layer_types", "_sliding_window_pattern"},
    {"stablelm/parallel_normed_heads", "rope_theta"},  // one pair, whose frequency is 1 for any base
};

bool is_unmoved(const golden::Case& golden, const std::string& key) {
  if (std::ranges::find(kBounds, key) != std::end(kBounds)) return true;
  for (const Unmoved& unmoved : kUnmoved) {
    if (unmoved.key == key && golden.label().ends_with(unmoved.label)) return true;
  }
  // Wider than the texts.
  return key == "use_sliding_window" && !golden.config().at(key).get<bool>();
}

TEST_P(Families, EveryKeyThatIsReadMovesTheOutput) {
  if (is_forced()) GTEST_SKIP() << "the same under every instruction set";
  const golden::Case golden(GetParam());
  const Outputs base = changed(golden, {}).value();
  Metadata metadata("config.json");
  const Family& family = family_of_type(golden.config().at("model_type").get<std::string>(), "config.json");
  ConfigReader reader(JsonView(&golden.config(), "config.json"), std::string(family.architecture), metadata);
  family.read_config(reader);
  for (const std::string& key : reader.read()) {
    const auto place = golden.config().find(key);
    if (place == golden.config().end() || is_unmoved(golden, key)) continue;
    const nlohmann::json value = another(key, *place);
    if (value.is_null()) continue;  // null, objects and lists
    golden::Changes changes;
    changes.config[key] = value;
    const auto outputs = changed(golden, changes);
    EXPECT_TRUE(!outputs || distance(golden, base, *outputs) > kMoves)
        << golden.label() << " " << key << " = " << value;
  }
}

std::string case_name(const testing::TestParamInfo<std::filesystem::path>& info) {
  std::string name = info.param.parent_path().filename().string() + "_" + info.param.stem().string();
  std::ranges::replace(name, '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Cases, Families, testing::ValuesIn(golden::case_files()), case_name);

}  // namespace
}  // namespace wattle
