//! YARA rules: the engine and the reference interpreter agree.

use std::collections::BTreeSet;

use quahog_engine::{Engine, Layer, Look, Scratch, Unmetered};
use quahog_sig::model::FileType;
use quahog_sig::{Admission, Format, SetBuilder};
use quahog_testkit::YaraCase;
use quahog_testkit::reference::{Database, Options, View};

/// The names found, and how many rules the engine runs.
fn engine(text: &str, haystack: &[u8]) -> (BTreeSet<String>, usize) {
    let mut builder = SetBuilder::new().strict_frames(true);
    builder.document(Format::Yar, text.as_bytes(), &mut |_| {});
    let set = builder.finish();
    let n_rules = set.len();
    let engine = Engine::new(set).expect("an engine");
    let layer = Layer::new(haystack, FileType::BINARY_DATA, None);
    let mut hits = Vec::new();
    engine
        .scan(&layer, Look::Raw, &mut Scratch::default(), &Unmetered, &mut hits)
        .expect("nothing calls it off");
    (hits.iter().map(|hit| engine.reported_name(hit.segment, hit.id)).collect(), n_rules)
}

#[test]
fn random_rules_agree_with_the_reference() {
    let seeds = crate::seeds(3_000);
    let (mut differing, mut with_matches, mut rules) = (0, 0, 0);
    for seed in seeds.clone() {
        let YaraCase { text, haystack } = YaraCase::from_seed(seed);
        let database = Database::load(&[("x.yar", &text)], &Options::default()).expect("lenient");
        let wanted = database.verdict(&View::new(&haystack).with_targets([14, 0])).names;
        let (found, n_rules) = engine(&text, &haystack);
        rules += n_rules;
        with_matches += u64::from(!wanted.is_empty());
        if found != wanted {
            differing += 1;
            if differing <= 5 {
                println!(
                    "seed {seed}: reference: {wanted:?}\nengine: {found:?}\n{text}\n{:?}\n{:?}",
                    haystack.escape_ascii().to_string(),
                    database.refused()
                );
            }
        }
    }
    let n_cases = seeds.end - seeds.start;
    println!("{n_cases} cases, {rules} rules, {with_matches} with matches, {differing} differ");
    assert_eq!(differing, 0);
    assert!(with_matches * 3 > n_cases, "the generator makes too few matches");
}

/// Runs one condition over strings `$a = "hello"`, `$b = "nope"`, `$c = "Hello"`
/// and `$r = /h.l+o/`.
fn holds(condition: &str, haystack: &[u8]) -> bool {
    let strings = r#"$a = "hello" $b = "nope" $c = "Hello" $r = /h.l+o/"#;
    let text = format!(
        "rule R {{ strings: {strings} condition: ({condition}) and (any of them or true) }}"
    );
    let mut builder = SetBuilder::new();
    builder.document(Format::Yar, text.as_bytes(), &mut |entry| {
        assert!(matches!(entry.outcome, Ok(Admission::Admitted)), "{condition}: {entry:?}");
    });
    let (found, _) = engine(&text, haystack);
    !found.is_empty()
}

/// All of them as clamscan 1.4.6 has it.
#[test]
fn conditions_mean_what_they_mean_to_clamav() {
    let haystack = b"\x01\x02\0\x01\0\x01hello hello Hello h.llo HELLO";
    for (condition, expected) in [
        ("#a == 2 and #b == 0", true),
        ("@a == 6 and @a[2] == 12", true),
        ("@a[3] == 12 or @a[0] == 6", false),
        ("@b >= 0 or @b < 0 or @b != 1", false),
        ("not (@b == 0)", true),
        ("$a in (0..6) and $a in (7..12)", true),
        ("$a in (13..100) or $a in (12..7)", false),
        ("$a at 12 and not $a at 13 and not $a at @b", true),
        ("2 of ($a, $b, $c)", true),
        ("3 of ($a, $b, $c)", false),
        ("0 of ($b)", true),
        ("all of ($x*)", true),
        ("any of ($x*)", false),
        ("@b of ($a, $c)", true),
        ("for any of ($a, $b) : (# > 1)", true),
        ("for all of ($a, $c) : ($ at 12)", false),
        ("for any i in (1..#a) : (@a[i] == 12)", true),
        ("for all i in (1..0) : (false)", false),
        ("for any i in (1..0) : (true)", true),
        ("for 2 i in (1..1) : (5)", true),
        ("for any i in (1..2) : (0-1)", false),
        ("for any of ($a) : (@)", true),
        ("for any of ($a, $b) : (@)", false),
        ("for all i in (1..2) : (for any j in (i..3) : (j == 3))", true),
        ("for any of ($a) : (for any i in (2, 3) : (@[i] == 12))", true),
        ("filesize == 35 and entrypoint == 0", true),
        ("uint16(0) == 513 and uint32(0) == 0x01000201", true),
        ("uint16(0) == 0x201", false),
        ("uint8(34) >= 0", false),
        ("int8(0) == 1 and uint8(uint8(0)) == 2", true),
        ("0x80000000 > 0", false),
        ("1 + 2 * 3 == 7 and 7 \\ 2 == 3 and 7 % 4 == 3", true),
        ("5 & 3 == 1 and 1 | 2 & 0 == 0 and 4 & 1 << 2 == 4", true),
        ("1 << 64 == 1 and (0 - 5) \\ 2 == 0 - 2", true),
        ("1 \\ 0 == 0 or 1 % 0 == 0", false),
        ("~0 == 0 - 1", true),
        ("2 and 4", false),
        ("#a", false),
        ("2 or 1", true),
        ("@b or 1", true),
        ("@b and 1", false),
        ("not @b", false),
        ("(1 | @b) == 1 and (1 & @b) == 0", true),
        ("#r == 1 and @r == 6", true),
        ("$r at 12", false),
    ] {
        assert_eq!(holds(condition, haystack), expected, "{condition}");
    }
}

#[test]
fn normalised_text_is_searched_and_the_layer_itself_is_read() {
    let text =
        "rule R { strings: $a = \"hello\" condition: $a and filesize == 12 and uint8(0) == 72 }";
    let mut builder = SetBuilder::new();
    builder.document(Format::Yar, text.as_bytes(), &mut |_| {});
    let engine = Engine::new(builder.finish()).expect("an engine");
    let raw = Layer::new(b"Hello  WORLD", FileType::TEXT_ASCII, None);
    let view = Layer::view(b"hello world", &raw);
    // Scripts of HTML are read as they are.
    let html = Layer::new(b"Hello  WORLD", FileType::HTML, None);
    let script = Layer::view(b"hello world", &html);
    let looks = [(&raw, Look::Raw, 0), (&view, Look::Text, 1), (&script, Look::Text, 0)];
    for (layer, look, expected) in looks {
        let mut hits = Vec::new();
        engine.scan(layer, look, &mut Scratch::default(), &Unmetered, &mut hits).expect("done");
        assert_eq!(hits.len(), expected, "{look:?}");
    }
}

#[test]
fn private_rules_answer_and_report_nothing() {
    let rules = "private rule A { strings: $a = \"hello\" condition: $a }
        rule B { strings: $b = \"world\" condition: A and $b }
        rule C { strings: $c = \"nope\" condition: not B or $c }";
    let names = |haystack: &[u8]| engine(rules, haystack).0.into_iter().collect::<Vec<_>>();
    assert_eq!(names(b"hello world"), ["YARA.B.UNOFFICIAL"]);
    assert_eq!(names(b"..... world"), ["YARA.C.UNOFFICIAL"]);
}
