//! Offsets: where a match of a pattern may start.

use super::exe::Program;
use super::{Reason, number};

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
    /// `EP+n` or `EP-n`.
    Entry(i64),
    /// `Sx+n`: section and distance.
    Section(i64, i64),
    /// `SEx`.
    WholeSection(i64),
    /// `SL+n`.
    LastSection(i64),
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
            // Behind the number stands a `$`, or anything else.
            let group = group.trim_start();
            let end = group.find(|c: char| !c.is_ascii_digit()).unwrap_or(group.len());
            return match number(&group[..end]) {
                Some(group @ 0..32) if end > 0 => Ok(Offset::MacroGroup(group)),
                _ => Err("macro group is not below 32"),
            };
        }
        let base = Base::parse(base).ok_or("offset is malformed")?;
        let legal = match base {
            Base::Start(_) | Base::End(_) => true,
            Base::VersionInfo => target == 1,
            _ => matches!(target, 1 | 6 | 9),
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

    /// The first start in a haystack of `length` bytes, which is this program,
    /// and how far beyond it one may lie. The first may lie before the haystack,
    /// or nowhere; `None` if a start may lie anywhere.
    pub(super) fn bounds(self, length: usize, program: &Program) -> Option<(Option<i64>, i64)> {
        let Offset::At { base, shift } = self else { return None };
        let length = i64::try_from(length).ok()?;
        let sections = program.sections();
        let section = |index: i64| usize::try_from(index).ok().and_then(|at| sections.get(at));
        let (low, more) = match base {
            Base::Start(n) => (Some(n), 0),
            // In headers without sense even the end is lost.
            Base::End(_) if matches!(program, Program::Broken) => (None, 0),
            Base::End(n) => (Some(length - n), 0),
            Base::Entry(n) => (program.entry().map(|entry| entry + n), 0),
            Base::Section(index, n) => (section(index).map(|s| s.0 + n), 0),
            Base::LastSection(n) => (sections.last().map(|s| s.0 + n), 0),
            Base::WholeSection(index) => match section(index) {
                Some(&(offset, size)) => (Some(offset), size),
                None => (None, 0),
            },
            Base::VersionInfo => return None,
        };
        Some((low, shift.saturating_add(more)))
    }

    /// Whether a match may start at `start` in a haystack of `length` bytes,
    /// which is this program.
    pub(super) fn accepts(self, start: usize, length: usize, program: &Program) -> bool {
        match self {
            Offset::MacroGroup(_) => false,
            Offset::At { base: Base::VersionInfo, .. } => {
                i64::try_from(start).is_ok_and(|start| program.version_keys().contains(&start))
            }
            _ => {
                let Some((low, more)) = self.bounds(length, program) else { return true };
                // The middle of a file cannot be reached from before it, and
                // what begins behind its end is nowhere.
                low.zip(i64::try_from(start).ok()).is_some_and(|(low, start)| {
                    low >= 0 && (low..=low.saturating_add(more)).contains(&start)
                })
            }
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
        if let Some(n) = text.strip_prefix("EP+") {
            return number(n).map(Base::Entry);
        }
        if let Some(n) = text.strip_prefix("EP-") {
            return number(n).map(|n| Base::Entry(-n));
        }
        if let Some(n) = text.strip_prefix("SL+") {
            return number(n).map(Base::LastSection);
        }
        if let Some(section) = text.strip_prefix("SE") {
            return number(section).map(Base::WholeSection);
        }
        if let Some((section, n)) = text.strip_prefix('S').and_then(|rest| rest.split_once('+')) {
            return Some(Base::Section(number(section)?, number(n)?));
        }
        number(text).map(Base::Start)
    }
}
