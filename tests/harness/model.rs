//! Servers of models: a real one, and one that answers as a test says.
//!
//! [`ModelServer`] speaks both APIs (Ollama's and the chat completions of `OpenAI`), streamed and
//! not, and is as hostile as its closure: it may refuse, hang, cut an answer, or send for ever.
//! [`RealModel`] runs the kit's small model. Both end when they are dropped.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt as _;
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{Program, free_port, kit};

/// How long a real model may take to be there: it loads 100 MB on a busy machine.
const LOAD: Duration = Duration::from_mins(3);

/// A request to a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelRequest {
    /// The path, such as `/api/chat`.
    pub path: String,
    /// The `Authorization` header; empty without one.
    pub authorization: String,
    /// The body.
    pub body: Value,
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelReply {
    /// A whole reply of this text, in the API that was asked, streamed if that was asked.
    Text(String),
    /// These bytes, whatever was asked.
    Raw {
        /// The HTTP status.
        status: u16,
        /// Further headers.
        headers: Vec<(&'static str, String)>,
        /// The body.
        body: String,
    },
    /// A reply of this text of which only the first half is sent before the connection ends.
    Cut(String),
    /// Nothing, until the client gives up.
    Silence,
    /// Text without end.
    Endless,
}

type Answer = dyn Fn(&ModelRequest) -> ModelReply + Send + Sync;

/// A server that answers as it is told.
pub struct ModelServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<ModelRequest>>>,
    accepting: JoinHandle<()>,
}

impl fmt::Debug for ModelServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl ModelServer {
    /// Starts one whose answers `answer` makes of the requests.
    pub async fn start(
        answer: impl Fn(&ModelRequest) -> ModelReply + Send + Sync + 'static,
    ) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let listener = TcpListener::bind(address).await.expect("a free port");
        let asked = Arc::<Mutex<Vec<ModelRequest>>>::default();
        let (seen, answer): (_, Arc<Answer>) = (Arc::clone(&asked), Arc::new(answer));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                let service = service_fn(move |request| {
                    serve(request, Arc::clone(&seen), Arc::clone(&answer))
                });
                let served = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(served);
            }
        });
        Self {
            address,
            asked,
            accepting,
        }
    }

    /// Starts one that gives these replies, the last of them again and again.
    pub async fn saying(replies: Vec<ModelReply>) -> Self {
        let next = Mutex::new(replies.into_iter().peekable());
        Self::start(move |_| {
            let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
            let reply = next.next().expect("a reply is left");
            if next.peek().is_none() {
                *next = vec![reply.clone()].into_iter().peekable();
            }
            reply
        })
        .await
    }

    /// Where it is, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<ModelRequest> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.clone()
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

type Reply = Response<UnsyncBoxBody<Bytes, io::Error>>;

