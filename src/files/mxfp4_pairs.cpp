#include "files/mxfp4_pairs.h"

#include <algorithm>

#include "files/untrusted_text.h"
#include "fovea/error.h"

namespace fovea::files {
namespace {

constexpr std::string_view kBlocks = "_blocks", kScales = "_scales";
constexpr int64_t kCodesBytes = 16, kValues = 32;

[[noreturn]] void refuse(const ByteTensor& part, const std::string& problem) {
  throw Error("tensor " + in_quotes(part.name) + " " + problem, part.where,
              "use a checkpoint of the model in one of: F32, F16, BF16, or MXFP4 as pairs of _blocks and _scales");
}

const ByteTensor* find(const std::vector<ByteTensor>& parts, const std::string& name) {
  const auto found = std::find_if(parts.begin(), parts.end(), [&](const ByteTensor& part) { return part.name == name; });
  return found == parts.end() ? nullptr : &*found;
}

bool fits(const ByteTensor& blocks, const ByteTensor& scales) {
  return blocks.shape.size() == scales.shape.size() + 1 && scales.shape.size() >= 2 && blocks.shape.back() == kCodesBytes &&
         std::equal(scales.shape.begin(), scales.shape.end(), blocks.shape.begin());
}

}  // namespace

void join_mxfp4(const std::vector<ByteTensor>& parts, TensorTable& tensors) {
  for (const ByteTensor& part : parts) {
    const bool is_blocks = part.name.ends_with(kBlocks), is_scales = part.name.ends_with(kScales);
    const std::string name = part.name.substr(0, part.name.size() - (is_blocks ? kBlocks.size() : is_scales ? kScales.size() : 0));
    const ByteTensor* partner = is_blocks   ? find(parts, name + std::string(kScales))
                                : is_scales ? find(parts, name + std::string(kBlocks))
                                            : nullptr;
    if (!partner) refuse(part, "is stored as 'U8', which this engine does not read");
    if (!is_blocks) continue;
    if (!fits(part, *partner)) refuse(part, "does not fit its _scales");
    std::vector<int64_t> shape = partner->shape;
    shape.back() *= kValues;
    tensors.add({name, NumberFormat::mxfp4, std::move(shape), part.bytes, part.where, partner->bytes});
  }
}

}  // namespace fovea::files
