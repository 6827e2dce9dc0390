//! `casehook_options`: how an agent is opened.

use std::ffi::c_char;
use std::ptr;
use std::time::Duration;

use casehook_rs::{Options, Settings};

use crate::error::{casehook_error, fallible};
use crate::failure::Failure;
use crate::guard::plain;
use crate::input::{self, text};
use crate::result::casehook_result;

/// How an agent is opened. A new one holds the defaults, which are right for most programs.
pub struct casehook_options {
    options: Options,
}

impl casehook_options {
    pub(crate) fn get(&self) -> Options {
        self.options.clone()
    }
}

/// Changes options, unless `change` fails.
///
/// # Safety
/// `options` is NULL or live and used by no other thread; `err` can be written or is NULL.
unsafe fn set(
    options: *mut casehook_options,
    err: *mut *mut casehook_error,
    change: impl FnOnce(Options) -> Result<Options, Failure>,
) -> casehook_result {
    // SAFETY: as the caller promises.
    unsafe {
        fallible(err, || {
            let options = options.as_mut().ok_or_else(|| Failure::null("options"))?;
            options.options = change(options.options.clone())?;
            Ok(())
        })
    }
}

/// The defaults: four workers that deliver, the key from CASEHOOK_KEY or a key file beside the database.
///
/// Ownership: the caller's, for casehook_options_free(). Threads: any. Errors: NULL only at a fault of casehook's own.
#[unsafe(no_mangle)]
pub extern "C" fn casehook_options_new() -> *mut casehook_options {
    plain(ptr::null_mut(), || {
        let options = Options::new();
        Box::into_raw(Box::new(casehook_options { options }))
    })
}

/// Frees options; NULL is ignored. Agents that were opened with them keep what they need.
///
/// Ownership: takes the options. Threads: any, once. Errors: none.
///
/// # Safety
/// `options` is NULL or live, and no other call uses it now or later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_options_free(options: *mut casehook_options) {
    plain((), || {
        if !options.is_null() {
            // SAFETY: made by `Box::into_raw` in `casehook_options_new`, and freed once, as the caller promises.
            drop(unsafe { Box::from_raw(options) });
        }
    });
}

/// The key that encrypts stored secrets: `length` bytes, exactly 32. In place of CASEHOOK_KEY and the key file.
///
/// Ownership: the key is copied, and the copy wiped when no longer needed. Threads: one at a time for one object.
/// Errors: ARGUMENT.
///
/// # Safety
/// `options` is NULL or live and used by no other thread, `key` NULL or `length` bytes, `err` can be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_options_set_key(
    options: *mut casehook_options,
    key: *const u8,
    length: usize,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        set(options, err, |options| {
            if key.is_null() {
                return Err(Failure::null("key"));
            }
            Ok(options.key(input::key(key, length)?))
        })
    }
}

/// Settings that hold for every connector, as a JSON object: allowedHosts, responseTimeout and so on.
///
/// Ownership: the text is only read. Threads: one at a time for one object. Errors: CONFIG names the setting, ARGUMENT.
///
/// # Safety
/// `options` is NULL or live and used by no other thread, `json` NULL or a string, `err` can be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_options_set_settings_json(
    options: *mut casehook_options,
    json: *const c_char,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        set(options, err, |options| {
            Ok(options.settings(Settings::from_json(text!(json))?))
        })
    }
}

/// How many threads deliver at once: 1 to 64, 4 by default. casehook_open() refuses other numbers.
///
/// Ownership: takes none. Threads: one at a time for one object. Errors: ARGUMENT.
///
/// # Safety
/// `options` is NULL or live and used by no other thread, `err` can be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_options_set_workers(
    options: *mut casehook_options,
    workers: u32,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        set(options, err, |options| {
            Ok(options.workers(usize::try_from(workers).unwrap_or(usize::MAX)))
        })
    }
}

/// Whether the agent delivers (the default) or only stores and reads, for another process to deliver.
///
/// Ownership: takes none. Threads: one at a time for one object. Errors: ARGUMENT.
///
/// # Safety
/// `options` is NULL or live and used by no other thread, `err` can be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_options_set_drain(
    options: *mut casehook_options,
    drain: bool,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe { set(options, err, |options| Ok(options.drain(drain))) }
}

/// How many undelivered pushes the outbox may hold, 1,000,000 by default; held and failed ones count.
///
/// Ownership: takes none. Threads: one at a time for one object. Errors: ARGUMENT.
///
/// # Safety
/// `options` is NULL or live and used by no other thread, `err` can be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_options_set_max_queued(
    options: *mut casehook_options,
    count: u64,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe { set(options, err, |options| Ok(options.max_queued(count))) }
}

/// How long (in seconds, 30 days by default) and how many (100,000 by default) delivered, superseded and cancelled pushes
/// are kept.
///
/// Ownership: takes none. Threads: one at a time for one object. Errors: ARGUMENT.
///
/// # Safety
/// `options` is NULL or live and used by no other thread, `err` can be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_options_set_history(
    options: *mut casehook_options,
    age_s: u64,
    count: u64,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        set(options, err, |options| {
            Ok(options.history(Duration::from_secs(age_s), count))
        })
    }
}

/// The names of the environment variables that a connector's secrets may refer to; none by default.
///
/// Ownership: the `count` names are copied. Threads: one at a time for one object. Errors: ARGUMENT.
///
/// # Safety
/// `options` is NULL or live and used by no other thread, `names` has `count` strings, `err` can be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_options_set_secret_env(
    options: *mut casehook_options,
    names: *const *const c_char,
    count: usize,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        set(options, err, |options| {
            let names = input::array(names, count, "names")?.iter().enumerate();
            let names = names.map(|(place, name)| input::required_text(*name, &format!("names[{place}]")));
            Ok(options.allow_secret_env(names.collect::<Result<Vec<_>, _>>()?))
        })
    }
}

/// The directory below which a connector's secrets may refer to files; none by default.
///
/// Ownership: the text is copied. Threads: one at a time for one object. Errors: ARGUMENT.
///
/// # Safety
/// `options` is NULL or live and used by no other thread, `path` NULL or a string, `err` can be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_options_set_secret_dir(
    options: *mut casehook_options,
    path: *const c_char,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        set(
            options,
            err,
            |options| Ok(options.allow_secret_files(text!(path))),
        )
    }
}

/// Whether a database may belong to another user, or lie in or below a folder that anybody may write to; false by default,
/// since whoever can put files there can replace it.
///
/// Ownership: takes none. Threads: one at a time for one object. Errors: ARGUMENT.
///
/// # Safety
/// `options` is NULL or live and used by no other thread, `err` can be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_options_set_trust_location(
    options: *mut casehook_options,
    trust: bool,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe { set(options, err, |options| Ok(options.trust_location(trust))) }
}

/// With an outbox in PostgreSQL: the file that takes pushes while the server cannot be reached, and forwards them in order,
/// each once, when it can. None by default: a push then fails with BUSY. Their numbers are negative and stay valid.
/// casehook_open() refuses a spool before a file.
///
/// Ownership: the text is copied. Threads: one at a time for one object. Errors: ARGUMENT.
///
/// # Safety
/// `options` is NULL or live and used by no other thread, `path` NULL or a string, `err` can be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_options_set_spool(
    options: *mut casehook_options,
    path: *const c_char,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe { set(options, err, |options| Ok(options.spool(text!(path)))) }
}
