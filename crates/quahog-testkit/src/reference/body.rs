//! Body patterns: from the hex text to the places where it matches.
//!
//! `parse` reads one pattern the way section 2 of the specification tells it,
//! `search` lists where it matches. Both are meant to be compared with that
//! section line by line; speed is no aim, except that the positions reached
//! after each element are kept as a *set*, so overlapping branches cost their
//! positions and not their combinations.
//!
//! # Ideal semantics
//!
//! A part matches at a start if *some* choice of branches fits, every end of
//! every occurrence is remembered for the next gap, and there are no windows.
//! An unsplit pattern counts once for each start, a split one once for each
//! start of its last part that completes a chain. Offsets bind the start of
//! the first part: its first element, a leading negated class included, left
//! tests and anchored bytes not.
//!
//! Odd meanings that are kept, because signatures were tried on them:
//!
//! * **Zero means no maximum.** `{0}`, `{}`, `{-}`, `{-0}`, `{0-0}` and
//!   `{5-0}` have no upper bound.
//! * **A leading negated class consumes a byte**, and so does a second class
//!   beside the first.
//! * **An anchored byte whose low nibble is open is not tested at all**:
//!   `4?[1-1]6162` and `??[1-1]6162` match wherever `6162` does, even at the
//!   start of the file; `?4[1-1]6162` is tested. Gaps are counted from part to
//!   part as if anchored bytes were not there.
//! * **The cut tail.** A part is searched for by its *starting run*: its first
//!   run of three exact bytes that are not all zero; else the first three zero
//!   bytes; else the last run of two that are not both zero; else two zero
//!   bytes. To the right of that run the part counts as matched when the
//!   haystack ends between two elements, provided the minimum length counted
//!   from the start of the run fits (shortest branches, classes count 0). The
//!   haystack may not end within a branch, but it may within a negated
//!   alternate of several bytes. After a cut, the class on the right sees the
//!   end of the file, and an anchored byte on the right fails. What stands to
//!   the left of the run, and the run itself, has to be there in full, with
//!   any choice of branches.
//! * **Words under `w`.** A `(W)` at either end of a part, written by hand or
//!   by `f`, looks at pairs: a letter or digit followed by a zero byte. A
//!   letter alone at the very end of the file counts as such a pair. Other
//!   classes, and those within a part, look at bytes.
//! * **Nibbles under `i`** look at the byte as it is; only exact bytes fold.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::{Reason, number};

/// A body pattern: parts, and the gaps between them.
#[derive(Clone, Debug)]
pub struct Body {
    first: Part,
    rest: Vec<(Gap, Part)>,
    nocase: bool,
}

/// Modifiers of a hex subsignature, as far as they change a pattern.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Modifiers {
    /// Letters match in either case.
    pub(super) nocase: bool,
    /// The pattern was written one zero byte apart: word tests look at pairs.
    pub(super) wide: bool,
    /// Some modifier was given, so every alternate is generic.
    pub(super) any: bool,
}

/// What the database asks of a pattern besides its own syntax (2.3).
#[derive(Clone, Copy, Debug)]
pub(super) struct Demands {
    /// A pattern of exact bytes only needs three of them.
    pub(super) three_exact: bool,
    /// Targets 0, 1, 4 and 7: something to filter by before a long alternate.
    pub(super) filter: bool,
}

/// Bytes between two parts; no maximum if `max` is `None`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Gap {
    min: usize,
    max: Option<usize>,
}

#[derive(Clone, Debug)]
struct Part {
    left_anchor: Option<Anchor>,
    left_class: Option<Class>,
    elements: Vec<Element>,
    right_class: Option<Class>,
    right_anchor: Option<Anchor>,
    /// Where the search starts: the elements that have to be found in full
    /// before a tail may be cut.
    run: Range<usize>,
    /// Word tests look at pairs of bytes.
    wide: bool,
}

/// One byte at a distance from the part.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    byte: Byte,
    min: usize,
    max: usize,
}

#[derive(Clone, Debug)]
enum Element {
    Byte(Byte),
    Alternate(Alternate),
    Class(Class),
}

/// A byte of which some bits are given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Byte {
    mask: u8,
    value: u8,
}

#[derive(Clone, Debug)]
struct Alternate {
    negated: bool,
    branches: Vec<Branch>,
    kind: Kind,
}

type Branch = Vec<Piece>;

