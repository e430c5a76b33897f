//! The shapes of secrets.
//!
//! Public formats of keys, as their makers document them, matched wherever they stand: also in the
//! middle of a word, and also where their end was cut off.
//!
//! Pure: no IO, no clock.

use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};

/// What is done with a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// The match is the secret.
    Whole,
    /// The match is a name with a separator, the group `value` the secret.
    Value,
}

/// One shape.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// The kind of secret, as counters spell it.
    pub(super) kind: &'static str,
    pub(super) regex: Regex,
    pub(super) rule: Rule,
}

/// All shapes, in the order in which they are looked for: the widest first.
#[derive(Clone, Debug)]
pub(super) struct Patterns(pub(super) Vec<Pattern>);

/// A value after a separator: quoted, quoted within a string, or up to the next blank. What reads
/// like another name with its separator belongs to it, so that no value hides behind one.
const VALUE: &str = r#"(?<value>(?:[^\s"']+\s{0,4}(?:=>|[:=])\s{0,4})*(?:\\+"[^"]*(?:"|\z)|"(?:[^"\\]|\\.)*(?:"|\z)|'[^']*(?:'|\z)|[^\s"']+))"#;

/// The words by which a name says that its value is secret.
const SECRET_WORD: &str = "passw(?:or)?d|passwd|pwd|passphrase|passcode|token|secret|credential|api[_-]?key|apikey|\
    access[_-]?key|account[_-]?key|private[_-]?key|signing[_-]?key|encryption[_-]?key|license[_-]?key|\
    client[_-]?secret|connection[_-]?string|session[_-]?id|auth[_-]?key|hmac|otp";

static BUILT_IN: LazyLock<Option<Patterns>> = LazyLock::new(|| Patterns::compile(&sources()));

impl Patterns {
    /// The shapes that are known; none if one of them cannot be compiled.
    pub(super) fn built_in() -> Option<Self> {
        BUILT_IN.clone()
    }

