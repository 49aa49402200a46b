//! Names of parts: RFC 2047 words, RFC 2231 percent codes, or bare bytes.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};
use memchr::memmem;

use super::base64::{self, Reading};
use super::transfer;

/// A longer name is cut: no file system has one.
const MAX_NAME: usize = 4096;

/// The name that `bytes` stand for.
///
/// With a charset (of RFC 2231) the bytes are text in it; without one they may
/// hold encoded words, even inside of quotes where RFC 2047 forbids them.
/// Folds and the blanks between two words vanish.
pub(super) fn decode(bytes: &[u8], charset: Option<&[u8]>) -> String {
    let bytes = &bytes[..bytes.len().min(MAX_NAME)];
    if let Some(charset) = charset {
        return text(bytes, charset).into_owned();
    }
    let mut name = String::new();
    // After the last mark no word can end, so nothing there is tried as one.
    let words_until = memmem::rfind(bytes, b"?=").unwrap_or(0);
    let word_at = |rest: &'_ [u8]| bytes.len() - rest.len() < words_until;
    let mut rest = bytes;
    let mut after_word = false;
    // A word may end inside of a character, so bytes of one charset are joined.
    let mut pending: (Vec<u8>, Vec<u8>) = Default::default();
    while !rest.is_empty() {
        if word_at(rest)
            && let Some((word, tail)) = Word::parse(rest)
        {
            if !pending.0.eq_ignore_ascii_case(word.charset) {
                name.push_str(&text(&pending.1, &pending.0));
                pending = (word.charset.to_vec(), Vec::new());
            }
            word.decode(&mut pending.1);
            rest = tail;
            after_word = true;
            continue;
        }
        // Blanks between two words belong to neither.
        if after_word {
            let tail = rest.trim_ascii_start();
            if tail.len() < rest.len() && word_at(tail) && Word::parse(tail).is_some() {
                rest = tail;
                continue;
            }
        }
        name.push_str(&text(&std::mem::take(&mut pending.1), &pending.0));
        pending.0.clear();
        after_word = false;
        let plain = memmem::find(&rest[1..], b"=?").map_or(rest.len(), |at| at + 1);
        let run: Vec<u8> =
            rest[..plain].iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
        name.push_str(&String::from_utf8_lossy(&run));
        rest = &rest[plain..];
    }
    name.push_str(&text(&pending.1, &pending.0));
    name
}

/// Appends `text` with its `%41` decoded.
pub(super) fn percent(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        if let [b'%', high, low, ..] = *rest
            && let (Some(high), Some(low)) = (transfer::hex(high), transfer::hex(low))
        {
            out.push(high << 4 | low);
            rest = &rest[3..];
        } else {
            out.push(byte);
            rest = tail;
        }
    }
}

fn text<'b>(bytes: &'b [u8], charset: &[u8]) -> Cow<'b, str> {
    Encoding::for_label(charset).unwrap_or(UTF_8).decode_without_bom_handling(bytes).0
}

/// An encoded word: `=?charset?Q?text?=`.
struct Word<'b> {
    charset: &'b [u8],
    quoted: bool,
    text: &'b [u8],
}

impl<'b> Word<'b> {
    fn parse(bytes: &'b [u8]) -> Option<(Word<'b>, &'b [u8])> {
        let rest = bytes.strip_prefix(b"=?")?;
        let mark = rest.iter().position(|&byte| byte == b'?')?;
        let (charset, rest) = (&rest[..mark], &rest[mark + 1..]);
        let [kind @ (b'Q' | b'q' | b'B' | b'b'), b'?', rest @ ..] = rest else { return None };
        let end = memmem::find(rest, b"?=")?;
        // RFC 2231 lets a language follow the charset.
        let charset = charset.split(|&byte| byte == b'*').next().unwrap_or(charset);
        let word = Word { charset, quoted: matches!(kind, b'Q' | b'q'), text: &rest[..end] };
        Some((word, &rest[end + 2..]))
    }

    fn decode(&self, out: &mut Vec<u8>) {
        if self.quoted {
            let blanks: Vec<u8> =
                self.text.iter().map(|&byte| if byte == b'_' { b' ' } else { byte }).collect();
            transfer::quoted_printable(&blanks, false, MAX_NAME, out);
        } else {
            base64::base64(self.text, Reading::default(), MAX_NAME, out);
        }
    }
}
