// Matrix products over packed panels, written once over sixteen lanes. Included by <isa>/kernels.cpp inside its namespace.
//
// The arithmetic of one output (row m, output n), the same for every number of rows and every instruction set:
//   for each 32 inputs b:  for each scale s of b:   sum = sum over its inputs of (q - zero) * a      (integers, exact)
//                                                   acc = fma(sum, s * scale_a[m][b], acc)
//                          for each minimum of b:   acc = fma(min, -scale_a[m][b] * (sum of a), acc)
// With activations of two digits: the acc of the first plus the acc of the second.

// A block of 32 inputs x 16 outputs, unfolded: bytes, scales and minima (already products of all their factors).
template <int kScales, bool kHasMin>
struct Block {
  U8x64 weights[8];
  F32x16 scales[kScales];
  F32x16 minima[kHasMin ? kScales : 1];
  I32x16 corrections[kScales];  // biased only
};

// What the arithmetic needs to know of a format. Formats that agree in it share the code of unfolded panels.
template <int kScaleCount, bool kMin, int kZeroOf, bool kIsBiased = false>
struct Shape {
  static constexpr int kScales = kScaleCount;
  static constexpr bool kHasMin = kMin;
  static constexpr int kZero = kZeroOf;
  static constexpr bool kBiased = kIsBiased;  // signed weights, activations plus 128
  static constexpr bool kWideWeights = kZero == 128;
  static constexpr int kZeroBits = kZero == 0 ? -1 : __builtin_ctz(kZero | 256);
  static_assert(kZeroBits < 0 || (1 << kZeroBits) == kZero);
  using BlockType = Block<kScales, kHasMin>;
};

template <NumberFormat kFormat>
using ShapeOf = Shape<kBlockInputs / panel_traits(kFormat).scale_inputs, panel_traits(kFormat).has_min,
                      panel_traits(kFormat).zero>;

// Asks for the memory that lies kFetchAhead behind [at, at + bytes): what is read there soon. Nothing of it is read again before the next
// token, so it need not push anything out of the larger caches. Left to the processor's own prefetchers a row reads a fifth slower than
// memory gives, because unfolding and waiting take turns. May reach behind the end of the weights: asking for that does nothing.
inline void fetch_ahead(const void* at, size_t bytes) {
  constexpr size_t kFetchAhead = 5 * 1024;
  const uintptr_t begin = reinterpret_cast<uintptr_t>(at) + kFetchAhead;
  for (size_t i = 0; i < bytes; i += kLineBytes) __builtin_prefetch(reinterpret_cast<const void*>(begin + i), 0, 0);
}

// Reads blocks from a packed panel.
template <NumberFormat kFormat>
struct PackedSource {
  using F = ShapeOf<kFormat>;
  static constexpr PanelTraits kTraits = panel_traits(kFormat);

  const uint8_t* panel;

  explicit PackedSource(const std::byte* packed) : panel(reinterpret_cast<const uint8_t*>(packed)) {}

  void read(int b, typename F::BlockType& block) const {
    const size_t quants = quants_offset(kTraits, b);
    const size_t begin = b % group_blocks(kTraits) == 0 ? header_offset(kTraits, b) : quants;
    fetch_ahead(panel + begin, quants - begin + block_quant_bytes(kTraits));
    read_scales(b, block);  // in the order of memory
    unfold(panel + quants, block.weights);
  }

  static void unfold(const uint8_t* high, U8x64 (&w)[8]) {
    U8x64 top[2];
    for (int i = 0; i < kTraits.high_bits; ++i) top[i] = load_bytes(high + 64 * i);
    const uint8_t* q = high + 64 * kTraits.high_bits;
    if constexpr (kTraits.low_bits == 8) {
      for (int i = 0; i < 8; ++i) w[i] = load_bytes(q + 64 * i);
    } else if constexpr (kTraits.low_bits == 4) {
      const U8x64 mask = set1_byte(0x0f);
      for (int i = 0; i < 4; ++i) {
        const U8x64 line = load_bytes(q + 64 * i);
        w[i] = and_bits(line, mask);
        w[i + 4] = and_bits(move_bits<-4>(line), mask);
      }
    } else {
      unfold_pairs(load_bytes(q), 0, w);
      unfold_pairs(load_bytes(q + 64), 1, w);
    }
    if constexpr (kTraits.high_bits == 1) add_single_bits<kTraits.low_bits>(top[0], w);
    if constexpr (kTraits.high_bits == 2) add_high_pairs(top, w);
    if constexpr (kTraits.codebook != Codebook::none) {
      for (U8x64& codes : w) codes = lookup(numbers_of(kTraits.codebook), codes);
    }
  }

