//! Grammars over a model's tokens: which token may come next, so that the bytes of all match.

use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{ApproximateTokEnv, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie, TokenId};
use llguidance::{JsonCompileOptions, Matcher, ParserFactory};
use serde_json::Value;
use std::sync::Arc;
use std::thread;

/// What clients send is compiled: the source is bounded here, the work by the library's own limits.
const MAX_SCHEMA_BYTES: usize = 128 << 10;
const MAX_LARK_BYTES: usize = 32 << 10;
const MAX_REGEX_BYTES: usize = 16 << 10;
/// The library follows references by recursion: enough for the longest chain that a source of that size can hold. Of it,
/// only what is used becomes memory.
const COMPILER_STACK_BYTES: usize = 512 << 20;
/// One or two kilobytes each.
const MAX_LEXER_STATES: usize = 30_000;
/// Symbols; with more, a single mask can take seconds.
const MAX_GRAMMAR_SIZE: usize = 40_000;
/// Between the tokens of JSON: a space, or a line break with indentation; never without end, which small models like to write.
const JSON_SPACE: &str = r"\x20|\n\x20{0,20}|\n\t{0,6}";

#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(dead_code)] // the caller, in C, makes them
#[repr(C)]
pub enum GrammarKind {
    JsonSchema = 0,
    LenientJsonSchema = 1,
    Regex = 2,
    Lark = 3,
}

/// A vocabulary as the library wants it.
pub struct GrammarVocabulary {
    factory: ParserFactory,
}

impl GrammarVocabulary {
    /// `tokens`: the bytes of each; control tokens, `is_control`, never stand for their text. `ends`: tokens that end a text.
    pub fn new(tokens: &[&[u8]], is_control: &[bool], ends: &[TokenId]) -> Result<Self, String> {
        if ends.is_empty() || ends.iter().any(|&end| end as usize >= tokens.len()) {
            return Err("no token ends a text".into());
        }
        let words: Vec<Vec<u8>> =
            tokens.iter().zip(is_control).map(|(token, &control)| word(token, control)).collect();
        let info = TokRxInfo::new(words.len() as u32, ends[0]);
        let trie = TokTrie::from(&info, &words).with_eos_tokens(ends);
        let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let mut factory =
            ParserFactory::new(&environment, InferenceCapabilities::default(), &slices()).map_err(message)?;
        factory.quiet();
        let limits = factory.limits_mut();
        limits.max_lexer_states = MAX_LEXER_STATES;
        limits.max_grammar_size = MAX_GRAMMAR_SIZE;
        limits.verbose_errors = false;
        Ok(Self { factory })
    }
}

/// In the library's tables a control token begins with a byte that no text has.
fn word(token: &[u8], control: bool) -> Vec<u8> {
    let marker = TokTrie::SPECIAL_TOKEN_MARKER;
    if control {
        return [&[marker], token].concat();
    }
    if token.contains(&marker) {
        return Vec::new();
    }
    token.to_vec()
}

fn slices() -> Vec<String> {
    llguidance::earley::SlicedBiasComputer::general_slices()
}

/// One text on its way.
pub struct Grammar(Matcher);

impl Grammar {
    pub fn new(vocabulary: &GrammarVocabulary, kind: GrammarKind, source: &str) -> Result<Self, String> {
        let most = match kind {
            GrammarKind::JsonSchema | GrammarKind::LenientJsonSchema => MAX_SCHEMA_BYTES,
            GrammarKind::Regex => MAX_REGEX_BYTES,
            GrammarKind::Lark => MAX_LARK_BYTES,
        };
        if source.len() > most {
            return Err(format!("it has {} bytes, at most {most} are accepted", source.len()));
        }
        thread::scope(|scope| {
            let compiler = thread::Builder::new()
                .stack_size(COMPILER_STACK_BYTES)
                .spawn_scoped(scope, || Self::compile(vocabulary, kind, source))
                .map_err(message)?;
            compiler.join().unwrap_or_else(|_| Err("internal failure of the compiler".into()))
        })
    }

    fn compile(vocabulary: &GrammarVocabulary, kind: GrammarKind, source: &str) -> Result<Self, String> {
        let grammar = match kind {
            GrammarKind::JsonSchema => json_grammar(source, false)?,
            GrammarKind::LenientJsonSchema => json_grammar(source, true)?,
            GrammarKind::Regex => TopLevelGrammar::from_regex(source),
            GrammarKind::Lark => TopLevelGrammar::from_lark(source.to_string()),
        };
        let mut matcher = Matcher::new(vocabulary.factory.create_parser(grammar));
        // Much of the work is done for the first mask: what is too much shows here, before anything was generated.
        matcher.compute_mask_or_eos().map_err(message)?;
        Ok(Self(matcher))
    }

