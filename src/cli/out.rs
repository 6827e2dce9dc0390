//! What reaches the terminal: escaped, aligned, at 80 columns, and quiet when nobody reads any more.

use std::io::{self, Write};

use serde::Serialize;

use super::failure::Failure;
pub(super) use super::terminal::COLUMNS;
use super::terminal::{Paint, Tone};
use crate::ErrorKind;

/// Standard output, for people or for machines.
pub(super) struct Out {
    json: bool,
    paint: Paint,
    fault: Option<io::Error>,
}

impl Out {
    pub(super) fn new(json: bool) -> Out {
        Out {
            json,
            paint: Paint::for_stdout(),
            fault: None,
        }
    }

    /// Whether machines read: then only [`Out::json`] writes.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Lines for people; nothing with `--json`. Line feeds stay, every other control character is escaped.
    pub(super) fn text(&mut self, text: &str) {
        if !self.json {
            for line in text.split('\n') {
                self.write(&escape(line));
            }
        }
    }

    /// The colours that standard output gets.
    pub(super) fn paint(&self) -> Paint {
        self.paint
    }

    /// The rows of a table; nothing with `--json`.
    pub(super) fn table(&mut self, table: &Table) {
        if !self.json {
            for line in table.drawn(COLUMNS, self.paint) {
                self.write(&line);
            }
        }
    }

    /// Lines for people that are escaped already, and may be coloured; nothing with `--json`.
    pub(super) fn people(&mut self, text: &str) {
        if !self.json {
            self.write(text);
        }
    }

    /// Text that casehook made itself, as it is, also with `--json`.
    pub(super) fn raw(&mut self, text: &str) {
        self.write(text);
    }

    /// Whether writing failed: nobody reads any more.
    pub(super) fn is_gone(&self) -> bool {
        self.fault.is_some()
    }

    /// One document for machines, on one line; nothing without `--json`.
    pub(super) fn json(&mut self, document: &impl Serialize) {
        if self.json {
            match serde_json::to_string(document) {
                Ok(text) => self.write(&escape_json(&text)),
                Err(error) => self.fault = Some(error.into()),
            }
        }
    }

    /// A remark for people on standard error; with `--json` too, since machines do not read there.
    pub(super) fn note(&self, text: &str) {
        note(text);
    }

    /// Whether everything was written. A reader that went away, as `head` does, is no failure.
    pub(super) fn finish(self) -> Result<(), Failure> {
        match self.fault {
            Some(fault) if fault.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(
                ErrorKind::Internal,
                format!("standard output cannot be written: {fault}"),
            )),
            _ => Ok(()),
        }
    }

    fn write(&mut self, line: &str) {
        if self.fault.is_none() {
            let mut stdout = io::stdout().lock();
            self.fault = writeln!(stdout, "{line}").and_then(|()| stdout.flush()).err();
        }
    }
}

/// One escaped line on standard error, which may be gone.
pub(super) fn note(text: &str) {
    let mut stderr = io::stderr().lock();
    for line in text.split('\n') {
        let _ = writeln!(stderr, "{}", escape(line));
    }
}

/// Text of a case or a server with nothing in it that a terminal would act on.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            _ if is_unsafe(c) => safe.extend(c.escape_unicode()),
            _ => safe.push(c),
        }
    }
    safe
}

