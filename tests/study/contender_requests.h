#pragma once

#include <functional>
#include <string>

#include <gtest/gtest.h>
#include <wattle/error.h>
#include <nlohmann/json.hpp>

#include "tasks/question.h"

/// What the tests of contenders share.
namespace wattle {

using ContenderJson = nlohmann::ordered_json;

/// What was refused, which is one sentence.
inline std::string contender_refusal(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    const std::string sentence = error.what();
    EXPECT_EQ(sentence.find('\n'), std::string::npos) << sentence;
    return sentence;
  }
  return "nothing was refused";
}

inline const Question kShort{"0", "a"}, kLong{"1", std::string(60, 'b')};

}  // namespace wattle
