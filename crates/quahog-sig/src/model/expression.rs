//! Logical expressions: which subsignatures must match, and how often.
//!
//! ```text
//! expr  = term { ("&" | "|") term }
//! term  = id [ cmp ] | "(" expr ")" [ cmp ]
//! cmp   = ("=" | ">" | "<") X [ "," Y ]
//! ```
//!
//! `&` and `|` bind alike. Outside of parentheses the *leftmost* operator is
//! the root (`0&1|2` is `0&(1|2)`); directly inside a group the *last* one is,
//! and what stands left of it is read leftmost-first again (`(0&1|2&3)` is
//! `(0&(1|2))&3`). That is how clamscan 1.4.6 reads them, and what signatures
//! are written for.

use crate::ast::{Field, number};
use crate::body::write_varint;
use crate::{Error, ErrorKind, Span};

/// How a count is compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sign {
    /// `=`
    Equal,
    /// `<`
    Less,
    /// `>`
    More,
}

/// A comparison of a count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Comparison {
    /// How.
    pub sign: Sign,
    /// With what.
    pub value: u32,
}

impl Comparison {
    /// Whether `count` passes.
    pub fn holds(self, count: u64) -> bool {
        let value = u64::from(self.value);
        match self.sign {
            Sign::Equal => count == value,
            Sign::Less => count < value,
            Sign::More => count > value,
        }
    }
}

/// One step of a compiled expression, for a machine with a stack.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Op {
    /// Pushes a subsignature.
    Push {
        /// Its number.
        id: u8,
        /// Compares its count; without, it must have matched.
        comparison: Option<Comparison>,
    },
    /// Pops two, pushes their conjunction.
    And,
    /// Pops two, pushes their disjunction.
    Or,
    /// Pops a group, pushes its comparison.
    Group {
        /// Compares the sum of its counts.
        comparison: Comparison,
        /// The least number of different subsignatures that take part.
        distinct: u32,
    },
}

/// What a step leaves on the stack.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Value {
    /// Whether it holds.
    pub truth: bool,
    /// The sum of counts; 0 if it does not hold.
    pub count: u64,
    /// The subsignatures that take part, a bit each.
    pub ids: u64,
}

/// A compiled expression.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Expression<'c> {
    code: &'c [u8],
}

/// The deepest nesting of parentheses.
const MAX_DEPTH: u32 = 256;

const OP_COMPARE: u8 = 0x40;
const OP_AND: u8 = 0x41;
const OP_OR: u8 = 0x42;
const OP_GROUP: u8 = 0x43;

