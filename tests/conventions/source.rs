//! One Rust file, cut into code and string literals.
//!
//! Comments and the insides of literals are blanked out, so that a word in prose
//! is not taken for code; line breaks stay, so that lines can be named.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the workspace.
pub(crate) struct Source {
    /// Relative to the workspace's root.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    /// The text without comments and literals, up to the tests at its end.
    pub(crate) code: String,
    /// Each string literal before the tests, with its line.
    pub(crate) strings: Vec<(usize, String)>,
}

impl Source {
    fn read(root: &Path, file: &Path) -> Self {
        let text = fs::read_to_string(file).expect("a source can be read");
        let path = file.strip_prefix(root).expect("below the root").to_owned();
        let production = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let (code, strings) = cut(production);
        Self {
            path,
            text,
            code,
            strings,
        }
    }

    /// The lines on which `path`, such as `kube::Client`, stands as a whole word.
    pub(crate) fn lines_with(&self, path: &str) -> Vec<usize> {
        let part = |c: char| c.is_alphanumeric() || c == '_';
        let whole = |line: &str| {
            line.match_indices(path).any(|(at, _)| {
                let before = line.get(..at).and_then(|text| text.chars().next_back());
                let after = line
                    .get(at + path.len()..)
                    .and_then(|text| text.chars().next());
                !before.is_some_and(part) && !after.is_some_and(part)
            })
        };
        let lines = self.code.lines().zip(1..);
        lines
            .filter(|(line, _)| whole(line))
            .map(|(_, n)| n)
            .collect()
    }

    /// The files that its `mod name;` lines may mean: the first that exists counts.
    pub(crate) fn modules(&self, is_root: bool) -> Vec<PathBuf> {
        let dir = if is_root {
            self.path.with_file_name("")
        } else {
            self.path.with_extension("")
        };
        let names = self.whole_code().into_iter().filter_map(|line| {
            let rest = line.trim().strip_suffix(';')?;
            let (before, name) = rest.rsplit_once("mod ")?;
            let visibility = before.trim();
            (visibility.is_empty() || visibility.starts_with("pub")).then(|| name.trim().to_owned())
        });
        names.map(|name| dir.join(name + ".rs")).collect()
    }

    fn whole_code(&self) -> Vec<String> {
        cut(&self.text).0.lines().map(str::to_owned).collect()
    }
}

/// Every Rust file below `dir`, sorted by path.
pub(crate) fn below(root: &Path, dir: &Path) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder can be read") {
            let path = entry.expect("a folder can be read").path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(Source::read(root, &path));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Splits source text into code, with everything else blanked, and its strings.
fn cut(text: &str) -> (String, Vec<(usize, String)>) {
    let mut code = String::with_capacity(text.len());
    let mut strings = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let line = code.matches('\n').count() + 1;
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = string(rest, &code) {
            strings.push((line, rest.get(..length).unwrap_or_default().to_owned()));
            length
        } else if let Some(length) = character(rest) {
            length
        } else {
            code.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            continue;
        };
        let (literal, after) = rest.split_at(length);
        code.extend(literal.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = after;
    }
    (code, strings)
}

/// The length of a block comment; they nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of a string literal that starts here, raw or not.
fn string(text: &str, code_before: &str) -> Option<usize> {
    let in_word = code_before
        .chars()
        .next_back()
        .is_some_and(|c| c.is_alphanumeric() || c == '_');
    if let Some(raw) = text
        .strip_prefix("br")
        .or_else(|| text.strip_prefix('r'))
        .filter(|_| !in_word)
    {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw.get(hashes..)?.starts_with('"') {
            let prefix = text.len() - raw.len() + hashes + 1;
            let end = format!("\"{}", "#".repeat(hashes));
            let body = text.get(prefix..)?;
            return Some(prefix + body.find(&end).map_or(body.len(), |at| at + end.len()));
        }
    }
    let body = text.strip_prefix('"')?;
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        match c {
            '"' if !escaped => return Some(at + 2),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    Some(text.len())
}

/// The length of a character literal that starts here; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    let end = match body.strip_prefix('\\') {
        // the quote in '\'' is escaped, so the end lies behind at least one more
        Some(escaped) => 1 + escaped.char_indices().skip(1).find(|(_, c)| *c == '\'')?.0,
        None => body.char_indices().nth(1).filter(|(_, c)| *c == '\'')?.0,
    };
    Some(end + 2)
}

#[test]
fn prose_and_literals_are_no_code() {
    let text = "let a = 'x'; // async\nlet b: &'a str = \"async \\\" {\"; /* a /* b */ async */ c\nlet d = r#\"as\"ync\"#; '\\'' async";
    let (code, strings) = cut(text);
    assert_eq!(code.matches("async").count(), 1, "{code}");
    assert_eq!(code.lines().count(), 3, "{code}");
    assert!(code.contains("&'a str"), "{code}");
    let strings: Vec<_> = strings
        .iter()
        .map(|(line, text)| (*line, text.as_str()))
        .collect();
    assert_eq!(strings, [(2, "\"async \\\" {\""), (3, "r#\"as\"ync\"#")]);
}
