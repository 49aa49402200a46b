//! Triggers of rules: literals one of which stands in every buffer for which
//! a condition holds.
//!
//! The program is read once, in the order in which it is written, and for each
//! value on its stack it is told what must match for the value to be *true*
//! (neither 0 nor undefined) and for it to be *defined*. Jumps are shortcuts
//! that change no value, so they are passed over.

use quahog_sig::SignatureSet;
use quahog_sig::model::{Offset, YaraRule, YaraString};
use quahog_sig::yara::{Arithmetic, Op, Relation, StringRef};

use super::regex;
use crate::plan::{Needle, Trigger, of_pattern};
use crate::prefilter::expense;

/// Literals one of which stands wherever something matches.
#[derive(Clone, Debug)]
struct Cover {
    texts: Vec<Vec<u8>>,
    /// The string of the loop around is one more of them.
    current: bool,
    cost: f64,
}

impl Cover {
    fn with(mut self, other: Cover) -> Cover {
        self.texts.extend(other.texts);
        self.current |= other.current;
        self.cost += other.cost;
        self
    }
}

/// The cheaper one of two that both hold.
fn cheaper(a: Option<Cover>, b: Option<Cover>) -> Option<Cover> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if a.cost <= b.cost { a } else { b }),
        (a, b) => a.or(b),
    }
}

/// One of two holds.
fn either(a: Option<Cover>, b: Option<Cover>) -> Option<Cover> {
    Some(a?.with(b?))
}

/// A value on the stack.
#[derive(Clone, Debug, Default)]
struct Value {
    /// What matches if it is neither 0 nor undefined.
    truthy: Option<Cover>,
    /// What matches if it is defined.
    defined: Option<Cover>,
    constant: Option<i64>,
    /// It is "all", as a quantifier.
    all: bool,
}

impl Value {
    fn of(truthy: Option<Cover>) -> Value {
        Value { truthy, ..Value::default() }
    }
}

/// A loop that is being read.
struct Loop {
    quantifier: Value,
    /// The strings that it runs over.
    strings: Option<Vec<u32>>,
}

/// The triggers of each rule of a set; `None` for a rule that may hold without.
pub(crate) fn triggers(set: &SignatureSet) -> Vec<Option<Vec<Needle<'static>>>> {
    let mut covers: Vec<Option<Cover>> = Vec::new();
    for rule in set.yara_rules() {
        let strings = strings_of(set, rule);
        let mut cover = Plan { strings: &strings, rules: &covers, stack: Vec::new() }.cover(rule);
        if let Some(cover) = &mut cover {
            cover.texts.sort_unstable();
            cover.texts.dedup();
        }
        covers.push(cover.filter(|cover| !cover.current));
    }
    let needles = |cover: Cover| cover.texts.into_iter().map(Needle::anywhere).collect();
    covers.into_iter().map(|cover| cover.map(needles)).collect()
}

/// The covers of a rule's strings.
fn strings_of(set: &SignatureSet, rule: YaraRule<'_>) -> Vec<Option<Cover>> {
    let rows = rule.first_string..rule.first_string + rule.n_strings;
    rows.map(|row| {
        let texts = match set.yara_string(row)? {
            YaraString::Pattern { pattern, second } => {
                let patterns = [Some(pattern), second].into_iter().flatten();
                let text = |p| of_pattern(p, Offset::ANY, 0, false).and_then(Trigger::into_text);
                patterns
                    .map(text)
                    .map(|text| text.map(|text| text.to_ascii_lowercase()))
                    .collect::<Option<Vec<_>>>()?
            }
            YaraString::Regex(text) => regex::literals(text)?
                .iter()
                .map(|text| text.to_ascii_lowercase())
                .collect::<Vec<_>>(),
        };
        // A single byte is everywhere.
        let cost = texts.iter().map(|text| expense(text)).sum();
        texts.iter().all(|text: &Vec<u8>| text.len() > 1).then_some(Cover {
            texts,
            current: false,
            cost,
        })
    })
    .collect()
}

struct Plan<'p> {
    strings: &'p [Option<Cover>],
    rules: &'p [Option<Cover>],
    stack: Vec<Value>,
}

