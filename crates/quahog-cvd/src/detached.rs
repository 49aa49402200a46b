//! Detached signatures (`.sign`): a certificate chain behind a whole file.
//!
//! ```text
//! #clamsign-1.0
//! 230::pkcs7-pem:MIIPCQYJKoZIhvcNAQcC...
//! |  |           a CMS SignedData in DER, base64
//! from this functionality level, up to that one
//! ```
//!
//! The file stands beside a `.cvd` or `.cdiff` ([`name_for`]) and covers every
//! byte of it, the header of a container included: time text and builder, which
//! the legacy schemes leave free, are covered here. The signer's certificate is
//! inside, with the intermediates; what is trusted are the operator's
//! [`Anchors`]. Any certificate among them is one, self-signed or not.
//!
//! Accepted is exactly one shape: one signer with RSA (PKCS #1 v1.5) and SHA-2,
//! signed attributes with one content type (data) and one digest; no SHA-1, no
//! MD5, no other algorithm. The DER must be the one encoding that there is, so
//! no byte of it is free. Every certificate on the way must have been valid when
//! the signer says that he signed, and be valid now; each but the signer's must
//! be a CA that may sign certificates (of an anchor without extensions the operator
//! says it); one with a critical extension that is not
//! understood is refused. There are no revocation lists.
//!
//! # Cost
//!
//! One SHA-2 over the file, and a third of a millisecond for each signature;
//! there are at most five certificates in a chain, and sixteen in a `.sign`.

use cms::cert::CertificateChoices;
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use der::asn1::{Any, ObjectIdentifier, OctetString};
use der::{Decode, Encode, Tag, Tagged as _};
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier};
use x509_cert::time::Time;

use crate::dsig::PublicKey;
use crate::error::{Error, Offset, Rule};
use crate::pem;

/// The functionality level at which this reader of `.sign` files stands. It is
/// not that of the signature language.
pub const SIGN_FLEVEL: u32 = 230;

/// The most bytes that a `.sign` file may have.
pub const MAX_SIGN: u64 = 256 << 10;

/// The name of the signature file of the container or patch called `name`,
/// whose header says `version`: `daily-27000.cvd.sign` for `daily.cvd`.
///
/// What stands in front of the first `-` or `.` counts, as for ClamAV 1.5.
pub fn name_for(name: &str, version: u32) -> String {
    let stem = name.split(['-', '.']).next().unwrap_or_default();
    let suffix = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    format!("{stem}-{version}.{suffix}.sign")
}

/// Certificates that end a chain.
#[derive(Clone, Debug, Default)]
pub struct Anchors {
    certificates: Vec<Anchor>,
}

#[derive(Clone, Debug)]
struct Anchor {
    certificate: Certificate,
    key: PublicKey,
}

impl Anchors {
    /// Trusts nobody.
    pub fn new() -> Anchors {
        Anchors::default()
    }

    /// Trusts every certificate in a text of PEM blocks as well, and says how
    /// many there were.
    ///
    /// # Errors
    ///
    /// [`Rule::Certificate`] if a block is not a certificate with an RSA key, or
    /// there is none; nothing was added then.
    pub fn add_pem(&mut self, text: &[u8]) -> Result<usize, Error> {
        let mut added = Vec::new();
        let fault = || Error::new(Rule::Certificate);
        for block in pem::blocks(text) {
            let (label, der) = block.map_err(|at| fault().at(Offset::File(at as u64)))?;
            if label != "CERTIFICATE" {
                return Err(fault());
            }
            let certificate = Certificate::from_der(&der).map_err(|_| fault())?;
            let key = key_of(&certificate).ok_or_else(fault)?;
            added.push(Anchor { certificate, key });
        }
        if added.is_empty() {
            return Err(fault());
        }
        let n_added = added.len();
        self.certificates.append(&mut added);
        Ok(n_added)
    }

    /// How many certificates are trusted.
    pub fn len(&self) -> usize {
        self.certificates.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }

