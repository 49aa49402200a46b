//! From [`Body`] to [`Pattern`](super::Pattern): cut into parts, checked.

use super::pattern::{
    AnchorByte, FLAG_NOCASE, PART_GAP, PART_LEFT_BYTE, PART_LEFT_CLASS, PART_RIGHT_BYTE,
    PART_RIGHT_CLASS, Writer, write_plain, write_varint,
};
use super::{Body, CharClass, Gap, Item, ItemKind, WrittenGap, are_digits};
use crate::{Error, ErrorKind, Span};

/// What the signature around a pattern asks of it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rules {
    /// Letters match in either case (`::i`).
    pub nocase: bool,
    /// A modifier is present: every alternate counts as a generic one, which
    /// cannot be negated.
    pub generic_alternates: bool,
    /// `(W)` at the ends tests pairs (`::fw`).
    pub wide_words: bool,
    /// A pattern of exact bytes only needs three of them, not two.
    pub three_plain_bytes: bool,
    /// The targets whose prefilter wants two bytes before a long alternate
    /// (0, 1, 4 and 7).
    pub filtered: bool,
    /// A part may do without two adjacent exact bytes.
    pub short_parts: bool,
}

/// The most elements that a part may have.
const MAX_ELEMENTS: u32 = 65_535;

/// Gaps of fewer bytes than this are wildcards of the part around them.
const SPLITTING_GAP: u32 = 128;

impl Body {
    /// Whether only exact bytes are written.
    pub fn is_plain(&self) -> bool {
        self.items.iter().all(|item| matches!(item.kind, ItemKind::Literal(_)))
    }

    /// The number of exact bytes outside of alternates.
    pub fn n_exact(&self) -> usize {
        let len = |item: &Item| if let ItemKind::Literal(b) = &item.kind { b.len() } else { 0 };
        self.items.iter().map(len).sum()
    }

    /// Checks the pattern and appends its compact form to `out`.
    ///
    /// # Errors
    ///
    /// A part is empty, lacks two adjacent exact bytes, or breaks one of
    /// `rules`. Nothing is appended then.
    pub fn compile(&self, rules: &Rules, out: &mut Vec<u8>) -> Result<(), Error> {
        if rules.three_plain_bytes && self.is_plain() && self.n_exact() < 3 {
            return Err(Error::new(ErrorKind::PatternTooShort, self.span()));
        }
        let before = out.len();
        let written = self.write(rules, out);
        if written.is_err() {
            out.truncate(before);
        }
        written
    }

    fn write(&self, rules: &Rules, out: &mut Vec<u8>) -> Result<(), Error> {
        let units = expand(&self.items)?;
        out.push(if rules.nocase { FLAG_NOCASE } else { 0 });
        let gaps = units.iter().filter(|unit| matches!(unit.kind, UnitKind::Gap(_))).count();
        write_varint(out, u32::try_from(gaps + 1).unwrap_or(u32::MAX));
        // For the code of one part after the other.
        let mut writer = Writer::default();
        let mut start = 0;
        let mut gap = None;
        loop {
            let len = units[start..]
                .iter()
                .position(|unit| matches!(unit.kind, UnitKind::Gap(_)))
                .unwrap_or(units.len() - start);
            let at = units.get(start).map_or(self.span(), |unit| unit.span);
            let part = PartUnits { units: &units[start..start + len], at };
            part.write(gap, rules, &mut writer, out)?;
            let Some(unit) = units.get(start + len) else { break };
            if let UnitKind::Gap(next) = unit.kind {
                gap = Some(next);
            }
            start += len + 1;
        }
        Ok(())
    }

    fn span(&self) -> Span {
        let end = self.items.last().map_or(0, |item| item.span.end());
        Span::new(self.items.first().map_or(0, |item| item.span.start()), end)
    }
}

/// Compiles a pattern of pairs of digits and nothing else, which most are, without
/// a [`Body`]; gives how many bytes they are. `None` leaves it to
/// [`Body::compile`], which also knows what is wrong with it; nothing is appended
/// then.
pub(crate) fn compile_plain(text: &[u8], rules: &Rules, out: &mut Vec<u8>) -> Option<usize> {
    let (pairs, rest) = text.as_chunks();
    let fits = 3..=MAX_ELEMENTS as usize;
    if !rest.is_empty() || !fits.contains(&pairs.len()) || !are_digits(pairs) {
        return None;
    }
    write_plain(pairs, rules.nocase, out);
    Some(pairs.len())
}

