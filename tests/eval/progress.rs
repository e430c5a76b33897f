//! What happens, as it happens, on standard error.

use std::io::Write as _;
use std::time::Instant;

/// Speaks of one scenario.
#[derive(Clone, Debug)]
pub(crate) struct Voice {
    start: Instant,
    about: String,
}

impl Voice {
    /// Speaks of `about`, with the time since `start`.
    pub(crate) fn new(start: Instant, about: &str) -> Self {
        Self {
            start,
            about: about.to_owned(),
        }
    }

    /// The same, about something else.
    pub(crate) fn about(&self, about: &str) -> Self {
        Self::new(self.start, about)
    }

    /// Says one line.
    pub(crate) fn say(&self, text: &str) {
        let seconds = self.start.elapsed().as_secs_f64();
        // there is nobody left to tell when even this fails
        drop(writeln!(
            std::io::stderr(),
            "{seconds:7.1} s  {:<26} {text}",
            self.about
        ));
    }

    /// Says some lines.
    pub(crate) fn say_all(&self, lines: impl IntoIterator<Item = String>) {
        for line in lines {
            self.say(&line);
        }
    }
}
