//! The command line as a function: [`run`] takes arguments and gives back an exit code.
//!
//! It uses the public API alone, so that every binding can offer the same verbs.

mod args;
mod connectors;
mod database;
mod deliver;
mod demo;
mod doctor;
mod duration;
mod failure;
mod import;
mod input;
mod logger;
mod out;
mod presets;
mod progress;
mod pushes;
mod rekey;
mod shell;
mod show;
mod terminal;
mod trial;
mod watch;

use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use clap::Parser;
use log::LevelFilter;

use crate::{Agent, ErrorKind, Options, Settings};
use args::{Cli, Global, Verb};
use failure::Failure;
use out::Out;

/// How long a command that is stopped waits for exchanges under way.
const CLOSE: Duration = Duration::from_secs(5);

/// Asks a running command to stop. Clones share the request.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<(Mutex<bool>, Condvar)>);

impl StopFlag {
    /// A flag that is not raised.
    pub fn new() -> StopFlag {
        StopFlag::default()
    }

    /// Raises it for good. Not for use inside a signal handler: it takes a lock.
    pub fn stop(&self) {
        let (stopped, changed) = &*self.0;
        *stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    /// Whether it was raised.
    pub fn is_stopped(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is raised, at most so long; whether it is.
    pub fn wait(&self, timeout: Duration) -> bool {
        let (stopped, changed) = &*self.0;
        let guard = stopped.lock().unwrap_or_else(PoisonError::into_inner);
        *changed
            .wait_timeout_while(guard, timeout, |stopped| !*stopped)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
}

/// Runs one command. The first argument is the program's name; the result is the exit code: 0 ok, 1 a push failed or
/// something was refused, 2 usage, 3 the database cannot be used.
///
/// Reads standard input where a file is `-`, writes to standard output and standard error, installs no signal handler.
pub fn run<I, T>(args: I) -> i32
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    run_with(args, &StopFlag::new())
}

/// The same, with a flag that stops `run`, `drain`, `wait` and `demo` gracefully when it is raised.
pub fn run_with<I, T>(args: I, stop: &StopFlag) -> i32
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    match Cli::try_parse_from(&args) {
        Ok(cli) => run_parsed(&cli, stop),
        Err(error) => refuse(&error, args.iter().any(|arg| arg == "--json")),
    }
}

fn run_parsed(cli: &Cli, stop: &StopFlag) -> i32 {
    logger::start(log_level(cli));
    let mut session = Session {
        global: &cli.global,
        out: Out::new(cli.global.json),
        stop,
    };
    let code = dispatch(&mut session, &cli.verb).unwrap_or_else(|failure| {
        report(&mut session.out, &failure);
        failure.exit_code()
    });
    match session.out.finish() {
        Ok(()) => code,
        Err(failure) => {
            out::note(&format!("casehook: {}", failure.text()));
            failure.exit_code().max(code)
        }
    }
}

fn log_level(cli: &Cli) -> LevelFilter {
    match (cli.global.verbose, matches!(cli.verb, Verb::Run)) {
        (0, false) => LevelFilter::Off,
        (0, true) | (1, false) => LevelFilter::Info,
        (1, true) | (2, _) => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    }
}

fn dispatch(session: &mut Session<'_>, verb: &Verb) -> Result<i32, Failure> {
    match verb {
        Verb::Demo => demo::run(session),
        Verb::Configure { name, file, secrets } => {
            connectors::configure(session, name, file, secrets.as_deref())
        }
        Verb::Connectors => session.reading(connectors::list),
        Verb::Connector { name } => session.reading(|s, agent| connectors::show(s, agent, name)),
        Verb::Remove { name, cancel } => {
            session.reading(|s, agent| connectors::remove(s, agent, name, *cancel))
        }
        Verb::Pause { name } => session.reading(|s, agent| connectors::pause(s, agent, name)),
        Verb::Resume { name } => session.reading(|s, agent| connectors::resume(s, agent, name)),
        Verb::Test {
            name,
            get_only: Some(id),
            ..
        } => trial::look(session, name, id),
        Verb::Test { name, case, .. } => trial::test(session, name, case),
        Verb::Preview { name, case } => trial::preview(session, name, case),
        Verb::Push { name, case } => pushes::push(session, name, case),
        Verb::Status { id } => session.reading(|s, agent| pushes::status(s, agent, (*id).into())),
        Verb::List {
            state,
            connector,
            case_id,
            limit,
        } => session.reading(|s, agent| {
            pushes::list(s, agent, *state, connector.as_deref(), case_id.as_deref(), *limit)
        }),
        Verb::Wait { id, timeout } => {
            session.draining(|s, agent| deliver::wait(s, agent, (*id).into(), *timeout))
        }
        Verb::Drain { timeout } => session.reading(|s, agent| deliver::drain(s, agent, *timeout)),
        Verb::Run => session.draining(deliver::run),
        Verb::Watch { interval, times } => {
            session.reading(|s, agent| watch::watch(s, agent, *interval, *times))
        }
        Verb::Doctor { offline } => doctor::doctor(session, *offline),
        Verb::Completions { shell } => shell::completions(session, *shell),
        Verb::Man { directory } => shell::man(session, directory),
        Verb::Retry { id: Some(id), .. } => session.reading(|s, agent| pushes::retry(s, agent, (*id).into())),
        Verb::Retry { connector, .. } => {
            session.reading(|s, agent| pushes::retry_failed(s, agent, connector.as_deref()))
        }
        Verb::Cancel { id } => session.reading(|s, agent| pushes::cancel(s, agent, (*id).into())),
        Verb::Adopt { id, external_id } => {
            session.reading(|s, agent| pushes::adopt(s, agent, (*id).into(), external_id))
        }
        Verb::Discard { id } => session.reading(|s, agent| pushes::discard(s, agent, (*id).into())),
        Verb::Migrate { from, to } => migrate(session, from, to),
        Verb::Stats { format } => session.reading(|s, agent| connectors::stats(s, agent, *format)),
        Verb::Import {
            file,
            to,
            dry_run,
            replace,
        } => import::import(session, file, to, *dry_run, *replace),
        Verb::Presets => presets::list(session),
        Verb::Preset { name, set } => presets::show(session, name, set),
        Verb::Rekey { new_key_file } => rekey::run(session, new_key_file.as_deref()),
        Verb::Backup { file } => session.reading(|s, agent| {
            agent.backup(file)?;
            s.out.text(&format!("Copied the database to {}.", file.display()));
            s.out.json(&serde_json::json!({"backup": file.to_string_lossy()}));
            Ok(failure::OK)
        }),
    }
}

/// Whether it names a database server, and not a file.
fn is_url(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

/// What a command works with.
struct Session<'a> {
    global: &'a Global,
    out: Out,
    stop: &'a StopFlag,
}

impl Session<'_> {
    /// Runs a command on the database without delivering.
    fn reading(
        &mut self,
        command: impl FnOnce(&mut Self, &Agent) -> Result<i32, Failure>,
    ) -> Result<i32, Failure> {
        self.with_agent(false, false, command)
    }

