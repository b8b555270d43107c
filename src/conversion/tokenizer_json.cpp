#include "conversion/tokenizer_json.h"

#include <algorithm>
#include <map>

#include "files/json_text.h"
#include "files/untrusted_text.h"
#include "fovea/error.h"
#include "text/pre_tokenizer.h"
#include "text/token_bytes.h"

namespace fovea::conversion {
namespace {

using nlohmann::json;
using text::TokenKind;

constexpr size_t kJsonBytes = 256u << 20;
constexpr int64_t kMostTokens = 1 << 24;
constexpr const char* kOneDigit = R"(\p{N})";
// What ByteLevel cuts by where it is told to.
constexpr const char* kByteLevelSplit = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

class TokenizerJson {
 public:
  TokenizerJson(std::string_view text, const std::string& source)
      : source_(source), root_(files::parse_json_object(text, source, kJsonBytes)) {}

  text::Vocabulary read(const std::string& pre_tokenizer) {
    const json& model = part(root_, "model");
    const std::string type = text_of(model, "type");
    if (model.contains("type") && type != "BPE") refuse("is of the kind " + files::in_quotes(type), "only BPE is known");
    if (!model.contains("vocab") || !model["vocab"].is_object()) refuse("has no vocabulary", "fetch the file again");
    made_.source = source_;
    byte_level_ = mentions(root_, "pre_tokenizer", "ByteLevel") || mentions(root_, "decoder", "ByteLevel");
    made_.model = byte_level_ ? "gpt2" : "llama";
    add_tokens(model["vocab"]);
    const std::vector<std::string> merges = merges_of(model);
    mark_kinds(text_of(model, "unk_token"));
    add_added_tokens();
    name_gaps();
    if (byte_level_) {
      made_.merges = merges;
      made_.pre_tokenizer = pre_tokenizer.empty() ? pre_tokenizer_of(model.value("ignore_merges", false)) : pre_tokenizer;
    } else {
      score(merges);
      made_.add_space_prefix = puts_space_first();
    }
    return std::move(made_);
  }

 private:
  [[noreturn]] void refuse(const std::string& what, const std::string& mend) const { throw Error("the tokenizer " + what, source_, mend); }

  static const json& part(const json& object, const char* name) {
    static const json kNone;
    const auto found = object.find(name);
    return found == object.end() ? kNone : *found;
  }
  static std::string text_of(const json& object, const char* name) {
    const json& value = object.is_object() ? part(object, name) : object;
    return value.is_string() ? value.get<std::string>() : "";
  }

  // The steps of a pre_tokenizer, normalizer or decoder, in order.
  static std::vector<json> steps(const json& whole) {
    for (const char* list : {"pretokenizers", "normalizers", "decoders"}) {
      if (whole.is_object() && whole.contains(list) && whole[list].is_array()) return whole[list].get<std::vector<json>>();
    }
    return whole.is_object() ? std::vector<json>{whole} : std::vector<json>{};
  }
  static bool mentions(const json& root, const char* where, const char* type) {
    const std::vector<json> all = steps(part(root, where));
    return std::any_of(all.begin(), all.end(), [&](const json& step) { return text_of(step, "type") == type; });
  }

  // ---- tokens

  std::string& token(int64_t id) {
    if (id < 0 || id >= kMostTokens) refuse("has a token of number " + std::to_string(id), "fetch the file again");
    const auto at = static_cast<size_t>(id);
    if (at >= made_.tokens.size()) {
      made_.tokens.resize(at + 1);
      made_.kinds.resize(at + 1, TokenKind::unused);
    }
    return made_.tokens[at];
  }

  void add_tokens(const json& vocab) {
    for (const auto& [text, id] : vocab.items()) {
      if (!id.is_number_integer()) refuse("numbers a token with something else", "fetch the file again");
      token(id.get<int64_t>()) = text;
      made_.kinds[id.get<size_t>()] = TokenKind::normal;
    }
  }

  void mark_kinds(const std::string& unknown) {
    for (size_t id = 0; id < made_.tokens.size(); ++id) {
      if (made_.kinds[id] != TokenKind::normal) continue;
      if (!byte_level_ && text::byte_of_token_text(made_.tokens[id])) made_.kinds[id] = TokenKind::byte;
      if (!unknown.empty() && made_.tokens[id] == unknown) {
        made_.kinds[id] = TokenKind::unknown;
        made_.unknown = static_cast<int>(id);
      }
    }
  }

