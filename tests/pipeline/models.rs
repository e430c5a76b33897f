//! The clients of models: recorded answers, servers that misbehave, and a real model behind both APIs.

use std::{path::Path, sync::Arc, time::Duration};

use analyzer::advise::{
    model::{self, Answer, Model, Request},
    models::Models,
    refusal::Refusal,
};
use harness::{ModelReply, ModelServer, RealModel, Shared, free_port, skippable_trial, trial};
use libtest_mimic::Trial;
use serde_json::{Value, json};

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![
        trial(
            "recorded_answers_of_models_become_stable_reasons",
            shared,
            recorded_answers_become_reasons,
        ),
        trial(
            "a_model_that_is_silent_cut_endless_or_away_is_given_up",
            shared,
            a_server_that_misbehaves_is_given_up,
        ),
        trial(
            "a_key_goes_to_the_server_and_nowhere_else",
            shared,
            a_key_goes_to_the_server,
        ),
        skippable_trial(
            "a_real_model_answers_through_the_openai_client",
            shared,
            a_real_model_answers_through_openai,
        ),
        skippable_trial(
            "a_real_model_answers_through_the_ollama_client",
            shared,
            a_real_model_answers_through_ollama,
        ),
    ]
}

const BOTH: [&str; 2] = ["ollama", "openai"];

/// A client of `provider` at `url` whose calls may take `seconds`.
fn client(provider: &str, url: &str, seconds: u32, more: &str) -> Box<dyn Model> {
    let base = if provider == "openai" {
        format!("{url}/v1")
    } else {
        url.to_owned()
    };
    let file = format!(
        "[{{name: m, provider: {provider}, baseUrl: '{base}', model: 'smollm2:135m', timeoutSeconds: {seconds}{more}}}]"
    );
    let models = Models::parse(&file).expect("a file that makes sense");
    let config = models.iter().next().expect("one model");
    model::connect(config).expect("a client")
}

fn request(stream: bool) -> Request {
    Request {
        model: "smollm2:135m".to_owned(),
        system: "You diagnose Kubernetes workloads. Answer with a JSON object.".to_owned(),
        user: "Pod web: memory 19 %, 49 %, 85 % of its limit. Choose restart or none.".to_owned(),
        schema: json!({
            "type": "object",
            "properties": {
                "action": {"type": "string", "enum": ["restart", "none"]},
                "cause": {"type": "string", "minLength": 1, "maxLength": 60},
            },
            "required": ["action", "cause"],
            "additionalProperties": false,
        }),
        context_tokens: 2048,
        reply_tokens: 128,
        temperature: Some(0.0),
        stream,
    }
}

async fn ask(client: &dyn Model, stream: bool, seconds: u64) -> Answer {
    model::ask_within(client, &request(stream), Duration::from_secs(seconds)).await
}

async fn recorded_answers_become_reasons(_: &Shared) {
    let folder = harness::tests_dir().join("fixtures/models");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("the fixtures are there") {
        let path = entry.expect("a folder can be read").path();
        if path.extension().is_some_and(|it| it == "json") {
            replay(&path).await;
            count += 1;
        }
    }
    assert!(count >= 20, "{count} exchanges");
}

async fn replay(path: &Path) {
    let text = std::fs::read_to_string(path).expect("a fixture can be read");
    let exchange: Value = serde_json::from_str(&text).expect("a fixture is JSON");
    let header = |name: &'static str| {
        let value = exchange["headers"][name].as_str()?;
        Some((name, value.to_owned()))
    };
    let status = exchange["status"]
        .as_u64()
        .and_then(|it| u16::try_from(it).ok());
    let server = ModelServer::saying(vec![ModelReply::Raw {
        status: status.expect("a status"),
        headers: ["retry-after", "location", "content-type"]
            .into_iter()
            .filter_map(header)
            .collect(),
        body: exchange["body"].as_str().expect("a body").to_owned(),
    }])
    .await;
    let api = exchange["api"].as_str().expect("an API");
    let client = client(api, &server.url(), 20, "");

    let answer = ask(&*client, exchange["stream"] == true, 20).await;

    let name = path.display();
    assert_eq!(server.asked().len(), 1, "{name}: a client never retries");
    if let Some(text) = exchange["text"].as_str() {
        assert_eq!(answer.reply.as_deref(), Ok(text), "{name}");
        return;
    }
    let refusal = answer.reply.expect_err("no reply");
    assert_eq!(
        Some(refusal.reason()),
        exchange["reason"].as_str(),
        "{name}"
    );
    let pause = refusal.retry_after().map(|pause| pause.as_secs());
    assert_eq!(pause, exchange["retryAfterSeconds"].as_i64(), "{name}");
}

