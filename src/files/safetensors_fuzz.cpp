// Any bytes are a safetensors file or an index that is read, or an Error; what was read lies inside the
// bytes, and no shard lies outside the folder.
#include <cstdint>
#include <cstdlib>

#include "files/safetensors.h"
#include "fovea/error.h"

namespace {

void read_index(std::string_view text) {
  for (const auto& [tensor, shard] : fovea::files::parse_safetensors_index(text, "fuzz.json")) {
    if (shard.find('/') != std::string::npos || shard == "..") abort();
  }
}

void read_file(std::span<const std::byte> file) {
  fovea::files::TensorTable tensors;
  fovea::files::parse_safetensors(file, "fuzz.safetensors", tensors);
  for (const auto& [name, tensor] : tensors.all()) {
    const size_t needed = static_cast<size_t>(tensor.values()) * fovea::facts(tensor.format).block_bytes;
    if (tensor.bytes.data() < file.data() || tensor.bytes.data() + needed > file.data() + file.size()) abort();
    if (tensor.bytes.size() != needed) abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const bool is_header_length = size >= 8 && data[7] == 0;  // the top byte of a length; text holds no zero
    if (size > 0 && data[0] == '{' && !is_header_length) {
      read_index({reinterpret_cast<const char*>(data), size});
    } else {
      read_file(std::as_bytes(std::span(data, size)));
    }
  } catch (const fovea::Error& error) {
    if (error.problem().empty() || error.where().empty() || error.mend().empty()) abort();
  }
  return 0;
}
