//! No panic leaves the library.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use casehook_rs::ErrorKind;

use crate::failure::Failure;

/// Runs what can fail; a panic is a failure too, after `panicked`.
pub(crate) fn fenced<T>(
    body: impl FnOnce() -> Result<T, Failure>,
    panicked: impl FnOnce(),
) -> Result<T, Failure> {
    // What a panic may leave half done is put out of reach by `panicked`.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        panicked();
        Err(fault(payload))
    })
}

/// Runs an export that cannot fail; `fallback` is the answer should it panic.
pub(crate) fn plain<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        std::mem::forget(payload);
        fallback
    })
}

fn fault(payload: Box<dyn Any + Send>) -> Failure {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    // The drop of an unknown payload could panic in its turn.
    std::mem::forget(payload);
    Failure::new(
        ErrorKind::Internal,
        format!("casehook ran into a fault of its own: {text}"),
    )
}
