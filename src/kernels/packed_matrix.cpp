#include "kernels/packed_matrix.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "kernels/panel_block.h"
#include "kernels/stored_block.h"

namespace fovea::kernels {
namespace {

// Four quants of one output, as they stand in a vector.
uint32_t four_quants(const uint8_t* q) {
  uint32_t word;
  std::memcpy(&word, q, 4);
  return word;
}

void add_bits(uint8_t* at, uint32_t bits) {
  uint32_t word;
  std::memcpy(&word, at, 4);
  word |= bits;
  std::memcpy(at, &word, 4);
}

// Folds 32 values of one output into the lines of a panel block (which start as zeros).
void fold(const PanelTraits& t, const uint8_t* q, int output, uint8_t* lines) {
  uint8_t* high = lines;
  lines += 64 * t.high_bits;
  const uint32_t low_mask = t.low_bits == 2 ? 0x03030303u : 0x0f0f0f0fu;
  for (int vector = 0; vector < 8; ++vector) {
    const uint32_t word = four_quants(q + 4 * vector);
    const int column = 4 * output;
    if (t.low_bits == 8) {
      std::memcpy(lines + 64 * vector + column, &word, 4);
      continue;
    }
    const int lines_of_low = t.low_bits;  // 4 lines of nibbles, 2 of pairs
    add_bits(lines + 64 * (vector % lines_of_low) + column, (word & low_mask) << (t.low_bits * (vector / lines_of_low)));
    if (t.high_bits == 0) continue;
    const uint32_t top = (word >> t.low_bits) & (t.high_bits == 1 ? 0x01010101u : 0x03030303u);
    if (t.high_bits == 1) add_bits(high + column, top << vector);
    else add_bits(high + 64 * (vector % 2) + column, top << (2 * (vector / 2)));
  }
}

void write_header(const PanelTraits& t, const StoredBlock& block, int output, uint8_t* header) {
  if (t.d_bytes == 2) std::memcpy(header + 2 * output, &block.d, 2);
  else header[output] = static_cast<uint8_t>(block.d);
  if (t.has_min) std::memcpy(header + 32 + 2 * output, &block.d_min, 2);
  uint8_t* small = header + (t.has_min ? 64 : 32);
  for (int i = 0; i < t.small_scales(); ++i) small[16 * i + output] = block.small[i];
}

void pack_quantized_output(NumberFormat format, int inputs, const std::byte* row, int output, std::byte* panel) {
  const PanelTraits t = panel_traits(format);
  auto* base = reinterpret_cast<uint8_t*>(panel);
  StoredBlock block;
  for (int k = 0; k < inputs; k += t.block_values) {
    read_stored_block(format, row, block);
    row += facts(format).block_bytes;
    write_header(t, block, output, base + header_offset(t, k / kBlockInputs));
    for (int i = 0; i < t.block_values; i += kBlockInputs) {
      fold(t, block.q + i, output, base + quants_offset(t, (k + i) / kBlockInputs));
    }
  }
}

void pack_plain_output(size_t value_bytes, int inputs, const std::byte* row, int output, std::byte* panel) {
  std::byte* to = panel + static_cast<size_t>(output) * value_bytes;
  for (int k = 0; k < inputs; ++k) {
    std::memcpy(to, row, value_bytes);
    row += value_bytes;
    to += value_bytes * kPanelOutputs;
  }
}

}  // namespace

PackedMatrix PackedMatrix::pack(NumberFormat format, int outputs, int inputs, std::span<const std::byte> stored, PanelMemory& memory,
                                ThreadPool& pool, const Packed& packed) {
  const NumberFormatFacts& stored_facts = facts(format);
  const size_t row_bytes = static_cast<size_t>(inputs) / stored_facts.block_values * stored_facts.block_bytes;
  assert(outputs > 0 && inputs > 0 && inputs % static_cast<int>(stored_facts.block_values) == 0);
  assert(stored.size() == row_bytes * static_cast<size_t>(outputs));

  PackedMatrix matrix;
  matrix.format_ = format;
  matrix.outputs_ = outputs;
  matrix.inputs_ = inputs;
  matrix.panel_bytes_ = kernels::panel_bytes(format, inputs);
  const std::span<std::byte> panels = memory.take(packed_bytes(format, outputs, inputs));
  matrix.panels_ = panels;
  const auto pack_panel = [&](int panel) {
    std::byte* to = panels.data() + static_cast<size_t>(panel) * matrix.panel_bytes_;
    const int first = panel * kPanelOutputs;
    for (int output = 0; output < std::min(kPanelOutputs, outputs - first); ++output) {
      const std::byte* row = stored.data() + static_cast<size_t>(first + output) * row_bytes;
      if (is_quantized(format)) pack_quantized_output(format, inputs, row, output, to);
      else pack_plain_output(stored_facts.block_bytes, inputs, row, output, to);
    }
  };
  constexpr size_t kPartBytes = 8 << 20;
  const int part = std::max(1, static_cast<int>(kPartBytes / matrix.panel_bytes_));
  for (int begin = 0; begin < matrix.panels(); begin += part) {
    const int end = std::min(begin + part, matrix.panels());
    pool.run(end - begin, [&](int i, int) { pack_panel(begin + i); });
    const auto rows_at = [&](int panel) { return static_cast<size_t>(std::min(panel * kPanelOutputs, outputs)) * row_bytes; };
    if (packed) packed(stored.subspan(rows_at(begin), rows_at(end) - rows_at(begin)));
  }
  return matrix;
}

size_t PackedMatrix::packed_bytes(NumberFormat format, int outputs, int inputs) {
  return kernels::panel_bytes(format, inputs) * static_cast<size_t>(panels_of(outputs));
}

void PackedMatrix::read_row(int output, std::span<float> out) const {
  assert(output >= 0 && output < outputs_ && out.size() == static_cast<size_t>(inputs_));
  const std::byte* from = panel(output / kPanelOutputs);
  const int lane = output % kPanelOutputs;
  if (!is_quantized(format_)) {
    for (int k = 0; k < inputs_; ++k) out[static_cast<size_t>(k)] = read_panel_value(format_, from, k, lane);
    return;
  }
  const int scale_inputs = panel_traits(format_).scale_inputs;
  PanelBlock block;
  for (int b = 0; b < inputs_ / kBlockInputs; ++b) {
    read_panel_block(format_, from, b, lane, block);
    for (int k = 0; k < kBlockInputs; ++k) {
      const int h = k / scale_inputs;
      out[static_cast<size_t>(b * kBlockInputs + k)] = block.scales[h] * static_cast<float>(block.q[k]) - block.minima[h];
    }
  }
}

}  // namespace fovea::kernels
