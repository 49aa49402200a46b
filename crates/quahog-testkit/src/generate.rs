//! Random signatures and haystacks, for fuzzing and for differential tests.
//!
//! An [`ArbitraryCase`] holds a few lines of `.ndb`, `.ldb` and `.hdb` over
//! every construct of the body patterns, expressions and subsignatures, and a
//! haystack made of pieces of the same patterns, so that matches are frequent.
//! The alphabet is small on purpose. Most lines can be loaded; some are
//! malformed.
//!
//! ```
//! use quahog_testkit::ArbitraryCase;
//! use quahog_testkit::reference::{Database, Options};
//!
//! let case = ArbitraryCase::from_seed(7);
//! let database = Database::load(&case.files, &Options::default())?;
//! let matches = database.matches(&case.view());
//! # let _ = matches;
//! # Ok::<(), quahog_testkit::reference::LoadError>(())
//! ```

use arbitrary::{Arbitrary, Result, Unstructured};

use crate::builders::exe::{
    Elf, Import, MachO, Pe, PeSection, imports, resources, utf16, version_info,
};
use crate::reference::{Digests, View};

/// Database files and a haystack.
#[derive(Clone, Debug)]
pub struct ArbitraryCase {
    /// Name and text of the database files.
    pub files: Vec<(String, String)>,
    /// The bytes to search: a binary layer or a program, so nothing is normalised.
    pub haystack: Vec<u8>,
    /// Targets whose signatures are searched.
    pub targets: Vec<u32>,
}

/// What every haystack begins with: bytes that make it a binary file.
pub const BINARY_MAGIC: &[u8] = b"\x01\x02\x00\x01\x00\x01";

impl ArbitraryCase {
    /// The case of a number: the same one each time, on every machine.
    pub fn from_seed(seed: u64) -> ArbitraryCase {
        let mut state = seed;
        let bytes: Vec<u8> = (0..1024).flat_map(|_| split_mix(&mut state).to_le_bytes()).collect();
        // `arbitrary` cannot fail: where bytes run out, zeros follow.
        ArbitraryCase::arbitrary(&mut Unstructured::new(&bytes)).unwrap_or_else(|_| ArbitraryCase {
            files: Vec::new(),
            haystack: BINARY_MAGIC.to_vec(),
            targets: vec![14, 0],
        })
    }

    /// The haystack as the reference wants it.
    pub fn view(&self) -> View<'_> {
        View::new(&self.haystack).with_targets(self.targets.iter().copied())
    }

    /// All signatures of the files as single lines: file name and line.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .flat_map(|(name, text)| text.lines().map(move |line| (name.as_str(), line)))
    }
}

impl<'a> Arbitrary<'a> for ArbitraryCase {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<ArbitraryCase> {
        let mut writer = Writer { u, target: 14, pieces: Vec::new(), wholes: Vec::new() };
        writer.target = writer.choose(&[14, 14, 14, 14, 1, 1, 6, 9])?;
        let mut ndb = Vec::new();
        let mut ldb = Vec::new();
        for number in 0..writer.up_to(1, 3)? {
            ndb.push(writer.ndb(number)?);
        }
        for number in 0..writer.up_to(0, 2)? {
            ldb.push(writer.ldb(number)?);
        }
        let haystack = writer.haystack()?;
        let (haystack, parts) = writer.program(haystack)?;
        let mut files = vec![("case.ndb".to_owned(), ndb.join("\n"))];
        if !ldb.is_empty() {
            files.push(("case.ldb".to_owned(), ldb.join("\n")));
        }
        if writer.one_in(4)? {
            files.push(("case.hdb".to_owned(), writer.hdb(&haystack)?));
        }
        files.extend(parts);
        Ok(ArbitraryCase { files, haystack, targets: vec![writer.target, 0] })
    }
}

/// The next number of Sebastiano Vigna's SplitMix64.
pub(crate) fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// How deep groups of regular expressions nest.
const REGEX_DEPTH: usize = 2;
/// Bytes that patterns are made of.
const ALPHABET: &[u8] = b"abcABC";
/// Bytes that stand between: some are in a class, some in none.
const FILLING: &[u8] = b"abAx- .\n\r\0";

