#pragma once

#include <filesystem>
#include <string>

namespace wattle {

// What the environment says about the Hugging Face hub, by the variables of its own client (huggingface_hub,
// "Environment variables").

/// $HF_ENDPOINT, or https://huggingface.co.
std::string hub_endpoint();

/// $HF_TOKEN, else the first line of $HF_TOKEN_PATH, or of `token` in $HF_HOME (~/.cache/huggingface). May be
/// empty.
std::string hub_token();

/// $HF_HUB_CACHE, or `hub` in $HF_HOME.
std::filesystem::path hub_cache_directory();

/// Whether $HF_HUB_OFFLINE forbids requests.
bool hub_is_off();

}  // namespace wattle
