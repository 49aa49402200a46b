//! The contract between databases and engines: what one asks for, and what the
//! other can do.
//!
//! Databases state a functionality level, line by line or for a container, and
//! the level is read before anything else of a line: a line for a newer engine
//! is a notice, never an error. Within a level they ask for features; those that
//! this version does not have are counted and named, so that nobody takes a
//! signature for one that is in force.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::{HashedPart, Subsignature};
use crate::{FLEVEL, SigKind, SignatureSet};

/// Something that a signature may ask of an engine.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Feature {
    /// Body patterns.
    BodyPatterns,
    /// Comparing numbers near a match.
    ByteCompare,
    /// Blocked certificates of programs.
    Certificates,
    /// What containers say of their entries.
    ContainerMetadata,
    /// Digests of files.
    FileHashes,
    /// File types by magic of the database's own.
    FileTypes,
    /// Comparing the icons of programs.
    Icons,
    /// Conditions over several patterns.
    LogicalConditions,
    /// Groups of patterns near others.
    Macros,
    /// Digests of sections and imports of programs.
    PartHashes,
    /// Passwords of archives.
    Passwords,
    /// Links of messages.
    Phishing,
    /// Perceptual hashes of pictures.
    PictureHashes,
    /// Executing bytecode.
    Programs,
    /// Regular expressions.
    RegularExpressions,
    /// Rules in the language of YARA.
    YaraRules,
}

impl Feature {
    /// All of them.
    pub const ALL: [Feature; 16] = [
        Feature::BodyPatterns,
        Feature::ByteCompare,
        Feature::Certificates,
        Feature::ContainerMetadata,
        Feature::FileHashes,
        Feature::FileTypes,
        Feature::Icons,
        Feature::LogicalConditions,
        Feature::Macros,
        Feature::PartHashes,
        Feature::Passwords,
        Feature::Phishing,
        Feature::PictureHashes,
        Feature::Programs,
        Feature::RegularExpressions,
        Feature::YaraRules,
    ];

    /// A stable name for machines: `byte-compare`, `icons`, ...
    pub fn code(self) -> &'static str {
        match self {
            Feature::BodyPatterns => "body-patterns",
            Feature::ByteCompare => "byte-compare",
            Feature::Certificates => "certificates",
            Feature::ContainerMetadata => "container-metadata",
            Feature::FileHashes => "file-hashes",
            Feature::FileTypes => "file-types",
            Feature::Icons => "icons",
            Feature::LogicalConditions => "logical-conditions",
            Feature::Macros => "macros",
            Feature::PartHashes => "part-hashes",
            Feature::Passwords => "passwords",
            Feature::Phishing => "phishing",
            Feature::PictureHashes => "picture-hashes",
            Feature::Programs => "programs",
            Feature::RegularExpressions => "regular-expressions",
            Feature::YaraRules => "yara-rules",
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// What an engine can do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Capability {
    level: u32,
    missing: &'static [Feature],
}

impl Capability {
    /// What this version can do: the language of ClamAV 1.4.6, without what
    /// needs programs to be executed.
    pub const CURRENT: Capability = Capability { level: FLEVEL, missing: &[Feature::Programs] };

    /// The functionality level whose language is read.
    pub fn level(self) -> u32 {
        self.level
    }

    /// Whether signatures that ask for it are evaluated.
    pub fn has(self, feature: Feature) -> bool {
        !self.missing.contains(&feature)
    }

