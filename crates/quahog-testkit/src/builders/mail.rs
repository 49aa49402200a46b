//! Builder of MIME messages.
//!
//! A message is a header and a tree of [`Part`]s. The bytes that come out are
//! the same each time: no date, no random boundary. Lines end in CR LF.
//!
//! ```
//! use quahog_testkit::builders::mail::{Encoding, Part, message};
//!
//! let mail = message(
//!     "Invoice",
//!     &Part::mixed([
//!         Part::text("See the attachment.\n"),
//!         Part::attachment("invoice.bin", b"\x01\x02\x03", Encoding::Base64),
//!     ]),
//! );
//! assert!(mail.starts_with(b"From: "));
//! assert!(mail.windows(4).any(|window| window == b"AQID"));
//! ```

use std::fmt::Write as _;

/// How the content of a part is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Encoding {
    /// As it is. The content must be ASCII in lines of sensible length.
    SevenBit,
    /// As it is, bytes above 127 included.
    EightBit,
    /// Base64 in lines of 76 characters.
    Base64,
    /// Quoted-printable, with soft line breaks.
    QuotedPrintable,
}

/// One part of a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Part {
    content_type: String,
    disposition: Option<String>,
    body: Body,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Body {
    Leaf { content: Vec<u8>, encoding: Encoding },
    Multipart(Vec<Part>),
    Message { subject: String, part: Box<Part> },
}

/// A whole message with this subject.
pub fn message(subject: &str, part: &Part) -> Vec<u8> {
    let mut out = Vec::new();
    write_message(&mut out, subject, part, "b");
    out
}

impl Part {
    /// Plain text, written as it is.
    pub fn text(text: &str) -> Part {
        Part::leaf("text/plain; charset=utf-8", crlf(text), Encoding::EightBit)
    }

    /// HTML, written as it is.
    pub fn html(text: &str) -> Part {
        Part::leaf("text/html; charset=utf-8", crlf(text), Encoding::EightBit)
    }

    /// A file.
    pub fn attachment(name: &str, content: &[u8], encoding: Encoding) -> Part {
        let mut part = Part::leaf("application/octet-stream", content.to_vec(), encoding);
        part.disposition = Some(format!("attachment; filename=\"{name}\""));
        part
    }

    /// A leaf of any type.
    pub fn leaf(content_type: &str, content: Vec<u8>, encoding: Encoding) -> Part {
        Part {
            content_type: content_type.to_owned(),
            disposition: None,
            body: Body::Leaf { content, encoding },
        }
    }

    /// Parts after one another.
    pub fn mixed(parts: impl IntoIterator<Item = Part>) -> Part {
        Part::multipart("mixed", parts)
    }

    /// Forms of the same content, such as text and HTML.
    pub fn alternative(parts: impl IntoIterator<Item = Part>) -> Part {
        Part::multipart("alternative", parts)
    }

    /// A multipart of any kind.
    pub fn multipart(subtype: &str, parts: impl IntoIterator<Item = Part>) -> Part {
        Part {
            content_type: format!("multipart/{subtype}"),
            disposition: None,
            body: Body::Multipart(parts.into_iter().collect()),
        }
    }

    /// A message within the message: `message/rfc822`.
    pub fn rfc822(subject: &str, part: Part) -> Part {
        Part {
            content_type: "message/rfc822".to_owned(),
            disposition: None,
            body: Body::Message { subject: subject.to_owned(), part: Box::new(part) },
        }
    }

    /// The same part, written in another encoding, if it is a leaf.
    pub fn encoded(mut self, other: Encoding) -> Part {
        if let Body::Leaf { encoding, .. } = &mut self.body {
            *encoding = other;
        }
        self
    }
}

/// `place` makes the boundaries: `b`, then `b.0`, `b.1` and so on within it.
fn write_message(out: &mut Vec<u8>, subject: &str, part: &Part, place: &str) {
    line(out, "From: Sender <sender@example.org>");
    line(out, "To: Receiver <receiver@example.net>");
    line(out, &format!("Subject: {subject}"));
    line(out, "Date: Thu, 01 Jan 1970 00:00:00 +0000");
    line(out, "Message-ID: <1@example.org>");
    line(out, "MIME-Version: 1.0");
    write_part(out, part, place);
}

