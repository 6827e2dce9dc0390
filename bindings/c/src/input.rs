//! Raw pointers turned into checked values. Each failure names the argument as the header does.

use std::ffi::{CStr, c_char};
use std::time::Duration;

use crate::failure::Failure;

/// The text of an argument, named as the argument is; for use where `?` and `unsafe` are.
macro_rules! text {
    ($argument:ident) => {
        $crate::input::required_text($argument, stringify!($argument))?
    };
}

pub(crate) use text;

/// The text at `text`.
///
/// # Safety
/// `text` is NULL or ends with a NUL, and stays as it is for `'a`.
pub(crate) unsafe fn required_text<'a>(text: *const c_char, name: &str) -> Result<&'a str, Failure> {
    // SAFETY: as the caller promises.
    unsafe { optional_text(text, name) }?.ok_or_else(|| Failure::null(name))
}

/// The text at `text`, none for NULL.
///
/// # Safety
/// As [`required_text`].
pub(crate) unsafe fn optional_text<'a>(text: *const c_char, name: &str) -> Result<Option<&'a str>, Failure> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, and ends with a NUL, as the caller promises.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map(Some).map_err(|error| {
        let place = error.valid_up_to();
        let message = format!("this is not UTF-8 from byte {place} on; casehook takes text as UTF-8 only");
        Failure::argument(name, message)
    })
}

/// The array of `count` elements at `first`; NULL is an empty one when `count` is 0.
///
/// # Safety
/// `first` is NULL or has `count` elements that stay as they are for `'a`.
pub(crate) unsafe fn array<'a, T>(first: *const T, count: usize, name: &str) -> Result<&'a [T], Failure> {
    if count == 0 {
        return Ok(&[]);
    }
    if first.is_null() {
        let message = format!("this is NULL though its count is {count}");
        return Err(Failure::argument(name, message));
    }
    if !first.is_aligned() {
        return Err(Failure::argument(
            name,
            "this does not point at an array of its type",
        ));
    }
    if count > isize::MAX as usize / size_of::<T>() {
        let message = format!("{count} elements are more than there is memory");
        return Err(Failure::argument(name, message));
    }
    // SAFETY: not NULL, aligned, not too large, and there for `'a`, as the caller promises.
    Ok(unsafe { std::slice::from_raw_parts(first, count) })
}

/// The key of `length` bytes at `key`.
///
/// # Safety
/// `key` is NULL or has `length` bytes.
pub(crate) unsafe fn key(key: *const u8, length: usize) -> Result<[u8; 32], Failure> {
    if key.is_null() {
        return Err(Failure::null("key"));
    }
    if length != 32 {
        let message = format!("a key has 32 bytes, not {length}");
        return Err(Failure::argument("length", message));
    }
    let mut copy = [0u8; 32];
    // SAFETY: as the caller promises.
    copy.copy_from_slice(unsafe { array(key, length, "key") }?);
    Ok(copy)
}

/// The object at `object`.
///
/// # Safety
/// `object` is NULL or live for `'a`.
pub(crate) unsafe fn object<'a, T>(object: *const T, name: &str) -> Result<&'a T, Failure> {
    // SAFETY: as the caller promises.
    unsafe { object.as_ref() }.ok_or_else(|| Failure::null(name))
}

/// Milliseconds to wait; below 0 is without limit.
pub(crate) fn timeout(millis: i64) -> Duration {
    u64::try_from(millis).map_or(Duration::MAX, Duration::from_millis)
}
