//! Bounded waits on a wanted state.
//!
//! A wait looks at the state itself, again and again, and never at a change, so
//! that it cannot miss one. When its time is up it tells what it saw last.

use std::time::{Duration, Instant};

/// How long to rest between two looks: short against what servers take, long
/// against what a look costs.
const PAUSE: Duration = Duration::from_millis(100);

/// Looks until `probe` answers `Ok`, and returns what it found.
///
/// A probe that is not satisfied answers with the state it saw instead.
/// Panics after `timeout`, naming `what` was awaited and the last state seen.
pub async fn until<T, F>(what: &str, timeout: Duration, mut probe: F) -> T
where
    F: AsyncFnMut() -> Result<T, String>,
{
    let start = Instant::now();
    let mut seen = String::from("nothing: the first look never ended");
    loop {
        let left = timeout.saturating_sub(start.elapsed());
        match tokio::time::timeout(left.max(PAUSE), probe()).await {
            Ok(Ok(found)) => return found,
            Ok(Err(state)) => seen = state,
            Err(_) => give_up(what, timeout, &format!("{seen} (the last look hung)")),
        }
        if start.elapsed() >= timeout {
            give_up(what, timeout, &seen);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// [`until`] for code that is not async, such as the start of a server.
pub fn until_blocking<T>(
    what: &str,
    timeout: Duration,
    mut probe: impl FnMut() -> Result<T, String>,
) -> T {
    let start = Instant::now();
    loop {
        match probe() {
            Ok(found) => return found,
            Err(seen) if start.elapsed() >= timeout => give_up(what, timeout, &seen),
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

fn give_up(what: &str, timeout: Duration, seen: &str) -> ! {
    panic!(
        "waited {:.0} s for {what}; last seen: {seen}",
        timeout.as_secs_f64()
    )
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn a_wait_that_runs_out_tells_what_it_saw_last() {
        let mut looks = 0;
        let panic = catch_unwind(move || {
            until_blocking("the moon", Duration::from_millis(250), || {
                looks += 1;
                Err::<(), _>(format!("look {looks}: clouds"))
            });
        })
        .unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.contains("for the moon; last seen: look "), "{text}");
        assert!(!text.contains("look 1:"), "{text}");
    }

    #[test]
    fn a_look_that_hangs_does_not_outlast_the_wait() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let panic = catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(until("an answer", Duration::from_millis(200), async || {
                std::future::pending::<Result<(), String>>().await
            }));
        }))
        .unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.contains("the last look hung"), "{text}");
    }
}
