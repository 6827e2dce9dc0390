//! The file system that SQLite sees: its own for unix, with a word before each call. All of the `unsafe` is here.

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_io_methods, sqlite3_vfs};

use crate::plan::{Call, Effect};
use crate::recording::Event;
use crate::{State, disk_of, lock};

/// SQLite's own file system, as it was the default before.
struct Original(*mut sqlite3_vfs);

// SAFETY: SQLite's file systems are static, are never changed after their registration here, and are made to be
// called from any thread.
unsafe impl Send for Original {}
// SAFETY: as above.
unsafe impl Sync for Original {}

static ORIGINAL: OnceLock<Original> = OnceLock::new();

/// Makes this the file system of every connection that is opened from now on.
pub(crate) fn register() {
    ORIGINAL.get_or_init(|| {
        // SAFETY: a null name asks for the default; SQLite initialises itself. What it returns lives for ever.
        let original = unsafe { ffi::sqlite3_vfs_find(std::ptr::null()) };
        assert!(!original.is_null(), "SQLite has a default file system");
        // SAFETY: it is not null, see above, and nobody writes to it meanwhile: a test process registers once.
        let mut own = unsafe { std::ptr::read(original) };
        own.zName = c"casehook-test".as_ptr();
        own.pNext = std::ptr::null_mut();
        own.szOsFile += size_of::<Shim>() as c_int;
        own.xOpen = Some(open);
        own.xDelete = Some(delete);
        own.xAccess = Some(access);
        // What is left of the original works with any `sqlite3_vfs` that carries the same `pAppData`, which the
        // copy does. It is leaked: SQLite keeps the pointer for ever.
        let own = Box::leak(Box::new(own));
        // SAFETY: `own` is whole and lives for ever.
        let code = unsafe { ffi::sqlite3_vfs_register(own, 1) };
        assert_eq!(code, ffi::SQLITE_OK, "SQLite takes the file system");
        Original(original)
    });
}

fn original() -> *mut sqlite3_vfs {
    ORIGINAL.get().map_or(std::ptr::null_mut(), |original| original.0)
}

/// The kinds of file whose directory SQLite syncs with them.
const LOGS: c_int = ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL;

/// An open file. SQLite gives memory for `szOsFile` bytes: this, and behind it the original's own structure.
/// Its size is a multiple of 8, the alignment that SQLite's memory has.
#[repr(C)]
struct Shim {
    base: sqlite3_file,
    /// From `Arc::into_raw`; null for a file in nobody's charge.
    disk: *const State,
    /// Its number in the recording.
    file: usize,
    /// The next sync is that of its directory too: SQLite does this at the first sync of a log that it may have made.
    new_name: AtomicBool,
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    // 2: shared memory for the write-ahead log, no memory-mapped reading, so that every read is seen.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(file_lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Calls a method of the original on the original's part of a file.
macro_rules! pass {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        let inner = inner($file);
        // SAFETY: SQLite calls methods on open files only, and an open file's original part has its methods and
        // stays where it is. The arguments are those that SQLite gave for the same method.
        unsafe {
            match (*(*inner).pMethods).$method {
                Some(method) => method(inner $(, $argument)*),
                None => ffi::SQLITE_IOERR,
            }
        }
    }};
}

fn inner(file: *mut sqlite3_file) -> *mut sqlite3_file {
    file.cast::<Shim>().wrapping_add(1).cast()
}

/// What is in charge of an open file, and its number.
fn disk<'a>(file: *mut sqlite3_file) -> Option<(&'a State, usize)> {
    // SAFETY: SQLite calls methods on open files only; `open` wrote a whole Shim there, and `close` alone ends it.
    let shim = unsafe { &*file.cast::<Shim>() };
    // SAFETY: the pointer is null or holds a reference count of its own until `close`.
    unsafe { shim.disk.as_ref() }.map(|state| (state, shim.file))
}

/// What the call is to meet. Does not return when that is death before its work.
fn enter(state: &State, call: Call) -> Option<Effect> {
    let effect = lock(&state.plan).enter(call);
    if effect == Some(Effect::Kill) {
        die();
    }
    effect
}

fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort()
}

fn note(state: &State, event: impl FnOnce() -> Event) {
    if let Some(recording) = &mut *lock(&state.recording) {
        recording.push(event());
    }
}

/// A call that can only fail, die or be done.
fn plain(state: Option<&State>, call: Call, work: impl FnOnce() -> c_int) -> c_int {
    match state.and_then(|state| enter(state, call)) {
        Some(Effect::Fail(code) | Effect::Half(code)) => code,
        Some(Effect::Kill | Effect::KillHalfway) => {
            work();
            die()
        }
        None => work(),
    }
}

fn path<'a>(name: *const c_char) -> Option<&'a Path> {
    if name.is_null() {
        return None;
    }
    // SAFETY: SQLite gives names as text that ends with a null, valid for the call at least.
    let name = unsafe { CStr::from_ptr(name) };
    Some(Path::new(OsStr::from_bytes(name.to_bytes())))
}

unsafe extern "C" fn open(
    _vfs: *mut sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let inner = inner(file);
    // SAFETY: SQLite gave `szOsFile` bytes at `file`: a Shim and the original's structure behind it. A null
    // `pMethods` says that there is nothing to close.
    unsafe {
        (*file).pMethods = std::ptr::null();
        (*inner).pMethods = std::ptr::null();
    }
    let path = path(name);
    let state = path.and_then(disk_of);
    // Read before SQLite opens it: closing a descriptor later would drop SQLite's locks.
    let number = match (&state, path) {
        (Some(state), Some(path)) => {
            let mut recording = lock(&state.recording);
            let recording = recording.as_mut();
            recording.map(|recording| recording.opened(path, || std::fs::read(path).ok()))
        }
        _ => None,
    };
    let code = plain(state.as_deref(), Call::Open, || {
        let vfs = original();
        // SAFETY: the original gets itself, the name with what SQLite keeps around it, and its part of the memory.
        unsafe {
            match (*vfs).xOpen {
                Some(open) => open(vfs, name, inner, flags, out),
                None => ffi::SQLITE_CANTOPEN,
            }
        }
    });
    // SAFETY: as above; the original set `pMethods` when there is something to close, also after an error.
    unsafe {
        if !(*inner).pMethods.is_null() {
            file.cast::<Shim>().write(Shim {
                base: sqlite3_file { pMethods: &METHODS },
                disk: state.map_or(std::ptr::null(), Arc::into_raw),
                file: number.unwrap_or(0),
                new_name: AtomicBool::new(flags & ffi::SQLITE_OPEN_CREATE != 0 && flags & LOGS != 0),
            });
        }
    }
    code
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let code = pass!(file, xClose);
    // SAFETY: the pointer came from `Arc::into_raw` in `open`, and SQLite closes a file once.
    unsafe {
        let shim = &mut *file.cast::<Shim>();
        if !shim.disk.is_null() {
            drop(Arc::from_raw(shim.disk));
        }
        shim.disk = std::ptr::null();
        shim.base.pMethods = std::ptr::null();
    }
    code
}

unsafe extern "C" fn delete(_vfs: *mut sqlite3_vfs, name: *const c_char, sync_directory: c_int) -> c_int {
    let state = path(name).and_then(disk_of);
    let code = plain(state.as_deref(), Call::Delete, || {
        let vfs = original();
        // SAFETY: the original gets itself and SQLite's arguments.
        unsafe {
            match (*vfs).xDelete {
                Some(delete) => delete(vfs, name, sync_directory),
                None => ffi::SQLITE_IOERR_DELETE,
            }
        }
    });
    if let (ffi::SQLITE_OK, Some(state), Some(path)) = (code, state, path(name)) {
        note(&state, || Event::Deleted {
            path: path.to_owned(),
            synced: sync_directory != 0,
        });
    }
    code
}

unsafe extern "C" fn access(
    _vfs: *mut sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let state = path(name).and_then(disk_of);
    plain(state.as_deref(), Call::Access, || {
        let vfs = original();
        // SAFETY: the original gets itself and SQLite's arguments.
        unsafe {
            match (*vfs).xAccess {
                Some(access) => access(vfs, name, flags, out),
                None => ffi::SQLITE_IOERR_ACCESS,
            }
        }
    })
}

