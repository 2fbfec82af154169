#include "layers/weights.h"

#include <wattle/error.h>

#include "file/packed_file.h"
#include "tensor/panels.h"

namespace wattle::inline layers {

const Tensor& Weights::need(const std::string& name, std::initializer_list<int64_t> shape) const {
  return file_.need(name, std::span<const int64_t>(shape.begin(), shape.size()));
}

void Weights::count(const Tensor& tensor, size_t bytes) {
  if (counted_.insert(tensor.name).second) bytes_ += bytes;
}

PackedMatrix Weights::pack(std::span<const Tensor* const> tensors) {
  PackedMatrix packed;
  if (generate_) {
    std::vector<std::byte> bytes;
    int64_t rows = 0;
    for (const Tensor* tensor : tensors) {
      const std::vector<std::byte> part = generate_(*tensor);
      bytes.insert(bytes.end(), part.begin(), part.end());
      rows += tensor->rows();
    }
    packed = PackedMatrix::pack(tensors.front()->format, rows, tensors.front()->row_length(), bytes);
  } else if (tensors.front()->packed) {
    packed = map(tensors);
  } else if (tensors.size() == 1) {
    packed = PackedMatrix::pack(file_, *tensors.front());
  } else {
    packed = PackedMatrix::pack_together(file_, tensors);
  }
  for (const Tensor* tensor : tensors) {
    count(*tensor, row_bytes(tensor->format, static_cast<size_t>(tensor->row_length())) *
                       static_cast<size_t>(tensor->rows()));
  }
  if (activations(tensors.front()->format) == Activations::kW8A8) return packed.by_rows();
  return packed;
}

void Weights::check_panels(const Tensor& tensor) const {
  const auto version = file_.metadata().integer(kPackedVersion);
  if (version != kPanelVersion ||
      !packs_in_place(panel_layout(tensor.format), tensor.rows(), tensor.row_length())) {
    fail("{}: was packed by another version of this program; pack it again with `wattle convert --packed`",
         file_.path().string());
  }
}

PackedMatrix Weights::map(std::span<const Tensor* const> tensors) {
  std::vector<std::span<const std::byte>> panels;
  int64_t rows = 0;
  for (const Tensor* tensor : tensors) {
    check_panels(*tensor);
    panels.push_back(tensor->bytes);
    rows += tensor->rows();
  }
  return PackedMatrix::map(tensors.front()->format, rows, tensors.front()->row_length(), panels);
}

void Weights::decode_into(const Tensor& tensor, std::span<float> values) {
  if (generate_) {
    decode_weights(tensor.format, generate_(tensor), values);
  } else if (tensor.packed) {
    check_panels(tensor);
    std::vector<std::byte> rows(tensor.bytes.size());
    const PanelLayout layout = panel_layout(tensor.format);
    const auto panel = static_cast<size_t>(layout.panel_bytes(tensor.row_length()));
    for (size_t at = 0; at < rows.size(); at += panel)
      unpack_panel(layout, tensor.row_length(), tensor.bytes.data() + at, PanelLayout::kRows,
                   rows.data() + at);
    decode_weights(tensor.format, rows, values);
  } else {
    decode_weights(tensor.format, tensor.bytes, values);
    file_.release(tensor.bytes);
  }
  count(tensor, values.size_bytes());
}

std::vector<float> Weights::vector(const std::string& name, int64_t length) {
  const Tensor& whole = file_.need(name);
  const Tensor& tensor = whole.elements() == length ? whole : need(name, {length});
  std::vector<float> values(static_cast<size_t>(length));
  decode_into(tensor, values);
  return values;
}

Matrix Weights::values(const std::string& name, int64_t rows, int64_t columns) {
  const Tensor& tensor = need(name, {rows, columns});
  Matrix values(rows, columns);
  decode_into(tensor, {values.data(), static_cast<size_t>(rows * columns)});
  return values;
}

Tensor Weights::table(const std::string& name, int64_t rows, int64_t columns) {
  Tensor tensor = need(name, {rows, columns});
  if (tensor.packed) check_panels(tensor);
  if (generate_) {
    tables_.push_back(generate_(tensor));
    tensor.bytes = tables_.back();
  }
  count(tensor, tensor.bytes.size());
  return tensor;
}

Activations Weights::activations(Format format) const {
  const Activations usual = default_activations(format);
  if (activations_ == Activations::kW8A8) return Activations::kW8A8;
  return usual == Activations::kBlock32 ? activations_.value_or(usual) : usual;
}

}  // namespace wattle::inline layers
