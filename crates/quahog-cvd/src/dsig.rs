//! The two signature schemes of the format, and how they write numbers.
//!
//! Both are RSA with schemes of their own, so a stock verifier is of no use:
//!
//! - *textbook* (the header): `s^e mod n` is the MD5 itself, sixteen bytes and
//!   no padding at all;
//! - *padded* (`.info` and patches): SHA-256 in a block of 256 bytes that looks
//!   like RFC 8017 PSS, but clears **one** bit in front where PSS would clear
//!   two for a modulus of 2047 bits. Some genuine signatures have a bit there
//!   that strict PSS refuses.
//!
//! Numbers are written in 64 digits, `a-zA-Z0-9+/`, the lowest digit first. A
//! digit more that is zero (`a`) would not change the number, so the length is
//! bounded, and a number must be smaller than the modulus: one signature has
//! one spelling, up to zeros that fit.
//!
//! Verifying touches public numbers only and need not take constant time; one
//! costs about a quarter of a millisecond.

use std::ops::RangeInclusive;

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd, Resize};
use sha2::{Digest, Sha256};

/// An RSA key that dsigs are verified with.
#[derive(Clone, Debug)]
pub struct PublicKey {
    modulus: BoxedMontyParams,
    bits: u32,
    exponent: BoxedUint,
    exponent_bits: u32,
}

impl PublicKey {
    /// A key of the modulus, in hex digits, and the exponent.
    ///
    /// # Errors
    ///
    /// The key must be one that RSA can work with: odd modulus, odd exponent
    /// above 1, and a size that the format has room for (1024 to 2048 bits).
    pub fn new(modulus: &str, exponent: u64) -> Result<PublicKey, KeyError> {
        if exponent < 3 || exponent.is_multiple_of(2) {
            return Err(KeyError::Exponent);
        }
        let number = number_of_hex(modulus)?;
        let bits = number.bit_width_vartime();
        if !(1024..=2048).contains(&bits) {
            return Err(KeyError::Size);
        }
        let precision = bits.next_multiple_of(64);
        let odd: Option<Odd<BoxedUint>> = Odd::new(number.resize(precision)).into_option();
        let modulus = BoxedMontyParams::new_vartime(odd.ok_or(KeyError::Even)?);
        let exponent_bits = u64::BITS - exponent.leading_zeros();
        Ok(PublicKey { modulus, bits, exponent: BoxedUint::from(exponent), exponent_bits })
    }

    /// A key of big-endian numbers, whose modulus has so many bits.
    pub(crate) fn of_bytes(
        modulus: &[u8],
        exponent: &[u8],
        size: RangeInclusive<u32>,
    ) -> Result<PublicKey, KeyError> {
        if exponent.len() > 8 || modulus.len() > 1024 {
            return Err(KeyError::Size);
        }
        let exponent = exponent.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        // Above 33 bits nobody has one, and each bit costs time.
        if exponent < 3 || exponent.is_multiple_of(2) || exponent >> 33 != 0 {
            return Err(KeyError::Exponent);
        }
        // As many bits as the bytes have, so nothing is cut.
        let precision = (modulus.len() as u32 * 8).max(64).next_multiple_of(64);
        let number = BoxedUint::from_be_slice(modulus, precision).map_err(|_| KeyError::Size)?;
        let bits = number.bit_width_vartime();
        if !size.contains(&bits) {
            return Err(KeyError::Size);
        }
        let odd: Option<Odd<BoxedUint>> =
            Odd::new(number.resize(bits.next_multiple_of(64))).into_option();
        let modulus = BoxedMontyParams::new_vartime(odd.ok_or(KeyError::Even)?);
        let exponent_bits = u64::BITS - exponent.leading_zeros();
        Ok(PublicKey { modulus, bits, exponent: BoxedUint::from(exponent), exponent_bits })
    }

    /// Bits of the modulus.
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// True if `dsig` is the textbook signature of this key on `md5`.
    pub(crate) fn verifies_md5(&self, dsig: &[u8], md5: &[u8; 16]) -> bool {
        let Some(message) = self.open(dsig) else { return false };
        match message.split_last_chunk::<16>() {
            Some((front, last)) => front.iter().all(|b| *b == 0) && last == md5,
            None => false,
        }
    }

