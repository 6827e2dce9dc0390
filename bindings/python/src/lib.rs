//! `casehook._native`: the library as Python sees it, one thin class. Everything Pythonic is in the Python package.
//!
//! Documents and results cross as JSON text, the same as in every other language. Whatever can block runs detached from
//! the interpreter, and no thread of the library ever calls into it.

mod agent;
mod calls;
mod cli;
mod logs;
mod presets;

use pyo3::prelude::*;

// The library is safe for use from many threads at once, and so is this module as far as can be told from its code; but
// it is not tested on a free-threaded interpreter. There, importing it turns the global lock on.
#[pymodule(gil_used = true)]
mod _native {
    #[pymodule_export]
    use super::agent::Agent;
    #[pymodule_export]
    use super::calls::{
        after_fork_in_child, after_fork_in_parent, await_calls, before_fork, begin_exit, panic_now,
    };
    #[pymodule_export]
    use super::cli::{StopFlag, run_cli};
    #[pymodule_export]
    use super::logs::{next_lines, set_log_level, start_log, stop_log};
    #[pymodule_export]
    use super::presets::{preset, presets};

    /// The release, such as `0.1.0`.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}
