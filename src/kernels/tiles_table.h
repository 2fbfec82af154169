// One entry of the table for each format; included last in each instruction set's file.

/// Which of kStarts a recipe reads; -1: none.
template <class V, class Recipe>
constexpr int start_of_recipe(bool halves) {
  constexpr int kZero = zero_point_of<V, Recipe>();
  constexpr bool kHalves = has_halves(Recipe::kKind);
  if constexpr (kZero == 0) {
    return -1;
  } else {
    return halves == kHalves ? index_of_start({kHalves, kZero}) : -1;
  }
}

constexpr int either(int a, int b) {
  return a < 0 ? b : a;
}

template <class V, class Recipe>
constexpr uint32_t sums_of_recipe() {
  constexpr int kWhole = start_of_recipe<V, Recipe>(false), kHalf = start_of_recipe<V, Recipe>(true);
  const uint32_t minima[] = {0, kScaledSum, kScaledHalfSum};
  return (kWhole < 0 ? 0u : kStartBit << kWhole) | (kHalf < 0 ? 0u : kStartBit << kHalf) |
         minima[minima_of(Recipe::kKind)];
}

/// Direct: the recipe of tiles that read the panels themselves; Unpacking: of those that unpack them first.
template <class V, template <class> class Direct, template <class> class Unpacking = Direct>
constexpr FormatKernels format_kernels() {
  using D = Direct<V>;
  using U = Unpacking<V>;
  return {sums_of_recipe<V, D>() | sums_of_recipe<V, U>(),
          either(start_of_recipe<V, D>(false), start_of_recipe<V, U>(false)),
          either(start_of_recipe<V, D>(true), start_of_recipe<V, U>(true)),
          unpack<V, U>,
          dense_of_blocks<V, U>,
          vector_tile<V, D>,
          {nullptr, direct_tile<V, D, U, 1>, direct_tile<V, D, U, 2>, direct_tile<V, D, U, 3>,
           direct_tile<V, D, U, 4>, direct_tile<V, D, U, 5>, direct_tile<V, D, U, 6>},
          {nullptr, unpacked_tile<V, U::kKind, U::kZero, 1>, unpacked_tile<V, U::kKind, U::kZero, 2>,
           unpacked_tile<V, U::kKind, U::kZero, 3>, unpacked_tile<V, U::kKind, U::kZero, 4>,
           unpacked_tile<V, U::kKind, U::kZero, 5>, unpacked_tile<V, U::kKind, U::kZero, 6>}};
}

template <class V, Cells kCells>
constexpr void dense_tiles(DenseTile (&tiles)[kTileRows + 1]) {
  tiles[1] = dense_tile<V, kCells, 1>, tiles[2] = dense_tile<V, kCells, 2>;
  tiles[3] = dense_tile<V, kCells, 3>, tiles[4] = dense_tile<V, kCells, 4>;
  tiles[5] = dense_tile<V, kCells, 5>, tiles[6] = dense_tile<V, kCells, 6>;
}

template <class V>
constexpr KernelTable kernel_table() {
  KernelTable table{};
  table.reads_panels = V::kDirect;
  const auto at = [&](Format format) -> FormatKernels& {
    return table.formats[static_cast<uint32_t>(format)];
  };
  at(Format::kQ4_0) = format_kernels<V, RecipeQ4_0>();
  at(Format::kQ4_1) = format_kernels<V, RecipeQ4_1>();
  at(Format::kQ5_0) = format_kernels<V, RecipeQ5_0>();
  at(Format::kQ5_1) = format_kernels<V, RecipeQ5_1>();
  at(Format::kQ8_0) = format_kernels<V, RecipeQ8_0>();
  at(Format::kQ2_K) = format_kernels<V, RecipeQ2_K, FoldedQ2_K>();
  at(Format::kQ3_K) = format_kernels<V, RecipeQ3_K, FoldedQ3_K>();
  at(Format::kQ4_K) = format_kernels<V, RecipeQ4_K>();
  at(Format::kQ5_K) = format_kernels<V, RecipeQ5_K>();
  at(Format::kQ6_K) = format_kernels<V, RecipeQ6_K>();
  at(Format::kIQ4_NL) = format_kernels<V, RecipeIQ4_NL>();
  at(Format::kIQ4_XS) = format_kernels<V, RecipeIQ4_XS>();
  dense_tiles<V, Cells::kFloat>(table.f32);
  dense_tiles<V, Cells::kHalves>(table.f16);
  dense_tiles<V, Cells::kBfloat16>(table.bf16);
  table.by_rows[1] = integer_tile<V, 1>, table.by_rows[2] = integer_tile<V, 2>;
  table.by_rows[3] = integer_tile<V, 3>, table.by_rows[4] = integer_tile<V, 4>;
  table.by_rows[5] = integer_tile<V, 5>, table.by_rows[6] = integer_tile<V, 6>;
  table.quantize = quantize<V>;
  table.quantize_rows = quantize_rows<V>;
  table.widen = widen<V>;
  table.bfloat16 = bfloat16<V>;
  table.store = store<V>;
  table.attention = integer_attention<V>();
  table.rows = {apply<V>, softmax<V>, rms_norm<V>, layer_norm<V>, rotate_halves<V>, rotate_neighbours<V>};
  return table;
}
