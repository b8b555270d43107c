// A cursor over the bytes of a file that refuses to pass their end.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "fovea/error.h"

namespace fovea::files {

static_assert(std::endian::native == std::endian::little, "the file formats read here are little-endian");

// owner   neither the bytes nor the source; both must outlive the reader
// errors  every read throws Error, naming the file and the place, when fewer bytes are left than it needs
class ByteReader {
 public:
  ByteReader(std::span<const std::byte> bytes, const std::string& source) : bytes_(bytes), source_(source) {}

  size_t offset() const { return offset_; }
  size_t remaining() const { return bytes_.size() - offset_; }
  const std::string& source() const { return source_; }
  std::string where() const { return source_ + ", byte " + std::to_string(offset_); }

  // what: the thing being read, for the message ("the tensor count")
  template <typename T> T read(std::string_view what) {
    static_assert(std::is_arithmetic_v<T>);
    T value;
    std::memcpy(&value, take(sizeof(T), what).data(), sizeof(T));
    return value;
  }

  std::span<const std::byte> take(uint64_t count, std::string_view what) {
    if (count > remaining()) refuse_truncated(what);
    const auto taken = bytes_.subspan(offset_, count);
    offset_ += count;
    return taken;
  }

  // Refuses a count of things that cannot all be in the rest of the file, before anything is allocated for
  // them.
  void require_room(uint64_t count, size_t least_bytes_each, std::string_view what) const {
    if (count <= remaining() / least_bytes_each) return;
    throw Error("claims " + std::to_string(count) + " " + std::string(what) + ", more than the " + std::to_string(remaining()) +
                    " bytes left in the file can hold",
                where(), kFetchAgain);
  }

  static constexpr const char* kFetchAgain = "the file is truncated or damaged: fetch it again";

 private:
  [[noreturn]] void refuse_truncated(std::string_view what) const {
    throw Error("the file ends inside " + std::string(what), where(), kFetchAgain);
  }

  std::span<const std::byte> bytes_;
  const std::string& source_;
  size_t offset_ = 0;
};

}  // namespace fovea::files
