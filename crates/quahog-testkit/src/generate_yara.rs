//! Random YARA rules and haystacks.

use arbitrary::{Arbitrary, Result, Unstructured};

use crate::generate::{BINARY_MAGIC, split_mix};

/// A file of rules and a haystack in which their strings are frequent.
///
/// ```
/// let case = quahog_testkit::YaraCase::from_seed(7);
/// assert!(case.text.starts_with("rule R0") || case.text.starts_with("private rule R0"));
/// ```
#[derive(Clone, Debug)]
pub struct YaraCase {
    /// The rules.
    pub text: String,
    /// The bytes to search: a binary layer, so nothing is normalised.
    pub haystack: Vec<u8>,
}

impl YaraCase {
    /// The case of a number: the same one each time, on every machine.
    pub fn from_seed(seed: u64) -> YaraCase {
        let mut state = seed;
        let bytes: Vec<u8> = (0..1024).flat_map(|_| split_mix(&mut state).to_le_bytes()).collect();
        // `arbitrary` cannot fail: where bytes run out, zeros follow.
        YaraCase::arbitrary(&mut Unstructured::new(&bytes))
            .unwrap_or_else(|_| YaraCase { text: String::new(), haystack: BINARY_MAGIC.to_vec() })
    }
}

impl<'a> Arbitrary<'a> for YaraCase {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<YaraCase> {
        let mut writer = Writer { u, pieces: Vec::new(), strings: 0, loops: 0, in_strings: false };
        let mut text = String::new();
        for number in 0..writer.up_to(1, 3)? {
            text.push_str(&writer.rule(number)?);
        }
        let mut haystack = BINARY_MAGIC.to_vec();
        for _ in 0..writer.up_to(1, 10)? {
            let piece = writer.choose(&writer.pieces.clone())?;
            haystack.extend(piece);
            for _ in 0..writer.up_to(0, 3)? {
                haystack.push(writer.choose(b"abA. \0")?);
            }
        }
        Ok(YaraCase { text, haystack })
    }
}

const ALPHABET: &[u8] = b"abcABC";

/// Writes rules, and remembers examples of what their strings match.
struct Writer<'u, 'a> {
    u: &'u mut Unstructured<'a>,
    pieces: Vec<Vec<u8>>,
    /// How many strings the rule has.
    strings: usize,
    /// How many loops are around.
    loops: usize,
    in_strings: bool,
}

impl Writer<'_, '_> {
    fn up_to(&mut self, min: usize, max: usize) -> Result<usize> {
        self.u.int_in_range(min..=max)
    }

    fn choose<T: Clone>(&mut self, choices: &[T]) -> Result<T> {
        self.u.choose(choices).cloned()
    }

    fn rule(&mut self, number: usize) -> Result<String> {
        self.strings = self.up_to(1, 4)?;
        let private = if self.up_to(0, 5)? == 0 { "private " } else { "" };
        let mut text = format!("{private}rule R{number} {{\n strings:\n");
        for index in 0..self.strings {
            let string = self.string()?;
            text.push_str(&format!("  $s{index} = {string}\n"));
        }
        let condition = self.truth(3, number)?;
        // Every string has to be used.
        let used = "(any of them or true)";
        text.push_str(&format!(" condition: {condition} and {used}\n}}\n"));
        Ok(text)
    }

    fn bytes(&mut self, min: usize, max: usize) -> Result<Vec<u8>> {
        (0..self.up_to(min, max)?).map(|_| self.choose(ALPHABET)).collect()
    }

    fn string(&mut self) -> Result<String> {
        if self.up_to(0, 2)? > 0 {
            let bytes = self.bytes(2, 4)?;
            let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
            let modifiers = self.choose(&[
                "",
                "",
                "nocase",
                "wide",
                "wide ascii",
                "fullword",
                "fullword wide nocase",
                "ascii wide fullword nocase",
            ])?;
            self.pieces.push(bytes.iter().flat_map(|&byte| [byte, 0]).collect());
            self.pieces.push(bytes);
            return Ok(format!("\"{text}\" {modifiers}"));
        }
        let mut text = String::new();
        let mut example = Vec::new();
        for part in 0..self.choose(&[1, 1, 2, 3])? {
            if part > 0 {
                let (low, more) = (self.up_to(0, 3)?, self.up_to(0, 4)?);
                text.push_str(&match self.up_to(0, 3)? {
                    0 => " [-]".to_owned(),
                    1 => format!(" [{low}-]"),
                    2 => format!(" [{low}]"),
                    _ => format!(" [{low}-{}]", low + more),
                });
                example.extend(std::iter::repeat_n(b'.', low));
            }
            for byte in self.bytes(2, 3)? {
                text.push_str(&format!(" {byte:02x}"));
                example.push(byte);
            }
            match self.up_to(0, 5)? {
                0 => {
                    text.push_str(" ??");
                    example.push(b'x');
                }
                1 => {
                    text.push_str(" 6?");
                    example.push(b'a');
                }
                2 => {
                    text.push_str(" (61|62 63)");
                    example.push(b'a');
                }
                _ => {}
            }
        }
        self.pieces.push(example);
        Ok(format!("{{{text} }}"))
    }

