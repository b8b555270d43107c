#include "files/safetensors.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "files/byte_reader.h"
#include "files/json_text.h"
#include "files/untrusted_text.h"

namespace fovea::files {
namespace {

using nlohmann::json;

constexpr uint64_t kHeaderBytes = 100'000'000;  // the format's limit
constexpr size_t kIndexBytes = 64u << 20;
constexpr size_t kMostDimensions = 8;

constexpr const char* kConvertAgain = "the file is damaged or badly written: fetch or convert it again";

struct Entry {
  Tensor tensor;
  bool of_bytes = false;
  uint64_t begin, end;  // from the beginning of the data section
};

[[noreturn]] void refuse(const Tensor& tensor, const std::string& problem) {
  throw Error("tensor " + in_quotes(tensor.name) + " " + problem, tensor.where, kConvertAgain);
}

const json& member(const json& facts, const char* name, const Tensor& tensor) {
  const auto found = facts.find(name);
  if (found == facts.end()) refuse(tensor, std::string("has no '") + name + "'");
  return *found;
}

uint64_t unsigned_integer(const json& value, const char* what, const Tensor& tensor) {
  if (!value.is_number_unsigned()) refuse(tensor, std::string("has ") + what + " that is not an integer >= 0");
  return value.get<uint64_t>();
}

// bytes_too: whether tensors of bytes are wanted.
NumberFormat read_format(const json& facts, const Tensor& tensor, bool bytes_too, bool& of_bytes) {
  const json& dtype = member(facts, "dtype", tensor);
  if (!dtype.is_string()) refuse(tensor, "has a 'dtype' that is not text");
  const auto& name = dtype.get_ref<const std::string&>();
  of_bytes = bytes_too && name == "U8";
  if (of_bytes) return NumberFormat::f32;  // not looked at
  if (name == "F32") return NumberFormat::f32;
  if (name == "F16") return NumberFormat::f16;
  if (name == "BF16") return NumberFormat::bf16;
  throw Error("tensor " + in_quotes(tensor.name) + " is stored as " + in_quotes(name) + ", which this engine does not read", tensor.where,
              "use a checkpoint of the model in one of: F32, F16, BF16");
}

std::vector<int64_t> read_shape(const json& facts, const Tensor& tensor) {
  const json& extents = member(facts, "shape", tensor);
  if (!extents.is_array() || extents.size() > kMostDimensions) {
    refuse(tensor, "has a 'shape' that is not a list of at most " + std::to_string(kMostDimensions) + " integers");
  }
  std::vector<int64_t> shape;
  for (const json& extent : extents) {
    const uint64_t value = unsigned_integer(extent, "an extent", tensor);
    if (value < 1 || value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      refuse(tensor, "has an extent of " + std::to_string(value));
    }
    shape.push_back(static_cast<int64_t>(value));
  }
  return shape;
}

uint64_t bytes_needed(const Tensor& tensor, bool of_bytes) {
  int64_t bytes = of_bytes ? 1 : facts(tensor.format).block_bytes;
  for (const int64_t extent : tensor.shape) {
    if (__builtin_mul_overflow(bytes, extent, &bytes)) refuse(tensor, "has a shape whose size overflows");
  }
  return static_cast<uint64_t>(bytes);
}

Entry read_entry(const std::string& name, const json& facts, const std::string& source, uint64_t data_bytes, bool bytes_too) {
  Entry entry;
  Tensor& tensor = entry.tensor;
  tensor.name = name;
  tensor.where = source + ", tensor " + in_quotes(name);
  if (name.empty()) refuse(tensor, "has no name");
  if (!facts.is_object()) refuse(tensor, "is not described by an object");
  tensor.format = read_format(facts, tensor, bytes_too, entry.of_bytes);
  tensor.shape = read_shape(facts, tensor);

  const json& offsets = member(facts, "data_offsets", tensor);
  if (!offsets.is_array() || offsets.size() != 2) refuse(tensor, "has 'data_offsets' that are not two integers");
  entry.begin = unsigned_integer(offsets[0], "an offset", tensor);
  entry.end = unsigned_integer(offsets[1], "an offset", tensor);
  if (entry.begin > entry.end || entry.end > data_bytes) {
    refuse(tensor, "lies at " + std::to_string(entry.begin) + " to " + std::to_string(entry.end) + " of the data, which has " +
                       std::to_string(data_bytes) + " bytes");
  }
  if (const uint64_t needed = bytes_needed(tensor, entry.of_bytes); needed != entry.end - entry.begin) {
    refuse(tensor, "has " + std::to_string(entry.end - entry.begin) + " bytes, its shape needs " + std::to_string(needed));
  }
  return entry;
}

void check_notes(const json& notes, const std::string& source) {
  const bool texts = notes.is_object() && std::all_of(notes.begin(), notes.end(), [](const json& note) { return note.is_string(); });
  if (!texts) throw Error("'__metadata__' is not a table of texts", source, kConvertAgain);
}

// The format wants every byte of the data in exactly one tensor, so that nothing can hide in a file.
void refuse_overlaps_and_holes(std::vector<Entry>& entries, uint64_t data_bytes, const std::string& source) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.begin < b.begin; });
  uint64_t covered = 0;
  for (const Entry& entry : entries) {
    if (entry.begin < covered) refuse(entry.tensor, "overlaps the tensor before it");
    if (entry.begin > covered) refuse(entry.tensor, "leaves a hole in the data before it");
    covered = entry.end;
  }
  if (covered != data_bytes) {
    throw Error("holds " + std::to_string(data_bytes - covered) + " bytes that belong to no tensor", source, kConvertAgain);
  }
}

