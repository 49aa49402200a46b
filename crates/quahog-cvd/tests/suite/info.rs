//! Rows I: what the `.info` and the archive say of each other.

use quahog_cvd::{Limits, Rule, Trust};

use crate::forge::{
    HEADLINE, NDB, cud, entry, info, mini, mini_and, refusal, signed, tar, verify, verify_with,
};
use crate::testkit;

/// A `.cud` with this text as its `.info`, and one member.
fn with_info(text: &str) -> Vec<u8> {
    cud(&tar(&[("COPYING", b""), ("mini.info", text.as_bytes()), ("mini.ndb", NDB)]))
}

/// I1.
#[test]
fn there_is_an_info_that_lists_something() {
    let without = cud(&tar(&[("COPYING", b""), ("mini.ndb", NDB)]));
    assert_eq!(refusal(without, "mini.cud"), Some(Rule::NoInfo));
    assert_eq!(refusal(cud(b""), "mini.cud"), Some(Rule::NoInfo));
    assert_eq!(refusal(with_info(""), "mini.cud"), Some(Rule::InfoHeadline));
    assert_eq!(refusal(with_info(&format!("{HEADLINE}\n")), "mini.cud"), Some(Rule::InfoEmpty));
}

/// I2, and that no order means anything.
#[test]
fn the_order_of_members_is_free() {
    let info = info(&[("mini.ndb", NDB), ("mini.hdb", b"h")]);
    let members = [
        ("COPYING", &b""[..]),
        ("mini.info", info.as_bytes()),
        ("mini.ndb", NDB),
        ("mini.hdb", b"h"),
    ];
    for rotation in 0..4 {
        for swap in [false, true] {
            let mut members = members;
            members.rotate_left(rotation);
            if swap {
                members.swap(1, 2);
            }
            let verified = verify(cud(&tar(&members)), "mini.cud").unwrap();
            assert_eq!(verified.members().len(), 2);
            assert_eq!(verified.member("mini.ndb").unwrap().bytes(), NDB);
            assert_eq!(verified.info().text(), info.as_bytes());
        }
    }
    // What comes before the .info is judged as well.
    let early = tar(&[("evil.txt", b""), ("mini.info", info.as_bytes())]);
    assert_eq!(refusal(cud(&early), "mini.cud"), Some(Rule::Unlisted));
    let early = tar(&[("mini.ndb", b"x"), ("mini.info", info.as_bytes())]);
    assert_eq!(refusal(cud(&early), "mini.cud"), Some(Rule::MemberSize));
}

/// I3, I4.
#[test]
fn there_is_one_info_of_the_right_name() {
    let text = info(&[("mini.ndb", NDB)]);
    for second in ["other.info", "mini.INFO"] {
        let bad = mini_and(&entry(second, text.as_bytes()));
        assert_eq!(refusal(cud(&bad), "mini.cud"), Some(Rule::ManyInfos));
    }
    for name in ["zzz.info", "mini.INFO", "Mini.info", "mini.x.info"] {
        let bad = tar(&[("COPYING", b""), (name, text.as_bytes()), ("mini.ndb", NDB)]);
        assert_eq!(refusal(cud(&bad), "mini.cud"), Some(Rule::InfoName), "{name}");
    }
}

/// I5, I6, I15.
#[test]
fn size_and_hash_of_every_member_must_be_right() {
    let good = info(&[("mini.ndb", NDB)]);
    assert_eq!(refusal(with_info(&good), "mini.cud"), None);
    let size = good.replace(":18:", ":19:");
    assert_eq!(refusal(with_info(&size), "mini.cud"), Some(Rule::MemberSize));
    let wrapped = good.replace(":18:", ":4294967314:");
    assert_eq!(refusal(with_info(&wrapped), "mini.cud"), Some(Rule::MemberSize));
    let signed = good.replace(":18:", ":+18:");
    assert_eq!(refusal(with_info(&signed), "mini.cud"), Some(Rule::InfoLine));
    let other = info(&[("mini.ndb", &[b'x'; 18])]);
    assert_eq!(refusal(with_info(&other), "mini.cud"), Some(Rule::MemberHash));

    let lies = info(&[("mini.ign2", b"abc")]);
    let empty = tar(&[("COPYING", b""), ("mini.info", lies.as_bytes()), ("mini.ign2", b"")]);
    assert_eq!(refusal(cud(&empty), "mini.cud"), Some(Rule::MemberSize));
    let lies = lies.replace(":3:", ":0:");
    let empty = tar(&[("COPYING", b""), ("mini.info", lies.as_bytes()), ("mini.ign2", b"")]);
    assert_eq!(refusal(cud(&empty), "mini.cud"), Some(Rule::MemberHash));
}

/// I7 to I11: the grammar is tested beside its reader; this shows that the
/// reader is asked.
#[test]
fn the_text_is_read_strictly() {
    let good = info(&[("mini.ndb", NDB)]);
    let refused = |text: &str| refusal(with_info(text), "mini.cud").unwrap();
    assert_eq!(refused(&good.replace('\n', "\r\n")), Rule::InfoHeadline);
    assert_eq!(refused(&good.replacen("1:81", "1:81\n", 1)), Rule::InfoHeadline);
    assert_eq!(refused(&format!("{good}\n")), Rule::InfoLine);
    assert_eq!(refused(&format!("{good}# comment\n")), Rule::InfoLine);
    assert_eq!(refused(good.trim_end()), Rule::InfoEnd);
    let line = good.lines().last().unwrap();
    assert_eq!(refused(&format!("{good}{line}\n")), Rule::InfoDuplicate);

    // The same member with a hash in capitals, I7.
    let upper = good.replace(&line[12..], &line[12..].to_uppercase());
    assert_ne!(upper, good);
    assert_eq!(refusal(with_info(&upper), "mini.cud"), None);
    let cld = |text: &str| {
        let text = signed(text);
        cud(&tar(&[("COPYING", b""), ("mini.info", text.as_bytes()), ("mini.ndb", NDB)]))
    };
    assert_eq!(refusal(cld(&upper), "mini.cld"), Some(Rule::InfoLine));
    assert_eq!(refusal(cld(&good), "mini.cld"), None);
}

