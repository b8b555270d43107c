//! One tokenizer as the C interface sees it.

use crate::byte_level;
use crate::tokenizer_json::{self, TokenFacts, TokenForm};
use std::sync::OnceLock;
use tokenizers::Tokenizer as Library;

/// The library decides when it is built whether special tokens in a text are parsed, so there is one instance for each
/// way; the one that takes them as plain text is copied when it is first asked for.
pub struct Tokenizer {
    parsing: Library,
    plain: OnceLock<Library>,
    pub facts: TokenFacts,
}

impl Tokenizer {
    pub fn from_merges(
        tokens: &[&str],
        merges: &[&str],
        splits: &[&str],
        whole_words: bool,
    ) -> Result<Self, String> {
        let parsing = byte_level::from_merges(tokens, merges, splits, whole_words)?;
        let facts = TokenFacts { form: TokenForm::ByteLevel, drops_first_space: false, tokens: Vec::new() };
        Ok(Self { parsing, plain: OnceLock::new(), facts })
    }

    pub fn from_json(json: &[u8]) -> Result<Self, String> {
        let (parsing, facts) = tokenizer_json::parse(json)?;
        Ok(Self { parsing, plain: OnceLock::new(), facts })
    }

    pub fn encode(&self, text: &str, add_special: bool, parse_special: bool) -> Result<Vec<u32>, String> {
        let library = if parse_special || self.facts.tokens.is_empty() {
            &self.parsing
        } else {
            self.plain.get_or_init(|| {
                let mut plain = self.parsing.clone();
                plain.set_encode_special_tokens(true);
                plain
            })
        };
        let encoding = library.encode_fast(text, add_special).map_err(|error| error.to_string())?;
        Ok(encoding.get_ids().to_vec())
    }
}
