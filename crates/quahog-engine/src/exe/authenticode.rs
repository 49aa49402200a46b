//! Authenticode: who signed a PE file, and whether that can be relied upon.
//!
//! ```text
//! PE file                                 certificate table
//! ┌──────────────────────────────┐        ┌─────────────────────────────┐
//! │ all bytes but the checksum,  │ digest │ SignedData                  │
//! │ the place of this table, and ├───────►│   SpcIndirectData  ◄─┐      │
//! │ this table                   │        │   certificates      │digest │
//! └──────────────────────────────┘        │   signer: attributes ◄─┐    │
//!                                         │     signature  ────────┘RSA │
//!                                         │     countersignature: time  │
//!                                         └─────────────────────────────┘
//! ```
//!
//! [`read`] takes the table apart, [`Signature::holds`] verifies all of it up to
//! a certificate that a rule of a `.crb` trusts. Where the form leaves something
//! open, the answer is no: a signature that does not hold costs a look at the
//! program, one that wrongly holds lets it pass. So there must be one entry in
//! the table, at the end of the file, with nothing behind the message but zeros;
//! one signer with signed attributes; and little that is not signed.
//!
//! Which rules lead where was settled by experiments on clamscan 1.4.6, of
//! which this is the stricter one; the manual's chapter `deviations` says where.

use std::cell::Cell;
use std::ops::Range;

use quahog_sig::model::{Certificate as Rule, Trusted};
use sha1::{Digest as _, Sha1};

use super::bytes::Reader;
use super::der::{Der, INTEGER, OCTETS, OID, SEQUENCE, SET, TAGGED_0, TAGGED_1, seconds, unsigned};
use super::rsa::{self, Hash};
use super::x509::{Certificate, Purpose, RSA};
use crate::meter::{Interrupted, Meter};

/// The most certificates in a message; real ones have fewer than ten.
const MAX_CERTIFICATES: usize = 32;

/// The most certificates in a chain.
const MAX_CHAIN: u64 = 8;

/// The most RSA operations for a file, and what each is in bytes looked at.
const MAX_OPERATIONS: u32 = 24;
const OPERATION: u64 = 1 << 19;

/// The most bytes of a message that nobody signed: certificates, and
/// attributes that say more than is verified.
const MAX_UNSIGNED: usize = 64 << 10;

/// The exponent of all trusted keys.
const EXPONENT: &[u8] = &[1, 0, 1];

/// The signature of a PE file.
#[derive(Clone, Debug)]
pub struct Signature<'b> {
    /// The parts of the file that are signed.
    covered: [Range<usize>; 3],
    hash: Hash,
    digest: &'b [u8],
    /// What the signer's own digest is of.
    content: &'b [u8],
    certificates: Vec<Certificate<'b>>,
    signer: Signer<'b>,
    countersigner: Option<Signer<'b>>,
}

/// A signer, and what was signed.
#[derive(Clone, Debug)]
struct Signer<'b> {
    issuer: &'b [u8],
    serial: &'b [u8],
    hash: Hash,
    /// The set of signed attributes: its whole encoding without the tag.
    attributes: &'b [u8],
    /// Of these: what it is a signature of, and the digest of that.
    content_type: &'b [u8],
    digest: &'b [u8],
    /// And when.
    time: Option<i64>,
    signature: &'b [u8],
}

/// What signatures are judged by.
pub(crate) struct Rules<'s> {
    pub(crate) trusted: Vec<Trusted<'s>>,
    pub(crate) blocked: Vec<Rule<'s>>,
}

impl Rules<'_> {
    /// The rules that trust a subject for a purpose, and no key that is blocked
    /// as well.
    fn of(
        &self,
        subject: &[u8],
        purpose: Purpose,
        not_before: i64,
    ) -> impl Iterator<Item = &Trusted<'_>> {
        let subject: [u8; 20] = Sha1::digest(subject).into();
        self.trusted.iter().filter(move |rule| {
            let used = match purpose {
                Purpose::Code => rule.uses.code,
                Purpose::Time => rule.uses.time,
            };
            *rule.subject == subject
                && used
                && i64::try_from(rule.not_before).is_ok_and(|first| first <= not_before)
                && !self
                    .blocked
                    .iter()
                    .any(|bad| bad.subject == rule.subject && bad.modulus == rule.modulus)
        })
    }
}

