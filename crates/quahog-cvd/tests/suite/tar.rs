//! Rows T: the archive.

use quahog_cvd::{Limits, Rule};

use crate::forge::{
    Entry, HEADLINE, NDB, cud, entry, file, info, mini, mini_and, refusal, resum, signed, tar,
    verify, verify_with,
};
use crate::testkit;

/// What is said of a good tar with `extra` behind it.
fn appended(extra: &[u8]) -> Option<Rule> {
    let tar = mini_and(extra);
    let rule = refusal(cud(&tar), "mini.cud");
    assert_eq!(rule, refusal(file(HEADLINE, &tar), "mini.cud"), "packed and plain differ");
    rule
}

/// T1 to T3, T7.
#[test]
fn names_are_plain() {
    let long = [b'a'; 100];
    for name in [
        &b"a/b.ndb"[..],
        b"../x",
        b"/etc/x",
        b"..",
        b".",
        b"a\\b.txt",
        b".bashrc",
        b"a b",
        b"a\n",
        b"a\x80",
        b"a:b",
        &long,
    ] {
        let bad = Entry { name, ..Entry::of(b"") }.build();
        assert_eq!(appended(&bad), Some(Rule::TarName), "{}", name.escape_ascii());
    }
    let longest = "a".repeat(99);
    assert_eq!(refusal(cud(&mini(&[(&longest, NDB)])), "mini.cud"), None);
}

/// Bytes that another reader would take for a part of the name.
#[test]
fn nothing_stands_where_a_longer_name_could() {
    for at in [20, 99, 157, 256, 345, 500, 511] {
        let mut bad = entry("mini.hdb", b"");
        bad[at] = b'x';
        resum(&mut bad, 0);
        assert_eq!(appended(&bad), Some(Rule::TarFiller), "{at}");
    }
    // The magic of newer tars is harmless.
    let mut newer = mini(&[("mini.ndb", NDB)]);
    newer[257..265].copy_from_slice(b"ustar\x0000");
    newer[100..107].copy_from_slice(b"0000644");
    resum(&mut newer, 0);
    assert_eq!(refusal(cud(&newer), "mini.cud"), None);
}

/// T4.
#[test]
fn only_plain_files_are_stored() {
    for kind in *b"12345679xgLKSVADMNX\x01\x80" {
        let bad = Entry { kind, ..Entry::of(b"") }.build();
        assert_eq!(appended(&bad), Some(Rule::TarType), "{kind:#x}");
    }
    let mut zero = mini(&[("mini.ndb", NDB)]);
    zero[156] = b'0';
    resum(&mut zero, 0);
    assert_eq!(refusal(cud(&zero), "mini.cud"), None);
}

/// T5, T15 to T17.
#[test]
fn the_archive_ends_at_the_last_byte_or_in_zeros() {
    assert_eq!(appended(b""), None);
    for n_blocks in [1, 2, 20] {
        assert_eq!(appended(&vec![0; n_blocks * 512]), None);
    }
    let hidden = entry("mini.hdb", b"x");
    for n_blocks in [1, 2] {
        let bad = [vec![0; n_blocks * 512], hidden.clone()].concat();
        assert_eq!(appended(&bad), Some(Rule::AfterEnd));
    }
    let mut late = vec![0; 4 * 512];
    late[4 * 512 - 1] = 1;
    assert_eq!(appended(&late), Some(Rule::AfterEnd));
    // A block that begins with NUL is an end, whatever else is in it.
    let mut nameless = entry("mini.hdb", b"");
    nameless[0] = 0;
    resum(&mut nameless, 0);
    assert_eq!(appended(&nameless), Some(Rule::AfterEnd));
    // T17, in the middle.
    let info = info(&[("mini.ndb", NDB)]);
    let front = tar(&[("COPYING", b""), ("mini.info", info.as_bytes())]);
    let cut = [front, vec![0; 512], entry("mini.ndb", NDB)].concat();
    assert_eq!(refusal(cud(&cut), "mini.cud"), Some(Rule::AfterEnd));
}

/// T6.
#[test]
fn checksums_are_compared() {
    for off_by in [1, 8] {
        let bad = Entry { sum_is_off_by: off_by, ..Entry::of(b"") }.build();
        assert_eq!(appended(&bad), Some(Rule::TarChecksum));
    }
    for sum in [&b"        "[..], b"\0\0\0\0\0\0\0\0", b"-1      ", b"99999\0\0\0"] {
        let mut bad = entry("mini.hdb", b"");
        bad[148..156].copy_from_slice(sum);
        assert_eq!(appended(&bad), Some(Rule::TarChecksum));
    }
}

/// T8 to T10.
#[test]
fn sizes_are_octal_numbers() {
    for size in [
        &b""[..],
        b"            ",
        b"9",
        b"-1",
        b"+1",
        b" 1",
        b"1x",
        b"1\x001",
        b"\x80\0\0\0\0\0\0\0\0\0\0\x01",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let bad = Entry { size: size.to_vec(), ..Entry::of(b"x") }.build();
        assert_eq!(appended(&bad), Some(Rule::TarSize), "{}", size.escape_ascii());
    }
    for size in [&b"77777777777"[..], b"777777777777"] {
        let bad = Entry { size: size.to_vec(), ..Entry::of(b"x") }.build();
        assert_eq!(appended(&bad), Some(Rule::MemberBytes));
    }
    // One byte below the limit; refused without waiting for the data.
    let bad = Entry { size: b"17777777777".to_vec(), ..Entry::of(b"x") }.build();
    assert_eq!(appended(&bad), Some(Rule::Unlisted));
}

