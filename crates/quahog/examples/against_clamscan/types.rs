//! Tables of file types, and signatures for those types.

use crate::Case;
use crate::dice::Dice;

/// A few lines of a table, bytes that some of them know, and a signature for
/// each target.
pub(crate) fn case(seed: u64) -> Case {
    let mut dice = Dice::new(seed);
    let mut input = match dice.below(3) {
        0 => b"\x01\x02\0\x01\0\x01".to_vec(),
        1 => b"some text, and more of it".to_vec(),
        _ => Vec::new(),
    };
    let mut ftm = String::new();
    for number in 0..1 + dice.below(4) {
        let magic = dice.of(&["QQZZ", "magic", "%!PS", "Q: x", "<table"]);
        let hex: String = magic.bytes().map(|byte| format!("{byte:02x}")).collect();
        let kind = dice.of(&[
            "CL_TYPE_MSOLE2",
            "CL_TYPE_GRAPHICS",
            "CL_TYPE_BINARY_DATA",
            "CL_TYPE_TEXT_ASCII",
            "CL_TYPE_IGNORED",
            "CL_TYPE_SCRIPT",
            "CL_TYPE_RIFF",
        ]);
        let level = dice.of(&["", "", ":1", "::", ":1:300", ":300", "::100"]);
        let at = input.len();
        let line = match dice.below(3) {
            0 => format!(
                "1:{}:{hex}:N{number}:CL_TYPE_ANY:{kind}{level}",
                dice.of(&["*", "0", "4,40"])
            ),
            1 => format!("0:{at}:{hex}:N{number}:CL_TYPE_ANY:{kind}{level}"),
            _ => format!("0:0:{hex}:N{number}:CL_TYPE_ANY:{kind}{level}"),
        };
        ftm.push_str(&line);
        ftm.push('\n');
        if !dice.one_in(4) {
            input.extend_from_slice(magic.as_bytes());
        }
        input.extend_from_slice(dice.of(&[&b""[..], b" ", b"\0\x01\0\x02", b"filling "]));
    }
    input.extend_from_slice(b" needle ");
    let mut ndb = String::new();
    for target in [0, 2, 3, 5, 7, 14] {
        ndb.push_str(&format!("Target-{target}:{target}:*:6e6565646c65\n"));
    }
    let files = vec![("case.ftm".to_owned(), ftm), ("case.ndb".to_owned(), ndb)];
    Case { files, input }
}
