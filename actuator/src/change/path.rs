//! How one field of an object is named.
//!
//! `spec.template.spec.containers[name=app].image` names the image of the
//! container `app` wherever it stands in the list; a name with other letters is
//! quoted as in JSON: `metadata.annotations["example.com/a"]`.
//!
//! Pure: no IO, no clock.

use std::fmt;

use serde_json::Value;

/// A part of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// The field of an object.
    Field(String),
    /// The item of a list whose field `key` has the value `value`.
    Item {
        /// Name of the field that tells items apart.
        key: String,
        /// Its value, as text.
        value: String,
    },
}

/// Which field.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<Segment>);

/// Why a text is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a path: {why} at letter {at}; write it like spec.template.spec.containers[name=app].image"
)]
pub struct Error {
    text: String,
    why: &'static str,
    at: usize,
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// When the text is none.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut reader = Reader { text, at: 0 };
        let mut segments = Vec::new();
        while let Some(letter) = reader.peek() {
            let segment = match letter {
                '[' => reader.bracket()?,
                '.' if !segments.is_empty() => {
                    reader.skip();
                    reader.field()?
                }
                _ if segments.is_empty() => reader.field()?,
                _ => return Err(reader.error("expected '.' or '['")),
            };
            segments.push(segment);
        }
        if segments.is_empty() {
            return Err(reader.error("it is empty"));
        }
        Ok(Self(segments))
    }

    /// The parts, from the root.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The path of a field below this one.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        self.with(Segment::Field(name.to_owned()))
    }

    /// The path of a list's item below this one.
    #[must_use]
    pub fn item(&self, key: &str, value: &str) -> Self {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.with(Segment::Item { key, value })
    }

    fn with(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }

    /// Whether `other` is this field, or lies within it.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Field(name) if is_plain(name) => {
                    let dot = if index == 0 { "" } else { "." };
                    write!(f, "{dot}{name}")?;
                }
                Segment::Field(name) => write!(f, "[{}]", quoted(name))?,
                Segment::Item { key, value } if is_plain(value) => write!(f, "[{key}={value}]")?,
                Segment::Item { key, value } => write!(f, "[{key}={}]", quoted(value))?,
            }
        }
        Ok(())
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_word)
}

const fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '$')
}

fn quoted(name: &str) -> String {
    Value::String(name.to_owned()).to_string()
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    fn error(&self, why: &'static str) -> Error {
        Error {
            text: self.text.to_owned(),
            why,
            at: self.at,
        }
    }

    fn word(&mut self) -> Result<String, Error> {
        let rest = self.rest();
        let end = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default().to_owned();
        if word.is_empty() {
            return Err(self.error("expected a name"));
        }
        self.at += end;
        Ok(word)
    }

    fn field(&mut self) -> Result<Segment, Error> {
        self.word().map(Segment::Field)
    }

    fn quoted(&mut self) -> Result<String, Error> {
        let mut texts = serde_json::Deserializer::from_str(self.rest()).into_iter::<String>();
        let text = texts.next().and_then(Result::ok);
        let read = texts.byte_offset();
        let text = text.ok_or_else(|| self.error("the quoted name does not end"))?;
        self.at += read;
        Ok(text)
    }

    fn bracket(&mut self) -> Result<Segment, Error> {
        self.skip();
        let segment = if self.peek() == Some('"') {
            Segment::Field(self.quoted()?)
        } else {
            let key = self.word()?;
            if self.peek() != Some('=') {
                return Err(self.error("expected '='"));
            }
            self.skip();
            let value = if self.peek() == Some('"') {
                self.quoted()?
            } else {
                self.bare()?
            };
            Segment::Item { key, value }
        };
        if self.peek() != Some(']') {
            return Err(self.error("expected ']'"));
        }
        self.skip();
        Ok(segment)
    }

    /// The value of an item's key up to the closing bracket, so that mount paths need no quotes.
    fn bare(&mut self) -> Result<String, Error> {
        let rest = self.rest();
        let end = rest
            .find([']', '[', '"'])
            .ok_or_else(|| self.error("expected ']'"))?;
        let value = rest.get(..end).unwrap_or_default().to_owned();
        if value.is_empty() {
            return Err(self.error("expected a value"));
        }
        self.at += end;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_items_and_quoted_names_are_read() {
        let path = Path::parse("spec.containers[name=app].ports[containerPort=80]").unwrap();
        let app = Path::default()
            .field("spec")
            .field("containers")
            .item("name", "app");
        assert_eq!(path, app.field("ports").item("containerPort", "80"));
        assert!(app.covers(&path) && !path.covers(&app));
        let quoted = Path::parse(r#"metadata.annotations["example.com/a.b"]"#).unwrap();
        let annotations = Path::default().field("metadata").field("annotations");
        assert_eq!(quoted, annotations.field("example.com/a.b"));
        let mount = Path::parse("volumeMounts[mountPath=/var/log]").unwrap();
        assert_eq!(mount.to_string(), r#"volumeMounts[mountPath="/var/log"]"#);
    }

    #[test]
    fn what_is_no_path_says_where() {
        for (text, at) in [
            ("", 0),
            (".a", 0),
            ("a..b", 2),
            ("a[", 2),
            ("a[b]", 3),
            ("a[b=", 4),
            ("a[b=c", 4),
            ("a[\"b]", 2),
            ("a b", 1),
            ("a[b=]", 4),
        ] {
            let error = Path::parse(text).unwrap_err();
            assert_eq!(error.at, at, "{error}");
        }
    }

    fn segment() -> impl Strategy<Value = Segment> {
        let key = "[a-z]{1,5}";
        prop_oneof![
            ".{1,8}".prop_map(Segment::Field),
            (key, ".{1,8}").prop_map(|(key, value)| Segment::Item { key, value }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            segments in proptest::collection::vec(segment(), 1..6),
        ) {
            let path = Path(segments);
            prop_assert_eq!(Path::parse(&path.to_string()).unwrap(), path);
        }

        #[test]
        fn no_text_breaks_the_reader(text in ".{0,40}") {
            let _read = Path::parse(&text);
        }
    }
}
