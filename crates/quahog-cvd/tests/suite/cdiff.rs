//! Patches: the published series, what a script may say, and rows U.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use quahog_cvd::{Cdiff, Cvd, Files, Limits, Offset, Rule, Script, Trust, TrustStore, VerifiedCvd};
use quahog_cvd::{cdiff, write};

use crate::forge::{NDB, gzip, verify};
use crate::genuine::{files, official};
use crate::testkit;

fn published(suffix: &str) -> Vec<(String, Bytes)> {
    files("clamav-test-series", suffix)
}

fn open(bytes: &[u8]) -> Result<Cdiff, Rule> {
    Cdiff::open(bytes, &TrustStore::official(), &Limits::default()).map_err(|error| error.rule())
}

/// Equal content, however it is packed.
fn assert_equal(made: &VerifiedCvd, wanted: &VerifiedCvd) {
    assert_eq!(made.files(), wanted.files());
    assert_eq!(made.trust(), wanted.trust());
}

#[test]
fn the_published_series_leads_from_each_version_to_every_later_one() {
    let store = TrustStore::official();
    let limits = Limits::default();
    let versions: Vec<_> =
        published("cvd").iter().map(|(name, file)| official(file, name).unwrap()).collect();
    let patches: Vec<_> = published("cdiff").iter().map(|(_, file)| open(file).unwrap()).collect();
    for (first, base) in versions.iter().enumerate() {
        for last in first..versions.len() {
            let made = cdiff::apply(base, &patches[first..last], &store, &limits).unwrap();
            assert_equal(&made.container, &versions[last]);
            // And again from the .cld.
            let cld = Cvd::open(made.file, "test.cld").unwrap().verify(&store, &limits).unwrap();
            assert_equal(&cld, &versions[last]);
            let rest = cdiff::apply(&cld, &patches[last..], &store, &limits).unwrap();
            assert_equal(&rest.container, &versions[versions.len() - 1]);
        }
    }
}

/// What `diff` writes does the same as the publisher's patch, and leads back.
#[test]
fn our_own_patches_lead_through_the_series_both_ways() {
    let versions: Vec<_> =
        published("cvd").iter().map(|(name, file)| official(file, name).unwrap()).collect();
    for old in &versions {
        for new in &versions {
            let script = cdiff::diff(old, new).unwrap();
            assert_eq!(script.database(), Some("test"));
            let made = script.apply(&old.files(), &Limits::default()).unwrap();
            assert_eq!(made, new.files());
        }
    }
    // The publisher's script for the same step is no shorter.
    for (pair, (name, file)) in versions.windows(2).zip(published("cdiff")) {
        let ours = cdiff::diff(&pair[0], &pair[1]).unwrap().text().len();
        let theirs = open(&file).unwrap().script().text().len();
        assert!(ours <= theirs + theirs / 4, "{name}: {ours} against {theirs}");
    }
}

#[test]
fn a_chain_has_no_gaps_and_one_signer() {
    let (Some((name, file)), patches) = (published("cvd").into_iter().next(), published("cdiff"))
    else {
        return;
    };
    let base = official(&file, &name).unwrap();
    let open = |at: usize| open(&patches[at].1).unwrap();
    let store = TrustStore::official();
    let refused = |patches: &[Cdiff]| {
        cdiff::apply(&base, patches, &store, &Limits::default()).unwrap_err().rule()
    };
    assert_eq!(refused(&[open(1)]), Rule::CdiffVersion);
    assert_eq!(refused(&[open(0), open(0)]), Rule::CdiffVersion);
    assert_eq!(refused(&[open(0), open(2)]), Rule::CdiffVersion);
    let foreign = signed("OPEN test.info\nCLOSE\n", 2);
    assert_eq!(refused(&[own(&foreign).unwrap()]), Rule::CdiffSigner);
    let other = signed("OPEN mini.info\nCLOSE\n", 2);
    assert_eq!(refused(&[own(&other).unwrap()]), Rule::CdiffDatabase);
    // Nothing changes in an .info that still is of the version before. U5.
    let idle = write::cdiff(&Script::parse("OPEN test.info\nCLOSE\n".into()).unwrap(), 2, None);
    let idle = Cdiff::dangerous_unverified(&idle.unwrap(), &Limits::default()).unwrap();
    assert_eq!(refused(&[idle]), Rule::CdiffVersion);
}

