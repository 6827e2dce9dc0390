//! The agent: one method a verb, JSON text in and out.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use casehook::{Case, Connector, ErrorKind, Filter, Options, PushId, PushState, Settings};
use pyo3::prelude::*;
use serde::Serialize;
use serde_json::json;

use crate::calls::{Failure, SLICE, call, detached, detached_at_exit, interruptible, is_exiting};

/// How long a look whether everything is delivered takes at most.
const LOOK: Duration = Duration::from_millis(50);

/// An open outbox. `casehook.Agent` is the class for programs.
#[pyclass(frozen, module = "casehook._native")]
pub(crate) struct Agent {
    /// There until the object goes.
    inner: Option<casehook::Agent>,
}

impl Agent {
    fn get(&self) -> Result<&casehook::Agent, Failure> {
        let gone = || Failure::new(ErrorKind::Closed, "the agent is gone");
        self.inner.as_ref().ok_or_else(gone)
    }

    /// The same agent, for a thread that may outlive the call.
    fn share(&self, py: Python<'_>) -> PyResult<casehook::Agent> {
        self.get().cloned().map_err(|failure| failure.raise(py))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // May wait for requests under way: never attached.
        let inner = self.inner.take();
        Python::try_attach(|py| py.detach(move || drop(inner)));
    }
}

