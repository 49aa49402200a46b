//! Where a match may start in a buffer of a given size.

use std::ops::RangeInclusive;

use quahog_sig::model::{Base, Offset};

/// The starts that an offset allows; `None` if it allows none.
///
/// The last one may lie past the buffer; a part that does not fit there is
/// found not to.
pub(crate) fn starts(offset: Offset, len: usize) -> Option<RangeInclusive<usize>> {
    let low = match offset.base {
        Base::Any => return Some(0..=len),
        Base::Absolute(at) => at as usize,
        Base::End(before) => len.checked_sub(before as usize)?,
        // The set holds none of these yet: they need an executable's headers.
        Base::Entry(_)
        | Base::Section { .. }
        | Base::WholeSection(_)
        | Base::LastSection(_)
        | Base::VersionInfo
        | Base::Macro(_) => return None,
    };
    (low <= len).then(|| low..=low.saturating_add(offset.shift as usize).min(len))
}
