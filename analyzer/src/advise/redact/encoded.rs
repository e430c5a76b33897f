//! Secrets in base64, and strings that look like nothing but keys.
//!
//! Pure: no IO, no clock.

use base64::{
    Engine as _,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{
    learned::Learned,
    mask::{gives_away, mark},
    patterns::Patterns,
};

/// Characters of the shortest run that is decoded.
const SHORTEST: usize = 12;
/// Characters of the shortest run that is masked for its looks alone.
const OPAQUE: usize = 32;

const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_encode_padding(false)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const ENGINES: [GeneralPurpose; 2] = [
    GeneralPurpose::new(&STANDARD, CONFIG),
    GeneralPurpose::new(&URL_SAFE, CONFIG),
];

/// The value in base64, in both alphabets, with and without a line break at its end.
pub(super) fn twins(value: &str) -> Vec<String> {
    let forms = [value.to_owned(), format!("{value}\n")];
    let all = forms
        .iter()
        .flat_map(|form| ENGINES.map(|engine| engine.encode(form)));
    all.collect()
}

/// What a run of base64 says, if it is text.
pub(super) fn decoded(run: &str) -> Option<String> {
    let bytes = ENGINES.iter().find_map(|engine| engine.decode(run).ok())?;
    String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.is_empty())
}

/// The text without runs that decode to a secret, or look like nothing but a key.
pub(super) fn mask(
    patterns: &Patterns,
    learned: &Learned,
    text: &str,
    kinds: &mut Vec<&'static str>,
) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = String::new();
    let mut close = |run: &mut String, out: &mut String| {
        match kind(patterns, learned, run) {
            Some(kind) => {
                kinds.push(kind);
                out.push_str(&mark(kind));
            }
            None => out.push_str(run),
        }
        run.clear();
    };
    for c in text.chars() {
        if is_base64(c) {
            run.push(c);
        } else {
            close(&mut run, &mut out);
            out.push(c);
        }
    }
    close(&mut run, &mut out);
    out
}

const fn is_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '_' | '-' | '=')
}

fn kind(patterns: &Patterns, learned: &Learned, run: &str) -> Option<&'static str> {
    if run.len() < SHORTEST {
        return None;
    }
    let said = decoded(run);
    if said.is_some_and(|said| gives_away(patterns, &said) || learned.stands_in(&said)) {
        return Some("encoded");
    }
    is_opaque(run).then_some("opaque")
}

/// Whether a run is long, of capitals, small letters and digits, and changes between them all the
/// time, as random strings do and paths and names do not.
fn is_opaque(run: &str) -> bool {
    let class = |c: char| match c {
        'a'..='z' => Some(0_u8),
        'A'..='Z' => Some(1),
        '0'..='9' => Some(2),
        _ => None,
    };
    let classes: Vec<u8> = run.chars().filter_map(class).collect();
    let all = (0..=2).all(|class| classes.contains(&class));
    let changes = classes.windows(2).filter(|two| two.first() != two.last());
    run.len() >= OPAQUE && all && changes.count() * 3 >= classes.len()
}
