//! One part on a buffer: where it starts, and all the places where it ends.

use std::ops::RangeInclusive;

use memchr::{memchr, memchr2, memmem};
use quahog_sig::body::{AnchorByte, CharClass, Element, Elements, Part};

use crate::literal;
use crate::meter::{Interrupted, Meter};

/// Memory that searches reuse: positions reached by elements.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    current: Vec<usize>,
    next: Vec<usize>,
    ends: Vec<usize>,
    /// Elements and places that the last look at a start went through.
    work: u64,
}

/// A literal of the part, and how many bytes of the part stand before it.
#[derive(Clone, Copy, Debug)]
struct Anchor<'p> {
    literal: &'p [u8],
    /// Position of its rarest byte in it.
    rare: usize,
    before: RangeBounds,
}

#[derive(Clone, Copy, Debug)]
struct RangeBounds {
    min: usize,
    max: usize,
}

/// Enumerates the starts of a part in increasing order.
pub(super) struct PartSearch<'p, 'h, 'b> {
    part: Part<'p>,
    nocase: bool,
    haystack: &'h [u8],
    /// The next start to try, and the last one.
    start: usize,
    last: usize,
    anchor: Option<Anchor<'p>>,
    /// Finds its literal; made when it was not found at once.
    finder: Option<memmem::Finder<'p>>,
    /// Up to where starts follow from the literal found last.
    window_end: Option<usize>,
    buffers: &'b mut Buffers,
}

/// Starts in a range as small as this are tried one by one.
const DIRECT: usize = 16;

impl<'p, 'h, 'b> PartSearch<'p, 'h, 'b> {
    /// Searches for starts in `starts`.
    pub(super) fn new(
        part: Part<'p>,
        nocase: bool,
        haystack: &'h [u8],
        starts: RangeInclusive<usize>,
        buffers: &'b mut Buffers,
    ) -> PartSearch<'p, 'h, 'b> {
        let (start, mut last) = starts.into_inner();
        // A part needs its least length.
        match haystack.len().checked_sub(part.min_len as usize) {
            Some(latest) => last = last.min(latest),
            None => last = 0,
        }
        let impossible = haystack.len() < part.min_len as usize;
        let start = if impossible { 1 } else { start };
        let direct = last.saturating_sub(start) < DIRECT;
        let anchor = if direct { None } else { anchor(part) };
        let finder = None;
        let window_end = None;
        PartSearch { part, nocase, haystack, start, last, anchor, finder, window_end, buffers }
    }

    /// The ends of the occurrence found last.
    pub(super) fn ends(&self) -> &[usize] {
        &self.buffers.ends
    }

    /// The next start.
    ///
    /// # Errors
    ///
    /// The meter called the scan off.
    pub(super) fn next(&mut self, meter: &dyn Meter) -> Result<Option<usize>, Interrupted> {
        loop {
            if self.start > self.last {
                return Ok(None);
            }
            if self.window_end.is_none_or(|end| self.start > end) && !self.seek(meter)? {
                return Ok(None);
            }
            if self.start > self.last {
                return Ok(None);
            }
            let start = self.start;
            self.start += 1;
            let found = matches(&self.part, self.nocase, self.haystack, start, self.buffers);
            meter.tick(8 + self.buffers.work)?;
            if found {
                return Ok(Some(start));
            }
        }
    }

    /// Moves on to the starts that the next occurrence of the literal allows.
    fn seek(&mut self, meter: &dyn Meter) -> Result<bool, Interrupted> {
        let Some(anchor) = self.anchor else {
            self.window_end = Some(self.last);
            return Ok(true);
        };
        let from = self.start.saturating_add(anchor.before.min);
        let end = (self.last + 1)
            .saturating_add(anchor.before.max)
            .saturating_add(anchor.literal.len())
            .min(self.haystack.len());
        let Some(slice) = self.haystack.get(from..end) else { return Ok(false) };
        let at = match &self.finder {
            _ if self.nocase => find_folded(slice, anchor),
            // Where a literal stands right here, nothing is prepared for it.
            _ if slice.starts_with(anchor.literal) => Some(0),
            Some(finder) => finder.find(slice),
            None => self.finder.insert(memmem::Finder::new(anchor.literal)).find(slice),
        };
        let Some(at) = at else {
            meter.tick(slice.len() as u64 / 8)?;
            return Ok(false);
        };
        meter.tick(at as u64 / 8)?;
        let hit = from + at;
        self.start = self.start.max(hit.saturating_sub(anchor.before.max));
        self.window_end = Some(hit - anchor.before.min);
        Ok(true)
    }
}

fn find_folded(haystack: &[u8], anchor: Anchor<'_>) -> Option<usize> {
    let Anchor { literal, rare, .. } = anchor;
    let lower = literal[rare];
    let upper = lower.to_ascii_uppercase();
    let mut from = rare;
    loop {
        let rest = haystack.get(from..)?;
        let at = if lower == upper { memchr(lower, rest) } else { memchr2(lower, upper, rest) };
        let hit = from + at?;
        let start = hit - rare;
        let window = haystack.get(start..start + literal.len())?;
        if literal::eq_folded(window, literal) {
            return Some(start);
        }
        from = hit + 1;
    }
}