    /// True if `dsig` is the padded signature of this key on the bytes with
    /// this SHA-256.
    pub(crate) fn verifies_sha256(&self, dsig: &[u8], hash: &[u8; 32]) -> bool {
        let Some(message) = self.open(dsig) else { return false };
        // The block is 256 bytes also where the modulus is a little shorter.
        let Ok(mut block) = <[u8; BLOCK]>::try_from(&*message) else { return false };
        let (masked, tail) = block.split_at_mut(MASKED);
        let Some((seed, [0xbc])) = tail.split_first_chunk::<32>() else { return false };
        mask(masked, seed);
        let Some((front, salt)) = masked.split_last_chunk::<32>() else { return false };
        let Some((one, zeros)) = front.split_last() else { return false };
        *one == 1 && zeros.iter().all(|b| *b == 0) && *seed == salted(hash, salt)
    }

    /// `dsig^e mod n`, big-endian, in as many bytes as the modulus takes (full
    /// machine words). `None` if `dsig` is no number below the modulus.
    fn open(&self, dsig: &[u8]) -> Option<Box<[u8]>> {
        Some(self.raise(self.number(dsig)?))
    }

    /// True if `signature` is that of PKCS #1 v1.5 on `digest`, with this
    /// algorithm in front of it.
    ///
    /// The one right block is built and compared; nothing is parsed.
    pub(crate) fn verifies_pkcs1(&self, signature: &[u8], algorithm: &[u8], digest: &[u8]) -> bool {
        let length = self.bits.div_ceil(8) as usize;
        let Some(ones) = length.checked_sub(algorithm.len() + digest.len() + 3) else {
            return false;
        };
        let precision = self.modulus.bits_precision();
        if signature.len() != length || ones < 8 {
            return false;
        }
        let Ok(number) = BoxedUint::from_be_slice(signature, precision) else { return false };
        if !number.cmp_vartime(self.modulus.modulus().as_ref()).is_lt() {
            return false;
        }
        let block = self.raise(number);
        let wanted = [&[0, 1][..], &vec![0xff; ones], &[0], algorithm, digest].concat();
        // Full machine words may be longer than the modulus.
        let front = block.len() - length;
        block.iter().take(front).all(|b| *b == 0) && block.get(front..) == Some(&*wanted)
    }

    /// `number^e mod n`, in full machine words.
    fn raise(&self, number: BoxedUint) -> Box<[u8]> {
        let power = BoxedMontyForm::new(number, &self.modulus)
            .pow_bounded_exp(&self.exponent, self.exponent_bits);
        power.retrieve().to_be_bytes()
    }

    /// The number that `dsig` writes.
    fn number(&self, dsig: &[u8]) -> Option<BoxedUint> {
        if dsig.is_empty() || dsig.len() > self.bits.div_ceil(6) as usize {
            return None;
        }
        let mut bytes = bytes_of_digits(dsig)?;
        while bytes.last() == Some(&0) {
            bytes.pop();
        }
        let number = BoxedUint::from_le_slice(&bytes, self.modulus.bits_precision()).ok()?;
        let below = number.cmp_vartime(self.modulus.modulus().as_ref()).is_lt();
        below.then_some(number)
    }
}

/// An RSA key that makes dsigs, for a source of your own and for tests.
#[derive(Clone)]
pub struct PrivateKey {
    public: PublicKey,
    exponent: BoxedUint,
}

impl PrivateKey {
    /// A key of the modulus and the private exponent, in hex digits, and the
    /// public exponent.
    ///
    /// # Errors
    ///
    /// As [`PublicKey::new`]; [`KeyError::Mismatch`] if the exponents do not
    /// undo each other.
    pub fn new(modulus: &str, exponent: u64, private: &str) -> Result<PrivateKey, KeyError> {
        let public = PublicKey::new(modulus, exponent)?;
        PrivateKey::proven(public, number_of_hex(private)?)
    }

    /// A key of its public half and the private exponent, big-endian.
    pub(crate) fn of_bytes(public: PublicKey, exponent: &[u8]) -> Result<PrivateKey, KeyError> {
        let exponent = BoxedUint::from_be_slice(exponent, 2048).map_err(|_| KeyError::Size)?;
        PrivateKey::proven(public, exponent)
    }

