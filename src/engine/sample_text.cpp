#include "engine/sample_text.h"

#include <string_view>

namespace fovea {
namespace {

// Changing it changes what sessions hold: the version of session files must change with it.
constexpr std::string_view kText =
    "The harbour lay quiet when the first boats came in. Three men stood on the wooden pier and counted the baskets of fish, while a "
    "girl with a grey scarf wrote the numbers into a small book: 14, 27, 9 and 31. \"Is that all?\" she asked. \"It has been a poor "
    "week,\" said the oldest of them, \"but tomorrow the wind will turn.\" Behind the warehouses the town was waking up. A baker opened "
    "his shutters, two students argued about a lecture on physics, and somewhere a radio played the news: prices had risen by 3 % since "
    "May, the new bridge would be finished in 2031, and a team of researchers had found that older whales teach their songs to the "
    "young ones.\n\n1. Read the list.\n2. Add the numbers: for (int i = 0; i < n; ++i) sum += x[i];\n3. Send the result to the office "
    "before noon.\n";
constexpr int kTokensWithoutText = 128;

}  // namespace

std::vector<int32_t> sample_tokens(const Model& model) {
  if (model.has_tokenizer()) return model.tokenize(kText);
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < kTokensWithoutText; ++i) tokens.push_back(static_cast<int32_t>(i * 7919 % model.facts().vocabulary));
  return tokens;
}

}  // namespace fovea