impl<'c> Expression<'c> {
    /// Reads a compiled expression.
    pub fn new(code: &'c [u8]) -> Expression<'c> {
        Expression { code }
    }

    /// The steps; what cannot be read ends them.
    pub fn ops(self) -> impl Iterator<Item = Op> {
        let mut code = self.code.iter().copied();
        std::iter::from_fn(move || {
            let varint = |code: &mut dyn Iterator<Item = u8>| {
                let mut value = 0u32;
                for shift in (0..35).step_by(7) {
                    let byte = code.next()?;
                    value |= u32::from(byte & 0x7f).checked_shl(shift)?;
                    if byte & 0x80 == 0 {
                        return Some(value);
                    }
                }
                None
            };
            let sign = |code: u8| match code {
                0 => Sign::Equal,
                1 => Sign::Less,
                _ => Sign::More,
            };
            Some(match code.next()? {
                id @ 0..OP_COMPARE => Op::Push { id, comparison: None },
                OP_COMPARE => {
                    let (id, sign) = (code.next()? & 63, sign(code.next()?));
                    let value = varint(&mut code)?;
                    Op::Push { id, comparison: Some(Comparison { sign, value }) }
                }
                OP_AND => Op::And,
                OP_OR => Op::Or,
                OP_GROUP => {
                    let sign = sign(code.next()?);
                    let value = varint(&mut code)?;
                    let distinct = varint(&mut code)?;
                    Op::Group { comparison: Comparison { sign, value }, distinct }
                }
                _ => return None,
            })
        })
    }

    /// Evaluates the expression; `count` gives the count of a subsignature, and is
    /// not asked for more once those that it gave decide a plain conjunction or a
    /// plain group.
    ///
    /// `stack` is scratch memory, at most one entry for each step.
    pub fn holds(self, mut count: impl FnMut(u8) -> u64, stack: &mut Vec<Value>) -> bool {
        // Most are these, and most do not hold.
        if self.is_conjunction() {
            return self.plain_ids().all(|id| count(id) > 0);
        }
        let mut group = self.plain_group();
        stack.clear();
        for op in self.ops() {
            let value = match op {
                Op::Push { id, comparison } => {
                    let count = count(id);
                    let truth = comparison.map_or(count > 0, |c| c.holds(count));
                    if let Some((members, distinct)) = &mut group
                        && !truth
                    {
                        *members &= !(1 << (id & 63));
                        if members.count_ones() < *distinct {
                            return false;
                        }
                    }
                    if truth {
                        Value { truth, count, ids: 1 << (id & 63) }
                    } else {
                        Value::default()
                    }
                }
                Op::And | Op::Or => {
                    let (a, b) = (stack.pop().unwrap_or_default(), stack.pop().unwrap_or_default());
                    let truth = if op == Op::And { a.truth && b.truth } else { a.truth || b.truth };
                    let count = a.count.saturating_add(b.count);
                    if truth {
                        Value { truth, count, ids: a.ids | b.ids }
                    } else {
                        Value::default()
                    }
                }
                Op::Group { comparison, distinct } => {
                    let group = stack.pop().unwrap_or_default();
                    let truth = comparison.holds(group.count)
                        && (distinct == 0 || group.ids.count_ones() >= distinct);
                    // A compared group hands its count on, but not its members
                    // (clamscan 1.4.6, case `ldb.expr-045`).
                    if truth {
                        Value { truth, count: group.count, ids: 0 }
                    } else {
                        Value::default()
                    }
                }
            };
            stack.push(value);
        }
        stack.pop().is_some_and(|value| value.truth)
    }

    /// Whether all subsignatures must match, and no more is asked.
    fn is_conjunction(self) -> bool {
        self.code.first().is_some_and(|&code| code < OP_COMPARE)
            && self.code.iter().all(|&code| code < OP_COMPARE || code == OP_AND)
    }

    /// The subsignatures of an expression without comparisons.
    fn plain_ids(self) -> impl Iterator<Item = u8> {
        self.code.iter().copied().filter(|&code| code < OP_COMPARE)
    }

    /// The members of one group of plain alternatives, a bit each, if that is all,
    /// and how many different ones must match.
    fn plain_group(self) -> Option<(u64, u32)> {
        let end = self.code.iter().position(|&code| code == OP_GROUP)?;
        let (members, group) = self.code.split_at(end);
        let mut group = Expression { code: group }.ops();
        let (Op::Group { distinct, .. }, None) = (group.next()?, group.next()) else { return None };
        let plain = members.iter().all(|&code| code < OP_COMPARE || code == OP_OR);
        let ids = Expression { code: members }.plain_ids();
        plain.then(|| (ids.fold(0, |members, id| members | 1 << (id & 63)), distinct))
    }

    /// Compiles the text of an expression and appends it to `out`; gives the
    /// highest number of a subsignature in it.
    ///
    /// # Errors
    ///
    /// Says what is missing or too much, and where. `out` may have grown then.
    pub fn compile(field: Field<'_>, out: &mut Vec<u8>) -> Result<u8, Error> {
        check_parentheses(field)?;
        let mut compiler = Compiler { out, highest: 0 };
        compiler.chain(field, 0)?;
        Ok(compiler.highest)
    }
}

fn check_parentheses(field: Field<'_>) -> Result<(), Error> {
    let mut depth = 0u32;
    for (at, byte) in field.text.iter().enumerate() {
        let here = || Span::new(field.span.start() + at, field.span.start() + at + 1);
        match byte {
            b'(' => depth += 1,
            b')' => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return Err(Error::new(ErrorKind::Parenthesis, here())),
            },
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(Error::new(ErrorKind::ExpressionDepth, here()));
        }
    }
    if depth > 0 { Err(field.error(ErrorKind::Parenthesis)) } else { Ok(()) }
}

struct Compiler<'o> {
    out: &'o mut Vec<u8>,
    highest: u8,
}

