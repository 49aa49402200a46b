//! The three views of an HTML document, and the payloads of its `data:` URLs.
//!
//! Signatures for HTML never see the document itself, but what these views
//! make of it:
//!
//! * `nocomment`: markup and text in small letters, white space folded,
//!   character references resolved, declarations and comments removed;
//! * `notags`: the text alone, with the targets of links and pictures;
//! * `javascript`: the scripts, written anew.
//!
//! The rules are those that clamscan 1.4.6 was seen to follow; where it does
//! something odd the view does it too, because signatures were written
//! against that. One pass, no recursion, no tree: linear in the document.
//! NUL and carriage return are dropped before all
//! else (the latter is kept in `data:` payloads, and separates in scripts).
//!
//! # `nocomment`
//!
//! * Text: capital letters are small. A run of white space is one blank,
//!   written when something follows it; at the start of the document and right
//!   after the `>` of a tag it is dropped. The ideographic full stops U+3002, U+FE52, U+FF0E become `.`.
//! * Tags: blanks after `<` are dropped. Attributes are separated by one
//!   blank, none stands around `=`. Values in quotes get double quotes, and a
//!   `'` in any value becomes `"`. The first white space or `>` in a quoted
//!   value is written (a run as its first byte, a line feed as blank) and
//!   makes it an unquoted value, which ends at the next `>` or white space. After a
//!   closing quote a new attribute begins, with a blank.
//! * `<!` up to the next `>` is removed, comment or not.
//! * References: `&name;` with a known name, `&#1;` and `&#x1;` become the
//!   character, in small letters; U+00FF and above `&#x00ff;` of the low 16
//!   bits (nothing if those are 0 and others are not,
//!   and no small letter if others are set). `&name` that does not
//!   end in `;` stays; a number that does not becomes the low byte, with its
//!   case. A number ends where it would exceed 63 bits, and the digit is lost.
//!   Names consist of letters, digits, `-`, `:` and `_`.
//! * Between `<script …>` or `<style …>` and its end white space is dropped
//!   and `'` becomes `"`. The end of a script is `</script` before `>` or white
//!   space, the end of a style either of the two. After `<` there, `<!` skips
//!   to the next `>`, a second `<` counts for nothing, and what follows a `/`
//!   keeps its `'`.
//! * Bytes from 80 are collected in threes and written when the next
//!   character of text is. In attribute values only ordinary characters
//!   (not blanks, quotes, `>` or references) do so, those of later values too;
//!   what still waits at the end of the document is lost.
//!
//! # `notags`
//!
//! * Text in small letters. White space, other controls, a tag, a
//!   declaration and the start of a reference are one blank together; only
//!   bytes that this view writes as ASCII separate two blanks.
//! * The first `href` of an `a` and the first `src` of an `img`, if not empty,
//!   and a blank stand before what follows the tag, in the case in which they
//!   were written (but unknown references, `&X`, in small letters), 1022 bytes
//!   at most, up to the first NUL, and without the last byte if the value had
//!   lost its quote or was cut at a NUL before it.
//! * Of each group of up to three bytes from 80 the last is replaced by the
//!   one before it, or 00 if it is alone. This happens in scripts and styles
//!   too, whose text is left out otherwise.
//!
//! # `data:` URLs
//!
//! A value that begins with `data:`, references resolved, is written as `data`; its
//! payload, after the comma, is handed out. References in it are resolved
//! behind the value. The `>` or white space that ends an unquoted one is lost, and with
//! it the end of the tag.
//!
//! ```
//! use quahog_content::text::html::{self, HtmlViews};
//! use quahog_content::{Budget, Limits};
//!
//! let html = b"<P Class='A'>B &amp;  C<!-- d --><script>var E;</script>";
//! let (budget, mut views) = (Budget::new(Limits::default()), HtmlViews::default());
//! assert_eq!(html::normalize(html, &budget, &mut views), None);
//! assert_eq!(views.nocomment, b"<p class=\"a\">b & c<script>vare;</script>");
//! assert_eq!(views.notags, b" b c ");
//! assert_eq!(views.javascript.as_deref(), Some(&b"<script>var n000;</script>"[..]));
//! ```

