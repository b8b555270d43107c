// Any bytes are a GGUF file that is read, or an Error; what was read lies inside the bytes.
#include <cstdint>
#include <cstdlib>

#include "files/gguf.h"
#include "fovea/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  try {
    const auto contents = fovea::files::parse_gguf(file, "fuzz.gguf");
    for (const auto& [name, tensor] : contents.tensors.all()) {
      const auto& format = fovea::facts(tensor.format);
      if (tensor.bytes.data() < file.data() || tensor.bytes.data() + tensor.bytes.size() > file.data() + size) abort();
      if (tensor.bytes.size() != static_cast<size_t>(tensor.values()) / format.block_values * format.block_bytes) abort();
    }
  } catch (const fovea::Error& error) {
    if (error.problem().empty() || error.where().empty() || error.mend().empty()) abort();
  }
  return 0;
}
