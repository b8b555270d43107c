// NumPy .npy files: token sequences in, logits out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

namespace fovea::files {

// Reads a one-dimensional little-endian array of int32 or int64 in C order (format versions 1 to 3).
// errors  throws Error for any other type or shape, truncation, or values outside int32
std::vector<int32_t> read_npy_integers(const std::string& path);

// The same from bytes in memory; source is the file's name, for messages.
std::vector<int32_t> parse_npy_integers(std::span<const std::byte> file, const std::string& source);

// Writes float32 rows one by one; the file appears under its name only when finish() succeeded.
// errors  throws Error when writing fails; destroying an unfinished writer removes what was written
class NpyRowWriter {
 public:
  NpyRowWriter(std::string path, int64_t rows, int64_t columns);
  ~NpyRowWriter();
  NpyRowWriter(const NpyRowWriter&) = delete;
  NpyRowWriter& operator=(const NpyRowWriter&) = delete;

  void write(std::span<const float> row);  // REQUIRES row.size() == columns, at most `rows` calls
  void finish();                           // REQUIRES `rows` calls of write

 private:
  std::string path_, temporary_;
  int64_t rows_, columns_, written_ = 0;
  std::FILE* file_ = nullptr;
};

}  // namespace fovea::files
