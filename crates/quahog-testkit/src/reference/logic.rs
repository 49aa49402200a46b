//! Expressions of logical signatures: the procedure of section 4.2.
//!
//! `&` and `|` have equal precedence, and which operator is the root of a
//! text depends on whether the text stands in parentheses; so the text is
//! read by cutting it at the root again and again, as the specification does.

use std::collections::BTreeSet;

use super::{Reason, atoi, number};

/// An expression over the numbers of subsignatures.
#[derive(Clone, Debug)]
pub(super) enum Expression {
    /// The hits of one subsignature, perhaps compared.
    Id(usize, Option<Comparison>),
    /// Two sides joined by `&` or `|`.
    Join(Operator, Box<(Expression, Expression)>),
    /// A parenthesised group with a comparison of its own.
    Group(Box<Expression>, Comparison),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Operator {
    And,
    Or,
}

/// `>X,Y`: more than X hits, of at least Y subsignatures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comparison {
    sign: u8,
    hits: i64,
    different: i64,
}

/// What a node of an expression passes upward.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Value {
    pub(super) truth: bool,
    pub(super) count: u64,
    ids: BTreeSet<usize>,
}

impl Expression {
    /// Parses the text of an expression.
    pub(super) fn parse(text: &str) -> Result<Expression, Reason> {
        let mut depth = 0_usize;
        for byte in text.bytes() {
            match byte {
                b'(' => depth += 1,
                b')' => depth = depth.checked_sub(1).ok_or("expression: `)` without `(`")?,
                _ => {}
            }
            // Expressions come from the network, and parsing recurses.
            if depth > MAX_DEPTH {
                return Err("expression: too deep");
            }
        }
        if depth > 0 {
            return Err("expression: `(` without `)`");
        }
        parse(text, 0)
    }

    /// The highest subsignature number that is used.
    pub(super) fn highest_id(&self) -> usize {
        match self {
            Expression::Id(id, _) => *id,
            Expression::Join(_, sides) => sides.0.highest_id().max(sides.1.highest_id()),
            Expression::Group(inner, _) => inner.highest_id(),
        }
    }

    /// The value, given the count of every subsignature.
    pub(super) fn evaluate(&self, counts: &[u64]) -> Value {
        match self {
            Expression::Id(id, comparison) => {
                let count = counts.get(*id).copied().unwrap_or(0);
                let truth = match comparison {
                    None => count > 0,
                    // `,Y` has no effect on a single subsignature.
                    Some(comparison) => comparison.holds(count),
                };
                Value::when(truth, count, BTreeSet::from([*id]))
            }
            Expression::Join(operator, sides) => {
                let (left, right) = (sides.0.evaluate(counts), sides.1.evaluate(counts));
                let truth = match operator {
                    Operator::And => left.truth && right.truth,
                    Operator::Or => left.truth || right.truth,
                };
                Value::when(truth, left.count + right.count, &left.ids | &right.ids)
            }
            Expression::Group(inner, comparison) => {
                let inner = inner.evaluate(counts);
                let different = i64::try_from(inner.ids.len()).unwrap_or(i64::MAX);
                let truth = comparison.holds(inner.count)
                    && (comparison.different <= 0 || different >= comparison.different);
                // The count goes up, the set does not.
                Value::when(truth, inner.count, BTreeSet::new())
            }
        }
    }
}

impl Value {
    fn when(truth: bool, count: u64, ids: BTreeSet<usize>) -> Value {
        if truth { Value { truth, count, ids } } else { Value::default() }
    }
}

impl Comparison {
    fn holds(self, count: u64) -> bool {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        match self.sign {
            b'=' => count == self.hits,
            b'>' => count > self.hits,
            _ => count < self.hits,
        }
    }

    /// Parses what follows the sign after a number: only X means anything.
    fn of_id(sign: u8, text: &str) -> Result<Comparison, Reason> {
        let (hits, _) = digits(text).ok_or("expression: comparison without a number")?;
        Ok(Comparison { sign, hits, different: 0 })
    }