    /// Runs a command on the database that is created where there is none, without delivering.
    fn creating(
        &mut self,
        command: impl FnOnce(&mut Self, &Agent) -> Result<i32, Failure>,
    ) -> Result<i32, Failure> {
        self.with_agent(true, false, command)
    }

    /// Runs a command on the database while its pushes are delivered.
    fn draining(
        &mut self,
        command: impl FnOnce(&mut Self, &Agent) -> Result<i32, Failure>,
    ) -> Result<i32, Failure> {
        self.with_agent(false, true, command)
    }

    /// A second agent of the same database that delivers, for a command that has to look before anything goes out.
    fn drainer(&self) -> Result<Agent, Failure> {
        Ok(Agent::open(self.database()?, self.options()?.drain(true))?)
    }

    fn with_agent(
        &mut self,
        create: bool,
        drain: bool,
        command: impl FnOnce(&mut Self, &Agent) -> Result<i32, Failure>,
    ) -> Result<i32, Failure> {
        let path = self.database()?;
        if !create && !is_url(path) && !path.exists() {
            return Err(Failure::new(
                ErrorKind::Store,
                format!(
                    "there is no database at {}; {} creates one",
                    database::shown(path),
                    self.command("configure NAME FILE")
                ),
            ));
        }
        let agent = Agent::open(path, self.options()?.drain(drain))?;
        let result = command(self, &agent);
        let closed = agent.close(CLOSE);
        let code = result?;
        match closed {
            // What was under way is stored as uncertain or comes again: nothing is lost, nothing to report.
            Err(error) if error.kind() != ErrorKind::Timeout => Err(error.into()),
            _ => Ok(code),
        }
    }

