//! A PostgreSQL server of the tests' own: in a directory of its own, on a free port of 127.0.0.1, gone with the process.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Who runs the server where the tests are run by root, whom it refuses: Debian's packages make this user.
const USER: &str = "postgres";

/// The server that all tests of this process share; `None`, and a word why, where PostgreSQL is not installed.
pub fn shared() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| Server::start(&["fsync=off"])).as_ref()
}

/// A running server.
pub struct Server {
    folder: PathBuf,
    tools: PathBuf,
    pub port: u16,
    settings: Mutex<Vec<String>>,
    keeper: Mutex<Option<Child>>,
}

impl Server {
    /// A server with these settings; `None`, and a word why, where PostgreSQL is not installed.
    pub fn start(settings: &[&str]) -> Option<Server> {
        let Some(tools) = tools() else {
            eprintln!("skipped: PostgreSQL is not installed (Debian: apt-get install postgresql)");
            return None;
        };
        let folder = std::env::temp_dir().join(format!(
            "casehook-pg-{}-{:08x}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        ));
        std::fs::create_dir(&folder).unwrap();
        if is_root() {
            let owned = Command::new("chown")
                .arg(format!("{USER}:"))
                .arg(&folder)
                .status();
            assert!(owned.unwrap().success(), "the user {USER} is there");
        }
        let server = Server {
            port: free_port(),
            settings: Mutex::new(settings.iter().map(|s| (*s).to_owned()).collect()),
            tools,
            folder,
            keeper: Mutex::new(None),
        };
        let made = server
            .tool("initdb")
            .args([
                "-A",
                "trust",
                "-U",
                "casehook",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
                "-D",
            ])
            .arg(server.data())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server.up();
        Some(server)
    }

    /// The URL of a schema.
    pub fn url(&self, schema: &str) -> String {
        self.url_at(self.port, schema)
    }

    /// The same through another port.
    pub fn url_at(&self, port: u16, schema: &str) -> String {
        format!("postgres://casehook@127.0.0.1:{port}/postgres?schema={schema}")
    }

    /// A name that no other test uses.
    pub fn schema(&self) -> String {
        format!(
            "s{}_{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        )
    }

    /// Runs SQL and returns what it printed, a row a line.
    pub fn sql(&self, sql: &str) -> String {
        let (done, out, error) = self.try_sql(sql);
        assert!(done, "{sql}: {error}");
        out
    }

    /// Whether it succeeded, what it printed, and what it complained of.
    pub fn try_sql(&self, sql: &str) -> (bool, String, String) {
        let port = self.port.to_string();
        let out = Command::new(self.tools.join("psql"))
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-h",
                "127.0.0.1",
                "-p",
                &port,
            ])
            .args(["-U", "casehook", "-d", "postgres", "-c", sql])
            .output()
            .unwrap();
        (
            out.status.success(),
            String::from_utf8_lossy(&out.stdout).trim().to_owned(),
            String::from_utf8_lossy(&out.stderr).trim().to_owned(),
        )
    }

    /// A program of PostgreSQL's, as the user that runs the server.
    pub fn tool(&self, name: &str) -> Command {
        as_user(&self.tools.join(name))
    }

    /// Where the server keeps its files.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Stops it: `fast`, or `immediate` as a crash.
    pub fn down(&self, mode: &str) {
        let stopped = self
            .tool("pg_ctl")
            .args(["stop", "-w", "-t", "120", "-m", mode, "-D"])
            .arg(self.data())
            .output()
            .unwrap();
        assert!(
            stopped.status.success(),
            "{}",
            String::from_utf8_lossy(&stopped.stdout)
        );
        if let Some(mut keeper) = self.keeper.lock().unwrap().take() {
            if let Some(mut stdin) = keeper.stdin.take() {
                let _ = stdin.write_all(b"keep");
            }
            let _ = keeper.wait();
        }
    }

    /// Starts it (again) and waits until it answers.
    pub fn up(&self) {
        // Ends the server when this process does, however that happens: the pipe closes. Its files go as well.
        let mut command = as_user(Path::new("/bin/sh"));
        command.arg("-c").arg(
            "\"$@\" >>\"$0/log\" 2>&1 </dev/null & server=$!; word=$(cat); kill -QUIT $server 2>/dev/null; \
             wait $server; [ \"$word\" = keep ] || rm -rf \"$0\"",
        );
        command
            .arg(&self.folder)
            .arg(self.tools.join("postgres"))
            .arg("-D")
            .arg(self.data());
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-k", ""]);
        for setting in &*self.settings.lock().unwrap() {
            command.args(["-c", setting]);
        }
        let keeper = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        *self.keeper.lock().unwrap() = Some(keeper);
        let started = Instant::now();
        while !self.try_sql("SELECT 1").0 {
            assert!(started.elapsed() < Duration::from_secs(120), "{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Adds to what it is started with.
    pub fn set(&self, setting: String) {
        self.settings.lock().unwrap().push(setting);
    }

    /// What the server wrote.
    pub fn log(&self) -> String {
        let mut log = String::new();
        if let Ok(mut file) = std::fs::File::open(self.folder.join("log")) {
            let _ = file.read_to_string(&mut log);
        }
        log
    }

    /// Writes a file that the server alone may read, and returns its path.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        Command::new("chmod").arg("600").arg(&path).status().unwrap();
        if is_root() {
            Command::new("chown")
                .arg(format!("{USER}:"))
                .arg(&path)
                .status()
                .unwrap();
        }
        path
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.lock().unwrap().take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

fn tools() -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse().ok()?,
                entry.path().join("bin"),
            ))
        })
        .collect();
    found.sort();
    let on_path = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let versioned = found.into_iter().rev().map(|(_, folder)| folder);
    versioned
        .chain(on_path)
        .find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}

fn as_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", USER, "--regid", USER, "--clear-groups", "--"])
        .arg(program);
    command.current_dir("/");
    command
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
