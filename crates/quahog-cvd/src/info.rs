//! The `.info` member: what a container holds, under one signature.
//!
//! ```text
//! ClamAV-VDB:14 Nov 2023 22-13 +0000:7:1:81:X:X:tester:1700000000
//! mini.ndb:38:01d15963c75aabd49b8d770685d5db70f77f29d88349e16c3915fc51979c2b82
//! DSIG:... 342 digits or fewer
//! ```
//!
//! The first line repeats the header, the others list every member but
//! `COPYING` and the `.info` itself. The DSIG line signs the SHA-256 of every
//! byte before it; a `.cud` has none. Whether the signature and the hashes
//! *hold* is decided in [`Cvd::verify`](crate::Cvd::verify).
//!
//! The grammar is read exactly: no comments, no blank lines, no CR, nothing
//! after the DSIG line, a line feed at the end. Numbers are plain decimals.
//! Reading takes linear time.

use std::collections::HashMap;

use bytes::Bytes;

use crate::Kind;
use crate::archive::{Limits, is_member_name};
use crate::error::{Error, Offset, Rule};
use crate::header::{Header, decimal, hex};

/// What an `.info` member says.
#[derive(Clone, Debug)]
pub struct Info {
    text: Bytes,
    headline: Header,
    files: Vec<Listed>,
    by_name: HashMap<Box<str>, usize>,
    dsig: Option<usize>,
}

/// One line of an `.info`: a member that the container must hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    name: Box<str>,
    size: u64,
    sha256: [u8; 32],
}

impl Info {
    /// Reads the text of the `.info` of a container of this kind.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] with the rule and the byte; [`Error::Untrusted`] for
    /// a DSIG line where none may be, or none where one must be;
    /// [`Error::Limit`] above [`Limits::info_bytes`] or [`Limits::members`].
    pub fn parse(text: Bytes, kind: Kind, limits: &Limits) -> Result<Info, Error> {
        if text.len() as u64 > limits.info_bytes {
            return Err(Error::new(Rule::InfoBytes));
        }
        let mut lines = Lines { text: &text, at: 0 };
        let (_, headline) = lines.next_line()?.ok_or(at(Rule::InfoHeadline, 0))?;
        let headline = match Header::line(headline) {
            Ok(headline) if headline.md5().is_none() && headline.dsig().is_none() => headline,
            Ok(_) => return Err(at(Rule::InfoHeadline, 0)),
            Err((_, position)) => return Err(at(Rule::InfoHeadline, position)),
        };
        let mut files = Vec::new();
        let mut by_name = HashMap::new();
        let mut dsig = None;
        while let Some((start, line)) = lines.next_line()? {
            if dsig.is_some() {
                return Err(at(Rule::InfoAfterDsig, start));
            }
            if line.starts_with(DSIG) {
                if kind == Kind::Cud {
                    return Err(at(Rule::SignedCud, start));
                }
                dsig = Some(start);
                continue;
            }
            // Signed text has one spelling; unsigned text may come from
            // another hand, which likes capitals.
            let listed = Listed::parse(line, kind == Kind::Cud);
            let listed = listed.ok_or_else(|| at(Rule::InfoLine, start))?;
            if files.len() >= limits.members {
                return Err(at(Rule::Members, start));
            }
            if by_name.insert(listed.name.clone(), files.len()).is_some() {
                return Err(at(Rule::InfoDuplicate, start).member(&listed.name));
            }
            files.push(listed);
        }
        if files.is_empty() {
            return Err(Error::new(Rule::InfoEmpty));
        }
        if dsig.is_none() && kind != Kind::Cud {
            return Err(Error::new(Rule::InfoUnsigned));
        }
        Ok(Info { text, headline, files, by_name, dsig })
    }

    /// The whole text, as it stands in the container.
    pub fn text(&self) -> &Bytes {
        &self.text
    }

    /// The first line. Its MD5 and dsig are always `None`.
    pub fn headline(&self) -> &Header {
        &self.headline
    }

    /// The members, in the order of the lines.
    pub fn files(&self) -> &[Listed] {
        &self.files
    }

    /// The line about `name`.
    pub fn file(&self, name: &str) -> Option<&Listed> {
        self.files.get(*self.by_name.get(name)?)
    }

