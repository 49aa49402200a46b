//! Office documents that are encrypted with the password that everybody has.
//!
//! Excel encrypts workbooks that are only protected from changes with the
//! password `VelvetSweatshop`, and opens them without asking; so do others with
//! any OOXML document. [MS-OFFCRYPTO] gives two ways to make the key: standard
//! (SHA-1, AES in blocks of its own) and agile (an XML that says how).
//! Making a key takes some hundred thousand digests, so a document may make one,
//! an input [`MAX_KEYS`](crate::budget::MAX_KEYS), and all are charged.
//!
//! Workbooks of Excel up to 2003 have three ways, all of them cheap: obfuscation
//! with sixteen bytes, RC4 with MD5, and RC4 with SHA-1.

use aes::cipher::{BlockCipherDecrypt, KeyInit};
use md5::Md5;
use memchr::memmem;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::rc4::rc4;
use super::{u16_at, u32_at, u64_at};
use crate::Budget;
use crate::text::html::decode_base64;

/// The password, as UTF-16.
const PASSWORD: &[u8] = b"V\0e\0l\0v\0e\0t\0S\0w\0e\0a\0t\0s\0h\0o\0p\0";

/// More rounds than any program asks for are no document.
const MAX_ROUNDS: u32 = 200_000;

/// Decrypts the stream `EncryptedPackage` as the stream `EncryptionInfo` says,
/// at most `room` bytes; `None` if that needs another password, is of another
/// kind, or the budget has no key left.
pub(super) fn decrypt(
    info: &[u8],
    package: &[u8],
    room: usize,
    budget: &Budget<'_>,
) -> Option<Vec<u8>> {
    let scheme = match (u16_at(info, 0)?, u16_at(info, 2)?) {
        (4, 4) => Scheme::agile(info.get(8..)?, budget)?,
        (2..=4, 2) => Scheme::standard(info, budget)?,
        _ => return None,
    };
    let size = usize::try_from(u64_at(package, 0)?).ok()?;
    let data = package.get(8..)?;
    let wanted = size.min(room).next_multiple_of(16);
    budget.tick(wanted.min(data.len()) as u64).ok()?;
    let mut plain = data.get(..wanted).unwrap_or(data).to_vec();
    // What another key makes of it is no archive.
    for (nth, segment) in plain.chunks_mut(SEGMENT).enumerate() {
        scheme.decrypt(nth, segment)?;
        if nth == 0 && !segment.starts_with(b"PK") {
            return None;
        }
    }
    plain.truncate(size.min(room));
    Some(plain)
}

/// Bytes that agile encryption chains.
const SEGMENT: usize = 4096;

/// A key and how it is used.
enum Scheme {
    Agile { key: Vec<u8>, salt: Vec<u8>, hash: Hash },
    Standard { key: Vec<u8> },
}

impl Scheme {
    /// `major minor flags:4 size:4 header verifier`, all of it binary.
    fn standard(info: &[u8], budget: &Budget<'_>) -> Option<Scheme> {
        const ROUNDS: u32 = 50_000;
        let size = usize::try_from(u32_at(info, 8)?).ok()?;
        let header = info.get(12..)?;
        let bits = u32_at(header, 16)?;
        let verifier = header.get(size..)?;
        let salt = verifier.get(4..20).filter(|_| u32_at(verifier, 0) == Some(16))?;
        let last = Hash::Sha1.rounds(salt, ROUNDS, budget)?;
        let digest = Hash::Sha1.of(&[&last, &[0; 4]]);
        let half = |pad: u8| {
            let mut block = [pad; 64];
            for (byte, digest) in block.iter_mut().zip(&digest) {
                *byte ^= digest;
            }
            Hash::Sha1.of(&[&block])
        };
        let mut key = [half(0x36), half(0x5c)].concat();
        key.truncate(match bits {
            0 | 128 => 16,
            192 => 24,
            256 => 32,
            _ => return None,
        });
        Some(Scheme::Standard { key })
    }