/// A program, and databases of hashes of its parts.
type Program = (Vec<u8>, Vec<(String, String)>);

/// Writes signatures, and remembers examples of what matches.
struct Writer<'u, 'a> {
    u: &'u mut Unstructured<'a>,
    /// The target of the haystack.
    target: u32,
    /// For each part.
    pieces: Vec<Vec<u8>>,
    /// For each pattern.
    wholes: Vec<Vec<u8>>,
}

impl Writer<'_, '_> {
    fn up_to(&mut self, min: usize, max: usize) -> Result<usize> {
        self.u.int_in_range(min..=max)
    }

    fn one_in(&mut self, n: usize) -> Result<bool> {
        Ok(self.up_to(0, n - 1)? == n - 1)
    }

    fn choose<T: Clone>(&mut self, choices: &[T]) -> Result<T> {
        self.u.choose(choices).cloned()
    }

    /// `name:target:offset:pattern`.
    fn ndb(&mut self, number: usize) -> Result<String> {
        let own = self.target.to_string();
        let target = self.choose(&["0", own.as_str(), own.as_str(), "*", ""])?;
        // Some are members of a macro group.
        let offset = match self.up_to(0, 7)? {
            0 => format!("${}$", self.up_to(1, 2)?),
            _ => self.offset(target)?,
        };
        let pattern = if offset == "VI" {
            utf16("CompanyName").iter().map(|byte| format!("{byte:02x}")).collect()
        } else {
            self.pattern(true)?
        };
        let level = self.choose(&["", "", "", "", "", ":51", ":51:255", ":217", ":1:100"])?;
        let line = format!("Test.Body-{number}:{target}:{offset}:{pattern}{level}");
        self.damage(line)
    }

    /// `name;tdb;expression;subsignatures`.
    fn ldb(&mut self, number: usize) -> Result<String> {
        let n_subs = self.up_to(1, 4)?;
        let own = self.target.to_string();
        let target = self.choose(&["0", own.as_str()])?;
        let block = match self.up_to(0, 9)? {
            8 if is_program(target) => {
                format!("Engine:81-255,EntryPoint:{}-9000,Target:{target}", self.up_to(0, 1200)?)
            }
            9 if is_program(target) => {
                format!("Engine:81-255,NumberOfSections:{}-9,Target:{target}", self.up_to(0, 4)?)
            }
            0 => format!("Engine:81-255,FileSize:1-{},Target:{target}", self.up_to(10, 80)?),
            1 => format!("Target:{target}"),
            2 => format!("Engine:81-255,Target:{target},Container:CL_TYPE_ANY"),
            _ => format!("Engine:81-255,Target:{target}"),
        };
        let mut expression = self.expression(n_subs, 3)?;
        // Only an expression that names the last subsignature can be loaded.
        let last = (n_subs - 1).to_string();
        if !expression.split(|c: char| !c.is_ascii_digit()).any(|id| id == last) {
            expression = format!("{expression}{}{last}", self.choose(&["&", "|"])?);
        }
        let mut fields = vec![format!("Test.Logic-{number}"), block, expression];
        for index in 0..n_subs {
            fields.push(match self.up_to(0, 7)? {
                0 => self.byte_compare(n_subs)?,
                1 if index > 0 => self.pcre(index, target)?,
                2 if index > 0 => {
                    let (low, high) = (self.up_to(0, 4)?, self.up_to(0, 8)?);
                    format!("${{{low}-{}}}{}$", low + high, self.up_to(1, 2)?)
                }
                _ => self.subsignature(target)?,
            });
        }
        self.damage(fields.join(";"))
    }

    /// Lines that hash the haystack, or nearly.
    fn hdb(&mut self, haystack: &[u8]) -> Result<String> {
        let [md5, sha1, sha256] = Digests::of(haystack).to_hex();
        let size = haystack.len() + self.choose(&[0, 0, 0, 1])?;
        let digest = self.choose(&[md5, sha1, sha256])?;
        Ok(match self.up_to(0, 3)? {
            0 => format!("{digest}:*:Test.Hash:73"),
            1 => format!("{}:{size}:Test.Hash", digest.to_uppercase()),
            _ => format!("{digest}:{size}:Test.Hash"),
        })
    }