/// T11, T12: listed with the size that the header says, and with the true one.
#[test]
fn a_size_that_is_not_that_of_the_data_is_refused() {
    let info = info(&[("mini.ndb", NDB)]);
    for (size, listed) in [("31", 25), ("4000", 2048), ("1", 1), ("0", 0)] {
        let bad = Entry { name: b"mini.ndb", size: size.into(), ..Entry::of(NDB) }.build();
        let front = |info: &str| tar(&[("COPYING", b""), ("mini.info", info.as_bytes())]);
        let rule = refusal(cud(&[front(&info), bad.clone()].concat()), "mini.cud");
        assert_eq!(rule, Some(Rule::MemberSize), "{size}");

        let fitting = info.replace(":18:", &format!(":{listed}:"));
        let rule = refusal(cud(&[front(&fitting), bad].concat()), "mini.cud");
        let expected = match listed {
            2048 => Rule::TarData,
            25 => Rule::MemberHash, // the padding is taken for data
            _ => Rule::TarFiller,
        };
        // With size 0 the data stand where a header should.
        let expected = if listed == 0 { Rule::TarChecksum } else { expected };
        assert_eq!(rule, Some(expected), "{size}");
    }
}

/// T13, T14, and every other place to end at.
#[test]
fn an_archive_cut_anywhere_is_refused() {
    let tar = mini(&[("mini.ndb", NDB)]);
    let member = tar.len() - 512;
    for len in 7..tar.len() {
        let rule = refusal(file(HEADLINE, &tar[..len]), "mini.cud").unwrap();
        match len {
            _ if len == member - 512 => assert_eq!(rule, Rule::Missing),
            _ if len > member - 512 && len < member => assert_eq!(rule, Rule::TarBlock),
            _ if len >= member && len < member + NDB.len() => assert_eq!(rule, Rule::TarData),
            _ if len >= member + NDB.len() => assert_eq!(rule, Rule::TarPadding),
            _ => {}
        }
        assert_eq!(refusal(cud(&tar[..len]), "mini.cud"), Some(rule), "packed, {len}");
    }
    assert_eq!(appended(&[0; 511]), Some(Rule::TarBlock));
    assert_eq!(appended(b"x"), Some(Rule::TarBlock));
}

#[test]
fn padding_is_zero() {
    let mut bad = mini(&[("mini.ndb", NDB)]);
    *bad.last_mut().unwrap() = 1;
    assert_eq!(refusal(cud(&bad), "mini.cud"), Some(Rule::TarFiller));
}

/// T18.
#[test]
fn a_member_stands_there_once() {
    assert_eq!(appended(&entry("mini.ndb", NDB)), Some(Rule::DuplicateMember));
    assert_eq!(appended(&entry("mini.ndb", b"other")), Some(Rule::DuplicateMember));
    assert_eq!(appended(&entry("COPYING", b"")), Some(Rule::DuplicateMember));
}

/// T19.
#[test]
fn a_signed_container_has_a_copying() {
    let text = info(&[("mini.ndb", NDB)]);
    let without = tar(&[("mini.info", text.as_bytes()), ("mini.ndb", NDB)]);
    let verified = verify(cud(&without), "mini.cud").unwrap();
    assert_eq!(verified.copying(), None);

    let text = signed(&text);
    let without = tar(&[("mini.info", text.as_bytes()), ("mini.ndb", NDB)]);
    assert_eq!(refusal(cud(&without), "mini.cld"), Some(Rule::NoCopying));
}

/// T20.
#[test]
fn copying_is_free_but_not_endless() {
    let build = |copying: &[u8]| {
        testkit::builder("mini", &[("mini.ndb", NDB)])
            .copying(copying)
            .cld(testkit::signing_keys())
            .unwrap()
    };
    let largest = vec![b'c'; 1 << 20];
    assert_eq!(verify(build(&largest), "mini.cld").unwrap().copying().unwrap(), &largest[..]);
    assert_eq!(
        refusal(build(&[largest, vec![b'c']].concat()), "mini.cld"),
        Some(Rule::CopyingBytes)
    );

    let mut altered = build(b"ours");
    assert_eq!(altered[1024..1028], *b"ours");
    altered[1024] = b'y';
    assert_eq!(verify(altered, "mini.cld").unwrap().copying().unwrap(), "yurs");
}

#[test]
fn the_number_of_members_is_bounded() {
    let members = [("a", NDB), ("b", NDB)];
    let refused = |members_allowed| {
        let limits = Limits { members: members_allowed, ..Limits::default() };
        let file = cud(&mini(&members));
        verify_with(file, "mini.cud", &testkit::trust_store(), &limits).err().map(|e| e.rule())
    };
    assert_eq!(refused(4), None); // with COPYING and .info
    assert_eq!(refused(3), Some(Rule::Members));
}

#[test]
fn errors_name_the_member_and_the_byte() {
    let bad = Entry { sum_is_off_by: 1, ..Entry::of(b"") }.build();
    let good = mini(&[("mini.ndb", NDB)]);
    let error = verify(cud(&[good.clone(), bad].concat()), "mini.cud").unwrap_err();
    assert_eq!(error.code(), "tar-checksum");
    let at = quahog_cvd::Offset::Unpacked(good.len() as u64 + 148);
    assert_eq!(error.fault().offset(), Some(at));

    let error = verify(cud(&[good, entry("evil.txt", b"")].concat()), "mini.cud").unwrap_err();
    assert_eq!((error.code(), error.fault().member()), ("unlisted", Some("evil.txt")));
}
