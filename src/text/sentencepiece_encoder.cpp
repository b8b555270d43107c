#include "text/sentencepiece_encoder.h"

#include <algorithm>
#include <string>

#include "fovea/error.h"
#include "text/token_bytes.h"
#include "text/utf8.h"

namespace fovea::text {
namespace {

// Bytes of the character that begins with `lead`. REQUIRES valid UTF-8.
size_t size_of_character(char lead) {
  const uint8_t byte = static_cast<uint8_t>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

// The bytes of the first character as one number. Two characters never share a number.
uint32_t character_at(std::string_view text) {
  uint32_t character = 0;
  for (const char byte : text.substr(0, size_of_character(text[0]))) {
    character = character << 8 | static_cast<uint8_t>(byte);
  }
  return character;
}

size_t pair_index(uint32_t left, uint32_t right, size_t bits) {
  const uint64_t mixed = (uint64_t{left} << 32 | right) * 0x9E3779B97F4A7C15u;
  return (mixed >> 32) & (bits - 1);
}

std::string with_visible_spaces(std::string_view text, bool space_first) {
  std::string visible;
  visible.reserve(text.size() + text.size() / 2 + kVisibleSpace.size());
  if (space_first) visible += kVisibleSpace;
  for (const char c : text) {
    if (c == ' ') {
      visible += kVisibleSpace;
    } else {
      visible += c;
    }
  }
  return visible;
}

std::array<int32_t, 256> find_byte_tokens(const TokenTable& tokens, const Vocabulary& vocabulary) {
  std::array<int32_t, 256> found;
  for (int byte = 0; byte < 256; ++byte) {
    const auto id = tokens.find(byte_token_text(static_cast<uint8_t>(byte)));
    if (!id && !vocabulary.unknown) {
      throw Error("there is no token " + byte_token_text(static_cast<uint8_t>(byte)) + " and no unknown token", vocabulary.source,
                  "a SentencePiece vocabulary needs one or the other");
    }
    found[static_cast<size_t>(byte)] = id ? *id : *vocabulary.unknown;
  }
  return found;
}

}  // namespace

// One segment on its way: a list of symbols, linked so that merging two costs nothing, and the proposed
// merges.
struct SentencePieceEncoder::Workspace {
  struct Symbol {
    size_t begin, size;  // in the segment; size 0: merged into the one before
    int before, after;   // -1: none
  };
  struct Merge {
    float score;
    int left, right;
    size_t size;  // of both when proposed; differs once either was merged elsewhere
  };
  static bool later(const Merge& a, const Merge& b) { return a.score != b.score ? a.score < b.score : a.left > b.left; }

  std::string_view segment;
  std::vector<Symbol> symbols;
  std::vector<Merge> merges;  // a heap, the next one in front
};

SentencePieceEncoder::SentencePieceEncoder(const TokenTable& tokens, const Vocabulary& vocabulary)
    : tokens_(&tokens),
      scores_(vocabulary.scores),
      byte_tokens_(find_byte_tokens(tokens, vocabulary)),
      add_space_prefix_(vocabulary.add_space_prefix && !vocabulary.space_prefix_once),
      pairs_(std::make_unique<std::bitset<kPairBits>>()) {
  scores_.resize(static_cast<size_t>(tokens.size()));
  for (int32_t id = 0; id < tokens.size(); ++id) {
    std::string_view text = tokens.text(id);
    if (text.empty() || first_invalid_utf8(text)) continue;  // no text contains such a token
    for (uint32_t left = 0; !text.empty(); text.remove_prefix(size_of_character(text[0]))) {
      const uint32_t right = character_at(text);
      pairs_->set(pair_index(left, right, kPairBits));
      left = right;
    }
  }
}

bool SentencePieceEncoder::may_be_joined(uint32_t left, uint32_t right) const { return pairs_->test(pair_index(left, right, kPairBits)); }

void SentencePieceEncoder::encode(std::string_view text, bool after_token, std::vector<int32_t>& ids) const {
  const std::string visible = with_visible_spaces(text, add_space_prefix_ && after_token);
  const std::string_view rest(visible);
  Workspace work;
  uint32_t left = 0;
  size_t begin = 0;
  for (size_t at = 0; at < rest.size(); at += size_of_character(rest[at])) {
    const uint32_t right = character_at(rest.substr(at, 4));
    if (at > begin && !may_be_joined(left, right)) {
      encode_segment(rest.substr(begin, at - begin), work, ids);
      begin = at;
    }
    left = right;
  }
  if (begin < rest.size()) encode_segment(rest.substr(begin), work, ids);
}

void SentencePieceEncoder::encode_segment(std::string_view segment, Workspace& work, std::vector<int32_t>& ids) const {
  work.segment = segment;
  work.symbols.clear();
  work.merges.clear();
  for (size_t at = 0; at < segment.size();) {
    const int index = static_cast<int>(work.symbols.size());
    const size_t size = size_of_character(segment[at]);
    const bool is_last = at + size == segment.size();
    work.symbols.push_back({at, size, index - 1, is_last ? -1 : index + 1});
    at += size;
  }
  for (int right = 1; right < static_cast<int>(work.symbols.size()); ++right) propose(work, right - 1, right);

  while (!work.merges.empty()) {
    std::pop_heap(work.merges.begin(), work.merges.end(), Workspace::later);
    const Workspace::Merge merge = work.merges.back();
    work.merges.pop_back();
    Workspace::Symbol& left = work.symbols[static_cast<size_t>(merge.left)];
    Workspace::Symbol& right = work.symbols[static_cast<size_t>(merge.right)];
    if (left.size == 0 || right.size == 0 || left.size + right.size != merge.size) continue;
    left.size += right.size;
    right.size = 0;
    left.after = right.after;
    if (left.after >= 0) work.symbols[static_cast<size_t>(left.after)].before = merge.left;
    propose(work, left.before, merge.left);
    propose(work, merge.left, left.after);
  }
  for (int i = 0; i >= 0; i = work.symbols[static_cast<size_t>(i)].after) {
    const Workspace::Symbol& symbol = work.symbols[static_cast<size_t>(i)];
    append_token(segment.substr(symbol.begin, symbol.size), ids);
  }
}

void SentencePieceEncoder::propose(Workspace& work, int left, int right) const {
  if (left < 0 || right < 0) return;
  const Workspace::Symbol& first = work.symbols[static_cast<size_t>(left)];
  const size_t size = first.size + work.symbols[static_cast<size_t>(right)].size;
  const auto token = tokens_->find(work.segment.substr(first.begin, size));
  if (!token) return;
  work.merges.push_back({scores_[static_cast<size_t>(*token)], left, right, size});
  std::push_heap(work.merges.begin(), work.merges.end(), Workspace::later);
}

// Only a single character can be missing from the table: everything longer was found there to be merged.
void SentencePieceEncoder::append_token(std::string_view text, std::vector<int32_t>& ids) const {
  if (const auto token = tokens_->find(text)) {
    ids.push_back(*token);
    return;
  }
  for (const char byte : text) ids.push_back(byte_tokens_[static_cast<uint8_t>(byte)]);
}

}  // namespace fovea::text
