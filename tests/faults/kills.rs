//! The process is killed, at chosen calls to the file system, and started again.