async fn a_server_that_misbehaves_is_given_up(_: &Shared) {
    let text = json!({"action": "none", "cause": "ä".repeat(40)}).to_string();
    let cases = [
        (ModelReply::Text(text.clone()), vec![]),
        (ModelReply::Cut(text.clone()), vec![Refusal::Cut]),
        (ModelReply::Silence, vec![Refusal::TimedOut]),
        // Either the bound or the time ends it, whichever comes first.
        (
            ModelReply::Endless,
            vec![Refusal::BadResponse, Refusal::TimedOut, Refusal::Cut],
        ),
        (
            ModelReply::Text("x".repeat(20_000)),
            vec![Refusal::BadResponse],
        ),
    ];
    for (reply, expected) in cases {
        let server = ModelServer::saying(vec![reply.clone()]).await;
        for (provider, stream) in BOTH.into_iter().flat_map(|it| [(it, false), (it, true)]) {
            let client = client(provider, &server.url(), 3, "");
            let begun = std::time::Instant::now();
            let answer = ask(&*client, stream, 3).await;
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "{provider} {stream}"
            );
            match answer.reply {
                Ok(got) => {
                    assert!(expected.is_empty(), "{provider} {stream}: {got:.60}");
                    assert_eq!(got, text);
                    assert_eq!((answer.tokens_in, answer.tokens_out), (Some(700), Some(90)));
                }
                Err(refusal) => assert!(
                    expected.contains(&refusal),
                    "{provider} {stream}: {refusal:?}, not {expected:?}"
                ),
            }
        }
    }
    for provider in BOTH {
        let url = format!("http://127.0.0.1:{}", free_port());
        let answer = ask(&*client(provider, &url, 3, ""), false, 3).await;
        assert_eq!(answer.reply, Err(Refusal::Unreachable), "{provider}");
    }
}

async fn a_key_goes_to_the_server(_: &Shared) {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let path = dir.path().join("key");
    let server = ModelServer::saying(vec![ModelReply::Text("{}".to_owned())]).await;
    for provider in BOTH {
        let more = format!(", apiKeyFile: '{}'", path.display());
        let client = client(provider, &server.url(), 5, &more);
        let before = server.asked().len();
        let answer = ask(&*client, false, 5).await;
        assert_eq!(answer.reply, Err(Refusal::NoKey), "{provider}");
        assert_eq!(server.asked().len(), before, "nothing was sent");
        for key in ["sk-first", "sk-second"] {
            std::fs::write(&path, key).expect("the folder can be written");
            ask(&*client, false, 5).await.reply.expect("a reply");
            let asked = server.asked();
            let last = asked.last().expect("a request");
            assert_eq!(last.authorization, format!("Bearer {key}"), "{provider}");
            assert!(!format!("{client:?}").contains(key));
        }
        std::fs::remove_file(&path).expect("the file is there");
    }
    let client = client("openai", &server.url(), 5, "");
    ask(&*client, false, 5).await.reply.expect("a reply");
    assert_eq!(
        server.asked().last().map(|it| it.authorization.clone()),
        Some(String::new())
    );
}

async fn a_real_model_answers_through_openai(_: &Shared) -> Result<(), String> {
    let model = RealModel::llama()?;
    answers_in_the_schema(model, "openai").await;
    Ok(())
}

async fn a_real_model_answers_through_ollama(_: &Shared) -> Result<(), String> {
    let model = RealModel::ollama()?;
    for provider in BOTH {
        let answer = ask(&*client(provider, &model.url(), 120, ""), false, 120).await;
        is_in_the_schema(&answer.reply.expect("a reply"));
    }
    answers_in_the_schema(model, "ollama").await;
    Ok(())
}

/// Whole, streamed, out of time, and killed in the middle of an answer.
async fn answers_in_the_schema(mut model: RealModel, provider: &str) {
    let real = client(provider, &model.url(), 120, "");
    for stream in [false, true] {
        let answer = ask(&*real, stream, 120).await;
        is_in_the_schema(answer.reply.as_deref().expect("a reply"));
        assert!(
            answer.tokens_in.is_some_and(|count| count > 20),
            "{answer:?}"
        );
        assert!(
            answer
                .tokens_out
                .is_some_and(|count| (1..=128).contains(&count)),
            "{answer:?}"
        );
    }
    let late = model::ask_within(&*real, &long(), Duration::from_millis(300)).await;
    assert_eq!(late.reply, Err(Refusal::TimedOut));
    let request = long();
    let asked = async { model::ask_within(&*real, &request, Duration::from_mins(1)).await };
    let killed = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        model.kill();
    };
    let (answer, ()) = tokio::join!(asked, killed);
    let refusal = answer.reply.expect_err("half an answer is none");
    assert!(
        matches!(refusal, Refusal::Cut | Refusal::Unreachable),
        "{refusal:?}"
    );
    let after = ask(&*real, false, 10).await;
    assert_eq!(after.reply, Err(Refusal::Unreachable));
}

/// A request whose answer takes long: the schema asks for a text of many words, as many as llama.cpp's
/// grammars can count.
fn long() -> Request {
    let mut long = request(true);
    long.schema["properties"]["cause"] =
        json!({"type": "string", "minLength": 1200, "maxLength": 1500});
    long.reply_tokens = 1024;
    long
}

fn is_in_the_schema(reply: &str) {
    let value: Value =
        serde_json::from_str(reply).unwrap_or_else(|error| panic!("{error}: {reply}"));
    assert!(
        matches!(value["action"].as_str(), Some("restart" | "none")),
        "{reply}"
    );
    let cause = value["cause"].as_str().expect("a text");
    assert!((1..=60).contains(&cause.chars().count()), "{reply}");
    assert_eq!(
        value.as_object().map(serde_json::Map::len),
        Some(2),
        "{reply}"
    );
}
