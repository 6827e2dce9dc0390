//! The command line as it is typed: verbs, options, help texts.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use serde_json::{Map, Value, json};

use super::duration;
use crate::PushState;

/// Stores pushes of cases and delivers them to a case system over HTTP.
#[derive(Debug, Parser)]
#[command(
    name = "casehook",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    max_term_width = 80,
    after_help = "Start here:
  casehook demo
  casehook --db cases.db configure tracker connector.json
  casehook --db cases.db push tracker --title \"Disk full\" --case-id host-7/disk
  casehook --db cases.db drain
  casehook --db cases.db list

FILE may be - for standard input. Only demo, wait, drain and run deliver; every
other command just stores or reads.

Exit codes: 0 ok; 1 a push failed, or a connector, case or request was refused;
2 usage; 3 the database cannot be used."
)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(super) struct Global {
    /// The database; `configure` creates it
    #[arg(
        long,
        value_name = "FILE",
        env = "CASEHOOK_DB",
        hide_env_values = true,
        global = true,
        value_parser = OsStringValueParser::new().map(PathBuf::from)
    )]
    pub(super) db: Option<PathBuf>,
    /// Output for machines: one JSON document, or one per line
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Settings for all connectors (allowedHosts, proxyUrl, ...), a JSON object
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) settings: Option<PathBuf>,
    /// Log to standard error; twice for more
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(super) verbose: u8,
    /// Environment variable that secrets may refer to (repeatable)
    #[arg(long, value_name = "NAME", global = true)]
    pub(super) allow_env: Vec<String>,
    /// Directory with the files that secrets may refer to
    #[arg(long, value_name = "DIR", global = true)]
    pub(super) allow_files: Option<PathBuf>,
    /// File with the key that seals secrets, in place of CASEHOOK_KEY and FILE.key
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) key_file: Option<PathBuf>,
    /// Use a database of another user's, or in or below a folder that anybody may write to
    #[arg(long, global = true)]
    pub(super) trust_location: bool,
    /// File that takes pushes while the PostgreSQL server cannot be reached
    #[cfg_attr(not(feature = "postgres"), arg(hide = true))]
    #[arg(
        long,
        value_name = "FILE",
        env = "CASEHOOK_SPOOL",
        hide_env_values = true,
        global = true
    )]
    pub(super) spool: Option<PathBuf>,
    /// How many threads deliver, from 1 to 64
    #[arg(long, value_name = "N", default_value_t = 4, global = true,
          value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(super) workers: u8,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Play an outage on this machine: stored, retried, delivered
    #[command(after_help = "Needs no database, no network and nothing installed. Takes a few seconds.")]
    Demo,
    /// Store a connector, or replace it
    #[command(after_help = "Examples:
  casehook --db cases.db configure tracker connector.json
  casehook --db cases.db configure tracker connector.json --secrets secrets.json
  some-vault read tracker |
      casehook --db cases.db configure tracker connector.json --secrets -

FILE is a connector document: {\"config\": {...}, \"secrets\": {...}}, the answer of
Kibana's connector API, a Kibana export, or the config object alone.
Without secrets the stored ones are kept if no address has changed.")]
    Configure {
        /// The name that pushes give
        name: String,
        /// The connector document, or -
        file: PathBuf,
        /// Its secrets as a JSON object, or -
        #[arg(long, value_name = "FILE")]
        secrets: Option<PathBuf>,
    },
    /// List the connectors and how they fare
    Connectors,
    /// Show one connector's document (without secrets) and its warnings
    Connector {
        /// Its name
        name: String,
    },
    /// Forget a connector and its secrets
    #[command(
        after_help = "Refused while it has undelivered pushes, unless --cancel is given.
Links of cases to incidents stay."
    )]
    Remove {
        /// Its name
        name: String,
        /// Cancel its undelivered pushes too
        #[arg(long)]
        cancel: bool,
    },
    /// Stop delivering for one connector; its pushes are kept
    Pause {
        /// Its name
        name: String,
    },
    /// Deliver again for a paused connector
    Resume {
        /// Its name
        name: String,
    },
    /// Run one case through the target now, and report each step
    #[command(
        after_help = "This REALLY WRITES to the target: it opens an incident, changes it and comments
