#include "conversion/tensor_bytes.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "base/half.h"
#include "conversion/quantize.h"
#include "fovea/error.h"

namespace fovea::conversion {
namespace {

using model::MatrixPart;

constexpr size_t kSliceBytes = 8 << 20;

void read_row(const MatrixPart& part, int64_t row, float added, std::span<float> out) {
  const std::byte* from = part.bytes().data() + static_cast<size_t>(row) * part.row_bytes();
  if (part.format == NumberFormat::f32) {
    std::memcpy(out.data(), from, out.size_bytes());
  } else {
    for (size_t i = 0; i < out.size(); ++i) {
      uint16_t half;
      std::memcpy(&half, from + 2 * i, 2);
      out[i] = part.format == NumberFormat::f16 ? float_from_f16(half) : float_from_bf16(half);
    }
  }
  if (added == 0) return;
  for (float& value : out) value += added;
}

void pass_on(std::span<const std::byte> bytes, const Sink& sink) {
  for (size_t at = 0; at < bytes.size(); at += kSliceBytes) sink(bytes.subspan(at, std::min(kSliceBytes, bytes.size() - at)));
}

class Converter {
 public:
  Converter(const PlannedTensor& planned, ThreadPool& pool, const Sink& sink) : planned_(planned), pool_(pool), sink_(sink) {}

  void convert(const MatrixPart& part) {
    const NumberFormatFacts& stored = facts(planned_.tensor.format);
    const size_t row_bytes = static_cast<size_t>(part.inputs) / stored.block_values * stored.block_bytes;
    const auto at_once = static_cast<int64_t>(std::max<size_t>(1, kSliceBytes / (static_cast<size_t>(part.inputs) * sizeof(float))));
    std::vector<std::byte> slice;
    for (int64_t begin = 0; begin < part.outputs; begin += at_once) {
      const int64_t rows = std::min(at_once, part.outputs - begin);
      slice.resize(static_cast<size_t>(rows) * row_bytes);
      pool_.run(static_cast<int>(rows),
                [&](int row, int) { convert_row(part, begin + row, slice.data() + static_cast<size_t>(row) * row_bytes); });
      if (broken_) {
        throw Error("holds numbers that are not finite", planned_.sources.front()->where, "the file is damaged: fetch it again");
      }
      sink_(slice);
    }
  }

 private:
  void convert_row(const MatrixPart& part, int64_t row, std::byte* out) {
    thread_local std::vector<float> values;
    values.resize(static_cast<size_t>(part.inputs));
    read_row(part, row, planned_.added, values);
    if (!std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); })) broken_ = true;
    else quantize(planned_.tensor.format, values, out);
  }

  const PlannedTensor& planned_;
  ThreadPool& pool_;
  const Sink& sink_;
  std::atomic<bool> broken_ = false;
};

}  // namespace

void make_tensor(const PlannedTensor& planned, ThreadPool& pool, const Sink& sink) {
  Converter converter(planned, pool, sink);
  for (int p = 0; p < planned.parts; ++p) {
    const MatrixPart part = planned.part(p);
    if (part.format == planned.tensor.format && planned.added == 0) pass_on(part.bytes(), sink);
    else converter.convert(part);
  }
}

}  // namespace fovea::conversion
