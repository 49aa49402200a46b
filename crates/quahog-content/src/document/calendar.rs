//! Calendars and address cards (iCalendar, vCard): attachments inside of them.
//!
//! A property is `NAME;PARAMETER=VALUE:text` on one line, which goes on where
//! the next begins with a blank. An attachment is such a text in base64, by
//! its parameter or as a `data:` URL.

use super::{About, Outlet};
use crate::text::html::decode_base64;
use crate::{Budget, Shortfall, Visit};

/// Whether a text begins as one.
pub(crate) fn is_calendar(bytes: &[u8]) -> bool {
    let start = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    [b"BEGIN:VCALENDAR".as_slice(), b"BEGIN:VCARD"]
        .iter()
        .any(|mark| start.get(..mark.len()).is_some_and(|start| start.eq_ignore_ascii_case(mark)))
}

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    Outlet::run(budget, visit, |outlet| {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (property, after) = property(rest);
            budget.tick(1 + property.len() as u64)?;
            rest = after;
            let Some(colon) = memchr::memchr(b':', property) else { continue };
            let (head, mut text) = (&property[..colon], &property[colon + 1..]);
            let mut is_base64 = false;
            let mut name = None;
            for parameter in head.split(|&byte| byte == b';').skip(1) {
                let parameter = parameter.trim_ascii();
                let (key, value) = match memchr::memchr(b'=', parameter) {
                    Some(at) => (&parameter[..at], &parameter[at + 1..]),
                    None => (&b""[..], parameter),
                };
                let value = value.trim_ascii();
                is_base64 |= value.eq_ignore_ascii_case(b"BASE64")
                    || value.eq_ignore_ascii_case(b"B") && key.eq_ignore_ascii_case(b"ENCODING");
                if key.to_ascii_uppercase().ends_with(b"FILENAME") {
                    let value = value.strip_prefix(b"\"").unwrap_or(value);
                    name = Some(super::narrow(value.strip_suffix(b"\"").unwrap_or(value)));
                }
            }
            if text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"data:")) {
                let Some(comma) = memchr::memchr(b',', text) else { continue };
                is_base64 |= text[..comma].to_ascii_lowercase().ends_with(b";base64");
                text = &text[comma + 1..];
            }
            if !is_base64 {
                continue;
            }
            let data = decode_base64(text);
            if !data.is_empty() {
                let about =
                    About { name: name.as_deref(), packed: Some(text.len()), ..About::default() };
                outlet.hand(about, &data)?;
            }
        }
        Ok(())
    })
}

/// The property at the start of a text, with the lines it goes on in.
fn property(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut end = 0;
    while let Some(gap) = bytes.get(end..).and_then(|rest| memchr::memchr(b'\n', rest)) {
        end += gap + 1;
        if !matches!(bytes.get(end), Some(b' ' | b'\t')) {
            return bytes.split_at(end);
        }
    }
    (bytes, &[])
}