/// An item after short gaps became wildcards.
struct Unit<'b> {
    kind: UnitKind<'b>,
    span: Span,
}

enum UnitKind<'b> {
    Alternate { negated: bool, branches: &'b [Vec<Item>] },
    Anchor { min: u8, max: u8 },
    Byte { value: u8, mask: u8 },
    Class { class: CharClass, negated: bool },
    Gap(Gap),
    Literal(&'b [u8]),
    Skip(u32),
}

impl Unit<'_> {
    /// The fewest bytes that it counts for where ClamAV asks whether a part
    /// fits; a class counts nothing there.
    fn min_len(&self) -> u32 {
        match &self.kind {
            UnitKind::Alternate { branches, .. } => lengths(branches).0,
            UnitKind::Class { .. } => 0,
            _ => self.elements(),
        }
    }

    /// How many elements it counts for.
    fn elements(&self) -> u32 {
        match self.kind {
            UnitKind::Literal(bytes) => length(bytes),
            UnitKind::Skip(n) => n,
            _ => 1,
        }
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// Turns short gaps into wildcards and long ones into the gaps they mean.
///
/// Expansion goes on as long as the first gap that is left is a short one: a
/// `{2}` after a true range splits the pattern (clamscan 1.4.6, `body.gap-040`).
fn expand(items: &[Item]) -> Result<Vec<Unit<'_>>, Error> {
    let mut expanding = true;
    let mut units = Vec::with_capacity(items.len());
    for item in items {
        let kind = match &item.kind {
            ItemKind::Anchor { min, max } => {
                // The parser lets at most 32 through.
                UnitKind::Anchor { min: *min as u8, max: *max as u8 }
            }
            ItemKind::Alternate { negated, branches } => {
                check_branches(branches, &mut expanding)?;
                UnitKind::Alternate { negated: *negated, branches }
            }
            ItemKind::Byte { value: _, mask: 0 } => UnitKind::Skip(1),
            ItemKind::Byte { value, mask } => UnitKind::Byte { value: *value, mask: *mask },
            ItemKind::Class { negated, class } => {
                UnitKind::Class { class: *class, negated: *negated }
            }
            ItemKind::Gap(written) => match short_gap(*written) {
                Some(count) if expanding => UnitKind::Skip(count),
                _ => {
                    expanding = false;
                    UnitKind::Gap(meaning(*written))
                }
            },
            ItemKind::Literal(bytes) => UnitKind::Literal(bytes),
            ItemKind::Star => UnitKind::Gap(Gap { min: 0, max: u32::MAX }),
        };
        // Neighbouring wildcards are one.
        match (units.last_mut(), kind) {
            (Some(Unit { kind: UnitKind::Skip(before), span }), UnitKind::Skip(count)) => {
                *before = before.saturating_add(count);
                *span = Span::new(span.start(), item.span.end());
            }
            (_, kind) => units.push(Unit { kind, span: item.span }),
        }
    }
    Ok(units)
}

/// The count of a `{n}` with 0 < n < 128.
fn short_gap(gap: WrittenGap) -> Option<u32> {
    gap.min.filter(|&n| !gap.dash && n > 0 && n < SPLITTING_GAP)
}

/// A largest distance of 0 means "none": `{0}`, `{-0}`, `{}` and `{-}` are all `*`.
fn meaning(gap: WrittenGap) -> Gap {
    let min = gap.min.unwrap_or(0);
    let max = if gap.dash { gap.max.unwrap_or(0) } else { min };
    Gap { min, max: if max == 0 { u32::MAX } else { max } }
}

/// Inside an alternate only `{n}` may stand, and only while it is a wildcard.
fn check_branches(branches: &[Vec<Item>], expanding: &mut bool) -> Result<(), Error> {
    for item in branches.iter().flatten() {
        match &item.kind {
            ItemKind::Gap(gap) if short_gap(*gap).is_none() || !*expanding => {
                return Err(Error::new(ErrorKind::HexDigit, item.span));
            }
            ItemKind::Alternate { branches, .. } => check_branches(branches, expanding)?,
            _ => {}
        }
    }
    Ok(())
}

/// The units of one part, anchors and outer tests still among them.
struct PartUnits<'u, 'b> {
    units: &'u [Unit<'b>],
    at: Span,
}