mod collected;

use self::collected::{Value, Wide, Word};
use super::css;
use super::entities::named;
use super::script::Script;
use crate::document::screnc::Scripts;
use crate::{Budget, Shortfall};

/// What [`normalize`] makes of a document.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HtmlViews {
    /// Markup and text, without comments.
    pub nocomment: Vec<u8>,
    /// Text and link targets, without markup.
    pub notags: Vec<u8>,
    /// The scripts; `None` if there is no script element.
    pub javascript: Option<Vec<u8>>,
    /// The payloads of `data:` URLs, in order: those of attributes, then those
    /// of style sheets.
    pub embedded: Vec<DataUrl>,
}

/// The payload of a `data:` URL.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DataUrl {
    /// What stands before the comma, such as `text/html;base64`; nothing for a
    /// script that was encoded (`JScript.Encode`).
    pub declared: Vec<u8>,
    /// The payload. Base64 is decoded; percent signs stay as they are.
    pub bytes: Vec<u8>,
}

/// Replaces the content of `views` by those of `html`.
///
/// Together they are at most a small multiple of the document. Returns why they
/// are those of its first bytes only: the budget ended the work
/// ([`Budget::tick`]), or a single script is longer than 8 MiB.
pub fn normalize(html: &[u8], budget: &Budget<'_>, views: &mut HtmlViews) -> Option<Shortfall> {
    let HtmlViews { mut nocomment, mut notags, javascript: _, mut embedded } =
        std::mem::take(views);
    nocomment.clear();
    notags.clear();
    embedded.clear();
    nocomment.reserve(html.len());
    let mut machine = Machine::new(nocomment, notags, embedded);
    let mut stopped = None;
    for chunk in html.chunks(CHUNK) {
        if let Err(shortfall) = budget.tick(chunk.len() as u64) {
            stopped = Some(shortfall);
            break;
        }
        machine.push_chunk(chunk);
    }
    machine.finish();
    views.nocomment = machine.markup;
    views.notags = machine.text;
    views.javascript = machine.scripts;
    views.embedded = machine.embedded;
    match budget.tick(html.len() as u64) {
        Ok(()) if stopped.is_none() => {
            css::urls(html, &mut views.embedded);
            let scripts = Scripts { rest: html };
            views.embedded.extend(scripts.map(|bytes| DataUrl { declared: Vec::new(), bytes }));
        }
        Ok(()) => {}
        Err(shortfall) => stopped = stopped.or(Some(shortfall)),
    }
    stopped.or(machine.shortfall)
}

/// Where the machine stands, before the next byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Outside of tags.
    Text,
    /// After `<`.
    TagStart,
    TagName,
    /// Where an attribute may begin.
    Gap,
    AttributeName,
    /// After `=`.
    ValueStart,
    Unquoted,
    Quoted(u8),
    /// After the `>` or in the white space of a quoted value, which goes on as
    /// an unquoted one.
    LostQuote,
    /// In `<! … >`.
    Declaration,
    /// In the payload or declaration of a `data:` URL; the quote, if any.
    DataType(Option<u8>),
    Data(Option<u8>),
    /// After a payload. What ended it is lost if that was no quote.
    AfterData,
    /// Inside of a script or style.
    Code,
    /// There, after `<`.
    CodeTagStart,
    /// There, after `</`.
    CodeTagEnd,
    /// There, in `<! … >`.
    CodeDeclaration,
    /// After `&`.
    Reference,
    ReferenceName,
    /// After `&#`.
    ReferenceNumber,
    Decimal,
    Hexadecimal,
}

/// What a reference stands in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Home {
    Text,
    Unquoted,
    Quoted(u8),
    Data(Option<u8>),
    Code,
}

impl Home {
    fn state(self) -> State {
        match self {
            Home::Text => State::Text,
            Home::Unquoted => State::Unquoted,
            Home::Quoted(quote) => State::Quoted(quote),
            Home::Data(quote) => State::Data(quote),
            Home::Code => State::Code,
        }
    }
}

/// Tags that the views treat in a way of their own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Tag {
    Anchor,
    Image,
    Script,
    Style,
    Other,
}

