#include "text/streaming_detokenizer.h"

#include <gtest/gtest.h>

#include <random>

#include "fovea/error.h"
#include "text/token_bytes.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace fovea::text {
namespace {

using Ids = std::vector<int32_t>;

// The 256 byte tokens, then "▁", "é", "▁a" and "<s>".
Tokenizer bytes_and_words(bool space_prefix) {
  Vocabulary vocabulary;
  vocabulary.model = "llama";
  for (int byte = 0; byte < 256; ++byte) vocabulary.tokens.push_back(byte_token_text(static_cast<uint8_t>(byte)));
  vocabulary.kinds.resize(256, TokenKind::byte);
  vocabulary.tokens.insert(vocabulary.tokens.end(), {"\u2581", "é", "\u2581a", "<s>"});
  vocabulary.kinds.resize(259, TokenKind::normal);
  vocabulary.kinds.push_back(TokenKind::control);
  vocabulary.add_space_prefix = space_prefix;
  return Tokenizer::from_vocabulary(vocabulary);
}

TEST(StreamingDetokenizer, HoldsBackHalfACodePoint) {
  const Tokenizer tokenizer = bytes_and_words(false);
  StreamingDetokenizer stream(tokenizer);
  EXPECT_EQ(stream.push(0xF0), "");
  EXPECT_EQ(stream.push(0x9F), "");
  EXPECT_EQ(stream.push(0x98), "");
  EXPECT_EQ(stream.push(0x80), "😀");
  EXPECT_EQ(stream.push(0xC3), "");
  EXPECT_EQ(stream.push(257), "\uFFFDé");
  EXPECT_EQ(stream.push(0xE2), "");
  EXPECT_EQ(stream.finish(), "\uFFFD");
  EXPECT_EQ(stream.finish(), "");
}

TEST(StreamingDetokenizer, PiecesTogetherAreTheWholeAndEachIsUtf8) {
  std::mt19937 random(11);
  for (const bool space_prefix : {false, true}) {
    const Tokenizer tokenizer = bytes_and_words(space_prefix);
    for (int round = 0; round < 3000; ++round) {
      const bool show_special = random() % 2;
      Ids ids(random() % 12);
      for (int32_t& id : ids) {  // mostly beginnings and middles of code points
        id = random() % 3 ? static_cast<int32_t>(0x80 + random() % 0x80) : static_cast<int32_t>(random() % 260);
      }
      StreamingDetokenizer stream(tokenizer, show_special);
      std::string all, bytes;
      for (const int32_t id : ids) {
        const std::string piece = stream.push(id);
        EXPECT_FALSE(first_invalid_utf8(piece));
        all += piece;
        bytes += tokenizer.token_bytes(id, show_special);
      }
      all += stream.finish();
      EXPECT_EQ(all, tokenizer.decode(ids, show_special));

      if (space_prefix && !bytes.empty() && bytes[0] == ' ') bytes.erase(0, 1);
      std::string repaired;
      if (append_repaired_utf8(bytes, repaired) < bytes.size()) repaired += kReplacementCharacter;
      EXPECT_EQ(all, repaired);
    }
  }
}

TEST(StreamingDetokenizer, AContinuationKeepsItsSpace) {
  const Tokenizer tokenizer = bytes_and_words(true);
  EXPECT_EQ(StreamingDetokenizer(tokenizer).push(258), "a");
  EXPECT_EQ(StreamingDetokenizer(tokenizer, false, TextStart::continuation).push(258), " a");
}

TEST(StreamingDetokenizer, ControlTokensShowOnlyWhereAsked) {
  const Tokenizer tokenizer = bytes_and_words(false);
  EXPECT_EQ(StreamingDetokenizer(tokenizer).push(259), "");
  EXPECT_EQ(StreamingDetokenizer(tokenizer, true).push(259), "<s>");
  StreamingDetokenizer stream(tokenizer);
  EXPECT_THROW(stream.push(260), Error);
}

}  // namespace
}  // namespace fovea::text
