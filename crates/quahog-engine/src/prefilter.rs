//! The prefilter: finds in one pass which triggers stand in a buffer.
//!
//! It never misses: a signature that matches has one of its triggers found. A
//! trigger is reported once for a buffer, however often it stands there, so
//! data made of one trigger costs a bit test for each place.

use std::collections::HashMap;

use aho_corasick::automaton::Automaton;
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};

use crate::BuildError;
use crate::meter::{Interrupted, Meter};

/// Which signature a trigger belongs to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct SigRef(u32);

const LOGICAL: u32 = 1 << 31;
const YARA: u32 = 3 << 30;

impl SigRef {
    // Sets hold less than 2^29 signatures of a kind.
    pub(crate) fn body(index: usize) -> SigRef {
        SigRef(index as u32)
    }

    pub(crate) fn logical(index: usize) -> SigRef {
        SigRef(index as u32 | LOGICAL)
    }

    pub(crate) fn yara(index: usize) -> SigRef {
        SigRef(index as u32 | YARA)
    }

    /// The index of a YARA rule, if it is one.
    pub(crate) fn as_yara(self) -> Option<usize> {
        (self.0 & YARA == YARA).then_some((self.0 & !YARA) as usize)
    }

    /// The index, and whether it is that of a logical signature; not for YARA
    /// rules.
    pub(crate) fn unpack(self) -> (usize, bool) {
        ((self.0 & !LOGICAL) as usize, self.0 & LOGICAL != 0)
    }
}

/// The triggers of the signatures that one kind of layer needs.
#[derive(Debug, Default)]
pub(crate) struct Prefilter {
    automaton: Option<NFA>,
    /// Where the signatures of a trigger begin in `signatures`.
    starts: Vec<u32>,
    signatures: Vec<SigRef>,
}

/// Collects triggers.
#[derive(Debug, Default)]
pub(crate) struct PrefilterBuilder {
    triggers: HashMap<Vec<u8>, Vec<SigRef>>,
}

/// Memory of a search: which triggers were seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    bits: Vec<u64>,
    touched: Vec<u32>,
}

/// Bytes between two looks at the meter.
const BLOCK: usize = 16 << 10;

impl PrefilterBuilder {
    pub(crate) fn add(&mut self, trigger: Vec<u8>, signature: SigRef) {
        self.triggers.entry(trigger).or_default().push(signature);
    }

    pub(crate) fn build(self) -> Result<Prefilter, BuildError> {
        if self.triggers.is_empty() {
            return Ok(Prefilter::default());
        }
        let mut triggers: Vec<_> = self.triggers.into_iter().collect();
        triggers.sort_unstable();
        let automaton = NFA::builder()
            .match_kind(MatchKind::Standard)
            .prefilter(false)
            .build(triggers.iter().map(|(text, _)| text))
            .map_err(|e| BuildError::TooLarge(e.to_string()))?;
        let mut prefilter = Prefilter { automaton: Some(automaton), ..Prefilter::default() };
        for (_, signatures) in triggers {
            prefilter.starts.push(u32::try_from(prefilter.signatures.len()).unwrap_or(u32::MAX));
            prefilter.signatures.extend(signatures);
        }
        let end = u32::try_from(prefilter.signatures.len()).unwrap_or(u32::MAX);
        prefilter.starts.push(end);
        Ok(prefilter)
    }
}

impl Prefilter {
    /// Appends to `out` the signatures of each trigger that stands in `haystack`,
    /// in either case; a signature with several triggers may come more than once.
    ///
    /// # Errors
    ///
    /// The meter called the scan off.
    pub(crate) fn find(
        &self,
        haystack: &[u8],
        seen: &mut Seen,
        meter: &dyn Meter,
        out: &mut Vec<SigRef>,
    ) -> Result<(), Interrupted> {
        let Some(automaton) = &self.automaton else { return Ok(()) };
        seen.bits.resize(self.starts.len().div_ceil(64).max(seen.bits.len()), 0);
        let result = self.walk(automaton, haystack, seen, meter);
        for &trigger in &seen.touched {
            seen.bits[trigger as usize / 64] &= !(1 << (trigger % 64));
            let range = self.starts[trigger as usize]..self.starts[trigger as usize + 1];
            out.extend_from_slice(&self.signatures[range.start as usize..range.end as usize]);
        }
        seen.touched.clear();
        result
    }

    fn walk(
        &self,
        automaton: &NFA,
        haystack: &[u8],
        seen: &mut Seen,
        meter: &dyn Meter,
    ) -> Result<(), Interrupted> {
        let Ok(mut state) = automaton.start_state(Anchored::No) else { return Ok(()) };
        for block in haystack.chunks(BLOCK) {
            meter.tick(block.len() as u64)?;
            for &byte in block {
                state = automaton.next_state(Anchored::No, state, byte.to_ascii_lowercase());
                if !automaton.is_special(state) || !automaton.is_match(state) {
                    continue;
                }
                for at in 0..automaton.match_len(state) {
                    let trigger = automaton.match_pattern(state, at).as_u32();
                    let word = &mut seen.bits[trigger as usize / 64];
                    let bit = 1 << (trigger % 64);
                    if *word & bit == 0 {
                        *word |= bit;
                        seen.touched.push(trigger);
                    }
                }
            }
        }
        Ok(())
    }

    /// The number of different triggers.
    pub(crate) fn n_triggers(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Heap bytes, about.
    pub(crate) fn memory(&self) -> usize {
        let automaton = self.automaton.as_ref().map_or(0, Automaton::memory_usage);
        automaton + 4 * (self.starts.len() + self.signatures.len())
    }
}