struct Machine {
    markup: Vec<u8>,
    text: Vec<u8>,
    embedded: Vec<DataUrl>,
    scripts: Option<Vec<u8>>,
    shortfall: Option<Shortfall>,
    script: Option<Script>,
    state: State,
    /// A blank is due in `markup`.
    blank: bool,
    /// Nothing but white space came since the last tag.
    after_tag: bool,
    /// The last ASCII byte of `text` is a blank.
    text_blank: bool,
    wide: Wide,
    /// The same in values. It waits from one value to the next.
    value_wide: Wide,
    tag: Word,
    tag_is: Tag,
    end_of_code: Word,
    attribute: Word,
    value: Value,
    /// The link of the current tag, or of the last one.
    link: Vec<u8>,
    has_link: bool,
    number: i64,
    /// Where in `markup` the current reference begins.
    name_start: usize,
    name_in: Home,
}

impl Machine {
    fn new(markup: Vec<u8>, text: Vec<u8>, embedded: Vec<DataUrl>) -> Machine {
        Machine {
            markup,
            text,
            embedded,
            scripts: None,
            shortfall: None,
            script: None,
            state: State::Text,
            blank: false,
            after_tag: true,
            text_blank: false,
            wide: Wide::default(),
            value_wide: Wide::default(),
            tag: Word::default(),
            tag_is: Tag::Other,
            end_of_code: Word::default(),
            attribute: Word::default(),
            value: Value::default(),
            link: Vec::new(),
            has_link: false,
            number: 0,
            name_start: 0,
            name_in: Home::Text,
        }
    }

    fn push_chunk(&mut self, mut rest: &[u8]) {
        while let Some((&byte, after)) = rest.split_first() {
            let run = self.run(rest);
            if run > 0 {
                rest = rest.get(run..).unwrap_or_default();
                continue;
            }
            rest = after;
            self.push_any(byte);
        }
    }

    fn push_any(&mut self, byte: u8) {
        match byte {
            0 => {}
            b'\r' if !matches!(self.state, State::Data(_) | State::DataType(_)) => {
                if self.in_script() {
                    self.feed_script(byte);
                }
            }
            _ => self.push(byte),
        }
    }

    /// Takes bytes at once that are treated alike and change nothing else, as many
    /// as come first, and returns their number: what [`push_any`](Self::push_any)
    /// does with each of them.
    fn run(&mut self, bytes: &[u8]) -> usize {
        // PERF: most bytes of a document are such.
        let ends = match self.state {
            State::Text if !self.has_link => ENDS_TEXT,
            State::TagName | State::AttributeName => ENDS_NAME,
            State::Unquoted if !self.value.is_empty() => ENDS_VALUE,
            State::Quoted(_) => ENDS_VALUE,
            State::Declaration => ENDS_DECLARATION,
            State::Code if self.tag_is == Tag::Style => ENDS_STYLE,
            _ => return 0,
        };
        let ends = |byte: u8| ENDS[usize::from(byte)] & ends != 0;
        let run_at = |at: usize| {
            let rest = bytes.get(at..).unwrap_or_default();
            rest.iter().position(|&byte| ends(byte)).unwrap_or(rest.len())
        };
        let mut len = run_at(0);
        if len == 0 {
            return 0;
        }
        // One blank between words stays what it is.
        while self.state == State::Text
            && let Some(&[b' ', next, ..]) = bytes.get(len..)
            && !ends(next)
        {
            len += 1 + run_at(len + 1);
        }
        let run = bytes.get(..len).unwrap_or_default();
        let lower = run.iter().map(u8::to_ascii_lowercase);
        match self.state {
            State::Text => {
                self.flush_wide();
                self.write_blank();
                self.markup.extend(lower.clone());
                self.text.extend(lower);
                self.text_blank = false;
            }
            State::TagName => {
                self.tag.extend(run);
                self.markup.extend(lower);
            }
            State::AttributeName => {
                self.attribute.extend(run);
                self.markup.extend(lower);
            }
            State::Unquoted | State::Quoted(_) => {
                self.flush_wide_in_value();
                self.markup.extend(lower);
                self.value.extend(run);
            }
            State::Code => {
                self.flush_wide();
                self.markup.extend(lower);
            }
            // A declaration is left out.
            _ => {}
        }
        run.len()
    }

