//! Has the system tell casehook of every fork of this process, so that a child can open a database of its own.

use std::ffi::c_int;
use std::sync::Once;

unsafe extern "C" {
    fn pthread_atfork(
        prepare: Option<extern "C" fn()>,
        parent: Option<extern "C" fn()>,
        child: Option<extern "C" fn()>,
    ) -> c_int;
}

/// Registers once; what is registered stays until the library is unloaded.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    // Short of memory, a fork goes unnoticed: then a child may be refused a database, which says so.
    // SAFETY: the functions are there as long as the library is, and neither panic nor allocate.
    ONCE.call_once(|| unsafe {
        pthread_atfork(Some(before), Some(after_in_parent), Some(after_in_child));
    });
}

extern "C" fn before() {
    casehook_rs::fork::before();
}

extern "C" fn after_in_parent() {
    casehook_rs::fork::after_in_parent();
}

extern "C" fn after_in_child() {
    casehook_rs::fork::after_in_child();
}
