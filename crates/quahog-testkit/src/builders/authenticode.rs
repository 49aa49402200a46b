//! Signed PE files: certificates, signatures and countersignatures as one likes
//! them.
//!
//! The four keys are made for tests, and are public: nobody may trust them.
//!
//! ```
//! use quahog_testkit::builders::authenticode::{Cert, Key, Signing, program, sign};
//!
//! let root = Cert::new("Root", Key::ROOT).issuer();
//! let leaf = Cert::new("Leaf", Key::LEAF).signed_by(&root);
//! let signed = sign(&program(b"abc"), &Signing::new(&leaf));
//! assert!(root.crb("Trusted", true, [true, false, true]).starts_with("Trusted;1;"));
//! assert!(signed.len() > 1_500);
//! ```

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use md5::Md5;
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha384, Sha512};

use super::exe::{Pe, PeSection};

/// An RSA key of 1024 bits with the exponent 65537, for tests.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    modulus: &'static str,
    private: &'static str,
}

impl Key {
    /// Of who stands at the top.
    pub const ROOT: Key = Key {
        modulus: "c283d05f9a9620b932b989b1f3b410bde643a73537bd8e48862fb97a514022be\
                  632db4237de9b02d7a2f16226dfd5d92dc12004eb8c103c2c4fda93b30407c92\
                  782249659c20f7037448c5f8c15dee2d9ca237bccf961196efcf1e846b411dfd\
                  165d38936128f566e7a05b02a3ce2651f61998404935ee6466dffa65c9d48247",
        private: "73b23d8db0001de4aa242b9f9a09ff6f4477f70bb364df2d8a0af6f2a74353a7\
                  148cc9b9d699d9fda2d041052790ed487df783114fd91668920d22cc9ecdac89\
                  d4c4ec33c5e807bd30c0342a13992c7cb1499372f852e91122bdacbc10883808\
                  88fddc6c881bd17f78ee8b55947822a917d1e19118eecc3ee3e99a607273e8c9",
    };
    /// Of who stands between.
    pub const INTER: Key = Key {
        modulus: "9dce965aa482481bec30dd3392f84561d54b5456def0d5f16e11601fbaf983f1\
                  35b77128d21b96ad8abc7a4ff8b01f3fdee78a30e84f7b3d256574fa1b904398\
                  aef673eca07e807e985265cacf777973bc5f740536e6fb72394ba0c83ff5d5e2\
                  9e3853e014ebc2a374f1e2cd2ca8b0fb9d1641e14e78817f3abb35577ef65035",
        private: "18bf9b68dfbfe6db2a31879f5cff3eb2572717350085b8a7c2614b37eeb4cef2\
                  77402ba9013a7e68fd070e0f98aad65bc7f37c02ab8c3b819d69c9eca781fa77\
                  aa713fd87caeb77ccd1a56f46d7cdce671c4af1507dd4bc775593c0f759ff36c\
                  5873822e55d268a8dcb01d59385380e95b9d5608a60f4f4848c057ee9f2d82c9",
    };
    /// Of who signs programs.
    pub const LEAF: Key = Key {
        modulus: "ca0419abb4f30a184bd00f40872f90844db889a6d82636cb30a793d323365ccb\
                  4f0c64d32ad97abd06e3801079d66bd584f7ad6b51216297390674558a36ee51\
                  62b4eb3635b7f83ad1df5bc6e41636e20427a78a50fcbf52eb0bfbe73222bae6\
                  b72c7222263f09181e8ea3d4be46d9502ae80fa0f18e3e137dd9e47d77cfd53b",
        private: "119385c040c01c92bc95df9dd7a535c7ad136f368afbd82c99911af575ccd70a\
                  0158acb50ab75d4c70fafe3b70be4d2788a81bf8885885416efeb6c4728010ff\
                  f024429d9cda61d64da678625b81b627fb8527cc7bf22e3dac180c75f128e0bf\
                  2be904ae0f11cb9a3e1dacc9574f4d6af3cabd8dfe06e573f410591ac0dfeb51",
    };
    /// Of who says the time.
    pub const TIME: Key = Key {
        modulus: "dbd3f153edb1124b3f84b1124a649bd1b981e519363b96947c4b13dca811cd30\
                  f966405421f21b892b3e53295a3e8b94b271db837cae87c596510f4da605c24f\
                  0fca542b62fd47c0293969f484639bf364cf819394060bea742b67d02df8bd3c\
                  0440eb7325ac6b7ad7f44329c5132547852c6f0f651844e1ec8c654c5ee71cb3",
        private: "09946ae7e56bda083d7462e3112ae13f7a7e16a5ca9f3e28aa61fb339a7f6c19\
                  be449e790c21a8e18968e5e6df6fea5548917da7753f85db2e79c9d8f06b3fd4\
                  6d7d5a61ed1e1ea84bdc9843245dc00d754a2dc6e269ef6abdb60d04771ff657\
                  7cc0d392fae4e4e006296eee59317e7eadf0e8d9256f89f2c4590012aa2e7141",
    };
}

