//! Chat templates: Jinja as the `transformers` library sets it up, with limits, because templates come with model files.

use crate::python_json::tojson;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind};
use std::io;

const NAME: &str = "template";
/// Instructions one rendering may run. Real templates need a few hundred per message.
const FUEL: u64 = 50_000_000;
const RECURSION_LEVELS: usize = 128;
const MAX_SOURCE_BYTES: usize = 4 << 20;
const MAX_OUTPUT_BYTES: usize = 64 << 20;

pub struct ChatTemplate {
    environment: Environment<'static>,
}

impl ChatTemplate {
    pub fn new(source: &str) -> Result<Self, String> {
        if source.len() > MAX_SOURCE_BYTES {
            return Err(format!(
                "the template has {} bytes, at most {MAX_SOURCE_BYTES} are accepted",
                source.len()
            ));
        }
        let mut environment = environment().map_err(message)?;
        environment.add_template_owned(NAME, source.to_string()).map_err(message)?;
        Ok(Self { environment })
    }

    /// `variables`: a JSON object with the names that the template sees.
    pub fn render(&self, variables: &str) -> Result<String, String> {
        let variables: serde_json::Value =
            serde_json::from_str(variables).map_err(|error| error.to_string())?;
        let template = self.environment.get_template(NAME).map_err(message)?;
        let mut output = BoundedOutput(Vec::new());
        template.render_captured_to(Value::from(Serde(variables)), &mut output).map_err(message)?;
        String::from_utf8(output.0).map_err(|error| error.to_string())
    }
}

fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION_LEVELS);
    environment.add_function("raise_exception", raise_exception);
    environment.add_filter("tojson", tojson);
    Ok(environment)
}

fn raise_exception(text: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, text))
}

/// "line 3: ..." and what caused it.
fn message(error: Error) -> String {
    let mut text = match error.line() {
        Some(line) => format!("line {line}: "),
        None => String::new(),
    };
    match error.detail() {
        Some(detail) => text.push_str(detail),
        None => text.push_str(&error.kind().to_string()),
    }
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}

struct BoundedOutput(Vec<u8>);

impl io::Write for BoundedOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT_BYTES {
            return Err(io::Error::other(format!("the output grows beyond {MAX_OUTPUT_BYTES} bytes")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str, variables: &str) -> Result<String, String> {
        ChatTemplate::new(source)?.render(variables)
    }

    #[test]
    fn values_print_as_python_prints_them() {
        assert_eq!(
            render("{{ true }} {{ none }} {{ x }}", r#"{"x": ["a", 1]}"#).unwrap(),
            "True None ['a', 1]"
        );
    }

    #[test]
    fn blocks_are_trimmed_as_in_transformers() {
        assert_eq!(render("a\n  {% if true %}\nb\n  {% endif %}\nc\n", "{}").unwrap(), "a\nb\nc");
    }

    #[test]
    fn json_is_spelled_as_python_spells_it() {
        let variables = r#"{"x": {"z": [1, "<é'>"], "a": null}}"#;
        assert_eq!(render("{{ x | tojson }}", variables).unwrap(), r#"{"z": [1, "<é'>"], "a": null}"#);
        assert_eq!(render("{{ x.z | tojson(indent=2) }}", variables).unwrap(), "[\n  1,\n  \"<é'>\"\n]");
    }

    #[test]
    fn what_the_template_raises_is_passed_on_with_its_line() {
        let error = render("a\n{{ raise_exception('roles must alternate') }}", "{}").unwrap_err();
        assert_eq!(error, "line 2: roles must alternate");
        assert!(render("a\n{% if %}", "{}").unwrap_err().starts_with("line 2: "));
    }

    #[test]
    fn endless_work_is_cut_off() {
        let nested = "{% for a in range(10000) %}{% for b in range(10000) %}{% for c in range(10000) %}\
                      {% endfor %}{% endfor %}{% endfor %}";
        assert!(render(nested, "{}").unwrap_err().contains("fuel"));
        assert!(render("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{}")
            .unwrap_err()
            .contains("recursion"));
        let wide = "{% for a in range(10000) %}{{ x }}{{ x }}{{ x }}{{ x }}{% endfor %}";
        let variables = format!(r#"{{"x": "{}"}}"#, "y".repeat(10_000));
        assert!(render(wide, &variables).unwrap_err().contains("grows beyond"));
    }
}