/// Chooses the literal to search for: a long one at a known distance from the
/// start, up to the cut, behind which the end of the buffer may stand.
fn anchor(part: Part<'_>) -> Option<Anchor<'_>> {
    let mut before = RangeBounds { min: 0, max: 0 };
    let mut best: Option<(usize, Anchor<'_>)> = None;
    for element in part.elements() {
        if matches!(element, Element::Cut { .. }) {
            break;
        }
        if let Element::Literal(text) = element {
            // The longest, if it is not too far from the start.
            let worth = if literal::is_dull(text) { text.len() / 4 } else { text.len() };
            let worth = worth.saturating_sub(before.max.saturating_sub(before.min));
            if best.is_none_or(|(known, _)| worth > known) {
                let rare = literal::rarest(text);
                best = Some((worth, Anchor { literal: text, rare, before }));
            }
        }
        let (min, max) = lengths(element);
        before.min = before.min.saturating_add(min);
        before.max = before.max.saturating_add(max);
    }
    best.map(|(_, anchor)| anchor)
}

/// The fewest and the most bytes that an element takes.
pub(crate) fn lengths(element: Element<'_>) -> (usize, usize) {
    match element {
        Element::Cut { .. } => (0, 0),
        Element::Class { class: CharClass::Line, negated: false } => (1, 2),
        Element::Class { .. } | Element::High(_) | Element::Low(_) | Element::Set { .. } => (1, 1),
        Element::Fixed(strings) => (strings.len, strings.len),
        Element::Literal(text) => (text.len(), text.len()),
        Element::Skip(count) => (count as usize, count as usize),
        Element::Branches(branches) => {
            let sum = |elements: Elements<'_>| {
                elements.map(lengths).fold((0usize, 0usize), |a, b| {
                    (a.0.saturating_add(b.0), a.1.saturating_add(b.1))
                })
            };
            branches.iter().map(sum).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or((0, 0))
        }
    }
}

/// Whether the part starts at `start`; its ends are left in `buffers.ends`.
fn matches(
    part: &Part<'_>,
    nocase: bool,
    haystack: &[u8],
    start: usize,
    buffers: &mut Buffers,
) -> bool {
    buffers.work = 0;
    if start + part.min_len as usize > haystack.len() || !left(part, nocase, haystack, start) {
        return false;
    }
    let Buffers { current, next, ends, work } = buffers;
    current.clear();
    current.push(start);
    let walk = Walk { haystack, nocase };
    let mut may_cut = false;
    let mut cut = false;
    for element in part.elements() {
        if let Element::Cut { rest } = element {
            current.retain(|&at| haystack.len() - at >= rest as usize);
            may_cut = true;
            continue;
        }
        cut |= may_cut && current.iter().any(|&at| walk.is_cut(element, at));
        next.clear();
        *work += current.len() as u64;
        for &at in current.iter() {
            walk.step(element, at, next);
            if let Element::Branches(branches) = element {
                *work += branches.len();
            }
        }
        if next.len() > 1 {
            next.sort_unstable();
            next.dedup();
        }
        std::mem::swap(current, next);
        if current.is_empty() {
            break;
        }
    }
    ends.clear();
    ends.extend(current.iter().copied().filter(|&end| right(part, nocase, haystack, end)));
    // Where the part was cut, a class on the right sees the end of the file,
    // and a byte on the right is not there.
    let cut_fits = part.right_byte.is_none() && part.right_class.is_none_or(|(_, neg)| !neg);
    if cut && cut_fits && !ends.contains(&haystack.len()) {
        ends.push(haystack.len());
    }
    !ends.is_empty()
}

struct Walk<'h> {
    haystack: &'h [u8],
    nocase: bool,
}

