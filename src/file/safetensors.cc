#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "file/byte_reader.h"
#include "file/readers.h"

namespace wattle::inline file {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit

struct Dtype {
  std::string_view name;
  Format format;
};
constexpr std::array<Dtype, 8> kDtypes{{{"F32", Format::kF32},
                                        {"F16", Format::kF16},
                                        {"BF16", Format::kBF16},
                                        {"F64", Format::kF64},
                                        {"I8", Format::kI8},
                                        {"I16", Format::kI16},
                                        {"I32", Format::kI32},
                                        {"I64", Format::kI64}}};

Format format_of(const std::string& dtype, const std::string& origin, const std::string& tensor) {
  for (const Dtype& known : kDtypes) {
    if (known.name == dtype) return known.format;
  }
  fail("{}: tensor {} is stored as {}, which is not read here; save the model as F32, F16 or BF16", origin,
       tensor, dtype);
}

/// A list of non-negative integers of the header.
std::vector<int64_t> counts(const json* list, const std::string& origin, const std::string& tensor,
                            std::string_view what) {
  std::vector<int64_t> values;
  const bool is_list = list != nullptr && list->is_array();
  for (size_t i = 0; is_list && i < list->size(); ++i) {
    const json& item = (*list)[i];
    if (!item.is_number_unsigned() || item.get<uint64_t>() > uint64_t{INT64_MAX}) break;
    values.push_back(item.get<int64_t>());
  }
  if (!is_list || values.size() != list->size()) {
    fail("{}: {} of tensor {} is not a list of counts; the file is corrupt, get it again", origin, what,
         tensor);
  }
  return values;
}

Tensor read_tensor(const std::string& name, const json& value, std::span<const std::byte> data,
                   const std::string& origin) {
  const JsonView entry(&value, origin);
  Tensor tensor;
  tensor.name = name;
  tensor.format = format_of(entry.text("dtype").value_or("nothing"), origin, name);
  tensor.shape = counts(entry.find("shape"), origin, name, "the shape");
  const auto offsets = counts(entry.find("data_offsets"), origin, name, "data_offsets");
  const size_t size = checked_bytes(tensor.format, tensor.shape, origin, name);
  if (offsets.size() != 2 || offsets[0] > offsets[1] || static_cast<uint64_t>(offsets[1]) > data.size()) {
    fail(
        "{}: data_offsets of tensor {} do not lie in the {} bytes of data; the file is cut or corrupt, get "
        "it again",
        origin, name, data.size());
  }
  if (static_cast<uint64_t>(offsets[1] - offsets[0]) != size) {
    fail("{}: tensor {} has {} bytes where its shape and type need {}; the file is corrupt, get it again",
         origin, name, offsets[1] - offsets[0], size);
  }
  tensor.bytes = data.subspan(static_cast<size_t>(offsets[0]), size);
  return tensor;
}

}  // namespace

std::vector<Tensor> read_safetensors(std::span<const std::byte> bytes, const std::string& origin,
                                     const WantTensor& wanted) {
  ByteReader reader(bytes, origin);
  const auto header_bytes = reader.read<uint64_t>("the header's length");
  if (header_bytes > kMaxHeaderBytes) {
    fail("{}: the header would be {} bytes long; this is no safetensors file, or a corrupt one: get it again",
         origin, header_bytes);
  }
  const json header = parse_json(reader.text(header_bytes, "the header"), origin, true);
  if (!header.is_object())
    fail("{}: the header is not a JSON object; the file is corrupt, get it again", origin);
  const auto data = reader.take(reader.remaining(), "the data");
  std::vector<Tensor> tensors;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__" || (wanted && !wanted(name))) continue;
    tensors.push_back(read_tensor(name, entry, data, origin));
  }
  check_tensors(tensors, origin);
  // JSON objects have no order; the file's is the one that reads sequentially.
  std::stable_sort(tensors.begin(), tensors.end(), [](const Tensor& a, const Tensor& b) {
    return std::less<>()(a.bytes.data(), b.bytes.data());
  });
  return tensors;
}

}  // namespace wattle::inline file