/// A piece of a branch.
#[derive(Clone, Debug)]
enum Piece {
    Byte(Byte),
    Nested(Vec<Branch>),
}

/// How an alternate counts where patterns are judged (2.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// Every branch is one exact byte.
    Single,
    /// Every branch has this many exact bytes, two or more.
    Fixed(usize),
    /// Anything else.
    Generic,
}

#[derive(Clone, Copy, Debug)]
struct Class {
    letter: Letter,
    negated: bool,
}

#[derive(Clone, Copy, Debug)]
enum Letter {
    Boundary,
    Line,
    Word,
}

/// One counted occurrence of a pattern.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Occurrence {
    /// Where the first part of the widest chain starts.
    pub(super) start: usize,
    /// The nearest end of the last part.
    pub(super) end: usize,
}

impl Body {
    /// Parses a pattern.
    pub(super) fn parse(
        text: &str,
        modifiers: Modifiers,
        demands: Demands,
    ) -> Result<Body, Reason> {
        if !text.is_ascii() {
            return Err("not a hex digit");
        }
        let exact_only = !text.contains(['?', '(', '[', '{', '*']);
        if demands.three_exact && exact_only && text.len() < 6 {
            return Err("fewer than three exact bytes");
        }
        let text = expand_first_gaps(&plain_brackets(text))?;
        let mut parts = Vec::new();
        for (gap, part) in split(&text)? {
            let part = Part::parse(part, modifiers)?;
            part.check(demands)?;
            parts.push((gap, part));
        }
        let mut parts = parts.into_iter();
        let Some((_, first)) = parts.next() else { return Err("empty pattern") };
        Ok(Body { first, rest: parts.collect(), nocase: modifiers.nocase })
    }

    /// Whether the pattern has two or more parts.
    pub(super) fn is_split(&self) -> bool {
        !self.rest.is_empty()
    }

    /// Whether clamscan may miss what is found here, because it
    ///
    /// * reads what stands to the left of a starting run backwards, and takes
    ///   the first branch of a generic alternate that fits (a class there also
    ///   counts nothing in a first look at the offset);
    /// * remembers one end of a part for the next gap, though branches of
    ///   different length give several.
    pub(super) fn clamscan_may_lose(&self) -> bool {
        let generic = |element: &Element| matches!(element, Element::Alternate(alternate) if alternate.kind == Kind::Generic);
        let class = |element: &Element| matches!(element, Element::Class(_));
        let parts: Vec<&Part> =
            std::iter::once(&self.first).chain(self.rest.iter().map(|(_, part)| part)).collect();
        parts.iter().enumerate().any(|(index, part)| {
            let left = &part.elements[..part.run.start];
            left.iter().any(|element| generic(element) || class(element))
                || (index + 1 < parts.len() && part.elements.iter().any(generic))
        })
    }

    /// The counted occurrences whose first part starts at an accepted offset.
    ///
    /// An unsplit pattern counts once for each start. A split pattern counts
    /// once for each start of its *last* part that completes a chain (4.3).
    pub(super) fn search(
        &self,
        haystack: &[u8],
        accepts: impl Fn(usize) -> bool,
    ) -> Vec<Occurrence> {
        // Ends of the part before, each with the first start that leads to it.
        let mut reached = BTreeMap::new();
        let mut found = Vec::new();
        for start in 0..=haystack.len() {
            if !accepts(start) {
                continue;
            }
            found.extend(note(&mut reached, start, &self.first.ends(haystack, start, self.nocase)));
        }
        for (gap, part) in &self.rest {
            let before = Ends::new(std::mem::take(&mut reached));
            found.clear();
            for at in 0..=haystack.len() {
                // The cheap question first: most places have no chain before.
                let Some(start) = before.first_start(at, *gap) else { continue };
                let ends = part.ends(haystack, at, self.nocase);
                found.extend(note(&mut reached, start, &ends));
            }
        }
        found
    }
}

/// Remembers the ends of an occurrence and makes its record.
fn note(
    reached: &mut BTreeMap<usize, usize>,
    start: usize,
    ends: &BTreeSet<usize>,
) -> Option<Occurrence> {
    for &end in ends {
        let first = reached.entry(end).or_insert(start);
        *first = start.min(*first);
    }
    ends.first().map(|&end| Occurrence { start, end })
}

/// Ends of all occurrences of a part, ready for "which of them fit this gap".
struct Ends {
    ends: BTreeMap<usize, usize>,
    /// For each end, the smallest first start among it and all before.
    smallest: BTreeMap<usize, usize>,
}

