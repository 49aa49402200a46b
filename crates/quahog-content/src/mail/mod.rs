//! Internet messages: RFC 5322 and MIME, as liberal as the most liberal reader.
//!
//! [`open`] walks one message, or an mbox of several, and hands out each leaf
//! of its MIME tree: decoded, or as a slice of the message where the transfer
//! encoding changes no byte. It recurses into multiparts only. It neither
//! fails nor judges: whatever some mail program would show as an attachment
//! must come out, so where two readings differ both are taken.
//!
//! # What a part is
//! * Text (declared so, or undeclared, or without any control characters in an
//!   identity encoding) has LF line ends, no NULs and an LF at the end: that is
//!   the form whose hash ClamAV compares and for which signatures are written.
//!   Where the message has that form already, the part is a slice of it.
//! * Text in base64 and everything that is not text is byte-exact. clamscan
//!   1.4.6 adds a newline to quoted-printable attachments and turns CRLF into
//!   LF in binary ones; that only loses matches of hashes and is not copied.
//! * A text may hold more: uuencode, yEnc, BinHex, and encoded bodies with
//!   header fields of their own (bounces, or a multipart whose boundary nobody
//!   can tell). They are handed out beside the text.
//! * Blank lines at the start of a part do not belong to it, as in clamscan,
//!   where it is text; else it comes with and without them.
//! * A transfer encoding that nobody knows is read as base64 and as
//!   quoted-printable, where the body looks like it.
//! * Preambles are no parts (but what they hold is), texts after a closing
//!   delimiter are.
//!
//! # Nested messages
//! A `message/rfc822` part (or `message/news`, `message/global`) is handed out
//! as *one* part that is declared so, and is not walked here: clamscan 1.4.6
//! makes it a layer that its mail signatures (target 4) are matched on, with
//! offsets from its start. The visitor opens it in turn, as it opens any part
//! that looks like a message whatever its declared type, and counts the depth.
//! Multiparts are counted here, up to [`Limits::mail_depth`] for each message.
//!
//! # Not looked at
//! A fragment (`message/partial`) comes with [`Shortfall::Unsupported`], for
//! no scanner can judge it alone. What is inside of `multipart/encrypted` or is
//! an S/MIME envelope comes with [`Shortfall::Encrypted`] and its bytes.
//!
//! # Cost
//! One pass over the message, with a stack of boundaries on the heap; a text is
//! read once more for what it holds. Two buffers serve all parts of a message.
//!
//! [`Limits::mail_depth`]: crate::Limits::mail_depth

mod base64;
mod embedded;
mod header;
mod name;
mod transfer;

use std::borrow::Cow;
use std::mem;
use std::ops::{ControlFlow, Range};

use memchr::memmem;

use self::base64::Reading;
use self::embedded::Kind;
use self::header::{Encoding, Header, is_field_line, line_end, trim_line};
use self::transfer::Fit;
use crate::{Ambiguity, Budget, Entry, Part, Shortfall, Visit};

/// Multiparts nest no deeper than this whatever the limits say, because each
/// level is one more boundary that lines are compared with.
const MAX_DEPTH: usize = 200;

/// Pushes the parts of a message to `visit`; see [`crate::open`].
pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    let mut walker =
        Walker { budget, visit, decoded: Vec::new(), inner: Vec::new(), shortfall: None };
    for message in messages(bytes) {
        match walker.message(message) {
            Ok(()) => {}
            Err(Stop::Visitor) => return None,
            Err(Stop::Budget(shortfall)) => return Some(shortfall),
        }
    }
    walker.shortfall
}

/// Pushes what is encoded in a text that is no message: uuencode, yEnc, BinHex.
pub(crate) fn open_text(
    bytes: &[u8],
    budget: &Budget<'_>,
    visit: &mut Visit<'_>,
) -> Option<Shortfall> {
    let mut walker =
        Walker { budget, visit, decoded: Vec::new(), inner: Vec::new(), shortfall: None };
    match walker.embedded(bytes) {
        Ok(_) => walker.shortfall,
        Err(Stop::Visitor) => None,
        Err(Stop::Budget(shortfall)) => Some(shortfall),
    }
}

/// Why a walk ends before the message does.
enum Stop {
    Budget(Shortfall),
    Visitor,
}

