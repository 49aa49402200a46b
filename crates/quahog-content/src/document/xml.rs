//! Documents that are one XML file: Word and Excel of 2003, flat OPC, HWPML.
//!
//! Files in them are base64 between the tags of an element, `w:binData`,
//! `pkg:binaryData` or `BINDATA`. Only these are looked for: whether all the
//! rest is well-formed is nobody's concern. What is packed as *ActiveMime* is
//! handed out unpacked, and so is what HWPML says is compressed.

use memchr::memmem;

use super::decode::{Frame, inflate};
use super::ole::is_zlib;
use super::{About, Outlet, Stop, length_at};
use crate::text::html::decode_base64;
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    Outlet::run(budget, visit, |outlet| {
        let mut at = 0;
        while let Some(gap) = bytes.get(at..).and_then(|rest| memchr::memchr(b'<', rest)) {
            at += gap + 1;
            let rest = bytes.get(at..).unwrap_or_default();
            budget.tick(1 + gap as u64)?;
            if !is_data(rest) {
                continue;
            }
            let Some(close) = memchr::memchr(b'>', rest) else { break };
            let (tag, text) = (&rest[..close], &rest[close + 1..]);
            let text = text.get(..memchr::memchr(b'<', text).unwrap_or(text.len()));
            let text = text.unwrap_or_default();
            at += close + 1 + text.len();
            let data = decode_base64(text);
            budget.tick(text.len() as u64)?;
            let name = attribute(tag, b"name=").map(super::narrow);
            let about =
                About { name: name.as_deref(), packed: Some(text.len()), ..About::default() };
            if is_active_mime(&data) {
                unpack(outlet, about, &data)?;
            } else if attribute(tag, b"Compress=").is_some_and(|value| value == b"true") {
                inflated(outlet, about, Frame::Raw, &data)?;
            } else if !data.is_empty() {
                outlet.hand(about, &data)?;
            }
        }
        Ok(())
    })
}

/// Opens an ActiveMime file alone, as they are attached to web pages.
pub(crate) fn open_active_mime(
    bytes: &[u8],
    budget: &Budget<'_>,
    visit: &mut Visit<'_>,
) -> Option<Shortfall> {
    Outlet::run(budget, visit, |outlet| unpack(outlet, About::default(), bytes))
}

pub(crate) fn is_active_mime(bytes: &[u8]) -> bool {
    bytes.starts_with(b"ActiveMime")
}

/// A zlib stream, behind a header whose length stands in it; the usual length
/// is tried too.
fn unpack(outlet: &mut Outlet<'_, '_, '_>, about: About<'_>, bytes: &[u8]) -> Result<(), Stop> {
    let said = length_at(bytes, 30).and_then(|length| length.checked_add(46));
    let starts = [said.unwrap_or(50), 50];
    let packed = starts.iter().find_map(|&start| bytes.get(start..).filter(|b| is_zlib(b)));
    match packed {
        Some(packed) => inflated(outlet, about, Frame::Zlib, packed),
        None => {
            outlet.miss(Shortfall::Malformed);
            Ok(())
        }
    }
}

fn inflated(
    outlet: &mut Outlet<'_, '_, '_>,
    about: About<'_>,
    frame: Frame,
    packed: &[u8],
) -> Result<(), Stop> {
    let mut out = Vec::new();
    let (_, ending) = inflate(packed, frame, &mut out, outlet.room(), outlet.budget);
    let about = About { shortfall: ending.shortfall(outlet.over()), ..about };
    outlet.hand(about, &out)
}

/// Whether a tag, without its `<`, begins an element that holds a file.
fn is_data(rest: &[u8]) -> bool {
    let end = rest.iter().take(40).position(|byte| matches!(byte, b'>' | b'/' | b'\t'..=b' '));
    let Some(name) = end.and_then(|end| rest.get(..end)) else { return false };
    let local = name.rsplit(|&byte| byte == b':').next().unwrap_or(name);
    [b"binData".as_slice(), b"binaryData"].iter().any(|data| local.eq_ignore_ascii_case(data))
}

/// The value of an attribute, whatever its prefix.
fn attribute<'t>(tag: &'t [u8], key: &[u8]) -> Option<&'t [u8]> {
    let after = tag.get(memmem::find(tag, key)? + key.len()..)?;
    let (&quote, value) = after.split_first()?;
    value.get(..memchr::memchr(quote, value)?)
}
