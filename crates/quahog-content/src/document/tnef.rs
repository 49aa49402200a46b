//! TNEF (`winmail.dat`): what Outlook packs around attachments.
//!
//! A sequence of attributes, `level:1 id:2 type:2 length:4 data checksum:2`.
//! The name of an attachment may follow its bytes, so one is handed out where
//! the next begins. Checksums are ignored. Properties inside of attributes
//! hold long names, embedded messages and bodies.

use super::decode::outlook_rtf;
use super::{About, Outlet, Stop, length_at, narrow, u16_at, u32_at, utf16};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    if u32_at(bytes, 0) != Some(SIGNATURE) {
        return Some(Shortfall::Malformed);
    }
    Outlet::run(budget, visit, |outlet| {
        budget.tick(bytes.len() as u64)?;
        let mut attachment = Attachment::default();
        let mut rest = bytes.get(6..).unwrap_or_default();
        while !rest.is_empty() {
            budget.tick(1)?;
            let (Some(id), Some(length)) = (u16_at(rest, 1), length_at(rest, 5)) else {
                // The end may be padded.
                if rest.iter().any(|&byte| byte != 0) {
                    outlet.miss(Shortfall::Malformed);
                }
                break;
            };
            let body = rest.get(9..).unwrap_or_default();
            let data = body.get(..length).unwrap_or(body);
            if data.len() < length {
                outlet.miss(Shortfall::Malformed);
            }
            match id {
                RENDERING => attachment.hand(outlet)?,
                DATA => {
                    // A second one without an attachment in between is another.
                    if attachment.data.is_some() {
                        attachment.hand(outlet)?;
                    }
                    attachment.data = Some(data);
                }
                TITLE if attachment.name.is_none() => attachment.name = Some(narrow(data)),
                ATTACHMENT_PROPERTIES => attachment.properties(data),
                MESSAGE_PROPERTIES => bodies(outlet, data)?,
                BODY if !data.is_empty() => outlet.hand(About::named("body.txt"), data)?,
                _ => {}
            }
            rest = body.get(length..).and_then(|rest| rest.get(2..)).unwrap_or_default();
        }
        attachment.hand(outlet)
    })
}

#[derive(Default)]
struct Attachment<'b> {
    name: Option<String>,
    data: Option<&'b [u8]>,
    /// From its properties: an object, such as a message.
    object: Option<&'b [u8]>,
}

impl<'b> Attachment<'b> {
    fn hand(&mut self, outlet: &mut Outlet<'_, '_, '_>) -> Result<(), Stop> {
        let Attachment { name, data, object } = std::mem::take(self);
        let about = About { name: name.as_deref(), ..About::default() };
        for bytes in [data, object].into_iter().flatten() {
            if !bytes.is_empty() {
                outlet.hand(about, bytes)?;
            }
        }
        Ok(())
    }

    fn properties(&mut self, data: &'b [u8]) {
        for property in Properties::of(data) {
            match property.id {
                LONG_NAME => self.name = Some(property.text()),
                // An identifier of 16 bytes says what kind of object it is.
                OBJECT if property.kind == KIND_OBJECT => self.object = property.value.get(16..),
                OBJECT => self.object = Some(property.value),
                _ => {}
            }
        }
    }
}

/// Hands out the bodies of the message.
fn bodies(outlet: &mut Outlet<'_, '_, '_>, data: &[u8]) -> Result<(), Stop> {
    for property in Properties::of(data) {
        outlet.budget.tick(1)?;
        match property.id {
            PLAIN_BODY => outlet.hand(About::named("body.txt"), property.value)?,
            HTML_BODY => outlet.hand(About::named("body.html"), property.value)?,
            RTF_BODY => {
                let mut out = Vec::new();
                let ending = outlook_rtf(property.value, &mut out, outlet.room());
                let about = About {
                    shortfall: ending.shortfall(outlet.over()),
                    packed: Some(property.value.len()),
                    ..About::named("body.rtf")
                };
                outlet.hand(about, &out)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// A property of a type of variable length.
struct Property<'b> {
    id: u16,
    kind: u16,
    value: &'b [u8],
}

impl Property<'_> {
    fn text(&self) -> String {
        if self.kind == KIND_WIDE { utf16(self.value) } else { narrow(self.value) }
    }
}

/// Iterates over the properties that have a length, each value on its own.
///
/// A property is `type:2 id:2`, for ids from 0x8000 a name, for types with
/// many or long values their number, then values, filled up to four bytes.
struct Properties<'b> {
    rest: &'b [u8],
    id: u16,
    kind: u16,
    /// Values of this property still to come.
    values: u32,
}

impl<'b> Properties<'b> {
    fn of(data: &'b [u8]) -> Properties<'b> {
        Properties { rest: data.get(4..).unwrap_or_default(), id: 0, kind: 0, values: 0 }
    }

    fn skip(&mut self, length: usize) {
        self.rest = self.rest.get(length..).unwrap_or_default();
    }
}

impl<'b> Iterator for Properties<'b> {
    type Item = Property<'b>;

    fn next(&mut self) -> Option<Property<'b>> {
        loop {
            if self.values > 0 {
                self.values -= 1;
                let length = length_at(self.rest, 0)?;
                let body = self.rest.get(4..)?;
                let value = body.get(..length).unwrap_or(body);
                self.skip(length.saturating_add(3).saturating_add(4) & !3);
                return Some(Property { id: self.id, kind: self.kind, value });
            }
            let kind = u16_at(self.rest, 0)?;
            self.kind = kind & 0xfff;
            self.id = u16_at(self.rest, 2)?;
            self.skip(4);
            if self.id >= 0x8000 {
                let by_name = u32_at(self.rest, 16)? == 1;
                let length = if by_name { length_at(self.rest, 20)? } else { 0 };
                self.skip(24);
                self.skip(length.saturating_add(3) & !3);
            }
            let is_long = matches!(self.kind, 0x0d | 0x1e | 0x1f | 0x102);
            let many = kind & 0x1000 != 0;
            let values = if many || is_long { u32_at(self.rest, 0)? } else { 1 };
            if many || is_long {
                self.skip(4);
            }
            if is_long {
                self.values = values;
                continue;
            }
            let width = match self.kind {
                0x05 | 0x06 | 0x07 | 0x14 | 0x40 => 8,
                0x48 => 16,
                _ => 4,
            };
            self.skip(usize::try_from(values).unwrap_or(usize::MAX).saturating_mul(width));
        }
    }
}

const SIGNATURE: u32 = 0x223e_9f78;

const BODY: u16 = 0x800c;
const DATA: u16 = 0x800f;
const TITLE: u16 = 0x8010;
const RENDERING: u16 = 0x9002;
const MESSAGE_PROPERTIES: u16 = 0x9003;
const ATTACHMENT_PROPERTIES: u16 = 0x9005;

const KIND_OBJECT: u16 = 0x0d;
const KIND_WIDE: u16 = 0x1f;

const PLAIN_BODY: u16 = 0x1000;
const RTF_BODY: u16 = 0x1009;
const HTML_BODY: u16 = 0x1013;
const OBJECT: u16 = 0x3701;
const LONG_NAME: u16 = 0x3707;