impl Ends {
    fn new(ends: BTreeMap<usize, usize>) -> Ends {
        let mut smallest = BTreeMap::new();
        let mut so_far = usize::MAX;
        for (&end, &start) in &ends {
            so_far = so_far.min(start);
            smallest.insert(end, so_far);
        }
        Ends { ends, smallest }
    }

    /// The smallest first start of a chain that lets the next part start `at`.
    fn first_start(&self, at: usize, gap: Gap) -> Option<usize> {
        let last = at.checked_sub(gap.min)?;
        match gap.max {
            None => self.smallest.range(..=last).next_back().map(|(_, &start)| start),
            Some(max) => {
                let first = at.saturating_sub(max);
                if first > last {
                    return None; // `{4-2}` can be written and never matches
                }
                self.ends.range(first..=last).map(|(_, &start)| start).min()
            }
        }
    }
}

/// Step 1 of 2.2: while the first `{…}` is `{n}` with 0 < n < 128, it stands
/// for n times `??`.
fn expand_first_gaps(text: &str) -> Result<String, Reason> {
    let mut done = String::new();
    let mut text = text;
    while let Some((before, after)) = text.split_once('{') {
        let Some((inside, rest)) = after.split_once('}') else {
            return Err("gap without its closing brace");
        };
        let count = match inside.parse::<usize>() {
            Ok(n @ 1..128) if inside.bytes().all(|b| b.is_ascii_digit()) => n,
            _ => break,
        };
        done.push_str(before);
        done.push_str(&"??".repeat(count));
        text = rest;
    }
    done.push_str(text);
    Ok(done)
}

