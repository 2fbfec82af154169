// Every kernel gives the same bits under every instruction set and on every machine (products of bfloat16
// excepted).
#include "bits.h"

#include <cstring>
#include <vector>

#include "base/threads.h"
#include "kernels/block_halves.h"
#include "kernels/elementwise.h"
#include "kernels/matmul.h"
#include "kernels/packed.h"
#include "kernels/targets.h"

namespace wattle {
namespace {

const GoldenBits& golden() {
  static const GoldenBits bits("kernels");
  return bits;
}

Matrix exact_rows(int64_t rows, int64_t columns, uint64_t seed) {
  Matrix matrix(rows, columns);
  ExactNumbers(seed).fill({matrix.data(), static_cast<size_t>(rows * columns)});
  return matrix;
}

/// Random codes and scales: every byte is a valid code, halves have magnitudes from 2^-8 to 2^-3.
PackedMatrix random_weights(Format format, int64_t n, int64_t k) {
  const FormatInfo& row = info(format);
  ExactNumbers random(static_cast<uint64_t>(format) + 100);
  std::vector<std::byte> bytes(static_cast<size_t>(n * k) / row.block_weights * row.block_bytes);
  const auto put_half = [&](std::byte* to) {
    const uint64_t draw = random.bits();
    const auto half = static_cast<uint16_t>((draw & 0x83FFu) | (7 + (draw >> 32) % 5) << 10);
    std::memcpy(to, &half, 2);
  };
  if (format == Format::kF32) {
    for (size_t at = 0; at < bytes.size(); at += 4) {
      const float value = random.number();
      std::memcpy(bytes.data() + at, &value, 4);
    }
  } else if (format == Format::kF16) {
    for (size_t at = 0; at < bytes.size(); at += 2) put_half(bytes.data() + at);
  } else {
    for (std::byte& byte : bytes) byte = std::byte(random.bits() & 255);
    for (size_t block = 0; block < bytes.size(); block += row.block_bytes) {
      for (const size_t at : halves_of(format)) put_half(bytes.data() + block + at);
    }
  }
  return PackedMatrix::pack(format, n, k, bytes);
}

class KernelBits : public testing::TestWithParam<Target> {
 protected:
  void SetUp() override {
    GetParam().use();
    set_threads(1);
  }
  void TearDown() override { Target::restore(); }
};

/// Products of 1 to 33 rows: tiles of every height, weights unpacked by tiles and for many of them. Bits of a
/// row that depended on the rows beside it would show as well.
void add_products(const PackedMatrix& w, Activations kind, Bits& bits) {
  const Matrix all = exact_rows(33, w.k(), 1);
  Work work;
  for (const int64_t m : {1, 2, 3, 4, 5, 6, 7, 32, 33}) {
    PackedActivations x;
    x.pack(all.view().rows_from(0, m), kind);
    Matrix out(m, w.n());
    matmul(x, w, out.view(), {}, work);
    bits.add({out.data(), static_cast<size_t>(m * w.n())});
  }
}

TEST_P(KernelBits, OfProductsOfEveryFormat) {
  for (const FormatInfo& row : formats()) {
    const bool is_dense = row.format == Format::kF32 || row.format == Format::kF16;
    if (!is_dense && sums_of(row.format) == 0 && active_kernels().of(row.format).unpack == nullptr) continue;
    const auto block = static_cast<int64_t>(row.block_weights);
    const PackedMatrix w = random_weights(row.format, 53, block == 1 ? 90 : block == 32 ? 160 : 768);
    for (const Activations kind : {Activations::kBlock32, Activations::kRow, Activations::kF32}) {
      if (is_dense && kind != Activations::kF32) continue;
      Bits bits;
      add_products(w, kind, bits);
      golden().expect(fmt::format("{} {}", row.name, name(kind)), bits);
    }
  }
}

TEST_P(KernelBits, OfProductsByRows) {
  for (const Format format : {Format::kF32, Format::kQ8_0, Format::kQ3_K}) {
    Bits bits;
    add_products(random_weights(format, 53, 768).by_rows(), Activations::kW8A8, bits);
    golden().expect(fmt::format("{} w8a8", info(format).name), bits);
  }
}

TEST_P(KernelBits, OfWhatFollowsAProduct) {
  const Matrix x = exact_rows(7, 96, 2), bias = exact_rows(1, 128, 3), residual = exact_rows(7, 128, 4);
  PackedActivations activations;
  activations.pack(x.view(), Activations::kBlock32);
  Work work;
  for (const int64_t n : {128, 74}) {
    const PackedMatrix w = random_weights(Format::kQ8_0, n, 96);
    for (const bool gated : {false, true}) {
      Bits bits;
      for (const ActivationFunction function : {ActivationFunction::kNone, ActivationFunction::kGelu,
                                                ActivationFunction::kSilu, ActivationFunction::kGeluTanh}) {
        Matrix out(7, gated ? n / 2 : n);
        Epilogue epilogue{bias.data(), function, gated, {residual.data(), 7, out.columns(), 128}};
        matmul(activations, w, out.view(), epilogue, work);
        bits.add({out.data(), static_cast<size_t>(out.rows() * out.columns())});
      }
      golden().expect(fmt::format("epilogue {}{}", n, gated ? " gated" : ""), bits);
    }
  }
}

TEST_P(KernelBits, OfQuantisedActivations) {
  const Matrix x = exact_rows(5, 8512, 5);
  for (const Activations kind : {Activations::kBlock32, Activations::kRow, Activations::kW8A8}) {
    PackedActivations packed;
    packed.pack(x.view(), kind);
    const PackedActivations::Data& data = packed.data();
    const auto blocks = static_cast<size_t>(x.columns() / 32);
    Bits bits;
    for (size_t i = 0; i < 5 * blocks * 32; ++i) bits.add(std::vector{static_cast<float>(data.q.data()[i])});
    if (kind == Activations::kW8A8) {
      bits.add({data.scale.data(), 5});
    } else {
      bits.add({data.scale.data(), 5 * blocks});
      bits.add({data.scaled_sum.data(), 5 * blocks});
      bits.add({data.scaled_half_sum.data(), 10 * blocks});
    }
    golden().expect(fmt::format("activations {}", name(kind)), bits);
  }
}

TEST_P(KernelBits, OfFunctions) {
  std::vector<float> grid;
  for (uint32_t pattern = 0; pattern < 0x7F800000u; pattern += 104729) {
    grid.push_back(std::bit_cast<float>(pattern));
    grid.push_back(-grid.back());
  }
  for (int i = -16384; i <= 16384; ++i) grid.push_back(static_cast<float>(i) * 0x1p-9f);
  constexpr const char* kNames[] = {"none", "gelu", "gelu-tanh", "gelu-quick",
                                    "silu", "relu", "tanh",      "sigmoid"};
  for (int i = 0; i < 8; ++i) {
    std::vector<float> values = grid;
    // The tanh of GELU cubes, and silu of -infinity is no number: neither is asked beyond what the grid's
    // middle has.
    if (i != 5 && i != 6) std::erase_if(values, [](float value) { return std::abs(value) > 1e12f; });
    apply_inplace(static_cast<ActivationFunction>(i), values);
    Bits bits;
    bits.add(values);
    golden().expect(fmt::format("function {}", kNames[i]), bits);
  }
}

TEST_P(KernelBits, OfNormsAndSoftmax) {
  constexpr int64_t kCounts[] = {1,  3,  4,  7,  8,  11, 15, 16,  17,  24,  31,
                                 33, 63, 64, 65, 71, 79, 96, 100, 127, 576, 1001};
  Bits rms, layer, plain, biased;
  for (const int64_t count : kCounts) {
    const auto n = static_cast<size_t>(count);
    const Matrix x = exact_rows(1, count, 6), weight = exact_rows(1, count, 7),
                 bias = exact_rows(1, count, 8);
    Matrix out(1, count);
    for (const bool add_one : {false, true}) {
      rms_norm(x.row(0), weight.data(), 1e-6f, out.data(), add_one);
      rms.add(out.row(0));
    }
    for (const float* added : {static_cast<const float*>(nullptr), bias.data()}) {
      layer_norm(x.row(0), weight.data(), added, 1e-5f, out.data());
      layer.add(out.row(0));
      std::copy_n(x.data(), n, out.data());
      softmax_inplace(out.row(0), 0.7f, added);
      (added == nullptr ? plain : biased).add(out.row(0));
    }
  }
  golden().expect("rms norm", rms);
  golden().expect("layer norm", layer);
  golden().expect("softmax", plain);
  golden().expect("softmax with bias", biased);
}

INSTANTIATE_TEST_SUITE_P(Every, KernelBits, testing::ValuesIn(targets()),
                         [](const testing::TestParamInfo<Target>& param) { return param.param.name; });

}  // namespace
}  // namespace wattle
