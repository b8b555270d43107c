#include "files/gguf.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <vector>

#include "files/byte_reader.h"
#include "files/gguf_metadata.h"
#include "files/untrusted_text.h"

namespace fovea::files {
namespace {

constexpr char kMagic[4] = {'G', 'G', 'U', 'F'};
constexpr uint64_t kDefaultAlignment = 32;
constexpr uint64_t kLeastAlignment = 8;
constexpr uint64_t kLargestAlignment = 1 << 20;
constexpr uint64_t kTensorNameBytes = 255;  // the specification says 64; longer names exist and do no harm
constexpr uint32_t kMaxDimensions = 4;
constexpr size_t kLeastTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;  // name of one letter, one dimension, type, offset

constexpr const char* kConvertAgain = "the file is damaged or badly written: fetch or convert it again";

struct Header {
  uint64_t tensors;
  uint64_t keys;
};

// One row of the tensor table, before its place in the file is known to be good.
struct TensorEntry {
  Tensor tensor;
  uint64_t offset;  // from the beginning of the data section
  uint64_t bytes;
};

Header read_header(ByteReader& reader) {
  const auto magic = reader.take(sizeof kMagic, "the magic number");
  if (std::memcmp(magic.data(), kMagic, sizeof kMagic) != 0) {
    throw Error("is not a GGUF file: it does not begin with 'GGUF'", reader.source(), "name a .gguf model file");
  }
  const auto version = reader.read<uint32_t>("the version");
  if (version != 0 && (version & 0xFFFFu) == 0) {
    throw Error("is a big-endian GGUF file, which this engine does not read", reader.source(), "use a little-endian file of the model");
  }
  if (version != 2 && version != 3) {
    throw Error("is GGUF version " + std::to_string(version) + ", which this engine does not read", reader.source(),
                "use a file of version 2 or 3");
  }
  const auto tensors = reader.read<uint64_t>("the tensor count");
  const auto keys = reader.read<uint64_t>("the key count");
  return {tensors, keys};
}

uint64_t alignment_of(const Metadata& metadata) {
  const Value* value = metadata.find("general.alignment");
  if (!value) return kDefaultAlignment;
  const auto* alignment = std::get_if<int64_t>(value);
  if (!alignment || *alignment < static_cast<int64_t>(kLeastAlignment) || *alignment > static_cast<int64_t>(kLargestAlignment) ||
      !std::has_single_bit(static_cast<uint64_t>(*alignment))) {
    throw Error("is not a power of two from " + std::to_string(kLeastAlignment) + " to " + std::to_string(kLargestAlignment),
                metadata.source() + ", key 'general.alignment'", kConvertAgain);
  }
  return static_cast<uint64_t>(*alignment);
}

std::string readable_formats() {
  std::string names;
  for (int i = 0; i < kNumberFormats; ++i) {
    names += (i ? ", " : "") + std::string(facts(static_cast<NumberFormat>(i)).name);
  }
  return names;
}

NumberFormat format_of(uint32_t type, const Tensor& tensor) {
  if (const auto format = number_format_of_gguf_type(type)) return *format;
  const std::string_view name = gguf_type_name(type);
  const std::string stored = name.empty() ? "type " + std::to_string(type) : std::string(name);
  throw Error("tensor " + in_quotes(tensor.name) + " is stored as " + stored + ", which this engine does not read", tensor.where,
              "use a file of the model in one of: " + readable_formats());
}

// GGUF lists the innermost extent first.
std::vector<int64_t> read_shape(ByteReader& reader, const Tensor& tensor) {
  const auto dimensions = reader.read<uint32_t>("the number of dimensions");
  if (dimensions < 1 || dimensions > kMaxDimensions) {
    throw Error("tensor " + in_quotes(tensor.name) + " has " + std::to_string(dimensions) + " dimensions, expected 1 to " +
                    std::to_string(kMaxDimensions),
                tensor.where, kConvertAgain);
  }
  std::vector<int64_t> shape(dimensions);
  for (uint32_t i = 0; i < dimensions; ++i) {
    const auto extent = reader.read<uint64_t>("a dimension");
    if (extent < 1 || extent > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      throw Error("tensor " + in_quotes(tensor.name) + " has an extent of " + std::to_string(extent), tensor.where, kConvertAgain);
    }
    shape[dimensions - 1 - i] = static_cast<int64_t>(extent);
  }
  return shape;
}

uint64_t bytes_needed(const Tensor& tensor) {
  const NumberFormatFacts& format = facts(tensor.format);
  if (tensor.shape.back() % format.block_values != 0) {
    throw Error("tensor " + in_quotes(tensor.name) + " has rows of " + std::to_string(tensor.shape.back()) +
                    " values, not a multiple of the " + std::to_string(format.block_values) + " of a block of " + std::string(format.name),
                tensor.where, kConvertAgain);
  }
  int64_t bytes = format.block_bytes;
  bool overflow = __builtin_mul_overflow(bytes, tensor.shape.back() / format.block_values, &bytes);
  int64_t values = tensor.shape.back();
  for (size_t i = 0; i + 1 < tensor.shape.size(); ++i) {
    overflow |= __builtin_mul_overflow(bytes, tensor.shape[i], &bytes);
    overflow |= __builtin_mul_overflow(values, tensor.shape[i], &values);
  }
  if (overflow) {
    throw Error("tensor " + in_quotes(tensor.name) + " has a shape whose size overflows", tensor.where, kConvertAgain);
  }
  return static_cast<uint64_t>(bytes);
}

TensorEntry read_tensor_entry(ByteReader& reader, uint64_t index) {
  TensorEntry entry;
  Tensor& tensor = entry.tensor;
  tensor.where = reader.source() + ", tensor " + std::to_string(index);
  tensor.name = read_gguf_text(reader, "the name of tensor " + std::to_string(index), kTensorNameBytes);
  if (tensor.name.empty()) throw Error("has no name", tensor.where, kConvertAgain);
  tensor.shape = read_shape(reader, tensor);
  tensor.format = format_of(reader.read<uint32_t>("a tensor type"), tensor);
  entry.bytes = bytes_needed(tensor);
  entry.offset = reader.read<uint64_t>("a tensor offset");
  return entry;
}

void place(TensorEntry& entry, std::span<const std::byte> data, uint64_t alignment) {
  Tensor& tensor = entry.tensor;
  if (entry.offset % alignment != 0) {
    throw Error("tensor " + in_quotes(tensor.name) + " begins at offset " + std::to_string(entry.offset) +
                    ", which is not a multiple of the alignment " + std::to_string(alignment),
                tensor.where, kConvertAgain);
  }
  if (entry.offset > data.size() || entry.bytes > data.size() - entry.offset) {
    throw Error("tensor " + in_quotes(tensor.name) + " needs " + std::to_string(entry.bytes) + " bytes at offset " +
                    std::to_string(entry.offset) + " of the data, which has " + std::to_string(data.size()),
                tensor.where, ByteReader::kFetchAgain);
  }
  tensor.bytes = data.subspan(entry.offset, entry.bytes);
}

void refuse_overlaps(std::vector<TensorEntry>& entries) {
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
  for (size_t i = 1; i < entries.size(); ++i) {
    const TensorEntry& before = entries[i - 1];
    if (before.offset + before.bytes <= entries[i].offset) continue;
    throw Error("tensors " + in_quotes(before.tensor.name) + " and " + in_quotes(entries[i].tensor.name) + " overlap",
                entries[i].tensor.where, kConvertAgain);
  }
}

TensorTable read_tensors(ByteReader& reader, uint64_t count, uint64_t alignment, std::span<const std::byte> file) {
  reader.require_room(count, kLeastTensorBytes, "tensors");
  std::vector<TensorEntry> entries;
  entries.reserve(count);
  for (uint64_t i = 0; i < count; ++i) entries.push_back(read_tensor_entry(reader, i));

  const uint64_t begin = (reader.offset() + alignment - 1) / alignment * alignment;
  const auto data = file.subspan(std::min<uint64_t>(begin, file.size()));
  for (TensorEntry& entry : entries) place(entry, data, alignment);
  refuse_overlaps(entries);

  TensorTable tensors;
  for (TensorEntry& entry : entries) tensors.add(std::move(entry.tensor));
  return tensors;
}

}  // namespace

bool has_gguf_magic(std::span<const std::byte> file) {
  return file.size() >= sizeof kMagic && std::memcmp(file.data(), kMagic, sizeof kMagic) == 0;
}

GgufContents parse_gguf(std::span<const std::byte> file, const std::string& source) {
  ByteReader reader(file, source);
  const Header header = read_header(reader);
  Metadata metadata = read_gguf_metadata(reader, header.keys);
  TensorTable tensors = read_tensors(reader, header.tensors, alignment_of(metadata), file);
  return {std::move(metadata), std::move(tensors)};
}

Metadata parse_gguf_metadata(std::span<const std::byte> file, const std::string& source) {
  ByteReader reader(file, source);
  const Header header = read_header(reader);
  return read_gguf_metadata(reader, header.keys);
}

}  // namespace fovea::files
