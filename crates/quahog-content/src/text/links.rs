//! The links of an HTML document: where each leads, and what it shows.
//!
//! [`links`] goes through a document once and hands out pairs:
//!
//! * the address of an `a` with its text, and with its `title`;
//! * the address of an `a` with that of a picture or frame inside;
//! * the address of a `form` with that of an `a`, a picture or a frame inside.
//!
//! Tags do not count as text, nor do comments, scripts and styles; character
//! references are resolved, and a run of white space is one blank. An `a` ends
//! at the next one, wherever its own end is. No recursion, no tree: linear in
//! the document, with a bounded amount of memory.
//!
//! ```
//! use quahog_content::text::links::{Link, links};
//! use quahog_content::{Budget, Limits};
//!
//! let html = b"<a href='http://a.example/'>see <b>b.example</b></a>";
//! let mut pairs = Vec::new();
//! let budget = Budget::new(Limits::default());
//! let shortfall = links(html, &budget, &mut |link: Link<'_>| {
//!     pairs.push((link.real.to_vec(), link.shown.to_vec()));
//!     std::ops::ControlFlow::Continue(())
//! });
//! assert_eq!(shortfall, None);
//! assert_eq!(pairs, [(b"http://a.example/".to_vec(), b"see b.example".to_vec())]);
//! ```

use std::ops::ControlFlow;

use super::entities::named;
use crate::{Budget, Shortfall};

/// A link: where it leads, and what it shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Link<'l> {
    /// The address that it leads to.
    pub real: &'l [u8],
    /// The text or address that it shows.
    pub shown: &'l [u8],
    /// Whether the text of an `a` shows it, and not a title, a picture, a frame
    /// or the form around it.
    pub is_text: bool,
}

/// Hands out the links of `html`; `Break` ends the search.
///
/// Addresses and texts are cut at 1,024 bytes. Returns why not all of the
/// document was looked at: the budget ended the work ([`Budget::tick`]).
pub fn links(
    html: &[u8],
    budget: &Budget<'_>,
    visit: &mut dyn FnMut(Link<'_>) -> ControlFlow<()>,
) -> Option<Shortfall> {
    let mut reader = Reader { rest: html, anchor: None, form: Vec::new(), visit };
    let mut before = html.len();
    while !reader.rest.is_empty() {
        if reader.step().is_break() {
            return None;
        }
        let work = before.saturating_sub(reader.rest.len());
        before = reader.rest.len();
        if let Err(shortfall) = budget.tick(work as u64) {
            return Some(shortfall);
        }
    }
    let _ = reader.end_anchor();
    None
}

/// Bytes of an address or text that are kept.
const MAX_KEPT: usize = 1_024;

/// An `a` that is open.
#[derive(Default)]
struct Anchor {
    address: Vec<u8>,
    text: Vec<u8>,
}

struct Reader<'h, 'v> {
    rest: &'h [u8],
    anchor: Option<Anchor>,
    /// The address of the form around; empty if there is none.
    form: Vec<u8>,
    visit: &'v mut dyn FnMut(Link<'_>) -> ControlFlow<()>,
}

