//! Logical signatures on one view: which subsignatures match, and whether that
//! is what the expression asks for.
//!
//! Subsignatures are searched for when the expression, or the trigger of a
//! regular expression, first asks for them, and once at most. What was found of
//! each is kept, so that whoever wants to explain a detection can look at it.

use quahog_sig::model::{
    ByteCompare, Expression, Logical, Macro, Offset, Op, Pcre, Subsignature, Target,
};

use crate::engine::Scan;
use crate::meter::Interrupted;
use crate::offset::{Starts, starts_in};
use crate::plan;
use crate::verify::pcre::{self, Matcher};
use crate::verify::{self, Found, Want, byte_compare};

/// What must be known of the subsignatures of a signature.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    /// Of body patterns.
    want: Want,
    /// More hits than this make no difference.
    most: u64,
    /// Those of which the last hit counts, a bit each.
    last: u64,
}

/// The most hits of one pattern that the check of a macro remembers.
const MAX_MACRO_HITS: usize = 1 << 20;

impl Need {
    fn of(logical: Logical<'_>) -> Need {
        let mut need = Need { want: Want::First, most: 1, last: 0 };
        need.add(logical.expression);
        for sub in logical.subsignatures() {
            match sub {
                Subsignature::ByteCompare(compare) => {
                    need.last |= 1u64.checked_shl(compare.reference).unwrap_or(0);
                }
                Subsignature::Pcre(pcre) => need.add(pcre.trigger),
                _ => {}
            }
        }
        need
    }

    fn add(&mut self, expression: Expression<'_>) {
        if !plan::counts_matter(expression) {
            return;
        }
        self.want = Want::Count;
        for op in expression.ops() {
            if let Op::Push { comparison: Some(comparison), .. } | Op::Group { comparison, .. } = op
            {
                // A count above every number in it passes the same tests as
                // any other such count.
                self.most = self.most.max(u64::from(comparison.value) + 1);
            }
        }
    }

    fn want(&self, id: usize) -> Want {
        if self.last >> id & 1 == 1 { Want::Count } else { self.want }
    }
}

impl Scan<'_, '_> {
    /// Whether a logical signature holds here; `results` gets what was found of
    /// each subsignature that was looked at.
    ///
    /// # Errors
    ///
    /// The meter called the scan off.
    pub(crate) fn evaluate(
        &mut self,
        logical: Logical<'_>,
        results: &mut Vec<Option<Found>>,
    ) -> Result<bool, Interrupted> {
        results.clear();
        results.resize(logical.n_subsignatures(), None);
        let need = Need::of(logical);
        self.holds(logical, logical.expression, &need, results)
    }

    /// As [`evaluate`](Self::evaluate), but every subsignature is looked for, and
    /// to the end of the buffer.
    ///
    /// # Errors
    ///
    /// The meter called the scan off.
    pub(crate) fn evaluate_all(
        &mut self,
        logical: Logical<'_>,
        results: &mut Vec<Option<Found>>,
    ) -> Result<bool, Interrupted> {
        results.clear();
        results.resize(logical.n_subsignatures(), None);
        let need = Need { want: Want::Count, most: u64::MAX, last: u64::MAX };
        for id in 0..logical.n_subsignatures() {
            self.result(logical, id, &need, results)?;
        }
        self.holds(logical, logical.expression, &need, results)
    }

    fn holds(
        &mut self,
        logical: Logical<'_>,
        expression: Expression<'_>,
        need: &Need,
        results: &mut [Option<Found>],
    ) -> Result<bool, Interrupted> {
        let mut stack = std::mem::take(&mut self.scratch.stack);
        let mut interrupted = None;
        let count = |id| match self.result(logical, usize::from(id), need, results) {
            Ok(found) => found.count,
            Err(error) => {
                interrupted = Some(error);
                0
            }
        };
        let holds = expression.holds(count, &mut stack);
        self.scratch.stack = stack;
        interrupted.map_or(Ok(holds), Err)
    }

