#include "text/sentencepiece_encoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "fovea/error.h"
#include "text/token_bytes.h"

namespace fovea::text {
namespace {

using Ids = std::vector<int32_t>;

// The 256 byte tokens first, so that ids of the rest begin at 256.
Vocabulary with_bytes(const std::vector<std::pair<std::string, float>>& scored) {
  Vocabulary vocabulary;
  vocabulary.source = "test";
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary.tokens.push_back(byte_token_text(static_cast<uint8_t>(byte)));
    vocabulary.scores.push_back(0);
  }
  for (const auto& [token, score] : scored) {
    vocabulary.tokens.push_back(token);
    vocabulary.scores.push_back(score);
  }
  return vocabulary;
}

Ids encode(const Vocabulary& vocabulary, std::string_view text, bool after_token = true) {
  const TokenTable tokens(vocabulary.tokens, vocabulary.source);
  Ids ids;
  SentencePieceEncoder(tokens, vocabulary).encode(text, after_token, ids);
  return ids;
}

// The specification: merge the neighbours whose joined token has the best score, leftmost first, until none
// is left.
Ids merge_naively(const Vocabulary& vocabulary, const std::string& text) {
  std::map<std::string, int32_t> ids;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) ids[vocabulary.tokens[id]] = static_cast<int32_t>(id);
  std::vector<std::string> symbols;
  for (const char c : text) symbols.push_back(std::string(1, c));
  while (true) {
    size_t best = symbols.size();
    float best_score = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto found = ids.find(symbols[i] + symbols[i + 1]);
      if (found == ids.end()) continue;
      const float score = vocabulary.scores[static_cast<size_t>(found->second)];
      if (best == symbols.size() || score > best_score) best = i, best_score = score;
    }
    if (best == symbols.size()) break;
    symbols[best] += symbols[best + 1];
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
  Ids result;
  for (const std::string& symbol : symbols) result.push_back(ids.at(symbol));
  return result;
}

TEST(SentencePieceEncoder, TheBestScoreMergesFirst) {
  const Vocabulary vocabulary = with_bytes({{"a", -9}, {"b", -9}, {"c", -9}, {"ab", -2}, {"bc", -1}});
  EXPECT_EQ(encode(vocabulary, "abc"), (Ids{256, 260}));
}

TEST(SentencePieceEncoder, OfEqualScoresTheLeftmostMergesFirst) {
  const Vocabulary vocabulary = with_bytes({{"a", -9}, {"aa", -1}});
  EXPECT_EQ(encode(vocabulary, "aaa"), (Ids{257, 256}));
}

TEST(SentencePieceEncoder, MissingCharactersBecomeTheirBytes) { EXPECT_EQ(encode(with_bytes({{"a", -1}}), "aé"), (Ids{256, 0xC3, 0xA9})); }

TEST(SentencePieceEncoder, WithoutByteTokensMissingCharactersAreUnknown) {
  Vocabulary vocabulary;
  vocabulary.tokens = {"<unk>", "a"};
  vocabulary.unknown = 0;
  EXPECT_EQ(encode(vocabulary, "ab"), (Ids{1, 0}));
  vocabulary.unknown.reset();
  EXPECT_THROW(encode(vocabulary, "ab"), Error);
}

TEST(SentencePieceEncoder, SpacesAndTheirVisibleFormAreOne) {
  const Vocabulary vocabulary = with_bytes({{"\u2581", -3}, {"a", -3}, {"\u2581a", -1}});
  EXPECT_EQ(encode(vocabulary, " a"), (Ids{258}));
  EXPECT_EQ(encode(vocabulary, "\u2581a"), (Ids{258}));
}

TEST(SentencePieceEncoder, ThePrefixStandsOnlyAfterTokens) {
  Vocabulary vocabulary = with_bytes({{"\u2581", -3}, {"a", -3}, {"\u2581a", -1}});
  vocabulary.add_space_prefix = true;
  EXPECT_EQ(encode(vocabulary, "a", true), (Ids{258}));
  EXPECT_EQ(encode(vocabulary, "a", false), (Ids{257}));
}

TEST(SentencePieceEncoder, MergesLikeTheNaiveAlgorithm) {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::pair<std::string, float>> scored = {{"a", 0}, {"b", 0}, {"c", 0}, {"d", 0}};
    for (int i = 0; i < 12; ++i) {
      std::string token;
      for (unsigned n = 2 + random() % 3; n > 0; --n) token += static_cast<char>('a' + random() % 4);
      const bool is_new = std::none_of(scored.begin(), scored.end(), [&](const auto& s) { return s.first == token; });
      if (is_new) scored.push_back({token, -static_cast<float>(random() % 6)});
    }
    const Vocabulary vocabulary = with_bytes(scored);
    std::string text;
    for (unsigned n = random() % 40; n > 0; --n) text += static_cast<char>('a' + random() % 4);
    EXPECT_EQ(encode(vocabulary, text), merge_naively(vocabulary, text)) << text;
  }
}

}  // namespace
}  // namespace fovea::text
