//! Offsets: where a match may start.

use serde::{Deserialize, Serialize};

use crate::ast::{Field, number};
use crate::model::Target;
use crate::{Error, ErrorKind};

/// Where a match may start: from `base` to `base + shift`, both inclusive.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Offset {
    /// What is counted from.
    pub base: Base,
    /// How far beyond it a match may start.
    pub shift: u32,
}

/// What an offset is counted from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Base {
    /// `*`: anywhere.
    Any,
    /// `n`
    Absolute(u32),
    /// `EOF-n`: that many bytes before the end.
    End(u32),
    /// `EP+n`, `EP-n`: from the entry point.
    Entry(i64),
    /// `Sx+n`: from the start of a section, counted from 0.
    Section {
        /// Which section.
        index: u32,
        /// Bytes from its start.
        offset: u32,
    },
    /// `SEx`: from the start of a section to its end.
    WholeSection(u32),
    /// `SL+n`: from the start of the last section.
    LastSection(u32),
    /// `VI`: at a key of the version information.
    VersionInfo,
    /// `$g$`: member of a macro group; never alerts alone.
    Macro(u8),
}

/// Marks a negative distance in the packed form.
const NEGATIVE: u32 = 16;

/// The longest offset text.
const MAX_TEXT: usize = 64;

impl Offset {
    /// Anywhere.
    pub const ANY: Offset = Offset { base: Base::Any, shift: 0 };

    /// All that it says, as numbers; the first one is below 32.
    pub(crate) fn pack(self) -> [u32; 4] {
        let (tag, a, b) = match self.base {
            Base::Any => (0, 0, 0),
            Base::Absolute(at) => (1, at, 0),
            Base::End(before) => (2, before, 0),
            // Its text has at most 32 bits and a sign.
            Base::Entry(by) => {
                let size = u32::try_from(by.unsigned_abs()).unwrap_or(u32::MAX);
                (if by < 0 { 3 + NEGATIVE } else { 3 }, size, 0)
            }
            Base::Section { index, offset } => (4, index, offset),
            Base::WholeSection(index) => (5, index, 0),
            Base::LastSection(offset) => (6, offset, 0),
            Base::VersionInfo => (7, 0, 0),
            Base::Macro(group) => (8, group.into(), 0),
        };
        [tag, a, b, self.shift]
    }

    /// The offset that numbers say; what they do not say is *anywhere*.
    pub(crate) fn unpack([tag, a, b, shift]: [u32; 4]) -> Offset {
        let base = match tag & (NEGATIVE - 1) {
            1 => Base::Absolute(a),
            2 => Base::End(a),
            3 if tag & NEGATIVE != 0 => Base::Entry(-i64::from(a)),
            3 => Base::Entry(a.into()),
            4 => Base::Section { index: a, offset: b },
            5 => Base::WholeSection(a),
            6 => Base::LastSection(a),
            7 => Base::VersionInfo,
            8 => Base::Macro(a as u8), // was one
            _ => Base::Any,
        };
        Offset { base, shift }
    }

    /// All that it says, as bytes.
    pub(crate) fn encode(self) -> [u8; 17] {
        let (tag, a, b): (u8, i64, u32) = match self.base {
            Base::Any => (0, 0, 0),
            Base::Absolute(at) => (1, at.into(), 0),
            Base::End(before) => (2, before.into(), 0),
            Base::Entry(by) => (3, by, 0),
            Base::Section { index, offset } => (4, index.into(), offset),
            Base::WholeSection(index) => (5, index.into(), 0),
            Base::LastSection(offset) => (6, offset.into(), 0),
            Base::VersionInfo => (7, 0, 0),
            Base::Macro(group) => (8, group.into(), 0),
        };
        let mut bytes = [tag; 17];
        bytes[1..9].copy_from_slice(&a.to_le_bytes());
        bytes[9..13].copy_from_slice(&b.to_le_bytes());
        bytes[13..].copy_from_slice(&self.shift.to_le_bytes());
        bytes
    }

    /// Whether the bounds are those of the buffer and do not float.
    pub fn is_fixed(self) -> bool {
        self.base != Base::Any && self.shift == 0
    }