/// A signed patch that leads to what nobody signed is refused. U14.
#[test]
fn the_result_is_verified_whatever_the_patch_says() {
    let base = verify(testkit::cvd("mini", &[("mini.ndb", NDB)]), "mini.cvd").unwrap();
    let headline = String::from_utf8(base.info().text().to_vec()).unwrap();
    let headline = headline.lines().next().unwrap().replace("+0000:1:", "+0000:2:");
    let store = testkit::trust_store();
    let refused = |script: String| {
        let patch = own(&signed(&script, 2)).unwrap();
        cdiff::apply(&base, &[patch], &store, &Limits::default()).unwrap_err().rule()
    };
    let info = format!("OPEN mini.info\nXCHG 1 ClamAV {headline}\nCLOSE\n");
    assert_eq!(refused(info.clone()), Rule::InfoSignature);
    assert_eq!(refused(format!("{info}UNLINK COPYING\n")), Rule::NoCopying);
    assert_eq!(refused(format!("{info}UNLINK mini.info\n")), Rule::NoInfo);
    let cud = verify(testkit::cud("mini", &[("mini.ndb", NDB)]), "mini.cud").unwrap();
    let error = cdiff::apply(&cud, &[], &store, &Limits::default()).unwrap_err();
    assert_eq!(error.rule(), Rule::UnsignedBase);
}

#[test]
fn our_own_series_is_built_diffed_and_applied() {
    let build = |version, members: &[(&str, &[u8])]| {
        let file = testkit::builder("mini", members).version(version);
        verify(file.cvd(testkit::signing_keys()).unwrap(), "mini.cvd").unwrap()
    };
    let old = build(7, &[("mini.ndb", b"A:0:*:61\nB:0:*:62\n\nC:0:*:63\n"), ("mini.hdb", b"h\n")]);
    let new = build(8, &[("mini.ndb", b"A:0:*:61\nC:0:*:63\nD:0:*:64\n"), ("mini.ldb", b"l\n\n")]);
    let script = cdiff::diff(&old, &new).unwrap();
    let patch = write::cdiff(&script, 8, Some(testkit::signing_keys())).unwrap();
    let patch = own(&patch).unwrap();
    assert_eq!((patch.version(), patch.database()), (8, "mini"));
    assert_eq!(patch.trust(), &Trust::Source(testkit::SOURCE.into()));
    let limits = Limits::default();
    let made = cdiff::apply(&old, &[patch], &testkit::trust_store(), &limits).unwrap();
    assert_equal(&made.container, &new);
    let unpatchable = build(8, &[("mini.ndb", b"no line feed")]);
    assert!(matches!(
        cdiff::diff(&old, &unpatchable),
        Err(write::WriteError::Unpatchable(name)) if name == "mini.ndb"
    ));
}

fn signed(script: &str, version: u32) -> Vec<u8> {
    frame(&format!("ClamAV-Diff:{version}:{}:", script.len()), &gzip(script.as_bytes()))
}

fn frame(head: &str, stream: &[u8]) -> Vec<u8> {
    let frame = [head.as_bytes(), stream].concat();
    [&frame[..], b":", testkit::signing_keys().sign_cdiff(&frame).as_bytes()].concat()
}

fn own(patch: &[u8]) -> Result<Cdiff, Rule> {
    let opened = Cdiff::open(patch, &testkit::trust_store(), &Limits::default());
    opened.map_err(|error| error.rule())
}

/// U4 to U6, behind a signature that holds.
#[test]
fn the_frame_says_what_it_holds() {
    let script = "OPEN mini.info\nADD xy\nCLOSE\n";
    let stream = gzip(script.as_bytes());
    assert_eq!(own(&signed(script, 7)).unwrap().script().text(), script);
    assert_eq!(own(b"").unwrap_err(), Rule::CdiffEmpty);
    for (head, rule) in [
        ("ClamAV-Diff:7:27:", Rule::CdiffSize),
        ("ClamAV-Diff:7:29:", Rule::CdiffSize),
        ("ClamAV-Diff:7:028:", Rule::CdiffNumber),
        ("ClamAV-Diff:7:+28:", Rule::CdiffNumber),
        ("ClamAV-Diff:07:28:", Rule::CdiffNumber),
        ("ClamAV-Diff::28:", Rule::CdiffNumber),
        ("ClamAV-Diff:4294967296:28:", Rule::CdiffNumber),
        ("ClamAV-Diff:7:28: ", Rule::GzipHeader),
        ("ClamAV-Diff:7:99999999999:", Rule::ScriptBytes),
        ("ClamAV-diff:7:28:", Rule::CdiffFrame),
    ] {
        assert_eq!(script.len(), 28);
        assert_eq!(own(&frame(head, &stream)).unwrap_err(), rule, "{head}");
    }
    let refused = |stream: &[u8]| own(&frame("ClamAV-Diff:7:28:", stream)).unwrap_err();
    assert_eq!(refused(&[&stream[..], b"x"].concat()), Rule::AfterGzip);
    assert_eq!(refused(&stream[..stream.len() - 4]), Rule::GzipEnd);
    assert_eq!(refused(script.as_bytes()), Rule::GzipHeader);
    assert_eq!(refused(&gzip(&vec![0; 1 << 20])), Rule::CdiffSize);

    let unsigned = write::cdiff(&Script::parse(script.into()).unwrap(), 7, None).unwrap();
    assert_eq!(own(&unsigned).unwrap_err(), Rule::CdiffLength);
    let read = Cdiff::dangerous_unverified(&unsigned, &Limits::default()).unwrap();
    assert_eq!((read.version(), read.trust()), (7, &Trust::Unsigned));
    // The signature of an .info is none of a patch.
    let frame = signed(script, 7);
    let colon = frame.iter().rposition(|b| *b == b':').unwrap();
    let info = testkit::signing_keys().sign_info(&frame[..colon]);
    let crossed = [&frame[..=colon], info.as_bytes()].concat();
    assert_eq!(own(&crossed).unwrap_err(), Rule::CdiffSignature);
    // A script that begins with anything but an .info.
    for first in ["OPEN mini.ndb\nADD x\nCLOSE\n", "UNLINK mini.info\n", "# nothing\n"] {
        assert_eq!(own(&signed(&format!("{first}{script}"), 7)).is_ok(), first.starts_with('#'));
    }
}