    /// `ref(>>off#opts len#cmp)`.
    fn byte_compare(&mut self, n_subs: usize) -> Result<String> {
        let reference = self.up_to(0, n_subs)?;
        let direction = self.choose(&[">>", ">>", "<<"])?;
        let distance = self.up_to(0, 8)?;
        let letters = self
            .choose(&["hb", "hl", "db", "d", "ab", "al", "ib", "il", "hbe", "hle", "dbe", "i"])?;
        let length = self.choose(&[1, 2, 2, 4, 4, 8])?;
        let mut comparisons = Vec::new();
        for _ in 0..self.up_to(1, 2)? {
            let value = self.choose(&["0", "10", "0xab", "0x6162", "-1", "0x61", "200", "012"])?;
            comparisons.push(format!("{}{value}", self.choose(&["<", ">", ">", "="])?));
        }
        let comparisons = comparisons.join(",");
        Ok(format!("{reference}({direction}{distance}#{letters}{length}#{comparisons})"))
    }

    /// `[offset:]trigger/regex/flags` over earlier subsignatures.
    fn pcre(&mut self, index: usize, target: &str) -> Result<String> {
        let offset =
            if self.one_in(3)? { format!("{}:", self.offset(target)?) } else { String::new() };
        let trigger = self.expression(index, 1)?;
        let mut regex = String::new();
        self.regex(&mut regex, REGEX_DEPTH, &mut 0)?;
        let mut flags = String::new();
        for flag in ["g", "r", "e", "i", "s", "m", "A", "x", "E", "U"] {
            // Those that the reference does not decide are rare.
            let rare = matches!(flag, "x" | "E" | "U");
            if self.one_in(if rare { 16 } else { 5 })? {
                flags.push_str(flag);
            }
        }
        Ok(format!("{offset}{trigger}/{regex}/{flags}"))
    }

    /// An expression of the kind that the reference decides.
    fn regex(&mut self, text: &mut String, depth: usize, n_groups: &mut usize) -> Result<()> {
        for branch in 0..self.choose(&[1, 1, 1, 2])? {
            if branch > 0 {
                text.push('|');
            }
            for _ in 0..self.up_to(1, 3)? {
                match self.up_to(0, if depth > 0 { 9 } else { 5 })? {
                    0..=3 => text.push_str(self.choose(&["a", "b", "c", "ab", "C", "\\x41"])?),
                    4 => text.push_str(self.choose(&[".", "[ab]", "[^a]", "\\w", "\\s", "\\d"])?),
                    5 => {
                        text.push_str(self.choose(&["^", "$", "\\b", "\\B"])?);
                        continue;
                    }
                    // Outside of all groups: those that are named are closed.
                    6 if *n_groups > 0 && depth == REGEX_DEPTH => {
                        text.push_str(&format!("\\{n_groups}"));
                    }
                    7 => {
                        text.push_str(self.choose(&["(?=", "(?!"])?);
                        self.regex(text, depth - 1, n_groups)?;
                        text.push(')');
                        continue;
                    }
                    _ => {
                        let captures = self.one_in(2)?;
                        text.push_str(if captures { "(" } else { "(?:" });
                        *n_groups += usize::from(captures);
                        self.regex(text, depth - 1, n_groups)?;
                        text.push(')');
                    }
                }
                if self.one_in(4)? {
                    text.push_str(self.choose(&["*", "+", "?", "*?", "+?", "{1,2}", "{2}"])?);
                }
            }
        }
        Ok(())
    }

    fn subsignature(&mut self, target: &str) -> Result<String> {
        let offset =
            if self.one_in(4)? { format!("{}:", self.offset(target)?) } else { String::new() };
        let letters =
            self.choose(&["", "", "", "::i", "::f", "::w", "::wa", "::fw", "::iwfa", "::a"])?;
        // What modifiers do to nibbles and negation has its own cases.
        let pattern = self.pattern(letters.is_empty())?;
        Ok(format!("{offset}{pattern}{letters}"))
    }