/// Reads the signature of a file whose checksum and whose entry of the
/// certificate table stand at these offsets.
pub(super) fn read(bytes: &[u8], checksum: u64, entry: u64) -> Option<Signature<'_>> {
    let reader = Reader::little(bytes);
    let at = |offset: u64| usize::try_from(offset).ok();
    let start = reader.u32(entry)?;
    let size = reader.u32(entry + 4)?;
    let end = u64::from(start) + u64::from(size);
    let ordered = checksum + 4 <= entry && entry + 8 <= u64::from(start);
    if !ordered || end != reader.len() || start % 8 != 0 {
        return None;
    }
    let start = at(start.into())?;
    let covered = [0..at(checksum)?, at(checksum + 4)?..at(entry)?, at(entry + 8)?..start];
    // One entry that fills the table: its length, a revision, a kind (2 is
    // PKCS #7).
    let table = bytes.get(start..)?;
    let head = Reader::little(table);
    let (len, kind) = (head.u32(0)?, head.u16(6)?);
    if len.checked_next_multiple_of(8) != Some(size) || kind != 2 {
        return None;
    }
    let mut rest = Der(table.get(8..)?);
    let message = rest.value().filter(|value| value.tag == SEQUENCE)?;
    if rest.0.len() >= 8 || rest.0.iter().any(|&byte| byte != 0) {
        return None;
    }
    let mut message_fields = Der(message.body);
    if message_fields.open(OID)? != SIGNED_DATA {
        return None;
    }
    let mut data = Der(Der(message_fields.open(TAGGED_0)?).open(SEQUENCE)?);
    data.open(INTEGER)?;
    data.open(SET)?; // digests
    let mut inner = Der(data.open(SEQUENCE)?);
    if inner.open(OID)? != INDIRECT_DATA {
        return None;
    }
    let content = Der(inner.open(TAGGED_0)?).open(SEQUENCE)?;
    if message.whole.len() - content.len() > MAX_UNSIGNED {
        return None;
    }
    let (hash, digest) = indirect_data(content)?;
    let mut certificates = Vec::new();
    let mut list = Der(data.open(TAGGED_0)?);
    while !list.is_empty() {
        let (tag, body) = list.next()?;
        if certificates.len() >= MAX_CERTIFICATES {
            return None;
        }
        // What is no certificate with an RSA key verifies nothing.
        if tag == SEQUENCE {
            certificates.extend(Certificate::read(body));
        }
    }
    data.open_if(TAGGED_1); // lists of revoked certificates
    let mut signers = Der(data.open(SET)?);
    let (signer, mut loose) = Signer::read(signers.open(SEQUENCE)?)?;
    if !signers.is_empty() || !data.is_empty() {
        return None;
    }
    let mut countersigner = None;
    while !loose.is_empty() {
        let mut attribute = Der(loose.open(SEQUENCE)?);
        let kind = attribute.open(OID)?;
        let mut values = Der(attribute.open(SET)?);
        match kind {
            COUNTERSIGNATURE => {
                let (signer, loose) = Signer::read(values.open(SEQUENCE)?)?;
                let more = !values.is_empty() || !loose.is_empty();
                if more || countersigner.replace(signer).is_some() {
                    return None;
                }
            }
            // These are not looked at: without a time that can be relied upon
            // the present one counts.
            RFC_3161_TIME | NESTED_SIGNATURE => {}
            _ => return None,
        }
    }
    Some(Signature { covered, hash, digest, content, certificates, signer, countersigner })
}

/// Which digest of a PE file a message signs.
fn indirect_data(content: &[u8]) -> Option<(Hash, &[u8])> {
    let mut fields = Der(content);
    let kind = Der(fields.open(SEQUENCE)?).open(OID)?;
    let mut info = Der(fields.open(SEQUENCE)?);
    let hash = Hash::of_digest(Der(info.open(SEQUENCE)?).open(OID)?)?;
    let digest = info.open(OCTETS)?;
    (kind == PE_IMAGE && fields.is_empty()).then_some((hash, digest))
}