    /// The signed bytes and the digits of the signature on them.
    pub(crate) fn signed(&self) -> Option<(&[u8], &[u8])> {
        let (signed, line) = self.text.split_at_checked(self.dsig?)?;
        Some((signed, line.strip_prefix(DSIG)?.strip_suffix(b"\n")?))
    }
}

impl Listed {
    /// Reads `name:size:sha256`.
    fn parse(line: &[u8], upper: bool) -> Option<Listed> {
        let mut fields = line.split(|b| *b == b':');
        let (name, size, sha256) = (fields.next()?, fields.next()?, fields.next()?);
        if fields.next().is_some() || !is_member_name(name) || name == b"COPYING" {
            return None;
        }
        Some(Listed {
            name: std::str::from_utf8(name).ok()?.into(),
            size: decimal(size).ok()?,
            sha256: hex(sha256, upper)?,
        })
    }

    /// The name of the member.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// SHA-256 of its contents.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }
}

/// Takes lines that end in LF, with the offset of each.
struct Lines<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Lines<'t> {
    fn next_line(&mut self) -> Result<Option<(usize, &'t [u8])>, Error> {
        let start = self.at;
        let rest = self.text.get(start..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let len = memchr::memchr(b'\n', rest).ok_or(at(Rule::InfoEnd, start))?;
        self.at = start + len + 1;
        Ok(rest.get(..len).map(|line| (start, line)))
    }
}

fn at(rule: Rule, offset: usize) -> Error {
    Error::new(rule).at(Offset::Info(offset as u64))
}

