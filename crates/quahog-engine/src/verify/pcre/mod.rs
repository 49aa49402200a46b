//! Regular expressions: compiled from their tree, searched within bounds.
//!
//! A [`Matcher`] is made when its expression is first asked for, compiled when it
//! first runs, and then only read.
//! Nearly all expressions describe regular languages, and an automaton finds
//! their matches in time linear in the buffer, whatever the bytes are. The
//! automaton is built from our own tree, node by node; its library never sees
//! the text of a pattern, so no other syntax can creep in.
//!
//! Look around, back references, atomic groups and conditions need a machine
//! that goes back: [`backtrack`] is one, with exactly the order of choices that
//! PCRE2 has. Its worst case is exponential, so its steps are counted, and an
//! automaton for a *larger* language (every look dropped, every back reference
//! any bytes) runs before it: where that finds nothing, nothing is there, and
//! no bytes of an attacker can make the machine work for it.
//!
//! Where many expressions are asked for in one buffer, a [`Gate`] knows which of
//! them have nothing to match there.
//!
//! Bytes are charged to the meter before an automaton reads them, and steps
//! while they are taken, so the same bytes always cost the same.

mod automaton;
mod backtrack;
mod gate;

use std::ops::RangeInclusive;
use std::sync::OnceLock;

use quahog_sig::model::Pcre;
use quahog_sig::regex::{Flags, Regex};
use regex_automata::meta;
use regex_automata::{Anchored, Input};

use self::automaton::Fit;
use self::backtrack::Program;
pub(crate) use self::backtrack::Stack;
pub(crate) use self::gate::{Gate, Required};
use super::Found;
use crate::meter::{Interrupted, Meter};

/// A regular expression: what must stand where it matches and, once it runs for
/// the first time, what finds that.
#[derive(Debug)]
pub(crate) struct Matcher {
    required: Required,
    machine: OnceLock<Machine>,
}

#[derive(Debug)]
enum Machine {
    /// An automaton finds what the expression says.
    Automaton(meta::Regex),
    /// Only this machine does; the automaton finds at least as much.
    Backtracker { filter: Option<meta::Regex>, program: Program },
    /// Nothing matches: the text is no expression, which the set rules out.
    Nothing,
}

/// Steps that a search may take for each byte, beside those of
/// [`RegexLimits`](crate::RegexLimits).
const STEPS_FOR_A_BYTE: u64 = 16;

impl Matcher {
    /// Reads an expression; it is compiled by the first [`search`].
    pub(crate) fn new(text: &[u8], flags: Flags) -> Matcher {
        Matcher { required: Required::of(text, flags), machine: OnceLock::new() }
    }

    /// What must stand in every match.
    pub(crate) fn required(&self) -> &Required {
        &self.required
    }

    /// The machine; text and flags are always those of [`new`](Self::new).
    fn machine(&self, text: &[u8], flags: Flags) -> &Machine {
        self.machine.get_or_init(|| Machine::new(text, flags))
    }
}

impl Machine {
    fn new(text: &[u8], flags: Flags) -> Machine {
        let Ok(regex) = Regex::parse(text, flags) else { return Machine::Nothing };
        // Where a match ends decides where the next one may begin.
        let fit = if flags.has(Flags::GLOBAL) { Fit::Exact } else { Fit::Starts };
        if let Some(fitting) = automaton::compile(regex.root(), fit) {
            return Machine::Automaton(fitting);
        }
        let filter = automaton::compile(regex.root(), Fit::Larger);
        let program = Program::new(&regex);
        Machine::Backtracker { filter, program }
    }
}

/// One search of an expression in a subject.
struct Search<'m> {
    machine: &'m Machine,
    subject: &'m [u8],
    anchored: bool,
    cache: Option<meta::Cache>,
    /// Where the larger language may begin to match, once that is known.
    filtered: Option<usize>,
    steps: u64,
    depth: usize,
    stack: &'m mut Stack,
    meter: &'m dyn Meter,
}

