//! Which objects a scenario means: `Kind/name`, where `*` in the name stands for any text.
//!
//! Pure: no IO, no clock.

use std::{fmt, str::FromStr};

/// Objects of one kind whose names look alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// The kind, such as `Pod`.
    pub(crate) kind: String,
    /// The name, in which `*` stands for any text.
    pub(crate) name: String,
}

/// A text that names no object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no object: write Kind/name, such as Deployment/web or Pod/web-*")]
pub(crate) struct NoPattern(String);

impl FromStr for Pattern {
    type Err = NoPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || NoPattern(text.to_owned());
        let (kind, name) = text.split_once('/').ok_or_else(error)?;
        let is_kind = kind.starts_with(|c: char| c.is_ascii_uppercase())
            && kind.chars().all(|c| c.is_ascii_alphanumeric());
        let is_name =
            !name.is_empty() && !name.contains('/') && !name.contains(char::is_whitespace);
        if is_kind && is_name {
            Ok(Self {
                kind: kind.to_owned(),
                name: name.to_owned(),
            })
        } else {
            Err(error())
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

impl Pattern {
    /// Whether the object `Kind/name` is meant.
    pub(crate) fn means(&self, object: &str) -> bool {
        object
            .split_once('/')
            .is_some_and(|(kind, name)| kind == self.kind && self.fits(name))
    }

    /// Whether a name of this kind is meant.
    pub(crate) fn fits(&self, name: &str) -> bool {
        let mut parts = self.name.split('*');
        let Some(rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
            return false;
        };
        let mut rest = rest;
        let mut last = None;
        for part in parts {
            if let Some(before) = last.replace(part) {
                match rest.split_once(before) {
                    Some((_, after)) => rest = after,
                    None => return false,
                }
            }
        }
        last.map_or(rest.is_empty(), |end| rest.ends_with(end))
    }

    /// Whether one object alone is meant.
    pub(crate) fn is_exact(&self) -> bool {
        !self.name.contains('*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_star_stands_for_any_text_of_the_same_kind() {
        let pods = pattern("Pod/web-*");
        assert!(pods.means("Pod/web-7d-x2"));
        assert!(pods.means("Pod/web-"));
        assert!(!pods.means("Pod/web"));
        assert!(!pods.means("Deployment/web-7d"));
        assert!(pattern("Pod/*-a-*-b").fits("x-a-y-b"));
        assert!(!pattern("Pod/a*b*a").fits("aba-b"));
        assert!(!pattern("Pod/ab*b").fits("ab"));
    }

    #[test]
    fn without_a_star_one_object_is_meant() {
        let one = pattern("Deployment/web");
        assert!(one.is_exact() && one.means("Deployment/web"));
        assert!(!one.means("Deployment/web-2"));
    }

    #[test]
    fn what_names_no_object_is_refused() {
        for text in ["web", "Pod/", "pod/web", "Pod/a/b", "Pod/a b", "/web"] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }
}
