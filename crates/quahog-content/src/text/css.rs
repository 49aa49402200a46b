//! Pictures and files inside of style sheets: `url(data:...;base64,...)`.
//!
//! clamscan 1.4.6 takes pictures out of `style` elements. A mail program also
//! shows those of `style` attributes, so the whole document is searched.

use super::html::{DataUrl, decode_base64};

/// Appends the payloads of all such URLs. Takes time linear in `html`.
pub(super) fn urls(html: &[u8], found: &mut Vec<DataUrl>) {
    let mut at = 0;
    while let Some(gap) = html.get(at..).and_then(|rest| memchr::memchr(b'(', rest)) {
        let before = html.get(..at + gap).unwrap_or_default();
        at += gap + 1;
        let is_url = before.len() >= 3 && before[before.len() - 3..].eq_ignore_ascii_case(b"url");
        if !is_url {
            continue;
        }
        let rest = html.get(at..).unwrap_or_default();
        let rest = unquoted(rest);
        if !rest.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"data:")) {
            continue;
        }
        let start = html.len() - rest.len() + 5;
        let rest = html.get(start..).unwrap_or_default();
        let Some(comma) = memchr::memchr3(b',', b')', b'<', rest) else { return };
        let declared = rest.get(..comma).unwrap_or_default();
        at = start + comma;
        let is_base64 = declared
            .rsplit(|&byte| byte == b';')
            .any(|word| word.trim_ascii().eq_ignore_ascii_case(b"base64"));
        if rest.get(comma) != Some(&b',') || !is_base64 {
            continue;
        }
        let payload = rest.get(comma + 1..).unwrap_or_default();
        let end = payload.iter().position(|byte| matches!(byte, b')' | b'<' | b'"' | b'\'' | b'&'));
        let payload = payload.get(..end.unwrap_or(payload.len())).unwrap_or_default();
        at += 1 + payload.len();
        let bytes = decode_base64(payload);
        if !bytes.is_empty() {
            found.push(DataUrl { declared: declared.to_vec(), bytes });
        }
    }
}

/// What stands behind blanks and quotes, among them the references to quotes.
fn unquoted(mut rest: &[u8]) -> &[u8] {
    loop {
        rest = rest.trim_ascii_start();
        let quote = [b"\"".as_slice(), b"'", b"&quot;", b"&#39;", b"&apos;"]
            .iter()
            .find_map(|quote| rest.strip_prefix(*quote));
        match quote {
            Some(after) => rest = after,
            None => return rest,
        }
    }
}
