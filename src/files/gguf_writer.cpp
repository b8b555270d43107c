#include "files/gguf_writer.h"

#include <bit>
#include <cassert>
#include <set>
#include <string_view>
#include <type_traits>

#include "files/untrusted_text.h"
#include "fovea/error.h"

namespace fovea::files {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr uint32_t kVersion = 3;
constexpr uint32_t kTextType = 8, kArrayType = 9;
constexpr const char* kAlignmentKey = "general.alignment";
constexpr uint32_t kDefaultAlignment = 32;  // of files that do not say
constexpr size_t kKeyBytes = 65'535;
constexpr size_t kTensorNameBytes = 63;  // more is cut off or refused by other readers
constexpr size_t kDimensions = 4;
constexpr uint64_t kLargestFileBytes = uint64_t{1} << 62;  // half of what systems count: room for the header

// The specification's numbers of value types.
template <typename T> constexpr uint32_t type_number() {
  if constexpr (std::is_same_v<T, uint8_t>) return 0;
  if constexpr (std::is_same_v<T, int8_t>) return 1;
  if constexpr (std::is_same_v<T, uint16_t>) return 2;
  if constexpr (std::is_same_v<T, int16_t>) return 3;
  if constexpr (std::is_same_v<T, uint32_t>) return 4;
  if constexpr (std::is_same_v<T, int32_t>) return 5;
  if constexpr (std::is_same_v<T, float>) return 6;
  if constexpr (std::is_same_v<T, bool>) return 7;
  if constexpr (std::is_same_v<T, std::string>) return kTextType;
  if constexpr (std::is_same_v<T, uint64_t>) return 10;
  if constexpr (std::is_same_v<T, int64_t>) return 11;
  if constexpr (std::is_same_v<T, double>) return 12;
}

uint64_t padded(uint64_t bytes, uint32_t alignment) { return (bytes + alignment - 1) / alignment * alignment; }

class HeaderBytes {
 public:
  const std::string& bytes() const { return bytes_; }

