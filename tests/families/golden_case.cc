#include "families/golden_case.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

#include <wattle/error.h>

#include "base/json.h"

namespace wattle::golden {
namespace {

const std::filesystem::path kFamilies = std::filesystem::path(WATTLE_SOURCE_DIR) / "tests/golden/families";

template <typename T>
void read_if(const nlohmann::json& object, const char* key, T& into) {
  const auto found = object.find(key);
  if (found != object.end() && !found->is_null()) found->get_to(into);
}

template <typename T>
void read_if(const nlohmann::json& object, const char* key, std::optional<T>& into) {
  const auto found = object.find(key);
  if (found != object.end() && !found->is_null()) into = found->get<T>();
}

Tensor read_tensor(const nlohmann::json& object) {
  Tensor tensor;
  object.at("name").get_to(tensor.name);
  object.at("shape").get_to(tensor.shape);
  read_if(object, "same_as", tensor.same_as);
  read_if(object, "scale", tensor.scale);
  read_if(object, "offset", tensor.offset);
  read_if(object, "buffer", tensor.buffer);
  read_if(object, "ignored", tensor.ignored);
  read_if(object, "inert", tensor.inert);
  read_if(object, "dtype", tensor.dtype);
  read_if(object, "fill", tensor.fill);
  read_if(object, "value", tensor.value);
  return tensor;
}

Sequence read_sequence(const nlohmann::json& object) {
  Sequence sequence;
  object.at("ids").get_to(sequence.ids);
  read_if(object, "type_ids", sequence.type_ids);
  read_if(object, "decoder_ids", sequence.decoder_ids);
  read_if(object, "global", sequence.global);
  return sequence;
}

Generation read_generation(const nlohmann::json& object) {
  Generation generation;
  object.at("ids").get_to(generation.ids);
  object.at("max_new_tokens").get_to(generation.max_new_tokens);
  object.at("expect").get_to(generation.expect);
  read_if(object, "num_beams", generation.num_beams);
  read_if(object, "no_repeat_ngram_size", generation.no_repeat_ngram_size);
  read_if(object, "min_length", generation.min_length);
  read_if(object, "eos", generation.eos);
  read_if(object, "pad", generation.pad);
  read_if(object, "length_penalty", generation.length_penalty);
  const nlohmann::json& stopping = object.at("early_stopping");
  generation.early_stopping = stopping.is_string() ? stopping.get<std::string>() : stopping.dump();
  read_if(object, "forced_bos", generation.forced_bos);
  read_if(object, "forced_eos", generation.forced_eos);
  read_if(object, "decoder_start", generation.decoder_start);
  read_if(object, "bad_words", generation.bad_words);
  return generation;
}

std::vector<float> read_floats(const std::filesystem::path& path) {
  static_assert(std::endian::native == std::endian::little, "the files hold little-endian numbers");
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) fail("{}: cannot be opened; run tests/golden/make_families.py", path.string());
  std::vector<float> values(static_cast<size_t>(file.tellg()) / sizeof(float));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(values.data()),
            static_cast<std::streamsize>(values.size() * sizeof(float)));
  return values;
}

template <typename T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// What fills element i of a buffer of the last dimension `columns` and the one before it `rows`.
double buffer_element(const Tensor& tensor, int64_t i, int64_t rows, int64_t columns) {
  if (tensor.fill == "arange") return static_cast<double>(i % columns);
  if (tensor.fill == "tril") return i % columns <= i / columns % rows ? 1 : 0;
  if (tensor.fill == "value") return tensor.value;
  if (tensor.fill == "rope")
    return std::pow(tensor.value, -static_cast<double>(i) / static_cast<double>(columns));
  fail("{}: a buffer filled with '{}' is unknown; correct the case", tensor.name, tensor.fill);
}

std::string buffer_bytes(const Tensor& tensor) {
  const size_t dimensions = tensor.shape.size();
  const int64_t columns = dimensions > 0 ? tensor.shape[dimensions - 1] : 1;
  const int64_t rows = dimensions > 1 ? tensor.shape[dimensions - 2] : 1;
  std::string bytes;
  const auto append = [&](auto value) { bytes.append(reinterpret_cast<const char*>(&value), sizeof value); };
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    const double value = buffer_element(tensor, i, rows, columns);
    if (tensor.dtype == "F32")
      append(static_cast<float>(value));
    else if (tensor.dtype == "I64")
      append(static_cast<int64_t>(value));
    else if (tensor.dtype == "BOOL" || tensor.dtype == "U8")
      append(static_cast<uint8_t>(value));
    else
      fail("{}: a buffer of {} is unknown; correct the case", tensor.name, tensor.dtype);
  }
  return bytes;
}

nlohmann::json patched(nlohmann::json object, const nlohmann::json& patch) {
  if (!patch.is_null()) object.merge_patch(patch);
  return object;
}

}  // namespace

uint64_t seed(std::string_view name) {
  uint64_t value = 0xcbf29ce484222325;
  for (const char byte : name) value = (value ^ static_cast<uint8_t>(byte)) * 0x100000001b3;
  return value;
}

void draw(std::string_view name, double scale, double offset, std::span<float> values) {
  uint64_t state = seed(name);
  for (float& value : values) {
    state += 0x9E3779B97F4A7C15;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    z ^= z >> 31;
    const double u = static_cast<double>(z >> 40) * 0x1p-23 - 1.0;
    value = static_cast<float>(offset + scale * u);
  }
}

