#include "layers/linear.h"

#include <algorithm>

#include "base/operation_times.h"
#include "base/threads.h"

namespace wattle::inline layers {
namespace {

void multiply(const PackedActivations& x, const PackedMatrix& matrix, MatrixView out,
              const Epilogue& epilogue, Work& work) {
  const TimedOperation timed(Operation::kProducts);
  matmul(x, matrix, out, epilogue, work);
}

}  // namespace

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

void Linear::operator()(LayerInput& x, MatrixView out, Work& work, ActivationFunction function,
                        ConstMatrixView residual) const {
  if (observe_) observe_(names_, x.values());
  for (const Block& block : blocks_) {
    const int64_t n = block.matrix.n();
    Epilogue epilogue;
    epilogue.bias = bias_.empty() ? nullptr : bias_.data() + block.first;
    epilogue.function = function;
    if (residual.data != nullptr) epilogue.residual = residual.columns_from(block.first, n);
    multiply(x.as(block.activations, sums_), block.matrix, out.columns_from(block.first, n), epilogue, work);
  }
}

void Linear::gated(LayerInput& x, ActivationFunction function, MatrixView out, Work& work) const {
  if (observe_) observe_(names_, x.values());
  if (blocks_.size() == 1) {
    Epilogue epilogue;
    epilogue.bias = bias_.empty() ? nullptr : bias_.data();
    epilogue.function = function;
    epilogue.gated = true;
    multiply(x.as(blocks_[0].activations, sums_), blocks_[0].matrix, out, epilogue, work);
    return;
  }
  // Gate and up of different formats: rare mixtures, so a product of its own for up and one more pass.
  Matrix up(x.tokens(), out.columns);
  const Block& gate_block = blocks_[0];
  const Block& up_block = blocks_[1];
  Epilogue epilogue;
  epilogue.bias = bias_.empty() ? nullptr : bias_.data() + up_block.first;
  multiply(x.as(up_block.activations, sums_), up_block.matrix, up.view(), epilogue, work);
  epilogue.bias = bias_.empty() ? nullptr : bias_.data();
  epilogue.function = function;
  multiply(x.as(gate_block.activations, sums_), gate_block.matrix, out, epilogue, work);
  for_each_index(out.rows, out.rows > 1, [&](int64_t row) {
    float* values = out.row(row).data();
    const float* factors = up.row(row).data();
    for (int64_t i = 0; i < out.columns; ++i) values[i] *= factors[i];
  });
}

}  // namespace wattle::inline layers