impl Key {
    fn number(hex: &str) -> BoxedUint {
        BoxedUint::from_str_radix_with_precision_vartime(hex, 16, 1024).expect("hex digits")
    }

    /// The signature of a digest, with the padding of PKCS #1 v1.5.
    fn sign(self, hash: Hash, pieces: &[&[u8]]) -> Vec<u8> {
        let info =
            der(0x30, &[&algorithm(hash.oid()), &der(0x04, &[&hash.digest(&pieces.concat())])]);
        let ones = vec![0xff; 128 - 3 - info.len()];
        let block = [&[0, 1][..], &ones, &[0], &info].concat();
        let modulus: Option<Odd<BoxedUint>> = Odd::new(Key::number(self.modulus)).into_option();
        let modulus = BoxedMontyParams::new_vartime(modulus.expect("an odd modulus"));
        let block = BoxedUint::from_be_slice(&block, 1024).expect("128 bytes");
        let power = BoxedMontyForm::new(block, &modulus).pow(&Key::number(self.private));
        power.retrieve().to_be_bytes().to_vec()
    }
}

/// A digest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hash {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Hash::Md5 => Md5::digest(bytes).to_vec(),
            Hash::Sha1 => Sha1::digest(bytes).to_vec(),
            Hash::Sha256 => Sha256::digest(bytes).to_vec(),
            Hash::Sha384 => Sha384::digest(bytes).to_vec(),
            Hash::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }

    fn oid(self) -> &'static [u8] {
        match self {
            Hash::Md5 => b"\x2a\x86\x48\x86\xf7\x0d\x02\x05",
            Hash::Sha1 => b"\x2b\x0e\x03\x02\x1a",
            Hash::Sha256 => b"\x60\x86\x48\x01\x65\x03\x04\x02\x01",
            Hash::Sha384 => b"\x60\x86\x48\x01\x65\x03\x04\x02\x02",
            Hash::Sha512 => b"\x60\x86\x48\x01\x65\x03\x04\x02\x03",
        }
    }

    fn signature_oid(self) -> &'static [u8] {
        match self {
            Hash::Md5 => b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04",
            Hash::Sha1 => b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05",
            Hash::Sha256 => b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b",
            Hash::Sha384 => b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c",
            Hash::Sha512 => b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d",
        }
    }
}