    fn offset(&mut self, target: &str) -> Result<String> {
        if is_program(target) && self.one_in(2)? {
            let shift = match self.up_to(0, 3)? {
                0 => String::new(),
                1 => format!(",{}", self.up_to(0, 40)?),
                _ => format!(",{}", self.up_to(0, 4000)?),
            };
            let (index, by) =
                (self.choose(&[0, 0, 0, 1, 1, 2, 3, 4])?, self.choose(&[0, 0, 0, 1, 6, 40])?);
            return Ok(match self.up_to(0, 6)? {
                0 | 1 => format!("EP+{by}{shift}"),
                2 => format!("EP-{by}{shift}"),
                3 => format!("S{index}+{by}{shift}"),
                4 => format!("SL+{by}{shift}"),
                5 if target == "1" => "VI".to_owned(),
                _ => format!("SE{index}{shift}"),
            });
        }
        Ok(match self.up_to(0, 9)? {
            0 => self.up_to(4, 30)?.to_string(),
            1 => format!("{},{}", self.up_to(0, 20)?, self.up_to(0, 20)?),
            2 => format!("EOF-{},{}", self.up_to(1, 40)?, self.up_to(0, 20)?),
            _ => "*".to_owned(),
        })
    }

    fn pattern(&mut self, negation: bool) -> Result<String> {
        let (mut text, mut whole) = (String::new(), Vec::new());
        let n_parts = self.choose(&[1, 1, 1, 2, 2, 3])?;
        for index in 0..n_parts {
            if index > 0 {
                let (low, high) = (self.up_to(0, 4)?, self.up_to(0, 8)?);
                whole.extend(std::iter::repeat_n(b'.', low));
                text.push_str(&match self.up_to(0, 9)? {
                    0..=2 => "*".to_owned(),
                    3 => format!("{{{low}}}"),
                    4 => format!("{{-{high}}}"),
                    5 => format!("{{{low}-}}"),
                    _ => format!("{{{low}-{}}}", low + high),
                });
            }
            let (part, example) = self.part(negation)?;
            text.push_str(&part);
            whole.extend_from_slice(&example);
            self.pieces.push(example);
        }
        self.wholes.push(whole);
        Ok(text)
    }

    fn part(&mut self, negation: bool) -> Result<(String, Vec<u8>)> {
        let (mut text, mut example) = (String::new(), Vec::new());
        let mut anchored = false;
        if self.one_in(10)? {
            let (low, high) = (self.up_to(0, 3)?, self.up_to(0, 3)?);
            self.byte(&mut text, &mut example)?;
            text.push_str(&format!("[{low}-{}]", low + high));
            example.extend(std::iter::repeat_n(b'x', low));
            anchored = true;
        }
        if self.one_in(8)? {
            self.class(&mut text, &mut example)?;
        }
        // What a part needs first, so that most of them load.
        for _ in 0..self.choose(&[0, 0, 0, 1, 1, 2])? {
            self.element(&mut text, &mut example, negation)?;
        }
        for _ in 0..self.choose(&[2, 2, 3, 3, 4])? {
            self.byte(&mut text, &mut example)?;
        }
        for _ in 0..self.choose(&[0, 1, 1, 2, 2, 3])? {
            self.element(&mut text, &mut example, negation)?;
        }
        if self.one_in(8)? {
            self.class(&mut text, &mut example)?;
        } else if !anchored && self.one_in(10)? {
            let (low, high) = (self.up_to(0, 3)?, self.up_to(0, 3)?);
            text.push_str(&format!("[{low}-{}]", low + high));
            example.extend(std::iter::repeat_n(b'x', low));
            self.byte(&mut text, &mut example)?;
        }
        Ok((text, example))
    }

    fn byte(&mut self, text: &mut String, example: &mut Vec<u8>) -> Result<()> {
        let byte = self.choose(ALPHABET)?;
        text.push_str(&format!("{byte:02x}"));
        example.push(byte);
        Ok(())
    }

