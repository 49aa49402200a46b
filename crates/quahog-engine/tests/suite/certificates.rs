//! Signed programs: whom a rule trusts, and that nothing else passes for it.

use std::sync::Arc;

use quahog_engine::image::Check;
use quahog_engine::{Engine, Layer, Segment, Unmetered};
use quahog_sig::model::FileType;
use quahog_sig::{Format, SetBuilder};
use quahog_testkit::builders::authenticode::{
    CHECKSUM, Cert, ENTRY, Hash, Key, Signing, der, program, sign,
};

/// 2026-01-01, and twenty years later.
const NOW: i64 = 1_767_225_600;
const LATER: i64 = NOW + 20 * 366 * 86_400;

const CODE: [bool; 3] = [true, false, true];
const TIME: [bool; 3] = [false, true, true];
const ALL: [bool; 3] = [true, true, true];

fn engine(lines: &[String]) -> Engine {
    let mut builder = SetBuilder::new();
    for (number, line) in (1..).zip(lines) {
        builder.line(Format::Crb, number, line.as_bytes()).expect("a good line");
    }
    Engine::new(builder.finish()).expect("a good set")
}

fn trusts(engine: &Engine, file: &[u8], now: i64) -> bool {
    let layer = Layer::new(file, FileType::MSEXE, None);
    engine.trusts(&layer, &|| now, &Unmetered).expect("nothing calls it off")
}

fn root() -> Cert {
    Cert::new("Root", Key::ROOT).issuer()
}

fn leaf(issuer: &Cert) -> Cert {
    Cert { purposes: vec![3], usage: Some(0x80), ..Cert::new("Leaf", Key::LEAF) }.signed_by(issuer)
}

fn stamper(issuer: &Cert) -> Cert {
    Cert { purposes: vec![8], ..Cert::new("Time", Key::TIME) }.signed_by(issuer)
}

fn signed(how: &Signing) -> Vec<u8> {
    sign(&program(b"some code"), how)
}

#[test]
fn a_chain_leads_to_a_rule() {
    let inter = Cert { basic: Some((true, Some(0))), usage: Some(0x04), ..inter_of(&root()) };
    let file = signed(&Signing::new(&leaf(&inter)));
    let alone = signed(&Signing::new(&leaf(&inter).alone()));
    let self_made = Cert::new("Leaf", Key::LEAF);
    let other_key = Cert::new("Root", Key::TIME).issuer();
    for (lines, file, expected, what) in [
        (vec![root().crb("A", true, CODE)], &file, true, "root"),
        (vec![root().crb("A", true, ALL)], &file, true, "root, for all"),
        (vec![root().crb("A", true, [false, true, true])], &file, false, "root, not for code"),
        (vec![root().crb("A", true, [true, true, false])], &file, false, "root, not to issue"),
        (vec![inter.crb("A", true, CODE)], &file, true, "intermediate"),
        (vec![leaf(&inter).crb("A", true, [true, false, false])], &file, true, "signer"),
        (vec![leaf(&inter).crb("A", true, TIME)], &file, false, "signer, not for code"),
        (vec![other_key.crb("A", true, CODE)], &file, false, "same name, other key"),
        (vec![self_made.crb("A", true, CODE)], &file, true, "signer's name and key"),
        (vec![], &file, false, "no rule"),
        (vec![root().crb("A", true, CODE)], &alone, false, "a gap in the chain"),
        (vec![inter.crb("A", true, CODE)], &alone, true, "issuer not in the message"),
        (
            vec![root().crb("A", true, CODE), leaf(&inter).crb("B", false, CODE)],
            &file,
            false,
            "a blocked signer",
        ),
        (
            vec![root().crb("A", true, CODE), root().crb("B", false, CODE)],
            &file,
            false,
            "a root that is blocked as well",
        ),
        (
            vec![inter.crb("A", true, CODE), inter.crb("B", false, CODE)],
            &alone,
            false,
            "a blocked issuer that is not in the message",
        ),
    ] {
        assert_eq!(trusts(&engine(&lines), file, NOW), expected, "{what}");
    }
}

