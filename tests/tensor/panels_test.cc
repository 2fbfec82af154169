#include "tensor/panels.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace wattle {
namespace {

TEST(Panels, UnpackToTheBytesOfTheFile) {
  std::mt19937 random(1);
  for (const FormatInfo& format : formats()) {
    const bool is_weight = format.decode != nullptr && format.block_weights >= 1;
    if (!is_weight || (format.format >= Format::kI8 && format.format <= Format::kF64)) continue;
    const PanelLayout layout = panel_layout(format.format);
    for (const int64_t blocks : {1, 3, 8}) {
      const int64_t k = blocks * static_cast<int64_t>(format.block_weights);
      const size_t stride = row_bytes(format.format, static_cast<size_t>(k));
      for (const int64_t rows : {1, 7, 16}) {
        std::vector<std::byte> bytes(stride * static_cast<size_t>(rows)), back(bytes.size());
        for (std::byte& b : bytes) b = std::byte(random() & 255);
        std::vector<std::byte> panel(static_cast<size_t>(layout.panel_bytes(k)));
        pack_panel(layout, k, bytes.data(), rows, panel.data());
        unpack_panel(layout, k, panel.data(), rows, back.data());
        EXPECT_EQ(bytes, back) << format.name << ", " << blocks << " blocks, " << rows << " rows";
      }
    }
  }
}

TEST(Panels, TakeNoMoreThanTheFileAndAHalfLine) {
  for (const FormatInfo& format : formats()) {
    if (format.format >= Format::kI8 && format.format <= Format::kF64) continue;
    const PanelLayout layout = panel_layout(format.format);
    const int64_t k = 3 * 256;
    const auto file = static_cast<int64_t>(16 * row_bytes(format.format, static_cast<size_t>(k)));
    EXPECT_LE(layout.panel_bytes(k), file + 32) << format.name;
    EXPECT_GE(layout.panel_bytes(k), file) << format.name;
  }
}

}  // namespace
}  // namespace wattle