  template <typename T> void add(const T& value) {
    static_assert(std::is_arithmetic_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void add(const std::string& text) {
    add(uint64_t{text.size()});
    bytes_ += text;
  }

  template <typename T> void add_typed(const T& value) {
    add(type_number<T>());
    add(value);
  }
  template <typename T> void add_typed(const std::vector<T>& values) {
    add(kArrayType);
    add(type_number<T>());
    add(uint64_t{values.size()});
    for (const T& value : values) add(value);
  }
  void add_typed(const std::vector<bool>& values) {
    add(kArrayType);
    add(type_number<bool>());
    add(uint64_t{values.size()});
    for (const bool value : values) add(value);
  }

  void pad(uint32_t alignment) { bytes_.resize(padded(bytes_.size(), alignment)); }

 private:
  std::string bytes_;
};

[[noreturn]] void refuse(const std::string& what, const std::string& where, const std::string& mend) { throw Error(what, where, mend); }

void check_name(const std::string& name, const std::string& kind, size_t limit, std::set<std::string_view>& seen) {
  if (name.empty()) refuse("a " + kind + " has no name", "GGUF to be written", "give it one");
  const std::string where = kind + " " + in_quotes(name);
  if (!is_utf8(name)) refuse("its name is not UTF-8", where, "rename it");
  if (name.size() > limit) {
    refuse("its name has " + std::to_string(name.size()) + " bytes, at most " + std::to_string(limit) + " are allowed", where,
           "shorten it");
  }
  if (!seen.insert(name).second) refuse("is there twice", where, "leave one out");
}

void check_text(const GgufKey& key) {
  const auto require = [&](const std::string& text) {
    if (!is_utf8(text)) refuse("its text is not UTF-8", "key " + in_quotes(key.name), "correct the text");
  };
  if (const auto* text = std::get_if<std::string>(&key.value)) require(*text);
  if (const auto* texts = std::get_if<std::vector<std::string>>(&key.value)) {
    for (const std::string& text : *texts) require(text);
  }
}

void check(const GgufHeader& header) {
  if (!std::has_single_bit(header.alignment) || header.alignment < 8) {
    refuse("is " + std::to_string(header.alignment) + ", expected a power of two from 8", kAlignmentKey, "use 32");
  }
  std::set<std::string_view> keys = {kAlignmentKey}, tensors;
  for (const GgufKey& key : header.keys) {
    check_name(key.name, "key", kKeyBytes, keys);
    check_text(key);
  }
  for (const GgufTensor& tensor : header.tensors) check_name(tensor.name, "tensor", kTensorNameBytes, tensors);
}

std::string header_bytes(const GgufHeader& header) {
  check(header);
  HeaderBytes out;
  const bool states_alignment = header.alignment != kDefaultAlignment;
  for (const char letter : {'G', 'G', 'U', 'F'}) out.add(letter);
  out.add(kVersion);
  out.add(uint64_t{header.tensors.size()});
  out.add(uint64_t{header.keys.size() + (states_alignment ? 1 : 0)});
  if (states_alignment) {
    out.add(std::string(kAlignmentKey));
    out.add_typed(header.alignment);
  }
  for (const GgufKey& key : header.keys) {
    out.add(key.name);
    std::visit([&](const auto& value) { out.add_typed(value); }, key.value);
  }
  uint64_t offset = 0;
  for (const GgufTensor& tensor : header.tensors) {
    out.add(tensor.name);
    out.add(static_cast<uint32_t>(tensor.shape.size()));
    for (size_t d = tensor.shape.size(); d-- > 0;) out.add(tensor.shape[d]);  // innermost first
    out.add(facts(tensor.format).gguf_type);
    out.add(offset);
    offset += padded(bytes_of(tensor), header.alignment);
  }
  out.pad(header.alignment);
  return out.bytes();
}

uint64_t data_bytes(const GgufHeader& header) {
  uint64_t total = 0;
  for (const GgufTensor& tensor : header.tensors) {
    total += padded(bytes_of(tensor), header.alignment);  // each below 2^63
    if (total > kLargestFileBytes) {
      refuse("ends beyond what a file can hold", "tensor " + in_quotes(tensor.name), "split the model");
    }
  }
  return total;
}

}  // namespace

uint64_t bytes_of(const GgufTensor& tensor) {
  const std::string where = "tensor " + in_quotes(tensor.name);
  if (tensor.shape.empty() || tensor.shape.size() > kDimensions) {
    refuse("has " + std::to_string(tensor.shape.size()) + " dimensions, expected 1 to 4", where, "reshape it");
  }
  const NumberFormatFacts& format = facts(tensor.format);
  if (tensor.shape.back() % format.block_values != 0) {
    refuse("has rows of " + std::to_string(tensor.shape.back()) + " values, no whole number of the blocks of " +
               std::to_string(format.block_values) + " of " + std::string(format.name),
           where, "store it in another format");
  }
  int64_t values = 1, bytes = 0;
  bool overflow = false;
  for (const int64_t extent : tensor.shape) {
    if (extent < 1) refuse("has an extent of " + std::to_string(extent), where, "expected at least 1");
    overflow |= __builtin_mul_overflow(values, extent, &values);
  }
  overflow |= __builtin_mul_overflow(values / format.block_values, int64_t{format.block_bytes}, &bytes);
  if (overflow) refuse("has a size that 64 bits cannot hold", where, "split it");
  return static_cast<uint64_t>(bytes);
}

uint64_t gguf_file_bytes(const GgufHeader& header) { return header_bytes(header).size() + data_bytes(header); }

GgufWriter::GgufWriter(const std::string& path, const GgufHeader& header)
    : alignment_(header.alignment), file_bytes_(gguf_file_bytes(header)), file_(path, file_bytes_) {
  for (const GgufTensor& tensor : header.tensors) sizes_.push_back(bytes_of(tensor));
  const std::string bytes = header_bytes(header);
  file_.append(std::as_bytes(std::span(bytes)));
}

void GgufWriter::write(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  assert(tensor_ < sizes_.size() && bytes.size() <= sizes_[tensor_] - written_bytes_);
  file_.append(bytes);
  written_bytes_ += bytes.size();
  if (written_bytes_ < sizes_[tensor_]) return;
  pad_to_alignment();
  ++tensor_;
  written_bytes_ = 0;
}

void GgufWriter::pad_to_alignment() {
  const std::string zeros((alignment_ - written_bytes_ % alignment_) % alignment_, '\0');
  file_.append(std::as_bytes(std::span(zeros)));
}

void GgufWriter::finish() {
  assert(tensor_ == sizes_.size());
  file_.keep();
}

}  // namespace fovea::files