  static void unfold_pairs(U8x64 line, int i, U8x64 (&w)[8]) {
    const U8x64 mask = set1_byte(0x03);
    w[i] = and_bits(line, mask);
    w[i + 2] = and_bits(move_bits<-2>(line), mask);
    w[i + 4] = and_bits(move_bits<-4>(line), mask);
    w[i + 6] = and_bits(move_bits<-6>(line), mask);
  }
  template <int kAt>
  static void add_single_bits(U8x64 line, U8x64 (&w)[8]) {
    const U8x64 mask = set1_byte(1 << kAt);
    w[0] = or_bits(w[0], and_bits(move_bits<kAt - 0>(line), mask));
    w[1] = or_bits(w[1], and_bits(move_bits<kAt - 1>(line), mask));
    w[2] = or_bits(w[2], and_bits(move_bits<kAt - 2>(line), mask));
    w[3] = or_bits(w[3], and_bits(move_bits<kAt - 3>(line), mask));
    w[4] = or_bits(w[4], and_bits(move_bits<kAt - 4>(line), mask));
    w[5] = or_bits(w[5], and_bits(move_bits<kAt - 5>(line), mask));
    w[6] = or_bits(w[6], and_bits(move_bits<kAt - 6>(line), mask));
    w[7] = or_bits(w[7], and_bits(move_bits<kAt - 7>(line), mask));
  }
  static void add_high_pairs(const U8x64 (&high)[2], U8x64 (&w)[8]) {
    const U8x64 mask = set1_byte(0x30);
    for (int i = 0; i < 2; ++i) {
      const U8x64 line = high[i];
      w[i] = or_bits(w[i], and_bits(move_bits<4>(line), mask));
      w[i + 2] = or_bits(w[i + 2], and_bits(move_bits<2>(line), mask));
      w[i + 4] = or_bits(w[i + 4], and_bits(line, mask));
      w[i + 6] = or_bits(w[i + 6], and_bits(move_bits<-2>(line), mask));
    }
  }

  void read_scales(int b, typename F::BlockType& block) const {
    const uint8_t* header = panel + header_offset(kTraits, b);
    const int part = b % group_blocks(kTraits);
    const F32x16 d = load_d(header);
    const uint8_t* small = header + (F::kHasMin ? 64 : 32);
    F32x16 d_min = zeros();
    if constexpr (F::kHasMin) d_min = load_f16(reinterpret_cast<const uint16_t*>(header + 32));
    if constexpr (kTraits.block_values == kBlockInputs) {
      block.scales[0] = d;
      // These formats add their minimum (w = d q + m); the kernels take one off.
      if constexpr (F::kHasMin) block.minima[0] = negate(d_min);
    } else if constexpr (kFormat == NumberFormat::q4_k || kFormat == NumberFormat::q5_k) {
      block.scales[0] = mul(d, load_bytes_and(small + 16 * part, 0xff));
      block.minima[0] = mul(d_min, load_bytes_and(small + 128 + 16 * part, 0xff));
    } else if constexpr (kFormat == NumberFormat::q2_k) {
      for (int h = 0; h < 2; ++h) {
        block.scales[h] = mul(d, load_bytes_and(small + 16 * (2 * part + h), 0x0f));
        block.minima[h] = mul(d_min, load_high_nibbles(small + 16 * (2 * part + h)));
      }
    } else {
      for (int h = 0; h < F::kScales; ++h) {
        block.scales[h] = mul(d, load_signed_bytes(small + 16 * (F::kScales * part + h)));
      }
    }
  }
  static F32x16 load_d(const uint8_t* header) {
    if constexpr (kTraits.d_bytes == 1) return load_powers_of_two(header);
    else return load_f16(reinterpret_cast<const uint16_t*>(header));
  }
};

// A panel unfolded into scratch memory: bytes, then scales, minima and corrections. For biased tiles the bytes are signed,
// q - zero, and
//   correction = -128 * (sum of these),   so that   sum of (q - zero) * (a + 128) + correction = sum of (q - zero) * a
template <typename FormatShape>
struct WideSource {
  using F = FormatShape;
  uint8_t* bytes;
  float* scales;
  float* minima;
  int32_t* corrections;

