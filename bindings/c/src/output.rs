//! Values on their way out to the caller.

use std::ffi::{CString, c_char};
use std::ptr;

use casehook_rs::ErrorKind;
use serde::Serialize;

use crate::error::Failure;
use crate::input::null;

/// A place of the caller's for one output. It holds its neutral value until it is set.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// # Safety
    /// `place` is NULL or can be written until the call ends.
    pub(crate) unsafe fn new(place: *mut T, name: &str, neutral: T) -> Result<Out<T>, Failure> {
        if place.is_null() {
            return Err(null(name));
        }
        // SAFETY: not NULL, and can be written, as the caller promises.
        unsafe { place.write(neutral) };
        Ok(Out(place))
    }

    pub(crate) fn set(self, value: T) {
        // SAFETY: `new` checked it, and the call has not ended.
        unsafe { self.0.write(value) };
    }
}

/// A place for a string that becomes the caller's.
pub(crate) struct OutText(Out<*mut c_char>);

impl OutText {
    /// # Safety
    /// As [`Out::new`].
    pub(crate) unsafe fn new(place: *mut *mut c_char, name: &str) -> Result<OutText, Failure> {
        // SAFETY: as the caller promises.
        unsafe { Out::new(place, name, ptr::null_mut()) }.map(OutText)
    }

    /// Gives out the JSON of a value.
    pub(crate) fn json(self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(|error| {
            Failure::new(ErrorKind::Internal, format!("no JSON can be made of it: {error}"))
        })?;
        self.text(&text);
        Ok(())
    }

    /// Gives out a text as it is.
    pub(crate) fn text(self, text: &str) {
        self.0.set(c_text(text).into_raw());
    }
}

/// The text as C has it. A NUL within becomes U+FFFD: whatever a target sends must not end a string early.
pub(crate) fn c_text(text: &str) -> CString {
    CString::new(text).unwrap_or_else(|_| CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default())
}