    /// What is evaluated.
    pub fn features(self) -> impl Iterator<Item = Feature> {
        Feature::ALL.into_iter().filter(move |feature| self.has(*feature))
    }
}

impl SignatureSet {
    /// What the set asks of an engine: for each feature how many signatures and
    /// entries ask for it.
    ///
    /// Takes time linear in the number of logical signatures.
    pub fn asks_for(&self) -> BTreeMap<Feature, u64> {
        let mut asked = BTreeMap::new();
        let mut add = |feature, count: usize| {
            if count > 0 {
                *asked.entry(feature).or_default() += count as u64;
            }
        };
        for logical in self.logicals() {
            add(Feature::LogicalConditions, 1);
            let has = |wanted: fn(&Subsignature<'_>) -> bool| {
                usize::from(logical.subsignatures().any(|sub| wanted(&sub)))
            };
            add(Feature::BodyPatterns, has(|sub| matches!(sub, Subsignature::Hex { .. })));
            add(Feature::ByteCompare, has(|sub| matches!(sub, Subsignature::ByteCompare(_))));
            add(Feature::Macros, has(|sub| matches!(sub, Subsignature::Macro(_))));
            add(Feature::PictureHashes, has(|sub| matches!(sub, Subsignature::FuzzyImage(_))));
            add(Feature::RegularExpressions, has(|sub| matches!(sub, Subsignature::Pcre(_))));
            let icons = logical.block.icon_groups.iter().any(Option::is_some);
            add(Feature::Icons, usize::from(icons));
            add(Feature::Programs, usize::from(logical.runs_program));
        }
        add(Feature::BodyPatterns, self.bodies().len());
        add(Feature::Certificates, self.certificates().len());
        add(Feature::ContainerMetadata, self.containers().len());
        add(Feature::FileTypes, self.magics().len());
        add(Feature::Passwords, self.passwords().len());
        add(Feature::YaraRules, self.yara_rules().len());
        let phishing = self.phishing();
        let links = phishing.watched().count() + phishing.watched_hosts().count();
        let allowed = phishing.allowed().count() + phishing.allowed_hosts().count();
        add(Feature::Phishing, links + allowed + phishing.urls().len());
        for kind in crate::model::DigestKind::ALL {
            add(Feature::FileHashes, self.hashes(kind).len() + self.allowed(kind).len());
            for part in HashedPart::ALL {
                add(Feature::PartHashes, self.part_hashes(part, kind).len());
            }
        }
        asked
    }

    /// Whether nothing that a signature asks for is missing in `capability`.
    pub fn is_evaluated(&self, id: crate::SigId, capability: Capability) -> bool {
        let SigKind::Logical = id.kind() else { return true };
        self.logical(id.index()).is_none_or(|logical| {
            let icons = logical.block.icon_groups.iter().any(Option::is_some);
            (!icons || capability.has(Feature::Icons))
                && (!logical.runs_program || capability.has(Feature::Programs))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Format, SetBuilder};

    #[test]
    fn a_set_says_what_it_asks_for() {
        let mut builder = SetBuilder::new();
        for (format, line) in [
            (Format::Ldb, "A;Engine:81-255,Target:1,IconGroup1:x;0&1;6162;0/a+/"),
            (Format::Ldb, "B;Target:0;1;6162;0(>>2#hb2#=0x1f)"),
            (Format::Ndb, "C:0:*:616263"),
            (Format::Hdb, "0123456789abcdef0123456789abcdef:7:D"),
            (Format::Pdb, "H:bank.example"),
        ] {
            builder.line(format, 1, line.as_bytes()).expect("a good line");
        }
        let set = builder.finish();
        let asked: Vec<_> = set.asks_for().into_iter().collect();
        assert_eq!(
            asked,
            [
                (Feature::BodyPatterns, 3),
                (Feature::ByteCompare, 1),
                (Feature::FileHashes, 1),
                (Feature::Icons, 1),
                (Feature::LogicalConditions, 2),
                (Feature::Phishing, 1),
                (Feature::RegularExpressions, 1),
            ]
        );
        let evaluated = set.logicals().map(|l| set.is_evaluated(l.id, Capability::CURRENT));
        assert_eq!(evaluated.collect::<Vec<_>>(), [true, true]);
    }

    #[test]
    fn the_level_is_that_of_lines() {
        assert_eq!(Capability::CURRENT.level(), 216);
        assert!(Capability::CURRENT.has(Feature::RegularExpressions));
        assert!(!Capability::CURRENT.has(Feature::Programs));
        assert_eq!(Capability::CURRENT.features().count(), Feature::ALL.len() - 1);
    }
}
