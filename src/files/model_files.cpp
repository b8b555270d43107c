#include "files/model_files.h"

#include <filesystem>
#include <functional>

#include "files/gguf.h"
#include "files/hugging_face.h"
#include "files/safetensors.h"
#include "files/untrusted_text.h"
#include "fovea/error.h"

namespace fovea::files {
namespace {

namespace fs = std::filesystem;

constexpr size_t kSideFileBytes = 256u << 20;  // the largest tokenizer.json known has 33 MB

bool is_folder(const std::string& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

void refuse_without_tensors(const ModelFiles& model) {
  if (model.tensors.size() > 0) return;
  if (model.container == Container::hugging_face) {
    throw Error("holds no tensors in its safetensors files", model.path, "fetch the model's *.safetensors files again");
  }
  throw Error("holds no tensors", model.path, "name a file with the model's weights, not only its vocabulary");
}

bool contains(const std::byte* whole, size_t size, std::span<const std::byte> part) {
  return std::less_equal<>()(whole, part.data()) && std::less_equal<>()(part.data() + part.size(), whole + size);
}

}  // namespace

std::optional<std::string> ModelFiles::side_file(const std::string& name) const {
  if (!is_plain_file_name(name)) throw Error(in_quotes(name) + " is not a plain file name", path, "name a file in the folder");
  if (container != Container::hugging_face) return std::nullopt;
  const fs::path file_path = fs::path(path) / name;
  std::error_code ignored;
  if (!fs::exists(file_path, ignored)) return std::nullopt;
  const MappedFile file(file_path);
  const auto bytes = file.bytes();
  if (bytes.size() > kSideFileBytes) {
    throw Error("has " + std::to_string(bytes.size()) + " bytes, more than the " + std::to_string(kSideFileBytes) + " allowed", file_path,
                "fetch the model's own file again");
  }
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void ModelFiles::forget(std::span<const std::byte> bytes) const {
  for (const MappedFile& file : files) {
    if (contains(file.bytes().data(), file.bytes().size(), bytes)) file.forget(bytes);
  }
  for (const LargeBytes& made : memory) {
    if (contains(made.data(), made.size(), bytes)) made.forget(bytes);
  }
}

ModelFiles open_model(const std::string& path) {
  if (!is_folder(path) && path.ends_with(".safetensors")) {
    throw Error("is only the weights of a model", path, "name the folder that holds it and config.json");
  }
  ModelFiles model = is_folder(path) ? open_hugging_face(path) : open_gguf(path);
  refuse_without_tensors(model);
  return model;
}

Metadata read_config(const std::string& path) {
  if (is_folder(path)) return read_folder_config(path);
  const MappedFile file(path);
  if (has_gguf_magic(file.bytes())) return parse_gguf_metadata(file.bytes(), path);
  return read_config_file(path);
}

}  // namespace fovea::files