it. Nothing is stored in the outbox. Without FILE or --title a sample case is
used. With --get-only it only reads that incident back.

Example:
  casehook --db cases.db test tracker --title \"Trial, please delete\"
  casehook --db cases.db test tracker --get-only 4711"
    )]
    Test {
        /// The connector's name
        name: String,
        /// Only read this incident back; nothing is written
        #[arg(long, value_name = "ID", conflicts_with_all = ["file", "title"])]
        get_only: Option<String>,
        #[command(flatten)]
        case: CaseArgs,
    },
    /// Show each request of a push as it would be sent; sends nothing
    #[command(after_help = "Example:
  casehook --db cases.db preview tracker --title \"Disk full\" \\
      --comment c1=\"first look\"")]
    Preview {
        /// The connector's name
        name: String,
        #[command(flatten)]
        case: CaseArgs,
    },
    /// Store one push or many; `drain` or `run` delivers them
    #[command(after_help = "Examples:
  casehook --db cases.db push tracker --title \"Disk full\" \\
      --case-id host-7/disk --tag infra --severity high \\
      --comment c1=\"first look\" --field floor=3
  casehook --db cases.db push tracker case.json
  jq -c .[] cases.json | casehook --db cases.db push tracker -

FILE holds one case, a JSON array of cases, or one case per line; of many all or
none are stored. A case is
  {\"incident\": {\"title\": ..., \"id\": ..., \"description\": ..., ...},
   \"comments\": [{\"commentId\": ..., \"comment\": ...}]}
Later pushes with the same case id update the same incident.")]
    Push {
        /// The connector's name
        name: String,
        #[command(flatten)]
        case: CaseArgs,
    },
    /// Show where one push stands, and each exchange so far
    Status {
        /// The push's number
        #[arg(allow_negative_numbers = true)]
        id: i64,
    },
    /// List pushes, newest first
    #[command(
        after_help = "States: queued, sending, waiting, held, delivered, failed, superseded,
cancelled.

Example:
  casehook --db cases.db list --state failed --connector tracker"
    )]
    List {
        /// Only those in this state
        #[arg(long, value_name = "STATE", value_parser = state)]
        state: Option<PushState>,
        /// Only those of this connector
        #[arg(long, value_name = "NAME")]
        connector: Option<String>,
        /// Only those of this case of yours
        #[arg(long, value_name = "ID")]
        case_id: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = limit)]
        limit: usize,
    },
    /// Deliver until one push is through, and show it
    #[command(
        after_help = "Exit code 0 only when it was delivered. A length of time looks like 30s, 5m or
500ms; a plain number is seconds."
    )]
    Wait {
        /// The push's number
        #[arg(allow_negative_numbers = true)]
        id: i64,
        /// How long at most
        #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration::parse)]
        timeout: Duration,
    },
    /// Deliver until nothing is left to deliver
    #[command(
        after_help = "Waits through outages for as long as they last, unless --timeout is given. Ends
early when only held pushes, or those of paused or blocked connectors, remain.
Exit code 1 when something is left or failed."
    )]
    Drain {
        /// How long at most
        #[arg(long, value_name = "TIME", value_parser = duration::parse)]
        timeout: Option<Duration>,
    },
    /// Deliver until Ctrl-C or SIGTERM, with a log on standard error
    Run,
    /// Show the connectors live: state, backlog, age, rate, last error
    #[command(
        after_help = "Redraws until Ctrl-C. Where standard output is no terminal it prints one table
each time instead, with --json one line of the figures of `stats`."
    )]
    Watch {
        /// How long from one picture to the next, 100ms at least
        #[arg(long, value_name = "TIME", default_value = "2s", value_parser = interval)]
        interval: Duration,
        /// End after so many
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        times: Option<u64>,
    },
    /// Look for what is wrong, and say what to do
    #[command(
        after_help = "Checks files and their modes, key, disk, clock, who delivers, and each
