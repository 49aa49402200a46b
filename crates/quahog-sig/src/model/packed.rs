//! Rows of the large tables, each kept as a few numbers.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::table::{Packed, Sections, Table};
use super::{Offset, Target};

/// A range of the code arena.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct CodeRange {
    start: u32,
    end: u32,
}

impl CodeRange {
    /// The same range of an arena that was appended at `by`.
    pub(crate) fn shifted(self, by: usize) -> CodeRange {
        CodeRange::new(self.start as usize + by, self.end as usize + by)
    }

    pub(crate) fn new(start: usize, end: usize) -> CodeRange {
        let cut = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        CodeRange { start: cut(start), end: cut(end) }
    }

    pub(crate) fn len(self) -> u32 {
        self.end.saturating_sub(self.start)
    }

    pub(crate) fn of(self, code: &[u8]) -> &[u8] {
        code.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct BodyRow {
    pub(crate) target: Target,
    pub(crate) offset: Offset,
    pub(crate) code: CodeRange,
    /// Exact bytes only, and searched first by ClamAV.
    pub(crate) is_static: bool,
}

impl Packed for BodyRow {
    type Words = [u32; 6];

    fn pack(&self) -> [u32; 6] {
        let [offset, a, b, shift] = self.offset.pack();
        let head = offset | u32::from(self.is_static) << 8 | u32::from(self.target.number()) << 16;
        [head, a, b, shift, self.code.start, self.code.end]
    }

    fn unpack(&[head, a, b, shift, start, end]: &[u32; 6]) -> BodyRow {
        BodyRow {
            target: Target::new(head >> 16).unwrap_or(Target::ANY),
            offset: Offset::unpack([head & 0xff, a, b, shift]),
            code: CodeRange { start, end },
            is_static: head >> 8 & 1 == 1,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct LogicalRow {
    pub(crate) block: u32,
    pub(crate) expression: CodeRange,
    pub(crate) first_sub: u32,
    pub(crate) n_subs: u8,
    pub(crate) runs_program: bool,
}

impl Packed for LogicalRow {
    type Words = [u32; 5];

    fn pack(&self) -> [u32; 5] {
        let last = u32::from(self.n_subs) | u32::from(self.runs_program) << 8;
        [self.block, self.expression.start, self.expression.end, self.first_sub, last]
    }

    fn unpack(&[block, start, end, first_sub, last]: &[u32; 5]) -> LogicalRow {
        LogicalRow {
            block,
            expression: CodeRange { start, end },
            first_sub,
            n_subs: (last as u8).min(MAX_SUBS), // the lower eight bits
            runs_program: last >> 8 & 1 == 1,
        }
    }
}

/// The most subsignatures of a signature.
const MAX_SUBS: u8 = 64;

#[derive(Clone, Debug)]
pub(crate) struct SubRow {
    pub(crate) offset: Offset,
    pub(crate) code: CodeRange,
    /// The plain form beside the wide one (`::wa`), or a regular expression
    /// whose trigger is `code`.
    pub(crate) second: Option<CodeRange>,
    pub(crate) kind: SubKind,
}

/// What a subsignature is; hex patterns are nearly all of them, and the others
/// keep what they have to say in the code arena.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SubKind {
    Hex,
    ByteCompare,
    FuzzyImage,
    Macro,
    Pcre { flags: u16, index: u32 },
}

impl SubKind {
    /// All that it says, as bytes.
    pub(crate) fn encode(self) -> [u8; 7] {
        let (tag, flags, index) = match self {
            SubKind::Hex => (0, 0, 0),
            SubKind::ByteCompare => (1, 0, 0),
            SubKind::FuzzyImage => (2, 0, 0),
            SubKind::Macro => (3, 0, 0),
            SubKind::Pcre { flags, index } => (4, flags, index),
        };
        let ([a, b], [c, d, e, f]) = (flags.to_le_bytes(), index.to_le_bytes());
        [tag, a, b, c, d, e, f]
    }
}

impl SubRow {
    /// What few rows have: an offset other than *anywhere*, a second range, the
    /// number and the flags of a regular expression.
    fn more(&self) -> Option<[u32; 7]> {
        let (flags, number) = match self.kind {
            SubKind::Pcre { flags, index } => (flags, index),
            _ => (0, 0),
        };
        if self.offset == Offset::ANY && self.second.is_none() && (flags, number) == (0, 0) {
            return None;
        }
        let [offset, a, b, shift] = self.offset.pack();
        let second = self.second.unwrap_or_default();
        let has_second = u32::from(self.second.is_some());
        let head = offset | has_second << 8 | u32::from(flags) << 16;
        Some([head, a, b, shift, second.start, second.end, number])
    }
}

/// The subsignatures of logical signatures.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subs {
    /// Kind and number of the row's [`SubRow::more`], counted from 1; start and
    /// end of the code.
    rows: Table<[u32; 3]>,
    more: Table<[u32; 7]>,
}

const SUB_KIND_SHIFT: u32 = 29;

impl Subs {
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn push(&mut self, row: &SubRow) {
        let kind = match row.kind {
            SubKind::Hex => 0,
            SubKind::ByteCompare => 1,
            SubKind::FuzzyImage => 2,
            SubKind::Macro => 3,
            SubKind::Pcre { .. } => 4u32,
        };
        let mut more = 0;
        if let Some(words) = row.more() {
            self.more.to_mut().push(words);
            // A set is full long before there are 2^29.
            more = self.more.len() as u32;
        }
        self.rows.to_mut().push([kind << SUB_KIND_SHIFT | more, row.code.start, row.code.end]);
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        let cut = self.rows.get(len..).unwrap_or_default().iter();
        let first = cut.filter_map(|row| Subs::more_of(row[0])).min();
        if let Some(first) = first {
            self.more.to_mut().truncate(first);
        }
        self.rows.to_mut().truncate(len);
    }

    /// Gives expressions of the same text and flags, which lie in `code`, the same
    /// number; gives how many there are.
    pub(crate) fn number_pcres(&mut self, code: &[u8]) -> u32 {
        let is_pcre = |row: &&[u32; 3]| row[0] >> SUB_KIND_SHIFT == 4;
        let more: Vec<usize> =
            self.rows.iter().filter(is_pcre).filter_map(|row| Subs::more_of(row[0])).collect();
        let mut numbers = HashMap::new();
        for at in more {
            let Some(words) = self.more.to_mut().get_mut(at) else { continue };
            let [form, _, _, _, start, end, number] = words;
            let text = code.get(*start as usize..*end as usize).unwrap_or_default();
            let next = numbers.len() as u32; // fewer than there are subsignatures
            *number = *numbers.entry((text, *form >> 16)).or_insert(next);
        }
        numbers.len() as u32
    }

    /// Where in `more` the rest of a row is.
    fn more_of(head: u32) -> Option<usize> {
        (head & ((1 << SUB_KIND_SHIFT) - 1)).checked_sub(1).map(|at| at as usize)
    }

    pub(crate) fn get(&self, at: usize) -> Option<SubRow> {
        let &[head, start, end] = self.rows.get(at)?;
        let none = [0; 7];
        let more = Subs::more_of(head).and_then(|at| self.more.get(at)).unwrap_or(&none);
        let &[form, a, b, shift, second_start, second_end, index] = more;
        let kind = match head >> SUB_KIND_SHIFT {
            1 => SubKind::ByteCompare,
            2 => SubKind::FuzzyImage,
            3 => SubKind::Macro,
            4 => SubKind::Pcre { flags: (form >> 16) as u16, index }, // the upper half
            _ => SubKind::Hex,
        };
        let second = CodeRange { start: second_start, end: second_end };
        Some(SubRow {
            offset: Offset::unpack([form & 0xff, a, b, shift]),
            code: CodeRange { start, end },
            second: (form >> 8 & 1 == 1).then_some(second),
            kind,
        })
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = SubRow> {
        let none = SubRow {
            offset: Offset::ANY,
            code: CodeRange::default(),
            second: None,
            kind: SubKind::Hex,
        };
        (0..self.len()).map(move |at| self.get(at).unwrap_or_else(|| none.clone()))
    }

    pub(crate) fn seal(&mut self) {
        self.rows.seal();
        self.more.seal();
    }

    pub(crate) fn sections<S: Sections>(&mut self, s: &mut S) -> Result<(), S::Error> {
        s.table(&mut self.rows)?;
        s.table(&mut self.more)
    }
}