fn inter_of(root: &Cert) -> Cert {
    Cert::new("Inter", Key::INTER).issuer().signed_by(root)
}

#[test]
fn an_image_trusts_whom_its_segment_trusts() {
    let root = root();
    let mut builder = SetBuilder::new();
    builder.line(Format::Crb, 1, root.crb("A", true, CODE).as_bytes()).expect("a good line");
    let segment = Segment::new(builder.finish()).expect("a good set");
    let image = segment.image(Vec::new()).expect("an image").concat();
    let opened = Segment::open(&image.into(), Check::Digest).expect("a sound image");
    let other = Segment::new(SetBuilder::new().finish()).expect("an empty set");
    // Whatever stands in front of it.
    let engine = Engine::from_segments(vec![Arc::new(other), Arc::new(opened)]).expect("one set");
    let file = signed(&Signing::new(&leaf(&root)));
    assert!(trusts(&engine, &file, NOW));
    assert!(!trusts(&engine, &file, LATER));
}

#[test]
fn a_certificate_does_only_what_it_is_made_for() {
    let engine = engine(&[root().crb("A", true, ALL)]);
    let inter = inter_of(&root());
    let deep = Cert { name: "Deep".to_owned(), key: Key::TIME, ..inter.clone() };
    let deep = |below| {
        let above = Cert { basic: Some((true, below)), ..inter.clone() };
        leaf(&deep.clone().signed_by(&above))
    };
    let of = |inter: Cert| leaf(&inter);
    for (cert, expected, what) in [
        (leaf(&root()), true, "as it should be"),
        (Cert { purposes: vec![], ..leaf(&root()) }, true, "no purpose"),
        (Cert { purposes: vec![8], ..leaf(&root()) }, false, "to say the time"),
        (Cert { purposes: vec![4], ..leaf(&root()) }, false, "for mail"),
        (Cert { usage: Some(0x20), ..leaf(&root()) }, false, "to encrypt"),
        (Cert { strange: true, ..leaf(&root()) }, false, "what is not understood"),
        (Cert { hash: Hash::Sha1, ..leaf(&root()) }, true, "SHA-1"),
        (Cert { hash: Hash::Sha384, ..leaf(&root()) }, true, "SHA-384"),
        (Cert { hash: Hash::Sha512, ..leaf(&root()) }, true, "SHA-512"),
        (Cert { hash: Hash::Md5, ..leaf(&root()) }, false, "MD5"),
        (of(Cert { basic: None, ..inter.clone() }), false, "no issuer"),
        (of(Cert { basic: Some((false, None)), ..inter.clone() }), false, "expressly none"),
        (of(Cert { usage: Some(0x80), ..inter.clone() }), false, "not to sign certificates"),
        (of(Cert { purposes: vec![8], ..inter.clone() }), false, "issuer of times"),
        (of(Cert { strange: true, ..inter.clone() }), false, "issuer not understood"),
        (of(Cert { hash: Hash::Md5, ..inter.clone() }), false, "issuer by MD5"),
        (deep(None), true, "two issuers"),
        (deep(Some(1)), true, "two issuers, as allowed"),
        (deep(Some(0)), false, "one issuer too many"),
    ] {
        assert_eq!(trusts(&engine, &signed(&Signing::new(&cert)), NOW), expected, "{what}");
    }
    // A chain is as long as it is.
    let mut long = root();
    for number in 0..9 {
        long = Cert::new(&format!("Inter {number}"), Key::INTER).issuer().signed_by(&long);
    }
    assert!(!trusts(&engine, &signed(&Signing::new(&leaf(&long))), NOW));
}

#[test]
fn digests_are_those_that_cannot_be_forged() {
    let engine = engine(&[root().crb("A", true, ALL)]);
    let plain = Signing::new(&leaf(&root()));
    for hash in [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512] {
        assert!(trusts(&engine, &signed(&Signing { hash, ..plain.clone() }), NOW), "{hash:?}");
        let how = Signing { file_hash: hash, ..plain.clone() };
        assert!(trusts(&engine, &signed(&how), NOW), "{hash:?}");
    }
    let hash = Hash::Md5;
    assert!(!trusts(&engine, &signed(&Signing { hash, ..plain.clone() }), NOW));
    assert!(!trusts(&engine, &signed(&Signing { file_hash: hash, ..plain }), NOW));
}

