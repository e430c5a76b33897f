//! Stops: a test names instants in the life of a write, and the request that
//! comes to one of them waits there until the test lets it go or lets it fall.

use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

use super::asked::{Asked, Label, Side};

/// A request that is held.
#[derive(Debug)]
pub struct Held {
    /// Where it is held.
    pub label: Label,
    /// What it asks.
    pub asked: Asked,
    release: oneshot::Sender<()>,
}

impl Held {
    /// Lets it go on. Dropping it instead closes its connection: before, the API
    /// server never sees it; after, its answer is lost.
    pub fn let_go(self) {
        // whoever asked may be gone
        self.release.send(()).unwrap_or_default();
    }
}

#[derive(Debug)]
struct Armed {
    labels: Vec<Label>,
    skip: usize,
    found: oneshot::Sender<Held>,
}

/// The stops that are set; each holds one request and is gone then.
#[derive(Debug, Default)]
pub(super) struct Stops(Mutex<Vec<Armed>>);

impl Stops {
    /// Sets a stop at the first instant of `labels` to come, after `skip` others.
    pub(super) fn set(&self, labels: Vec<Label>, skip: usize) -> oneshot::Receiver<Held> {
        let (found, receiver) = oneshot::channel();
        let mut armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        armed.push(Armed {
            labels,
            skip,
            found,
        });
        receiver
    }

    /// Waits where a stop says so. Whether the request goes on.
    pub(super) async fn pass(&self, asked: &Asked, side: Side) -> bool {
        match self.hold(asked, side) {
            Some(released) => released.await.is_ok(),
            None => true,
        }
    }

    fn hold(&self, asked: &Asked, side: Side) -> Option<oneshot::Receiver<()>> {
        let write = asked.write()?;
        let label = Label { side, write };
        let mut armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        armed.retain(|stop| !stop.found.is_closed());
        let index = armed.iter().position(|stop| stop.labels.contains(&label))?;
        let stop = armed.get_mut(index)?;
        if stop.skip > 0 {
            stop.skip -= 1;
            return None;
        }
        let (release, released) = oneshot::channel();
        let held = Held {
            label,
            asked: asked.clone(),
            release,
        };
        // a test that has gone away holds nothing
        armed
            .remove(index)
            .found
            .send(held)
            .is_ok()
            .then_some(released)
    }
}
