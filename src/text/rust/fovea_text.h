/* C interface of the Rust library fovea-text: byte-level BPE, tokenizer.json, Jinja templates,
 * grammars.
 *
 * ownership  A Span is borrowed: the callee reads it during the call only; a Span that is returned stays valid until
 *            the handle it came from is freed. Handles, Texts and Ids belong to the caller, who gives each back once
 *            to the matching free function. Null handles and zeroed values may be freed.
 * errors     A function that fails returns null or false and sets `*error` to a message in UTF-8, to be freed;
 *            otherwise it leaves `*error` alone. `error` must not be null. Nothing unwinds across this boundary:
 *            a panic inside becomes such a message.
 * threads    A handle may be used by several threads at once, except while it is being freed; a grammar, by one.
 */
#ifndef FOVEA_TEXT_H_
#define FOVEA_TEXT_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Borrowed bytes, not NUL-terminated. `data` may be null when `size` is 0. */
typedef struct FoveaSpan {
  const char* data;
  size_t size;
} FoveaSpan;

/* Owned UTF-8. */
typedef struct FoveaText {
  char* data;
  size_t size;
  size_t capacity;
} FoveaText;

/* Owned token ids. */
typedef struct FoveaIds {
  uint32_t* data;
  size_t size;
  size_t capacity;
} FoveaIds;

void fovea_text_free(FoveaText text);
void fovea_ids_free(FoveaIds ids);

/* ---- Tokenizers ---- */

typedef struct FoveaTokenizer FoveaTokenizer;

/* How token texts stand for bytes. */
enum FoveaTokenForm {
  FOVEA_BYTE_LEVEL = 0,    /* every character stands for one byte */
  FOVEA_SENTENCEPIECE = 1, /* U+2581 stands for a space, "<0x41>" for a byte */
};

enum FoveaTokenKind {
  FOVEA_NORMAL = 0,
  FOVEA_ADDED = 1,   /* found in the text before anything else */
  FOVEA_SPECIAL = 2, /* the same, but only where special tokens are parsed */
};

/* A byte-level BPE vocabulary: token texts (index = id) in the byte alphabet, merges "left right" with the best first.
 * `splits` are regular expressions that cut the text one after the other, each cutting the pieces the one before left.
 * With `whole_words`, a piece that is a token itself is not merged from its bytes. Knows no special tokens. */
FoveaTokenizer* fovea_tokenizer_from_merges(const FoveaSpan* tokens, size_t token_count, const FoveaSpan* merges, size_t merge_count,
                                            const FoveaSpan* splits, size_t split_count, bool whole_words, FoveaText* error);

/* A Hugging Face tokenizer.json. */
FoveaTokenizer* fovea_tokenizer_from_json(FoveaSpan json, FoveaText* error);

void fovea_tokenizer_free(FoveaTokenizer* tokenizer);

/* `text` must be UTF-8. `add_special` adds what the file's post-processor puts around a text (BOS and the like);
 * `parse_special` finds special tokens in the text. On success `*ids` is to be freed. */
bool fovea_tokenizer_encode(const FoveaTokenizer* tokenizer, FoveaSpan text, bool add_special, bool parse_special, FoveaIds* ids,
                            FoveaText* error);

/* What a tokenizer.json says about its tokens; not to be asked of a tokenizer made from merges. */
size_t fovea_tokenizer_size(const FoveaTokenizer* tokenizer);
enum FoveaTokenForm fovea_tokenizer_form(const FoveaTokenizer* tokenizer);
bool fovea_tokenizer_drops_first_space(const FoveaTokenizer* tokenizer);     /* decoding removes one leading space */
FoveaSpan fovea_tokenizer_token(const FoveaTokenizer* tokenizer, size_t id); /* empty for an id without a token */
enum FoveaTokenKind fovea_tokenizer_token_kind(const FoveaTokenizer* tokenizer, size_t id);

/* ---- Templates ---- */

typedef struct FoveaTemplate FoveaTemplate;

FoveaTemplate* fovea_template_new(FoveaSpan source, FoveaText* error);
void fovea_template_free(FoveaTemplate* chat_template);

/* `variables` is a JSON object: the names the template sees. On success `*output` is to be freed. */
bool fovea_template_render(const FoveaTemplate* chat_template, FoveaSpan variables, FoveaText* output, FoveaText* error);

/* ---- Grammars ---- */

typedef struct FoveaGrammarVocabulary FoveaGrammarVocabulary;
typedef struct FoveaGrammar FoveaGrammar;

enum FoveaGrammarKind {
  FOVEA_JSON_SCHEMA = 0,         /* what it asks for and cannot have is an error */
  FOVEA_LENIENT_JSON_SCHEMA = 1, /* ... is ignored */
  FOVEA_REGEX = 2,
  FOVEA_LARK = 3,
};

/* `tokens`: the bytes of each (index = id). Control tokens, where `is_control`, do not stand for their text: a Lark grammar
 * names them. `ends`: at least one token that ends a text. */
FoveaGrammarVocabulary* fovea_grammar_vocabulary_new(const FoveaSpan* tokens, const bool* is_control, size_t token_count,
                                                     const uint32_t* ends, size_t end_count, FoveaText* error);
void fovea_grammar_vocabulary_free(FoveaGrammarVocabulary* vocabulary);

/* A text that has not begun. What it needs of the vocabulary it keeps. */
FoveaGrammar* fovea_grammar_new(const FoveaGrammarVocabulary* vocabulary, enum FoveaGrammarKind kind, FoveaSpan source, FoveaText* error);
FoveaGrammar* fovea_grammar_copy(const FoveaGrammar* grammar, FoveaText* error);
void fovea_grammar_free(FoveaGrammar* grammar);

/* Bit i % 32 of word i / 32: token i may come next. Where the text is complete, only tokens that end it. Once this or
 * fovea_grammar_accept has failed, because bounds of work were reached, all that follow do. */
bool fovea_grammar_mask(FoveaGrammar* grammar, uint32_t* words, size_t word_count, FoveaText* error);
/* Goes on by as many of the tokens as are allowed. */
bool fovea_grammar_accept(FoveaGrammar* grammar, const uint32_t* tokens, size_t count, size_t* accepted, FoveaText* error);
bool fovea_grammar_is_complete(const FoveaGrammar* grammar); /* nothing but an end may follow */

#ifdef __cplusplus
}
#endif

#endif /* FOVEA_TEXT_H_ */
