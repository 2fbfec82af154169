#include "text/ggml_pretokenizers.h"

#include <algorithm>
#include <iterator>

namespace wattle::inline text {
namespace {

using Pattern = std::string_view;

// What the names share.
#define CONTRACTIONS R"((?i:'s|'t|'re|'ve|'m|'ll|'d))"
#define SPACES R"(\s*[\r\n]+|\s+(?!\S)|\s+)"
#define UPPER_THEN_LOWER(suffix)                                                           \
  R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)" suffix \
  R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)" suffix
#define ASCII_SIGN_AND_WORD R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+)"

// Radford et al. 2019 (GPT-2).
constexpr Pattern kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr Pattern kDigit = R"(\p{N})";
constexpr Pattern kUpToThreeDigits = R"(\p{N}{1,3})";
constexpr Pattern kCjk = R"([\x{4e00}-\x{9fa5}\x{3040}-\x{309f}\x{30a0}-\x{30ff}]+)";
constexpr Pattern kDeepseek3 =
    ASCII_SIGN_AND_WORD R"(|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|)" SPACES;

constexpr Pattern kGpt2Only[] = {kGpt2};
constexpr Pattern kDigitsThenGpt2[] = {kDigit, kGpt2};
constexpr Pattern kQwen2[] = {CONTRACTIONS
                              R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)" SPACES};
constexpr Pattern kQwen35[] = {
    CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)" SPACES};
constexpr Pattern kLlama3[] = {CONTRACTIONS
                               R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)" SPACES};
constexpr Pattern kJais2[] = {
    CONTRACTIONS
    R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+)"
    R"(|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S))"
    R"(|\s{1,2}(?!\S)|\s{1})"};
// The letters with case that the model's author listed, not Unicode's classes.
constexpr Pattern kDeepseekLlm[] = {
    R"([\r\n])",
    R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚ\x{1e00}-\x{1f15}\x{1f18}-\x{1f1d})"
    R"(\x{1f20}-\x{1f45}\x{1f48}-\x{1f4d}\x{1f50}-\x{1f57}\x{1f59}\x{1f5b}\x{1f5d}\x{1f5f}-\x{1f7d}\x{1f80}-\x{1fb4})"
    R"(\x{1fb6}-\x{1fbc}\x{1fbe}\x{1fc2}-\x{1fc4}\x{1fc6}-\x{1fcc}\x{1fd0}-\x{1fd3}\x{1fd6}-\x{1fdb}\x{1fe0}-\x{1fec})"
    R"(\x{1ff2}-\x{1ff4}\x{1ff6}-\x{1ffc})"
    R"(\x{2102}\x{2107}\x{210a}-\x{2113}\x{2115}\x{2119}-\x{211d}\x{2124}\x{2126}\x{2128}\x{212a}-\x{212d}\x{212f}-\x{2134})"
    R"(\x{2139}\x{213c}-\x{213f}\x{2145}-\x{2149}\x{214e}\x{2183}\x{2184}\x{2c00}-\x{2c7b}\x{2c7e}-\x{2ce4}\x{2ceb}-\x{2cee})"
    R"(\x{2cf2}\x{2cf3}\x{a640}-\x{a66d}\x{a680}-\x{a69b}\x{a722}-\x{a76f}\x{a771}-\x{a787}\x{a78b}-\x{a78e}\x{ab70}-\x{abbf})"
    R"(\x{fb00}-\x{fb06}\x{fb13}-\x{fb17}\x{ff21}-\x{ff3a}\x{ff41}-\x{ff5a}\x{10400}-\x{1044f}\x{104b0}-\x{104d3})"
    R"(\x{104d8}-\x{104fb}\x{10c80}-\x{10cb2}\x{10cc0}-\x{10cf2}\x{118a0}-\x{118df}\x{1e900}-\x{1e943}]+)",
    R"(\s?[!-/:-~\x{ff01}-\x{ff0f}\x{ff1a}-\x{ff5e}\x{2018}-\x{201f}\x{3000}-\x{3002}]+)",
    R"(\s+$)",
    R"([\x{4e00}-\x{9fa5}\x{800}-\x{4e00}\x{ac00}-\x{d7ff}]+)",
    R"(\p{N}+)"};
