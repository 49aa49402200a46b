//! Small containers, signed with keys that everybody knows.
//!
//! The keys are **test keys that protect nothing**: their private halves stand
//! below, in the open. [`trust_store`] trusts them alone, and nothing outside of
//! tests must.
//!
//! Everything is fixed, down to the build time, so that equal calls give equal
//! bytes.

use std::sync::LazyLock;

use quahog_cvd::write::{Builder, SigningKeys};
use quahog_cvd::{PrivateKey, TrustStore};

/// What [`trust_store`] calls the owner of the keys.
pub const SOURCE: &str = "testkit";

/// The private test keys.
pub fn signing_keys() -> &'static SigningKeys {
    // Once for all: a private key is tried out when it is made.
    static KEYS: LazyLock<SigningKeys> = LazyLock::new(|| {
        let key = |modulus: &[&str], private: &[&str]| {
            PrivateKey::new(&modulus.concat(), 65537, &private.concat()).expect("a key of openssl")
        };
        SigningKeys::new(
            key(HEADER_MODULUS, HEADER_PRIVATE),
            key(INFO_MODULUS, INFO_PRIVATE),
            key(CDIFF_MODULUS, CDIFF_PRIVATE),
        )
        .expect("keys of 1024, 2048 and 2048 bits")
    });
    &KEYS
}

/// Trusts the test keys and nobody else, as it would trust the official
/// publisher's.
pub fn trust_store() -> TrustStore {
    let source = signing_keys().source(SOURCE).expect("keys of the right sizes");
    TrustStore::empty().with(source.overriding(true))
}

/// A container to be, of version 1 and the build time 1700000000. It claims as
/// many signatures as there are lines in its members of signatures.
pub fn builder(database: &str, members: &[(&str, &[u8])]) -> Builder {
    let builder = Builder::new(database).builder("testkit").build_time(1_700_000_000);
    let counted = members.iter().map(|(name, bytes)| count(name, bytes)).sum();
    let builder = builder.signatures(counted);
    members.iter().fold(builder, |builder, (name, bytes)| builder.member(name, bytes))
}

/// The signatures in a member, as sigtool counts them.
fn count(name: &str, bytes: &[u8]) -> u32 {
    match name.rsplit('.').next() {
        Some("cfg" | "ftm" | "ign" | "ign2" | "pwdb" | "wdb") => 0,
        Some("cbc") => 1,
        _ => {
            let lines = bytes.split(|&b| b == b'\n');
            let said = |line: &&[u8]| !line.trim_ascii().is_empty() && line.first() != Some(&b'#');
            u32::try_from(lines.filter(said).count()).unwrap_or(u32::MAX)
        }
    }
}

/// An unsigned container with these members, for a file `<database>.cud`.
///
/// # Panics
///
/// If a name cannot be stored.
pub fn cud(database: &str, members: &[(&str, &[u8])]) -> Vec<u8> {
    builder(database, members).cud().expect("storable members")
}

/// A signed container with these members, for a file `<database>.cvd`.
///
/// # Panics
///
/// If a name cannot be stored.
pub fn cvd(database: &str, members: &[(&str, &[u8])]) -> Vec<u8> {
    builder(database, members).cvd(signing_keys()).expect("storable members")
}

/// A container with a signed `.info`, for a file `<database>.cld`.
///
/// # Panics
///
/// If a name cannot be stored.
pub fn cld(database: &str, members: &[(&str, &[u8])]) -> Vec<u8> {
    builder(database, members).cld(signing_keys()).expect("storable members")
}

// Made once with `openssl genrsa`; the public exponent is 65537.

const HEADER_MODULUS: &[&str] = &[
    "becf3df85aee3a79917425e85cca2957765d781837bb5aeee5c83a6480dcc895",
    "8817c5e4bd6b4c47ea4220d29c8931dd44ddc3ea2c36c5d51b84aaaab2cd95c6",
    "bada831b6c89123c9585d032e6bff4f709bdf0914a734db94540d7261cb49728",
    "dfeb74a1809fbfe9a365e45c4ba828d3195cb33da4b8955af59ecceba5d8c313",
];

