//! YARA rules on a buffer: a machine for their conditions.
//!
//! The program of a rule runs on a stack of numbers, each perhaps undefined.
//! Strings are searched when the program first asks for them, and no further
//! than it asks: *whether* stops at the first match, *how often* stores none,
//! and only `@a[2]` and the like keep offsets. Conditions on the head or size of the
//! buffer stand in front of those on strings, so most rules end after a step.
//!
//! Nothing recurses: loops are kept on a stack, and a rule that asks for others
//! has these answered first. Each step ticks the meter.

mod plan;
mod regex;

use std::collections::HashMap;

use quahog_sig::SignatureSet;
use quahog_sig::model::{YaraRule, YaraString};
use quahog_sig::yara::{Op, StringRef, Strings};

use crate::meter::{Interrupted, Meter};
use crate::verify::{self, Buffers, Want};

pub(crate) use plan::triggers;
pub(crate) use regex::Regexes;

/// What a rule looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'v> {
    /// The bytes that strings are searched in.
    pub(crate) bytes: &'v [u8],
    /// The bytes that `uint8` and its kin read, whose number is `filesize`: those
    /// of the layer itself, where the view is its normalised text (clamscan 1.4.6).
    pub(crate) raw: &'v [u8],
    /// Where execution begins, as an offset into the file; 0 where nothing is
    /// executed.
    pub(crate) entry_point: u64,
}

/// What is kept between the rules of one view, and memory that is reused.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Whether a rule holds, for those that were asked.
    verdicts: HashMap<u32, Option<Held>>,
    pending: Vec<u32>,
    known: Vec<Known>,
    stack: Vec<Option<i64>>,
    loops: Vec<Loop>,
}

impl State {
    /// Forgets the rules of the view before.
    pub(crate) fn clear(&mut self) {
        self.verdicts.clear();
    }
}

/// A rule that holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Held {
    /// The first match of the first string that was seen to match.
    pub(crate) span: Option<(usize, usize)>,
}

/// What is known of a string.
#[derive(Clone, Debug, Default)]
struct Known {
    found: Option<bool>,
    first: Option<Option<(usize, usize)>>,
    count: Option<u64>,
    /// Where matches start, in the order in which they are met.
    offsets: Option<Vec<usize>>,
}

/// A loop that is running.
#[derive(Debug)]
struct Loop {
    /// How much the values of the body must sum up to; `None` for "all".
    quantifier: Option<i64>,
    sum: i64,
    turns: i64,
    /// A turn was undefined, and so the loop does not hold (clamscan 1.4.6).
    undefined: bool,
    kind: LoopKind,
}

#[derive(Debug)]
enum LoopKind {
    Range { current: Option<i64>, high: Option<i64> },
    Strings { strings: Vec<u32>, at: usize },
    Values { values: Vec<Option<i64>>, at: usize },
}

impl Loop {
    fn new(quantifier: Option<i64>, kind: LoopKind) -> Loop {
        Loop { quantifier, sum: 0, turns: 0, undefined: false, kind }
    }

    /// Adds the value of a turn and moves on; false at the end.
    fn turn(&mut self, value: Option<i64>, plain: bool) -> bool {
        self.undefined |= value.is_none();
        self.sum = self.sum.wrapping_add(value.unwrap_or(0));
        self.turns = self.turns.saturating_add(1);
        let settled = match self.quantifier {
            Some(wanted) => self.sum >= wanted,
            None => value != Some(1),
        };
        if plain && settled {
            return false;
        }
        match &mut self.kind {
            LoopKind::Range { current, high } => {
                *current = current.and_then(|n| n.checked_add(1));
                current.zip(*high).is_some_and(|(current, high)| current <= high)
            }
            LoopKind::Strings { strings, at } => {
                *at += 1;
                *at < strings.len()
            }
            LoopKind::Values { values, at } => {
                *at += 1;
                *at < values.len()
            }
        }
    }

    fn holds(&self) -> bool {
        !self.undefined && self.sum >= self.quantifier.unwrap_or(self.turns)
    }
}

