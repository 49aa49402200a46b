//! The compact form of a pattern: bytes that a matcher walks.
//!
//! One encoding serves the signature set, the engine's tables and the image
//! file, so a pattern is encoded once and never again. Every reader here takes
//! any bytes at all: what is cut or senseless ends the iteration.
//!
//! ```text
//! pattern = flags varint(parts) part*
//! part    = flags [gap] [left] [right] varint(min-length) varint(code-length) code
//! gap     = varint(min) varint(max)              ; not before the first part
//! code    = op*
//! ```

/// A character class.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CharClass {
    /// `(B)`: what may stand around a word in a URL or a path.
    Boundary,
    /// `(L)`: an end of line.
    Line,
    /// `(W)`: no letter and no digit.
    Word,
    /// `(W)` at an end of a wide pattern: the pair is not (letter or digit, NUL).
    WideWord,
}

impl CharClass {
    /// The class of a letter in a pattern.
    pub fn from_letter(letter: u8) -> Option<CharClass> {
        match letter {
            b'B' => Some(CharClass::Boundary),
            b'L' => Some(CharClass::Line),
            b'W' => Some(CharClass::Word),
            _ => None,
        }
    }

    /// The letter that stands for it in a pattern.
    pub fn letter(self) -> char {
        match self {
            CharClass::Boundary => 'B',
            CharClass::Line => 'L',
            CharClass::Word | CharClass::WideWord => 'W',
        }
    }

    pub(super) fn code(self, negated: bool) -> u8 {
        self as u8 | u8::from(negated) << 7
    }

    fn from_code(code: u8) -> Option<CharClass> {
        match code & 0x7f {
            0 => Some(CharClass::Boundary),
            1 => Some(CharClass::Line),
            2 => Some(CharClass::Word),
            3 => Some(CharClass::WideWord),
            _ => None,
        }
    }
}

/// The distance from the end of one part to the start of the next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Gap {
    /// The smallest distance.
    pub min: u32,
    /// The largest distance; `u32::MAX` is none.
    pub max: u32,
}

/// A byte at a distance of `min` to `max` bytes from a part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AnchorByte {
    /// The bits that are given.
    pub value: u8,
    /// Which bits are given.
    pub mask: u8,
    /// The fewest bytes between it and the part.
    pub min: u8,
    /// The most bytes between it and the part.
    pub max: u8,
}

impl AnchorByte {
    pub(super) fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.value, self.mask, self.min, self.max]);
    }
}

pub(super) const FLAG_NOCASE: u8 = 1;
pub(super) const PART_GAP: u8 = 1;
pub(super) const PART_LEFT_BYTE: u8 = 2;
pub(super) const PART_LEFT_CLASS: u8 = 4;
pub(super) const PART_RIGHT_BYTE: u8 = 8;
pub(super) const PART_RIGHT_CLASS: u8 = 16;

/// Ops below this value are literals of `op + 1` bytes.
const OP_SKIP: u8 = 0x80;
const OP_HIGH: u8 = 0x81;
const OP_LOW: u8 = 0x82;
const OP_CLASS: u8 = 0x83;
const OP_SET: u8 = 0x84;
const OP_FIXED: u8 = 0x85;
const OP_BRANCHES: u8 = 0x86;
const OP_CUT: u8 = 0x87;

/// A body pattern in compact form.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pattern<'c> {
    code: &'c [u8],
}

impl<'c> Pattern<'c> {
    /// Reads a pattern; `code` should come from [`Body::compile`](super::Body::compile).
    pub fn new(code: &'c [u8]) -> Pattern<'c> {
        Pattern { code }
    }

    /// The encoded bytes.
    pub fn code(self) -> &'c [u8] {
        self.code
    }

    /// Whether letters match in either case. Its literals are in lower case then.
    pub fn nocase(self) -> bool {
        self.code.first().is_some_and(|flags| flags & FLAG_NOCASE != 0)
    }

    /// The first parts of this pattern as a pattern of its own, in compact form.
    pub fn prefix(self, n_parts: u32) -> Vec<u8> {
        let rest = self.code.get(1..).unwrap_or_default();
        let mut reader = Reader { code: rest };
        let count = reader.varint().unwrap_or(0).min(n_parts);
        let start = rest.len() - reader.code.len();
        for _ in 0..count {
            reader.part();
        }
        let end = rest.len() - reader.code.len();
        let mut code = vec![self.code.first().copied().unwrap_or(0)];
        write_varint(&mut code, count);
        code.extend_from_slice(&rest[start..end]);
        code
    }

