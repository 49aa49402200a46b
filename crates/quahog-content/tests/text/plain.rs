//! Plain text: the fast blocks against a definition of one line.

use proptest::prelude::*;
use quahog_content::text::plain::{Normalizer, normalize};

fn view(text: &[u8]) -> Vec<u8> {
    let mut view = b"left over".to_vec();
    normalize(text, &mut view);
    view
}

#[test]
fn each_byte_has_its_fold() {
    for byte in 0..=u8::MAX {
        let expected = match byte {
            0x09..=0x0d | b' ' => vec![b' '],
            b'A'..=b'Z' => vec![byte + 32],
            0x21..=0x7f => vec![byte],
            _ => vec![],
        };
        assert_eq!(view(&[byte]), expected, "{byte:02x}");
    }
}

#[test]
fn white_space_folds_to_one_blank() {
    for (text, expected) in [
        ("", ""),
        ("  Hello \t\x0b\x0c WORLD\r\n\r\n", " hello world "),
        ("a \u{e9} b", "a b"),
        ("a\u{e9}b", "ab"),
        (" \u{1} \u{e9}\n", " "),
        ("&amp; =20 %41 \x7f", "&amp; =20 %41 \x7f"),
        (
            "A sentence that is longer than one block, then\r\nanother LINE",
            "a sentence that is longer than one block, then another line",
        ),
    ] {
        assert_eq!(view(text.as_bytes()), expected.as_bytes());
    }
    // UTF-16 letters are ASCII letters between NULs.
    assert_eq!(view(b"\xff\xfeH\0I\0 \0x\0"), b"hi x");
}

fn reference(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for &byte in text {
        match byte {
            0x09..=0x0d | b' ' if out.last() == Some(&b' ') => {}
            0x09..=0x0d | b' ' => out.push(b' '),
            0x21..=0x7f => out.push(byte.to_ascii_lowercase()),
            _ => {}
        }
    }
    out
}

proptest! {
    #[test]
    fn blocks_and_chunks_do_not_show(
        words in prop::collection::vec(
            prop_oneof![
                "[A-Za-z]{1,9} ".prop_map(String::into_bytes),
                "[ \t\r\n]{1,3}".prop_map(String::into_bytes),
                prop::collection::vec(any::<u8>(), 0..6),
            ], 0..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let text = words.concat();
        let expected = reference(&text);
        prop_assert_eq!(view(&text), &expected[..]);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        let (mut normalizer, mut out, mut from) = (Normalizer::new(), Vec::new(), 0);
        for cut in cuts.into_iter().chain([text.len()]) {
            normalizer.push(&text[from..cut], &mut out);
            from = cut;
        }
        prop_assert_eq!(out, expected);
    }
}