int64_t Tensor::elements() const {
  int64_t count = 1;
  for (const int64_t dimension : shape) count *= dimension;
  return count;
}

Case::Case(const std::filesystem::path& json)
    : family_(json.parent_path().filename().string()), name_(json.stem().string()) {
  const nlohmann::json root = read_json_file(json);
  config_ = root.at("config");
  generation_config_ = root.value("generation_config", nlohmann::json());
  for (const auto& object : root.at("tensors")) tensors_.push_back(read_tensor(object));
  for (const auto& object : root.at("sequences")) sequences_.push_back(read_sequence(object));
  for (const auto& object : root.value("generations", nlohmann::json::array()))
    generations_.push_back(read_generation(object));

  numbers_ = read_floats(std::filesystem::path(json).replace_extension(".f32"));
  for (const auto& object : root.at("outputs")) {
    const auto shape = object.at("shape").get<std::vector<int64_t>>();
    const auto offset = object.at("offset").get<size_t>();
    const int64_t columns = shape.empty() ? 1 : shape.back();
    const int64_t rows = shape.size() > 1 ? shape[0] : 1;
    const auto sequence = object.at("sequence").get<size_t>();
    if (offset + static_cast<size_t>(rows * columns) > numbers_.size() || sequence >= sequences_.size())
      fail("{}: an output lies beyond its numbers; make the case again", json.string());
    outputs_.push_back({object.at("kind"), sequence, {numbers_.data() + offset, rows, columns}});
  }
}

bool Case::has(std::string_view kind) const {
  return std::any_of(outputs_.begin(), outputs_.end(), [&](const Output& one) { return one.kind == kind; });
}

std::vector<const Output*> Case::outputs(std::string_view kind) const {
  std::vector<const Output*> found;
  for (const Output& output : outputs_) {
    if (output.kind == kind) found.push_back(&output);
  }
  if (found.empty()) fail("{}: has no output '{}'; ask for one that it has", label(), kind);
  return found;
}

Ragged<int32_t> Case::batch(std::vector<int32_t> Sequence::*field) const {
  Ragged<int32_t> all;
  for (const Sequence& sequence : sequences_) all.append(sequence.*field);
  return all;
}

const Tensor& Case::tensor(const std::string& name) const {
  const auto found =
      std::find_if(tensors_.begin(), tensors_.end(), [&](const Tensor& one) { return one.name == name; });
  if (found == tensors_.end()) fail("{}: has no tensor {}; name one of its list", label(), name);
  return *found;
}

std::string Case::safetensors(const Changes& changes) const {
  for (const auto& name : changes.redraw) tensor(name);
  for (const auto& name : changes.remove) tensor(name);
  for (const auto& [name, factor] : changes.multiply) tensor(name);

  nlohmann::json header = {{"__metadata__", {{"format", "pt"}}}};
  std::string data;
  for (const Tensor& stored : tensors_) {
    if (std::count(changes.remove.begin(), changes.remove.end(), stored.name) > 0) continue;
    std::string bytes;
    if (stored.buffer) {
      bytes = buffer_bytes(stored);
    } else {
      const Tensor& drawn = stored.same_as.empty() ? stored : tensor(stored.same_as);
      const bool redraw = std::count(changes.redraw.begin(), changes.redraw.end(), drawn.name) > 0;
      std::vector<float> values(static_cast<size_t>(stored.elements()));
      draw(redraw ? drawn.name + "'" : drawn.name, drawn.scale, drawn.offset, values);
      if (const auto factor = changes.multiply.find(drawn.name); factor != changes.multiply.end()) {
        for (float& value : values) value *= factor->second;
      }
      bytes = bytes_of(values);
    }
    header[stored.name] = {{"dtype", stored.dtype},
                           {"shape", stored.shape},
                           {"data_offsets", {data.size(), data.size() + bytes.size()}}};
    data += bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return bytes_of(std::vector<uint64_t>{text.size()}) + text + data;
}

std::unique_ptr<TemporaryDirectory> Case::write_folder(const Changes& changes) const {
  auto folder = std::make_unique<TemporaryDirectory>();
  folder->write("config.json", patched(config_, changes.config).dump());
  const nlohmann::json generation = patched(generation_config_, changes.generation_config);
  if (!generation.is_null()) folder->write("generation_config.json", generation.dump());
  folder->write("model.safetensors", safetensors(changes));
  return folder;
}

std::vector<std::filesystem::path> case_files(std::string_view family) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kFamilies)) {
    const auto& path = entry.path();
    const bool wanted =
        family.empty() ? path.parent_path() != kFamilies : path.parent_path().filename() == family;
    if (wanted && path.extension() == ".json") files.push_back(path);
  }
  std::sort(files.begin(), files.end());
  return files;
}

double relative_difference(ConstMatrixView got, ConstMatrixView want) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  if (got.rows != want.rows || got.columns != want.columns) return kInfinite;
  double difference = 0, largest = 0;
  for (int64_t i = 0; i < want.rows; ++i) {
    for (int64_t j = 0; j < want.columns; ++j) {
      const double a = got.row(i)[static_cast<size_t>(j)], b = want.row(i)[static_cast<size_t>(j)];
      if (!std::isfinite(a)) return kInfinite;
      difference = std::max(difference, std::abs(a - b));
      largest = std::max(largest, std::abs(b));
    }
  }
  return difference == 0 ? 0 : difference / largest;
}

}  // namespace wattle::golden
