// A weight matrix in the form that the kernels read (panel_layout.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "base/number_format.h"
#include "base/thread_pool.h"
#include "kernels/panel_layout.h"
#include "kernels/panel_memory.h"

namespace fovea::kernels {

// W [outputs][inputs]. Quantized weights stay quantized: the packed form is as large as the stored one, at most 6 % larger.
// owner    nothing: its bytes lie in the PanelMemory it was packed into, which must outlive it; the stored form may be
//          forgotten after pack()
// threads  immutable after pack()
class PackedMatrix {
 public:
  PackedMatrix() = default;

  // stored: rows of `inputs` values in `format`, as in the file.
  // REQUIRES inputs a multiple of the format's block, and stored.size() to match. Runs on all threads of the pool.
  // packed, if given, is told of each part of `stored` that is not needed any more, some megabytes at a time.
  using Packed = std::function<void(std::span<const std::byte> stored)>;
  static PackedMatrix pack(NumberFormat format, int outputs, int inputs, std::span<const std::byte> stored, PanelMemory& memory,
                           ThreadPool& pool, const Packed& packed = {});

  // What pack() takes from the memory for a matrix of this shape.
  static size_t packed_bytes(NumberFormat format, int outputs, int inputs);

  NumberFormat format() const { return format_; }
  int outputs() const { return outputs_; }
  int inputs() const { return inputs_; }
  int panels() const { return panels_of(outputs_); }
  const std::byte* data() const { return panels_.data(); }
  const std::byte* panel(int index) const { return panels_.data() + static_cast<size_t>(index) * panel_bytes_; }
  size_t panel_size() const { return panel_bytes_; }
  size_t bytes() const { return panels_.size(); }
  bool empty() const { return outputs_ == 0; }

  // The weights of one output as floats: row `output` of W. REQUIRES out.size() == inputs.
  void read_row(int output, std::span<float> out) const;

 private:
  static int panels_of(int outputs) { return (outputs + kPanelOutputs - 1) / kPanelOutputs; }

  NumberFormat format_ = NumberFormat::f32;
  int outputs_ = 0, inputs_ = 0;
  size_t panel_bytes_ = 0;
  std::span<const std::byte> panels_;
};

}  // namespace fovea::kernels
