// Any bytes are a config.json that is flattened, or an Error; names stay short, and no getter meets a kind it
// cannot name.
#include <cstdint>
#include <cstdlib>

#include "files/hugging_face.h"
#include "fovea/error.h"

namespace {

void ask_everything(const fovea::files::Metadata& metadata, const std::string& key) {
  const auto ask = [](auto getter) {
    try {
      getter();
    } catch (const fovea::Error&) {  // another kind than asked for
    }
  };
  ask([&] { (void)metadata.integer(key); });
  ask([&] { (void)metadata.number(key); });
  ask([&] { (void)metadata.flag(key, false); });
  ask([&] { (void)metadata.text(key); });
  ask([&] { (void)metadata.integers(key); });
  ask([&] { (void)metadata.numbers(key); });
  ask([&] { (void)metadata.flags(key); });
  ask([&] { (void)metadata.texts(key); });
  ask([&] { (void)metadata.integer_per_layer(key, 2); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fovea::files::Metadata metadata("fuzz.json");
  try {
    fovea::files::parse_config({reinterpret_cast<const char*>(data), size}, "fuzz.json", "", metadata);
  } catch (const fovea::Error& error) {
    if (error.problem().empty() || error.where().empty() || error.mend().empty()) abort();
  }
  for (const auto& [key, value] : metadata.values()) {
    if (key.size() > 256) abort();
    ask_everything(metadata, key);
  }
  return 0;
}