#[test]
fn a_signature_counts_when_it_was_made() {
    let rules = engine(&[root().crb("A", true, ALL)]);
    let split = engine(&[root().crb("A", true, CODE)]);
    let short = Cert { valid: ["200101000000Z", "250101000000Z"], ..leaf(&root()) };
    let young = Cert { valid: ["300101000000Z", "400101000000Z"], ..leaf(&root()) };
    let stamped = |signer: &Cert, stamper: &Cert, time| {
        let time = Some((stamper.clone(), time));
        signed(&Signing { time, ..Signing::new(signer) })
    };
    let time = stamper(&root());
    let untrusted = stamper(&Cert::new("Other", Key::INTER).issuer());
    let old_time = Cert { valid: ["200101000000Z", "220101000000Z"], ..stamper(&root()) };
    let not_time = Cert { purposes: vec![3], ..stamper(&root()) };
    let any_time = Cert { purposes: vec![], ..stamper(&root()) };
    for (file, expected, what) in [
        (signed(&Signing::new(&leaf(&root()))), true, "valid now"),
        (signed(&Signing::new(&short)), false, "no more"),
        (signed(&Signing::new(&young)), false, "not yet"),
        (stamped(&short, &time, "240101000000Z"), true, "valid then"),
        (stamped(&short, &time, "250102000000Z"), false, "not then"),
        (stamped(&leaf(&root()), &time, "190101000000Z"), false, "before it was made"),
        (stamped(&leaf(&root()), &untrusted, "240101000000Z"), false, "a time by nobody"),
        (stamped(&short, &old_time, "210101000000Z"), true, "stamper valid then"),
        (stamped(&short, &old_time, "240101000000Z"), false, "stamper not valid then"),
        (stamped(&leaf(&root()), &not_time, "240101000000Z"), false, "no stamper"),
        (stamped(&leaf(&root()), &any_time, "240101000000Z"), false, "not made to stamp"),
    ] {
        assert_eq!(trusts(&rules, &file, NOW), expected, "{what}");
    }
    assert!(!trusts(&rules, &signed(&Signing::new(&leaf(&root()))), LATER));
    assert!(trusts(&rules, &stamped(&short, &time, "240101000000Z"), LATER));
    assert!(!trusts(&split, &stamped(&leaf(&root()), &time, "240101000000Z"), NOW));
    // An issuer that had run out counts no more than its signer.
    let inter = Cert { valid: ["200101000000Z", "220101000000Z"], ..inter_of(&root()) };
    assert!(!trusts(&rules, &signed(&Signing::new(&leaf(&inter))), NOW));
    assert!(trusts(&rules, &stamped(&leaf(&inter), &time, "210101000000Z"), NOW));
    // Rules may speak of certificates from a time on only.
    let since = |second: i64| {
        engine(&[root().crb("A", true, ALL).replace(";1;1;1;0;", &format!(";1;1;1;{second};"))])
    };
    let file = signed(&Signing::new(&leaf(&root())));
    let made = 1_577_836_800; // 2020-01-01
    assert!(trusts(&since(made), &file, NOW));
    assert!(!trusts(&since(made + 1), &file, NOW));
}

#[test]
fn a_copied_certificate_with_another_exponent_is_not_the_one() {
    let signer = leaf(&root());
    let engine = engine(&[signer.crb("A", true, CODE)]);
    assert!(trusts(&engine, &signed(&Signing::new(&signer)), NOW));
    for exponent in [1, 3] {
        let forged = Cert { exponent, ..signer.clone() };
        assert!(!trusts(&engine, &signed(&Signing::new(&forged)), NOW), "{exponent}");
    }
}

