//! The plan: for each signature the literals without which it cannot match.
//!
//! A *needle* is a literal of a signature. Every signature gets a set of
//! needles one of which stands in every buffer that it matches: one for a body
//! pattern, one for each needed branch of a logical expression, chosen among
//! all its subsignatures by what it costs to look for. A signature that can
//! match without any literal (all its terms are negative) has none and is
//! looked at always.

use std::borrow::Cow;
use std::ops::Range;

use quahog_sig::body::{Element, Pattern};
use quahog_sig::model::{Base, Expression, Logical, Offset, Op, Sign, Subsignature};

use crate::prefilter::{Near, Rarest, expense, expense_of_anchored, rare_places};
use crate::verify::{self, pcre};

/// A literal that stands in every buffer that its signature matches.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Needle<'s> {
    /// Its bytes, two at least; in lower case if case does not matter.
    pub(crate) text: Cow<'s, [u8]>,
    pub(crate) nocase: bool,
    /// The only place in a buffer where it may stand, if there is just one.
    pub(crate) anchor: Option<u32>,
    /// Where in the signature it stands, if what stands around it can be checked.
    pub(crate) place: Option<Place>,
    /// What is known of the bytes around it, once it is chosen; if it has no place, of
    /// the start of the buffer.
    pub(crate) near: Near,
    /// Where its rarest grams are, once it is chosen.
    pub(crate) rarest: Rarest,
}

/// Where a needle stands in its signature.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Place {
    /// The subsignature; 0 for a body signature.
    pub(crate) subsignature: u8,
    /// Whether it is in the second pattern of that.
    pub(crate) second: bool,
    /// The part of the pattern.
    pub(crate) part: u16,
    /// The fewest and the most bytes of the part before it.
    pub(crate) before: (u32, u32),
}

impl<'s> Needle<'s> {
    /// A literal in lower case, found in either.
    pub(crate) fn anywhere(text: Vec<u8>) -> Needle<'s> {
        Needle {
            text: text.into(),
            nocase: true,
            anchor: None,
            place: None,
            near: Near::default(),
            rarest: Rarest::default(),
        }
    }

    /// The needle, once it is chosen; of this pattern, if of any.
    fn chosen(self, pattern: Option<Pattern<'_>>) -> Needle<'s> {
        let around = pattern.zip(self.place);
        let near = around.map_or(self.near, |(pattern, place)| {
            Near::of(pattern, (usize::from(place.part), place.before), &self.text)
        });
        Needle { near, rarest: rare_places(&self.text), ..self }
    }
}

/// What is looked for, and what that costs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trigger<'s> {
    mark: Mark<'s>,
    cost: f64,
}

/// By what a place is known where a signature may match.
#[derive(Clone, Debug, PartialEq)]
enum Mark<'s> {
    /// A literal, and the pattern that it is in.
    Needle(Needle<'s>, Option<Pattern<'s>>),
    /// The hash of a picture.
    Picture(u64),
}

impl<'s> Trigger<'s> {
    fn needle(needle: Needle<'s>) -> Trigger<'s> {
        Trigger { cost: expense(&needle.text), mark: Mark::Needle(needle, None) }
    }

    /// The bytes of the needle, if it is one.
    pub(crate) fn into_text(self) -> Option<Cow<'s, [u8]>> {
        match self.mark {
            Mark::Needle(needle, _) => Some(needle.text),
            Mark::Picture(_) => None,
        }
    }
}

