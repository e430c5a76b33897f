//! A real nats-server with JetStream, which a test may kill and restart.

use std::process::{Child, Command};
use std::time::Duration;

use tempfile::TempDir;

use crate::kit::{Kit, Part};
use crate::{free_port, process, until_blocking};

/// A nats-server on a port and a store of its own.
///
/// Port and store stay the same across [`kill`](Self::kill) and
/// [`restart`](Self::restart). Dropping it ends the server and removes the store.
#[derive(Debug)]
pub struct Nats {
    command: Command,
    child: Option<Child>,
    port: u16,
    monitor: u16,
    dir: TempDir,
}

impl Nats {
    /// Starts a server and waits until JetStream answers.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// [`start`](Self::start) with more arguments, such as `-c <file>`.
    pub fn start_with(args: &[&str]) -> Self {
        let kit = Kit::ensure(&[Part::Core]);
        let dir = tempfile::Builder::new()
            .prefix("kubeskippy-nats-")
            .tempdir()
            .expect("a temporary folder can be made");
        let (port, monitor) = (free_port(), free_port());
        let mut command = Command::new(kit.binary("nats-server"));
        command
            .args(["-a", "127.0.0.1", "-js", "-p"])
            .arg(port.to_string())
            .arg("-m")
            .arg(monitor.to_string())
            .arg("-sd")
            .arg(dir.path().join("store"))
            .args(args);
        let mut server = Self {
            command,
            child: None,
            port,
            monitor,
            dir,
        };
        server.restart();
        server
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// A client that is connected; it reconnects by itself after a restart.
    pub async fn client(&self) -> async_nats::Client {
        crate::control_plane::choose_crypto();
        async_nats::connect(self.url())
            .await
            .expect("a server that is up accepts a connection")
    }

    /// Starts the server again, on the same port and store, after it was killed
    /// or stopped; returns when JetStream answers.
    pub fn restart(&mut self) {
        self.stop();
        let log = self.dir.path().join("log");
        let child = self.child.insert(process::spawn(&self.command, &log));
        let monitor = format!("127.0.0.1:{}", self.monitor);
        until_blocking("nats-server", Duration::from_secs(30), || {
            if let Ok(Some(status)) = child.try_wait() {
                panic!("nats-server ended, {status}:\n{}", process::tail(&log, 15));
            }
            match process::http_get(&monitor, "/healthz?js-enabled-only=true")? {
                (200, _) => Ok(()),
                (code, body) => Err(format!("{code} {body}\n{}", process::tail(&log, 15))),
            }
        });
    }

    /// Ends the server as a crash would, with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            process::kill_hard(&mut child);
        }
    }

    /// Ends the server in an orderly way.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            process::terminate(&mut child, Duration::from_secs(10));
        }
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}
