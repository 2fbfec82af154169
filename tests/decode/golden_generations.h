#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/json.h"
#include "decode/options.h"
#include "families/golden_case.h"

// What the reference library generates with the tiny models of tests/golden/families.

namespace wattle::golden {

inline GenerationOptions options_of(const Generation& golden) {
  GenerationOptions options;
  options.max_tokens = golden.max_new_tokens;
  options.min_length = golden.min_length;
  options.end_tokens = golden.eos;
  options.no_repeat_ngram = golden.no_repeat_ngram_size;
  options.beams = golden.num_beams;
  options.length_penalty = golden.length_penalty;
  options.early_stopping = golden.early_stopping == "true"    ? EarlyStopping::kYes
                           : golden.early_stopping == "never" ? EarlyStopping::kNever
                                                              : EarlyStopping::kNo;
  options.forced_bos = golden.forced_bos;
  if (golden.forced_eos) options.forced_eos = std::vector<TokenId>{*golden.forced_eos};
  if (!golden.bad_words.empty()) options.bad_words = golden.bad_words;
  return options;
}

/// Without the end token and what pads the rest.
inline std::vector<TokenId> wanted(const Generation& golden) {
  const auto end = std::ranges::find_first_of(golden.expect, golden.eos);
  return {golden.expect.begin(), end};
}

/// The cases in which something is generated.
inline std::vector<std::filesystem::path> cases_that_generate() {
  std::vector<std::filesystem::path> files = case_files();
  std::erase_if(files, [](const auto& file) { return !read_json_file(file).contains("generations"); });
  return files;
}

inline std::string case_name(const testing::TestParamInfo<std::filesystem::path>& info) {
  std::string name = info.param.parent_path().filename().string() + "_" + info.param.stem().string();
  std::ranges::replace(name, '-', '_');
  return name;
}

}  // namespace wattle::golden
