// Metadata of a file -> ModelSpec, through the family that knows this architecture.
#pragma once

#include <string>
#include <vector>

#include "files/metadata.h"
#include "files/model_files.h"
#include "model/gguf_outline.h"
#include "model/spec.h"

namespace fovea::model {

// One family: how to recognise it and how to read its facts, from GGUF keys and from config.json alike.
// errors  the readers throw Error naming the key when a fact is missing, contradictory or not computed by
// this engine
struct Family {
  const char* name;
  const char* gguf_architecture;                // "general.architecture"; empty, and from_gguf null, where it has none
  std::vector<std::string> hugging_face_types;  // "model_type"
  ModelSpec (*from_gguf)(const files::Metadata&);
  ModelSpec (*from_hugging_face)(const files::Metadata&);
  // A GGUF's keys for what from_hugging_face read from the config; null where the format has no place for the family.
  GgufOutline (*to_gguf)(const files::Metadata& config, const ModelSpec& spec) = nullptr;
};

const std::vector<Family>& families();

// errors  Error when no family knows the architecture, listing those that exist
ModelSpec read_spec(const files::Metadata& metadata, files::Container container);

// What a GGUF of the same model says. REQUIRES spec as read_spec read it from the config of a folder.
// errors  Error when the format has no place for the family
GgufOutline gguf_outline(const files::Metadata& config, const ModelSpec& spec);

}  // namespace fovea::model
