//! Rows H of headers that are well-formed and wrong.

use quahog_cvd::{Cvd, Error, KeyError, Limits, PublicKey, Rule, Source, Trust, TrustStore};

use crate::forge::{self, HEADLINE, NDB, refusal, verify, verify_with};
use crate::testkit;

fn fields(file: &[u8]) -> Vec<String> {
    let line = std::str::from_utf8(&file[..512]).unwrap();
    line.trim_end().split(':').map(str::to_owned).collect()
}

/// `file` with another text in one field of its header.
fn with_field(file: &[u8], index: usize, text: &str) -> Vec<u8> {
    let mut fields = fields(file);
    fields[index] = text.to_owned();
    forge::file(&fields.join(":"), &file[512..])
}

const VERSION: usize = 2;
const SIGNATURES: usize = 3;
const FLEVEL: usize = 4;
const MD5: usize = 5;
const DSIG: usize = 6;
const BUILDER: usize = 7;
const SECONDS: usize = 8;

/// H1, H2.
#[test]
fn a_header_alone_is_truncated() {
    let file = testkit::cvd("mini", &[("mini.ndb", NDB)]);
    for len in [0, 100, 511, 512] {
        let error = Cvd::open(file[..len].to_vec().into(), "mini.cvd").unwrap_err();
        assert!(matches!(error, Error::Truncated(_)), "{len}: {error}");
    }
}

/// H11 to H14.
#[test]
fn md5_and_dsig_of_a_cvd_must_be_right() {
    let file = testkit::cvd("mini", &[("mini.ndb", NDB)]);
    assert_eq!(refusal(file.clone(), "mini.cvd"), None);
    let md5 = fields(&file)[MD5].clone();
    let dsig = fields(&file)[DSIG].clone();
    let refused = |index, text: &str| refusal(with_field(&file, index, text), "mini.cvd").unwrap();

    assert_eq!(refused(MD5, &"0".repeat(32)), Rule::PayloadMd5);
    assert_eq!(refused(MD5, &md5.to_uppercase()), Rule::Md5Form);
    assert_eq!(refused(MD5, &md5[..31]), Rule::Md5Form);
    assert_eq!(refused(MD5, &format!("{md5}00")), Rule::Md5Form);
    assert_eq!(refused(MD5, ""), Rule::Md5Form);
    assert_eq!(refused(MD5, "X"), Rule::HeaderUnsigned);

    assert_eq!(refused(DSIG, "X"), Rule::HeaderUnsigned);
    assert_eq!(refused(DSIG, ""), Rule::DsigForm);
    assert_eq!(refused(DSIG, &format!("{}-", &dsig[1..])), Rule::DsigForm);
    assert_eq!(refused(DSIG, &format!("{dsig}aaaa")), Rule::DsigForm);
    assert_eq!(refused(DSIG, "b"), Rule::HeaderSignature);
    assert_eq!(refused(DSIG, &"/".repeat(171)), Rule::HeaderSignature);
    let flipped = if dsig.starts_with('a') { "b" } else { "a" };
    assert_eq!(refused(DSIG, &format!("{flipped}{}", &dsig[1..])), Rule::HeaderSignature);
}

/// H15.
#[test]
fn nobody_vouches_for_time_text_and_builder() {
    for name in ["mini.cvd", "mini.cld", "mini.cud"] {
        let file = match name {
            "mini.cvd" => testkit::cvd("mini", &[("mini.ndb", NDB)]),
            "mini.cld" => testkit::cld("mini", &[("mini.ndb", NDB)]),
            _ => testkit::cud("mini", &[("mini.ndb", NDB)]),
        };
        let altered = with_field(&with_field(&file, 1, "never"), BUILDER, "nobody");
        let verified = verify(altered, name).unwrap();
        assert_eq!(verified.header().time_text(), "never");
        assert_eq!(verified.header().builder(), "nobody");
    }
}

