//! Segments: the signatures of one source, compiled.
//!
//! A segment is [tables](Tables) of plain numbers, which are the same bytes in
//! memory and in an [image](crate::image), and a few automata that are made of
//! them when it is put together.

use std::sync::OnceLock;

use bytes::Bytes;
use quahog_sig::SignatureSet;
use quahog_sig::model::table::{Sections, Table};
use quahog_sig::model::{Base, HashedPart, Target};
use quahog_sig::pace;
use quahog_sig::progress::{self, Stage, Steps, Tell};
use rayon::prelude::*;

use crate::digest::HashIndexes;
use crate::engine::BuildError;
use crate::image::{self, Check, ImageError, Stamp};
use crate::lists::{Containers, PhishingLists};
use crate::plan::{self, Planned};
use crate::prefilter::{Prefilter, PrefilterBuilder, SigRef};
use crate::verify::pcre::Matcher;
use crate::yara;

/// The compiled signatures of one set. Immutable, shared by engines.
#[derive(Debug)]
pub struct Segment {
    /// That of the set.
    pub(crate) digest: [u8; 32],
    pub(crate) tables: Tables,
    /// Regular expressions, compiled when they first run: a scan cannot tell
    /// whether another one was there before.
    pub(crate) matchers: Vec<OnceLock<Box<Matcher>>>,
    pub(crate) containers: Containers,
    pub(crate) phishing: PhishingLists,
    pub(crate) regexes: yara::Regexes,
}

/// What a segment keeps in an image.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    pub(crate) set: SignatureSet,
    /// One prefilter for each target, with the triggers of target 0 in it too;
    /// `None` where a target has no signatures of its own: target 0's serves.
    pub(crate) groups: [Option<Group>; Target::COUNT],
    pub(crate) hashes: HashIndexes,
    /// By [`HashedPart`].
    pub(crate) parts: [HashIndexes; 2],
    pub(crate) allowed: HashIndexes,
    /// Members of macro groups, as [`macro_key`] and body; sorted.
    macros: Table<[u32; 2]>,
}

/// What one kind of layer is searched for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    pub(crate) prefilter: Prefilter,
    /// Signatures that may match without any literal, a [`SigRef`] each.
    pub(crate) always: Table<u32>,
    /// Signatures that match no layer but a picture of this hash: its halves,
    /// the upper one first, and a [`SigRef`]; sorted.
    pub(crate) pictures: Table<[u32; 3]>,
}

impl Tables {
    pub(crate) fn sections<S: Sections>(&mut self, s: &mut S) -> Result<(), S::Error> {
        self.set.sections(s)?;
        self.hashes.sections(s)?;
        self.parts.iter_mut().try_for_each(|part| part.sections(s))?;
        self.allowed.sections(s)?;
        s.table(&mut self.macros)?;
        let mut own = self.groups.each_ref().map(Option::is_some);
        s.rest(&mut own)?;
        for (group, own) in self.groups.iter_mut().zip(own) {
            if own {
                let group = group.get_or_insert_default();
                group.prefilter.sections(s)?;
                s.table(&mut group.always)?;
                s.table(&mut group.pictures)?;
            }
        }
        Ok(())
    }

    /// Whether the tables have the form that scans rely on.
    pub(crate) fn are_sound(&self) -> bool {
        self.groups.iter().flatten().all(|group| group.prefilter.is_sound())
    }
}

/// The key of a picture's hash.
pub(crate) fn picture_key(hash: u64) -> [u32; 2] {
    [(hash >> 32) as u32, hash as u32]
}

impl Segment {
    /// Compiles a set.
    ///
    /// Uses the rayon pool that its caller installed. Takes time about linear
    /// in the text of the signatures.
    ///
    /// # Errors
    ///
    /// The tables would be too large.
    pub fn new(set: SignatureSet) -> Result<Segment, BuildError> {
        Segment::telling(set, progress::SILENT)
    }