impl Plan<'_> {
    fn pop(&mut self) -> Value {
        self.stack.pop().unwrap_or_default()
    }

    fn string(&self, string: StringRef) -> Option<Cover> {
        match string {
            StringRef::Current => Some(Cover { texts: Vec::new(), current: true, cost: 0.0 }),
            StringRef::Index(index) => self.strings.get(index as usize)?.clone(),
        }
    }

    fn cover(mut self, rule: YaraRule<'_>) -> Option<Cover> {
        let mut loops = Vec::new();
        for op in rule.condition.steps() {
            let value = match op {
                Op::Arithmetic(operator) => {
                    let (b, a) = (self.pop(), self.pop());
                    arithmetic(operator, a, b)
                }
                Op::At(string) => {
                    let offset = self.pop();
                    Value::of(cheaper(self.string(string), offset.defined))
                }
                Op::Compare(relation) => {
                    let (b, a) = (self.pop(), self.pop());
                    Value::of(compare(relation, a, b))
                }
                Op::Complement => {
                    let a = self.pop();
                    Value { truthy: a.defined.clone(), defined: a.defined, ..Value::default() }
                }
                Op::Count(string) | Op::Found(string) => Value::of(self.string(string)),
                Op::In(string) => {
                    let (high, low) = (self.pop(), self.pop());
                    let defined = cheaper(low.defined, high.defined);
                    Value::of(cheaper(self.string(string), defined))
                }
                Op::JumpIfFalse(_) | Op::JumpIfTrue(_) => continue,
                Op::LoopRange => {
                    let (_, _, quantifier) = (self.pop(), self.pop(), self.pop());
                    loops.push(Loop { quantifier, strings: None });
                    continue;
                }
                Op::LoopStrings(strings) => {
                    let quantifier = self.pop();
                    loops.push(Loop { quantifier, strings: Some(strings.iter().collect()) });
                    continue;
                }
                Op::LoopValues(count) => {
                    let rest = self.stack.len().saturating_sub(count as usize);
                    self.stack.truncate(rest);
                    let quantifier = self.pop();
                    loops.push(Loop { quantifier, strings: None });
                    continue;
                }
                Op::Next { .. } => {
                    let body = self.pop();
                    let innermost = loops.pop()?;
                    Value::of(self.of_loop(&innermost, body.truthy))
                }
                Op::Not => {
                    let a = self.pop();
                    Value { truthy: a.defined.clone(), defined: a.defined, ..Value::default() }
                }
                Op::Of(strings) => {
                    let quantifier = self.pop();
                    let strings: Vec<u32> = strings.iter().collect();
                    Value::of(self.of(&quantifier, &strings))
                }
                Op::Offset(string) => {
                    let index = self.pop();
                    let cover = cheaper(self.string(string), index.defined);
                    Value { truthy: cover.clone(), defined: cover, ..Value::default() }
                }
                Op::Push(constant) => Value { constant: Some(constant), ..Value::default() },
                Op::PushUndefined => Value { all: true, ..Value::default() },
                Op::Read(_) => {
                    let offset = self.pop();
                    let defined = offset.defined;
                    Value { truthy: defined.clone(), defined, ..Value::default() }
                }
                Op::Rule(index) => Value::of(self.rules.get(index as usize)?.clone()),
                Op::EntryPoint | Op::FileSize | Op::Variable(_) => Value::default(),
            };
            self.stack.push(value);
        }
        self.pop().truthy
    }

    /// A loop holds only if its body is true at least once, unless nothing is
    /// asked of it.
    fn of_loop(&self, around: &Loop, body: Option<Cover>) -> Option<Cover> {
        let asks = around.quantifier.all || around.quantifier.constant.is_some_and(|n| n > 0);
        let body = body.filter(|_| asks)?;
        match &around.strings {
            Some(strings) if body.current => {
                let own = Cover { current: false, ..body };
                strings.iter().try_fold(own, |cover, &index| {
                    Some(cover.with(self.string(StringRef::Index(index))?))
                })
            }
            _ => Some(body),
        }
    }

    /// Of `m` strings of which `n` must match, one of any `m - n + 1` does.
    fn of(&self, quantifier: &Value, strings: &[u32]) -> Option<Cover> {
        let wanted = if quantifier.all {
            strings.len()
        } else {
            usize::try_from(quantifier.constant?).ok()?
        };
        let enough =
            (strings.len() + 1).checked_sub(wanted.max(1)).filter(|&n| n > 0 && wanted > 0);
        let mut covers: Vec<Cover> =
            strings.iter().filter_map(|&index| self.string(StringRef::Index(index))).collect();
        covers.sort_by(|a, b| a.cost.total_cmp(&b.cost));
        let mut covers = covers.into_iter();
        let first = covers.next()?;
        // More than there are can never match; any cover will do.
        let Some(enough) = enough else {
            return (wanted > strings.len()).then_some(first);
        };
        let mut left = enough - 1;
        let mut cover = first;
        while left > 0 {
            cover = cover.with(covers.next()?);
            left -= 1;
        }
        Some(cover)
    }
}