impl Walk<'_> {
    /// What stands from a position on; positions never pass the end.
    fn rest(&self, at: usize) -> &[u8] {
        &self.haystack[at.min(self.haystack.len())..]
    }

    /// Whether the end of the buffer comes between two bytes of `element` at
    /// `at`, which ends a part that may be cut. It may not come within a
    /// branch, but within a negated alternate (clamscan 1.4.6).
    fn is_cut(&self, element: Element<'_>, at: usize) -> bool {
        let rest = self.rest(at);
        match element {
            _ if rest.is_empty() => true,
            Element::Literal(text) => {
                rest.len() < text.len() && self.equal(rest, &text[..rest.len()])
            }
            Element::Skip(count) => rest.len() < count as usize,
            Element::Fixed(strings) => strings.negated && rest.len() < strings.len,
            _ => false,
        }
    }

    /// Pushes the positions behind `element` at `at`.
    fn step(&self, element: Element<'_>, at: usize, out: &mut Vec<usize>) {
        let rest = self.rest(at);
        let one = |fits: bool| if fits { Some(1) } else { None };
        let byte = rest.first().copied();
        let len = match element {
            Element::Branches(branches) => {
                branches.iter().for_each(|branch| self.branch(branch, at, out));
                None
            }
            Element::Class { class: CharClass::Line, negated: false }
                if rest.starts_with(b"\r\n") =>
            {
                Some(2)
            }
            Element::Class { class, negated } => {
                byte.and_then(|b| one(inner_class(class, b, rest) != negated))
            }
            Element::Cut { .. } => Some(0),
            Element::Fixed(strings) => rest.get(..strings.len).and_then(|window| {
                let listed = strings.strings().any(|string| string == window);
                (listed != strings.negated).then_some(strings.len)
            }),
            // Nibbles are those of the byte as it is, `::i` or not (clamscan 1.4.6).
            Element::High(value) => byte.and_then(|b| one(b & 0xf0 == value)),
            Element::Low(value) => byte.and_then(|b| one(b & 0x0f == value)),
            Element::Literal(text) => rest
                .get(..text.len())
                .and_then(|window| self.equal(window, text).then_some(text.len())),
            Element::Set { bytes, negated } => {
                byte.and_then(|b| one(bytes.contains(&b) != negated))
            }
            Element::Skip(count) => (count as usize <= rest.len()).then_some(count as usize),
        };
        out.extend(len.map(|len| at + len));
    }

    /// Pushes the positions behind a branch. Branches nest at most 16 deep.
    fn branch(&self, elements: Elements<'_>, at: usize, out: &mut Vec<usize>) {
        let mut current = vec![at];
        let mut next = Vec::new();
        for element in elements {
            next.clear();
            for &at in &current {
                self.step(element, at, &mut next);
            }
            next.sort_unstable();
            next.dedup();
            std::mem::swap(&mut current, &mut next);
        }
        out.append(&mut current);
    }

    fn equal(&self, window: &[u8], text: &[u8]) -> bool {
        if self.nocase { literal::eq_folded(window, text) } else { window == text }
    }
}

/// Whether a byte tied to a part is this one.
fn anchor_fits(anchor: AnchorByte, nocase: bool, byte: u8) -> bool {
    let byte = if nocase && anchor.mask == 0xff { byte.to_ascii_lowercase() } else { byte };
    byte & anchor.mask == anchor.value
}

fn left(part: &Part<'_>, nocase: bool, haystack: &[u8], start: usize) -> bool {
    let before = &haystack[..start.min(haystack.len())];
    let byte_fits = |anchor: AnchorByte| {
        (anchor.min..=anchor.max).any(|distance| {
            let at = before.len().checked_sub(usize::from(distance) + 1);
            at.is_some_and(|at| anchor_fits(anchor, nocase, before[at]))
        })
    };
    let class_fits = |class| match (class, before) {
        (_, []) => true,
        (CharClass::Boundary, [.., b]) => b" -./<@_".contains(b),
        (CharClass::Line, [.., b]) => *b == b'\n',
        (CharClass::Word, [.., b]) => !b.is_ascii_alphanumeric(),
        (CharClass::WideWord, [.., a, b]) => !(a.is_ascii_alphanumeric() && *b == 0),
        (CharClass::WideWord, [_]) => true,
    };
    part.left_byte.is_none_or(byte_fits) && part.left_class.is_none_or(class_fits)
}

fn right(part: &Part<'_>, nocase: bool, haystack: &[u8], end: usize) -> bool {
    let after = &haystack[end.min(haystack.len())..];
    let byte_fits = |anchor: AnchorByte| {
        (anchor.min..=anchor.max).any(|distance| {
            let byte = after.get(usize::from(distance));
            byte.is_some_and(|&b| anchor_fits(anchor, nocase, b))
        })
    };
    let class_fits = |(class, negated): (CharClass, bool)| {
        let fits = match (class, after) {
            (_, []) => true,
            (CharClass::Boundary, [b, ..]) => b"\n\r \"'-/=>_".contains(b),
            (CharClass::Line, [b'\n', ..] | [b'\r', b'\n', ..]) => true,
            (CharClass::Line, _) => false,
            (CharClass::Word, [b, ..]) => !b.is_ascii_alphanumeric(),
            // A letter at the very end counts as a wide one.
            (CharClass::WideWord, [a, rest @ ..]) => {
                !(a.is_ascii_alphanumeric() && rest.first().is_none_or(|&b| b == 0))
            }
        };
        fits != negated
    };
    part.right_byte.is_none_or(byte_fits) && part.right_class.is_none_or(class_fits)
}

/// Whether the byte at the front of `rest` is of the class, between elements.
fn inner_class(class: CharClass, byte: u8, rest: &[u8]) -> bool {
    match class {
        CharClass::Boundary => b"\n\r \"'-./<=>@_".contains(&byte),
        CharClass::Line => rest.starts_with(b"\n") || rest.starts_with(b"\r\n"),
        CharClass::Word | CharClass::WideWord => !byte.is_ascii_alphanumeric(),
    }
}
