// The tokenizer of a Hugging Face folder as the plain vocabulary that a GGUF holds.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "files/gguf_writer.h"
#include "files/model_files.h"
#include "text/vocabulary.h"

namespace fovea::conversion {

struct FolderVocabulary {
  text::Vocabulary vocabulary;
  std::optional<int> pad;
  std::optional<std::string> chat_template;
};

// rows  of the embedding: tokens are padded to as many, and those beyond it, which nothing can compute, are left out.
// pre_tokenizer  how byte-level texts are cut, by the name that GGUF has for it; empty: by what the folder says
// Nothing where the folder has neither tokenizer.json nor tokenizer.model.
// errors  Error for a tokenizer that GGUF cannot hold, naming what it does
std::optional<FolderVocabulary> folder_vocabulary(const files::ModelFiles& folder, int rows, const std::string& pre_tokenizer);

// "tokenizer.*"; a model without tokenizer says so.
std::vector<files::GgufKey> tokenizer_keys(const std::optional<FolderVocabulary>& vocabulary);

}  // namespace fovea::conversion