impl<'b> Signer<'b> {
    /// Reads a signer, and the attributes that he did not sign.
    fn read(body: &'b [u8]) -> Option<(Signer<'b>, Der<'b>)> {
        let mut fields = Der(body);
        fields.open(INTEGER)?;
        let mut name = Der(fields.open(SEQUENCE)?);
        let (issuer, serial) = (name.open(SEQUENCE)?, name.open(INTEGER)?);
        let hash = Hash::of_digest(Der(fields.open(SEQUENCE)?).open(OID)?)?;
        let attributes = fields.value().filter(|value| value.tag == TAGGED_0)?;
        let algorithm = Der(fields.open(SEQUENCE)?).open(OID)?;
        if algorithm != RSA && Hash::of_signature(algorithm) != Some(hash) {
            return None;
        }
        let signature = fields.open(OCTETS)?;
        let loose = fields.open_if(TAGGED_1).unwrap_or_default();
        let (mut content_type, mut digest, mut time) = (None, None, None);
        let mut list = Der(attributes.body);
        while !list.is_empty() {
            let mut attribute = Der(list.open(SEQUENCE)?);
            let kind = attribute.open(OID)?;
            let mut values = Der(attribute.open(SET)?);
            let twice = match kind {
                CONTENT_TYPE => content_type.replace(values.open(OID)?).is_some(),
                MESSAGE_DIGEST => digest.replace(values.open(OCTETS)?).is_some(),
                SIGNING_TIME => {
                    let (tag, body) = values.next()?;
                    time.replace(seconds(tag, body)?).is_some()
                }
                _ => continue,
            };
            if twice || !values.is_empty() {
                return None;
            }
        }
        let (content_type, digest) = (content_type?, digest?);
        let attributes = &attributes.whole[1..];
        let signer =
            Signer { issuer, serial, hash, attributes, content_type, digest, time, signature };
        fields.is_empty().then_some((signer, Der(loose)))
    }

    /// The certificate of this signer.
    fn certificate<'c>(&self, list: &'c [Certificate<'b>]) -> Option<&'c Certificate<'b>> {
        let same = |one: &[u8], other: &[u8]| unsigned(one) == unsigned(other);
        list.iter().find(|c| c.issuer == self.issuer && same(c.serial, self.serial))
    }

    /// Whether it is his signature, of this content.
    fn signed(&self, certificate: &Certificate<'_>, content_type: &[u8], content: &[u8]) -> bool {
        // The attributes are signed as a set, and written with a tag in its place.
        let digest = self.hash.digest(&[&[SET], self.attributes]);
        let key = (certificate.modulus, certificate.exponent);
        self.content_type == content_type
            && self.hash.digest(&[content]) == self.digest
            && rsa::verifies(key, self.signature, self.hash, &digest)
    }
}

/// Work that is left for a file.
struct Work<'m> {
    meter: &'m dyn Meter,
    operations: Cell<u32>,
}

impl Work<'_> {
    /// Takes one RSA operation; `false` if there is none left.
    fn operation(&self) -> Result<bool, Interrupted> {
        let left = self.operations.get().checked_sub(1);
        self.operations.set(left.unwrap_or(0));
        if left.is_some() {
            self.meter.tick(OPERATION)?;
        }
        Ok(left.is_some())
    }
}