/// The trigger of a pattern: the cheapest literal in any of its parts.
///
/// Only literals before the cut of a part count, because what stands behind it
/// may be missing at the end of the buffer. A part always has one: the run that
/// ClamAV searches by lies before the cut.
pub(crate) fn of_pattern(
    pattern: Pattern<'_>,
    offset: Offset,
    subsignature: u8,
    second: bool,
) -> Option<Trigger<'_>> {
    let mut least = f64::INFINITY;
    let mut best = None;
    let fixed = match offset.base {
        Base::Absolute(at) if offset.shift == 0 => Some(at),
        _ => None,
    };
    for (part, number) in pattern.parts().zip(0u32..) {
        let mut before = (0u32, 0u32);
        for element in part.elements() {
            if matches!(element, Element::Cut { .. }) {
                break;
            }
            if let Element::Literal(text) = element
                && text.len() > 1
            {
                // Each place is checked for every start that it allows.
                let spread = f64::from(before.1 - before.0);
                let anchor = fixed.filter(|_| number == 0 && before.0 == before.1);
                let anchor = anchor.and_then(|at| at.checked_add(before.0));
                let cost = match anchor {
                    Some(_) => expense_of_anchored(text),
                    None => expense(text) * (1.0 + spread / 8.0),
                };
                if cost < least {
                    let part = u16::try_from(number).ok();
                    let place = part.map(|part| Place { subsignature, second, part, before });
                    least = cost;
                    best = Some((text, anchor, place));
                }
            }
            let (min, max) = verify::lengths(element);
            let add = |sum: u32, n: usize| sum.saturating_add(u32::try_from(n).unwrap_or(u32::MAX));
            before = (add(before.0, min), add(before.1, max));
        }
    }
    best.map(|(text, anchor, place)| {
        let needle = Needle {
            text: text.into(),
            nocase: pattern.nocase(),
            anchor,
            place,
            near: Near::default(),
            rarest: Rarest::default(),
        };
        Trigger { mark: Mark::Needle(needle, Some(pattern)), cost: least }
    })
}

/// The literal by which a pattern alone is found, if case matters to it.
pub(crate) fn literal_of(pattern: Pattern<'_>) -> Option<Vec<u8>> {
    Some(of_pattern(pattern, Offset::ANY, 0, false)?.into_text()?.into_owned())
}

/// How a signature is found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Planned<'s> {
    /// It can match anything, and is looked at always.
    Always,
    /// It matches nothing, whatever the bytes are.
    Never,
    /// Where it matches, this needle stands in the buffer: so most are found.
    One(Needle<'s>),
    /// Where it matches, one of the needles stands in the buffer, or the buffer
    /// is a picture with one of the hashes.
    Any {
        needles: Vec<Needle<'s>>,
        /// Perceptual hashes.
        pictures: Vec<u64>,
    },
}

impl<'s> Planned<'s> {
    /// How a body signature is found.
    pub(crate) fn body(pattern: Pattern<'s>, offset: Offset) -> Planned<'s> {
        of_pattern(pattern, offset, 0, false).map_or(Planned::Always, |trigger| planned([trigger]))
    }

    /// How a signature is found that matches only where one of these needles
    /// stands; `None` if it may match without any.
    pub(crate) fn of_needles(needles: Option<Vec<Needle<'s>>>) -> Planned<'s> {
        let trigger = |needle| Trigger { mark: Mark::Needle(needle, None), cost: 0.0 };
        needles.map_or(Planned::Always, |needles| planned(needles.into_iter().map(trigger)))
    }

    /// Its needles.
    pub(crate) fn needles(&self) -> &[Needle<'s>] {
        match self {
            Planned::Always | Planned::Never => &[],
            Planned::One(needle) => std::slice::from_ref(needle),
            Planned::Any { needles, .. } => needles,
        }
    }

    /// Its perceptual hashes.
    pub(crate) fn pictures(&self) -> &[u64] {
        match self {
            Planned::Any { pictures, .. } => pictures,
            _ => &[],
        }
    }
}

fn planned<'s>(triggers: impl IntoIterator<Item = Trigger<'s>>) -> Planned<'s> {
    let (mut needles, mut pictures) = (Vec::new(), Vec::new());
    for trigger in triggers {
        match trigger.mark {
            Mark::Needle(needle, pattern) => needles.push(needle.chosen(pattern)),
            Mark::Picture(hash) => pictures.push(hash),
        }
    }
    needles.sort_unstable();
    needles.dedup();
    pictures.sort_unstable();
    pictures.dedup();
    match (needles.len(), pictures.len()) {
        (0, 0) => Planned::Never,
        (1, 0) => needles.pop().map_or(Planned::Never, Planned::One),
        _ => Planned::Any { needles, pictures },
    }
}

