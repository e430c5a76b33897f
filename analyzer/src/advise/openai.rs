//! Asks a model over the chat completions of `OpenAI`, or of anything compatible.
//!
//! The client is `async-openai`; this is the one file that names it. Beneath it is our own
//! `Transport` as its service, so that it does not retry by itself (it would sleep as long as a
//! `Retry-After` says), reads no body without end, and keeps the status. What comes back is read
//! into our own lenient types: compatible servers leave out half of what the crate's types ask for.

use async_openai::{
    Client, config::OpenAIConfig, error::OpenAIError, middleware::HttpRequestFactory,
};
use futures::{StreamExt as _, future::BoxFuture};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    key::ApiKey,
    model::{Answer, Gathered, Model, Request},
    models,
    refusal::Refusal,
    transport::{self, Transport},
};

/// A model behind an OpenAI-compatible API.
#[derive(Debug)]
pub struct OpenAi {
    base: String,
    key: Option<std::path::PathBuf>,
    transport: Transport,
    limit: &'static str,
}

/// A whole reply, or a piece of one.
#[derive(Debug, Default, Deserialize)]
struct Completion {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
    /// Some servers tell of an error with status 200, in the middle of a stream.
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
struct Choice {
    #[serde(default, alias = "delta")]
    message: Option<Part>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Part {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: Option<u32>,
    #[serde(default)]
    completion_tokens: Option<u32>,
}

impl OpenAi {
    /// A client for a configured model.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub fn new(config: &models::Model) -> Result<Self, reqwest::Error> {
        let base = config.base_url.trim_end_matches('/').to_owned();
        Ok(Self {
            base,
            key: config.api_key_file.clone(),
            transport: Transport::new(config.timeout())?,
            // Newer models of the service refuse the older word, and other servers know only that one.
            limit: if config.is_hosted() {
                "max_completion_tokens"
            } else {
                "max_tokens"
            },
        })
    }

    async fn complete(&self, request: &Request) -> Answer {
        let client = match self.client(request.stream).await {
            Ok(client) => client,
            Err(refusal) => return Answer::none(refusal),
        };
        let mut gathered = Gathered::default();
        let body = self.body(request);
        let read = if request.stream {
            read_stream(&client, body, &mut gathered).await
        } else {
            read_whole(&client, body, &mut gathered).await
        };
        match read {
            Ok(()) => gathered.answer(),
            Err(refusal) => gathered.failed(refusal),
        }
    }

    /// A client with the key as it is now.
    async fn client(&self, stream: bool) -> Result<Client<OpenAIConfig>, Refusal> {
        // What is left out, the crate takes from the environment.
        let mut config = OpenAIConfig::new()
            .with_api_base(&self.base)
            .with_api_key("")
            .with_org_id("")
            .with_project_id("");
        let keyless = self.key.is_none();
        if let Some(path) = &self.key {
            config = config.with_api_key(ApiKey::read(path).await?.expose());
        }
        let transport = self.transport.clone();
        let service = tower::service_fn(move |factory: HttpRequestFactory| {
            let transport = transport.clone();
            async move {
                let mut request = factory.build().await?;
                if keyless {
                    request.headers_mut().remove(http::header::AUTHORIZATION);
                }
                deliver(&transport, request, stream).await
            }
        });
        Ok(Client::with_config(config).with_http_service(service))
    }

    fn body(&self, request: &Request) -> Value {
        let mut body = json!({
            "model": request.model,
            "messages": [
                {"role": "system", "content": request.system},
                {"role": "user", "content": request.user},
            ],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "diagnosis", "strict": true, "schema": request.schema},
            },
            "stream": request.stream,
        });
        if let Some(fields) = body.as_object_mut() {
            fields.insert(self.limit.to_owned(), request.reply_tokens.into());
            if let Some(temperature) = request.temperature {
                fields.insert("temperature".to_owned(), temperature.into());
            }
            if request.stream {
                fields.insert("stream_options".to_owned(), json!({"include_usage": true}));
            }
        }
        body
    }
}

impl Model for OpenAi {
    fn ask<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Answer> {
        Box::pin(self.complete(request))
    }
}

/// Sends what the client built. A body that is no JSON is refused here: the client would log it.
async fn deliver(
    transport: &Transport,
    request: reqwest::Request,
    stream: bool,
) -> Result<reqwest::Response, OpenAIError> {
    let refuse = |refusal: Refusal| OpenAIError::Boxed(Box::new(refusal));
    let response = transport.send(request).await.map_err(refuse)?;
    if stream {
        return Ok(response);
    }
    let bytes = transport::whole(response).await.map_err(refuse)?;
    if serde_json::from_slice::<Completion>(&bytes).is_err() {
        return Err(refuse(Refusal::BadResponse));
    }
    Ok(reqwest::Response::from(http::Response::new(bytes)))
}

async fn read_whole(
    client: &Client<OpenAIConfig>,
    body: Value,
    gathered: &mut Gathered,
) -> Result<(), Refusal> {
    let completion = client.chat().create_byot(body).await;
    let completion: Completion = completion.map_err(|error| refusal_of(&error))?;
    take(completion, gathered)
}

async fn read_stream(
    client: &Client<OpenAIConfig>,
    body: Value,
    gathered: &mut Gathered,
) -> Result<(), Refusal> {
    let pieces = client.chat().create_stream_byot(body).await;
    let mut pieces = pieces.map_err(|error| refusal_of(&error))?;
    while let Some(piece) = pieces.next().await {
        let piece: Completion = piece.map_err(|error| refusal_of(&error))?;
        take(piece, gathered)?;
    }
    Ok(())
}

/// Takes in a reply, or a piece of one.
fn take(completion: Completion, gathered: &mut Gathered) -> Result<(), Refusal> {
    let Completion {
        choices,
        usage,
        error,
    } = completion;
    if error.is_some_and(|error| !error.is_null()) {
        return Err(Refusal::ServerError { retry_after: None });
    }
    if let Some(usage) = usage {
        gathered.tokens_in = usage.prompt_tokens;
        gathered.tokens_out = usage.completion_tokens;
    }
    let Some(choice) = choices.into_iter().next() else {
        return Ok(());
    };
    if let Some(part) = choice.message {
        gathered.push(&part.content.unwrap_or_default())?;
        if part.refusal.is_some_and(|text| !text.is_empty()) {
            gathered.refuse();
        }
    }
    if let Some(reason) = choice.finish_reason {
        gathered.end(&reason);
    }
    Ok(())
}

/// What an error of the client means.
fn refusal_of(error: &OpenAIError) -> Refusal {
    match error {
        OpenAIError::Boxed(inner) => inner
            .downcast_ref::<Refusal>()
            .copied()
            .unwrap_or(Refusal::BadResponse),
        OpenAIError::Reqwest(error) => transport::refusal_of(error),
        OpenAIError::ApiError(told) => {
            Refusal::of_status(told.status_code.as_u16(), None, &told.api_error.message)
        }
        OpenAIError::StreamError(_) => Refusal::Cut,
        OpenAIError::JSONDeserialize(..) => Refusal::BadResponse,
        OpenAIError::InvalidArgument(_)
        | OpenAIError::FileSaveError(_)
        | OpenAIError::FileReadError(_) => Refusal::BadRequest,
    }
}