/// I12, I13.
#[test]
fn every_member_is_listed() {
    for name in ["mini.hdb", "evil.txt", "mini", "mini-2.cdiff", "mini-2.cdiff.sign"] {
        let bad = cud(&mini_and(&entry(name, b"x")));
        assert_eq!(refusal(bad, "mini.cud"), Some(Rule::Unlisted), "{name}");
    }
}

/// The tolerance of I13: patches that the updater of 1.5 leaves in a `.cld`.
#[test]
fn patches_left_in_a_cld_are_skipped_and_counted() {
    let text = signed(&info(&[("mini.ndb", NDB)]));
    let base = [("COPYING", &b""[..]), ("mini.info", text.as_bytes()), ("mini.ndb", NDB)];
    let with = |extra: &[&str]| {
        let extra = extra.iter().map(|name| (*name, &b"x"[..]));
        let all: Vec<_> = base.iter().copied().chain(extra).collect();
        cud(&tar(&all))
    };
    let verified =
        verify(with(&["mini-2.cdiff", "mini-2.cdiff.sign", "mini-13.cdiff"]), "mini.cld");
    let verified = verified.unwrap();
    assert_eq!((verified.leftovers(), verified.members().len()), (3, 1));
    for name in ["other-2.cdiff", "mini-x.cdiff", "mini.cdiff", "mini-2.cdiff.txt", "x.hdb"] {
        assert_eq!(refusal(with(&[name]), "mini.cld"), Some(Rule::Unlisted), "{name}");
    }
}

/// I14.
#[test]
fn every_listed_member_is_there() {
    let text = info(&[("mini.ndb", NDB), ("mini.hdb", b"x")]);
    let error = verify(with_info(&text), "mini.cud").unwrap_err();
    assert_eq!((error.rule(), error.fault().member()), (Rule::Missing, Some("mini.hdb")));
    // Listing the .info itself is listing something that is not there.
    let text = info(&[("mini.ndb", NDB), ("mini.info", b"x")]);
    assert!(refusal(with_info(&text), "mini.cud").is_some());
}

/// I16.
#[test]
fn an_empty_member_is_a_member() {
    let verified = verify(cud(&mini(&[("mini.ndb", b""), ("mini.hdb", b"")])), "mini.cud").unwrap();
    assert_eq!(verified.members().len(), 2);
    assert!(verified.members().iter().all(|member| member.bytes().is_empty()));
}

/// I17 to I19.
#[test]
fn the_dsig_of_a_cld_must_be_right() {
    let text = info(&[("mini.ndb", NDB)]);
    let good = signed(&text);
    assert_eq!(
        verify(with_info(&good), "mini.cld").unwrap().trust(),
        &Trust::Source(testkit::SOURCE.into())
    );
    let refused = |text: &str| refusal(with_info(text), "mini.cld").unwrap();
    assert_eq!(refused(&text), Rule::InfoUnsigned);
    assert_eq!(refused(&format!("{text}DSIG:\n")), Rule::InfoSignature);
    assert_eq!(refused(&format!("{text}DSIG:b\n")), Rule::InfoSignature);
    assert_eq!(refused(&format!("{text}DSIG:{}\n", "/".repeat(342))), Rule::InfoSignature);
    assert_eq!(refused(&good.replace("DSIG:", "DSIG: ")), Rule::InfoSignature);
    assert_eq!(refused(&good.replace("tester", "taster")), Rule::InfoSignature);
    assert_eq!(refused(&format!("{}aaaa\n", good.trim_end())), Rule::InfoSignature);
    assert_eq!(refused(&format!("{good}mini.hdb:1:00\n")), Rule::InfoAfterDsig);
    assert_eq!(refusal(with_info(&good), "mini.cud"), Some(Rule::SignedCud));
    // The signature of a patch is none of an .info.
    let cdiff = testkit::signing_keys().sign_cdiff(text.as_bytes());
    assert_eq!(refused(&format!("{text}DSIG:{cdiff}\n")), Rule::InfoSignature);
}

/// I20, listed or not.
#[test]
fn containers_and_unsupported_files_are_not_nested() {
    for name in ["x.cvd", "x.cld", "x.cud", "x.ioc", "x.cat", "x.yar", "x.yara", "x.CVD"] {
        let bad = cud(&mini(&[(name, b"x")]));
        assert_eq!(refusal(bad, "mini.cud"), Some(Rule::NestedMember), "{name}");
        let bad = cud(&tar(&[("COPYING", b""), (name, b"x")]));
        assert_eq!(refusal(bad, "mini.cud"), Some(Rule::NestedMember), "{name} first");
    }
}

#[test]
fn a_large_info_is_refused_before_it_is_read() {
    let text = info(&[("mini.ndb", NDB)]);
    let limits = Limits { info_bytes: text.len() as u64 - 1, ..Limits::default() };
    let error = verify_with(with_info(&text), "mini.cud", &testkit::trust_store(), &limits);
    assert_eq!(error.unwrap_err().rule(), Rule::InfoBytes);
}
