//! The connection to NATS JetStream, and the streams that every program relies on.
//!
//! Publishing awaits the server's ack; a repeat of the same `Nats-Msg-Id` is
//! harmless. The streams are created, or brought up to date, at every
//! connection, so that programs start in any order and a server that lost its
//! store is put right.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_nats::{
    Client, ConnectOptions, HeaderMap,
    jetstream::{self, context::ContextBuilder, message::StreamMessage, publish::PublishAck},
};
use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use clap::Args;
use jiff::Timestamp;
use schemas::{
    alert::Alert,
    subject::{Stream, Subject, Subjects},
};
use tokio::sync::watch;

use crate::{chain, shutdown::Shutdown};

mod bucket;
mod ordered;
mod streams;

pub use bucket::Bucket;
pub use ordered::Tail;

/// Where the bus is, and how long it keeps things.
#[derive(Clone, Debug, Args)]
pub struct BusArgs {
    /// NATS servers, separated by commas.
    #[arg(long, env = "NATS_URL", default_value = "nats://127.0.0.1:4222")]
    pub nats_url: String,

    /// NATS credentials file (.creds). Left out: no authentication.
    #[arg(long, env = "KUBESKIPPY_NATS_CREDS")]
    pub nats_creds: Option<PathBuf>,

    /// Name of the cluster; part of every subject, so that one NATS account can carry many.
    #[arg(long, env = "KUBESKIPPY_CLUSTER", default_value = "default")]
    pub cluster: String,

    /// Hours that samples, objects and events are kept.
    #[arg(long, env = "KUBESKIPPY_RETENTION_HOURS", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=720))]
    pub retention_hours: u16,

    /// Most megabytes that each of those streams may hold; the oldest go first.
    #[arg(long, env = "KUBESKIPPY_STREAM_MEGABYTES", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(16..))]
    pub stream_megabytes: u32,

    /// Copies of each stream, for a NATS cluster.
    #[arg(long, env = "KUBESKIPPY_STREAM_REPLICAS", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    pub stream_replicas: u8,
}

/// Why the bus did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The credentials file cannot be read.
    #[error("failed to read the NATS credentials {path}")]
    Credentials {
        /// Where it should be.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// The options make no sense to the client.
    #[error("failed to connect to NATS at {url}")]
    Connect {
        /// The servers.
        url: String,
        /// What went wrong.
        source: async_nats::ConnectError,
    },
    /// Shutdown was requested before a connection was there.
    #[error("shut down before NATS at {url} answered")]
    ShutDown {
        /// The servers.
        url: String,
    },
    /// A stream cannot be created or changed.
    #[error("failed to create or update the stream {stream}")]
    Stream {
        /// Its name.
        stream: String,
        /// What the server said.
        source: jetstream::context::CreateStreamError,
    },
    /// A message was not acknowledged.
    #[error("failed to publish on {subject}")]
    Publish {
        /// Where to.
        subject: String,
        /// What went wrong.
        source: jetstream::context::PublishError,
    },
    /// The last message of a subject cannot be read.
    #[error("failed to read the last message on {subject}")]
    Last {
        /// Which subject.
        subject: String,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A key of a bucket cannot be read or written.
    #[error("failed to read or write {key} in a bucket")]
    Bucket {
        /// The key, or the bucket itself.
        key: String,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No server is connected, so that asking would only be waiting.
    #[error("NATS is not connected")]
    Away,
    /// A message cannot be written as JSON.
    #[error("failed to encode a message for {subject}")]
    Encode {
        /// Where to.
        subject: String,
        /// What went wrong.
        source: serde_json::Error,
    },
}

impl Error {
    /// A short, bounded label for metrics and conditions.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Credentials { .. } => "Credentials",
            Self::Connect { .. } => "Connect",
            Self::ShutDown { .. } => "ShutDown",
            Self::Stream { .. } => "Stream",
            Self::Publish { .. } => "Publish",
            Self::Last { .. } => "Last",
            Self::Bucket { .. } => "Bucket",
            Self::Away => "Away",
            Self::Encode { .. } => "Encode",
        }
    }
}

/// A connection to the bus, shared by all tasks of a process.
#[derive(Clone, Debug)]
pub struct Bus {
    /// The NATS client.
    pub client: Client,
    /// Its JetStream context.
    pub js: jetstream::Context,
    /// The names of this cluster.
    pub subjects: Subjects,
    /// The cluster's name.
    pub cluster: String,
    args: Arc<BusArgs>,
    connected: watch::Receiver<bool>,
}

impl Bus {
    /// Connects, retrying with back-off until a server answers or shutdown is requested.
    ///
    /// # Errors
    /// When the credentials cannot be read, or on shutdown.
    pub async fn connect(args: &BusArgs, shutdown: &Shutdown) -> Result<Self, Error> {
        let (state, connected) = watch::channel(false);
        let client = connect(args, shutdown, state.clone()).await?;
        let js = ContextBuilder::new()
            .timeout(Duration::from_secs(5))
            .ack_timeout(Duration::from_secs(5))
            .build(client.clone());
        state.send_replace(true);
        let bus = Self {
            client,
            js,
            subjects: Subjects::new(&args.cluster),
            cluster: args.cluster.clone(),
            args: Arc::new(args.clone()),
            connected,
        };
        tokio::spawn(bus.clone().keep_streams(shutdown.clone()));
        Ok(bus)
    }

    /// Whether a server is connected now.
    pub fn is_connected(&self) -> bool {
        *self.connected.borrow()
    }

    /// Follows whether a server is connected.
    pub fn connection(&self) -> watch::Receiver<bool> {
        self.connected.clone()
    }

