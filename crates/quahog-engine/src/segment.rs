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
use crate::plan::{self, Needle, Planned};
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

/// By what signatures are found, those of some that follow one another.
#[derive(Default)]
struct Plans<'s> {
    needles: Vec<(Target, SigRef, Needle<'s>)>,
    always: Vec<(Target, SigRef)>,
    pictures: Vec<(Target, SigRef, u64)>,
}

impl<'s> Plans<'s> {
    fn add(&mut self, target: Target, signature: SigRef, planned: Planned<'s>) {
        match planned {
            Planned::Always => self.always.push((target, signature)),
            Planned::Never => {}
            Planned::With { needles, pictures } => {
                self.needles.extend(needles.into_iter().map(|needle| (target, signature, needle)));
                self.pictures.extend(pictures.into_iter().map(|hash| (target, signature, hash)));
            }
        }
    }

    /// Those of signatures by their numbers, on all threads.
    fn of_all(n: usize, plan: impl Fn(&mut Plans<'s>, usize) + Sync) -> Vec<Plans<'s>> {
        const MANY: usize = 4_096;
        let pieces = (0..n.div_ceil(MANY)).into_par_iter().map(|piece| {
            let mut plans = Plans::default();
            let end = n.min((piece + 1) * MANY);
            (piece * MANY..end).for_each(|index| plan(&mut plans, index));
            plans.needles.shrink_to_fit();
            plans
        });
        pieces.collect()
    }
}

/// What each kind of layer is searched for.
fn groups(
    set: &SignatureSet,
    tell: Tell<'_>,
) -> Result<[Option<Group>; Target::COUNT], BuildError> {
    let (n_bodies, n_logicals) = (set.bodies().len(), set.logicals().len());
    let planning = Steps::begin(tell, Stage::Planning, (n_bodies + n_logicals) as u64);
    let step = || {
        pace::point();
        planning.add(1);
    };
    let mut all = Plans::of_all(n_bodies, |plans, index| {
        step();
        let Some(body) = set.body(index) else { return };
        // A member of a macro group never alerts alone.
        if !matches!(body.offset.base, Base::Macro(_)) {
            let planned = Planned::body(body.pattern, body.offset);
            plans.add(body.target, SigRef::body(index), planned);
        }
    });
    all.extend(Plans::of_all(n_logicals, |plans, index| {
        step();
        let Some(logical) = set.logical(index) else { return };
        plans.add(logical.block.target, SigRef::logical(index), plan::of_logical(logical));
    }));
    let mut rules = Plans::default();
    for (index, needles) in yara::triggers(set).into_iter().enumerate() {
        // Rules are for layers of every kind; private ones only for others.
        if set.yara_rule(index).is_some_and(|rule| !rule.private) {
            rules.add(Target::ANY, SigRef::yara(index), Planned::needles(needles));
        }
    }
    all.push(rules);

    // How many needles each target has, if any signature.
    let mut own = [None; Target::COUNT];
    own[Target::ANY.index()] = Some(0u64);
    for plans in &all {
        let needles = plans.needles.iter().map(|found| (found.0, 1));
        let always = plans.always.iter().map(|found| (found.0, 0));
        for (target, n) in needles.chain(always).chain(plans.pictures.iter().map(|p| (p.0, 0))) {
            *own[target.index()].get_or_insert(0) += n;
        }
    }
    let n_groups = own.iter().flatten().count() as u64;
    let of_any = own[Target::ANY.index()].unwrap_or(0);
    let n_needles = own.iter().flatten().sum::<u64>() + of_any * (n_groups - 1); // one at least
    let indexing = Steps::begin(tell, Stage::Indexing, n_needles);
    let group = |target: Target| {
        let here = |other: Target| other == target || other == Target::ANY;
        let room =
            own[target.index()].unwrap_or(0) + if target == Target::ANY { 0 } else { of_any };
        let mut builder = PrefilterBuilder::with_room(room as usize); // needles in memory
        let mut group = Group::default();
        for plans in &all {
            for (target, signature, needle) in &plans.needles {
                pace::point();
                if here(*target) {
                    builder.add(needle, *signature);
                }
            }
            let always = plans.always.iter().filter(|found| here(found.0));
            group.always.to_mut().extend(always.map(|(_, signature)| signature.number()));
            for &(_, signature, hash) in plans.pictures.iter().filter(|found| here(found.0)) {
                let [upper, lower] = picture_key(hash);
                group.pictures.to_mut().push([upper, lower, signature.number()]);
            }
        }
        group.always.seal();
        group.pictures.to_mut().sort_unstable();
        group.pictures.seal();
        group.prefilter = builder.build(set, &indexing)?;
        Ok(group)
    };
    let groups = (0..Target::COUNT as u32)
        .into_par_iter()
        .map(|number| match Target::new(number) {
            Some(target) if own[target.index()].is_some() => group(target).map(Some),
            _ => Ok(None),
        })
        .collect::<Result<Vec<_>, BuildError>>()?;
    let mut groups = groups.into_iter();
    Ok(std::array::from_fn(|_| groups.next().flatten()))
}
