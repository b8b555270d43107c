// Any bytes are an array of integers that is read, or an Error.
#include <cstdint>
#include <cstdlib>

#include "files/npy.h"
#include "fovea/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto values = fovea::files::parse_npy_integers(std::as_bytes(std::span(data, size)), "fuzz.npy");
    if (values.size() * sizeof(int32_t) > size) abort();
  } catch (const fovea::Error& error) {
    if (error.problem().empty() || error.where().empty() || error.mend().empty()) abort();
  }
  return 0;
}
