//! Real databases, where they are beside the checkout.

use std::io::Read;
use std::path::PathBuf;

use quahog::database::Counts;
use quahog::sig::{Programs, PuaFilter};
use quahog::{Config, Database, LoadError, LoadReport};

use crate::Folder;

/// File, then lines that are admitted, left out as unsupported, unknown.
///
/// The sums are the counts of the data's own README.
const COUNTS: &[(&str, &str, [u64; 3])] = &[
    ("clamav-main-62", "main.ldb", [38_889, 0, 0]),
    ("clamav-main-62", "main.hdb", [82_211, 0, 0]),
    ("clamav-main-62", "main.fp", [513, 0, 0]),
    ("clamav-main-62", "main.sfp", [1, 0, 0]),
    ("clamav-main-62", "main.msb", [1, 0, 0]),
    ("clamav-daily-2024", "daily-part.hsb", [146_348, 0, 0]),
    ("clamav-daily-2024", "daily.ndb", [258, 0, 0]),
    ("clamav-daily-2024", "daily.fp", [483, 0, 0]),
    ("clamav-daily-2024", "daily.hdb", [2, 0, 0]),
    ("clamav-daily-2024", "daily.sfp", [1, 0, 0]),
    ("clamav-daily-2024", "daily.msb", [3, 0, 0]),
    ("clamav-daily-2024", "daily.ign2", [255, 0, 0]),
    ("clamav-daily-2024", "daily.cdb", [5, 0, 0]),
    // All 21 are for engines of long ago.
    ("clamav-daily-2024", "daily.cfg", [0, 0, 0]),
    ("clamav-daily-2024", "daily.ftm", [159, 0, 0]),
    ("clamav-daily-2024", "daily.pdb", [263, 0, 0]),
    ("clamav-daily-2024", "daily.wdb", [185, 0, 0]),
    ("clamav-main-62", "main.cdb", [0, 0, 0]),
    ("clamav-main-62", "main.crb", [0, 0, 0]),
    ("clamav-unit-tests/other_sigs", "daily.gdb", [2, 0, 0]),
    ("clamav-unit-tests/other_sigs", "daily.pdb", [201, 0, 0]),
    ("clamav-unit-tests/other_sigs", "daily.wdb", [31, 0, 0]),
    ("clamav-2003", "viruses.db", [8_715, 0, 0]),
    ("clamav-2003", "viruses2.db", [154, 0, 0]),
    ("phpmussel", "phpmussel.mdb", [26_401, 0, 0]),
    ("phpmussel", "target0.ndb", [2_811, 0, 0]),
    ("phpmussel", "target1.ndb", [2_513, 0, 0]),
    ("phpmussel", "target2.ndb", [800, 0, 0]),
    ("phpmussel", "target3.ndb", [4_669, 0, 0]),
    ("phpmussel", "target4.ndb", [1_161, 0, 0]),
    ("phpmussel", "target5.ndb", [15, 0, 0]),
    ("phpmussel", "target6.ndb", [75, 0, 0]),
    ("phpmussel", "target7.ndb", [1_544, 0, 0]),
    ("phpmussel", "target10.ndb", [102, 0, 0]),
    ("phpmussel", "target11.ndb", [278, 0, 0]),
    ("phpmussel", "target12.ndb", [166, 0, 0]),
    ("rfxn", "rfxn.ndb", [2_035, 0, 0]),
    ("rfxn", "rfxn.hdb", [12_735, 0, 0]),
    ("twinclams", "twinclams.ldb", [876, 0, 1]),
    ("twinclams", "twinwave.ign2", [20, 0, 0]),
    ("clam-punch", "MiscreantPunch099-Low.ldb", [1_092, 0, 0]),
    ("clam-punch", "miscreantpunch099.ldb", [1_105, 0, 0]),
    ("clam-punch", "exexor99.ldb", [508, 0, 0]),
    ("clam-punch", "MiscreantPunch099-INFO-Low.ldb", [21, 0, 0]),
    ("clam-punch", "miscreantpunch.ldb", [52, 0, 0]),
    ("clam-punch", "miscreantpunch.hdb", [38, 0, 0]),
    ("ditekshen", "clamav.ldb", [157, 0, 0]),
    ("ditekshen", "indicator_rmm.ldb", [18, 0, 0]),
    ("malscan", "custom.ndb", [71, 0, 0]),
    ("malscan", "custom.hdb", [2_344, 0, 0]),
];