    /// Parses `X` or `X,Y` after the sign behind a group: nothing but numbers
    /// and commas, of which the second and all further ones do not matter.
    fn of_group(sign: u8, text: &str) -> Result<Comparison, Reason> {
        let (hits, rest) = digits(text).ok_or("expression: comparison without a number")?;
        let mut numbers = rest.split(',');
        if numbers.next() != Some("") {
            return Err("expression: text after a comparison");
        }
        let numbers: Option<Vec<i64>> = numbers.map(number).collect();
        let numbers = numbers.ok_or("expression: text after a comparison")?;
        Ok(Comparison { sign, hits, different: numbers.first().copied().unwrap_or(0) })
    }
}

/// The number at the start of a text (blanks before it do not matter), and
/// what follows it. A sign is read, and the number taken as unsigned.
fn digits(text: &str) -> Option<(i64, &str)> {
    let text = text.trim_start_matches([' ', '\t']);
    let sign = usize::from(text.starts_with(['+', '-']));
    let n_digits = text.bytes().skip(sign).take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(sign + n_digits);
    // Cutting off the upper half is what happens there, too.
    (n_digits > 0).then(|| (i64::from(atoi(digits) as u32), rest))
}

/// Operators and parentheses in each other; clamscan sets no bound.
const MAX_DEPTH: usize = 1000;

/// `joins` bounds the recursion.
fn parse(text: &str, joins: usize) -> Result<Expression, Reason> {
    if joins > MAX_DEPTH {
        return Err("expression: too many operators");
    }
    // (a) The first operator outside parentheses is the root.
    if let Some(at) = operators(text).find(|&(_, depth)| depth == 0).map(|(at, _)| at) {
        return join(text, at, joins);
    }
    let Some(group) = text.strip_prefix('(') else { return id(text) };
    // (b) A group; `Expression::parse` saw that the parentheses are balanced.
    let end = closing(text).ok_or("expression: `(` without `)`")?;
    let (inside, after) = (&group[..end - 1], &text[end + 1..]);
    let last = operators(inside).filter(|&(_, depth)| depth == 0).last();
    match (last, after.bytes().next()) {
        (Some((at, _)), None) => join(inside, at, joins),
        (Some((at, _)), Some(sign @ (b'=' | b'>' | b'<'))) => {
            let comparison = Comparison::of_group(sign, &after[1..])?;
            Ok(Expression::Group(Box::new(join(inside, at, joins)?), comparison))
        }
        (None, None) => parse(inside, joins + 1),
        (None, Some(_)) => Err("expression: comparison after a group without an operator"),
        (Some(_), Some(_)) => Err("expression: text after a group"),
    }
}

/// Every `&` and `|` with its depth.
fn operators(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut depth = 0_usize;
    text.bytes().enumerate().filter_map(move |(at, byte)| {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'&' | b'|' => return Some((at, depth)),
            _ => {}
        }
        None
    })
}

/// Where the parenthesis that `text` begins with is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    text.bytes().position(|byte| {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    })
}

fn join(text: &str, at: usize, joins: usize) -> Result<Expression, Reason> {
    let operator = if text.as_bytes()[at] == b'&' { Operator::And } else { Operator::Or };
    let (left, right) = (parse(&text[..at], joins + 1)?, parse(&text[at + 1..], joins + 1)?);
    Ok(Expression::Join(operator, Box::new((left, right))))
}

/// (c) A number, perhaps compared; what else follows it does not matter.
fn id(text: &str) -> Result<Expression, Reason> {
    let (id, rest) = digits(text).ok_or("expression: operand is not a number")?;
    if rest.contains(['(', ')']) {
        return Err("expression: parenthesis after a number");
    }
    let id = usize::try_from(id).map_err(|_| "expression: operand is not a number")?;
    // Of several signs the last one counts: `0>=1` means `0=1`.
    let sign = rest.bytes().enumerate().rfind(|(_, b)| matches!(b, b'=' | b'>' | b'<'));
    let comparison = match sign {
        None => None,
        Some((at, sign)) => Some(Comparison::of_id(sign, &rest[at + 1..])?),
    };
    Ok(Expression::Id(id, comparison))
}
