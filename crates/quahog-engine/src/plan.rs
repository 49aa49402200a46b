//! The plan: for each signature the literals without which it cannot match.
//!
//! A *trigger* is a literal of the haystack in lower case. Every signature gets
//! a set of triggers one of which stands in every buffer that it matches: one
//! for a body pattern, one for each needed branch of a logical expression. A
//! signature that can match without any literal (all its terms are negative)
//! has none and is looked at always.

use quahog_sig::body::{Element, Pattern};
use quahog_sig::model::{Expression, Logical, Op, Sign, Subsignature};

use crate::literal;
use crate::verify::pcre;

/// The longest trigger: longer ones make tables larger and hardly rarer.
pub(crate) const MAX_TRIGGER: usize = 10;

/// A literal, and the estimated number of places where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trigger {
    mark: Mark,
    cost: f64,
}

/// By what a place is known where a signature may match.
#[derive(Clone, Debug, PartialEq)]
enum Mark {
    /// A literal in lower case.
    Literal(Vec<u8>),
    /// The hash of a picture.
    Picture(u64),
}

impl Trigger {
    fn literal(text: &[u8]) -> Trigger {
        Trigger { mark: Mark::Literal(text.to_ascii_lowercase()), cost: cost_of(text) }
    }

    /// The literal, if it is one.
    pub(crate) fn into_literal(self) -> Option<Vec<u8>> {
        match self.mark {
            Mark::Literal(text) => Some(text),
            Mark::Picture(_) => None,
        }
    }
}

/// The estimated number of places where a literal stands.
pub(crate) fn cost_of(literal: &[u8]) -> f64 {
    (-f64::from(literal::score(literal)) / 4.0).exp2()
}

/// The trigger of a pattern: the rarest window of a literal in any of its parts.
///
/// Only literals before the cut of a part count, because what stands behind it
/// may be missing at the end of the buffer. A part always has one: the run that
/// ClamAV searches by lies before the cut.
pub(crate) fn of_pattern(pattern: Pattern<'_>) -> Option<Trigger> {
    let literals = pattern.parts().flat_map(|part| {
        part.elements().take_while(|element| !matches!(element, Element::Cut { .. })).filter_map(
            |element| match element {
                Element::Literal(text) => Some(text),
                _ => None,
            },
        )
    });
    let windows = literals.flat_map(|text| text.windows(text.len().min(MAX_TRIGGER)));
    let best = windows.max_by_key(|window| literal::score(window))?;
    Some(Trigger::literal(best))
}

/// How a signature is found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Planned {
    /// It can match anything, and is looked at always.
    Always,
    /// It matches nothing, whatever the bytes are.
    Never,
    /// Where it matches, one of the literals stands in the buffer, or the
    /// buffer is a picture with one of the hashes.
    With {
        /// In lower case.
        literals: Vec<Vec<u8>>,
        /// Perceptual hashes.
        pictures: Vec<u64>,
    },
}

/// The trigger of a body signature.
pub(crate) fn of_body(pattern: Pattern<'_>) -> Option<Vec<u8>> {
    of_pattern(pattern)?.into_literal()
}

impl Planned {
    /// How a body signature is found, by its trigger.
    pub(crate) fn body(trigger: Option<Vec<u8>>) -> Planned {
        Planned::literals(trigger.map(|text| vec![text]))
    }

    /// How a signature is found that matches only where one of these literals
    /// stands; `None` if it may match without any.
    pub(crate) fn literals(literals: Option<Vec<Vec<u8>>>) -> Planned {
        match literals {
            Some(literals) if literals.is_empty() => Planned::Never,
            Some(literals) => Planned::With { literals, pictures: Vec::new() },
            None => Planned::Always,
        }
    }
}

fn planned(triggers: impl IntoIterator<Item = Trigger>) -> Planned {
    let (mut literals, mut pictures) = (Vec::new(), Vec::new());
    for trigger in triggers {
        match trigger.mark {
            Mark::Literal(text) => literals.push(text),
            Mark::Picture(hash) => pictures.push(hash),
        }
    }
    if literals.is_empty() && pictures.is_empty() {
        return Planned::Never;
    }
    literals.sort_unstable();
    literals.dedup();
    pictures.sort_unstable();
    pictures.dedup();
    Planned::With { literals, pictures }
}

