#include "files/hugging_face.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <set>

#include "files/json_text.h"
#include "files/safetensors.h"
#include "files/untrusted_text.h"
#include "fovea/error.h"

namespace fovea::files {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// Names repeat their prefixes when flattened; the two limits together bound the memory a hostile file can ask
// for.
constexpr size_t kConfigBytes = 4u << 20;
constexpr size_t kNameBytes = 256;

bool all(const json& list, bool (json::*is_kind)() const noexcept) {
  return std::all_of(list.begin(), list.end(), [&](const json& entry) { return (entry.*is_kind)(); });
}

// Puts one flattened value after the other into the metadata.
class Flattener {
 public:
  Flattener(const std::string& source, Metadata& metadata) : source_(source), metadata_(metadata) {}

  void object(const json& object, const std::string& prefix) {
    for (const auto& [name, value] : object.items()) {
      const std::string key = prefix + name;
      if (key.size() > kNameBytes) {
        throw Error("the name " + in_quotes(key) + " is longer than " + std::to_string(kNameBytes) + " bytes", source_,
                    "the file is no model's: fetch it again");
      }
      if (value.is_object()) {
        this->object(value, key + ".");
      } else if (value.is_array()) {
        list(key, value);
      } else {
        scalar(key, value);
      }
    }
  }

 private:
  void scalar(const std::string& key, const json& value) {
    if (value.is_string()) set(key, value.get<std::string>());
    if (value.is_boolean()) set(key, value.get<bool>());
    if (value.is_number_integer()) set(key, integer(key, value));
    if (value.is_number_float()) set(key, value.get<double>());
  }

  void list(const std::string& key, const json& values) {
    if (values.empty()) return;
    if (all(values, &json::is_string)) set(key, values.get<std::vector<std::string>>());
    if (all(values, &json::is_boolean)) set(key, values.get<std::vector<bool>>());
    if (!all(values, &json::is_number)) return;
    if (!all(values, &json::is_number_integer)) return set(key, values.get<std::vector<double>>());
    std::vector<int64_t> integers;
    for (const json& value : values) integers.push_back(integer(key, value));
    set(key, std::move(integers));
  }

  int64_t integer(const std::string& key, const json& value) const {
    if (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      throw Error("is beyond the integers of 64 bits with sign", source_ + ", key " + in_quotes(key), "correct the value");
    }
    return value.get<int64_t>();
  }

  void set(const std::string& key, Value value) {
    if (metadata_.has(key)) {
      throw Error("the name " + in_quotes(key) + " stands twice: nested, and spelt with a dot", source_, "remove one of them");
    }
    metadata_.set(key, std::move(value));
  }

  const std::string& source_;
  Metadata& metadata_;
};

std::string_view text_of(const MappedFile& file) { return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}; }

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

void add_config(const std::string& path, const std::string& prefix, Metadata& metadata) {
  const MappedFile file(path);
  parse_config(text_of(file), path, prefix, metadata);
}

void add_shard(ModelFiles& model, const std::string& path, std::vector<ByteTensor>& byte_tensors) {
  model.files.emplace_back(path);
  parse_safetensors(model.files.back().bytes(), path, model.tensors, &byte_tensors);
}

void add_shards(ModelFiles& model, const fs::path& folder, const std::string& index_path, std::vector<ByteTensor>& byte_tensors) {
  const MappedFile index(index_path);
  const auto shard_of = parse_safetensors_index(text_of(index), index_path);
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : shard_of) shards.insert(shard);
  for (const std::string& shard : shards) {
    const std::string path = folder / shard;
    if (!is_there(path)) throw Error("is named in the index, but is not there", path, "fetch all files of the model");
    add_shard(model, path, byte_tensors);
  }
  for (const auto& [tensor, shard] : shard_of) {
    const auto same = [&, &name = tensor](const ByteTensor& part) { return part.name == name; };
    if (model.tensors.find(tensor) || std::any_of(byte_tensors.begin(), byte_tensors.end(), same)) continue;
    throw Error("tensor " + in_quotes(tensor) + " is named in the index, but is in no shard", index_path,
                "fetch all files of the model again");
  }
}

[[noreturn]] void refuse_without_weights(const fs::path& folder) {
  const bool pickled = is_there(folder / "pytorch_model.bin") || is_there(folder / "pytorch_model.bin.index.json");
  throw Error("holds neither model.safetensors nor model.safetensors.index.json", folder,
              pickled ? "convert pytorch_model.bin to safetensors: save_pretrained of transformers does"
                      : "fetch the model's *.safetensors files into the folder");
}

}  // namespace

void parse_config(std::string_view text, const std::string& source, const std::string& prefix, Metadata& metadata) {
  Flattener(source, metadata).object(parse_json_object(text, source, kConfigBytes), prefix);
}

Metadata read_config_file(const std::string& path) {
  Metadata metadata(path);
  add_config(path, "", metadata);
  return metadata;
}

Metadata read_folder_config(const std::string& folder) {
  const fs::path config = fs::path(folder) / "config.json";
  if (!is_there(config)) {
    throw Error("holds no config.json", folder, "name a .gguf file, or a folder with config.json and *.safetensors");
  }
  Metadata metadata = read_config_file(config);
  const fs::path generation = fs::path(folder) / "generation_config.json";
  if (is_there(generation)) add_config(generation, "generation_config.", metadata);
  return metadata;
}

ModelFiles open_hugging_face(const std::string& folder) {
  ModelFiles model;
  model.container = Container::hugging_face;
  model.path = folder;
  model.metadata = read_folder_config(folder);
  const fs::path single = fs::path(folder) / "model.safetensors";
  const fs::path index = fs::path(folder) / "model.safetensors.index.json";
  std::vector<ByteTensor> byte_tensors;
  if (is_there(single)) {  // beside an index the single file wins, as in transformers
    add_shard(model, single, byte_tensors);
  } else if (is_there(index)) {
    add_shards(model, folder, index, byte_tensors);
  } else {
    refuse_without_weights(folder);
  }
  join_mxfp4(byte_tensors, model.tensors);
  return model;
}

}  // namespace fovea::files
