//! Formats that are read as a whole: YARA rules and bytecode.
//!
//! A document holds entries of any number of lines. Each is reported as if it
//! stood on the line where its name is (or its error), so that diagnostics
//! have a line and a column as everywhere else.

use memchr::memchr_iter;

use crate::lower::{Admission, SetBuilder};
use crate::{Error, Format, Grammar, Line, Span, yara};

/// What became of one entry of a document.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'d> {
    /// The line that it is told by.
    pub line: Line<'d>,
    /// What became of it; an error has its place in `line`.
    pub outcome: Result<Admission, Error>,
}

/// Why ClamAV refuses a whole document, and with it the whole database.
#[derive(Clone, Copy, Debug)]
pub struct Refusal<'d> {
    /// The line to blame.
    pub line: Line<'d>,
    /// What is wrong, and where in the line.
    pub error: Error,
}

impl SetBuilder {
    /// Reads a file of a [document format](Format::is_document) and admits each
    /// of its entries whole or not at all.
    ///
    /// Gives a reason where ClamAV would refuse the file; the entries are
    /// admitted even so.
    pub fn document<'d>(
        &mut self,
        format: Format,
        text: &'d [u8],
        visit: &mut dyn FnMut(Entry<'d>),
    ) -> Option<Refusal<'d>> {
        if self.columns.sources.is_empty() {
            self.source("", false);
        }
        if format.grammar() == Grammar::Bytecode {
            let outcome = self.program(text);
            let at = outcome.as_ref().map_or_else(|error| error.span().start(), |_| 0);
            visit(Place::new(text).entry(at, outcome));
            return None;
        }
        // A byte order mark is an error in ClamAV, which reads nothing then.
        let start = match text.strip_prefix(b"\xef\xbb\xbf") {
            Some(_) if !self.strict() => 3,
            _ => 0,
        };
        let text = text.get(start..).unwrap_or_default();
        let mut place = Place::new(text);
        let mut numbers = Place::new(text);
        let mut reader = yara::Reader::new(self);
        reader.read(text, &mut |at| numbers.number(at), &mut |at, outcome| {
            visit(place.entry(at, outcome));
        });
        let error = reader.refusal?;
        let mut place = Place::new(text);
        let Entry { line, outcome } = place.entry(error.span().start(), Err(error));
        outcome.err().map(|error| Refusal { line, error })
    }
}

/// Turns positions in a text into lines. Positions that come in order cost one
/// walk over the text in all.
struct Place<'d> {
    text: &'d [u8],
    /// Where the current line begins, and its number.
    start: usize,
    number: u32,
}

impl<'d> Place<'d> {
    fn new(text: &'d [u8]) -> Place<'d> {
        Place { text, start: 0, number: 1 }
    }

    /// The number of the line at a position.
    fn number(&mut self, at: usize) -> u32 {
        if at < self.start {
            *self = Place::new(self.text);
        }
        let between = self.text.get(self.start..at.min(self.text.len())).unwrap_or_default();
        let mut start = self.start;
        for end in memchr_iter(b'\n', between) {
            start = self.start + end + 1;
            self.number = self.number.saturating_add(1);
        }
        self.start = start;
        self.number
    }

    fn line(text: &'d [u8], start: usize, number: u32) -> Line<'d> {
        let rest = text.get(start..).unwrap_or_default();
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        Line { number, text: rest[..end].trim_ascii_end() }
    }

    /// An entry at a position of the text.
    fn entry(&mut self, at: usize, outcome: Result<Admission, Error>) -> Entry<'d> {
        let number = self.number(at);
        let line = Place::line(self.text, self.start, number);
        let outcome = outcome.map_err(|error| {
            let len = line.text.len();
            let start = error.span().start().saturating_sub(self.start).min(len);
            // What spans lines is drawn to the end of the first.
            let end = error.span().end().saturating_sub(self.start).min(len.max(start));
            Error::new(error.kind(), Span::new(start, end))
        });
        Entry { line, outcome }
    }
}
