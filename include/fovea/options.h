// Options of loading and running, as named structs whose defaults are the good choice.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <string_view>

namespace fovea {

// Called now and then during long work, on the thread that does it: `done` of `total` units (bytes, tokens) of
// `stage` ("reading weights"). Returning false stops the work: the function that was called throws Stopped.
using Progress = std::function<bool(std::string_view stage, int64_t done, int64_t total)>;

class Stopped : public std::exception {
 public:
  const char* what() const noexcept override { return "stopped"; }
};

// The form in which keys or values are stored (docs/kv-codecs.md). From fp8 on a value takes 8, 4, 3 or 2 bits.
enum class KvCodec : uint8_t { f32, f16, bf16, fp8, int8, int4, tq4, tq3, tq2 };
KvCodec kv_codec_from_name(std::string_view name);  // throws Error listing the names
std::string_view name_of(KvCodec codec);

// Of the keys and of the values of a layer. Where values are part of their key (latent attention, K = V), its codec holds for both.
struct KvCodecs {
  KvCodec keys = KvCodec::bf16, values = KvCodec::bf16;

  constexpr KvCodecs() = default;
  constexpr KvCodecs(KvCodec both) : keys(both), values(both) {}
  constexpr KvCodecs(KvCodec of_keys, KvCodec of_values) : keys(of_keys), values(of_values) {}
  friend constexpr bool operator==(KvCodecs, KvCodecs) = default;
};
// "int8", or "k=int8,v=int4" in either order.
KvCodecs kv_codecs_from_name(std::string_view name);  // throws Error listing the names
std::string name_of(KvCodecs codecs);
// What long sequences forget, on layers that see everything and, where asked for, on those with a window, so that their keys and
// values stay within a budget.
enum class EvictionPolicy : uint8_t {
  none,
  streaming,      // all but the first tokens (attention sinks) and the newest: StreamingLLM, arXiv:2309.17453
  heavy_hitters,  // what was attended to least since it was read: H2O, arXiv:2306.14048
  persistence,    // what was least often attended to more than the average lately: Scissorhands, arXiv:2305.17118
};
EvictionPolicy eviction_policy_from_name(std::string_view name);  // throws Error listing the names
std::string_view name_of(EvictionPolicy policy);                  // "h2o"

// Sizes are rounded up to whole pages of 16 tokens. When a sequence holds budget_tokens, interval_tokens of them go: what a query
// sees is a function of its position and of these options, however the prompt is cut.
struct EvictionOptions {
  EvictionPolicy policy = EvictionPolicy::none;
  int budget_tokens = 1024;  // most keys that a query sees
  // The same of layers with a longer window than this; 0: windows stay as they are. Heavy_hitters and persistence keep no sinks
  // here: a window leaves its first tokens behind anyway.
  int local_budget_tokens = 0;
  int sinks = 16;             // first tokens, never forgotten; streaming: seen where they would be without the gap
  int recent_tokens = 0;      // newest tokens that heavy_hitters and persistence never forget; 0: half of the budget
  int interval_tokens = 128;  // forgotten at a time

  bool operator==(const EvictionOptions&) const = default;
};

struct LoadOptions {
  int threads = 0;      // that pack weights; 0: all processors this process may use
  std::string kernels;  // force an instruction set by name ("scalar", "avx2", "avx512", "avx512bf16"); empty: the best here
  Progress progress;    // bytes of weights
  // Folders only: matrices are quantized as they are loaded, to a mixture ("q4_k_m") or format ("q8_0"): what convert_model would
  // write (conversion.h), and the same bits. Empty: they stay as they are.
  std::string quant;
};

// What engine options may be; a plan keeps to the same.
struct EngineLimits {
  static constexpr int kUsualContextTokens = 8192;  // where nobody says, and the model allows
  static constexpr int kMostContextTokens = 1 << 24;
  static constexpr int kMostSequences = 4096;
  static constexpr int kMostChunkTokens = 1 << 16;
  static constexpr int kMostThreads = 256;
  static constexpr int kMostNewestTokens = 1024;  // kept in bf16 beside narrow keys and values
  static constexpr int kMostLookupTokens = 32;    // guessed at a time
  static constexpr int64_t kMostCacheBytes = int64_t{1} << 44;
};

struct EngineOptions {
  int context_tokens = 0;              // longest sequence; 0: the model's own limit, at most 8192
  int sequences = 1;                   // that may run together, each up to context_tokens
  int chunk_tokens = 512;              // most tokens computed in one step
  int threads = 0;                     // 0: all processors this process may use
  KvCodecs kv_local = KvCodec::bf16;   // layers with a window
  KvCodecs kv_global = KvCodec::bf16;  // layers that see everything
  // The newest tokens of layers with narrow keys that are kept in bf16 as well, and read there: what is attended to most loses
  // nothing then (docs/kv-codecs.md). kUsualNewest: 16 where keys or values have less than 8 bits, else none.
  static constexpr int kUsualNewest = -1;
  int kv_newest_tokens = kUsualNewest;
  bool kv_auto = false;  // instead: the best codecs with which the plan fits this machine (Planner::best_codecs)
  // Bytes of keys and values kept for requests to come, beside what the sequences may need; room that running sequences
  // do not use is kept in too. kAsMuchAgain: as much as the sequences need, and sixteen states where layers carry one;
  // less where memory is short.
  static constexpr int64_t kAsMuchAgain = -1;
  int64_t cache_bytes = kAsMuchAgain;
  // Static mode: one sequence at a time, for which everything is set aside and resident from the start, in one stretch per layer.
  // Nothing is shared, kept for requests to come, or forgotten.
  bool static_cache = false;
  // Room is set aside for sequences that forget, so that context_tokens, up to kMostContextTokens, cost nothing. Requests
  // that do not (Request::evict) may be as long as the budget.
  EvictionOptions eviction = {};
  // Requests with grammars will come (Request::grammar): the plan counts the vocabulary that the first of them sorts.
  bool grammars = false;
};

}  // namespace fovea