impl From<Shortfall> for Stop {
    fn from(shortfall: Shortfall) -> Stop {
        Stop::Budget(shortfall)
    }
}

struct Walker<'w, 'v, 'c> {
    budget: &'w Budget<'c>,
    visit: &'w mut Visit<'v>,
    /// Holds the bytes of the part that is visited.
    decoded: Vec<u8>,
    /// Holds what is embedded in that part.
    inner: Vec<u8>,
    /// What of the message itself was not looked at.
    shortfall: Option<Shortfall>,
}

/// A multipart that is open, and the lines that divide it.
struct Frame<'m> {
    boundaries: Vec<Cow<'m, [u8]>>,
    /// A bit for each boundary that was seen.
    seen: u32,
    digest: bool,
    encrypted: bool,
    /// Whether there is more than one text that may be its boundary.
    ambiguous: bool,
}

/// The body that lines belong to until the next delimiter.
struct Entity<'m> {
    header: Header<'m>,
    body: usize,
    /// Where the body begins for those who end a header at the first line
    /// that is no field.
    early: Option<usize>,
    role: Role,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Role {
    /// After a closing delimiter.
    Epilogue,
    Leaf,
    /// Before the first delimiter of the frame with this index.
    Preamble(usize),
    /// A multipart beyond the depth limit.
    TooDeep,
}

/// A line that divides a multipart.
struct Delimiter {
    frame: usize,
    boundary: usize,
    closes: bool,
    line: Range<usize>,
}

/// What a leaf inherits from the multipart around it.
#[derive(Clone, Copy)]
struct Surroundings {
    nested: bool,
    digest: bool,
    encrypted: bool,
    ambiguous: bool,
}

