//! Every change to the files, in order, and what a power cut at any moment would have left of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One change. Files are numbered in the order in which they came up; a name that is deleted and made again is
/// another file.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum Event {
    /// A file came up: with what was in it before the recording, or none when it is new.
    Opened {
        path: PathBuf,
        file: usize,
        before: Option<Vec<u8>>,
    },
    Written {
        file: usize,
        offset: usize,
        bytes: Vec<u8>,
    },
    Truncated {
        file: usize,
        length: usize,
    },
    /// The file is on disk. `names`: its directory too, as SQLite does for a log that it may have made.
    Synced {
        file: usize,
        names: bool,
    },
    /// `synced`: the directory too.
    Deleted {
        path: PathBuf,
        synced: bool,
    },
}

/// How much survives of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Everything: the process died, the machine did not.
    All,
    /// Nothing.
    Synced,
    /// A choice that the number decides: whole writes, single sectors of them, or nothing, in any order.
    Torn(u64),
}

/// What happened to the files of a directory.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    events: Vec<Event>,
    names: BTreeMap<PathBuf, usize>,
    files: usize,
}

const SECTOR: usize = 512;

impl Recording {
    /// The changes, in order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The moments right after a sync.
    pub fn syncs(&self) -> Vec<usize> {
        (1..=self.events.len())
            .filter(|moment| matches!(self.events[moment - 1], Event::Synced { .. }))
            .collect()
    }

    /// Writes into `directory` the files that a cut at `moment` leaves, under their own names.
    pub fn cut(&self, moment: usize, keep: Keep, directory: &Path) -> std::io::Result<()> {
        let mut files: Vec<File> = Vec::new();
        let mut names = BTreeMap::<&Path, usize>::new();
        let mut names_on_disk = BTreeMap::<&Path, usize>::new();
        for event in self.events.iter().take(moment) {
            match event {
                Event::Opened { path, file, before } => {
                    files.push(File {
                        before: before.clone().unwrap_or_default(),
                        changes: Vec::new(),
                        synced: 0,
                    });
                    names.insert(path, *file);
                    if before.is_some() {
                        names_on_disk.insert(path, *file);
                    }
                }
                Event::Written { file, .. } | Event::Truncated { file, .. } => {
                    files[*file].changes.push(event);
                }
                Event::Synced { file, names: all } => {
                    files[*file].synced = files[*file].changes.len();
                    if *all {
                        names_on_disk.clone_from(&names);
                    }
                }
                Event::Deleted { path, synced } => {
                    names.remove(path.as_path());
                    if *synced {
                        names_on_disk.clone_from(&names);
                    }
                }
            }
        }
        let mut dice = Dice(match keep {
            Keep::Torn(seed) => seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            _ => 1,
        });
        let paths: std::collections::BTreeSet<&Path> =
            names.keys().chain(names_on_disk.keys()).copied().collect();
        for path in paths {
            let (now, on_disk) = (names.get(path), names_on_disk.get(path));
            let file = match keep {
                Keep::All => now,
                Keep::Synced => on_disk,
                Keep::Torn(_) if dice.below(2) == 0 => now,
                Keep::Torn(_) => on_disk,
            };
            if let (Some(&file), Some(name)) = (file, path.file_name()) {
                std::fs::write(directory.join(name), files[file].left(keep, &mut dice))?;
            }
        }
        Ok(())
    }

    /// The number of the file of that name, noting it if it is new. `before` reads what is in it.
    pub(crate) fn opened(&mut self, path: &Path, before: impl FnOnce() -> Option<Vec<u8>>) -> usize {
        if let Some(file) = self.names.get(path) {
            return *file;
        }
        let file = self.files;
        self.files += 1;
        self.names.insert(path.to_owned(), file);
        self.events.push(Event::Opened {
            path: path.to_owned(),
            file,
            before: before(),
        });
        file
    }

    pub(crate) fn push(&mut self, event: Event) {
        if let Event::Deleted { path, .. } = &event {
            self.names.remove(path);
        }
        self.events.push(event);
    }
}

struct File<'a> {
    before: Vec<u8>,
    changes: Vec<&'a Event>,
    /// How many of the changes are on disk.
    synced: usize,
}

impl File<'_> {
    fn left(&self, keep: Keep, dice: &mut Dice) -> Vec<u8> {
        let mut bytes = self.before.clone();
        for (place, change) in self.changes.iter().enumerate() {
            let safe = place < self.synced || keep == Keep::All;
            if !safe && keep == Keep::Synced {
                break;
            }
            let luck = if safe { 0 } else { dice.below(4) };
            match change {
                Event::Truncated { length, .. } if luck < 2 => bytes.resize(*length, 0),
                Event::Written {
                    offset, bytes: new, ..
                } => match luck {
                    0 => put(&mut bytes, *offset, new),
                    1 => {}
                    _ => {
                        for (sector, part) in new.chunks(SECTOR).enumerate() {
                            if dice.below(2) == 0 {
                                put(&mut bytes, offset + sector * SECTOR, part);
                            }
                        }
                    }
                },
                _ => {}
            }
        }
        bytes
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, new: &[u8]) {
    let end = offset + new.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(new);
}

/// Numbers that the same seed gives again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % bound
    }
}
