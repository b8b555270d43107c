#include "files/tensor_table.h"

#include "files/untrusted_text.h"
#include "fovea/error.h"

namespace fovea::files {

void TensorTable::add(Tensor tensor) {
  std::string name = tensor.name;
  const auto [known, added] = tensors_.try_emplace(std::move(name), std::move(tensor));
  if (added) return;
  // try_emplace leaves its arguments alone when the name is taken
  throw Error("tensor " + in_quotes(tensor.name) + " is there twice; first as " + known->second.where, tensor.where,
              "the file is damaged or badly written: fetch or convert it again");
}

const Tensor* TensorTable::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

}  // namespace fovea::files
