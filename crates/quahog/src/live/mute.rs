//! Muting: a signature is silenced at once, without a rebuild.
//!
//! Every engine in force has a mask of one bit for each signature that is no
//! hash; a scan looks at it only where something was found. A mute is set by
//! hand, or by a rule if the operator asked for that, and stays, across updates
//! and restarts, until the source changes the definition of the signature or
//! withdraws it.
//!
//! The rule is a weapon in the wrong hands: who sends much mail with a real
//! virus in it must not silence the signature that finds it. So a rule never
//! mutes a signature of a hash, nor one that is not young, nor more than a few
//! a day; a mail counts only if its content is distinct from that of the mails
//! that were counted before, line by line, so that a campaign of one virus in
//! many wrappings counts once; and every mute is an event.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quahog_engine::{Engine, Segment};
use quahog_sig::model::{SigId, SigKind, Subsignature};
use quahog_sig::{SignatureSet, pace};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::build::hex;
use super::sync::Bits;

/// A signature that is silenced.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Mute {
    /// Its name in its database.
    pub name: String,
    /// Its database: a file name, or `container/member`.
    pub source: String,
    /// What it looks for, as a digest: another definition is not muted.
    pub definition: String,
    /// By whom, and why.
    pub why: String,
    /// Whether a rule did it.
    pub by_rule: bool,
}

/// Why nothing was muted.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MuteError {
    /// The signature is a hash, which finds exactly one file.
    #[error("{0} is a hash: it is never muted, ignore it in an .ign2")]
    Hash(String),
    /// No signature has this name.
    #[error("no signature is called {0}")]
    Unknown(String),
}

/// The signatures of one engine that are silenced.
#[derive(Debug, Default)]
pub(crate) struct Mask {
    bits: Bits,
    /// For each segment and kind the first bit and how many there are.
    places: Vec<[(usize, usize); 4]>,
}

/// The kinds that can be muted, and their place in the mask.
fn slot(kind: SigKind) -> Option<usize> {
    match kind {
        SigKind::Body => Some(0),
        SigKind::Logical => Some(1),
        SigKind::Yara => Some(2),
        SigKind::Container => Some(3),
        _ => None,
    }
}

fn lens(set: &SignatureSet) -> [usize; 4] {
    [set.bodies().len(), set.logicals().len(), set.yara_rules().len(), set.containers().len()]
}

impl Mask {
    pub(crate) fn new(engine: &Engine) -> Mask {
        Mask::of_lens(engine.segments().iter().map(|segment| lens(segment.signatures())))
    }

    fn of_lens(segments: impl Iterator<Item = [usize; 4]>) -> Mask {
        let mut first = 0;
        let place = |len: usize| {
            let place = (first, len);
            first += len;
            place
        };
        let mut place = place;
        let places: Vec<_> = segments.map(|lens| lens.map(&mut place)).collect();
        Mask { bits: Bits::new(first), places }
    }

    fn bit(&self, segment: usize, kind: SigKind, index: usize) -> Option<usize> {
        let (first, len) = self.places.get(segment)?[slot(kind)?];
        (index < len).then_some(first + index)
    }

    /// Whether a signature is silenced.
    pub(crate) fn is_muted(&self, segment: usize, id: SigId) -> bool {
        self.test(segment, id.kind(), id.index())
    }

    fn test(&self, segment: usize, kind: SigKind, index: usize) -> bool {
        self.bits.len() != 0
            && self.bit(segment, kind, index).is_some_and(|bit| self.bits.test(bit))
    }

    /// Silences a signature, or lets it be heard. Whether that changed anything.
    fn set(&self, segment: usize, kind: SigKind, index: usize, muted: bool) -> bool {
        self.bit(segment, kind, index).is_some_and(|bit| self.bits.set(bit, muted))
    }

    /// How many are silenced.
    pub(crate) fn len(&self) -> usize {
        self.bits.len()
    }

    /// Silences what `mute` is about. Whether it is there.
    pub(crate) fn apply(&self, engine: &Engine, mute: &Mute, muted: bool) -> bool {
        let mut any = false;
        for (at, segment) in engine.segments().iter().enumerate() {
            for id in named(segment, mute.name.as_bytes()) {
                if definition(segment.signatures(), id) == mute.definition {
                    self.set(at, id.kind(), id.index(), muted);
                    any = true;
                }
            }
        }
        any
    }
}

