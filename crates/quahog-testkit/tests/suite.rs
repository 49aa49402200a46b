//! The reference interpreter against recorded verdicts and written cases.

use quahog_testkit::conformance::{self, Case, Outcome};
use quahog_testkit::reference::{
    Ancestor, Database, Digests, LoadError, Match, Options, Pua, View,
};
use quahog_testkit::{ArbitraryCase, Found};

/// Areas that the reference has to reproduce in full.
const AREAS: [&str; 16] = [
    "body.alt",
    "body.anchor",
    "body.basic",
    "body.class",
    "body.gap",
    "db.fields",
    "elf",
    "fp",
    "hash",
    "ign",
    "ldb.count",
    "ldb.expr",
    "ldb.mod",
    "ndb.fields",
    "ndb.offset",
    "pe",
];

/// Cases of these areas that ask for more than one layer, or for an order.
const EXCEPT: [(&str, &str); 2] = [
    ("fp-006", "the listed layer is a ZIP, and the hit is in its member"),
    ("fp-007", "the listed layer is a member of a ZIP"),
];

#[test]
fn reference_reproduces_recorded_verdicts() {
    let Some(cases) = conformance::load().unwrap() else {
        println!("skipped: the conformance cases are not here");
        return;
    };
    let all_match = |case: &Case| case.area == "order" && case.mode == conformance::Mode::All;
    let wanted: Vec<Case> = cases
        .into_iter()
        .filter(|case| AREAS.contains(&case.area.as_str()) || all_match(case))
        .filter(|case| !EXCEPT.iter().any(|(id, _)| *id == case.id))
        .collect();
    assert!(wanted.len() > 350, "only {} cases", wanted.len());
    let score = conformance::run(&wanted, |_| true, reference);
    println!("{score}");
    assert!(score.is_perfect(), "{score}");
    assert!(score.recorded_only.is_empty(), "the reference is the better one: {score}");
}

/// The target description block, as far as the reference knows it.
#[test]
fn reference_reproduces_target_blocks() {
    let Some(cases) = conformance::load().unwrap() else {
        println!("skipped: the conformance cases are not here");
        return;
    };
    let score = conformance::run(&cases, |area| area == "ldb.tdb", reference);
    assert!(score.is_perfect(), "{score}");
}

/// What cannot be decided is never decided wrongly, and what is refused while
/// loading is refused here too.
#[test]
fn reference_is_never_wrong_where_it_stops() {
    let Some(cases) = conformance::load().unwrap() else {
        println!("skipped: the conformance cases are not here");
        return;
    };
    let areas = ["ldb.bcomp", "ldb.pcre", "ldb.macro", "ldb.fuzzy", "yara"];
    let score = conformance::run(&cases, |area| areas.contains(&area), reference);
    let failed: usize = score.areas.values().map(|tally| tally.failed).sum();
    assert_eq!(failed, 0, "{score}");
}

