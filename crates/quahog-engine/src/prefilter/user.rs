//! Who has a literal, and what must stand around it.

use quahog_sig::SignatureSet;
use quahog_sig::body::{CharClass, Element, Pattern};
use quahog_sig::model::{Offset, Subsignature};

use crate::plan::Place;
use crate::verify;

/// Which signature a needle belongs to.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct SigRef(u32);

const LOGICAL: u32 = 1 << 31;
const YARA: u32 = 3 << 30;

impl SigRef {
    // Sets hold less than 2^29 signatures of a kind.
    pub(crate) fn body(index: usize) -> SigRef {
        SigRef(index as u32)
    }

    pub(crate) fn logical(index: usize) -> SigRef {
        SigRef(index as u32 | LOGICAL)
    }

    pub(crate) fn yara(index: usize) -> SigRef {
        SigRef(index as u32 | YARA)
    }

    /// As one number.
    pub(crate) fn number(self) -> u32 {
        self.0
    }

    /// The reference that a number is.
    pub(crate) fn from_number(number: u32) -> SigRef {
        SigRef(number)
    }

    /// The index of a YARA rule, if it is one.
    pub(crate) fn as_yara(self) -> Option<usize> {
        (self.0 & YARA == YARA).then_some((self.0 & !YARA) as usize)
    }

    /// The index, and whether it is that of a logical signature; not for YARA
    /// rules.
    pub(crate) fn unpack(self) -> (usize, bool) {
        ((self.0 & !LOGICAL) as usize, self.0 & LOGICAL != 0)
    }
}

/// A signature that has a literal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    pub(crate) signature: SigRef,
    pub(crate) place: Option<Place>,
}

impl User {
    /// What must stand around the literal; `None` if nothing can be told of that.
    pub(crate) fn surroundings(self, set: &SignatureSet) -> Option<Surroundings<'_>> {
        let place = self.place?;
        if self.signature.as_yara().is_some() {
            return None;
        }
        let (offset, pattern) = match self.signature.unpack() {
            (index, true) => {
                let logical = set.logical(index)?;
                match logical.subsignature(usize::from(place.subsignature))? {
                    Subsignature::Hex { offset, pattern, second } if place.second => {
                        (offset, second.unwrap_or(pattern))
                    }
                    Subsignature::Hex { offset, pattern, .. } => (offset, pattern),
                    _ => return None,
                }
            }
            (index, false) => {
                let body = set.body(index)?;
                (body.offset, body.pattern)
            }
        };
        let (code, part) = (pattern.code(), (usize::from(place.part), place.before));
        Some(Surroundings { code, offset, part })
    }
}

/// What a check of the bytes around a literal goes by: users of a literal in whom
/// this is the same are checked together.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Surroundings<'s> {
    /// The code of the pattern that the literal is in.
    code: &'s [u8],
    pub(crate) offset: Offset,
    /// The part of it, and the fewest and the most bytes of that before the
    /// literal.
    pub(crate) part: (usize, (u32, u32)),
}

impl<'s> Surroundings<'s> {
    pub(crate) fn pattern(&self) -> Pattern<'s> {
        Pattern::new(self.code)
    }
}

/// Users of a literal that have the same surroundings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// Where their signatures begin in the list of all; they end where those of
    /// the next run begin.
    pub(super) first: u32,
    /// That of the first one.
    pub(super) place: Option<Place>,
    /// What all of them know of the bytes around the literal, or of the start of the
    /// buffer.
    pub(super) near: Near,
    /// Whether all of them apply to every layer that they are looked for in.
    pub(super) everywhere: bool,
}

/// A run as numbers.
pub(super) type PackedRun = [u32; 8];

impl Run {
    pub(super) fn pack(self) -> PackedRun {
        let Near { before, after } = self.near;
        let (which, (min, max)) = self.place.map_or((0, (0, 0)), |place| {
            let which = 1
                | u32::from(place.second) << 1
                | u32::from(place.subsignature) << 8
                | u32::from(place.part) << 16;
            (which, place.before)
        });
        let which = which | u32::from(self.everywhere) << 2;
        [self.first, which, min, max, before.value, before.mask, after.value, after.mask]
    }

    pub(super) fn unpack([first, which, min, max, a, b, c, d]: PackedRun) -> Run {
        let place = Place {
            subsignature: (which >> 8) as u8, // these bits are its own
            second: which >> 1 & 1 == 1,
            part: (which >> 16) as u16, // the upper half
            before: (min, max),
        };
        let near = Near { before: Four { value: a, mask: b }, after: Four { value: c, mask: d } };
        let (place, everywhere) = ((which & 1 == 1).then_some(place), which >> 2 & 1 == 1);
        Run { first, place, near, everywhere }
    }

