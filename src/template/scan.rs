//! Splits a mustache template into pieces, the way mustache.js does, and refuses what is malformed.

use crate::model::limits::TEMPLATE_BYTES;

/// The deepest nesting of sections; the engine recurses once a level.
const DEEPEST: usize = 32;

/// One part of a template. Comments and delimiter changes leave nothing behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    /// `{{name}}` (escaped), `{{{name}}}` or `{{&name}}`.
    Value {
        name: String,
        escaped: bool,
        line: usize,
    },
    /// `{{#name}}`, or `{{^name}}` (inverted).
    Open {
        name: String,
        inverted: bool,
        line: usize,
    },
    /// `{{/name}}`; the name was compared already.
    Close,
    /// A comment or a change of delimiters: takes part only in deciding which lines stand alone.
    Hidden,
}

/// The pieces of a template in order: sections balanced, lines that hold nothing but section tags and comments
/// removed.
///
/// The error is a sentence that says where and what.
pub(super) fn scan(text: &str) -> Result<Vec<Piece>, String> {
    if text.len() > TEMPLATE_BYTES {
        return Err(format!(
            "the template has {} bytes; at most {TEMPLATE_BYTES} are allowed",
            text.len()
        ));
    }
    let pieces = Scanner::new(text).run()?;
    Ok(without_standalone_lines(pieces))
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// A place whose line is known, and that line.
    counted: (usize, usize),
    open: String,
    close: String,
    pieces: Vec<Piece>,
    /// Names of the open sections and the lines that they begin in.
    sections: Vec<(String, usize)>,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Scanner<'a> {
        Scanner {
            text,
            at: 0,
            counted: (0, 1),
            open: "{{".to_owned(),
            close: "}}".to_owned(),
            pieces: Vec::new(),
            sections: Vec::new(),
        }
    }

    fn run(mut self) -> Result<Vec<Piece>, String> {
        while let Some(found) = self.rest().find(self.open.as_str()) {
            self.push_text(found);
            let line = self.line();
            self.at += self.open.len();
            self.tag(line)?;
        }
        self.push_text(self.rest().len());
        match self.sections.pop() {
            None => Ok(self.pieces),
            Some((name, line)) => Err(format!("line {line}: the section `{name}` is never closed")),
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The line of the place reached, from 1.
    fn line(&mut self) -> usize {
        let (from, line) = self.counted;
        self.counted = (self.at, line + self.text[from..self.at].matches('\n').count());
        self.counted.1
    }

    fn push_text(&mut self, length: usize) {
        let text = &self.rest()[..length];
        if !text.is_empty() {
            self.pieces.push(Piece::Text(text.to_owned()));
        }
        self.at += length;
    }

    /// What stands up to `end`, trimmed; the place moves behind `end`.
    fn until(&mut self, end: &str, line: usize) -> Result<&'a str, String> {
        let rest = self.rest();
        let Some(found) = rest.find(end) else {
            return Err(format!("line {line}: a tag is not closed with `{end}`"));
        };
        self.at += found + end.len();
        Ok(rest[..found].trim())
    }

    fn tag(&mut self, line: usize) -> Result<(), String> {
        self.at += self.rest().len() - self.rest().trim_start().len();
        let close = self.close.clone();
        let kind = self
            .rest()
            .chars()
            .next()
            .filter(|c| matches!(c, '#' | '^' | '/' | '>' | '{' | '&' | '=' | '!'));
        self.at += kind.map_or(0, char::len_utf8);
        match kind {
            Some('!') => {
                self.until(&close, line)?;
                self.pieces.push(Piece::Hidden);
            }
            Some('=') => {
                let inside = self.until(&format!("={close}"), line)?;
                self.set_delimiters(inside, line)?;
                self.pieces.push(Piece::Hidden);
            }
            Some('>') => {
                let name = self.until(&close, line)?;
                return Err(format!(
                    "line {line}: the partial `{name}` is refused: casehook has no partials, write its text here"
                ));
            }
            Some('{') => {
                let name = self.until(&format!("}}{close}"), line)?.to_owned();
                self.pieces.push(Piece::Value {
                    name,
                    escaped: false,
                    line,
                });
            }
            Some('#' | '^') => {
                let name = self.until(&close, line)?.to_owned();
                if self.sections.len() == DEEPEST {
                    return Err(format!(
                        "line {line}: sections are nested more than {DEEPEST} deep"
                    ));
                }
                self.sections.push((name.clone(), line));
                let inverted = kind == Some('^');
                self.pieces.push(Piece::Open { name, inverted, line });
            }
            Some('/') => {
                let name = self.until(&close, line)?;
                match self.sections.pop() {
                    Some((open, _)) if open == name => self.pieces.push(Piece::Close),
                    Some((open, from)) => {
                        return Err(format!(
                            "line {line}: `{name}` is closed where the section `{open}` of line {from} should be"
                        ));
                    }
                    None => {
                        return Err(format!(
                            "line {line}: the section `{name}` is closed but was never opened"
                        ));
                    }
                }
            }
            _ => {
                let name = self.until(&close, line)?.to_owned();
                let escaped = kind.is_none();
                self.pieces.push(Piece::Value { name, escaped, line });
            }
        }
        Ok(())
    }

    fn set_delimiters(&mut self, inside: &str, line: usize) -> Result<(), String> {
        let mut words = inside.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some(open), Some(close), None) if !open.contains('=') && !close.contains('=') => {
                self.open = open.to_owned();
                self.close = close.to_owned();
                Ok(())
            }
            _ => Err(format!(
                "line {line}: a change of delimiters takes two of them, as in `{{{{=<% %>=}}}}`"
            )),
        }
    }
}

