//! In which forms a secret is looked for, other than escaped: base64 wherever it stands in it, hex, UTF-8 read as latin-1.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::SHORT;
use super::layers::peeled;

/// A line of a secret of several lines is looked for by itself from this length on, in bytes.
const LINE: usize = 16;

/// The middle of a base64 text is looked for from this length on.
const CORE: usize = 8;

/// A text that gives a secret away.
pub(super) struct Needle {
    pub(super) text: Zeroizing<String>,
    pub(super) place: Place,
    /// Whether an id that holds it repeats the secret, and not by chance.
    pub(super) telling: Telling,
}

/// Where a needle counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Anywhere,
    /// Only where it stands as a word of its own: it is short.
    Word,
    /// Anywhere, and all of the base64 around it with it.
    Base64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Telling {
    /// Numbers of a few digits, and the shortest secrets, are ids by chance.
    No,
    /// Longer numbers and short words may be parts of ids by chance, but not all of one.
    Alone,
    Anywhere,
}

/// Every form of a secret.
pub(super) fn needles(secret: &str) -> Vec<Needle> {
    // White space around it is no part of what gives it away.
    let core = secret.trim();
    let telling = telling(core);
    if core.len() < SHORT {
        let word = Needle {
            text: Zeroizing::new(core.to_owned()),
            place: Place::Word,
            telling,
        };
        return (!core.is_empty()).then_some(word).into_iter().collect();
    }
    let latin1: Zeroizing<String> = Zeroizing::new(secret.bytes().map(char::from).collect());
    let mut forms = vec![
        (Zeroizing::new(secret.to_owned()), Place::Anywhere),
        (latin1, Place::Anywhere),
    ];
    forms.extend(hex(secret.as_bytes()).map(|form| (form, Place::Anywhere)));
    for bytes in [Some(secret.as_bytes().to_vec()), as_latin1(secret)]
        .into_iter()
        .flatten()
    {
        base64(&Zeroizing::new(bytes), &mut forms);
    }
    let lines = secret
        .lines()
        .filter(|line| line.len() >= LINE && line.len() < secret.len() && !line.starts_with("-----"));
    forms.extend(lines.map(|line| (Zeroizing::new(line.to_owned()), Place::Anywhere)));
    let peel = |(form, place): (Zeroizing<String>, Place)| {
        let peeled = peeled(&form).into_iter();
        peeled
            .filter(|text| text.trim().len() >= SHORT)
            .map(move |text| Needle { text, place, telling })
    };
    forms.into_iter().flat_map(peel).collect()
}

fn telling(secret: &str) -> Telling {
    let number = secret.bytes().all(|byte| byte.is_ascii_digit());
    match secret.len() {
        8.. if !number => Telling::Anywhere,
        8.. => Telling::Alone,
        SHORT.. if !number => Telling::Alone,
        _ => Telling::No,
    }
}

/// Lower and upper case.
fn hex(bytes: &[u8]) -> [Zeroizing<String>; 2] {
    let write = |digits: &[u8; 16]| {
        let digit = |half: u8| char::from(digits[usize::from(half & 15)]);
        let both = |byte: &u8| [digit(byte >> 4), digit(*byte)];
        Zeroizing::new(bytes.iter().flat_map(both).collect::<String>())
    };
    [write(b"0123456789abcdef"), write(b"0123456789ABCDEF")]
}

/// In both alphabets; and what is left the same of it whatever stands before and after the secret.
fn base64(bytes: &[u8], forms: &mut Vec<(Zeroizing<String>, Place)>) {
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        for before in 0..3 {
            let shifted = Zeroizing::new([&[0; 2][..before], bytes].concat());
            let text = Zeroizing::new(engine.encode(&*shifted));
            let first = (before * 8).div_ceil(6);
            let last = shifted.len() * 8 / 6;
            if last >= first + CORE {
                forms.push((Zeroizing::new(text[first..last].to_owned()), Place::Base64));
            }
            if before == 0 {
                forms.push((text, Place::Anywhere));
            }
        }
    }
}

/// The bytes of a text in latin-1, where that is another than UTF-8.
fn as_latin1(text: &str) -> Option<Vec<u8>> {
    if text.is_ascii() {
        return None;
    }
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}
