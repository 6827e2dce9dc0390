//! A program at a pseudo-terminal of its own.
#![allow(unreachable_pub)]

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

const PATIENCE: Duration = Duration::from_secs(120);

/// The program, and all that it wrote.
pub struct Terminal {
    control: OwnedFd,
    child: Child,
    screen: Arc<(Mutex<String>, Condvar)>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Starts it with standard output and error at a terminal of that size.
    pub fn start(command: &mut Command, columns: u16, rows: u16) -> Terminal {
        let control = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&control).unwrap();
        unlockpt(&control).unwrap();
        let name = ptsname(&control, Vec::new()).unwrap();
        resize(&control, columns, rows);
        let open = || {
            File::options()
                .read(true)
                .write(true)
                .open(name.to_str().unwrap())
                .unwrap()
        };
        let (output, error) = (open(), open());
        let child = command
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdout(output)
            .stderr(error)
            .spawn();
        // Or the terminal would never end for the reader below.
        command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        let screen = Arc::new((Mutex::new(String::new()), Condvar::new()));
        let (reader, shared) = (File::from(control.try_clone().unwrap()), Arc::clone(&screen));
        let reader = std::thread::spawn(move || copy(reader, &shared));
        Terminal {
            control,
            child: child.unwrap(),
            screen,
            reader: Some(reader),
        }
    }

    /// Waits until it wrote such a text after the first `from` bytes; all that it wrote so far.
    pub fn wait_for(&self, text: &str, from: usize) -> String {
        let until = Instant::now() + PATIENCE;
        let (screen, changed) = &*self.screen;
        let mut screen = screen.lock().unwrap();
        while !screen.get(from..).is_some_and(|new| new.contains(text)) {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {text:?} after {from} in {screen:?}");
            screen = changed.wait_timeout(screen, left).unwrap().0;
        }
        screen.clone()
    }

    pub fn resize(&self, columns: u16, rows: u16) {
        resize(&self.control, columns, rows);
    }

    pub fn interrupt(&self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
    }

    /// Waits for its end; all that it wrote.
    pub fn end(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        // Nobody has the terminal open any more: the reader comes to an end.
        self.reader.take().unwrap().join().unwrap();
        let text = self.screen.0.lock().unwrap().clone();
        (status, text)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn resize(control: &OwnedFd, columns: u16, rows: u16) {
    let size = Winsize {
        ws_col: columns,
        ws_row: rows,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(control, size).unwrap();
}

/// Linux ends the control side with an error when the last program is gone.
fn copy(mut control: File, screen: &(Mutex<String>, Condvar)) {
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = control.read(&mut bytes) {
        screen
            .0
            .lock()
            .unwrap()
            .push_str(&String::from_utf8_lossy(&bytes[..read]));
        screen.1.notify_all();
    }
}
