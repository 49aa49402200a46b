//! What becomes of a body on its way: quoted-printable, and the ends of lines.
//!
//! As in [`base64`](super::base64), each decoder appends to a buffer that its
//! caller reuses, stops at `room` bytes and says so, takes `O(n)` time and accepts
//! any bytes: what a decoder of some mail program would skip is skipped.

use memchr::{memchr, memchr2};

/// Whether a decoder stopped because its room was full.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fit {
    Whole,
    Cut,
}

/// Whether a body has an escape of quoted-printable or a soft line break.
pub(super) fn looks_quoted(body: &[u8]) -> bool {
    memchr::memchr_iter(b'=', body).any(|at| match body.get(at + 1..) {
        Some([high, low, ..]) if hex(*high).is_some() && hex(*low).is_some() => true,
        Some(rest) => soft_break(rest).is_some(),
        None => false,
    })
}

/// Decodes quoted-printable.
///
/// A `=` before optional blanks and a line end joins two lines; a `=` that
/// introduces nothing is copied. With `text`, line ends become LF; without,
/// they stay as transmitted. Nothing is added at the end.
pub(super) fn quoted_printable(body: &[u8], text: bool, room: usize, out: &mut Vec<u8>) -> Fit {
    let limit = out.len().saturating_add(room);
    let mut rest = body;
    while !rest.is_empty() {
        if out.len() >= limit {
            out.truncate(limit);
            return Fit::Cut;
        }
        // Only text looks for CR, so binary data is copied in longer runs.
        let next = if text { memchr2(b'=', b'\r', rest) } else { memchr(b'=', rest) };
        let plain = next.unwrap_or(rest.len());
        out.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
        match *rest {
            [] => {}
            [b'\r', ..] => {
                let returns = rest.iter().take_while(|&&byte| byte == b'\r').count();
                // Several CR before an LF are one line end; others are one each.
                if rest.get(returns) == Some(&b'\n') {
                    out.push(b'\n');
                    rest = &rest[returns + 1..];
                } else {
                    out.resize(out.len() + returns, b'\n');
                    rest = &rest[returns..];
                }
            }
            [_, high, low, ..] if hex(high).is_some() && hex(low).is_some() => {
                out.push(hex(high).unwrap_or(0) << 4 | hex(low).unwrap_or(0));
                rest = &rest[3..];
            }
            _ => match soft_break(&rest[1..]) {
                Some(tail) => rest = tail,
                None => {
                    out.push(b'=');
                    rest = &rest[1..];
                }
            },
        }
    }
    if out.len() > limit {
        out.truncate(limit);
        return Fit::Cut;
    }
    Fit::Whole
}

/// Text as it is matched: every line end an LF, NULs dropped, an LF at the end.
///
/// Clients and ClamAV agree on what a line is, not on its end, and signatures
/// are written for LF. A body that has this form already is borrowed.
pub(super) fn text_lines<'b>(body: &'b [u8], room: usize, out: &'b mut Vec<u8>) -> &'b [u8] {
    if memchr2(b'\r', 0, body).is_none() && body.ends_with(b"\n") {
        return body;
    }
    let start = out.len();
    let mut rest = body;
    out.reserve(body.len().min(room) + 1);
    // One byte more than there is room for tells the caller that it was cut.
    while out.len() - start <= room {
        let next = memchr2(b'\r', 0, rest).unwrap_or(rest.len());
        let next = next.min((room - (out.len() - start)).saturating_add(1));
        out.extend_from_slice(&rest[..next]);
        rest = &rest[next..];
        match *rest {
            [] => break,
            [0, ..] => rest = &rest[1..],
            // There is no more room.
            [first, ..] if first != b'\r' => break,
            _ => {
                let returns = rest.iter().take_while(|&&byte| byte == b'\r').count();
                rest = &rest[returns..];
                match rest.strip_prefix(b"\n") {
                    Some(tail) => {
                        out.push(b'\n');
                        rest = tail;
                    }
                    None => out.resize(out.len() + returns, b'\n'),
                }
            }
        }
    }
    if !out[start..].ends_with(b"\n") && out.len() > start {
        out.push(b'\n');
    }
    &out[start..]
}

/// The value of a hexadecimal digit.
pub(super) fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// What follows a soft line break, if `rest` (after its `=`) begins one.
fn soft_break(rest: &[u8]) -> Option<&[u8]> {
    let blanks = rest.iter().take_while(|&&byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
    match rest.get(blanks) {
        None => Some(&[]),
        Some(b'\n') => Some(&rest[blanks + 1..]),
        // A lone CR is a line end too; blanks before other text are text.
        Some(_) => {
            let returned = rest[..blanks].iter().position(|&byte| byte == b'\r')?;
            Some(&rest[returned + 1..])
        }
    }
}