impl<'h> Reader<'h, '_> {
    /// Reads the next run of text, or the next tag.
    fn step(&mut self) -> ControlFlow<()> {
        let Some(after) = self.rest.strip_prefix(b"<") else {
            let end = memchr::memchr(b'<', self.rest).unwrap_or(self.rest.len());
            let (text, rest) = self.rest.split_at(end);
            self.rest = rest;
            if let Some(anchor) = &mut self.anchor {
                resolve(text, &mut anchor.text);
            }
            return ControlFlow::Continue(());
        };
        match after.first() {
            Some(b'!') => {
                let end = memchr::memchr(b'>', after).map_or(after.len(), |at| at + 1);
                self.rest = after.get(end..).unwrap_or_default();
                ControlFlow::Continue(())
            }
            Some(b) if b.is_ascii_alphabetic() || *b == b'/' || b.is_ascii_whitespace() => {
                self.rest = after;
                self.tag()
            }
            _ => {
                self.rest = after;
                if let Some(anchor) = &mut self.anchor {
                    keep(&mut anchor.text, b'<');
                }
                ControlFlow::Continue(())
            }
        }
    }

    /// Reads a tag behind its `<`.
    fn tag(&mut self) -> ControlFlow<()> {
        self.rest = self.rest.trim_ascii_start();
        let end = self.rest.iter().position(|b| b.is_ascii_whitespace() || *b == b'>');
        let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        let kind = TAGS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
        let kind = kind.map_or(Tag::Other, |(_, kind)| *kind);
        let (mut address, mut title) = (Vec::new(), Vec::new());
        let wanted: &[&[u8]] = match kind {
            Tag::Anchor => &[b"href"],
            Tag::Form => &[b"action"],
            Tag::Image => &[b"src", b"dynsrc"],
            _ => &[],
        };
        while let Some((attribute, value)) = self.attribute() {
            // Of an attribute that stands twice the first counts.
            if address.is_empty() && wanted.iter().any(|w| attribute.eq_ignore_ascii_case(w)) {
                resolve(value, &mut address);
            } else if matches!(kind, Tag::Anchor)
                && title.is_empty()
                && attribute.eq_ignore_ascii_case(b"title")
            {
                resolve(value, &mut title);
            }
        }
        match kind {
            Tag::Anchor if !address.is_empty() => {
                self.end_anchor()?;
                if !title.is_empty() {
                    self.hand_out(&address, &title, false)?;
                }
                if !self.form.is_empty() {
                    let form = std::mem::take(&mut self.form);
                    let flow = self.hand_out(&form, &address, false);
                    self.form = form;
                    flow?;
                }
                self.anchor = Some(Anchor { address, text: Vec::new() });
            }
            Tag::AnchorEnd => self.end_anchor()?,
            Tag::Form => self.form = address,
            Tag::FormEnd => self.form.clear(),
            Tag::Image if !address.is_empty() => {
                let anchor = self.anchor.as_ref().map(|anchor| anchor.address.clone());
                for real in anchor.into_iter().chain([self.form.clone()]) {
                    if !real.is_empty() {
                        self.hand_out(&real, &address, false)?;
                    }
                }
            }
            Tag::Code(end) => self.skip_code(end),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    /// Reads the next attribute of a tag, or its `>`.
    fn attribute(&mut self) -> Option<(&'h [u8], &'h [u8])> {
        self.rest = self.rest.trim_ascii_start();
        if let Some(rest) = self.rest.strip_prefix(b">") {
            self.rest = rest;
            return None;
        }
        let in_name = |b: &u8| !b.is_ascii_whitespace() && !matches!(b, b'=' | b'>');
        let end = self.rest.iter().position(|b| !in_name(b)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        let Some(rest) = rest.trim_ascii_start().strip_prefix(b"=") else {
            self.rest = rest;
            return (!name.is_empty()).then_some((name, b""));
        };
        let rest = rest.trim_ascii_start();
        if let Some((&quote @ (b'"' | b'\''), quoted)) = rest.split_first() {
            let end = memchr::memchr(quote, quoted).unwrap_or(quoted.len());
            self.rest = quoted.get(end + 1..).unwrap_or_default();
            return Some((name, quoted.get(..end).unwrap_or_default()));
        }
        let end = rest.iter().position(|b| b.is_ascii_whitespace() || *b == b'>');
        let (value, rest) = rest.split_at(end.unwrap_or(rest.len()));
        self.rest = rest;
        Some((name, value))
    }

    /// Passes over a script or style.
    fn skip_code(&mut self, end: &[u8]) {
        let mut at = 0;
        while let Some(gap) = memchr::memchr(b'<', self.rest.get(at..).unwrap_or_default()) {
            let here = self.rest.get(at + gap..).unwrap_or_default();
            if here.get(1..end.len() + 1).is_some_and(|name| name.eq_ignore_ascii_case(end)) {
                self.rest = here;
                return;
            }
            at += gap + 1;
        }
        self.rest = &[];
    }

    fn end_anchor(&mut self) -> ControlFlow<()> {
        let Some(Anchor { address, mut text }) = self.anchor.take() else {
            return ControlFlow::Continue(());
        };
        if text.last() == Some(&b' ') {
            text.pop();
        }
        self.hand_out(&address, &text, true)
    }

    fn hand_out(&mut self, real: &[u8], shown: &[u8], is_text: bool) -> ControlFlow<()> {
        (self.visit)(Link { real, shown, is_text })
    }
}

#[derive(Clone, Copy)]
enum Tag {
    Anchor,
    AnchorEnd,
    /// A script or style, and how it ends.
    Code(&'static [u8]),
    Form,
    FormEnd,
    Image,
    Other,
}

const TAGS: &[(&[u8], Tag)] = &[
    (b"a", Tag::Anchor),
    (b"/a", Tag::AnchorEnd),
    (b"form", Tag::Form),
    (b"/form", Tag::FormEnd),
    (b"img", Tag::Image),
    (b"iframe", Tag::Image),
    (b"script", Tag::Code(b"/script")),
    (b"style", Tag::Code(b"/style")),
];

/// Appends text with its character references resolved and its white space
/// folded, as far as there is room.
fn resolve(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let Some(room) = MAX_KEPT.checked_sub(out.len()).filter(|room| *room > 0) else { return };
        let plain = rest.iter().take(room).take_while(|byte| is_plain(**byte)).count();
        if plain > 0 {
            let (run, after) = rest.split_at(plain);
            out.extend_from_slice(run);
            rest = after;
            continue;
        }
        rest = after;
        if byte != b'&' {
            keep(out, byte);
            continue;
        }
        let name = after.get(..LONGEST_NAME.min(after.len())).unwrap_or_default();
        let end = name.iter().position(|&b| b == b';' || b.is_ascii_whitespace());
        let name = name.get(..end.unwrap_or(0)).unwrap_or_default();
        match character(name) {
            Some(character) => {
                let mut utf8 = [0; 4];
                character.encode_utf8(&mut utf8).bytes().for_each(|byte| keep(out, byte));
                let used = name.len() + usize::from(after.get(name.len()) == Some(&b';'));
                rest = after.get(used..).unwrap_or_default();
            }
            None => keep(out, byte),
        }
    }
}

/// The character that a reference without `&` and `;` stands for.
fn character(name: &[u8]) -> Option<char> {
    let Some(number) = name.strip_prefix(b"#") else {
        return named(name).and_then(|code| char::from_u32(code.into()));
    };
    let (digits, radix) = match number {
        [b'x' | b'X', digits @ ..] => (digits, 16),
        digits => (digits, 10),
    };
    let digits = std::str::from_utf8(digits).ok()?;
    // `from_str_radix` takes a sign, which a reference has not.
    let plain = digits.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then(|| u32::from_str_radix(digits, radix).ok())?.and_then(char::from_u32)
}

/// Whether a byte stands for itself, wherever it is.
fn is_plain(byte: u8) -> bool {
    !matches!(byte, b'&' | 0) && !byte.is_ascii_whitespace()
}

fn keep(out: &mut Vec<u8>, byte: u8) {
    if out.len() >= MAX_KEPT || byte == 0 {
        return;
    }
    if !byte.is_ascii_whitespace() {
        out.push(byte);
    } else if out.last().is_some_and(|&last| last != b' ') {
        out.push(b' ');
    }
}

/// The longest reference that is looked for.
const LONGEST_NAME: usize = 12;
