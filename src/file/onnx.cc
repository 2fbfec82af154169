#include "file/onnx.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/ranges.h>
#include <wattle/error.h>

namespace wattle::inline file {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kConvertedFrom = "wattle.converted_from";

/// Scales, or zero points, by their name in the graph.
std::vector<float> numbers_at(std::string_view name, const OnnxWeight& weight, const OnnxSource& source) {
  constexpr size_t kMost = size_t{1} << 24;  // as many as a dimension of a weight
  if (name.empty()) return {};
  const OnnxTensor* tensor = stored_tensor(*weight.graph, name);
  auto numbers =
      tensor == nullptr ? std::nullopt : small_values(*tensor, kMost, source.origin, source.external);
  if (!numbers) {
    fail("{}: the scales of tensor {} are not in the file but computed; export the model again",
         source.origin, weight.tensor->name);
  }
  return *std::move(numbers);
}

/// A weight's values in PyTorch's form.
OnnxValues values_of(const OnnxWeight& weight, const OnnxSource& source) {
  OnnxValues values = read_values(*weight.tensor, source.origin, source.external);
  const auto stored = values.bytes;
  const bool mapped = values.owned == nullptr;
  size_t element = type_of(*weight.tensor, source.origin).bytes;
  if (!weight.scale.empty()) {
    OnnxScales scales{numbers_at(weight.scale, weight, source), numbers_at(weight.zero_point, weight, source),
                      weight.axis};
    if (scales.zero_point.size() == 1) scales.zero_point.resize(scales.scale.size(), scales.zero_point[0]);
    dequantise(*weight.tensor, scales, source.origin, values);
    element = sizeof(float);
  }
  if (weight.transposed) {
    transpose(static_cast<size_t>(weight.tensor->shape[0]), static_cast<size_t>(weight.tensor->shape[1]),
              element, values);
  }
  if (mapped && values.owned != nullptr && source.release) source.release(stored);
  return values;
}

/// The name without the numbers that a module's second and later calls get: "layer_1.query" is "layer.query".
std::string without_call_numbers(const std::string& name) {
  std::string plain;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('.', begin), name.size());
    std::string_view part = std::string_view(name).substr(begin, end - begin);
    const size_t digits = part.find_last_not_of("0123456789");
    if (digits != std::string_view::npos && digits + 1 < part.size() && part[digits] == '_' && digits > 0)
      part = part.substr(0, digits);
    if (!plain.empty()) plain += '.';
    plain += part;
    begin = end + 1;
  }
  return plain;
}

class Adder {
 public:
  Adder(const OnnxSource& source, const WantTensor& wanted, ModelFile::Contents& contents)
      : source_(source), wanted_(wanted), contents_(contents) {}

  void add(const std::vector<OnnxWeight>& weights) {
    for (const OnnxWeight& weight : weights) named_.emplace(weight.name, &weight);
    for (const OnnxWeight& weight : weights) add(weight);
  }

  void note(const std::vector<std::string>& nameless) {
    note("left out, for nothing in the graph says what they are", nameless);
    note("left out, for their types are not read here", unread_);
  }

 private:
  void add(const OnnxWeight& weight) {
    if (is_repeated(weight)) return;
    if (wanted_ && !wanted_(weight.name)) return;
    const OnnxType& type = type_of(*weight.tensor, source_.origin);
    const bool converted = !weight.scale.empty();
    if (!converted && !type.format) {
      if (wanted_) {
        fail("{}: tensor {} is stored as {}, which is not read here; export the model again as float32",
             source_.origin, weight.name, type.name);
      }
      unread_.push_back(fmt::format("{} ({})", weight.name, type.name));
      return;
    }
    Tensor tensor;
    tensor.name = weight.name;
    tensor.format = converted ? Format::kF32 : *type.format;
    tensor.shape = weight.shape();
    OnnxValues values = values_of(weight, source_);
    tensor.bytes = values.bytes;
    if (values.owned != nullptr) contents_.owned.push_back(std::move(values.owned));
    contents_.tensors.push_back(std::move(tensor));
    if (converted) contents_.metadata.set(std::string(kConvertedFrom), Value::of(std::string("int8")));
  }

  /// A module that is called several times, or shared by two, has a copy of its weight for each.
  bool is_repeated(const OnnxWeight& weight) const {
    const OnnxWeight& first = *named_.at(weight.name);
    if (&first != &weight) {
      if (same(first, weight)) return true;
      fail("{}: two different tensors would be called {}; export the model again", source_.origin,
           weight.name);
    }
    if (!weight.from_path) return false;
    const auto plain = named_.find(without_call_numbers(weight.name));
    return plain != named_.end() && plain->second != &weight && same(*plain->second, weight);
  }

  /// Whether two weights are copies of one. The quantiser leaves the copies of later calls as floats: then
  /// they are it to half a step.
  bool same(const OnnxWeight& first, const OnnxWeight& second) const {
    if (first.shape() != second.shape()) return false;
    const OnnxValues a = values_of(first, source_), b = values_of(second, source_);
    if (first.tensor->type == second.tensor->type)
      return std::equal(a.bytes.begin(), a.bytes.end(), b.bytes.begin(), b.bytes.end());
    constexpr int64_t kFloat = 1;
    if (first.scale.empty() || second.tensor->type != kFloat) return false;
    const auto scales = numbers_at(first.scale, first, source_);
    const float step = *std::max_element(scales.begin(), scales.end());
    std::vector<float> x(a.bytes.size() / sizeof(float)), y(x.size());
    decode_weights(Format::kF32, a.bytes, x);
    decode_weights(Format::kF32, b.bytes, y);
    return std::equal(x.begin(), x.end(), y.begin(),
                      [&](float left, float right) { return std::fabs(left - right) <= step; });
  }

