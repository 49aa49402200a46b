//! Why a signature matches a view, or how far it came.
//!
//! [`Engine::explain`] asks of one signature and one view what a scan asks, but
//! of every condition and subsignature and to the end, and keeps what it finds
//! as [`Fact`]s: lines for people, with the bytes that they are about. What is
//! not found is looked for elsewhere, so that "there, but not where it must
//! start" is told from "nowhere". [`plan`] says what a scan searches for to find
//! a signature at all.
//!
//! Costs some passes over the view for each part of the signature, under the
//! meter. A scan never comes here.

use std::ops::Range;

use quahog_sig::body::Pattern;
use quahog_sig::model::{
    Block, DigestKind, FileType, HashedPart, Logical, Offset, SizeRange, Subsignature, Target,
    YaraString,
};
use quahog_sig::{SigId, SigKind, SignatureSet, words};

use crate::certificate::Known;
use crate::context::{Layer, Look, PartEntry};
use crate::digest::digest_of;
use crate::engine::{Engine, Scan, Scratch, Undecided, headers_fit, intermediates_fit};
use crate::icon::{self, Likeness};
use crate::literal;
use crate::meter::{Interrupted, Meter};
use crate::offset::{Starts, starts_in};
use crate::plan::{self, Needle, Planned};
use crate::segment::Segment;
use crate::verify::{Found, Want};
use crate::yara;

/// What became of a signature on a view.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Explanation {
    /// In short.
    pub conclusion: Conclusion,
    /// The conditions, in the order in which they count.
    pub facts: Vec<Fact>,
}

/// What became of a signature on a view, in short.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Conclusion {
    /// It is for layers of another kind.
    OutOfScope,
    /// It does not match.
    Fails,
    /// It would match, and an allow list names the file or one around it.
    Allowed,
    /// It may match: something is left open.
    Undecided(Undecided),
    /// It matches.
    Matches,
}

/// Something that holds, or does not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fact {
    /// Whether the signature gets on for it.
    pub holds: bool,
    /// What it is, in words.
    pub text: String,
    /// The bytes of the view that it is about.
    pub span: Option<Range<usize>>,
}

impl Explanation {
    /// Of any signature on a program that is trusted.
    pub fn of_trusted() -> Explanation {
        let facts = vec![Fact::new(false, "a trusted certificate stands behind this program")];
        Explanation { conclusion: Conclusion::OutOfScope, facts }
    }
}

impl Fact {
    fn new(holds: bool, text: impl Into<String>) -> Fact {
        Fact { holds, text: text.into(), span: None }
    }
}

impl Explanation {
    fn failed(facts: Vec<Fact>) -> Explanation {
        Explanation { conclusion: Conclusion::Fails, facts }
    }

    /// How far the signature came: the number of facts that hold.
    pub fn reached(&self) -> usize {
        self.facts.iter().filter(|fact| fact.holds).count()
    }
}

/// The most parts of a pattern that are looked for one by one.
const MAX_PARTS: u32 = 64;

impl Engine {
    /// The signatures of a name, with or without `.UNOFFICIAL` at its end: the
    /// segment and the identity of each.
    ///
    /// Takes time linear in the number of signatures.
    pub fn named(&self, name: &str) -> Vec<(usize, SigId)> {
        let short = name.strip_suffix(".UNOFFICIAL").unwrap_or(name).as_bytes();
        let segments = self.segments().iter().enumerate();
        let all = segments.flat_map(|(at, s)| s.signatures().ids().map(move |id| (at, s, id)));
        all.filter(|(_, segment, id)| {
            let own = segment.signatures().name(*id);
            own == short || own == name.as_bytes()
        })
        .map(|(at, _, id)| (at, id))
        .collect()
    }

