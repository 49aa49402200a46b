//! Compares quahog as a whole with an installed clamscan.
//!
//! ```text
//! cargo run --release -p quahog --example against_clamscan -- [FIRST [COUNT]]
//! ```
//!
//! Takes COUNT seeds from FIRST on. Each makes a small database and an input: by
//! turns body and logical signatures, with byte compares, regular expressions,
//! macros and programs for which section and import hashes are listed; YARA
//! rules; container metadata over an archive, with allow lists and ignore lists;
//! pictures and their hashes; links in messages, watched and allowed; tables of
//! file types; normalised text and HTML.
//! clamscan scans each alone, so that one on which it crashes costs no other.
//! Every disagreement is printed, cut to a line. A single case stays in its folder.
//!
//! `lost` means that clamscan misses a match, `extra` that quahog does. What
//! clamscan is known to lose by its own limits (the reference interpreter of the
//! test kit says so) is only counted; so are crashes of clamscan.

mod dice;
mod phishing;
mod pictures;
mod types;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs, io};

use quahog::{Config, Database, Engine, Live, Settings};
use quahog_testkit::reference::{self, Options};
use quahog_testkit::{ArbitraryCase, YaraCase};
use zip::write::SimpleFileOptions;

use crate::dice::Dice;

/// What one seed makes.
struct Case {
    files: Vec<(String, String)>,
    input: Vec<u8>,
}

fn main() -> io::Result<()> {
    let mut numbers = env::args().skip(1).map(|text| text.parse::<u64>());
    let first = numbers.next().and_then(Result::ok).unwrap_or(0);
    let count = numbers.next().and_then(Result::ok).unwrap_or(500);
    let folder = env::temp_dir().join(format!("quahog-against-clamscan-{}", std::process::id()));
    let mut score: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in first..first + count {
        let case = match seed % 10 {
            0..=3 => signatures(seed),
            4 if seed / 10 % 2 == 0 => rules(seed),
            4 => expressions(seed),
            5 => entries(seed)?,
            6 => pictures::case(seed),
            7 => phishing::case(seed),
            8 => types::case(seed),
            _ => views::case(seed),
        };
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("db"))?;
        for (name, text) in &case.files {
            fs::write(folder.join("db").join(name), text)?;
        }
        fs::write(folder.join("input"), &case.input)?;
        *score.entry("cases").or_default() += 1;
        compare(seed, &case, &folder, &mut score)?;
    }
    println!("{score:?}");
    if count == 1 {
        println!("the case is in {}", folder.display());
        return Ok(());
    }
    fs::remove_dir_all(&folder)
}

fn compare(
    seed: u64,
    case: &Case,
    folder: &Path,
    score: &mut BTreeMap<&'static str, u64>,
) -> io::Result<()> {
    let mut add = |what| *score.entry(what).or_default() += 1;
    let output = Command::new("clamscan")
        .args(["--allmatch", "--no-summary", "--stdout", "-d"])
        .args([folder.join("db"), folder.join("input")])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text.lines().filter_map(|line| line.split_once(": ")?.1.strip_suffix(" FOUND"));
    let theirs: BTreeSet<String> = found.map(ToOwned::to_owned).collect();
    let theirs = match output.status.code() {
        Some(0 | 1) => Some(theirs),
        Some(_) => None,
        None => {
            add("clamscan crashed");
            return Ok(());
        }
    };
    let config = Config::new([folder.join("db")]).strict(true);
    let ours = Database::load(&config).ok().and_then(|(database, _)| {
        let engine = Engine::new(database.into_signatures()).ok()?;
        let settings = Settings::default().all_matches(true);
        let report = Live::new(engine).scanner_with(settings).scan(&case.input);
        Some(report.detections().iter().map(|d| d.name().to_owned()).collect::<BTreeSet<_>>())
    });
    let (theirs, ours) = match (theirs, ours) {
        (Some(theirs), Some(ours)) => (theirs, ours),
        (None, None) => {
            add("refused by both");
            return Ok(());
        }
        (theirs, _) => {
            let what = if theirs.is_some() { "refused by quahog" } else { "refused by clamscan" };
            add(what);
            println!("{seed}: {what} only: {}", cut(&format!("{:?}", case.files)));
            return Ok(());
        }
    };
    add(if theirs.is_empty() && ours.is_empty() { "clean for both" } else { "with matches" });
    let known = reference::Database::load(&case.files, &Options::strict()).ok();
    for (what, names) in [("lost", &ours - &theirs), ("extra", &theirs - &ours)] {
        for name in names {
            let short = name.strip_suffix(".UNOFFICIAL").unwrap_or(&name);
            // clamscan 1.4.6 finds no imports in PE32+ files.
            let imports = short.ends_with("Imports") && is_wide(&case.input);
            let may_lose = |database: &reference::Database| database.clamscan_may_lose(short);
            if imports || known.as_ref().is_some_and(may_lose) {
                add("expected");
                continue;
            }
            add(what);
            let lines = case.files.iter().flat_map(|(_, text)| text.lines());
            let key = short.rsplit('.').next().unwrap_or(short);
            let line = lines.clone().find(|line| line.contains(short));
            let line = line.or_else(|| lines.clone().find(|line| line.contains(key)));
            println!("{seed}: {what} {short}: {}", cut(line.unwrap_or_default()));
        }
    }
    Ok(())
}