impl PartUnits<'_, '_> {
    fn error(&self, kind: ErrorKind) -> Error {
        let end = self.units.last().map_or(self.at.end(), |unit| unit.span.end());
        Error::new(kind, Span::new(self.at.start(), end))
    }

    /// Appends the part; its code is made in `writer`.
    fn write(
        &self,
        gap: Option<Gap>,
        rules: &Rules,
        writer: &mut Writer,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let (mut units, left_byte, right_byte) = self.anchors()?;
        let mut left_class = None;
        let mut right_class = None;
        let word = |class| match class {
            CharClass::Word if rules.wide_words => CharClass::WideWord,
            other => other,
        };
        // A leading `!(B)` is no test but an element, and consumes its byte
        // (clamscan 1.4.6).
        if let [Unit { kind: UnitKind::Class { class, negated: false }, .. }, rest @ ..] = units {
            left_class = Some(word(*class));
            units = rest;
        }
        if let [rest @ .., Unit { kind: UnitKind::Class { class, negated }, .. }] = units {
            right_class = Some((word(*class), *negated));
            units = rest;
        }
        self.check(units, rules)?;

        let mut flags = 0;
        let mut when = |present: bool, flag: u8| flags |= if present { flag } else { 0 };
        when(gap.is_some(), PART_GAP);
        when(left_byte.is_some(), PART_LEFT_BYTE);
        when(left_class.is_some(), PART_LEFT_CLASS);
        when(right_byte.is_some(), PART_RIGHT_BYTE);
        when(right_class.is_some(), PART_RIGHT_CLASS);
        out.push(flags);
        if let Some(gap) = gap {
            write_varint(out, gap.min);
            write_varint(out, gap.max);
        }
        let fold = |byte: AnchorByte| match byte.mask {
            0xff if rules.nocase => AnchorByte { value: byte.value.to_ascii_lowercase(), ..byte },
            _ => byte,
        };
        if let Some(byte) = left_byte {
            fold(byte).write(out);
        }
        if let Some(class) = left_class {
            out.push(class.code(false));
        }
        if let Some(byte) = right_byte {
            fold(byte).write(out);
        }
        if let Some((class, negated)) = right_class {
            out.push(class.code(negated));
        }
        writer.clear();
        let min_len = encode(units, rules, writer)?;
        write_varint(out, min_len);
        write_varint(out, u32::try_from(writer.code.len()).unwrap_or(u32::MAX));
        out.extend_from_slice(&writer.code);
        Ok(())
    }

