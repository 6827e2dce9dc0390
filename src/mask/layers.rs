//! What stands beneath the escapes of a text, layer by layer, and where in the text each part of it comes from.
//!
//! Percent-encoding and forms, JSON and the strings of programming languages, HTML: a layer takes off one escape at each place,
//! whichever kind stands there, so that mixtures and repetitions come apart without a list of who escapes what how. A secret is
//! taken apart the same way, since it may itself look like an escape.

use std::ops::Range;

use zeroize::Zeroizing;

/// How often escapes are taken off: what is escaped more often than this is not recognised.
const DEEPEST: usize = 4;

/// A text and what is beneath it.
pub(super) struct Layers<'a> {
    text: &'a str,
    beneath: Vec<Unfolded>,
}

/// A text with one layer of escapes taken off.
struct Unfolded {
    text: Zeroizing<String>,
    pieces: Vec<Piece>,
}

/// Where a part of an unfolded text comes from; it reaches to the next one.
struct Piece {
    at: usize,
    from: usize,
    to: usize,
    /// Byte for byte; else it is the one character of an escape.
    verbatim: bool,
}

impl<'a> Layers<'a> {
    pub(super) fn of(text: &'a str) -> Layers<'a> {
        let mut layers = Layers {
            text,
            beneath: Vec::new(),
        };
        while layers.beneath.len() < DEEPEST
            && let Some(next) = unfold(layers.text_of(layers.beneath.len()))
        {
            layers.beneath.push(next);
        }
        layers
    }

    /// Each layer with its number, the text itself first.
    pub(super) fn texts(&self) -> impl Iterator<Item = (usize, &str)> {
        (0..=self.beneath.len()).map(|layer| (layer, self.text_of(layer)))
    }

    /// The part of the text itself that this part of a layer comes from.
    pub(super) fn origin(&self, layer: usize, range: Range<usize>) -> Range<usize> {
        let above = self.beneath[..layer].iter().rev();
        above.fold(range, |range, layer| layer.origin(range))
    }

    fn text_of(&self, layer: usize) -> &str {
        match layer.checked_sub(1) {
            None => self.text,
            Some(beneath) => self.beneath[beneath].text.as_str(),
        }
    }
}

impl Unfolded {
    fn origin(&self, range: Range<usize>) -> Range<usize> {
        if range.is_empty() {
            return 0..0;
        }
        let piece = |at: usize| {
            let after = self.pieces.partition_point(|piece| piece.at <= at);
            &self.pieces[after.saturating_sub(1)]
        };
        let (first, last) = (piece(range.start), piece(range.end - 1));
        let from = match first.verbatim {
            true => first.from + (range.start - first.at),
            false => first.from,
        };
        let to = match last.verbatim {
            true => last.from + (range.end - last.at),
            false => last.to,
        };
        from..to
    }

    /// Takes a stretch over as it is.
    fn verbatim(&mut self, text: &str, from: usize) {
        if text.is_empty() {
            return;
        }
        let at = self.text.len();
        match self.pieces.last_mut() {
            Some(last) if last.verbatim && last.to == from => last.to += text.len(),
            _ => self.pieces.push(Piece {
                at,
                from,
                to: from + text.len(),
                verbatim: true,
            }),
        }
        self.text.push_str(text);
    }

    fn escape(&mut self, character: char, source: Range<usize>) {
        self.pieces.push(Piece {
            at: self.text.len(),
            from: source.start,
            to: source.end,
            verbatim: false,
        });
        // Messages show controls as blanks, and forms write blanks as `+`.
        let blank = character.is_control();
        self.text.push(if blank { ' ' } else { character });
    }