    /// Creates every stream that is missing and updates those that differ.
    ///
    /// # Errors
    /// When the server refuses, such as for a lack of storage.
    pub async fn ensure_streams(&self) -> Result<(), Error> {
        for stream in Stream::ALL {
            let config = streams::config(stream, &self.subjects, &self.args);
            let name = config.name.clone();
            self.js
                .create_or_update_stream(config)
                .await
                .map_err(|source| Error::Stream {
                    stream: name,
                    source,
                })?;
        }
        Ok(())
    }

    /// Ensures the streams now and after each reconnection.
    async fn keep_streams(self, shutdown: Shutdown) {
        let mut connected = self.connected.clone();
        loop {
            if *connected.borrow_and_update()
                && let Err(error) = self.ensure_streams().await
            {
                tracing::warn!(error = chain(&error), "streams not ensured");
            }
            tokio::select! {
                () = shutdown.wait() => return,
                changed = connected.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Publishes a message and awaits its ack. A message whose `id` the server
    /// has seen within its duplicate window is acknowledged and not stored again.
    ///
    /// # Errors
    /// When no ack came in time.
    pub async fn publish(
        &self,
        subject: &Subject,
        mut headers: HeaderMap,
        payload: Bytes,
        id: Option<&str>,
    ) -> Result<PublishAck, Error> {
        if let Some(id) = id {
            headers.insert(async_nats::header::NATS_MESSAGE_ID, id);
        }
        let wrap = |source| Error::Publish {
            subject: subject.to_string(),
            source,
        };
        self.js
            .publish_with_headers(subject.to_string(), headers, payload)
            .await
            .map_err(wrap)?
            .await
            .map_err(wrap)
    }

    /// Publishes an alert as a `CloudEvents` event of `program`.
    ///
    /// # Errors
    /// When no ack came in time.
    pub async fn publish_alert(
        &self,
        alert: Alert,
        program: &str,
        time: Timestamp,
    ) -> Result<PublishAck, Error> {
        let subject = self
            .subjects
            .alert(alert.severity.as_str(), &alert.namespace, &alert.policy);
        let event = alert.envelope(program, time);
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/cloudevents+json");
        if let Some(trace) = &event.traceparent {
            headers.insert(schemas::sample::TRACEPARENT, trace.as_str());
        }
        let payload = serde_json::to_vec(&event).map_err(|source| Error::Encode {
            subject: subject.to_string(),
            source,
        })?;
        self.publish(&subject, headers, payload.into(), Some(&event.id))
            .await
    }

    /// The last message on `subject`, if the stream holds one.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn last(
        &self,
        stream: Stream,
        subject: &Subject,
    ) -> Result<Option<StreamMessage>, Error> {
        use jetstream::stream::DirectGetErrorKind;
        let wrap = |source| Error::Last {
            subject: subject.to_string(),
            source,
        };
        let name = self.subjects.stream_name(stream);
        let handle = self.js.get_stream_no_info(name).await;
        let handle = handle.map_err(|source| wrap(Box::new(source)))?;
        match handle.direct_get_last_for_subject(subject.as_str()).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(error) => Err(wrap(Box::new(error))),
        }
    }
}

/// The pauses between attempts to connect: from 100 ms to 5 s, with jitter, without end.
fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(5))
        .with_jitter()
        .without_max_times()
        .build()
}

async fn connect(
    args: &BusArgs,
    shutdown: &Shutdown,
    state: watch::Sender<bool>,
) -> Result<Client, Error> {
    let url = args.nats_url.clone();
    for pause in pauses() {
        let options = options(args, state.clone()).await?;
        match options.connect(&url).await {
            Ok(client) => return Ok(client),
            Err(source) if matches!(source.kind(), async_nats::ConnectErrorKind::ServerParse) => {
                return Err(Error::Connect { url, source });
            }
            Err(error) => {
                tracing::warn!(url, error = chain(&error), "NATS does not answer");
            }
        }
        tokio::select! {
            () = shutdown.wait() => break,
            () = tokio::time::sleep(pause) => {}
        }
    }
    Err(Error::ShutDown { url })
}

async fn options(args: &BusArgs, state: watch::Sender<bool>) -> Result<ConnectOptions, Error> {
    let mut options = match &args.nats_creds {
        None => ConnectOptions::new(),
        Some(path) => ConnectOptions::with_credentials_file(path)
            .await
            .map_err(|source| Error::Credentials {
                path: path.clone(),
                source,
            })?,
    };
    options = options
        .name("kubeskippy")
        .connection_timeout(Duration::from_secs(3))
        .ping_interval(Duration::from_secs(5))
        .reconnect_delay_callback(|attempt| {
            let ceiling = 100u64.saturating_mul(1 << attempt.min(5)).min(2000);
            Duration::from_millis(fastrand::u64(ceiling / 2..=ceiling))
        })
        .event_callback(move |event| {
            let state = state.clone();
            async move { note(&event, &state) }
        });
    Ok(options)
}

/// Follows the connection's state.
fn note(event: &async_nats::Event, state: &watch::Sender<bool>) {
    match event {
        async_nats::Event::Connected => {
            state.send_replace(true);
            tracing::info!("NATS connected");
        }
        async_nats::Event::Disconnected | async_nats::Event::Closed => {
            state.send_replace(false);
            tracing::warn!("NATS disconnected");
        }
        async_nats::Event::LameDuckMode
        | async_nats::Event::Draining
        | async_nats::Event::SlowConsumer(_)
        | async_nats::Event::ServerError(_)
        | async_nats::Event::ClientError(_) => tracing::debug!(%event, "NATS"),
    }
}