impl Walker<'_, '_, '_> {
    fn message(&mut self, message: &[u8]) -> Result<(), Stop> {
        let seen = self.walk(message, None)?;
        // With two boundaries that both divide the message, each alone gives
        // other parts: lines of one may stand in the middle of an attachment.
        if seen.count_ones() > 1 {
            for boundary in (0..u32::BITS).filter(|bit| seen & (1 << bit) != 0) {
                self.walk(message, Some(boundary as usize))?;
            }
        }
        Ok(())
    }

    /// Walks one message and tells which boundaries of its outermost multipart
    /// it met; with `only`, that multipart has no more than this one.
    fn walk<'m>(&mut self, message: &'m [u8], only: Option<usize>) -> Result<u32, Stop> {
        let delimiters = memmem::Finder::new(b"\n--");
        let mut frames: Vec<Frame<'m>> = Vec::new();
        let mut outermost = 0;
        let mut entity = self.enter(message, 0, &mut frames)?;
        if let (Some(only), Some(frame)) = (only, frames.first_mut()) {
            frame.boundaries = frame.boundaries.drain(..).skip(only).take(1).collect();
        }
        let mut from = entity.body;
        loop {
            let Some(delimiter) = self.next_delimiter(message, from, &frames, &delimiters)? else {
                self.leave(message, &entity, message.len(), &frames)?;
                return Ok(outermost);
            };
            if entity.role == Role::Preamble(delimiter.frame) {
                // The preamble is no part, but may hold files.
                self.embedded(message.get(entity.body..delimiter.line.start).unwrap_or_default())?;
            } else {
                self.leave(message, &entity, delimiter.line.start, &frames)?;
            }
            frames.truncate(delimiter.frame + 1);
            if let Some(frame) = frames.last_mut() {
                frame.seen |= 1 << delimiter.boundary;
                if delimiter.frame == 0 {
                    outermost = frame.seen;
                }
            }
            entity = if delimiter.closes {
                let body = delimiter.line.end;
                Entity { header: Header::default(), body, early: None, role: Role::Epilogue }
            } else {
                self.enter(message, delimiter.line.end, &mut frames)?
            };
            from = entity.body;
        }
    }

    /// Reads the header block at `at` and opens what it declares.
    fn enter<'m>(
        &mut self,
        message: &'m [u8],
        at: usize,
        frames: &mut Vec<Frame<'m>>,
    ) -> Result<Entity<'m>, Stop> {
        let block = message.get(at..).unwrap_or_default();
        let (header, mut length) = Header::parse(block);
        self.budget.tick(length as u64)?;
        let mut early = None;
        match header.junk {
            // Not a header, then, but a body whose empty line is missing.
            Some(_) if !header.any_field => length = 0,
            // Some programs take the first line that is no field for the body.
            Some(junk) => {
                self.embedded(block.get(junk..length).unwrap_or_default())?;
                early = Some(at + junk);
            }
            None => {}
        }
        let body = at + length;
        let mut types = header.media_types().peekable();
        let undeclared = types.peek().is_none();
        let mut multipart = false;
        let (mut digest, mut encrypted) = (false, false);
        for media in types {
            multipart |= media.starts_with("multipart");
            digest |= media == "multipart/digest";
            encrypted |= media == "multipart/encrypted";
        }
        let mut role = Role::Leaf;
        if multipart || undeclared {
            let boundaries = header.boundaries();
            if !boundaries.is_empty() {
                let depth = usize::try_from(self.budget.limits().mail_depth).unwrap_or(MAX_DEPTH);
                if frames.len() >= depth.min(MAX_DEPTH) {
                    self.shortfall = Some(Shortfall::Depth);
                    role = Role::TooDeep;
                } else {
                    role = Role::Preamble(frames.len());
                    let ambiguous = boundaries.len() > 1;
                    frames.push(Frame { boundaries, seen: 0, digest, encrypted, ambiguous });
                }
            }
        }
        Ok(Entity { header, body, early, role })
    }

    /// The next line at or after the line start `from` that divides an open
    /// multipart.
    fn next_delimiter(
        &self,
        message: &[u8],
        from: usize,
        frames: &[Frame<'_>],
        delimiters: &memmem::Finder<'_>,
    ) -> Result<Option<Delimiter>, Stop> {
        if frames.is_empty() {
            return Ok(None);
        }
        let mut at = from;
        while let Some(rest) = message.get(at..) {
            if !rest.starts_with(b"--") {
                match delimiters.find(rest) {
                    Some(found) => at += found + 1,
                    None => break,
                }
            }
            let line = at..line_end(message, at);
            self.budget.tick(1 + frames.len() as u64)?;
            if let Some((frame, boundary, closes)) =
                divides(trim_line(&message[line.clone()]), frames)
            {
                return Ok(Some(Delimiter { frame, boundary, closes, line }));
            }
            at = line.end;
            if at >= message.len() {
                break;
            }
        }
        Ok(None)
    }

    /// Hands out what was open up to `end`.
    fn leave(
        &mut self,
        message: &[u8],
        entity: &Entity<'_>,
        end: usize,
        frames: &[Frame<'_>],
    ) -> Result<(), Stop> {
        let body = message.get(entity.body..end).unwrap_or_default();
        self.budget.tick(body.len() as u64)?;
        // A multipart that was never divided is a text in its surroundings.
        let outer = match entity.role {
            Role::Preamble(frame) => frames.get(..frame).unwrap_or_default(),
            Role::TooDeep => return Ok(()),
            Role::Epilogue if body.trim_ascii().is_empty() => return Ok(()),
            _ => frames,
        };
        let surroundings = Surroundings {
            nested: !outer.is_empty(),
            digest: entity.role == Role::Leaf && outer.last().is_some_and(|frame| frame.digest),
            encrypted: outer.iter().any(|frame| frame.encrypted),
            ambiguous: frames.iter().any(|frame| frame.ambiguous),
        };
        // At the end of the message there is no delimiter that the last line
        // end could belong to.
        let last = end == message.len();
        let mut leaf = Leaf::new(&entity.header, surroundings);
        if !entity.header.changes_bytes() {
            return self.leaf(&mut leaf, &entity.header, body, last, surroundings.nested);
        }
        // ClamAV reads on after an empty line if a field follows.
        let fields = embedded::leading_fields(body);
        if entity.early.is_some() || fields > 0 {
            leaf.disagree(Ambiguity::HeaderEnd);
        }
        self.leaf(&mut leaf, &entity.header, body, last, surroundings.nested)?;
        if fields > 0 {
            self.embedded(body)?;
        }
        let late = (fields > 0).then_some(entity.body + fields);
        for start in entity.early.into_iter().chain(late) {
            let body = message.get(start..end).unwrap_or_default();
            self.budget.tick(body.len() as u64)?;
            self.leaf(&mut leaf, &entity.header, body, last, surroundings.nested)?;
        }
        Ok(())
    }

    /// Hands out one leaf, in each encoding that it is said to have.
    fn leaf(
        &mut self,
        leaf: &mut Leaf<'_>,
        header: &Header<'_>,
        body: &[u8],
        last: bool,
        nested: bool,
    ) -> Result<(), Stop> {
        // The line end before a delimiter belongs to the delimiter.
        let exact = if last { body } else { trim_line(body) };
        let encodings = header.encodings();
        let starts = starts(leaf, exact, nested);
        for &encoding in &encodings {
            match encoding {
                Encoding::Identity | Encoding::SevenBit | Encoding::Unknown => {
                    for start in starts.clone() {
                        let rest = |bytes| <[u8]>::get(bytes, start..).unwrap_or_default();
                        self.identity(leaf, rest(body), rest(exact))?;
                    }
                    if encoding != Encoding::Identity && base64::looks_like_base64(exact) {
                        if encoding == Encoding::Unknown {
                            leaf.disagree(Ambiguity::Encoding);
                        }
                        self.base64(leaf, exact, Reading::default())?;
                    }
                    let escapes = encoding == Encoding::Unknown
                        && !encodings.contains(&Encoding::QuotedPrintable)
                        && transfer::looks_quoted(exact);
                    if escapes {
                        leaf.disagree(Ambiguity::Encoding);
                        self.quoted_printable(leaf, exact)?;
                    }
                }
                Encoding::Base64 => {
                    let readings = Reading::all_of(exact);
                    if readings.clone().nth(1).is_some() {
                        leaf.disagree(Ambiguity::Encoding);
                    }
                    for reading in readings {
                        self.base64(leaf, exact, reading)?;
                    }
                }
                Encoding::QuotedPrintable => {
                    for start in starts.clone() {
                        let rest = exact.get(start..).unwrap_or_default();
                        self.quoted_printable(leaf, rest)?;
                    }
                }
                Encoding::Uuencode | Encoding::Yenc | Encoding::BinHex => {
                    if !self.embedded(body)? {
                        self.identity(leaf, body, exact)?;
                        if base64::looks_like_base64(exact) {
                            self.base64(leaf, exact, Reading::default())?;
                        }
                    }
                }
            }
        }
        // The parts of a multipart that was never divided are in its text.
        if leaf.multipart && header.changes_bytes() {
            self.embedded(body)?;
        }
        Ok(())
    }

    fn identity(&mut self, leaf: &Leaf<'_>, body: &[u8], exact: &[u8]) -> Result<(), Stop> {
        if leaf.message || !(leaf.text || looks_textual(exact)) {
            return self.hand(leaf, exact, None);
        }
        let mut decoded = mem::take(&mut self.decoded);
        decoded.clear();
        let text = transfer::text_lines(body, self.room(), &mut decoded);
        // Blank lines between parts are not worth a part of the budget.
        let blank = leaf.unnamed && text.trim_ascii().is_empty();
        let done = if blank { Ok(()) } else { self.hand(leaf, text, None) };
        self.decoded = decoded;
        done?;
        self.embedded(body)?;
        Ok(())
    }

    fn base64(&mut self, leaf: &Leaf<'_>, exact: &[u8], reading: Reading) -> Result<(), Stop> {
        let mut decoded = mem::take(&mut self.decoded);
        decoded.clear();
        let fit = base64::base64(exact, reading, self.room(), &mut decoded);
        let done = self.decoded_leaf(leaf, &decoded, fit);
        self.decoded = decoded;
        done
    }

    fn quoted_printable(&mut self, leaf: &Leaf<'_>, exact: &[u8]) -> Result<(), Stop> {
        let mut decoded = mem::take(&mut self.decoded);
        decoded.clear();
        let fit = transfer::quoted_printable(exact, leaf.text, self.room(), &mut decoded);
        if leaf.text && fit == Fit::Whole && !decoded.ends_with(b"\n") {
            decoded.push(b'\n');
        }
        let done = self.decoded_leaf(leaf, &decoded, fit);
        self.decoded = decoded;
        done
    }

    fn decoded_leaf(&mut self, leaf: &Leaf<'_>, decoded: &[u8], fit: Fit) -> Result<(), Stop> {
        self.hand(leaf, decoded, Some(fit))?;
        if leaf.text || starts_as_embedded(decoded) {
            self.embedded(decoded)?;
        }
        Ok(())
    }

    /// Hands out what is embedded in a text, and tells whether anything was.
    fn embedded(&mut self, text: &[u8]) -> Result<bool, Stop> {
        self.budget.tick(text.len() as u64)?;
        let mut any = false;
        let mut from = 0;
        while let Some((found, next)) = embedded::find(text, from) {
            from = next;
            self.budget.tick(1)?;
            let body = text.get(found.body).unwrap_or_default();
            let label = text.get(found.name).unwrap_or_default();
            if found.kind == Kind::Entity {
                let (header, _) = Header::parse_fields(label);
                any |= self.embedded_entity(&header, body)?;
                continue;
            }
            let mut inner = mem::take(&mut self.inner);
            inner.clear();
            let room = self.room();
            let mut names = [label, b"".as_slice()];
            let mut forks = [0..0, 0..0];
            let fit = match found.kind {
                Kind::BinHex => {
                    let (binhex, fit) = embedded::decode_binhex(body, room, &mut inner);
                    names = [inner.get(binhex.name).unwrap_or_default(); 2];
                    forks = [binhex.data, binhex.resource];
                    fit
                }
                Kind::Yenc => embedded::decode_yenc(body, room, &mut inner),
                Kind::Uuencode | Kind::Entity => embedded::decode_uu(body, room, &mut inner),
            };
            if found.kind != Kind::BinHex {
                forks[0] = 0..inner.len();
            }
            let mut done = Ok(());
            for (fork, name) in forks.into_iter().zip(names) {
                let bytes = inner.get(fork).unwrap_or_default();
                if done.is_ok() && !bytes.is_empty() {
                    any = true;
                    done = self.hand(&Leaf::embedded(name), bytes, Some(fit));
                }
            }
            self.inner = inner;
            done?;
        }
        Ok(any)
    }

    /// Hands out a body with header fields inside of a text. What such a body
    /// holds in turn is found beside it.
    fn embedded_entity(&mut self, header: &Header<'_>, body: &[u8]) -> Result<bool, Stop> {
        let surroundings =
            Surroundings { nested: true, digest: false, encrypted: false, ambiguous: false };
        let leaf = Leaf::new(header, surroundings);
        let mut any = false;
        for encoding in header.encodings() {
            match encoding {
                Encoding::Base64 => {
                    for reading in Reading::all_of(body) {
                        any |= self.inner(&leaf, |room, inner| {
                            base64::base64(body, reading, room, inner)
                        })?;
                    }
                }
                Encoding::QuotedPrintable => {
                    any |= self.inner(&leaf, |room, inner| {
                        transfer::quoted_printable(body, leaf.text, room, inner)
                    })?;
                }
                _ => {}
            }
        }
        Ok(any)
    }

    /// Hands out what `decode` writes, and tells whether that was anything.
    fn inner(
        &mut self,
        leaf: &Leaf<'_>,
        decode: impl FnOnce(usize, &mut Vec<u8>) -> Fit,
    ) -> Result<bool, Stop> {
        let mut inner = mem::take(&mut self.inner);
        inner.clear();
        let fit = decode(self.room(), &mut inner);
        let any = !inner.is_empty();
        let done = if any { self.hand(leaf, &inner, Some(fit)) } else { Ok(()) };
        self.inner = inner;
        done.map(|()| any)
    }

    /// The room for one part, as a length.
    fn room(&self) -> usize {
        usize::try_from(self.budget.part_room().0).unwrap_or(usize::MAX)
    }

    /// Charges a part and visits it. `fit` tells of bytes that were decoded
    /// whether the room was enough; others are cut here.
    fn hand(&mut self, leaf: &Leaf<'_>, bytes: &[u8], fit: Option<Fit>) -> Result<(), Stop> {
        if bytes.is_empty() && leaf.unnamed && fit != Some(Fit::Cut) {
            return Ok(());
        }
        self.budget.part()?;
        let (room, too_long) = self.budget.part_room();
        let kept = &bytes[..bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
        let cut = kept.len() < bytes.len() || fit == Some(Fit::Cut);
        self.budget.tick(kept.len() as u64)?;
        self.budget.spend(kept.len() as u64);
        let size = kept.len() as u64;
        let part = Part {
            bytes: Some(kept),
            name: leaf.name.as_deref().map(Cow::Borrowed),
            shortfall: cut.then_some(too_long).or_else(|| leaf.shortfall(kept)),
            entry: Entry { packed_size: size, size, ..Entry::default() },
            declared: leaf.declared.as_deref().map(Cow::Borrowed),
            is_body: leaf.is_body,
            ambiguity: leaf.ambiguity,
        };
        match (self.visit)(part) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stop::Visitor),
        }
    }
}

