//! Calls a policy's webhook, once.
//!
//! In: what a plan recorded of the call, and who asks. Out: whether the receiver
//! answered that it was done. The host is resolved once, every address it has is
//! looked at, and the connection goes to one of these and to no other: there are
//! no proxies and no redirects. Nothing is ever sent a second time here.
//!
//! The token that signs comes from a file that a Secret is mounted to: no
//! program of ours may read Secrets through the API, and none logs one.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, StatusCode,
    client::conn::http1,
    header::{CONTENT_TYPE, HOST, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use schemas::{envelope::Envelope, step::Step, webhook as wire};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

pub mod address;
mod sign;

use address::{Place, Refused, Rules, allowed, place};
use sign::signature;

/// The longest that a webhook may take, whatever its policy says: half of a pass of the reconciler.
pub const LONGEST: Duration = Duration::from_secs(30);

/// How much of an answer's head is read. Its body is not read at all.
const HEAD_BYTES: usize = 16 * 1024;

/// Why a webhook did not answer that it was done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It may not be called.
    #[error("the webhook is not called")]
    Refused(#[source] Refused),

    /// What is recorded of the call cannot be read.
    #[error("what is recorded of the call cannot be read")]
    Recorded(#[source] serde_json::Error),

    /// There is no folder with the tokens of Secrets.
    #[error(
        "the webhook signs with the Secret {0}, and the actuator was started without --webhook-secrets"
    )]
    NoSecrets(String),

    /// The token cannot be read.
    #[error("the token of the Secret {name} is not mounted")]
    Secret {
        /// The Secret.
        name: String,
        /// What went wrong.
        source: io::Error,
    },

    /// The token is empty.
    #[error("the token of the Secret {0} is empty")]
    EmptySecret(String),

    /// The certificates cannot be read.
    #[error("the certificates in {path} cannot be read")]
    Certificates {
        /// Where they are.
        path: String,
        /// What went wrong.
        source: rustls::pki_types::pem::Error,
    },

    /// The request cannot be made of what is recorded.
    #[error("the request cannot be made")]
    Request(#[source] Box<dyn std::error::Error + Send + Sync>),

    /// No connection came about, so nothing was sent.
    #[error("there is no connection to {place}")]
    Connect {
        /// Where to.
        place: String,
        /// What went wrong.
        source: io::Error,
    },

    /// The receiver answered that it was not done.
    #[error("{place} answered {status}")]
    Answered {
        /// Who.
        place: String,
        /// What.
        status: StatusCode,
    },

    /// The request was sent, in part at least, and no answer came.
    #[error("{place} did not answer")]
    Lost {
        /// Who.
        place: String,
        /// What went wrong.
        source: io::Error,
    },
}

impl Error {
    /// Whether the receiver may have done what it was asked for without our knowing.
    pub const fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }
}

/// Calls webhooks.
#[derive(Clone, Debug)]
pub struct Webhooks {
    /// What may be called.
    pub rules: Rules,
    /// Where Secrets are mounted: `<folder>/<secret>/token`.
    pub secrets: Option<PathBuf>,
    /// More certificates to trust, besides the system's.
    pub certificates: Option<PathBuf>,
    /// Who asks: `/kubeskippy/<cluster>/actuator`.
    pub source: String,
}

/// Who asks for a call, and when.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// UID of the action.
    pub action_uid: &'a str,
    /// Identity of the plan.
    pub digest: &'a str,
    /// The instant.
    pub at: Timestamp,
}

/// A call with nothing left to decide but the connection.
struct Ready {
    place: Place,
    addresses: Vec<SocketAddr>,
    token: Option<Vec<u8>>,
}

impl Webhooks {
    /// Does all of a call but the call: reads the token, resolves the host and looks at its addresses.
    ///
    /// # Errors
    /// When the call would not be made.
    pub async fn try_out(&self, step: &Step) -> Result<(), Error> {
        let until = Instant::now() + LONGEST;
        self.prepare(step, until).await.map(|_| ())
    }

    /// Makes the call of `step`.
    ///
    /// # Errors
    /// When the receiver did not answer that it was done.
    pub async fn call(&self, step: &Step, asking: Asking<'_>) -> Result<(), Error> {
        let seconds = step.webhook.as_ref().map_or(0, |hook| hook.timeout_seconds);
        let within = Duration::from_secs(u64::from(seconds)).min(LONGEST);
        let until = Instant::now() + within;
        let body = self.body(step, asking)?;
        let ready = self.prepare(step, until).await?;
        let request = request(&ready, body, asking)?;
        let place = &ready.place;
        let connecting = timeout_at(until, connect(place, &ready.addresses));
        let stream = connecting.await.unwrap_or_else(|_| Err(timed_out()));
        let stream = stream.map_err(|source| unconnected(place, source))?;
        let status = if place.encrypted {
            let config = self.tls().await?;
            let stream = timeout_at(until, encrypt(config, &place.host, stream)).await;
            let stream = stream.unwrap_or_else(|_| Err(timed_out()));
            let stream = stream.map_err(|source| unconnected(place, source))?;
            timeout_at(until, exchange(stream, request)).await
        } else {
            timeout_at(until, exchange(stream, request)).await
        };
        let status = status.unwrap_or_else(|_| Err(timed_out()));
        let status = status.map_err(|source| Error::Lost {
            place: place.to_string(),
            source,
        })?;
        if status.is_success() {
            return Ok(());
        }
        Err(Error::Answered {
            place: place.to_string(),
            status,
        })
    }

