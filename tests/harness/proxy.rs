//! A proxy between one program and the API server, which makes trouble.
//!
//! The program talks plain HTTP to a loopback port, with its own token; the
//! proxy passes requests on over TLS, watches included, and what goes wrong on
//! the way is decided by a seed and the request's number ([`Faults`]). It also
//! names every write that counts ([`Label`]), so that a test can hold one there
//! and kill the program exactly then. The program itself knows of nothing.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, RETRY_AFTER, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

mod asked;
mod fault;
mod stop;

pub use asked::{Asked, Class, Effect, Label, Side, Write};
pub use fault::{Fault, Faults};
pub use stop::Held;

use crate::control_plane::choose_crypto;
use crate::free_port;
use stop::Stops;

type Reply = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// How many answers to the same question are remembered, for stale ones.
const REMEMBERED: usize = 3;

/// A running proxy; dropping it closes every connection.
#[derive(Debug)]
pub struct Proxy {
    state: Arc<State>,
    kubeconfig: PathBuf,
    away: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts one in front of the API server that `kubeconfig` names, and writes
    /// a kubeconfig with the same token that leads through it, into `dir`.
    pub async fn start(kubeconfig: &Path, dir: &Path) -> Self {
        choose_crypto();
        let mut file = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig can be read");
        let upstream = upstream(file.clone()).await;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        for named in &mut file.clusters {
            let cluster = named.cluster.get_or_insert_default();
            cluster.server = Some(format!("http://{address}"));
            cluster.certificate_authority = None;
        }
        let path = dir.join(format!("proxy-{}.kubeconfig", address.port()));
        let text = serde_json::to_string(&file).expect("a kubeconfig is text");
        std::fs::write(&path, text).expect("the folder can be written");
        let state = Arc::new(State {
            upstream,
            faults: Mutex::default(),
            stops: Stops::default(),
            counted: Mutex::default(),
            told: Mutex::default(),
            answers: Mutex::default(),
            remembers: AtomicBool::new(false),
        });
        let (away, is_away) = watch::channel(false);
        let listener = TcpListener::bind(address).await.expect("a free port");
        let accepting = tokio::spawn(accept(Arc::clone(&state), listener, is_away));
        Self {
            state,
            kubeconfig: path,
            away,
            accepting,
        }
    }

    /// The kubeconfig for the program.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// From now on, this goes wrong.
    pub fn trouble(&self, faults: Faults) {
        let stale = faults.among.contains(&Fault::Stale);
        self.state.remembers.store(stale, Ordering::Relaxed);
        *lock(&self.state.faults) = faults;
    }

    /// From now on, nothing goes wrong.
    pub fn calm(&self) {
        self.trouble(Faults::default());
    }

    /// Refuses connections and breaks those there are, or is there again.
    pub fn away(&self, is_away: bool) {
        self.away.send_replace(is_away);
    }

    /// Holds the first write that comes to one of `labels`, after `skip` others.
    pub fn hold_at(&self, labels: Vec<Label>, skip: usize) -> oneshot::Receiver<Held> {
        self.state.stops.set(labels, skip)
    }

