//! Windows shortcuts ([MS-SHLLINK]): what they run, and what lies behind them.
//!
//! The strings of a shortcut (its description, paths and arguments) come out as
//! one text, a line each, since the command line is what an attacker writes; and
//! so does what follows the last block, where the file that the command line takes
//! out of the shortcut is kept.

use super::{About, Outlet, Stop, length_at, narrow, u16_at, u32_at, utf16};
use crate::{Budget, Shortfall, Visit};

/// Behind the header.
const BODY: usize = 76;
/// Kinds of strings, in their order; the flags of the header tell which there are.
const STRINGS: std::ops::Range<u32> = 2..7;

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    Outlet::run(budget, visit, |outlet| {
        budget.tick(bytes.len() as u64)?;
        let Some(flags) = u32_at(bytes, 20) else { return damaged(outlet) };
        let has = |bit: u32| flags & 1 << bit != 0;
        let mut at = BODY;
        // The list of what is linked, and where it was seen.
        if has(0) {
            let Some(length) = u16_at(bytes, at) else { return damaged(outlet) };
            at += 2 + usize::from(length);
        }
        if has(1) {
            // Its length counts itself.
            match length_at(bytes, at) {
                Some(length) if length >= 4 => at = at.saturating_add(length),
                _ => return damaged(outlet),
            }
        }
        let (mut text, mut whole) = (String::new(), true);
        for _ in STRINGS.filter(|&bit| has(bit)) {
            let string = string(bytes, at, has(7));
            whole &= string.is_some();
            let Some((string, end)) = string else { break };
            text.push_str(&string);
            text.push('\n');
            at = end;
        }
        if !text.is_empty() {
            let about = About { declared: Some("text/plain"), ..About::named("strings") };
            outlet.hand(about, text.as_bytes())?;
        }
        if !whole {
            return damaged(outlet);
        }
        while let Some(length) = length_at(bytes, at) {
            // A length below four is the end.
            at = at.saturating_add(length.max(4));
            if length < 4 {
                break;
            }
        }
        match bytes.get(at..) {
            None => damaged(outlet),
            Some([]) => Ok(()),
            Some(rest) => outlet.hand(About::default(), rest),
        }
    })
}

/// The string at a place, and where it ends: its length in characters, and these.
fn string(bytes: &[u8], at: usize, wide: bool) -> Option<(String, usize)> {
    let length = usize::from(u16_at(bytes, at)?);
    let start = at + 2;
    let end = start + if wide { 2 * length } else { length };
    let own = bytes.get(start..end)?;
    // NULs among what is shown hide what comes behind them.
    let string = match wide {
        true => {
            utf16(&own.chunks_exact(2).filter(|unit| *unit != [0, 0]).collect::<Vec<_>>().concat())
        }
        false => narrow(&own.iter().copied().filter(|&byte| byte != 0).collect::<Vec<_>>()),
    };
    Some((string, end))
}

fn damaged(outlet: &mut Outlet<'_, '_, '_>) -> Result<(), Stop> {
    outlet.miss(Shortfall::Malformed);
    Ok(())
}