    /// Says why a signature matches a view of a layer, or how far it came.
    ///
    /// # Errors
    ///
    /// The meter called it off.
    pub fn explain(
        &self,
        (segment, id): (usize, SigId),
        layer: &Layer<'_>,
        look: Look,
        scratch: &mut Scratch,
        meter: &dyn Meter,
    ) -> Result<Explanation, Interrupted> {
        let Some(segment) = self.segments().get(segment) else {
            return Ok(Explanation::failed(Vec::new()));
        };
        let mut hits = Vec::new();
        let file_size = self.file_size(layer, look);
        let scan = Scan::new(segment, layer, (look, file_size), scratch, meter, &mut hits);
        let mut explanation = Explainer { scan, segment, layer, look, meter }.signature(id)?;
        if explanation.conclusion == Conclusion::Matches && self.allows(layer) {
            explanation.conclusion = Conclusion::Allowed;
            let text = "an allow list names this file, or one around it";
            explanation.facts.push(Fact::new(false, text));
        }
        Ok(explanation)
    }

    /// Says why a signature of container metadata matches what `container` says
    /// of a part, or how far it came.
    ///
    /// # Errors
    ///
    /// The meter called it off.
    pub fn explain_entry(
        &self,
        (segment, id): (usize, SigId),
        container: &Layer<'_>,
        entry: &PartEntry<'_>,
        meter: &dyn Meter,
    ) -> Result<Explanation, Interrupted> {
        let nothing = Ok(Explanation::failed(Vec::new()));
        let SigKind::Container = id.kind() else { return nothing };
        let Some(set) = self.segments().get(segment).map(|s| s.signatures()) else {
            return nothing;
        };
        let Some(wanted) = set.containers().nth(id.index()) else { return nothing };
        let mut hits = Vec::new();
        self.scan_entry(container, entry, meter, &mut hits)?;
        let matches = hits.iter().any(|hit| (hit.segment, hit.id) == (segment, id));
        let own = container.file_type();
        let mut facts = vec![Fact::new(
            wanted.file_type.is_none_or(|file_type| file_type == own),
            format!("an entry of CL_TYPE_{}", own.name()),
        )];
        let mut range = |what: &str, range: SizeRange, value: u64| {
            facts.push(Fact::new(range.allows(value), format!("{what} is {value}")));
        };
        range("the size of the container", wanted.container_size, container.bytes().len() as u64);
        range("its size in the container", wanted.packed_size, entry.packed_size);
        range("its size", wanted.size, entry.size);
        range("its position", wanted.position, entry.position);
        let encrypted = if entry.encrypted { "is encrypted" } else { "is not encrypted" };
        facts.push(Fact::new(wanted.encrypted.is_none_or(|e| e == entry.encrypted), encrypted));
        let others = facts.iter().all(|fact| fact.holds);
        if others {
            let name = entry.name.escape_ascii();
            facts.push(Fact::new(matches, format!("its name is \"{name}\"")));
        }
        let conclusion = if matches { Conclusion::Matches } else { Conclusion::Fails };
        Ok(Explanation { conclusion, facts })
    }
}

/// One signature on one view.
struct Explainer<'e, 's> {
    scan: Scan<'e, 's>,
    segment: &'e Segment,
    layer: &'e Layer<'e>,
    look: Look,
    meter: &'s dyn Meter,
}

impl Explainer<'_, '_> {
    fn signature(&mut self, id: SigId) -> Result<Explanation, Interrupted> {
        let set = self.segment.signatures();
        let nothing = Ok(Explanation { conclusion: Conclusion::OutOfScope, facts: Vec::new() });
        match id.kind() {
            SigKind::Body => {
                let Some(body) = set.body(id.index()) else { return nothing };
                let Some(mut facts) = self.in_scope(body.target) else {
                    return Ok(self.out_of_scope(body.target));
                };
                let found = self.pattern("", body.pattern, body.offset, &mut facts)?;
                Ok(conclude(found.count > 0, facts))
            }
            SigKind::Logical => {
                let Some(logical) = set.logical(id.index()) else { return nothing };
                self.logical(logical)
            }
            SigKind::Certificate => Ok(self.certificate(id)),
            SigKind::Hash(kind) => Ok(self.hash(id, kind)),
            SigKind::PartHash(part, kind) => Ok(self.part_hash(id, part, kind)),
            SigKind::Yara => self.yara(id.index()),
            // Judged by what its container says, not by its bytes.
            SigKind::Container => nothing,
        }
    }

    /// What the layer is, if signatures for the target look at this view.
    fn in_scope(&self, target: Target) -> Option<Vec<Fact>> {
        let fits =
            target == Target::ANY || self.look.target(self.layer.file_type()) == Some(target);
        fits.then(|| vec![Fact::new(true, words::target(target))])
    }