    /// Takes the bytes tied to the part by `[n-m]` off its ends.
    #[allow(clippy::type_complexity)] // three values that belong to one line
    fn anchors(&self) -> Result<(&[Unit<'_>], Option<AnchorByte>, Option<AnchorByte>), Error> {
        let mut units = self.units;
        let tie = |byte: &Unit<'_>, range: &Unit<'_>| match (&byte.kind, &range.kind) {
            (UnitKind::Byte { value, mask }, UnitKind::Anchor { min, max }) => {
                Some(AnchorByte { value: *value, mask: *mask, min: *min, max: *max })
            }
            (UnitKind::Literal([value]), UnitKind::Anchor { min, max }) => {
                Some(AnchorByte { value: *value, mask: 0xff, min: *min, max: *max })
            }
            (UnitKind::Skip(1), UnitKind::Anchor { min, max }) => {
                Some(AnchorByte { value: 0, mask: 0, min: *min, max: *max })
            }
            _ => None,
        };
        let mut left = None;
        let mut right = None;
        if let [byte, range, rest @ ..] = units
            && let Some(anchor) = tie(byte, range)
        {
            left = Some(anchor);
            units = rest;
        }
        if let [rest @ .., range, byte] = units
            && let Some(anchor) = tie(byte, range)
        {
            right = Some(anchor);
            units = rest;
        }
        // An open low nibble makes ClamAV 1.4.6 forget the byte altogether.
        let tested = |anchor: &AnchorByte| anchor.mask & 0x0f != 0;
        let (left, right) = (left.filter(tested), right.filter(tested));
        match units.iter().find(|unit| matches!(unit.kind, UnitKind::Anchor { .. })) {
            Some(unit) => Err(Error::new(ErrorKind::AnchorMisplaced, unit.span)),
            None => Ok((units, left, right)),
        }
    }

    /// What a part must contain.
    fn check(&self, units: &[Unit<'_>], rules: &Rules) -> Result<(), Error> {
        let elements = units.iter().fold(0u32, |n, unit| n.saturating_add(unit.elements()));
        if elements > MAX_ELEMENTS {
            return Err(self.error(ErrorKind::PartTooLong));
        }
        if !rules.short_parts
            && !units.iter().any(|unit| matches!(unit.kind, UnitKind::Literal([_, _, ..])))
        {
            return Err(self.error(ErrorKind::PartTooShort));
        }
        if rules.filtered {
            let long = |unit: &&Unit<'_>| match &unit.kind {
                UnitKind::Alternate { branches, .. } => strings(branches, rules, 1).is_none(),
                UnitKind::Class { .. } => true,
                _ => false,
            };
            let (mut count, mut blind) = (0u32, true);
            for unit in units.iter().skip_while(long).take_while(|unit| !long(unit)) {
                count = count.saturating_add(unit.elements());
                blind &= matches!(unit.kind, UnitKind::Skip(_));
            }
            if count < 2 || blind {
                return Err(self.error(ErrorKind::FilterTooShort));
            }
        }
        Ok(())
    }
}

/// Encodes the elements of a part; gives its least length.
fn encode(units: &[Unit<'_>], rules: &Rules, writer: &mut Writer) -> Result<u32, Error> {
    let variable = |unit: &Unit<'_>| match &unit.kind {
        UnitKind::Class { .. } => true,
        UnitKind::Alternate { branches, .. } => {
            let (shortest, longest) = lengths(branches);
            shortest != longest
        }
        _ => false,
    };
    // Only a part that can be longer than its least length can be cut.
    let cut = units.iter().any(variable).then(|| search_run(units));
    let rest = |units: &[Unit<'_>]| units.iter().fold(0u32, |n, u| n.saturating_add(u.min_len()));
    let mut min_len = 0u32;
    for (at, unit) in units.iter().enumerate() {
        match &unit.kind {
            UnitKind::Literal(bytes) => match cut {
                Some((unit, end)) if unit == at => {
                    let (before, behind) = bytes.split_at(end.min(bytes.len()));
                    writer.literal(before, rules.nocase);
                    // What ends the part is not cut.
                    if !behind.is_empty() || at + 1 < units.len() {
                        writer.cut(rest(&units[at + 1..]).saturating_add(length(behind)));
                    }
                    writer.literal(behind, rules.nocase);
                }
                _ => writer.literal(bytes, rules.nocase),
            },
            UnitKind::Byte { value, mask } => writer.nibble(*value, *mask),
            UnitKind::Skip(count) => writer.skip(*count),
            UnitKind::Class { class, negated } => writer.class(*class, *negated),
            UnitKind::Alternate { negated, branches } => {
                let (len, _) = lengths(branches);
                match strings(branches, rules, len) {
                    Some(bytes) if len == 1 => writer.set(&bytes, *negated),
                    Some(bytes) => writer.fixed(&bytes, len, *negated),
                    None if *negated => {
                        return Err(Error::new(ErrorKind::AlternateNegated, unit.span));
                    }
                    None => writer.branches(&encode_branches(branches, rules)),
                }
            }
            // Taken off or split at before.
            UnitKind::Anchor { .. } | UnitKind::Gap(_) => {}
        }
        min_len = min_len.saturating_add(unit.min_len());
    }
    Ok(min_len)
}

/// The run of exact bytes that ClamAV searches a part by: the first of three
/// that are not all zero, else the first of three zeros, else the last of two
/// that are not both zero, else two zeros (observed on clamscan 1.4.6). Given
/// are the number of a unit and the place in its bytes behind the run.
///
/// It matters because the end of the buffer can cut a part only behind it.
fn search_run(units: &[Unit<'_>]) -> (usize, usize) {
    let literals = units.iter().enumerate().filter_map(|(at, unit)| match unit.kind {
        UnitKind::Literal(bytes) => Some((at, bytes)),
        _ => None,
    });
    // Where the runs of so many bytes end; those of zeros only if `zero`.
    let run = |len: usize, zero: bool| {
        literals.clone().flat_map(move |(at, bytes)| {
            let windows = bytes.windows(len).zip(len..);
            let fits = windows.filter(move |(run, _)| zero || run.iter().any(|&byte| byte != 0));
            fits.map(move |(_, end)| (at, end))
        })
    };
    run(3, false)
        .next()
        .or_else(|| run(3, true).next())
        .or_else(|| run(2, false).last())
        .or_else(|| run(2, true).next())
        .unwrap_or((units.len(), 0))
}

/// The branches as strings of one length, if that is what they are.
fn strings(branches: &[Vec<Item>], rules: &Rules, len: u32) -> Option<Vec<u8>> {
    // With a modifier every alternate is a generic one.
    if rules.generic_alternates {
        return None;
    }
    let mut bytes = Vec::new();
    for branch in branches {
        match branch.as_slice() {
            [] if len == 0 => {}
            [Item { kind: ItemKind::Literal(text), .. }] if length(text) == len => {
                bytes.extend_from_slice(text);
            }
            _ => return None,
        }
    }
    Some(bytes)
}

/// The shortest and the longest length of a branch.
fn lengths(branches: &[Vec<Item>]) -> (u32, u32) {
    let of = |branch: &Vec<Item>| {
        branch.iter().fold((0u32, 0u32), |(short, long), item| {
            let (s, l) = match &item.kind {
                ItemKind::Alternate { branches, .. } => lengths(branches),
                ItemKind::Gap(gap) => (gap.min.unwrap_or(0), gap.min.unwrap_or(0)),
                ItemKind::Literal(bytes) => (length(bytes), length(bytes)),
                _ => (1, 1),
            };
            (short.saturating_add(s), long.saturating_add(l))
        })
    };
    branches.iter().map(of).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or((0, 0))
}

fn encode_branches(branches: &[Vec<Item>], rules: &Rules) -> Vec<Vec<u8>> {
    let encode = |branch: &Vec<Item>| {
        let mut writer = Writer::default();
        for item in branch {
            match &item.kind {
                ItemKind::Byte { mask: 0, .. } => writer.skip(1),
                ItemKind::Byte { value, mask } => writer.nibble(*value, *mask),
                ItemKind::Gap(gap) => writer.skip(gap.min.unwrap_or(0)),
                ItemKind::Literal(bytes) => writer.literal(bytes, rules.nocase),
                ItemKind::Alternate { branches, .. } => {
                    writer.branches(&encode_branches(branches, rules));
                }
                // The parser puts nothing else into a branch.
                ItemKind::Anchor { .. } | ItemKind::Class { .. } | ItemKind::Star => {}
            }
        }
        writer.code
    };
    branches.iter().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Element, Pattern, parse};
    use super::*;

    fn compile(text: &str, rules: Rules) -> Result<Vec<u8>, &'static str> {
        let mut code = Vec::new();
        let body = parse(text.as_bytes()).map_err(|e| e.kind().code())?;
        body.compile(&rules, &mut code).map_err(|e| e.kind().code())?;
        Ok(code)
    }

    fn refused(text: &str, rules: Rules) -> &'static str {
        compile(text, rules).err().unwrap_or("accepted")
    }

