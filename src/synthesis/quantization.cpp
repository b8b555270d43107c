#include "synthesis/quantization.h"

#include <algorithm>
#include <string>

#include "fovea/error.h"

namespace fovea::synthesis {
namespace {

using enum NumberFormat;

bool never(const Matrix&) { return false; }
bool always(const Matrix&) { return true; }
bool in_first_two(const Matrix& m) { return m.layer < 2; }
bool in_first_four(const Matrix& m) { return m.layer < 4; }
bool in_first_sixteenth(const Matrix& m) { return m.layer < m.layers / 16; }
bool in_first_eighth(const Matrix& m) { return m.layer < m.layers / 8; }
bool is_widely_shared(const Matrix& m) { return m.queries_per_kv >= 4; }
// The first and the last eighth of the layers, and every third between.
bool is_sensitive(const Matrix& m) {
  const int eighth = m.layers / 8;
  return m.layer < eighth || m.layer >= 7 * m.layers / 8 || (m.layer - eighth) % 3 == 2;
}

constexpr Quantization uniform(std::string_view name, uint32_t file_type, NumberFormat format) {
  return {name, file_type, format, {never, format, format}, {never, format, format}, format};
}

// Source: the rules of llama-quantize, checked against published files.
constexpr Quantization kQuantizations[] = {
    uniform("f32", 0, f32),
    uniform("f16", 1, f16),
    uniform("bf16", 32, bf16),
    uniform("q8_0", 7, q8_0),
    uniform("q4_0", 2, q4_0),
    uniform("q4_1", 3, q4_1),
    uniform("q5_0", 8, q5_0),
    uniform("q5_1", 9, q5_1),
    {"q2_k", 10, q2_k, {is_widely_shared, q4_k, q3_k}, {always, q3_k, q3_k}, q3_k},
    uniform("q3_k_s", 11, q3_k),
    {"q3_k_m", 12, q3_k, {in_first_two, q5_k, q4_k}, {in_first_sixteenth, q5_k, q4_k}, q4_k},
    {"q3_k_l", 13, q3_k, {always, q5_k, q5_k}, {always, q5_k, q5_k}, q5_k},
    {"q4_k_s", 14, q4_k, {in_first_four, q5_k, q4_k}, {in_first_eighth, q5_k, q4_k}, q4_k},
    {"q4_k_m", 15, q4_k, {is_sensitive, q6_k, q4_k}, {is_sensitive, q6_k, q4_k}, q4_k},
    uniform("q5_k_s", 16, q5_k),
    {"q5_k_m", 17, q5_k, {is_sensitive, q6_k, q5_k}, {is_sensitive, q6_k, q5_k}, q5_k},
    uniform("q6_k", 18, q6_k),
    {"iq4_nl", 25, iq4_nl, {is_widely_shared, q5_k, iq4_nl}, {in_first_eighth, q5_k, iq4_nl}, iq4_nl},
    {"iq4_xs", 30, iq4_xs, {is_widely_shared, q5_k, iq4_xs}, {in_first_eighth, q5_k, iq4_xs}, iq4_xs},
};

bool divides_rows(NumberFormat format, const Matrix& matrix) { return matrix.row_values % facts(format).block_values == 0; }

// For rows that are no whole number of blocks of 256.
NumberFormat with_small_blocks(NumberFormat format) {
  switch (format) {
    case q2_k:
    case q3_k:
    case iq4_xs:
      return iq4_nl;
    case q4_k:
      return q5_0;
    case q5_k:
      return q5_1;
    case q6_k:
      return q8_0;
    default:
      return f16;
  }
}

NumberFormat chosen(const Quantization::Choice& choice, const Matrix& matrix) {
  return choice.is_better(matrix) ? choice.better : choice.otherwise;
}

NumberFormat format_for_logits(NumberFormat base, const Matrix& matrix) {
  const bool is_quantized = facts(base).block_values > 1;
  if (!is_quantized || base == q8_0) return base;
  return divides_rows(q6_k, matrix) ? q6_k : q8_0;
}

NumberFormat wanted_format(const Quantization& quantization, const Matrix& matrix) {
  if (matrix.makes_logits) return format_for_logits(quantization.base, matrix);
  switch (matrix.role) {
    case Role::v:
      return chosen(quantization.v, matrix);
    case Role::down:
      return chosen(quantization.down, matrix);
    case Role::attn_out:
      return quantization.attn_out;
    default:
      return quantization.base;
  }
}

std::string known_names() {
  std::string names;
  for (const Quantization& quantization : kQuantizations) names += (names.empty() ? "" : ", ") + std::string(quantization.name);
  return names;
}

const Quantization* find_quantization(std::string_view name) {
  const auto named = [&](const Quantization& quantization) { return quantization.name == name; };
  const auto found = std::find_if(std::begin(kQuantizations), std::end(kQuantizations), named);
  return found == std::end(kQuantizations) ? nullptr : found;
}

}  // namespace

std::span<const Quantization> quantizations() { return kQuantizations; }

const Quantization& quantization_named(std::string_view name) {
  if (const Quantization* quantization = find_quantization(name)) return *quantization;
  throw Error("no quantization is called '" + std::string(name) + "'", "--quant", "known are: " + known_names());
}

WeightFormats weight_formats_named(std::string_view name, std::string_view option) {
  if (const Quantization* mixture = find_quantization(name)) return {*mixture, false};
  for (int i = 0; i < kNumberFormats; ++i) {
    const NumberFormatFacts& format = facts(static_cast<NumberFormat>(i));
    if (format.name != name) continue;
    uint32_t file_type = 0;  // of a mixture with this base
    for (const Quantization& mixture : kQuantizations) {
      if (mixture.base == format.format) file_type = std::max(file_type, mixture.file_type);
    }
    return {uniform(format.name, file_type, format.format), true};
  }
  throw Error("no weight format is called '" + std::string(name) + "'", std::string(option),
              "choose a mixture (" + known_names() + ") or a format such as q4_k");
}

NumberFormat format_of(const Quantization& quantization, const Matrix& matrix, bool pure) {
  const NumberFormat wanted = pure ? quantization.base : wanted_format(quantization, matrix);
  if (divides_rows(wanted, matrix)) return wanted;
  const NumberFormat fallback = with_small_blocks(wanted);
  return divides_rows(fallback, matrix) ? fallback : f16;
}

}  // namespace fovea::synthesis