/// Step 2 of 2.2: cuts a pattern at the gaps that are left. The gap of the
/// first part means nothing.
fn split(text: &str) -> Result<Vec<(Gap, &str)>, Reason> {
    const ANY: Gap = Gap { min: 0, max: None };
    let mut parts = Vec::new();
    let (mut gap, mut start, mut depth) = (ANY, 0, 0_usize);
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.checked_sub(1).ok_or("`)` without `(`")?,
            b'*' | b'{' if depth > 0 => return Err("gap within an alternate"),
            b'*' => {
                parts.push((gap, &text[start..at]));
                (gap, start) = (ANY, at + 1);
            }
            b'{' => {
                parts.push((gap, &text[start..at]));
                let Some((inside, _)) = text[at + 1..].split_once('}') else {
                    return Err("gap without its closing brace");
                };
                gap = Gap::parse(inside)?;
                at += inside.len() + 1;
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    if depth > 0 {
        return Err("`(` without `)`");
    }
    parts.push((gap, &text[start..]));
    Ok(parts)
}

impl Gap {
    /// Parses what stands between the braces.
    fn parse(inside: &str) -> Result<Gap, Reason> {
        let number = |digits| {
            let value = number(digits).ok_or("gap is not a number")?;
            usize::try_from(value).map_err(|_| "gap is too large")
        };
        let (min, max) = match inside.split_once('-') {
            None => (number(inside)?, number(inside)?),
            Some((min, max)) => (number(min)?, number(max)?),
        };
        // A maximum of 0 means "no maximum", whoever wrote it down.
        Ok(Gap { min, max: (max > 0).then_some(max) })
    }
}

impl Part {
    fn parse(text: &str, modifiers: Modifiers) -> Result<Part, Reason> {
        let mut text = text;
        let (mut left_anchor, mut right_anchor) = (None, None);
        if let Some((before, inside, after)) = bracket(text)?
            && before.len() == 2
        {
            left_anchor = Anchor::parse(before, inside)?;
            text = after;
        }
        if let Some((before, inside, after)) = bracket(text)? {
            if after.len() != 2 {
                return Err("neither side of a bracket is one byte");
            }
            right_anchor = Anchor::parse(after, inside)?;
            text = before;
        }

        let mut elements = elements(text, modifiers)?;
        let mut left_class = None;
        if let Some(Element::Class(class)) = elements.first()
            && !class.negated
        {
            left_class = Some(*class);
            elements.remove(0);
        }
        let mut right_class = None;
        if let Some(Element::Class(class)) = elements.last() {
            right_class = Some(*class);
            elements.pop();
        }
        let (run, wide) = (starting_run(&elements), modifiers.wide);
        Ok(Part { left_anchor, left_class, elements, right_class, right_anchor, run, wide })
    }

    /// What a part must contain (2.3).
    fn check(&self, demands: Demands) -> Result<(), Reason> {
        let adjacent = |pair: &[Element]| pair.iter().all(|e| e.exact().is_some());
        if !self.elements.windows(2).any(adjacent) {
            return Err("a part has no two adjacent exact bytes");
        }
        if self.elements.len() > 65535 {
            return Err("a part is too long");
        }
        if demands.filter {
            // The filter wants two neighbours, not both `??`, in front of the
            // first element of unknown length that is not at the very start.
            let counted: Vec<&Element> = self
                .elements
                .iter()
                .skip_while(|element| !element.is_filterable())
                .take_while(|element| element.is_filterable())
                .collect();
            if !counted.windows(2).any(|pair| !pair.iter().all(|element| element.is_any())) {
                return Err("nothing to filter by before a long alternate or a class");
            }
        }
        Ok(())
    }

    /// All ends of this part when its first element starts at `start`.
    fn ends(&self, haystack: &[u8], start: usize, nocase: bool) -> BTreeSet<usize> {
        let none = BTreeSet::new();
        // The first byte refuses most starts; no set is made for those.
        if let (Some(Element::Byte(byte)), Some(&found)) =
            (self.elements.first(), haystack.get(start))
            && !byte.matches(found, nocase)
        {
            return none;
        }
        if let Some(class) = self.left_class
            && !class.before(haystack, start, self.wide)
        {
            return none;
        }
        if let Some(anchor) = self.left_anchor
            && !anchor.fits(nocase, |distance| {
                start.checked_sub(distance + 1).and_then(|at| haystack.get(at)).copied()
            })
        {
            return none;
        }

        let (left, right) = self.elements.split_at(self.run.start);
        let least: usize = right.iter().map(Element::min_len).sum();
        let mut at_run = BTreeSet::from([start]);
        for element in left {
            at_run = step_all(&at_run, |at| element.step(haystack, at, nocase));
        }
        let mut ends = BTreeSet::new();
        for at in at_run {
            if at.checked_add(least).is_none_or(|end| end > haystack.len()) {
                continue;
            }
            let (found, cut) = self.forward(right, haystack, at, nocase);
            ends.extend(found.into_iter().filter(|&end| self.right_fits(haystack, end, nocase)));
            if cut && self.right_fits_cut() {
                ends.insert(haystack.len());
            }
        }
        ends
    }

    /// Matches from the starting run on; the flag tells that the tail was cut.
    fn forward(
        &self,
        elements: &[Element],
        haystack: &[u8],
        at: usize,
        nocase: bool,
    ) -> (BTreeSet<usize>, bool) {
        let mut reached = BTreeSet::from([at]);
        let mut cut = false;
        for (index, element) in elements.iter().enumerate() {
            if index >= self.run.len() {
                cut |= reached.remove(&haystack.len());
                cut |= reached.iter().any(|&at| element.is_cut(haystack.len() - at));
            }
            reached = step_all(&reached, |at| element.step(haystack, at, nocase));
            if reached.is_empty() {
                break;
            }
        }
        (reached, cut)
    }

    fn right_fits(&self, haystack: &[u8], end: usize, nocase: bool) -> bool {
        self.right_class.is_none_or(|class| class.after(haystack, end, self.wide))
            && self.right_anchor.is_none_or(|anchor| {
                anchor.fits(nocase, |distance| haystack.get(end + distance).copied())
            })
    }

    /// The tests on the right where the haystack ended too early.
    fn right_fits_cut(&self) -> bool {
        self.right_class.is_none_or(|class| !class.negated) && self.right_anchor.is_none()
    }
}

/// The elements that the search for a part starts from.
///
/// The first run of three exact bytes, not all zero; else the first run of
/// three zero bytes; else the last run of two, not both zero; else two zero
/// bytes. (Observed on clamscan 1.4.6 by means of cut tails.)
fn starting_run(elements: &[Element]) -> Range<usize> {
    let run = |length: usize| {
        (0..(elements.len() + 1).saturating_sub(length)).map(move |i| i..i + length)
    };
    let exact = |run: &Range<usize>| elements[run.clone()].iter().all(|e| e.exact().is_some());
    let zero = |run: &Range<usize>| elements[run.clone()].iter().all(|e| e.exact() == Some(0));
    run(3)
        .find(|r| exact(r) && !zero(r))
        .or_else(|| run(3).find(|r| exact(r)))
        .or_else(|| run(2).rfind(|r| exact(r) && !zero(r)))
        .or_else(|| run(2).find(|r| exact(r)))
        // A part without such a run is refused right after.
        .unwrap_or(0..0)
}

fn step_all(reached: &BTreeSet<usize>, step: impl Fn(usize) -> BTreeSet<usize>) -> BTreeSet<usize> {
    reached.iter().flat_map(|&at| step(at)).collect()
}

/// The text before, within and after the first bracket.
fn bracket(text: &str) -> Result<Option<(&str, &str, &str)>, Reason> {
    let Some((before, rest)) = text.split_once('[') else { return Ok(None) };
    let (inside, after) = rest.split_once(']').ok_or("`[` without `]`")?;
    Ok(Some((before, inside, after)))
}

/// The text without what follows the numbers of a bracket, which nobody reads.
fn plain_brackets(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        plain.push_str(before);
        plain.push('[');
        rest = after;
        let Some(end) =
            after.find(['[', ']', '*', '{']).filter(|&end| after[end..].starts_with(']'))
        else {
            continue;
        };
        let is_number = |c: char| c.is_ascii_digit() || c.is_ascii_whitespace();
        let inside = &after[..end];
        let first = inside.find(|c| !is_number(c)).unwrap_or(end);
        let mut kept = first;
        if inside[first..].starts_with('-') {
            let second = inside[first + 1..].find(|c| !is_number(c));
            kept = second.map_or(end, |at| first + 1 + at);
            // A number below 0 is to be seen.
            kept += usize::from(inside[kept..].starts_with('-') && kept == first + 1);
        }
        plain.push_str(&inside[..kept]);
        rest = &after[end..];
    }
    plain + rest
}

