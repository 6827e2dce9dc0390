//! The sizes that a push may have; each is refused with an error of its own.

/// The title, in bytes.
pub const TITLE_BYTES: usize = 64 * 1024;
/// A whole push, in bytes of its JSON.
pub const PUSH_BYTES: usize = 4 * 1024 * 1024;
/// The comments of one push.
pub const COMMENTS: usize = 10_000;
/// The tags of one push.
pub const TAGS: usize = 1_000;
/// The name of a connector or of one of the host's own fields, in bytes.
pub const NAME_BYTES: usize = 128;
/// How deep a value in the host's own fields may nest.
pub const NESTING: usize = 64;
/// A connector or settings document, in bytes of its JSON.
pub const DOCUMENT_BYTES: usize = 4 * 1024 * 1024;
/// A file that a secret is read from, in bytes.
pub const SECRET_FILE_BYTES: u64 = 1024 * 1024;
/// A PKCS #12 file, in bytes.
pub const PKCS12_BYTES: usize = 256 * 1024;
/// How often a passphrase may have to be hashed to open a key or a PKCS #12 file.
pub const KEY_ITERATIONS: u32 = 1_000_000;
/// A template, in bytes.
pub const TEMPLATE_BYTES: usize = 64 * 1024;
/// An id of a case, an incident or a comment, in bytes; an incident's also where a target gives it.
pub const ID_BYTES: usize = 4 * 1024;
/// A severity or a status, in bytes.
pub const WORD_BYTES: usize = 1_024;
/// The path of a value in an answer, in bytes.
pub const PATH_BYTES: usize = 4 * 1024;
/// The headers of one connector that stand together: `headers`, `secretHeaders`.
pub const HEADERS: usize = 100;
/// The name of a header, in bytes.
pub const HEADER_NAME_BYTES: usize = 256;
/// The value of a header, in bytes.
pub const HEADER_BYTES: usize = 32 * 1024;
/// A secret in a document, in bytes.
pub const SECRET_BYTES: usize = 1024 * 1024;