    /// Escaped bytes in a row: UTF-8 where they are, else latin-1.
    fn bytes(&mut self, bytes: &[(u8, Range<usize>)]) {
        let raw: Vec<u8> = bytes.iter().map(|(byte, _)| *byte).collect();
        let mut at = 0;
        for chunk in raw.utf8_chunks() {
            for character in chunk.valid().chars() {
                let last = at + character.len_utf8() - 1;
                self.escape(character, bytes[at].1.start..bytes[last].1.end);
                at = last + 1;
            }
            for byte in chunk.invalid() {
                self.escape(char::from(*byte), bytes[at].1.clone());
                at += 1;
            }
        }
    }
}

/// The text with one layer of escapes taken off; none when there are none.
fn unfold(text: &str) -> Option<Unfolded> {
    let starts = |byte: &u8| matches!(byte, b'%' | b'\\' | b'&' | b'+' | 0xc2) || byte.is_ascii_control();
    text.bytes().find(|byte| starts(byte))?;
    let mut out = Unfolded {
        text: Zeroizing::new(String::with_capacity(text.len())),
        pieces: Vec::new(),
    };
    let mut bytes: Vec<(u8, Range<usize>)> = Vec::new();
    let mut changed = false;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let found = escape(rest);
        changed |= found.is_some();
        match found {
            Some((Escaped::Byte(byte), length)) => {
                bytes.push((byte, at..at + length));
                at += length;
                continue;
            }
            Some((Escaped::Char(character), length)) => {
                out.bytes(&std::mem::take(&mut bytes));
                out.escape(character, at..at + length);
                at += length;
            }
            None => {
                out.bytes(&std::mem::take(&mut bytes));
                let first = rest.chars().next().map_or(1, char::len_utf8);
                let next = rest.as_bytes()[first..].iter().position(starts);
                let length = next.map_or(rest.len(), |next| first + next);
                out.verbatim(&rest[..length], at);
                at += length;
            }
        }
    }
    out.bytes(&bytes);
    changed.then_some(out)
}

/// A text that has lost its layers one by one, as often as it has some, itself first.
pub(super) fn peeled(text: &str) -> Vec<Zeroizing<String>> {
    let layers = Layers::of(text);
    layers
        .texts()
        .map(|(_, text)| Zeroizing::new(text.to_owned()))
        .collect()
}

/// Where a text may have ended before it was cut within an escape or a character: at its end, before what looks like the
/// beginning of an escape, before the first bytes of a character.
pub(super) fn ends(text: &str) -> Vec<usize> {
    /// `\ud83d\ude0` is the longest beginning of an escape.
    const LONGEST: usize = 11;
    let mut ends = vec![text.len()];
    let tail = text.len().saturating_sub(LONGEST);
    let begun = text.as_bytes()[tail..]
        .iter()
        .rposition(|byte| matches!(byte, b'%' | b'\\' | b'&'));
    let mut end = text.len();
    if let Some(begun) = begun.map(|at| tail + at) {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'#' | b'{');
        if text.as_bytes()[begun + 1..].iter().all(plain) {
            end = begun;
            let first = text[..end].len().saturating_sub(6);
            // The first half of a pair stands alone where the second was cut.
            if text.is_char_boundary(first) && text[first..end].to_ascii_lowercase().starts_with("\\ud") {
                ends.push(first);
            }
            ends.push(end);
        }
    }
    let latin1 = |c: &char| ('\u{80}'..='\u{ff}').contains(c);
    for character in text[..end].chars().rev().take(3).take_while(latin1) {
        end -= character.len_utf8();
        ends.push(end);
    }
    ends
}

enum Escaped {
    Byte(u8),
    Char(char),
}

