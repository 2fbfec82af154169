#include "models/convert.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "base/threads.h"
#include "families/family.h"
#include "file/gguf_writer.h"
#include "file/packed_file.h"
#include "tensor/panels.h"

namespace wattle::inline models {
namespace {

constexpr std::array<Format, 14> kWritten = {Format::kF32,  Format::kBF16, Format::kF16,  Format::kQ8_0,
                                             Format::kQ6_K, Format::kQ5_1, Format::kQ5_K, Format::kQ5_0,
                                             Format::kQ4_1, Format::kQ4_K, Format::kQ4_0, Format::kIQ4_NL,
                                             Format::kQ3_K, Format::kQ2_K};

/// general.file_type, as llama.cpp numbers and names mixtures of formats; the first name of a format is that
/// of a file with that format alone.
struct FileType {
  int64_t id;
  std::string_view name;
  Format format;
};
constexpr FileType kFileTypes[] = {
    {0, "F32", Format::kF32},        {1, "F16", Format::kF16},      {2, "Q4_0", Format::kQ4_0},
    {3, "Q4_1", Format::kQ4_1},      {7, "Q8_0", Format::kQ8_0},    {8, "Q5_0", Format::kQ5_0},
    {9, "Q5_1", Format::kQ5_1},      {10, "Q2_K", Format::kQ2_K},   {11, "Q3_K_S", Format::kQ3_K},
    {12, "Q3_K_M", Format::kQ3_K},   {13, "Q3_K_L", Format::kQ3_K}, {14, "Q4_K_S", Format::kQ4_K},
    {15, "Q4_K_M", Format::kQ4_K},   {16, "Q5_K_S", Format::kQ5_K}, {17, "Q5_K_M", Format::kQ5_K},
    {18, "Q6_K", Format::kQ6_K},     {21, "Q2_K_S", Format::kQ2_K}, {25, "IQ4_NL", Format::kIQ4_NL},
    {30, "IQ4_XS", Format::kIQ4_XS}, {32, "BF16", Format::kBF16}};

constexpr std::string_view kFileTypeKey = "general.file_type";
constexpr std::string_view kConvertedFromKey = "wattle.converted_from";
constexpr std::string_view kPrecisionKey = "wattle.precision";

bool is_integer(Format format) {
  return format == Format::kI8 || format == Format::kI16 || format == Format::kI32 || format == Format::kI64;
}

bool is_quantised(Format format) {
  return info(format).block_weights > 1;
}

/// Whether products read it: the matrix of a linear layer, of the output or of the token embedding.
bool is_matrix(const Tensor& tensor, Role role) {
  return !is_integer(tensor.format) &&
         (role == Role::kLinear || role == Role::kOutput || role == Role::kEmbedding);
}

/// The format of most weights of matrices.
Format main_format(const ModelFile& file) {
  std::map<Format, int64_t> weights;
  for (const Tensor& tensor : file.tensors()) {
    if (tensor.shape.size() >= 2) weights[tensor.format] += tensor.elements();
  }
  const auto most = std::max_element(weights.begin(), weights.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == weights.end() ? Format::kF32 : most->first;
}

/// Formats that the weights went through before, this file's own included.
std::string history(const ModelFile& file) {
  std::string before = file.metadata().text(kConvertedFromKey).value_or("");
  const auto quantised = [](const Tensor& tensor) { return is_quantised(tensor.format); };
  if (std::none_of(file.tensors().begin(), file.tensors().end(), quantised)) return before;
  return before.empty() ? precision_name(file) : before + ", " + precision_name(file);
}

void set_precision(Metadata& metadata, const ModelFile& file, const Precision& precision,
                   const Conversion& conversion) {
  if (precision.weights()) {
    const auto type = std::find_if(std::begin(kFileTypes), std::end(kFileTypes), [&](const FileType& known) {
      return known.format == precision.weights();
    });
    metadata.set(std::string(kFileTypeKey), Value::of(type->id));
  }
  if (std::ranges::any_of(conversion.tensors, [](const auto& tensor) { return is_quantised(tensor.to); }) ||
      (precision.weights() && is_quantised(*precision.weights()))) {
    metadata.set("general.quantization_version", Value::of(int64_t{2}));
  } else {
    metadata.erase("general.quantization_version");
  }
  if (precision.items().empty()) {
    metadata.erase(std::string(kPrecisionKey));
  } else {
    metadata.set(std::string(kPrecisionKey), Value::of(precision.of_weights().name(precision_name(file))));
  }
}

Metadata metadata_for(const ModelFile& file, const Precision& precision, const Conversion& conversion,
                      const ConvertOptions& options) {
  Metadata metadata = file.metadata();
  if (precision.changes_weights()) set_precision(metadata, file, precision, conversion);
  if (!conversion.converted_from.empty()) {
    metadata.set(std::string(kConvertedFromKey), Value::of(conversion.converted_from));
  }
  if (!options.calibration.empty()) metadata.set("wattle.calibration", Value::of(options.calibration));
  return metadata;
}

/// The tensor's bytes in format `to`, rows shared out among the threads.
std::vector<std::byte> encoded(const ModelFile& file, const Tensor& tensor, Format to,
                               const ConvertOptions& options) {
  if (to == tensor.format) {
    std::vector<std::byte> copy(tensor.bytes.begin(), tensor.bytes.end());
    file.release(tensor.bytes);
    return copy;
  }
  const auto row = static_cast<size_t>(tensor.row_length());
  const size_t from_bytes = row_bytes(tensor.format, row), to_bytes = row_bytes(to, row);
  const std::span<const float> importance =
      options.importance ? options.importance(tensor) : std::span<const float>();
  std::vector<std::byte> bytes(static_cast<size_t>(tensor.rows()) * to_bytes);
  std::atomic<bool> finite{true};
  for_each_range(tensor.rows(), true, [&](IndexRange rows) {
    std::vector<float> weights(row);
    for (int64_t i = rows.begin; i < rows.end; ++i) {
      const auto index = static_cast<size_t>(i);
      decode_weights(tensor.format, tensor.bytes.subspan(index * from_bytes, from_bytes), weights);
      if (!std::all_of(weights.begin(), weights.end(), [](float weight) { return std::isfinite(weight); })) {
        finite = false;
      }
      info(to).encode(weights, importance, std::span(bytes).subspan(index * to_bytes, to_bytes));
    }
  });
  if (!finite) {
    fail(
        "{}: tensor {} holds a weight that is not a finite number, which {} cannot store; get the model "
        "again",
        file.path().string(), tensor.name, info(to).name);
  }
  file.release(tensor.bytes);
  return bytes;
}

/// The order of the description, in which matrices that are packed together follow each other.
void order_for_packing(const Description& description, std::vector<const Tensor*>& tensors) {
  std::unordered_map<std::string_view, size_t> places;
  for (const TensorSpec& spec : description.tensors()) places.emplace(spec.name, places.size());
  std::ranges::stable_sort(tensors, {}, [&](const Tensor* tensor) { return places.at(tensor->name); });
}

/// [rows, k] of `format`, as panels.
std::vector<std::byte> panels_of(const std::vector<std::byte>& rows, Format format, int64_t k) {
  const PanelLayout layout = panel_layout(format);
  const auto panel_bytes = static_cast<size_t>(layout.panel_bytes(k));
  std::vector<std::byte> panels(rows.size());
  for_each_index(static_cast<int64_t>(rows.size() / panel_bytes), true, [&](int64_t panel) {
    const size_t at = static_cast<size_t>(panel) * panel_bytes;
    pack_panel(layout, k, rows.data() + at, PanelLayout::kRows, panels.data() + at);
  });
  return panels;
}

void mark_packed(Metadata& metadata, std::vector<std::string> names) {
  metadata.set(std::string(kPackedTrueArchitecture), Value::of(metadata.need_text("general.architecture")));
  metadata.set("general.architecture", Value::of(std::string(kPackedArchitecture)));
  metadata.set("general.alignment", Value::of(int64_t{64}));
  metadata.set(std::string(kPackedVersion), Value::of(int64_t{kPanelVersion}));
  metadata.set(std::string(kPackedTensors), Value::of(std::move(names)));
}

void check_written(Format wanted) {
  if (std::find(kWritten.begin(), kWritten.end(), wanted) != kWritten.end()) return;
  std::vector<std::string_view> names;
  for (const Format format : kWritten) names.push_back(info(format).name);
  fail("{}: is not a format to convert to; choose one of {}", info(wanted).name, fmt::join(names, ", "));
}

void check_target(const ModelFile& file, const std::filesystem::path& path, const Precision& precision) {
  if (file.metadata().find(kPackedTensors) != nullptr) {
    fail("{}: is packed for running and cannot be converted; convert the file that it was made from",
         file.path().string());
  }
  if (precision.weights()) check_written(*precision.weights());
  for (const Precision::Item& item : precision.items()) check_written(item.format);
  std::error_code ignored;
  if (std::filesystem::equivalent(file.path(), path, ignored)) {
    fail("{}: is the model that is being read; give the converted file another name", path.string());
  }
  if (file.tensors().empty()) fail("{}: holds no tensors; give a file of weights", file.path().string());
}

}  // namespace

std::span<const Format> written_formats() {
  return kWritten;
}

Role role_of(const Tensor& tensor, const Description& description) {
  const TensorSpec* spec = description.find(tensor.name);
  if (spec == nullptr)
    fail("the tensor {} has no place in a model of its family; use the published files of the model",
         tensor.name);
  return spec->role;
}

TensorFormat format_for(const Tensor& tensor, const Description& description, const Precision& precision) {
  if (is_integer(tensor.format)) return {tensor.format};
  return precision.format_for(role_of(tensor, description), tensor.name, tensor.row_length())
      .value_or(TensorFormat{tensor.format});
}

std::vector<std::string> unused_roles(const Precision& precision, std::span<const Tensor> tensors,
                                      const Description& description, const std::string& origin) {
  std::vector<std::string> unused;
  for (const Precision::Item& item : precision.items()) {
    const bool used = std::ranges::any_of(tensors, [&](const Tensor& tensor) {
      return !is_integer(tensor.format) &&
             Precision::reaches(item, role_of(tensor, description), tensor.name);
    });
    if (used) continue;
    if (!item.role) {
      fail("{}: has no weight called {}, for which {} asks; name a role or one of its tensors", origin,
           item.name, precision.name());
    }
    unused.push_back(item.name);
  }
  return unused;
}

std::vector<std::string> unused_roles(const Precision& precision, const ModelFile& file,
                                      const std::string& origin) {
  return unused_roles(precision, file.tensors(), describe(file.metadata()), origin);
}

std::string precision_name(const ModelFile& file) {
  if (const auto precision = file.metadata().text(kPrecisionKey)) return *precision;
  if (const auto id = file.metadata().integer(kFileTypeKey)) {
    for (const FileType& known : kFileTypes) {
      if (known.id == *id) return std::string(known.name);
    }
  }
  return std::string(info(main_format(file)).name);
}

Conversion convert(const ModelFile& file, const std::filesystem::path& path, const Precision& precision,
                   const ConvertOptions& options) {
  check_target(file, path, precision);
  const Description description = describe(file.metadata());
  check_tensors(file, description);
  Conversion conversion;
  conversion.unused = unused_roles(precision, file.tensors(), description, file.path().string());
  conversion.converted_from =
      precision.changes_weights() ? history(file) : file.metadata().text(kConvertedFromKey).value_or("");
  std::vector<const Tensor*> order;
  for (const Tensor& tensor : file.tensors()) order.push_back(&tensor);
  if (options.packed) order_for_packing(description, order);
  std::vector<TensorToWrite> tensors;
  std::vector<std::string> packed;
  int64_t weights = 0;
  for (const Tensor* tensor : order) {
    const auto [to, fell_back] = format_for(*tensor, description, precision);
    const int64_t row = tensor->row_length();
    const bool in_panels = options.packed && is_matrix(*tensor, role_of(*tensor, description)) &&
                           packs_in_place(panel_layout(to), tensor->rows(), row);
    if (in_panels) packed.push_back(tensor->name);
    conversion.tensors.push_back({tensor->name, tensor->format, to, tensor->elements(), fell_back});
    conversion.tensor_bytes += static_cast<size_t>(tensor->rows()) * row_bytes(to, static_cast<size_t>(row));
    weights += tensor->elements();
    tensors.push_back({tensor->name, to, tensor->shape, [&file, tensor, to = to, row, in_panels, &options] {
                         auto bytes = encoded(file, *tensor, to, options);
                         return in_panels ? panels_of(bytes, to, row) : bytes;
                       }});
  }
  conversion.bits_per_weight =
      weights == 0 ? 0 : 8.0 * static_cast<double>(conversion.tensor_bytes) / static_cast<double>(weights);
  Metadata metadata = metadata_for(file, precision, conversion, options);
  if (options.packed) mark_packed(metadata, std::move(packed));
  write_gguf(path, metadata, tensors, options.progress);
  return conversion;
}

}  // namespace wattle::inline models