/// The signatures of a name that can be muted.
fn named<'s>(segment: &'s Segment, name: &'s [u8]) -> impl Iterator<Item = SigId> + 's {
    let set = segment.signatures();
    let ids = set.bodies().map(|body| body.id);
    let ids = ids.chain(set.logicals().map(|logical| logical.id));
    let ids = ids.chain(set.yara_rules().map(|rule| rule.id));
    let ids = ids.chain(set.containers().map(|container| container.id));
    ids.filter(move |id| *set.name(*id) == *name)
}

/// The mutes that a name asks for.
pub(crate) fn mutes(engine: &Engine, name: &str, why: &str) -> Result<Vec<Mute>, MuteError> {
    let bare = name.strip_suffix(".UNOFFICIAL").unwrap_or(name);
    let mut all = Vec::new();
    for segment in engine.segments() {
        for id in named(segment, bare.as_bytes()) {
            all.push(of_id(segment, id, why, false));
        }
    }
    if !all.is_empty() {
        return Ok(all);
    }
    let is_hash = engine.segments().iter().any(|segment| {
        let set = segment.signatures();
        quahog_sig::model::DigestKind::ALL.into_iter().any(|kind| {
            (0..set.hashes(kind).len())
                .any(|row| *set.name(set.hash_id(kind, row)) == *bare.as_bytes())
        })
    });
    Err(if is_hash {
        MuteError::Hash(name.to_owned())
    } else {
        MuteError::Unknown(name.to_owned())
    })
}

/// The mute of one signature.
pub(crate) fn of_id(segment: &Segment, id: SigId, why: &str, by_rule: bool) -> Mute {
    let set = segment.signatures();
    Mute {
        name: String::from_utf8_lossy(&set.name(id)).into_owned(),
        source: set.origin(id).map_or_else(String::new, |origin| origin.source.to_owned()),
        definition: definition(set, id),
        why: why.to_owned(),
        by_rule,
    }
}

/// What a signature looks for, as a digest.
fn definition(set: &SignatureSet, id: SigId) -> String {
    let mut digest = Sha256::new();
    match id.kind() {
        SigKind::Body => {
            if let Some(body) = set.body(id.index()) {
                digest.update(format!("{:?} {:?}", body.target, body.offset));
                digest.update(body.pattern.code());
            }
        }
        SigKind::Logical => {
            if let Some(logical) = set.logical(id.index()) {
                digest.update(format!("{:?}", logical.block));
                logical.expression.ops().for_each(|op| digest.update(format!("{op:?}")));
                for sub in logical.subsignatures() {
                    match sub {
                        Subsignature::Hex { offset, pattern, second } => {
                            digest.update(format!("{offset:?}"));
                            digest.update(pattern.code());
                            digest.update(second.map_or(&b""[..], |second| second.code()));
                        }
                        other => digest.update(format!("{other:?}")),
                    }
                }
            }
        }
        // Of the others the line stands for the definition.
        _ => {
            digest.update(&*set.name(id));
            digest.update(set.origin(id).map_or(0, |origin| origin.line).to_le_bytes());
        }
    }
    hex(&digest.finalize()[..16])
}

/// Lines of a mail that stand for its content.
const SKETCH: usize = 16;

/// What stands for the content of a mail: the least digests of its lines.
///
/// Two mails that share most of their lines share most of their sketch, however
/// many lines are put around or between them.
pub(crate) fn sketch(mail: &[u8]) -> Vec<u64> {
    let mut least: Vec<u64> = Vec::with_capacity(SKETCH + 1);
    for line in mail.split(|&byte| byte == b'\n').filter(|line| line.len() >= 16) {
        let digest = mix(line);
        if least.len() == SKETCH && least.last().is_some_and(|last| digest >= *last) {
            continue;
        }
        if let Err(at) = least.binary_search(&digest) {
            least.insert(at, digest);
            least.truncate(SKETCH);
        }
    }
    if least.is_empty() {
        least.push(mix(mail));
    }
    least
}

/// A quick digest; nothing but counting hangs on it.
pub(crate) fn mix(bytes: &[u8]) -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15u64 ^ bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        state = (state ^ u64::from_le_bytes(word)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        state ^= state >> 32;
    }
    state
}

