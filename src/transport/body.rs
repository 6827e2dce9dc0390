//! An answer's body within its limit, before and after decoding.

use std::io::Read;

use super::BodyFault;

/// What most answers fit in, in bytes.
const USUAL: usize = 2 * 1024;

/// Reads to the end, to the first error, or until there is more than `limit`; the rest then stays unread.
pub(super) fn read(from: impl Read, limit: u64) -> (Vec<u8>, Option<std::io::Error>) {
    let mut body = Vec::with_capacity(USUAL);
    let done = from.take(limit.saturating_add(1)).read_to_end(&mut body);
    (body, done.err())
}

/// What answers may be encoded with, as requests say it.
pub(super) const ACCEPTED: &str = if cfg!(feature = "gzip") {
    "gzip"
} else {
    "identity"
};

/// Takes off the encodings named by `Content-Encoding`; only gzip is known (R22), and that with the feature `gzip`.
///
/// `raw` holds at most one byte more than `limit`.
pub(super) fn decode(mut raw: Vec<u8>, encodings: &str, limit: u64) -> (Vec<u8>, Option<BodyFault>) {
    let too_large = Some(BodyFault::TooLarge { limit });
    if cut(&mut raw, limit) {
        return (raw, too_large);
    }
    let encodings = encodings.to_ascii_lowercase();
    let mut applied = encodings
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty() && *name != "identity");
    match (applied.next(), applied.next()) {
        _ if raw.is_empty() => (raw, None),
        (None, _) => (raw, None),
        #[cfg(feature = "gzip")]
        (Some("gzip" | "x-gzip"), None) => {
            let (mut plain, broken) = gunzip(&raw, limit);
            if cut(&mut plain, limit) {
                return (plain, too_large);
            }
            (
                plain,
                broken.map(|error| BodyFault::Broken(format!("the gzip body does not decode: {error}"))),
            )
        }
        _ => (raw, Some(BodyFault::Encoding(encodings))),
    }
}

#[cfg(feature = "gzip")]
/// All members of a gzip file; what follows the last one is ignored, as curl and Node.js do.
fn gunzip(mut raw: &[u8], limit: u64) -> (Vec<u8>, Option<std::io::Error>) {
    let mut plain = Vec::new();
    loop {
        let mut member = flate2::bufread::GzDecoder::new(raw);
        let (part, error) = read(&mut member, limit.saturating_sub(plain.len() as u64));
        plain.extend_from_slice(&part);
        raw = member.into_inner();
        if error.is_some() || plain.len() as u64 > limit || !raw.starts_with(&[0x1f, 0x8b]) {
            return (plain, error);
        }
    }
}

/// Cuts to the limit, and says whether there was something to cut.
fn cut(body: &mut Vec<u8>, limit: u64) -> bool {
    let over = body.len() as u64 > limit;
    if over {
        body.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    over
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use super::*;

    pub(in super::super) fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn encodings() {
        let plain = b"{\"id\":1}".to_vec();
        for name in ["", "identity", " Identity ,"] {
            assert_eq!(decode(plain.clone(), name, 100), (plain.clone(), None), "{name}");
        }
        for name in ["gzip", "GZIP", "x-gzip", "identity, gzip"] {
            assert_eq!(decode(gzip(&plain), name, 100), (plain.clone(), None), "{name}");
        }
        for name in ["br", "zstd2", "gzip, gzip", "deflate"] {
            let fault = BodyFault::Encoding(name.to_owned());
            assert_eq!(
                decode(plain.clone(), name, 100),
                (plain.clone(), Some(fault)),
                "{name}"
            );
            assert_eq!(decode(Vec::new(), name, 100), (Vec::new(), None), "{name}");
        }
    }

    #[test]
    fn limits_hold_before_and_after_decoding() {
        assert_eq!(decode(vec![b'x'; 10], "", 10), (vec![b'x'; 10], None));
        let too_large = |limit| Some(BodyFault::TooLarge { limit });
        assert_eq!(decode(vec![b'x'; 11], "", 10), (vec![b'x'; 10], too_large(10)));
        let bomb = gzip(&vec![0; 50_000_000]);
        let (plain, fault) = decode(bomb, "gzip", 100_000);
        assert_eq!((plain.len(), fault), (100_000, too_large(100_000)));
        let exact = gzip(&[b'y'; 1000]);
        assert_eq!(decode(exact.clone(), "gzip", 1000), (vec![b'y'; 1000], None));
        assert_eq!(decode(exact, "gzip", 999).1, too_large(999));
        let empty_members = gzip(b"").repeat(1000);
        assert_eq!(decode(empty_members, "gzip", 100).1, too_large(100));
    }

    #[test]
    fn members_and_what_follows_them() {
        let two = [gzip(b"ab"), gzip(b"cd")].concat();
        assert_eq!(decode(two.clone(), "gzip", 100), (b"abcd".to_vec(), None));
        assert_eq!(
            decode([two, b"rest".to_vec()].concat(), "gzip", 100),
            (b"abcd".to_vec(), None)
        );
    }

    #[test]
    fn broken_gzip() {
        let whole = gzip(b"some text that is long enough to be cut");
        for raw in [whole[..whole.len() - 9].to_vec(), b"not gzip at all".to_vec()] {
            assert!(matches!(decode(raw, "gzip", 100).1, Some(BodyFault::Broken(_))));
        }
    }
}