impl Anchor {
    /// Parses an anchored byte, if it is one that is ever tested.
    fn parse(byte: &str, range: &str) -> Result<Option<Anchor>, Reason> {
        // As `scanf` reads `%u-%u`, with nothing asked of what follows; of
        // `[4-]` and `[4-x]` only the 4 is read.
        let number = |text: &str| {
            let digits = text.trim_start();
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            (digits[..end].to_owned(), digits[end..].to_owned())
        };
        let value =
            |digits: &str| digits.parse::<usize>().map_err(|_| "an anchored byte is too far away");
        let (min, rest) = number(range);
        if min.is_empty() {
            return Err("distance of an anchored byte is not a number");
        }
        let second = rest.strip_prefix('-').map(number);
        if second.as_ref().is_some_and(|(digits, rest)| digits.is_empty() && rest.starts_with('-'))
        {
            return Err("distance of an anchored byte is below 0");
        }
        let max = second.map(|(digits, _)| digits).filter(|digits| !digits.is_empty());
        let (min, max) = (value(&min)?, value(max.as_ref().unwrap_or(&min))?);
        if min > max || max > 32 {
            return Err("an anchored byte is too far away");
        }
        let byte = Byte::parse(byte)?;
        Ok((byte.mask & 0x0f != 0).then_some(Anchor { byte, min, max }))
    }

    /// Whether the byte stands at one of the distances.
    fn fits(&self, nocase: bool, byte_at: impl Fn(usize) -> Option<u8>) -> bool {
        (self.min..=self.max)
            .any(|distance| byte_at(distance).is_some_and(|found| self.byte.matches(found, nocase)))
    }
}

/// Parses a sequence of bytes, alternates and classes.
fn elements(text: &str, modifiers: Modifiers) -> Result<Vec<Element>, Reason> {
    let mut elements = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let negated = rest.starts_with('!');
        let body = rest.strip_prefix('!').unwrap_or(rest);
        if body.starts_with('(') {
            let (inside, after) = parenthesised(body)?;
            elements.push(match inside {
                "B" => Element::Class(Class { letter: Letter::Boundary, negated }),
                "L" => Element::Class(Class { letter: Letter::Line, negated }),
                "W" => Element::Class(Class { letter: Letter::Word, negated }),
                _ => Element::Alternate(Alternate::parse(inside, negated, modifiers)?),
            });
            rest = after;
        } else {
            let pair = rest.get(..2).ok_or("odd number of hex digits")?;
            elements.push(Element::Byte(Byte::parse(pair)?));
            rest = &rest[2..];
        }
    }
    Ok(elements)
}

