#include "files/gguf_metadata.h"

#include <limits>
#include <optional>
#include <utility>

#include "files/untrusted_text.h"

namespace fovea::files {
namespace {

// Numbers as the GGUF specification gives them to value types.
enum class ValueType : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, text, array, u64, i64, f64 };
constexpr uint32_t kValueTypes = 13;

constexpr uint64_t kKeyBytes = 65535;               // the specification's limit
constexpr size_t kLeastTextBytes = 8;               // an empty text is its length alone
constexpr size_t kLeastArrayBytes = 4 + 8;          // element type and count
constexpr size_t kLeastEntryBytes = 8 + 1 + 4 + 1;  // key length, key of one letter, type, a value of one byte
constexpr int kArrayDepth = 4;

constexpr const char* kConvertAgain = "the file is damaged or badly written: fetch or convert it again";

// Reads the values of one key.
class ValueReader {
 public:
  ValueReader(ByteReader& reader, const std::string& key) : reader_(reader), what_("the value of key " + in_quotes(key)) {}

  // Empty for an array of arrays.
  std::optional<Value> read() {
    const ValueType type = read_type();
    if (type != ValueType::array) return read_scalar(type);
    const ValueType element = read_type();
    if (element != ValueType::array) return read_list(element, read_count(least_bytes(element)));
    skip_arrays(read_count(kLeastArrayBytes), kArrayDepth - 1);
    return std::nullopt;
  }

 private:
  Value read_scalar(ValueType type) {
    switch (type) {
      case ValueType::u8:
        return read_integer<uint8_t>();
      case ValueType::i8:
        return read_integer<int8_t>();
      case ValueType::u16:
        return read_integer<uint16_t>();
      case ValueType::i16:
        return read_integer<int16_t>();
      case ValueType::u32:
        return read_integer<uint32_t>();
      case ValueType::i32:
        return read_integer<int32_t>();
      case ValueType::u64:
        return read_integer<uint64_t>();
      case ValueType::i64:
        return read_integer<int64_t>();
      case ValueType::f32:
        return static_cast<double>(reader_.read<float>(what_));
      case ValueType::f64:
        return reader_.read<double>(what_);
      case ValueType::boolean:
        return read_boolean();
      default:
        return read_text();
    }
  }

  Value read_list(ValueType type, uint64_t count) {
    switch (type) {
      case ValueType::u8:
        return list(count, [&] { return read_integer<uint8_t>(); });
      case ValueType::i8:
        return list(count, [&] { return read_integer<int8_t>(); });
      case ValueType::u16:
        return list(count, [&] { return read_integer<uint16_t>(); });
      case ValueType::i16:
        return list(count, [&] { return read_integer<int16_t>(); });
      case ValueType::u32:
        return list(count, [&] { return read_integer<uint32_t>(); });
      case ValueType::i32:
        return list(count, [&] { return read_integer<int32_t>(); });
      case ValueType::u64:
        return list(count, [&] { return read_integer<uint64_t>(); });
      case ValueType::i64:
        return list(count, [&] { return read_integer<int64_t>(); });
      case ValueType::f32:
        return list(count, [&] { return static_cast<double>(reader_.read<float>(what_)); });
      case ValueType::f64:
        return list(count, [&] { return reader_.read<double>(what_); });
      case ValueType::boolean:
        return list(count, [&] { return read_boolean(); });
      default:
        return list(count, [&] { return read_text(); });
    }
  }

  template <typename ReadOne> Value list(uint64_t count, ReadOne read_one) {
    std::vector<decltype(read_one())> values;
    values.reserve(count);
    for (uint64_t i = 0; i < count; ++i) values.push_back(read_one());
    return values;
  }

  void skip_arrays(uint64_t count, int depth_left) {
    if (depth_left == 0) {
      throw Error(what_ + " is an array nested more than " + std::to_string(kArrayDepth) + " deep", reader_.where(), kConvertAgain);
    }
    for (uint64_t i = 0; i < count; ++i) {
      const ValueType element = read_type();
      if (element == ValueType::array) {
        skip_arrays(read_count(kLeastArrayBytes), depth_left - 1);
      } else {
        read_list(element, read_count(least_bytes(element)));
      }
    }
  }

  ValueType read_type() {
    const auto number = reader_.read<uint32_t>(what_);
    if (number >= kValueTypes) {
      throw Error(what_ + " has type " + std::to_string(number) + ", which GGUF does not define", reader_.where(), kConvertAgain);
    }
    return static_cast<ValueType>(number);
  }

  uint64_t read_count(size_t least_bytes_each) {
    const auto count = reader_.read<uint64_t>(what_);
    reader_.require_room(count, least_bytes_each, "array entries for " + what_);
    return count;
  }

  template <typename Stored> int64_t read_integer() {
    const auto value = reader_.read<Stored>(what_);
    if (std::cmp_greater(value, std::numeric_limits<int64_t>::max())) {
      throw Error(what_ + " is " + std::to_string(value) + ", beyond the integers of 64 bits with sign", reader_.where(), kConvertAgain);
    }
    return static_cast<int64_t>(value);
  }

  bool read_boolean() {
    const auto value = reader_.read<uint8_t>(what_);
    if (value > 1) {
      throw Error(what_ + " is the boolean " + std::to_string(value) + ", expected 0 or 1", reader_.where(), kConvertAgain);
    }
    return value == 1;
  }

  std::string read_text() { return read_gguf_text(reader_, what_, std::numeric_limits<uint64_t>::max()); }

  static size_t least_bytes(ValueType type) {
    switch (type) {
      case ValueType::u8:
      case ValueType::i8:
      case ValueType::boolean:
        return 1;
      case ValueType::u16:
      case ValueType::i16:
        return 2;
      case ValueType::u32:
      case ValueType::i32:
      case ValueType::f32:
        return 4;
      case ValueType::u64:
      case ValueType::i64:
      case ValueType::f64:
        return 8;
      case ValueType::array:
        return kLeastArrayBytes;
      default:
        return kLeastTextBytes;
    }
  }

  ByteReader& reader_;
  const std::string what_;
};

}  // namespace

std::string read_gguf_text(ByteReader& reader, const std::string& what, uint64_t limit_bytes) {
  const auto length = reader.read<uint64_t>(what);
  if (length > limit_bytes) {
    throw Error(what + " claims " + std::to_string(length) + " bytes, more than the " + std::to_string(limit_bytes) + " allowed",
                reader.where(), ByteReader::kFetchAgain);
  }
  const auto bytes = reader.take(length, what);
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!is_utf8(text)) throw Error(what + " is not UTF-8: " + in_quotes(text), reader.where(), kConvertAgain);
  return text;
}

Metadata read_gguf_metadata(ByteReader& reader, uint64_t count) {
  reader.require_room(count, kLeastEntryBytes, "keys");
  Metadata metadata(reader.source());
  for (uint64_t i = 0; i < count; ++i) {
    const std::string place = "key " + std::to_string(i);
    std::string key = read_gguf_text(reader, place, kKeyBytes);
    if (key.empty()) throw Error(place + " has an empty name", reader.where(), kConvertAgain);
    if (metadata.has(key)) throw Error("key " + in_quotes(key) + " is there twice", reader.where(), kConvertAgain);
    if (auto value = ValueReader(reader, key).read()) metadata.set(std::move(key), std::move(*value));
  }
  return metadata;
}

}  // namespace fovea::files