impl Compiler<'_> {
    /// Compiles `term op term op ...`, the leftmost operator being the root:
    /// the last term first, so that the stack stays low.
    fn chain(&mut self, field: Field<'_>, depth: u32) -> Result<(), Error> {
        let operators: Vec<usize> = operators(field.text).collect();
        let mut end = field.text.len();
        for (from_end, &at) in operators.iter().rev().enumerate() {
            self.term(field.slice(at + 1, end), depth)?;
            if from_end > 0 {
                self.out.push(operator_code(field.text[end]));
            }
            end = at;
        }
        self.term(field.slice(0, end), depth)?;
        if let Some(&first) = operators.first() {
            self.out.push(operator_code(field.text[first]));
        }
        Ok(())
    }

    /// Compiles `id [cmp]` or `( ... ) [cmp]`.
    fn term(&mut self, field: Field<'_>, depth: u32) -> Result<(), Error> {
        if field.text.first() != Some(&b'(') {
            return self.id(field);
        }
        let close = matching_parenthesis(field.text).unwrap_or(field.text.len());
        let inner = field.slice(1, close);
        let tail = field.slice((close + 1).min(field.text.len()), field.text.len());
        let comparison = group_comparison(tail)?;
        match operators(inner.text).last() {
            Some(at) => {
                let right = inner.slice(at + 1, inner.text.len());
                self.term(right, depth + 1)?;
                self.chain(inner.slice(0, at), depth + 1)?;
                self.out.push(operator_code(inner.text[at]));
                if let Some((comparison, distinct)) = comparison {
                    self.out.extend_from_slice(&[OP_GROUP, comparison.sign as u8]);
                    write_varint(self.out, comparison.value);
                    write_varint(self.out, distinct);
                }
                Ok(())
            }
            None if comparison.is_some() => Err(field.error(ErrorKind::ComparisonOfGroup)),
            None => self.term(inner, depth + 1),
        }
    }

    fn id(&mut self, field: Field<'_>) -> Result<(), Error> {
        let blanks = field.text.iter().take_while(|b| b.is_ascii_whitespace()).count();
        // A sign counts as one, so `-0` is 0 and any other below it too small.
        let negative = field.text.get(blanks) == Some(&b'-');
        let signs = usize::from(matches!(field.text.get(blanks), Some(b'-' | b'+')));
        let field = field.slice(blanks + signs, field.text.len());
        let digits = field.text.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return Err(field.error(ErrorKind::ExpectedOperand));
        }
        let rest = field.slice(digits, field.text.len());
        if rest.text.contains(&b'(') {
            return Err(rest.error(ErrorKind::Parenthesis));
        }
        let comparison = comparison(rest)?;
        let id = field.slice(0, digits).number(ErrorKind::ExpectedOperand)?;
        let id = u8::try_from(id).ok().filter(|&id| id < 64 && (id == 0 || !negative));
        let id = id.ok_or(field.error(ErrorKind::NumberRange))?;
        self.highest = self.highest.max(id);
        match comparison {
            None => self.out.push(id),
            Some(comparison) => {
                self.out.extend_from_slice(&[OP_COMPARE, id, comparison.sign as u8]);
                write_varint(self.out, comparison.value);
            }
        }
        Ok(())
    }
}

/// Positions of `&` and `|` outside of parentheses.
fn operators(text: &[u8]) -> impl Iterator<Item = usize> {
    let mut depth = 0u32;
    text.iter().enumerate().filter_map(move |(at, byte)| {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'&' | b'|' if depth == 0 => return Some(at),
            _ => {}
        }
        None
    })
}

fn operator_code(byte: u8) -> u8 {
    if byte == b'&' { OP_AND } else { OP_OR }
}

/// The position of the `)` that closes the `(` at 0.
fn matching_parenthesis(text: &[u8]) -> Option<usize> {
    let mut depth = 0u32;
    text.iter().position(|byte| {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    })
}

/// Reads the comparison after a number. What stands between and after means
/// nothing, `,Y` included, and of several signs the last counts (clamscan 1.4.6).
fn comparison(field: Field<'_>) -> Result<Option<Comparison>, Error> {
    let Some(at) = field.text.iter().rposition(|&b| sign(b).is_some()) else { return Ok(None) };
    let sign = sign(field.text[at]).unwrap_or(Sign::Equal);
    let tail = field.slice(at + 1, field.text.len());
    let value = leading_number(tail).ok_or(tail.error(ErrorKind::ExpectedNumber))?;
    Ok(Some(Comparison { sign, value }))
}

/// Reads the comparison after a group: `>X` or `>X,Y`, and nothing else; gives
/// also `Y`, 0 if it is missing.
fn group_comparison(field: Field<'_>) -> Result<Option<(Comparison, u32)>, Error> {
    let Some(&first) = field.text.first() else { return Ok(None) };
    let sign = sign(first).ok_or(field.error(ErrorKind::ExpectedNumber))?;
    let tail = field.slice(1, field.text.len());
    let wrong = tail.error(ErrorKind::ExpectedNumber);
    let value = leading_number(tail).ok_or(wrong)?;
    let after = tail.text.iter().position(u8::is_ascii_digit).unwrap_or(0);
    if tail.text[after..].iter().any(|b| !b.is_ascii_digit() && *b != b',') {
        return Err(wrong);
    }
    let comma = memchr::memchr(b',', tail.text);
    let distinct = comma.and_then(|at| leading_number(tail.slice(at + 1, tail.text.len())));
    Ok(Some((Comparison { sign, value }, distinct.unwrap_or(0))))
}

fn sign(byte: u8) -> Option<Sign> {
    match byte {
        b'=' => Some(Sign::Equal),
        b'<' => Some(Sign::Less),
        b'>' => Some(Sign::More),
        _ => None,
    }
}

