#include "layers/linear.h"

#include <algorithm>

#include "base/operation_times.h"
#include "base/threads.h"

namespace wattle::inline layers {
void LayerInput::set(ConstMatrixView x) {
  x_ = x;
  ready_.fill(false);
}

const PackedActivations& LayerInput::as(Activations kind, uint32_t sums) {
  const auto index = static_cast<size_t>(kind);
  PackedActivations& packed = packed_[index];
  const uint32_t held = ready_[index] ? packed.sums() : 0u;
  if (!ready_[index] || (sums & ~held) != 0) {
    const TimedOperation timed(Operation::kPacking);
    packed.pack(x_, kind, sums | held);
    ready_[index] = true;
  }
  return packed;
}

Linear::Linear(Weights& weights, std::span<const LinearPart> parts, int64_t inputs)
    : inputs_(inputs), observe_(weights.observer()) {
  std::vector<const Tensor*> run;
  int64_t first = 0;
  const auto pack_run = [&] {
    blocks_.push_back({weights.pack(run), first, weights.activations(run.front()->format)});
    if (!blocks_.back().matrix.is_by_rows()) sums_ |= sums_of(run.front()->format);
    first = outputs_;
    run.clear();
  };
  for (const LinearPart& part : parts) {
    const Tensor& tensor = weights.need(part.name + ".weight", {part.outputs, inputs});
    if (!run.empty() && (run.back()->format != tensor.format || run.back()->packed != tensor.packed))
      pack_run();
    run.push_back(&tensor);
    names_.push_back(tensor.name);
    if (weights.has(part.bias_name())) {
      bias_.resize(static_cast<size_t>(outputs_));
      const std::vector<float> bias = weights.vector(part.bias_name(), part.outputs);
      bias_.insert(bias_.end(), bias.begin(), bias.end());
    }
    outputs_ += part.outputs;
  }
  pack_run();
  if (!bias_.empty()) bias_.resize(static_cast<size_t>(outputs_));
}

void Linear::add_bias(Weights& weights, const std::string& name, int64_t first, int64_t count) {
  if (!weights.has(name + ".bias")) return;
  bias_.resize(static_cast<size_t>(outputs_));
  std::ranges::copy(weights.vector(name + ".bias", count), bias_.begin() + first);
}

double Linear::weight_bytes() const {
  double bytes = 0;
  for (const Block& block : blocks_) bytes += static_cast<double>(block.matrix.bytes());
  return bytes;
}

ReadAhead Linear::read_ahead(bool gated) const {
  if (blocks_.empty()) return {};
  return blocks_.front().matrix.read_ahead(gated && blocks_.size() == 1);
}

void Linear::multiply(std::span<const MatrixProduct> products, Work& work) const {
  const TimedOperation timed(Operation::kProducts);
  matmul(products, work, next_);
}

void Linear::operator()(LayerInput& x, MatrixView out, Work& work, ActivationFunction function,
                        ConstMatrixView residual) const {
  if (observe_) observe_(names_, x.values());
  std::vector<MatrixProduct> products;
  products.reserve(blocks_.size());
  for (const Block& block : blocks_) {
    const int64_t n = block.matrix.n();
    MatrixProduct& product =
        products.emplace_back(x.as(block.activations, sums_), block.matrix, out.columns_from(block.first, n));
    product.epilogue.bias = bias_.empty() ? nullptr : bias_.data() + block.first;
    product.epilogue.function = function;
    if (residual.data != nullptr) product.epilogue.residual = residual.columns_from(block.first, n);
  }
  multiply(products, work);
}

void Linear::gated(LayerInput& x, ActivationFunction function, MatrixView out, Work& work) const {
  if (observe_) observe_(names_, x.values());
  const Block& gate_block = blocks_[0];
  MatrixProduct gate{x.as(gate_block.activations, sums_), gate_block.matrix, out};
  gate.epilogue.bias = bias_.empty() ? nullptr : bias_.data();
  gate.epilogue.function = function;
  if (blocks_.size() == 1) {
    gate.epilogue.gated = true;
    return multiply({&gate, 1}, work);
  }
  // Gate and up of different formats: rare mixtures, so a result of its own for up and one more pass.
  const Block& up_block = blocks_[1];
  Matrix up(x.tokens(), out.columns);
  MatrixProduct of_up{x.as(up_block.activations, sums_), up_block.matrix, up.view()};
  of_up.epilogue.bias = bias_.empty() ? nullptr : bias_.data() + up_block.first;
  const MatrixProduct products[] = {of_up, gate};
  multiply(products, work);
  for_each_index(out.rows, out.rows > 1, [&](int64_t row) {
    float* values = out.row(row).data();
    const float* factors = up.row(row).data();
    for (int64_t i = 0; i < out.columns; ++i) values[i] *= factors[i];
  });
}

}  // namespace wattle::inline layers