    fn database(&self) -> Result<&Path, Failure> {
        match &self.global.db {
            Some(path) if !path.as_os_str().is_empty() => Ok(path),
            _ => Err(Failure::usage(
                "no database given; say which with `--db FILE` or the environment variable CASEHOOK_DB",
            )),
        }
    }

    fn options(&self) -> Result<Options, Failure> {
        let global = self.global;
        let mut options = Options::new().workers(usize::from(global.workers));
        if let Some(file) = &global.settings {
            let settings = Settings::from_json(&input::text(file)?)
                .map_err(|error| Failure::from(error).within(&input::name(file)))?;
            options = options.settings(settings);
        }
        if !global.allow_env.is_empty() {
            options = options.allow_secret_env(global.allow_env.iter().cloned());
        }
        if let Some(directory) = &global.allow_files {
            options = options.allow_secret_files(directory);
        }
        if let Some(file) = &global.key_file {
            options = options.key(input::key(file)?);
        }
        options = options.trust_location(global.trust_location);
        if let Some(spool) = global.spool.as_ref().filter(|path| !path.as_os_str().is_empty()) {
            options = options.spool(spool);
        }
        Ok(options)
    }

    /// A command to be typed next, on the same database.
    fn command(&self, rest: &str) -> String {
        match &self.global.db {
            Some(path) => format!("`casehook --db {} {rest}`", quote(&database::shown(path))),
            None => format!("`casehook {rest}`"),
        }
    }
}

#[cfg(feature = "postgres")]
fn migrate(session: &mut Session<'_>, from: &Path, to: &str) -> Result<i32, Failure> {
    Agent::migrate(from, to, &session.options()?)?;
    let text = format!(
        "Moved the outbox of {}; open the database server from now on.",
        from.display()
    );
    session.out.text(&text);
    session
        .out
        .json(&serde_json::json!({"moved": from.to_string_lossy()}));
    Ok(failure::OK)
}

#[cfg(not(feature = "postgres"))]
fn migrate(_: &mut Session<'_>, _: &Path, _: &str) -> Result<i32, Failure> {
    let message = "this casehook was built without PostgreSQL; build it with the feature `postgres`";
    Err(Failure::usage(message))
}

/// A word as a shell takes it.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@%,=~".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn report(out: &mut Out, failure: &Failure) {
    if out.is_json() {
        out.json(&failure.json());
    } else {
        out::note(&format!("casehook: {}", failure.text()));
    }
}

/// Help and version are no errors; everything else about the arguments is.
fn refuse(error: &clap::Error, json: bool) -> i32 {
    if json && error.use_stderr() {
        let text = error.to_string();
        let message = text
            .trim_start_matches("error: ")
            .lines()
            .next()
            .unwrap_or_default();
        let mut out = Out::new(true);
        out.json(&Failure::usage(message).json());
    } else {
        // Nobody is left to tell when the terminal is gone.
        let _ = error.print();
    }
    error.exit_code()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_split_them() {
        for (word, quoted) in [
            ("/tmp/cases.db", "/tmp/cases.db"),
            ("my cases.db", "'my cases.db'"),
            ("it's", "'it'\\''s'"),
            ("", "''"),
        ] {
            assert_eq!(quote(word), quoted);
        }
    }

    #[test]
    fn a_stop_wakes_whoever_waits() {
        let stop = StopFlag::new();
        assert!(!stop.wait(Duration::ZERO));
        let other = stop.clone();
        let waiter = std::thread::spawn(move || other.wait(Duration::from_secs(60)));
        stop.stop();
        assert!(waiter.join().unwrap());
        assert!(stop.is_stopped());
    }

    #[test]
    fn arguments_alone_decide_usage_and_help() {
        for (args, code) in [
            (&["casehook", "--help"][..], 0),
            (&["casehook", "--version"], 0),
            (&["casehook", "push", "--help"], 0),
            (&["casehook", "nonsense"], 2),
            (&["casehook", "--json", "nonsense"], 2),
            (&["casehook", "--db", "", "stats"], 2),
            (&["casehook", "--db", "/no/such/directory/x.db", "stats"], 3),
        ] {
            assert_eq!(run(args), code, "{args:?}");
        }
    }
}