fn arithmetic(operator: Arithmetic, a: Value, b: Value) -> Value {
    let defined = cheaper(a.defined, b.defined);
    let (truthy, defined) = match operator {
        Arithmetic::And => (cheaper(a.truthy, b.truthy), None),
        Arithmetic::Or => (either(a.truthy, b.truthy), None),
        Arithmetic::Multiply => (cheaper(a.truthy, b.truthy), defined),
        Arithmetic::Add | Arithmetic::Subtract | Arithmetic::Xor => {
            (either(a.truthy, b.truthy), defined)
        }
        Arithmetic::Divide
        | Arithmetic::Remainder
        | Arithmetic::ShiftLeft
        | Arithmetic::ShiftRight => (a.truthy, defined),
    };
    // What is true is defined, too.
    Value { truthy: cheaper(truthy, defined.clone()), defined, ..Value::default() }
}

fn compare(relation: Relation, a: Value, b: Value) -> Option<Cover> {
    let zero = Some(0);
    let by_value = match (a.constant, b.constant) {
        (_, Some(right)) if !relation.holds(zero, Some(right)) => a.truthy,
        (Some(left), _) if !relation.holds(Some(left), zero) => b.truthy,
        (None, None) if !relation.holds(zero, zero) => either(a.truthy, b.truthy),
        _ => None,
    };
    cheaper(by_value, cheaper(a.defined, b.defined))
}

#[cfg(test)]
mod tests {
    use super::*;
    use quahog_sig::{Format, SetBuilder};

    fn of(condition: &str) -> Option<Vec<String>> {
        let mut builder = SetBuilder::new();
        let strings = r#"$a = "abcq" $b = "defx" $c = "ghiz" $r = /x./"#;
        let used = "and (any of them or true)";
        let text = format!("rule R {{ strings: {strings} condition: ({condition}) {used} }}");
        builder.document(Format::Yar, text.as_bytes(), &mut |entry| {
            entry.outcome.unwrap();
        });
        let list = triggers(&builder.finish()).pop().unwrap();
        list.map(|list| {
            list.into_iter().map(|n| String::from_utf8(n.text.into_owned()).unwrap()).collect()
        })
    }

    #[test]
    fn a_condition_needs_the_strings_that_make_it_true() {
        let list = |texts: &[&str]| Some(texts.iter().map(ToString::to_string).collect::<Vec<_>>());
        for (condition, expected) in [
            ("$a", list(&["abcq"])),
            ("$a or $b", list(&["abcq", "defx"])),
            ("uint16(0) == 0x5a4d and ($a or $b)", list(&["abcq", "defx"])),
            ("any of ($a, $b)", list(&["abcq", "defx"])),
            ("2 of ($a, $a, $a)", list(&["abcq"])),
            ("not $a", None),
            ("$a or filesize > 3", None),
            ("$a or $r", None),
            ("$a and $r", list(&["abcq"])),
            ("#a > 1", list(&["abcq"])),
            ("#a < 5", None),
            ("#a == 0", None),
            ("#a != 0", list(&["abcq"])),
            ("0 < #a", list(&["abcq"])),
            ("#a > #b", list(&["abcq", "defx"])),
            ("#a + #b == 2", list(&["abcq", "defx"])),
            ("@a < 100", list(&["abcq"])),
            ("uint8(@a + 1) == 7", list(&["abcq"])),
            ("not (@a < 100)", None),
            ("$a at 0", list(&["abcq"])),
            ("for any of ($a, $b) : ($ at 6)", list(&["abcq", "defx"])),
            ("for any of ($a, $b) : (not $)", None),
            ("for any i in (1..#a) : (@b[i] == 3)", list(&["defx"])),
            ("for 0 of ($a) : ($)", None),
            ("0 of ($a)", None),
            ("#b of ($a)", None),
            ("true", None),
        ] {
            assert_eq!(of(condition), expected, "{condition}");
        }
    }
}
