// Named tensors of a model file: where their bytes are, in which format and shape. It knows no layers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/number_format.h"

namespace fovea::files {

struct Tensor {
  std::string name;
  NumberFormat format = NumberFormat::f32;
  std::vector<int64_t> shape;        // outermost first, as in "[out, in]"; every entry >= 1; empty for a scalar
  std::span<const std::byte> bytes;  // exactly what format and shape need; valid while the file is open.
                                     // At any alignment (safetensors promises none): read with memcpy
  std::string where;                 // "model.gguf, tensor 41", for messages
  // mxfp4 as safetensors hold it (mxfp4_pairs.h): the exponents, while `bytes` are the codes alone. Empty: blocks as
  // docs/formats.md lists them.
  std::span<const std::byte> scales = {};

  int64_t values() const {
    int64_t product = 1;
    for (const int64_t extent : shape) product *= extent;  // cannot overflow: checked against bytes at load
    return product;
  }
};

// threads  immutable after loading
class TensorTable {
 public:
  void add(Tensor tensor);                          // throws Error on a name that is already there
  const Tensor* find(std::string_view name) const;  // null when absent
  size_t size() const { return tensors_.size(); }
  const std::map<std::string, Tensor, std::less<>>& all() const { return tensors_; }

 private:
  std::map<std::string, Tensor, std::less<>> tensors_;
};

}  // namespace fovea::files
