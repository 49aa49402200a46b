//! RSA signatures with the padding of PKCS #1 v1.5, and the digests in them.

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd, Resize};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

/// A digest that signatures are trusted with.
///
/// MD5 is none: two programs, or two certificates, with the same can be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// By the content of its object identifier.
    pub(super) fn of_digest(oid: &[u8]) -> Option<Hash> {
        Some(match oid {
            b"\x2b\x0e\x03\x02\x1a" => Hash::Sha1,
            b"\x60\x86\x48\x01\x65\x03\x04\x02\x01" => Hash::Sha256,
            b"\x60\x86\x48\x01\x65\x03\x04\x02\x02" => Hash::Sha384,
            b"\x60\x86\x48\x01\x65\x03\x04\x02\x03" => Hash::Sha512,
            _ => return None,
        })
    }

    /// By the content of the object identifier of an RSA signature with it.
    pub(super) fn of_signature(oid: &[u8]) -> Option<Hash> {
        Some(match oid.strip_prefix(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01")? {
            [0x05] => Hash::Sha1,
            [0x0b] => Hash::Sha256,
            [0x0c] => Hash::Sha384,
            [0x0d] => Hash::Sha512,
            _ => return None,
        })
    }

    /// The digest of the pieces, one behind the other.
    pub(super) fn digest(self, pieces: &[&[u8]]) -> Vec<u8> {
        fn of<D: sha1::Digest>(pieces: &[&[u8]]) -> Vec<u8> {
            let mut digest = D::new();
            pieces.iter().for_each(|piece| digest.update(piece));
            digest.finalize().to_vec()
        }
        match self {
            Hash::Sha1 => of::<Sha1>(pieces),
            Hash::Sha256 => of::<Sha256>(pieces),
            Hash::Sha384 => of::<Sha384>(pieces),
            Hash::Sha512 => of::<Sha512>(pieces),
        }
    }

    /// What stands in front of the digest in a signature: which one it is.
    fn prefix(self) -> &'static [u8] {
        match self {
            Hash::Sha1 => b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14",
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

/// Whether the owner of a key signed a digest.
///
/// The one right block is built and compared; nothing is parsed. Takes up to a
/// millisecond; keys of less than 1024 or more than 4096 bits verify nothing.
pub(super) fn verifies(
    (modulus, exponent): (&[u8], &[u8]),
    signature: &[u8],
    hash: Hash,
    digest: &[u8],
) -> bool {
    verify(modulus, exponent, signature, hash, digest).unwrap_or(false)
}

fn verify(
    modulus: &[u8],
    exponent: &[u8],
    signature: &[u8],
    hash: Hash,
    digest: &[u8],
) -> Option<bool> {
    let len = modulus.len();
    if !(128..=512).contains(&len) || signature.len() != len || exponent.len() > 4 {
        return None;
    }
    let exponent = exponent.iter().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
    if exponent < 3 || exponent.is_multiple_of(2) {
        return None;
    }
    let precision = u32::try_from(len * 8).ok()?.next_multiple_of(64);
    let number = BoxedUint::from_be_slice(modulus, precision).ok()?;
    let odd: Option<Odd<BoxedUint>> = Odd::new(number.resize(precision)).into_option();
    let signed = BoxedUint::from_be_slice(signature, precision).ok()?;
    let odd = odd?;
    if !signed.cmp_vartime(odd.as_ref()).is_lt() {
        return None;
    }
    let modulus = BoxedMontyParams::new_vartime(odd);
    let bits = u64::BITS - exponent.leading_zeros();
    let power = BoxedMontyForm::new(signed, &modulus)
        .pow_bounded_exp(&BoxedUint::from(exponent), bits)
        .retrieve()
        .to_be_bytes();
    let ones = len.checked_sub(hash.prefix().len() + digest.len() + 3).filter(|&n| n >= 8)?;
    let wanted = [&[0, 1][..], &vec![0xff; ones], &[0], hash.prefix(), digest].concat();
    // Full machine words may be longer than the modulus.
    let front = power.len().checked_sub(len)?;
    Some(power[..front].iter().all(|&byte| byte == 0) && power[front..] == wanted[..])
}
