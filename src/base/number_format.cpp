#include "base/number_format.h"

#include <array>
#include <cassert>

namespace fovea {
namespace {

using enum NumberFormat;

constexpr std::array<NumberFormatFacts, kNumberFormats> kFormats = {{
    {f32, "f32", 0, 1, 4},
    {f16, "f16", 1, 1, 2},
    {bf16, "bf16", 30, 1, 2},
    {q4_0, "q4_0", 2, 32, 18},
    {q4_1, "q4_1", 3, 32, 20},
    {q5_0, "q5_0", 6, 32, 22},
    {q5_1, "q5_1", 7, 32, 24},
    {q8_0, "q8_0", 8, 32, 34},
    {q2_k, "q2_k", 10, 256, 84},
    {q3_k, "q3_k", 11, 256, 110},
    {q4_k, "q4_k", 12, 256, 144},
    {q5_k, "q5_k", 13, 256, 176},
    {q6_k, "q6_k", 14, 256, 210},
    {iq4_nl, "iq4_nl", 20, 32, 18},
    {iq4_xs, "iq4_xs", 23, 256, 136},
    {mxfp4, "mxfp4", 39, 32, 17},
}};

constexpr std::array<std::string_view, 40> kGgufTypeNames = {
    "f32",  "f16",   "q4_0",    "q4_1",   "",        "",      "q5_0",   "q5_1",  "q8_0",  "q8_1",   "q2_k", "q3_k", "q4_k", "q5_k",
    "q6_k", "q8_k",  "iq2_xxs", "iq2_xs", "iq3_xxs", "iq1_s", "iq4_nl", "iq3_s", "iq2_s", "iq4_xs", "i8",   "i16",  "i32",  "i64",
    "f64",  "iq1_m", "bf16",    "",       "",        "",      "tq1_0",  "tq2_0", "",      "",       "",     "mxfp4"};

}  // namespace

const NumberFormatFacts& facts(NumberFormat format) {
  const auto& found = kFormats[static_cast<size_t>(format)];
  assert(found.format == format);
  return found;
}

std::optional<NumberFormat> number_format_of_gguf_type(uint32_t gguf_type) {
  for (const auto& candidate : kFormats) {
    if (candidate.gguf_type == gguf_type) return candidate.format;
  }
  return std::nullopt;
}

std::string_view gguf_type_name(uint32_t gguf_type) {
  return gguf_type < kGgufTypeNames.size() ? kGgufTypeNames[gguf_type] : std::string_view{};
}

}  // namespace fovea