    /// The parts, in order.
    pub fn parts(self) -> Parts<'c> {
        let mut reader = Reader { code: self.code.get(1..).unwrap_or_default() };
        let left = reader.varint().unwrap_or(0);
        Parts { reader, left }
    }
}

/// The parts of a pattern.
#[derive(Clone, Debug)]
pub struct Parts<'c> {
    reader: Reader<'c>,
    left: u32,
}

impl ExactSizeIterator for Parts<'_> {}

impl<'c> Iterator for Parts<'c> {
    type Item = Part<'c>;

    fn next(&mut self) -> Option<Part<'c>> {
        self.left = self.left.checked_sub(1)?;
        let part = self.reader.part();
        if part.is_none() {
            self.left = 0;
        }
        part
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

/// A run of elements without a gap.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Part<'c> {
    /// The distance from the part before; `None` for the first.
    pub gap: Option<Gap>,
    /// The byte that must stand somewhat before it.
    pub left_byte: Option<AnchorByte>,
    /// The class that must stand right before it.
    pub left_class: Option<CharClass>,
    /// The byte that must stand somewhat after it.
    pub right_byte: Option<AnchorByte>,
    /// The class that must stand right after it, and whether it is negated.
    pub right_class: Option<(CharClass, bool)>,
    /// The smallest number of bytes; inner classes count nothing.
    pub min_len: u32,
    code: &'c [u8],
}

impl<'c> Part<'c> {
    /// Its elements, in order.
    pub fn elements(self) -> Elements<'c> {
        Elements { reader: Reader { code: self.code }, depth: 0 }
    }
}

/// What a part is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Element<'c> {
    /// Branches of different lengths, or with wildcards in them.
    Branches(Branches<'c>),
    /// One byte of a class, or the two of CR LF.
    Class {
        /// Which one.
        class: CharClass,
        /// Whether the byte must not be in it.
        negated: bool,
    },
    /// Takes nothing. From here on the end of the buffer may end the part ("cut
    /// tail"), provided that this many bytes are left.
    Cut {
        /// The least length of what follows.
        rest: u32,
    },
    /// Strings of one length, one of which must (or, negated, must not) stand here.
    Fixed(Alternate<'c>),
    /// A byte with this high nibble (in the upper four bits).
    High(u8),
    /// Exactly these bytes.
    Literal(&'c [u8]),
    /// A byte with this low nibble.
    Low(u8),
    /// One of (or, negated, none of) these bytes.
    Set {
        /// The bytes.
        bytes: &'c [u8],
        /// Whether the byte must not be among them.
        negated: bool,
    },
    /// Any bytes, as many as this.
    Skip(u32),
}

/// Strings of one length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Alternate<'c> {
    /// Whether none of the strings may stand here.
    pub negated: bool,
    /// The length of each.
    pub len: usize,
    strings: &'c [u8],
}

impl<'c> Alternate<'c> {
    /// The strings.
    pub fn strings(self) -> impl Iterator<Item = &'c [u8]> {
        self.strings.chunks_exact(self.len.max(1))
    }
}

/// Branches, each a list of elements.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Branches<'c> {
    code: &'c [u8],
    depth: u8,
}

impl<'c> Branches<'c> {
    /// How long the branches are together, about: what it takes to try all.
    // Not a collection: there is no empty one.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(self) -> u64 {
        self.code.len() as u64
    }

    /// The branches, in written order; an empty one matches no bytes.
    pub fn iter(self) -> impl Iterator<Item = Elements<'c>> {
        let mut reader = Reader { code: self.code };
        std::iter::from_fn(move || {
            let len = reader.varint()?;
            let reader = Reader { code: reader.take(len as usize)? };
            Some(Elements { reader, depth: self.depth.saturating_add(1) })
        })
    }
}

/// The elements of a part or a branch.
#[derive(Clone, Debug)]
pub struct Elements<'c> {
    reader: Reader<'c>,
    /// How many branches they lie in.
    depth: u8,
}

