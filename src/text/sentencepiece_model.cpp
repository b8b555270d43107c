#include "text/sentencepiece_model.h"

#include <bit>
#include <cstdint>

#include "fovea/error.h"
#include "text/token_bytes.h"
#include "text/utf8.h"

namespace fovea::text {
namespace {

[[noreturn]] void refuse(const std::string& what, const std::string& source, const std::string& mend) { throw Error(what, source, mend); }

// The fields of one protocol buffer message, in order.
class Message {
 public:
  Message(std::string_view bytes, const std::string& source) : rest_(bytes), source_(&source) {}

  // Steps to the next field; false at the end.
  bool next() {
    if (rest_.empty()) return false;
    const uint64_t key = varint();
    number_ = key >> 3;
    switch (key & 7) {
      case 0:
        value_ = varint();
        break;
      case 1:
        take(8);
        break;
      case 2: {
        const uint64_t size = varint();
        if (size > rest_.size()) fail();
        bytes_ = take(static_cast<size_t>(size));
        break;
      }
      case 5:
        bytes_ = take(4);
        break;
      default:
        fail();
    }
    kind_ = static_cast<int>(key & 7);
    return true;
  }

  uint64_t number() const { return number_; }
  uint64_t integer() const { return require(0), value_; }
  std::string_view bytes() const { return require(2), bytes_; }
  float real() const {
    require(5);
    uint32_t bits = 0;
    for (size_t i = 4; i-- > 0;) bits = bits << 8 | static_cast<uint8_t>(bytes_[i]);
    return std::bit_cast<float>(bits);
  }

 private:
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t byte = static_cast<uint8_t>(take(1)[0]);
      value |= uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
    fail();
  }
  std::string_view take(size_t size) {
    if (size > rest_.size()) fail();
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  void require(int kind) const {
    if (kind_ != kind) fail();
  }
  [[noreturn]] void fail() const {
    refuse("this is no SentencePiece model", *source_, "the file is truncated or damaged: download it again");
  }

  std::string_view rest_;
  const std::string* source_;
  uint64_t number_ = 0, value_ = 0;
  std::string_view bytes_;
  int kind_ = -1;
};

// Field numbers and defaults are those of sentencepiece_model.proto.
struct Trainer {
  uint64_t model_type = 1;  // 1 unigram, 2 BPE, 3 word, 4 character
  int64_t unknown = 0, bos = 1, eos = 2;
};

void read_piece(std::string_view bytes, Vocabulary& vocabulary) {
  std::string text;
  float score = 0;
  uint64_t type = 1;
  for (Message piece(bytes, vocabulary.source); piece.next();) {
    if (piece.number() == 1) text = piece.bytes();
    if (piece.number() == 2) score = piece.real();
    if (piece.number() == 3) type = piece.integer();
  }
  if (first_invalid_utf8(text)) {
    refuse("token " + std::to_string(vocabulary.tokens.size()) + " is not UTF-8", vocabulary.source, "");
  }
  if (type < 1 || type > 6) {
    refuse("token " + std::to_string(vocabulary.tokens.size()) + " is of unknown type " + std::to_string(type), vocabulary.source, "");
  }
  const TokenKind kind = static_cast<TokenKind>(type - 1);
  // These are searched in the text as it is, before its spaces are made visible.
  vocabulary.tokens.push_back(kind == TokenKind::user_defined ? without_visible_spaces(text) : text);
  vocabulary.scores.push_back(score);
  vocabulary.kinds.push_back(kind);
}

Trainer read_trainer(std::string_view bytes, const std::string& source) {
  Trainer trainer;
  for (Message fields(bytes, source); fields.next();) {
    if (fields.number() == 3) trainer.model_type = fields.integer();
    if (fields.number() == 40) trainer.unknown = static_cast<int64_t>(fields.integer());
    if (fields.number() == 41) trainer.bos = static_cast<int64_t>(fields.integer());
    if (fields.number() == 42) trainer.eos = static_cast<int64_t>(fields.integer());
  }
  return trainer;
}

void read_normalizer(std::string_view bytes, Vocabulary& vocabulary) {
  bool removes_spaces = true, has_rules = false;
  for (Message fields(bytes, vocabulary.source); fields.next();) {
    if (fields.number() == 2) has_rules = !fields.bytes().empty();
    if (fields.number() == 3) vocabulary.add_space_prefix = fields.integer() != 0;
    if (fields.number() == 4) removes_spaces = fields.integer() != 0;
  }
  if (has_rules || removes_spaces) {
    refuse("the model normalizes texts before tokenizing them, which is not supported", vocabulary.source,
           "use the tokenizer.json of the same model");
  }
}

std::optional<int> id_within(int64_t id, size_t tokens) {  // -1 means none
  if (id < 0 || id >= static_cast<int64_t>(tokens)) return std::nullopt;
  return static_cast<int>(id);
}

}  // namespace

Vocabulary parse_sentencepiece_model(std::string_view model, const std::string& source) {
  Vocabulary vocabulary;
  vocabulary.source = source;
  vocabulary.model = "llama";
  vocabulary.add_space_prefix = true;
  vocabulary.space_prefix_once = true;
  Trainer trainer;
  std::string_view normalizer;
  for (Message fields(model, source); fields.next();) {
    if (fields.number() == 1) read_piece(fields.bytes(), vocabulary);
    if (fields.number() == 2) trainer = read_trainer(fields.bytes(), source);
    if (fields.number() == 3) normalizer = fields.bytes();
  }
  if (vocabulary.tokens.empty()) refuse("the model has no tokens", source, "download the file again");
  if (trainer.model_type != 2) {
    refuse("the model is not of the BPE kind", source, "use the tokenizer.json of the same model");
  }
  read_normalizer(normalizer, vocabulary);
  vocabulary.unknown = id_within(trainer.unknown, vocabulary.tokens.size());
  vocabulary.bos = id_within(trainer.bos, vocabulary.tokens.size());
  vocabulary.eos = id_within(trainer.eos, vocabulary.tokens.size());
  return vocabulary;
}

}  // namespace fovea::text
