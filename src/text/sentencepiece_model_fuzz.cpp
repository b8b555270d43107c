// libFuzzer target: any bytes as a tokenizer.model.
#include <cstddef>
#include <cstdint>

#include "fovea/error.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using fovea::text::Tokenizer;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const Tokenizer tokenizer = Tokenizer::from_sentencepiece(bytes, "", "fuzz");
    const std::string text = "It was on a <b> dreary\n night  \u00e9 </s>";
    tokenizer.decode(tokenizer.encode(text, {.parse_special = true}), true);
  } catch (const fovea::Error&) {
  }
  return 0;
}