    fn class(&mut self, text: &mut String, example: &mut Vec<u8>) -> Result<()> {
        text.push_str(self.choose(&["(B)", "(L)", "(W)", "!(B)", "!(W)", "!(L)"])?);
        let byte: &[u8] = self.choose(&[b" ".as_slice(), b"-", b"\n", b"\r\n", b"a"])?;
        example.extend(byte);
        Ok(())
    }

    fn element(&mut self, text: &mut String, example: &mut Vec<u8>, negation: bool) -> Result<()> {
        let byte = self.choose(ALPHABET)?;
        match self.up_to(0, 11)? {
            0 | 1 => self.byte(text, example)?,
            2 | 3 => {
                text.push_str("??");
                example.push(byte);
            }
            4 => {
                text.push_str(&format!("{:x}?", byte >> 4));
                example.push(byte);
            }
            5 => {
                text.push_str(&format!("?{:x}", byte & 15));
                example.push(byte);
            }
            6 => {
                let n = self.up_to(1, 3)?;
                text.push_str(&format!("{{{n}}}"));
                example.extend(std::iter::repeat_n(byte, n));
            }
            7 => self.class(text, example)?,
            8 | 9 => {
                let length = self.up_to(1, 2)?;
                let negated = negation && self.one_in(3)?;
                text.push_str(if negated { "!(" } else { "(" });
                let n_branches = self.up_to(1, 3)?;
                let mut branches = Vec::new();
                for _ in 0..n_branches {
                    let mut branch = Vec::new();
                    for _ in 0..length {
                        self.byte(text, &mut branch)?;
                    }
                    text.push('|');
                    branches.push(branch);
                }
                text.pop();
                text.push(')');
                let chosen = self.choose(&branches)?;
                example.extend(if negated { b"xx"[..length].to_vec() } else { chosen });
            }
            _ => {
                let chosen = self.alternate(text, 2)?;
                example.extend(chosen);
            }
        }
        Ok(())
    }

    /// An alternate of any kind; gives one thing that it matches.
    fn alternate(&mut self, text: &mut String, depth: usize) -> Result<Vec<u8>> {
        text.push('(');
        let start = text.len();
        let mut branches = Vec::new();
        for index in 0..self.up_to(1, 3)? {
            // Which lines clamscan refuses for an empty branch after a nested
            // one cannot be told in words, so there are none.
            let least = usize::from(index == 0 || text[start..].contains('('));
            if index > 0 {
                text.push('|');
            }
            let mut branch = Vec::new();
            for _ in 0..self.up_to(least, 3)? {
                match self.up_to(0, 7)? {
                    0 => {
                        text.push_str("??");
                        branch.push(b'x');
                    }
                    1 => {
                        text.push_str("6?");
                        branch.push(b'a');
                    }
                    2 if depth > 0 => branch.extend(self.alternate(text, depth - 1)?),
                    _ => self.byte(text, &mut branch)?,
                }
            }
            branches.push(branch);
        }
        text.push(')');
        self.choose(&branches)
    }

    /// An expression over subsignatures `0..n_subs`.
    fn expression(&mut self, n_subs: usize, depth: usize) -> Result<String> {
        let mut text = String::new();
        for index in 0..self.up_to(1, 3)? {
            if index > 0 {
                text.push_str(self.choose(&["&", "|"])?);
            }
            if depth > 0 && self.one_in(3)? {
                let inside = self.expression(n_subs, depth - 1)?;
                // Only a group with an operator of its own may be compared.
                let own = self::has_own_operator(&inside);
                let comparison = if own { self.comparison()? } else { String::new() };
                text.push_str(&format!("({inside}){comparison}"));
            } else {
                let id = self.up_to(0, n_subs - 1)?;
                text.push_str(&format!("{id}{}", self.comparison()?));
            }
        }
        Ok(text)
    }

