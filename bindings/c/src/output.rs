//! Values on their way out to the caller.

use std::ffi::c_char;
use std::ptr;

use casehook_rs::ErrorKind;
use serde::Serialize;

use crate::failure::Failure;
use crate::text::c_text;

/// What an output holds as long as there is nothing to give out.
pub(crate) trait Neutral {
    const NEUTRAL: Self;
}

impl<T> Neutral for *mut T {
    const NEUTRAL: Self = ptr::null_mut();
}

impl Neutral for i64 {
    const NEUTRAL: Self = 0;
}

impl Neutral for bool {
    const NEUTRAL: Self = false;
}

/// A place of the caller's for one output. It holds its neutral value until it is set.
pub(crate) struct Out<T>(*mut T);

impl<T: Neutral> Out<T> {
    /// # Safety
    /// `place` is NULL or can be written until the call ends.
    pub(crate) unsafe fn new(place: *mut T, name: &str) -> Result<Out<T>, Failure> {
        if place.is_null() {
            return Err(Failure::null(name));
        }
        // SAFETY: not NULL, and can be written, as the caller promises.
        unsafe { place.write(T::NEUTRAL) };
        Ok(Out(place))
    }

    pub(crate) fn set(self, value: T) {
        // SAFETY: `new` checked it, and the call has not ended.
        unsafe { self.0.write(value) };
    }
}

/// The JSON of a value as a string that becomes the caller's.
pub(crate) fn json(value: &impl Serialize) -> Result<*mut c_char, Failure> {
    let text = serde_json::to_string(value)
        .map_err(|error| Failure::new(ErrorKind::Internal, format!("no JSON can be made of it: {error}")))?;
    Ok(c_text(&text).into_raw())
}