    /// As [`new`](Self::new), and tells how far it is. Hashes are indexed beside
    /// the stages that it tells of.
    ///
    /// # Errors
    ///
    /// The tables would be too large.
    pub fn telling(set: SignatureSet, tell: Tell<'_>) -> Result<Segment, BuildError> {
        let hashes = || {
            let files = || HashIndexes::new(|kind| set.hashes(kind));
            let parts = |part| HashIndexes::new(|kind| set.part_hashes(part, kind));
            rayon::join(files, || HashedPart::ALL.map(parts))
        };
        let ((digest, (hashes, parts)), groups) =
            rayon::join(|| rayon::join(|| set.digest(), hashes), || groups(&set, tell));
        let mut macros = Vec::new();
        for (index, body) in set.bodies().enumerate() {
            if let Base::Macro(group) = body.offset.base {
                // Sets hold less than 2^29 signatures of a kind.
                macros.push([macro_key(body.target, group), index as u32]);
            }
        }
        macros.sort_unstable();
        let allowed = HashIndexes::new(|kind| set.allowed(kind));
        let macros = macros.into();
        let groups = groups?;
        Segment::assemble(digest, Tables { set, groups, hashes, parts, allowed, macros })
    }

    /// Adds what is made of the tables each time.
    fn assemble(digest: [u8; 32], tables: Tables) -> Result<Segment, BuildError> {
        let set = &tables.set;
        let mut matchers = Vec::new();
        matchers.resize_with(set.n_pcres(), OnceLock::new);
        Ok(Segment {
            digest,
            matchers,
            regexes: yara::Regexes::new(set)?,
            containers: Containers::new(set)?,
            phishing: PhishingLists::new(set.phishing())?,
            tables,
        })
    }

    /// The segment as an [image](crate::image): pieces of bytes that belong one
    /// behind the other, which also tell the files it was compiled from. Nothing
    /// large is copied; hashes all of it once.
    ///
    /// # Errors
    ///
    /// The machine is none that images are for.
    pub fn image(&self, sources: Vec<Stamp>) -> Result<Vec<Bytes>, ImageError> {
        image::write(self.digest, self.tables.clone(), sources)
    }

    /// The segment that an image holds.
    ///
    /// The tables stay where they are, so that a mapped file is read as far as
    /// scans come upon it. No bytes at all can make this or a scan panic, not
    /// even such as change while they are read; that they are those of an honest
    /// builder is for the caller to know (see [`image`](crate::image)).
    ///
    /// # Errors
    ///
    /// The bytes are no image, one of another format, or a damaged one.
    pub fn open(image: &Bytes, check: Check) -> Result<Segment, ImageError> {
        let (digest, tables) = image::read(image, check)?;
        Segment::assemble(digest, tables).map_err(ImageError::Build)
    }

    /// The signatures that it was compiled from.
    pub fn signatures(&self) -> &SignatureSet {
        &self.tables.set
    }

    /// The bodies that belong to a macro group, in the order of their lines.
    pub(crate) fn members(&self, target: Target, group: u8) -> impl Iterator<Item = usize> {
        let key = macro_key(target, group);
        let first = self.tables.macros.partition_point(|&[other, _]| other < key);
        let members = self.tables.macros.get(first..).unwrap_or_default().iter();
        members.take_while(move |&&[other, _]| other == key).map(|&[_, body]| body as usize)
    }

    pub(crate) fn group(&self, target: Target) -> Option<&Group> {
        self.tables.groups[target.index()].as_ref().or(self.tables.groups[0].as_ref())
    }
}

fn macro_key(target: Target, group: u8) -> u32 {
    u32::from(target.number()) << 8 | u32::from(group)
}

/// Signatures that are said to be planned at a time.
const AT_ONCE: usize = 64;

