//! Asks an installed clamscan what it says of the written cases.
//!
//! ```text
//! cargo run -p quahog-testkit --example cases_against_clamscan
//! ```
//!
//! Takes all of `testdata/scan`, and of `testdata/match` those whose haystack
//! is a binary file to clamscan too, so that no other view of it is searched.
//! Prints each case of which clamscan says something else than what is written:
//! its own `clamscan` where that stands, else what is expected of quahog. Ends
//! with an error if there is one.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, fs, io};

use quahog_testkit::generate::BINARY_MAGIC;
use quahog_testkit::{Case, cases};

fn main() -> io::Result<ExitCode> {
    let folder = env::temp_dir().join(format!("quahog-cases-{}", std::process::id()));
    let (mut asked, mut differing) = (0, 0);
    let (scan, matches) = (cases("scan"), cases("match"));
    let binary = matches.iter().filter(|case| case.haystack().starts_with(BINARY_MAGIC));
    for case in scan.iter().chain(binary) {
        let said = clamscan(&folder, case)?;
        let written = case.names_of_clamscan();
        asked += 1;
        if said != written {
            differing += 1;
            println!("{}: clamscan says {said:?}, written is {written:?}", case.name);
        }
    }
    println!("{asked} cases, {differing} of which clamscan says something else");
    fs::remove_dir_all(&folder)?;
    Ok(if differing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The names that clamscan finds; `None` if it refuses the signatures.
fn clamscan(folder: &Path, case: &Case) -> io::Result<Option<BTreeSet<String>>> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder.join("db"))?;
    for (name, text) in &case.files {
        fs::write(folder.join("db").join(name), text)?;
    }
    fs::write(folder.join("input"), case.haystack())?;
    let all = if case.first { "no" } else { "yes" };
    let output = Command::new("clamscan")
        .args([&format!("--allmatch={all}"), "--no-summary", "--stdout", "-d"])
        .args([folder.join("db"), folder.join("input")])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let told = text.lines().filter_map(|line| line.split_once(": ")?.1.strip_suffix(" FOUND"));
    let names = told.map(|name| name.trim_end_matches(".UNOFFICIAL").to_owned()).collect();
    Ok(matches!(output.status.code(), Some(0 | 1)).then_some(names))
}
