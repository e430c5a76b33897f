//! Polls the metrics API: one list of pods and one of nodes, never a call per pod.
//!
//! A poll is timed to end shortly before the next scrape, so that the scrape
//! tells the newest usage there is.

use std::time::Duration;

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use kube::{
    Client,
    api::ListParams,
    core::{Request, request},
};
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout};

use super::Source;
use crate::reading::{
    Reading,
    usage::{List, NodeMetrics, PodMetrics, Usage},
};

/// Root of the metrics API.
const ROOT: &str = "/apis/metrics.k8s.io/v1beta1";
/// How long before a scrape the metrics API is asked.
const LEAD: Duration = Duration::from_secs(1);
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Polls the metrics API.
pub struct Metrics {
    client: Client,
    namespaces: Vec<String>,
    interval: Duration,
}

/// Why there is no usage.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("failed to build the request for {path}")]
    Request {
        path: String,
        source: request::Error,
    },
    #[error("failed to list {path}")]
    List { path: String, source: kube::Error },
    #[error("no answer in time")]
    Timeout,
}

impl Metrics {
    /// Polls for scrapes every `interval`, in `namespaces` or in all.
    pub const fn new(client: Client, namespaces: Vec<String>, interval: Duration) -> Self {
        Self {
            client,
            namespaces,
            interval,
        }
    }

    async fn poll(&self) -> Reading {
        let answer = timeout(PATIENCE, self.usage()).await;
        match answer.unwrap_or(Err(Error::Timeout)) {
            Ok(usage) => Reading::Usage(Box::new(usage)),
            Err(error) => Reading::UsageFailed(runtime::chain(&error)),
        }
    }

    async fn usage(&self) -> Result<Usage, Error> {
        let mut usage = Usage::default();
        if self.namespaces.is_empty() {
            usage.add_pods(self.list::<PodMetrics>(format!("{ROOT}/pods")).await?);
        }
        for namespace in &self.namespaces {
            let path = format!("{ROOT}/namespaces/{namespace}/pods");
            usage.add_pods(self.list::<PodMetrics>(path).await?);
        }
        usage.add_nodes(self.list::<NodeMetrics>(format!("{ROOT}/nodes")).await?);
        Ok(usage)
    }

    async fn list<T: DeserializeOwned>(&self, path: String) -> Result<Vec<T>, Error> {
        let request = match Request::new(&path).list(&ListParams::default()) {
            Ok(request) => request,
            Err(source) => return Err(Error::Request { path, source }),
        };
        match self.client.request::<List<T>>(request).await {
            Ok(list) => Ok(list.items),
            Err(source) => Err(Error::List { path, source }),
        }
    }

    /// Time until the next poll is due.
    fn pause(&self) -> Duration {
        let lead = LEAD.min(self.interval / 4);
        let interval = i128::try_from(self.interval.as_millis())
            .unwrap_or(i128::MAX)
            .max(1);
        let since = runtime::clock::now().as_millisecond();
        let past = (i128::from(since) + i128::try_from(lead.as_millis()).unwrap_or(0)) % interval;
        let left = u64::try_from(interval - past).unwrap_or(0);
        Duration::from_millis(left)
    }
}

impl Source for Metrics {
    fn readings(self: Box<Self>) -> BoxStream<'static, Reading> {
        // The first poll does not wait: a start should not cost an interval.
        stream::unfold((self, false), |(metrics, is_started)| async move {
            if is_started {
                sleep(metrics.pause()).await;
            }
            let reading = metrics.poll().await;
            Some((reading, (metrics, true)))
        })
        .boxed()
    }
}