    /// What is found of a subsignature.
    ///
    /// One may ask for others: a trigger and a byte compare for earlier ones or
    /// body patterns, a macro for the one before. So this recurses, but never
    /// deeper than there are subsignatures.
    fn result(
        &mut self,
        logical: Logical<'_>,
        id: usize,
        need: &Need,
        results: &mut [Option<Found>],
    ) -> Result<Found, Interrupted> {
        match results.get(id) {
            None => return Ok(Found::default()),
            Some(Some(known)) => return Ok(*known),
            Some(None) => {}
        }
        let Some(sub) = logical.subsignature(id) else { return Ok(Found::default()) };
        // What asks for itself has not matched. No set says so, but a damaged
        // image may.
        if let Some(place) = results.get_mut(id) {
            *place = Some(Found::default());
        }
        let found = match sub {
            Subsignature::Hex { offset, pattern, second } => {
                if let Some(Subsignature::Macro(next)) = logical.subsignature(id + 1) {
                    let target = logical.block.target;
                    let (own, of_macro) = self.with_macro(sub, next, target)?;
                    if let Some(place) = results.get_mut(id + 1) {
                        *place = Some(of_macro);
                    }
                    own
                } else {
                    let want = need.want(id);
                    let mut found = self.search(pattern, offset, want)?;
                    if let Some(second) = second {
                        found = found.merge(self.search(second, offset, want)?);
                    }
                    found
                }
            }
            Subsignature::ByteCompare(compare) => {
                self.byte_compare(logical, id, &compare, need, results)?
            }
            Subsignature::FuzzyImage(hash) => {
                let same = self.picture_hash() == Some(hash);
                let len = self.layer.bytes().len();
                if same { Found::once(0, len) } else { Found::default() }
            }
            Subsignature::Macro(_) => {
                // The check belongs to the body pattern before it.
                let before = id.checked_sub(1);
                if let Some(before) = before
                    && matches!(logical.subsignature(before), Some(Subsignature::Hex { .. }))
                {
                    self.result(logical, before, need, results)?;
                    return Ok(results.get(id).copied().flatten().unwrap_or_default());
                }
                Found::default()
            }
            Subsignature::Pcre(pcre) => {
                if self.holds(logical, pcre.trigger, need, results)? {
                    self.pcre(&pcre, need.most)?
                } else {
                    Found::default()
                }
            }
            // Nothing else exists yet.
            _ => Found::default(),
        };
        if let Some(place) = results.get_mut(id) {
            *place = Some(found);
        }
        Ok(found)
    }

    fn byte_compare(
        &mut self,
        logical: Logical<'_>,
        id: usize,
        compare: &ByteCompare,
        need: &Need,
        results: &mut [Option<Found>],
    ) -> Result<Found, Interrupted> {
        let reference = compare.reference as usize;
        let place = match logical.subsignature(reference) {
            Some(Subsignature::Hex { .. } | Subsignature::Macro(_)) => {
                let found = self.result(logical, reference, need, results)?;
                found.last.filter(|_| found.count > 0)
            }
            // They run in the order of their numbers, and one that has matched
            // says that it did at the start of the buffer (clamscan 1.4.6).
            Some(Subsignature::ByteCompare(_)) if reference < id => {
                let found = self.result(logical, reference, need, results)?;
                (found.count > 0).then_some(0)
            }
            // All others run later.
            _ => None,
        };
        self.meter.tick(u64::from(compare.len).min(self.layer.bytes().len() as u64) + 1)?;
        let place = place
            .and_then(|place| i64::try_from(place).ok())
            .and_then(|place| place.checked_add(compare.offset));
        Ok(match place {
            Some(place) if byte_compare::holds(compare, self.layer.bytes(), place) => {
                // It lies in the buffer, so it is not negative.
                let start = usize::try_from(place).unwrap_or(0);
                Found::once(start, start.saturating_add(compare.len as usize))
            }
            _ => Found::default(),
        })
    }

    /// Searches for an expression, unless that was done before.
    fn pcre(&mut self, pcre: &Pcre<'_>, most: u64) -> Result<Found, Interrupted> {
        if pcre.offset != Offset::ANY {
            return self.search_pcre(pcre, most);
        }
        match self.scratch.pcres.get(&pcre.index) {
            Some(&(counted, found)) if counted == most => Ok(found),
            _ => {
                let found = self.search_pcre(pcre, most)?;
                self.scratch.pcres.insert(pcre.index, (most, found));
                Ok(found)
            }
        }
    }

