//! Certificates, as far as a chain of them is verified.

use super::der::{
    BIT_STRING, BOOLEAN, Der, INTEGER, OCTETS, OID, SEQUENCE, TAGGED_0, TAGGED_1, TAGGED_3,
    seconds, unsigned,
};
use super::rsa::{self, Hash};

/// What a certificate is used for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// To sign programs.
    Code,
    /// To say when something was signed.
    Time,
}

/// A certificate with an RSA key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Certificate<'b> {
    /// What is signed, and the signature.
    signed: &'b [u8],
    hash: Option<Hash>,
    signature: &'b [u8],
    /// The serial number, as it is written.
    pub(super) serial: &'b [u8],
    /// Content of the names.
    pub(super) issuer: &'b [u8],
    pub(super) subject: &'b [u8],
    /// Seconds since 1970.
    pub(super) not_before: i64,
    not_after: i64,
    /// Without leading zeros.
    pub(super) modulus: &'b [u8],
    pub(super) exponent: &'b [u8],
    limits: Limits,
}

/// What the extensions of a certificate say.
#[derive(Clone, Copy, Debug, Default)]
struct Limits {
    /// There is one that must be understood and is not, or one twice.
    unknown: bool,
    is_issuer: Option<bool>,
    path_len: Option<u64>,
    /// Bits of the first byte of the key usage.
    usage: Option<u8>,
    /// Whether purposes are given, and which of ours are among them.
    purposes: Option<(bool, bool)>,
}

/// Bits of a key usage.
const DIGITAL_SIGNATURE: u8 = 0x80;
const CERTIFICATE_SIGN: u8 = 0x04;

impl<'b> Certificate<'b> {
    /// Reads a certificate; `None` if it is none, or its key is not of RSA.
    pub(super) fn read(body: &'b [u8]) -> Option<Certificate<'b>> {
        let mut parts = Der(body);
        let inner = parts.value().filter(|value| value.tag == SEQUENCE)?;
        let algorithm = parts.open(SEQUENCE)?;
        let signature = parts.open(BIT_STRING)?.split_first()?;
        let mut fields = Der(inner.body);
        fields.open_if(TAGGED_0); // version
        let serial = fields.open(INTEGER)?;
        let inner_algorithm = fields.open(SEQUENCE)?;
        let issuer = fields.open(SEQUENCE)?;
        let mut validity = Der(fields.open(SEQUENCE)?);
        let mut time = || validity.next().and_then(|(tag, body)| seconds(tag, body));
        let (not_before, not_after) = (time()?, time()?);
        let subject = fields.open(SEQUENCE)?;
        let (modulus, exponent) = rsa_key(fields.open(SEQUENCE)?)?;
        let mut limits = Limits::default();
        while !fields.is_empty() {
            match fields.next()? {
                (TAGGED_3, body) => limits.read(body)?,
                // Identifiers that nobody uses: [1] and [2], tagged in place.
                (TAGGED_1 | 0x81 | 0x82 | 0xa2, _) => {}
                _ => return None,
            }
        }
        let trailing = !parts.is_empty() || algorithm != inner_algorithm || *signature.0 != 0;
        if trailing {
            return None;
        }
        Some(Certificate {
            signed: inner.whole,
            hash: Der(algorithm).open(OID).and_then(Hash::of_signature),
            signature: signature.1,
            serial,
            issuer,
            subject,
            not_before,
            not_after,
            modulus,
            exponent,
            limits,
        })
    }

    /// Whether it is valid at a time.
    pub(super) fn is_valid_at(&self, time: i64) -> bool {
        (self.not_before..=self.not_after).contains(&time)
    }

    /// Whether its own key may be used so, by what it says of itself.
    ///
    /// Without any purpose it may sign programs, as for Windows and for
    /// clamscan 1.4.6; who says the time must be made for it.
    pub(super) fn may_sign(&self, purpose: Purpose) -> bool {
        let fits = match (self.limits.purposes, purpose) {
            (None, Purpose::Code) => true,
            (None, Purpose::Time) => false,
            (Some((code, _)), Purpose::Code) => code,
            (Some((_, time)), Purpose::Time) => time,
        };
        let usage = self.limits.usage.is_none_or(|usage| usage & DIGITAL_SIGNATURE != 0);
        fits && usage && !self.limits.unknown
    }

    /// Whether it may stand above `below` certificates of issuers and one that
    /// is used so.
    pub(super) fn may_issue(&self, purpose: Purpose, below: u64) -> bool {
        let limits = &self.limits;
        let fits = match (limits.purposes, purpose) {
            (None, _) => true,
            (Some((code, _)), Purpose::Code) => code,
            (Some((_, time)), Purpose::Time) => time,
        };
        limits.is_issuer == Some(true)
            && limits.path_len.is_none_or(|most| below <= most)
            && limits.usage.is_none_or(|usage| usage & CERTIFICATE_SIGN != 0)
            && fits
            && !limits.unknown
    }

    /// Whether the owner of a key signed it; costs an RSA operation.
    pub(super) fn is_signed_by(&self, key: (&[u8], &[u8])) -> bool {
        self.hash.is_some_and(|hash| {
            rsa::verifies(key, self.signature, hash, &hash.digest(&[self.signed]))
        })
    }
}

impl Limits {
    /// Reads the extensions.
    fn read(&mut self, body: &[u8]) -> Option<()> {
        let mut list = Der(Der(body).open(SEQUENCE)?);
        while !list.is_empty() {
            let mut extension = Der(list.open(SEQUENCE)?);
            let oid = extension.open(OID)?;
            let critical = extension.open_if(BOOLEAN).is_some_and(|value| value != [0]);
            let value = Der(extension.open(OCTETS)?);
            match oid {
                b"\x55\x1d\x13" => self.basic_constraints(value)?,
                b"\x55\x1d\x0f" => self.key_usage(value)?,
                b"\x55\x1d\x25" => self.extended_usage(value)?,
                _ => self.unknown |= critical,
            }
        }
        Some(())
    }