    fn push(&mut self, byte: u8) {
        match self.state {
            State::Text => self.in_text(byte),
            State::TagStart => self.tag_start(byte),
            State::TagName => match byte {
                b'>' => {
                    self.name_tag();
                    self.end_tag();
                }
                _ if is_space(byte) => {
                    self.name_tag();
                    self.state = State::Gap;
                }
                _ => {
                    self.tag.push(byte);
                    self.markup.push(byte.to_ascii_lowercase());
                }
            },
            State::Gap => match byte {
                b'>' => self.end_tag(),
                b'=' => self.start_value(),
                _ if is_space(byte) => {}
                _ => {
                    self.markup.extend([b' ', byte.to_ascii_lowercase()]);
                    self.attribute.clear();
                    self.attribute.push(byte);
                    self.state = State::AttributeName;
                }
            },
            State::AfterData if is_space(byte) => {}
            State::AttributeName | State::AfterData => match byte {
                b'>' => self.end_tag(),
                b'=' => self.start_value(),
                _ if is_space(byte) => self.state = State::Gap,
                _ => {
                    self.attribute.push(byte);
                    self.markup.push(byte.to_ascii_lowercase());
                    self.state = State::AttributeName;
                }
            },
            State::ValueStart | State::LostQuote => match byte {
                _ if is_space(byte) => {}
                _ => {
                    self.state = State::Unquoted;
                    self.in_unquoted(byte);
                }
            },
            State::Unquoted => self.in_unquoted(byte),
            State::Quoted(quote) => self.in_quoted(byte, quote),
            State::Declaration => {
                if byte == b'>' {
                    self.state = State::Text;
                    self.after_tag = true;
                }
            }
            State::DataType(quote) => self.in_data_type(byte, quote),
            State::Data(quote) => self.in_data(byte, quote),
            State::Code | State::CodeTagStart | State::CodeTagEnd | State::CodeDeclaration => {
                self.feed_script(byte);
                self.in_code(byte);
            }
            State::Reference
            | State::ReferenceName
            | State::ReferenceNumber
            | State::Decimal
            | State::Hexadecimal => self.in_reference(byte),
        }
    }

    fn finish(&mut self) {
        match self.state {
            State::ReferenceName => {
                self.end_name();
            }
            State::Reference | State::ReferenceNumber | State::Decimal | State::Hexadecimal => {
                self.markup.truncate(self.name_start);
            }
            _ => {}
        }
        self.end_data();
        self.end_script();
    }

    fn in_text(&mut self, byte: u8) {
        if self.has_link {
            self.text.append(&mut self.link);
            self.text.push(b' ');
            self.text_blank = true;
            self.has_link = false;
        }
        if byte >= 0x80 {
            self.write_blank();
            self.collect(byte);
            return;
        }
        self.flush_wide();
        match byte {
            b'<' => {
                self.write_blank();
                self.markup.push(b'<');
                self.write_text_blank();
                self.state = State::TagStart;
            }
            b'&' => {
                self.write_text_blank();
                self.start_reference(Home::Text);
            }
            _ if is_space(byte) => {
                self.blank |= !self.after_tag;
                self.write_text_blank();
            }
            _ => {
                self.write_blank();
                self.markup.push(byte.to_ascii_lowercase());
                if byte < b' ' {
                    self.write_text_blank();
                } else {
                    self.text.push(byte.to_ascii_lowercase());
                    self.text_blank = false;
                }
            }
        }
    }

    /// Writes the blank that is due before something else.
    fn write_blank(&mut self) {
        if std::mem::take(&mut self.blank) {
            self.markup.push(b' ');
        }
        self.after_tag = false;
    }

    fn write_text_blank(&mut self) {
        if !self.text_blank {
            self.text.push(b' ');
            self.text_blank = true;
        }
    }

    /// Adds a byte from 80 to the group that waits, in text or code.
    fn collect(&mut self, byte: u8) {
        if self.wide.is_full() {
            self.flush_wide();
        }
        self.wide.push(byte);
    }