connector: its state, what it waits for, and whether its target answers. To see
that, it asks the target for / without any header or secret of the connector;
--offline leaves that out.

Exit code 0 when nothing is wrong (warnings allowed), 1 when something is, 3
when the database cannot be used."
    )]
    Doctor {
        /// Send nothing
        #[arg(long)]
        offline: bool,
    },
    /// Print completions for a shell
    #[command(after_help = "Example:
  casehook completions bash > \\
      ~/.local/share/bash-completion/completions/casehook")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the man pages
    #[command(hide = true)]
    Man {
        /// Where to
        directory: PathBuf,
    },
    /// Try a failed, held or waiting push again, or all failed ones
    #[command(after_help = "Examples:
  casehook --db cases.db retry 12
  casehook --db cases.db retry --failed --connector tracker")]
    Retry {
        /// The push's number
        #[arg(
            required_unless_present = "failed",
            conflicts_with = "failed",
            allow_negative_numbers = true
        )]
        id: Option<i64>,
        /// All failed pushes, oldest first
        #[arg(long)]
        failed: bool,
        /// Only those of this connector
        #[arg(long, value_name = "NAME", requires = "failed")]
        connector: Option<String>,
    },
    /// Give up a push that is not delivered
    Cancel {
        /// The push's number
        #[arg(allow_negative_numbers = true)]
        id: i64,
    },
    /// Tell a held push which incident it opened
    #[command(
        after_help = "A push is held when nobody can tell whether its incident was opened. Look it up
in the case system, then:
  casehook --db cases.db adopt 12 INC-4711"
    )]
    Adopt {
        /// The push's number
        #[arg(allow_negative_numbers = true)]
        id: i64,
        /// The incident's id in the case system
        external_id: String,
    },
    /// Remove a failed push for good
    Discard {
        /// The push's number
        #[arg(allow_negative_numbers = true)]
        id: i64,
    },
    /// Move the outbox of a file to a PostgreSQL database
    #[cfg_attr(not(feature = "postgres"), command(hide = true))]
    #[command(
        after_help = "Stop what drains the file first. The file stays, and neither delivers nor opens
afterwards. Secrets stay sealed: give every host the key that the file had
(FILE.key) in CASEHOOK_KEY."
    )]
    Migrate {
        /// The file whose outbox moves
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// Where to: postgres://user@host/database?schema=casehook
        #[arg(long, value_name = "URL")]
        to: String,
    },
    /// Count pushes by connector and state, and what went over the wire
    #[command(
        after_help = "Example, for the textfile collector of Prometheus' node exporter:
  casehook --db cases.db stats --format prometheus > casehook.prom.new &&
      mv casehook.prom.new casehook.prom"
    )]
    Stats {
        /// A table for people, or metrics for Prometheus
        #[arg(long, value_enum, default_value_t = StatsFormat::Table, conflicts_with = "json")]
        format: StatsFormat,
    },
    /// Take connectors over from Kibana or Terraform
    #[command(after_help = "Examples:
  casehook import export.ndjson --dry-run
  casehook --db cases.db import export.ndjson
  casehook --db cases.db import connectors.tf
  terraform show -json | casehook --db cases.db import -

