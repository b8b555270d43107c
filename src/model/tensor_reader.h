// The tensors of a file by role, checked and packed one after the other.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "base/thread_pool.h"
#include "files/model_files.h"
#include "fovea/options.h"
#include "kernels/packed_matrix.h"
#include "model/matrix_part.h"

namespace fovea::model {

// Whether the language model of a file owns this tensor: files may hold more (images, sound), and tables that
// are computed instead of read.
bool is_text_tensor(std::string_view name);

// Patterns are those of TensorNames: "%d" stands for the layer, "%e" for the expert.
//   errors  Error for a tensor that is missing or has another shape than asked for; Stopped when progress said so
class TensorReader {
 public:
  TensorReader(const files::ModelFiles& files, std::string family, kernels::PanelMemory& memory, ThreadPool& pool,
               const Progress& progress);

  const files::Tensor* find(const std::string& pattern, int layer = 0, int expert = 0);
  const files::Tensor& require(const std::string& pattern, int layer = 0, int expert = 0);

  kernels::PackedMatrix matrix(const std::string& pattern, int layer, int outputs, int inputs, int expert = 0);
  // Some rows of a tensor [total rows][inputs].
  kernels::PackedMatrix rows(const std::string& pattern, int layer, int total, int first, int count, int inputs);
  // Pages of the file go as they are packed.
  kernels::PackedMatrix pack(const MatrixPart& part);
  // Any tensor of `count` numbers, in a plain format.
  AlignedArray<float> numbers(const std::string& pattern, int layer, int64_t count);
  AlignedArray<float> vector(const std::string& pattern, int layer, int size);  // of this very shape
  // Every "%e" part of a role that may also be one tensor: [count][outputs][inputs], or by input.
  std::vector<MatrixPart> stack(const std::string& pattern, int layer, int count, int outputs, int inputs, bool by_input);

  void check_shape(const files::Tensor& tensor, const std::vector<int64_t>& expected) const;
  void forget(const files::Tensor& tensor) const { files_.forget(tensor.bytes); }  // its pages in memory may go
  // A tensor that no role claims would be left out of the computation without a word (a bias, say).
  void refuse_leftovers(const std::vector<std::string>& ignored) const;

 private:
  void count(size_t bytes);  // as read

  const files::ModelFiles& files_;
  std::string family_;
  kernels::PanelMemory& memory_;
  ThreadPool& pool_;
  const Progress& progress_;
  std::set<std::string, std::less<>> used_;
  int64_t total_bytes_ = 0, done_bytes_ = 0;
};

}  // namespace fovea::model