/// The reference as an implementation of the conformance cases.
///
/// Their inputs are binary layers or programs unless they say otherwise by
/// their content.
fn reference(case: &Case) -> Outcome {
    let given = |name: &str| {
        let values: Vec<String> = case
            .args
            .iter()
            .filter_map(|arg| arg.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
            .collect();
        (!values.is_empty()).then_some(values)
    };
    let pua = match (given("--detect-pua"), given("--include-pua"), given("--exclude-pua")) {
        (None, _, _) => Pua::Off,
        (_, Some(names), _) => Pua::Include(names),
        (_, _, Some(names)) => Pua::Exclude(names),
        (Some(_), None, None) => Pua::On,
    };
    let files: Vec<(&String, &String)> = case.files.iter().collect();
    let database = match Database::load(&files, &Options { strict: true, pua }) {
        Ok(database) => database,
        Err(error) => return Outcome::LoadError(error.to_string()),
    };
    let targets = match case.input.as_slice() {
        [b'M', b'Z', ..] => vec![1, 0],
        [0x7f, b'E', b'L', b'F', ..] => vec![6, 0],
        input if input.starts_with(b"\x01\x02\0\x01\0\x01") => vec![14, 0],
        _ => vec![0],
    };
    let verdict = database.verdict(&View::new(&case.input).with_targets(targets));
    match verdict.unsupported.first() {
        Some((kind, name)) => Outcome::Unsupported(format!("{kind:?} in {name}")),
        None => Outcome::Names(verdict.names),
    }
}

/// The written cases mean what they say.
#[test]
fn testdata_match() {
    quahog_testkit::cases("match").run(|case| {
        let database = Database::load(&case.files, &Options::strict())?;
        let view = View::new(case.haystack()).with_targets(case.targets.iter().copied());
        let verdict = database.verdict(&view);
        assert!(verdict.unsupported.is_empty(), "{}: {:?}", case.name, verdict.unsupported);
        let found = database.matches(&view).into_iter().map(|found| Found {
            name: found.name().to_owned(),
            spans: found.spans(),
            count: Some(found.count()),
        });
        Ok::<_, LoadError>(found.collect())
    });
}

#[test]
fn generated_cases_load_and_match() {
    let (mut lines, mut refused, mut matches) = (0, 0, 0);
    for seed in 0..300 {
        let case = ArbitraryCase::from_seed(seed);
        let again = ArbitraryCase::from_seed(seed);
        assert_eq!((&case.files, &case.haystack), (&again.files, &again.haystack));
        let database = Database::load(&case.files, &Options::default()).unwrap();
        lines += case.lines().count();
        refused += database.refused().len();
        matches += database.matches(&case.view()).len();
    }
    assert!(refused * 3 < lines, "{refused} of {lines} lines are refused");
    assert!(refused > 0, "nothing is malformed");
    assert!(matches * 5 > lines, "{matches} matches of {lines} lines");
}

/// Hostile lines and haystacks cost time in proportion, and no stack.
#[test]
fn reference_survives_hostile_lines() {
    let long_chain = format!("T;Target:0;{};6161", vec!["0"; 900].join("|"));
    let too_long = format!("T;Target:0;{};6161", vec!["0"; 5000].join("|"));
    let deep = format!("T;Target:0;{}0{};6161", "(".repeat(900), ")".repeat(900));
    let too_deep = format!("T;Target:0;{}0{};6161", "(".repeat(30_000), ")".repeat(30_000));
    let gaps = format!("T;Target:0;0;6161{}", "{127}".repeat(600));
    for (line, loads) in
        [(long_chain, true), (too_long, false), (deep, true), (too_deep, false), (gaps, false)]
    {
        let loaded = Database::load(&[("x.ldb", &line)], &Options::strict());
        assert_eq!(loaded.is_ok(), loads, "{}", &line[..40]);
    }

    let text = "T.Any:0:*:6161*6161??\nT.Wide:0:*:6161{1-9000}6161";
    let database = Database::load(&[("x.ndb", text)], &Options::strict()).unwrap();
    let haystack = [b'a'; 10_000];
    let matches = database.matches(&View::new(&haystack));
    let counts: Vec<u64> = matches.iter().map(Match::count).collect();
    // Last parts start at 2, or at 3 after a gap of one, and end in time.
    assert_eq!(counts, [9_996, 9_996]);
}

#[test]
fn allow_lists_look_at_all_layers_around() {
    let files = [
        ("x.ndb", "T:0:*:616263"),
        // "abcabc", of any size.
        ("x.fp", "440ac85892ca43ad26d44c7ad9d47d3e:*:W:73"),
    ];
    let database = Database::load(&files, &Options::strict()).unwrap();
    let (listed, view) = (Digests::of(b"abcabc"), View::new(b"...abc"));
    assert_eq!(database.verdict(&view).names.len(), 1);
    let normalised = View { source: Some(listed.clone()), ..view.clone() };
    assert_eq!(database.verdict(&normalised).names.len(), 0);
    let parent = Ancestor { file_type: "CL_TYPE_ZIP".to_owned(), digests: listed };
    let member = View { ancestors: vec![parent], ..view };
    assert_eq!(database.verdict(&member).names.len(), 0);
}