FILE is an export of Kibana's saved objects or the answer of their search, an
answer of its connector API (one connector or a list), a Terraform configuration
(.tf) or state. Of a configuration literals, local values, templates and
jsonencode are evaluated; fields that depend on variables, other functions or
resources are named, and hold the expression. Complete connectors are configured
under their names. The others, mostly for secrets that exports do not hold, and
the second of two with one name are written to NAME.connector.json (numbered
where two would be the same), to be finished and given to configure; files that
are there are never replaced. Connectors of other types are skipped.")]
    Import {
        /// The export, or -
        file: PathBuf,
        /// Only report; store and write nothing
        #[arg(long)]
        dry_run: bool,
        /// Replace connectors of the same names
        #[arg(long)]
        replace: bool,
        /// Where documents to be finished are written
        #[arg(long, value_name = "DIR", default_value = ".")]
        to: PathBuf,
    },
    /// List the case systems that a connector is ready for
    Presets,
    /// Print a ready connector for a case system
    #[command(after_help = "Examples:
  casehook preset jira-cloud
  casehook preset jira-cloud --set site=acme --set project=OPS > connector.json
  casehook --db cases.db configure jira connector.json --secrets secrets.json

Without --set it says what the preset takes. The document goes to standard
output, what to know about it to standard error. Credentials may be set too, but
other users of this machine can read them while the command runs.")]
    Preset {
        /// The preset's name, as `presets` lists it
        name: String,
        /// A parameter (repeatable)
        #[arg(long, value_name = "NAME=VALUE", value_parser = parameter)]
        set: Vec<(String, String)>,
    },
    /// Copy the database, also while it is in use
    #[command(
        after_help = "The key of the stored secrets (FILE.key beside the database) is not in the copy."
    )]
    Backup {
        /// Where the copy goes
        file: PathBuf,
    },
    /// Seal the stored secrets with another key
    #[command(
        after_help = "Without a new key a random one takes the place of the one in FILE.key beside the
database. Otherwise store the new key safely first: it alone opens the secrets
afterwards. It comes from --new-key-file or the environment variable
CASEHOOK_NEW_KEY, 64 hex digits or base64 of 32 bytes. Backups made before still
need the key of their time.

Examples:
  casehook --db cases.db rekey
  casehook --db cases.db --key-file old.key rekey --new-key-file new.key"
    )]
    Rekey {
        /// File with the new key, or -
        #[arg(long, value_name = "FILE")]
        new_key_file: Option<PathBuf>,
    },
}

/// How counts are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum StatsFormat {
    /// For people; with --json for programs
    Table,
    /// The text exposition format of Prometheus
    Prometheus,
}

/// A case from a file, or from options.
#[derive(Debug, Args)]
#[command(next_help_heading = "The case, in place of FILE")]
pub(super) struct CaseArgs {
    /// The case as a JSON document, or -
    #[arg(help_heading = None::<&'static str>, conflicts_with_all = ["title", "case_id", "description", "tag", "severity", "status", "external_id",
                                "comment", "field", "traceparent"])]
    pub(super) file: Option<PathBuf>,
    /// The case's title
    #[arg(long)]
    title: Option<String>,
    /// Your own id of the case: later pushes with it update the same incident
    #[arg(long, value_name = "ID", requires = "title")]
    case_id: Option<String>,
    /// A longer text
    #[arg(long, value_name = "TEXT", requires = "title")]
    description: Option<String>,
    /// A tag (repeatable)
    #[arg(long, requires = "title")]
    tag: Vec<String>,
    /// The severity, in your words
    #[arg(long, requires = "title")]
    severity: Option<String>,
    /// The status, in your words
    #[arg(long, requires = "title")]
    status: Option<String>,
    /// The incident to update, where you know it
    #[arg(long, value_name = "ID", requires = "title")]
    external_id: Option<String>,
    /// A comment under your id of it (repeatable)
    #[arg(long, value_name = "ID=TEXT", requires = "title", value_parser = comment)]
    comment: Vec<(String, String)>,
    /// A W3C trace context to send along with each request of the push
    #[arg(long, value_name = "TRACEPARENT", requires = "title")]
    traceparent: Option<String>,
    /// An extra field for templates, its value as JSON (repeatable)
    #[arg(long, value_name = "NAME=JSON", requires = "title", value_parser = field)]
    field: Vec<(String, Value)>,
}