  void add_added_tokens() {
    const json& added = part(root_, "added_tokens");
    if (!added.is_array()) return;
    for (const json& each : added) {
      const std::string content = text_of(each, "content");
      if (content.empty() || !each.contains("id") || !each["id"].is_number_integer()) continue;
      const auto id = each["id"].get<int64_t>();
      token(id) = content;
      TokenKind& kind = made_.kinds[static_cast<size_t>(id)];
      if (kind != TokenKind::unknown) kind = each.value("special", false) ? TokenKind::control : TokenKind::user_defined;
    }
  }

  void name_gaps() {
    for (size_t id = 0; id < made_.tokens.size(); ++id) {
      if (made_.kinds[id] == TokenKind::unused) made_.tokens[id] = "[PAD" + std::to_string(id) + "]";
    }
  }

  // ---- merges

  std::vector<std::string> merges_of(const json& model) const {
    const json& merges = part(model, "merges");
    std::vector<std::string> all;
    if (!merges.is_array()) return all;
    for (const json& merge : merges) {
      const bool pair = merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string();
      if (!pair && !merge.is_string()) refuse("has a merge that is neither text nor a pair", "fetch the file again");
      all.push_back(pair ? merge[0].get<std::string>() + " " + merge[1].get<std::string>() : merge.get<std::string>());
    }
    return all;
  }

  // SentencePiece merges whatever two neighbours make the token with the best score: that of its earliest merge.
  void score(const std::vector<std::string>& merges) {
    std::map<std::string, size_t, std::less<>> ranks;
    for (size_t rank = 0; rank < merges.size(); ++rank) {
      std::string joined = merges[rank];
      joined.erase(joined.find(' '), 1);
      ranks.emplace(std::move(joined), rank);
    }
    made_.scores.assign(made_.tokens.size(), 0);
    for (size_t id = 0; id < made_.tokens.size(); ++id) {
      if (made_.kinds[id] != TokenKind::normal) continue;
      const auto rank = ranks.find(made_.tokens[id]);
      made_.scores[id] = -static_cast<float>(rank == ranks.end() ? merges.size() + id : rank->second);
    }
  }

  // ---- texts

  bool puts_space_first() const {
    for (const json& step : steps(part(root_, "normalizer"))) {
      if (text_of(step, "type") == "Prepend") return true;
    }
    for (const json& step : steps(part(root_, "pre_tokenizer"))) {
      if (text_of(step, "type") != "Metaspace") continue;
      return step.contains("prepend_scheme") ? text_of(step, "prepend_scheme") != "never" : step.value("add_prefix_space", true);
    }
    return false;
  }

  std::string pre_tokenizer_of(bool whole_words) const {
    std::vector<std::string> splits;
    for (const json& step : steps(part(root_, "pre_tokenizer"))) {
      const std::string type = text_of(step, "type");
      if (type == "Split") splits.push_back(text_of(part(step, "pattern"), "Regex"));
      else if (type == "Digits") splits.push_back(step.value("individual_digits", false) ? kOneDigit : R"(\p{N}+)");
      else if (type == "ByteLevel" && step.value("use_regex", true)) splits.push_back(kByteLevelSplit);
      else if (type != "ByteLevel")
        refuse("cuts texts by " + files::in_quotes(type), "name the pre-tokenizer that llama.cpp has for it: --pre");
    }
    const std::string_view name = text::pre_tokenizer_name(splits, whole_words);
    if (name.empty()) refuse("cuts texts in a way that has no name here", "name the pre-tokenizer that llama.cpp has for it: --pre");
    return std::string(name);
  }

  const std::string& source_;
  const json root_;
  bool byte_level_ = false;
  text::Vocabulary made_;
};

}  // namespace

text::Vocabulary parse_tokenizer_json(std::string_view text, const std::string& source, const std::string& pre_tokenizer) {
  return TokenizerJson(text, source).read(pre_tokenizer);
}

}  // namespace fovea::conversion