/// What is known of a leaf before its bytes are.
struct Leaf<'l> {
    name: Option<Cow<'l, str>>,
    /// Whether the message gives no name, though ClamAV may.
    unnamed: bool,
    declared: Option<String>,
    is_body: bool,
    text: bool,
    message: bool,
    multipart: bool,
    encrypted: bool,
    /// In what readers disagree, as far as is known.
    ambiguity: Option<Ambiguity>,
}

impl<'l> Leaf<'l> {
    fn new(header: &Header<'_>, surroundings: Surroundings) -> Leaf<'l> {
        let mut types: Vec<String> = header.media_types().collect();
        // Of several types the one to be opened counts.
        let opened = types.iter().position(|media| is_message(media));
        let mut declared = match opened {
            Some(at) => Some(types.swap_remove(at)),
            None => types.into_iter().next(),
        };
        if declared.is_none() && surroundings.digest {
            declared = Some("message/rfc822".to_owned());
        }
        let media = declared.as_deref().unwrap_or("text/plain");
        let message = is_message(media);
        let multipart = media.starts_with("multipart");
        let text = media.starts_with("text") || media.starts_with("message") || multipart;
        let enveloped = media.ends_with("pkcs7-mime")
            && [b"enveloped-data".as_slice(), b"authEnveloped-data", b"encrypted-data"]
                .iter()
                .any(|kind| header.type_parameter_is(b"smime-type", kind));
        let encrypted = enveloped || surroundings.encrypted && media != "application/pgp-encrypted";
        let name = header.name();
        let ambiguity = if surroundings.ambiguous {
            Some(Ambiguity::Boundary)
        } else if header.has_two_types() {
            Some(Ambiguity::MediaType)
        } else if header.has_two_encodings() {
            Some(Ambiguity::Encoding)
        } else if name.as_deref().is_some_and(|name| header.has_other_suffix(name)) {
            Some(Ambiguity::Name)
        } else {
            None
        };
        let unnamed = name.is_none();
        let name = name.map(Cow::Owned).or_else(|| {
            generated_name(header, media, message, surroundings.nested).map(Cow::Borrowed)
        });
        let (is_body, text) = (!surroundings.nested, text && !message);
        Leaf { name, unnamed, declared, is_body, text, message, multipart, encrypted, ambiguity }
    }

    /// Notes in what readers disagree about it.
    fn disagree(&mut self, ambiguity: Ambiguity) {
        self.ambiguity = Some(self.ambiguity.map_or(ambiguity, |known| known.min(ambiguity)));
    }

    fn embedded(name: &[u8]) -> Leaf<'l> {
        let name = name::decode(name.trim_ascii(), None);
        Leaf {
            unnamed: name.is_empty(),
            name: (!name.is_empty()).then_some(Cow::Owned(name)),
            declared: None,
            is_body: false,
            text: false,
            message: false,
            multipart: false,
            encrypted: false,
            ambiguity: None,
        }
    }

