//! Byte-level BPE from a plain list of tokens and merges.

use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::{SplitDelimiterBehavior, Tokenizer};

/// `merges` are "left right", the best first; `splits` cut the text one after the other.
pub fn from_merges(
    tokens: &[&str],
    merges: &[&str],
    splits: &[&str],
    whole_words: bool,
) -> Result<Tokenizer, String> {
    let vocabulary: ahash::AHashMap<String, u32> =
        tokens.iter().zip(0u32..).map(|(token, id)| (token.to_string(), id)).collect();
    let merges = merges.iter().map(|merge| split_merge(merge)).collect::<Result<Vec<_>, _>>()?;
    check_merges(&merges, &vocabulary)?;
    let model = BPE::builder()
        .vocab_and_merges(vocabulary, merges)
        .ignore_merges(whole_words)
        .build()
        .map_err(|error| error.to_string())?;
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(pre_tokenizer(splits)?));
    Ok(tokenizer)
}

/// The left side may itself begin with a space, so the separator is searched from the second byte on.
fn split_merge(merge: &str) -> Result<(String, String), String> {
    let separator = merge.bytes().skip(1).position(|byte| byte == b' ').map(|at| at + 1);
    match separator {
        Some(at) if at + 1 < merge.len() => Ok((merge[..at].to_string(), merge[at + 1..].to_string())),
        _ => Err(format!("merge \"{merge}\" is not two tokens with a space between them")),
    }
}

/// The library takes it for granted that merging gives a token.
fn check_merges(
    merges: &[(String, String)],
    vocabulary: &ahash::AHashMap<String, u32>,
) -> Result<(), String> {
    let mut joined = String::new();
    for (left, right) in merges {
        joined.clear();
        joined.push_str(left);
        joined.push_str(right);
        for token in [left, right, &joined] {
            if !vocabulary.contains_key(token) {
                return Err(format!(
                    "merge \"{left} {right}\" needs the token \"{token}\", which is missing"
                ));
            }
        }
    }
    Ok(())
}

fn pre_tokenizer(splits: &[&str]) -> Result<PreTokenizerWrapper, String> {
    let mut steps: Vec<PreTokenizerWrapper> = Vec::new();
    for split in splits {
        let pattern = SplitPattern::Regex(split.to_string());
        let step = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
            .map_err(|error| format!("pattern \"{split}\": {error}"))?;
        steps.push(step.into());
    }
    steps.push(ByteLevel::new(false, false, false).into()); // only maps bytes to the alphabet
    Ok(Sequence::new(steps).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
        tokenizer.encode(text, false).unwrap().get_ids().to_vec()
    }

    #[test]
    fn merges_apply_best_first_within_a_piece() {
        let tokenizer = from_merges(&["a", "b", "ab", "ba", "Ġ"], &["b a", "a b"], &[r"\s+"], false).unwrap();
        assert_eq!(ids(&tokenizer, "aba"), [0, 3]);
        assert_eq!(ids(&tokenizer, "ab a"), [2, 4, 0]);
    }

    #[test]
    fn a_whole_word_is_taken_without_merging_only_where_asked() {
        let tokens = ["a", "b", "c", "bc", "abc"];
        let merged = from_merges(&tokens, &["b c"], &[], false).unwrap();
        let whole = from_merges(&tokens, &["b c"], &[], true).unwrap();
        assert_eq!(ids(&merged, "abc"), [0, 3]);
        assert_eq!(ids(&whole, "abc"), [4]);
    }

    #[test]
    fn a_malformed_merge_is_named() {
        for merge in ["", "a", "a ", " "] {
            let error = from_merges(&["a"], &[merge], &[], false).unwrap_err();
            assert!(error.contains("not two tokens"), "{error}");
        }
        assert!(from_merges(&["a", "b"], &["a b"], &[], false)
            .unwrap_err()
            .contains("needs the token \"ab\""));
    }
}
