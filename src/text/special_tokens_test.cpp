#include "text/special_tokens.h"

#include <gtest/gtest.h>

#include <random>

namespace fovea::text {
namespace {

constexpr TokenKind N = TokenKind::normal, C = TokenKind::control, U = TokenKind::user_defined;

std::string in_brackets(std::string_view token) { return std::string(1, '[').append(token) + ']'; }

// "[text]" for tokens, the text itself otherwise.
std::string shown(const std::vector<TextPiece>& pieces) {
  std::string text;
  for (const TextPiece& piece : pieces) {
    text += piece.token == kPlainText ? std::string(piece.text) : in_brackets(piece.text);
  }
  return text;
}

// The specification: for each token, longest first, cut every piece of plain text at every occurrence.
std::string split_one_by_one(std::string text, const std::vector<std::string>& longest_first) {
  std::vector<std::pair<std::string, bool>> pieces = {{text, false}};
  for (const std::string& token : longest_first) {
    std::vector<std::pair<std::string, bool>> next;
    for (auto& [piece, is_token] : pieces) {
      while (!is_token && piece.find(token) != std::string::npos) {
        const size_t at = piece.find(token);
        if (at > 0) next.push_back({piece.substr(0, at), false});
        next.push_back({token, true});
        piece.erase(0, at + token.size());
      }
      if (!piece.empty()) next.push_back({piece, is_token});
    }
    pieces = next;
  }
  std::string result;
  for (const auto& [piece, is_token] : pieces) result += is_token ? in_brackets(piece) : piece;
  return result;
}

TEST(SpecialTokens, ControlTokensCountOnlyWhereTheyAreParsed) {
  const TokenTable tokens({"a", "<eos>", "<b>"}, "test");
  const SpecialTokens specials(tokens, {N, C, U});
  EXPECT_EQ(shown(specials.split("x<eos><b>y", true)), "x[<eos>][<b>]y");
  EXPECT_EQ(shown(specials.split("x<eos><b>y", false)), "x<eos>[<b>]y");
}

TEST(SpecialTokens, LongestWinsEvenWhenItBeginsLater) {
  const TokenTable tokens({"ab", "bcd"}, "test");
  EXPECT_EQ(shown(SpecialTokens(tokens, {U, U}).split("abcd ab", false)), "a[bcd] [ab]");
}

TEST(SpecialTokens, RunsAreTakenFromTheLongestDown) {
  const TokenTable tokens({"\n", "\n\n", "\n\n\n"}, "test");
  const SpecialTokens specials(tokens, {U, U, U});
  EXPECT_EQ(shown(specials.split("\n\n\n\n\n", false)), "[\n\n\n][\n\n]");
  EXPECT_EQ(shown(specials.split("a\n", false)), "a[\n]");
}

TEST(SpecialTokens, AnEmptyTextHasNoPieces) {
  const TokenTable tokens({"a"}, "test");
  EXPECT_TRUE(SpecialTokens(tokens, {U}).split("", true).empty());
}

TEST(SpecialTokens, SplitLikeCuttingForOneTokenAfterTheOther) {
  // No two of one size, so that "longest first" is one order.
  const std::vector<std::string> longest_first = {"aabba", "baab", "bbb", "ab", "c"};
  const TokenTable tokens(longest_first, "test");
  const SpecialTokens specials(tokens, std::vector<TokenKind>(longest_first.size(), U));
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (unsigned i = random() % 30; i > 0; --i) text += "aaabbbcx"[random() % 8];
    EXPECT_EQ(shown(specials.split(text, false)), split_one_by_one(text, longest_first)) << text;
  }
}

}  // namespace
}  // namespace fovea::text