    #[test]
    fn the_plain_way_leads_where_the_long_one_does() {
        let digits = "0aB1".repeat(200);
        for len in (0..=20).chain([254, 255, 256, 258, 510, 512, 514, 800]) {
            for nocase in [false, true] {
                for (three_plain_bytes, filtered) in [(false, false), (true, true)] {
                    let rules = Rules { nocase, three_plain_bytes, filtered, ..Rules::default() };
                    let mut plain = vec![7];
                    match compile_plain(&digits.as_bytes()[..len], &rules, &mut plain) {
                        Some(n) => {
                            assert_eq!(n, len / 2);
                            assert_eq!(compile(&digits[..len], rules).as_deref(), Ok(&plain[1..]));
                        }
                        None => assert!(plain == [7] && (len < 6 || len % 2 == 1), "{len}"),
                    }
                }
            }
        }
        let mut code = Vec::new();
        assert_eq!(compile_plain(b"61626?", &Rules::default(), &mut code), None);
        assert_eq!(compile_plain(&b"61".repeat(65_536), &Rules::default(), &mut code), None);
    }

    #[test]
    fn parts_are_cut_at_gaps_and_short_gaps_are_wildcards() {
        let code = compile("6162{2}63*6465{1-2}6667{-0}6869", Rules::default()).unwrap();
        let gaps: Vec<_> = Pattern::new(&code).parts().map(|p| (p.gap, p.min_len)).collect();
        let gap = |min, max| Some(Gap { min, max });
        assert_eq!(gaps, [(None, 5), (gap(0, u32::MAX), 2), (gap(1, 2), 2), (gap(0, u32::MAX), 2)]);
    }

