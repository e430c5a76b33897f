//! The HTTP under both clients: bounded in time and size, blind to redirects.
//!
//! In: a request. Out: a successful response whose body ends at a bound, or a refusal. A server is
//! not trusted: it may stay silent, send for ever, point elsewhere, or ask for an hour of rest.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use reqwest::{Client, Response, redirect};
use runtime::clock;

use super::refusal::{Refusal, retry_after};

/// Longest body that is read. A reply of 16 KiB takes six times that as a stream of events of
/// one token each.
const LONGEST_BODY: usize = 4 * 1024 * 1024;
/// How much of an error's body is read, to tell reasons apart.
const LONGEST_ERROR: usize = 8 * 1024;
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// The body was longer than is read.
#[derive(Debug, thiserror::Error)]
#[error("the body is longer than {LONGEST_BODY} bytes")]
struct TooLong;

/// Sends requests to one server.
#[derive(Clone, Debug)]
pub(super) struct Transport(Client);

impl Transport {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(super) fn new(timeout: Duration) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .timeout(timeout)
            .connect_timeout(CONNECT.min(timeout))
            // A key follows no redirect, and no server points us at another.
            .redirect(redirect::Policy::none())
            .pool_idle_timeout(Duration::from_secs(30))
            .user_agent(concat!("kubeskippy/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self(client))
    }

    /// The client inside, to build requests with.
    pub(super) const fn client(&self) -> &Client {
        &self.0
    }

    /// Sends a request, once. The body of the response ends with an error where it is too long.
    ///
    /// # Errors
    /// When there is no response, or not a successful one.
    pub(super) async fn send(&self, request: reqwest::Request) -> Result<Response, Refusal> {
        let response = self.0.execute(request).await;
        let response = response.map_err(|error| refusal_of(&error))?;
        if response.status().is_success() {
            return Ok(bounded(response));
        }
        let pause = response
            .headers()
            .get(reqwest::header::RETRY_AFTER)
            .and_then(|value| retry_after(value.to_str().ok()?, clock::now()));
        let status = response.status().as_u16();
        let body = beginning(response).await;
        tracing::debug!(status, body, "the model's server refused");
        Err(Refusal::of_status(status, pause, &body))
    }
}

/// The whole body of a response that [`Transport::send`] gave.
///
/// # Errors
/// When it does not end well.
pub(super) async fn whole(response: Response) -> Result<Vec<u8>, Refusal> {
    let bytes = response.bytes().await;
    Ok(bytes.map_err(|error| refusal_of(&error))?.to_vec())
}

/// What an error of the HTTP client means.
pub(super) fn refusal_of(error: &reqwest::Error) -> Refusal {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(cause) = source {
        if cause.is::<TooLong>() {
            return Refusal::BadResponse;
        }
        source = cause.source();
    }
    if error.is_timeout() {
        // A connection that is not made in time is as good as none.
        return if error.is_connect() {
            Refusal::Unreachable
        } else {
            Refusal::TimedOut
        };
    }
    if error.is_connect() {
        Refusal::Unreachable
    } else if error.is_builder() {
        Refusal::BadRequest
    } else {
        Refusal::Cut
    }
}

fn bounded(response: Response) -> Response {
    let (status, headers) = (response.status(), response.headers().clone());
    let mut left = LONGEST_BODY;
    let body = response
        .bytes_stream()
        .map_err(std::io::Error::other)
        .map(move |chunk| {
            let chunk = chunk?;
            left = left
                .checked_sub(chunk.len())
                .ok_or_else(|| std::io::Error::other(TooLong))?;
            Ok::<_, std::io::Error>(chunk)
        });
    let mut rebuilt = http::Response::new(reqwest::Body::wrap_stream(body));
    *rebuilt.status_mut() = status;
    *rebuilt.headers_mut() = headers;
    Response::from(rebuilt)
}

async fn beginning(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < LONGEST_ERROR {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    bytes.truncate(LONGEST_ERROR);
    String::from_utf8_lossy(&bytes).into_owned()
}
