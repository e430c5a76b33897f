//! The timeline, and below it on a terminal a block that is redrawn.
//!
//! Elsewhere than on a terminal there are plain lines only.

use std::fs::File;
use std::io::{self, IsTerminal as _, Stdout, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use crate::block;
use crate::scene::{About, Line, Scene};

/// Where the show is seen.
pub(crate) struct Screen {
    out: Stdout,
    is_terminal: bool,
    colours: bool,
    record: Option<File>,
    /// Lines of the block that are on the screen now.
    drawn: usize,
}

impl Screen {
    /// Standard output, and a file if one is named.
    pub(crate) fn open(record: Option<&Path>) -> anyhow::Result<Self> {
        let out = io::stdout();
        let is_terminal = out.is_terminal();
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let record = record.map(|path| {
            File::create(path).with_context(|| format!("failed to write {}", path.display()))
        });
        Ok(Self {
            out,
            is_terminal,
            colours: is_terminal && !no_colour,
            record: record.transpose()?,
            drawn: 0,
        })
    }

    /// Adds lines to the timeline.
    pub(crate) fn lines(&mut self, lines: &[Line], at: Duration) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        self.clear()?;
        for line in lines {
            let head = format!("{:6.1} s  {:<8}", at.as_secs_f64(), line.about.word());
            if let Some(record) = &mut self.record {
                writeln!(record, "{head} {}", line.text)?;
            }
            if self.colours {
                let colour = colour(line);
                writeln!(
                    self.out,
                    "\x1b[2m{head}\x1b[0m \x1b[{colour}m{}\x1b[0m",
                    line.text
                )?;
            } else {
                writeln!(self.out, "{head} {}", line.text)?;
            }
        }
        self.out.flush()
    }

    /// Redraws the block, where there is a terminal.
    pub(crate) fn block(&mut self, scene: &Scene) -> io::Result<()> {
        if !self.is_terminal {
            return Ok(());
        }
        self.clear()?;
        let lines = block::lines(scene, self.colours);
        // the terminal cuts what is too long, so that each line stays one line
        write!(self.out, "\x1b[?7l")?;
        for line in &lines {
            writeln!(self.out, "{line}")?;
        }
        write!(self.out, "\x1b[?7h")?;
        self.drawn = lines.len();
        self.out.flush()
    }

    /// Takes the block off the screen.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        if self.drawn > 0 {
            write!(self.out, "\x1b[{}F\x1b[J", self.drawn)?;
            self.drawn = 0;
        }
        Ok(())
    }

    /// Prints text as it is, after the timeline.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.clear()?;
        if let Some(record) = &mut self.record {
            writeln!(record, "{text}")?;
        }
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }
}

/// The colour of a line, as a terminal's attribute.
fn colour(line: &Line) -> &'static str {
    match line.about {
        About::Demo => "1",
        About::Pod | About::Memory => "0",
        About::Trigger if line.text.contains("FIRED") => "31",
        About::Trigger => "33",
        About::Action if line.text.contains("Succeeded") => "1;32",
        About::Action => "36",
        About::Guards => "32",
        About::Alert => "35",
    }
}
