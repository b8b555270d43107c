#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "eval/work_estimate.h"
#include "fovea/error.h"
#include "fovea/evaluation.h"
#include "sampling/counter_random.h"

namespace fovea {
namespace {

constexpr uint64_t kTokenSeed = 20240229;  // any fixed number: every run measures the same tokens

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

void check(const SpeedJob& job) {
  const auto refuse = [](const char* what, int value, const char* range) {
    throw Error(fmt::format("{} is {}", what, value), "speed measurement", fmt::format("choose {}", range));
  };
  if (job.prompt_tokens < 0) refuse("prompt_tokens", job.prompt_tokens, "0 or more");
  if (job.decode_tokens < 0) refuse("decode_tokens", job.decode_tokens, "0 or more");
  if (job.rounds < 1) refuse("rounds", job.rounds, "1 or more");
  for (const int depth : job.depths) {
    if (depth < 0) refuse("depth", depth, "0 or more");
  }
}

struct Taken {
  double seconds = 0;
  std::map<std::string, double> parts;
};

// One more round of a row.
void add_round(const Taken& taken, int rounds, SpeedRow& row) {
  row.tokens_per_s.push_back(row.tokens / taken.seconds);
  for (const auto& [part, seconds] : taken.parts) row.part_seconds[part] += seconds / (rounds * row.tokens);
}

class SpeedMeter {
 public:
  SpeedMeter(const std::shared_ptr<const Model>& model, EngineOptions options, const SpeedJob& job)
      : job_(job), engine_(model, with_context(options, job)), chunk_(engine_.options().chunk_tokens) {
    if (job.on_plan) job.on_plan(engine_.plan());
    for (const int depth : job.depths) {
      total_ += whole_chunks(depth) + int64_t{job.rounds} * (job.prompt_tokens + job.decode_tokens);
    }
  }

  // A prompt can only be timed from the end of a step.
  int whole_chunks(int depth) const { return (depth + chunk_ - 1) / chunk_ * chunk_; }
  const EngineOptions& options() const { return engine_.options(); }

  // The time from `depth`, a multiple of the chunk, to the first token after `tokens` more of the prompt.
  Taken prefill(int depth, int tokens) {
    fill(depth);
    const Taken taken = to_the_end(submit(depth + tokens, 1, KeepLevel::none), depth);
    done_ += tokens;
    return taken;
  }

  // The time of `tokens` tokens after a prompt of `depth` and one more.
  Taken decode(int depth, int tokens) {
    fill(depth);
    const Taken taken = to_the_end(submit(depth + 1, tokens + 1, KeepLevel::none), depth + 1);
    done_ += tokens;
    return taken;
  }

 private:
  static EngineOptions with_context(EngineOptions options, const SpeedJob& job) {
    options.context_tokens = job.context_tokens(options.chunk_tokens);
    options.sequences = 1;
    return options;
  }

  // What lies before is computed once; the rounds go on from there.
  void fill(int depth) {
    if (depth == filled_) return;
    engine_.forget();
    filled_ = 0;
    if (depth > 0) to_the_end(submit(depth, 0, KeepLevel::priority), 0);
    done_ += depth;
    filled_ = depth;
  }

  RequestId submit(int prompt_tokens, int max_tokens, KeepLevel keep) {
    Request request;
    request.max_tokens = max_tokens;
    request.cache.keep = keep;
    const double vocabulary = engine_.model().facts().vocabulary;
    for (int i = 0; i < prompt_tokens; ++i) {  // the longer ones begin with the shorter
      const double place = sampling::uniform_at(kTokenSeed, static_cast<uint64_t>(i));
      request.prompt.push_back(static_cast<int32_t>(place * vocabulary));
    }
    return engine_.submit(std::move(request));
  }

  // Runs a request, timed from the step that begins with `untimed` tokens of its prompt, computed or found.
  Taken to_the_end(RequestId id, int untimed) {
    std::map<std::string, double> before;
    Stopwatch watch;
    for (bool begun = false; !engine_.idle(); step(id)) {
      if (begun) continue;
      begun = engine_.prompt_tokens_done(id) >= untimed;
      before = engine_.stats().part_seconds;
      watch = Stopwatch();
    }
    Taken taken{watch.seconds(), engine_.stats().part_seconds};
    for (const auto& [part, seconds] : before) taken.parts[part] -= seconds;
    return taken;
  }