    fn comparison(&mut self) -> Result<String> {
        let (sign, hits) = (self.choose(&["=", ">", "<"])?, self.up_to(0, 4)?);
        Ok(match self.up_to(0, 6)? {
            0 | 1 => format!("{sign}{hits}"),
            2 => format!("{sign}{hits},{}", self.up_to(0, 3)?),
            _ => String::new(),
        })
    }

    /// Spoils a line now and then.
    fn damage(&mut self, mut line: String) -> Result<String> {
        if !self.one_in(24)? {
            return Ok(line);
        }
        // All lines are ASCII, so every index is a boundary.
        let at = self.up_to(0, line.len() - 1)?;
        match self.up_to(0, 2)? {
            0 => {
                line.remove(at);
            }
            1 => line.insert(at, self.choose(&['(', ')', '{', '}', '*', ':', '?', '6', '|', '-'])?),
            _ => line.truncate(at.max(1)),
        }
        Ok(line)
    }

    /// A program around the haystack, if the target asks for one, and hashes of
    /// parts of it. Its headers lie now and then.
    fn program(&mut self, inside: Vec<u8>) -> Result<Program> {
        let at = self.choose(&[0x400, 0x400, 0x410, 0x500])?;
        let lengths = [inside.len() as u32, 0x200, 0x30, 0, 0x9000];
        let mut places = vec![(at, self.choose(&[lengths[0], lengths[0], 0x200, 0x9000])?)];
        for _ in 0..self.up_to(0, 2)? {
            let offset = at + self.choose(&[0, 0, 6, 0x20, 0x200, 0x5000])?;
            places.push((offset, self.choose(&lengths)?));
        }
        let entry = self.choose(&[0, 0, 0, 0, 2, 6, 0x20, 0x1000, 0x8000])?;
        let placed = vec![(at as usize, inside.clone())];
        let len = at as usize + inside.len() + self.choose(&[0, 0, 3, 0x200])?;
        let (wide, big) = (self.one_in(2)?, self.one_in(2)?);
        let mut file = match self.target {
            1 => return self.pe(&inside, &places, entry, len, placed, wide),
            6 => {
                let sections = places.iter().map(|p| (u64::from(p.0), u64::from(p.1))).collect();
                let segments = vec![(0, 0x70_0000, 0x100), (u64::from(at), 0x80_0000, 0x1000)];
                let entry = 0x80_0000 + u64::from(entry);
                Elf { wide, big, entry, segments, sections, table: 0x200, len, placed }.build()
            }
            9 => {
                let place = |p: &(u32, u32)| (u64::from(p.0) + 0x8000, p.0, u64::from(p.1));
                let sections = places.iter().map(place).collect();
                let entry = big.then_some(0x8000 + at + entry);
                MachO { wide, big, entry, sections, len, placed }.build()
            }
            _ => return Ok((inside, Vec::new())),
        };
        self.spoil(&mut file)?;
        Ok((file, Vec::new()))
    }

