//! Each line is an expression, its flags, a subject and what PCRE2 10.42 finds.

use quahog_sig::model::{Expression, Offset};

use super::*;
use crate::meter::Unmetered;

fn find(text: &str, flags: &str, subject: &[u8]) -> (Found, bool) {
    let flags = flags.bytes().fold(Flags::default(), |flags, letter| {
        flags.with(Flags::of_letter(letter).expect("a flag"))
    });
    let pcre = Pcre {
        offset: Offset::ANY,
        trigger: Expression::new(&[]),
        text: text.as_bytes(),
        flags,
        index: 0,
    };
    let matcher = Matcher::new(text.as_bytes(), flags);
    let mut stack = Stack::default();
    let found = search(&matcher, &pcre, subject, None, u64::MAX, &mut stack, &Unmetered).unwrap();
    (found, matcher.is_automaton())
}

fn first(text: &str, subject: &str) -> Option<(usize, usize)> {
    find(text, "", subject.as_bytes()).0.first
}

#[test]
fn choices_are_tried_in_order() {
    assert_eq!(first("a|ab", "xab"), Some((1, 2)));
    assert_eq!(first("(?>a|ab)c", "xabc"), None);
    assert_eq!(first("(?>a+)ab", "aaab"), None);
    assert_eq!(first("a++b", "aaab"), Some((0, 4)));
    assert_eq!(first("a*+a", "aaa"), None);
    assert_eq!(first("x(?:ab|a)(?=b)", "xab"), Some((0, 2)));
    assert_eq!(first("(?=x)x(a|ab)(c|bcd)(d*)", "xabcd"), Some((0, 5)));
}

#[test]
fn looks_and_references() {
    assert_eq!(first("(?<=b)c", "acbc"), Some((3, 4)));
    assert_eq!(first("(?<!b)c", "bcac"), Some((3, 4)));
    assert_eq!(first("(?<=ab|x)c", "bcxc"), Some((3, 4)));
    assert_eq!(first("(a)(?!b)", "abac"), Some((2, 3)));
    assert_eq!(first("(?P<v>[a-z]+)=(?P=v);", "ab=c;cd=cd;"), Some((5, 11)));
    assert_eq!(first("(?i)(ab)\\1", "abAB"), Some((0, 4)));
    assert_eq!(first("(ab)(?i:\\1)", "abAB"), Some((0, 4)));
    assert_eq!(first("(a)?\\1b", "b"), None);
    assert_eq!(first("(?=(a+))\\1b", "aaab"), Some((0, 4)));
    assert_eq!(first("(?:(a)|b)(?(1)c|d)", "bcbdac"), Some((2, 4)));
    assert_eq!(first("(?(?=a)ab|cd)", "adcd"), Some((2, 4)));
    assert_eq!(first("(?(?!a)cd|ab)", "adab"), Some((2, 4)));
    assert_eq!(first("(?(?=a)ab|ad)", "ad"), None);
    assert_eq!(first("(?:(?!<b>).)+<b>", "xx<b>"), Some((0, 5)));
    assert_eq!(first("(?:a(?=b)|b){3}c", "ababbc"), Some((2, 6)));
    assert_eq!(first("(?=(?:a|b){2,3}?c)[ab]+", "xabac"), Some((1, 4)));
    assert_eq!(first("(a|b\\1)+c", "ababac"), Some((0, 6)));
}

#[test]
fn ends_and_lines() {
    for (text, subject, expected) in [
        ("d$", "cd\n", true),
        ("d$", "cd\nx", false),
        ("d\\z", "cd\n", false),
        ("(?m)d$", "cd\nx", true),
        ("(?m)^x", "a\nx", true),
        ("(?m)a\n^", "a\n", false),
        ("(?m)a\n^$", "a\n\n", true),
        ("(?:d$|d)\n", "d\n", true),
        ("(?:d$)\n", "d\n", true),
        ("(?:d$)\nx", "d\nx", false),
        ("a.b", "a\nb", false),
        ("\\bab\\b", "x ab.", true),
        ("\\bab\\B", "ab", false),
        ("\\x41\\x{42}\\103", "ABC", true),
        ("[[:upper:]]\\d\\h\\R", "A1\t\r\n", true),
        ("\\R\n", "\r\n", false),
        ("a{,3}", "a{,3}", true),
        ("(*FAIL)|b", "b", true),
        ("\\Ga", "ba", false),
    ] {
        assert_eq!(first(text, subject).is_some(), expected, "{text}");
    }
}

#[test]
fn global_counts_what_does_not_overlap() {
    assert_eq!(find("aa", "g", b"aaaaa").0.count, 2);
    assert_eq!(find("(a)\\1", "g", b"aaaaa").0.count, 2);
    assert_eq!(find("a|(?=b)", "g", b"ab").0.count, 2);
    assert_eq!(find("a*", "g", b"aab").0.count, 3);
    assert_eq!(find("a", "gA", b"aab").0.count, 2);
    assert_eq!(find("\\Ga(?=.)", "g", b"aaba").0.count, 2);
}

#[test]
fn automata_run_what_they_can() {
    for text in ["(?i)a[bc]+?d{2,5}(?:x|yz)*$", "^a\\b.\\w", "(?m)^a$", "a.{2,1024}b", "(a+)+$"] {
        assert!(find(text, "", b"").1, "{text}");
    }
    for text in ["(?m)^$", "a(?=b)", "(a)\\1", "a$\n"] {
        assert!(!find(text, "", b"").1, "{text}");
    }
}

#[test]
fn no_bytes_make_it_work_without_end() {
    let subject = [b"a".repeat(5_000), b"!".to_vec()].concat();
    assert_eq!(find("(a+)+$", "", &subject).0.count, 0);
    // The larger language is not there.
    assert_eq!(find("(?=(a+)+$)(a+)+$(?<!b)", "", &subject).0.count, 0);
    // And here it is, but steps are counted.
    struct GaveUp(std::cell::Cell<bool>);
    impl Meter for GaveUp {
        fn tick(&self, _work: u64) -> Result<(), Interrupted> {
            Ok(())
        }
        fn gave_up(&self) {
            self.0.set(true);
        }
    }
    let meter = GaveUp(std::cell::Cell::new(false));
    let pcre = Pcre {
        offset: Offset::ANY,
        trigger: Expression::new(&[]),
        text: b"(?=a)(a|a)+(?=!)(?<!a)",
        flags: Flags::default(),
        index: 0,
    };
    let matcher = Matcher::new(pcre.text, pcre.flags);
    let mut stack = Stack::default();
    let found = search(&matcher, &pcre, &subject, None, 1, &mut stack, &meter).unwrap();
    assert_eq!(found.count, 0);
    assert!(meter.0.get());
}

#[test]
fn deep_nesting_is_no_recursion_without_end() {
    let text = format!("{}a{}", "(".repeat(200), ")+".repeat(200));
    assert_eq!(first(&text, "xa"), Some((1, 2)));
    let text = format!("{}a{}\\1", "(".repeat(200), ")+?".repeat(200));
    assert_eq!(first(&text, "xaa"), Some((1, 3)));
}

#[test]
fn literals_that_must_stand_there() {
    let literal = |text: &str| required_literal(text.as_bytes(), Flags::CASELESS);
    assert_eq!(literal("x+CreateObject\\("), Some(b"ateobject(".to_vec()));
    assert_eq!(literal("(?:ab|cd)+"), None);
    assert_eq!(literal("(wxyz){2}[0-9]"), Some(b"wxyz".to_vec()));
}