    /// Reads an offset.
    ///
    /// # Errors
    ///
    /// It is of none of the forms above, or not legal in `target`.
    pub fn parse(field: Field<'_>, target: Target) -> Result<Offset, Error> {
        let wrong = || field.error(ErrorKind::Offset);
        if field.text.len() > MAX_TEXT {
            return Err(wrong());
        }
        let (base, shift) = match memchr::memchr(b',', field.text) {
            Some(at) => (&field.text[..at], Some(&field.text[at + 1..])),
            None => (field.text, None),
        };
        if base == b"*" {
            return if shift.is_some() { Err(wrong()) } else { Ok(Offset::ANY) };
        }
        let shift = number(shift.unwrap_or_default()).ok_or_else(wrong)?;
        let base = Base::parse(base).ok_or_else(wrong)?;
        let legal = match base {
            Base::Entry(_)
            | Base::Section { .. }
            | Base::WholeSection(_)
            | Base::LastSection(_) => target.is_executable(),
            Base::VersionInfo => target == Target::PE,
            _ => true,
        };
        if !legal {
            return Err(field.error(ErrorKind::OffsetTarget));
        }
        Ok(Offset { base, shift })
    }
}

impl Base {
    fn parse(text: &[u8]) -> Option<Base> {
        if let Some(digits) = text.strip_prefix(b"EOF-") {
            return number(digits).map(Base::End);
        }
        if let Some(digits) = text.strip_prefix(b"EP+") {
            return number(digits).map(|n| Base::Entry(i64::from(n)));
        }
        if let Some(digits) = text.strip_prefix(b"EP-") {
            return number(digits).map(|n| Base::Entry(-i64::from(n)));
        }
        if let Some(digits) = text.strip_prefix(b"SL+") {
            return number(digits).map(Base::LastSection);
        }
        if let Some(digits) = text.strip_prefix(b"SE") {
            return number(digits).map(Base::WholeSection);
        }
        if text == b"VI" {
            return Some(Base::VersionInfo);
        }
        if let Some(rest) = text.strip_prefix(b"S") {
            let at = memchr::memchr(b'+', rest)?;
            let (index, offset) = (number(&rest[..at])?, number(&rest[at + 1..])?);
            return Some(Base::Section { index, offset });
        }
        if let Some(rest) = text.strip_prefix(b"$") {
            // Read as C reads a number; what follows it means nothing, not even
            // the `$` (clamscan 1.4.6).
            let rest = rest.trim_ascii_start();
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let group = number(rest.get(..digits).filter(|digits| !digits.is_empty())?)?;
            return u8::try_from(group).ok().filter(|&g| g < 32).map(Base::Macro);
        }
        number(text).map(Base::Absolute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;

    fn parse(text: &str, target: u32) -> Result<Offset, &'static str> {
        let field = Field { text: text.as_bytes(), span: Span::new(0, text.len()) };
        let target = Target::new(target).ok_or("target")?;
        Offset::parse(field, target).map_err(|e| e.kind().code())
    }

    #[test]
    fn forms_of_offsets() {
        let offset = |base, shift| Ok(Offset { base, shift });
        assert_eq!(parse("*", 0), Ok(Offset::ANY));
        assert_eq!(parse("", 0), offset(Base::Absolute(0), 0));
        assert_eq!(parse("6,", 0), offset(Base::Absolute(6), 0));
        assert_eq!(parse("EOF-20,5", 0), offset(Base::End(20), 5));
        assert_eq!(parse("EP-4", 1), offset(Base::Entry(-4), 0));
        assert_eq!(parse("S2+16", 6), offset(Base::Section { index: 2, offset: 16 }, 0));
        assert_eq!(parse("SE1", 9), offset(Base::WholeSection(1), 0));
        assert_eq!(parse("SL+3,9", 1), offset(Base::LastSection(3), 9));
        assert_eq!(parse("$12$", 0), offset(Base::Macro(12), 0));
        for text in ["$12", "$12$6", "$12x", "$ 12$$"] {
            assert_eq!(parse(text, 0), offset(Base::Macro(12), 0), "{text}");
        }
    }

    #[test]
    fn what_is_no_offset() {
        for text in
            ["*,5", "0x6", "-1", "EOF+0", "6,-1", "EP", "$32$", "$$", "$", "$x$", " 6", "6 "]
        {
            assert_eq!(parse(text, 0), Err("offset"), "{text}");
        }
        for text in ["S0", "SL-1", "EP"] {
            assert_eq!(parse(text, 1), Err("offset"), "{text}");
        }
        assert_eq!(parse("EP+0", 0), Err("offset-target"));
        assert_eq!(parse("VI", 6), Err("offset-target"));
        assert_eq!(parse(&"1".repeat(65), 0), Err("offset"));
    }
}