  WideSource(std::byte* scratch, int inputs)
      : bytes(reinterpret_cast<uint8_t*>(scratch)),
        scales(reinterpret_cast<float*>(bytes + static_cast<size_t>(inputs) * kPanelOutputs)),
        minima(scales + lanes_of(inputs)),
        corrections(reinterpret_cast<int32_t*>(minima + lanes_of(inputs))) {}
  static size_t lanes_of(int inputs) { return static_cast<size_t>(inputs / kBlockInputs * F::kScales) * kPanelOutputs; }
  static size_t lanes_at(int b, int h) { return static_cast<size_t>(b * F::kScales + h) * kPanelOutputs; }

  void read(int b, typename F::BlockType& block) const {
    for (int i = 0; i < 8; ++i) block.weights[i] = load_bytes(bytes + static_cast<size_t>(b) * 512 + 64 * i);
    for (int h = 0; h < F::kScales; ++h) {
      block.scales[h] = load(scales + lanes_at(b, h));
      if constexpr (F::kHasMin) block.minima[h] = load(minima + lanes_at(b, h));
      if constexpr (F::kBiased) block.corrections[h] = load_ints<F>(corrections + lanes_at(b, h));
    }
  }
};

// What the arithmetic needs to know of an unfolded panel.
template <typename F>
using WideShape = Shape<F::kScales, F::kHasMin, kBiasedTiles ? 0 : F::kZero, kBiasedTiles>;

template <NumberFormat kFormat>
void widen(const std::byte* panel, int inputs, std::byte* scratch) {
  using F = ShapeOf<kFormat>;
  const PackedSource<kFormat> packed(panel);
  const WideSource<WideShape<F>> wide(scratch, inputs);
  for (int b = 0; b < inputs / kBlockInputs; ++b) {
    typename F::BlockType block;
    packed.read(b, block);
    if constexpr (kBiasedTiles) {
      if constexpr (F::kZero > 0) {
        for (U8x64& w : block.weights) w = sub_bytes(w, set1_byte(F::kZero));
      }
      for (int h = 0; h < F::kScales; ++h) {
        I32x16 correction = zeros_int();
        for (int i = 0; i < 8 / F::kScales; ++i) correction = subtract_bias(correction, block.weights[8 / F::kScales * h + i]);
        store_ints(wide.corrections + wide.lanes_at(b, h), correction);
      }
    }
    for (int i = 0; i < 8; ++i) store_bytes(wide.bytes + static_cast<size_t>(b) * 512 + 64 * i, block.weights[i]);
    for (int h = 0; h < F::kScales; ++h) {
      store(wide.scales + wide.lanes_at(b, h), block.scales[h]);
      if constexpr (F::kHasMin) store(wide.minima + wide.lanes_at(b, h), block.minima[h]);
    }
  }
}

// What takes the zero (or the bias) off a sum of products.
template <typename F>
[[gnu::always_inline]] inline I32x16 start_of(I32x16 correction, int32_t negative_sum) {
  if constexpr (F::kBiased) return correction;
  else if constexpr (F::kZeroBits >= 0) return shift_left<F::kZeroBits>(set1_int(negative_sum));
  else return zeros_int();
}
template <typename F>
[[gnu::always_inline]] inline I32x16 add_dot(I32x16 sum, U8x64 weights, const int8_t* a) {
  if constexpr (F::kBiased) return dot4_biased<F>(sum, weights, a);
  else return dot4<F::kWideWeights>(sum, weights, a);
}