/// H7, H16.
#[test]
fn the_header_agrees_with_the_info() {
    for (file, name) in [
        (testkit::cvd("mini", &[("mini.ndb", NDB)]), "mini.cvd"),
        (testkit::cld("mini", &[("mini.ndb", NDB)]), "mini.cld"),
        (testkit::cud("mini", &[("mini.ndb", NDB)]), "mini.cud"),
    ] {
        for index in [VERSION, SIGNATURES, FLEVEL, SECONDS] {
            let rule = refusal(with_field(&file, index, "4242"), name);
            assert_eq!(rule, Some(Rule::HeaderMismatch), "field {index} of {name}");
        }
        let late = with_field(&file, SECONDS, "99999999999999999999");
        assert_eq!(refusal(late, name), Some(Rule::Range));
    }
}

/// H17, H18: for others to notice.
#[test]
fn counts_and_levels_are_only_reported() {
    let builder = testkit::builder("mini", &[("mini.ndb", NDB)]).signatures(999);
    for flevel in [217, 99_999, u32::MAX] {
        let file = builder.clone().flevel(flevel).cud().unwrap();
        let verified = verify(file, "mini.cud").unwrap();
        assert_eq!((verified.header().signatures(), verified.header().flevel()), (999, flevel));
    }
}

/// H21: neither MD5 nor dsig of a `.cld` are looked at.
#[test]
fn a_cvd_may_be_called_cld() {
    let file = testkit::cvd("mini", &[("mini.ndb", NDB)]);
    let destroyed = with_field(&with_field(&file, MD5, &"0".repeat(32)), DSIG, "abc");
    for file in [file, destroyed] {
        let verified = verify(file, "mini.CLD").unwrap();
        assert_eq!(verified.trust(), &Trust::Source(testkit::SOURCE.into()));
    }
}

/// H22.
#[test]
fn a_cvd_may_not_be_called_cud() {
    let file = testkit::cvd("mini", &[("mini.ndb", NDB)]);
    assert_eq!(refusal(file.clone(), "mini.cud"), Some(Rule::SignedCud));
    // Nor with a header that was cleared to fit.
    let cleared = with_field(&with_field(&file, MD5, "X"), DSIG, "X");
    assert_eq!(refusal(cleared, "mini.cud"), Some(Rule::SignedCud));
}

#[test]
fn an_unsigned_file_may_not_be_called_anything_else() {
    let file = testkit::cud("mini", &[("mini.ndb", NDB)]);
    assert_eq!(refusal(file.clone(), "mini.cud"), None);
    assert_eq!(refusal(file.clone(), "mini.cvd"), Some(Rule::HeaderUnsigned));
    assert_eq!(refusal(file.clone(), "mini.cld"), Some(Rule::InfoUnsigned));
    assert_eq!(refusal(file, "mini.ndb"), Some(Rule::Suffix));
    // A .cld has no signed header, so it is no .cvd.
    let cld = testkit::cld("mini", &[("mini.ndb", NDB)]);
    assert_eq!(refusal(cld, "mini.cvd"), Some(Rule::HeaderUnsigned));
}

#[test]
fn an_md5_that_an_unsigned_file_carries_must_be_right() {
    let file = testkit::cud("mini", &[("mini.ndb", NDB)]);
    assert_eq!(fields(&file)[MD5].len(), 32);
    let wrong = with_field(&file, MD5, &"0".repeat(32));
    assert_eq!(refusal(wrong, "mini.cud"), Some(Rule::PayloadMd5));
    assert_eq!(refusal(with_field(&file, MD5, "X"), "mini.cud"), None);
}