/// The same for JSON text, where such characters stand only inside of strings.
fn escape_json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) {
            safe.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Control characters, and those that reorder or break lines.
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// At most so many characters, the last one an ellipsis where something was cut.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// The last characters of a line, with an ellipsis where others stood before them.
pub(super) fn cut_front(text: &str, width: usize) -> String {
    let over = text.chars().count().saturating_sub(width);
    if over == 0 {
        return text.to_owned();
    }
    let end: String = text.chars().skip(over + 1).collect();
    format!("…{end}")
}

/// Words over lines of at most [`COLUMNS`], every line but the first indented. Long words are left whole: they are
/// mostly URLs, and those are copied.
pub(super) fn wrap(text: &str, indent: usize) -> String {
    wrap_from(text, 0, indent)
}

/// The same for text that begins in column `start` of a line already written.
pub(super) fn wrap_from(text: &str, start: usize, indent: usize) -> String {
    let mut wrapped = String::new();
    let mut column = start;
    for (place, word) in text.split_whitespace().enumerate() {
        let width = word.chars().count();
        if place == 0 {
            column += width;
        } else if column + 1 + width > COLUMNS {
            wrapped.push('\n');
            wrapped.push_str(&" ".repeat(indent));
            column = indent + width;
        } else {
            wrapped.push(' ');
            column += 1 + width;
        }
        wrapped.push_str(word);
    }
    wrapped
}

/// A label in a column of its own and a text beside it, wrapped.
pub(super) fn field(label: &str, text: &str) -> String {
    const COLUMN: usize = 13;
    let label = format!("{:<width$}", escape(label), width = COLUMN - 4);
    let start = 2 + label.chars().count() + 2;
    let text = wrap_from(&escape(text), start, COLUMN);
    format!("  {label}  {text}")
}

/// `1 push`, `2 pushes`.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Aligned columns, cut to [`COLUMNS`] together.
pub(super) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Row, column and tone of the cells that have one.
    tones: Vec<(usize, usize, Tone)>,
}

impl Table {
    pub(super) fn new(head: &[&str]) -> Table {
        Table {
            head: head.iter().map(|&name| name.to_owned()).collect(),
            rows: Vec::new(),
            tones: Vec::new(),
        }
    }