json read_header(ByteReader& reader) {
  const auto length = reader.read<uint64_t>("the length of the header");
  if (length > kHeaderBytes) {
    throw Error("claims a header of " + std::to_string(length) + " bytes, more than the " + std::to_string(kHeaderBytes) +
                    " allowed; it may be no safetensors file",
                reader.source(), ByteReader::kFetchAgain);
  }
  const auto bytes = reader.take(length, "the header");
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!text.starts_with('{')) throw Error("the header does not begin with '{'", reader.source(), kConvertAgain);
  return parse_json_object(text, reader.source() + ", header", kHeaderBytes);
}

}  // namespace

void parse_safetensors(std::span<const std::byte> file, const std::string& source, TensorTable& tensors,
                       std::vector<ByteTensor>* byte_tensors) {
  ByteReader reader(file, source);
  const json header = read_header(reader);
  const auto data = file.subspan(reader.offset());

  std::vector<Entry> entries;
  for (const auto& [name, facts] : header.items()) {
    if (name == "__metadata__") {
      check_notes(facts, source);
    } else {
      entries.push_back(read_entry(name, facts, source, data.size(), byte_tensors != nullptr));
    }
  }
  refuse_overlaps_and_holes(entries, data.size(), source);
  for (Entry& entry : entries) {
    Tensor& tensor = entry.tensor;
    tensor.bytes = data.subspan(entry.begin, entry.end - entry.begin);
    if (entry.of_bytes) byte_tensors->push_back({tensor.name, tensor.shape, tensor.bytes, tensor.where});
    else tensors.add(std::move(tensor));
  }
}

std::map<std::string, std::string> parse_safetensors_index(std::string_view text, const std::string& source) {
  const json index = parse_json_object(text, source, kIndexBytes);
  const auto weight_map = index.find("weight_map");
  if (weight_map == index.end() || !weight_map->is_object() || weight_map->empty()) {
    throw Error("has no 'weight_map' that names shards", source, "fetch the file again");
  }
  std::map<std::string, std::string> shard_of;
  for (const auto& [tensor, shard] : weight_map->items()) {
    if (!shard.is_string() || !is_plain_file_name(shard.get_ref<const std::string&>())) {
      const std::string shown = shard.is_string() ? in_quotes(shard.get_ref<const std::string&>()) : "something that is not text";
      throw Error("the shard of tensor " + in_quotes(tensor) + " is " + shown + ", expected the name of a file in the same folder", source,
                  "do not use this checkpoint, or fetch it again");
    }
    shard_of.emplace(tensor, shard.get<std::string>());
  }
  return shard_of;
}

bool is_plain_file_name(std::string_view name) {
  constexpr size_t kLongestName = 255;
  return !name.empty() && name.size() <= kLongestName && name.front() != '.' &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

}  // namespace fovea::files
