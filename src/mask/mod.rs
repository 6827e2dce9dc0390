//! Takes secrets out of texts that people get to see.

mod forms;
mod layers;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;

use zeroize::Zeroizing;

use forms::{Needle, Place, Telling};
use layers::Layers;

/// What stands in a secret's place.
pub(crate) const MASK: &str = "***";

/// Secrets shorter than this, in bytes, are masked only where they stand as a word of their own.
const SHORT: usize = 4;

/// How many cuts a text is searched for, from its end.
const CUTS: usize = 8;

/// Secrets, and every form in which they are looked for. Prints without them.
#[derive(Default)]
pub(crate) struct Masks {
    secrets: Vec<Zeroizing<String>>,
    needles: Vec<Needle>,
}

impl Masks {
    pub(crate) fn new(mut secrets: Vec<Zeroizing<String>>) -> Masks {
        secrets.retain(|secret| !secret.is_empty());
        let mut needles: Vec<Needle> = secrets.iter().flat_map(|secret| forms::needles(secret)).collect();
        let key = |needle: &Needle| (needle.place, std::cmp::Reverse(needle.telling));
        needles.sort_by(|a, b| a.text.cmp(&b.text).then_with(|| key(a).cmp(&key(b))));
        needles.dedup_by(|a, b| a.text == b.text && a.place == b.place);
        Masks { secrets, needles }
    }

    /// The secrets themselves.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(|secret| secret.as_str())
    }

    /// Whether a text that must stay as it is, such as an id, repeats a secret: not by chance, as a few digits may.
    pub(crate) fn repeated_in(&self, text: &str) -> bool {
        let layers = Layers::of(text);
        let found = |(_, text): (usize, &str)| {
            self.needles.iter().any(|needle| match needle.telling {
                Telling::No => false,
                Telling::Anywhere => text.contains(needle.text.as_str()),
                Telling::Alone => text.trim() == needle.text.as_str(),
            })
        };
        layers.texts().any(found)
    }

    /// Where the text holds a secret.
    fn found(&self, layers: &Layers<'_>) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for (layer, text) in layers.texts() {
            for needle in &self.needles {
                let mut until = 0;
                for range in occurrences(text, needle) {
                    let range = match needle.place {
                        _ if range.start < until => continue,
                        Place::Anywhere => range,
                        Place::Word if is_word(text, &range) => range,
                        Place::Word => continue,
                        Place::Base64 => grown(text, range),
                    };
                    until = range.end;
                    found.push(layers.origin(layer, range));
                }
            }
        }
        found
    }

    /// Where a secret begins that the end of the text, or an ellipsis, cut off.
    fn begun(&self, layers: &Layers<'_>) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for (layer, text) in layers.texts() {
            let cuts = text.rmatch_indices('\u{2026}').map(|(at, _)| at).take(CUTS);
            for cut in std::iter::once(text.len()).chain(cuts) {
                let begun = layers::ends(&text[..cut]).into_iter().filter_map(|end| {
                    let lengths = self
                        .needles
                        .iter()
                        .filter_map(|needle| needle.begun(&text[..end]));
                    Some(end - lengths.max()?)
                });
                if let Some(start) = begun.min() {
                    found.push(layers.origin(layer, start..cut));
                }
            }
        }
        found
    }
}

impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masks({})", self.secrets.len())
    }
}

impl Needle {
    /// How much of the needle the text ends with, where that is enough to tell anything.
    fn begun(&self, text: &str) -> Option<usize> {
        let least = match self.place {
            Place::Anywhere => SHORT,
            Place::Word | Place::Base64 => return None,
        };
        let (text, needle) = (text.as_bytes(), self.text.as_bytes());
        let needle = &needle[..needle.len().min(text.len())];
        let tail = &text[text.len() - needle.len()..];
        let first = needle.get(..least)?;
        if !tail.windows(least).any(|window| window == first) {
            return None;
        }
        let borders = borders(needle);
        let mut length = 0;
        for byte in tail {
            while length > 0 && (length == needle.len() || needle[length] != *byte) {
                length = borders[length - 1];
            }
            if needle[length] == *byte {
                length += 1;
            }
        }
        (length >= least).then_some(length)
    }
}

/// Replaces every occurrence of a secret, in whatever form: see the manual's chapter on security.
pub(crate) fn mask(text: &str, masks: &Masks) -> String {
    if masks.needles.is_empty() {
        return text.to_owned();
    }
    covered(text, masks.found(&Layers::of(text)))
}

/// The same, and what is left of a secret where the text was cut short: at its end, or before an ellipsis.
pub(crate) fn mask_cut(text: &str, masks: &Masks) -> String {
    if masks.needles.is_empty() {
        return text.to_owned();
    }
    let layers = Layers::of(text);
    let mut found = masks.found(&layers);
    found.extend(masks.begun(&layers));
    covered(text, found)
}

fn occurrences<'a>(text: &'a str, needle: &'a Needle) -> impl Iterator<Item = Range<usize>> {
    let length = needle.text.len();
    let fits = length <= text.len();
    let found = fits.then(|| text.match_indices(needle.text.as_str()));
    found.into_iter().flatten().map(move |(at, _)| at..at + length)
}

fn is_word(text: &str, range: &Range<usize>) -> bool {
    let part_of_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    !part_of_word(text[..range.start].chars().next_back()) && !part_of_word(text[range.end..].chars().next())
}

/// All of the base64 that a part of it stands in.
fn grown(text: &str, range: Range<usize>) -> Range<usize> {
    let digit = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=');
    let (before, after) = (&text.as_bytes()[..range.start], &text.as_bytes()[range.end..]);
    let left = before.iter().rev().take_while(digit).count();
    let right = after.iter().take_while(digit).count();
    range.start - left..range.end + right
}

/// The text with each of these parts masked; those that overlap are one.
fn covered(text: &str, mut parts: Vec<Range<usize>>) -> String {
    parts.sort_by_key(|part| (part.start, part.end));
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    let mut parts = parts.into_iter().peekable();
    while let Some(part) = parts.next() {
        let mut end = part.end;
        while let Some(next) = parts.next_if(|next| next.start < end) {
            end = end.max(next.end);
        }
        out.push_str(&text[done..part.start]);
        out.push_str(MASK);
        done = end;
    }
    out.push_str(&text[done..]);
    out
}

/// For each beginning of a needle, the longest shorter one that it ends with.
fn borders(needle: &[u8]) -> Vec<usize> {
    let mut borders = vec![0; needle.len()];
    let mut length = 0;
    for at in 1..needle.len() {
        while length > 0 && needle[length] != needle[at] {
            length = borders[length - 1];
        }
        if needle[length] == needle[at] {
            length += 1;
        }
        borders[at] = length;
    }
    borders
}
