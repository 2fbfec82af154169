#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/threads.h"
#include "base/work.h"
#include "file/model_file.h"
#include "quant/activations.h"
#include "tensor/matrix.h"

namespace wattle::inline kernels {

/// Weights of a linear layer, [n, k] (n outputs, k inputs), laid out for the active instruction set.
/// The file's bits, permuted (tensor/panels.h): the same number of bytes, and packing can be undone exactly.
class PackedMatrix {
 public:
  PackedMatrix();
  PackedMatrix(PackedMatrix&&) noexcept;
  PackedMatrix& operator=(PackedMatrix&&) noexcept;
  ~PackedMatrix();

  /// Packs a tensor [n, k] by all threads. `file` gets its pages back as they are read.
  static PackedMatrix pack(const ModelFile& file, const Tensor& tensor);
  /// Packs rows given in memory; `bytes` holds n rows of row_bytes(format, k).
  static PackedMatrix pack(Format format, int64_t n, int64_t k, std::span<const std::byte> bytes);
  /// Packs several tensors of one k and one format as one matrix of the sum of their rows (q, k and v; gate
  /// and up).
  static PackedMatrix pack_together(const ModelFile& file, std::span<const Tensor* const> tensors);

  /// A matrix from memory that holds panels already, one run of whole panels a tensor, in their order. Runs
  /// that lie next to each other on a 64-byte boundary are used where they are, and must outlive the matrix;
  /// others are copied.
  static PackedMatrix map(Format format, int64_t n, int64_t k,
                          std::span<const std::span<const std::byte>> panels);

  /// The same weights as signed 8 bits with scale = largest magnitude of the row / 127 (LLM.int8(), Dettmers
  /// et
  /// al. 2022, without its outliers), for activations kW8A8: a product is one exact sum of integers. k must
  /// be a multiple of 32.
  PackedMatrix by_rows() const;

  int64_t n() const;
  int64_t k() const;
  Format format() const;  ///< of the weights that were packed
  bool is_by_rows() const;
  size_t bytes() const;
  /// What a product reads first, for the job before it.
  ReadAhead read_ahead(bool gated = false) const;

  struct Data;
  const Data& data() const { return *data_; }

 private:
  std::unique_ptr<Data> data_;
};

/// What products with weights of `format` read of 8-bit activations beside codes and scales: a mask for
/// PackedActivations::pack, 0 for dense weights.
uint32_t sums_of(Format format);
constexpr uint32_t kAllSums = 15;

/// A layer input, quantised (or converted) once and shared by all products that read it.
/// Holds what every format needs (values, scales, sums per block); reuses its memory from call to call.
class PackedActivations {
 public:
  PackedActivations();
  PackedActivations(PackedActivations&&) noexcept;
  PackedActivations& operator=(PackedActivations&&) noexcept;
  ~PackedActivations();

  /// Reads x [m, k]; k must be a multiple of 32 for the 8-bit kinds. NaN and infinity are carried into the
  /// product. `sums`: those of all formats that will read it.
  void pack(ConstMatrixView x, Activations kind, uint32_t sums = kAllSums);

  int64_t m() const;
  int64_t k() const;
  Activations kind() const;
  uint32_t sums() const;

  struct Data;
  const Data& data() const { return *data_; }

 private:
  std::unique_ptr<Data> data_;
};

/// kGelu is x Phi(x) (Hendrycks and Gimpel 2016), kGeluTanh its approximation by tanh, kGeluQuick x *
/// sigmoid(1.702 x).
enum class ActivationFunction { kNone, kGelu, kGeluTanh, kGeluQuick, kSilu, kRelu, kTanh, kSigmoid };

/// What happens to a product before it is stored: out = f(x W^T + bias) [* gate] [+ residual].
struct Epilogue {
  const float* bias = nullptr;  ///< [n]
  ActivationFunction function = ActivationFunction::kNone;
  /// With it, W holds gate and up rows together (n = 2 * out.columns): out = f(gate) * up.
  bool gated = false;
  ConstMatrixView residual;  ///< [m, out.columns] or empty; may be the same memory as `out`
};

/// The kind of activations that `format` multiplies with by default.
Activations default_activations(Format format);

/// One product: out [m, n] = x [m, k] times W^T.
struct MatrixProduct {
  const PackedActivations& x;
  const PackedMatrix& weights;
  MatrixView out;
  Epilogue epilogue = {};
};

/// Products that do not read each other's results, as one piece of work of all threads of the team; the same
/// bits for any number of threads and for any batching of the rows. `next`: what the team will read then.
/// Adds their multiply-adds and the bytes of their activations to `work`; those of the weights are for the
/// caller to add, once however many parts the rows come in. Throws Error when shapes do not fit.
void matmul(std::span<const MatrixProduct> products, Work& work, const ReadAhead& next = {});

/// One product.
void matmul(const PackedActivations& x, const PackedMatrix& weights, MatrixView out, const Epilogue& epilogue,
            Work& work);

}  // namespace wattle::inline kernels
