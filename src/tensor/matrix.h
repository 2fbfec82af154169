#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

namespace wattle::inline tensor {

/// Row-major view of a matrix of floats, [rows, columns], `stride` floats from row to row.
template <typename T>
struct View {
  T* data = nullptr;
  int64_t rows = 0, columns = 0, stride = 0;

  View() = default;
  View(T* data, int64_t rows, int64_t columns, int64_t stride = -1)
      : data(data), rows(rows), columns(columns), stride(stride < 0 ? columns : stride) {}
  template <typename U>
  requires(std::is_same_v<const U, T> && !std::is_same_v<U, T>) View(const View<U>& other)
      : View(other.data, other.rows, other.columns, other.stride) {}

  std::span<T> row(int64_t i) const { return {data + i * stride, static_cast<size_t>(columns)}; }
  View rows_from(int64_t begin, int64_t count) const {
    return {data + begin * stride, count, columns, stride};
  }
  View columns_from(int64_t begin, int64_t count) const { return {data + begin, rows, count, stride}; }
};
using MatrixView = View<float>;
using ConstMatrixView = View<const float>;

/// Uninitialised memory on a 64-byte boundary.
template <typename T>
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t count) : size_(count) {
    if (count == 0) return;
    data_.reset(static_cast<T*>(std::aligned_alloc(64, (count * sizeof(T) + 63) / 64 * 64)));
    if (!data_) throw std::bad_alloc();
  }
  /// Grows, forgetting the contents; never shrinks.
  void reserve(size_t count) {
    if (count > size_) *this = AlignedBuffer(count);
  }
  T* data() const { return data_.get(); }
  size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(T* pointer) const { std::free(pointer); }
  };
  std::unique_ptr<T, Free> data_;
  size_t size_ = 0;
};

/// A matrix that owns its floats; resize() keeps the memory, so one can serve a whole forward pass.
class Matrix {
 public:
  Matrix() = default;
  Matrix(int64_t rows, int64_t columns) { resize(rows, columns); }
  void resize(int64_t rows, int64_t columns) {
    buffer_.reserve(static_cast<size_t>(rows * columns));
    rows_ = rows, columns_ = columns;
  }
  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }
  float* data() { return buffer_.data(); }
  const float* data() const { return buffer_.data(); }
  MatrixView view() { return {buffer_.data(), rows_, columns_}; }
  ConstMatrixView view() const { return {buffer_.data(), rows_, columns_}; }
  std::span<float> row(int64_t i) { return view().row(i); }
  std::span<const float> row(int64_t i) const { return view().row(i); }

 private:
  AlignedBuffer<float> buffer_;
  int64_t rows_ = 0, columns_ = 0;
};

}  // namespace wattle::inline tensor