    /// Writes the group that waits, in text or code.
    fn flush_wide(&mut self) {
        if self.wide.is_empty() {
            return;
        }
        if self.wide.is_full_stop() {
            self.markup.push(b'.');
            self.text.push(b'.');
        } else {
            self.markup.extend(self.wide.bytes());
            self.text.extend(self.wide.smeared());
        }
        self.wide.clear();
    }

    fn flush_wide_in_value(&mut self) {
        if self.value_wide.is_empty() {
            return;
        }
        if self.value_wide.is_full_stop() {
            self.markup.push(b'.');
            self.value.push(b'.');
        } else {
            self.markup.extend(self.value_wide.bytes());
            for &byte in self.value_wide.bytes() {
                self.value.push(byte);
            }
        }
        self.value_wide.clear();
    }

    fn tag_start(&mut self, byte: u8) {
        match byte {
            b'!' => {
                self.markup.pop();
                self.state = State::Declaration;
            }
            _ if is_space(byte) => {}
            _ => {
                self.tag.clear();
                self.attribute.clear();
                self.tag_is = Tag::Other;
                self.link.clear();
                self.state = State::TagName;
                self.push(byte);
            }
        }
    }

    fn name_tag(&mut self) {
        self.tag_is = match self.tag.lower() {
            b"a" => Tag::Anchor,
            b"img" => Tag::Image,
            b"script" => Tag::Script,
            b"style" => Tag::Style,
            _ => Tag::Other,
        };
    }

    fn end_tag(&mut self) {
        self.markup.push(b'>');
        self.after_tag = true;
        self.has_link = !self.link.is_empty();
        self.state = match self.tag_is {
            Tag::Script | Tag::Style => State::Code,
            _ => State::Text,
        };
    }

    fn start_value(&mut self) {
        self.markup.push(b'=');
        self.value.clear();
        self.state = State::ValueStart;
    }

    /// The value is complete: it may be a link.
    fn end_value(&mut self) {
        let wanted = match self.tag_is {
            Tag::Anchor => &b"href"[..],
            Tag::Image => b"src",
            _ => return,
        };
        if self.link.is_empty() && self.attribute.lower() == wanted {
            self.link.extend(self.value.link());
        }
    }

    fn in_unquoted(&mut self, byte: u8) {
        match byte {
            b'"' | b'\'' if self.value.is_empty() => {
                self.value.quoted = true;
                self.markup.push(b'"');
                self.state = State::Quoted(byte);
            }
            b'"' | b'\'' => {
                self.markup.push(b'"');
                self.value.push(b'"');
            }
            b'>' => {
                self.end_value();
                self.end_tag();
            }
            b'&' => self.start_reference(Home::Unquoted),
            _ if is_space(byte) => {
                self.end_value();
                self.attribute.clear();
                self.state = State::Gap;
            }
            _ => self.in_value(byte, None),
        }
    }

    fn in_quoted(&mut self, byte: u8, quote: u8) {
        match byte {
            _ if byte == quote => {
                self.markup.push(b'"');
                self.end_value();
                self.attribute.clear();
                self.state = State::Gap;
            }
            b'\'' | b'"' => {
                self.markup.push(b'"');
                self.value.push(b'"');
            }
            b'>' => {
                self.markup.push(b'>');
                self.value.push(b'>');
                self.value.lost_quote = true;
                self.state = State::LostQuote;
            }
            b'&' => self.start_reference(Home::Quoted(quote)),
            _ if is_space(byte) => {
                self.markup.push(if byte == b'\n' { b' ' } else { byte });
                self.value.push(b' ');
                self.value.lost_quote = true;
                self.state = State::LostQuote;
            }
            _ => self.in_value(byte, Some(quote)),
        }
    }

    /// An ordinary byte of a value.
    fn in_value(&mut self, byte: u8, quote: Option<u8>) {
        if byte >= 0x80 {
            if self.value_wide.is_full() {
                self.flush_wide_in_value();
            }
            self.value_wide.push(byte);
            return;
        }
        if byte == b':' && self.value.is_data() {
            if quote.is_some() {
                self.markup.push(b'"');
            }
            self.embedded.push(DataUrl::default());
            self.state = State::DataType(quote);
            return;
        }
        self.flush_wide_in_value();
        self.markup.push(byte.to_ascii_lowercase());
        self.value.push(byte);
    }

