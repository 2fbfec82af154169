#include "file/gguf_writer.h"

#include <array>
#include <unordered_set>

#include <wattle/error.h>

#include "base/interrupt.h"
#include "base/output_file.h"
#include "file/readers.h"

namespace wattle::inline file {
namespace {

constexpr size_t kNameBytes = 64;  // llama.cpp keeps names in 64 bytes, the terminator included

class GgufOutput {
 public:
  explicit GgufOutput(const std::filesystem::path& path) : file_(path) {}

  template <typename T>
  requires std::is_arithmetic_v<T>
  void put(T value) { file_.write(std::as_bytes(std::span(&value, 1))); }
  void put(const std::string& text) {
    put(static_cast<uint64_t>(text.size()));
    file_.write(text);
  }
  void put(const Value& value) {
    put(static_cast<uint32_t>(value.type));
    if (const auto* scalar = std::get_if<Value::Scalar>(&value.data)) {
      std::visit([&](const auto& held) { put_as(value.type, held); }, *scalar);
      return;
    }
    put(static_cast<uint32_t>(value.element_type));
    std::visit(
        [&](const auto& items) {
          put(static_cast<uint64_t>(items.size()));
          for (const auto& item : items) put_as(value.element_type, item);
        },
        std::get<Value::Array>(value.data));
  }
  void pad(size_t alignment) {
    constexpr std::array<std::byte, 64> kZeros{};
    for (size_t left = (alignment - file_.position() % alignment) % alignment; left > 0;) {
      const size_t count = std::min(left, kZeros.size());
      file_.write(std::span(kZeros).first(count));
      left -= count;
    }
  }
  OutputFile& file() { return file_; }

 private:
  void put_as(ValueType, const std::string& text) { put(text); }
  void put_as(ValueType, bool flag) { put(static_cast<uint8_t>(flag)); }
  void put_as(ValueType type, double number) {
    if (type == ValueType::kF64) {
      put(number);
    } else {
      put(static_cast<float>(number));
    }
  }
  void put_as(ValueType type, int64_t number) {
    switch (type) {
      case ValueType::kU8:
      case ValueType::kI8:
        return put(static_cast<int8_t>(number));
      case ValueType::kU16:
      case ValueType::kI16:
        return put(static_cast<int16_t>(number));
      case ValueType::kU32:
      case ValueType::kI32:
        return put(static_cast<int32_t>(number));
      default:
        return put(number);
    }
  }

  OutputFile file_;
};

size_t alignment_of(const Metadata& metadata) {
  const int64_t alignment = metadata.integer("general.alignment").value_or(32);
  if (alignment < 8 || (alignment & (alignment - 1)) != 0) {
    fail("{}: general.alignment is {} and not a power of two from 8 up; set it to 32", metadata.origin(),
         alignment);
  }
  return static_cast<size_t>(alignment);
}

/// Bytes of each tensor; Error for what a GGUF file cannot hold.
std::vector<size_t> checked_sizes(const std::string& path, const std::vector<TensorToWrite>& tensors) {
  std::vector<size_t> sizes;
  std::unordered_set<std::string> names;
  for (const TensorToWrite& tensor : tensors) {
    if (tensor.name.size() >= kNameBytes) {
      fail("{}: the name of tensor {} is longer than the 63 bytes that a GGUF file allows; rename it", path,
           tensor.name);
    }
    if (tensor.shape.size() > 4) {
      fail("{}: tensor {} has {} dimensions and a GGUF file allows 4; reshape it", path, tensor.name,
           tensor.shape.size());
    }
    if (!names.insert(tensor.name).second)
      fail("{}: tensor {} is given twice; leave one out", path, tensor.name);
    sizes.push_back(checked_bytes(tensor.format, tensor.shape, path, tensor.name));
  }
  return sizes;
}

}  // namespace

void write_gguf(const std::filesystem::path& path, const Metadata& metadata,
                const std::vector<TensorToWrite>& tensors,
                const std::function<void(size_t done, size_t total)>& progress) {
  const std::vector<size_t> sizes = checked_sizes(path.string(), tensors);
  const size_t alignment = alignment_of(metadata);
  const auto padded = [&](size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; };

  GgufOutput out(path);
  out.file().write("GGUF");
  out.put(uint32_t{3});
  out.put(static_cast<uint64_t>(tensors.size()));
  out.put(static_cast<uint64_t>(metadata.entries().size()));
  for (const auto& [key, value] : metadata.entries()) {
    out.put(key);
    out.put(value);
  }
  size_t offset = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    // A single number has no dimension in PyTorch and one of length 1 here.
    const std::vector<int64_t>& shape = tensors[i].shape.empty() ? std::vector<int64_t>{1} : tensors[i].shape;
    out.put(tensors[i].name);
    out.put(static_cast<uint32_t>(shape.size()));
    for (auto dimension = shape.rbegin(); dimension != shape.rend(); ++dimension) out.put(*dimension);
    out.put(static_cast<uint32_t>(tensors[i].format));
    out.put(static_cast<uint64_t>(offset));
    offset += padded(sizes[i]);
  }
  out.pad(alignment);
  const size_t total = out.file().position() + offset;
  for (size_t i = 0; i < tensors.size(); ++i) {
    throw_if_interrupted();
    const std::vector<std::byte> bytes = tensors[i].bytes();
    if (bytes.size() != sizes[i]) {
      fail("{}: tensor {} came with {} bytes instead of {}; report this as a defect", path.string(),
           tensors[i].name, bytes.size(), sizes[i]);
    }
    out.file().write(bytes);
    out.pad(alignment);
    if (progress) progress(out.file().position(), total);
  }
  out.file().commit();
}

}  // namespace wattle::inline file
