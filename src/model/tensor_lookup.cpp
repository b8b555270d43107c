#include "model/tensor_lookup.h"

namespace fovea::model {
namespace {

// What stands in files instead of the first component of a canonical name.
struct Spelling {
  std::string_view canonical, written;
};
constexpr Spelling kSpellings[] = {
    {"model.", "language_model.model."},       {"model.", "model.language_model."},
    {"model.", "model.language_model.model."}, {"model.", ""},
    {"lm_head.", "language_model.lm_head."},   {"lm_head.", "model.language_model.lm_head."},
};

}  // namespace

std::string tensor_name(std::string_view pattern, int layer, int expert) {
  std::string name(pattern);
  if (const size_t place = name.find("%d"); place != std::string::npos) name.replace(place, 2, std::to_string(layer));
  if (const size_t place = name.find("%e"); place != std::string::npos) name.replace(place, 2, std::to_string(expert));
  return name;
}

const files::Tensor* find_tensor(const files::TensorTable& tensors, std::string_view canonical) {
  if (const files::Tensor* tensor = tensors.find(canonical)) return tensor;
  for (const auto& [prefix, written] : kSpellings) {
    if (!canonical.starts_with(prefix)) continue;
    const std::string name = std::string(written) + std::string(canonical.substr(prefix.size()));
    if (const files::Tensor* tensor = tensors.find(name)) return tensor;
  }
  return nullptr;
}

}  // namespace fovea::model
