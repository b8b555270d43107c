// GGUF models cut into several files: "name-00001-of-00003.gguf", the first of which holds the model's keys.
#include <cstdint>
#include <cstdio>
#include <utility>

#include "files/gguf.h"
#include "files/untrusted_text.h"
#include "fovea/error.h"

namespace fovea::files {
namespace {

constexpr int kMostShards = 99999;  // five digits in the names
constexpr const char* kFetchAll = "fetch all parts of the model again, into one folder";

std::string shard_suffix(int number, int count) {
  char suffix[48];
  std::snprintf(suffix, sizeof suffix, "-%05d-of-%05d.gguf", number, count);
  return suffix;
}

// first: path of shard 1 of count
std::string shard_path(const std::string& first, int number, int count) {
  const std::string suffix = shard_suffix(1, count);
  if (!first.ends_with(suffix)) {
    throw Error("is the first of " + std::to_string(count) + " parts, but its name does not end in '" + suffix + "'", first,
                "give the parts the names they were published under");
  }
  return first.substr(0, first.size() - suffix.size()) + shard_suffix(number, count);
}

GgufContents map_file(ModelFiles& model, const std::string& path) {
  model.files.emplace_back(path);
  return parse_gguf(model.files.back().bytes(), path);
}

void add_shard(ModelFiles& model, const std::string& path, int index, int count) {
  const GgufContents shard = map_file(model, path);
  if (shard.metadata.integer("split.no", -1) != index || shard.metadata.integer("split.count", -1) != count) {
    throw Error("is not part " + std::to_string(index + 1) + " of " + std::to_string(count) + " as its name says", path, kFetchAll);
  }
  for (const auto& [name, tensor] : shard.tensors.all()) model.tensors.add(tensor);
}

void add_other_shards(ModelFiles& model, int count) {
  for (int index = 1; index < count; ++index) {
    add_shard(model, shard_path(model.path, index + 1, count), index, count);
  }
  const int tensors = model.metadata.integer("split.tensors.count");
  if (std::cmp_not_equal(tensors, model.tensors.size())) {
    throw Error("the parts hold " + std::to_string(model.tensors.size()) + " tensors, expected " + std::to_string(tensors), model.path,
                kFetchAll);
  }
}

}  // namespace

ModelFiles open_gguf(const std::string& path) {
  ModelFiles model;
  model.container = Container::gguf;
  model.path = path;
  GgufContents first = map_file(model, path);
  model.metadata = std::move(first.metadata);
  model.tensors = std::move(first.tensors);
  const int count = model.metadata.integer("split.count", 1);
  if (count < 0 || count > kMostShards) {
    throw Error("claims to be in " + std::to_string(count) + " parts", path + ", key 'split.count'", kFetchAll);
  }
  const int index = model.metadata.integer("split.no", 0);
  if (index != 0) {
    throw Error("is part " + std::to_string(int64_t{index} + 1) + " of a model in " + std::to_string(count) + " parts", path,
                "name the first part, whose name ends in '" + shard_suffix(1, count) + "'");
  }
  if (count > 1) add_other_shards(model, count);
  return model;
}

}  // namespace fovea::files
