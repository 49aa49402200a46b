//! Texts and HTML in all their forms.

use crate::Case;
use crate::dice::Dice;

const WORDS: [&str; 8] = ["Hello", "WORLD", "needle", "a1", "x-y", "End.", "Foo", "bar_baz"];

/// A text or a page, and signatures of what its views may hold.
pub(crate) fn case(seed: u64) -> Case {
    let mut dice = Dice::new(seed);
    let is_html = dice.one_in(2);
    let input = if is_html { page(&mut dice) } else { text(&mut dice) };
    let mut ndb = String::new();
    let targets: &[u32] = if is_html { &[0, 3, 7] } else { &[0, 7, 14] };
    for number in 0..6 {
        let target = dice.of(targets);
        let offset = match dice.below(8) {
            0 => format!("{},{}", dice.below(30), dice.below(30)),
            // For target 0 clamscan knows the end of normalised text but rarely.
            1 if target != 0 => format!("EOF-{},20", 1 + dice.below(40)),
            _ => "*".to_owned(),
        };
        let pattern = pattern(&mut dice);
        ndb.push_str(&format!("View-{number}:{target}:{offset}:{pattern}\n"));
    }
    let mut ldb = String::new();
    for number in 0..3 {
        let target = dice.of(targets);
        let size = dice.of(&["", "", ",FileSize:1-60", ",FileSize:40-900"]);
        let condition = dice.of(&["0&1", "0|1", "0>1", "0=0&1", "(0|1)>2", "0=1|1=1"]);
        let condition =
            if condition.contains('1') { condition.to_owned() } else { format!("{condition}&1") };
        let (a, b) = (pattern(&mut dice), pattern(&mut dice));
        let modifier = dice.of(&["", "", "::i", "::f"]);
        let condition = if condition == "0>1" { "0>1|1>1".to_owned() } else { condition };
        ldb.push_str(&format!(
            "Logic-{number};Engine:81-255,Target:{target}{size};{condition};{a}{modifier};{b}\n"
        ));
    }
    let files = vec![("case.ndb".to_owned(), ndb), ("case.ldb".to_owned(), ldb)];
    Case { files, input }
}

/// One or two words as some view may have them.
fn pattern(dice: &mut Dice) -> String {
    let mut words = Vec::new();
    for _ in 0..1 + dice.below(2) {
        let word = dice.of(&WORDS);
        words.push(if dice.one_in(3) { word.to_owned() } else { word.to_lowercase() });
    }
    let text = words.join(dice.of(&[" ", " ", "", "=\""]));
    let text = if text.len() < 3 { format!("{text} foo") } else { text };
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn text(dice: &mut Dice) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..3 + dice.below(20) {
        text.extend_from_slice(dice.of(&WORDS).as_bytes());
        let gaps: [&[u8]; 12] = [
            b" ",
            b" ",
            b"  ",
            b"\t",
            b"\n",
            b"\r\n",
            b"",
            b"\x0b",
            b"\xe9",
            b"\x7f",
            b" \x1b ",
            b"\xc3\xa4",
        ];
        text.extend_from_slice(dice.of(&gaps));
    }
    text
}

fn page(dice: &mut Dice) -> Vec<u8> {
    let mut page = dice.of(&["<html>", "<HTML><head></head>", "<html>\n<body>"]).to_owned();
    for _ in 0..2 + dice.below(14) {
        let word = dice.of(&WORDS);
        match dice.below(16) {
            0 => page.push_str(&format!("<b>{word}</b>")),
            1 => page.push_str(&format!("<A HREF=\"http://e.x/{word}\">{word}</A>")),
            2 => page.push_str(&format!("<img src='{word}.gif' alt={word}>")),
            3 => page.push_str(&format!("<!-- {word} -->")),
            4 => page.push_str(&format!("<!-- {word} > {word} -->")),
            5 => page.push_str(&format!("{word}&nbsp;&#65;&amp;{word}")),
            6 => page.push_str(&format!("<p  class = {word} >\n{word}</p >")),
            7 => page.push_str(&format!("<style>.{word} {{ color: {word} }}</style>")),
            8 => page.push_str(&format!("<script>var v = \"{word}\";</script>")),
            9 => page.push_str(&format!("<td width=\"1\" {word}>{word}")),
            10 => page.push_str(&format!("&lt;{word}&gt;")),
            11 => page.push_str(&format!("<br/>{word}<hr>")),
            _ => page.push_str(word),
        }
        page.push_str(dice.of(&["", " ", "  ", "\n", "\r\n\t"]));
    }
    page.push_str(dice.of(&["</body></html>", "", "</html>\n", "<b"]));
    page.into_bytes()
}