    /// Another text by the same grammar, as far on as this one.
    pub fn copy(&self) -> Self {
        Self(self.0.deep_clone())
    }

    /// A bit for each token that may come next, the lowest first; where the text is complete, those that end it.
    pub fn mask(&mut self, words: &mut [u32]) -> Result<(), String> {
        let mask = self.0.compute_mask_or_eos().map_err(message)?;
        let allowed = mask.as_slice();
        let count = allowed.len().min(words.len());
        words[..count].copy_from_slice(&allowed[..count]);
        words[count..].fill(0);
        Ok(())
    }

    /// Goes on by `tokens`, as far as they are allowed; how many were.
    pub fn accept(&mut self, tokens: &[TokenId]) -> Result<usize, String> {
        if self.0.is_stopped() {
            return Ok(0);
        }
        self.0.try_consume_tokens(tokens).map_err(message)
    }

    /// Nothing can follow but an end.
    pub fn is_complete(&self) -> bool {
        self.0.is_stopped() && !self.0.is_error()
    }
}

fn json_grammar(source: &str, lenient: bool) -> Result<TopLevelGrammar, String> {
    let mut schema: Value = serde_json::from_str(source).map_err(|error| error.to_string())?;
    if schema == Value::Bool(true) {
        schema = Value::Object(Default::default());
    }
    if !schema.is_object() {
        return Err("a schema is an object".into());
    }
    let options =
        JsonCompileOptions { whitespace_pattern: Some(JSON_SPACE.into()), lenient, ..Default::default() };
    options.apply_to(&mut schema);
    Ok(TopLevelGrammar::from_json_schema(schema))
}