const HEADER_PRIVATE: &[&str] = &[
    "b204f87435a1fdbc5e10572dab2491dd9ff9248ab3b480ea5247b4f2ffa6fd1d",
    "4593a875f8a39acf9da784a7fa93a58a232e2412de9d5b85afdedebbd3862b2d",
    "57bbd4857e387e1799b0f716ecacb20e541b56a4c6779198b64925f2dab23ca8",
    "500720bc12c50091c437f56580f57203a832ce64b87ad1278a336977bac45b01",
];

const INFO_MODULUS: &[&str] = &[
    "b95726d0c59005fe47b238fdfd0434aa186d9801f71930d47c31043f8b789aa2",
    "da34325dba4c4bcca29a461584e2c37484590bf6ee549cd4197c406b94590704",
    "77d855075e79e483e095a426efb3743f1f9e709d6b9a7d9e1f162134a8242b6c",
    "cc40bbcb848b32d1a88e5c47e7c80627fbd5a42f00b9dd29fe51b2a395c92c22",
    "59fb870219aee88d8f2a23d8325a686266ded6a23ce446eeeb10314fd639dff8",
    "1b93443dedc79d038849ede305b8d4ab84a52e1335b6cdf9f74769bf303b5d1a",
    "d1dbc8c0d846f1329ab470c634c7b7336d85ae7352c3006b2904a155d0fe80f1",
    "eefba0875be55c9f670d908bd7175170ccd8cbbd245a42ce30c071c8b4aad819",
];

const INFO_PRIVATE: &[&str] = &[
    "1cfc3e6e397c1e24b444f3430ffb0374add1b26d27e3fbdaeb7ea30635ce5c44",
    "c7f73c90cdb2795b74df5c8f9146a9002e2b906453a50d2c43c21cdcaceb9332",
    "086b8b919226f25975aed0d358a968e66d06d3595b7ab1d6cc424ca4a9b9b88e",
    "87d2b874a2a3067029ec3599a77c2313ef2e05e109788a2c0717a8849db5105b",
    "885b66f626e75120fd3dca570318f3b1f6568ff70cc74e340a3eafc4f9266c55",
    "4cdb3b409acea52da7b1f547171330b31b30ea2a0c9f20552989306268b23a8e",
    "eb711dec0e0d5fed18d16b551b3d64c1e49f838972b0b89ea2aeae84039f9e03",
    "617430b83dc6fddba6eb52da0e66821c681dee651f7f71bc6c457b888bf399",
];

const CDIFF_MODULUS: &[&str] = &[
    "c288a49f7ce169f30ddc6a064101c5539767beef4d4f0024543c189dae321428",
    "053c5ffbb91cb9b66246f93e43a8f2272c903b6a9e57cfc807c2d403077d7eeb",
    "2ba74a25f9eca3c1bc2c080cc5c49a82aaa3e3164255136e487ccb432a2c5b45",
    "51895549d29e6321818059208547cbde09d1929ba9a30a5ed8b93386d30b534a",
    "6adae8d45bffc531dac59d736f23a05b657765659ad6592d7b53f1fac5473c01",
    "83c46ab52f0f1dedc2b0d720005c132a997cb929aedfa77167811cf795a056c1",
    "0781972e47083f3a704d77c78a3c4d679d39a6ca2d994d244291c01ecc90d887",
    "2017f1e344e78d76957270caa2d3701d94235018a98bfa1eee5c0f9fe880c615",
];

const CDIFF_PRIVATE: &[&str] = &[
    "34e019deea7d5a8ef5f58886aaa4bb3de7feb5a72b1c38ada737ae792d754485",
    "46e70cda743645443847924cef971190144cca8445b06ddf063d03e3799062d9",
    "b3c3da23a30aef2279987e424fd460804e6168180f6f906dd41b6cceea124f11",
    "f3024bc1afbddd5ea8bf24cff214d1bf9dc0ee588bd8afb8ed5a143ca6a082c2",
    "a88f1b45ec81355b422aeff39afde3c221ad44006134e87c1d580983a1c6349b",
    "797f74cdff650b2fee7b7569c111eab224e417c947b6dd332514981faf6530e4",
    "ed313ace04ac9a1eb8e4b893f9e1eda9ebd27f9daa47b15ac7db610e3539c7b8",
    "4ff569a33bb736a26fe3c8e7b475a3c9855c69a4753ef1706b21cfaf9384731",
];
