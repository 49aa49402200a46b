//! The standard encryption of PDF, with the empty password.
//!
//! Many documents are encrypted only to forbid printing: their user password
//! is empty, and every reader opens them without a word. Keys are made as ISO
//! 32000-2, 7.6.4 says: from MD5 for RC4 and AES of 128 bits, from SHA-2 for
//! AES of 256 bits. A password that is not empty is nobody's to guess.

use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use md5::{Digest, Md5};
use sha2::{Sha256, Sha384, Sha512};

use super::value::Value;
use crate::document::rc4::rc4;

/// How the streams or the strings of a document are encrypted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Method {
    Aes128,
    Aes256,
    Identity,
    Rc4,
}

/// A key that the empty password gives.
#[derive(Debug)]
pub(super) struct Key {
    key: Vec<u8>,
    streams: Method,
    strings: Method,
}

impl Key {
    /// Makes the key from an encryption dictionary and the first identifier
    /// of the file; `None` if the password is not empty, or the encryption is
    /// of another kind.
    pub(super) fn new(dictionary: &Value, id: &[u8]) -> Option<Key> {
        let field = |key: &[u8]| dictionary.get(key).and_then(Value::integer);
        let text = |key: &[u8]| dictionary.get(key).and_then(Value::string);
        let version = field(b"V").unwrap_or(0);
        let revision = field(b"R")?;
        let (owner, user) = (text(b"O")?, text(b"U")?);
        let (streams, strings) = match version {
            1..=3 => (Method::Rc4, Method::Rc4),
            4 | 5 => {
                let method = |key| crypt_filter(dictionary, key);
                (method(b"StmF")?, method(b"StrF")?)
            }
            _ => return None,
        };
        let key = if revision >= 5 {
            wide_key(user, text(b"UE")?, revision)?
        } else {
            let bits = if version == 1 { 40 } else { field(b"Length").unwrap_or(40) };
            // Some writers count bytes.
            let length = match bits {
                5..=16 => bits,
                40..=128 => bits / 8,
                _ if version == 4 => 16,
                _ => 5,
            };
            let length = if version == 4 { 16 } else { usize::try_from(length).ok()? };
            let permissions = field(b"P").unwrap_or(0);
            let metadata = dictionary.get(b"EncryptMetadata").is_none_or(|value| {
                // `false` is no value that the parser knows; `true` neither.
                *value != Value::Other || version < 4
            });
            let try_key = |metadata| {
                // The lower half is what counts.
                let key = narrow_key(owner, permissions as u32, id, revision, length, metadata);
                opens(&key, user, id, revision).then_some(key)
            };
            try_key(metadata).or_else(|| try_key(!metadata))?
        };
        Some(Key { key, streams, strings })
    }

    /// Decrypts the data of a stream.
    pub(super) fn stream(&self, number: u32, generation: u16, data: &[u8]) -> Vec<u8> {
        self.decrypt(self.streams, number, generation, data)
    }

    /// Decrypts a string.
    pub(super) fn string(&self, number: u32, generation: u16, data: &[u8]) -> Vec<u8> {
        self.decrypt(self.strings, number, generation, data)
    }

    fn decrypt(&self, method: Method, number: u32, generation: u16, data: &[u8]) -> Vec<u8> {
        let object_key = |salt: &[u8]| {
            let mut md5 = Md5::new();
            md5.update(&self.key);
            md5.update(&number.to_le_bytes()[..3]);
            md5.update(generation.to_le_bytes());
            md5.update(salt);
            let mut key = md5.finalize().to_vec();
            key.truncate(self.key.len() + 5);
            key
        };
        match method {
            Method::Identity => data.to_vec(),
            Method::Rc4 => rc4(&object_key(b""), data),
            Method::Aes128 => unchained(&object_key(b"sAlT"), data),
            Method::Aes256 => unchained(&self.key, data),
        }
    }
}

/// The method of the crypt filter that a key of the dictionary names.
fn crypt_filter(dictionary: &Value, key: &[u8]) -> Option<Method> {
    let Some(Value::Name(name)) = dictionary.get(key) else { return Some(Method::Identity) };
    if name == b"Identity" {
        return Some(Method::Identity);
    }
    match dictionary.get(b"CF")?.get(name)?.get(b"CFM") {
        Some(Value::Name(method)) => match method.as_slice() {
            b"V2" => Some(Method::Rc4),
            b"AESV2" => Some(Method::Aes128),
            b"AESV3" => Some(Method::Aes256),
            _ => None,
        },
        _ => Some(Method::Identity),
    }
}