    #[test]
    fn a_short_gap_after_a_range_splits() {
        assert_eq!(refused("6162{1-2}6364{2}65", Rules::default()), "part-too-short");
        assert_eq!(refused("6162{2}63{1-2}6566", Rules::default()), "accepted");
    }

    #[test]
    fn a_part_needs_two_adjacent_exact_bytes() {
        let plain = Rules::default();
        for text in
            ["61??62", "616?63", "(61|62)63", "(6162|6364)", "*6162", "6162**6364", "61", ""]
        {
            assert_eq!(refused(text, plain), "part-too-short", "{text}");
        }
        for text in ["61??6263", "??6162", "6162??", "6162"] {
            assert_eq!(refused(text, plain), "accepted", "{text}");
        }
        let three = Rules { three_plain_bytes: true, ..plain };
        assert_eq!(refused("6162", three), "pattern-too-short");
        assert_eq!(refused("6162??", three), "accepted");
    }

    #[test]
    fn filtered_targets_want_two_bytes_before_a_long_alternate() {
        let filtered = Rules { filtered: true, ..Rules::default() };
        assert_eq!(refused("78(62|6162)6364", filtered), "filter-too-short");
        assert_eq!(refused("????(6162|62)6364", filtered), "filter-too-short");
        assert_eq!(refused("(6162|62)6364", filtered), "accepted");
        assert_eq!(refused("78(62|63)6364", filtered), "accepted");
        assert_eq!(refused("78(62|6162)6364", Rules::default()), "accepted");
    }

    #[test]
    fn negation_needs_strings_of_one_length_and_no_modifier() {
        let plain = Rules::default();
        assert_eq!(refused("616263!(64|65)", plain), "accepted");
        assert_eq!(refused("616263!(6465|6566)", plain), "accepted");
        assert_eq!(refused("616263!(64|6566)", plain), "alternate-negated");
        let modified = Rules { generic_alternates: true, ..plain };
        assert_eq!(refused("616263!(64|65)", modified), "alternate-negated");
    }

    #[test]
    fn anchors_tie_one_byte_to_either_end() {
        let code = compile("64[1-2]616263[3]?4", Rules::default()).unwrap();
        let part = Pattern::new(&code).parts().next().unwrap();
        let byte = |value, mask, min, max| Some(AnchorByte { value, mask, min, max });
        assert_eq!(part.left_byte, byte(0x64, 0xff, 1, 2));
        assert_eq!(part.right_byte, byte(0x04, 0x0f, 3, 3));
        assert_eq!(refused("64[1-2]65[1-2]6162", Rules::default()), "anchor-misplaced");
        assert_eq!(refused("6262[3-6]6566", Rules::default()), "anchor-misplaced");
    }

    #[test]
    fn classes_at_the_ends_are_tests_and_inside_are_elements() {
        let code = compile("(B)(W)6162!(L)", Rules::default()).unwrap();
        let part = Pattern::new(&code).parts().next().unwrap();
        assert_eq!(part.left_class, Some(CharClass::Boundary));
        assert_eq!(part.right_class, Some((CharClass::Line, true)));
        let elements: Vec<_> = part.elements().collect();
        let class = Element::Class { class: CharClass::Word, negated: false };
        assert_eq!(elements, [class, Element::Literal(b"ab")]);
        assert_eq!(part.min_len, 2);
    }

    #[test]
    fn the_cut_stands_behind_the_run_that_is_searched_for() {
        let elements = |text| {
            let code = compile(text, Rules::default()).unwrap();
            let part = Pattern::new(&code).parts().next().unwrap();
            let cut = part.elements().take_while(|e| !matches!(e, Element::Cut { .. })).count();
            (cut, part.elements().count())
        };
        assert_eq!(elements("616263(64|656565)6667"), (1, 4));
        assert_eq!(elements("78(62|6162)6364"), (3, 3));
        assert_eq!(elements("78(62|6162)6364??"), (3, 5));
        assert_eq!(elements("61626364"), (1, 1));
    }
}