fn parse(text: &str) -> Result<Script, (Rule, u64)> {
    Script::parse(Bytes::copy_from_slice(text.as_bytes())).map_err(|error| {
        let Some(Offset::Script(at)) = error.fault().offset() else { panic!("{error}") };
        (error.rule(), at)
    })
}

/// Every row of the table of scripts, and U9 to U13.
#[test]
fn a_script_is_read_strictly() {
    assert!(parse("").is_ok());
    assert!(parse("# comment\n#LSIZE 40000\nOPEN a\n# inside\nCLOSE\n").is_ok());
    for (text, rule, at) in [
        ("OPEN a\nADD x\n", Rule::ScriptOpen, 0),
        ("OPEN a\nOPEN b\nCLOSE\n", Rule::ScriptOrder, 7),
        ("ADD x\n", Rule::ScriptOrder, 0),
        ("DEL 1 x\n", Rule::ScriptOrder, 0),
        ("XCHG 1 x y\n", Rule::ScriptOrder, 0),
        ("CLOSE\n", Rule::ScriptOrder, 0),
        ("OPEN a\nUNLINK b\nCLOSE\n", Rule::ScriptOrder, 7),
        ("OPEN a\nMOVE b c 1 x 2 y\nCLOSE\n", Rule::ScriptOrder, 7),
        ("OPEN ../a\nCLOSE\n", Rule::ScriptName, 5),
        ("OPEN a/b\nCLOSE\n", Rule::ScriptName, 5),
        ("OPEN .\nCLOSE\n", Rule::ScriptName, 5),
        ("OPEN ..\nCLOSE\n", Rule::ScriptName, 5),
        ("OPEN .a\nCLOSE\n", Rule::ScriptName, 5),
        ("OPEN \nCLOSE\n", Rule::ScriptName, 5),
        ("OPEN \u{e4}\nCLOSE\n", Rule::ScriptName, 5),
        ("OPEN a b\nCLOSE\n", Rule::ScriptCommand, 6),
        ("OPEN a\r\nCLOSE\n", Rule::ScriptReturn, 6),
        ("OPEN\nCLOSE\n", Rule::ScriptCommand, 4),
        ("OPEN a\nCLOSE x\n", Rule::ScriptCommand, 12),
        ("OPEN a\nADD\nCLOSE\n", Rule::ScriptCommand, 10),
        ("OPEN a\nDEL 0 x\nCLOSE\n", Rule::ScriptNumber, 11),
        ("OPEN a\nDEL +2 x\nCLOSE\n", Rule::ScriptNumber, 11),
        ("OPEN a\nDEL 02 x\nCLOSE\n", Rule::ScriptNumber, 11),
        ("OPEN a\nDEL 99999999999999999999 x\nCLOSE\n", Rule::ScriptNumber, 11),
        ("OPEN a\nDEL  2 x\nCLOSE\n", Rule::ScriptNumber, 11),
        ("OPEN a\nDEL 2 \nCLOSE\n", Rule::ScriptGuard, 13),
        ("OPEN a\nDEL 2\nCLOSE\n", Rule::ScriptCommand, 12),
        ("OPEN a\nDEL 2 B z\nCLOSE\n", Rule::ScriptCommand, 14),
        ("OPEN a\nXCHG 2  y\nCLOSE\n", Rule::ScriptGuard, 14),
        ("OPEN a\nXCHG 2 B\nCLOSE\n", Rule::ScriptCommand, 15),
        ("OPEN a\nDEL 2 B\nXCHG 2 B c\nCLOSE\n", Rule::ScriptTwice, 22),
        ("MOVE a b 1 x 1 x\n", Rule::ScriptRange, 0),
        ("MOVE a b 2 x 1 x\n", Rule::ScriptRange, 0),
        ("MOVE a a 1 x 2 x\n", Rule::ScriptName, 0),
        ("MOVE a ../b 1 x 2 x\n", Rule::ScriptName, 7),
        ("MOVE a b 1 x 2\n", Rule::ScriptCommand, 14),
        ("UNLINK\n", Rule::ScriptCommand, 6),
        ("UNLINK a/b\n", Rule::ScriptName, 7),
        ("UNLINK a", Rule::ScriptEnd, 0),
        ("OPEN a\nCLOSE", Rule::ScriptEnd, 7),
        ("\n", Rule::ScriptCommand, 0),
        (" OPEN a\n", Rule::ScriptCommand, 0),
        ("open a\n", Rule::ScriptCommand, 0),
        ("COPY a b\n", Rule::ScriptCommand, 0),
    ] {
        assert_eq!(parse(text).err(), Some((rule, at)), "{text:?}");
    }
}

