// SentencePiece's BPE: characters are merged in the order of the merged tokens' scores.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "text/encoder.h"
#include "text/token_table.h"
#include "text/vocabulary.h"

namespace fovea::text {

// Needs no list of merges: whether two neighbours may merge, and how soon, is what the table says of their
// joined text (the best score first, of equal ones the leftmost). A file of 262,144 tokens has 513,511
// merges, which take ten times longer to build than this.
//
// threads  immutable after construction
// errors   throws Error when the vocabulary can express not every text (neither byte tokens nor an unknown
// token)
class SentencePieceEncoder : public Encoder {
 public:
  // `tokens` must outlive the encoder.
  SentencePieceEncoder(const TokenTable& tokens, const Vocabulary& vocabulary);

  void encode(std::string_view text, bool after_token, std::vector<int32_t>& ids) const override;

 private:
  struct Workspace;
  void encode_segment(std::string_view segment, Workspace& work, std::vector<int32_t>& ids) const;
  void propose(Workspace& work, int left, int right) const;
  void append_token(std::string_view text, std::vector<int32_t>& ids) const;
  bool may_be_joined(uint32_t left, uint32_t right) const;

  const TokenTable* tokens_;
  std::vector<float> scores_;
  std::array<int32_t, 256> byte_tokens_;
  bool add_space_prefix_;

  // Which characters stand side by side in any token, by a hash of the two (so it may err towards yes). Where
  // two characters never do, no merge can cross, and the text is cut there into segments that are merged one
  // by one.
  static constexpr size_t kPairBits = size_t{1} << 21;
  std::unique_ptr<std::bitset<kPairBits>> pairs_;
};

}  // namespace fovea::text
