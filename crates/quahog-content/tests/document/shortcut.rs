//! Windows shortcuts: their strings, and what hangs behind them.

use quahog_content::{Format, Shortfall};

use super::{part_of, parts};

const ARGUMENTS: &str = "/c start \u{2603} %CD%\\x.hta";

/// A shortcut with a list of links of 6 bytes, a description, arguments, one extra
/// block, and bytes behind it.
pub(super) fn shortcut(flags: u32, behind: &[u8]) -> Vec<u8> {
    let text = |text: &str| {
        let (n, bytes): (usize, Vec<u8>) = match flags & 0x80 {
            0 => (text.len(), text.as_bytes().to_vec()),
            _ => {
                let units: Vec<u16> = text.encode_utf16().collect();
                (units.len(), units.into_iter().flat_map(u16::to_le_bytes).collect())
            }
        };
        [&(n as u16).to_le_bytes()[..], &bytes].concat()
    };
    let mut bytes = b"\x4c\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46".to_vec();
    bytes.extend((flags | 0x25).to_le_bytes());
    bytes.resize(76, 0);
    bytes.extend(b"\x06\0LINKED");
    if flags & 2 != 0 {
        bytes.extend(b"\x08\0\0\0INFO");
    }
    bytes.extend(text("a\0hidden"));
    bytes.extend(text(ARGUMENTS));
    bytes.extend(b"\x0c\0\0\0\x03\0\0\xa0BLCK\0\0\0\0");
    bytes.extend(behind);
    bytes
}

pub(super) fn sample() -> Vec<u8> {
    shortcut(0x82, b"PAYLOAD")
}

#[test]
fn strings_and_what_follows_are_parts() {
    for flags in [0x80, 0x82, 0, 2] {
        let (found, shortfall) = parts(Format::Shortcut, &shortcut(flags, b"PAYLOAD"));
        assert_eq!(shortfall, None);
        let strings = format!("ahidden\n{ARGUMENTS}\n");
        assert_eq!(part_of(&found, strings.as_bytes()).name(), "strings", "{flags:x}");
        assert_eq!(part_of(&found, b"PAYLOAD").shortfall, None);
        assert_eq!(found.len(), 2);
        assert_eq!(parts(Format::Shortcut, &shortcut(flags, b"")).0.len(), 1);
    }
}

#[test]
fn what_is_cut_off_is_told() {
    let whole = shortcut(0x82, b"");
    for end in 20..whole.len() - 4 {
        let (_, shortfall) = parts(Format::Shortcut, &whole[..end]);
        let block = whole.len() - 16;
        // The end of the blocks may be missing.
        let expected =
            (end < block || end > block + 3 && end < block + 12).then_some(Shortfall::Malformed);
        assert_eq!(shortfall, expected, "{end}");
    }
}
