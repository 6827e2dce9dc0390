//! The facade: what a host program calls.

use std::path::Path;
use std::time::Duration;

use crate::connector::{Connector, Warning};
use crate::error::Result;
use crate::model::{Attempt, Case, Filter, Link, PushId, PushStatus, Request, Stats, TestReport};
use crate::options::Options;

/// An open outbox and, unless told otherwise, the threads that deliver it. `Send` and `Sync`; cheap to clone.
#[derive(Clone)]
pub struct Agent {}

#[allow(unused_variables)]
impl Agent {
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Agent> {
        unimplemented!()
    }
    pub fn configure(&self, name: &str, connector: &Connector) -> Result<Vec<Warning>> {
        unimplemented!()
    }
    /// Secrets left out.
    pub fn connector(&self, name: &str) -> Result<Connector> {
        unimplemented!()
    }
    /// Names and documents, by name.
    pub fn connectors(&self) -> Result<Vec<Connector>> {
        unimplemented!()
    }
    pub fn remove(&self, name: &str) -> Result<()> {
        unimplemented!()
    }
    pub fn remove_cancelling(&self, name: &str) -> Result<()> {
        unimplemented!()
    }
    pub fn push(&self, name: &str, case: &Case) -> Result<PushId> {
        unimplemented!()
    }
    pub fn push_many(&self, name: &str, cases: &[Case]) -> Result<Vec<PushId>> {
        unimplemented!()
    }
    pub fn status(&self, id: PushId) -> Result<PushStatus> {
        unimplemented!()
    }
    pub fn attempts(&self, id: PushId) -> Result<Vec<Attempt>> {
        unimplemented!()
    }
    pub fn pushes(&self, filter: &Filter) -> Result<Vec<PushStatus>> {
        unimplemented!()
    }
    /// `Timeout` error when the push is still under way by then.
    pub fn wait(&self, id: PushId, timeout: Duration) -> Result<PushStatus> {
        unimplemented!()
    }
    pub fn flush(&self, timeout: Duration) -> Result<bool> {
        unimplemented!()
    }
    pub fn retry(&self, id: PushId) -> Result<()> {
        unimplemented!()
    }
    pub fn cancel(&self, id: PushId) -> Result<()> {
        unimplemented!()
    }
    pub fn adopt(&self, id: PushId, external_id: &str) -> Result<()> {
        unimplemented!()
    }
    pub fn discard(&self, id: PushId) -> Result<()> {
        unimplemented!()
    }
    pub fn link(&self, connector: &str, case_id: &str) -> Result<Option<Link>> {
        unimplemented!()
    }
    pub fn stats(&self) -> Result<Stats> {
        unimplemented!()
    }
    pub fn preview(&self, name: &str, case: &Case) -> Result<Vec<Request>> {
        unimplemented!()
    }
    pub fn test(&self, name: &str, case: &Case) -> Result<TestReport> {
        unimplemented!()
    }
    pub fn pause(&self, name: &str) -> Result<()> {
        unimplemented!()
    }
    pub fn resume(&self, name: &str) -> Result<()> {
        unimplemented!()
    }
    pub fn backup(&self, path: impl AsRef<Path>) -> Result<()> {
        unimplemented!()
    }
    pub fn close(&self, timeout: Duration) -> Result<()> {
        unimplemented!()
    }
}
