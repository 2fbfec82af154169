#pragma once

#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <wattle/error.h>

#include "file/onnx.h"
#include "file/readers.h"

namespace wattle::samples {

/// Appends numbers as the formats store them, little-endian.
class Bytes {
 public:
  template <typename T>
  Bytes& put(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Bytes& text(std::string_view text) { return text_ += text, *this; }
  /// A GGUF string: its length, then itself.
  Bytes& string(std::string_view text) { return put(uint64_t{text.size()}).text(text); }
  Bytes& pad(size_t alignment) {
    while (text_.size() % alignment != 0) text_ += '\0';
    return *this;
  }
  const std::string& str() const { return text_; }

 private:
  std::string text_;
};

/// What a GGUF file says of itself and of its one tensor; the defaults make a valid file.
struct Gguf {
  uint32_t magic = 0x46554747, version = 3;
  uint64_t tensors = 1, keys = 2;
  std::string second_key = "general.alignment";
  uint32_t second_type = 4;
  std::string second_value = Bytes().put(uint32_t{32}).str();
  std::string name = "matrix";
  uint32_t dimensions = 2;
  std::vector<uint64_t> shape = {4, 2};
  uint32_t type = 0;
  uint64_t offset = 0;
  std::string more_tensors;
  size_t data = 32;

  std::string bytes() const {
    Bytes out;
    out.put(magic).put(version).put(tensors).put(keys);
    out.string("general.architecture").put(uint32_t{8}).string("test");
    out.string(second_key).put(second_type).text(second_value);
    out.string(name).put(dimensions);
    for (const uint64_t dimension : shape) out.put(dimension);
    out.put(type).put(offset).text(more_tensors).pad(32);
    for (size_t i = 0; i < data; ++i) out.put(static_cast<uint8_t>(i));
    return out.str();
  }
  /// The description of another tensor of one row of eight F32.
  static std::string another(std::string_view name, uint64_t offset) {
    return Bytes().string(name).put(uint32_t{1}).put(uint64_t{8}).put(uint32_t{0}).put(offset).str();
  }
};

inline std::string safetensors(std::string_view header, size_t data_bytes) {
  return Bytes().put(uint64_t{header.size()}).text(header).text(std::string(data_bytes, '\1')).str();
}
inline std::string safetensors() {
  return safetensors(
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},)"
      R"("b":{"dtype":"BF16","shape":[3],"data_offsets":[16,22]}})",
      22);
}

inline std::string golden(const std::string& name) {
  std::ifstream file(std::string(WATTLE_SOURCE_DIR) + "/tests/golden/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Bytes in memory of exactly their size, so that a sanitizer sees every step beyond.
inline std::vector<std::byte> to_bytes(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

/// Appends fields of a protocol buffer message.
class Proto {
 public:
  Proto& varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) text_ += static_cast<char>(value | 0x80);
    text_ += static_cast<char>(value);
    return *this;
  }
  Proto& number(uint64_t field, uint64_t value) { return varint(field << 3).varint(value); }
  Proto& bytes(uint64_t field, std::string_view value) {
    varint(field << 3 | 2).varint(value.size());
    text_ += value;
    return *this;
  }
  const std::string& str() const { return text_; }

 private:
  std::string text_;
};

/// An ONNX model of one MatMul whose weight [3, 2] only the node names; the defaults make a valid file.
struct Onnx {
  std::vector<uint64_t> shape = {3, 2};
  uint64_t type = 1;  ///< float
  std::string name = "onnx::MatMul_1", op = "MatMul", domain, path = "/layer/MatMul";
  std::string data = std::string(24, '\1');
  std::string more_tensor, more_graph;

  std::string tensor() const {
    Proto out;
    for (const uint64_t dimension : shape) out.number(1, dimension);
    return out.number(2, type).bytes(8, name).bytes(9, data).str() + more_tensor;
  }
  std::string node(std::string_view input, std::string_view output) const {
    return Proto()
        .bytes(1, input)
        .bytes(1, name)
        .bytes(2, output)
        .bytes(3, path)
        .bytes(4, op)
        .bytes(7, domain)
        .str();
  }
  std::string graph() const { return Proto().bytes(1, node("x", "y")).bytes(5, tensor()).str() + more_graph; }
  std::string bytes() const { return Proto().number(1, 8).bytes(7, graph()).str(); }
};

enum class Kind { kGguf, kSafetensors, kPickle, kOnnx };

/// Reads a file of this kind from memory and decodes every tensor.
inline ModelFile read(Kind kind, const std::vector<std::byte>& bytes) {
  ModelFile::Contents contents;
  if (kind == Kind::kGguf) contents = read_gguf(bytes, "sample");
  if (kind == Kind::kSafetensors) contents.tensors = read_safetensors(bytes, "sample");
  if (kind == Kind::kPickle) read_pickle(bytes, "sample", {}, contents);
  if (kind == Kind::kOnnx) {
    OnnxSource source{bytes, "sample", {}, {}};
    source.external = [](std::string_view) -> std::span<const std::byte> {
      fail("sample: another file is missing");
    };
    read_onnx(source, {}, contents);
    check_names(contents.tensors, "sample");
  }
  ModelFile file(std::move(contents));
  for (const Tensor& tensor : file.tensors()) {
    if (tensor.elements() <= 1 << 20) (void)file.decoded(tensor);
  }
  return file;
}

}  // namespace wattle::samples