    fn in_data_type(&mut self, byte: u8, quote: Option<u8>) {
        match byte {
            b',' => self.state = State::Data(quote),
            _ if ends_data(byte, quote) => {
                // Without a comma there is no payload.
                self.embedded.pop();
                self.attribute.clear();
                self.state = State::Gap;
                if byte == b'>' && quote.is_none() {
                    self.end_tag();
                }
            }
            _ => {
                // White space loses the quote here too.
                if is_space(byte) {
                    self.state = State::DataType(None);
                }
                if let Some(url) = self.embedded.last_mut() {
                    url.declared.push(byte);
                }
            }
        }
    }

    fn in_data(&mut self, byte: u8, quote: Option<u8>) {
        match byte {
            b'&' => self.start_reference(Home::Data(quote)),
            _ if ends_data(byte, quote) => {
                self.end_data();
                self.attribute.clear();
                self.state = State::AfterData;
            }
            _ => {
                if let Some(url) = self.embedded.last_mut() {
                    url.bytes.push(byte);
                }
            }
        }
    }

    /// The payload is complete, or the document is.
    fn end_data(&mut self) {
        let in_data = match self.state {
            State::Data(_) => true,
            State::DataType(_) => {
                self.embedded.pop();
                false
            }
            _ => matches!(self.name_in, Home::Data(_)) && self.in_a_reference(),
        };
        if let Some(url) = self.embedded.last_mut()
            && in_data
            && is_base64(&url.declared)
        {
            url.bytes = decode_base64(&url.bytes);
        }
    }

    fn in_a_reference(&self) -> bool {
        matches!(
            self.state,
            State::Reference
                | State::ReferenceName
                | State::ReferenceNumber
                | State::Decimal
                | State::Hexadecimal
        )
    }

    fn in_code(&mut self, byte: u8) {
        match self.state {
            State::CodeTagStart => match byte {
                _ if is_space(byte) => {}
                b'/' => {
                    self.markup.push(b'/');
                    self.end_of_code.clear();
                    self.state = State::CodeTagEnd;
                }
                b'!' => {
                    self.markup.push(b'!');
                    self.state = State::CodeDeclaration;
                }
                _ => {
                    self.markup.push(byte.to_ascii_lowercase());
                    self.state = State::Code;
                }
            },
            State::CodeTagEnd if byte == b'>' || is_space(byte) => {
                let name = self.end_of_code.lower();
                let ends = name == b"script" || name == b"style" && self.tag_is == Tag::Style;
                if byte == b'>' {
                    self.markup.push(b'>');
                }
                if ends {
                    self.end_script();
                    self.after_tag = true;
                    self.state = State::Text;
                } else {
                    self.state = State::Code;
                }
            }
            State::CodeTagEnd => {
                self.end_of_code.push(byte);
                self.markup.push(byte.to_ascii_lowercase());
            }
            State::CodeDeclaration => {
                if !is_space(byte) {
                    self.markup.push(quote_or_lower(byte));
                }
                if byte == b'>' {
                    self.state = State::Code;
                }
            }
            _ if byte >= 0x80 => self.collect(byte),
            _ => {
                self.flush_wide();
                match byte {
                    b'<' => {
                        self.markup.push(b'<');
                        self.state = State::CodeTagStart;
                    }
                    b'&' => self.start_reference(Home::Code),
                    _ if is_space(byte) => {}
                    _ => self.markup.push(quote_or_lower(byte)),
                }
            }
        }
    }

    /// Whether bytes go to a script at the moment.
    fn in_script(&self) -> bool {
        matches!(
            self.state,
            State::Code | State::CodeTagStart | State::CodeTagEnd | State::CodeDeclaration
        ) || self.in_a_reference() && self.name_in == Home::Code
    }

