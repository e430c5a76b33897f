//! Asks a model over Ollama's own API.
//!
//! The messages of the API, in and out, are those of `ollama-rs`; this is the one file that names
//! the crate. They are sent over our own `Transport`, because the crate's own sending loses
//! the status and the pause that a server asks for, reads bodies without a bound, does not tell
//! why a reply ended, and skips over what it cannot read.

use futures::{StreamExt as _, future::BoxFuture};
use ollama_rs::{
    generation::{
        chat::{ChatMessage, ChatMessageResponse, request::ChatMessageRequest},
        parameters::{FormatType, JsonStructure},
    },
    models::ModelOptions,
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    key::ApiKey,
    model::{Answer, Gathered, Model, Request},
    models,
    refusal::Refusal,
    transport::{self, Transport},
};

/// Longest line of a streamed reply.
const LONGEST_LINE: usize = 64 * 1024;

/// A model that Ollama serves.
#[derive(Debug)]
pub struct Ollama {
    url: String,
    key: Option<std::path::PathBuf>,
    transport: Transport,
}

/// One message of the server: all of the reply, or a piece of it.
#[derive(Debug, Deserialize)]
struct Message {
    #[serde(flatten)]
    chat: ChatMessageResponse,
    #[serde(default)]
    done_reason: Option<String>,
    /// Counted apart: servers of a compatible API leave out the other numbers that belong to it.
    #[serde(default)]
    prompt_eval_count: Option<u32>,
    #[serde(default)]
    eval_count: Option<u32>,
}

impl Ollama {
    /// A client for a configured model.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub fn new(config: &models::Model) -> Result<Self, reqwest::Error> {
        Ok(Self {
            url: format!("{}/api/chat", config.base_url.trim_end_matches('/')),
            key: config.api_key_file.clone(),
            transport: Transport::new(config.timeout())?,
        })
    }

    async fn chat(&self, request: &Request) -> Answer {
        let response = match self.send(request).await {
            Ok(response) => response,
            Err(refusal) => return Answer::none(refusal),
        };
        let mut gathered = Gathered::default();
        let read = if request.stream {
            read_lines(response, &mut gathered).await
        } else {
            read_whole(response, &mut gathered).await
        };
        match read {
            Ok(()) => gathered.answer(),
            Err(refusal) => gathered.failed(refusal),
        }
    }

    async fn send(&self, request: &Request) -> Result<reqwest::Response, Refusal> {
        let mut sent = self
            .transport
            .client()
            .post(&self.url)
            .json(&body(request)?);
        if let Some(path) = &self.key {
            sent = sent.bearer_auth(ApiKey::read(path).await?.expose());
        }
        let sent = sent.build().map_err(|_| Refusal::BadRequest)?;
        self.transport.send(sent).await
    }
}

impl Model for Ollama {
    fn ask<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Answer> {
        Box::pin(self.chat(request))
    }
}

fn body(request: &Request) -> Result<Value, Refusal> {
    let schema = schemars::Schema::try_from(request.schema.clone());
    let schema = JsonStructure::new_for_schema(schema.map_err(|_| Refusal::BadRequest)?);
    let predict = i32::try_from(request.reply_tokens).unwrap_or(i32::MAX);
    let mut options = ModelOptions::default()
        .num_ctx(u64::from(request.context_tokens))
        .num_predict(predict);
    if let Some(temperature) = request.temperature {
        options = options.temperature(temperature);
    }
    let messages = vec![
        ChatMessage::system(request.system.clone()),
        ChatMessage::user(request.user.clone()),
    ];
    let chat = ChatMessageRequest::new(request.model.clone(), messages)
        .format(FormatType::StructuredJson(Box::new(schema)))
        .options(options);
    let mut body = serde_json::to_value(chat).map_err(|_| Refusal::BadRequest)?;
    if let Some(fields) = body.as_object_mut() {
        fields.insert("stream".to_owned(), Value::Bool(request.stream));
    }
    Ok(body)
}

async fn read_whole(response: reqwest::Response, gathered: &mut Gathered) -> Result<(), Refusal> {
    let bytes = transport::whole(response).await?;
    take(&bytes, gathered)
}

async fn read_lines(response: reqwest::Response, gathered: &mut Gathered) -> Result<(), Refusal> {
    let mut chunks = response.bytes_stream();
    let mut line = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| transport::refusal_of(&error))?;
        for byte in chunk {
            if byte != b'\n' {
                line.push(byte);
                if line.len() > LONGEST_LINE {
                    return Err(Refusal::BadResponse);
                }
            } else if !line.trim_ascii().is_empty() {
                take(&line, gathered)?;
                line.clear();
            }
        }
    }
    if line.trim_ascii().is_empty() {
        Ok(())
    } else {
        take(&line, gathered)
    }
}

/// Takes in one message.
fn take(bytes: &[u8], gathered: &mut Gathered) -> Result<(), Refusal> {
    let Ok(message) = serde_json::from_slice::<Message>(bytes) else {
        let error = serde_json::from_slice::<Value>(bytes).ok();
        let failed = error.is_some_and(|it| it.get("error").is_some());
        // An error in the middle of a stream comes with status 200.
        return Err(if failed {
            Refusal::ServerError { retry_after: None }
        } else {
            Refusal::BadResponse
        });
    };
    gathered.push(&message.chat.message.content)?;
    if message.chat.done {
        gathered.tokens_in = message.prompt_eval_count;
        gathered.tokens_out = message.eval_count;
        gathered.end(message.done_reason.as_deref().unwrap_or_default());
    }
    Ok(())
}
