//! Files named on the command line: read, decoded, split into documents.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use serde_json::value::RawValue;

use super::args::CaseArgs;
use super::failure::Failure;
use zeroize::Zeroizing;

use crate::Case;

/// The text of a file, or of standard input for `-`; wiped when it is dropped, since it may hold secrets. A byte order mark is
/// skipped.
pub(super) fn text(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let shown = name(file);
    let unread = |error: io::Error| Failure::usage(format!("{shown} cannot be read: {error}"));
    let mut bytes = if file == Path::new("-") {
        read(io::stdin().lock(), 0)
    } else {
        fs::File::open(file).and_then(|file| {
            let length = file.metadata().map_or(0, |metadata| metadata.len());
            read(file, usize::try_from(length).unwrap_or(0))
        })
    }
    .map_err(unread)?;
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    if let Err(error) = std::str::from_utf8(&bytes) {
        let line = 1 + newlines(&bytes[..error.valid_up_to()]);
        return Err(Failure::usage(format!(
            "{shown} is not UTF-8 text (line {line}); save it as UTF-8"
        )));
    }
    let text = String::from_utf8(std::mem::take(&mut bytes)).unwrap_or_default();
    Ok(Zeroizing::new(text))
}

/// All of it, without leaving copies behind where it grows.
fn read(mut from: impl Read, expected: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    const LEAST: usize = 64 * 1024;
    let mut bytes = Zeroizing::new(Vec::with_capacity(expected.max(LEAST) + 1));
    loop {
        if bytes.len() == bytes.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(bytes.capacity() * 2));
            larger.extend_from_slice(&bytes);
            bytes = larger;
        }
        let room = u64::try_from(bytes.capacity() - bytes.len()).unwrap_or(u64::MAX);
        if from.by_ref().take(room).read_to_end(&mut bytes)? == 0 {
            return Ok(bytes);
        }
    }
}

/// How messages call a file.
pub(super) fn name(file: &Path) -> String {
    if file == Path::new("-") {
        "standard input".to_owned()
    } else {
        file.display().to_string()
    }
}

/// The key in a file: 64 hex digits, or base64 of 32 bytes.
pub(super) fn key(file: &Path) -> Result<[u8; 32], Failure> {
    let text = text(file)?;
    crate::parse_key(text.trim()).map_err(|error| Failure::from(error).within(&name(file)))
}

/// The cases of a command: those of its file, or the one that its options spell. None when neither is given.
pub(super) fn cases(args: &CaseArgs) -> Result<Option<Vec<Case>>, Failure> {
    if let Some(file) = &args.file {
        let shown = name(file);
        let text = text(file)?;
        let documents = documents(&text).map_err(|failure| failure.within(&shown))?;
        let count = documents.len();
        let parse = |(place, document): (usize, String)| {
            Case::from_json(&document).map_err(|error| match count {
                1 => Failure::from(error).within(&shown),
                _ => Failure::from(error).within(&format!("{shown}, case {} of {count}", place + 1)),
            })
        };
        let cases: Result<Vec<Case>, Failure> = documents.into_iter().enumerate().map(parse).collect();
        return cases.map(Some);
    }
    match args.document() {
        Some(document) => Ok(Some(vec![Case::from_json(&document.to_string())?])),
        None => Ok(None),
    }
}

/// One document, the elements of an array, or documents one after the other (NDJSON).
fn documents(text: &str) -> Result<Vec<String>, Failure> {
    let refused = |error: serde_json::Error| {
        Failure::new(
            crate::ErrorKind::Case,
            format!("not JSON: {error}; expected one case, an array of cases, or one case per line"),
        )
    };
    let documents: Vec<Box<RawValue>> = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).map_err(refused)?
    } else {
        serde_json::Deserializer::from_str(text)
            .into_iter()
            .collect::<Result<_, _>>()
            .map_err(refused)?
    };
    if documents.is_empty() {
        return Err(Failure::new(crate::ErrorKind::Case, "holds no case"));
    }
    Ok(documents
        .iter()
        .map(|document| document.get().to_owned())
        .collect())
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_many_and_lines_are_told_apart() {
        for (text, count) in [
            ("{\"a\": 1}", 1),
            (" {\n\"a\": [1, 2]\n}\n", 1),
            ("[{\"a\": 1}, {\"a\": 2}]", 2),
            ("{\"a\": 1}\n{\"a\": 2}\n\n{\"a\": 3}\n", 3),
            ("{}\r\n{}\r\n", 2),
            // Not a case, but the library says so better than this file could.
            ("7", 1),
        ] {
            assert_eq!(documents(text).unwrap().len(), count, "{text}");
        }
    }

    #[test]
    fn what_is_no_json_or_empty_is_refused_with_the_line() {
        for (text, part) in [
            ("", "holds no case"),
            (" \n ", "holds no case"),
            ("[]", "holds no case"),
            ("{\"a\": 1}\n{\"a\": ", "line 2"),
            ("[{}", "line 1"),
            ("{} nonsense", "line 1"),
        ] {
            let failure = documents(text).unwrap_err();
            assert!(failure.text().contains(part), "{text}: {}", failure.text());
            assert_eq!(failure.exit_code(), 1);
        }
    }

    #[test]
    fn numbers_keep_their_digits() {
        assert_eq!(
            documents("[{\"n\":12345678901234567890.10}]").unwrap(),
            ["{\"n\":12345678901234567890.10}"]
        );
    }

    #[test]
    fn a_missing_file_is_named() {
        let failure = text(Path::new("no/such/file.json")).unwrap_err();
        assert!(failure.text().starts_with("no/such/file.json cannot be read: "));
        assert_eq!(failure.exit_code(), 2);
    }
}