    fn feed_script(&mut self, byte: u8) {
        // White space alone is no script.
        if self.tag_is == Tag::Script && (self.script.is_some() || !is_space(byte)) {
            self.script.get_or_insert_with(Script::new).push(byte);
        }
    }

    fn end_script(&mut self) {
        let Some(script) = self.script.take() else { return };
        let scripts = match &mut self.scripts {
            Some(scripts) => {
                scripts.push(b'\n');
                scripts
            }
            None => self.scripts.insert(Vec::new()),
        };
        self.shortfall = self.shortfall.or(script.write(scripts));
    }

    fn start_reference(&mut self, home: Home) {
        if home == Home::Text {
            self.write_blank();
        }
        self.name_start = self.markup.len();
        self.markup.push(b'&');
        self.name_in = home;
        self.state = State::Reference;
    }

    fn in_reference(&mut self, byte: u8) {
        if self.name_in == Home::Code {
            self.feed_script(byte);
        }
        match self.state {
            State::Reference if byte == b'#' => {
                self.number = 0;
                self.state = State::ReferenceNumber;
            }
            State::Reference | State::ReferenceName => match byte {
                b';' => {
                    if !self.end_name() {
                        self.markup.push(b';');
                        self.in_link(b";");
                    }
                    self.state = self.name_in.state();
                }
                b'-' | b':' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                    self.markup.push(byte);
                    self.state = State::ReferenceName;
                }
                _ => {
                    self.keep_name();
                    self.resume(byte);
                }
            },
            State::ReferenceNumber if byte == b'x' || byte == b'X' => {
                self.state = State::Hexadecimal;
            }
            State::ReferenceNumber => {
                self.state = State::Decimal;
                self.in_number(byte, 10);
            }
            State::Hexadecimal => self.in_number(byte, 16),
            _ => self.in_number(byte, 10),
        }
    }

    /// Goes on after a reference that ended without `;`.
    fn resume(&mut self, byte: u8) {
        self.state = self.name_in.state();
        if self.name_in == Home::Code {
            // The script has this byte already.
            self.in_code(byte);
        } else {
            self.push(byte);
        }
    }

    fn in_number(&mut self, byte: u8, radix: u32) {
        self.markup.truncate(self.name_start);
        if byte == b';' {
            self.state = self.name_in.state();
            self.write_character(self.number);
            // A link gets the low byte of any number.
            self.in_link(&[low_byte(self.number)]);
        } else if let Some(digit) = char::from(byte).to_digit(radix) {
            let next = self.number.checked_mul(radix.into());
            match next.and_then(|number| number.checked_add(digit.into())) {
                Some(number) => self.number = number,
                None => {
                    self.markup.push(low_byte(self.number));
                    self.state = self.name_in.state();
                }
            }
        } else {
            self.markup.push(low_byte(self.number));
            self.resume(byte);
        }
    }

    /// Writes the character that a complete reference stands for. Returns
    /// where it stands in `markup`.
    fn write_character(&mut self, number: i64) -> usize {
        let start = self.markup.len();
        // Only the low 16 bits count.
        let code = (number & 0xffff) as u16;
        match code {
            0 if number != 0 => {}
            0x3002 | 0xfe52 | 0xff0e => self.markup.push(b'.'),
            // Below 0xff.
            0..0xff if number < 0x80 => self.markup.push((code as u8).to_ascii_lowercase()),
            0..0xff => self.markup.push(code as u8),
            _ => self.markup.extend(format!("&#x{code:04x};").as_bytes()),
        }
        start
    }

    /// Bytes that a reference adds to a value.
    fn in_link(&mut self, bytes: &[u8]) {
        if matches!(self.name_in, Home::Quoted(_) | Home::Unquoted) {
            for &byte in bytes {
                self.value.push(byte);
            }
        }
    }

    /// Ends a named reference at `;`, or at the end of the document. Returns
    /// whether the name is known.
    fn end_name(&mut self) -> bool {
        let name = self.markup.get(self.name_start + 1..).unwrap_or_default();
        let Some(code) = named(name) else {
            self.keep_name();
            return false;
        };
        self.markup.truncate(self.name_start);
        let start = self.write_character(code.into());
        let written = self.markup.get(start..).unwrap_or_default().to_vec();
        self.in_link(&written);
        true
    }

    /// Leaves a named reference as it is.
    fn keep_name(&mut self) {
        let mut name = self.markup.split_off(self.name_start.min(self.markup.len()));
        // In a link too: `?X=1&Y=2` becomes `?X=1&y=2`.
        name.make_ascii_lowercase();
        self.in_link(&name);
        self.markup.append(&mut name);
    }
}