/// Says whether a rule holds for a view; asked again, it answers from memory.
///
/// # Errors
///
/// The meter called the scan off.
pub(crate) fn holds(
    set: &SignatureSet,
    regexes: &Regexes,
    index: usize,
    view: View<'_>,
    state: &mut State,
    buffers: &mut Buffers,
    meter: &dyn Meter,
) -> Result<Option<Held>, Interrupted> {
    let wanted = u32::try_from(index).unwrap_or(u32::MAX);
    state.pending.clear();
    state.pending.push(wanted);
    while let Some(&next) = state.pending.last() {
        if state.verdicts.contains_key(&next) {
            state.pending.pop();
            continue;
        }
        let Some(rule) = set.yara_rule(next as usize) else {
            state.verdicts.insert(next, None);
            continue;
        };
        // Rules speak of earlier ones only, so this comes to an end.
        let unknown = rule
            .condition
            .rules()
            .find(|&other| other < next && !state.verdicts.contains_key(&other));
        if let Some(unknown) = unknown {
            meter.tick(1)?;
            state.pending.push(unknown);
            continue;
        }
        let held = Machine { set, regexes, rule, view, buffers, meter }.run(state)?;
        state.verdicts.insert(next, held);
    }
    Ok(state.verdicts.get(&wanted).copied().flatten())
}

/// One rule on one view.
struct Machine<'m> {
    set: &'m SignatureSet,
    regexes: &'m Regexes,
    rule: YaraRule<'m>,
    view: View<'m>,
    buffers: &'m mut Buffers,
    meter: &'m dyn Meter,
}