async fn serve(
    request: Request<Incoming>,
    seen: Arc<Mutex<Vec<ModelRequest>>>,
    answer: Arc<Answer>,
) -> Result<Reply, io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let authorization = head.headers.get("authorization");
    let authorization = authorization.and_then(|value| value.to_str().ok());
    let request = ModelRequest {
        path: head.uri.path().to_owned(),
        authorization: authorization.unwrap_or_default().to_owned(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    seen.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(request.clone());
    match answer(&request) {
        ModelReply::Silence => std::future::pending().await,
        ModelReply::Raw {
            status,
            headers,
            body,
        } => {
            let mut reply = Response::builder().status(status);
            for (name, value) in headers {
                reply = reply.header(name, value);
            }
            reply
                .body(parts(vec![body], None))
                .map_err(io::Error::other)
        }
        ModelReply::Text(text) => Ok(spoken(&request, parts(pieces(&request, &text), None))),
        ModelReply::Cut(text) => {
            let mut sent = pieces(&request, &text).concat();
            let mut half = sent.len() / 2;
            while !sent.is_char_boundary(half) {
                half -= 1;
            }
            sent.truncate(half);
            let body = parts(vec![sent], Some(io::Error::other("cut on purpose")));
            Ok(spoken(&request, body))
        }
        ModelReply::Endless => {
            let more =
                futures::stream::repeat_with(|| Ok(Frame::data(Bytes::from(vec![b' '; 65_536]))));
            Ok(spoken(&request, StreamBody::new(more).boxed_unsync()))
        }
    }
}

fn parts(parts: Vec<String>, end: Option<io::Error>) -> UnsyncBoxBody<Bytes, io::Error> {
    let whole = parts.into_iter().map(|part| Ok(Frame::data(part.into())));
    // What was sent before must have left when the connection breaks.
    let end = futures::stream::iter(end).then(async |error| {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Err(error)
    });
    StreamBody::new(futures::stream::iter(whole).chain(end)).boxed_unsync()
}

fn is_ollama(request: &ModelRequest) -> bool {
    request.path.ends_with("/api/chat")
}

fn spoken(request: &ModelRequest, body: UnsyncBoxBody<Bytes, io::Error>) -> Reply {
    let streamed = request.body["stream"] == true;
    let kind = match (is_ollama(request), streamed) {
        (true, true) => "application/x-ndjson",
        (false, true) => "text/event-stream",
        (_, false) => "application/json",
    };
    let reply = Response::builder().header("content-type", kind);
    reply.body(body).expect("a plain header is valid")
}

/// A reply in the API that was asked, in the pieces in which it is sent.
fn pieces(request: &ModelRequest, text: &str) -> Vec<String> {
    let model = &request.body["model"];
    let letters: Vec<char> = text.chars().collect();
    let words = letters
        .chunks(12)
        .map(|word| word.iter().collect::<String>());
    match (is_ollama(request), request.body["stream"] == true) {
        (true, false) => vec![ollama(model, text, true).to_string()],
        (true, true) => {
            let words = words.map(|word| format!("{}\n", ollama(model, &word, false)));
            words.chain([format!("{}\n", ollama(model, "", true))]).collect()
        }
        (false, false) => vec![
            json!({
                "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model,
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 700, "completion_tokens": 90, "total_tokens": 790},
            })
            .to_string(),
        ],
        (false, true) => {
            let piece = |choice: Value, usage: Value| {
                let body = json!({
                    "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model,
                    "choices": choice, "usage": usage,
                });
                format!("data: {body}\n\n")
            };
            let word = |word: String| {
                let choice = json!([{"index": 0, "delta": {"content": word}, "finish_reason": null}]);
                piece(choice, Value::Null)
            };
            let end = json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]);
            let usage = json!({"prompt_tokens": 700, "completion_tokens": 90, "total_tokens": 790});
            let last = [piece(end, Value::Null), piece(json!([]), usage), "data: [DONE]\n\n".to_owned()];
            words.map(word).chain(last).collect()
        }
    }
}

fn ollama(model: &Value, text: &str, done: bool) -> Value {
    let mut message = json!({
        "model": model, "created_at": "2026-01-05T12:00:00Z",
        "message": {"role": "assistant", "content": text}, "done": done,
    });
    if done && let Some(fields) = message.as_object_mut() {
        let last = json!({
            "done_reason": "stop", "total_duration": 1, "load_duration": 1, "prompt_eval_count": 700,
            "prompt_eval_duration": 1, "eval_count": 90, "eval_duration": 1,
        });
        fields.extend(last.as_object().cloned().unwrap_or_default());
    }
    message
}

/// A real small model, behind an API of its own.
#[derive(Debug)]
pub struct RealModel {
    program: Program,
    port: u16,
}

impl RealModel {
    /// llama.cpp's OpenAI-compatible API. Its weights and its server are packages of a few dozen megabytes.
    ///
    /// # Errors
    /// Why it cannot be had here, such as without Python.
    pub fn llama() -> Result<Self, String> {
        Self::start("llama", "/health")
    }

    /// Ollama, where it was built before (`tests/kit/serve-model.sh build ollama`): that takes minutes.
    ///
    /// # Errors
    /// When it was not built.
    pub fn ollama() -> Result<Self, String> {
        let binary = kit::cache().join("model/bin/ollama");
        if !binary.exists() {
            return Err(
                "Ollama is not built: run tests/kit/serve-model.sh build ollama".to_owned(),
            );
        }
        Self::start("ollama", "/v1/models/smollm2:135m")
    }

    fn start(server: &str, ready: &str) -> Result<Self, String> {
        let script = kit::script("serve-model.sh");
        let built = std::process::Command::new(&script)
            .args(["build", server])
            .output()
            .map_err(|error| error.to_string())?;
        if !built.status.success() {
            let said = String::from_utf8_lossy(&built.stderr);
            return Err(format!("the model cannot be set up: {}", said.trim()));
        }
        let port = free_port();
        let mut program = Program::spawn_at(&script, &["run", server, &port.to_string()], &[]);
        let url = format!("http://127.0.0.1:{port}{ready}");
        tokio::task::block_in_place(|| program.wait_ready(&url, LOAD));
        Ok(Self { program, port })
    }

    /// Where it is, without a path.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Ends the server as a crash would.
    pub fn kill(&mut self) {
        self.program.kill_hard();
    }
}