    /// Verifies that the `.sign` file with this text is about `file`, and that
    /// one of these certificates stands behind it at the time `now`, in seconds
    /// since 1970-01-01 UTC.
    ///
    /// # Errors
    ///
    /// [`Rule::SignForm`] and [`Rule::SignLevel`] if there is no signature that
    /// this version could look at, which is as if there were no file; all else is
    /// a signature that does not hold.
    pub fn verify(&self, sign: &[u8], file: &[u8], now: u64) -> Result<Signer, Error> {
        let der = decisive_line(sign)?;
        let fault = || Error::new(Rule::SignDer);
        let info = ContentInfo::from_der(&der).map_err(|_| fault())?;
        if info.content_type != SIGNED_DATA || info.to_der().ok().as_ref() != Some(&der) {
            return Err(fault());
        }
        let data: SignedData = info.content.decode_as().map_err(|_| fault())?;
        let ([signer], None) = (data.signer_infos.0.as_slice(), &data.encap_content_info.econtent)
        else {
            return Err(fault());
        };
        // What nothing below looks at may not say anything: no byte is free.
        let version = match signer.sid {
            SignerIdentifier::IssuerAndSerialNumber(_) => CmsVersion::V1,
            SignerIdentifier::SubjectKeyIdentifier(_) => CmsVersion::V3,
        };
        let algorithms = [&signer.digest_alg, &signer.signature_algorithm];
        let plain = |parameters: &Option<Any>| {
            parameters.as_ref().is_none_or(|any| any.tag() == Tag::Null && any.value().is_empty())
        };
        if data.encap_content_info.econtent_type != DATA
            || data.version != version
            || signer.version != version
            || data.digest_algorithms.as_slice() != [signer.digest_alg.clone()]
            || data.crls.is_some()
            || signer.unsigned_attrs.is_some()
        {
            return Err(fault());
        }
        if !algorithms.iter().all(|algorithm| plain(&algorithm.parameters)) {
            return Err(Error::new(Rule::SignAlgorithm));
        }
        let mut embedded = Vec::new();
        for choice in data.certificates.iter().flat_map(|set| set.0.iter()) {
            match choice {
                CertificateChoices::Certificate(certificate) => embedded.push(certificate),
                CertificateChoices::Other(_) => return Err(fault()),
            }
        }
        if embedded.len() > MAX_CERTIFICATES {
            return Err(fault());
        }
        let certificate = embedded
            .iter()
            .find(|certificate| is_of(certificate, &signer.sid))
            .ok_or(Error::new(Rule::SignSigner))?;
        let signed_at = check_signer(signer, certificate, file)?;
        self.check_chain(certificate, &embedded, signed_at, now)?;
        Ok(Signer { subject: certificate.tbs_certificate().subject().to_string(), signed_at })
    }

    /// Walks from the signer to an anchor.
    fn check_chain(
        &self,
        signer: &Certificate,
        embedded: &[&Certificate],
        signed_at: Option<u64>,
        now: u64,
    ) -> Result<(), Error> {
        let chain = || Error::new(Rule::SignChain);
        let in_time = |certificate: &Certificate| {
            let validity = certificate.tbs_certificate().validity();
            let from = validity.not_before.to_unix_duration().as_secs();
            let until = validity.not_after.to_unix_duration().as_secs();
            let valid = |at: u64| (from..=until).contains(&at);
            if valid(now) && signed_at.is_none_or(valid) {
                return Ok(());
            }
            Err(Error::new(Rule::SignTime))
        };
        let mut current = signer;
        for depth in 0..MAX_CHAIN {
            in_time(current)?;
            if critical_is_understood(current).is_none() {
                return Err(Error::new(Rule::SignSigner));
            }
            if self.certificates.iter().any(|anchor| anchor.certificate == *current) {
                return Ok(());
            }
            let issuer = current.tbs_certificate().issuer();
            let anchor = self.certificates.iter().find(|anchor| {
                anchor.certificate.tbs_certificate().subject() == issuer
                    && is_signed_by(current, &anchor.key)
            });
            if let Some(anchor) = anchor {
                if !is_plain_root(&anchor.certificate) && !may_issue(&anchor.certificate, depth) {
                    return Err(chain());
                }
                return in_time(&anchor.certificate);
            }
            current = embedded
                .iter()
                .find(|above| {
                    above.tbs_certificate().subject() == issuer
                        && may_issue(above, depth)
                        && key_of(above).is_some_and(|key| is_signed_by(current, &key))
                })
                .ok_or_else(chain)?;
        }
        Err(chain())
    }
}

/// Who made a detached signature.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signer {
    subject: String,
    signed_at: Option<u64>,
}

impl Signer {
    /// The name in his certificate, as RFC 4514 writes it.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// When he says that he signed, in seconds since 1970-01-01 UTC.
    pub fn signed_at(&self) -> Option<u64> {
        self.signed_at
    }
}

