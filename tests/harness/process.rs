//! Child processes that end with this one.
//!
//! The kernel is asked to kill each child when its parent dies, so that not even
//! SIGKILL leaves a server behind. It counts the *thread* that started a child
//! as the parent, and a test's threads come and go; so one thread, which lives
//! as long as the process, starts them all.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use crate::until_blocking;

type Job = (Command, Sender<io::Result<Child>>);

/// Starts `command` with its output appended to `log`.
pub(crate) fn spawn(command: &Command, log: &Path) -> Child {
    let output = File::options()
        .create(true)
        .append(true)
        .open(log)
        .expect("a log file can be made");
    // setpriv, of util-linux, replaces itself by the program, so the pid is the program's
    let mut tied = Command::new("setpriv");
    tied.args(["--pdeathsig", "KILL", "--"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => tied.env(name, value),
            None => tied.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        tied.current_dir(dir);
    }
    tied.stdin(Stdio::null())
        .stdout(output.try_clone().expect("a file handle can be cloned"))
        .stderr(output);
    let (answer, result) = channel();
    spawner()
        .send((tied, answer))
        .expect("the spawning thread lives as long as the process");
    match result.recv().expect("the spawning thread answers") {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("setpriv is not installed (it is part of util-linux)")
        }
        Err(error) => panic!(
            "{} cannot be started: {error}",
            command.get_program().display()
        ),
    }
}

fn spawner() -> Sender<Job> {
    static SPAWNER: OnceLock<Sender<Job>> = OnceLock::new();
    SPAWNER
        .get_or_init(|| {
            let (jobs, work) = channel::<Job>();
            std::thread::Builder::new()
                .name("spawner".into())
                .spawn(move || {
                    for (mut command, answer) in work {
                        // an asker that is gone has no use for the answer
                        drop(answer.send(command.spawn()));
                    }
                })
                .expect("a thread can be started");
            jobs
        })
        .clone()
}

/// Kills at once and reaps; does nothing to a child that ended before.
pub(crate) fn kill_hard(child: &mut Child) {
    drop(child.kill());
    child.wait().expect("a child can be waited for");
}

/// Asks with SIGTERM and waits at most `patience`; then kills. Says whether the
/// child ended by itself.
pub(crate) fn terminate(child: &mut Child, patience: Duration) -> bool {
    if matches!(child.try_wait(), Ok(Some(_))) {
        return true;
    }
    // not reaped yet, so the pid is still this child's
    let asked = Command::new("kill").arg(child.id().to_string()).status();
    assert!(asked.is_ok_and(|status| status.success()), "kill works");
    let start = std::time::Instant::now();
    let ended = until_blocking("a child's end", patience * 2, || match child.try_wait() {
        Ok(Some(_)) => Ok(true),
        Ok(None) if start.elapsed() >= patience => Ok(false),
        Ok(None) => Err("running".to_owned()),
        Err(error) => Err(error.to_string()),
    });
    if !ended {
        kill_hard(child);
    }
    ended
}

/// The last lines of a log, to show with a failure.
pub(crate) fn tail(log: &Path, lines: usize) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<_> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..)
        .unwrap_or_default()
        .join("\n")
}

/// Asks a loopback server for a page: its status code, and the body.
pub fn http_get(address: &str, path: &str) -> Result<(u16, String), String> {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};

    let address: SocketAddr = address.parse().map_err(|e| format!("{address}: {e}"))?;
    let patience = Duration::from_secs(2);
    let mut reply = Vec::new();
    TcpStream::connect_timeout(&address, patience)
        .and_then(|mut stream| {
            stream.set_read_timeout(Some(patience))?;
            let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
            stream.write_all(request.as_bytes())?;
            stream.read_to_end(&mut reply)
        })
        .map_err(|error| format!("{address}: {error}"))?;
    let reply = String::from_utf8_lossy(&reply);
    let (head, body) = reply.split_once("\r\n\r\n").unwrap_or((&reply, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    status
        .map(|code| (code, body.to_owned()))
        .ok_or_else(|| format!("{address} answered no HTTP: {head}"))
}