/// Splits `(inside)after`.
fn parenthesised(text: &str) -> Result<(&str, &str), Reason> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Ok((&text[1..at], &text[at + 1..]));
                }
            }
            _ => {}
        }
    }
    Err("`(` without `)`")
}

impl Byte {
    const ANY: Byte = Byte { mask: 0, value: 0 };

    /// Parses two hex digits, either of which may be `?`.
    fn parse(pair: &str) -> Result<Byte, Reason> {
        let mut byte = Byte::ANY;
        let mut digits = pair.chars();
        for shift in [4, 0] {
            match digits.next() {
                Some('?') => {}
                Some(digit) => {
                    let value = digit.to_digit(16).ok_or("not a hex digit")?;
                    byte.mask |= 0xf << shift;
                    // `to_digit(16)` is at most 15.
                    byte.value |= (value as u8) << shift;
                }
                None => return Err("odd number of hex digits"),
            }
        }
        Ok(byte)
    }

    fn exact(&self) -> Option<u8> {
        (self.mask == 0xff).then_some(self.value)
    }

    /// Only exact bytes fold letters; nibbles look at the byte as it is.
    fn matches(&self, found: u8, nocase: bool) -> bool {
        match self.exact() {
            Some(value) if nocase => found.eq_ignore_ascii_case(&value),
            _ => found & self.mask == self.value,
        }
    }
}

impl Alternate {
    fn parse(text: &str, negated: bool, modifiers: Modifiers) -> Result<Alternate, Reason> {
        if text.bytes().filter(|&b| b == b'(').count() > 15 {
            return Err("more than 15 parentheses within an alternate");
        }
        if text.is_empty() || text.starts_with('|') {
            return Err("the first branch of an alternate is empty");
        }
        let branches = branches(text)?;
        let kind = if modifiers.any { Kind::Generic } else { kind(&branches) };
        if negated && kind == Kind::Generic {
            return Err("only an alternate of equally long exact branches can be negated");
        }
        Ok(Alternate { negated, branches, kind })
    }
}

fn kind(branches: &[Branch]) -> Kind {
    let exact = |piece: &Piece| matches!(piece, Piece::Byte(byte) if byte.exact().is_some());
    let length = branches.first().map_or(0, Vec::len);
    let alike = branches.iter().all(|branch| branch.len() == length && branch.iter().all(exact));
    match length {
        1 if alike => Kind::Single,
        2.. if alike => Kind::Fixed(length),
        _ => Kind::Generic,
    }
}

/// Parses the inside of an alternate. At most 15 levels deep, because the
/// caller counted the parentheses.
///
/// A branch may be empty. Clamscan 1.4.6 refuses some lines with an empty
/// branch after one that holds parentheses, such as `(61(62)||63)`, and takes
/// others, such as `(61(62)||63|(64))`; here all of them are taken.
fn branches(text: &str) -> Result<Vec<Branch>, Reason> {
    let mut branches = vec![Branch::new()];
    let mut rest = text;
    while !rest.is_empty() {
        let piece = if let Some(after) = rest.strip_prefix('|') {
            branches.push(Branch::new());
            rest = after;
            continue;
        } else if rest.starts_with('(') {
            let (inside, after) = parenthesised(rest)?;
            rest = after;
            Piece::Nested(self::branches(inside)?)
        } else {
            let pair = rest.get(..2).ok_or("odd number of hex digits")?;
            rest = &rest[2..];
            Piece::Byte(Byte::parse(pair)?)
        };
        if let Some(branch) = branches.last_mut() {
            branch.push(piece);
        }
    }
    Ok(branches)
}

impl Element {
    fn exact(&self) -> Option<u8> {
        match self {
            Element::Byte(byte) => byte.exact(),
            Element::Alternate(_) | Element::Class(_) => None,
        }
    }

    fn is_any(&self) -> bool {
        matches!(self, Element::Byte(Byte::ANY))
    }

    /// Counts for the filter: one byte long.
    fn is_filterable(&self) -> bool {
        match self {
            Element::Byte(_) => true,
            Element::Alternate(alternate) => alternate.kind == Kind::Single,
            Element::Class(_) => false,
        }
    }

    fn min_len(&self) -> usize {
        match self {
            Element::Byte(_) => 1,
            Element::Alternate(alternate) => shortest(&alternate.branches),
            // Odd, but the lengths of real scanners are counted so.
            Element::Class(_) => 0,
        }
    }

