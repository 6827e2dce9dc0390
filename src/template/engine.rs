//! What the mustache engine is given, and the fence around it. The only file that names `mustache`.

use std::collections::HashMap;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mustache::Data;

use super::names::{self, Variable};
use super::scan::{Piece, scan};
use super::{RenderError, Slot};
use crate::error::{Error, Result};

/// The largest text that a template may render to, in bytes: a bound on templates that repeat a long value.
pub(super) const LARGEST: usize = 64 * 1024 * 1024;

/// What comes of templates in Kibana that are refused here.
const FAILS: &str =
    "Kibana takes it, and pushes fail or send something else, some after the incident was created";
const EMPTY: &str = "Kibana puts nothing or `[object Object]` in its place: what is sent lacks it, or goes to another resource";

/// A name that never has a value.
const NOTHING: &str = "e";

/// A template that was scanned, checked and compiled.
#[derive(Debug, Clone)]
pub(super) struct Compiled {
    field: &'static str,
    /// What the template uses, once each; the engine knows them by their place here.
    variables: Vec<Used>,
    template: Arc<mustache::Template>,
    /// The text before the first tag.
    pub(super) prefix: String,
    /// Whether the whole text is that prefix.
    pub(super) constant: bool,
    /// Whether a value stands between two braces only.
    pub(super) escaped: bool,
    /// Whether it has no sections.
    pub(super) flat: bool,
    /// How many places values are put in, each time that a section is gone through counted once.
    pub(super) insertions: usize,
    /// Of the template, in bytes.
    pub(super) length: usize,
}

/// One variable of a template.
#[derive(Debug, Clone)]
struct Used {
    variable: Variable,
    /// Whether its text stands somewhere outside a section of its own.
    bare: bool,
    /// Whether its text stands anywhere where it can be there: not as a section's name, nor in its inverted section.
    inserted: bool,
    /// The same before the first `#` of the text around it.
    before_fragment: bool,
}

impl Compiled {
    pub(super) fn new(slot: Slot, field: &'static str, text: &str) -> Result<Compiled> {
        let refused = |message: String| Error::config(field, message);
        let pieces = scan(text).map_err(|message| refused(message).since(FAILS))?;
        let mut variables = Vec::new();
        let source = source(slot, &pieces, text, &mut variables);
        let source = source.map_err(|(message, why)| match why {
            Some(why) => refused(message).since(why),
            None => refused(message),
        })?;
        let template = catch_unwind(AssertUnwindSafe(|| mustache::compile_str(&source)))
            .map_err(|_| refused("the template engine cannot handle this template".to_owned()))?
            .map_err(|error| refused(format!("malformed template: {error}")).since(FAILS))?;
        let prefix = match pieces.first() {
            Some(Piece::Text(text)) => text.clone(),
            _ => String::new(),
        };
        Ok(Compiled {
            field,
            variables,
            template: Arc::new(template),
            constant: pieces.iter().all(|piece| matches!(piece, Piece::Text(_))),
            escaped: pieces
                .iter()
                .any(|piece| matches!(piece, Piece::Value { escaped: true, .. })),
            flat: !pieces.iter().any(|piece| matches!(piece, Piece::Open { .. })),
            insertions: pieces
                .iter()
                .filter(|piece| matches!(piece, Piece::Value { .. }))
                .count(),
            length: text.len(),
            prefix,
        })
    }

    /// Whether it uses what may be any JSON value.
    pub(super) fn uses_fields(&self) -> bool {
        let mut variables = self.variables.iter();
        variables.any(|used| matches!(used.variable, Variable::Field(_)))
    }

    pub(super) fn uses(&self, name: &str) -> bool {
        let mut variables = self.variables.iter();
        variables.any(|used| used.inserted && used.variable.name() == name)
    }

    pub(super) fn inserts_before_fragment(&self, name: &str) -> bool {
        let mut variables = self.variables.iter();
        variables.any(|used| used.before_fragment && used.variable.name() == name)
    }

    /// The names of `case.texts.NAME` in use.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().filter_map(|used| match &used.variable {
            Variable::Text(name) => Some(name.as_str()),
            _ => None,
        })
    }

    pub(super) fn error(&self, message: impl Into<String>) -> RenderError {
        RenderError {
            field: self.field,
            message: message.into(),
        }
    }

    pub(super) fn field(&self) -> &'static str {
        self.field
    }

    /// Renders with the texts that `value` gives for the variables in use; `bare` as in [`Used`].
    ///
    /// An empty text renders as nothing, and a section on it is skipped.
    pub(super) fn render(
        &self,
        mut value: impl FnMut(&Variable, bool) -> Result<String, RenderError>,
    ) -> Result<String, RenderError> {
        let mut values = HashMap::with_capacity(self.variables.len());
        for (place, used) in self.variables.iter().enumerate() {
            let text = value(&used.variable, used.bare)?;
            if !text.is_empty() {
                values.insert(key(place), Data::String(text));
            }
        }
        let data = Data::Map(values);
        let mut out = Bounded::default();
        let done = catch_unwind(AssertUnwindSafe(|| self.template.render_data(&mut out, &data)));
        match done {
            Ok(Ok(())) => {
                String::from_utf8(out.bytes).map_err(|_| self.error("rendered to bytes that are not UTF-8"))
            }
            Ok(Err(_)) if out.full => Err(self.error(format!("renders to more than {LARGEST} bytes"))),
            Ok(Err(error)) => Err(self.error(format!("cannot be rendered: {error}"))),
            Err(_) => Err(self.error("the template engine failed on these values")),
        }
    }
}