/// Branches nest at most this deep: what lies deeper is not read.
const MAX_NESTING: u8 = 16;

impl<'c> Iterator for Elements<'c> {
    type Item = Element<'c>;

    fn next(&mut self) -> Option<Element<'c>> {
        match self.reader.element()? {
            Element::Branches(_) if self.depth > MAX_NESTING => None,
            Element::Branches(branches) => {
                Some(Element::Branches(Branches { depth: self.depth, ..branches }))
            }
            element => Some(element),
        }
    }
}

#[derive(Clone, Debug)]
struct Reader<'c> {
    code: &'c [u8],
}

impl<'c> Reader<'c> {
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.code.split_first()?;
        self.code = rest;
        Some(byte)
    }

    fn take(&mut self, len: usize) -> Option<&'c [u8]> {
        let (taken, rest) = self.code.split_at_checked(len)?;
        self.code = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u32> {
        let mut value = 0u32;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= u32::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn anchor(&mut self) -> Option<AnchorByte> {
        let &[value, mask, min, max] = self.take(4)? else { return None };
        Some(AnchorByte { value, mask, min, max })
    }

    fn part(&mut self) -> Option<Part<'c>> {
        let flags = self.byte()?;
        let when = |flag: u8| flags & flag != 0;
        let gap = when(PART_GAP)
            .then(|| Some(Gap { min: self.varint()?, max: self.varint()? }))
            .map_or(Some(None), |gap| gap.map(Some))?;
        let left_byte = if when(PART_LEFT_BYTE) { Some(self.anchor()?) } else { None };
        let left_class =
            if when(PART_LEFT_CLASS) { Some(CharClass::from_code(self.byte()?)?) } else { None };
        let right_byte = if when(PART_RIGHT_BYTE) { Some(self.anchor()?) } else { None };
        let right_class = if when(PART_RIGHT_CLASS) {
            let code = self.byte()?;
            Some((CharClass::from_code(code)?, code & 0x80 != 0))
        } else {
            None
        };
        let min_len = self.varint()?;
        let len = self.varint()?;
        let code = self.take(len as usize)?;
        Some(Part { gap, left_byte, left_class, right_byte, right_class, min_len, code })
    }

    fn element(&mut self) -> Option<Element<'c>> {
        let op = self.byte()?;
        Some(match op {
            0..OP_SKIP => Element::Literal(self.take(usize::from(op) + 1)?),
            OP_SKIP => Element::Skip(self.varint()?),
            OP_HIGH => Element::High(self.byte()?),
            OP_LOW => Element::Low(self.byte()?),
            OP_CLASS => {
                let code = self.byte()?;
                Element::Class { class: CharClass::from_code(code)?, negated: code & 0x80 != 0 }
            }
            OP_SET => {
                let negated = self.byte()? != 0;
                let len = self.varint()?;
                Element::Set { bytes: self.take(len as usize)?, negated }
            }
            OP_FIXED => {
                let negated = self.byte()? != 0;
                let len = self.varint()? as usize;
                let total = self.varint()? as usize;
                Element::Fixed(Alternate { negated, len, strings: self.take(total)? })
            }
            OP_BRANCHES => {
                let len = self.varint()?;
                Element::Branches(Branches { code: self.take(len as usize)?, depth: 0 })
            }
            OP_CUT => Element::Cut { rest: self.varint()? },
            _ => return None,
        })
    }
}

/// Writes the compact form.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) code: Vec<u8>,
    /// Where the literal that is being written began, if one is.
    literal: Option<usize>,
}

impl Writer {
    /// Begins anew.
    pub(super) fn clear(&mut self) {
        self.code.clear();
        self.literal = None;
    }

    fn varint(&mut self, value: u32) {
        write_varint(&mut self.code, value);
    }

    /// Writes bytes, in lower case if case does not matter.
    pub(super) fn literal(&mut self, mut bytes: &[u8], nocase: bool) {
        while !bytes.is_empty() {
            // An op below OP_SKIP is a literal of so many bytes and one more;
            // the open one may grow.
            let at = self.literal.filter(|&at| self.code[at] < OP_SKIP - 1);
            let (at, room) = match at {
                Some(at) => (at, OP_SKIP - 1 - self.code[at]),
                None => {
                    self.code.push(0);
                    (self.code.len() - 1, OP_SKIP)
                }
            };
            let (now, later) = bytes.split_at(bytes.len().min(usize::from(room)));
            let start = self.code.len();
            self.code.extend_from_slice(now);
            if nocase {
                self.code[start..].make_ascii_lowercase();
            }
            self.code[at] = (self.code.len() - at - 2) as u8; // below OP_SKIP
            self.literal = Some(at);
            bytes = later;
        }
    }

