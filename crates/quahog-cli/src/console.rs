//! Lines for people: results on standard output, diagnostics on standard error.
//!
//! Nothing that comes from a file name, a signature or a mail reaches a line
//! before [`escape`] has been over it, so that no name can forge a line or
//! steer a terminal. A stream that was closed never ends in a panic.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use quahog::sig::progress::{Progress, Stage};

/// Where lines go.
#[derive(Debug)]
pub(crate) struct Console {
    progress: ProgressBar,
    colours: bool,
    /// Diagnostics go to standard output too.
    pub(crate) one_stream: bool,
}

/// The colour of a verdict.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Colour {
    Red = 31,
    Yellow = 33,
}

impl Console {
    pub(crate) fn new() -> Console {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let colours = io::stdout().is_terminal() && !plain;
        Console { progress: ProgressBar::hidden(), colours, one_stream: false }
    }

    /// Shows that work goes on, and with `{pos}` how far it came; nothing is
    /// drawn unless standard error is a terminal.
    pub(crate) fn begin(&mut self, what: &'static str) {
        if !io::stderr().is_terminal() {
            return;
        }
        self.progress = ProgressBar::new_spinner();
        let template = format!("{{spinner}} {what}{{msg}} ({{elapsed}})");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            self.progress.set_style(style);
        }
        self.progress.enable_steady_tick(Duration::from_millis(200));
    }

    /// One more piece of the work is done.
    pub(crate) fn advance(&self) {
        self.progress.inc(1);
    }

    /// Shows how far a load is.
    pub(crate) fn tell(&self) -> impl Fn(Progress) + Sync + use<> {
        let bar = self.progress.clone();
        move |Progress { stage, done, total, .. }| {
            let doing = match stage {
                Stage::Planning => " (planning)",
                Stage::Indexing => " (indexing)",
                _ => "",
            };
            let percent = (done * 100).checked_div(total).unwrap_or(100);
            bar.set_message(format!("{doing}: {percent} %"));
        }
    }

    /// The work is done.
    pub(crate) fn end(&mut self) {
        self.progress.finish_and_clear();
        self.progress = ProgressBar::hidden();
    }

    /// Writes a line of the result.
    ///
    /// # Errors
    ///
    /// Standard output is closed or full: there is no use in going on.
    pub(crate) fn line(&self, text: &str) -> io::Result<()> {
        self.progress.suspend(|| writeln!(io::stdout().lock(), "{text}"))
    }

    /// Writes a diagnostic, whose foreign parts are escaped. If nobody can read
    /// it, it is lost.
    pub(crate) fn diagnostic(&self, text: &str) {
        self.progress.suspend(|| {
            let _ = if self.one_stream {
                writeln!(io::stdout().lock(), "{text}")
            } else {
                writeln!(io::stderr().lock(), "{text}")
            };
        });
    }

    /// Writes a message that may hold anything.
    pub(crate) fn error(&self, text: &str) {
        self.diagnostic(&format!("ERROR: {}", escape(text)));
    }

    /// Writes a warning that may hold anything.
    pub(crate) fn warning(&self, text: &str) {
        self.diagnostic(&format!("WARNING: {}", escape(text)));
    }

    /// Colours a word on a terminal.
    pub(crate) fn paint(&self, word: &str, colour: Colour) -> String {
        if self.colours { format!("\x1b[{}m{word}\x1b[0m", colour as u8) } else { word.to_owned() }
    }
}

/// Makes text fit for a line: control characters and those that reorder text
/// come out as in Rust source (`\n`, `\u{1b}`), bytes that are no UTF-8 as `\xff`.
pub(crate) fn escape(text: impl AsRef<OsStr>) -> String {
    let mut escaped = String::new();
    for chunk in text.as_ref().as_encoded_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_steering(c) {
                escaped.extend(c.escape_default());
            } else {
                escaped.push(c);
            }
        }
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(escaped, "\\x{byte:02x}");
        }
    }
    escaped
}

/// Whether a character moves a terminal, ends a line, or turns text around.
fn is_steering(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What is wrong, from the outside to the cause.
pub(crate) fn message(error: &anyhow::Error) -> String {
    let texts: Vec<String> = error
        .chain()
        .map(|cause| match cause.downcast_ref::<io::Error>() {
            Some(error) => reason(error),
            None => cause.to_string(),
        })
        .collect();
    texts.join(": ")
}

/// What the system says, without its number.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = match error.kind() {
        // As clamscan puts it.
        io::ErrorKind::PermissionDenied => return "Access denied".to_owned(),
        _ => error.to_string(),
    };
    match text.rsplit_once(" (os error ") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_is_escaped_and_the_rest_stays() {
        assert_eq!(escape("plain näme.txt"), "plain näme.txt");
        assert_eq!(escape("a\nb\x1b[0m\u{9b}\u{202e}c"), r"a\nb\u{1b}[0m\u{9b}\u{202e}c");
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_no_text_are_shown_as_numbers() {
        use std::os::unix::ffi::OsStrExt as _;
        assert_eq!(escape(OsStr::from_bytes(b"a\xff\xc3")), r"a\xff\xc3");
    }
}
