// Measuring a model: logits of token files, perplexity, speed.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/engine.h"

namespace fovea {

// Reads token ids from a .npy file (int32 or int64, one dimension), runs them as one sequence, and writes float32
// logits [tokens, vocabulary] to another .npy file, which appears only when complete.
// errors: Error for unreadable or unsuitable files; Stopped when progress said so
struct LogitsJob {
  std::string tokens_path, out_path;
  Progress progress;      // tokens
  int cached_tokens = 0;  // > 0: the first so many are run as a request of their own before; the file is the same
};
EngineStats write_logits(const std::shared_ptr<const Model>& model, EngineOptions options, const LogitsJob& job);

// Perplexity as llama-perplexity computes it: the text is tokenized once and cut into chunks of `context` tokens, the
// first token of each chunk is replaced by BOS (if the model has one), and the second half of each chunk is counted.
struct PerplexityJob {
  std::string text;
  int context = 512;
  int chunks = 0;       // 0: as many as the text has
  int last_tokens = 0;  // of a chunk are counted; 0: the second half
  // > 0: what sequences that forget are measured against. The last tokens are expected some at a time, as many as eviction
  // forgets at a time, each time from a fresh context of so many tokens: the sinks that eviction would keep, and the newest.
  int fresh_tokens = 0;
  Progress progress;  // tokens
  std::function<void(int chunk, double perplexity_so_far)> on_chunk;
};
struct Perplexity {
  double perplexity = 0;
  double standard_error = 0;  // of perplexity
  int chunks = 0;
  int context = 0;
  int64_t tokens = 0;  // counted
};
Perplexity measure_perplexity(const std::shared_ptr<const Model>& model, EngineOptions options, const PerplexityJob& job);

// What another form of keys and values costs in quality, beside that of the engine options: the first `context` tokens of a text are
// read by several engines at once, and every position's distribution is compared.
struct KvChoice {
  KvCodecs local, global;
};
struct KvQualityJob {
  std::string text;
  int context = 2048;
  std::vector<KvChoice> choices;  // a megabyte of logits each times 48; engines of all of them live together
  Progress progress;              // tokens
};
struct KvQuality {
  KvChoice choice;
  double mean_kl = 0;          // of the reference's distribution to this one's, in nats, over all positions
  double same_top = 0;         // share of positions with the same most likely token
  double bytes_per_token = 0;  // of keys and values, all layers, the exact formula
};
std::vector<KvQuality> measure_kv_quality(const std::shared_ptr<const Model>& model, const EngineOptions& reference,
                                          const KvQualityJob& job);

// Whether far away details can still be told: notes such as "the code of the red fox is 4821" are strewn into a text of `context`
// tokens, and asked for at its end, one after the other. The text is read once, each question continues from the cache.
struct RetrievalJob {
  std::string text;  // between the notes
  int context = 8192;
  int bands = 4;  // equal parts of the text, the farthest first
  int notes_per_band = 12;
  Progress progress;  // questions
};
struct Retrieval {
  std::vector<int> found;        // per band, of notes_per_band: every token of the answer the most likely one
  std::vector<double> log_prob;  // per band, mean of the answer's log probability
};
Retrieval measure_retrieval(const std::shared_ptr<const Model>& model, EngineOptions options, const RetrievalJob& job);

// What this machine can do at most, by short probes that fill all `threads`.
struct MachineLimits {
  int threads = 0;
  double read_gb_per_s = 0;    // sequential reads of memory much larger than the caches
  double int8_gmac_per_s = 0;  // 8-bit multiply-adds, registers only, of the kernels in use
};
MachineLimits probe_machine(const Model& model, int threads);

struct SpeedJob {
  int prompt_tokens = 512;  // 0: no prefill rows
  int decode_tokens = 128;  // 0: no decode rows
  std::vector<int> depths = {0};
  int rounds = 3;
  Progress progress;                              // tokens
  std::function<void(const Plan&)> on_plan = {};  // before anything is measured

  int context_tokens(int chunk_tokens) const;  // that the deepest row needs
};
struct SpeedRow {
  std::string phase;  // "prefill" or "decode"
  int tokens = 0;
  int depth = 0;
  std::vector<double> tokens_per_s;  // one per round
  int64_t bytes_per_token = 0;       // weights and K/V read per token (prefill: per chunk / tokens)
  int64_t macs_per_token = 0;        // multiply-adds; activations of two digits count once
  double gb_per_s = 0;               // at the median round
  double gmac_per_s = 0;
  double share_of_limit = 0;                        // of read bandwidth (decode) or of int8 multiply-adds (prefill)
  std::map<std::string, double> part_seconds = {};  // per token, as EngineStats names the parts
};
std::vector<SpeedRow> measure_speed(const std::shared_ptr<const Model>& model, EngineOptions options, const SpeedJob& job,
                                    const MachineLimits& limits);

// The rows beside the roof that memory and arithmetic set, as an SVG document with its data as JSON inside.
// errors: Error for no rows, or limits that are not known
std::string roofline_figure(std::string_view model, const MachineLimits& limits, const std::vector<SpeedRow>& rows);

}  // namespace fovea