    /// An XML with `keyData`, and `encryptedKey` of the password.
    fn agile(xml: &[u8], budget: &Budget<'_>) -> Option<Scheme> {
        /// Tells the digest for the key of the key from others.
        const KEY_OF_KEY: [u8; 8] = [0x14, 0x6e, 0x0b, 0xe7, 0xab, 0xac, 0xd0, 0xd6];
        let data = element(xml, b"keyData")?;
        let password = element(xml, b"encryptedKey")?;
        let hash = Hash::named(attribute(password, b"hashAlgorithm")?)?;
        let number = |name| -> Option<u32> {
            std::str::from_utf8(attribute(password, name)?).ok()?.parse().ok()
        };
        let bytes = |element, name: &[u8]| attribute(element, name).map(decode_base64);
        let salt = bytes(password, b"saltValue")?;
        let last = hash.rounds(&salt, number(b"spinCount")?, budget)?;
        let length = usize::try_from(number(b"keyBits")? / 8).ok()?;
        let mut outer = hash.of(&[&last, &KEY_OF_KEY]);
        outer.resize(length, 0x36);
        let mut key = bytes(password, b"encryptedKeyValue")?;
        cbc(&outer, &salt, &mut key)?;
        key.truncate(length);
        let hash = Hash::named(attribute(data, b"hashAlgorithm")?)?;
        Some(Scheme::Agile { key, salt: bytes(data, b"saltValue")?, hash })
    }

    /// Decrypts one segment in its place.
    fn decrypt(&self, nth: usize, segment: &mut [u8]) -> Option<()> {
        match self {
            Scheme::Agile { key, salt, hash } => {
                let number = u32::try_from(nth).ok()?.to_le_bytes();
                cbc(key, &hash.of(&[salt, &number]), segment)
            }
            Scheme::Standard { key } => {
                let cipher = Aes::new(key)?;
                segment.as_chunks_mut::<16>().0.iter_mut().for_each(|block| cipher.decrypt(block));
                Some(())
            }
        }
    }
}

/// The attributes of the first element of this name, in any namespace.
fn element<'x>(xml: &'x [u8], name: &[u8]) -> Option<&'x [u8]> {
    let at = memmem::find_iter(xml, name)
        .find(|&at| at > 0 && matches!(xml.get(at - 1), Some(b'<' | b':')))?;
    let rest = xml.get(at + name.len()..)?;
    rest.get(..memchr::memchr(b'>', rest)?)
}

/// The text of an attribute.
fn attribute<'x>(element: &'x [u8], name: &[u8]) -> Option<&'x [u8]> {
    let at = memmem::find_iter(element, name).find(|&at| {
        at > 0
            && element.get(at - 1).is_some_and(u8::is_ascii_whitespace)
            && element.get(at + name.len()) == Some(&b'=')
    })?;
    let text = element.get(at + name.len() + 2..)?;
    text.get(..memchr::memchr2(b'"', b'\'', text)?)
}

/// The digests that are in use.
#[derive(Clone, Copy, Debug)]
enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    fn named(name: &[u8]) -> Option<Hash> {
        Some(match name {
            b"SHA1" | b"SHA-1" => Hash::Sha1,
            b"SHA256" | b"SHA-256" => Hash::Sha256,
            b"SHA384" | b"SHA-384" => Hash::Sha384,
            b"SHA512" | b"SHA-512" => Hash::Sha512,
            _ => return None,
        })
    }

    fn of(self, pieces: &[&[u8]]) -> Vec<u8> {
        fn digest<D: Digest>(pieces: &[&[u8]]) -> Vec<u8> {
            let mut state = D::new();
            pieces.iter().for_each(|piece| state.update(piece));
            state.finalize().to_vec()
        }
        match self {
            Hash::Sha1 => digest::<Sha1>(pieces),
            Hash::Sha256 => digest::<Sha256>(pieces),
            Hash::Sha384 => digest::<Sha384>(pieces),
            Hash::Sha512 => digest::<Sha512>(pieces),
        }
    }

    /// The digest of the salt and the password, again and again.
    fn rounds(self, salt: &[u8], rounds: u32, budget: &Budget<'_>) -> Option<Vec<u8>> {
        if rounds > MAX_ROUNDS || !budget.key() {
            return None;
        }
        let mut last = self.of(&[salt, PASSWORD]);
        for round in 0..rounds {
            budget.tick(64).ok()?;
            last = self.of(&[&round.to_le_bytes(), &last]);
        }
        Some(last)
    }
}

