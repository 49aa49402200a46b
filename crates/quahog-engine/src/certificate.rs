//! Certificates of programs: those that alert, and those that are trusted.

use quahog_sig::model::Certificate;
use quahog_sig::{SigId, SignatureSet};
use sha1::{Digest as _, Sha1};

use crate::context::Layer;
use crate::exe::Signer;
use crate::exe::authenticode::Rules;
use crate::meter::{Interrupted, Meter};

/// Calls `hit` for each blocked certificate that a layer carries.
///
/// Costs two digests of some dozen bytes for each certificate of the layer, and
/// nothing where no certificate is blocked.
pub(crate) fn scan(set: &SignatureSet, layer: &Layer<'_>, mut hit: impl FnMut(SigId)) {
    if set.certificates().len() == 0 || !layer.has_signers() {
        return;
    }
    let Some(program) = layer.headers().sound() else { return };
    let signers: Vec<_> = program.signers(layer.bytes()).into_iter().map(Known::new).collect();
    for rule in set.certificates() {
        if signers.iter().any(|signer| signer.is(&rule)) {
            hit(rule.id);
        }
    }
}

/// Whether a rule trusts the program that a layer is, for a signature that holds
/// in full.
///
/// `now` is asked at most once, for seconds since 1970. A program that carries a blocked certificate is never trusted.
pub(crate) fn is_trusted(
    sets: &[&SignatureSet],
    layer: &Layer<'_>,
    now: &dyn Fn() -> i64,
    meter: &dyn Meter,
) -> Result<bool, Interrupted> {
    if sets.iter().all(|set| set.trusted().len() == 0) || !layer.has_signers() {
        return Ok(false);
    }
    let Some(program) = layer.headers().sound() else { return Ok(false) };
    let Some(signature) = program.signature(layer.bytes()) else { return Ok(false) };
    let rules = Rules {
        trusted: sets.iter().flat_map(|set| set.trusted()).collect(),
        blocked: sets.iter().flat_map(|set| set.certificates()).collect(),
    };
    let carried = program.signers(layer.bytes()).into_iter().map(Known::new);
    if !rules.blocked.is_empty()
        && carried.into_iter().any(|known| rules.blocked.iter().any(|rule| known.is(rule)))
    {
        return Ok(false);
    }
    signature.holds(layer.bytes(), &rules, now(), meter)
}

/// A certificate with the digests that rules speak of.
pub(crate) struct Known<'b> {
    signer: Signer<'b>,
    pub(crate) subject: [u8; 20],
    pub(crate) serial: [u8; 20],
}

impl<'b> Known<'b> {
    pub(crate) fn new(signer: Signer<'b>) -> Known<'b> {
        Known {
            subject: Sha1::digest(signer.subject).into(),
            serial: Sha1::digest(signer.serial).into(),
            signer,
        }
    }

    /// Whether it is the one that a rule means. Exponents make no difference, as
    /// in clamscan 1.4.6.
    pub(crate) fn is(&self, rule: &Certificate<'_>) -> bool {
        *rule.subject == self.subject
            && rule.serial.is_none_or(|serial| *serial == self.serial)
            && rule.modulus == self.signer.modulus
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quahog_sig::{Format, SetBuilder, words};

    #[test]
    fn all_that_a_rule_gives_must_be_the_same() {
        let signer = Signer {
            subject: b"name",
            serial: b"\x12\x34",
            modulus: b"\x99\x88",
            exponent: b"\x01\0\x01",
        };
        let known = Known::new(signer);
        let (subject, serial) = (words::hex(&known.subject), words::hex(&known.serial));
        let other = "0".repeat(40);
        for (fields, expected) in [
            (format!("{subject};{serial};9988;010001"), true),
            (format!("{subject};;9988;"), true),
            (format!("{subject};;009988;03"), true),
            (format!("{subject};{other};9988;010001"), false),
            (format!("{other};{serial};9988;010001"), false),
            (format!("{subject};{serial};9989;010001"), false),
        ] {
            let mut builder = SetBuilder::new();
            let line = format!("Blocked;0;{fields};0;1;0;;a comment");
            builder.line(Format::Crb, 1, line.as_bytes()).unwrap();
            let set = builder.finish();
            let matches = set.certificates().any(|rule| known.is(&rule));
            assert_eq!(matches, expected, "{fields}");
        }
    }
}
