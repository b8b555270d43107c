// Forms of keys and values as a plan counts them.
#pragma once

#include <cstdint>

#include "fovea/options.h"
#include "fovea/plan.h"

namespace fovea::planner {

const KvCodecFacts& facts_of(KvCodec codec);

// Codecs of local and of global layers, those that lose least first (docs/kv-codecs.md), each smaller than the one before.
struct CodecStep {
  KvCodecs local, global;
};
inline constexpr CodecStep kCodecLadder[] = {
    {KvCodec::bf16, KvCodec::bf16}, {KvCodec::bf16, KvCodec::int8}, {KvCodec::int8, KvCodec::int8}, {KvCodec::int8, KvCodec::tq4},
    {KvCodec::tq4, KvCodec::tq4},   {KvCodec::tq4, KvCodec::tq3},   {KvCodec::tq3, KvCodec::tq3},
};

// Whether keys and values of a take fewer bits together.
bool is_smaller(KvCodecs a, KvCodecs b);

// Eviction moves stored keys to other positions, which codes do not allow.
bool can_store(KvCodecs codecs, const PlanOptions& options);

}  // namespace fovea::planner