    /// Whether the literal of `len` bytes at `at` may stand in a match.
    pub(super) fn allows(&self, haystack: &[u8], at: usize, len: usize) -> bool {
        let Near { before, after } = self.near;
        if self.place.is_none() {
            return before.allows(haystack.first_chunk());
        }
        let bytes_before = at.checked_sub(4).and_then(|from| haystack.get(from..at)?.first_chunk());
        let bytes_after = haystack.get(at + len..).and_then(|rest| rest.first_chunk());
        before.allows(bytes_before) && after.allows(bytes_after)
    }
}

/// What is known of the four bytes before a literal and of the four behind it, a
/// look at which costs next to nothing. Of a literal whose place in its signature
/// is not told, the first ones are those at the start of the buffer.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Near {
    before: Four,
    after: Four,
}

/// Bits of four bytes that must be so.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
struct Four {
    value: u32,
    mask: u32,
}

impl Four {
    /// Four bytes, each with the bits of it that matter.
    fn of(bytes: [(u8, u8); 4]) -> Four {
        let value = bytes.map(|(byte, bits)| byte & bits);
        let mask = bytes.map(|(_, bits)| bits);
        Four { value: u32::from_le_bytes(value), mask: u32::from_le_bytes(mask) }
    }

    /// What both say.
    fn common(self, other: Four) -> Four {
        let mask = self.mask & other.mask & !(self.value ^ other.value);
        Four { value: self.value & mask, mask }
    }

    fn allows(self, bytes: Option<&[u8; 4]>) -> bool {
        // Where there are not as many bytes, others look.
        bytes.is_none_or(|&bytes| u32::from_le_bytes(bytes) & self.mask == self.value)
    }
}

impl Near {
    /// What stands around a literal in a pattern, in that part of it behind so many
    /// bytes.
    pub(crate) fn of(
        pattern: Pattern<'_>,
        (number, place): (usize, (u32, u32)),
        text: &[u8],
    ) -> Near {
        let Some(part) = pattern.parts().nth(number) else { return Near::default() };
        let mut elements = part.elements();
        let (mut before, mut passed) = ([(0, 0); 4], (0u32, 0u32));
        for element in elements.by_ref() {
            if passed == place && element == Element::Literal(text) {
                let (mut after, mut len) = ([(0, 0); 4], 0);
                // Behind a cut the end of the buffer may stand.
                while len < 4
                    && let Some(element) = elements.next()
                    && said(element, pattern.nocase(), &mut |byte| {
                        if let Some(place) = after.get_mut(len) {
                            *place = byte;
                        }
                        len += 1;
                    })
                {}
                return Near { before: Four::of(before), after: Four::of(after) };
            }
            let mut push = |byte| {
                before.rotate_left(1);
                before[3] = byte;
            };
            if !said(element, pattern.nocase(), &mut push) {
                before = [(0, 0); 4];
            }
            let (min, max) = verify::lengths(element);
            let add = |sum: u32, n: usize| sum.saturating_add(u32::try_from(n).unwrap_or(u32::MAX));
            passed = (add(passed.0, min), add(passed.1, max));
        }
        Near::default()
    }

    /// How a buffer begins in which one of these literals stands at its place; for
    /// each whether its case does not matter.
    pub(crate) fn at_start<'t>(literals: impl Iterator<Item = (u32, &'t [u8], bool)>) -> Near {
        let four = |(at, text, nocase): (u32, &[u8], bool)| {
            let mut bytes = [(0, 0); 4];
            for (place, &byte) in (at as usize..).zip(text) {
                let letter = nocase && byte.is_ascii_alphabetic();
                if let Some(known) = bytes.get_mut(place) {
                    *known = (byte, if letter { !0x20 } else { 0xff });
                }
            }
            Four::of(bytes)
        };
        let before = literals.map(four).reduce(Four::common).unwrap_or_default();
        Near { before, after: Four::default() }
    }
}