unsafe extern "C" fn read(file: *mut sqlite3_file, to: *mut c_void, length: c_int, offset: i64) -> c_int {
    plain(disk(file).map(|(state, _)| state), Call::Read, || {
        pass!(file, xRead, to, length, offset)
    })
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    from: *const c_void,
    length: c_int,
    offset: i64,
) -> c_int {
    let Some((state, number)) = disk(file) else {
        return pass!(file, xWrite, from, length, offset);
    };
    let effect = enter(state, Call::Write);
    let length = match effect {
        Some(Effect::Fail(code)) => return code,
        Some(Effect::Half(_) | Effect::KillHalfway) => length / 2,
        _ => length,
    };
    let code = pass!(file, xWrite, from, length, offset);
    if code == ffi::SQLITE_OK {
        let length = usize::try_from(length).unwrap_or(0);
        // SAFETY: SQLite gave at least so many bytes to be written.
        let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), length) };
        note(state, || Event::Written {
            file: number,
            offset: usize::try_from(offset).unwrap_or(0),
            bytes: bytes.to_vec(),
        });
    }
    match effect {
        Some(Effect::Half(code)) => code,
        Some(Effect::KillHalfway) => die(),
        _ => code,
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, length: i64) -> c_int {
    let Some((state, number)) = disk(file) else {
        return pass!(file, xTruncate, length);
    };
    let code = plain(Some(state), Call::Truncate, || pass!(file, xTruncate, length));
    if code == ffi::SQLITE_OK {
        note(state, || Event::Truncated {
            file: number,
            length: usize::try_from(length).unwrap_or(0),
        });
    }
    code
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    let Some((state, number)) = disk(file) else {
        return pass!(file, xSync, flags);
    };
    let code = plain(Some(state), Call::Sync, || pass!(file, xSync, flags));
    if code == ffi::SQLITE_OK {
        // SAFETY: as in `disk`.
        let names = unsafe { &*file.cast::<Shim>() }
            .new_name
            .swap(false, Ordering::Relaxed);
        note(state, || Event::Synced { file: number, names });
    }
    code
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, size: *mut i64) -> c_int {
    plain(disk(file).map(|(state, _)| state), Call::Size, || {
        pass!(file, xFileSize, size)
    })
}

unsafe extern "C" fn file_lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    plain(disk(file).map(|(state, _)| state), Call::Lock, || {
        pass!(file, xLock, level)
    })
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    pass!(file, xUnlock, level)
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    pass!(file, xCheckReservedLock, out)
}

unsafe extern "C" fn file_control(file: *mut sqlite3_file, operation: c_int, argument: *mut c_void) -> c_int {
    pass!(file, xFileControl, operation, argument)
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    pass!(file, xSectorSize)
}

unsafe extern "C" fn device_characteristics(file: *mut sqlite3_file) -> c_int {
    pass!(file, xDeviceCharacteristics)
}

unsafe extern "C" fn shm_map(
    file: *mut sqlite3_file,
    region: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    plain(disk(file).map(|(state, _)| state), Call::ShmMap, || {
        pass!(file, xShmMap, region, size, extend, out)
    })
}

unsafe extern "C" fn shm_lock(file: *mut sqlite3_file, offset: c_int, count: c_int, flags: c_int) -> c_int {
    // A lock that is given back is not refused, as on any file system.
    let state = disk(file)
        .map(|(state, _)| state)
        .filter(|_| flags & ffi::SQLITE_SHM_LOCK != 0);
    plain(state, Call::ShmLock, || {
        pass!(file, xShmLock, offset, count, flags)
    })
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    let inner = inner(file);
    // SAFETY: as in `pass!`, for a method that returns nothing.
    unsafe {
        if let Some(barrier) = (*(*inner).pMethods).xShmBarrier {
            barrier(inner);
        }
    }
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, delete: c_int) -> c_int {
    pass!(file, xShmUnmap, delete)
}
