#include "planner/kv_codec.h"

#include "kernels/kv_layout.h"

namespace fovea {
namespace {

KvCodecFacts facts(KvCodec codec, std::string_view cost) {
  return {codec, name_of(codec), kernels::code_bits(codec), kernels::is_scaled(codec) ? 2 : 0, cost};
}

}  // namespace

const std::vector<KvCodecFacts>& kv_codec_facts() {
  static const std::vector<KvCodecFacts> kFacts = {
      facts(KvCodec::f32, "none: the reference"),
      facts(KvCodec::f16, "rounding to 11 bits"),
      facts(KvCodec::bf16, "rounding to 8 bits"),
      facts(KvCodec::fp8, "rounding to 4 bits: int8 loses less in the same room"),
      facts(KvCodec::int8, "hardly any (docs/kv-codecs.md)"),
      facts(KvCodec::int4, "some: about as tq4 in the same room"),
      facts(KvCodec::tq4, "some: one likeliest token in thirteen differs (a model of 270 M; docs/kv-codecs.md)"),
      facts(KvCodec::tq3, "much: one likeliest token in eight differs (a model of 270 M; docs/kv-codecs.md)"),
      facts(KvCodec::tq2, "small models break"),
  };
  return kFacts;
}

namespace planner {

const KvCodecFacts& facts_of(KvCodec codec) { return kv_codec_facts()[static_cast<size_t>(codec)]; }

bool is_smaller(KvCodecs a, KvCodecs b) {
  const auto size = [](KvCodecs c) { return facts_of(c.keys).bits + facts_of(c.values).bits; };
  return size(a) < size(b);
}

bool can_store(KvCodecs codecs, const PlanOptions& options) {
  return options.eviction.policy == EvictionPolicy::none || !kernels::is_narrow(codecs.keys);
}

}  // namespace planner
}  // namespace fovea