// The parts of kRows rows of one block, added to acc. Rows take turns: the products of one are a chain in which each waits
// for the one before.
template <typename F, int kRows>
[[gnu::always_inline]] inline void add_block(const typename F::BlockType& w, const QuantBlock* a, F32x16* acc) {
  constexpr int kVectors = 8 / F::kScales;
  I32x16 sums[F::kScales][kRows];
  for (int r = 0; r < kRows; ++r) {
    const int32_t first = F::kScales == 1 ? a[r].negative_sum : a[r].negative_sum_first;
    sums[0][r] = start_of<F>(w.corrections[0], first);
    if constexpr (F::kScales == 2) sums[1][r] = start_of<F>(w.corrections[1], a[r].negative_sum - first);
  }
  for (int h = 0; h < F::kScales; ++h) {
    for (int k = kVectors * h; k < kVectors * (h + 1); ++k) {
      for (int r = 0; r < kRows; ++r) sums[h][r] = add_dot<F>(sums[h][r], w.weights[k], a[r].q + 4 * k);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    const F32x16 scale = set1(a[r].scale);
    for (int h = 0; h < F::kScales; ++h) acc[r] = fma(to_float(sums[h][r]), mul(w.scales[h], scale), acc[r]);
    if constexpr (F::kHasMin && F::kScales == 1) acc[r] = fma(w.minima[0], set1(a[r].negative_scaled_sum), acc[r]);
    if constexpr (F::kHasMin && F::kScales == 2) {
      const I32x16 first = set1_int(a[r].negative_sum_first), second = sub(set1_int(a[r].negative_sum), first);
      acc[r] = fma(w.minima[0], mul(to_float(first), scale), acc[r]);
      acc[r] = fma(w.minima[1], mul(to_float(second), scale), acc[r]);
    }
  }
}

// kRows rows of a tile x 16 outputs, sums in registers.
template <typename Source, int kRows>
void quantized_tile(const Source& source, int blocks, const QuantBlock* tile, Digits digits, float* out, int64_t stride, int outputs) {
  using F = typename Source::F;
  F32x16 acc[kRows];
  // Every loop over the sums is unrolled, or they would go through memory.
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) acc[r] = zeros();
  for (int b = 0; b < blocks; ++b, tile += kRows) {
    typename F::BlockType block;
    source.read(b, block);
    constexpr int kTurns = F::kScales == 1 ? 2 : 1;
#pragma GCC unroll 12
    for (int r = 0; r + kTurns <= kRows; r += kTurns) add_block<F, kTurns>(block, tile + r, acc + r);
#pragma GCC unroll 12
    for (int r = kRows / kTurns * kTurns; r < kRows; ++r) add_block<F, 1>(block, tile + r, acc + r);
  }
  const int rows = kRows / count_of(digits);
  if (digits == Digits::two) {
#pragma GCC unroll 6
    for (int r = 0; r < kRows / 2; ++r) acc[r] = add(acc[r], acc[kRows / 2 + r]);
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
    if (r >= rows) break;
    if (outputs == kPanelOutputs) store(out + r * stride, acc[r]);
    else store_first(out + r * stride, outputs, acc[r]);
  }
}

template <typename Source>
void quantized_tile_of(int rows, const Source& source, int blocks, const QuantBlock* tile, Digits digits, float* out, int64_t stride,
                       int outputs) {
  switch (rows) {
    case 1: return quantized_tile<Source, 1>(source, blocks, tile, digits, out, stride, outputs);
    case 2: return quantized_tile<Source, 2>(source, blocks, tile, digits, out, stride, outputs);
    case 3: return quantized_tile<Source, 3>(source, blocks, tile, digits, out, stride, outputs);
    case 4: return quantized_tile<Source, 4>(source, blocks, tile, digits, out, stride, outputs);
    case 5: return quantized_tile<Source, 5>(source, blocks, tile, digits, out, stride, outputs);
    case 6: return quantized_tile<Source, 6>(source, blocks, tile, digits, out, stride, outputs);
    case 7: return quantized_tile<Source, 7>(source, blocks, tile, digits, out, stride, outputs);
    case 8: return quantized_tile<Source, 8>(source, blocks, tile, digits, out, stride, outputs);
    case 9: return quantized_tile<Source, 9>(source, blocks, tile, digits, out, stride, outputs);
    case 10: return quantized_tile<Source, 10>(source, blocks, tile, digits, out, stride, outputs);
    case 11: return quantized_tile<Source, 11>(source, blocks, tile, digits, out, stride, outputs);
    default: return quantized_tile<Source, 12>(source, blocks, tile, digits, out, stride, outputs);
  }
}

// All rows x the outputs of one panel, a tile after the other.
template <typename Source>
void quantized_rows(const PanelProduct& p, const Source& source, int first, int outputs) {
  const int blocks = p.inputs / kBlockInputs;
  const auto* tiles = static_cast<const QuantBlock*>(p.tiles);
  const int times = count_of(p.digits), tile_rows = kTileRows / times;
  for (int row = 0; row < p.rows; row += tile_rows) {
    const int rows = p.rows - row < tile_rows ? p.rows - row : tile_rows;
    quantized_tile_of(times * rows, source, blocks, tiles + static_cast<size_t>(times * row) * static_cast<size_t>(blocks), p.digits,
                      p.out + row * p.out_stride + first, p.out_stride, outputs);
  }
}