/// Slots of the filter for mails of equal content.
const SLOTS: usize = 1 << 12;
/// Sketch entries that are remembered for one signature.
const MAX_SEEN: usize = 1 << 14;

/// Counts mails, about once for each content, without a lock.
#[derive(Debug)]
pub(crate) struct Mails {
    count: AtomicU64,
    recent: Box<[AtomicU64]>,
}

impl Default for Mails {
    fn default() -> Mails {
        let recent = (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
        Mails { count: AtomicU64::new(0), recent }
    }
}

impl Mails {
    /// Counts a mail.
    pub(crate) fn add(&self, mail: &[u8]) {
        let digest = mix(mail) | 1;
        // The remainder is below the number of slots.
        let slot = &self.recent[(digest >> 8) as usize % SLOTS];
        if slot.swap(digest, Ordering::Relaxed) != digest {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// Signatures that are young, by the digests of their names, and since when.
pub(crate) type Young = HashMap<u64, Instant>;

/// Who is young once segments replace others: signatures that are new in one are
/// young from now on, and those that it has no more are forgotten, as is who is
/// young no longer; a storm of updates must not leave behind what each of them
/// brought. Linear in the signatures of the segments.
pub(crate) fn young_after<'s>(
    young: &Young,
    replaced: impl Iterator<Item = (&'s Segment, &'s Segment)>,
    age: Duration,
    now: Instant,
) -> Young {
    let mut young: Young = young
        .iter()
        .filter(|(_, since)| now.duration_since(**since) < age)
        .map(|(&name, &since)| (name, since))
        .collect();
    for (before, after) in replaced {
        let (old, new): (HashSet<u64>, HashSet<u64>) =
            (names(before).collect(), names(after).collect());
        for name in old.difference(&new) {
            young.remove(name);
        }
        for &name in new.difference(&old) {
            young.entry(name).or_insert(now);
        }
    }
    young
}

/// Counts in how many mails a young signature is found. Scans wait for its lock, so
/// nobody holds it for longer than a look into a table takes.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    young: Arc<Young>,
    found: HashMap<u64, Found>,
    /// When the rule muted.
    muted: Vec<Instant>,
}

#[derive(Debug, Default)]
struct Found {
    mails: u64,
    from: u64,
    seen: HashSet<u64>,
    told: bool,
}

/// What the rule says of a signature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Suspicion {
    pub(crate) share: f64,
    /// Whether it may be muted today.
    pub(crate) room: bool,
}

impl Tally {
    /// Who is young.
    pub(crate) fn young(&self) -> Arc<Young> {
        Arc::clone(&self.young)
    }

    /// Says who is young now. What was is for the caller to free, behind the lock.
    pub(crate) fn replace(&mut self, young: Arc<Young>) -> Arc<Young> {
        // Of what was found lately, which are few.
        self.found.retain(|name, _| young.contains_key(name));
        std::mem::replace(&mut self.young, young)
    }

    /// Counts that a signature was found in a mail, of `all`; says what to think of
    /// it the first time that it is found too often.
    pub(crate) fn hit(
        &mut self,
        name: u64,
        sketch: &[u64],
        all: u64,
        rule: &super::config::MuteConfig,
        now: Instant,
    ) -> Option<Suspicion> {
        let since = self.young.get(&name)?;
        if now.duration_since(*since) >= rule.young {
            return None;
        }
        let found =
            self.found.entry(name).or_insert_with(|| Found { from: all, ..Found::default() });
        let known = sketch.iter().filter(|digest| found.seen.contains(*digest)).count();
        if found.seen.len() < MAX_SEEN {
            found.seen.extend(sketch);
        }
        // A quarter of its lines seen before: the same campaign.
        if known * 4 >= sketch.len() && known > 0 {
            return None;
        }
        found.mails += 1;
        let of = all.saturating_sub(found.from).max(found.mails);
        // Counts of mails are exact in a double.
        let share = found.mails as f64 / of as f64;
        if found.told || of < rule.least || share <= rule.share {
            return None;
        }
        found.told = true;
        let day = Duration::from_secs(86_400);
        self.muted.retain(|at| now.duration_since(*at) < day);
        let room = self.muted.len() < rule.most_per_day;
        if room && rule.by_rule {
            self.muted.push(now);
        }
        Some(Suspicion { share, room })
    }
}

/// Digests of the names that can be muted.
fn names(segment: &Segment) -> impl Iterator<Item = u64> + '_ {
    let set = segment.signatures();
    let ids = set.bodies().map(|body| body.id).chain(set.logicals().map(|logical| logical.id));
    let ids = ids.chain(set.yara_rules().map(|rule| rule.id));
    let ids = ids.chain(set.containers().map(|container| container.id));
    ids.inspect(|_| pace::point()).map(|id| mix(&set.name(id)))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::config::MuteConfig;
    use super::*;
    use quahog_sig::{Format, SetBuilder};