/// The DER of the first line that is for our level.
fn decisive_line(sign: &[u8]) -> Result<Vec<u8>, Error> {
    if sign.len() as u64 > MAX_SIGN {
        return Err(Error::new(Rule::SignBytes));
    }
    let mut at = 0;
    for (index, line) in sign.split(|b| *b == b'\n').enumerate() {
        let fault = || Error::new(Rule::SignForm).at(Offset::File(at as u64));
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        if index == 0 {
            if text != b"#clamsign-1.0" {
                return Err(fault());
            }
        } else if !text.is_empty() && !text.starts_with(b"#") {
            let text = std::str::from_utf8(text).map_err(|_| fault())?;
            let mut fields = text.split(':');
            let (Some(min), Some(max), Some("pkcs7-pem"), Some(base64), None) =
                (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
            else {
                return Err(fault());
            };
            let level = |text: &str| {
                let number = crate::header::decimal(text.as_bytes()).ok();
                number.and_then(|number| u32::try_from(number).ok()).ok_or_else(fault)
            };
            let min = level(min)?;
            let max = if max.is_empty() { u32::MAX } else { level(max)? };
            if min < SIGN_FLEVEL {
                return Err(fault());
            }
            let der = pem::base64(base64.as_bytes()).ok_or_else(fault)?;
            if (min..=max).contains(&SIGN_FLEVEL) {
                return Ok(der);
            }
        }
        at += line.len() + 1;
    }
    Err(Error::new(Rule::SignLevel))
}

/// Whether the certificate is the one that a signer names.
fn is_of(certificate: &Certificate, id: &SignerIdentifier) -> bool {
    let body = certificate.tbs_certificate();
    match id {
        SignerIdentifier::IssuerAndSerialNumber(id) => {
            body.issuer() == &id.issuer && body.serial_number() == &id.serial_number
        }
        SignerIdentifier::SubjectKeyIdentifier(id) => {
            let own = body.get_extension::<SubjectKeyIdentifier>();
            matches!(own, Ok(Some((_, own))) if own == *id)
        }
    }
}

/// Checks digest and signature, and gives the time that the signer states.
fn check_signer(
    signer: &SignerInfo,
    certificate: &Certificate,
    file: &[u8],
) -> Result<Option<u64>, Error> {
    let der = || Error::new(Rule::SignDer);
    let hash = Hash::of_digest(signer.digest_alg.oid).ok_or(Error::new(Rule::SignAlgorithm))?;
    let algorithm = signer.signature_algorithm.oid;
    if algorithm != RSA && Hash::of_signature(algorithm) != Some(hash) {
        return Err(Error::new(Rule::SignAlgorithm));
    }
    // Without signed attributes the signature would be over the file itself, and
    // a file could pass for the attributes of another.
    let attributes = signer.signed_attrs.as_ref().ok_or_else(der)?;
    let only = |oid: ObjectIdentifier| {
        let mut of_type = attributes.iter().filter(|attribute| attribute.oid == oid);
        match (of_type.next(), of_type.next()) {
            (Some(attribute), None) => match attribute.values.as_slice() {
                [value] => Ok(Some(value)),
                _ => Err(der()),
            },
            (None, _) => Ok(None),
            _ => Err(der()),
        }
    };
    let content: ObjectIdentifier =
        only(CONTENT_TYPE)?.and_then(|value| value.decode_as().ok()).ok_or_else(der)?;
    if content != DATA {
        return Err(der());
    }
    let digest: OctetString =
        only(MESSAGE_DIGEST)?.and_then(|value| value.decode_as().ok()).ok_or_else(der)?;
    let signed_at = match only(SIGNING_TIME)? {
        None => None,
        Some(value) => {
            let time: Time = value.decode_as().map_err(|_| der())?;
            Some(time.to_unix_duration().as_secs())
        }
    };
    if digest.as_bytes() != hash.digest(file) {
        return Err(Error::new(Rule::SignDigest));
    }
    if !may_sign(certificate) {
        return Err(Error::new(Rule::SignSigner));
    }
    let key = key_of(certificate).ok_or(Error::new(Rule::SignAlgorithm))?;
    let signed = attributes.to_der().map_err(|_| der())?;
    let digest = hash.digest(&signed);
    if !key.verifies_pkcs1(signer.signature.as_bytes(), hash.prefix(), &digest) {
        return Err(Error::new(Rule::SignSignature));
    }
    Ok(signed_at)
}

/// Whether `key` signed the certificate.
fn is_signed_by(certificate: &Certificate, key: &PublicKey) -> bool {
    let inner = certificate.tbs_certificate();
    // The algorithm stands inside and outside of what is signed.
    let algorithm = certificate.signature_algorithm();
    let (Some(hash), true) = (Hash::of_signature(algorithm.oid), inner.signature() == algorithm)
    else {
        return false;
    };
    let (Ok(body), Some(signature)) = (inner.to_der(), certificate.signature().as_bytes()) else {
        return false;
    };
    key.verifies_pkcs1(signature, hash.prefix(), &hash.digest(&body))
}

/// Whether a certificate may sign others with `below` CAs between it and the
/// signer.
fn may_issue(certificate: &Certificate, below: usize) -> bool {
    let body = certificate.tbs_certificate();
    let Ok(Some((_, basic))) = body.get_extension::<BasicConstraints>() else { return false };
    let long_enough = basic.path_len_constraint.is_none_or(|most| below <= usize::from(most));
    let usage = match body.get_extension::<KeyUsage>() {
        Ok(usage) => usage.is_none_or(|(_, usage)| usage.key_cert_sign()),
        Err(_) => false,
    };
    basic.ca && long_enough && usage && critical_is_understood(certificate).is_some()
}

/// Whether a certificate is a root of the first version of X.509, which could
/// not say that it is a CA. As an anchor the operator has said it.
fn is_plain_root(certificate: &Certificate) -> bool {
    let body = certificate.tbs_certificate();
    body.extensions().is_none() && body.subject() == body.issuer()
}

/// Whether a certificate may sign databases: what it says of its usage must
/// include signatures, and either code or mail.
fn may_sign(certificate: &Certificate) -> bool {
    let body = certificate.tbs_certificate();
    let usage = match body.get_extension::<KeyUsage>() {
        Ok(usage) => usage.is_none_or(|(_, usage)| usage.digital_signature()),
        Err(_) => false,
    };
    let extended = match body.get_extension::<ExtendedKeyUsage>() {
        Ok(None) => true,
        Ok(Some((_, purposes))) => {
            purposes.0.iter().any(|purpose| [CODE_SIGNING, EMAIL_PROTECTION].contains(purpose))
        }
        Err(_) => false,
    };
    usage && extended
}

/// `None` if the certificate has a critical extension that nobody here reads.
fn critical_is_understood(certificate: &Certificate) -> Option<()> {
    let mut extensions = certificate.tbs_certificate().extensions().into_iter().flatten();
    let known = |oid| [BASIC_CONSTRAINTS, KEY_USAGE, EXTENDED_KEY_USAGE].contains(&oid);
    extensions.all(|extension| !extension.critical || known(extension.extn_id)).then_some(())
}

fn key_of(certificate: &Certificate) -> Option<PublicKey> {
    let info = certificate.tbs_certificate().subject_public_key_info();
    if info.algorithm.oid != RSA {
        return None;
    }
    pem::rsa_public(info.subject_public_key.as_bytes()?, 2048..=8192)
}

/// A digest that is relied upon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    fn of_digest(oid: ObjectIdentifier) -> Option<Hash> {
        Hash::find(
            oid,
            ["2.16.840.1.101.3.4.2.1", "2.16.840.1.101.3.4.2.2", "2.16.840.1.101.3.4.2.3"],
        )
    }

    /// Of `sha256WithRSAEncryption` and its sisters.
    fn of_signature(oid: ObjectIdentifier) -> Option<Hash> {
        Hash::find(oid, ["1.2.840.113549.1.1.11", "1.2.840.113549.1.1.12", "1.2.840.113549.1.1.13"])
    }

    fn find(oid: ObjectIdentifier, names: [&str; 3]) -> Option<Hash> {
        let all = [Hash::Sha256, Hash::Sha384, Hash::Sha512];
        let found = names.iter().zip(all).find(|(name, _)| ObjectIdentifier::new(name) == Ok(oid));
        found.map(|(_, hash)| hash)
    }

    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Hash::Sha256 => Sha256::digest(bytes).to_vec(),
            Hash::Sha384 => Sha384::digest(bytes).to_vec(),
            Hash::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }

    /// What stands before the digest in a signature block (RFC 8017, 9.2).
    fn prefix(self) -> &'static [u8] {
        match self {
            Hash::Sha256 => {
                b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"
            }
            Hash::Sha384 => {
                b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30"
            }
            Hash::Sha512 => {
                b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40"
            }
        }
    }
}

const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

const BASIC_CONSTRAINTS: ObjectIdentifier = oid("2.5.29.19");
const CODE_SIGNING: ObjectIdentifier = oid("1.3.6.1.5.5.7.3.3");
const CONTENT_TYPE: ObjectIdentifier = oid("1.2.840.113549.1.9.3");
const DATA: ObjectIdentifier = oid("1.2.840.113549.1.7.1");
const EMAIL_PROTECTION: ObjectIdentifier = oid("1.3.6.1.5.5.7.3.4");
const EXTENDED_KEY_USAGE: ObjectIdentifier = oid("2.5.29.37");
const KEY_USAGE: ObjectIdentifier = oid("2.5.29.15");
const MESSAGE_DIGEST: ObjectIdentifier = oid("1.2.840.113549.1.9.4");
const RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.1");
const SIGNED_DATA: ObjectIdentifier = oid("1.2.840.113549.1.7.2");
const SIGNING_TIME: ObjectIdentifier = oid("1.2.840.113549.1.9.5");

/// Certificates in a `.sign`.
const MAX_CERTIFICATES: usize = 16;

/// Certificates in a chain, but for the anchor.
const MAX_CHAIN: usize = 4;