/// Finds the matches of a regular expression, which starts in `starts` counted
/// from the start of `haystack`; at most `most` are counted.
///
/// The buffer is cut at the first start: there `^` and `\A` match, and nothing
/// before it is seen by a look behind.
///
/// # Errors
///
/// The meter called the scan off.
pub(crate) fn search(
    matcher: &Matcher,
    pcre: &Pcre<'_>,
    haystack: &[u8],
    starts: Option<&RangeInclusive<usize>>,
    most: u64,
    stack: &mut Stack,
    meter: &dyn Meter,
) -> Result<Found, Interrupted> {
    let mut found = Found::default();
    let has = |flag| pcre.flags.has(flag);
    // (first start, last start after it if that is bounded)
    let (low, last) = match starts {
        None => (0, None),
        Some(starts) => (*starts.start(), Some(starts.end() - starts.start())),
    };
    if starts.is_some() && low >= haystack.len() {
        return Ok(found);
    }
    let floats = pcre.offset.shift > 0 || last.is_some_and(|last| last > 0);
    let mut subject = haystack.get(low..).unwrap_or_default();
    let (mut last, mut anchored) = (last, has(Flags::ANCHORED));
    if starts.is_some() {
        if !floats {
            // At its place, unless it may roll on from there.
            anchored |= !has(Flags::ROLLING);
            last = None;
        } else if has(Flags::ENCOMPASS) {
            let len = last.unwrap_or(0).min(subject.len());
            subject = &subject[..len];
            last = None;
        }
    }
    let limits = meter.regex_limits();
    let mut search = Search {
        machine: matcher.machine(pcre.text, pcre.flags),
        subject,
        anchored,
        cache: None,
        filtered: None,
        steps: limits.steps.saturating_add(STEPS_FOR_A_BYTE.saturating_mul(subject.len() as u64)),
        depth: limits.depth,
        stack,
        meter,
    };
    let mut from = 0;
    while let Some((start, end)) = search.next(from)? {
        if last.is_some_and(|last| start > last) {
            break;
        }
        found.add(low + start, low + end);
        if !has(Flags::GLOBAL) || found.count >= most {
            break;
        }
        // After an empty match ClamAV never gets on.
        from = if end > start { end } else { end + 1 };
    }
    Ok(found)
}

impl Search<'_> {
    /// The first match from `from` on.
    fn next(&mut self, from: usize) -> Result<Option<(usize, usize)>, Interrupted> {
        if from > self.subject.len() {
            return Ok(None);
        }
        match self.machine {
            Machine::Nothing => Ok(None),
            Machine::Automaton(regex) => {
                let anchored = if self.anchored { Anchored::Yes } else { Anchored::No };
                self.automaton(regex, from, anchored)
            }
            Machine::Backtracker { filter, program } => {
                let mut at = from;
                if let Some(filter) = filter
                    && !self.anchored
                {
                    // What begins later than `from` is still the first later on.
                    if self.filtered.is_none_or(|known| known < from) {
                        match self.automaton(filter, from, Anchored::No)? {
                            Some((start, _)) => self.filtered = Some(start),
                            None => return Ok(None),
                        }
                    }
                    at = at.max(self.filtered.unwrap_or(from));
                }
                let search = backtrack::Search {
                    subject: self.subject,
                    search_start: from,
                    anchored: self.anchored,
                    depth: self.depth,
                };
                program.find(&search, at, &mut self.steps, self.stack, self.meter)
            }
        }
    }

    fn automaton(
        &mut self,
        regex: &meta::Regex,
        from: usize,
        anchored: Anchored,
    ) -> Result<Option<(usize, usize)>, Interrupted> {
        let left = self.subject.len() - from;
        self.meter.tick(left as u64 + 1)?;
        let cache = self.cache.get_or_insert_with(|| regex.create_cache());
        let input = Input::new(self.subject).range(from..).anchored(anchored);
        Ok(regex.search_with(cache, &input).map(|found| (found.start(), found.end())))
    }
}

#[cfg(test)]
mod tests;