fn ends_data(byte: u8, quote: Option<u8>) -> bool {
    match quote {
        Some(quote) => byte == quote,
        None => byte == b'>' || is_space(byte),
    }
}

fn is_base64(declared: &[u8]) -> bool {
    const MARK: &[u8] = b";base64";
    declared.windows(MARK.len()).any(|window| window.eq_ignore_ascii_case(MARK))
}

/// Decodes base64, without the bytes that are none, up to the first `=`.
pub(crate) fn decode_base64(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut n_bits) = (0_u32, 0);
    for &byte in text {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => break,
            _ => continue,
        };
        bits = bits << 6 | u32::from(digit);
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            // The low 8 bits are meant.
            bytes.push((bits >> n_bits) as u8);
        }
    }
    bytes
}

fn low_byte(number: i64) -> u8 {
    // The low 8 bits are meant.
    number as u8
}

fn quote_or_lower(byte: u8) -> u8 {
    if byte == b'\'' { b'"' } else { byte.to_ascii_lowercase() }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, 0x09..=0x0d | b' ')
}

/// Whether the byte is written as text to both views, whatever came before.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b'!'..=b'%' | b'\''..=b';' | b'='..=0x7f)
}

/// What ends a run in the text, of a name, in a value and so on; a bit each.
const ENDS_TEXT: u8 = 1;
const ENDS_NAME: u8 = 2;
const ENDS_VALUE: u8 = 4;
const ENDS_DECLARATION: u8 = 8;
const ENDS_STYLE: u8 = 16;

/// For each byte the bits of what it ends.
static ENDS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0u8;
    loop {
        let mut ends = 0;
        if !is_plain(byte) {
            ends |= ENDS_TEXT | ENDS_VALUE | ENDS_STYLE;
        }
        if is_space(byte) || matches!(byte, 0 | b'=' | b'>') {
            ends |= ENDS_NAME;
        }
        if matches!(byte, b'"' | b'\'' | b':' | b'>') {
            ends |= ENDS_VALUE;
        }
        if byte == b'>' {
            ends |= ENDS_DECLARATION;
        }
        if byte == b'\'' {
            ends |= ENDS_STYLE;
        }
        table[byte as usize] = ends;
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    table
};

/// Bytes between two looks at the budget.
const CHUNK: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs are a shortcut: byte by byte comes the same.
    #[test]
    fn runs_are_what_their_bytes_are() {
        const PIECES: [&[u8]; 24] = [
            b"<",
            b">",
            b"=",
            b"\"",
            b"'",
            b"&amp;",
            b"&",
            b" ",
            b"\r\n",
            b"\0",
            b"\x80\xff",
            b"\x01",
            b"Text",
            b"<a HREF=",
            b"<img src='",
            b"data:",
            b"x:Y",
            b"<!-- ",
            b"<style>",
            b"</style>",
            b"<script>",
            b"</script>",
            b"/",
            b"&#65;",
        ];
        let mut random = 0x9e37_79b9_7f4a_7c15u64;
        for _ in 0..20_000 {
            let mut html = Vec::new();
            for _ in 0..12 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                html.extend_from_slice(PIECES[(random >> 20) as usize % PIECES.len()]);
            }
            let [mut runs, mut bytes] =
                [0, 1].map(|_| Machine::new(Vec::new(), Vec::new(), Vec::new()));
            runs.push_chunk(&html);
            html.iter().for_each(|&byte| bytes.push_any(byte));
            for machine in [&mut runs, &mut bytes] {
                machine.finish();
            }
            let [a, b] = [runs, bytes].map(|m| (m.markup, m.text, m.embedded, m.scripts));
            assert_eq!(a, b, "{}", html.escape_ascii());
        }
    }
}
