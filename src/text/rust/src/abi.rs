//! The C functions of `fovea_text.h`; its comments are the contract. Only this module is `unsafe`, and only to read the
//! caller's pointers, to write its results and to take back what it was given.

use crate::grammar::{Grammar, GrammarKind, GrammarVocabulary};
use crate::template::ChatTemplate;
use crate::tokenizer::Tokenizer;
use crate::tokenizer_json::{TokenForm, TokenKind};
use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::panic::{catch_unwind, set_hook, AssertUnwindSafe};
use std::sync::Once;
use std::{ptr, slice};

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Span {
    data: *const u8,
    size: usize,
}

#[repr(C)]
pub struct Text {
    data: *mut u8,
    size: usize,
    capacity: usize,
}

#[repr(C)]
pub struct Ids {
    data: *mut u32,
    size: usize,
    capacity: usize,
}

impl Span {
    /// # Safety
    /// `data` points to `size` readable bytes that outlive the use of the result, or `size` is 0.
    unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.size == 0 {
            return &[];
        }
        // SAFETY: promised by the caller.
        unsafe { slice::from_raw_parts(self.data, self.size) }
    }

    /// # Safety
    /// As for `bytes`.
    unsafe fn text<'a>(self) -> Result<&'a str, String> {
        // SAFETY: promised by the caller.
        std::str::from_utf8(unsafe { self.bytes() }).map_err(|error| error.to_string())
    }

    fn of(text: &str) -> Self {
        Self { data: text.as_ptr(), size: text.len() }
    }
}

/// # Safety
/// `spans` points to `count` spans, each as for `Span::bytes`, or `count` is 0.
unsafe fn texts<'a>(spans: *const Span, count: usize) -> Result<Vec<&'a str>, String> {
    if count == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: promised by the caller.
    unsafe { slice::from_raw_parts(spans, count).iter().map(|span| span.text()).collect() }
}

/// # Safety
/// `items` points to `count` values, or `count` is 0.
unsafe fn list<'a, T>(items: *const T, count: usize) -> &'a [T] {
    if count == 0 {
        return &[];
    }
    // SAFETY: promised by the caller.
    unsafe { slice::from_raw_parts(items, count) }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        let mut bytes = ManuallyDrop::new(text.into_bytes());
        Self { data: bytes.as_mut_ptr(), size: bytes.len(), capacity: bytes.capacity() }
    }
}

impl From<Vec<u32>> for Ids {
    fn from(ids: Vec<u32>) -> Self {
        let mut ids = ManuallyDrop::new(ids);
        Self { data: ids.as_mut_ptr(), size: ids.len(), capacity: ids.capacity() }
    }
}

thread_local! {
    /// What a panic says and where, instead of printing it.
    static LAST_PANIC: Cell<String> = const { Cell::new(String::new()) };
}

/// Runs `work`; errors and panics become the message in `*error`.
///
/// # Safety
/// `error` may be written to.
unsafe fn guarded<T>(error: *mut Text, work: impl FnOnce() -> Result<T, String>) -> Option<T> {
    static REPORT_QUIETLY: Once = Once::new();
    REPORT_QUIETLY.call_once(|| set_hook(Box::new(|panic| LAST_PANIC.set(panic.to_string()))));
    // What `work` borrowed is either dropped or only read after a panic, so nothing is seen half changed.
    let outcome = catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(format!("internal failure, {}", LAST_PANIC.take())));
    match outcome {
        Ok(value) => Some(value),
        Err(message) => {
            // SAFETY: promised by the caller; `write` drops nothing.
            unsafe { error.write(message.into()) };
            None
        }
    }
}

fn handle<T>(value: Option<T>) -> *mut T {
    value.map_or(ptr::null_mut(), |value| Box::into_raw(Box::new(value)))
}

// SAFETY, for every function below: the caller keeps the promises of `fovea_text.h` about its arguments.

#[no_mangle]
pub unsafe extern "C" fn fovea_text_free(text: Text) {
    if !text.data.is_null() {
        drop(unsafe { Vec::from_raw_parts(text.data, text.size, text.capacity) });
    }
}

#[no_mangle]
pub unsafe extern "C" fn fovea_ids_free(ids: Ids) {
    if !ids.data.is_null() {
        drop(unsafe { Vec::from_raw_parts(ids.data, ids.size, ids.capacity) });
    }
}

#[no_mangle]
pub unsafe extern "C" fn fovea_tokenizer_from_merges(
    tokens: *const Span,
    token_count: usize,
    merges: *const Span,
    merge_count: usize,
    splits: *const Span,
    split_count: usize,
    whole_words: bool,
    error: *mut Text,
) -> *mut Tokenizer {
    handle(unsafe {
        guarded(error, || {
            let tokens = texts(tokens, token_count)?;
            let merges = texts(merges, merge_count)?;
            let splits = texts(splits, split_count)?;
            Tokenizer::from_merges(&tokens, &merges, &splits, whole_words)
        })
    })
}

#[no_mangle]
pub unsafe extern "C" fn fovea_tokenizer_from_json(json: Span, error: *mut Text) -> *mut Tokenizer {
    handle(unsafe { guarded(error, || Tokenizer::from_json(json.bytes())) })
}

#[no_mangle]
pub unsafe extern "C" fn fovea_tokenizer_free(tokenizer: *mut Tokenizer) {
    if !tokenizer.is_null() {
        drop(unsafe { Box::from_raw(tokenizer) });
    }
}