    fn out_of_scope(&self, target: Target) -> Explanation {
        let what = format!(
            "{}; this is CL_TYPE_{}, looked at as {}",
            words::target(target),
            self.layer.file_type().name(),
            match self.look {
                Look::Raw => "it is",
                Look::Html => "normalised HTML",
                Look::Text => "normalised text",
            }
        );
        let facts = vec![Fact::new(false, what)];
        Explanation { conclusion: Conclusion::OutOfScope, facts }
    }

    /// Looks for a pattern; where it is not found, says what of it is.
    fn pattern(
        &mut self,
        label: &str,
        pattern: Pattern<'_>,
        offset: Offset,
        facts: &mut Vec<Fact>,
    ) -> Result<Found, Interrupted> {
        let found = self.scan.search(pattern, offset, Want::Count)?;
        if let Some((start, end)) = found.first {
            let times =
                if found.count == 1 { String::new() } else { format!(", {} times", found.count) };
            let text = format!("{label}matches at {start}{times}");
            facts.push(Fact { holds: true, text, span: Some(start..end) });
            return Ok(found);
        }
        let must = words::offset(offset);
        if offset != Offset::ANY {
            let here = match starts_in(offset, self.layer) {
                None => "there is no such place here".to_owned(),
                Some(Starts::Range(range)) => {
                    format!("here that is {} to {}", range.start(), range.end())
                }
                Some(Starts::Listed(list)) => format!("here are {} such places", list.len()),
            };
            let anywhere = self.scan.search(pattern, Offset::ANY, Want::Count)?;
            if let Some((start, end)) = anywhere.first {
                let text = format!("{label}stands at {start}, but must start {must} ({here})");
                facts.push(Fact { holds: false, text, span: Some(start..end) });
                return Ok(found);
            }
        }
        let n_parts = u32::try_from(pattern.parts().len()).unwrap_or(u32::MAX);
        let mut reached = None;
        for count in 1..n_parts.min(MAX_PARTS) {
            let code = pattern.prefix(count);
            let begun = self.scan.search(Pattern::new(&code), offset, Want::First)?;
            let Some(span) = begun.first else { break };
            reached = Some((count, span));
        }
        let (text, span) = match reached {
            Some((count, (start, end))) => {
                let text = format!(
                    "{label}parts 1 to {count} of {n_parts} match at {start}; the next one does not \
                     stand where it must"
                );
                (text, Some(start..end))
            }
            None => {
                let which =
                    if n_parts > 1 { "its first part does not match" } else { "does not match" };
                (format!("{label}{which} {must}"), None)
            }
        };
        facts.push(Fact { holds: false, text, span });
        Ok(found)
    }

    fn logical(&mut self, logical: Logical<'_>) -> Result<Explanation, Interrupted> {
        let block = logical.block;
        let Some(mut facts) = self.in_scope(block.target) else {
            return Ok(self.out_of_scope(block.target));
        };
        facts.extend(block_facts(self.layer, self.scan.file_size, block));
        let mut fit = Likeness::Yes;
        if icon::is_asked_for(block) {
            fit = icon::fits(self.segment.signatures(), self.layer, block, self.scan.meter)?;
            let measured = self.layer.icons().0.metrics.iter().map(ToString::to_string);
            let measured: Vec<_> = measured.collect();
            let text = match fit {
                Likeness::Yes => "an icon is like one of those".to_owned(),
                _ if measured.is_empty() => "it has no icon to compare".to_owned(),
                _ => format!("its icons are like none of those: {}", measured.join(", ")),
            };
            facts.push(Fact::new(fit != Likeness::No, text));
        }
        let applies = facts.iter().all(|fact| fact.holds);
        let mut results = Vec::new();
        let holds = self.scan.evaluate_all(logical, &mut results)?;
        for (id, sub) in logical.subsignatures().enumerate() {
            let found = results.get(id).copied().flatten().unwrap_or_default();
            let label = format!("[{id}] ");
            match sub {
                Subsignature::Hex { offset, pattern, second } => {
                    let mut own = Vec::new();
                    self.pattern(&label, pattern, offset, &mut own)?;
                    if let Some(second) = second {
                        self.pattern(&format!("{label}plain form "), second, offset, &mut own)?;
                    }
                    // Of two forms one is enough.
                    let any = own.iter().any(|fact| fact.holds);
                    facts.extend(own.into_iter().filter(|fact| fact.holds || !any));
                }
                other => facts.push(self.other(&label, other, found, &results)),
            }
        }
        let condition = words::expression(logical.expression);
        facts.push(Fact::new(holds, format!("condition: {condition}")));
        let mut explanation = conclude(holds && applies, facts);
        let open = if logical.runs_program {
            Some((Undecided::Program, "a program would decide, which quahog does not execute"))
        } else if fit == Likeness::Open {
            Some((Undecided::Icon, "an icon would decide, and there are more than are looked at"))
        } else {
            None
        };
        if let (Conclusion::Matches, Some((open, text))) = (explanation.conclusion, open) {
            explanation.conclusion = Conclusion::Undecided(open);
            explanation.facts.push(Fact::new(false, text));
        }
        Ok(explanation)
    }

