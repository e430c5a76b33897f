//! Where the lines and the anchor come from.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    time::Duration,
};

use async_nats::jetstream::{
    self,
    consumer::{
        DeliverPolicy,
        pull::{Ordered, OrderedConfig},
    },
};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use schemas::{
    journal::{ANCHOR, Anchor},
    subject::{Stream, Subjects},
};

use super::{SourceArgs, VerifyArgs};

/// How long the server may take for the next line.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no answer, or a bad one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was read, and does not fit together.
    #[error("the journal is not intact: {breaks} breaks, the first at line {first}")]
    Tampered {
        /// Where, counted from 1.
        first: u64,
        /// How many.
        breaks: u64,
    },
    /// The bus cannot be read.
    #[error("failed to read the journal {stream} from {url}")]
    Bus {
        /// The stream.
        stream: String,
        /// The servers.
        url: String,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server stopped in the middle.
    #[error("the server sent nothing for {} s", PATIENCE.as_secs())]
    Silent,
    /// A file cannot be read.
    #[error("failed to read {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// The cluster is not known.
    #[error("failed to find the cluster of the anchor")]
    Connect(#[source] runtime::kube::Error),
    /// The anchor cannot be read.
    #[error("failed to read the anchor, ConfigMap {namespace}/{name}")]
    Anchor {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// What went wrong.
        source: kube::Error,
    },
    /// Nobody reads what is printed.
    #[error("failed to print")]
    Print(#[source] std::io::Error),
}

/// Lines, one after the other.
pub(crate) enum Lines {
    /// From the bus.
    Bus {
        messages: Box<Ordered>,
        left: u64,
        count: u64,
        stream: String,
        url: String,
    },
    /// From a file.
    File {
        file: BufReader<std::fs::File>,
        path: PathBuf,
    },
}

/// Opens the journal.
pub(crate) async fn lines(args: &SourceArgs) -> Result<Lines, Error> {
    match &args.from_file {
        Some(path) => open(path),
        None => subscribe(args).await,
    }
}

fn open(path: &Path) -> Result<Lines, Error> {
    let file = std::fs::File::open(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })?;
    Ok(Lines::File {
        file: BufReader::new(file),
        path: path.to_owned(),
    })
}

async fn subscribe(args: &SourceArgs) -> Result<Lines, Error> {
    let name = Subjects::new(&args.cluster).stream_name(Stream::Journal);
    let wrap = |source: Box<dyn std::error::Error + Send + Sync>| Error::Bus {
        stream: name.clone(),
        url: args.nats_url.clone(),
        source,
    };
    let options = match &args.nats_creds {
        None => async_nats::ConnectOptions::new(),
        Some(path) => async_nats::ConnectOptions::with_credentials_file(path)
            .await
            .map_err(|source| Error::File {
                path: path.clone(),
                source,
            })?,
    };
    let client = options.name("kubeskippy journal").connect(&args.nats_url);
    let client = client.await.map_err(|error| wrap(error.into()))?;
    let stream = jetstream::new(client).get_stream(&name).await;
    let stream = stream.map_err(|error| wrap(error.into()))?;
    let count = stream.cached_info().state.messages;
    let config = OrderedConfig {
        deliver_policy: DeliverPolicy::All,
        ..OrderedConfig::default()
    };
    let consumer = stream.create_consumer(config).await;
    let consumer = consumer.map_err(|error| wrap(error.into()))?;
    let messages = consumer.messages().await;
    Ok(Lines::Bus {
        messages: Box::new(messages.map_err(|error| wrap(error.into()))?),
        left: count,
        count,
        stream: name,
        url: args.nats_url.clone(),
    })
}

impl Lines {
    /// How many there are, where that is known.
    pub(crate) const fn count(&self) -> Option<u64> {
        match self {
            Self::Bus { count, .. } => Some(*count),
            Self::File { .. } => None,
        }
    }

    /// The next line.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Bus { left: 0, .. } => Ok(None),
            Self::Bus {
                messages,
                left,
                stream,
                url,
                ..
            } => {
                let next = tokio::time::timeout(PATIENCE, messages.next()).await;
                let message = next.map_err(|_elapsed| Error::Silent)?;
                let message = message.ok_or(Error::Silent)?;
                let message = message.map_err(|error| Error::Bus {
                    stream: stream.clone(),
                    url: url.clone(),
                    source: error.into(),
                })?;
                *left -= 1;
                Ok(Some(message.payload.to_vec()))
            }
            Self::File { file, path } => {
                let mut line = Vec::new();
                let read = file.read_until(b'\n', &mut line);
                let read = read.map_err(|source| Error::File {
                    path: path.clone(),
                    source,
                })?;
                if line.last() == Some(&b'\n') {
                    line.pop();
                }
                Ok((read > 0).then_some(line))
            }
        }
    }
}

/// The anchor as the cluster has it.
pub(super) async fn anchor(args: &VerifyArgs) -> Result<Anchor, Error> {
    let client = runtime::kube::client_without_retries(&args.kube, "console").await;
    let client = client.map_err(Error::Connect)?;
    let name = match &args.instance {
        Some(instance) => format!("{ANCHOR}-{instance}"),
        None => ANCHOR.to_owned(),
    };
    let namespace = args.system_namespace.clone();
    let api: Api<ConfigMap> = Api::namespaced(client, &namespace);
    match api.get(&name).await {
        Ok(found) => Ok(Anchor::of(&found.data.unwrap_or_default())),
        Err(source) => Err(Error::Anchor {
            namespace,
            name,
            source,
        }),
    }
}