/// The escape that a text begins with, and its length.
fn escape(text: &str) -> Option<(Escaped, usize)> {
    let bytes = text.as_bytes();
    match bytes.first()? {
        b'%' => Some((Escaped::Byte(byte(bytes.get(1..3)?)?), 3)),
        b'\\' => match bytes.get(1)? {
            b'u' => unicode(text).map(|(character, length)| (Escaped::Char(character), length)),
            b'x' => Some((Escaped::Byte(byte(bytes.get(2..4)?)?), 4)),
            b'n' | b't' | b'r' | b'b' | b'f' => Some((Escaped::Char(' '), 2)),
            other @ (b'"' | b'\'' | b'\\' | b'/') => Some((Escaped::Char(char::from(*other)), 2)),
            _ => None,
        },
        b'&' => entity(text).map(|(character, length)| (Escaped::Char(character), length)),
        b'+' => Some((Escaped::Char(' '), 1)),
        control if control.is_ascii_control() => Some((Escaped::Char(' '), 1)),
        0xc2 if text.starts_with(char::is_control) => Some((Escaped::Char(' '), 2)),
        _ => None,
    }
}

/// `\u00e9`, a pair of surrogates, `\u{e9}`.
fn unicode(text: &str) -> Option<(char, usize)> {
    if let Some(rest) = text.strip_prefix("\\u{") {
        let (digits, _) = rest.get(..7).unwrap_or(rest).split_once('}')?;
        return Some((char::from_u32(hex(digits)?)?, digits.len() + 4));
    }
    let unit = |text: &str| hex(text.strip_prefix("\\u")?.get(..4)?);
    let first = unit(text)?;
    if let Some(character) = char::from_u32(first) {
        return Some((character, 6));
    }
    let units = [first, unit(text.get(6..)?)?].map(|unit| u16::try_from(unit).unwrap_or_default());
    let mut characters = char::decode_utf16(units);
    Some((characters.next()?.ok()?, 12))
}

/// `&quot;`, `&#34;`, `&#x22;`.
fn entity(text: &str) -> Option<(char, usize)> {
    /// `&#x10FFFF;` without its ends.
    const LONGEST: usize = 9;
    let end = text.bytes().take(LONGEST + 1).position(|byte| byte == b';')?;
    let name = text.get(1..end)?;
    let character = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        _ => {
            let number = name.strip_prefix('#')?;
            let value = match number.strip_prefix(['x', 'X']) {
                Some(digits) => hex(digits)?,
                None => number.parse().ok()?,
            };
            char::from_u32(value)?
        }
    };
    Some((character, end + 1))
}

fn byte(digits: &[u8]) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let value = digit(*digits.first()?)? * 16 + digit(*digits.get(1)?)?;
    u8::try_from(value).ok()
}

fn hex(digits: &str) -> Option<u32> {
    let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    all.then(|| u32::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_escape_is_taken_off_and_known_where_it_stood() {
        for (text, beneath) in [
            ("a%2Fb%c3%A9", "a/b\u{e9}"),
            ("%E9%zz%", "\u{e9}%zz%"),
            (r"\u00e9\uD83D\ude00\u{1F600}", "\u{e9}\u{1f600}\u{1f600}"),
            (r#"\"\'\\\/\n\q\ud83d"#, "\"'\\/ \\q\\ud83d"),
            (r"\xc3\xa9\xe9", "\u{e9}\u{e9}"),
            ("&amp;&lt;&#34;&#x27;&none;&#x110000;", "&<\"'&none;&#x110000;"),
            ("a+b\nc\u{85}d", "a b c d"),
        ] {
            let layers = Layers::of(text);
            assert_eq!(layers.text_of(1), beneath, "{text}");
            assert_eq!(layers.origin(1, 0..beneath.len()), 0..text.len(), "{text}");
        }
        assert_eq!(Layers::of("plain \u{e9} text").beneath.len(), 0);
        let layers = Layers::of("x%255C%5Cy");
        assert_eq!(layers.text_of(2), "x\\\\y");
        assert_eq!(layers.origin(2, 1..2), 1..6);
        assert_eq!(layers.origin(2, 2..3), 6..9);
    }

    #[test]
    fn layers_come_to_an_end() {
        let text = format!("%{}41", "25".repeat(50));
        assert_eq!(Layers::of(&text).beneath.len(), DEEPEST);
    }
}