/// Subsignatures of which one at least has a match where something holds.
#[derive(Clone, Debug)]
struct Cover {
    ids: u64,
    cost: f64,
}

/// The triggers of a logical signature.
pub(crate) fn of_logical(logical: Logical<'_>) -> Planned {
    let triggers = of_subsignatures(logical);
    match cover(logical.expression, |id| cost(&triggers, id)) {
        Some(cover) => planned(covered(&triggers, &cover)),
        None => Planned::Always,
    }
}

/// For each subsignature the triggers of which one is there if it matches:
/// `None` if it may match without, and none at all if it never matches.
type Triggers = Vec<Option<Vec<Trigger>>>;

fn cost(triggers: &Triggers, id: u8) -> Option<f64> {
    let triggers = triggers.get(usize::from(id))?.as_ref()?;
    Some(triggers.iter().map(|t| t.cost).sum::<f64>())
}

fn covered(triggers: &Triggers, cover: &Cover) -> Vec<Trigger> {
    let members = triggers.iter().enumerate().filter(|(id, _)| cover.ids >> id & 1 == 1);
    members.flat_map(|(_, triggers)| triggers.clone().unwrap_or_default()).collect()
}

fn of_subsignatures(logical: Logical<'_>) -> Triggers {
    // Body patterns ask for no others; the rest asks for them, or for what has
    // a lower number.
    let mut triggers: Triggers = logical
        .subsignatures()
        .map(|sub| match sub {
            Subsignature::Hex { pattern, second, .. } => {
                let first = of_pattern(pattern)?;
                let second = second.map(|p| of_pattern(p).ok_or(())).transpose().ok()?;
                Some([Some(first), second].into_iter().flatten().collect())
            }
            Subsignature::FuzzyImage(hash) => {
                // Next to nothing has it.
                Some(vec![Trigger { mark: Mark::Picture(hash), cost: 1e-9 }])
            }
            _ => Some(Vec::new()),
        })
        .collect();
    let is_hex = |id: usize| matches!(logical.subsignature(id), Some(Subsignature::Hex { .. }));
    for (id, sub) in logical.subsignatures().enumerate() {
        if let Subsignature::Macro(_) = sub
            && let Some(before) = id.checked_sub(1)
            && is_hex(before)
        {
            triggers[id] = triggers[before].clone();
        }
    }
    for (id, sub) in logical.subsignatures().enumerate() {
        match sub {
            Subsignature::ByteCompare(compare) => {
                let other = compare.reference as usize;
                let comes_later = matches!(
                    logical.subsignature(other),
                    Some(Subsignature::ByteCompare(_)) if other >= id
                );
                let runs_later = matches!(
                    logical.subsignature(other),
                    None | Some(Subsignature::Pcre(_) | Subsignature::FuzzyImage(_))
                );
                if !comes_later && !runs_later {
                    triggers[id] = triggers[other].clone();
                }
            }
            Subsignature::Pcre(pcre) => {
                let cover = cover(pcre.trigger, |id| cost(&triggers, id));
                triggers[id] = match cover {
                    Some(cover) => Some(covered(&triggers, &cover)),
                    // Its trigger can hold without any match, so something in
                    // the expression itself is to be looked for.
                    None => pcre::required_literal(pcre.text, pcre.flags)
                        .map(|text| vec![Trigger::literal(&text)]),
                };
            }
            _ => {}
        }
    }
    triggers
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
        match of_logical(builder.finish().logical(0).unwrap()) {
            Planned::Always => None,
            Planned::Never => Some(Vec::new()),
            Planned::With { literals, pictures } => {
                assert!(pictures.is_empty());
                Some(literals)
            }
        }
    }

    #[test]
    fn an_and_needs_one_side_and_an_or_needs_both() {
        let texts = |list: &[&str]| Some(list.iter().map(|t| t.as_bytes().to_vec()).collect());
        assert_eq!(triggers("A;Target:0;0&1;4142;58595a71"), texts(&["xyzq"]));
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
        let planned = of_logical(builder.finish().logical(0).unwrap());
        let pictures = vec![0xaf2a_d01e_d429_93c7];
        assert_eq!(planned, Planned::With { literals: Vec::new(), pictures });
    }

    #[test]
    fn a_wide_and_plain_pattern_has_two_triggers() {
        assert_eq!(triggers("A;Target:0;0;616263::wa").unwrap().len(), 2);
    }
}
