use proptest::prelude::*;

use super::*;

const TWO: &str = "
- name: small
  provider: ollama
  baseUrl: http://ollama.models:11434
  model: qwen3:4b
  timeoutSeconds: 20
  contextTokens: 8192
  escalateTo: large
  worth: 0.5
- name: large
  provider: openai
  baseUrl: https://api.openai.com/v1
  model: gpt-5
  apiKeyFile: /etc/kubeskippy/keys/openai
  priceInPerMTok: 1.25
  priceOutPerMTok: 10
  budget: {callsPerHour: 20, tokensPerHour: 200000, costPerDay: 5}
";

fn refused(from: &str, to: &str) -> String {
    let text = TWO.replace(from, to);
    assert_ne!(text, TWO, "{from:?} is in the file");
    let error = Models::parse(&text).unwrap_err();
    let source = std::error::Error::source(&error);
    format!(
        "{error} {}",
        source.map(ToString::to_string).unwrap_or_default()
    )
}

#[test]
fn the_file_reads_with_what_is_left_out() {
    let models = Models::parse(TWO).unwrap();
    let small = models.named("small").unwrap();
    assert_eq!(
        (small.provider, small.reply_tokens, small.stream),
        (Provider::Ollama, 1024, false)
    );
    assert_eq!(small.temperature, Some(0.0));
    assert_eq!(small.budget, Limits::default());
    let large = models.named("large").unwrap();
    assert_eq!(large.timeout(), Duration::from_secs(30));
    assert_eq!(large.prices(), (1.25, 10.0));
    assert_eq!(large.budget.calls_per_hour, Some(20));
    assert_eq!(models.names().len(), 2);
}

#[test]
fn an_empty_file_names_no_model() {
    for text in ["", "[]", "# none yet\n"] {
        assert_eq!(Models::parse(text).unwrap(), Models::default());
    }
}

#[test]
fn what_is_wrong_is_said_with_how_to_mend_it() {
    let cases = [
        ("name: small", "name: Small", "lower-case"),
        ("name: small", "name: rules", "built in"),
        ("name: small", "name: large", "same name"),
        ("provider: ollama", "provider: bedrock", "models.md"),
        ("timeoutSeconds: 20", "timeout: 20", "timeout"),
        ("timeoutSeconds: 20", "timeoutSeconds: 0", "1 to 600"),
        ("contextTokens: 8192", "contextTokens: 512", "1024"),
        (
            "http://ollama.models:11434",
            "ollama.models:11434",
            "baseUrl",
        ),
        (
            "http://ollama.models:11434",
            "http://me:secret@ollama",
            "apiKeyFile",
        ),
        (
            "https://api.openai.com/v1",
            "https://api.openai.com/v1?key=1",
            "before any ?",
        ),
        ("escalateTo: large", "escalateTo: huge", "not in the list"),
        (
            "escalateTo: large",
            "escalateTo: small",
            "escalates no further",
        ),
        ("worth: 0.5", "worth: 0", "worth must say"),
        ("priceOutPerMTok: 10", "priceOutPerMTok: -1", "0 or more"),
        ("priceOutPerMTok: 10", "priceOutPerMTok: .nan", "0 or more"),
        ("callsPerHour: 20", "callsPerMinute: 20", "callsPerMinute"),
        ("model: gpt-5", "model: ' '", "which model"),
        (
            "apiKeyFile: /etc/kubeskippy/keys/openai",
            "apiKey: sk-123",
            "apiKey",
        ),
    ];
    for (from, to, says) in cases {
        let message = refused(from, to);
        assert!(message.contains(says), "{to}: {message}");
    }
}

#[test]
fn nine_models_are_too_many() {
    let one = |n| format!("- {{name: m{n}, provider: ollama, baseUrl: 'http://h', model: m}}\n");
    let text: String = (0..9).map(one).collect();
    assert!(matches!(
        Models::parse(&text),
        Err(Error::TooMany { found: 9 })
    ));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}", line in 0_usize..20) {
        let _any = Models::parse(&text);
        let mut lines: Vec<&str> = TWO.lines().collect();
        let line = line.min(lines.len() - 1);
        lines.insert(line, &text);
        let _any = Models::parse(&lines.join("\n"));
    }
}
