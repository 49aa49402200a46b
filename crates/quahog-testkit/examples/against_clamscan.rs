//! Compares the reference interpreter with an installed clamscan.
//!
//! ```text
//! cargo run -p quahog-testkit --example against_clamscan -- [FIRST [COUNT]]
//! ```
//!
//! Takes COUNT seeds from FIRST on, makes a case of each, and prints every
//! disagreement with what is needed to look into it. The signatures of
//! some fifty cases are put into one database and searched in all their
//! haystacks, because starting clamscan costs more than scanning; what is
//! refused is tried line by line.
//!
//! `lost` means that clamscan misses a match, `extra` that the reference does
//! (or that clamscan missed one and a negation turned that round). Where
//! branches of different length make clamscan miss some
//! (`Database::clamscan_may_lose`), either is `expected` and not printed. What
//! is left over is the nine positions it remembers, parts of two signatures
//! that are equal but for the distance of an anchored byte (clamscan tests one
//! distance for both), or a mistake.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use quahog_testkit::ArbitraryCase;
use quahog_testkit::reference::{Database, Options, View};

/// Cases that share one database.
const BATCH: u64 = 50;

fn main() -> io::Result<()> {
    let mut numbers = env::args().skip(1).map(|text| text.parse::<u64>());
    let first = numbers.next().and_then(Result::ok).unwrap_or(0);
    let count = numbers.next().and_then(Result::ok).unwrap_or(500);
    let folder = env::temp_dir().join(format!("quahog-against-clamscan-{}", std::process::id()));
    let mut score = BTreeMap::new();
    let mut seed = first;
    while seed < first + count {
        let end = (seed + BATCH).min(first + count);
        batch(&folder, seed..end, &mut score)?;
        seed = end;
    }
    println!("{score:?}");
    fs::remove_dir_all(&folder).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })
}

type Score = BTreeMap<&'static str, usize>;

/// A line of a database, with the extension of its file.
type Line = (String, String);

fn batch(folder: &Path, seeds: std::ops::Range<u64>, score: &mut Score) -> io::Result<()> {
    let mut lines: Vec<Line> = Vec::new();
    let (mut haystacks, mut known) = (Vec::new(), Vec::new());
    for seed in seeds {
        let case = ArbitraryCase::from_seed(seed);
        for (file, line) in case.lines() {
            let extension = file.rsplit('.').next().unwrap_or_default();
            // Names tell the seed, so that they differ within the batch.
            let line = line.replacen("Test.", &format!("T{seed}."), 1);
            lines.push((extension.to_owned(), line));
        }
        haystacks.push(case.haystack);
        known.push((seed, case.targets));
    }

    let (mut good, bad): (Vec<Line>, Vec<Line>) =
        lines.into_iter().partition(|line| load(std::slice::from_ref(line)).is_some());
    *score.entry("lines").or_default() += good.len() + bad.len();
    for line in bad {
        *score.entry("refused").or_default() += 1;
        if clamscan(folder, std::slice::from_ref(&line), &haystacks[..1])?.is_some() {
            *score.entry("refused by the reference only").or_default() += 1;
            println!("only the reference refuses {line:?}");
        }
    }
    let mut verdicts = clamscan(folder, &good, &haystacks)?;
    if verdicts.is_none() {
        let mut kept = Vec::new();
        for line in good {
            if clamscan(folder, std::slice::from_ref(&line), &haystacks[..1])?.is_some() {
                kept.push(line);
            } else {
                *score.entry("refused by clamscan only").or_default() += 1;
                println!("only clamscan refuses {line:?}");
            }
        }
        good = kept;
        verdicts = clamscan(folder, &good, &haystacks)?;
    }
    let (Some(verdicts), Some(database)) = (verdicts, load(&good)) else {
        println!("a batch cannot be loaded as a whole");
        return Ok(());
    };

    for ((haystack, theirs), (seed, targets)) in haystacks.iter().zip(&verdicts).zip(&known) {
        let view = View::new(haystack).with_targets(targets.iter().copied());
        let ours = database.verdict(&view).names;
        *score.entry("pairs").or_default() += good.len();
        *score.entry("matches").or_default() += ours.len();
        for (kind, names) in [("lost", &ours - theirs), ("extra", theirs - &ours)] {
            for name in names {
                let name = name.strip_suffix(".UNOFFICIAL").unwrap_or(&name);
                if database.clamscan_may_lose(name) {
                    *score.entry("expected").or_default() += 1;
                    continue;
                }
                *score.entry(kind).or_default() += 1;
                let line = good.iter().find(|(_, line)| line.contains(name));
                // The haystack of a program is long, and can be had again.
                let start = &haystack[..haystack.len().min(200)];
                println!("{kind}: {line:?} in that of {seed}: {}", start.escape_ascii());
            }
        }
    }
    Ok(())
}

/// What the reference makes of some lines; `None` if it refuses them.
fn load(lines: &[Line]) -> Option<Database> {
    Database::load(&files(lines), &Options::strict()).ok()
}

fn files(lines: &[Line]) -> Vec<(String, String)> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for (extension, line) in lines {
        let text = files.entry(format!("case.{extension}")).or_default();
        text.push_str(line);
        text.push('\n');
    }
    files.into_iter().collect()
}

/// The names that clamscan reports for each haystack; `None` if it refuses
/// the database.
fn clamscan(
    folder: &Path,
    lines: &[Line],
    haystacks: &[Vec<u8>],
) -> io::Result<Option<Vec<BTreeSet<String>>>> {
    let (databases, inputs) = (folder.join("databases"), folder.join("inputs"));
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(&databases)?;
    fs::create_dir_all(&inputs)?;
    for (name, text) in files(lines) {
        fs::write(databases.join(name), text)?;
    }
    let paths: Vec<PathBuf> =
        (0..haystacks.len()).map(|index| inputs.join(index.to_string())).collect();
    for (path, haystack) in paths.iter().zip(haystacks) {
        fs::write(path, haystack)?;
    }
    let output = Command::new("clamscan")
        .args(["--allmatch", "--no-summary", "--stdout", "-d"])
        .arg(&databases)
        .args(&paths)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut verdicts = vec![BTreeSet::new(); paths.len()];
    let mut scanned = vec![false; paths.len()];
    for line in text.lines() {
        let Some((path, told)) = line.split_once(": ") else { continue };
        let Some(index) = paths.iter().position(|p| p.as_os_str() == path) else { continue };
        scanned[index] = true;
        if let Some(name) = told.strip_suffix(" FOUND") {
            verdicts[index].insert(name.to_owned());
        }
    }
    if scanned.iter().all(|&scanned| scanned) {
        return Ok(Some(verdicts));
    }
    // Nothing scanned is a refusal; some of it would be a crash.
    if scanned.iter().any(|&scanned| scanned) || output.status.code() != Some(2) {
        println!("clamscan stopped early: {} with {lines:?}", output.status);
    }
    Ok(None)
}