template <NumberFormat kFormat>
void multiply_quantized(const PanelProduct& p, int begin, int end, std::byte* scratch) {
  const size_t bytes = panel_bytes(kFormat, p.inputs);
  for (int panel = begin; panel < end; ++panel) {
    const std::byte* packed = p.panels + static_cast<size_t>(panel) * bytes;
    const int first = panel * kPanelOutputs;
    const int outputs = p.outputs - first < kPanelOutputs ? p.outputs - first : kPanelOutputs;
    if (p.rows * count_of(p.digits) <= kFewRows) {
      quantized_rows(p, PackedSource<kFormat>(packed), first, outputs);
      continue;
    }
    widen<kFormat>(packed, p.inputs, scratch);
    quantized_rows(p, WideSource<WideShape<ShapeOf<kFormat>>>(scratch, p.inputs), first, outputs);
  }
}

// ---- plain weights -------------------------------------------------------------------------------------------------

template <NumberFormat kFormat>
inline F32x16 load_weights(const std::byte* panel, int64_t input) {
  const size_t at = static_cast<size_t>(input) * kPanelOutputs;
  if constexpr (kFormat == NumberFormat::f32) return load(reinterpret_cast<const float*>(panel) + at);
  if constexpr (kFormat == NumberFormat::f16) return load_f16(reinterpret_cast<const uint16_t*>(panel) + at);
  if constexpr (kFormat == NumberFormat::bf16) return load_bf16(reinterpret_cast<const uint16_t*>(panel) + at);
}

// kRows rows x kPanels panels; each output is one chain of fused multiply-adds over ascending inputs.
template <NumberFormat kFormat, int kRows, int kPanels>
void plain_tile(const std::byte* panel, int inputs, const float* tile, float* out, int64_t stride, int outputs) {
  constexpr size_t kInputBytes = panel_bytes(kFormat, 1);
  const size_t bytes = panel_bytes(kFormat, inputs);
  F32x16 acc[kRows][kPanels];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
    for (int p = 0; p < kPanels; ++p) acc[r][p] = zeros();
  }
  for (int k = 0; k < inputs; ++k, tile += kRows) {
    const size_t at = static_cast<size_t>(k) * kInputBytes;
    for (int p = 0; p < kPanels; ++p) {
      if (at % kLineBytes == 0) fetch_ahead(panel + static_cast<size_t>(p) * bytes + at, kLineBytes);
      const F32x16 w = load_weights<kFormat>(panel + static_cast<size_t>(p) * bytes, k);
      for (int r = 0; r < kRows; ++r) acc[r][p] = fma(w, set1(tile[r]), acc[r][p]);
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
    for (int p = 0; p < kPanels; ++p) {
      const int left = outputs - p * kPanelOutputs;
      store_first(out + r * stride + p * kPanelOutputs, left < kPanelOutputs ? left : kPanelOutputs, acc[r][p]);
    }
  }
}

template <NumberFormat kFormat>
void plain_tile_of(int rows, const std::byte* panel, int inputs, const float* tile, float* out, int64_t stride,
                   int outputs) {
  switch (rows) {
    case 1: return plain_tile<kFormat, 1, 1>(panel, inputs, tile, out, stride, outputs);
    case 2: return plain_tile<kFormat, 2, 1>(panel, inputs, tile, out, stride, outputs);
    case 3: return plain_tile<kFormat, 3, 1>(panel, inputs, tile, out, stride, outputs);
    case 4: return plain_tile<kFormat, 4, 1>(panel, inputs, tile, out, stride, outputs);
    case 5: return plain_tile<kFormat, 5, 1>(panel, inputs, tile, out, stride, outputs);
    case 6: return plain_tile<kFormat, 6, 1>(panel, inputs, tile, out, stride, outputs);
    case 7: return plain_tile<kFormat, 7, 1>(panel, inputs, tile, out, stride, outputs);
    case 8: return plain_tile<kFormat, 8, 1>(panel, inputs, tile, out, stride, outputs);
    case 9: return plain_tile<kFormat, 9, 1>(panel, inputs, tile, out, stride, outputs);
    case 10: return plain_tile<kFormat, 10, 1>(panel, inputs, tile, out, stride, outputs);
    case 11: return plain_tile<kFormat, 11, 1>(panel, inputs, tile, out, stride, outputs);
    default: return plain_tile<kFormat, 12, 1>(panel, inputs, tile, out, stride, outputs);
  }
}