fn write_part(out: &mut Vec<u8>, part: &Part, place: &str) {
    let mut content_type = part.content_type.clone();
    if matches!(part.body, Body::Multipart(_)) {
        // A boundary must not begin another one, hence the sign at its end.
        let _ = write!(content_type, "; boundary=\"{place}=\"");
    }
    line(out, &format!("Content-Type: {content_type}"));
    if let Some(disposition) = &part.disposition {
        line(out, &format!("Content-Disposition: {disposition}"));
    }
    match &part.body {
        Body::Leaf { content, encoding } => {
            let (name, text) = match encoding {
                Encoding::SevenBit => ("7bit", content.clone()),
                Encoding::EightBit => ("8bit", content.clone()),
                Encoding::Base64 => ("base64", base64(content)),
                Encoding::QuotedPrintable => ("quoted-printable", quoted_printable(content)),
            };
            line(out, &format!("Content-Transfer-Encoding: {name}"));
            line(out, "");
            out.extend(text);
        }
        Body::Multipart(parts) => {
            for (index, part) in parts.iter().enumerate() {
                line(out, "");
                line(out, &format!("--{place}="));
                write_part(out, part, &format!("{place}.{index}"));
            }
            line(out, "");
            line(out, &format!("--{place}=--"));
        }
        Body::Message { subject, part } => {
            line(out, "");
            write_message(out, subject, part, &format!("{place}.m"));
        }
    }
}

fn line(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Line ends as mail has them.
fn crlf(text: &str) -> Vec<u8> {
    text.replace("\r\n", "\n").replace('\n', "\r\n").into_bytes()
}

/// Base64 with a line break after every 57 bytes and at the end.
fn base64(content: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    for row in content.chunks(57) {
        for group in row.chunks(3) {
            let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            for index in 0..4 {
                // Six bits: always one of the 64 digits.
                let digit = (bits >> (18 - 6 * index)) & 63;
                out.push(if index > group.len() { b'=' } else { DIGITS[digit as usize] });
            }
        }
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Quoted-printable in lines of at most 76 characters. CR LF stays a line end.
fn quoted_printable(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut column = 0;
    let mut rest = content;
    while let Some((&byte, after)) = rest.split_first() {
        if rest.starts_with(b"\r\n") {
            out.extend_from_slice(b"\r\n");
            (column, rest) = (0, &rest[2..]);
            continue;
        }
        rest = after;
        // A blank at the end of a line would be lost on the way.
        let last = rest.is_empty() || rest.starts_with(b"\r\n");
        let plain = matches!(byte, b'!'..=b'~') && byte != b'=';
        let text = if plain || (byte == b' ' && !last) {
            char::from(byte).to_string()
        } else {
            format!("={byte:02X}")
        };
        if column + text.len() > 75 {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        column += text.len();
        out.extend_from_slice(text.as_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_pads_and_breaks_lines() {
        assert_eq!(base64(b"a"), b"YQ==\r\n");
        assert_eq!(base64(b"ab"), b"YWI=\r\n");
        assert_eq!(base64(b"abc"), b"YWJj\r\n");
        let long = base64(&[0; 58]);
        assert_eq!(long.iter().position(|&byte| byte == b'\r'), Some(76));
    }

    #[test]
    fn quoted_printable_keeps_lines_short() {
        assert_eq!(quoted_printable(b"a=b \r\nc\xff"), b"a=3Db=20\r\nc=FF");
        let long = quoted_printable(&[b'x'; 200]);
        assert!(long.split(|&byte| byte == b'\n').all(|line| line.len() <= 77));
    }

    #[test]
    fn nested_boundaries_do_not_begin_each_other() {
        let inner = Part::alternative([Part::text("a\n"), Part::html("<p>b</p>\n")]);
        let mail = message("s", &Part::mixed([inner, Part::rfc822("t", Part::text("c\n"))]));
        let text = String::from_utf8(mail).unwrap();
        let boundaries: Vec<&str> = text.lines().filter(|line| line.starts_with("--")).collect();
        assert_eq!(
            boundaries,
            ["--b=", "--b.0=", "--b.0=", "--b.0=--", "--b=", "--b=--"],
            "{text}"
        );
        assert!(text.contains("Content-Type: message/rfc822\r\n\r\nFrom: "));
    }
}