#[pymethods]
impl Agent {
    #[new]
    #[allow(
        clippy::too_many_arguments,
        reason = "the caller is the package's own class, whose arguments have names"
    )]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        key: Option<[u8; 32]>,
        settings: Option<&str>,
        workers: usize,
        drain: bool,
        max_queued: u64,
        history_seconds: f64,
        history_count: u64,
        secret_env: Vec<String>,
        secret_dir: Option<PathBuf>,
        trust_location: bool,
        spool: Option<PathBuf>,
    ) -> PyResult<Agent> {
        let open = || {
            let age = duration(Some(history_seconds))?.unwrap_or(Duration::MAX);
            let mut options = Options::new()
                .workers(workers)
                .drain(drain)
                .max_queued(max_queued)
                .history(age, history_count)
                .allow_secret_env(secret_env)
                .trust_location(trust_location);
            if let Some(key) = key {
                options = options.key(key);
            }
            if let Some(settings) = settings {
                options = options.settings(Settings::from_json(settings)?);
            }
            if let Some(directory) = secret_dir {
                options = options.allow_secret_files(directory);
            }
            if let Some(file) = spool {
                options = options.spool(file);
            }
            Ok(casehook::Agent::open(path, options)?)
        };
        let inner = Some(call(py, open)?);
        Ok(Agent { inner })
    }

    /// The warnings, a JSON array.
    fn configure(&self, py: Python<'_>, name: &str, config: &str, secrets: Option<&str>) -> PyResult<String> {
        call(py, || {
            let connector = Connector::from_parts(config, secrets)?;
            text(&self.get()?.configure(name, &connector)?)
        })
    }

    fn connector(&self, py: Python<'_>, name: &str) -> PyResult<String> {
        call(py, || Ok(shown(&self.get()?.connector(name)?).to_string()))
    }

    fn connectors(&self, py: Python<'_>) -> PyResult<String> {
        call(py, || {
            let all: Vec<_> = self.get()?.connectors()?.iter().map(shown).collect();
            text(&all)
        })
    }

    fn remove(&self, py: Python<'_>, name: &str, cancel: bool) -> PyResult<()> {
        call(py, || match cancel {
            true => Ok(self.get()?.remove_cancelling(name)?),
            false => Ok(self.get()?.remove(name)?),
        })
    }

    /// A case by its parts, without a way over JSON; `fields` is a JSON object.
    #[allow(clippy::too_many_arguments, reason = "as `new`")]
    fn push(
        &self,
        py: Python<'_>,
        name: &str,
        title: &str,
        case_id: Option<&str>,
        description: Option<&str>,
        tags: Vec<String>,
        severity: Option<&str>,
        status: Option<&str>,
        comments: Vec<(String, String)>,
        external_id: Option<&str>,
        fields: Option<&str>,
        traceparent: Option<&str>,
    ) -> PyResult<i64> {
        call(py, || {
            let mut case = Case::new(title);
            case.id = case_id.map(str::to_owned);
            case.description = description.map(str::to_owned);
            case.tags = tags;
            case.severity = severity.map(str::to_owned);
            case.status = status.map(str::to_owned);
            for (id, text) in comments {
                case = case.comment(id, text);
            }
            if let Some(id) = external_id {
                case = case.external_id(id);
            }
            if let Some(fields) = fields {
                case.fields = read_fields(fields)?;
            }
            case.traceparent = traceparent.map(str::to_owned);
            Ok(self.get()?.push(name, &case)?.get())
        })
    }

    /// A case as the `params` object.
    fn push_json(&self, py: Python<'_>, name: &str, case: &str) -> PyResult<i64> {
        call(py, || Ok(self.get()?.push(name, &Case::from_json(case)?)?.get()))
    }

    fn push_many(&self, py: Python<'_>, name: &str, cases: Vec<String>) -> PyResult<Vec<i64>> {
        call(py, || {
            let read = |(place, case): (usize, &String)| {
                Case::from_json(case).map_err(|error| Failure {
                    field: Some(format!("cases[{place}].{}", error.field().unwrap_or("params"))),
                    ..error.into()
                })
            };
            let cases = cases
                .iter()
                .enumerate()
                .map(read)
                .collect::<Result<Vec<_>, _>>()?;
            let ids = self.get()?.push_many(name, &cases).map_err(placed)?;
            Ok(ids.into_iter().map(PushId::get).collect())
        })
    }

    fn status(&self, py: Python<'_>, id: i64) -> PyResult<String> {
        call(py, || text(&self.get()?.status(id.into())?))
    }

    fn attempts(&self, py: Python<'_>, id: i64) -> PyResult<String> {
        call(py, || text(&self.get()?.attempts(id.into())?))
    }

    /// One page, newest first.
    fn pushes(
        &self,
        py: Python<'_>,
        state: Option<&str>,
        connector: Option<&str>,
        case_id: Option<&str>,
        before: Option<i64>,
        limit: usize,
    ) -> PyResult<String> {
        call(py, || {
            let mut filter = Filter::new().limit(limit);
            filter.state = state.map(read_state).transpose()?;
            filter.connector = connector.map(str::to_owned);
            filter.case_id = case_id.map(str::to_owned);
            filter.before = before.map(PushId::from);
            text(&self.get()?.pushes(&filter)?)
        })
    }

    /// Waits in slices, so that a signal is handled in between. No time-out waits for ever.
    fn wait(&self, py: Python<'_>, id: i64, seconds: Option<f64>) -> PyResult<String> {
        let whole = duration(seconds).map_err(|failure| failure.raise(py))?;
        let deadline = whole.and_then(|whole| Instant::now().checked_add(whole));
        loop {
            let slice = left(deadline).map_or(SLICE, |left| left.min(SLICE));
            let waited = detached(py, || text(&self.get()?.wait(id.into(), slice)?));
            match waited {
                Err(failure) if failure.kind == ErrorKind::Timeout => {
                    py.check_signals()?;
                    if left(deadline).is_some_and(|left| left.is_zero()) {
                        return Err(failure.after(slice, whole.unwrap_or_default()).raise(py));
                    }
                }
                waited => return waited.map_err(|failure| failure.raise(py)),
            }
        }
    }

    /// Looks at many pushes without waiting: for each its status if it is settled, what it waits for if it is not (the
    /// first part says which), or the exception.
    fn poll<'py>(&self, py: Python<'py>, ids: Vec<i64>) -> PyResult<Vec<(bool, Bound<'py, PyAny>)>> {
        let look = |id: i64| match self.get()?.wait(id.into(), Duration::ZERO) {
            Ok(status) => Ok((true, text(&status)?)),
            Err(error) if error.kind() == ErrorKind::Timeout => Ok((false, error.message().to_owned())),
            Err(error) => Err(error.into()),
        };
        let looks: Vec<Result<(bool, String), Failure>> =
            call(py, || Ok(ids.into_iter().map(look).collect()))?;
        let told = |look: Result<(bool, String), Failure>| match look {
            Ok((settled, text)) => Ok((settled, text.into_pyobject(py)?.into_any())),
            Err(failure) => Ok((true, failure.raise(py).into_value(py).into_bound(py).into_any())),
        };
        looks.into_iter().map(told).collect()
    }

    /// As `wait`.
    fn flush(&self, py: Python<'_>, seconds: Option<f64>) -> PyResult<bool> {
        let whole = duration(seconds).map_err(|failure| failure.raise(py))?;
        let deadline = whole.and_then(|whole| Instant::now().checked_add(whole));
        loop {
            let slice = left(deadline).map_or(SLICE, |left| left.min(SLICE));
            match call(py, || self.flush_once(slice))? {
                Some(flushed) => return Ok(flushed),
                None => py.check_signals()?,
            }
            if left(deadline).is_some_and(|left| left.is_zero()) {
                return Ok(false);
            }
        }
    }

    /// Waits a short while: whether everything is delivered, or none when something still moves.
    fn poll_flush(&self, py: Python<'_>) -> PyResult<Option<bool>> {
        call(py, || self.flush_once(LOOK))
    }

    fn retry(&self, py: Python<'_>, id: i64) -> PyResult<()> {
        call(py, || Ok(self.get()?.retry(id.into())?))
    }

    fn cancel(&self, py: Python<'_>, id: i64) -> PyResult<()> {
        call(py, || Ok(self.get()?.cancel(id.into())?))
    }

    fn adopt(&self, py: Python<'_>, id: i64, external_id: &str) -> PyResult<()> {
        call(py, || Ok(self.get()?.adopt(id.into(), external_id)?))
    }

    fn discard(&self, py: Python<'_>, id: i64) -> PyResult<()> {
        call(py, || Ok(self.get()?.discard(id.into())?))
    }

    fn link(&self, py: Python<'_>, connector: &str, case_id: &str) -> PyResult<Option<String>> {
        call(py, || {
            let link = self.get()?.link(connector, case_id)?;
            link.as_ref().map(text).transpose()
        })
    }

    fn metrics_text(&self, py: Python<'_>) -> PyResult<String> {
        call(py, || Ok(self.get()?.metrics_text()?))
    }

    fn stats(&self, py: Python<'_>) -> PyResult<String> {
        call(py, || text(&self.get()?.stats()?))
    }

    fn preview(&self, py: Python<'_>, name: &str, case: &str) -> PyResult<String> {
        call(py, || text(&self.get()?.preview(name, &Case::from_json(case)?)?))
    }

    fn test(&self, py: Python<'_>, name: &str, case: &str) -> PyResult<String> {
        let (agent, name, case) = (self.share(py)?, name.to_owned(), case.to_owned());
        interruptible(py, move || text(&agent.test(&name, &Case::from_json(&case)?)?))
    }

    fn test_get(&self, py: Python<'_>, name: &str, external_id: &str) -> PyResult<String> {
        let (agent, name, id) = (self.share(py)?, name.to_owned(), external_id.to_owned());
        interruptible(py, move || text(&agent.test_get(&name, &id)?))
    }

    fn pause(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        call(py, || Ok(self.get()?.pause(name)?))
    }

    fn resume(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        call(py, || Ok(self.get()?.resume(name)?))
    }

    fn backup(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        call(py, || Ok(self.get()?.backup(path)?))
    }

    fn rekey(&self, py: Python<'_>, key: Option<[u8; 32]>) -> PyResult<()> {
        call(py, || Ok(self.get()?.rekey(key)?))
    }

    fn close(&self, py: Python<'_>, seconds: f64) -> PyResult<()> {
        let agent = self.share(py)?;
        let close = move || {
            let timeout = duration(Some(seconds))?.unwrap_or(Duration::from_secs(3600));
            Ok(agent.close(timeout)?)
        };
        match is_exiting() {
            true => detached_at_exit(py, close).map_err(|failure| failure.raise(py)),
            false => interruptible(py, close),
        }
    }
}