    /// A subsignature that is no body pattern.
    fn other(
        &self,
        label: &str,
        sub: Subsignature<'_>,
        found: Found,
        results: &[Option<Found>],
    ) -> Fact {
        if let (Some((start, end)), true) = (found.first, found.count > 0) {
            let times =
                if found.count == 1 { String::new() } else { format!(", {} times", found.count) };
            let what = match sub {
                Subsignature::ByteCompare(_) => "the number fits",
                Subsignature::FuzzyImage(_) => "the picture looks the same",
                Subsignature::Macro(_) => "a member of the group stands in its distance",
                _ => "the regular expression matches",
            };
            let text = format!("{label}{what} at {start}{times}");
            return Fact { holds: true, text, span: Some(start..end) };
        }
        let matched =
            |id: u32| results.get(id as usize).copied().flatten().filter(|found| found.count > 0);
        let text = match sub {
            Subsignature::ByteCompare(compare) => match matched(compare.reference) {
                None => format!("[{}] has no match to count from", compare.reference),
                Some(reference) => {
                    let place = reference.last.and_then(|last| {
                        last.checked_add_signed(isize::try_from(compare.offset).unwrap_or(0))
                    });
                    let end = place.map(|at| at.saturating_add(compare.len as usize));
                    let bytes =
                        place.zip(end).and_then(|(at, end)| self.layer.bytes().get(at..end));
                    match bytes {
                        Some(bytes) => format!("the number does not fit: {}", words::hex(bytes)),
                        None => "the number would lie outside the file".to_owned(),
                    }
                }
            },
            Subsignature::FuzzyImage(_) => match self.scan.picture_hash() {
                Some(hash) => format!("the picture's hash is {hash:016x}"),
                None => "this is no picture that can be read".to_owned(),
            },
            Subsignature::Macro(_) => {
                "no member of the group stands in its distance when the subsignature before \
                 matches again"
                    .to_owned()
            }
            Subsignature::Pcre(pcre) => {
                let count = |id: u8| matched(u32::from(id)).map_or(0, |found| found.count);
                if pcre.trigger.holds(count, &mut Vec::new()) {
                    "the regular expression does not match".to_owned()
                } else {
                    let trigger = words::expression(pcre.trigger);
                    format!("the regular expression does not run, for it needs {trigger}")
                }
            }
            _ => "does not match".to_owned(),
        };
        Fact::new(false, format!("{label}{text}"))
    }

    fn hash(&self, id: SigId, kind: DigestKind) -> Explanation {
        let Some(entry) = self.segment.signatures().hashes(kind).get(id.index()) else {
            return Explanation::failed(Vec::new());
        };
        if self.look == Look::Text {
            let text = "normalised text is not hashed";
            let facts = vec![Fact::new(false, text)];
            return Explanation { conclusion: Conclusion::OutOfScope, facts };
        }
        let bytes = self.layer.bytes();
        let size_fits = entry.size.is_none_or(|size| size as usize == bytes.len());
        let mut facts = vec![Fact::new(size_fits, format!("it has {} bytes", bytes.len()))];
        let digest = self.layer.digest(kind);
        let name = words::digest_name(kind);
        let same = digest == entry.digest;
        facts.push(Fact::new(same, format!("its {name} is {}", words::hex(digest))));
        conclude(size_fits && same, facts)
    }

