//! Free loopback ports that no other test process takes at the same time.
//!
//! A block of twenty is leased by a lock on a file in the user's cache, as
//! `tests/kit/up.sh` does. The blocks lie below the range from which Linux
//! takes ports for outgoing connections, so a server that was killed finds its
//! port free again when it restarts.

use std::fs::{File, TryLockError};
use std::net::TcpListener;
use std::sync::Mutex;

use crate::kit::cache;

const FIRST: u16 = 18_000;
const BLOCK: u16 = 20;
const BLOCKS: u16 = 700;

struct Lease {
    next: u16,
    end: u16,
    /// Held for the process's life; the kernel releases it with the process.
    _lock: File,
}

static LEASES: Mutex<Vec<Lease>> = Mutex::new(Vec::new());

/// A port on 127.0.0.1 that nobody listens on, this process's until it ends.
pub fn free_port() -> u16 {
    let mut leases = LEASES.lock().expect("no thread panicked while leasing");
    loop {
        let lease = match leases.last_mut() {
            Some(lease) if lease.next < lease.end => lease,
            _ => {
                leases.push(lease());
                continue;
            }
        };
        let port = lease.next;
        lease.next += 1;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn lease() -> Lease {
    let dir = cache().join("ports");
    std::fs::create_dir_all(&dir).expect("the cache folder can be written");
    let start = fastrand::u16(..BLOCKS);
    for offset in 0..BLOCKS {
        let base = FIRST + (start + offset) % BLOCKS * BLOCK;
        let lock = File::create(dir.join(base.to_string())).expect("a lease file can be made");
        match lock.try_lock() {
            Ok(()) => {
                return Lease {
                    next: base,
                    end: base + BLOCK,
                    _lock: lock,
                };
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => panic!("a lease file cannot be locked: {error}"),
        }
    }
    panic!(
        "all {BLOCKS} blocks of ports from {FIRST} on are leased in {}",
        dir.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_handed_out_once() {
        let mut ports: Vec<_> = (0..45).map(|_| free_port()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 45);
    }
}
