// Large memory straight from the operating system: zero, page-aligned, resident only where it was touched.
#pragma once

#include <cstddef>
#include <span>

namespace fovea {

// Asks for huge pages where the system offers them (weights and caches are streamed; small pages would cost address
// translation).
// owner   gives the memory back on destruction; move-only
// errors  throws Error when the system refuses, saying how much was asked for
class LargeBytes {
 public:
  LargeBytes() = default;
  explicit LargeBytes(size_t size);
  ~LargeBytes();
  LargeBytes(LargeBytes&& other) noexcept;
  LargeBytes& operator=(LargeBytes&& other) noexcept;
  LargeBytes(const LargeBytes&) = delete;
  LargeBytes& operator=(const LargeBytes&) = delete;

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }

  // The whole pages of `part` go back to the system; read again, they are zeros.
  void forget(std::span<const std::byte> part) const;

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
  void* mapping_ = nullptr;  // what data_ lies in
  size_t mapped_bytes_ = 0;
};

}  // namespace fovea