/// Tells what an element says of each of its bytes, of no more than four at either
/// end where it takes more; `false` if it may take more or fewer, or the end of the
/// buffer may take its place.
fn said(element: Element<'_>, nocase: bool, tell: &mut dyn FnMut((u8, u8))) -> bool {
    let common = |bytes: &mut dyn Iterator<Item = u8>| {
        let Some(first) = bytes.next() else { return (0, 0) };
        (first, bytes.fold(0xff, |mask, byte| mask & !(byte ^ first)))
    };
    match element {
        Element::Literal(text) => {
            let ends = text.len().min(4)..text.len().saturating_sub(4).max(4).min(text.len());
            for &byte in text[..ends.start].iter().chain(&text[ends.end..]) {
                let letter = nocase && byte.is_ascii_alphabetic();
                tell((byte, if letter { !0x20 } else { 0xff }));
            }
        }
        Element::Skip(count) => (0..count.min(4)).for_each(|_| tell((0, 0))),
        Element::High(value) => tell((value, 0xf0)),
        Element::Low(value) => tell((value, 0x0f)),
        Element::Set { bytes, negated: false } => tell(common(&mut bytes.iter().copied())),
        Element::Set { negated: true, .. } => tell((0, 0)),
        Element::Fixed(strings) => {
            let at =
                |at: usize| strings.strings().filter_map(move |string| string.get(at).copied());
            (0..strings.len).for_each(|place| match strings.negated {
                true => tell((0, 0)),
                false => tell(common(&mut at(place))),
            });
        }
        Element::Class { class: CharClass::Line, negated: false }
        | Element::Branches(_)
        | Element::Cut { .. } => return false,
        Element::Class { .. } => tell((0, 0)),
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use quahog_sig::body::{Rules, parse};

    /// Whether the bytes around `xyz` are let through, for a pattern with it.
    fn allows(pattern: &str, nocase: bool, haystack: &[u8]) -> bool {
        let mut code = Vec::new();
        let rules = Rules { nocase, ..Rules::default() };
        parse(pattern.as_bytes()).unwrap().compile(&rules, &mut code).unwrap();
        let part = Pattern::new(&code).parts().next().unwrap();
        let mut before = (0, 0);
        for element in part.elements().take_while(|&e| e != Element::Literal(b"xyz")) {
            let (min, max) = verify::lengths(element);
            before = (before.0 + min as u32, before.1 + max as u32);
        }
        let at = memchr::memmem::find(haystack, b"xyz").unwrap();
        let near = Near::of(Pattern::new(&code), (0, before), b"xyz");
        let place = Place { subsignature: 0, second: false, part: 0, before };
        Run { first: 0, place: Some(place), near, everywhere: true }.allows(haystack, at, 3)
    }

    #[test]
    fn the_bytes_beside_a_literal_rule_it_out() {
        let exact = |pattern: &str, haystack: &[u8]| allows(pattern, false, haystack);
        assert!(exact("6162??78797a??63", b"..ab.xyz.c.."));
        assert!(!exact("6162??78797a??63", b"..aB.xyz.c.."));
        assert!(!exact("6162??78797a??63", b"..ab.xyz.d.."));
        assert!(exact("(61|62)78797a6?", b"...bxyzo..."));
        assert!(!exact("(61|62)78797a6?", b"...qxyzo..."));
        assert!(!exact("(61|62)78797a6?", b"...bxyzp..."));
        assert!(exact("(6161|6262)!(63)78797a", b"..aacxyz....."), "a negation says nothing");
        assert!(!exact("(6161|6262)!(63)78797a", b"..aqcxyz....."));
        // Other lengths, other parts, and the ends of the buffer.
        assert!(exact("(6161|62)78797a{1-3}6364", b"....xyz...."));
        assert!(exact("6162??78797a??63", b".xyz..."));
        assert!(exact("6162??78797a??63", b"ab.xyz."));
    }

    #[test]
    fn the_start_of_the_buffer_rules_a_literal_out() {
        let allows = |literals: &[(u32, &'static [u8], bool)], haystack: &[u8]| {
            let near = Near::at_start(literals.iter().copied());
            Run { first: 0, place: None, near, everywhere: true }.allows(haystack, 20, 4)
        };
        assert!(allows(&[(0, b"PK", false)], b"PK\x03\x04"));
        assert!(!allows(&[(0, b"PK", false)], b"pk\x03\x04"));
        assert!(allows(&[(0, b"pk", true)], b"PK\x03\x04"));
        assert!(!allows(&[(2, b"PK..", false)], b"PK\x03\x04"));
        assert!(allows(&[(2, b"PK..", false)], b"..PK"));
        assert!(allows(&[(0, b"PK", false), (0, b"MZ", false)], b"MZ.."));
        assert!(!allows(&[(0, b"PK", false), (0, b"MZ", false)], b"<!DO"));
        assert!(allows(&[(4, b"PK", false)], b"MZ.."), "not in the first four bytes");
        assert!(allows(&[(0, b"PK", false)], b"MZ"), "others look at so short a buffer");
        assert!(allows(&[], b"MZ.."));
    }

    #[test]
    fn case_matters_only_where_it_should() {
        assert!(allows("61625b??78797a", true, b"..AB[.xyz...."));
        assert!(!allows("61625b??78797a", true, b"..AB{.xyz...."));
        assert!(!allows("61625b??78797a", false, b"..AB[.xyz...."));
    }
}