    /// Whether this element, with `left` bytes before the end of the
    /// haystack, matches because of that end.
    fn is_cut(&self, left: usize) -> bool {
        match self {
            Element::Alternate(Alternate { negated: true, kind: Kind::Fixed(length), .. }) => {
                left < *length
            }
            _ => false,
        }
    }

    /// The positions after this element when it starts at `at`.
    fn step(&self, haystack: &[u8], at: usize, nocase: bool) -> BTreeSet<usize> {
        match self {
            Element::Byte(byte) => step_byte(byte, haystack, at, nocase),
            Element::Class(class) => class.within(haystack, at).into_iter().collect(),
            Element::Alternate(alternate) => {
                let ends = step_branches(&alternate.branches, haystack, at, nocase);
                if !alternate.negated {
                    return ends;
                }
                let length = shortest(&alternate.branches);
                let end = at.saturating_add(length);
                let fits = ends.is_empty() && end <= haystack.len();
                fits.then_some(end).into_iter().collect()
            }
        }
    }
}

fn shortest(branches: &[Branch]) -> usize {
    let branch_len = |branch: &Branch| -> usize {
        branch
            .iter()
            .map(|piece| match piece {
                Piece::Byte(_) => 1,
                Piece::Nested(branches) => shortest(branches),
            })
            .sum()
    };
    branches.iter().map(branch_len).min().unwrap_or(0)
}

fn step_byte(byte: &Byte, haystack: &[u8], at: usize, nocase: bool) -> BTreeSet<usize> {
    let fits = haystack.get(at).is_some_and(|&found| byte.matches(found, nocase));
    fits.then_some(at + 1).into_iter().collect()
}

fn step_branches(branches: &[Branch], haystack: &[u8], at: usize, nocase: bool) -> BTreeSet<usize> {
    let mut ends = BTreeSet::new();
    for branch in branches {
        let mut reached = BTreeSet::from([at]);
        for piece in branch {
            reached = step_all(&reached, |at| match piece {
                Piece::Byte(byte) => step_byte(byte, haystack, at, nocase),
                Piece::Nested(branches) => step_branches(branches, haystack, at, nocase),
            });
        }
        ends.extend(reached);
    }
    ends
}

impl Class {
    /// Between two elements: the position after the byte (or CR LF).
    fn within(&self, haystack: &[u8], at: usize) -> Option<usize> {
        let rest = haystack.get(at..)?;
        let &byte = rest.first()?;
        let length = match self.letter {
            Letter::Boundary => usize::from(b"\n\r \"'-./<=>@_".contains(&byte)),
            Letter::Line if rest.starts_with(b"\r\n") => 2,
            Letter::Line => usize::from(byte == b'\n'),
            Letter::Word => usize::from(!byte.is_ascii_alphanumeric()),
        };
        match (length, self.negated) {
            (0, false) | (1.., true) => None,
            (0, true) => Some(at + 1),
            (1.., false) => Some(at + length),
        }
    }

    /// At the start of a part: a test of what stands before, never negated.
    fn before(&self, haystack: &[u8], start: usize, wide: bool) -> bool {
        let Some(byte) = start.checked_sub(1).and_then(|at| haystack.get(at)) else { return true };
        match self.letter {
            Letter::Boundary => b" -./<@_".contains(byte),
            Letter::Line => *byte == b'\n',
            Letter::Word if wide => {
                // A wide letter before: its byte and a zero byte.
                let letter = start.checked_sub(2).and_then(|at| haystack.get(at));
                !(*byte == 0 && letter.is_some_and(u8::is_ascii_alphanumeric))
            }
            Letter::Word => !byte.is_ascii_alphanumeric(),
        }
    }

    /// At the end of a part: a test of what stands after.
    fn after(&self, haystack: &[u8], end: usize, wide: bool) -> bool {
        let rest = haystack.get(end..).unwrap_or_default();
        let Some(byte) = rest.first() else { return !self.negated };
        let fits = match self.letter {
            Letter::Boundary => b"\n\r \"'-/=>_".contains(byte),
            Letter::Line => *byte == b'\n' || rest.starts_with(b"\r\n"),
            // A letter at the very end counts as a wide one.
            Letter::Word if wide => {
                !(byte.is_ascii_alphanumeric() && rest.get(1).is_none_or(|&b| b == 0))
            }
            Letter::Word => !byte.is_ascii_alphanumeric(),
        };
        fits != self.negated
    }
}
