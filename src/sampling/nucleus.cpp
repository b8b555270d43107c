#include "sampling/nucleus.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "sampling/exponential.h"

namespace fovea::sampling {
namespace {

// Up to here a heap of the best so far beats moving the whole vocabulary through nth_element.
constexpr size_t kHeapCandidates = 2048;
constexpr size_t kFirstGuess = 128;
constexpr size_t kGuessGrowth = 16;

bool more_likely(const Candidate& a, const Candidate& b) { return a.logit != b.logit ? a.logit > b.logit : a.token < b.token; }

}  // namespace

Nucleus::Nucleus(const SamplingOptions& options, int vocabulary) : options_(options) {
  candidates_.reserve(static_cast<size_t>(vocabulary));
}

double Nucleus::weigh(float logit, float largest) const {
  return exp_nonpositive((static_cast<double>(logit) - largest) / options_.temperature);
}

// Eight sums side by side: the additions have a fixed order, and still do not wait for each other.
double Nucleus::total_weight(std::span<const float> logits, float largest) const {
  std::array<double, 8> sums = {};
  size_t i = 0;
  for (; i + sums.size() <= logits.size(); i += sums.size()) {
    for (size_t lane = 0; lane < sums.size(); ++lane) sums[lane] += weigh(logits[i + lane], largest);
  }
  for (; i < logits.size(); ++i) sums[0] += weigh(logits[i], largest);
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

// Leaves the `count` most likely numbers in candidates_, in order. -infinity is forbidden, NaN is no number.
void Nucleus::take_most_likely(std::span<const float> logits, size_t count) {
  candidates_.clear();
  const bool by_heap = count <= kHeapCandidates;
  float least = -INFINITY;  // a later token enters only above the least likely of a full heap
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!(logits[i] > least)) continue;
    candidates_.push_back({static_cast<int32_t>(i), logits[i], 0});
    if (!by_heap) continue;
    std::push_heap(candidates_.begin(), candidates_.end(), more_likely);
    if (candidates_.size() > count) {
      std::pop_heap(candidates_.begin(), candidates_.end(), more_likely);
      candidates_.pop_back();
    }
    if (candidates_.size() == count) least = candidates_.front().logit;
  }
  if (!by_heap && count < candidates_.size()) {
    const auto end = candidates_.begin() + static_cast<std::ptrdiff_t>(count);
    std::nth_element(candidates_.begin(), end, candidates_.end(), more_likely);
    candidates_.resize(count);
  }
  std::sort(candidates_.begin(), candidates_.end(), more_likely);
}

bool Nucleus::cut(double total) {
  double sum = 0;
  for (size_t i = 0; i < candidates_.size(); ++i) {
    if (candidates_[i].weight < options_.min_p) {  // the most likely weighs 1
      candidates_.resize(i);
      return true;
    }
    sum += candidates_[i].weight;
    if (options_.top_p < 1 && sum >= options_.top_p * total) {
      candidates_.resize(i + 1);
      return true;
    }
  }
  return false;
}

std::span<const Candidate> Nucleus::select(std::span<const float> logits, float largest) {
  const auto take = [&](size_t count) {
    take_most_likely(logits, count);
    for (Candidate& c : candidates_) c.weight = weigh(c.logit, largest);
  };
  const size_t top_k = static_cast<size_t>(options_.top_k);
  if (top_k > 0 && top_k < logits.size()) {
    take(top_k);
    double total = 0;
    for (const Candidate& c : candidates_) total += c.weight;
    cut(total);
    return candidates_;
  }
  // How many tokens top-p and min-p leave is not known beforehand; nearly always few.
  const double total = options_.top_p < 1 ? total_weight(logits, largest) : 0;
  size_t count = kFirstGuess;
  for (take(count); !cut(total) && count < logits.size(); take(count)) count *= kGuessGrowth;
  return candidates_;
}

}  // namespace fovea::sampling