/// Checks the pieces and writes them anew in a form that leaves the engine nothing to guess: delimiters of one
/// character that stands nowhere in the text, all values unescaped under short names, no line that it would take
/// for a lone section.
///
/// The error is a sentence, and what comes of it in Kibana.
fn source(
    slot: Slot,
    pieces: &[Piece],
    text: &str,
    variables: &mut Vec<Used>,
) -> Result<String, (String, Option<&'static str>)> {
    let alone = |message: &str| (message.to_owned(), None);
    let (open, close) =
        delimiters(text).ok_or_else(|| alone("the template uses up all private characters"))?;
    let nothing = format!("{open}&{NOTHING}{close}");
    let mut out = format!("{{{{={open} {close}=}}}}{nothing}");
    // The sections around the place reached: the variable's place, and whether it is inverted.
    let mut around: Vec<(usize, bool)> = Vec::new();
    let mut in_fragment = false;
    for (index, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Text(text) => {
                in_fragment |= text.contains('#');
                out.push_str(text);
            }
            Piece::Value { name, escaped, line } => {
                if *escaped && slot.is_body() && !name.is_empty() {
                    let message = format!(
                        "line {line}: `{{{{{name}}}}}` would escape the quotes of the JSON value; \
                         use three braces: `{{{{{{{name}}}}}}}`"
                    );
                    return Err((message, None));
                }
                let (place, tag) = if name == "." {
                    let inner = around.iter().rev().find(|(_, inverted)| !inverted);
                    let (place, _) = inner.ok_or_else(|| {
                        let message = format!("line {line}: `.` has a value only inside a section");
                        (message, Some(EMPTY))
                    })?;
                    (*place, ".".to_owned())
                } else {
                    let place = place(slot, name, *line, variables)?;
                    (place, key(place))
                };
                let used = &mut variables[place];
                used.bare |= !around.contains(&(place, false));
                let inserted = !around.contains(&(place, true));
                used.inserted |= inserted;
                used.before_fragment |= inserted && !in_fragment;
                out.push_str(&format!("{open}&{tag}{close}"));
            }
            Piece::Open { name, inverted, line } => {
                let place = place(slot, name, *line, variables)?;
                around.push((place, *inverted));
                let kind = if *inverted { '^' } else { '#' };
                out.push_str(&format!("{open}{kind}{}{close}", key(place)));
                out.push_str(guard(pieces.get(index + 1), &nothing));
            }
            Piece::Close => {
                let (place, _) = around
                    .pop()
                    .ok_or_else(|| alone("a section is closed but was never opened"))?;
                out.push_str(&format!("{open}/{}{close}", key(place)));
                out.push_str(guard(pieces.get(index + 1), &nothing));
            }
            Piece::Hidden => {}
        }
    }
    Ok(out)
}

/// A tag without a value where the engine would otherwise take the line for one that holds sections alone.
fn guard<'a>(next: Option<&Piece>, nothing: &'a str) -> &'a str {
    match next {
        Some(Piece::Text(text)) if !text.starts_with(['\r', '\n']) => "",
        _ => nothing,
    }
}

fn place(
    slot: Slot,
    name: &str,
    line: usize,
    variables: &mut Vec<Used>,
) -> Result<usize, (String, Option<&'static str>)> {
    let variable =
        names::resolve(slot, name).map_err(|message| (format!("line {line}: {message}"), Some(EMPTY)))?;
    Ok(variables
        .iter()
        .position(|used| used.variable == variable)
        .unwrap_or_else(|| {
            variables.push(Used {
                variable,
                bare: false,
                inserted: false,
                before_fragment: false,
            });
            variables.len() - 1
        }))
}

fn key(place: usize) -> String {
    format!("v{place}")
}

/// Two characters that the text does not contain.
fn delimiters(text: &str) -> Option<(char, char)> {
    let mut free = ('\u{e000}'..='\u{f8ff}')
        .chain('\u{f0000}'..='\u{ffffd}')
        .filter(|c| !text.contains(*c));
    Some((free.next()?, free.next()?))
}

#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    full: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > LARGEST {
            self.full = true;
            return Err(io::Error::other("too large"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