/// The number that a text begins with. Blanks may stand before it, and a sign,
/// of which the number is taken without sign (clamscan 1.4.6: `0>-3` loads and
/// never holds).
fn leading_number(field: Field<'_>) -> Option<u32> {
    let text = field.text.trim_ascii_start();
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let len = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    let value = if len == 0 { None } else { number(&digits[..len]) }?;
    Some(if negative { value.wrapping_neg() } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(text: &str) -> Result<Vec<u8>, &'static str> {
        let field = Field { text: text.as_bytes(), span: Span::new(0, text.len()) };
        let mut out = Vec::new();
        Expression::compile(field, &mut out).map_err(|e| e.kind().code())?;
        Ok(out)
    }

    fn holds(text: &str, counts: &[u64]) -> bool {
        let code = compile(text).unwrap();
        let count = |id: u8| counts.get(usize::from(id)).copied().unwrap_or(0);
        Expression::new(&code).holds(count, &mut Vec::new())
    }

    #[test]
    fn operators_group_from_the_left_outside_and_from_the_last_inside() {
        assert!(!holds("0&1|2", &[0, 0, 1]));
        assert!(holds("0&1|2", &[1, 0, 1]));
        assert!(holds("0|1&2", &[1, 0, 0]));
        assert!(!holds("0|1&2", &[0, 1, 0]));
        assert!(holds("0&1|2&3", &[1, 0, 1, 1]));
        assert!(!holds("0&1|2&3", &[1, 0, 1, 0]));
        assert!(holds("(0&1|2)", &[0, 0, 1]));
        assert!(!holds("(0&1|2&3)", &[0, 0, 1, 1]));
        assert!(holds("(0&1|2&3)", &[1, 0, 1, 1]));
    }

    #[test]
    fn groups_compare_sums_and_members() {
        assert!(!holds("(0|1)>2,2", &[3, 0]));
        assert!(holds("(0|1)>2,2", &[2, 1]));
        assert!(!holds("((0|1)>1|2)>2,2", &[2, 1, 1]));
        assert!(holds("(0|1)=0", &[0, 0]));
        assert!(holds("(0&1)=0", &[0, 5]));
        assert!(holds("(0|1)<3", &[0, 0]));
        assert!(!holds("(0|1)<3,2", &[0, 0]));
    }

    #[test]
    fn no_more_is_asked_for_than_decides() {
        let asked = |text: &str, counts: &[u64]| {
            let code = compile(text).unwrap();
            let mut asked = Vec::new();
            let count = |id: u8| {
                asked.push(id);
                counts[usize::from(id)]
            };
            let holds = Expression::new(&code).holds(count, &mut Vec::new());
            (holds, asked)
        };
        assert_eq!(asked("0&1&2", &[1, 0, 1]), (false, vec![2, 1]));
        assert_eq!(asked("0&1&2", &[1, 1, 1]), (true, vec![2, 1, 0]));
        assert_eq!(asked("(0&1)", &[1, 0]), (false, vec![1]));
        assert_eq!(asked("(0|1|2|3)>0,3", &[1, 0, 1, 0]), (false, vec![3, 2, 1]));
        assert_eq!(asked("(0|1|2)>0,2", &[1, 0, 1]), (true, vec![2, 1, 0]));
        assert_eq!(asked("(0|1|1|1|2)>0,2", &[1, 0, 1]), (true, vec![2, 1, 1, 1, 0]));
        assert_eq!(asked("(0|1|2)=0", &[0, 0, 0]), (true, vec![2, 1, 0]));
        assert_eq!(asked("0|1|2", &[0, 0, 1]), (true, vec![2, 1, 0]));
    }

    #[test]
    fn rubbish_after_a_number_means_nothing() {
        for text in
            ["0x", " 0", "0 ", "(0)", "((0))", "0>=1", "0==1", "0=1,7", "0=1,", "0 x>0", "( 0 )"]
        {
            assert!(holds(text, &[1]), "{text}");
        }
        assert!(holds("0 & 1", &[1, 1]));
    }

    #[test]
    fn what_is_no_expression() {
        for text in [
            "",
            "0&",
            "&0",
            "0&&1",
            "(0&1",
            "0&1)",
            "x",
            "!0",
            "0>",
            "0>x",
            "(0|1)>",
            "(0)>1",
            "((0|1)>1)>0",
            "64",
        ] {
            assert!(compile(text).is_err(), "{text}");
        }
        assert!(compile(&"(".repeat(10_000)).is_err());
        let deep = format!("{}0{}", "(".repeat(256), ")".repeat(256));
        assert!(compile(&deep).is_ok());
    }

    #[test]
    fn a_long_chain_takes_linear_time() {
        let text = "0|".repeat(100_000) + "1";
        assert!(holds(&text, &[0, 1]));
    }
}