/// Whether the input is a PE32+ file.
fn is_wide(input: &[u8]) -> bool {
    let start = input.get(60..64).and_then(|place| place.try_into().ok());
    let start = start.map_or(0, |place| u32::from_le_bytes(place) as usize);
    input.get(start.saturating_add(24)..).is_some_and(|magic| magic.starts_with(b"\x0b\x02"))
}

fn cut(text: &str) -> String {
    text.chars().take(400).collect()
}

fn signatures(seed: u64) -> Case {
    let case = ArbitraryCase::from_seed(seed);
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for (file, line) in case.lines() {
        let text = files.entry(file.to_owned()).or_default();
        text.push_str(line);
        text.push('\n');
    }
    Case { files: files.into_iter().collect(), input: case.haystack }
}

/// Rules with regular expressions, which the generator of the test kit leaves out.
fn expressions(seed: u64) -> Case {
    let mut dice = Dice::new(seed);
    let atoms = [
        "ab", "abc", "c", "[ab]", "[^a]", ".", "\\w", "\\d", "\\s", "(a|bc)", "(ab)+", "\\x61",
        "A", "a{2}", "b{1,2}", "\\.", "^", "$", "\\b",
    ];
    let repeats = ["", "", "", "", "*", "+", "?", "*?", "+?"];
    let mut text = String::new();
    for number in 0..1 + dice.below(3) {
        let mut strings = String::new();
        for name in ["a", "b"] {
            let mut regex = dice.of(&["ab", "bc", "", "abc"]).to_owned();
            for _ in 0..1 + dice.below(4) {
                // PCRE2 repeats no assertion and no repetition, and clamscan
                // refuses a load over that.
                let atom = dice.of(&atoms);
                let repeat = dice.of(&repeats);
                let is_open = !atom.ends_with(['^', '$', '}', '+']) && atom != "\\b";
                regex.push_str(atom);
                regex.push_str(if is_open { repeat } else { "" });
            }
            let flags = dice.of(&["", "", "i", "s", "is"]);
            let modifiers = dice.of(&["", "", " nocase", " ascii", " fullword", " wide"]);
            strings.push_str(&format!(" ${name} = /{regex}/{flags}{modifiers}\n"));
        }
        let condition = dice.of(&[
            "any of them",
            "all of them",
            "#a > 1 or $b",
            "@a < 12 and @b > 6",
            "$a in (0..20) or #b == 1",
            "not $a and not $b",
            "for any i in (1..#a) : (@a[i] > 10) or $b",
        ]);
        text.push_str(&format!(
            "rule E{number} {{\n strings:\n{strings} condition: {condition}\n}}\n"
        ));
    }
    let mut input = b"\x01\x02\0\x01\0\x01".to_vec();
    for _ in 0..dice.below(12) {
        input.extend_from_slice(dice.of(&[
            &b"ab"[..],
            b"abc",
            b"A",
            b"bb ",
            b"aab\n",
            b".",
            b"7",
            b"a\0b\0",
        ]));
    }
    Case { files: vec![("case.yar".to_owned(), text)], input }
}