impl CaseArgs {
    /// The `params` document that the options spell, or none without a title.
    pub(super) fn document(&self) -> Option<Value> {
        let mut incident = Map::new();
        incident.insert("title".to_owned(), json!(self.title.as_ref()?));
        for (name, value) in [
            ("id", &self.case_id),
            ("description", &self.description),
            ("severity", &self.severity),
            ("status", &self.status),
            ("externalId", &self.external_id),
        ] {
            if let Some(value) = value {
                incident.insert(name.to_owned(), json!(value));
            }
        }
        if !self.tag.is_empty() {
            incident.insert("tags".to_owned(), json!(self.tag));
        }
        if !self.field.is_empty() {
            let fields: Map<String, Value> = self.field.iter().cloned().collect();
            incident.insert("fields".to_owned(), Value::Object(fields));
        }
        let comments: Vec<Value> = self
            .comment
            .iter()
            .map(|(id, text)| json!({"commentId": id, "comment": text}))
            .collect();
        let mut params = json!({"incident": incident, "comments": comments});
        if let Some(traceparent) = &self.traceparent {
            params["traceparent"] = json!(traceparent);
        }
        Some(params)
    }
}

fn state(text: &str) -> Result<PushState, String> {
    PushState::from_name(text).ok_or_else(|| {
        let names: Vec<&str> = PushState::ALL.iter().map(|state| state.as_str()).collect();
        format!("the states are {}", names.join(", "))
    })
}

fn interval(text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Ok(short) if short < Duration::from_millis(100) => Err("at least 100ms".to_owned()),
        length => length,
    }
}

fn limit(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a whole number from 1".to_owned()),
        Ok(number) => Ok(number),
    }
}

fn comment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((id, text)) => Ok((id.to_owned(), text.to_owned())),
        None => Err("an id, an equals sign and a text, such as c1=\"first look\"".to_owned()),
    }
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=').filter(|(name, _)| !name.is_empty()) {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err("a name, an equals sign and a value, such as site=acme".to_owned()),
    }
}

fn field(text: &str) -> Result<(String, Value), String> {
    let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
        return Err("a name, an equals sign and a JSON value, such as floor=3".to_owned());
    };
    match serde_json::from_str(value) {
        Ok(value) => Ok((name.to_owned(), value)),
        Err(_) => Err(format!(
            "the value is not JSON; a text needs its quotes, such as '{name}=\"some text\"'"
        )),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_texts_fit_the_terminal() {
        let mut command = Cli::command();
        command.build();
        for verb in command.get_subcommands() {
            let text = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            assert!((1..=66).contains(&about.chars().count()), "{about}");
        }
    }

    #[test]
    fn options_spell_a_case() {
        let cli = Cli::try_parse_from([
            "casehook",
            "--db",
            "x",
            "push",
            "t",
            "--title",
            "T",
            "--case-id",
            "7",
            "--tag",
            "a",
            "--tag",
            "b",
            "--comment",
            "c1=x=y",
            "--comment",
            "=no id",
            "--field",
            "n=3",
            "--field",
            "s=\"x\"",
        ])
        .unwrap();
        let Verb::Push { case, .. } = cli.verb else {
            panic!("{:?}", cli.verb)
        };
        assert_eq!(
            case.document().unwrap(),
            json!({"incident": {"title": "T", "id": "7", "tags": ["a", "b"], "fields": {"n": 3, "s": "x"}},
                "comments": [{"commentId": "c1", "comment": "x=y"}, {"commentId": "", "comment": "no id"}]})
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for args in [
            &["push", "t", "case.json", "--title", "T"][..],
            &["push", "t", "--tag", "a"],
            &["push", "t", "--title", "T", "--field", "n=x"],
            &["push", "t", "--title", "T", "--comment", "text"],
            &["retry"],
            &["retry", "1", "--failed"],
            &["list", "--state", "lost"],
            &["list", "--limit", "0"],
            &["wait", "1", "--timeout", "soon"],
            &["status", "one"],
            &["run", "--workers", "0"],
        ] {
            let error = Cli::try_parse_from([&["casehook"], args].concat()).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{args:?}");
        }
    }
}