impl Machine<'_> {
    fn run(&mut self, state: &mut State) -> Result<Option<Held>, Interrupted> {
        let State { verdicts, known, stack, loops, .. } = state;
        known.clear();
        known.resize(self.rule.n_strings, Known::default());
        stack.clear();
        loops.clear();
        let mut pos = 0;
        // A program cannot take more from the stack than it put there, but for
        // one that the set did not write.
        while let Some((op, next)) = self.rule.condition.step(pos) {
            self.meter.tick(1)?;
            pos = next;
            let mut pop = || stack.pop().flatten();
            let truth = |truth: bool| Some(i64::from(truth));
            let value = match op {
                Op::Arithmetic(operator) => {
                    let (right, left) = (pop(), pop());
                    operator.apply(left, right)
                }
                Op::At(string) => {
                    let offset = pop();
                    truth(self.starts_in(string, offset, offset, loops)?)
                }
                Op::Compare(relation) => {
                    let (right, left) = (pop(), pop());
                    truth(relation.holds(left, right))
                }
                Op::Complement => pop().map(|value| !value),
                Op::Count(string) => self.count(string, known, loops)?,
                Op::EntryPoint => i64::try_from(self.view.entry_point).ok(),
                Op::FileSize => i64::try_from(self.view.raw.len()).ok(),
                Op::Found(string) => truth(self.found(string, known, loops)?),
                Op::In(string) => {
                    let (high, low) = (pop(), pop());
                    truth(self.starts_in(string, low, high, loops)?)
                }
                Op::JumpIfFalse(target) => {
                    let value = pop().filter(|&value| value != 0);
                    if value.is_none() {
                        pos = target;
                    }
                    Some(value.unwrap_or(0))
                }
                Op::JumpIfTrue(target) => {
                    let value = pop();
                    if value.is_some_and(|value| value != 0) {
                        pos = target;
                    }
                    value
                }
                Op::LoopRange => {
                    let (high, current, quantifier) = (pop(), pop(), pop());
                    let kind = LoopKind::Range { current, high };
                    loops.push(Loop::new(quantifier, kind));
                    continue;
                }
                Op::LoopStrings(strings) => {
                    let kind = LoopKind::Strings { strings: strings.iter().collect(), at: 0 };
                    loops.push(Loop::new(pop(), kind));
                    continue;
                }
                Op::LoopValues(count) => {
                    let from = stack.len().saturating_sub(count as usize);
                    let values = stack.split_off(from);
                    let quantifier = stack.pop().flatten();
                    let kind = LoopKind::Values { values, at: 0 };
                    loops.push(Loop::new(quantifier, kind));
                    continue;
                }
                Op::Next { body, plain } => {
                    let value = pop();
                    let Some(innermost) = loops.last_mut() else { break };
                    if innermost.turn(value, plain) {
                        pos = body;
                        continue;
                    }
                    let holds = innermost.holds();
                    loops.pop();
                    truth(holds)
                }
                Op::Not => pop().map(|value| i64::from(value == 0)),
                Op::Of(strings) => {
                    let quantifier = pop();
                    truth(self.of(quantifier, strings, known, loops)?)
                }
                Op::Offset(string) => {
                    let index = pop();
                    self.offset(string, index, known, loops)?
                }
                Op::Push(value) => Some(value),
                Op::PushUndefined => None,
                Op::Read(read) => read.at(self.view.raw, pop()),
                Op::Rule(other) => truth(verdicts.get(&other).is_some_and(Option::is_some)),
                Op::Variable(index) => variable(loops, index),
            };
            stack.push(value);
        }
        let holds = stack.pop().flatten().is_some_and(|value| value != 0);
        let span = known.iter().find_map(|known| known.first.flatten());
        Ok(holds.then_some(Held { span }))
    }

    /// The position of a string among those of the rule, if there is one.
    fn position(&self, string: StringRef, loops: &[Loop]) -> Option<usize> {
        let position = match string {
            StringRef::Index(index) => index as usize,
            StringRef::Current => loops.iter().rev().find_map(|around| match &around.kind {
                LoopKind::Strings { strings, at } => strings.get(*at).map(|&index| index as usize),
                _ => None,
            })?,
        };
        (position < self.rule.n_strings).then_some(position)
    }

    fn string(&self, position: usize) -> Option<YaraString<'_>> {
        self.set.yara_string(self.rule.first_string + position)
    }

    /// The first match of a regular expression: ClamAV looks for no other.
    fn regex(&self, position: usize) -> Result<Option<(usize, usize)>, Interrupted> {
        self.meter.tick(self.view.bytes.len() as u64)?;
        Ok(self.regexes.find(self.rule.first_string + position, self.view.bytes))
    }

    fn found(
        &mut self,
        string: StringRef,
        known: &mut [Known],
        loops: &[Loop],
    ) -> Result<bool, Interrupted> {
        let Some(position) = self.position(string, loops) else { return Ok(false) };
        let Some(known) = known.get_mut(position) else { return Ok(false) };
        if let Some(found) = known.found {
            return Ok(found);
        }
        let first = self.any(position)?;
        known.found = Some(first.is_some());
        // Of two forms the other may match earlier: only `first` asks for that.
        let single =
            !matches!(self.string(position), Some(YaraString::Pattern { second: Some(_), .. }));
        if single || first.is_none() {
            known.first = Some(first);
        }
        Ok(first.is_some())
    }

    /// Some match of a string: the first one of the first form that has any.
    fn any(&mut self, position: usize) -> Result<Option<(usize, usize)>, Interrupted> {
        let (pattern, second) = match self.set.yara_string(self.rule.first_string + position) {
            Some(YaraString::Pattern { pattern, second }) => (pattern, second),
            Some(YaraString::Regex(_)) => return self.regex(position),
            None => return Ok(None),
        };
        let bytes = self.view.bytes;
        for form in [Some(pattern), second].into_iter().flatten() {
            let starts = 0..=bytes.len();
            let found = verify::search(form, bytes, starts, Want::First, self.buffers, self.meter)?;
            if found.first.is_some() {
                return Ok(found.first);
            }
        }
        Ok(None)
    }

    /// The first match of a string in the buffer.
    fn first(
        &mut self,
        position: usize,
        known: &mut Known,
    ) -> Result<Option<(usize, usize)>, Interrupted> {
        if let Some(first) = known.first {
            return Ok(first);
        }
        let first = match self.set.yara_string(self.rule.first_string + position) {
            Some(YaraString::Pattern { pattern, second }) => {
                let mut first: Option<(usize, usize)> = None;
                let bytes = self.view.bytes;
                for form in [Some(pattern), second].into_iter().flatten() {
                    let (meter, starts) = (self.meter, 0..=bytes.len());
                    let found =
                        verify::search(form, bytes, starts, Want::First, self.buffers, meter)?;
                    first = first.into_iter().chain(found.first).min();
                }
                first
            }
            Some(YaraString::Regex(_)) => self.regex(position)?,
            None => None,
        };
        known.first = Some(first);
        known.found = Some(first.is_some());
        Ok(first)
    }

    fn count(
        &mut self,
        string: StringRef,
        known: &mut [Known],
        loops: &[Loop],
    ) -> Result<Option<i64>, Interrupted> {
        let Some(position) = self.position(string, loops) else { return Ok(Some(0)) };
        let Some(known) = known.get_mut(position) else { return Ok(Some(0)) };
        if let Some(count) = known.count {
            return Ok(Some(i64::try_from(count).unwrap_or(i64::MAX)));
        }
        let mut count = 0u64;
        match self.set.yara_string(self.rule.first_string + position) {
            Some(YaraString::Pattern { pattern, second }) => {
                let bytes = self.view.bytes;
                let mut first = None;
                for form in [Some(pattern), second].into_iter().flatten() {
                    let (meter, starts) = (self.meter, 0..=bytes.len());
                    let found =
                        verify::search(form, bytes, starts, Want::Count, self.buffers, meter)?;
                    count = count.saturating_add(found.count);
                    first = first.into_iter().chain(found.first).min();
                }
                known.first = Some(first);
                known.found = Some(first.is_some());
            }
            Some(YaraString::Regex(_)) => {
                count = u64::from(self.first(position, known)?.is_some());
            }
            None => {}
        }
        known.count = Some(count);
        Ok(Some(i64::try_from(count).unwrap_or(i64::MAX)))
    }

    /// Where the match with this number starts, from 1.
    fn offset(
        &mut self,
        string: StringRef,
        index: Option<i64>,
        known: &mut [Known],
        loops: &[Loop],
    ) -> Result<Option<i64>, Interrupted> {
        let before = index.and_then(|index| usize::try_from(index).ok()?.checked_sub(1));
        let (Some(before), Some(position)) = (before, self.position(string, loops)) else {
            return Ok(None);
        };
        let Some(known) = known.get_mut(position) else { return Ok(None) };
        let number = |offset: usize| i64::try_from(offset).ok();
        if before == 0 {
            return Ok(self.first(position, known)?.and_then(|(start, _)| number(start)));
        }
        if known.offsets.is_none() {
            let mut offsets = Vec::new();
            match self.set.yara_string(self.rule.first_string + position) {
                Some(YaraString::Pattern { pattern, second }) => {
                    let bytes = self.view.bytes;
                    for form in [Some(pattern), second].into_iter().flatten() {
                        let (meter, starts) = (self.meter, 0..=bytes.len());
                        verify::visit(
                            form,
                            bytes,
                            starts,
                            self.buffers,
                            meter,
                            &mut |start, _| {
                                offsets.push(start);
                                true
                            },
                        )?;
                    }
                    // Those of one form are in the order of their last parts.
                    if second.is_some() {
                        offsets.sort_unstable();
                    }
                }
                Some(YaraString::Regex(_)) => {
                    offsets.extend(self.first(position, known)?.map(|(start, _)| start));
                }
                None => {}
            }
            known.offsets = Some(offsets);
        }
        let offset = known.offsets.as_ref().and_then(|offsets| offsets.get(before));
        Ok(offset.and_then(|&offset| number(offset)))
    }

    /// Whether a string starts between two offsets, both of them included.
    fn starts_in(
        &mut self,
        string: StringRef,
        low: Option<i64>,
        high: Option<i64>,
        loops: &[Loop],
    ) -> Result<bool, Interrupted> {
        let bytes = self.view.bytes;
        let Some((low, high)) = low.zip(high) else { return Ok(false) };
        let low = usize::try_from(low.max(0)).unwrap_or(usize::MAX);
        let Ok(high) = usize::try_from(high).map(|high| high.min(bytes.len())) else {
            return Ok(false);
        };
        let Some(position) = self.position(string, loops).filter(|_| low <= high) else {
            return Ok(false);
        };
        let (pattern, second) = match self.set.yara_string(self.rule.first_string + position) {
            Some(YaraString::Pattern { pattern, second }) => (pattern, second),
            Some(YaraString::Regex(_)) => {
                let first = self.regex(position)?;
                return Ok(first.is_some_and(|(start, _)| (low..=high).contains(&start)));
            }
            None => return Ok(false),
        };
        for form in [Some(pattern), second].into_iter().flatten() {
            // A match of several parts starts where its longest chain does, and
            // nowhere else: only a search of the whole buffer tells.
            let starts = if form.parts().len() > 1 { 0..=bytes.len() } else { low..=high };
            let mut found = false;
            verify::visit(form, bytes, starts, self.buffers, self.meter, &mut |start, _| {
                found = (low..=high).contains(&start);
                !found
            })?;
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether so many of the strings match; all of them for `None`.
    fn of(
        &mut self,
        quantifier: Option<i64>,
        strings: Strings<'_>,
        known: &mut [Known],
        loops: &[Loop],
    ) -> Result<bool, Interrupted> {
        let mut matched = 0i64;
        for index in strings.iter() {
            if quantifier.is_some_and(|wanted| matched >= wanted) {
                return Ok(true);
            }
            self.meter.tick(1)?;
            if self.found(StringRef::Index(index), known, loops)? {
                matched += 1;
            } else if quantifier.is_none() {
                return Ok(false);
            }
        }
        Ok(quantifier.is_none_or(|wanted| matched >= wanted))
    }
}

/// The number of the loop so many loops around, those over strings left out.
fn variable(loops: &[Loop], index: u8) -> Option<i64> {
    let numbers = loops.iter().filter_map(|around| match &around.kind {
        LoopKind::Range { current, .. } => Some(*current),
        LoopKind::Values { values, at } => Some(values.get(*at).copied().flatten()),
        LoopKind::Strings { .. } => None,
    });
    numbers.clone().nth(usize::from(index)).flatten()
}