    /// Tries whether the exponents belong together.
    fn proven(public: PublicKey, exponent: BoxedUint) -> Result<PrivateKey, KeyError> {
        let key = PrivateKey { public, exponent };
        let probe = [0x5a; 16];
        let dsig = key.sign_md5(&probe);
        if !key.public.verifies_md5(dsig.as_bytes(), &probe) {
            return Err(KeyError::Mismatch);
        }
        Ok(key)
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The textbook signature on `md5`.
    pub(crate) fn sign_md5(&self, md5: &[u8; 16]) -> String {
        let precision = self.public.modulus.bits_precision();
        // Sixteen bytes stay below a modulus of at least 1024 bits.
        self.seal(BoxedUint::from_be_slice_truncated(md5, precision))
    }

    /// The padded signature on the bytes with this SHA-256.
    ///
    /// The salt is derived from `hash`, so that equal bytes get equal
    /// signatures and a build can be reproduced. Verifiers do not care.
    pub(crate) fn sign_sha256(&self, hash: &[u8; 32]) -> String {
        let precision = self.public.modulus.bits_precision();
        let modulus = self.public.modulus.modulus().as_ref();
        let mut salt: [u8; 32] = Sha256::digest(hash).into();
        // `mask` clears the first bit of the block, so it is below a modulus of 2048 bits
        // at once, and below one of 2047 bits for at least every second salt.
        loop {
            let mut block = [0; BLOCK];
            let (masked, tail) = block.split_at_mut(MASKED);
            let seed = salted(hash, &salt);
            if let Some((front, last)) = masked.split_last_chunk_mut::<32>() {
                *last = salt;
                if let Some(one) = front.last_mut() {
                    *one = 1;
                }
            }
            mask(masked, &seed);
            let (into, end) = tail.split_at_mut(32);
            into.copy_from_slice(&seed);
            end.fill(0xbc);
            let number = BoxedUint::from_be_slice_truncated(&block, precision);
            if number.cmp_vartime(modulus).is_lt() {
                return self.seal(number);
            }
            salt = Sha256::digest(salt).into();
        }
    }

    fn seal(&self, number: BoxedUint) -> String {
        let power = BoxedMontyForm::new(number, &self.public.modulus).pow(&self.exponent);
        digits_of_bytes(&power.retrieve().to_le_bytes_trimmed_vartime())
    }
}

/// Does not show the private exponent.
impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrivateKey").field("public", &self.public).finish_non_exhaustive()
    }
}

/// Why a key cannot be used.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// An RSA modulus is odd.
    #[error("the modulus is even")]
    Even,
    /// An RSA exponent is odd and above 1.
    #[error("the exponent is even or below 3")]
    Exponent,
    /// Only RSA keys are read, in PEM: `PUBLIC KEY`, `RSA PUBLIC KEY`,
    /// `PRIVATE KEY` and `RSA PRIVATE KEY` without a passphrase.
    #[error("not an RSA key in PEM, or one with a passphrase")]
    Form,
    /// The two exponents do not belong together.
    #[error("the private exponent does not undo the public one")]
    Mismatch,
    /// Only hex digits are read, 1 to 512 of them.
    #[error("not a hexadecimal number of at most 2048 bits")]
    NotHex,
    /// A file with keys holds two or three of them: for headers, for `.info`, and
    /// for patches, if that is another.
    #[error("expected two or three keys: for headers, for .info, and for patches")]
    Number,
    /// In front of the keys of a source stand `name: `, `prefix: ` and, if need be,
    /// `overriding: yes`.
    #[error("expected `name: NAME` and `prefix: PREFIX` in front of the keys")]
    Text,
    /// Headers take 1024 bits, `.info` and patches 2047 or 2048.
    #[error("the modulus has the wrong number of bits")]
    Size,
}

