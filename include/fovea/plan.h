// Where memory goes, before it goes: weights, keys and values, scratch memory of a model at a context, by the
// formulas that the allocations themselves use; what fits a machine; what a token costs in time.
//
// A model is a .gguf file, a folder with config.json (weights or not), a bare config.json, or one of the
// configurations that are built in (known_configurations()).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fovea/options.h"

namespace fovea {

// Facts of the model to be replaced, so that the design space can be walked.
struct WhatIf {
  std::optional<std::pair<int, int>> ratio = {};  // local layers : global layers, repeating; a 0 on either side: only the other
  std::optional<int> window = {};                 // tokens, of local layers
  std::optional<int> kv_heads = {};               // of every attention layer
  std::optional<int> shared_kv_layers = {};       // the last n layers read the K/V of earlier ones of their kind
  std::optional<bool> k_eq_v = {};                // global layers keep one stream for keys and values
};

struct PlanOptions {
  int context_tokens = 0;                              // of every sequence; 0: the model's own limit, at most 8192, as the engine chooses
  int sequences = 1;                                   // that live together
  int shared_prefix_tokens = 0;                        // that all sequences begin with and the cache keeps once
  int chunk_tokens = 512;                              // most tokens computed in one step
  int threads = 0;                                     // 0: all processors this process may use
  std::string kv_local = "bf16", kv_global = "bf16";   // as kv_codecs_from_name reads them
  int kv_newest_tokens = EngineOptions::kUsualNewest;  // as EngineOptions has them
  EvictionOptions eviction = {};                       // of layers that see everything
  // Kept for requests to come beside what sequences need (EngineOptions::cache_bytes); empty: not counted.
  std::optional<int64_t> cache_bytes = {};
  bool grammars = false;     // as EngineOptions has it
  std::string weights = {};  // a format ("q4_k") or mixture ("q4_k_m") for all matrices; empty: as the file
                             // stores them, bf16 without a file
  WhatIf what_if = {};
};

// Forms of weights (PlanOptions::weights) that are worth trying, the largest first.
inline constexpr std::string_view kPlanWeights[] = {"bf16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m", "q2_k"};

// One form of keys and values.
struct KvCodecFacts {
  KvCodec codec;
  std::string_view name;
  int bits;               // of a value
  int vector_bytes;       // that a key or value of one head takes beside: its scale
  std::string_view cost;  // what is known of its effect on quality
};
const std::vector<KvCodecFacts>& kv_codec_facts();

struct PlanWeights {
  std::string kind;  // "embedding", "output", "attention", "feed-forward", "experts", "recurrent", "norms", ...
  int64_t values = 0;
  int64_t bytes = 0;       // packed, in memory
  int64_t read_bytes = 0;  // to compute one token
};

// Layers that keep state alike. Bytes are of all sequences together.
struct PlanGroup {
  std::string kind;  // "local", "global", "chunked", "latent" (compressed keys and values), "state" (of fixed size), or "newest": the
                     // newest tokens of layers with narrow keys, in bf16 beside them
  std::vector<int> layers;
  std::optional<int> window;  // tokens
  int kv_heads = 0, head_dim = 0;
  std::string codec;
  bool one_stream = false;       // K = V, kept once
  int64_t bytes_per_token = 0;   // of one position, all layers of the group
  int64_t bytes = 0;             // exact: window entries, no rounding
  int64_t page_slack_bytes = 0;  // pages are not full, rows padded
  int64_t chunk_bytes = 0;       // what a prefill chunk needs on top
  int64_t pinned_bytes = 0;      // pages of the local run, or the state, at the end of the shared prefix
  // Set aside on top, since each sequence may be the one that computes a chunk; what is kept for requests to come fills it.
  int64_t reserve_bytes = 0;
  int64_t all_global_bytes = 0;  // exact, if its layers saw everything
  int64_t read_bytes = 0;        // by one token at the end of the context
};

struct PlanLayer {
  std::string kind;           // as of groups
  std::optional<int> window;  // tokens
  std::optional<int> shares_with;
  int64_t bytes_per_token = 0;  // 0 where the layer keeps none of its own
};

struct Plan {
  std::string model;  // its name
  std::string family;
  std::string source;  // where the facts are from
  int context_tokens = 0, sequences = 0, shared_prefix_tokens = 0, chunk_tokens = 0, threads = 0;
  std::string weights_format;  // "q4_k, q6_k" as in the file, or what was asked for
  std::vector<PlanWeights> weights;
  std::vector<PlanGroup> groups;
  std::vector<PlanLayer> layers;

