//! The tables of the manual are those of the code.

use quahog::sig::model::FileType;
use quahog_content::Format;

/// Set, it has the manual rewritten instead of compared.
const REWRITE: &str = "QUAHOG_REWRITE_MANUAL";

#[test]
fn the_table_of_formats_is_the_one_in_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/manual/formats.md");
    let manual = std::fs::read_to_string(path).expect("the chapter");
    let mut expected = manual.clone();
    for (name, formats) in [("archives", Format::ARCHIVES), ("documents", Format::OTHERS)] {
        let begin = format!("<!-- {name}: made from the table in quahog-content -->\n");
        let (before, rest) = expected.split_once(&begin).expect("the mark before the table");
        let (_, after) = rest.split_once("<!-- end -->").expect("the mark behind it");
        let table = Format::table(formats);
        expected = format!("{before}{begin}\n{table}\n<!-- end -->{after}");
    }
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(path, &expected).expect("a manual that can be written");
    } else {
        assert!(
            manual == expected,
            "the manual has another table than the code; run this test with {REWRITE}=1, or put \
             this into {path}:\n{expected}"
        );
    }
}

#[test]
fn every_format_is_opened_by_a_file_type_or_by_its_first_bytes() {
    for &format in Format::ARCHIVES.iter().chain(Format::OTHERS) {
        for name in format.types() {
            let file_type = FileType::from_name(format!("CL_TYPE_{name}").as_bytes());
            let file_type = file_type.unwrap_or_else(|| panic!("{format:?}: {name} is no type"));
            assert_eq!(Format::of_type(file_type.name()), Some(format));
        }
        let facts = format.facts();
        let texts = [facts.name, facts.depth, facts.by, facts.limits];
        // A bar would end a cell of the manual's table.
        assert!(texts.iter().all(|text| !text.contains(['|', '\n'])), "{facts:?}");
        assert!(texts[..3].iter().all(|text| !text.is_empty()), "{facts:?}");
    }
}

/// All text of the Rust files in a folder and those below it.
fn sources(folder: &std::path::Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).expect("a source"));
        }
    }
}

#[test]
fn the_tests_that_the_table_of_faults_names_are_there() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let manual = std::fs::read_to_string(here.join("src/manual/live.md")).expect("the chapter");
    let mut tests = String::new();
    for folder in ["src", "tests", "../quahog-cli/tests"] {
        sources(&here.join(folder), &mut tests);
    }
    let rows: Vec<&str> = manual.lines().filter(|line| line.starts_with("| F")).collect();
    let heads: String = rows.iter().filter_map(|row| row.split('|').nth(1)).collect();
    for number in 1..=30 {
        let fault = format!("F{number}");
        let is_it = |word: &str| word.trim_matches(',') == fault;
        assert!(heads.split_whitespace().any(is_it), "{fault} has no row");
    }
    let mut n_names = 0;
    for row in rows {
        for name in row.split('`').skip(1).step_by(2) {
            let is_path = name.contains('/');
            assert!(!is_path || here.join("../..").join(name).exists(), "{name} is no file");
            let is_test = name.contains('_') && name.chars().all(|c| !c.is_ascii_uppercase());
            if is_path || !is_test {
                continue;
            }
            n_names += 1;
            let test = match name.strip_suffix("...") {
                Some(begin) => format!("\nfn {begin}"),
                None => format!("\nfn {name}()"),
            };
            let tests = tests.replace("\n    fn ", "\nfn ");
            assert!(tests.contains(&test), "there is no test {name}: {row}");
        }
    }
    assert!(n_names > 30, "{n_names}");
}