/// Algorithm 2, with an empty password.
fn narrow_key(
    owner: &[u8],
    permissions: u32,
    id: &[u8],
    revision: i64,
    length: usize,
    metadata: bool,
) -> Vec<u8> {
    let mut md5 = Md5::new();
    md5.update(PADDING);
    md5.update(owner.get(..32).unwrap_or(owner));
    md5.update(permissions.to_le_bytes());
    md5.update(id);
    if revision >= 4 && !metadata {
        md5.update([0xff; 4]);
    }
    let mut key = md5.finalize().to_vec();
    key.truncate(length);
    if revision >= 3 {
        for _ in 0..50 {
            key = Md5::digest(&key).to_vec();
            key.truncate(length);
        }
    }
    key
}

/// Algorithms 4 to 6: whether a key is the one that the document was made with.
fn opens(key: &[u8], user: &[u8], id: &[u8], revision: i64) -> bool {
    if revision <= 2 {
        return rc4(key, PADDING) == user.get(..32).unwrap_or(user);
    }
    let mut md5 = Md5::new();
    md5.update(PADDING);
    md5.update(id);
    let mut text = md5.finalize().to_vec();
    for round in 0..20 {
        let key: Vec<u8> = key.iter().map(|byte| byte ^ round).collect();
        text = rc4(&key, &text);
    }
    user.get(..16).is_some_and(|user| user == text)
}

/// Algorithm 2.A, with an empty password: `U` is a hash and two salts, `UE`
/// the key, encrypted.
fn wide_key(user: &[u8], encrypted: &[u8], revision: i64) -> Option<Vec<u8>> {
    let hash = if revision == 5 { |salt: &[u8]| Sha256::digest(salt).to_vec() } else { hardened };
    if hash(user.get(32..40)?) != user.get(..32)? {
        return None;
    }
    let key = hash(user.get(40..48)?);
    let mut block = encrypted.get(..32)?.to_vec();
    decrypt_blocks(&key, [0; 16], &mut block);
    Some(block)
}

/// Algorithm 2.B, with an empty password.
fn hardened(salt: &[u8]) -> Vec<u8> {
    let mut key = Sha256::digest(salt).to_vec();
    // Rounds go on until a byte is small, which is soon: the bound is for
    // those who count on luck.
    for round in 0..1000_u32 {
        let mut text = key.repeat(64);
        let (Some(cipher_key), Some(vector)) = (key.first_chunk::<16>(), key.get(16..32)) else {
            break;
        };
        let Ok(cipher) = aes::Aes128Enc::new_from_slice(cipher_key) else { break };
        let mut before = vector.to_vec();
        for block in text.chunks_exact_mut(16) {
            for (byte, last) in block.iter_mut().zip(&before) {
                *byte ^= last;
            }
            let mut array = aes::Block::default();
            array.copy_from_slice(block);
            cipher.encrypt_block(&mut array);
            block.copy_from_slice(&array);
            before.copy_from_slice(block);
        }
        let sum: u32 = text.iter().take(16).map(|&byte| u32::from(byte)).sum();
        key = match sum % 3 {
            0 => Sha256::digest(&text).to_vec(),
            1 => Sha384::digest(&text).to_vec(),
            _ => Sha512::digest(&text).to_vec(),
        };
        let last = u32::from(text.last().copied().unwrap_or(0));
        if round >= 63 && last <= round - 31 {
            break;
        }
    }
    key.truncate(32);
    key
}

/// AES in CBC mode: the vector before the data, padding behind it.
fn unchained(key: &[u8], data: &[u8]) -> Vec<u8> {
    let Some((vector, rest)) = data.split_first_chunk::<16>() else { return Vec::new() };
    let mut plain = rest.get(..rest.len() & !15).unwrap_or_default().to_vec();
    decrypt_blocks(key, *vector, &mut plain);
    // A padding that is none costs no byte.
    if let Some(&padding @ 1..=16) = plain.last() {
        plain.truncate(plain.len().saturating_sub(padding.into()));
    }
    plain
}

