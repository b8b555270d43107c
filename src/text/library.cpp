#include "text/library.h"

#include "fovea/error.h"
#include "text/owned_text.h"
#include "text/pre_tokenizer.h"

namespace fovea::text {
namespace {

template <typename Texts> std::vector<FoveaSpan> spans(const Texts& texts) {
  std::vector<FoveaSpan> all;
  all.reserve(texts.size());
  for (const std::string_view text : texts) all.push_back(span(text));
  return all;
}

// What the library hands over, given back on every way out.
struct OwnedIds {
  FoveaIds ids = {};
  OwnedIds() = default;
  OwnedIds(const OwnedIds&) = delete;
  OwnedIds& operator=(const OwnedIds&) = delete;
  ~OwnedIds() { fovea_ids_free(ids); }
};

constexpr const char* kBrokenTokenizer = "the file is damaged or needs a newer version of this engine";
constexpr const char* kBrokenTemplate = "the chat template of this model cannot render these messages";

}  // namespace

LibraryTokenizer LibraryTokenizer::from_merges(const Vocabulary& vocabulary) {
  const PreTokenizer pre_tokenizer = pre_tokenizer_named(vocabulary.pre_tokenizer, vocabulary.source);
  const std::vector<FoveaSpan> tokens = spans(vocabulary.tokens), merges = spans(vocabulary.merges);
  const std::vector<FoveaSpan> splits = spans(pre_tokenizer.splits);
  OwnedText error;
  FoveaTokenizer* const handle = fovea_tokenizer_from_merges(tokens.data(), tokens.size(), merges.data(), merges.size(), splits.data(),
                                                             splits.size(), pre_tokenizer.whole_words, &error.text);
  if (!handle) throw Error("the vocabulary cannot be used: " + error.copy(), vocabulary.source, kBrokenTokenizer);
  return {handle, vocabulary.source};
}

LibraryTokenizer LibraryTokenizer::from_json(std::string_view tokenizer_json, const std::string& source) {
  OwnedText error;
  FoveaTokenizer* const handle = fovea_tokenizer_from_json(span(tokenizer_json), &error.text);
  if (!handle) throw Error("the tokenizer cannot be used: " + error.copy(), source, kBrokenTokenizer);
  return {handle, source};
}

void LibraryTokenizer::encode(std::string_view text, bool add_special, bool parse_special, std::vector<int32_t>& ids) const {
  OwnedIds encoded;
  OwnedText error;
  if (!fovea_tokenizer_encode(get(), span(text), add_special, parse_special, &encoded.ids, &error.text)) {
    throw Error("the text cannot be tokenized: " + error.copy(), source_, kBrokenTokenizer);
  }
  ids.insert(ids.end(), encoded.ids.data, encoded.ids.data + encoded.ids.size);
}

LibraryTemplate::LibraryTemplate(std::string_view template_source, const std::string& source) : source_(source) {
  OwnedText error;
  handle_.reset(fovea_template_new(span(template_source), &error.text));
  if (!handle_) {
    throw Error(error.copy(), source, "the chat template of this model is not valid Jinja, or not supported");
  }
}

std::string LibraryTemplate::render(std::string_view variables_json) const {
  OwnedText output, error;
  if (!fovea_template_render(handle_.get(), span(variables_json), &output.text, &error.text)) {
    throw Error(error.copy(), source_, kBrokenTemplate);
  }
  return output.copy();
}

}  // namespace fovea::text
