#include "conversion/weight_formats.h"

#include "conversion/quantize.h"
#include "fovea/error.h"

namespace fovea::conversion {

std::optional<synthesis::WeightFormats> weight_formats(const std::string& quant) {
  if (quant.empty()) return std::nullopt;
  const synthesis::WeightFormats formats = synthesis::weight_formats_named(quant, "--quant");
  if (can_quantize(formats.quantization.base)) return formats;
  throw Error("weights can be read as '" + quant + "', but are not quantized to it", "--quant", "choose another format, such as q4_k_m");
}

}  // namespace fovea::conversion