impl Signature<'_> {
    /// Whether the signature is that of `bytes`, which it was read from, and of
    /// somebody whom the rules trust.
    ///
    /// `now` is in seconds since 1970, for those that do not say when they were
    /// made, or not so that it can be relied upon. Costs a digest of the file and
    /// two dozen RSA operations at most; and next to nothing where no rule speaks
    /// of an issuer.
    ///
    /// # Errors
    ///
    /// The meter called it off.
    pub(crate) fn holds(
        &self,
        bytes: &[u8],
        rules: &Rules<'_>,
        now: i64,
        meter: &dyn Meter,
    ) -> Result<bool, Interrupted> {
        if !self.is_spoken_of(rules) {
            return Ok(false);
        }
        let work = Work { meter, operations: Cell::new(MAX_OPERATIONS) };
        let Some(certificate) = self.signer.certificate(&self.certificates) else {
            return Ok(false);
        };
        let mut time = now;
        if let Some(countersigner) = &self.countersigner {
            let (Some(stamper), Some(stamped)) =
                (countersigner.certificate(&self.certificates), countersigner.time)
            else {
                return Ok(false);
            };
            time = stamped;
            let trusted = stamper.may_sign(Purpose::Time)
                && self.leads_to_rule(stamper, Purpose::Time, time, rules, &work)?
                && work.operation()?
                && countersigner.signed(stamper, DATA, self.signer.signature);
            if !trusted {
                return Ok(false);
            }
        }
        let trusted = certificate.may_sign(Purpose::Code)
            && self.leads_to_rule(certificate, Purpose::Code, time, rules, &work)?
            && work.operation()?
            && self.signer.signed(certificate, INDIRECT_DATA, self.content);
        if !trusted {
            return Ok(false);
        }
        meter.tick(bytes.len() as u64)?;
        let mut pieces = Vec::new();
        for range in &self.covered {
            let Some(piece) = bytes.get(range.clone()) else { return Ok(false) };
            pieces.push(piece);
        }
        Ok(self.hash.digest(&pieces) == self.digest)
    }

    /// Whether a rule names one of the certificates, or an issuer of one.
    fn is_spoken_of(&self, rules: &Rules<'_>) -> bool {
        let names = self.certificates.iter().flat_map(|c| [c.subject, c.issuer]);
        names
            .map(|name| <[u8; 20]>::from(Sha1::digest(name)))
            .any(|subject| rules.trusted.iter().any(|rule| *rule.subject == subject))
    }

    /// Whether a chain of certificates, all valid at that time, leads from one to
    /// a rule that trusts it.
    fn leads_to_rule(
        &self,
        certificate: &Certificate<'_>,
        purpose: Purpose,
        time: i64,
        rules: &Rules<'_>,
        work: &Work<'_>,
    ) -> Result<bool, Interrupted> {
        let mut current = certificate;
        let mut oldest = current.not_before;
        if !current.is_valid_at(time) {
            return Ok(false);
        }
        // A rule that names the signer himself. His key is that of the rule in
        // full: a certificate that nobody verified could have another exponent.
        let serial: [u8; 20] = Sha1::digest(current.serial).into();
        let itself = rules.of(current.subject, purpose, oldest).any(|rule| {
            rule.serial.is_none_or(|wanted| *wanted == serial)
                && rule.modulus == current.modulus
                && current.exponent == EXPONENT
        });
        if itself {
            return Ok(true);
        }
        for below in 0..MAX_CHAIN {
            for rule in rules.of(current.issuer, purpose, oldest).filter(|r| r.uses.issuing) {
                if work.operation()? && current.is_signed_by((rule.modulus, EXPONENT)) {
                    return Ok(true);
                }
            }
            let mut above = None;
            for issuer in &self.certificates {
                if issuer.subject == current.issuer
                    && issuer.may_issue(purpose, below)
                    && issuer.is_valid_at(time)
                    && work.operation()?
                    && current.is_signed_by((issuer.modulus, issuer.exponent))
                {
                    above = Some(issuer);
                    break;
                }
            }
            let Some(issuer) = above else { return Ok(false) };
            oldest = oldest.min(issuer.not_before);
            current = issuer;
        }
        Ok(false)
    }
}

/// Contents of object identifiers.
const SIGNED_DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
const DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
const INDIRECT_DATA: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x02\x01\x04";
const PE_IMAGE: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x02\x01\x0f";
const NESTED_SIGNATURE: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x02\x04\x01";
const RFC_3161_TIME: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x03\x03\x01";
const CONTENT_TYPE: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03";
const MESSAGE_DIGEST: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04";
const SIGNING_TIME: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05";
const COUNTERSIGNATURE: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x06";
