//! Verification: the full check of a pattern on a buffer.
//!
//! [`search`] finds where a pattern matches. It looks for the occurrences of
//! each part by a literal of it, checks the elements around that literal, and
//! chains parts by the ends that the gaps allow. What a match is, in every
//! detail, is defined by the reference interpreter of the test kit.
//!
//! State per call is bounded by the number of occurrences of the pattern's own
//! parts; nothing is sized by the number of signatures.

pub(crate) mod byte_compare;
mod part;
pub(crate) mod pcre;

use std::ops::RangeInclusive;

use quahog_sig::body::{Gap, Part, Pattern};

use crate::meter::{Interrupted, Meter};
use part::PartSearch;

pub(crate) use part::lengths;

/// What a caller wants to know of a pattern.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Want {
    /// Whether and where it matches first.
    First,
    /// Also how often.
    Count,
}

/// What a search found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Found {
    /// The number of matches: distinct starts, or for a pattern of several
    /// parts distinct starts of the last part.
    pub(crate) count: u64,
    /// The bytes of the first match.
    pub(crate) first: Option<(usize, usize)>,
    /// Where the last match starts, if all were looked for.
    pub(crate) last: Option<usize>,
}

impl Found {
    fn add(&mut self, start: usize, end: usize) {
        self.count = self.count.saturating_add(1);
        self.first.get_or_insert((start, end));
        self.last = Some(start);
    }

    /// A single match.
    pub(crate) fn once(start: usize, end: usize) -> Found {
        Found { count: 1, first: Some((start, end)), last: Some(start) }
    }

    /// The matches of two patterns.
    pub(crate) fn merge(self, other: Found) -> Found {
        Found {
            count: self.count.saturating_add(other.count),
            first: self.first.or(other.first),
            last: self.last.max(other.last),
        }
    }
}

/// Memory that searches reuse.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    part: part::Buffers,
    /// Ends of the part before, with the start of their chain.
    reached: Vec<Reached>,
    next: Vec<Reached>,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Reached {
    end: usize,
    start: usize,
}

/// The most bytes around a literal that are looked at before the search of the
/// whole buffer is as good.
const MAX_WINDOW: usize = 4096;

/// Whether the parts stand around `at` that must do so if a literal at `at`
/// belongs to a match: the part that the literal is in, and those that bounded
/// gaps tie to it. `before` is how many bytes of its part stand before the
/// literal, and `allowed` says where the first part of the pattern may start.
///
/// It may be wrong in saying that they stand, not in saying that they do not.
/// Looks at no more than some thousand bytes, however wide the gaps are. If the
/// meter calls the scan off, they stand, and the next call of it says so again.
pub(crate) fn stands_around(
    pattern: Pattern<'_>,
    (number, before): (usize, (u32, u32)),
    at: usize,
    haystack: &[u8],
    allowed: impl Fn(RangeInclusive<usize>) -> Option<RangeInclusive<usize>>,
    buffers: &mut Buffers,
    meter: &dyn Meter,
) -> bool {
    let open = |gap: Option<Gap>| gap.is_none_or(|gap| gap.max == u32::MAX);
    let len = |part: Part<'_>| {
        let sums = part.elements().map(lengths);
        sums.fold((0usize, 0usize), |a, b| (a.0.saturating_add(b.0), a.1.saturating_add(b.1)))
    };
    // Go back to the first part that is tied to this one.
    let (mut first, mut distance) = (0, (0usize, 0usize));
    for (index, part) in pattern.parts().enumerate().take(number + 1) {
        if open(part.gap) {
            (first, distance) = (index, (0, 0));
        } else if let Some(gap) = part.gap {
            distance.0 = distance.0.saturating_add(gap.min as usize);
            distance.1 = distance.1.saturating_add(gap.max as usize);
        }
        if index < number {
            let (_, max) = len(part);
            // A cut part is shorter only at the end of the buffer, but inner
            // classes count nothing in the least length.
            distance.0 = distance.0.saturating_add(part.min_len as usize);
            distance.1 = distance.1.saturating_add(max);
        }
    }
    let back = distance.1.saturating_add(before.1 as usize);
    let least = distance.0.saturating_add(before.0 as usize);
    // A part may begin where the buffer does, and no earlier.
    let Some(latest) = at.checked_sub(least) else { return false };
    let earliest = at.saturating_sub(back);
    if latest.saturating_sub(earliest) > MAX_WINDOW {
        return true;
    }
    let mut starts = earliest..=latest;
    if first == 0 {
        match allowed(starts) {
            Some(allowed) => starts = allowed,
            None => return false,
        }
    }
    let parts = pattern.parts().skip(first);
    // As many parts as the gaps let lie in the window.
    let mut room = MAX_WINDOW;
    let near = |part: &Part<'_>| {
        room = room.saturating_sub(part.gap.map_or(0, |gap| gap.max as usize));
        !open(part.gap) && room > 0
    };
    let tied = 1 + parts.clone().skip(1).take_while(near).count();
    let mut found = false;
    let mut add = |_, _| {
        found = true;
        false
    };
    let parts = parts.take(tied);
    let walked = chain(parts, pattern.nocase(), haystack, starts, buffers, meter, &mut add);
    found || walked.is_err()
}