    /// A row with one cell for each column.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.head.len());
        self.rows.push(cells.iter().map(|cell| escape(cell)).collect());
    }

    /// Gives a cell of the newest row a tone.
    pub(super) fn tone(&mut self, column: usize, tone: Tone) {
        if let Some(row) = self.rows.len().checked_sub(1) {
            self.tones.push((row, column, tone));
        }
    }

    /// The lines, the head first, each moved right by so many columns; without colours.
    pub(super) fn lines(&self, indent: usize) -> String {
        let margin = " ".repeat(indent);
        let lines = self.drawn(COLUMNS.saturating_sub(indent), Paint::none());
        lines
            .iter()
            .map(|line| format!("{margin}{line}"))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// The lines, the head first, for so many columns.
    pub(super) fn drawn(&self, columns: usize, paint: Paint) -> Vec<String> {
        let widths = self.widths(columns);
        let right: Vec<bool> = (0..self.head.len())
            .map(|column| self.is_numeric(column))
            .collect();
        let mut end = 0;
        // Columns that a narrow terminal has no room for are left out, since lines that wrap spoil the picture.
        let fitting = widths.iter().take_while(|width| {
            end += **width + 2;
            end - 2 <= columns
        });
        let fitting = fitting.count().max(1);
        let cells = |row: &[String], tone: &dyn Fn(usize) -> Tone| {
            let last = row.iter().rposition(|cell| !cell.is_empty()).unwrap_or(0);
            let cells: Vec<String> = row
                .iter()
                .zip(widths.iter().zip(&right))
                .take(fitting.min(last + 1))
                .enumerate()
                .map(|(column, (cell, (&width, &right)))| {
                    let text = cut(cell, width);
                    let gap = match column + 1 == fitting.min(last + 1) && !right {
                        true => String::new(),
                        false => " ".repeat(width.saturating_sub(text.chars().count())),
                    };
                    let painted = paint.apply(tone(column), &text);
                    if right { gap + &painted } else { painted + &gap }
                })
                .collect();
            cells.join("  ")
        };
        let tone_of = |row: usize, column: usize| {
            let found = self.tones.iter().find(|(r, c, _)| (*r, *c) == (row, column));
            found.map_or(Tone::Plain, |(_, _, tone)| *tone)
        };
        let head = cells(&self.head, &|_| Tone::Head);
        let rows = self
            .rows
            .iter()
            .enumerate()
            .map(|(place, row)| cells(row, &|column| tone_of(place, column)));
        std::iter::once(head).chain(rows).collect()
    }

    /// As wide as the longest cell, then the widest columns give way until the line fits.
    fn widths(&self, columns: usize) -> Vec<usize> {
        const NARROWEST: usize = 6;
        let mut widths: Vec<usize> = self.head.iter().map(|name| name.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let gaps = 2 * widths.len().saturating_sub(1);
        let mut excess = (widths.iter().sum::<usize>() + gaps).saturating_sub(columns);
        while excess > 0 {
            let Some(widest) = widths.iter_mut().max().filter(|width| **width > NARROWEST) else {
                break;
            };
            *widest -= 1;
            excess -= 1;
        }
        widths
    }

    fn is_numeric(&self, column: usize) -> bool {
        !self.rows.is_empty()
            && self.rows.iter().all(|row| {
                let cell = row.get(column).map_or("", String::as_str);
                !cell.is_empty() && cell.bytes().all(|byte| byte.is_ascii_digit())
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_on_passes() {
        assert_eq!(escape("a\u{1b}[31mb\n\tc\u{7f}"), "a\\u{1b}[31mb\\n\\tc\\u{7f}");
        assert_eq!(escape("x\u{9b}y\u{202e}z"), "x\\u{9b}y\\u{202e}z");
        assert_eq!(escape("größer 日本 🙂"), "größer 日本 🙂");
        let json = escape_json(&serde_json::to_string("a\u{1b}\u{9b}\u{202e}").unwrap());
        assert_eq!(json, "\"a\\u001b\\u009b\\u202e\"");
        assert_eq!(
            serde_json::from_str::<String>(&json).unwrap(),
            "a\u{1b}\u{9b}\u{202e}"
        );
    }

    #[test]
    fn cuts_by_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
        assert_eq!(cut("ab", 0), "…");
        assert_eq!(cut_front("äöü", 3), "äöü");
        assert_eq!(cut_front("äöüß", 3), "…üß");
    }

    #[test]
    fn wraps_at_the_width_and_keeps_long_words() {
        let text = wrap(&"word ".repeat(40), 4);
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS));
        assert!(text.lines().skip(1).all(|line| line.starts_with("    word")));
        let url = "x".repeat(100);
        assert_eq!(
            wrap(&format!("see {url} there"), 2),
            format!("see\n  {url}\n  there")
        );
    }

    #[test]
    fn a_field_stands_beside_its_label() {
        assert_eq!(field("state", "queued"), "  state      queued");
        let long = field("error", &"word ".repeat(30));
        assert!(long.lines().all(|line| line.chars().count() <= COLUMNS));
        assert!(
            long.lines()
                .skip(1)
                .all(|line| line.starts_with("             word"))
        );
        assert_eq!(field("case", ""), "  case       ");
        assert_eq!(field("service-desk-eu", "paused"), "  service-desk-eu  paused");
    }

    #[test]
    fn a_table_fits_and_aligns() {
        let mut table = Table::new(&["ID", "CASE", "TITLE"]);
        table.row(vec!["1".to_owned(), "a\nb".to_owned(), "t".repeat(200)]);
        table.row(vec!["1000".to_owned(), String::new(), "short".to_owned()]);
        let lines: Vec<String> = table.lines(2).lines().map(str::to_owned).collect();
        assert_eq!(lines[0], "    ID  CASE  TITLE");
        assert_eq!(lines[1].chars().count(), COLUMNS);
        assert!(lines[1].starts_with("     1  a\\nb  ttt") && lines[1].ends_with("t…"));
        assert_eq!(lines[2], "  1000        short");
    }

    #[test]
    fn many_wide_columns_share_the_line() {
        let mut table = Table::new(&["A", "B", "C"]);
        table.row(vec!["a".repeat(90), "b".repeat(90), "c".repeat(3)]);
        assert_eq!(table.lines(0).lines().nth(1).unwrap().chars().count(), COLUMNS);
    }

    #[test]
    fn columns_without_room_are_left_out() {
        let mut table = Table::new(&["FIRST", "SECOND", "THIRD"]);
        table.row(vec!["a".repeat(90), "b".repeat(90), "c".repeat(90)]);
        let lines = table.drawn(15, Paint::none());
        assert!(lines.iter().all(|line| line.chars().count() <= 15), "{lines:?}");
        assert_eq!(lines[0], "FIRST   SECOND");
        assert_eq!(lines[1], "aaaaa…  bbbbb…");
    }

    #[test]
    fn numbers_agree_with_their_nouns() {
        assert_eq!(count(1, "push", "pushes"), "1 push");
        assert_eq!(count(0, "push", "pushes"), "0 pushes");
    }
}
