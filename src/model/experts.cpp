// Experts: each token goes through the few that its router scores highest. Tokens are grouped by expert, so that every chosen
// expert's matrices are read once per batch and no other's at all. A token's experts are added in ascending order of their
// index, whatever else is in the batch.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "model/step.h"

namespace fovea::model {
namespace {

constexpr float kLeastSum = 1e-20f;  // keeps weights finite when all scores are zero

void scores_of(ExpertsSpec::Scores kind, std::span<float> logits) {
  if (kind == ExpertsSpec::Scores::sigmoid) {
    for (float& z : logits) z = 1.0f / (1.0f + std::exp(-z));
    return;
  }
  const float largest = *std::max_element(logits.begin(), logits.end());
  float sum = 0;
  for (float& z : logits) sum += z = std::exp(z - largest);
  for (float& z : logits) z /= sum;
}

float group_score(ExpertsSpec::GroupScore kind, std::span<const float> group) {
  float best = -std::numeric_limits<float>::infinity(), second = best;
  for (const float score : group) {
    if (score > best) second = std::exchange(best, score);
    else second = std::max(second, score);
  }
  return kind == ExpertsSpec::GroupScore::best ? best : best + second;
}

// Experts outside the best groups are not for choice.
void keep_best_groups(const ExpertsSpec& facts, std::vector<float>& choice) {
  const int size = facts.count / facts.groups;
  const auto group = [&](int g) { return std::span(choice).subspan(static_cast<size_t>(g * size), static_cast<size_t>(size)); };
  std::vector<float> scores;
  for (int g = 0; g < facts.groups; ++g) scores.push_back(group_score(facts.group_score, group(g)));
  std::vector<int> order(static_cast<size_t>(facts.groups));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)]; });
  for (size_t i = static_cast<size_t>(facts.groups_used); i < order.size(); ++i) {
    std::ranges::fill(group(order[i]), -std::numeric_limits<float>::infinity());
  }
}

// The chosen experts in ascending order and their weights.
void choose(const ExpertsSpec& facts, const ExpertWeights& w, std::span<float> logits, int* chosen, float* shares) {
  scores_of(facts.scores, logits);
  std::vector<float> choice(logits.begin(), logits.end());
  for (size_t e = 0; e < w.choice_bias.size(); ++e) choice[e] += w.choice_bias.span()[e];
  if (facts.groups > 1) keep_best_groups(facts, choice);
  for (int i = 0; i < facts.used; ++i) {
    const auto best = std::max_element(choice.begin(), choice.end());
    chosen[i] = static_cast<int>(best - choice.begin());
    *best = -std::numeric_limits<float>::infinity();
  }
  std::sort(chosen, chosen + facts.used);
  float sum = 0;
  for (int i = 0; i < facts.used; ++i) sum += shares[i] = logits[static_cast<size_t>(chosen[i])];
  for (int i = 0; i < facts.used; ++i) {
    if (facts.normalized) shares[i] /= sum + kLeastSum;
    shares[i] *= facts.scale;
    if (!w.expert_scale.empty()) shares[i] *= w.expert_scale.span()[static_cast<size_t>(chosen[i])];
  }
}

void route(const Step& step, const ExpertsSpec& facts, const ExpertWeights& w, Rows in) {
  const Rows logits = step.rows(step.s.router, facts.count);
  step.project(in, w.router, logits);
  step.add_bias(w.router_bias, logits);
  step.compute.for_rows(logits.rows, 16, [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      const int64_t at = int64_t{i} * facts.used;
      choose(facts, w, {logits.row(i), static_cast<size_t>(facts.count)}, step.s.chosen.data() + at, step.s.shares.data() + at);
    }
  });
}

