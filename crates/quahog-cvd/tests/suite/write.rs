//! What we build, we accept, and it is the same every time.

use quahog_cvd::{Cvd, Kind, Limits, Member, Rule, Trust, TrustStore};

use crate::forge::{NDB, verify};
use crate::testkit;

#[test]
fn all_three_kinds_come_back() {
    let members = [("mini.ndb", NDB), ("mini.hdb", &b""[..]), ("x.unknown", b"\0\xff")];
    for kind in [Kind::Cvd, Kind::Cld, Kind::Cud] {
        let build = || match kind {
            Kind::Cvd => testkit::cvd("mini", &members),
            Kind::Cld => testkit::cld("mini", &members),
            Kind::Cud => testkit::cud("mini", &members),
        };
        let file = build();
        assert_eq!(file, build(), "not deterministic");
        let verified = verify(file, &format!("mini.{}", kind.suffix())).unwrap();
        assert_eq!((verified.kind(), verified.database()), (kind, "mini"));
        let trust = match kind {
            Kind::Cud => Trust::Unsigned,
            _ => Trust::Source(testkit::SOURCE.into()),
        };
        assert_eq!(verified.trust(), &trust);
        let found: Vec<_> =
            verified.members().iter().map(|member| (member.name(), &member.bytes()[..])).collect();
        assert_eq!(found, members);
        assert_eq!(verified.header().build_time(), 1_700_000_000);
        assert_eq!(verified.header().time_text(), "14 Nov 2023 22-13 +0000");
        assert_eq!(verified.leftovers(), 0);
    }
}

#[test]
fn unverified_members_take_a_dangerous_word() {
    let file = testkit::cvd("mini", &[("mini.ndb", NDB)]);
    let cvd = Cvd::open(file.into(), "daily.cud").unwrap();
    let members = cvd.dangerous_unverified(&Limits::default()).unwrap();
    let names: Vec<_> = members.iter().map(Member::name).collect();
    assert_eq!(names, ["COPYING", "mini.info", "mini.ndb"]);
    assert_eq!(members[2].bytes(), NDB);
}

#[test]
fn a_patch_that_we_sign_is_ours() {
    let keys = testkit::signing_keys();
    let frame = b"ClamAV-Diff:8:0:any:thing".to_vec();
    let patch = [&frame[..], b":", keys.sign_cdiff(&frame).as_bytes()].concat();
    let store = testkit::trust_store();
    let signed = store.verify_cdiff(&patch).unwrap();
    assert_eq!(signed.frame(), frame);
    assert_eq!(signed.trust(), &Trust::Source(testkit::SOURCE.into()));

    let refused = |patch: &[u8]| store.verify_cdiff(patch).unwrap_err().rule();
    assert_eq!(refused(b""), Rule::CdiffLength);
    assert_eq!(refused(&patch[..349]), Rule::CdiffLength);
    assert_eq!(refused(&patch[..patch.len() - 1]), Rule::CdiffSignature);
    assert_eq!(refused(&[&patch[..], b"\n"].concat()), Rule::CdiffSignature);
    assert_eq!(refused(&[&patch[..], b"aaaaaaa"].concat()), Rule::CdiffSignature);
    assert_eq!(refused(&[b'x'; 400]), Rule::CdiffFrame);
    assert_eq!(refused(&[b"ClamAV-Diff:", &[b'x'; 400][..]].concat()), Rule::CdiffFrame);
    let official = TrustStore::official().verify_cdiff(&patch).unwrap_err();
    assert_eq!(official.rule(), Rule::CdiffSignature);
    // The signature of an .info is none of a patch.
    let other = [&frame[..], b":", keys.sign_info(&frame).as_bytes()].concat();
    assert_eq!(refused(&other), Rule::CdiffSignature);
}

/// A fresh salt for each text: signatures of different texts differ, and each
/// fits its own only.
#[test]
fn signatures_fit_one_text() {
    let keys = testkit::signing_keys();
    let patch = |n: u8, signed: u8| {
        let frame = |n| [b"ClamAV-Diff:1:1:", &[n; 20][..]].concat();
        [&frame(n)[..], b":", keys.sign_cdiff(&frame(signed)).as_bytes()].concat()
    };
    let store = testkit::trust_store();
    for n in b'a'..b'k' {
        let patch = patch(n, n);
        if patch.len() >= 350 {
            assert!(store.verify_cdiff(&patch).is_ok());
        }
    }
    assert!(store.verify_cdiff(&patch(b'a', b'b')).is_err());
}