impl Agent {
    /// `Agent::flush` is false both when the time is up and, before that, when nothing moves by itself.
    fn flush_once(&self, slice: Duration) -> Result<Option<bool>, Failure> {
        let began = Instant::now();
        let flushed = self.get()?.flush(slice)?;
        Ok((flushed || began.elapsed() < slice).then_some(flushed))
    }
}

impl Failure {
    /// The text speaks of the slice that ended last; let it speak of the whole time.
    fn after(mut self, slice: Duration, whole: Duration) -> Failure {
        self.message = self
            .message
            .replacen(&format!(" after {slice:?}"), &format!(" after {whole:?}"), 1);
        self
    }
}

/// The library names the place of a case only among others.
fn placed(error: casehook::Error) -> Failure {
    let mut failure = Failure::from(error);
    let field = failure.field.as_deref().unwrap_or("incident");
    if failure.kind == ErrorKind::Case && !field.starts_with("cases[") {
        failure.field = Some(format!("cases[0].{field}"));
    }
    failure
}

fn read_fields(text: &str) -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
    serde_json::from_str(text).map_err(|error| Failure {
        field: Some("incident.fields".to_owned()),
        ..Failure::new(ErrorKind::Case, format!("this is no JSON object: {error}"))
    })
}

fn text(value: &impl Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string(value)?)
}

/// The document as it was given, without secrets, and what was let pass.
fn shown(connector: &Connector) -> serde_json::Value {
    let config: serde_json::Value = serde_json::from_str(&connector.config_json()).unwrap_or_default();
    json!({"name": connector.name(), "config": config, "warnings": connector.warnings()})
}

fn read_state(name: &str) -> Result<PushState, Failure> {
    PushState::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = PushState::ALL.iter().map(|state| state.as_str()).collect();
        Failure {
            field: Some("state".to_owned()),
            ..Failure::new(
                ErrorKind::Argument,
                format!("{name:?} is no state; there are: {}", names.join(", ")),
            )
        }
    })
}

/// Seconds as a duration; none for none, for infinity and beyond what a clock can hold.
fn duration(seconds: Option<f64>) -> Result<Option<Duration>, Failure> {
    match seconds {
        Some(seconds) if seconds.is_nan() || seconds < 0.0 => Err(Failure::new(
            ErrorKind::Argument,
            format!("{seconds} is no time-out; give seconds from 0 on, or a timedelta"),
        )),
        Some(seconds) => Ok(Duration::try_from_secs_f64(seconds).ok()),
        None => Ok(None),
    }
}

fn left(deadline: Option<Instant>) -> Option<Duration> {
    deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
}