    fn basic_constraints(&mut self, mut value: Der<'_>) -> Option<()> {
        let mut fields = Der(value.open(SEQUENCE)?);
        let is_issuer = fields.open_if(BOOLEAN).is_some_and(|value| value == [0xff]);
        self.unknown |= self.is_issuer.replace(is_issuer).is_some();
        if let Some(len) = fields.open_if(INTEGER) {
            let len = unsigned(len);
            let number = len.iter().take(8).fold(0, |n, byte| n << 8 | u64::from(*byte));
            self.path_len = Some(number);
        }
        Some(())
    }

    fn key_usage(&mut self, mut value: Der<'_>) -> Option<()> {
        let bits = value.open(BIT_STRING)?;
        let first = bits.get(1).copied().unwrap_or(0);
        self.unknown |= self.usage.replace(first).is_some();
        Some(())
    }

    fn extended_usage(&mut self, mut value: Der<'_>) -> Option<()> {
        let mut list = Der(value.open(SEQUENCE)?);
        let (mut code, mut time) = (false, false);
        while !list.is_empty() {
            match list.open(OID)? {
                b"\x2b\x06\x01\x05\x05\x07\x03\x03" => code = true,
                b"\x2b\x06\x01\x05\x05\x07\x03\x08" => time = true,
                _ => {}
            }
        }
        self.unknown |= self.purposes.replace((code, time)).is_some();
        Some(())
    }
}

/// Modulus and exponent of an RSA key.
fn rsa_key(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut key = Der(body);
    let algorithm = Der(key.open(SEQUENCE)?).open(OID)?;
    if algorithm != RSA {
        return None;
    }
    let bits = key.open(BIT_STRING)?;
    let mut numbers = Der(Der(bits.get(1..)?).open(SEQUENCE)?);
    Some((unsigned(numbers.open(INTEGER)?), unsigned(numbers.open(INTEGER)?)))
}

/// The content of the object identifier of RSA keys.
pub(super) const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
