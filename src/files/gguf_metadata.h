// The key-value section of a GGUF file.
#pragma once

#include <cstdint>
#include <string>

#include "files/byte_reader.h"
#include "files/metadata.h"

namespace fovea::files {

// Reads a length and that many bytes of UTF-8; refuses more than limit_bytes.
std::string read_gguf_text(ByteReader& reader, const std::string& what, uint64_t limit_bytes);

// Reads `count` keys with their values. Arrays of arrays are checked and left out: no model is known to use
// them. errors  throws Error for truncation, keys that are empty, too long or there twice, value types that
// do not exist,
//         integers beyond int64, booleans other than 0 and 1, text that is not UTF-8
Metadata read_gguf_metadata(ByteReader& reader, uint64_t count);

}  // namespace fovea::files