    fn pe(
        &mut self,
        inside: &[u8],
        places: &[(u32, u32)],
        entry: u32,
        len: usize,
        placed: Vec<(usize, Vec<u8>)>,
        wide: bool,
    ) -> Result<Program> {
        let section = |(index, &(offset, len)): (usize, &(u32, u32))| PeSection {
            address: 0x1000 * (index as u32 + 1),
            memory_len: len,
            offset,
            len,
        };
        let mut sections: Vec<PeSection> = places.iter().enumerate().map(section).collect();
        // The last one holds tables, behind the haystack.
        let tables_at = len.next_multiple_of(0x200);
        let address = 0x1000 * (sections.len() as u32 + 1);
        let mut tables = imports(
            address,
            &[("Kernel32.DLL", &[Import::Name("ExitProcess"), Import::Number(7)])],
            wide,
        );
        let imports_len = 40;
        tables.resize(tables.len().next_multiple_of(16), 0);
        let resources_at = address + tables.len() as u32;
        let text: String =
            inside.iter().filter(|b| b.is_ascii_graphic()).map(|&b| char::from(b)).collect();
        let info = version_info(&[("CompanyName", "x"), (&text, &text)]);
        tables.extend(resources(resources_at, &[(16, 1, info)]));
        let len = tables.len() as u32;
        sections.push(PeSection { address, memory_len: len, offset: tables_at as u32, len });
        let mut directories = [(0, 0); 16];
        directories[1] = (address, imports_len);
        directories[2] = (resources_at, 0x100);
        let mut pe = Pe {
            wide,
            entry: 0x1000 + entry,
            file_alignment: self.choose(&[0x200, 0x200, 0x10, 0x1000, 0x300, 0])?,
            section_alignment: self.choose(&[0x1000, 0x1000, 0x200, 0])?,
            header_len: self.choose(&[0x400, 0x400, 0x400, 0x2000, 0])?,
            sections,
            directories,
            len: tables_at + tables.len(),
            placed,
            ..Pe::default()
        };
        pe.place(tables_at, &tables);
        let mut file = pe.build();
        self.spoil(&mut file)?;
        let mut files = Vec::new();
        if self.one_in(2)? {
            let mut lines = Vec::new();
            for section in &pe.sections {
                let start = (section.offset as usize & !0x1ff).min(file.len());
                let end = (start + (section.len as usize).next_multiple_of(0x200)).min(file.len());
                let [md5, sha1, _] = Digests::of(&file[start..end]).to_hex();
                lines.push(format!("{}:{md5}:Test.Section", (end - start).max(1)));
                lines.push(format!("*:{sha1}:Test.AnySection:73"));
            }
            files.push(("case.mdb".to_owned(), lines.join("\n")));
            let text = b"kernel32.exitprocess,kernel32.ord7";
            let [md5, _, sha256] = Digests::of(text).to_hex();
            let lines = format!("{md5}:{}:Test.Imports\n{sha256}:*:Test.AnyImports", text.len());
            files.push(("case.imp".to_owned(), lines));
        }
        Ok((file, files))
    }

    /// Changes bytes of headers now and then.
    fn spoil(&mut self, file: &mut Vec<u8>) -> Result<()> {
        if self.one_in(4)? {
            for _ in 0..self.up_to(1, 3)? {
                let at = self.up_to(4, 0x1f0.min(file.len() - 1))?;
                file[at] = self.u.arbitrary()?;
            }
        }
        if self.one_in(12)? {
            let len = self.up_to(4, file.len())?;
            file.truncate(len);
        }
        Ok(())
    }

    /// Pieces of the patterns, with something between them or nothing.
    fn haystack(&mut self) -> Result<Vec<u8>> {
        let mut haystack = BINARY_MAGIC.to_vec();
        let (pieces, wholes) = (self.pieces.clone(), self.wholes.clone());
        for _ in 0..self.up_to(1, 12)? {
            let from = if self.one_in(2)? { &wholes } else { &pieces };
            let mut piece = self.choose(from)?;
            match self.up_to(0, 9)? {
                0 => piece.truncate(piece.len() / 2),
                1 => piece.make_ascii_uppercase(),
                2 => piece = piece.iter().flat_map(|&byte| [byte, 0]).collect(),
                3 => {
                    if let Some(byte) = piece.last_mut() {
                        *byte = self.choose(FILLING)?;
                    }
                }
                _ => {}
            }
            haystack.extend(piece);
            for _ in 0..self.choose(&[0, 0, 1, 1, 2, 3, 5])? {
                haystack.push(self.choose(FILLING)?);
            }
        }
        // Some end within a pattern, where tails are cut.
        if self.one_in(3)? {
            haystack.extend(self.choose(&wholes)?);
            let cut = self.up_to(0, 4)?;
            haystack.truncate((haystack.len() - cut).max(BINARY_MAGIC.len()));
        }
        Ok(haystack)
    }
}

/// Whether an operator stands outside all parentheses of a group.
fn has_own_operator(inside: &str) -> bool {
    let mut depth = 0_usize;
    inside.bytes().any(|byte| {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        depth == 0 && matches!(byte, b'&' | b'|')
    })
}

/// Whether signatures of this target may speak of entry points and sections.
fn is_program(target: &str) -> bool {
    matches!(target, "1" | "6" | "9")
}
