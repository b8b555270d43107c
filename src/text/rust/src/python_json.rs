//! The `tojson` filter of chat templates: JSON spelled as Python's `json.dumps(value, ensure_ascii=False)` does, which is
//! what the models were trained on.

use minijinja::value::{Kwargs, Value};
use minijinja::{Error, ErrorKind};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use std::io::{self, Write};

pub fn tojson(value: Value, arguments: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = arguments.get("indent")?;
    // Accepted because templates pass it; the only value they pass is the one that is always in force.
    let _ensure_ascii: Option<bool> = arguments.get("ensure_ascii")?;
    arguments.assert_all_used()?;
    let mut text = Vec::new();
    let written = match indent {
        Some(width) if width > 64 => {
            return Err(Error::new(ErrorKind::InvalidOperation, "indent is beyond 64"))
        }
        Some(width) => {
            let spaces = " ".repeat(width);
            write(&value, PrettyFormatter::with_indent(spaces.as_bytes()), &mut text)
        }
        None => write(&value, OneLine, &mut text),
    };
    written.map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    Ok(Value::from(String::from_utf8_lossy(&text).into_owned()))
}

fn write<F: Formatter>(value: &Value, formatter: F, into: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    value.serialize(&mut Serializer::with_formatter(into, formatter))
}

/// ", " between items and ": " after keys.
struct OneLine;

impl Formatter for OneLine {
    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        separate(writer, first)
    }
    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        separate(writer, first)
    }
    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

fn separate<W: ?Sized + Write>(writer: &mut W, first: bool) -> io::Result<()> {
    if first {
        Ok(())
    } else {
        writer.write_all(b", ")
    }
}