// Sorts the places [row * used + i] of s.chosen by expert: those of expert e are order[begins[e]] .. order[begins[e + 1] - 1].
void group_by_expert(const Step& step, const ExpertsSpec& facts) {
  Scratch& s = step.s;
  const int places = step.batch.rows() * facts.used;
  std::fill(s.begins.begin(), s.begins.end(), 0);
  for (int p = 0; p < places; ++p) ++s.begins[static_cast<size_t>(s.chosen[static_cast<size_t>(p)]) + 1];
  for (size_t e = 1; e <= static_cast<size_t>(facts.count); ++e) s.begins[e] += s.begins[e - 1];
  std::vector<int> next(s.begins.begin(), s.begins.end() - 1);
  for (int p = 0; p < places; ++p) {
    const auto e = static_cast<size_t>(s.chosen[static_cast<size_t>(p)]);
    s.order[static_cast<size_t>(next[e]++)] = p;
  }
}

// One expert on the rows that chose it, added to s.expert_sum.
void run_expert(const Step& step, const FeedForwardSpec& facts, const ExpertWeights& w, int expert, Rows in) {
  Scratch& s = step.s;
  const auto e = static_cast<size_t>(expert);
  const int hidden = step.spec.hidden, width = facts.experts.width;
  const std::span<const int> places(s.order.data() + s.begins[e], static_cast<size_t>(s.begins[e + 1] - s.begins[e]));
  if (places.empty()) return;
  const int rows = static_cast<int>(places.size());
  const auto row_of = [&](int i) { return places[static_cast<size_t>(i)] / facts.experts.used; };
  const auto share_of = [&](int i) { return s.shares[static_cast<size_t>(places[static_cast<size_t>(i)])]; };
  const Rows x = {s.expert_in.data, rows, hidden}, out = {s.expert_out.data, rows, hidden};
  const Rows gate = {s.gate.data, rows, width}, up = {s.up.data, rows, width};
  for (int i = 0; i < rows; ++i) {
    std::copy_n(in.row(row_of(i)), hidden, x.row(i));
    if (facts.experts.weighs_input) step.compute.set().scale(share_of(i), hidden, x.row(i));
  }
  const std::array<kernels::Product, 2> both = {{{&w.gate[e], gate.data, width}, {&w.up[e], up.data, width}}};
  kernels::multiply(step.compute, x, both);
  if (!w.gate_bias.empty()) kernels::add_to_each(step.compute, w.gate_bias.data() + int64_t{expert} * width, gate);
  if (!w.up_bias.empty()) kernels::add_to_each(step.compute, w.up_bias.data() + int64_t{expert} * width, up);
  step.project(RowSource::gated(facts.activation, gate, up), w.down[e], out);
  if (!w.down_bias.empty()) kernels::add_to_each(step.compute, w.down_bias.data() + int64_t{expert} * hidden, out);
  for (int i = 0; i < rows; ++i) {
    if (!facts.experts.weighs_input) step.compute.set().scale(share_of(i), hidden, out.row(i));
    step.compute.set().add(out.row(i), hidden, s.expert_sum.row(row_of(i)));
  }
}

// What the router reads where it has a norm of its own.
Rows router_input(const Step& step, const ExpertWeights& w, Rows x) {
  const Rows out = step.hidden(step.s.expert_in);
  kernels::make_rows(step.compute, RowSource::rms_normed(x, w.router_scale.data(), step.spec.norm_eps), out);
  kernels::scale(step.compute, 1 / std::sqrt(static_cast<float>(step.spec.hidden)), out);
  return out;
}

}  // namespace

void run_experts(const Step& step, int index, Rows in) {
  const FeedForwardSpec& facts = step.facts(index).feed_forward;
  const ExpertWeights& w = step.layer(index).experts;
  const Rows sum = step.hidden(step.s.expert_sum), x = step.hidden(step.s.x);
  route(step, facts.experts, w, facts.experts.own_norms ? router_input(step, w, x) : in);
  if (facts.experts.own_norms) {
    in = step.hidden(step.s.expert_x);
    step.norm(x, w.norm, in);
  }
  group_by_expert(step, facts.experts);
  std::fill_n(sum.data, static_cast<size_t>(sum.rows) * static_cast<size_t>(sum.width), 0.0f);
  for (int e = 0; e < facts.experts.count; ++e) run_expert(step, facts, w, e, in);
  if (facts.experts.own_norms) step.norm(sum, w.post_norm, sum);
}

}  // namespace fovea::model
