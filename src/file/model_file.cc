#include "file/model_file.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <unordered_set>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "file/file_kind.h"
#include "file/readers.h"

namespace wattle::inline file {

int64_t Tensor::elements() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

int64_t checked_elements(std::span<const int64_t> shape, const std::string& origin, std::string_view tensor) {
  // A zero dimension makes an empty tensor, but the others must not overflow on the way there either.
  int64_t elements = 1;
  bool empty = false;
  for (const int64_t dimension : shape) {
    empty = empty || dimension == 0;
    if (dimension < 0 || (dimension > 0 && elements > std::numeric_limits<int64_t>::max() / 8 / dimension)) {
      fail("{}: tensor {} has the impossible shape [{}]; the file is corrupt, get it again", origin, tensor,
           fmt::join(shape, ", "));
    }
    elements *= std::max<int64_t>(dimension, 1);
  }
  return empty ? 0 : elements;
}

size_t checked_bytes(Format format, std::span<const int64_t> shape, const std::string& origin,
                     std::string_view tensor) {
  const auto elements = static_cast<uint64_t>(checked_elements(shape, origin, tensor));
  const FormatInfo& stored = info(format);
  const auto row = static_cast<uint64_t>(shape.empty() ? 1 : shape.back());
  if (row % stored.block_weights != 0) {
    fail(
        "{}: tensor {} has rows of {} values, which {} cannot store in blocks of {}; the file is corrupt, "
        "get it again",
        origin, tensor, row, stored.name, stored.block_weights);
  }
  const uint64_t bytes =
      elements / stored.block_weights * stored.block_bytes;  // at most 8 a weight: no overflow
  if (bytes > std::numeric_limits<size_t>::max()) {
    fail("{}: tensor {} has {} bytes, more than this machine can address; use a smaller model", origin,
         tensor, bytes);
  }
  return static_cast<size_t>(bytes);
}

void check_names(const std::vector<Tensor>& tensors, const std::string& origin) {
  std::unordered_set<std::string_view> names;
  for (const Tensor& tensor : tensors) {
    if (!names.insert(tensor.name).second) {
      fail("{}: tensor {} is there twice; the file is corrupt, get it again", origin, tensor.name);
    }
  }
}

void check_tensors(const std::vector<Tensor>& tensors, const std::string& origin) {
  check_names(tensors, origin);
  std::vector<const Tensor*> order;
  for (const Tensor& tensor : tensors) {
    if (!tensor.bytes.empty()) order.push_back(&tensor);
  }
  std::sort(order.begin(), order.end(),
            [](const Tensor* a, const Tensor* b) { return std::less<>()(a->bytes.data(), b->bytes.data()); });
  for (size_t i = 1; i < order.size(); ++i) {
    if (std::less<>()(order[i]->bytes.data(), order[i - 1]->bytes.data() + order[i - 1]->bytes.size())) {
      fail("{}: tensors {} and {} overlap; the file is corrupt, get it again", origin, order[i - 1]->name,
           order[i]->name);
    }
  }
}

ModelFile::ModelFile(Contents contents)
    : path_(std::move(contents.path)),
      kind_(std::move(contents.kind)),
      metadata_(std::move(contents.metadata)),
      tensors_(std::move(contents.tensors)),
      mappings_(std::move(contents.mappings)),
      owned_(std::move(contents.owned)),
      notes_(std::move(contents.notes)) {
  for (size_t i = 0; i < tensors_.size(); ++i) index_.emplace(tensors_[i].name, i);
}

ModelFile ModelFile::open(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  std::error_code code;
  if (fs::is_directory(path, code)) fail("{}: is a folder; give a model file", path.string());
  Contents contents;
  if (kind_of_file(path) == FileKind::kGguf) {
    contents = open_gguf(path);
  } else {
    contents.metadata = Metadata(path.string());
    add_weights(path, {}, contents);
  }
  contents.path = path;
  return ModelFile(std::move(contents));
}

const Tensor* ModelFile::find(std::string_view name) const {
  const auto place = index_.find(std::string(name));
  return place == index_.end() ? nullptr : &tensors_[place->second];
}

const Tensor& ModelFile::need(std::string_view name) const {
  const Tensor* tensor = find(name);
  if (tensor == nullptr) {
    fail("{}: the tensor {} is missing; the file is incomplete or of another family, get or convert it again",
         path_.string(), name);
  }
  return *tensor;
}

const Tensor& ModelFile::need(std::string_view name, std::span<const int64_t> shape) const {
  const Tensor& tensor = need(name);
  if (!std::equal(shape.begin(), shape.end(), tensor.shape.begin(), tensor.shape.end())) {
    fail("{}: tensor {} has the shape [{}] and the metadata ask for [{}]; get or convert the model again",
         path_.string(), name, fmt::join(tensor.shape, ", "), fmt::join(shape, ", "));
  }
  return tensor;
}

std::vector<float> ModelFile::decoded(const Tensor& tensor) const {
  if (tensor.packed) {
    fail("{}: tensor {} is packed for running; read it from the file that this one was converted from",
         path_.string(), tensor.name);
  }
  std::vector<float> values(static_cast<size_t>(tensor.elements()));
  decode_weights(tensor.format, tensor.bytes, values);
  return values;
}

const MappedFile* ModelFile::mapping_of(std::span<const std::byte> bytes) const {
  for (const MappedFile& mapping : mappings_) {
    const auto whole = mapping.bytes();
    if (std::less_equal<>()(whole.data(), bytes.data()) &&
        std::less<>()(bytes.data(), whole.data() + whole.size()))
      return &mapping;
  }
  return nullptr;
}

std::span<const std::byte> ModelFile::read(const Tensor& tensor, size_t offset, size_t size,
                                           std::vector<std::byte>& buffer) const {
  const auto bytes = tensor.bytes.subspan(offset, size);
  const MappedFile* mapping = mapping_of(bytes);
  if (mapping == nullptr) return bytes;
  buffer.resize(size);
  mapping->read(bytes, buffer);
  return buffer;
}

void ModelFile::release(std::span<const std::byte> bytes) const {
  if (const MappedFile* mapping = mapping_of(bytes)) mapping->release(bytes);
}

void ModelFile::release() const {
  for (const MappedFile& mapping : mappings_) mapping.release(mapping.bytes());
}

double bits_per_weight(const ModelFile& file) {
  double bits = 0;
  double weights = 0;
  for (const Tensor& tensor : file.tensors()) {
    // By format, since the tensors of a shape have no bytes yet.
    bits += bits_per_weight(tensor.format) * static_cast<double>(tensor.elements());
    weights += static_cast<double>(tensor.elements());
  }
  return weights == 0 ? 0 : bits / weights;
}

}  // namespace wattle::inline file