  int64_t weights_bytes = 0;
  int64_t kv_bytes = 0;  // exact
  int64_t page_slack_bytes = 0, chunk_bytes = 0, pinned_bytes = 0;
  int64_t retained_bytes = 0;  // keys and values for requests to come, at most, where options count them
  int64_t kv_all_global_bytes = 0;
  int64_t scratch_bytes = 0;
  int64_t vocabulary_bytes = 0;  // tokenizer, and what grammars make of it: an estimate, counted per token
  int64_t program_bytes = 0;     // the program itself: an estimate
  int64_t total_bytes = 0;       // of all these
  int64_t read_bytes = 0;        // weights, and K/V at the end of the context, that one token reads

  std::vector<std::string> not_computed;  // why this engine cannot run it today; empty: it can

  int64_t cache_bytes() const { return kv_bytes + page_slack_bytes + chunk_bytes + pinned_bytes; }
};

// One JSON object: what `fovea plan --json` says of the plan itself, and a server's page shows.
std::string json_text(const Plan& plan);

// One setting that differs, with which the plan fits.
struct PlanChange {
  std::string setting;  // as users write it: "-c 65536"
  std::string cost;     // what it costs in quality or use
  PlanOptions options;
  int64_t total_bytes = 0;
  bool runs = true;  // with this engine, today
};

struct KnownConfiguration {
  std::string_view name, alias, source;
};
const std::vector<KnownConfiguration>& known_configurations();

// One way to keep state, for the dimensions of a given model.
struct AttentionKindRow {
  std::string name;  // "MHA", "GQA", ...
  std::string what;  // in a few words
  Plan plan;
};

// owner    the facts of one model; headers are read once, at open()
// threads  immutable after open()
class Planner {
 public:
  // errors  Error for what is neither a model nor the name of a configuration
  // quant   as LoadOptions::quant: matrices of a folder with weights as they will be quantized at load
  static Planner open(const std::string& model, const std::string& quant = "");
  ~Planner();
  Planner(Planner&&) noexcept;
  Planner& operator=(Planner&&) noexcept;

  // errors  Error for options that no model can have, and for codecs and formats that do not exist
  Plan plan(const PlanOptions& options) const;

  // The largest that fits `memory_bytes`, the other options as they are; 0: not even one.
  int longest_context(const PlanOptions& options, int64_t memory_bytes) const;
  int most_sequences(const PlanOptions& options, int64_t memory_bytes) const;

  // The options with the codecs that lose least of those with which the plan fits; with the narrowest, when none does.
  PlanOptions best_codecs(const PlanOptions& options, int64_t memory_bytes) const;

  // Single changes with which the plan fits, the cheapest first. Empty when it fits as it is, or nothing
  // helps.
  std::vector<PlanChange> changes_that_fit(const PlanOptions& options, int64_t memory_bytes) const;

  // errors  Error naming the part that is too big and two settings that fit
  void require_fit(const PlanOptions& options, int64_t memory_bytes) const;

  // Ways to keep state side by side, at the options' context.
  std::vector<AttentionKindRow> attention_kinds(const PlanOptions& options) const;

  struct State;  // the planner's side
  explicit Planner(std::unique_ptr<State> state);

 private:
  std::unique_ptr<State> state_;
};

// What this machine can still give, in bytes.
int64_t free_memory_bytes();

// "640 B", "756 MiB", "15.0 GiB": powers of 1024, three digits.
std::string memory_text(int64_t bytes);

// What `threads` threads read sequentially here, measured in a few tenths of a second with 256 MB.
double measured_read_bytes_per_s(int threads);

// Tokens per second of decoding `plan` with memory that is read at this rate, one sequence.
double estimated_tokens_per_s(const Plan& plan, double read_bytes_per_s);

// Figures: self-contained SVG with units, legend and its source data as JSON in <metadata>.
std::string memory_figure(const std::vector<Planner>& models,
                          const PlanOptions& options);  // K/V against context
std::string bars_figure(const Planner& model,
                        const PlanOptions& options);                          // weights and K/V for ratios and windows
std::string layers_figure(const Planner& model, const PlanOptions& options);  // what each layer keeps
std::string as_html(const std::string& svg, const std::string& title);

}  // namespace fovea