template <NumberFormat kFormat>
void multiply_plain(const PanelProduct& p, int begin, int end) {
  constexpr int kTogether = 4;  // panels of a single row: four chains hide the latency of the multiply-add
  const size_t bytes = panel_bytes(kFormat, p.inputs);
  const auto* tiles = static_cast<const float*>(p.tiles);
  for (int panel = begin; panel < end;) {
    const std::byte* packed = p.panels + static_cast<size_t>(panel) * bytes;
    const int first = panel * kPanelOutputs;
    const int outputs = p.outputs - first;
    if (p.rows == 1 && panel + kTogether <= end) {
      plain_tile<kFormat, 1, kTogether>(packed, p.inputs, tiles, p.out + first, p.out_stride, outputs);
      panel += kTogether;
      continue;
    }
    for (int row = 0; row < p.rows; row += kTileRows) {
      const int rows = p.rows - row < kTileRows ? p.rows - row : kTileRows;
      plain_tile_of<kFormat>(rows, packed, p.inputs, tiles + static_cast<size_t>(row) * static_cast<size_t>(p.inputs),
                             p.out + row * p.out_stride + first, p.out_stride, outputs);
    }
    ++panel;
  }
}

void multiply_panels(const PanelProduct& p, int begin, int end, std::byte* scratch) {
  switch (p.format) {
    case NumberFormat::f32: return multiply_plain<NumberFormat::f32>(p, begin, end);
    case NumberFormat::f16: return multiply_plain<NumberFormat::f16>(p, begin, end);
    case NumberFormat::bf16: return multiply_plain<NumberFormat::bf16>(p, begin, end);
    case NumberFormat::q4_0: return multiply_quantized<NumberFormat::q4_0>(p, begin, end, scratch);
    case NumberFormat::q4_1: return multiply_quantized<NumberFormat::q4_1>(p, begin, end, scratch);
    case NumberFormat::q5_0: return multiply_quantized<NumberFormat::q5_0>(p, begin, end, scratch);
    case NumberFormat::q5_1: return multiply_quantized<NumberFormat::q5_1>(p, begin, end, scratch);
    case NumberFormat::q8_0: return multiply_quantized<NumberFormat::q8_0>(p, begin, end, scratch);
    case NumberFormat::q2_k: return multiply_quantized<NumberFormat::q2_k>(p, begin, end, scratch);
    case NumberFormat::q3_k: return multiply_quantized<NumberFormat::q3_k>(p, begin, end, scratch);
    case NumberFormat::q4_k: return multiply_quantized<NumberFormat::q4_k>(p, begin, end, scratch);
    case NumberFormat::q5_k: return multiply_quantized<NumberFormat::q5_k>(p, begin, end, scratch);
    case NumberFormat::q6_k: return multiply_quantized<NumberFormat::q6_k>(p, begin, end, scratch);
    case NumberFormat::iq4_nl: return multiply_quantized<NumberFormat::iq4_nl>(p, begin, end, scratch);
    case NumberFormat::iq4_xs: return multiply_quantized<NumberFormat::iq4_xs>(p, begin, end, scratch);
    case NumberFormat::mxfp4: return multiply_quantized<NumberFormat::mxfp4>(p, begin, end, scratch);
  }
}

int64_t byte_products(int64_t rounds) {
  constexpr int kSums = 12;
  int8_t activations[4 * kSums];
  for (int i = 0; i < 4 * kSums; ++i) activations[i] = static_cast<int8_t>(i);
  const U8x64 weights = set1_byte(3);
  I32x16 sums[kSums];
  // Every loop over the sums is unrolled, or they would live in memory.
#pragma GCC unroll 12
  for (int i = 0; i < kSums; ++i) sums[i] = zeros_int();
  for (int64_t round = 0; round < rounds; ++round) {
    asm volatile("" : : "r"(activations) : "memory");  // read anew each time, as a product does
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) sums[i] = dot4<false>(sums[i], weights, activations + 4 * i);
  }
  volatile uint32_t wanted = 0;  // wraps
#pragma GCC unroll 12
  for (int i = 0; i < kSums; ++i) wanted = wanted + static_cast<uint32_t>(reduce_add(sums[i]));
  return rounds * kSums * 64;
}
