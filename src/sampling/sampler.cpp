#include "sampling/sampler.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>

#include "fovea/error.h"
#include "sampling/counter_random.h"
#include "sampling/exponential.h"
#include "sampling/largest.h"
#include "sampling/option_check.h"

namespace fovea::sampling {
namespace {

constexpr size_t kBlockTokens = 512;  // a draw finds its block by sums, then walks inside it

const SamplingOptions& checked(const SamplingOptions& options, int vocabulary, std::span<const int32_t> prompt) {
  check_options(options, vocabulary, prompt);
  return options;
}

// Weights of one block, and their sum in a fixed order.
struct BlockWeights {
  std::array<double, kBlockTokens> weight;
  double sum = 0;

  BlockWeights(std::span<const float> logits, float largest, float temperature) {
    for (size_t i = 0; i < logits.size(); ++i) {
      weight[i] = exp_nonpositive((static_cast<double>(logits[i]) - largest) / temperature);
    }
    std::array<double, 8> sums = {};
    std::fill(weight.begin() + static_cast<std::ptrdiff_t>(logits.size()), weight.end(), 0.0);
    for (size_t i = 0; i < kBlockTokens; ++i) sums[i % sums.size()] += weight[i];
    for (const double part : sums) sum += part;
  }
};

// Index of the weight that `target` (in [0, sum of weights)) falls on. Rounding may leave target just above
// the sum: then the last weight that is not 0. Takes a function so that both kinds of lists can be walked.
template <typename WeightAt> size_t index_at(size_t count, double target, const WeightAt& weight_at) {
  size_t last = 0;
  for (size_t i = 0; i < count; ++i) {
    const double weight = weight_at(i);
    if (weight <= 0) continue;
    if (target < weight) return i;
    target -= weight;
    last = i;
  }
  return last;
}

void forbid_others(std::span<const uint32_t> allowed, std::span<float> logits) {
  assert(allowed.size() * 32 >= logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    if ((allowed[i / 32] >> (i % 32) & 1) == 0) logits[i] = -INFINITY;
  }
}

}  // namespace

Sampler::Sampler(const SamplingOptions& options, int vocabulary, std::span<const int32_t> prompt)
    : options_(checked(options, vocabulary, prompt)),
      filters_(options.top_k > 0 || options.top_p < 1 || options.min_p > 0),
      penalties_(options, vocabulary, prompt),
      nucleus_(options, options.temperature > 0 && filters_ ? vocabulary : 0) {
  const size_t tokens = static_cast<size_t>(vocabulary);
  if (penalties_.active() || !options.logit_bias.empty()) adjusted_.resize(tokens);
  if (options.temperature > 0 && !filters_) block_weights_.resize((tokens + kBlockTokens - 1) / kBlockTokens);
}

std::span<const float> Sampler::adjusted(std::span<const float> logits, std::span<const uint32_t> allowed) {
  if (adjusted_.empty() && allowed.empty()) return logits;
  adjusted_.assign(logits.begin(), logits.end());
  for (const auto& [token, bias] : options_.logit_bias) adjusted_[static_cast<size_t>(token)] += bias;
  penalties_.apply(adjusted_);
  if (!allowed.empty()) forbid_others(allowed, adjusted_);
  return adjusted_;
}

int32_t Sampler::draw_from_vocabulary(std::span<const float> logits, float largest) {
  const auto block = [&](size_t b) {
    const size_t begin = b * kBlockTokens;
    const std::span<const float> part = logits.subspan(begin, std::min(kBlockTokens, logits.size() - begin));
    return BlockWeights(part, largest, options_.temperature);
  };
  double total = 0;
  for (size_t b = 0; b < block_weights_.size(); ++b) total += block_weights_[b] = block(b).sum;

  double target = uniform_at(options_.seed, draws_++) * total;
  const size_t chosen = index_at(block_weights_.size(), target, [&](size_t b) { return block_weights_[b]; });
  for (size_t b = 0; b < chosen; ++b) target -= block_weights_[b];
  const BlockWeights weights = block(chosen);
  return static_cast<int32_t>(chosen * kBlockTokens + index_at(kBlockTokens, target, [&](size_t i) { return weights.weight[i]; }));
}

int32_t Sampler::draw_from_nucleus(std::span<const float> logits, float largest) {
  const std::span<const Candidate> candidates = nucleus_.select(logits, largest);
  double total = 0;
  for (const Candidate& c : candidates) total += c.weight;
  const double target = uniform_at(options_.seed, draws_++) * total;
  return candidates[index_at(candidates.size(), target, [&](size_t i) { return candidates[i].weight; })].token;
}

int32_t Sampler::next(std::span<const float> raw, std::span<const uint32_t> allowed) {
  const std::span<const float> logits = adjusted(raw, allowed);
  const float largest = largest_logit(logits);
  if (largest == -INFINITY) {
    throw Error("no token is left to choose from: every logit is NaN or -infinity", "sampling",
                "allow some token in logit_bias, some text in the grammar; without them the model's weights are damaged");
  }
  int32_t token;
  if (options_.temperature == 0 || largest == INFINITY) {  // an infinite logit leaves the others no chance
    token = static_cast<int32_t>(std::find(logits.begin(), logits.end(), largest) - logits.begin());
  } else {
    token = filters_ ? draw_from_nucleus(logits, largest) : draw_from_vocabulary(logits, largest);
  }
  penalties_.remember_generated(token);
  return token;
}

}  // namespace fovea::sampling