/// Drops the white space of lines that hold section tags, comments and delimiter changes and nothing else.
fn without_standalone_lines(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::with_capacity(pieces.len());
    let mut line = Line::default();
    for piece in pieces {
        match piece {
            Piece::Text(text) => {
                for part in text.split_inclusive('\n') {
                    line.has_text |= part.chars().any(|c| !is_space(c));
                    out.push(Piece::Text(part.to_owned()));
                    if part.ends_with('\n') {
                        line.end(&mut out);
                    }
                }
            }
            Piece::Value { .. } => {
                line.has_text = true;
                out.push(piece);
            }
            _ => {
                line.has_tag = true;
                out.push(piece);
            }
        }
    }
    line.end(&mut out);
    out.retain(|piece| *piece != Piece::Hidden);
    joined(out)
}

#[derive(Default)]
struct Line {
    /// Where in the output the line begins.
    from: usize,
    has_tag: bool,
    has_text: bool,
}

impl Line {
    fn end(&mut self, out: &mut Vec<Piece>) {
        if self.has_tag && !self.has_text {
            let tail: Vec<Piece> = out.drain(self.from..).collect();
            out.extend(tail.into_iter().filter(|piece| !matches!(piece, Piece::Text(_))));
        }
        *self = Line {
            from: out.len(),
            ..Line::default()
        };
    }
}

/// White space as JavaScript has it: a byte order mark counts.
fn is_space(c: char) -> bool {
    c.is_whitespace() || c == '\u{feff}'
}

fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match (out.last_mut(), piece) {
            (Some(Piece::Text(before)), Piece::Text(text)) => before.push_str(&text),
            (_, piece) => out.push(piece),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces in a short notation.
    fn short(text: &str) -> String {
        match scan(text) {
            Err(message) => format!("! {message}"),
            Ok(pieces) => pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => text.clone(),
                    Piece::Value { name, escaped, .. } => {
                        format!("<{}{name}>", if *escaped { "e:" } else { "" })
                    }
                    Piece::Open { name, inverted, .. } => {
                        format!("<{}{name}>", if *inverted { "^" } else { "#" })
                    }
                    Piece::Close => "</>".to_owned(),
                    Piece::Hidden => "<!>".to_owned(),
                })
                .collect(),
        }
    }

    #[test]
    fn tags_of_every_kind() {
        for (text, pieces) in [
            ("a{{{b}}}c", "a<b>c"),
            ("{{& b }}{{ c }}", "<b><e:c>"),
            ("{{ {b}}}", "<b>"),
            ("{\"a\":{{{b}}}}", "{\"a\":<b>}"),
            ("{{{b}}}}}}", "<b>}}}"),
            ("x{{#b}}y{{/ b }}{{ ^b}}z{{/b}}", "x<#b>y</><^b>z</>"),
            ("a{{! anything {{ goes }}b", "ab"),
            ("{{=<% %>=}}a<%& b %>{{c}}<%={{ }}=%>{{{d}}}", "a<b>{{c}}<d>"),
            ("{{=| |=}}a|b||{c}|", "a<e:b><c>"),
            ("{{= << >> =}}<<{b}>>>", "<b>>"),
            ("}}", "}}"),
            ("{ {", "{ {"),
        ] {
            assert_eq!(short(text), pieces, "{text}");
        }
    }

    #[test]
    fn lines_of_sections_alone_vanish() {
        for (text, pieces) in [
            ("{\n {{! c }}\n1}", "{\n1}"),
            ("{\r\n {{! c }}\r\n1}", "{\r\n1}"),
            ("{\n {{! c }} 1\n}", "{\n  1\n}"),
            ("1\n  {{! c }}", "1\n"),
            ("[\n {{#a}}\n 1\n {{/a}}\n]", "[\n<#a> 1\n</>]"),
            ("[\n {{#a}}{{/a}} \n]", "[\n<#a></>]"),
            ("[\n {{{a}}}\n]", "[\n <a>\n]"),
            ("{{=<% %>=}}\n1", "1"),
        ] {
            assert_eq!(short(text), pieces, "{text:?}");
        }
    }

    #[test]
    fn malformed_templates_are_refused_with_the_line() {
        for (text, word) in [
            ("{\n{{{a}}", "line 2: a tag is not closed with `}}}`"),
            ("{{a", "line 1: a tag is not closed with `}}`"),
            ("{{! c", "not closed"),
            ("{{#a}}", "the section `a` is never closed"),
            (
                "x\n{{/a}}",
                "line 2: the section `a` is closed but was never opened",
            ),
            (
                "{{#a}}{{/b}}",
                "`b` is closed where the section `a` of line 1 should be",
            ),
            ("{{> a}}", "the partial `a` is refused"),
            ("{{=<% %>}}", "not closed"),
            ("{{=a b c=}}", "takes two"),
            ("{{=a=}}", "takes two"),
        ] {
            assert!(short(text).contains(word), "{text:?}: {}", short(text));
        }
        let deep = |n| format!("{}{}", "{{#a}}".repeat(n), "{{/a}}".repeat(n));
        assert!(scan(&deep(DEEPEST)).is_ok());
        assert!(short(&deep(DEEPEST + 1)).contains("nested more than 32 deep"));
        assert!(scan(&" ".repeat(TEMPLATE_BYTES)).is_ok());
        assert!(short(&" ".repeat(TEMPLATE_BYTES + 1)).contains("bytes"));
    }
}