    /// A string's name without its sign; empty for that of the loop around.
    fn name(&mut self) -> Result<String> {
        if self.in_strings && self.up_to(0, 1)? == 0 {
            return Ok(String::new());
        }
        Ok(format!("s{}", self.up_to(0, self.strings - 1)?))
    }

    fn set(&mut self) -> Result<String> {
        Ok(match self.up_to(0, 3)? {
            0 => "them".to_owned(),
            1 => "($s*)".to_owned(),
            _ => {
                let n = self.up_to(1, 3)?;
                let names: Result<Vec<String>> =
                    (0..n).map(|_| Ok(format!("$s{}", self.up_to(0, self.strings - 1)?))).collect();
                format!("({})", names?.join(", "))
            }
        })
    }

    fn quantifier(&mut self) -> Result<String> {
        Ok(match self.up_to(0, 5)? {
            0 | 1 => "all".to_owned(),
            2 | 3 => "any".to_owned(),
            _ => self.up_to(0, 3)?.to_string(),
        })
    }

    fn truth(&mut self, depth: usize, rule: usize) -> Result<String> {
        if depth > 0 && self.up_to(0, 1)? == 0 {
            return Ok(match self.up_to(0, 5)? {
                0 => format!("not {}", self.truth(depth - 1, rule)?),
                1 => {
                    let (a, b) = (self.truth(depth - 1, rule)?, self.truth(depth - 1, rule)?);
                    format!("({a} or {b})")
                }
                2 => {
                    let (a, b) = (self.truth(depth - 1, rule)?, self.truth(depth - 1, rule)?);
                    format!("{a} and {b}")
                }
                3 if !self.in_strings && self.loops < 4 => {
                    let (quantifier, set) = (self.quantifier()?, self.set()?);
                    self.in_strings = true;
                    self.loops += 1;
                    let body = self.truth(depth - 1, rule)?;
                    self.in_strings = false;
                    self.loops -= 1;
                    format!("for {quantifier} of {set} : ({body})")
                }
                4 if self.loops < 4 => {
                    let (quantifier, variable) = (self.quantifier()?, self.loops);
                    let low = self.up_to(0, 3)?;
                    let values = match self.up_to(0, 2)? {
                        0 => format!("{low}, {}", self.up_to(0, 3)?),
                        1 => format!("{low}..{}", self.up_to(0, 5)?),
                        _ => format!("1..#s{}", self.up_to(0, self.strings - 1)?),
                    };
                    self.loops += 1;
                    let body = self.truth(depth - 1, rule)?;
                    self.loops -= 1;
                    // A loop over strings has no variable, but takes a number here.
                    format!(
                        "for {quantifier} v{variable} in ({values}) : (v{variable} >= 0 and {body})"
                    )
                }
                _ => format!("({} and true)", self.truth(depth - 1, rule)?),
            });
        }
        Ok(match self.up_to(0, 9)? {
            0 | 1 => format!("${}", self.name()?),
            2 => format!("${} at {}", self.name()?, self.number(1)?),
            3 => format!("${} in ({}..{})", self.name()?, self.number(1)?, self.number(1)?),
            4 => format!("{} of {}", self.quantifier()?, self.set()?),
            5 if rule > 0 => format!("R{}", self.up_to(0, rule - 1)?),
            // A number as a truth.
            6 => format!("({})", self.number(1)?),
            _ => {
                let relation = self.choose(&["==", "!=", "<", "<=", ">", ">="])?;
                format!("{} {relation} {}", self.number(2)?, self.number(1)?)
            }
        })
    }

    fn number(&mut self, depth: usize) -> Result<String> {
        if depth > 0 && self.up_to(0, 2)? == 0 {
            let operator = self.choose(&["+", "-", "*", "\\", "%", "&", "|", "^", "<<", ">>"])?;
            let (a, b) = (self.number(depth - 1)?, self.number(depth - 1)?);
            return Ok(match self.up_to(0, 3)? {
                0 => format!("~({a} {operator} {b})"),
                1 => format!("({a} {operator} {b})"),
                _ => format!("{a} {operator} {b}"),
            });
        }
        Ok(match self.up_to(0, 9)? {
            0 | 1 => format!("#{}", self.name()?),
            2 => format!("@{}", self.name()?),
            3 => {
                let name = self.name()?;
                let index = if depth > 0 { self.number(0)? } else { self.up_to(0, 3)?.to_string() };
                format!("@{name}[{index}]")
            }
            4 => "filesize".to_owned(),
            5 => {
                let read = self.choose(&["uint8", "uint16", "uint32", "int8", "int16", "int32"])?;
                format!("{read}({})", self.up_to(0, 30)?)
            }
            6 => self.choose(&["0x10", "0x201", "1KB", "entrypoint", "0xffffffff"])?.to_owned(),
            _ => self.up_to(0, 30)?.to_string(),
        })
    }
}