fn message(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: TokenId = 256;

    /// Every byte is a token; 256 ends, 257 is a word, 258 a control token.
    fn bytes() -> GrammarVocabulary {
        let single: Vec<[u8; 1]> = (0..=255u8).map(|byte| [byte]).collect();
        let mut tokens: Vec<&[u8]> = single.iter().map(|byte| &byte[..]).collect();
        tokens.extend([&b"<end>"[..], &b"true"[..], &b"true"[..]]);
        let control: Vec<bool> = (0..tokens.len()).map(|id| id == 256 || id == 258).collect();
        GrammarVocabulary::new(&tokens, &control, &[END]).unwrap()
    }

    fn allowed(grammar: &mut Grammar) -> Vec<TokenId> {
        let mut words = [0; 10];
        grammar.mask(&mut words).unwrap();
        (0..320).filter(|&id| words[id / 32] >> (id % 32) & 1 == 1).map(|id| id as TokenId).collect()
    }

    fn takes(grammar: &Grammar, text: &str) -> bool {
        let mut grammar = grammar.copy();
        let tokens: Vec<TokenId> = text.bytes().map(TokenId::from).collect();
        grammar.accept(&tokens) == Ok(tokens.len()) && allowed(&mut grammar).contains(&END)
    }

    #[test]
    fn only_what_matches_is_allowed() {
        let vocabulary = bytes();
        let mut grammar = Grammar::new(&vocabulary, GrammarKind::Regex, "(true|false)x?").unwrap();
        assert_eq!(allowed(&mut grammar), [b'f' as u32, b't' as u32, 257]);
        assert_eq!(grammar.accept(&[257]), Ok(1));
        assert!(!grammar.is_complete());
        assert_eq!(allowed(&mut grammar), [b'x' as u32, END]);
        assert_eq!(grammar.accept(&[b'y' as u32]), Ok(0));
        assert_eq!(grammar.accept(&[b'x' as u32]), Ok(1));
        assert!(grammar.is_complete());
        assert_eq!(allowed(&mut grammar), [END]);
    }

    #[test]
    fn copies_go_their_own_way() {
        let vocabulary = bytes();
        let mut one = Grammar::new(&vocabulary, GrammarKind::Lark, "start: \"ab\" | \"cd\"").unwrap();
        let mut other = one.copy();
        assert_eq!(one.accept(&[b'a' as u32]), Ok(1));
        assert_eq!(allowed(&mut other), [b'a' as u32, b'c' as u32]);
        assert_eq!(allowed(&mut one), [b'b' as u32]);
    }

    #[test]
    fn schemas_are_kept_to() {
        let vocabulary = bytes();
        let schema = r#"{"type":"object","properties":{"n":{"type":"integer","minimum":1}},"required":["n"],
                         "additionalProperties":false}"#;
        let grammar = Grammar::new(&vocabulary, GrammarKind::JsonSchema, schema).unwrap();
        assert!(takes(&grammar, r#"{"n":12}"#) && takes(&grammar, "{\n  \"n\": 12\n}"));
        assert!(
            !takes(&grammar, r#"{"n":0}"#) && !takes(&grammar, "{}") && !takes(&grammar, r#"{"n":1,"m":2}"#)
        );
        assert!(!takes(&grammar, &format!("{{\n{}\"n\":1}}", " ".repeat(60))), "endless space");
        let any = Grammar::new(&vocabulary, GrammarKind::JsonSchema, r#"{"type":"object"}"#).unwrap();
        assert!(takes(&any, r#"{"a":[1,{"b":null}]}"#) && !takes(&any, "[1]"));
    }

    #[test]
    fn what_a_schema_asks_for_and_cannot_have_is_refused_unless_that_is_allowed() {
        let vocabulary = bytes();
        let schema = r#"{"type":"array","uniqueItems":true}"#;
        let refusal = Grammar::new(&vocabulary, GrammarKind::JsonSchema, schema).err().unwrap();
        assert!(refusal.contains("uniqueItems"), "{refusal}");
        assert!(Grammar::new(&vocabulary, GrammarKind::LenientJsonSchema, schema).is_ok());
    }

    #[test]
    fn hostile_grammars_are_errors() {
        let vocabulary = bytes();
        let long = "a".repeat(MAX_REGEX_BYTES + 1);
        let deep = format!("{}{}", "(".repeat(8000), ")".repeat(8000));
        let brackets = format!("start: {}\"a\"{}", "(".repeat(5000), ")".repeat(5000));
        let product: String = (0..20)
            .map(|i| {
                format!(r#"{{"anyOf":[{{"properties":{{"a{i}":{{}}}}}},{{"properties":{{"b{i}":{{}}}}}}]}},"#)
            })
            .collect();
        let product = format!(r#"{{"allOf":[{product}{{"type":"object"}}]}}"#);
        for (kind, source) in [
            (GrammarKind::Regex, "("),
            (GrammarKind::Regex, &long),
            (GrammarKind::Regex, &deep),
            (GrammarKind::Lark, "start: nothing"),
            (GrammarKind::Lark, &brackets),
            (GrammarKind::JsonSchema, "[]"),
            (GrammarKind::JsonSchema, "{"),
            (GrammarKind::JsonSchema, r#"{"type":"nonsense"}"#),
            (GrammarKind::JsonSchema, r#"{"$ref":"http://example.org/x"}"#),
            (GrammarKind::JsonSchema, &product),
        ] {
            assert!(Grammar::new(&vocabulary, kind, source).is_err(), "{}", &source[..source.len().min(60)]);
        }
    }

    #[test]
    fn the_longest_chains_of_references_do_not_overflow_the_stack() {
        let vocabulary = bytes();
        let rules: String = (0..2500).map(|i| format!("r{i}: r{}\n", i + 1)).collect();
        let terminals: String = (0..1900).map(|i| format!("R{i}: R{} \"x\"\n", i + 1)).collect();
        let rules = format!("{rules}r2500: \"a\"\nstart: r0\n");
        let terminals = format!("{terminals}R1900: \"a\"\nstart: R0\n");
        let references: String =
            (0..2700).map(|i| format!(r##""d{i}":{{"items":{{"$ref":"#/$defs/d{}"}}}},"##, i + 1)).collect();
        let references = format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{references}"d2700":{{}}}}}}"##);
        for (kind, source, most) in [
            (GrammarKind::Lark, rules, MAX_LARK_BYTES),
            (GrammarKind::Lark, terminals, MAX_LARK_BYTES),
            (GrammarKind::JsonSchema, references, MAX_SCHEMA_BYTES),
        ] {
            assert!(source.len() < most && source.len() > most * 3 / 4, "{}", source.len());
            if let Ok(grammar) = Grammar::new(&vocabulary, kind, &source) {
                let _ = grammar.copy().accept(&[b'a' as u32]);
            }
        }
    }

    #[test]
    fn work_beyond_bounds_ends_one_text_and_not_the_program() {
        let vocabulary = bytes();
        let mut grammar = match Grammar::new(&vocabulary, GrammarKind::Regex, "(.*a.{40}b.*|.*c.{60}d.*)*") {
            Ok(grammar) => grammar,
            Err(_) => return,
        };
        let mut words = [0; 9];
        for i in 0..4000u32 {
            if grammar.mask(&mut words).is_err() || grammar.accept(&[97 + i * i % 4]).is_err() {
                assert!(grammar.mask(&mut words).is_err());
                return;
            }
        }
    }

    #[test]
    fn a_vocabulary_without_an_end_is_refused() {
        assert!(GrammarVocabulary::new(&[b"a"], &[false], &[]).is_err());
        assert!(GrammarVocabulary::new(&[b"a"], &[false], &[7]).is_err());
    }
}
