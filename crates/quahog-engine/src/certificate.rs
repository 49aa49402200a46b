//! Blocked certificates: programs that alert for what they carry.

use quahog_sig::model::Certificate;
use quahog_sig::{SigId, SignatureSet};
use sha1::{Digest as _, Sha1};

use crate::context::Layer;
use crate::exe::Signer;

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

    /// Whether it is the one that a rule means.
    pub(crate) fn is(&self, rule: &Certificate<'_>) -> bool {
        let zeros = self.signer.exponent.iter().take_while(|&&byte| byte == 0).count();
        rule.subject.is_none_or(|subject| *subject == self.subject)
            && rule.serial.is_none_or(|serial| *serial == self.serial)
            && (rule.modulus.is_empty() || rule.modulus == self.signer.modulus)
            && (rule.exponent.is_empty() || rule.exponent == &self.signer.exponent[zeros..])
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
            (format!("{subject};;;"), true),
            (format!(";{serial};;"), true),
            (";;009988;00010001".to_owned(), true),
            (format!("{subject};{other};9988;010001"), false),
            (format!("{other};{serial};9988;010001"), false),
            (format!("{subject};{serial};9989;010001"), false),
            (format!("{subject};{serial};9988;03"), false),
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
