//! A Hugging Face tokenizer.json: the tokenizer itself, and what it says about its tokens.

use tokenizers::decoders::DecoderWrapper;
use tokenizers::models::ModelWrapper;
use tokenizers::pre_tokenizers::metaspace::PrependScheme;
use tokenizers::Tokenizer;

#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub enum TokenForm {
    ByteLevel = 0,
    SentencePiece = 1,
}

#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub enum TokenKind {
    Normal = 0,
    Added = 1,
    Special = 2,
}

/// What is needed to turn ids back into text.
pub struct TokenFacts {
    pub form: TokenForm,
    pub drops_first_space: bool,
    pub tokens: Vec<(String, TokenKind)>, // index = id; "" where the file has no token for an id
}

/// Ids are bounded, so that a file cannot ask for a table far beyond its own size.
const MAX_TOKENS: usize = 1 << 24;

pub fn parse(json: &[u8]) -> Result<(Tokenizer, TokenFacts), String> {
    // The library panics on some malformed JSON; this finds it first and says where it is.
    serde_json::from_slice::<serde::de::IgnoredAny>(json).map_err(|error| error.to_string())?;
    let mut tokenizer = Tokenizer::from_bytes(json).map_err(|error| error.to_string())?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(|error| error.to_string())?;
    if let ModelWrapper::BPE(model) = tokenizer.get_model() {
        if model.dropout.is_some_and(|share| share > 0.0) {
            return Err("the model drops merges at random (dropout), which is for training only".into());
        }
    }
    let facts = token_facts(&tokenizer)?;
    Ok((tokenizer, facts))
}

fn token_facts(tokenizer: &Tokenizer) -> Result<TokenFacts, String> {
    let (form, drops_first_space) = decoding(tokenizer.get_decoder())?;
    let vocabulary = tokenizer.get_vocab(true);
    let size = vocabulary.values().max().map_or(0, |&id| id as usize + 1);
    if size > MAX_TOKENS {
        return Err(format!("a token has id {}; at most {MAX_TOKENS} tokens are supported", size - 1));
    }
    let mut tokens = vec![(String::new(), TokenKind::Normal); size];
    for (text, id) in vocabulary {
        tokens[id as usize].0 = text;
    }
    for (id, added) in tokenizer.get_added_tokens_decoder() {
        let kind = if added.special { TokenKind::Special } else { TokenKind::Added };
        tokens[id as usize] = (added.content, kind);
    }
    Ok(TokenFacts { form, drops_first_space, tokens })
}

/// The decoders that turn each token into bytes on its own, which is what streaming needs.
fn decoding(decoder: Option<&DecoderWrapper>) -> Result<(TokenForm, bool), String> {
    let steps: Vec<&DecoderWrapper> = match decoder {
        None => return Err("the file names no decoder".into()),
        Some(DecoderWrapper::Sequence(sequence)) => sequence.get_decoders().iter().collect(),
        Some(one) => vec![one],
    };
    let mut form = None;
    let mut drops_first_space = false;
    for step in steps {
        match step {
            DecoderWrapper::ByteLevel(_) => form = Some(TokenForm::ByteLevel),
            DecoderWrapper::Replace(_) | DecoderWrapper::ByteFallback(_) => {
                form = Some(TokenForm::SentencePiece)
            }
            DecoderWrapper::Metaspace(metaspace) => {
                form = Some(TokenForm::SentencePiece);
                drops_first_space |= metaspace.prepend_scheme != PrependScheme::Never;
            }
            DecoderWrapper::Strip(strip) => drops_first_space |= strip.content == ' ' && strip.start > 0,
            DecoderWrapper::Fuse(_) => {}
            other => return Err(format!("decoder {} is not supported", name_of(other))),
        }
    }
    form.map(|form| (form, drops_first_space))
        .ok_or_else(|| "the decoder does not say how tokens become bytes".into())
}

fn name_of(decoder: &DecoderWrapper) -> &'static str {
    match decoder {
        DecoderWrapper::BPE(_) => "BPEDecoder",
        DecoderWrapper::WordPiece(_) => "WordPiece",
        DecoderWrapper::CTC(_) => "CTC",
        _ => "nested in another",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(decoder: &str) -> String {
        format!(
            r#"{{"version":"1.0","added_tokens":[
              {{"id":2,"content":"<s>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}},
              {{"id":3,"content":"<b>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":false}}],
              "normalizer":null,"pre_tokenizer":null,"post_processor":null,"decoder":{decoder},
              "model":{{"type":"BPE","vocab":{{"a":0,"b":1}},"merges":[]}}}}"#
        )
    }

    #[test]
    fn kinds_come_from_the_added_tokens() {
        let (_, facts) = parse(file(r#"{"type":"ByteFallback"}"#).as_bytes()).unwrap();
        let kinds: Vec<_> = facts.tokens.iter().map(|(text, kind)| (text.as_str(), *kind)).collect();
        use TokenKind::*;
        assert_eq!(kinds, [("a", Normal), ("b", Normal), ("<s>", Special), ("<b>", Added)]);
    }

    #[test]
    fn the_decoder_says_how_tokens_become_bytes() {
        let strip = r#"{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},
          {"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}"#;
        let (_, facts) = parse(file(strip).as_bytes()).unwrap();
        assert_eq!((facts.form, facts.drops_first_space), (TokenForm::SentencePiece, true));
        let level = r#"{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}"#;
        let (_, facts) = parse(file(level).as_bytes()).unwrap();
        assert_eq!((facts.form, facts.drops_first_space), (TokenForm::ByteLevel, false));
    }

    #[test]
    fn decoders_that_need_their_neighbours_are_refused_by_name() {
        let error =
            parse(file(r#"{"type":"WordPiece","prefix":"x","cleanup":true}"#).as_bytes()).err().unwrap();
        assert!(error.contains("WordPiece"), "{error}");
        assert!(parse(file("null").as_bytes()).is_err());
    }

    #[test]
    fn truncated_files_are_errors() {
        let whole = file(r#"{"type":"ByteFallback"}"#);
        for end in (0..whole.len()).filter(|&end| whole.is_char_boundary(end)) {
            assert!(parse(&whole.as_bytes()[..end]).is_err());
        }
    }
}