    /// Why the bytes, though all there, cannot be judged.
    fn shortfall(&self, bytes: &[u8]) -> Option<Shortfall> {
        let media = self.declared.as_deref().unwrap_or_default();
        if media == "message/partial" {
            Some(Shortfall::Unsupported)
        } else if self.encrypted || media.ends_with("pkcs7-mime") && is_enveloped(bytes) {
            Some(Shortfall::Encrypted)
        } else {
            None
        }
    }
}

/// Whether a part of this type is a message, which the visitor opens.
fn is_message(media: &str) -> bool {
    matches!(
        media,
        "message/rfc822"
            | "message/rfc2822"
            | "message/global"
            | "message/news"
            | "message/partial"
    )
}

/// The name that ClamAV gives a part without one, for container signatures.
/// It offers neither messages nor the unencoded body of a simple message.
fn generated_name(
    header: &Header<'_>,
    media: &str,
    message: bool,
    nested: bool,
) -> Option<&'static str> {
    let text = media.starts_with("text");
    let encoded = header.changes_bytes();
    if message || !nested && !encoded {
        None
    } else if !nested {
        Some(if text { "textportion" } else { "attachment" })
    } else if header.has_disposition() {
        Some("unknown")
    } else if text && (encoded || media == "text/html") {
        Some("mixedtextportion")
    } else {
        Some("attachment")
    }
}