fn decrypt_blocks(key: &[u8], vector: [u8; 16], data: &mut [u8]) {
    let narrow = aes::Aes128Dec::new_from_slice(key).ok();
    let wide = aes::Aes256Dec::new_from_slice(key).ok();
    let mut before = vector;
    for block in data.as_chunks_mut::<16>().0 {
        let next = *block;
        let mut array = aes::Block::from(*block);
        match (&narrow, &wide) {
            (Some(cipher), _) => cipher.decrypt_block(&mut array),
            (_, Some(cipher)) => cipher.decrypt_block(&mut array),
            _ => return,
        }
        for ((byte, plain), last) in block.iter_mut().zip(array).zip(before) {
            *byte = plain ^ last;
        }
        before = next;
    }
}

/// What a password is filled up with.
const PADDING: &[u8; 32] = b"\x28\xbf\x4e\x5e\x4e\x75\x8a\x41\x64\x00\x4e\x56\xff\xfa\x01\x08\
    \x2e\x2e\x00\xb6\xd0\x68\x3e\x80\x2f\x0c\xa9\xfe\x64\x53\x69\x7a";

#[cfg(test)]
mod tests {
    use super::*;

    fn chained(key: &[u8], vector: [u8; 16], data: &[u8]) -> Vec<u8> {
        let narrow = aes::Aes128Enc::new_from_slice(key).ok();
        let wide = aes::Aes256Enc::new_from_slice(key).ok();
        let mut before = vector;
        let mut out = Vec::new();
        for block in data.as_chunks::<16>().0 {
            let mut array = aes::Block::from(std::array::from_fn(|at| block[at] ^ before[at]));
            match (&narrow, &wide) {
                (Some(cipher), _) => cipher.encrypt_block(&mut array),
                (_, Some(cipher)) => cipher.encrypt_block(&mut array),
                _ => panic!("a key of another length"),
            }
            before = array.into();
            out.extend(before);
        }
        out
    }

    fn literal(bytes: &[u8]) -> Value {
        Value::String(bytes.to_vec(), 0)
    }

    fn named(name: &[u8]) -> Value {
        Value::Name(name.to_vec())
    }

    fn dictionary(members: &[(&[u8], Value)]) -> Value {
        let members = members.iter().map(|(key, value)| (key.to_vec(), value.clone()));
        Value::Dictionary(members.collect())
    }

    #[test]
    fn wide_keys_open_documents_of_both_revisions() {
        let (check, salt) = (b"12345678", b"abcdefgh");
        for revision in [5, 6] {
            let hash = |salt: &[u8]| match revision {
                5 => Sha256::digest(salt).to_vec(),
                _ => hardened(salt),
            };
            let user = [&hash(check)[..], check, salt].concat();
            let key = [7; 32];
            let crypt_filters = dictionary(&[(b"StdCF", dictionary(&[(b"CFM", named(b"AESV3"))]))]);
            let mut members = vec![
                (&b"V"[..], Value::Integer(5)),
                (b"R", Value::Integer(revision)),
                (b"O", literal(&[0; 48])),
                (b"UE", literal(&chained(&hash(salt), [0; 16], &key))),
                (b"CF", crypt_filters),
                (b"StmF", named(b"StdCF")),
                (b"StrF", named(b"Identity")),
                (b"U", literal(&user)),
            ];
            let opened = Key::new(&dictionary(&members), b"").unwrap();
            let data = chained(&key, [9; 16], b"a secret of one\x01");
            let data = [&[9; 16][..], &data].concat();
            assert_eq!(opened.stream(1, 0, &data), b"a secret of one");
            assert_eq!(opened.string(1, 0, b"plain"), b"plain");
            // Another password.
            members.push((b"U", literal(&[&[0; 32], &user[32..]].concat())));
            assert!(Key::new(&dictionary(&members), b"").is_none());
        }
    }

    #[test]
    fn aes_gives_back_what_was_chained() {
        let cipher = aes::Aes128Enc::new_from_slice(&[7; 16]).unwrap();
        let mut block = aes::Block::from(*b"0123456789abc\x03\x03\x03");
        for byte in &mut block {
            *byte ^= 9;
        }
        cipher.encrypt_block(&mut block);
        let data = [&[9; 16][..], &block].concat();
        assert_eq!(unchained(&[7; 16], &data), b"0123456789abc");
        assert_eq!(unchained(&[7; 16], &data[..20]), b"");
        assert_eq!(unchained(&[7; 3], b""), b"");
    }
}