/// True for a byte that may stand in a dsig.
pub(crate) fn is_digit(byte: u8) -> bool {
    value(byte).is_some()
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'a'..=b'z' => Some(digit - b'a'),
        b'A'..=b'Z' => Some(digit - b'A' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

/// The bytes of a number, lowest first; `None` at a byte that is no digit.
fn bytes_of_digits(digits: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(digits.len() * 6 / 8 + 1);
    let (mut held, mut n_held) = (0u32, 0);
    for digit in digits {
        held |= u32::from(value(*digit)?) << n_held;
        n_held += 6;
        if n_held >= 8 {
            // The lowest byte is complete; the cast takes just that one.
            bytes.push(held as u8);
            held >>= 8;
            n_held -= 8;
        }
    }
    bytes.push(held as u8); // fewer than 8 bits are left
    Some(bytes)
}

/// The digits of a number that is given lowest byte first.
fn digits_of_bytes(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/";
    let mut digits = String::new();
    let (mut held, mut n_held) = (0u32, 0);
    for byte in bytes.iter().copied().chain([0]) {
        held |= u32::from(byte) << n_held;
        n_held += 8;
        while n_held >= 6 {
            digits.push(char::from(DIGITS[(held & 63) as usize]));
            held >>= 6;
            n_held -= 6;
        }
    }
    let significant = digits.trim_end_matches('a').len().max(1);
    digits.truncate(significant);
    digits
}

fn number_of_hex(hex: &str) -> Result<BoxedUint, KeyError> {
    // The library would accept `+` and `_` as well.
    if hex.is_empty() || hex.len() > 512 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(KeyError::NotHex);
    }
    BoxedUint::from_str_radix_with_precision_vartime(hex, 16, 2048).map_err(|_| KeyError::NotHex)
}

/// `SHA256(00 x 8, hash, salt)`: what ties the salt to the signed bytes.
fn salted(hash: &[u8; 32], salt: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update([0; 8]).chain_update(hash).chain_update(salt).finalize().into()
}

/// Xors MGF1-SHA256 of `seed` onto `block` and clears its first bit. Applied
/// twice it gives the block back, but for that bit.
fn mask(block: &mut [u8], seed: &[u8; 32]) {
    for (counter, chunk) in (0u32..).zip(block.chunks_mut(32)) {
        let pad = Sha256::new().chain_update(seed).chain_update(counter.to_be_bytes()).finalize();
        for (byte, pad) in chunk.iter_mut().zip(pad) {
            *byte ^= pad;
        }
    }
    if let Some(first) = block.first_mut() {
        *first &= 0x7f;
    }
}

/// Bytes of a padded block: masked part, hash, one byte 0xbc.
const BLOCK: usize = 256;
/// Bytes of its masked part.
const MASKED: usize = 223;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_little_endian_and_not_rfc_4648() {
        for (digits, number) in [("ba", 1u32), ("ab", 64), ("9/", 4093), ("a", 0), ("aab", 4096)] {
            let bytes = bytes_of_digits(digits.as_bytes()).unwrap();
            let value = bytes.iter().rev().fold(0, |n, b| n << 8 | u32::from(*b));
            assert_eq!(value, number, "{digits}");
            assert_eq!(
                digits_of_bytes(&bytes),
                match digits {
                    "ba" => "b",
                    other => other,
                }
            );
        }
        for bad in ["=", "a b", "-", "a\n", "\u{e4}"] {
            assert_eq!(bytes_of_digits(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn unusable_keys_are_refused() {
        let modulus = format!("8{}1", "0".repeat(254));
        assert!(PublicKey::new(&modulus, 65537).is_ok());
        let refused = |modulus: &str, exponent| PublicKey::new(modulus, exponent).unwrap_err();
        assert_eq!(refused(&modulus, 65536), KeyError::Exponent);
        assert_eq!(refused(&modulus, 1), KeyError::Exponent);
        assert_eq!(refused(&modulus.replace('1', "2"), 3), KeyError::Even);
        assert_eq!(refused(&format!("{}1", &modulus[..254]), 3), KeyError::Size);
        assert_eq!(refused("+1", 3), KeyError::NotHex);
        assert_eq!(refused("", 3), KeyError::NotHex);
        assert_eq!(refused(&"f".repeat(513), 3), KeyError::NotHex);
        assert_eq!(PrivateKey::new(&modulus, 65537, "3").unwrap_err(), KeyError::Mismatch);
    }

    #[test]
    fn a_number_is_below_the_modulus_and_not_overlong() {
        let key = PublicKey::new(&format!("8{}1", "0".repeat(254)), 3).unwrap();
        let digits = |number: &BoxedUint| digits_of_bytes(&number.to_le_bytes());
        let modulus: &BoxedUint = key.modulus.modulus().as_ref();
        assert!(key.number(digits(modulus).as_bytes()).is_none());
        let one = BoxedUint::one_with_precision(1024);
        let below = digits(&modulus.wrapping_sub(&one));
        assert!(key.number(below.as_bytes()).is_some());
        // Zeros in front of the number, at its end here, up to the full length.
        assert!(key.number(format!("b{}", "a".repeat(170)).as_bytes()).is_some());
        assert!(key.number(format!("b{}", "a".repeat(171)).as_bytes()).is_none());
        assert!(key.number(b"").is_none());
    }
}