    /// What went wrong so far, and with which request.
    pub fn troubles(&self) -> Vec<(Fault, Asked)> {
        lock(&self.state.told).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn upstream(file: Kubeconfig) -> Client {
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    let mut config = config.expect("a kubeconfig is complete");
    // The program's own token is passed on, and nothing is tried twice by itself.
    config.auth_info = AuthInfo::default();
    config.default_retry = false;
    Client::try_from(config).expect("a client can be made")
}

async fn accept(state: Arc<State>, first: TcpListener, mut is_away: watch::Receiver<bool>) {
    let address = first.local_addr().expect("it is bound");
    let mut listener = Some(first);
    loop {
        let mut connections = JoinSet::new();
        let here = match listener.take() {
            Some(listener) => listener,
            None => bind(address).await,
        };
        loop {
            tokio::select! {
                Ok((stream, _)) = here.accept() => {
                    connections.spawn(serve(Arc::clone(&state), stream));
                }
                Some(_) = connections.join_next() => {}
                changed = is_away.wait_for(|away| *away) => {
                    if changed.is_err() {
                        return;
                    }
                    break;
                }
            }
        }
        drop(here);
        drop(connections);
        if is_away.wait_for(|away| !*away).await.is_err() {
            return;
        }
    }
}

/// The port is ours; what the kernel still knows of old connections passes.
async fn bind(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn serve(state: Arc<State>, stream: TcpStream) {
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { state.answer(request).await }
    });
    let connection = hyper::server::conn::http1::Builder::new();
    // An answer that is lost on purpose ends the connection with an error.
    drop(
        connection
            .serve_connection(TokioIo::new(stream), service)
            .await,
    );
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A whole answer.
#[derive(Clone, Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// What all connections share.
struct State {
    upstream: Client,
    faults: Mutex<Faults>,
    stops: Stops,
    counted: Mutex<BTreeMap<Class, u64>>,
    told: Mutex<Vec<(Fault, Asked)>>,
    answers: Mutex<BTreeMap<String, Vec<Answer>>>,
    remembers: AtomicBool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

/// A request as it is passed on.
#[derive(Clone)]
struct Passed {
    method: Method,
    uri: String,
    headers: HeaderMap,
    body: Bytes,
}

impl State {
    /// Answers a request, or fails, which closes the connection without a byte.
    async fn answer(&self, request: Request<Incoming>) -> Result<Reply, io::Error> {
        let (parts, body) = request.into_parts();
        let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let asked = Asked::read(parts.method.as_str(), path, query, &body);
        let mut headers = parts.headers;
        headers.remove(HOST);
        headers.remove(CONNECTION);
        let passed = Passed {
            uri: format!("{path}?{query}"),
            method: parts.method,
            headers,
            body,
        };
        if !self.stops.pass(&asked, Side::Before).await {
            return Err(lost());
        }
        let fault = self.next_fault(&asked, &passed.uri);
        if let Some(answer) = fault.and_then(|fault| self.instead(fault, &passed.uri)) {
            return Ok(whole(answer));
        }
        if fault == Some(Fault::Delay) {
            tokio::time::sleep(Fault::LATE).await;
        }
        if asked.verb == "watch" {
            let response = forward(self.upstream.clone(), passed).await?;
            return watched(response, fault);
        }
        let answer = self.carry(&passed).await?;
        if fault == Some(Fault::Twice) {
            drop(self.carry(&passed).await);
        }
        self.remember(&asked, &passed.uri, &answer);
        if !self.stops.pass(&asked, Side::After).await || fault == Some(Fault::LoseAnswer) {
            return Err(lost());
        }
        Ok(if fault == Some(Fault::CutAnswer) {
            halved(answer)
        } else {
            whole(answer)
        })
    }

    fn next_fault(&self, asked: &Asked, uri: &str) -> Option<Fault> {
        let ordinal = {
            let mut counted = lock(&self.counted);
            let count = counted.entry(asked.class()).or_default();
            *count += 1;
            *count
        };
        let fault = lock(&self.faults).at(asked, ordinal)?;
        if fault == Fault::Stale && !lock(&self.answers).contains_key(uri) {
            return None;
        }
        lock(&self.told).push((fault, asked.clone()));
        Some(fault)
    }

    /// What is answered without the API server.
    fn instead(&self, fault: Fault, uri: &str) -> Option<Answer> {
        match fault {
            Fault::TooMany { retry_after } => {
                let mut answer = refusal(429, "TooManyRequests");
                if retry_after {
                    answer.headers.insert(RETRY_AFTER, 1.into());
                }
                Some(answer)
            }
            Fault::ServerError => Some(refusal(500, "InternalError")),
            Fault::Stale => lock(&self.answers).get(uri)?.first().cloned(),
            Fault::LoseAnswer | Fault::CutAnswer | Fault::Delay | Fault::Twice => None,
        }
    }

    /// Carries a request through, also when its sender dies meanwhile: the API
    /// server's log would not tell what became of one that was given up.
    async fn carry(&self, passed: &Passed) -> Result<Answer, io::Error> {
        let (upstream, passed) = (self.upstream.clone(), passed.clone());
        let carried = tokio::spawn(async move { read(forward(upstream, passed).await?).await });
        carried.await?
    }

    fn remember(&self, asked: &Asked, uri: &str, answer: &Answer) {
        if !self.remembers.load(Ordering::Relaxed) || !asked.is_read() {
            return;
        }
        let mut all = lock(&self.answers);
        let answers = all.entry(uri.to_owned()).or_default();
        answers.push(answer.clone());
        if answers.len() > REMEMBERED {
            answers.remove(0);
        }
    }
}

async fn forward(
    upstream: Client,
    passed: Passed,
) -> Result<Response<kube::client::Body>, io::Error> {
    let mut request = Request::builder()
        .method(passed.method)
        .uri(passed.uri)
        .body(kube::client::Body::from(passed.body))
        .map_err(io::Error::other)?;
    *request.headers_mut() = passed.headers;
    upstream.send(request).await.map_err(io::Error::other)
}

fn lost() -> io::Error {
    io::Error::other("lost on purpose")
}

/// An answer as the API server would give it.
fn refusal(code: u16, reason: &str) -> Answer {
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "made up by the test's proxy", "reason": reason, "code": code,
    });
    let mut headers = HeaderMap::new();
    let json = hyper::header::HeaderValue::from_static("application/json");
    headers.insert(hyper::header::CONTENT_TYPE, json);
    Answer {
        status: StatusCode::from_u16(code).expect("a status code"),
        headers,
        body: body.to_string().into(),
    }
}

async fn read(response: Response<kube::client::Body>) -> Result<Answer, io::Error> {
    let (parts, body) = response.into_parts();
    let mut headers = parts.headers;
    headers.remove(TRANSFER_ENCODING);
    headers.remove(CONTENT_LENGTH);
    headers.remove(CONNECTION);
    Ok(Answer {
        status: parts.status,
        headers,
        body: body.collect().await.map_err(io::Error::other)?.to_bytes(),
    })
}

fn with_body(
    status: StatusCode,
    headers: HeaderMap,
    body: UnsyncBoxBody<Bytes, io::Error>,
) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    *reply.headers_mut() = headers;
    reply
}

