//! Scripts that Microsoft's script encoder has hidden: `JScript.Encode` and
//! `VBScript.Encode`.
//!
//! `#@~^`, the length in six letters of base64, `==`, the text, a checksum in
//! six letters, `==^#~@`. Each byte of the text below 128 stands for one of
//! three bytes; which of them, a list of 64 steps says. Windows runs such a
//! script as any other, in a file of its own or in HTML.
//!
//! Lengths and checksums are not looked at: the text ends before the end mark,
//! or with the file. Takes time linear in the file.

use memchr::memmem;

use super::{About, Outlet};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    Outlet::run(budget, visit, |outlet| {
        budget.tick(bytes.len() as u64)?;
        let mut any = false;
        for script in (Scripts { rest: bytes }) {
            any = true;
            let packed = Some(script.len());
            outlet.hand(About { packed, ..About::named("script") }, &script)?;
        }
        if !any {
            outlet.miss(Shortfall::Malformed);
        }
        Ok(())
    })
}

/// The decoded scripts in a text.
pub(crate) struct Scripts<'b> {
    pub(crate) rest: &'b [u8],
}

impl Iterator for Scripts<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let start = memmem::find(self.rest, START)?;
            let head = self.rest.get(start + START.len()..)?;
            let Some(text) = head.get(8..).filter(|_| head.get(6..8) == Some(b"==")) else {
                self.rest = head;
                continue;
            };
            let end = memmem::find(text, END);
            let length = end.map_or(text.len(), |end| end.saturating_sub(CHECKSUM));
            self.rest = end.and_then(|end| text.get(end + END.len()..)).unwrap_or_default();
            return Some(decode(text.get(..length).unwrap_or(text)));
        }
    }
}

const START: &[u8] = b"#@~^";
const END: &[u8] = b"==^#~@";
const CHECKSUM: usize = 6;

fn decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut step = 0_usize;
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let escaped = match (byte, bytes.peek()) {
            (b'@', Some(b'&')) => Some(b'\n'),
            (b'@', Some(b'#')) => Some(b'\r'),
            (b'@', Some(b'*')) => Some(b'>'),
            (b'@', Some(b'!')) => Some(b'<'),
            (b'@', Some(b'$')) => Some(b'@'),
            _ => None,
        };
        if escaped.is_some() {
            bytes.next();
        }
        let row = usize::from(STEPS[step % STEPS.len()]);
        out.push(match (escaped, byte) {
            (Some(plain), _) => plain,
            (None, b'\t') => TAB[row],
            (None, b' '..=0x7f) => TABLE[row][usize::from(byte - b' ')],
            (None, _) => byte,
        });
        // What is beyond ASCII takes no step.
        step += usize::from(byte < 0x80);
    }
    out
}

/// Which row of the table is next.
const STEPS: [u8; 64] = [
    0, 1, 2, 0, 1, 2, 1, 2, 2, 1, 2, 1, 0, 2, 1, 2, 0, 2, 1, 2, 0, 0, 1, 2, 2, 1, 0, 2, 1, 2, 2, 1,
    0, 0, 2, 1, 2, 1, 2, 0, 2, 0, 0, 1, 2, 0, 2, 1, 0, 2, 1, 2, 0, 0, 1, 2, 2, 0, 0, 1, 2, 0, 2, 1,
];

/// What a tab stands for.
const TAB: [u8; 3] = *b"\x57\x6e\x7b";

/// What the bytes from blank to 127 stand for. `<`, `>` and `@` are escaped.
const TABLE: [&[u8; 96]; 3] = [
    b".GzVBj/&IA42[vrC89pEhqO\tbD#u<~>^@wJa]\"KoN;LPg*}tT+-,0nkf5%!dMRc?{x)(sY3\x7fmUS|:_eFX1ilZH'\\=$y7`Q 6",
    b"-uR`q^I\\b})6 |z\x7fkc3+hQfv1dTC<:>~@E,*t'7DyY/o&rj9{?8wgSG4x]0#Z[lHUpi.L!$NP\tVs5aKX;W\"mM%(FJ2A=_OBe",
    b"20!)[83=X:5e9\\VsfNEkbYx^}Jmq<`>S@B'Hru17MR\"TjGd- \x7f.L]~loytC&v%$+(#A4\t*D?w;UiacPgQIOFh|6pnz/_KZ,W",
];
