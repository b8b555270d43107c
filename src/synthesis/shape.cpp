#include "synthesis/shape.h"

#include <string>

#include "fovea/error.h"

namespace fovea::synthesis {
namespace {

using enum Architecture;

// Source: the configurations that the models were published with. Columns: layers, hidden, width; heads;
// vocabulary, context, window; rope base, norm eps, rope factor; tied head.
constexpr Shape kShapes[] = {
    {"gemma3-270m", "", gemma3, 18, 640, 2048, 4, 1, 256, 262144, 32768, 512, 1e6f, 1e-6f, 1, true},
    {"gemma3-1b", "", gemma3, 26, 1152, 6912, 4, 1, 256, 262144, 32768, 512, 1e6f, 1e-6f, 1, true},
    {"gemma3-4b", "", gemma3, 34, 2560, 10240, 8, 4, 256, 262208, 131072, 1024, 1e6f, 1e-6f, 8, true},
    {"gemma3-12b", "", gemma3, 48, 3840, 15360, 16, 8, 256, 262208, 131072, 1024, 1e6f, 1e-6f, 8, true},
    {"gemma3-27b", "", gemma3, 62, 5376, 21504, 32, 16, 128, 262208, 131072, 1024, 1e6f, 1e-6f, 8, true},
    {"smollm2-135m", "", llama, 30, 576, 1536, 9, 3, 64, 49152, 8192, 0, 1e5f, 1e-5f, 1, true},
    {"smollm2-360m", "", llama, 32, 960, 2560, 15, 5, 64, 49152, 8192, 0, 1e5f, 1e-5f, 1, true},
    {"smollm2-1.7b", "", llama, 24, 2048, 8192, 32, 32, 64, 49152, 8192, 0, 1.3e5f, 1e-5f, 1, true},
    {"llama3.2-1b", "llama-1b", llama, 16, 2048, 8192, 32, 8, 64, 128256, 131072, 0, 5e5f, 1e-5f, 32, true},
    {"llama3.2-3b", "llama-3b", llama, 28, 3072, 8192, 24, 8, 128, 128256, 131072, 0, 5e5f, 1e-5f, 32, true},
    {"llama3.1-8b", "llama-8b", llama, 32, 4096, 14336, 32, 8, 128, 128256, 131072, 0, 5e5f, 1e-5f, 8, false},
};

}  // namespace

std::span<const Shape> shapes() { return kShapes; }

const Shape& shape_named(std::string_view name) {
  std::string names;
  for (const Shape& shape : kShapes) {
    if (name == shape.name || (!name.empty() && name == shape.alias)) return shape;
    names += (names.empty() ? "" : ", ") + std::string(shape.name);
  }
  throw Error("no shape is called '" + std::string(name) + "'", "--like", "known are: " + names);
}

}  // namespace fovea::synthesis