    fn search_pcre(&mut self, pcre: &Pcre<'_>, most: u64) -> Result<Found, Interrupted> {
        let Some(place) = self.segment.matchers.get(pcre.index) else {
            return Ok(Found::default());
        };
        let bytes = self.layer.bytes();
        if bytes.len() as u64 > self.meter.regex_limits().bytes {
            self.meter.gave_up();
            return Ok(Found::default());
        }
        let starts = match starts_in(pcre.offset, self.layer) {
            _ if pcre.offset == Offset::ANY => None,
            Some(Starts::Range(starts)) => Some(starts),
            // Version information is `*` to a regular expression since it was
            // read, so there is no list.
            Some(Starts::Listed(_)) | None => return Ok(Found::default()),
        };
        let matcher = place.get_or_init(|| Box::new(Matcher::new(pcre.text, pcre.flags)));
        if !self.scratch.gate.lets_through(matcher.required(), bytes, self.meter)? {
            return Ok(Found::default());
        }
        let stack = &mut self.scratch.backtracking;
        pcre::search(matcher, pcre, bytes, starts.as_ref(), most, stack, self.meter)
    }

    /// A body pattern and the macro after it.
    ///
    /// What clamscan 1.4.6 does, as far as experiments show: the check is made
    /// when the pattern is hit *again*. It passes if the member of the group
    /// that was seen last starts at the right distance from the hit that is
    /// counted from: the first one, or the last one at which the check failed.
    /// The macro counts the checks that passed, and one more if the last one
    /// did; the pattern then counts the same, and 1 if none passed.
    fn with_macro(
        &mut self,
        sub: Subsignature<'_>,
        next: Macro,
        target: Target,
    ) -> Result<(Found, Found), Interrupted> {
        let Subsignature::Hex { offset, pattern, second } = sub else {
            return Ok(Default::default());
        };
        // (end, start): hits are seen when they end.
        let mut hits = Vec::new();
        for pattern in [Some(pattern), second].into_iter().flatten() {
            self.collect(pattern, offset, &mut hits)?;
        }
        let Some(&(first_end, first_start)) = hits.first() else {
            return Ok(Default::default());
        };
        hits.sort_unstable();
        let mut members = Vec::new();
        let segment = self.segment;
        for index in segment.members(target, next.group) {
            if let Some(body) = segment.tables.set.body(index) {
                self.collect(body.pattern, Offset::ANY, &mut members)?;
            }
        }
        members.sort_unstable();
        self.meter.tick((hits.len() + members.len()) as u64)?;

        let mut members = members.into_iter().peekable();
        let (mut member, mut from, mut passed, mut ok) = (None, None, 0u64, false);
        let mut of_macro = Found::default();
        for &(end, start) in &hits {
            while let Some((_, at)) = members.next_if(|&(member_end, _)| member_end <= end) {
                member = Some(at);
            }
            let Some(counted_from) = from else {
                from = Some(start);
                continue;
            };
            let distance = member.and_then(|at: usize| at.checked_sub(counted_from));
            ok = distance.is_some_and(|d| d >= next.min as usize && d <= next.max as usize);
            if ok {
                passed += 1;
                if let Some(at) = member {
                    of_macro.last = Some(at);
                    of_macro.first.get_or_insert((at, at));
                }
            } else {
                from = Some(start);
            }
        }
        of_macro.count = passed + u64::from(ok);
        let own = Found {
            count: of_macro.count.max(1),
            first: Some((first_start, first_end)),
            last: hits.last().map(|&(_, start)| start),
        };
        Ok((own, of_macro))
    }

    /// Appends all hits of a pattern, as end and start.
    fn collect(
        &mut self,
        pattern: quahog_sig::body::Pattern<'_>,
        offset: Offset,
        hits: &mut Vec<(usize, usize)>,
    ) -> Result<(), Interrupted> {
        let bytes = self.layer.bytes();
        let Some(starts) = starts_in(offset, self.layer) else { return Ok(()) };
        let mut visit = |start, end| {
            if hits.len() < MAX_MACRO_HITS {
                hits.push((end, start));
            }
            hits.len() < MAX_MACRO_HITS
        };
        let buffers = &mut self.scratch.buffers;
        for starts in starts.ranges() {
            verify::visit(pattern, bytes, starts, buffers, self.meter, &mut visit)?;
        }
        if hits.len() >= MAX_MACRO_HITS {
            self.meter.gave_up();
        }
        Ok(())
    }

    /// The hash of the layer, if it is a picture that can be read.
    pub(crate) fn picture_hash(&self) -> Option<u64> {
        self.layer.picture_hash()
    }
}
