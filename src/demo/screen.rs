//! What the reader sees: on a terminal a picture that is drawn anew, in a pipe one line after the
//! other.

use std::io::{self, Write};
use std::net::IpAddr;
use std::time::Duration;

use crate::clock::Stopwatch;
use crate::demo::farm::Mode;
use crate::lvs::Table;

/// Story lines that stand below the table on a terminal of 24 lines.
const STORY_LINES: usize = 13;
/// Characters of a line on a terminal; a narrower one cuts it.
const WIDTH: usize = 79;

/// What a line of the story is about, and thereby its mark and colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Somebody does something to the farm.
    Deed,
    /// The daemon says what it sees.
    Event,
    /// A message is handed to the relay.
    Mail,
    /// What was to be shown has happened.
    Shown,
    /// A word to the reader.
    Word,
}

impl Kind {
    const fn label(self) -> &'static str {
        match self {
            Self::Deed => "==>",
            Self::Event => "event",
            Self::Mail => "mail",
            Self::Shown => "shown",
            Self::Word => "",
        }
    }

    const fn colour(self) -> &'static str {
        match self {
            Self::Deed => "1;33",
            Self::Event => "2",
            Self::Mail => "36",
            Self::Shown => "1;32",
            Self::Word => "0",
        }
    }
}

/// How to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// One line after the other, without colours.
    Plain,
    /// One picture, drawn anew; with or without colours.
    Live {
        /// Whether colours are wanted.
        colours: bool,
    },
}

/// The reader's view.
pub(super) struct Screen<'a> {
    out: &'a mut dyn Write,
    look: Look,
    clock: Stopwatch,
    story: Vec<(Duration, Kind, String)>,
    picture: Vec<String>,
}

impl<'a> Screen<'a> {
    pub(super) fn new(out: &'a mut dyn Write, look: Look) -> Self {
        Self {
            out,
            look,
            clock: Stopwatch::start(),
            story: Vec::new(),
            picture: Vec::new(),
        }
    }

    /// Time since the story began.
    pub(super) fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Whether the reader sees a picture rather than lines.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.look, Look::Live { .. })
    }

    /// Adds a line to the story.
    pub(super) fn say(&mut self, kind: Kind, text: &str) -> io::Result<()> {
        let at = self.elapsed();
        if self.look == Look::Plain {
            writeln!(self.out, "{}", story_line(at, kind, text))?;
            self.out.flush()?;
        }
        self.story.push((at, kind, text.to_owned()));
        self.draw()
    }

    /// Shows the table beside what each server does; in a pipe only when `now` asks for it.
    pub(super) fn show_table(
        &mut self,
        table: &Table,
        servers: &[(IpAddr, Mode)],
        now: bool,
    ) -> io::Result<()> {
        let picture = table_lines(table, servers);
        match self.look {
            Look::Plain if now => self.show_text(&picture),
            Look::Plain => Ok(()),
            Look::Live { .. } => {
                if picture != self.picture {
                    self.picture = picture;
                    self.draw()?;
                }
                Ok(())
            }
        }
    }

    /// Shows lines below the last line of the story; a picture has no room for them.
    pub(super) fn show_text<'t>(
        &mut self,
        lines: impl IntoIterator<Item = &'t String>,
    ) -> io::Result<()> {
        if self.look == Look::Plain {
            for line in lines {
                writeln!(self.out, "{}", format!("            {line}").trim_end())?;
            }
            self.out.flush()?;
        }
        Ok(())
    }

    fn draw(&mut self) -> io::Result<()> {
        let Look::Live { colours } = self.look else {
            return Ok(());
        };
        let paint = |code: &str, text: &str| {
            let text: String = text.chars().take(WIDTH).collect();
            if colours {
                format!("\x1b[{code}m{text}\x1b[0m")
            } else {
                text
            }
        };
        let title = "lvsmon demo: three web servers on loopback, a table in memory";
        let mut lines = vec![paint("1", title), String::new()];
        lines.extend(self.picture.iter().map(|line| {
            let code = match line.split_whitespace().next() {
                Some("in") => "32",
                Some("out") => "31",
                _ => "0",
            };
            paint(code, &format!("  {line}"))
        }));
        lines.push(String::new());
        let from = self.story.len().saturating_sub(STORY_LINES);
        for (at, kind, text) in self.story.iter().skip(from) {
            lines.push(paint(kind.colour(), &story_line(*at, *kind, text)));
        }
        // Without wrapping, so that a narrow terminal cuts the lines; only while it is drawn,
        // so that the terminal is as it was whenever the story ends.
        // Home, every line with the rest of the old one erased, then all that is below.
        let mut frame = String::from("\x1b[?7l\x1b[H");
        for line in lines {
            frame.push_str(&line);
            frame.push_str("\x1b[K\r\n");
        }
        frame.push_str("\x1b[J\x1b[?7h");
        self.out.write_all(frame.as_bytes())?;
        self.out.flush()
    }

    /// Writes text as it is, beside the story.
    pub(super) fn plain(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Makes room for the picture.
    pub(super) fn open(&mut self) -> io::Result<()> {
        if self.is_live() {
            self.out.write_all(b"\x1b[2J\x1b[?25l")?;
        }
        Ok(())
    }

    /// Gives the terminal back as it was, the last picture still on it.
    pub(super) fn close(&mut self) -> io::Result<()> {
        if self.is_live() {
            self.out.write_all(b"\x1b[?25h")?;
        }
        self.out.flush()
    }
}

