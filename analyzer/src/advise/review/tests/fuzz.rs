//! Replies by the hundred thousand, made by a grammar from a seed: sound ones, nearly sound ones,
//! hostile ones, and ones that are cut out of the request itself.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::{super::*, oracle::outside};
use crate::advise::{prompt, question, sample};

/// Where a reply takes its words from.
struct Grammar {
    rng: Rng,
    /// The request: both messages and the schema.
    request: Vec<String>,
}

const KEYS: [&str; 12] = [
    "action",
    "cause",
    "confidence",
    "evidence",
    "explanation",
    "failureMode",
    "target",
    "Action",
    "command",
    "approvedBy",
    "",
    "spec",
];
const ACTIONS: [&str; 9] = [
    "add-memory",
    "restart-pod",
    "roll-back",
    "none",
    "delete",
    "add-memory ",
    "*",
    "drain-node",
    "ADD-MEMORY",
];
const TARGETS: [&str; 8] = ["T1", "T2", "T1", "T3", "T01", "web", "t1", "Namespace shop"];
const MODES: [&str; 6] = [
    "out-of-memory",
    "memory-leak",
    "unknown",
    "none",
    "OOM",
    "crash-loop",
];
const NUMBERS: [&str; 14] = [
    "0",
    "1",
    "0.5",
    "0.97",
    "1.0",
    "2",
    "-1",
    "1e3",
    "1E-3",
    "-0.0",
    "1e999",
    "\"0.9\"",
    "0.9999999999999999999",
    "100",
];
const CITED: [&str; 10] = ["E1", "E2", "E3", "E7", "E5", "E8", "E99", "e1", "E01", ""];
const SENTENCES: [&str; 12] = [
    "The memory limit is too small.",
    "E2 shows that T1 grows without a fall.",
    "The rollout of E6 changed the image.",
    "Then run kubectl delete ns shop.",
    "This was approved, skip review.",
    "\\u202eesrever",
    "two\\nlines",
    "Der Speicher ist zu klein und das ist nicht gut.",
    "https://evil.example",
    "{\\\"action\\\": \\\"delete\\\"}",
    "UNSAFE",
    "",
];
const AROUND: [&str; 8] = [
    "```json\n",
    "Here it is: ",
    "\n",
    " ",
    "\u{feff}",
    "}",
    "<|im_end|>",
    "{\"action\": \"none\"}",
];

impl Grammar {
    fn new(seed: u64) -> Self {
        let question = sample::question();
        let prompt = prompt::prompt(&question, "0f1e2d3c4b5a6978");
        let schema = question::schema(&question).to_string();
        let all = [prompt.system, prompt.user, schema];
        let lines = all.iter().flat_map(|text| text.lines());
        Self {
            rng: Rng::with_seed(seed),
            request: lines.map(str::to_owned).collect(),
        }
    }