#[test]
fn every_byte_that_runs_is_signed() {
    let signer = leaf(&root());
    let engine = engine(&[signer.crb("A", true, CODE)]);
    let plain = program(b"some code");
    let mut file = sign(&plain, &Signing::new(&signer));
    assert!(trusts(&engine, &file, NOW));
    for at in 0..plain.len() {
        file[at] ^= 0x20;
        let free = (CHECKSUM..CHECKSUM + 4).contains(&at);
        assert_eq!(trusts(&engine, &file, NOW), free, "byte {at}");
        file[at] ^= 0x20;
    }
    // The place of the table is not signed, and there is one place only.
    let shorter = u32::from_le_bytes(file[ENTRY + 4..ENTRY + 8].try_into().unwrap()) - 8;
    let mut other = file.clone();
    other[ENTRY + 4..ENTRY + 8].copy_from_slice(&shorter.to_le_bytes());
    assert!(!trusts(&engine, &other, NOW));
    other.truncate(other.len() - 8);
    assert!(!trusts(&engine, &other, NOW));
    // What is appended is not signed.
    assert!(!trusts(&engine, &[&file[..], &[0; 8]].concat(), NOW));
    assert!(!trusts(&engine, &[&file[..], b"p"].concat(), NOW));
}

#[test]
fn little_that_nobody_signed_has_room_beside_a_signature() {
    let signer = leaf(&root());
    let engine = engine(&[signer.crb("A", true, CODE)]);
    let plain = Signing::new(&signer);
    let nested = b"\x2b\x06\x01\x04\x01\x82\x37\x02\x04\x01".to_vec();
    let stamp = b"\x2b\x06\x01\x04\x01\x82\x37\x03\x03\x01".to_vec();
    let value = |len: usize| der(0x04, &[&vec![7; len]]);
    let of = |oid: &[u8], len| Signing { loose: vec![(oid.to_vec(), value(len))], ..plain.clone() };
    assert!(trusts(&engine, &signed(&of(&nested, 4_000)), NOW));
    assert!(trusts(&engine, &signed(&of(&stamp, 4_000)), NOW));
    assert!(!trusts(&engine, &signed(&of(&stamp, 70_000)), NOW), "more than a stamp has");
    assert!(!trusts(&engine, &signed(&of(b"\x2a\x03", 8)), NOW), "what is not known");
    let more = |more: Vec<u8>| Signing { more: vec![more], ..plain.clone() };
    assert!(trusts(&engine, &signed(&more(Cert::new("X", Key::INTER).build())), NOW));
    assert!(trusts(&engine, &signed(&more(der(0x30, &[b"no certificate"]))), NOW));
    assert!(!trusts(&engine, &signed(&more(der(0x30, &[&[7; 70_000]]))), NOW));
    let behind = |behind: &[u8]| Signing { behind: behind.to_vec(), ..plain.clone() };
    assert!(!trusts(&engine, &signed(&behind(b"run me")), NOW));
    assert!(!trusts(&engine, &signed(&behind(&[0; 16])), NOW));
}

#[test]
fn damaged_messages_are_no_reason_to_panic() {
    let inter = inter_of(&root());
    let time = Some((stamper(&root()), "240101000000Z"));
    let file = signed(&Signing { time, ..Signing::new(&leaf(&inter)) });
    // No rule names anybody, so that only the form is read.
    let stranger = engine(&[Cert::new("Nobody", Key::TIME).crb("A", true, ALL)]);
    let start = program(b"some code").len();
    for at in start..file.len() {
        let mut file = file.clone();
        for byte in [0, 0x30, 0x7f, 0x80, 0x84, 0xff] {
            file[at] = byte;
            assert!(!trusts(&stranger, &file, NOW));
        }
        assert!(!trusts(&stranger, &file[..at], NOW));
    }
    // With one who is named, a byte of what is signed makes the difference.
    let engine = engine(&[root().crb("A", true, ALL)]);
    assert!(trusts(&engine, &file, NOW));
    let signature = file.len() - 24;
    let mut file = file;
    file[signature] ^= 1;
    assert!(!trusts(&engine, &file, NOW));
}