fn whole(answer: Answer) -> Reply {
    let body = Full::new(answer.body).map_err(|never| match never {});
    with_body(answer.status, answer.headers, body.boxed_unsync())
}

/// Half of an answer whose head promises all of it.
fn halved(answer: Answer) -> Reply {
    let mut headers = answer.headers;
    headers.insert(CONTENT_LENGTH, answer.body.len().into());
    let half = answer.body.slice(..answer.body.len() / 2);
    let parts = futures::stream::iter([Ok(Frame::data(half))]).chain(broken());
    with_body(
        answer.status,
        headers,
        StreamBody::new(parts).boxed_unsync(),
    )
}

/// The end of a connection, once what came before has left.
fn broken() -> impl futures::Stream<Item = Result<Frame<Bytes>, io::Error>> + Send {
    futures::stream::once(async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(lost())
    })
}

/// A watch as it comes; one that is cut ends after its first piece.
fn watched(
    response: Response<kube::client::Body>,
    fault: Option<Fault>,
) -> Result<Reply, io::Error> {
    let (parts, body) = response.into_parts();
    let mut headers = parts.headers;
    headers.remove(TRANSFER_ENCODING);
    headers.remove(CONNECTION);
    let body = body.map_err(io::Error::other);
    let body = match fault {
        Some(Fault::LoseAnswer) => return Err(lost()),
        Some(Fault::CutAnswer) => {
            let first = body.into_data_stream().take(1);
            let first = first.map(|piece| piece.map(Frame::data));
            StreamBody::new(first.chain(broken())).boxed_unsync()
        }
        Some(_) | None => body.boxed_unsync(),
    };
    Ok(with_body(parts.status, headers, body))
}