  void step(RequestId id) {
    engine_.step();
    const int ahead = std::max(0, engine_.prompt_tokens_done(id) - filled_);
    if (job_.progress && !job_.progress("measuring", done_ + ahead, total_)) throw Stopped();
  }

  const SpeedJob& job_;
  Engine engine_;
  int chunk_;
  int filled_ = 0;  // tokens of the kept beginning
  int64_t done_ = 0, total_ = 0;
};

// Fills in what follows from tokens_per_s and the work of all the row's tokens together.
void derive(SpeedRow& row, const eval::Work& work, double limit_gb_per_s, double limit_gmac_per_s) {
  row.bytes_per_token = static_cast<int64_t>(work.bytes / row.tokens);
  row.macs_per_token = static_cast<int64_t>(work.macs / row.tokens);
  const double tokens_per_s = median(row.tokens_per_s);
  row.gb_per_s = tokens_per_s * static_cast<double>(row.bytes_per_token) * 1e-9;
  row.gmac_per_s = tokens_per_s * static_cast<double>(row.macs_per_token) * 1e-9;
  if (limit_gb_per_s > 0) row.share_of_limit = row.gb_per_s / limit_gb_per_s;
  if (limit_gmac_per_s > 0) row.share_of_limit = row.gmac_per_s / limit_gmac_per_s;
}

eval::Work prefill_work(const eval::WorkEstimate& estimate, int depth, int tokens, int chunk) {
  eval::Work work;
  for (int begin = 0; begin < tokens; begin += chunk) {
    const int length = std::min(chunk, tokens - begin);
    const eval::Work step = estimate.step(depth + begin, length, begin + length == tokens ? 1 : 0);
    work = {work.bytes + step.bytes, work.macs + step.macs};
  }
  return work;
}

eval::Work decode_work(const eval::WorkEstimate& estimate, int depth, int tokens) {
  eval::Work work;
  for (int i = 0; i < tokens; ++i) {
    const eval::Work step = estimate.step(depth + 1 + i, 1, 1);
    work = {work.bytes + step.bytes, work.macs + step.macs};
  }
  return work;
}

}  // namespace

int SpeedJob::context_tokens(int chunk_tokens) const {
  const int deepest = depths.empty() ? 0 : *std::max_element(depths.begin(), depths.end());
  return deepest + chunk_tokens + std::max(prompt_tokens, decode_tokens) + 2;
}

std::vector<SpeedRow> measure_speed(const std::shared_ptr<const Model>& model, EngineOptions options, const SpeedJob& job,
                                    const MachineLimits& limits) {
  check(job);
  SpeedMeter meter(model, options, job);
  const eval::WorkEstimate estimate(model->facts(), {model->bytes_per_token(), model->macs_per_token(), model->stored_macs_per_token()},
                                    meter.options());
  meter.decode(0, 2);  // wakes the threads and brings the weights into memory

  std::vector<SpeedRow> rows;
  for (const int wanted : job.depths) {
    const int depth = meter.whole_chunks(wanted);
    SpeedRow prefill{"prefill", job.prompt_tokens, depth, {}, 0, 0, 0, 0, 0, {}};
    SpeedRow decode{"decode", job.decode_tokens, depth, {}, 0, 0, 0, 0, 0, {}};
    for (int round = 0; round < job.rounds; ++round) {
      if (prefill.tokens > 0) add_round(meter.prefill(depth, prefill.tokens), job.rounds, prefill);
      if (decode.tokens > 0) add_round(meter.decode(depth, decode.tokens), job.rounds, decode);
    }
    if (prefill.tokens > 0) {
      derive(prefill, prefill_work(estimate, depth, prefill.tokens, meter.options().chunk_tokens), 0, limits.int8_gmac_per_s);
      rows.push_back(prefill);
    }
    if (decode.tokens > 0) {
      derive(decode, decode_work(estimate, depth, decode.tokens), limits.read_gb_per_s, 0);
      rows.push_back(decode);
    }
  }
  return rows;
}

}  // namespace fovea
