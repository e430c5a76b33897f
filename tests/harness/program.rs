//! Our own programs, run as they are run in earnest: as processes of their own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use tempfile::TempDir;

use crate::{process, until_blocking};

/// A running program with its output in a log file.
///
/// Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    log: PathBuf,
    _dir: TempDir,
}

impl Program {
    /// Starts a built binary with arguments and more environment. A variable
    /// with an empty value is taken out of the environment.
    pub fn spawn(name: &str, args: &[&str], env: &[(&str, &str)]) -> Self {
        Self::spawn_at(&built_binary(name), args, env)
    }

    /// [`spawn`](Self::spawn) of a binary that lies anywhere.
    pub fn spawn_at(binary: &Path, args: &[&str], env: &[(&str, &str)]) -> Self {
        let name = binary.file_name().unwrap_or_default().to_string_lossy();
        let dir = tempfile::Builder::new()
            .prefix(&format!("kubeskippy-{name}-"))
            .tempdir()
            .expect("a temporary folder can be made");
        let log = dir.path().join("log");
        let mut command = Command::new(binary);
        command.args(args);
        for (name, value) in env {
            if value.is_empty() {
                command.env_remove(name);
            } else {
                command.env(name, value);
            }
        }
        let child = process::spawn(&command, &log);
        let name = [&[name.as_ref()], args].concat().join(" ");
        Self {
            name,
            child,
            log,
            _dir: dir,
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until `url`, of the form `http://127.0.0.1:<port>/<path>`, answers
    /// 200. Panics, with the end of the log, when the program ends or takes
    /// longer than `timeout`.
    pub fn wait_ready(&mut self, url: &str, timeout: Duration) {
        let rest = url.strip_prefix("http://").expect("an http URL");
        let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = format!("/{path}");
        until_blocking(&format!("{} at {url}", self.name), timeout, || {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("{} ended, {status}:\n{}", self.name, self.logs_tail(30));
            }
            match process::http_get(address, &path)? {
                (200, _) => Ok(()),
                (code, body) => Err(format!("{code} {body}; log:\n{}", self.logs_tail(30))),
            }
        });
    }

    /// Waits until it ends by itself, and returns its exit code, or none when a
    /// signal ended it.
    pub fn wait_exit(&mut self, timeout: Duration) -> Option<i32> {
        let (name, log) = (&self.name, &self.log);
        let child = &mut self.child;
        until_blocking(&format!("the end of {name}"), timeout, || {
            match child.try_wait() {
                Ok(Some(status)) => Ok(status.code()),
                Ok(None) => Err(format!("it runs; log:\n{}", process::tail(log, 30))),
                Err(error) => Err(error.to_string()),
            }
        })
    }

    /// Ends it as a crash would, with SIGKILL.
    pub fn kill_hard(&mut self) {
        process::kill_hard(&mut self.child);
    }

    /// Asks it to end with SIGTERM; panics, with the end of the log, when it has
    /// not ended after `patience`.
    pub fn terminate(&mut self, patience: Duration) {
        let ended = process::terminate(&mut self.child, patience);
        assert!(
            ended,
            "{} did not end within {} s of SIGTERM; log:\n{}",
            self.name,
            patience.as_secs(),
            self.logs_tail(30)
        );
    }

    /// Everything it has written.
    pub fn logs(&self) -> String {
        process::tail(&self.log, usize::MAX)
    }

    /// The last lines it has written.
    pub fn logs_tail(&self, lines: usize) -> String {
        process::tail(&self.log, lines)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        process::kill_hard(&mut self.child);
    }
}

/// The path of a binary that this workspace built, beside the tests or the demo.
pub fn built_binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a process knows its own path");
    // target/debug/deps/pipeline-… or target/debug/demo → target/debug/<name>
    let mut dir = own.parent().expect("a program is in a folder");
    if dir.ends_with("deps") {
        dir = dir.parent().expect("cargo puts deps in a folder");
    }
    let path = dir.join(name);
    assert!(
        path.exists(),
        "{} is not built; run `cargo build --workspace` first, or the tests through `make test`",
        path.display()
    );
    path
}
