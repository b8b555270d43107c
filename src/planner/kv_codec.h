// Forms of keys and values as a plan counts them.
#pragma once

#include <optional>
#include <string_view>

#include "fovea/options.h"
#include "fovea/plan.h"

namespace fovea::planner {

// errors  Error listing the names when there is no such codec
const KvCodecFacts& codec_named(std::string_view name);

// The engine's own name for it; none for a codec that it does not compute with.
std::optional<KvCodec> engine_codec(const KvCodecFacts& codec);
std::string_view codec_name(KvCodec codec);

// Bytes of `values` values, whole blocks.
int64_t codec_bytes(const KvCodecFacts& codec, int64_t values);

}  // namespace fovea::planner