constexpr Pattern kDeepseekV3[] = {kUpToThreeDigits, kCjk, kDeepseek3};
constexpr Pattern kSpark[] = {kUpToThreeDigits, kCjk,
                              ASCII_SIGN_AND_WORD
                              R"(|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+)",
                              kDigit};
constexpr Pattern kYoutu[] = {
    R"([\x{ac00}-\x{d7a3}\x{3131}-\x{318e}]+|[\x{ff01}\x{2026}\x{201c}\x{201d}\x{2018}\x{2019}\x{2014}\x{ff1a}\x{ff1b}\x{ff0c})"
    R"(\x{3001}-\x{303f}\x{fe30}-\x{fe4f}]+|[\x{3105}-\x{312f}]+|[\x{4e00}-\x{9fa5}\x{3040}-\x{309f}\x{30a0}-\x{30ff}]+)",
    UPPER_THEN_LOWER(CONTRACTIONS "?") R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" SPACES};
constexpr Pattern kDeepseekCoder[] = {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)",
                                      R"([\x{4e00}-\x{9fa5}\x{800}-\x{4e00}\x{ac00}-\x{d7ff}]+)", kDigit};
constexpr Pattern kFalcon[] = {R"([\p{P}\$\+<=>\^~\|`]+)", kGpt2, R"([0-9][0-9][0-9])"};
// The authors' class holds the signs of an alternation, too.
constexpr Pattern kBloom[] = {R"( ?[^(\s|.,!?…。，、।۔،)]+)"};
constexpr Pattern kViking[] = {kBloom[0], kDigit};
constexpr Pattern kTekken[] = {UPPER_THEN_LOWER("") R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" SPACES};
constexpr Pattern kChameleon[] = {R"(<sentinel:[0-9]+>)",    R"((IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z)",
                                  R"(([\t\n]|    |  ))",     kDigit,
                                  R"([\p{P}!-/:-@\[-`{-~])", kGpt2};
constexpr Pattern kGpt4o[] = {
    UPPER_THEN_LOWER(CONTRACTIONS "?") R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" SPACES};
constexpr Pattern kTinyAya[] = {R"(\d{1,3}(?=(?:\d{3})*\b))", kGpt4o[0]};
#define CASED(class) R"((?:(?!\p{Han})[)" class R"(\p{Lm}\p{Lo}\p{M}]))"
constexpr Pattern kKimi[] = {R"(\p{Han}+|[^\r\n\p{L}\p{N}]?)" CASED(R"(\p{Lu}\p{Lt})") "*" CASED(
    R"(\p{Ll})") "+" CONTRACTIONS
                 R"(?|[^\r\n\p{L}\p{N}]?)" CASED(R"(\p{Lu}\p{Lt})") "+" CASED(
                     R"(\p{Ll})") "*" CONTRACTIONS R"(?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)" SPACES};
constexpr Pattern kSuper[] = {R"(\p{N}+)", R"((?=(\d{3})+(?!\d)))"};
constexpr Pattern kBailing[] = {
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)"};
constexpr Pattern kSeedCoder[] = {CONTRACTIONS
                                  R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|)" SPACES};
constexpr Pattern kUfakzeka[] = {R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)" SPACES};
// Groups of three digits from the right.
constexpr Pattern kAfmoe[] = {
    R"(\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N})))",
    R"([\x{4e00}-\x{9fff}\x{3400}-\x{4dbf}\x{f900}-\x{faff}\x{3040}-\x{309f}\x{30a0}-\x{30ff}\x{ff65}-\x{ff9f})"
    R"(\x{2f00}-\x{2fdf}\x{e40}-\x{e7f}\x{e80}-\x{eff}\x{1780}-\x{17ff}\x{1000}-\x{109f}\x{aa60}-\x{aa7f})"
    R"(\x{a9e0}-\x{a9ff}\x{ac00}-\x{d7af}\x{1100}-\x{11ff}]+)",
    kDeepseek3};
constexpr Pattern kLines[] = {R"([^\n]+|[\n]+)"};
constexpr Pattern kLaguna[] = {kLines[0], kQwen2[0]};
constexpr Pattern kExaoneMoe[] = {
    CONTRACTIONS
    R"(|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)"};
constexpr Pattern kMiniCpm5[] = {
    kUpToThreeDigits, CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|)" SPACES};

constexpr GgmlPretokenizer kPretokenizers[] = {
    {.names = "gpt-2 default phi-2 mpt olmo jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum "
              "modern-bert "
              "exaone4 jais trillion granite-docling",
     .patterns = kGpt2Only},
    {.names = "roberta-bpe jina-v1-en jina-v2-code", .patterns = kGpt2Only, .ends_with_sep = true},
    {.names = "smollm starcoder refact codeshell command-r exaone minerva-7b mellum2",
     .patterns = kDigitsThenGpt2},
    {.names = "qwen2 deepseek-r1-qwen", .patterns = kQwen2, .nfc = true},
    {.names = "qwen35", .patterns = kQwen35, .nfc = true},
    {.names = "stablelm2 megrez kormo f2llmv2 hunyuan solar-open grok-2", .patterns = kQwen2},
    {.names = "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
     .patterns = kLlama3,
     .ignore_merges = true,
     .add_bos = true},
    {.names = "dbrx smaug-bpe chatglm-bpe glm4", .patterns = kLlama3},
    {.names = "jais-2", .patterns = kJais2},
    {.names = "deepseek-llm", .patterns = kDeepseekLlm},
    {.names = "deepseek-coder", .patterns = kDeepseekCoder},
    {.names = "deepseek-v3 hunyuan-dense joyai-llm hy_v4", .patterns = kDeepseekV3},
    {.names = "spark2_5", .patterns = kSpark},
    {.names = "youtu", .patterns = kYoutu, .ignore_merges = true},
    {.names = "falcon", .patterns = kFalcon},
    {.names = "bloom poro-chat gpt3-finnish", .patterns = kBloom},
    {.names = "viking", .patterns = kViking},
    {.names = "tekken", .patterns = kTekken, .ignore_merges = true, .add_bos = true},
    {.names = "chameleon", .patterns = kChameleon, .add_bos = true},
    {.names = "gpt-4o llama4 kanana2 talkie minimax-m2", .patterns = kGpt4o},
    {.names = "granite-embed-multi-97m", .patterns = kGpt4o, .ignore_merges = true},
    {.names = "tiny_aya cohere2moe", .patterns = kTinyAya},
    {.names = "kimi-k2", .patterns = kKimi},
    {.names = "superbpe", .patterns = kSuper},
    {.names = "bailingmoe bailingmoe2 llada-moe", .patterns = kBailing},
    {.names = "seed-coder", .patterns = kSeedCoder},
    {.names = "ufakzeka", .patterns = kUfakzeka},
    {.names = "afmoe", .patterns = kAfmoe},
    {.names = "laguna", .patterns = kLaguna},
    {.names = "exaone-moe", .patterns = kExaoneMoe},
    {.names = "minicpm5", .patterns = kMiniCpm5, .ignore_merges = true},
    {.names = "gemma4 granite-embed-multi-311m", .patterns = kLines, .add_bos = true, .raw_text = true},
    {.names = "sarvam-moe", .patterns = kLines, .raw_text = true},
};

}  // namespace

const GgmlPretokenizer* find_pretokenizer(std::string_view name) {
  for (const GgmlPretokenizer& known : kPretokenizers) {
    std::string_view rest = known.names;
    while (!rest.empty()) {
      const std::string_view one = rest.substr(0, rest.find(' '));
      if (one == name) return &known;
      rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    }
  }
  return nullptr;
}

std::string pretokenizer_names() {
  std::string names;
  for (const GgmlPretokenizer& known : kPretokenizers)
    names += (names.empty() ? "" : " ") + std::string(known.names);
  for (size_t space = names.find(' '); space != std::string::npos; space = names.find(' ', space + 2)) {
    names.replace(space, 1, ", ");
  }
  return names;
}

}  // namespace wattle::inline text
