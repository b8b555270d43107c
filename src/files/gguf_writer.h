// Writes GGUF files, version 3, little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/number_format.h"
#include "files/new_file.h"

namespace fovea::files {

// One value in one of the types that the format has; unlike metadata.h's Value it keeps the width, which
// other readers insist on.
using GgufValue = std::variant<uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t, uint64_t, int64_t, float, double, bool, std::string,
                               std::vector<uint8_t>, std::vector<int8_t>, std::vector<uint16_t>, std::vector<int16_t>,
                               std::vector<uint32_t>, std::vector<int32_t>, std::vector<uint64_t>, std::vector<int64_t>, std::vector<float>,
                               std::vector<double>, std::vector<bool>, std::vector<std::string>>;

struct GgufKey {
  std::string name;
  GgufValue value;
};

struct GgufTensor {
  std::string name;
  NumberFormat format = NumberFormat::f32;
  std::vector<int64_t> shape;  // outermost first, 1 to 4 extents of at least 1
};

// Everything that stands before the data, in the order in which it is written.
struct GgufHeader {
  std::vector<GgufKey> keys;  // without "general.alignment"
  std::vector<GgufTensor> tensors;
  uint32_t alignment = 32;  // of each tensor's data in the file
};

// errors  Error naming the tensor for shapes that are no shapes, rows that are no whole number of blocks, and
// sizes
//         beyond 64 bits
uint64_t bytes_of(const GgufTensor& tensor);

// errors  as GgufWriter, disk apart
uint64_t gguf_file_bytes(const GgufHeader& header);

// Data is streamed: it needs no more memory than the header and what the caller holds. The file appears under
// its name only when finish() succeeded (new_file.h).
//   errors  Error when the header breaks the format (names that are empty, too long or there twice, text that
//   is not
//           UTF-8, what bytes_of refuses), when the disk has not the room, or writing fails
class GgufWriter {
 public:
  GgufWriter(const std::string& path, const GgufHeader& header);

  uint64_t file_bytes() const { return file_bytes_; }

  // The next bytes of the data of all tensors, in their order. REQUIRES that no call goes past the end of a
  // tensor.
  void write(std::span<const std::byte> bytes);
  void finish();  // REQUIRES all bytes of all tensors written

 private:
  void pad_to_alignment();

  uint32_t alignment_;
  std::vector<uint64_t> sizes_;
  uint64_t file_bytes_;
  NewFile file_;
  size_t tensor_ = 0;           // the one being written
  uint64_t written_bytes_ = 0;  // of it
};

}  // namespace fovea::files