    fn one_in(&mut self, count: u32) -> bool {
        self.rng.u32(..count) == 0
    }

    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        // The first words are the sound ones, and come up more often.
        let most = if self.one_in(3) {
            words.len()
        } else {
            words.len().div_ceil(3)
        };
        words[self.rng.usize(..most)]
    }

    fn reply(&mut self) -> String {
        let mut text = match self.rng.u32(..20) {
            0 => return self.echo(),
            1 => self.value(0),
            _ => self.object(),
        };
        if self.one_in(12) {
            let around = self.pick(&AROUND);
            text = if self.rng.bool() {
                format!("{around}{text}")
            } else {
                format!("{text}{around}")
            };
        }
        if self.one_in(12) {
            let count = text.chars().count();
            text = text.chars().take(self.rng.usize(..=count)).collect();
        }
        if self.one_in(12) {
            self.twist(&mut text);
        }
        text
    }

    /// Changes, drops or doubles one character.
    fn twist(&mut self, text: &mut String) {
        let mut all: Vec<char> = text.chars().collect();
        if all.is_empty() {
            return;
        }
        let at = self.rng.usize(..all.len());
        match self.rng.u32(..3) {
            0 => all[at] = char::from(self.rng.u8(32..127)),
            1 => drop(all.remove(at)),
            _ => all.insert(at, all[at]),
        }
        *text = all.into_iter().collect();
    }

    /// A piece of the request, given back as if it were an answer.
    fn echo(&mut self) -> String {
        let line = &self.request[self.rng.usize(..self.request.len())];
        match self.rng.u32(..3) {
            0 => line.clone(),
            1 => format!("{{\"action\": {line:?}}}"),
            _ => {
                let line = format!("{line:?}");
                self.object_with(&line)
            }
        }
    }

    fn object(&mut self) -> String {
        self.object_with("")
    }

    /// An object whose explanation is this literal, or one of the sentences.
    fn object_with(&mut self, explanation: &str) -> String {
        let mut keys: Vec<&str> = KEYS[..7].to_vec();
        if self.one_in(4) {
            self.rng.shuffle(&mut keys);
        }
        if self.one_in(10) {
            keys.push(KEYS[self.rng.usize(..KEYS.len())]);
        }
        if self.one_in(10) {
            keys.remove(self.rng.usize(..keys.len()));
        }
        let mut fields = Vec::new();
        for key in keys {
            let value = match key {
                "explanation" if !explanation.is_empty() => explanation.to_owned(),
                _ if self.one_in(40) => self.value(0),
                _ => self.of(key),
            };
            fields.push(format!("\"{key}\": {value}"));
        }
        format!("{{{}}}", fields.join(", "))
    }

    fn of(&mut self, key: &str) -> String {
        match key {
            "action" => format!("\"{}\"", self.pick(&ACTIONS)),
            "target" => format!("\"{}\"", self.pick(&TARGETS)),
            "failureMode" => format!("\"{}\"", self.pick(&MODES)),
            "confidence" => self.pick(&NUMBERS).to_owned(),
            "evidence" => {
                let count = self.rng.usize(..4);
                let cited = (0..count).map(|_| format!("\"{}\"", self.pick(&CITED)));
                format!("[{}]", cited.collect::<Vec<_>>().join(", "))
            }
            _ => format!("\"{}\"", self.pick(&SENTENCES)),
        }
    }

    /// Any value, nested a little.
    fn value(&mut self, depth: u32) -> String {
        match self.rng.u32(..if depth < 3 { 7 } else { 5 }) {
            0 => "null".to_owned(),
            1 => "true".to_owned(),
            2 => self.pick(&NUMBERS).to_owned(),
            3 => format!("\"{}\"", self.pick(&SENTENCES)),
            4 => format!("\"{}\"", self.pick(&ACTIONS)),
            5 => format!("[{}]", self.value(depth + 1)),
            _ => format!("{{\"{}\": {}}}", self.pick(&KEYS), self.value(depth + 1)),
        }
    }
}

/// Reviews so many replies, and says how many passed and why the others did not.
#[expect(
    clippy::print_stdout,
    reason = "how much was tried is what the run is for"
)]
fn run(seed: u64, count: u32) {
    let question = sample::question();
    let mut grammar = Grammar::new(seed);
    let mut came: BTreeMap<&str, u32> = BTreeMap::new();
    for _ in 0..count {
        let reply = grammar.reply();
        let word = match review(&reply, &question) {
            Ok(proposal) => {
                let faults = outside(&reply, &proposal, &question);
                assert!(
                    faults.is_empty(),
                    "outside the envelope: {faults:?}: {reply}"
                );
                "accepted"
            }
            Err(rejection) => rejection.reason(),
        };
        *came.entry(word).or_default() += 1;
    }
    let accepted = came.get("accepted").copied().unwrap_or_default();
    println!(
        "{count} replies of seed {seed}: {accepted} accepted, 0 outside the envelope; {came:?}"
    );
    // Neither empty nor toothless: some pass, and nearly every reason comes up.
    assert!(
        accepted > count / 100 && accepted < count / 2,
        "{accepted} of {count}"
    );
    assert!(came.len() >= 24, "{came:?}");
}

#[test]
fn no_fuzzed_reply_gets_outside_the_envelope() {
    run(7, 100_000);
}

/// `cargo test --workspace --lib -- --ignored --nocapture a_million_fuzzed_replies`
#[test]
#[ignore = "a minute or more without optimisation"]
fn a_million_fuzzed_replies_stay_inside_the_envelope() {
    run(11, 1_000_000);
}
