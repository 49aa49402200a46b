//! Certificates that a PE file carries: the part of Authenticode that block
//! lists speak of.
//!
//! A PE file may end in a PKCS #7 message that signs it. This reads the
//! certificates in it: subject, serial number and RSA key of each. No signature
//! is verified: a program that carries a blocked certificate has no claim on
//! being taken for another one, whether its signature holds or not. To *trust*
//! a program for its certificate takes all of that: see
//! [`authenticode`](super::authenticode).
//!
//! Looks at each byte a few times at most.

use super::bytes::Reader;
use super::der::{BIT_STRING, Der, INTEGER, SEQUENCE, TAGGED_0, unsigned};

/// A certificate in a PE file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Signer<'b> {
    /// The encoded subject, without the tag and length of the whole.
    pub subject: &'b [u8],
    /// The serial number.
    pub serial: &'b [u8],
    /// The modulus of the key, without leading zeros; empty if it is not RSA.
    pub modulus: &'b [u8],
    /// Its exponent, as it is written.
    pub exponent: &'b [u8],
}

/// The most certificates that are read; real files have fewer than ten.
const MAX_CERTIFICATES: usize = 64;

/// The certificates in the messages at `offset`, `size` bytes of a file.
pub(super) fn read(bytes: &[u8], (offset, size): (u32, u32)) -> Vec<Signer<'_>> {
    let end = u64::from(offset) + u64::from(size);
    let mut at = u64::from(offset);
    let mut signers = Vec::new();
    // Each entry: its length, a revision, a kind, and the message; 8-aligned.
    while at != 0 && at + 8 <= end && signers.len() < MAX_CERTIFICATES {
        let reader = Reader::little(bytes);
        let (Some(len), Some(kind)) = (reader.u32(at), reader.u16(at + 6)) else { break };
        if len < 8 {
            break;
        }
        let range = usize::try_from(at + 8).ok().zip(usize::try_from(at + u64::from(len)).ok());
        let message = range.and_then(|(start, end)| bytes.get(start..end.min(bytes.len())));
        // 2 is PKCS #7.
        if let (2, Some(message)) = (kind, message) {
            certificates(message, &mut signers);
        }
        // In 64 bits: a length near the end of 32 would be rounded to none.
        at += u64::from(len).next_multiple_of(8);
    }
    signers.truncate(MAX_CERTIFICATES);
    signers
}

/// Appends the certificates in a PKCS #7 message.
fn certificates<'b>(message: &'b [u8], signers: &mut Vec<Signer<'b>>) -> Option<()> {
    let content = Der(message).open(SEQUENCE)?;
    let mut content = Der(content);
    content.next()?; // what it is
    let signed = Der(content.open(TAGGED_0)?).open(SEQUENCE)?;
    let mut signed = Der(signed);
    // Version, digests, content; then the certificates.
    for _ in 0..3 {
        signed.next()?;
    }
    let mut list = Der(signed.open(TAGGED_0)?);
    while let Some((tag, body)) = list.next() {
        if signers.len() >= MAX_CERTIFICATES {
            break;
        }
        if tag == SEQUENCE {
            signers.extend(certificate(body));
        }
    }
    Some(())
}

fn certificate(body: &[u8]) -> Option<Signer<'_>> {
    let mut fields = Der(Der(body).open(SEQUENCE)?);
    let (tag, mut serial) = fields.next()?;
    if tag == TAGGED_0 {
        // That was the version.
        serial = fields.next()?.1;
    }
    for _ in 0..3 {
        fields.next()?; // algorithm, issuer, validity
    }
    let subject = fields.next()?.1;
    let mut signer = Signer { subject, serial, modulus: b"", exponent: b"" };
    let mut key = Der(fields.next()?.1);
    key.next()?; // algorithm
    if let Some(bits) = key.open(BIT_STRING)
        && let Some(rsa) = bits.get(1..).and_then(|bits| Der(bits).open(SEQUENCE))
    {
        let mut rsa = Der(rsa);
        if let (Some(modulus), Some(exponent)) = (rsa.open(INTEGER), rsa.open(INTEGER)) {
            (signer.modulus, signer.exponent) = (unsigned(modulus), exponent);
        }
    }
    Some(signer)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value of DER.
    fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let body = parts.concat();
        let mut bytes = vec![tag, 0x82];
        bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        [bytes, body].concat()
    }

    fn message() -> Vec<u8> {
        let any = value(0x05, &[]);
        let rsa = value(
            SEQUENCE,
            &[&value(INTEGER, &[b"\0\x99\x88"]), &value(INTEGER, &[b"\x01\0\x01"])],
        );
        let key = value(SEQUENCE, &[&any, &value(BIT_STRING, &[b"\0", &rsa])]);
        let subject = value(SEQUENCE, &[b"name"]);
        let serial = value(INTEGER, &[b"\x12\x34"]);
        let version = value(TAGGED_0, &[b"\x02\x01\x02"]);
        let body = value(SEQUENCE, &[&version, &serial, &any, &any, &any, &subject, &key]);
        let certificate = value(SEQUENCE, &[&body, &any, &any]);
        let list = value(TAGGED_0, &[&certificate]);
        let signed = value(SEQUENCE, &[&any, &any, &any, &list, &any]);
        value(SEQUENCE, &[&any, &value(TAGGED_0, &[&signed])])
    }

    fn file(message: &[u8]) -> (Vec<u8>, (u32, u32)) {
        let len = 8 + message.len() as u32;
        let mut bytes = b"program.".to_vec();
        bytes.extend(len.to_le_bytes());
        bytes.extend(b"\0\x02\x02\0");
        bytes.extend(message);
        (bytes, (8, len))
    }

    #[test]
    fn certificates_are_read() {
        let (bytes, place) = file(&message());
        let signer = Signer {
            subject: b"name",
            serial: b"\x12\x34",
            modulus: b"\x99\x88",
            exponent: b"\x01\0\x01",
        };
        assert_eq!(read(&bytes, place), [signer]);
        assert!(read(&bytes, (0, 500)).is_empty());
        assert!(read(&bytes, (u32::MAX, u32::MAX)).is_empty());
    }

    #[test]
    fn a_length_without_end_is_passed_over_once() {
        let mut bytes = vec![0; 64];
        bytes[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        bytes[14] = 2;
        assert!(read(&bytes, (8, 56)).is_empty());
    }

    #[test]
    fn damage_is_no_reason_to_panic() {
        let (bytes, place) = file(&message());
        for at in 0..bytes.len() {
            assert!(read(&bytes[..at], place).len() <= 1);
            let mut bytes = bytes.clone();
            for byte in [0, 0x7f, 0x80, 0x84, 0xff] {
                bytes[at] = byte;
                assert!(read(&bytes, place).len() <= 1);
            }
        }
    }
}