/// A certificate.
#[derive(Clone, Debug)]
pub struct Cert {
    /// Its common name; the serial number is made of it.
    pub name: String,
    /// Its key.
    pub key: Key,
    /// The exponent that it states.
    pub exponent: u32,
    /// Its time, as `YYMMDDHHMMSSZ`.
    pub valid: [&'static str; 2],
    /// Whether it is an issuer, and of how many below it at most; `None` says
    /// nothing of that.
    pub basic: Option<(bool, Option<u8>)>,
    /// Bits of the key usage.
    pub usage: Option<u8>,
    /// Last bytes of its purposes: 3 to sign code, 8 to say the time.
    pub purposes: Vec<u8>,
    /// An extension that must be understood, and is not.
    pub strange: bool,
    /// The digest that it is signed with.
    pub hash: Hash,
    /// The common name of who signed it.
    pub issuer: String,
    /// His key.
    pub issuer_key: Key,
    /// The certificates above it, which go into messages with it.
    pub chain: Vec<Vec<u8>>,
}

/// The time of certificates that say nothing else.
const YEARS: [&str; 2] = ["200101000000Z", "400101000000Z"];

impl Cert {
    /// One that signed itself.
    pub fn new(name: &str, key: Key) -> Cert {
        Cert {
            name: name.to_owned(),
            key,
            exponent: 65_537,
            valid: YEARS,
            basic: None,
            usage: None,
            purposes: Vec::new(),
            strange: false,
            hash: Hash::Sha256,
            issuer: name.to_owned(),
            issuer_key: key,
            chain: Vec::new(),
        }
    }

    /// That of an issuer of others.
    pub fn issuer(self) -> Cert {
        Cert { basic: Some((true, None)), ..self }
    }

    /// Signed by another one, which goes into messages with it.
    pub fn signed_by(self, issuer: &Cert) -> Cert {
        let mut chain = issuer.chain.clone();
        chain.push(issuer.build());
        Cert { issuer: issuer.name.clone(), issuer_key: issuer.key, chain, ..self }
    }

    /// Leaves those above it out of messages.
    pub fn alone(self) -> Cert {
        Cert { chain: Vec::new(), ..self }
    }

    fn serial(&self) -> Vec<u8> {
        [&[1][..], &Sha1::digest(&self.name)[..8]].concat()
    }

    /// The certificate in DER.
    pub fn build(&self) -> Vec<u8> {
        let time = |text: &str| der(0x17, &[text.as_bytes()]);
        let key = der(
            0x30,
            &[&integer(&bytes(self.key.modulus)), &integer(&self.exponent.to_be_bytes())],
        );
        let key = der(0x30, &[&algorithm(RSA), &der(0x03, &[&[0], &key])]);
        let mut extensions = Vec::new();
        let mut add = |oid: &[u8], critical: bool, value: Vec<u8>| {
            let mark: &[u8] = if critical { b"\x01\x01\xff" } else { b"" };
            extensions.push(der(0x30, &[&der(0x06, &[oid]), mark, &der(0x04, &[&value])]));
        };
        if let Some((issuer, below)) = self.basic {
            let mark: &[u8] = if issuer { b"\x01\x01\xff" } else { b"" };
            let below = below.map(|n| der(0x02, &[&[n]])).unwrap_or_default();
            add(b"\x55\x1d\x13", true, der(0x30, &[mark, &below]));
        }
        if let Some(usage) = self.usage {
            add(b"\x55\x1d\x0f", true, der(0x03, &[&[0, usage]]));
        }
        if !self.purposes.is_empty() {
            let oid = |n: &u8| der(0x06, &[b"\x2b\x06\x01\x05\x05\x07\x03", &[*n]]);
            let list: Vec<u8> = self.purposes.iter().flat_map(oid).collect();
            add(b"\x55\x1d\x25", false, der(0x30, &[&list]));
        }
        if self.strange {
            add(b"\x55\x1d\x1e", true, der(0x30, &[]));
        }
        let signature = algorithm(self.hash.signature_oid());
        let body = der(
            0x30,
            &[
                &der(0xa0, &[b"\x02\x01\x02"]),
                &integer(&self.serial()),
                &signature,
                &distinguished(&self.issuer),
                &der(0x30, &[&time(self.valid[0]), &time(self.valid[1])]),
                &distinguished(&self.name),
                &key,
                &der(0xa3, &[&der(0x30, &[&extensions.concat()])]),
            ],
        );
        let signed = self.issuer_key.sign(self.hash, &[&body]);
        der(0x30, &[&body, &signature, &der(0x03, &[&[0], &signed])])
    }

