//! Where a match may start in a buffer of a given size.

use std::ops::RangeInclusive;

use quahog_sig::model::{Base, Offset};

use crate::context::Layer;
use crate::exe::Executable;

/// The starts that an offset allows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Starts<'l> {
    /// These, from the first to the last.
    Range(RangeInclusive<usize>),
    /// Just these, in increasing order.
    Listed(&'l [usize]),
}

impl Starts<'_> {
    /// Those that lie in a range, and perhaps some others in it; `None` if there
    /// are none.
    pub(crate) fn meet(&self, other: &RangeInclusive<usize>) -> Option<RangeInclusive<usize>> {
        match self {
            Starts::Range(range) => {
                let both = *range.start().max(other.start())..=*range.end().min(other.end());
                (!both.is_empty()).then_some(both)
            }
            Starts::Listed(list) => {
                list.iter().any(|start| other.contains(start)).then(|| other.clone())
            }
        }
    }

    /// The same as ranges, in increasing order.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = RangeInclusive<usize>> {
        let (range, list) = match self {
            Starts::Range(range) => (Some(range.clone()), [].as_slice()),
            Starts::Listed(list) => (None, *list),
        };
        range.into_iter().chain(list.iter().map(|&start| start..=start))
    }
}

/// The starts that an offset allows in a buffer that is no executable; `None`
/// if it allows none.
///
/// The last one may lie past the buffer; a part that does not fit there is
/// found not to.
pub(crate) fn starts(offset: Offset, len: usize) -> Option<RangeInclusive<usize>> {
    let low = match offset.base {
        Base::Any => return Some(0..=len),
        Base::Absolute(at) => at as usize,
        Base::End(before) => len.checked_sub(before as usize)?,
        // Only executables have such places, and groups are no places at all.
        Base::Entry(_)
        | Base::Section { .. }
        | Base::WholeSection(_)
        | Base::LastSection(_)
        | Base::VersionInfo
        | Base::Macro(_) => return None,
    };
    shifted(low, offset.shift, len)
}

fn shifted(low: usize, shift: u32, len: usize) -> Option<RangeInclusive<usize>> {
    (low <= len).then(|| low..=low.saturating_add(shift as usize).min(len))
}

/// The starts that an offset allows in a layer; `None` if it allows none.
///
/// Where the layer is an executable by its type and its headers make no sense,
/// nothing that depends on its end matches either (clamscan 1.4.6).
pub(crate) fn starts_in<'l>(offset: Offset, layer: &'l Layer<'_>) -> Option<Starts<'l>> {
    let len = layer.bytes().len();
    match offset.base {
        Base::Any | Base::Absolute(_) | Base::Macro(_) => {}
        Base::End(_) if layer.headers().is_broken() => return None,
        Base::End(_) => {}
        Base::VersionInfo => {
            let executable = layer.headers().sound()?;
            return Some(Starts::Listed(executable.version_keys(layer.bytes())));
        }
        Base::Entry(_) | Base::Section { .. } | Base::WholeSection(_) | Base::LastSection(_) => {
            let (low, span) = place(offset.base, layer.headers().sound()?)?;
            let shift = span.saturating_add(u64::from(offset.shift));
            let low = usize::try_from(low).ok()?;
            let shift = u32::try_from(shift).unwrap_or(u32::MAX);
            return shifted(low, shift, len).map(Starts::Range);
        }
    }
    starts(offset, len).map(Starts::Range)
}

/// A place in an executable, and how far beyond it a match may start by the
/// base alone.
fn place(base: Base, executable: &Executable) -> Option<(u64, u64)> {
    let sections = executable.sections();
    let section = |index: u32| sections.get(index as usize);
    match base {
        Base::Entry(by) => Some((executable.entry().checked_add_signed(by)?, 0)),
        Base::Section { index, offset } => {
            Some((section(index)?.offset.checked_add(u64::from(offset))?, 0))
        }
        Base::LastSection(offset) => {
            Some((sections.last()?.offset.checked_add(u64::from(offset))?, 0))
        }
        // The first byte after the section is allowed as well (clamscan 1.4.6).
        Base::WholeSection(index) => section(index).map(|section| (section.offset, section.len)),
        _ => None,
    }
}