/// Subsignatures of which one at least has a match where something holds.
#[derive(Clone, Debug)]
struct Cover {
    ids: u64,
    cost: f64,
}

impl Cover {
    fn has(&self, id: usize) -> bool {
        id < 64 && self.ids >> id & 1 == 1
    }
}

/// The triggers of a logical signature.
pub(crate) fn of_logical(logical: Logical<'_>) -> Planned<'_> {
    let triggers = Triggers::of(logical);
    match cover(logical.expression, |id| triggers.cost(id)) {
        None => Planned::Always,
        Some(cover) => planned(triggers.covered(&cover).cloned()),
    }
}

/// For each subsignature the triggers of which one is there if it matches.
#[derive(Default)]
struct Triggers<'s> {
    all: Vec<Trigger<'s>>,
    /// Where those of each subsignature are: `None` if it may match without, and
    /// nowhere if it never matches.
    places: Vec<Option<Range<usize>>>,
}

impl<'s> Triggers<'s> {
    fn of(logical: Logical<'s>) -> Triggers<'s> {
        // Body patterns ask for no others; the rest asks for them, or for what has
        // a lower number.
        let subs: Vec<_> = logical.subsignatures().collect();
        let all = Vec::with_capacity(subs.len());
        let mut triggers = Triggers { all, places: Vec::with_capacity(subs.len()) };
        for (&sub, id) in subs.iter().zip(0u8..) {
            let found = match sub {
                Subsignature::Hex { offset, pattern, second } => {
                    let first = of_pattern(pattern, offset, id, false);
                    let second = second.map(|pattern| of_pattern(pattern, offset, id, true));
                    triggers.add([Some(first), second].into_iter().flatten())
                }
                Subsignature::FuzzyImage(hash) => {
                    // Next to nothing has it.
                    triggers.add([Some(Trigger { mark: Mark::Picture(hash), cost: 1e-9 })])
                }
                _ => triggers.add([]),
            };
            triggers.places.push(found);
        }
        triggers.add_of_others(&subs);
        triggers
    }

    /// Adds those of subsignatures that ask for others.
    fn add_of_others(&mut self, subs: &[Subsignature<'s>]) {
        let is_hex = |id: usize| matches!(subs.get(id), Some(Subsignature::Hex { .. }));
        for (id, sub) in subs.iter().enumerate() {
            if let Subsignature::Macro(_) = sub
                && let Some(before) = id.checked_sub(1)
                && is_hex(before)
            {
                self.places[id] = self.places[before].clone();
            }
        }
        for (id, sub) in subs.iter().enumerate() {
            match sub {
                Subsignature::ByteCompare(compare) => {
                    let other = compare.reference as usize;
                    let comes_later = matches!(
                        subs.get(other),
                        Some(Subsignature::ByteCompare(_)) if other >= id
                    );
                    let runs_later = matches!(
                        subs.get(other),
                        None | Some(Subsignature::Pcre(_) | Subsignature::FuzzyImage(_))
                    );
                    if !comes_later && !runs_later {
                        self.places[id] = self.places[other].clone();
                    }
                }
                Subsignature::Pcre(pcre) => {
                    let cover = cover(pcre.trigger, |id| self.cost(id));
                    let asked: Option<Vec<_>> =
                        cover.map(|cover| self.covered(&cover).cloned().collect());
                    // What must stand in the expression itself, which is all there
                    // is if its trigger can hold without any match.
                    let near = asked.as_deref().map_or(Near::default(), start_of);
                    let needle = |text| Trigger::needle(Needle { near, ..Needle::anywhere(text) });
                    let own = pcre::Required::of(pcre.text, pcre.flags).cheapest();
                    let own = own.map(|texts| texts.into_iter().map(needle).collect::<Vec<_>>());
                    let sum = |list: &[Trigger<'_>]| list.iter().map(|t| t.cost).sum::<f64>();
                    let found = match (asked, own) {
                        (Some(a), Some(b)) => Some(if sum(&a) <= sum(&b) { a } else { b }),
                        (a, b) => a.or(b),
                    };
                    self.places[id] = found.and_then(|found| self.add(found.into_iter().map(Some)));
                }
                _ => {}
            }
        }
    }

    /// Adds triggers; gives their place, and `None` if one is none.
    fn add(
        &mut self,
        triggers: impl IntoIterator<Item = Option<Trigger<'s>>>,
    ) -> Option<Range<usize>> {
        let start = self.all.len();
        for trigger in triggers {
            self.all.push(trigger?);
        }
        Some(start..self.all.len())
    }

    /// Those of a subsignature.
    fn of_one(&self, id: usize) -> Option<&[Trigger<'s>]> {
        self.all.get(self.places.get(id)?.clone()?)
    }

    fn cost(&self, id: u8) -> Option<f64> {
        Some(self.of_one(id.into())?.iter().map(|trigger| trigger.cost).sum())
    }

    /// Those of the subsignatures of a cover.
    fn covered(&self, cover: &Cover) -> impl Iterator<Item = &Trigger<'s>> {
        let members = (0..self.places.len()).filter(|id| cover.has(*id));
        members.flat_map(|id| self.of_one(id).unwrap_or_default())
    }
}

/// How every buffer begins in which one of these triggers is; nothing is told if
/// one may be anywhere.
fn start_of(triggers: &[Trigger<'_>]) -> Near {
    let anchored = |trigger: &'_ Trigger<'_>| match &trigger.mark {
        Mark::Needle(needle, _) => needle.anchor.is_some(),
        Mark::Picture(_) => false,
    };
    if !triggers.iter().all(anchored) {
        return Near::default();
    }
    Near::at_start(triggers.iter().filter_map(|trigger| match &trigger.mark {
        Mark::Needle(needle, _) => Some((needle.anchor?, &needle.text[..], needle.nocase)),
        Mark::Picture(_) => None,
    }))
}

/// The cheapest set of subsignatures one of which has a match whenever the
/// expression holds; `None` if it can hold without.
fn cover(expression: Expression<'_>, cost: impl Fn(u8) -> Option<f64>) -> Option<Cover> {
    // For each value on the stack: its cover, and all subsignatures in it.
    let mut stack: Vec<(Option<Cover>, u64)> = Vec::new();
    let union = |ids: u64| {
        let members = (0..64u8).filter(|id| ids >> id & 1 == 1);
        let cost = members.map(&cost).try_fold(0.0, |sum, cost| Some(sum + cost?))?;
        Some(Cover { ids, cost })
    };
    for op in expression.ops() {
        let value = match op {
            Op::Push { id, comparison } => {
                let ids = 1 << (id & 63);
                let possible = comparison.is_none_or(|c| !c.holds(0));
                (if possible { union(ids) } else { None }, ids)
            }
            Op::And | Op::Or => {
                let (a, b) = (stack.pop()?, stack.pop()?);
                let ids = a.1 | b.1;
                let cover = match (op, a.0, b.0) {
                    (Op::And, Some(a), Some(b)) => Some(if a.cost <= b.cost { a } else { b }),
                    (Op::And, a, b) => a.or(b),
                    (_, Some(a), Some(b)) => {
                        Some(Cover { ids: a.ids | b.ids, cost: a.cost + b.cost })
                    }
                    _ => None,
                };
                (cover, ids)
            }
            Op::Group { comparison, .. } => {
                let (cover, ids) = stack.pop()?;
                if comparison.holds(0) {
                    (None, ids)
                } else {
                    // The group holds, and its sum is more than 0.
                    (cover.or_else(|| union(ids)), ids)
                }
            }
        };
        stack.push(value);
    }
    stack.pop()?.0
}

/// Whether the expression looks at how often something matches.
pub(crate) fn counts_matter(expression: Expression<'_>) -> bool {
    expression.ops().any(|op| match op {
        Op::Push { comparison: Some(c), .. } => {
            // `=0` and `>0` ask whether, not how often.
            !(c.value == 0 && matches!(c.sign, Sign::Equal | Sign::More))
        }
        Op::Group { .. } => true,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use quahog_sig::{Format, SetBuilder};

    fn triggers(line: &str) -> Option<Vec<Vec<u8>>> {
        let mut builder = SetBuilder::new();
        builder.line(Format::Ldb, 1, line.as_bytes()).unwrap();
        let set = builder.finish();
        let planned = of_logical(set.logical(0).unwrap());
        assert!(planned.pictures().is_empty());
        let texts = planned.needles().iter().map(|needle| needle.text.to_vec()).collect();
        (planned != Planned::Always).then_some(texts)
    }

    #[test]
    fn an_and_needs_one_side_and_an_or_needs_both() {
        let texts = |list: &[&str]| Some(list.iter().map(|t| t.as_bytes().to_vec()).collect());
        assert_eq!(triggers("A;Target:0;0&1;4142;58595a71"), texts(&["XYZq"]));
        assert_eq!(triggers("A;Target:0;0|1;6162;78797a71"), texts(&["ab", "xyzq"]));
        assert_eq!(triggers("A;Target:0;0&1=0;6162;78797a71"), texts(&["ab"]));
        assert_eq!(triggers("A;Target:0;0=0;6162"), None);
        assert_eq!(triggers("A;Target:0;(0|1)<3;6162;6364"), None);
        assert_eq!(triggers("A;Target:0;(0|1)>1,2;6162;6364"), texts(&["ab", "cd"]));
        assert_eq!(triggers("A;Target:0;(0=0|1)>1;6162;6364"), texts(&["ab", "cd"]));
    }

    #[test]
    fn other_kinds_lean_on_what_they_ask_for() {
        let texts = |list: &[&str]| Some(list.iter().map(|t| t.as_bytes().to_vec()).collect());
        // A byte compare on its reference, which may come later.
        assert_eq!(triggers("A;Target:0;1;6162;0(>>2#hb2#=1)"), texts(&["ab"]));
        assert_eq!(triggers("A;Target:0;0&1;1(>>2#hb2#=1);6162"), texts(&["ab"]));
        assert_eq!(triggers("A;Target:0;2;6162;0(>>2#hb2#=1);1(#hb2#=1)"), texts(&["ab"]));
        // Never: itself, nothing, what runs later.
        assert_eq!(triggers("A;Target:0;0|1;0(>>2#hb2#=1);9(#hb2#=1)"), texts(&[]));
        // An expression on its trigger, or on what must stand in it.
        assert_eq!(triggers("A;Target:0;2;6162;78797a;0&1/x+/"), texts(&["xyz"]));
        assert_eq!(triggers("A;Target:0;1;6162;0/x+wERt[yY]u?/"), texts(&["werty"]));
        assert_eq!(triggers("A;Target:0;2;6162;78797a;0|1/x+/"), texts(&["ab", "xyz"]));
        assert_eq!(triggers("A;Target:0;1;6162;0=0/x+wERt[yY]u?/"), texts(&["werty"]));
        assert_eq!(triggers("A;Target:0;1;6162;0=0/x+|y/"), None);
        // A macro on the pattern before it.
        assert_eq!(triggers("A;Target:0;1;6162;${1-2}3$"), texts(&["ab"]));
        assert_eq!(triggers("A;Target:0;0;${1-2}3$"), texts(&[]));
    }

    #[test]
    fn a_picture_is_found_by_its_hash() {
        let line = b"A;Engine:81-255,Target:0;0&1;fuzzy_img#af2ad01ed42993c7;6162";
        let mut builder = SetBuilder::new();
        builder.line(Format::Ldb, 1, line).unwrap();
        let set = builder.finish();
        let planned = of_logical(set.logical(0).unwrap());
        let pictures = vec![0xaf2a_d01e_d429_93c7];
        assert_eq!(planned, Planned::Any { needles: Vec::new(), pictures });
    }

    #[test]
    fn a_wide_and_plain_pattern_has_two_triggers() {
        assert_eq!(triggers("A;Target:0;0;616263::wa").unwrap().len(), 2);
    }
}