    /// The event that is sent.
    fn body(&self, step: &Step, asking: Asking<'_>) -> Result<Bytes, Error> {
        let recorded = step.body.as_deref().unwrap_or_default();
        let mut data: wire::Request = serde_json::from_str(recorded).map_err(Error::Recorded)?;
        asking.digest.clone_into(&mut data.plan_digest);
        let subject = data.target.to_string();
        let event = Envelope::new(
            asking.action_uid.to_owned(),
            self.source.clone(),
            wire::EVENT_TYPE.to_owned(),
            asking.at,
            data,
        );
        let body = serde_json::to_vec(&event.about(subject)).map_err(Error::Recorded)?;
        Ok(Bytes::from(body))
    }

    async fn prepare(&self, step: &Step, until: Instant) -> Result<Ready, Error> {
        let url = step.webhook.as_ref().map_or("", |hook| hook.url.as_str());
        let place = place(url, &self.rules).map_err(Error::Refused)?;
        let token = self.token(step).await?;
        let resolving = timeout_at(until, lookup_host((place.host.as_str(), place.port)));
        let found = resolving.await.unwrap_or_else(|_| Err(timed_out()));
        let found = found.map_err(|source| unconnected(&place, source))?;
        let addresses: Vec<_> = found.collect();
        // One address that is turned down condemns the host: which one is taken is nobody's choice.
        for address in &addresses {
            allowed(&place, address.ip(), &self.rules).map_err(Error::Refused)?;
        }
        Ok(Ready {
            place,
            addresses,
            token,
        })
    }

    /// What signs the request, if something does.
    async fn token(&self, step: &Step) -> Result<Option<Vec<u8>>, Error> {
        let name = step
            .webhook
            .as_ref()
            .and_then(|hook| hook.secret_name.clone());
        let Some(name) = name else {
            return Ok(None);
        };
        let Some(folder) = &self.secrets else {
            return Err(Error::NoSecrets(name));
        };
        // The name comes from a policy; nothing in it may lead out of the folder.
        let is_name =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
        if name.starts_with('.') || !name.chars().all(is_name) {
            let source = io::Error::from(io::ErrorKind::InvalidInput);
            return Err(Error::Secret { name, source });
        }
        let path = folder.join(&name).join("token");
        match tokio::fs::read(path).await {
            Ok(token) => {
                let token = token.trim_ascii_end().to_vec();
                if token.is_empty() {
                    return Err(Error::EmptySecret(name));
                }
                Ok(Some(token))
            }
            Err(source) => Err(Error::Secret { name, source }),
        }
    }

    async fn tls(&self) -> Result<Arc<ClientConfig>, Error> {
        let mut roots = RootCertStore::empty();
        // What the system has that cannot be used is left out; a receiver that needs it will not be believed.
        let system = rustls_native_certs::load_native_certs();
        let _counts = roots.add_parsable_certificates(system.certs);
        if let Some(path) = &self.certificates {
            let unread = |source| Error::Certificates {
                path: path.display().to_string(),
                source,
            };
            let text = tokio::fs::read(path).await;
            let text = text.map_err(|source| unread(rustls::pki_types::pem::Error::Io(source)))?;
            for certificate in CertificateDer::pem_slice_iter(&text) {
                let _counts = roots.add_parsable_certificates([certificate.map_err(unread)?]);
            }
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|source| Error::Request(source.into()))?;
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn request(ready: &Ready, body: Bytes, asking: Asking<'_>) -> Result<Request<Full<Bytes>>, Error> {
    let mut request = Request::post(&ready.place.path)
        .header(HOST, &ready.place.authority)
        .header(CONTENT_TYPE, "application/cloudevents+json")
        .header(USER_AGENT, "kubeskippy-actuator")
        .header(wire::IDEMPOTENCY_KEY, asking.action_uid)
        .header(wire::TIMESTAMP, asking.at.as_second());
    if let Some(token) = &ready.token {
        let signed = HeaderValue::try_from(signature(token, asking.at, &body));
        request = request.header(
            wire::SIGNATURE,
            signed.map_err(|source| Error::Request(source.into()))?,
        );
    }
    let request = request.body(Full::new(body));
    request.map_err(|source| Error::Request(source.into()))
}

/// Connects to the first of these addresses that takes a connection.
async fn connect(place: &Place, addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let none = || {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("{} has no address", place.host),
        )
    };
    let mut failed = none();
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

async fn encrypt(
    config: Arc<ClientConfig>,
    host: &str,
    stream: TcpStream,
) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(config).connect(name, stream).await
}

/// Sends the request and waits for the head of the answer. From here on, no error tells that nothing was done.
async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> io::Result<StatusCode>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = http1::Builder::new();
    let builder = builder.max_buf_size(HEAD_BYTES);
    let (mut sender, connection) = builder
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let _driven = AbortOnDropHandle::new(tokio::spawn(connection));
    let answer = sender.send_request(request).await;
    answer
        .map(|answer| answer.status())
        .map_err(io::Error::other)
}

fn unconnected(place: &Place, source: io::Error) -> Error {
    Error::Connect {
        place: place.to_string(),
        source,
    }
}

fn timed_out() -> io::Error {
    io::ErrorKind::TimedOut.into()
}
