// Memory on cache-line boundaries, for vectors that kernels load whole.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <type_traits>

namespace fovea {

inline constexpr size_t kCacheLineBytes = 64;

// A fixed number of plain values on a 64-byte boundary. Move-only; zeroed on construction (attention over
// partly filled pages multiplies the unused slots by zero, so they must hold numbers).
template <typename T> class AlignedArray {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  AlignedArray() = default;
  explicit AlignedArray(size_t count) : size_(count) {
    if (count == 0) return;
    if (count > (static_cast<size_t>(-1) - kCacheLineBytes) / sizeof(T)) throw std::bad_alloc();
    const size_t bytes = (count * sizeof(T) + kCacheLineBytes - 1) / kCacheLineBytes * kCacheLineBytes;
    data_.reset(static_cast<T*>(zeroed(bytes)));
  }

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T& operator[](size_t i) { return data_.get()[i]; }
  const T& operator[](size_t i) const { return data_.get()[i]; }
  std::span<T> span() { return {data(), size_}; }
  std::span<const T> span() const { return {data(), size_}; }

 private:
  static void* zeroed(size_t bytes);
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
  std::unique_ptr<T, Free> data_;
  size_t size_ = 0;
};

void* allocate_zeroed_lines(size_t bytes);  // throws std::bad_alloc

template <typename T> void* AlignedArray<T>::zeroed(size_t bytes) { return allocate_zeroed_lines(bytes); }

}  // namespace fovea