/// AES with a key of any of its lengths.
enum Aes {
    Aes128(Box<aes::Aes128Dec>),
    Aes192(Box<aes::Aes192Dec>),
    Aes256(Box<aes::Aes256Dec>),
}

impl Aes {
    fn new(key: &[u8]) -> Option<Aes> {
        Some(match key.len() {
            16 => Aes::Aes128(Box::new(aes::Aes128Dec::new_from_slice(key).ok()?)),
            24 => Aes::Aes192(Box::new(aes::Aes192Dec::new_from_slice(key).ok()?)),
            32 => Aes::Aes256(Box::new(aes::Aes256Dec::new_from_slice(key).ok()?)),
            _ => return None,
        })
    }

    fn decrypt(&self, block: &mut [u8; 16]) {
        let mut array = aes::Block::from(*block);
        match self {
            Aes::Aes128(cipher) => cipher.decrypt_block(&mut array),
            Aes::Aes192(cipher) => cipher.decrypt_block(&mut array),
            Aes::Aes256(cipher) => cipher.decrypt_block(&mut array),
        }
        block.copy_from_slice(&array);
    }
}

/// Undoes the chaining of blocks from this vector; what is no whole block stays.
fn cbc(key: &[u8], vector: &[u8], bytes: &mut [u8]) -> Option<()> {
    let cipher = Aes::new(key)?;
    let mut before = *vector.first_chunk::<16>()?;
    for block in bytes.as_chunks_mut::<16>().0 {
        let packed = *block;
        cipher.decrypt(block);
        for (byte, mask) in block.iter_mut().zip(before) {
            *byte ^= mask;
        }
        before = packed;
    }
    Some(())
}

/// Decrypts the stream of a workbook as its record `FilePass` says; `None` if that
/// needs another password or is of another kind. Records keep their places; that
/// record is zero after. Linear in the stream.
pub(super) fn workbook(stream: &[u8], file_pass: &[u8]) -> Option<Vec<u8>> {
    let pass = FilePass::parse(file_pass)?;
    let mut plain = stream.to_vec();
    if let FilePass::Md5 { .. } | FilePass::Sha1 { .. } = pass {
        for (block, number) in plain.chunks_mut(RECORD_BLOCK).zip(0..) {
            let decrypted = rc4(&pass.key(number), block);
            block.copy_from_slice(&decrypted);
        }
    }
    let mut at = 0;
    while let (Some(kind), Some(length)) = (u16_at(stream, at), u16_at(stream, at + 2)) {
        let body = (at + 4).min(stream.len());
        let end = (body + usize::from(length)).min(stream.len());
        if let FilePass::Xor = pass {
            let start = body + usize::from(length);
            for (byte, place) in plain[body..end].iter_mut().zip(start..) {
                *byte = (*byte ^ XOR_ARRAY[place % 16]).rotate_right(5);
            }
        }
        let readable = match kind {
            // BOF, InterfaceHdr, RRDHead, UsrExcl, FileLock, RRDInfo.
            0x809 | 0xe1 | 0x138 | 0x194..=0x196 => end,
            // BoundSheet8 says where the sheet begins.
            0x85 => end.min(body + 4),
            _ => body,
        };
        plain[at..readable].copy_from_slice(&stream[at..readable]);
        if kind == FILE_PASS {
            plain[at..end].fill(0);
            plain[at + 2..body].copy_from_slice(&stream[at + 2..body]);
        }
        at = end;
    }
    Some(plain)
}

