//! What a signature will cost, told from its plan before it runs.
//!
//! A scan looks at a signature where a literal of it stands, so its cost is
//! how often that literal stands in common data, times what is done there. A
//! signature without any literal is looked at for every layer. Nothing here is
//! measured: the same signature has the same cost on every machine.

use quahog_sig::SignatureSet;
use quahog_sig::model::{Base, SigId};

use crate::plan::{self, Planned};
use crate::prefilter::expense;

/// The estimate for one signature.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// The signature.
    pub id: SigId,
    /// Of the literals that it is found by, the one that stands most often in
    /// common data; `None` if it is looked at for every layer.
    pub literal: Option<Vec<u8>>,
    /// Places to look at for each byte of common data, about: between 0 and 1
    /// for a signature with literals, 1 for one without.
    pub places: f64,
}

/// Estimates every body and logical signature of a set; the other kinds are
/// looked up, or have bounds of their own.
///
/// Takes about as long as the first step of compiling the set.
pub fn costs(set: &SignatureSet) -> impl Iterator<Item = Cost> {
    let bodies = set.bodies().filter_map(|body| match body.offset.base {
        Base::Macro(_) => None,
        _ => of(body.id, &Planned::body(body.pattern, body.offset)),
    });
    let logicals = set.logicals().filter_map(|l| of(l.id, &plan::of_logical(l)));
    bodies.chain(logicals)
}

fn of(id: SigId, planned: &Planned<'_>) -> Option<Cost> {
    match planned {
        Planned::Never => None,
        Planned::Always => Some(Cost { id, literal: None, places: 1.0 }),
        planned => {
            let costs = planned.needles().iter().map(|needle| (expense(&needle.text), needle));
            let places = costs.clone().map(|(cost, _)| cost).sum::<f64>();
            let dear = costs.max_by(|(a, _), (b, _)| f64::total_cmp(a, b));
            // What is found by the hash of a picture only costs nothing elsewhere.
            let literal = dear.map(|(_, needle)| needle.text.to_vec()).unwrap_or_default();
            Some(Cost { id, literal: Some(literal), places: places.min(1.0) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quahog_sig::{Format, SetBuilder};

    fn cost(format: Format, line: &str) -> Cost {
        let mut builder = SetBuilder::new();
        builder.line(format, 1, line.as_bytes()).unwrap();
        costs(&builder.finish()).next().unwrap()
    }

    #[test]
    fn what_stands_everywhere_costs_more_than_what_is_rare() {
        let zeros = cost(Format::Ndb, "A:0:*:000000");
        let rare = cost(Format::Ndb, "A:0:*:d41d8cd98f00b204e9800998");
        assert!(zeros.places > 100.0 * rare.places, "{zeros:?} {rare:?}");
        assert_eq!(zeros.literal.as_deref(), Some(&[0, 0, 0][..]));
    }

    #[test]
    fn what_has_no_literal_is_looked_at_always() {
        let always = cost(Format::Ldb, "A;Target:0;0=0;6162");
        assert_eq!((always.literal, always.places), (None, 1.0));
    }
}