/// Finds the matches of `pattern` whose first part starts in `starts`.
///
/// # Errors
///
/// The meter called the scan off.
pub(crate) fn search(
    pattern: Pattern<'_>,
    haystack: &[u8],
    starts: RangeInclusive<usize>,
    want: Want,
    buffers: &mut Buffers,
    meter: &dyn Meter,
) -> Result<Found, Interrupted> {
    let mut found = Found::default();
    let mut add = |start, end| {
        found.add(start, end);
        want == Want::Count
    };
    visit(pattern, haystack, starts, buffers, meter, &mut add)?;
    Ok(found)
}

/// Hands each match that [`search`] counts to `add`, its start and its end,
/// until that wants no more.
///
/// Takes time linear in the buffer for each part, plus the occurrences of its
/// literal times its length.
///
/// # Errors
///
/// The meter called the scan off.
pub(crate) fn visit(
    pattern: Pattern<'_>,
    haystack: &[u8],
    starts: RangeInclusive<usize>,
    buffers: &mut Buffers,
    meter: &dyn Meter,
    add: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<(), Interrupted> {
    chain(pattern.parts(), pattern.nocase(), haystack, starts, buffers, meter, add)
}

/// Finds the chains of these parts; the gap of the first one means nothing.
fn chain<'p>(
    mut parts: impl Iterator<Item = Part<'p>> + Clone,
    nocase: bool,
    haystack: &[u8],
    starts: RangeInclusive<usize>,
    buffers: &mut Buffers,
    meter: &dyn Meter,
    add: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<(), Interrupted> {
    let all = parts.clone();
    let n_parts = parts.clone().count();
    let Some(first) = parts.next() else { return Ok(()) };
    let Buffers { part: part_buffers, reached, next } = buffers;
    reached.clear();

    let mut search = PartSearch::new(first, nocase, haystack, starts, part_buffers);
    let gap = parts.clone().next().and_then(|part| part.gap);
    while let Some(start) = search.next(meter)? {
        if n_parts == 1 {
            if !add(start, search.ends().iter().copied().min().unwrap_or(start)) {
                break;
            }
            continue;
        }
        keep(reached, gap, start, search.ends(), start);
        if enough(reached, gap, start) {
            break;
        }
    }

    for (at, part) in parts.enumerate() {
        let last = at + 2 == n_parts;
        let Some(gap) = part.gap else { break };
        let Some(earliest) = reached.iter().map(|r| r.end).min() else { break };
        reached.sort_unstable();
        let from = earliest.saturating_add(gap.min as usize);
        let to = match gap.max {
            u32::MAX => haystack.len(),
            max => {
                let latest = reached.iter().map(|r| r.end).max().unwrap_or(earliest);
                latest.saturating_add(max as usize).min(haystack.len())
            }
        };
        next.clear();
        let next_gap = all.clone().nth(at + 2).and_then(|part| part.gap);
        let mut search = PartSearch::new(part, nocase, haystack, from..=to, part_buffers);
        while let Some(start) = search.next(meter)? {
            let Some(chain) = reaching(reached, gap, start) else { continue };
            if last {
                if !add(chain, search.ends().iter().copied().min().unwrap_or(start)) {
                    break;
                }
                continue;
            }
            keep(next, next_gap, start, search.ends(), chain);
            if enough(next, next_gap, start) {
                break;
            }
        }
        std::mem::swap(reached, next);
    }
    Ok(())
}

/// The start of the chain that reaches a part at `start` over `gap`, if any does.
fn reaching(reached: &[Reached], gap: Gap, start: usize) -> Option<usize> {
    let nearest = start.checked_sub(gap.min as usize)?;
    // `reached` is sorted by end: the first one that is not too far decides, so
    // that the longest chain is told.
    let first = match gap.max {
        u32::MAX => 0,
        max => reached.partition_point(|r| start.saturating_sub(r.end) > max as usize),
    };
    reached.get(first).filter(|r| r.end <= nearest).map(|r| r.start)
}

/// Remembers the ends of a part; before an open gap the earliest is enough.
fn keep(reached: &mut Vec<Reached>, gap: Option<Gap>, _start: usize, ends: &[usize], chain: usize) {
    let open = gap.is_some_and(|gap| gap.max == u32::MAX);
    for &end in ends {
        match reached.first_mut() {
            Some(known) if open => {
                if end < known.end {
                    *known = Reached { end, start: chain };
                }
            }
            _ => reached.push(Reached { end, start: chain }),
        }
    }
}

/// Whether no later occurrence can end earlier than what is known, which is
/// all that an open gap asks for.
fn enough(reached: &[Reached], gap: Option<Gap>, start: usize) -> bool {
    gap.is_some_and(|gap| gap.max == u32::MAX)
        && reached.first().is_some_and(|known| start >= known.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Unmetered;
    use quahog_sig::body::{Rules, parse};

    fn find(text: &str, haystack: &[u8], rules: Rules) -> Found {
        let mut code = Vec::new();
        parse(text.as_bytes()).unwrap().compile(&rules, &mut code).unwrap();
        search(
            Pattern::new(&code),
            haystack,
            0..=haystack.len(),
            Want::Count,
            &mut Buffers::default(),
            &Unmetered,
        )
        .unwrap()
    }

    fn count(text: &str, haystack: &[u8]) -> u64 {
        find(text, haystack, Rules::default()).count
    }

    #[test]
    fn overlapping_starts_count() {
        assert_eq!(count("6161", b"..aaaa"), 3);
        assert_eq!(find("6161", b"..aaaa", Rules::default()).first, Some((2, 4)));
    }

    #[test]
    fn a_split_pattern_counts_last_parts() {
        assert_eq!(count("6162*6364", b"ab.cd.cd"), 2);
        assert_eq!(count("6162*6364", b"ab.ab.cd"), 1);
        assert_eq!(count("6162{-3}6364", b"ab.cd.ab.cd.ab.cd"), 3);
        assert_eq!(count("6162*6364", b"cdab"), 0);
    }

    #[test]
    fn gaps_have_inclusive_bounds() {
        for (haystack, expected) in
            [(&b"ab.cd"[..], 0), (b"ab..cd", 1), (b"ab....cd", 1), (b"ab.....cd", 0)]
        {
            assert_eq!(count("6162{2-4}6364", haystack), expected, "{haystack:?}");
        }
        assert_eq!(count("6162{4-2}6364", b"ab...cd"), 0);
    }

    #[test]
    fn every_start_is_remembered() {
        let haystack = [b"ab".repeat(40), b"cd".to_vec()].concat();
        for distance in (0..78).step_by(2).filter(|&n| n > 0) {
            assert_eq!(count(&format!("6162{{{distance}-{distance}}}6364"), &haystack), 1);
        }
    }

    #[test]
    fn branches_are_all_tried() {
        assert_eq!(count("616263(63|6364)6465", b"abccde"), 1);
        assert_eq!(count("616263(63|6364)6465", b"abccdde"), 1);
        assert_eq!(count("78(62|6162)6364", b"xabcd"), 1);
        assert_eq!(count("7878(62|6162)??636465", b"xxab.cde"), 1);
        assert_eq!(count("616263(64|(65|66(67|68)))69", b"abcfhi"), 1);
    }

    #[test]
    fn the_end_of_the_buffer_may_cut_a_long_branch() {
        assert_eq!(count("616263(64|656565)6667", b"abceee"), 1);
        assert_eq!(count("616263(64|656565)6667", b"abcee"), 0);
        assert_eq!(count("616263(W)6465", b"abc-d"), 1);
        assert_eq!(count("6162??", b"ab"), 0);
    }

    #[test]
    fn classes_and_anchors_test_beside_the_part() {
        assert_eq!(count("(B)616263", b"abc"), 1);
        assert_eq!(count("(B)616263", b"xabc"), 0);
        assert_eq!(count("616263(L)", b"abc\r\n"), 1);
        assert_eq!(count("616263!(W)", b"abc"), 0);
        assert_eq!(count("616263!(W)", b"abcd"), 1);
        assert_eq!(count("6162(L)6364", b"ab\r\ncd"), 1);
        assert_eq!(count("!(W)616263", b"xabc"), 1);
        assert_eq!(count("!(W)616263", b"abc"), 0);
        assert_eq!(count("64[4-4]6161", b"d....aa"), 1);
        assert_eq!(count("64[4-4]6161", b"d...aa"), 0);
        assert_eq!(count("6161[1-2]64", b"aa..d"), 1);
    }

    #[test]
    fn nocase_folds_letters_only() {
        let rules = Rules { nocase: true, generic_alternates: true, ..Rules::default() };
        assert_eq!(find("6142(43|5b)64", b"AbcD aB[d ab{d", rules).count, 2);
    }

    #[test]
    fn negated_alternates_need_their_bytes() {
        assert_eq!(count("616263!(64|65)", b"abcf"), 1);
        assert_eq!(count("616263!(64|65)", b"abc"), 0);
        assert_eq!(count("616263!(6465|6566)", b"abcde"), 0);
        assert_eq!(count("616263!(6465|6566)", b"abcd"), 0);
        assert_eq!(count("616263!(6465|6566)", b"abcdd"), 1);
    }
}
