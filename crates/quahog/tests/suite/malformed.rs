//! Rows X of the table of malformed input: what becomes of bad text.
//!
//! The rows of containers stand beside the reader of containers; those about
//! files that are no regular files in `databases`.

use quahog::database::Counts;
use quahog::{Config, Database, LoadError};
use quahog_testkit::builders::cvd;

use crate::Folder;

const LINE: &str = "T.A:0:*:616263";

/// Counts of a load of these files.
fn counts(files: &[(&str, &str)]) -> Counts {
    match Database::load(&Config::new([Folder::of(files).path()])) {
        Ok((_, report)) => report.counts(),
        Err(LoadError::Nothing { report, .. }) => report.counts(),
        Err(error) => panic!("{error}"),
    }
}

/// Admitted, malformed, unknown, newer of one file of this name.
fn of(name: &str, text: &str) -> (u64, u64, u64, u64) {
    let Counts { admitted, malformed, unknown, newer, .. } = counts(&[(name, text)]);
    (admitted, malformed, unknown, newer)
}

/// X1 to X3, X7 to X9, X12 to X14, X21.
#[test]
fn a_bad_line_costs_a_line_and_a_newer_one_nothing() {
    let ndb = |line: &str| of("x.ndb", &format!("{LINE}\n{line}\n"));
    assert_eq!(ndb("T.B:0:*:6x6263"), (1, 1, 0, 0));
    assert_eq!(ndb("T.B:0:*:6x6263:300"), (1, 0, 0, 1));
    assert_eq!(ndb("T.B:0:*:616263:300:400:new"), (1, 0, 0, 1));
    assert_eq!(ndb("T.B:0:*:616263\r"), (2, 0, 0, 0));
    assert_eq!(ndb("T.B:0:*:61\rT.C:0:*:62"), (1, 1, 0, 0));
    assert_eq!(ndb(""), (1, 0, 0, 0));
    let many: String = (0..65).map(|_| ";616263").collect();
    let ldb = |engine: &str| of("x.ldb", &format!("T.A;{engine}Target:0;0{many}\n"));
    assert_eq!(ldb("Engine:300-400,"), (0, 0, 0, 1));
    assert_eq!(ldb("").0, 0);
    let unknown = "T.A;Engine:51-255,Target:0,Container:CL_TYPE_NEW;0;616263\n";
    assert_eq!(of("x.ldb", unknown), (0, 0, 1, 0));
    let hash = "d41d8cd98f00b204e9800998ecf8427e";
    let sizes = |size: &str| of("x.hdb", &format!("{hash}:{size}:T.A\n{hash}:7:T.B\n"));
    assert_eq!(sizes("*").0, 2);
    for size in ["0", "4294967295", "-5", "x", ""] {
        assert_eq!(sizes(size), (1, 1, 0, 0), "{size}");
    }
    assert_eq!(of("x.ftm", "0:0:4142:New:CL_TYPE_ANY:CL_TYPE_ZIP:300\n"), (0, 0, 0, 1));
    assert_eq!(of("x.pwdb", "T.A;Engine:300-400;0;secret\n").3, 1);
}

/// X4 to X6: inside of a container and outside the same, and nothing in silence.
#[test]
fn lines_are_the_same_inside_of_a_container() {
    let long = format!("{LINE}{}\nT.B:0:*:646566\n", "61".repeat(600_000));
    for (text, admitted, malformed) in [
        ("T.A:0:*:616263\nT.B:0:*:646566", 2, 0),
        ("T.A:0:*:616263", 1, 0),
        (long.as_str(), 1, 1),
        ("T.A:0:*:6162\0\nT.B:0:*:646566\n", 1, 1),
        ("T.A:0:*:616263\n\n\nT.B:0:*:646566\r\n", 2, 0),
    ] {
        let loose = of("x.ndb", text);
        assert_eq!((loose.0, loose.1), (admitted, malformed), "{:?}", &text[..20.min(text.len())]);
        let folder = Folder::of(&[("x.cud", cvd::cud("x", &[("x.ndb", text.as_bytes())]))]);
        let (_, report) = Database::load(&Config::new([folder.path()])).expect("loads");
        let packed = report.counts();
        assert_eq!((packed.admitted, packed.malformed), (admitted, malformed));
    }
}

/// X17 to X19.
#[test]
fn ignore_lists_have_no_order_and_stay_out_where_only_official_ones_count() {
    for list in ["a.ign2", "z.ign2"] {
        let counts = counts(&[(list, "T.A\n"), ("m.ndb", "T.A:0:*:616263\n")]);
        assert_eq!((counts.admitted, counts.ignored), (1, 1));
    }
    let folder = Folder::of(&[("stray.ign2", "T.A\n"), ("daily.cfg", "broken\n")]);
    let official = Config::new([folder.path()]).official_only(true);
    assert!(matches!(Database::load(&official), Err(LoadError::Nothing { .. })));
}