/// File of YARA rules, then rules that are admitted, of these those that ClamAV
/// does not run, and rules left out: malformed, unsupported, unknown.
///
/// What ClamAV runs is the "Known viruses" of clamscan 1.4.6 for each file.
const RULES: &[(&str, &str, [u64; 5])] = &[
    ("ditekshen", "indicator_knownbad_certs.yar", [0, 0, 0, 0, 651]),
    ("ditekshen", "indicator_knownbad_id.yar", [65, 2, 0, 0, 0]),
    ("ditekshen", "indicator_office.yar", [34, 0, 2, 0, 0]),
    ("ditekshen", "indicator_packed.yar", [35, 0, 1, 1, 14]),
    ("ditekshen", "indicator_rmm.yar", [15, 0, 0, 3, 9]),
    ("ditekshen", "indicator_suspicious.yar", [92, 4, 0, 4, 1]),
    ("ditekshen", "indicator_tools.yar", [94, 0, 0, 8, 1]),
    ("ditekshen", "malware.yar", [454, 2, 2, 50, 24]),
    ("rfxn", "rfxn.yara", [779, 0, 0, 0, 0]),
];

#[test]
fn real_rules_load_with_their_known_counts() {
    if real().is_none() {
        println!("skipped: the real databases are not beside this checkout");
        return;
    }
    for &(folder, name, expected) in RULES {
        let bytes = read(folder, name).unwrap_or_else(|| panic!("{folder}/{name} is readable"));
        let own = Folder::of(&[(name, bytes)]);
        let (database, report) = Database::load(&Config::new([own.path()])).expect("loads");
        let c = report.counts();
        let counts = [c.admitted, c.odd, c.malformed, c.unsupported, c.unknown];
        assert_eq!(counts, expected, "{name}");
        assert_eq!(database.signatures().len() as u64, c.admitted, "{name}");

        // Strictly, exactly what ClamAV runs.
        let strict = Config::new([own.path()]).strict(true);
        let (_, report) = Database::load(&strict).expect("ClamAV loads it");
        assert_eq!(report.counts().admitted, c.admitted - c.odd, "{name}");
    }
}

#[test]
fn bytecode_is_counted_and_not_run() {
    let folder = Folder::of(&[
        ("a.cbc", b"ClamBCafh\nBC.Test.{A};Target:0;0;68656c6c6f\nTedf\nE\n".to_vec()),
        ("b.cbc", b"something else".to_vec()),
    ]);
    let load = |programs| {
        let config = Config::new([folder.path()]).programs(programs);
        let (database, report) = Database::load(&config).expect("loads");
        let counts = report.counts();
        assert_eq!((counts.lines, counts.malformed), (2, 1));
        (database.signatures().len(), counts.not_executed)
    };
    assert_eq!(load(Programs::Official), (0, 0));
    assert_eq!(load(Programs::Everybody), (1, 1));
}

fn real() -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/real");
    path.is_dir().then_some(path)
}