  void note(std::string_view why, const std::vector<std::string>& names) {
    constexpr size_t kMost = 8;
    if (names.empty()) return;
    const std::span<const std::string> first(names.data(), std::min(names.size(), kMost));
    contents_.notes.push_back(fmt::format(
        "{}: {}{}", why, fmt::join(first, ", "),
        names.size() > kMost ? fmt::format(" and {} more", names.size() - kMost) : std::string()));
  }

  const OnnxSource& source_;
  const WantTensor& wanted_;
  ModelFile::Contents& contents_;
  std::map<std::string, const OnnxWeight*> named_;
  std::vector<std::string> unread_;
};

/// The files that hold the external data of one ONNX file, each mapped once.
class Neighbours {
 public:
  Neighbours(fs::path onnx, std::vector<MappedFile>& mappings)
      : onnx_(std::move(onnx)), mappings_(mappings) {}

  std::span<const std::byte> operator()(std::string_view location) {
    const auto known = bytes_.find(location);
    if (known != bytes_.end()) return known->second;
    const fs::path relative{location};
    const bool leads_out = relative.empty() || relative.is_absolute() ||
                           location.find_first_of("\\\n\r") != std::string_view::npos ||
                           std::find(relative.begin(), relative.end(), fs::path("..")) != relative.end();
    if (leads_out) {
      fail("{}: keeps weights in \"{}\", which does not lie in its folder; get the model again",
           onnx_.string(), location);
    }
    const fs::path path = onnx_.parent_path() / relative;
    std::error_code code;
    if (!fs::is_regular_file(path, code)) {
      fail("{}: keeps weights in {}, which is missing beside it; get that file too", onnx_.string(),
           location);
    }
    mappings_.emplace_back(path);
    bytes_.emplace(location, mappings_.back().bytes());
    return mappings_.back().bytes();
  }

 private:
  fs::path onnx_;
  std::vector<MappedFile>& mappings_;
  std::map<std::string, std::span<const std::byte>, std::less<>> bytes_;
};

}  // namespace

void read_onnx(const OnnxSource& source, const WantTensor& wanted, ModelFile::Contents& contents) {
  const OnnxModel model(source.bytes, source.origin);
  const OnnxNames names = name_weights(model, source.side);
  Adder adder(source, wanted, contents);
  adder.add(names.weights);
  adder.note(names.nameless);
}

std::vector<fs::path> onnx_files(const fs::path& path) {
  const std::string name = path.filename().string();
  const auto replaced = [](std::string text, std::string_view from, std::string_view to) {
    const size_t place = text.find(from);
    if (place != std::string::npos) text.replace(place, from.size(), to);
    return text;
  };
  std::error_code code;
  const auto partner = [&](const std::string& other) -> std::optional<fs::path> {
    const fs::path beside = path.parent_path() / other;
    return fs::is_regular_file(beside, code) ? std::optional(beside) : std::nullopt;
  };
  if (name.find("encoder") != std::string::npos) {
    const std::string decoder = replaced(name, "encoder", "decoder");
    for (const std::string& other : {decoder, replaced(decoder, "decoder_model", "decoder_model_merged")}) {
      if (const auto found = partner(other)) return {path, *found};
    }
  }
  if (name.find("decoder") != std::string::npos) {
    std::string encoder = replaced(name, "decoder", "encoder");
    for (const std::string_view ending : {"_merged", "_with_past"}) encoder = replaced(encoder, ending, "");
    if (const auto found = partner(encoder)) return {*found, path};
  }
  return {path};
}

void for_each_onnx_file(const fs::path& path, std::vector<MappedFile>& mappings,
                        const std::function<void(const OnnxSource& source)>& visit) {
  const auto files = onnx_files(path);
  for (size_t i = 0; i < files.size(); ++i) {
    MappedFile mapping(files[i]);
    Neighbours neighbours(files[i], mappings);
    OnnxSource source;
    source.bytes = mapping.bytes();
    source.origin = files[i].string();
    source.external = std::ref(neighbours);
    source.release = [&](std::span<const std::byte> bytes) {
      const auto whole = mapping.bytes();
      if (std::less_equal<>()(whole.data(), bytes.data()) &&
          std::less<>()(bytes.data(), whole.data() + whole.size()))
        mapping.release(bytes);
    };
    source.side = files.size() == 2 && i == 0 ? OnnxSide::kEncoder : OnnxSide::kWhole;
    visit(source);
    mappings.push_back(std::move(mapping));
  }
}

void add_onnx(const fs::path& path, const WantTensor& wanted, ModelFile::Contents& contents) {
  contents.kind = "onnx";
  for_each_onnx_file(path, contents.mappings, [&](const OnnxSource& source) {
    const size_t first = contents.tensors.size();
    read_onnx(source, wanted, contents);
    // What both hold, an embedding mostly, the first gives.
    const auto begin = contents.tensors.begin() + static_cast<std::ptrdiff_t>(first);
    const auto last = std::remove_if(begin, contents.tensors.end(), [&](const Tensor& tensor) {
      return std::any_of(contents.tensors.begin(), begin, [&](const Tensor& earlier) {
        return earlier.name == tensor.name && earlier.shape == tensor.shape &&
               earlier.format == tensor.format && std::ranges::equal(earlier.bytes, tensor.bytes);
      });
    });
    contents.tensors.erase(last, contents.tensors.end());
  });
  check_names(contents.tensors, path.string());
}

}  // namespace wattle::inline file