fn story_line(at: Duration, kind: Kind, text: &str) -> String {
    format!("{:5.1} s {:>5} {text}", at.as_secs_f64(), kind.label())
        .trim_end()
        .to_owned()
}

/// The virtual services, each with every server of the farm, in the table or out of it.
fn table_lines(table: &Table, servers: &[(IpAddr, Mode)]) -> Vec<String> {
    let mut lines = Vec::new();
    if table.is_empty() {
        lines.push("the table is empty".to_owned());
    }
    for (key, entry) in table {
        lines.push(format!("{key} {}", entry.service.scheduler));
    }
    for (address, mode) in servers {
        let found = table
            .values()
            .flat_map(|entry| &entry.servers)
            .find(|(server, _)| server.0.ip() == *address);
        let does = mode.text();
        lines.push(match found {
            Some((server, settings)) => format!(
                "in   {server}  {} weight {}  ({does})",
                settings.forwarding, settings.weight
            ),
            None => format!("out  {address}  ({does})"),
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipvs::listing;

    fn servers() -> Vec<(IpAddr, Mode)> {
        let address = |last| IpAddr::from([127, 0, 0, last]);
        vec![(address(11), Mode::Healthy), (address(12), Mode::Killed)]
    }

    #[test]
    fn a_server_that_is_not_in_the_table_is_shown_as_out() {
        let text = "-A -t 10.0.0.3:80 -s wlc\n-a -t 10.0.0.3:80 -r 127.0.0.11:80 -g -w 5\n";
        let table = listing::parse(text).unwrap();
        assert_eq!(
            table_lines(&table, &servers()),
            [
                "10.0.0.3:80/tcp wlc",
                "in   127.0.0.11:80  dr weight 5  (answers 200)",
                "out  127.0.0.12  (killed)",
            ]
        );
        assert_eq!(
            table_lines(&Table::new(), &servers())[0],
            "the table is empty"
        );
    }

    #[test]
    fn a_pipe_gets_lines_without_control_characters() {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out, Look::Plain);
        screen.open().unwrap();
        screen.say(Kind::Deed, "kill it").unwrap();
        screen.show_table(&Table::new(), &servers(), false).unwrap();
        screen.show_table(&Table::new(), &servers(), true).unwrap();
        screen.close().unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains('\x1b'), "{text}");
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.contains("s   ==> kill it\n"), "{text}");
    }

    #[test]
    fn a_narrow_terminal_cuts_lines_and_wraps_again_afterwards() {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out, Look::Live { colours: true });
        screen.say(Kind::Event, "it happens").unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("\x1b[?7l\x1b[H"), "{text:?}");
        assert!(text.ends_with("\x1b[J\x1b[?7h"), "{text:?}");
    }

    #[test]
    fn a_terminal_gets_one_picture_that_fits_24_lines() {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out, Look::Live { colours: true });
        screen.show_table(&Table::new(), &servers(), false).unwrap();
        for _ in 0..50 {
            screen.say(Kind::Event, &"x".repeat(200)).unwrap();
        }
        let text = String::from_utf8(out).unwrap();
        let last = text.rsplit("\x1b[H").next().unwrap();
        assert!(last.lines().count() < 24, "{last}");
        assert!(last.lines().all(|line| line.len() < 100), "{last}");
    }
}