const DSIG: &[u8] = b"DSIG:";

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "ClamAV-VDB:14 Nov 2023 22-13 +0000:7:1:81:X:X:tester:1700000000\n";
    const HASH: &str = "01d15963c75aabd49b8d770685d5db70f77f29d88349e16c3915fc51979c2b82";

    fn parse(text: &str, kind: Kind) -> Result<Info, Rule> {
        let text = Bytes::copy_from_slice(text.as_bytes());
        Info::parse(text, kind, &Limits::default()).map_err(|error| error.rule())
    }

    fn cud(lines: &str) -> Result<Info, Rule> {
        parse(&format!("{HEAD}{lines}"), Kind::Cud)
    }

    #[test]
    fn the_lines_are_read() {
        let text = format!("{HEAD}mini.ndb:38:{HASH}\nb.hdb:0:{HASH}\nDSIG:abc\n");
        let info = parse(&text, Kind::Cvd).unwrap();
        assert_eq!(info.headline().version(), 7);
        let names: Vec<_> = info.files().iter().map(Listed::name).collect();
        assert_eq!(names, ["mini.ndb", "b.hdb"]);
        assert_eq!(info.file("mini.ndb").unwrap().size(), 38);
        assert_eq!(info.file("mini.ndb").unwrap().sha256()[..2], [0x01, 0xd1]);
        assert_eq!(info.file("other"), None);
        let (signed, dsig) = info.signed().unwrap();
        assert_eq!(dsig, b"abc");
        assert_eq!(signed, text.split("DSIG").next().unwrap().as_bytes());
    }

    /// I1.
    #[test]
    fn a_headline_and_one_member_at_least_are_demanded() {
        assert_eq!(parse("", Kind::Cud).err(), Some(Rule::InfoHeadline));
        assert_eq!(cud("").err(), Some(Rule::InfoEmpty));
        let line = format!("mini.ndb:38:{HASH}\n");
        assert_eq!(parse(&line, Kind::Cud).err(), Some(Rule::InfoHeadline));
        let valued = format!("{}{line}", HEAD.replace(":X:X:", ":X:abc:"));
        assert_eq!(parse(&valued, Kind::Cud).err(), Some(Rule::InfoHeadline));
    }

    /// I6, I8, I9, and a second headline.
    #[test]
    fn a_line_is_name_size_hash_and_nothing_else() {
        for bad in [
            format!("mini.ndb:+38:{HASH}"),
            format!("mini.ndb:-1:{HASH}"),
            format!("mini.ndb:038:{HASH}"),
            format!("mini.ndb:0x26:{HASH}"),
            format!("mini.ndb::{HASH}"),
            format!("mini.ndb:38 :{HASH}"),
            format!("mini.ndb:99999999999999999999:{HASH}"),
            format!("mini.ndb:38:{}", &HASH[1..]),
            format!("mini.ndb:38:{}g", &HASH[1..]),
            format!("mini.ndb:38:{HASH}0"),
            format!("mini.ndb:38:{HASH}\r"),
            format!("mini.ndb:38:{HASH}:"),
            format!("mini.ndb:38:{HASH}:x"),
            "mini.ndb:38".to_owned(),
            "mini.ndb".to_owned(),
            String::new(),
            " ".to_owned(),
            "# comment".to_owned(),
            format!("# c:1:{HASH}"),
            format!(":1:{HASH}"),
            format!(".hidden:1:{HASH}"),
            format!("..:1:{HASH}"),
            format!("a/b.ndb:1:{HASH}"),
            format!("a b.ndb:1:{HASH}"),
            format!("a\0.ndb:1:{HASH}"),
            format!("{}:1:{HASH}", "a".repeat(100)),
            format!("COPYING:1:{HASH}"),
            HEAD.trim_end().to_owned(),
        ] {
            assert_eq!(cud(&format!("{bad}\n")).err(), Some(Rule::InfoLine), "{bad:?}");
        }
        assert!(cud(&format!("{}:1:{HASH}\n", "a".repeat(99))).is_ok());
    }

    /// I7.
    #[test]
    fn an_upper_case_hash_is_for_unsigned_text_only() {
        let line = format!("mini.ndb:38:{}\n", HASH.to_uppercase());
        assert_eq!(cud(&line).unwrap().files()[0].sha256()[0], 0x01);
        for kind in [Kind::Cvd, Kind::Cld] {
            let text = format!("{HEAD}{line}DSIG:abc\n");
            assert_eq!(parse(&text, kind).err(), Some(Rule::InfoLine));
        }
    }

    /// I10.
    #[test]
    fn the_last_line_ends_in_a_line_feed() {
        assert_eq!(cud(&format!("mini.ndb:38:{HASH}")).err(), Some(Rule::InfoEnd));
        assert_eq!(parse(HEAD.trim_end(), Kind::Cud).err(), Some(Rule::InfoEnd));
    }

    /// I11.
    #[test]
    fn a_name_is_listed_once() {
        let lines = format!("a.ndb:1:{HASH}\nb.ndb:1:{HASH}\na.ndb:1:{HASH}\n");
        assert_eq!(cud(&lines).err(), Some(Rule::InfoDuplicate));
    }

    /// I17 to I19.
    #[test]
    fn the_dsig_line_is_last_and_stands_where_it_must() {
        let line = format!("mini.ndb:38:{HASH}\n");
        for kind in [Kind::Cvd, Kind::Cld] {
            let rule = |tail: &str| parse(&format!("{HEAD}{line}{tail}"), kind).err();
            assert_eq!(rule("DSIG:abc\n"), None);
            assert_eq!(rule(""), Some(Rule::InfoUnsigned));
            assert_eq!(rule("DSIG:abc\n\n"), Some(Rule::InfoAfterDsig));
            assert_eq!(rule("DSIG:abc\nDSIG:abc\n"), Some(Rule::InfoAfterDsig));
            assert_eq!(rule(&format!("DSIG:abc\n{line}")), Some(Rule::InfoAfterDsig));
        }
        assert_eq!(cud(&format!("{line}DSIG:abc\n")).err(), Some(Rule::SignedCud));
    }

    #[test]
    fn the_number_of_lines_and_bytes_is_bounded() {
        let text = format!("{HEAD}a:1:{HASH}\nb:1:{HASH}\n");
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        let rule = |limits| Info::parse(bytes.clone(), Kind::Cud, &limits).map_err(|e| e.rule());
        let few = Limits { members: 1, ..Limits::default() };
        assert_eq!(rule(few).err(), Some(Rule::Members));
        let small = Limits { info_bytes: text.len() as u64 - 1, ..Limits::default() };
        assert_eq!(rule(small).err(), Some(Rule::InfoBytes));
        let exact = Limits { info_bytes: text.len() as u64, members: 2, ..Limits::default() };
        assert!(rule(exact).is_ok());
    }
}
