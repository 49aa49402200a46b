//! Keys and certificates as files: PEM blocks with DER inside.

use std::ops::RangeInclusive;

use der::asn1::{OctetStringRef, UintRef};
use der::{Decode, Sequence};
use x509_cert::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use crate::dsig::{KeyError, PrivateKey, PublicKey};

/// The blocks of a text: label and content, or where a block is that cannot be
/// read. What stands between the blocks is for people.
pub(crate) fn blocks(text: &[u8]) -> impl Iterator<Item = Result<(String, Vec<u8>), usize>> {
    const BEGIN: &[u8] = b"-----BEGIN ";
    const END: &[u8] = b"-----END ";
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..)?;
        let start = at + memchr::memmem::find(rest, BEGIN)?;
        let block = text.get(start..)?;
        let end = memchr::memmem::find(block, END).map(|end| end + END.len());
        let tail = end.and_then(|end| block.get(end..)).unwrap_or_default();
        let close = memchr::memmem::find(tail, b"-----").zip(end);
        let Some((close, end)) = close else {
            at = text.len();
            return Some(Err(start));
        };
        let length = end + close + 5;
        at = start + length;
        let block = block.get(..length).unwrap_or_default();
        let decoded = der::pem::decode_vec(block);
        Some(decoded.map(|(label, der)| (label.to_owned(), der)).map_err(|_| start))
    })
}

/// Decodes base64 (RFC 4648, with padding); `None` if it is anything else.
pub(crate) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let (groups, rest) = text.as_chunks::<4>();
    if !rest.is_empty() {
        return None;
    }
    let value = |digit: u8| match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let mut bytes = Vec::with_capacity(groups.len() * 3);
    for (index, group) in groups.iter().enumerate() {
        let padding = match group {
            [_, _, b'=', b'='] => 2,
            [_, _, _, b'='] => 1,
            _ => 0,
        };
        if padding > 0 && index + 1 != groups.len() {
            return None;
        }
        let mut bits = 0u32;
        for (place, digit) in group.iter().enumerate() {
            let digit = if place < 4 - padding { value(*digit)? } else { 0 };
            bits = bits << 6 | u32::from(digit);
        }
        let [_, three @ ..] = bits.to_be_bytes();
        let (taken, unused) = three.split_at(3 - padding);
        // Bits that padding leaves over are zero: one spelling for each value.
        if unused.iter().any(|b| *b != 0) {
            return None;
        }
        bytes.extend_from_slice(taken);
    }
    Some(bytes)
}

/// `RSAPublicKey` of PKCS #1.
#[derive(Sequence)]
struct RsaPublic<'k> {
    modulus: UintRef<'k>,
    exponent: UintRef<'k>,
}

/// `RSAPrivateKey` of PKCS #1, for two primes.
#[derive(Sequence)]
struct RsaPrivate<'k> {
    version: u8,
    modulus: UintRef<'k>,
    exponent: UintRef<'k>,
    private: UintRef<'k>,
    prime1: UintRef<'k>,
    prime2: UintRef<'k>,
    exponent1: UintRef<'k>,
    exponent2: UintRef<'k>,
    coefficient: UintRef<'k>,
}

/// `PrivateKeyInfo` of PKCS #8, without attributes.
#[derive(Sequence)]
struct Pkcs8<'k> {
    version: u8,
    algorithm: AlgorithmIdentifierRef<'k>,
    key: &'k OctetStringRef,
}

/// Reads an `RSAPublicKey` whose modulus has so many bits.
pub(crate) fn rsa_public(der: &[u8], bits: RangeInclusive<u32>) -> Option<PublicKey> {
    let key = RsaPublic::from_der(der).ok()?;
    PublicKey::of_bytes(key.modulus.as_bytes(), key.exponent.as_bytes(), bits).ok()
}

/// Reads the block of a public key: `PUBLIC KEY` or `RSA PUBLIC KEY`.
pub(crate) fn public_key(label: &str, der: &[u8]) -> Result<PublicKey, KeyError> {
    let key = match label {
        "PUBLIC KEY" => {
            let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| KeyError::Form)?;
            if info.algorithm.oid != RSA {
                return Err(KeyError::Form);
            }
            rsa_public(info.subject_public_key.as_bytes().ok_or(KeyError::Form)?, 1024..=2048)
        }
        "RSA PUBLIC KEY" => rsa_public(der, 1024..=2048),
        _ => None,
    };
    key.ok_or(KeyError::Form)
}

/// Reads the block of a private key: `PRIVATE KEY` or `RSA PRIVATE KEY`.
pub(crate) fn private_key(label: &str, der: &[u8]) -> Result<PrivateKey, KeyError> {
    let rsa = match label {
        "PRIVATE KEY" => {
            let info = Pkcs8::from_der(der).map_err(|_| KeyError::Form)?;
            if info.algorithm.oid != RSA {
                return Err(KeyError::Form);
            }
            info.key.as_bytes()
        }
        "RSA PRIVATE KEY" => der,
        _ => return Err(KeyError::Form),
    };
    let key = RsaPrivate::from_der(rsa).map_err(|_| KeyError::Form)?;
    let (modulus, exponent) = (key.modulus.as_bytes(), key.exponent.as_bytes());
    let public = PublicKey::of_bytes(modulus, exponent, 1024..=2048)?;
    PrivateKey::of_bytes(public, key.private.as_bytes())
}

const RSA: der::asn1::ObjectIdentifier =
    der::asn1::ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_one_spelling() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("AA==", b"\0"),
            ("AAA=", b"\0\0"),
            ("AAAA", b"\0\0\0"),
            ("+/9h", b"\xfb\xff\x61"),
        ] {
            assert_eq!(base64(text.as_bytes()).as_deref(), Some(bytes), "{text}");
        }
        for bad in
            ["A", "AA", "AAA", "A===", "AB==", "AAB=", "AA==AAAA", "AA-A", "AA A", "====", "AAAA\n"]
        {
            assert_eq!(base64(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn blocks_are_found_between_words() {
        let text =
            b"name: x\n-----BEGIN A-----\nAAAA\n-----END A-----\nmore\n-----BEGIN B-----\nAA";
        let found: Vec<_> = blocks(text).collect();
        assert_eq!(found, [Ok(("A".to_owned(), vec![0, 0, 0])), Err(52)]);
        assert_eq!(blocks(b"none").count(), 0);
    }
}
