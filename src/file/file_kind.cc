#include "file/file_kind.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "base/utf8.h"
#include "file/onnx.h"
#include "file/zip.h"

namespace wattle::inline file {
namespace {

namespace fs = std::filesystem;

/// Beginnings of files that are mistaken for weights, or are weights of programs that others read.
struct Foreign {
  size_t offset;
  std::string_view magic;
  std::string_view what, cure;
};
using namespace std::string_view_literals;
constexpr std::string_view kOriginal = "give the model's original safetensors, PyTorch or GGUF file";
constexpr Foreign kForeign[] = {
    {0, "version https://git-lfs.github.com/spec/", "a Git LFS pointer, not the file itself",
     "run \"git lfs pull\" in its folder, or download the file"},
    {0, "lmgg", "a GGML file of before GGUF", "convert the original model again"},
    {0, "tjgg", "a GGML file of before GGUF", "convert the original model again"},
    {0, "fmgg", "a GGML file of before GGUF", "convert the original model again"},
    {0, "algg", "a LoRA adapter for GGML", "merge the adapter into its base model first"},
    {0, "\x89HDF\r\n\x1a\n", "an HDF5 file of Keras or TensorFlow", kOriginal},
    {4, "TFL3", "a TensorFlow Lite model", kOriginal},
    {0, "\x93NUMPY", "an array of NumPy", kOriginal},
    {0, "\x1f\x8b", "compressed by gzip", "decompress it first"},
    {0,
     "\xfd"
     "7zXZ\0"sv,
     "compressed by xz", "decompress it first"},
    {0, "\x28\xb5\x2f\xfd", "compressed by Zstandard", "decompress it first"},
    {0, "7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it and give what is inside"},
    {0, "BZh", "compressed by bzip2", "decompress it first"},
    {257, "ustar", "a tar archive", "unpack it and give what is inside"},
    {4, "\x10\0\0\0TransformerSpec\0"sv, "a CTranslate2 model", kOriginal},
    {4, "\x0c\0\0\0WhisperSpec\0"sv, "a CTranslate2 model", kOriginal},
    {4, "\x0b\0\0\0BertSpec\0"sv, "a CTranslate2 model", kOriginal},
};

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Whether it begins as a web page does, which servers send in place of a file that they refuse.
bool is_web_page(std::string_view text) {
  constexpr size_t kMost = 512;
  const std::string begin = lower_ascii(text.substr(0, kMost));
  const size_t first = begin.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  if (first == std::string::npos) return false;
  const std::string_view rest = std::string_view(begin).substr(first);
  return rest.starts_with("<!doctype html") || rest.starts_with("<html");
}

bool is_safetensors(std::span<const std::byte> bytes) {
  uint64_t header = 0;
  if (bytes.size() <= sizeof header) return false;
  std::memcpy(&header, bytes.data(), sizeof header);
  return header >= 2 && header <= bytes.size() - sizeof header && bytes[sizeof header] == std::byte{'{'};
}

bool is_pickle(std::span<const std::byte> bytes) {
  return bytes.size() > 2 && bytes[0] == std::byte{0x80} && bytes[1] >= std::byte{2} &&
         bytes[1] <= std::byte{5};
}

/// Names that say how a checkpoint was made.
struct ForeignName {
  std::string_view part;
  bool at_end;
  std::string_view what, cure;
};
constexpr std::string_view kUnquantised =
    "give the model before that quantisation and convert it here to the precision you want";
constexpr std::string_view kMerge =
    "merge it into its base model first (PEFT's merge_and_unload) and give the result";
constexpr ForeignName kForeignNames[] = {
    {".qweight", true, "quantised by GPTQ or AWQ", kUnquantised},
    {".qzeros", true, "quantised by GPTQ or AWQ", kUnquantised},
    {".g_idx", true, "quantised by GPTQ", kUnquantised},
    {".quant_state.bitsandbytes__", false, "quantised by bitsandbytes", kUnquantised},
    {".SCB", true, "quantised by bitsandbytes to 8 bits", kUnquantised},
    {".weight_scale_inv", true, "stored as FP8", kUnquantised},
    {".weight_packed", true, "quantised by compressed-tensors", kUnquantised},
    {".lora_A.", false, "a LoRA adapter", kMerge},
    {".lora_B.", false, "a LoRA adapter", kMerge},
    {".lora_down.", false, "a LoRA adapter", kMerge},
    {".lora_up.", false, "a LoRA adapter", kMerge},
};

}  // namespace

FileKind kind_of(std::span<const std::byte> bytes, const fs::path& path) {
  if (is_gguf(bytes)) return FileKind::kGguf;
  if (is_safetensors(bytes)) return FileKind::kSafetensors;
  if (is_zip(bytes) || is_pickle(bytes)) return FileKind::kPickle;
  const std::string_view text = text_of(bytes);
  for (const Foreign& foreign : kForeign) {
    if (text.size() < foreign.offset || !text.substr(foreign.offset).starts_with(foreign.magic)) continue;
    fail("{}: is {}; {}", path.string(), foreign.what, foreign.cure);
  }
  if (is_web_page(text)) {
    fail(
        "{}: is a web page, which a server sent in place of the file; download it again, with a token where "
        "the model is gated",
        path.string());
  }
  const std::string ending = path.extension().string();
  if (ending == ".gguf") return FileKind::kGguf;
  if (ending == ".safetensors") return FileKind::kSafetensors;
  if (ending == ".onnx" || is_onnx(bytes)) return FileKind::kOnnx;
  if (ending == ".bin" || ending == ".pt" || ending == ".pth") {
    fail("{}: is {}; {}", path.string(),
         bytes.empty() ? "empty" : "no PyTorch file, for it begins with neither a pickle nor an archive",
         bytes.empty() ? "get it again" : kOriginal);
  }
  fail(
      "{}: is no model file; give a .gguf, .safetensors, .onnx, .pth, .pt or .bin file, or a Hugging Face "
      "folder",
      path.string());
}

FileKind kind_of_file(const std::filesystem::path& path) {
  return is_index(path) ? FileKind::kSafetensors : kind_of(MappedFile(path).bytes(), path);
}

bool is_index(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.ends_with(".safetensors.index.json") || name.ends_with(".bin.index.json");
}

WantTensor refusing_foreign(WantTensor wanted, std::string origin) {
  return [wanted = std::move(wanted), origin = std::move(origin)](const std::string& name) {
    for (const ForeignName& foreign : kForeignNames) {
      const bool found =
          foreign.at_end ? name.ends_with(foreign.part) : name.find(foreign.part) != std::string::npos;
      if (found) fail("{}: is {} (tensor {}); {}", origin, foreign.what, name, foreign.cure);
    }
    return !wanted || wanted(name);
  };
}

void refuse_foreign_folder(const fs::path& folder, const JsonView& config) {
  const JsonView quantised = config.child("quantization_config");
  if (!quantised) return;
  const std::string method = quantised.text("quant_method").value_or("a method without name");
  fail("{}: its weights are quantised by {} (quantization_config of config.json), which is not read here; {}",
       folder.string(), method, kUnquantised);
}

nlohmann::json read_config(const fs::path& folder, const fs::path& weights, std::vector<std::string>& notes) {
  const fs::path config = folder / "config.json";
  if (fs::exists(config)) return read_json_file(config);
  if (is_index(weights) || kind_of(MappedFile(weights).bytes(), weights) != FileKind::kOnnx) {
    fail("{}: is a folder without config.json; give a Hugging Face folder or a model file", folder.string());
  }
  nlohmann::json derived = onnx_config(weights);
  notes.push_back(
      fmt::format("config.json is missing; {} shows: {}", weights.filename().string(), derived.dump()));
  return derived;
}

fs::path find_weights(const fs::path& folder) {
  constexpr std::array kNames{"model.safetensors",
                              "model.safetensors.index.json",
                              "pytorch_model.bin",
                              "pytorch_model.bin.index.json",
                              "model.onnx",
                              "encoder_model.onnx",
                              "encoder.onnx",
                              "onnx/model.onnx",
                              "onnx/encoder_model.onnx"};
  for (const char* name : kNames) {
    if (fs::exists(folder / name)) return folder / name;
  }
  std::vector<fs::path> others;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".onnx") others.push_back(entry.path());
  }
  if (others.size() == 1) return others[0];
  if (fs::exists(folder / "adapter_config.json")) {
    const nlohmann::json parsed = read_json_file(folder / "adapter_config.json");
    const std::string base =
        JsonView(&parsed, folder.string()).text("base_model_name_or_path").value_or("its base model");
    fail("{}: holds an adapter of {} and no model; {}", folder.string(), base, kMerge);
  }
  if (others.size() > 1)
    fail("{}: holds {} ONNX files; name the one to open", folder.string(), others.size());
  fail("{}: holds none of {}, nor another .onnx file; get the model's weights", folder.string(),
       fmt::join(kNames, ", "));
}

}  // namespace wattle::inline file
