//! Offsets: where a match of a pattern may start.

use super::{Reason, UnsupportedKind, number};

/// Where the first element of a pattern may stand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Offset {
    /// Anywhere: `*`.
    Any,
    /// From a base up to `shift` bytes after it, both inclusive.
    At { base: Base, shift: i64 },
    /// `$g$`: a member of a macro group, which never alerts alone.
    MacroGroup(i64),
}

/// What an offset counts from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Base {
    /// `n` bytes after the start.
    Start(i64),
    /// `EOF-n`.
    End(i64),
    /// `EP`, `S`, `SE`, `SL`: places in an executable.
    Executable,
    /// `VI`: keys of a version-info resource.
    VersionInfo,
}

impl Offset {
    /// Parses an offset field for a signature of `target`.
    pub(super) fn parse(text: &str, target: u32) -> Result<Offset, Reason> {
        if text.len() > 64 {
            return Err("offset is longer than 64 characters");
        }
        if text == "*" {
            return Ok(Offset::Any);
        }
        let (base, shift) = match text.split_once(',') {
            Some((base, shift)) => (base, number(shift).ok_or("maximum shift is not a number")?),
            None => (text, 0),
        };
        if let Some(group) = base.strip_prefix('$') {
            let group = group.strip_suffix('$').unwrap_or(group);
            return match number(group) {
                Some(group @ 0..32) => Ok(Offset::MacroGroup(group)),
                _ => Err("macro group is not below 32"),
            };
        }
        let base = Base::parse(base).ok_or("offset is malformed")?;
        let legal = match base {
            Base::Start(_) | Base::End(_) => true,
            Base::Executable => matches!(target, 1 | 6 | 9),
            Base::VersionInfo => target == 1,
        };
        if !legal {
            return Err("offset counts from a place in an executable, the target is none");
        }
        Ok(Offset::At { base, shift })
    }

    /// Whether the offset floats: nothing says where exactly it starts.
    pub(super) fn floats(self) -> bool {
        matches!(self, Offset::Any | Offset::At { shift: 1.., .. })
    }

    /// What keeps the reference from deciding this offset, if anything does.
    pub(super) fn unsupported(self) -> Option<UnsupportedKind> {
        match self {
            Offset::At { base: Base::Executable | Base::VersionInfo, .. } => {
                Some(UnsupportedKind::ExecutableOffset)
            }
            Offset::Any | Offset::At { .. } | Offset::MacroGroup(_) => None,
        }
    }

    /// The first start in a haystack of `length` bytes, which may lie before it,
    /// and how far beyond it one may lie; `None` if it may lie anywhere.
    pub(super) fn bounds(self, length: usize) -> Option<(i64, usize)> {
        let Offset::At { base, shift } = self else { return None };
        let low = match base {
            Base::Start(n) => n,
            Base::End(n) => i64::try_from(length).map_or(-1, |length| length - n),
            Base::Executable | Base::VersionInfo => return None,
        };
        Some((low, usize::try_from(shift).unwrap_or(0)))
    }

    /// Whether a match may start at `start` in a haystack of `length` bytes.
    pub(super) fn accepts(self, start: usize, length: usize) -> bool {
        let (Ok(start), Ok(length)) = (i64::try_from(start), i64::try_from(length)) else {
            return false;
        };
        match self {
            Offset::Any => true,
            Offset::At { base, shift } => {
                let low = match base {
                    Base::Start(n) => n,
                    Base::End(n) => length - n,
                    Base::Executable | Base::VersionInfo => return false,
                };
                // The middle of a file cannot be reached from before it.
                low >= 0 && (low..=low.saturating_add(shift)).contains(&start)
            }
            Offset::MacroGroup(_) => false,
        }
    }
}

impl Base {
    fn parse(text: &str) -> Option<Base> {
        if let Some(n) = text.strip_prefix("EOF-") {
            return number(n).map(Base::End);
        }
        if text == "VI" {
            return Some(Base::VersionInfo);
        }
        let executable = |digits: &str| number(digits).map(|_| Base::Executable);
        if let Some(n) = text.strip_prefix("EP+").or_else(|| text.strip_prefix("EP-")) {
            return executable(n);
        }
        if let Some(n) = text.strip_prefix("SL+") {
            return executable(n);
        }
        if let Some(section) = text.strip_prefix("SE") {
            return executable(section);
        }
        if let Some((section, n)) = text.strip_prefix('S').and_then(|rest| rest.split_once('+')) {
            number(section)?;
            return executable(n);
        }
        number(text).map(Base::Start)
    }
}