fn before() -> Files {
    let file = |name: &str, text: &'static str| (name.into(), Bytes::from_static(text.as_bytes()));
    BTreeMap::from([
        file("a", "AAA 1\nBBB 2\nCCC 3\nDDD 4\n"),
        file("b", "bbb\n"),
        file("cut", "xxx\nyyy"),
    ])
}

fn run(script: &str) -> Result<Files, Rule> {
    let script = parse(script).unwrap();
    let start = before();
    let result = script.apply(&start, &Limits::default());
    assert_eq!(start, before());
    result.map_err(|error| error.rule())
}

#[test]
fn edits_count_lines_as_they_were() {
    let text = |script: &str, name: &str| {
        let files = run(script).unwrap();
        files.get(name).map(|text| String::from_utf8(text.to_vec()).unwrap())
    };
    let a = |edits: &str| text(&format!("OPEN a\n{edits}CLOSE\n"), "a").unwrap();
    assert_eq!(a(""), "AAA 1\nBBB 2\nCCC 3\nDDD 4\n");
    assert_eq!(a("ADD E\nDEL 1 AAA\nXCHG 3 C c d\n"), "BBB 2\nc d\nDDD 4\nE\n");
    assert_eq!(a("DEL 4 DDD\nDEL 2 B\n"), "AAA 1\nCCC 3\n");
    assert_eq!(a("XCHG 1 AAA \nADD \n"), "\nBBB 2\nCCC 3\nDDD 4\n\n");
    assert_eq!(a("DEL 1 A\nDEL 2 B\nDEL 3 C\nDEL 4 D\n"), "");
    assert_eq!(text("OPEN new\nADD n\nCLOSE\n", "new").unwrap(), "n\n");
    assert_eq!(text("OPEN new\nCLOSE\n", "new"), None);
    assert_eq!(text("UNLINK a\nOPEN a\nADD n\nCLOSE\n", "a").unwrap(), "n\n");
    assert_eq!(text("MOVE a b 2 BBB 3 CCC\n", "a").unwrap(), "AAA 1\nDDD 4\n");
    assert_eq!(text("MOVE a b 2 BBB 3 CCC\n", "b").unwrap(), "bbb\nBBB 2\nCCC 3\n");
}

/// U10, U12.
#[test]
fn a_script_that_does_not_fit_changes_nothing() {
    for (script, rule) in [
        ("OPEN a\nDEL 1 BBB\nCLOSE\n", Rule::PatchGuard),
        ("OPEN a\nADD x\nXCHG 4 AAA x\nCLOSE\n", Rule::PatchGuard),
        ("OPEN a\nDEL 5 x\nCLOSE\n", Rule::PatchLine),
        ("OPEN new\nDEL 1 x\nCLOSE\n", Rule::PatchLine),
        ("OPEN a\nDEL 18446744073709551615 x\nCLOSE\n", Rule::PatchLine),
        ("OPEN cut\nADD z\nCLOSE\n", Rule::PatchEnd),
        ("OPEN cut\nDEL 1 xxx\nCLOSE\n", Rule::PatchEnd),
        ("UNLINK c\n", Rule::PatchFile),
        ("UNLINK b\nUNLINK b\n", Rule::PatchFile),
        ("MOVE a c 1 A 2 B\n", Rule::PatchFile),
        ("MOVE c b 1 A 2 B\n", Rule::PatchFile),
        ("MOVE a b 1 A 2 C\n", Rule::PatchGuard),
        ("MOVE a b 1 B 2 B\n", Rule::PatchGuard),
        ("MOVE a b 1 A 9 B\n", Rule::PatchLine),
        ("MOVE a cut 1 A 2 B\n", Rule::PatchEnd),
        ("MOVE cut a 1 x 2 y\n", Rule::PatchEnd),
    ] {
        assert_eq!(run(script).err(), Some(rule), "{script:?}");
        assert_eq!(run(&format!("OPEN b\nADD x\nCLOSE\n{script}")).err(), Some(rule));
    }
}