/// What each kind of layer is searched for.
fn groups(
    set: &SignatureSet,
    tell: Tell<'_>,
) -> Result<[Option<Group>; Target::COUNT], BuildError> {
    let (n_bodies, n_logicals) = (set.bodies().len(), set.logicals().len());
    let planning = Steps::begin(tell, Stage::Planning, (n_bodies + n_logicals) as u64);
    let plan = |index: usize| {
        pace::point();
        if index.is_multiple_of(AT_ONCE) {
            planning.add(AT_ONCE.min(n_bodies + n_logicals - index) as u64);
        }
        let planned = match index.checked_sub(n_bodies) {
            Some(index) => set.logical(index).map(|logical| {
                let block = logical.block;
                (block.target, !block.asks_for_more(), plan::of_logical(logical))
            }),
            None => set.body(index).map(|body| match body.offset.base {
                // A member of a macro group never alerts alone.
                Base::Macro(_) => (body.target, true, Planned::Never),
                _ => (body.target, true, Planned::body(body.pattern, body.offset)),
            }),
        };
        planned.unwrap_or((Target::ANY, true, Planned::Never))
    };
    // For which target, whether it applies to all layers of that, and how it is found:
    // one piece of memory, which goes back to the system as a whole.
    let plans: Vec<(Target, bool, Planned<'_>)> =
        (0..n_bodies + n_logicals).into_par_iter().map(plan).collect();
    // Rules are for layers of every kind; private ones only for others.
    let shown = |index: usize| set.yara_rule(index).is_some_and(|rule| !rule.private);
    let rules = yara::triggers(set).into_iter().map(Planned::of_needles);
    let rules: Vec<_> = rules.enumerate().filter(|(index, _)| shown(*index)).collect();

    let reference = |index: usize| match index.checked_sub(n_bodies) {
        Some(index) => SigRef::logical(index),
        None => SigRef::body(index),
    };
    let plans = || {
        let rules =
            rules.iter().map(|(at, planned)| (Target::ANY, SigRef::yara(*at), true, planned));
        let others = plans.iter().enumerate();
        let others =
            others.map(|(at, (target, all, planned))| (*target, reference(at), *all, planned));
        others.chain(rules)
    };
    // How many needles each target has, if any signature.
    let mut own = [None; Target::COUNT];
    own[Target::ANY.index()] = Some(0);
    for (target, .., planned) in plans() {
        *own[target.index()].get_or_insert(0) += planned.needles().len();
    }
    let of_any = own[Target::ANY.index()].unwrap_or(0);
    let needles = own.iter().flatten().map(|own| own + of_any).sum::<usize>() - of_any;
    let indexing = Steps::begin(tell, Stage::Indexing, needles as u64);
    let group = |(target, own): (Target, usize)| {
        let mut builder = PrefilterBuilder::with_room(own + of_any);
        let mut group = Group::default();
        let here = |other: Target| other == target || other == Target::ANY;
        for (_, signature, all, planned) in plans().filter(|(target, ..)| here(*target)) {
            pace::point();
            if let Planned::Always = planned {
                group.always.to_mut().push(signature.number());
            }
            planned.needles().iter().for_each(|needle| builder.add(needle, signature, all));
            for &hash in planned.pictures() {
                let [upper, lower] = picture_key(hash);
                group.pictures.to_mut().push([upper, lower, signature.number()]);
            }
        }
        group.always.seal();
        group.pictures.to_mut().sort_unstable();
        group.pictures.seal();
        group.prefilter = builder.build(set, &indexing)?;
        Ok((target, group))
    };
    let targets = (0..Target::COUNT as u32).filter_map(Target::new);
    let mut targets: Vec<_> =
        targets.filter_map(|target| Some((target, own[target.index()]?))).collect();
    // What takes longest begins first.
    targets.sort_by_key(|&(_, own)| std::cmp::Reverse(own));
    let made = targets.into_par_iter().map(group).collect::<Result<Vec<_>, BuildError>>()?;
    let mut groups = [const { None }; Target::COUNT];
    for (target, group) in made {
        groups[target.index()] = Some(group);
    }
    Ok(groups)
}