/// Which multipart a line divides: frame, boundary, and whether it closes it.
fn divides(line: &[u8], frames: &[Frame<'_>]) -> Option<(usize, usize, bool)> {
    let text = line.strip_prefix(b"--")?;
    let mut junk: Option<(usize, usize, bool)> = None;
    let mut junk_length = 0;
    for (frame, open) in frames.iter().enumerate().rev() {
        for (index, boundary) in open.boundaries.iter().enumerate() {
            let Some(rest) = text.strip_prefix(boundary.as_ref()) else { continue };
            let rest = rest.trim_ascii_end();
            if rest.is_empty() || rest == b"--" {
                return Some((frame, index, !rest.is_empty()));
            }
            // RFC 2046 lets anything follow. The longest boundary is meant, as
            // those of nested multiparts are often alike.
            if boundary.len() > junk_length {
                junk = Some((frame, index, rest.starts_with(b"--")));
                junk_length = boundary.len();
            }
        }
    }
    junk
}

/// The messages of an mbox, or the one message that it is.
///
/// A line `From ` begins a message after an empty line and before a header
/// field, and only where the first line is of that kind.
fn messages(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    rest = &rest[rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()..];
    let mbox = rest.starts_with(b"From ") || rest.starts_with(b">From ");
    let separator = memmem::Finder::new(b"\nFrom ");
    let mut rest = Some(rest);
    std::iter::from_fn(move || {
        let message = rest.take()?;
        let mut at = 0;
        while mbox && let Some(found) = separator.find(&message[at..]) {
            at += found + 1;
            let before = trim_line(&message[..at]);
            let next = line_end(message, at);
            if before.ends_with(b"\n") && is_field_line(&message[next..line_end(message, next)]) {
                rest = Some(&message[at..]);
                return Some(&message[..at]);
            }
        }
        Some(message)
    })
}

/// Where the bytes of a leaf may begin that is not in base64.
///
/// clamscan 1.4.6 leaves out blank lines before the first line of a part,
/// which else would hide the magic bytes of a file. What is no text comes in
/// its exact form too, and so does a message's only text, as there.
fn starts(
    leaf: &Leaf<'_>,
    exact: &[u8],
    nested: bool,
) -> impl Iterator<Item = usize> + Clone + use<> {
    let blank = exact.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let (first, second) = if blank == 0 || blank == exact.len() || leaf.message {
        (0, None)
    } else if leaf.text {
        (if nested { blank } else { 0 }, None)
    } else {
        (0, Some(blank))
    };
    std::iter::once(first).chain(second)
}

/// Whether bytes pass for text: no control characters at the start that text
/// never has (the test that file types are told by).
fn looks_textual(bytes: &[u8]) -> bool {
    bytes[..bytes.len().min(1024)]
        .iter()
        .all(|byte| matches!(byte, 7..=10 | 12 | 13 | 27 | 32..=126 | 128..=255))
}

/// Whether decoded bytes that are not declared text begin as an encoded file.
fn starts_as_embedded(bytes: &[u8]) -> bool {
    let bytes = bytes[..bytes.len().min(1024)].trim_ascii_start();
    bytes.starts_with(b"(This file must be") || bytes.starts_with(b"begin ")
}

/// Whether DER begins as CMS enveloped or encrypted data.
fn is_enveloped(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(64)];
    // pkcs7-envelopedData, pkcs7-encryptedData and id-ct-authEnvelopedData.
    [
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03".as_slice(),
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x06",
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17",
    ]
    .iter()
    .any(|object| memmem::find(start, object).is_some())
}