    fn op(&mut self, op: u8) {
        self.literal = None;
        self.code.push(op);
    }

    pub(super) fn skip(&mut self, count: u32) {
        self.op(OP_SKIP);
        self.varint(count);
    }

    pub(super) fn nibble(&mut self, value: u8, mask: u8) {
        self.op(if mask == 0xf0 { OP_HIGH } else { OP_LOW });
        self.code.push(value);
    }

    pub(super) fn class(&mut self, class: CharClass, negated: bool) {
        self.op(OP_CLASS);
        self.code.push(class.code(negated));
    }

    pub(super) fn set(&mut self, bytes: &[u8], negated: bool) {
        self.op(OP_SET);
        self.code.push(u8::from(negated));
        self.varint(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.code.extend_from_slice(bytes);
    }

    pub(super) fn fixed(&mut self, strings: &[u8], len: u32, negated: bool) {
        self.op(OP_FIXED);
        self.code.push(u8::from(negated));
        self.varint(len);
        self.varint(u32::try_from(strings.len()).unwrap_or(u32::MAX));
        self.code.extend_from_slice(strings);
    }

    pub(super) fn branches(&mut self, branches: &[Vec<u8>]) {
        let mut inner = Vec::new();
        for branch in branches {
            write_varint(&mut inner, u32::try_from(branch.len()).unwrap_or(u32::MAX));
            inner.extend_from_slice(branch);
        }
        self.op(OP_BRANCHES);
        self.varint(u32::try_from(inner.len()).unwrap_or(u32::MAX));
        self.code.extend_from_slice(&inner);
    }

    pub(super) fn cut(&mut self, rest: u32) {
        self.op(OP_CUT);
        self.varint(rest);
    }
}

/// Appends a pattern of one part, which is the bytes that these pairs of digits
/// write.
pub(super) fn write_plain(pairs: &[[u8; 2]], nocase: bool, out: &mut Vec<u8>) {
    let most = usize::from(OP_SKIP);
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let n_ops = pairs.len().div_ceil(most);
    out.reserve(pairs.len() + n_ops + 16);
    out.extend_from_slice(&[if nocase { FLAG_NOCASE } else { 0 }, 1, 0]);
    write_varint(out, number(pairs.len()));
    write_varint(out, number(pairs.len() + n_ops));
    for pairs in pairs.chunks(most) {
        out.push((pairs.len() - 1) as u8); // below OP_SKIP
        let start = out.len();
        out.extend(pairs.iter().map(|&pair| super::pair_value(pair)));
        if nocase {
            out[start..].make_ascii_lowercase();
        }
    }
}

/// Appends a number, seven bits a byte, low ones first.
pub(crate) fn write_varint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        // Cut on purpose: seven bits at a time.
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_can_be_read() {
        // Every short byte string, and longer ones from a simple generator.
        let mut seed = 1u32;
        for len in 0..40 {
            for _ in 0..500 {
                let code: Vec<u8> = (0..len)
                    .map(|_| {
                        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        (seed >> 24) as u8
                    })
                    .collect();
                let mut seen = 0usize;
                for part in Pattern::new(&code).parts() {
                    for element in part.elements() {
                        seen += 1;
                        if let Element::Branches(branches) = element {
                            seen += branches.iter().map(Iterator::count).sum::<usize>();
                        }
                    }
                }
                assert!(seen <= 2 * code.len());
            }
        }
    }

    #[test]
    fn literals_longer_than_an_op_are_split() {
        let mut writer = Writer::default();
        (0..300).for_each(|n| writer.literal(&[(n % 251) as u8], false));
        let lens: Vec<usize> = Elements { reader: Reader { code: &writer.code }, depth: 0 }
            .map(|e| if let Element::Literal(l) = e { l.len() } else { 0 })
            .collect();
        assert_eq!(lens, [128, 128, 44]);
    }
}