/// A real file; the large ones are kept compressed.
fn read(folder: &str, name: &str) -> Option<Vec<u8>> {
    let path = real()?.join(folder).join(name);
    if let Ok(bytes) = std::fs::read(&path) {
        return Some(bytes);
    }
    let packed = std::fs::read(path.with_file_name(format!("{name}.gz"))).ok()?;
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[test]
fn real_databases_load_with_their_known_counts() {
    if real().is_none() {
        println!("skipped: the real databases are not beside this checkout");
        return;
    }
    for &(folder, name, expected) in COUNTS {
        let bytes = read(folder, name).unwrap_or_else(|| panic!("{folder}/{name} is readable"));
        let own = Folder::of(&[(name, bytes)]);
        let (_, report) = Database::load(&Config::new([own.path()])).expect("loads");
        let counts = report.counts();
        assert_eq!(counts.malformed, 0, "{name}: {:?}", report.diagnostics.first());
        assert_eq!([counts.admitted, counts.unsupported, counts.unknown], expected, "{name}");
    }
}

#[test]
fn real_containers_verify() {
    let Some(real) = real() else {
        println!("skipped: the real databases are not beside this checkout");
        return;
    };
    for (folder, newest) in [("clamav-bytecode", 339), ("clamav-test-series", 6)] {
        let (_, report) = Database::load(&Config::new([real.join(folder)])).expect("loads");
        assert!(!report.any_refused());
        // Each verifies; of the versions in one folder the newest is in force.
        let official: Vec<_> = report
            .files
            .iter()
            .filter_map(|file| match &file.outcome {
                quahog::database::Outcome::Loaded { trust, header } if trust.is_official() => {
                    header.as_ref().map(|header| header.version())
                }
                _ => None,
            })
            .collect();
        assert_eq!(official, [newest]);
    }
}

/// Folder, then what of all its loose databases together is admitted,
/// malformed, unsupported, unknown, for another engine or of no use.
///
/// What is malformed or not known is so to clamscan 1.4.6, too: programs of
/// "kind 0" among its own tests, and rules of YARA beyond what it knows. Idle
/// are lines for engines of long ago in `.cfg` and `.ftm`, and two entries `P`
/// of a `.gdb`. `wide` regular expressions of YARA are not run.
const FOLDERS: &[(&str, [u64; 5])] = &[
    ("clam-punch", [2_816, 0, 0, 0, 0]),
    ("clamav-2003", [8_869, 0, 0, 0, 0]),
    ("clamav-daily-2024", [147_964, 0, 0, 0, 33]),
    ("clamav-main-62", [121_615, 0, 0, 0, 0]),
    ("clamav-unit-tests", [1, 0, 0, 0, 0]),
    ("clamav-unit-tests/bytecode_sigs", [6, 17, 0, 0, 0]),
    ("clamav-unit-tests/embedded_testfiles/signatures", [6, 0, 0, 0, 0]),
    ("clamav-unit-tests/other_sigs", [251, 0, 0, 0, 2]),
    ("clamav-unit-tests/pe_allmatch/alert-sigs", [84, 0, 0, 0, 0]),
    ("clamav-unit-tests/pe_allmatch/block-cert-sigs", [1, 0, 0, 0, 0]),
    ("clamav-unit-tests/pe_allmatch/broken-sigs", [2, 0, 0, 0, 0]),
    ("clamav-unit-tests/pe_allmatch/trust-sigs", [1, 0, 0, 0, 0]),
    ("clamav-unit-tests/pe_allmatch/weak-sigs", [4, 0, 0, 0, 0]),
    ("ditekshen", [964, 5, 66, 700, 0]),
    ("malscan", [2_415, 0, 0, 0, 0]),
    ("phpmussel", [40_535, 0, 0, 0, 0]),
    ("rfxn", [15_549, 0, 0, 0, 0]),
    ("twinclams", [896, 0, 0, 1, 0]),
];

/// Folder and container, then how many lines are admitted: the "Known viruses"
/// of clamscan 1.4.6 for each, and what of its programs waits for another event
/// than a match.
const CONTAINERS: &[(&str, &str, [u64; 2])] = &[
    ("clamav-bytecode", "bytecode-19.cvd", [5, 0]),
    ("clamav-bytecode", "bytecode-268.cvd", [47, 3]),
    ("clamav-bytecode", "bytecode-339.cvd", [80, 2]),
    ("clamav-test-series", "test-1.cvd", [0, 0]),
    ("clamav-test-series", "test-2.cvd", [0, 0]),
    ("clamav-test-series", "test-3.cvd", [7, 0]),
    ("clamav-test-series", "test-4.cvd", [8, 0]),
    ("clamav-test-series", "test-5.cvd", [9, 0]),
    ("clamav-test-series", "test-6.cvd", [10, 0]),
];

/// Files beside databases.
const OTHERS: [&str; 5] = ["SOURCE", ".info", ".crt", ".sign", ".cdiff"];

/// Every line is counted once.
fn assert_whole(name: &str, c: &Counts) {
    let left_out = [c.ignored, c.newer, c.obsolete, c.pua, c.unused, c.untrusted, c.malformed];
    let open = [c.unknown, c.unsupported, c.not_read, c.refused];
    let counted = c.admitted + left_out.iter().sum::<u64>() + open.iter().sum::<u64>();
    // A document has more lines than entries.
    if !name.contains("yar") {
        assert_eq!(c.lines, c.blank + c.comments + counted, "{name}: {c:?}");
    }
    assert_eq!((c.refused, c.untrusted, c.not_read), (0, 0, 0), "{name}");
}

/// Loads a folder: all programs, and what may be unwanted if it is asked for.
fn load_all(folder: &Folder, pua: bool) -> LoadReport {
    let pua = PuaFilter { enabled: pua, ..PuaFilter::default() };
    let config = Config::new([folder.path()]).programs(Programs::Everybody).pua(pua);
    let report = match Database::load(&config) {
        Ok((_, report)) => report,
        Err(LoadError::Nothing { report, .. }) => *report,
        Err(error) => panic!("{error}"),
    };
    assert!(!report.any_refused(), "{report:?}");
    report
}

#[test]
fn every_folder_loads_with_its_known_counts() {
    let Some(real) = real() else {
        println!("skipped: the real databases are not beside this checkout");
        return;
    };
    let mut seen = 0;
    for &(folder, expected) in FOLDERS {
        let own = Folder::new();
        for entry in std::fs::read_dir(real.join(folder)).expect("a folder") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("a name");
            let name = name.strip_suffix(".gz").unwrap_or(&name);
            if !entry.path().is_dir() && !OTHERS.iter().any(|other| name.ends_with(other)) {
                own.write(name, read(folder, name).expect("a readable file"));
                seen += 1;
            }
        }
        let report = load_all(&own, true);
        report.files.iter().for_each(|file| assert_whole(folder, &file.counts()));
        let c = report.counts();
        let idle = c.obsolete + c.newer + c.unused;
        let found = [c.admitted, c.malformed, c.unsupported, c.unknown, idle];
        assert_eq!(found, expected, "{folder}");
        assert_eq!(c.ignored, 0, "{folder}");
    }
    for &(folder, name, [admitted, hooks]) in CONTAINERS {
        seen += 1;
        let name_in_force = name.split('-').next().unwrap_or(name).to_owned() + ".cvd";
        let own = Folder::of(&[(&name_in_force, read(folder, name).expect("a container"))]);
        let report = load_all(&own, false);
        let c = report.counts();
        assert_eq!((c.admitted, c.unsupported), (admitted, hooks), "{name}");
        assert_eq!((c.malformed, c.unknown), (0, 0), "{name}");
        assert_whole(name, &c);
    }
    // No file is passed over, and none was added that nobody looked at.
    assert_eq!(seen, n_databases(&real));
}

/// How many databases lie under a folder.
fn n_databases(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path());
    let count = |path: PathBuf| {
        let name = path.to_string_lossy();
        match path.is_dir() {
            true => n_databases(&path),
            false => usize::from(!OTHERS.iter().any(|other| name.ends_with(other))),
        }
    };
    entries.map(count).sum()
}
