#include "text/special_tokens.h"

#include <algorithm>

namespace fovea::text {
namespace {

bool is_special(TokenKind kind) { return kind == TokenKind::control || kind == TokenKind::unknown || kind == TokenKind::user_defined; }

size_t beginning(std::string_view text) {  // at the end of the text the second byte counts as zero
  const size_t second = text.size() > 1 ? static_cast<uint8_t>(text[1]) : 0;
  return static_cast<uint8_t>(text[0]) * size_t{256} + second;
}

// `found` in order of place, and the plain text around it.
std::vector<TextPiece> with_plain_text_between(std::string_view text, const std::vector<TextPiece>& found) {
  std::vector<TextPiece> pieces;
  pieces.reserve(found.size() * 2 + 1);
  size_t done = 0;
  for (const TextPiece& token : found) {
    const size_t begin = static_cast<size_t>(token.text.data() - text.data());
    if (begin > done) pieces.push_back({text.substr(done, begin - done), kPlainText});
    pieces.push_back(token);
    done = begin + token.text.size();
  }
  if (done < text.size()) pieces.push_back({text.substr(done), kPlainText});
  return pieces;
}

}  // namespace

SpecialTokens::SpecialTokens(const TokenTable& tokens, std::vector<TokenKind> kinds) : tokens_(&tokens), kinds_(std::move(kinds)) {
  std::vector<std::string_view> texts;
  for (int32_t id = 0; id < tokens.size(); ++id) {
    if (is_special(kinds_[static_cast<size_t>(id)]) && !tokens.text(id).empty()) texts.push_back(tokens.text(id));
  }
  for (const std::string_view text : texts) sizes_.push_back(text.size());
  std::sort(sizes_.begin(), sizes_.end(), std::greater<>());
  sizes_.erase(std::unique(sizes_.begin(), sizes_.end()), sizes_.end());
  for (const std::string_view text : texts) {
    std::vector<bool>& has_size = has_size_[static_cast<uint8_t>(text[0])];
    has_size.resize(sizes_.size());
    const auto size = std::lower_bound(sizes_.begin(), sizes_.end(), text.size(), std::greater<>());
    has_size[static_cast<size_t>(size - sizes_.begin())] = true;
    if (text.size() > 1) {
      beginnings_.set(beginning(text));
    } else {
      for (size_t second = 0; second < 256; ++second) beginnings_.set(static_cast<uint8_t>(text[0]) * 256u + second);
    }
  }
}

bool SpecialTokens::applies(int32_t id, bool parse_special) const {
  const TokenKind kind = kinds_[static_cast<size_t>(id)];
  return kind == TokenKind::user_defined || (parse_special && is_special(kind));
}

std::vector<size_t> SpecialTokens::candidates(std::string_view text) const {
  std::vector<size_t> places;
  for (size_t at = 0; at < text.size(); ++at) {
    if (beginnings_[beginning(text.substr(at, 2))]) places.push_back(at);
  }
  return places;
}

std::vector<TextPiece> SpecialTokens::split(std::string_view text, bool parse_special) const {
  if (text.empty()) return {};
  const std::vector<size_t> places = candidates(text);
  if (places.empty()) return {{text, kPlainText}};

  std::vector<TextPiece> found;
  std::vector<bool> taken(text.size());
  for (size_t i = 0; i < sizes_.size(); ++i) {
    const size_t size = sizes_[i];
    for (const size_t at : places) {
      const std::vector<bool>& has_size = has_size_[static_cast<uint8_t>(text[at])];
      if (!has_size[i] || at + size > text.size()) continue;
      // What was taken is at least as long, so it overlaps only if it covers an end.
      if (taken[at] || taken[at + size - 1]) continue;
      const auto id = tokens_->find(text.substr(at, size));
      if (!id || !applies(*id, parse_special)) continue;
      std::fill_n(taken.begin() + static_cast<ptrdiff_t>(at), size, true);
      found.push_back({text.substr(at, size), *id});
    }
  }
  std::sort(found.begin(), found.end(), [](const TextPiece& a, const TextPiece& b) { return a.text.data() < b.text.data(); });
  return with_plain_text_between(text, found);
}

}  // namespace fovea::text