    fn certificate(&self, id: SigId) -> Explanation {
        let out_of_scope = |text: &str| {
            let facts = vec![Fact::new(false, text)];
            Explanation { conclusion: Conclusion::OutOfScope, facts }
        };
        let set = self.segment.signatures();
        let (Some(rule), Look::Raw) = (set.certificates().nth(id.index()), self.look) else {
            return out_of_scope("normalised views have no certificates");
        };
        let Some(program) = self.layer.headers().sound().filter(|program| program.is_pe()) else {
            return out_of_scope("this is no PE file with sound headers");
        };
        let mut facts = Vec::new();
        for signer in program.signers(self.layer.bytes()) {
            let known = Known::new(signer);
            let (subject, serial) = (words::hex(&known.subject), words::hex(&known.serial));
            let text = format!("a certificate with subject {subject}, serial number {serial}");
            facts.push(Fact::new(known.is(&rule), text));
        }
        if facts.is_empty() {
            facts.push(Fact::new(false, "it carries no certificate that can be read"));
        }
        let any = facts.iter().any(|fact| fact.holds);
        conclude(any, facts)
    }

    fn part_hash(&self, id: SigId, part: HashedPart, kind: DigestKind) -> Explanation {
        let columns = self.segment.signatures().part_hashes(part, kind);
        let (Some(entry), true) = (columns.get(id.index()), self.look == Look::Raw) else {
            return Explanation { conclusion: Conclusion::OutOfScope, facts: Vec::new() };
        };
        let Some(program) = self.layer.headers().sound().filter(|program| program.is_pe()) else {
            let facts = vec![Fact::new(false, "this is no PE file with sound headers")];
            return Explanation { conclusion: Conclusion::OutOfScope, facts };
        };
        let bytes = self.layer.bytes();
        let name = words::digest_name(kind);
        let mut facts = Vec::new();
        let mut judge = |what: String, part: &[u8], span: Option<Range<usize>>| {
            let size_fits = entry.size.is_none_or(|size| size as usize == part.len());
            let digest = digest_of(kind, part);
            let digest = &digest[..kind.len()];
            let same = digest == entry.digest;
            let text = format!("{what}: {} bytes, {name} {}", part.len(), words::hex(digest));
            facts.push(Fact { holds: size_fits && same, text, span });
        };
        match part {
            HashedPart::Imports => match program.imports(bytes) {
                Some(text) => judge("the text of the imports".to_owned(), text, None),
                None => facts.push(Fact::new(false, "there is no import table that makes sense")),
            },
            HashedPart::Section => {
                for (number, section) in program.sections().iter().enumerate().take(MAX_SECTIONS) {
                    let start = usize::try_from(section.offset).unwrap_or(usize::MAX);
                    let len = usize::try_from(section.len).unwrap_or(usize::MAX);
                    let span = start..start.saturating_add(len).min(bytes.len());
                    let Some(part) = bytes.get(span.clone()) else { continue };
                    judge(format!("section {number}"), part, Some(span));
                }
            }
        }
        let any = facts.iter().any(|fact| fact.holds);
        conclude(any, facts)
    }

    fn yara(&mut self, index: usize) -> Result<Explanation, Interrupted> {
        let set = self.segment.signatures();
        let Some(rule) = set.yara_rule(index) else {
            return Ok(Explanation::failed(Vec::new()));
        };
        let mut facts = Vec::new();
        for number in 0..rule.n_strings {
            let label = format!("string {} ", number + 1);
            match set.yara_string(rule.first_string + number) {
                Some(YaraString::Pattern { pattern, second }) => {
                    let mut own = Vec::new();
                    self.pattern(&label, pattern, Offset::ANY, &mut own)?;
                    if let Some(second) = second {
                        self.pattern(
                            &format!("{label}plain form "),
                            second,
                            Offset::ANY,
                            &mut own,
                        )?;
                    }
                    let any = own.iter().any(|fact| fact.holds);
                    facts.extend(own.into_iter().filter(|fact| fact.holds || !any));
                }
                Some(YaraString::Regex(text)) => {
                    let row = rule.first_string + number;
                    self.meter.tick(self.layer.bytes().len() as u64)?;
                    let found = self.segment.regexes.find(row, self.layer.bytes());
                    let text = text.escape_ascii();
                    let verb = if found.is_some() { "matches" } else { "does not match" };
                    facts.push(Fact {
                        holds: found.is_some(),
                        text: format!("{label}/{text}/ {verb}"),
                        span: found.map(|(start, end)| start..end),
                    });
                }
                None => {}
            }
        }
        let held = self.scan.yara_holds(index)?;
        let text = "the condition of the rule";
        let span = held.and_then(|held| held.span).map(|(start, end)| start..end);
        facts.push(Fact { holds: held.is_some(), text: text.to_owned(), span });
        Ok(conclude(held.is_some(), facts))
    }
}

