//! One core per database file and process: a second open shares it, and a fork never does.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::core::Core;
use super::place::{self, Place};
use crate::error::{Error, ErrorKind, Result};
use crate::process::fork;

/// One database file: whoever opens or closes its core holds the lock meanwhile.
#[derive(Default)]
pub(super) struct Slot {
    core: Mutex<Weak<Core>>,
}

type Slots = Mutex<HashMap<Place, Arc<Slot>>>;

// A fork copies the registry in whatever state it is in, possibly locked by a thread that the child does not have. The
// child therefore starts with the next one of these; more than this many forks of forks would meet an old one again.
const GENERATIONS: usize = 32;
static REGISTRIES: [std::sync::LazyLock<Slots>; GENERATIONS] =
    [const { std::sync::LazyLock::new(Slots::default) }; GENERATIONS];
/// The process that the present generation belongs to, and the generation: pid << 32 | generation.
static OWNER: AtomicU64 = AtomicU64::new(0);

fn registry() -> &'static Slots {
    let pid = u64::from(std::process::id());
    let advance = |owner: u64| match owner >> 32 {
        same if same == pid => None,
        0 => Some(pid << 32),
        _ => Some((pid << 32) | ((owner & 0xffff_ffff).wrapping_add(1) % GENERATIONS as u64)),
    };
    let owner = match OWNER.fetch_update(Ordering::AcqRel, Ordering::Acquire, advance) {
        Ok(_) => OWNER.load(Ordering::Acquire),
        Err(unchanged) => unchanged,
    };
    let generation = usize::try_from(owner & 0xffff_ffff).unwrap_or(0);
    &REGISTRIES[generation % GENERATIONS]
}

/// The slot of the database at `path`, whatever way the path is spelled.
///
/// # Errors
/// `Forked` where the process was forked with this database open, or at a moment at which none can be opened.
pub(super) fn slot(path: &Path) -> Result<(Place, Arc<Slot>)> {
    let place = match place::url(path) {
        // A forked child makes connections of its own, whatever its parent has open.
        Some(url) => Place::Server(url.to_owned()),
        None => {
            place::refuse_url(path)?;
            Place::File(file(path)?)
        }
    };
    let mut slots = registry().lock().unwrap_or_else(PoisonError::into_inner);
    let slot = Arc::clone(slots.entry(place.clone()).or_default());
    Ok((place, slot))
}

fn file(path: &Path) -> Result<PathBuf> {
    if !fork::is_whole() {
        let message = "this process was forked while a thread of the parent was inside SQLite, and opening a database \
                       would hang; let the parent call casehook::fork around the fork, fork before opening, or start the \
                       child as a new program";
        return Err(Error::new(ErrorKind::Forked, message));
    }
    let path = resolve(path)?;
    if is_inherited(&path) {
        let message = format!(
            "{} was open when this process was forked; SQLite would take the parent's locks for its own here, and lose \
             what is stored. Fork first and open then, or start the child as a new program",
            path.display()
        );
        return Err(Error::new(ErrorKind::Forked, message).at("path"));
    }
    Ok(path)
}

/// Whether a parent of this process had the database open at the fork, or was opening or closing it.
fn is_inherited(path: &Path) -> bool {
    registry();
    let generation = usize::try_from(OWNER.load(Ordering::Acquire) & 0xffff_ffff).unwrap_or(0);
    REGISTRIES.iter().take(generation).any(|inherited| {
        // Locked by a thread that is not in this process: nothing can be known.
        let Ok(slots) = inherited.try_lock() else {
            return true;
        };
        slots
            .get(&Place::File(path.to_owned()))
            .is_some_and(|slot| match slot.core.try_lock() {
                Ok(core) => core.upgrade().is_some_and(|core| {
                    let open = core.has_open_files();
                    // It is the parent's: nothing of it may be dropped here.
                    std::mem::forget(core);
                    open
                }),
                Err(_) => true,
            })
    })
}

impl Slot {
    pub(super) fn lock(&self) -> MutexGuard<'_, Weak<Core>> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn resolve(path: &Path) -> Result<PathBuf> {
    let Some(name) = path.file_name() else {
        let message = format!(
            "{:?} does not name a file; give the path of the database",
            path.display()
        );
        return Err(Error::new(ErrorKind::Argument, message).at("path"));
    };
    if let Ok(whole) = path.canonicalize() {
        return Ok(whole);
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let folder = folder.canonicalize().map_err(|error| {
        let message = format!(
            "the folder {} cannot be used: {error}; create it first",
            folder.display()
        );
        Error::new(ErrorKind::Store, message).at("path")
    })?;
    Ok(folder.join(name))
}
