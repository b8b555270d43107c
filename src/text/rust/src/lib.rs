//! Tokenizer, template and grammar libraries behind the C interface `fovea_text.h`.
//!
//! `abi` is the only module with `unsafe`; the others are plain Rust and know nothing of C.

#![deny(unsafe_op_in_unsafe_fn)]

mod abi;
mod byte_level;
mod grammar;
mod python_json;
mod template;
mod tokenizer;
mod tokenizer_json;