    fn segment(lines: &[&str]) -> Segment {
        let mut builder = SetBuilder::new();
        for line in lines {
            builder.line(Format::Ndb, 1, line.as_bytes()).unwrap();
        }
        Segment::new(builder.finish()).unwrap()
    }

    /// What a scan does with a mail in which something was found.
    fn found(tally: &mut Tally, mails: &Mails, name: &str, mail: &[u8]) -> Option<Suspicion> {
        let rule = MuteConfig::default();
        tally.hit(mix(name.as_bytes()), &sketch(mail), mails.count(), &rule, Instant::now())
    }

    fn follow(tally: &mut Tally, before: &Segment, after: &Segment) {
        let pairs = [(before, after)].into_iter();
        let day = Duration::from_secs(86_400);
        let young = young_after(&tally.young(), pairs, day, Instant::now());
        tally.replace(Arc::new(young));
    }

    #[test]
    fn what_an_update_takes_back_is_forgotten() {
        let (mut tally, mails) = (Tally::default(), Mails::default());
        let mut before = segment(&["Same:0:*:61626364"]);
        for number in 0..20 {
            let line = format!("Gen.{number}:0:*:65666768");
            let now = segment(&["Same:0:*:61626364", &line]);
            follow(&mut tally, &before, &now);
            found(&mut tally, &mails, &format!("Gen.{number}"), b"a mail");
            before = now;
        }
        assert_eq!((tally.young.len(), tally.found.len()), (1, 1));
    }

    fn tally() -> Tally {
        let mut tally = Tally::default();
        let old = segment(&["Old:0:*:616263"]);
        follow(&mut tally, &old, &segment(&["Old:0:*:616263", "New:0:*:646566"]));
        tally
    }

    fn mail(number: usize) -> Vec<u8> {
        (0..30)
            .map(|line| format!("line {line} of the mail number {number}\n"))
            .collect::<String>()
            .into()
    }

    #[test]
    fn a_young_signature_in_every_mail_is_suspected_once() {
        let (mut tally, mails) = (tally(), Mails::default());
        let mut said = Vec::new();
        for number in 0..1_000 {
            mails.add(&mail(number));
            said.extend(found(&mut tally, &mails, "New", &mail(number)));
            assert_eq!(found(&mut tally, &mails, "Old", &mail(number)), None);
        }
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].share > 0.9 && said[0].room);
    }

    #[test]
    fn a_campaign_of_one_virus_silences_nothing() {
        let (mut tally, mails) = (tally(), Mails::default());
        let virus: String =
            (0..200).map(|n| format!("TVqQAAMAAAAEAAAA//8AALgAAAA{n:08}\n")).collect();
        for number in 0..5_000 {
            // Each mail has a text of its own around the same attachment.
            let mut text = mail(number);
            text.extend_from_slice(virus.as_bytes());
            mails.add(&text);
            assert_eq!(found(&mut tally, &mails, "New", &text), None, "{number}");
        }
    }

    #[test]
    fn a_mask_has_no_place_for_hashes() {
        assert!(slot(SigKind::Body).is_some());
        let mask = Mask::of_lens([[65, 1, 0, 0]].into_iter());
        assert!(mask.set(0, SigKind::Body, 64, true));
        assert!(!mask.set(0, SigKind::Body, 64, true));
        assert!(mask.test(0, SigKind::Body, 64) && !mask.test(0, SigKind::Body, 0));
        assert_eq!(mask.len(), 1);
        assert!(mask.set(0, SigKind::Body, 64, false));
        assert_eq!(mask.len(), 0);
    }
}
