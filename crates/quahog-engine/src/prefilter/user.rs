//! Who has a literal, and what must stand around it.

use quahog_sig::SignatureSet;
use quahog_sig::body::Pattern;
use quahog_sig::model::{Offset, Subsignature};

use crate::plan::Place;

/// Which signature a needle belongs to.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
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

    /// As one number.
    pub(crate) fn number(self) -> u32 {
        self.0
    }

    /// The reference that a number is.
    pub(crate) fn from_number(number: u32) -> SigRef {
        SigRef(number)
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

/// A signature that has a literal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    pub(crate) signature: SigRef,
    pub(crate) place: Option<Place>,
    /// For the first of some users of a literal that have the same
    /// [surroundings](Surroundings): how many they are, it included.
    pub(super) run: u8,
}

/// The most users in a run.
pub(super) const MAX_RUN: usize = 1 << 6;

impl User {
    pub(super) fn pack(self) -> [u32; 4] {
        let run = u32::from(self.run.saturating_sub(1)) << 2; // six bits
        let Some(place) = self.place else { return [self.signature.0, run, 0, 0] };
        let which = 1
            | u32::from(place.second) << 1
            | run
            | u32::from(place.subsignature) << 8
            | u32::from(place.part) << 16;
        [self.signature.0, which, place.before.0, place.before.1]
    }

    pub(super) fn unpack([signature, which, min, max]: [u32; 4]) -> User {
        let place = Place {
            subsignature: (which >> 8) as u8, // these bits are its own
            second: which >> 1 & 1 == 1,
            part: (which >> 16) as u16, // the upper half
            before: (min, max),
        };
        User {
            signature: SigRef(signature),
            place: (which & 1 == 1).then_some(place),
            run: (which >> 2 & 0x3f) as u8 + 1,
        }
    }

    /// What must stand around the literal; `None` if nothing can be told of that.
    pub(crate) fn surroundings(self, set: &SignatureSet) -> Option<Surroundings<'_>> {
        let place = self.place?;
        if self.signature.as_yara().is_some() {
            return None;
        }
        let (offset, pattern) = match self.signature.unpack() {
            (index, true) => {
                let logical = set.logical(index)?;
                match logical.subsignature(usize::from(place.subsignature))? {
                    Subsignature::Hex { offset, pattern, second } if place.second => {
                        (offset, second.unwrap_or(pattern))
                    }
                    Subsignature::Hex { offset, pattern, .. } => (offset, pattern),
                    _ => return None,
                }
            }
            (index, false) => {
                let body = set.body(index)?;
                (body.offset, body.pattern)
            }
        };
        let (code, part) = (pattern.code(), (usize::from(place.part), place.before));
        Some(Surroundings { code, offset, part })
    }
}

/// What a check of the bytes around a literal goes by: users of a literal in whom
/// this is the same are checked together.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Surroundings<'s> {
    /// The code of the pattern that the literal is in.
    code: &'s [u8],
    pub(crate) offset: Offset,
    /// The part of it, and the fewest and the most bytes of that before the
    /// literal.
    pub(crate) part: (usize, (u32, u32)),
}

impl<'s> Surroundings<'s> {
    pub(crate) fn pattern(&self) -> Pattern<'s> {
        Pattern::new(self.code)
    }
}