/// Says of each condition of a block whether it holds.
fn block_facts(layer: &Layer<'_>, size: u64, block: &Block) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(range) = block.file_size {
        facts.push(Fact::new(range.contains(size), format!("the size of the file is {size}")));
    }
    if let Some(wanted) = block.container {
        let container = layer.containers().next().unwrap_or(FileType::ANY);
        let text = format!("it lies in CL_TYPE_{}", container.name());
        facts.push(Fact::new(container == wanted, text));
    }
    if !block.intermediates.is_empty() {
        let around: Vec<_> = layer.containers().map(FileType::name).collect();
        let text = format!("around it, from the inside out: {}", around.join(" < "));
        facts.push(Fact::new(intermediates_fit(layer, block), text));
    }
    if block.entry_point.is_some() || block.n_sections.is_some() {
        let text = match layer.headers().sound() {
            None => "its headers make no sense".to_owned(),
            Some(program) => format!(
                "its entry point is at {}, and it has {} sections",
                program.entry(),
                program.sections().len()
            ),
        };
        facts.push(Fact::new(headers_fit(layer, block), text));
    }
    facts
}

/// The most sections that are told one by one.
const MAX_SECTIONS: usize = 96;

fn conclude(matches: bool, facts: Vec<Fact>) -> Explanation {
    let conclusion = if matches { Conclusion::Matches } else { Conclusion::Fails };
    Explanation { conclusion, facts }
}

/// What a scan searches for to find a signature, in words, a line each.
pub fn plan(set: &SignatureSet, id: SigId) -> Vec<String> {
    let planned = match id.kind() {
        SigKind::Body => set.body(id.index()).map(|b| Planned::body(b.pattern, b.offset)),
        SigKind::Logical => set.logical(id.index()).map(plan::of_logical),
        SigKind::Yara => yara::triggers(set).into_iter().nth(id.index()).map(Planned::of_needles),
        SigKind::Hash(_) => {
            return vec!["found by: the size of a file, then its digest".to_owned()];
        }
        SigKind::PartHash(..) => {
            return vec!["found by: the size of the part, then its digest".to_owned()];
        }
        SigKind::Certificate => {
            return vec!["found by: nothing; every PE program is looked at".to_owned()];
        }
        SigKind::Container => {
            return vec!["found by: the names of entries, all patterns at once".to_owned()];
        }
    };
    match planned {
        None => Vec::new(),
        Some(Planned::Always) => {
            vec![
                "found by: nothing; it can match without a literal, and is looked at always"
                    .to_owned(),
            ]
        }
        Some(Planned::Never) => vec!["found by: nothing; it can never match".to_owned()],
        Some(planned) => {
            let picture = |hash: &u64| format!("found by: the hash of a picture, {hash:016x}");
            let needles = planned.needles().iter().map(needle_in_words);
            needles.chain(planned.pictures().iter().map(picture)).collect()
        }
    }
}

fn needle_in_words(needle: &Needle<'_>) -> String {
    let text = needle.text.escape_ascii();
    let case = if needle.nocase { ", in either case" } else { "" };
    match needle.anchor {
        Some(at) => format!("found by: the literal \"{text}\"{case}, at byte {at} only"),
        None => {
            let apart = (1.0 / literal::frequency(&needle.text)).round();
            format!("found by: the literal \"{text}\"{case}, met about once in {apart} bytes")
        }
    }
}
