// For tests of families: metadata written by hand, and what a refusal must name.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "files/hugging_face.h"
#include "files/metadata.h"
#include "fovea/error.h"
#include "model/registry.h"

namespace fovea::model {

inline files::Metadata config_json(const std::string& json) {
  files::Metadata metadata("folder/config.json");
  files::parse_config(json, "folder/config.json", "", metadata);
  return metadata;
}

inline ModelSpec read_config_json(const std::string& json) { return read_spec(config_json(json), files::Container::hugging_face); }

inline ModelSpec read_gguf(const files::Metadata& metadata) { return read_spec(metadata, files::Container::gguf); }

// The message names `key`, so that the reader knows what to look at, and offers a way out.
inline void expect_refused(const files::Metadata& metadata, files::Container container, const std::string& key) {
  try {
    read_spec(metadata, container);
    ADD_FAILURE() << "accepted although " << key << " should be refused";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(key), std::string::npos) << error.what();
    EXPECT_FALSE(error.mend().empty()) << error.what();
  }
}

// Sets one key below an object that is refused as a whole.
inline void expect_object_refused(files::Metadata metadata, const std::string& object, const std::string& key) {
  metadata.set(object + "." + key, int64_t{4});
  expect_refused(metadata, files::Container::hugging_face, "'" + object + "'");
}

// The same metadata with one key set to another value.
inline void expect_config_refused(files::Metadata metadata, const std::string& key, files::Value value) {
  metadata.set(key, std::move(value));
  expect_refused(metadata, files::Container::hugging_face, "'" + key + "'");
}

inline void expect_gguf_refused(files::Metadata metadata, const std::string& key, files::Value value) {
  metadata.set(key, std::move(value));
  expect_refused(metadata, files::Container::gguf, "'" + key + "'");
}

// Every size that a file can state, made absurd in turn.
inline void expect_absurd_sizes_refused(const files::Metadata& metadata, files::Container container, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    for (const int64_t absurd : {int64_t{0}, int64_t{-1}, int64_t{1} << 31, int64_t{1} << 62}) {
      SCOPED_TRACE(key + " = " + std::to_string(absurd));
      files::Metadata changed = metadata;
      changed.set(key, absurd);
      expect_refused(changed, container, "'" + key + "'");
    }
  }
}

}  // namespace fovea::model
