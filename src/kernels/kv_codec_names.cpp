#include <array>
#include <string>

#include "fovea/error.h"
#include "fovea/options.h"

namespace fovea {
namespace {

// In the order of KvCodec.
constexpr std::array<std::string_view, 9> kCodecNames = {"f32", "f16", "bf16", "fp8", "int8", "int4", "tq4", "tq3", "tq2"};

std::string all_names() {
  std::string names;
  for (size_t i = 0; i < kCodecNames.size(); ++i) {
    names += (i == 0 ? "" : i + 1 == kCodecNames.size() ? " or " : ", ") + std::string(kCodecNames[i]);
  }
  return names;
}

// One side of "k=int8,v=int4".
void read_side(std::string_view side, std::string_view whole, KvCodecs& codecs, bool (&given)[2]) {
  const size_t which = side.starts_with("k=") ? 0 : 1;
  if ((which == 1 && !side.starts_with("v=")) || given[which]) {
    throw Error("'" + std::string(whole) + "' does not say one codec for keys and one for values", "",
                "write int8, or k=int8,v=int4; codecs are " + all_names());
  }
  given[which] = true;
  (which == 0 ? codecs.keys : codecs.values) = kv_codec_from_name(side.substr(2));
}

}  // namespace

KvCodec kv_codec_from_name(std::string_view name) {
  for (size_t i = 0; i < kCodecNames.size(); ++i) {
    if (kCodecNames[i] == name) return static_cast<KvCodec>(i);
  }
  throw Error("no K/V codec is called '" + std::string(name) + "'", "", "choose " + all_names());
}

KvCodecs kv_codecs_from_name(std::string_view name) {
  const size_t comma = name.find(',');
  if (comma == std::string_view::npos && name.find('=') == std::string_view::npos) return kv_codec_from_name(name);
  KvCodecs codecs;
  bool given[2] = {};
  read_side(name.substr(0, comma), name, codecs, given);
  if (comma == std::string_view::npos) read_side("", name, codecs, given);
  read_side(name.substr(comma + 1), name, codecs, given);
  return codecs;
}

std::string name_of(KvCodecs codecs) {
  if (codecs.keys == codecs.values) return std::string(name_of(codecs.keys));
  return "k=" + std::string(name_of(codecs.keys)) + ",v=" + std::string(name_of(codecs.values));
}

std::string_view name_of(KvCodec codec) { return kCodecNames[static_cast<size_t>(codec)]; }

}  // namespace fovea