#[test]
fn patching_is_bounded() {
    let again = "OPEN a\nADD x\nCLOSE\n".repeat(2000);
    let big: Files = [("a".into(), Bytes::from(vec![b'\n'; 100_000]))].into();
    let script = Script::parse(again.into()).unwrap();
    let refused = |limits: &Limits| script.apply(&big, limits).unwrap_err().rule();
    assert_eq!(refused(&Limits::default()), Rule::PatchWork);
    let small = Limits { member_bytes: 100_000, ..Limits::default() };
    assert_eq!(refused(&small), Rule::MemberBytes);
    let many: String = (0..5000).map(|n| format!("OPEN f{n}\nADD x\nCLOSE\n")).collect();
    let many = Script::parse(many.into()).unwrap();
    assert_eq!(many.apply(&Files::new(), &Limits::default()).unwrap_err().rule(), Rule::Members);
}

/// The same in the simplest way: an array of lines.
fn model(lines: &[String], edits: &BTreeMap<usize, Option<String>>, added: &[String]) -> String {
    let changed = lines.iter().enumerate().filter_map(|(at, line)| match edits.get(&at) {
        None => Some(line.clone()),
        Some(change) => change.clone(),
    });
    changed.chain(added.iter().cloned()).map(|line| line + "\n").collect()
}

fn word() -> impl Strategy<Value = String> {
    "[a-c]{1,3}( [a-c]{0,2})?"
}

proptest! {
    #[test]
    fn applying_agrees_with_the_model(
        lines in prop::collection::vec(word(), 1..12),
        edits in prop::collection::btree_map(0usize..12, prop::option::of(word()), 0..6),
        added in prop::collection::vec(word(), 0..4),
    ) {
        let edits: BTreeMap<_, _> = edits.into_iter().filter(|(at, _)| *at < lines.len()).collect();
        let mut script = String::from("OPEN f\n");
        for line in &added {
            script += &format!("ADD {line}\n");
        }
        for (at, change) in edits.iter().rev() {
            let guard = &lines[*at][..1];
            script += &match change {
                None => format!("DEL {} {guard}\n", at + 1),
                Some(text) => format!("XCHG {} {guard} {text}\n", at + 1),
            };
        }
        script += "CLOSE\n";
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let files: Files = [("f".into(), Bytes::from(text))].into();
        let script = Script::parse(script.into()).unwrap();
        let made = script.apply(&files, &Limits::default()).unwrap();
        let wanted = model(&lines, &edits, &added);
        prop_assert_eq!(&made["f"][..], wanted.as_bytes());
    }

    /// `diff` tries what it wrote, so it is enough that it writes something.
    #[test]
    fn any_two_texts_can_be_patched(
        old in prop::collection::vec("( ?[ab]{0,2})|[ -~]{0,20}", 1..20),
        new in prop::collection::vec("( ?[ab]{0,2})|[ -~]{0,20}", 1..20),
    ) {
        let container = |version, lines: &[String]| {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let file = testkit::builder("mini", &[("f", text.as_bytes())]).version(version);
            verify(file.cud().unwrap(), "mini.cud").unwrap()
        };
        let (old, new) = (container(1, &old), container(2, &new));
        let script = cdiff::diff(&old, &new).unwrap();
        prop_assert_eq!(script.apply(&old.files(), &Limits::default()).unwrap(), new.files());
    }

    #[test]
    fn any_script_ends_without_a_panic(
        lines in prop::collection::vec(
            "(OPEN|ADD|DEL|XCHG|CLOSE|MOVE|UNLINK|#)?( ?(a|b|cut|[0-9]{1,2}|[ABx]{1,3}|/)){0,6}", 0..12),
    ) {
        let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        if let Ok(script) = Script::parse(text.into()) {
            let _ = script.apply(&before(), &Limits::default());
        }
    }
}