#[test]
fn only_a_trusted_source_counts() {
    let limits = Limits::default();
    let nobody = [TrustStore::empty(), TrustStore::official()];
    for trust in &nobody {
        let refused = |file: Vec<u8>, name| {
            let error = verify_with(file, name, trust, &limits).unwrap_err();
            assert!(matches!(error, Error::Untrusted(_)), "{error}");
            error.rule()
        };
        let members = [("mini.ndb", NDB)];
        assert_eq!(refused(testkit::cvd("mini", &members), "mini.cvd"), Rule::HeaderSignature);
        assert_eq!(refused(testkit::cld("mini", &members), "mini.cld"), Rule::InfoSignature);
    }
    let both = TrustStore::default().with(testkit::signing_keys().source("own").unwrap());
    let file = testkit::cvd("mini", &[("mini.ndb", NDB)]);
    let verified = verify_with(file, "mini.cvd", &both, &limits).unwrap();
    assert_eq!(verified.trust(), &Trust::Source("own".into()));
}

/// A header signed by one source does not lend itself to the `.info` of another.
#[test]
fn one_source_stands_behind_all_signatures() {
    let own = testkit::signing_keys().source("own").unwrap();
    let (header, info) = (own.header_key().clone(), own.info_key().clone());
    // A modulus of the right size; nobody signs with it.
    let other = |n_zeros| PublicKey::new(&format!("8{}1", "0".repeat(n_zeros)), 3).unwrap();
    let source = |name, header, info| Source::new(name, header, info, other(510)).unwrap();

    let signed_header = source("header", header, other(510));
    let signed_info = source("info", other(254), info);
    let halves = TrustStore::empty().with(signed_header).with(signed_info);
    let limits = Limits::default();
    let file = testkit::cvd("mini", &[("mini.ndb", NDB)]);
    let error = verify_with(file.clone(), "mini.cvd", &halves, &limits).unwrap_err();
    assert_eq!(error.rule(), Rule::InfoSignature);
    // Of a .cld only the .info is signed.
    let cld = verify_with(file.clone(), "mini.cld", &halves, &limits).unwrap();
    assert_eq!(cld.trust(), &Trust::Source("info".into()));

    let whole = verify_with(file, "mini.cvd", &halves.with(own), &limits).unwrap();
    assert_eq!(whole.trust(), &Trust::Source("own".into()));
}

#[test]
fn keys_of_the_wrong_size_make_no_source() {
    let own = testkit::signing_keys().source("own").unwrap();
    let (small, large) = (own.header_key(), own.info_key());
    for [header, info, cdiff] in
        [[large, large, large], [small, small, large], [small, large, small]]
    {
        let source = Source::new("x", header.clone(), info.clone(), cdiff.clone());
        assert_eq!(source.unwrap_err(), KeyError::Size);
    }
}

/// I4 from the other side: the file name says which database it is.
#[test]
fn a_database_cannot_be_passed_off_as_another() {
    let file = testkit::cvd("mini", &[("mini.ndb", NDB)]);
    for name in ["mini.cvd", "mini-7.cvd", "mini-62.CVD"] {
        assert_eq!(verify(file.clone(), name).unwrap().database(), "mini", "{name}");
    }
    for name in ["daily.cvd", "Mini.cvd", "mini-.cvd", "mini-x.cvd", ".cvd", "a/mini.cvd"] {
        assert_eq!(refusal(file.clone(), name), Some(Rule::InfoName), "{name}");
    }
}

#[test]
fn a_file_too_large_is_not_hashed() {
    let file = testkit::cvd("mini", &[("mini.ndb", NDB)]);
    let limits = Limits { file_bytes: file.len() as u64 - 1, ..Limits::default() };
    let error = verify_with(file.clone(), "mini.cvd", &testkit::trust_store(), &limits);
    assert_eq!(error.unwrap_err().rule(), Rule::FileBytes);
    let limits = Limits { file_bytes: file.len() as u64, ..Limits::default() };
    assert!(verify_with(file, "mini.cvd", &testkit::trust_store(), &limits).is_ok());
}

#[test]
fn the_forged_headline_is_a_good_one() {
    let file = forge::file(HEADLINE, &forge::gzip(&forge::mini(&[("mini.ndb", NDB)])));
    assert_eq!(refusal(file, "mini.cud"), None);
}