    /// Compiles kinds with expressions; none if one of them cannot be.
    pub(super) fn compile(sources: &[(&'static str, String, Rule)]) -> Option<Self> {
        let compiled = sources.iter().map(|(kind, expression, rule)| {
            let regex = RegexBuilder::new(expression).size_limit(4 << 20).build();
            regex.ok().map(|regex| Pattern {
                kind,
                regex,
                rule: *rule,
            })
        });
        compiled.collect::<Option<Vec<_>>>().map(Self)
    }

    /// The values that a text gives away as secret, without their quotes.
    pub(super) fn values<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let named = self.0.iter().filter(|pattern| pattern.rule == Rule::Value);
        let found = named.flat_map(|pattern| pattern.regex.captures_iter(text));
        found
            .filter_map(|groups| groups.name("value"))
            .map(|value| {
                value
                    .as_str()
                    .trim_matches(['"', '\'', '\\', ',', ';', '}', ')'])
            })
            .collect()
    }
}

fn sources() -> Vec<(&'static str, String, Rule)> {
    let whole = |(kind, text): &(&'static str, &str)| (*kind, (*text).to_owned(), Rule::Whole);
    let mut sources: Vec<_> = WIDE.iter().map(whole).collect();
    let quote = r#"\\*["']?"#;
    let names = [
        // Authorization and cookies: to the end of the line, whatever the scheme.
        (
            "authorization",
            format!(
                r#"(?i)(?:proxy-)?(?:authorization|x-api-key|x-auth-token|set-cookie|cookie){quote}\s*(?:=>|[:=])\s*(?<value>\\+"[^"]*(?:"|\z)|"(?:[^"\\]|\\.)*(?:"|\z)|[^\r\n]+)"#
            ),
        ),
        // An environment variable as manifests have it: its name says that its value is secret.
        (
            "credential",
            format!(
                r"(?i)name{quote}\s*:\s*{quote}[A-Za-z0-9_.-]*(?:{SECRET_WORD}|key)[A-Za-z0-9_.-]*{quote}\s*,?\s*-?\s*{quote}value{quote}\s*:\s*{VALUE}"
            ),
        ),
        (
            "credential",
            format!(
                r"(?i)(?:{SECRET_WORD})[A-Za-z0-9_.\[\]-]*{quote}\s{{0,4}}(?:=>|:=|={{1,3}}|:)\s{{0,4}}{VALUE}"
            ),
        ),
        (
            "credential",
            format!(r"(?i)key[A-Za-z0-9_.-]*{quote}\s{{0,4}}={{1,3}}\s{{0,4}}{VALUE}"),
        ),
        // Command line options: `--password hunter2`.
        (
            "credential",
            format!(r"(?i)--?(?:{SECRET_WORD}|pass)[A-Za-z0-9_-]*\s+{VALUE}"),
        ),
    ];
    sources.extend(names.map(|(kind, text)| (kind, text, Rule::Value)));
    sources.extend(KEYS.iter().map(whole));
    sources
}

/// Shapes that span much text.
const WIDE: [(&str, &str); 7] = [
    // An annotation with the whole manifest, environment and all: everything after its name.
    (
        "applied-manifest",
        r"(?is)last-applied(?:-configuration)?.*",
    ),
    // A Secret's manifest: the whole text, as its values may stand before its kind.
    (
        "secret-data",
        r#"(?is).*kind\\*["']?\s*:\s*\\*["']?Secret(?:List)?\b.*"#,
    ),
    ("secret-data", r"(?is)stringData.*"),
    (
        "secret-data",
        r#"(?is)\bdata\\*["']?\s*:\s*\{[^}]*(?:\}|\z)"#,
    ),
    (
        "pem",
        r"(?s)-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\z)",
    ),
    (
        "url-credentials",
        r#"[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>]*@"#,
    ),
    ("url-credentials", r#"[^\s:@/"'<>=(]+:[^\s@"'<>]+@"#),
];

/// Keys of known makers.
const KEYS: [(&str, &str); 27] = [
    (
        "authorization",
        r"(?i)(?:bearer|basic|negotiate|digest)\s+[^\s(,;][^\s]{7,}",
    ),
    ("jwt", r"eyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_=-]*){0,4}"),
    (
        "aws",
        r"(?:AKIA|ASIA|AGPA|AIDA|AROA|AIPA|ANPA|ANVA|ABIA|ACCA|A3T[A-Z0-9])[A-Z0-9]{8,}",
    ),
    ("gcp", r"AIza[0-9A-Za-z_-]{20,}"),
    ("gcp", r"ya29\.[0-9A-Za-z_.-]{10,}"),
    ("gcp", r"GOCSPX-[0-9A-Za-z_-]{10,}"),
    ("azure", r"[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{20,}"),
    ("azure", r"(?i)[?&;]sig=[^\s&]+"),
    ("github", r"gh[pousr]_[A-Za-z0-9]{12,}"),
    ("github", r"github_pat_[A-Za-z0-9_]{12,}"),
    (
        "gitlab",
        r"gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat|ffct|rtr)-[0-9A-Za-z_.-]{12,}",
    ),
    ("gitlab", r"GR1348941[0-9A-Za-z_-]{12,}"),
    ("slack", r"xox[a-z](?:\.xox[a-z])?-[0-9A-Za-z-]{8,}"),
    ("slack", r"xapp-[0-9A-Za-z-]{8,}"),
    ("slack", r#"hooks\.slack(?:-gov)?\.com/[^\s"']+"#),
    ("payment", r"(?:sk|pk|rk)_(?:live|test)_[0-9A-Za-z]{8,}"),
    ("payment", r"whsec_[0-9A-Za-z+/=]{12,}"),
    ("payment", r"sq0[a-z]{3}-[0-9A-Za-z_-]{16,}"),
    (
        "payment",
        r"access_token\$(?:production|sandbox)\$[0-9a-z$]{12,}",
    ),
    ("service", r"sk-[A-Za-z0-9_-]{16,}"),
    (
        "service",
        r"(?:hf|npm|pypi|dop_v1|doo_v1|shpat|shpss|lin_api|pul|dckr_pat|rubygems)[_-][A-Za-z0-9_-]{16,}",
    ),
    ("service", r"SG\.[A-Za-z0-9_-]{12,}\.[A-Za-z0-9_-]{12,}"),
    ("service", r"(?:hvs|hvb|hvr)\.[A-Za-z0-9_-]{16,}"),
    ("service", r"AGE-SECRET-KEY-1[A-Z0-9]{16,}"),
    ("service", r"[0-9]{8,10}:AA[A-Za-z0-9_-]{20,}"),
    ("service", r"key-[0-9a-f]{32}"),
    ("service", r"S[UAONC][A-Z2-7]{54,56}"),
];