/// The record that tells how a workbook is encrypted.
const FILE_PASS: u16 = 0x2f;
/// Bytes of a workbook that one key of RC4 is for.
const RECORD_BLOCK: usize = 1024;
/// What the password verifies as, and what it is made into, by the obfuscation.
const XOR_VERIFIER: u16 = 0x9a0a;
const XOR_ARRAY: [u8; 16] = [
    0x87, 0x6b, 0x9a, 0xe2, 0x1e, 0xe3, 0x05, 0x62, 0x1e, 0x69, 0x96, 0x60, 0x98, 0x6e, 0x94, 0x04,
];

/// How a workbook is encrypted with the password that everybody has.
enum FilePass {
    Xor,
    Md5 { secret: [u8; 5] },
    Sha1 { secret: Vec<u8>, length: usize },
}

impl FilePass {
    /// `kind:2`, then `key:2 verifier:2`, or `major:2 minor:2` and what these have.
    fn parse(record: &[u8]) -> Option<FilePass> {
        let pass = match (u16_at(record, 0)?, u16_at(record, 2)?, u16_at(record, 4)?) {
            (0, _, XOR_VERIFIER) => return Some(FilePass::Xor),
            (1, 1, 1) => {
                let salt = record.get(6..22)?;
                let first: [u8; 5] = *Md5::digest(PASSWORD).first_chunk()?;
                let secret = *Md5::digest([&first, salt].concat().repeat(16)).first_chunk()?;
                FilePass::Md5 { secret }
            }
            (1, 2..=4, 2) => {
                let header = usize::try_from(u32_at(record, 10)?).ok()?;
                let bits = u32_at(record, 14 + 16)?;
                let verifier = record.get(14..)?.get(header..)?;
                let salt = verifier.get(4..20).filter(|_| u32_at(verifier, 0) == Some(16))?;
                let secret = Hash::Sha1.of(&[salt, PASSWORD]);
                let length = match bits {
                    0 => 5,
                    40..=128 => usize::try_from(bits / 8).ok()?,
                    _ => return None,
                };
                FilePass::Sha1 { secret, length }
            }
            _ => return None,
        };
        pass.opens(record).then_some(pass)
    }

    /// The key of a block.
    fn key(&self, block: u32) -> Vec<u8> {
        let number = block.to_le_bytes();
        match self {
            FilePass::Xor => Vec::new(),
            FilePass::Md5 { secret } => Md5::digest([&secret[..], &number].concat()).to_vec(),
            FilePass::Sha1 { secret, length } => {
                let mut key = Hash::Sha1.of(&[secret, &number]);
                key.truncate(*length);
                // Keys of 40 bits are filled up.
                if *length == 5 {
                    key.resize(16, 0);
                }
                key
            }
        }
    }

    /// Whether the verifier at the end of the record is one of this password.
    fn opens(&self, record: &[u8]) -> bool {
        let hash_len = match self {
            FilePass::Xor => return true,
            FilePass::Md5 { .. } => 16,
            FilePass::Sha1 { .. } => 20,
        };
        let between = if hash_len == 16 { 0 } else { 4 };
        let Some(start) = record.len().checked_sub(16 + between + hash_len) else { return false };
        let (verifier, rest) = record[start..].split_at(16);
        let plain = rc4(&self.key(0), &[verifier, &rest[between..]].concat());
        let (verifier, hash) = plain.split_at(16);
        match self {
            FilePass::Sha1 { .. } => Hash::Sha1.of(&[verifier]) == hash,
            _ => Md5::digest(verifier)[..] == *hash,
        }
    }
}