    /// The line of a `.crb` that trusts or blocks it; for code, time, issuing.
    pub fn crb(&self, name: &str, trusted: bool, uses: [bool; 3]) -> String {
        let subject = distinguished(&self.name);
        let subject = hex(&Sha1::digest(&subject[2..]));
        let serial = hex(&Sha1::digest(self.serial()));
        let [code, time, issuing] = uses.map(u8::from);
        let (trusted, modulus) = (u8::from(trusted), self.key.modulus);
        format!(
            "{name};{trusted};{subject};{serial};{modulus};010001;{code};{time};{issuing};0;made for tests"
        )
    }
}

/// How a program is signed.
#[derive(Clone, Debug)]
pub struct Signing {
    /// Who signs.
    pub signer: Cert,
    /// The digest of the file.
    pub file_hash: Hash,
    /// The digest of what is signed.
    pub hash: Hash,
    /// Who says when, and what: `YYMMDDHHMMSSZ`.
    pub time: Option<(Cert, &'static str)>,
    /// Other certificates in the message.
    pub more: Vec<Vec<u8>>,
    /// Attributes that nobody signs: object identifier and values.
    pub loose: Vec<(Vec<u8>, Vec<u8>)>,
    /// Bytes behind the message, in the table.
    pub behind: Vec<u8>,
}

impl Signing {
    /// With SHA-256 and no time.
    pub fn new(signer: &Cert) -> Signing {
        Signing {
            signer: signer.clone(),
            file_hash: Hash::Sha256,
            hash: Hash::Sha256,
            time: None,
            more: Vec::new(),
            loose: Vec::new(),
            behind: Vec::new(),
        }
    }
}

/// A small PE file of one section that begins with these bytes.
pub fn program(bytes: &[u8]) -> Vec<u8> {
    let len = bytes.len().next_multiple_of(0x200).max(0x200);
    let size = u32::try_from(len).expect("a small program");
    let section = PeSection { address: 0x1000, memory_len: size, offset: 0x400, len: size };
    let mut pe = Pe { entry: 0x1000, sections: vec![section], len: 0x400 + len, ..Pe::default() };
    pe.place(0x400, bytes);
    pe.build()
}

/// The offset of the checksum, and that of the entry of the certificate table,
/// in what [`program`] builds.
pub const CHECKSUM: usize = 0x40 + 24 + 64;
/// See [`CHECKSUM`].
pub const ENTRY: usize = 0x40 + 24 + 96 + 32;

/// Signs a file as [`program`] builds them.
pub fn sign(program: &[u8], how: &Signing) -> Vec<u8> {
    let mut file = program.to_vec();
    file.resize(file.len().next_multiple_of(8), 0);
    let covered = [&file[..CHECKSUM], &file[CHECKSUM + 4..ENTRY], &file[ENTRY + 8..]].concat();
    let message = message(&how.file_hash.digest(&covered), how);
    let len = 8 + message.len() + how.behind.len();
    let size = u32::try_from(len.next_multiple_of(8)).expect("a small message");
    let start = u32::try_from(file.len()).expect("a small program");
    file[ENTRY..ENTRY + 4].copy_from_slice(&start.to_le_bytes());
    file[ENTRY + 4..ENTRY + 8].copy_from_slice(&size.to_le_bytes());
    file.extend(size.to_le_bytes());
    file.extend(b"\0\x02\x02\0");
    file.extend(message);
    file.extend(&how.behind);
    file.resize(file.len().next_multiple_of(8), 0);
    file
}

fn message(digest: &[u8], how: &Signing) -> Vec<u8> {
    let image = der(0x30, &[&der(0x06, &[b"\x2b\x06\x01\x04\x01\x82\x37\x02\x01\x0f"]), b"\x30\0"]);
    let info = der(0x30, &[&algorithm(how.file_hash.oid()), &der(0x04, &[digest])]);
    let content = [image, info].concat();
    let (signer, signature) = signer(&how.signer, how.hash, INDIRECT_DATA, &content, None);
    let mut loose = Vec::new();
    let mut certificates = how.more.clone();
    certificates.extend(how.signer.chain.iter().cloned());
    certificates.push(how.signer.build());
    if let Some((stamper, time)) = &how.time {
        let (stamp, signed) = self::signer(stamper, how.hash, DATA, &signature, Some(time));
        let stamp = der(0x30, &[&stamp, &der(0x04, &[&signed])]);
        loose.push(attribute(b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x06", &stamp));
        certificates.extend(stamper.chain.iter().cloned());
        certificates.push(stamper.build());
    }
    loose.extend(how.loose.iter().map(|(oid, values)| attribute(oid, values)));
    let loose = if loose.is_empty() { Vec::new() } else { der(0xa1, &[&loose.concat()]) };
    let signer = der(0x30, &[&signer, &der(0x04, &[&signature]), &loose]);
    let data = der(
        0x30,
        &[
            b"\x02\x01\x01",
            &der(0x31, &[&algorithm(how.hash.oid())]),
            &der(0x30, &[&der(0x06, &[INDIRECT_DATA]), &der(0xa0, &[&der(0x30, &[&content])])]),
            &der(0xa0, &[&certificates.concat()]),
            &der(0x31, &[&signer]),
        ],
    );
    der(0x30, &[&der(0x06, &[b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"]), &der(0xa0, &[&data])])
}

/// What stands in front of a signature, and the signature.
fn signer(
    cert: &Cert,
    hash: Hash,
    content_type: &[u8],
    content: &[u8],
    time: Option<&str>,
) -> (Vec<u8>, Vec<u8>) {
    let mut attributes = vec![
        attribute(b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03", &der(0x06, &[content_type])),
        attribute(b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04", &der(0x04, &[&hash.digest(content)])),
    ];
    let time = time.map(|time| der(0x17, &[time.as_bytes()]));
    attributes.extend(time.map(|time| attribute(b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05", &time)));
    let attributes = attributes.concat();
    let signature = cert.key.sign(hash, &[&der(0x31, &[&attributes])]);
    let name = der(0x30, &[&distinguished(&cert.issuer), &integer(&cert.serial())]);
    let parts = [
        b"\x02\x01\x01".to_vec(),
        name,
        algorithm(hash.oid()),
        der(0xa0, &[&attributes]),
        algorithm(RSA),
    ];
    (parts.concat(), signature)
}

fn attribute(oid: &[u8], values: &[u8]) -> Vec<u8> {
    der(0x30, &[&der(0x06, &[oid]), &der(0x31, &[values])])
}

fn algorithm(oid: &[u8]) -> Vec<u8> {
    der(0x30, &[&der(0x06, &[oid]), b"\x05\0"])
}

/// A name of nothing but a common name.
fn distinguished(name: &str) -> Vec<u8> {
    let common = der(0x30, &[b"\x06\x03\x55\x04\x03", &der(0x0c, &[name.as_bytes()])]);
    der(0x30, &[&der(0x31, &[&common])])
}

fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    let sign: &[u8] = if bytes.get(zeros).is_none_or(|&first| first >= 0x80) { &[0] } else { &[] };
    der(0x02, &[sign, &bytes[zeros..]])
}

/// A value of DER.
pub fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let len = u32::try_from(body.len()).expect("a small value").to_be_bytes();
    let mut out = vec![tag];
    match body.len() {
        0..0x80 => out.push(len[3]),
        0x80..0x100 => out.extend([0x81, len[3]]),
        0x100..0x1_0000 => out.extend([0x82, len[2], len[3]]),
        _ => out.extend([&[0x84][..], &len].concat()),
    }
    [out, body].concat()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).expect("a hex digit");
    let pair = |pair: &[u8]| u8::try_from(digit(&pair[0]) << 4 | digit(&pair[1])).expect("a byte");
    hex.as_bytes().chunks_exact(2).map(pair).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
const DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
const INDIRECT_DATA: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x02\x01\x04";