#[no_mangle]
pub unsafe extern "C" fn fovea_tokenizer_encode(
    tokenizer: *const Tokenizer,
    text: Span,
    add_special: bool,
    parse_special: bool,
    ids: *mut Ids,
    error: *mut Text,
) -> bool {
    let encoded = unsafe { guarded(error, || (*tokenizer).encode(text.text()?, add_special, parse_special)) };
    encoded.map(|encoded| unsafe { ids.write(encoded.into()) }).is_some()
}

#[no_mangle]
pub unsafe extern "C" fn fovea_tokenizer_size(tokenizer: *const Tokenizer) -> usize {
    unsafe { (*tokenizer).facts.tokens.len() }
}

#[no_mangle]
pub unsafe extern "C" fn fovea_tokenizer_form(tokenizer: *const Tokenizer) -> TokenForm {
    unsafe { (*tokenizer).facts.form }
}

#[no_mangle]
pub unsafe extern "C" fn fovea_tokenizer_drops_first_space(tokenizer: *const Tokenizer) -> bool {
    unsafe { (*tokenizer).facts.drops_first_space }
}

#[no_mangle]
pub unsafe extern "C" fn fovea_tokenizer_token(tokenizer: *const Tokenizer, id: usize) -> Span {
    let token = unsafe { (&(*tokenizer).facts.tokens).get(id) };
    Span::of(token.map_or("", |(text, _)| text))
}

#[no_mangle]
pub unsafe extern "C" fn fovea_tokenizer_token_kind(tokenizer: *const Tokenizer, id: usize) -> TokenKind {
    let token = unsafe { (&(*tokenizer).facts.tokens).get(id) };
    token.map_or(TokenKind::Normal, |(_, kind)| *kind)
}

#[no_mangle]
pub unsafe extern "C" fn fovea_template_new(source: Span, error: *mut Text) -> *mut ChatTemplate {
    handle(unsafe { guarded(error, || ChatTemplate::new(source.text()?)) })
}

#[no_mangle]
pub unsafe extern "C" fn fovea_template_free(chat_template: *mut ChatTemplate) {
    if !chat_template.is_null() {
        drop(unsafe { Box::from_raw(chat_template) });
    }
}

#[no_mangle]
pub unsafe extern "C" fn fovea_template_render(
    chat_template: *const ChatTemplate,
    variables: Span,
    output: *mut Text,
    error: *mut Text,
) -> bool {
    let rendered = unsafe { guarded(error, || (*chat_template).render(variables.text()?)) };
    rendered.map(|rendered| unsafe { output.write(rendered.into()) }).is_some()
}

#[no_mangle]
pub unsafe extern "C" fn fovea_grammar_vocabulary_new(
    tokens: *const Span,
    is_control: *const bool,
    token_count: usize,
    ends: *const u32,
    end_count: usize,
    error: *mut Text,
) -> *mut GrammarVocabulary {
    handle(unsafe {
        guarded(error, || {
            let tokens: Vec<&[u8]> = list(tokens, token_count).iter().map(|token| token.bytes()).collect();
            GrammarVocabulary::new(&tokens, list(is_control, token_count), list(ends, end_count))
        })
    })
}

#[no_mangle]
pub unsafe extern "C" fn fovea_grammar_vocabulary_free(vocabulary: *mut GrammarVocabulary) {
    if !vocabulary.is_null() {
        drop(unsafe { Box::from_raw(vocabulary) });
    }
}

#[no_mangle]
pub unsafe extern "C" fn fovea_grammar_new(
    vocabulary: *const GrammarVocabulary,
    kind: GrammarKind,
    source: Span,
    error: *mut Text,
) -> *mut Grammar {
    handle(unsafe { guarded(error, || Grammar::new(&*vocabulary, kind, source.text()?)) })
}

#[no_mangle]
pub unsafe extern "C" fn fovea_grammar_copy(grammar: *const Grammar, error: *mut Text) -> *mut Grammar {
    handle(unsafe { guarded(error, || Ok((*grammar).copy())) })
}

#[no_mangle]
pub unsafe extern "C" fn fovea_grammar_free(grammar: *mut Grammar) {
    if !grammar.is_null() {
        drop(unsafe { Box::from_raw(grammar) });
    }
}

#[no_mangle]
pub unsafe extern "C" fn fovea_grammar_mask(
    grammar: *mut Grammar,
    words: *mut u32,
    word_count: usize,
    error: *mut Text,
) -> bool {
    unsafe { guarded(error, || (*grammar).mask(slice::from_raw_parts_mut(words, word_count))) }.is_some()
}

#[no_mangle]
pub unsafe extern "C" fn fovea_grammar_accept(
    grammar: *mut Grammar,
    tokens: *const u32,
    count: usize,
    accepted: *mut usize,
    error: *mut Text,
) -> bool {
    let done = unsafe { guarded(error, || (*grammar).accept(list(tokens, count))) };
    done.map(|count| unsafe { accepted.write(count) }).is_some()
}

#[no_mangle]
pub unsafe extern "C" fn fovea_grammar_is_complete(grammar: *const Grammar) -> bool {
    unsafe { (*grammar).is_complete() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_message() {
        let mut error = Text { data: ptr::null_mut(), size: 0, capacity: 0 };
        let value: Option<()> = unsafe { guarded(&mut error, || panic!("out of cheese")) };
        assert!(value.is_none());
        let message = unsafe { slice::from_raw_parts(error.data, error.size) };
        assert!(std::str::from_utf8(message).unwrap().contains("out of cheese"));
        unsafe { fovea_text_free(error) };
    }
}
