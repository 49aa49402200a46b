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

/// The longest trigger: longer ones make tables larger and hardly rarer.
pub(crate) const MAX_TRIGGER: usize = 10;

/// A literal, and the estimated number of places where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trigger {
    pub(crate) text: Vec<u8>,
    cost: f64,
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
    Some(Trigger { text: best.to_ascii_lowercase(), cost: cost_of(best) })
}

/// The trigger of a body signature.
pub(crate) fn of_body(pattern: Pattern<'_>) -> Option<Vec<u8>> {
    of_pattern(pattern).map(|trigger| trigger.text)
}

/// Subsignatures of which one at least has a match where something holds.
#[derive(Clone, Debug)]
struct Cover {
    ids: u64,
    cost: f64,
}

/// The triggers of a logical signature; `None` if it can hold without any match.
pub(crate) fn of_logical(logical: Logical<'_>) -> Option<Vec<Vec<u8>>> {
    let triggers: Vec<Option<Vec<Trigger>>> = logical
        .subsignatures()
        .map(|sub| match sub {
            Subsignature::Hex { pattern, second, .. } => {
                let first = of_pattern(pattern)?;
                let second = second.map(|p| of_pattern(p).ok_or(())).transpose().ok()?;
                Some([Some(first), second].into_iter().flatten().collect())
            }
            _ => None,
        })
        .collect();
    let cost = |id: u8| {
        let triggers = triggers.get(usize::from(id))?.as_ref()?;
        Some(triggers.iter().map(|t| t.cost).sum::<f64>())
    };
    let cover = cover(logical.expression, cost)?;
    let mut texts: Vec<Vec<u8>> = triggers
        .into_iter()
        .enumerate()
        .filter(|(id, _)| cover.ids >> id & 1 == 1)
        .flat_map(|(_, triggers)| triggers.unwrap_or_default())
        .map(|trigger| trigger.text)
        .collect();
    texts.sort_unstable();
    texts.dedup();
    Some(texts)
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
        of_logical(builder.finish().logical(0).unwrap())
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
    fn a_wide_and_plain_pattern_has_two_triggers() {
        assert_eq!(triggers("A;Target:0;0;616263::wa").unwrap().len(), 2);
    }
}
