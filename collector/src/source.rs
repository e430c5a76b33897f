//! Where readings come from.
//!
//! In: the Kubernetes API. Out: one stream of [`Reading`]s. A source never ends
//! and never fails: trouble is a reading too, and each source tries again with
//! its own back-off.

use futures::{StreamExt, stream::BoxStream};
use kube::Client;
use runtime::{lease::Lease, shutdown::Shutdown};
use tokio::sync::mpsc;

use crate::{config::Options, reading::Reading};

pub mod events;
pub mod heartbeat;
pub mod objects;
pub mod usage;

/// A stream of readings.
pub trait Source: Send {
    /// Begins to read; the stream ends never, or when it is dropped.
    fn readings(self: Box<Self>) -> BoxStream<'static, Reading>;
}

/// Every source that `options` ask for. The lease's UID keys what is told of templates.
pub async fn all(
    client: &Client,
    namespaces: &[String],
    options: &Options,
    lease: &Lease,
) -> Vec<Box<dyn Source>> {
    let mut sources = objects::all(client, namespaces, lease).await;
    sources.extend(events::all(client, namespaces));
    sources.push(Box::new(heartbeat::Heartbeat::new(client.clone())));
    if options.usage == crate::config::UsageSource::Metrics {
        sources.push(Box::new(usage::Metrics::new(
            client.clone(),
            namespaces.to_vec(),
            options.interval(),
        )));
    }
    sources
}

/// Runs a source on a task of its own until shutdown.
///
/// A full channel holds the source back, and with it the API server's watch.
pub fn spawn(source: Box<dyn Source>, to: mpsc::Sender<Reading>, shutdown: Shutdown) {
    tokio::spawn(async move {
        let mut readings = source.readings();
        loop {
            let reading = tokio::select! {
                () = shutdown.wait() => return,
                reading = readings.next() => reading,
            };
            let Some(reading) = reading else { return };
            if to.send(reading).await.is_err() {
                return;
            }
        }
    });
}