fn rules(seed: u64) -> Case {
    let case = YaraCase::from_seed(seed);
    Case { files: vec![("case.yar".to_owned(), case.text)], input: case.haystack }
}

/// An archive, and signatures of its entries and of what is in them.
fn entries(seed: u64) -> io::Result<Case> {
    let mut dice = Dice::new(seed);
    let mut archive = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    let mut members = Vec::new();
    for number in 0..1 + dice.below(4) {
        let stem = dice.of(&["invoice", "a", "dir/readme", "Setup"]);
        let name = format!("{stem}{number}.{}", dice.of(&["exe", "txt", "pdf.js", "EXE"]));
        let mut content = b"\x01\x02\x00\x01\x00\x01".to_vec();
        for _ in 0..dice.below(60) {
            content.extend_from_slice(dice.of(&[&b"ab"[..], b"cd", b"needle", b"\0\x01", b" "]));
        }
        let method = dice.of(&[zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated]);
        let options = SimpleFileOptions::default().compression_method(method);
        archive.start_file(name.clone(), options).map_err(io::Error::other)?;
        archive.write_all(&content)?;
        members.push((name, content));
    }
    let input = archive.finish().map_err(io::Error::other)?.into_inner();
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    let mut line = |file, line: String| files.entry(file).or_default().push_str(&(line + "\n"));
    for number in 0..1 + dice.below(4) {
        let (name, content) = &members[dice.below(members.len())];
        let size = content.len();
        let container = dice.of(&["*", "CL_TYPE_ZIP", "CL_TYPE_ANY", "CL_TYPE_MAIL"]);
        let whole = match dice.below(4) {
            0 => format!("{}", input.len()),
            1 => format!("1-{}", input.len()),
            _ => "*".to_owned(),
        };
        let pattern = match dice.below(6) {
            0 => "*".to_owned(),
            1 => name.replace('.', "\\."),
            2 => dice
                .of(&["\\.exe$", "^invoice", "[0-9]\\.", "(pdf|txt)", "a{1,2}", "\\.EXE"])
                .to_owned(),
            3 => "(dir/)?readme[0-3]+".to_owned(),
            _ => ".*".to_owned(),
        };
        let real = match dice.below(5) {
            0 => size.to_string(),
            1 => format!("{}-{}", size.saturating_sub(3), size + 3),
            2 => format!("{}-0", size / 2),
            3 => format!("0-{size}"),
            _ => "*".to_owned(),
        };
        let encrypted = dice.of(&["*", "*", "0", "1"]);
        let position = dice.of(&["*", "*", "1", "2", "1-2", "2-0"]);
        line(
            "case.cdb",
            format!(
                "Entry-{number}:{container}:{whole}:{pattern}:*:{real}:{encrypted}:{position}:*:*"
            ),
        );
    }
    line("case.ndb", "Needle:0:*:6e6565646c65".to_owned());
    line(
        "case.ldb",
        "Inside;Engine:81-255,Target:0,Container:CL_TYPE_ZIP;0>1&1;6162;6364".to_owned(),
    );
    let digest = |bytes: &[u8]| {
        use md5::Digest as _;
        md5::Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let (_, content) = &members[dice.below(members.len())];
    let hash = digest(content);
    line("case.hdb", format!("{hash}:{}:Member", content.len()));
    match dice.below(5) {
        0 => line("case.fp", format!("{hash}:{}:Allowed", content.len())),
        1 => line("case.fp", format!("{}:{}:Allowed", digest(&input), input.len())),
        2 => line("case.fp", format!("{hash}:{}:Allowed", content.len() + 1)),
        3 => line(
            "case.ign2",
            dice.of(&["Needle", "Entry-0", "Member", "Inside", "Nobody"]).to_owned(),
        ),
        _ => {}
    }
    let files = files.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
    Ok(Case { files, input })
}
