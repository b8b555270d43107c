#include "model/registry.h"

#include <algorithm>

#include "files/untrusted_text.h"
#include "fovea/error.h"
#include "model/families/families.h"

namespace fovea::model {
namespace {

std::vector<std::string> names_of(const Family& family, files::Container container) {
  if (container == files::Container::gguf) {
    if (!family.from_gguf) return {};
    return {family.gguf_architecture};
  }
  return family.hugging_face_types;
}

const Family* find_family(const std::string& architecture, files::Container container) {
  for (const Family& family : families()) {
    const auto names = names_of(family, container);
    if (std::find(names.begin(), names.end(), architecture) != names.end()) return &family;
  }
  return nullptr;
}

// Nested configurations name the language model inside; a few name only the whole.
const char* architecture_key(const files::Metadata& metadata, files::Container container) {
  if (container == files::Container::gguf) return "general.architecture";
  return metadata.has("text_config.model_type") ? "text_config.model_type" : "model_type";
}

std::string known_names(files::Container container) {
  std::string list;
  for (const Family& family : families()) {
    for (const std::string& name : names_of(family, container)) list += (list.empty() ? "" : ", ") + name;
  }
  return list;
}

const Family& family_of(const files::Metadata& metadata, files::Container container) {
  const char* key = architecture_key(metadata, container);
  const std::string architecture = metadata.text(key);
  if (const Family* family = find_family(architecture, container)) return *family;
  throw Error("architecture " + files::in_quotes(architecture) + " is not one this engine computes",
              metadata.source() + ", key " + files::in_quotes(key), "it knows " + known_names(container));
}

}  // namespace

const std::vector<Family>& families() {
  static const std::vector<Family> kFamilies = {
      cohere2_family(), deepseek_v2_family(), deepseek_v3_family(), gemma2_family(),  gemma3_family(),    gemma3n_family(),
      gemma4_family(),  gpt_oss_family(),     granite_family(),     jamba_family(),   llama_family(),     llama4_family(),
      mamba_family(),   mamba2_family(),      mistral_family(),     mixtral_family(), olmo2_family(),     olmo3_family(),
      phi3_family(),    qwen2_family(),       qwen2_moe_family(),   qwen3_family(),   qwen3_moe_family(),
  };
  return kFamilies;
}

ModelSpec read_spec(const files::Metadata& metadata, files::Container container) {
  const Family& family = family_of(metadata, container);
  return container == files::Container::gguf ? family.from_gguf(metadata) : family.from_hugging_face(metadata);
}

GgufOutline gguf_outline(const files::Metadata& config, const ModelSpec& spec) {
  const Family& family = family_of(config, files::Container::hugging_face);
  if (family.to_gguf) return family.to_gguf(config, spec);
  throw Error(std::string("models of the family ") + family.name + " cannot be written as GGUF", config.source(), "run the folder itself");
}

}  // namespace fovea::model
