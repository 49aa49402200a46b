//! Container metadata, phishing lists, feature switches, passwords.

use super::{Admission, MAX_ARENA, MAX_ROWS, NumberedLine, SetBuilder, Skip};
use crate::ast::{self, Certificate, Container, Feature, Field, Password, Phishing, ZipRar};
use crate::body;
use crate::ere;
use crate::model::lists::{ContainerRow, PasswordRow, RegexRow};
use crate::model::set::{CertificateRow, CodeRange};
use crate::model::{FileType, SizeRange, UrlAlert};
use crate::{Error, ErrorKind, Format};

/// How large all regular expressions of a set may be, written out: about
/// 40 bytes each of the memory of an engine.
const MAX_TOTAL_EXPANSION: usize = 4_000_000;

/// The most numbers of the list of addresses.
const MAX_URLS: usize = 1 << 26;

/// The longest password.
const MAX_PASSWORD: usize = 1_024;

impl SetBuilder {
    pub(super) fn container(
        &mut self,
        line: NumberedLine<'_>,
        record: &Container<'_>,
    ) -> Result<Admission, Error> {
        for level in [record.min_level, record.max_level].into_iter().flatten() {
            level.number(ErrorKind::Level)?;
        }
        let file_type = match record.file_type.text {
            b"*" => None,
            text => match FileType::from_name(text) {
                Some(FileType::ANY) => None,
                Some(file_type) => Some(file_type),
                None => return Err(record.file_type.error(ErrorKind::FileTypeUnknown)),
            },
        };
        let name = match self.name(line, record.name)? {
            Ok(name) => name,
            Err(skip) => return Ok(Admission::Skipped(skip)),
        };
        let row = ContainerRow {
            file_type,
            container_size: range(record.container_size)?,
            packed_size: range(record.packed_size)?,
            size: range(record.size)?,
            encrypted: flag(record.encrypted)?,
            position: range(record.position)?,
            pattern: self.name_pattern(record.pattern)?,
        };
        self.columns.containers.push(row);
        self.columns.container_rows.push(name, self.columns.sources.len() - 1, line.number);
        Ok(Admission::Admitted)
    }

    pub(super) fn zip_rar(
        &mut self,
        line: NumberedLine<'_>,
        record: &ZipRar<'_>,
    ) -> Result<Admission, Error> {
        let name = match self.name(line, record.name)? {
            Ok(name) => name,
            Err(skip) => return Ok(Admission::Skipped(skip)),
        };
        // The checksum is not compared (clamscan 1.4.6), only counted.
        if record.crc32.text != b"*" && !record.crc32.text.len().is_multiple_of(2) {
            return Err(record.crc32.error(ErrorKind::HexDigit));
        }
        let number = |field: Field<'_>| match field.text {
            b"*" => Ok(SizeRange::Any),
            _ => Ok(SizeRange::Exactly(field.number(ErrorKind::ExpectedNumber)?.into())),
        };
        for field in [record.method, record.depth] {
            number(field)?;
        }
        let rar = line.format == Format::Rmd;
        let row = ContainerRow {
            file_type: Some(if rar { FileType::RAR } else { FileType::ZIP }),
            container_size: SizeRange::Any,
            packed_size: number(record.packed_size)?,
            size: number(record.size)?,
            encrypted: flag(record.encrypted)?,
            position: number(record.position)?,
            pattern: self.name_pattern(record.pattern)?,
        };
        self.columns.containers.push(row);
        self.columns.container_rows.push(name, self.columns.sources.len() - 1, line.number);
        Ok(Admission::Admitted)
    }

    fn name_pattern(&mut self, pattern: Field<'_>) -> Result<Option<RegexRow>, Error> {
        match pattern.text {
            b"*" => Ok(None),
            _ => self.regex(pattern, pattern, b"").map(|(row, _)| Some(row)),
        }
    }

    /// Translates the expression in `part`, a field that is `whole` in its line.
    fn regex(
        &mut self,
        part: Field<'_>,
        whole: Field<'_>,
        tail: &[u8],
    ) -> Result<(RegexRow, bool), Error> {
        let start = self.columns.code.len();
        let result = ere::translate(part, self.columns.code.to_mut());
        let code = CodeRange::new(start, self.columns.code.len() + tail.len());
        self.columns.code.to_mut().extend_from_slice(tail);
        let translated = result?;
        let expansion = self.expansion.saturating_add(translated.expansion);
        if expansion > MAX_TOTAL_EXPANSION {
            return Err(whole.error(ErrorKind::Unsupported("so many regular expressions")));
        }
        self.expansion = expansion;
        Ok((RegexRow { code, expansion: translated.expansion }, translated.has_fixed_end))
    }

    pub(super) fn phishing(
        &mut self,
        line: NumberedLine<'_>,
        record: &Phishing<'_>,
    ) -> Result<Admission, Error> {
        let columns = &self.columns.phishing;
        if self.columns.code.len() > MAX_ARENA
            || columns.len() >= MAX_ROWS
            || columns.url_digests.len() >= MAX_URLS
        {
            return Err(record.content.error(ErrorKind::Unsupported("a set of this size")));
        }
        let allow = line.format == Format::Wdb;
        match record.kind.text.first() {
            Some(b'R') if !allow => {
                let row = self.pair_pattern(record.content)?;
                self.columns.phishing.watched.push(row);
            }
            Some(b'H') if !allow => {
                let host = self.host(record.content)?;
                self.columns.phishing.watched_hosts.push(host);
            }
            Some(b'S') if !allow => return self.url(record),
            Some(b'X' | b'Y') if allow => {
                let row = self.pair_pattern(record.content)?;
                self.columns.phishing.allowed.push(row);
            }
            Some(b'M') if allow => {
                let hosts = self.host(record.content)?;
                self.columns.phishing.allowed_hosts.push(hosts);
            }
            _ => return Err(record.kind.error(ErrorKind::PhishingKind)),
        }
        Ok(Admission::Admitted)
    }

    /// An expression for `real:shown/`. Where it ends in an optional path,
    /// that is cut off; a `/` is appended (clamscan 1.4.6).
    fn pair_pattern(&mut self, content: Field<'_>) -> Result<RegexRow, Error> {
        let end = content.text.strip_suffix(b"([/?].*)?").unwrap_or(content.text).len();
        // A backslash at the end then stands before that `/`, which it may.
        let escaped = content.text[..end].iter().rev().take_while(|&&b| b == b'\\').count() % 2;
        let part = content.slice(0, end - escaped);
        let (row, has_fixed_end) = self.regex(part, content, b"/")?;
        if !has_fixed_end {
            return Err(content.error(ErrorKind::Regex("nothing definite at the end")));
        }
        Ok(row)
    }

    fn host(&mut self, content: Field<'_>) -> Result<CodeRange, Error> {
        if content.text.is_empty() {
            return Err(content.error(ErrorKind::NameEmpty));
        }
        let start = self.columns.code.len();
        self.columns.code.to_mut().extend_from_slice(content.text);
        Ok(CodeRange::new(start, self.columns.code.len()))
    }

    /// `S:F:digest` and the like; of a shorter digest nothing comes.
    fn url(&mut self, record: &Phishing<'_>) -> Result<Admission, Error> {
        let alert = match record.kind.text {
            b"S1" => UrlAlert::Blocked,
            b"S2" => UrlAlert::Phishing,
            _ => UrlAlert::Malware,
        };
        let alert = match record.content.text {
            [b'F', b':', ..] => Some(alert),
            [b'W', b':', ..] => Some(UrlAlert::Allowed),
            // Prefixes, which are no longer needed to find the digests.
            [b'P', b':', ..] => None,
            _ => return Err(record.content.error(ErrorKind::PhishingKind)),
        };
        let digits = record.content.slice(2, record.content.text.len());
        if !digits.text.iter().all(u8::is_ascii_hexdigit) || digits.text.is_empty() {
            return Err(digits.error(ErrorKind::HexDigit));
        }
        let mut digest = [0; 32];
        let (Some(alert), true) = (alert, body::decode_hex(digits.text, &mut digest)) else {
            return Ok(Admission::Skipped(Skip::Unused));
        };
        self.columns.phishing.url_digests.push(digest);
        self.columns.phishing.url_alerts.push(alert);
        Ok(Admission::Admitted)
    }

    /// Of all feature switches, one has a meaning here: whether links are
    /// looked at.
    pub(super) fn feature(&mut self, record: &Feature<'_>) -> Result<Admission, Error> {
        let flags = record.flags.text.strip_prefix(b"0x").filter(|digits| !digits.is_empty());
        let flags = flags.and_then(|digits| std::str::from_utf8(digits).ok());
        let Some(Ok(flags)) = flags.map(|digits| u32::from_str_radix(digits, 16)) else {
            return Err(record.flags.error(ErrorKind::Flag));
        };
        if record.category.text != b"PHISHING" {
            return Ok(Admission::Skipped(Skip::Unused));
        }
        self.columns.phishing.is_off = flags & 1 == 0;
        Ok(Admission::Admitted)
    }

    /// A rule for certificates of programs. Those that block are admitted; to
    /// trust what a certificate signs, its signature would have to be verified,
    /// and nobody here does.
    pub(super) fn certificate(
        &mut self,
        line: NumberedLine<'_>,
        record: &Certificate<'_>,
    ) -> Result<Admission, Error> {
        let fields = record.fields.as_slice();
        let [name, trusted, subject, serial, modulus, exponent, code, time, sign, ..] = *fields
        else {
            return Ok(Admission::Skipped(Skip::Unused));
        };
        for field in [code, time, sign] {
            flag(field)?;
        }
        for field in fields.iter().skip(11) {
            field.number(ErrorKind::Level)?;
        }
        let trusted_flag = flag(trusted)?;
        let row = CertificateRow {
            subject: sha1(subject)?,
            serial: sha1(serial)?,
            modulus: self.number(modulus)?,
            exponent: self.number(exponent)?,
        };
        let name = match self.name(line, name)? {
            Ok(name) => name,
            Err(skip) => return Ok(Admission::Skipped(skip)),
        };
        if trusted_flag != Some(false) {
            let what = "a rule that trusts what a certificate signs";
            return Err(trusted.error(ErrorKind::Unsupported(what)));
        }
        if row.subject.is_none() && row.serial.is_none() && modulus.text.is_empty() {
            return Err(subject.error(ErrorKind::HashLength));
        }
        self.columns.certificates.push(row);
        self.columns.certificate_rows.push(name, self.columns.sources.len() - 1, line.number);
        Ok(Admission::Admitted)
    }

    /// A long number in hexadecimal, without leading zeros.
    fn number(&mut self, field: Field<'_>) -> Result<CodeRange, Error> {
        let mut bytes = vec![0; field.text.len() / 2];
        if !field.text.len().is_multiple_of(2) || !body::decode_hex(field.text, &mut bytes) {
            return Err(field.error(ErrorKind::HexDigit));
        }
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        let start = self.columns.code.len();
        self.columns.code.to_mut().extend_from_slice(&bytes[zeros..]);
        Ok(CodeRange::new(start, self.columns.code.len()))
    }

    pub(super) fn password(&mut self, record: &Password<'_>) -> Result<Admission, Error> {
        let mut file_type = None;
        for attribute in record.attributes() {
            let (key, value) = attribute?;
            match key.text {
                b"Engine" | b"Target" | b"FileSize" => {}
                b"Container" => {
                    file_type = match FileType::from_name(value.text) {
                        Some(FileType::ANY) => None,
                        Some(known @ (FileType::ZIP | FileType::RAR)) => Some(known),
                        _ => return Err(value.error(ErrorKind::AttributeTarget)),
                    };
                }
                _ => return Err(key.error(ErrorKind::AttributeUnknown)),
            }
        }
        let text = record.password.text;
        let start = self.columns.code.len();
        match record.kind.text {
            b"0" => self.columns.code.to_mut().extend_from_slice(text),
            b"1" if text.len().is_multiple_of(2) => {
                let mut bytes = vec![0; text.len() / 2];
                if !body::decode_hex(text, &mut bytes) {
                    return Err(record.password.error(ErrorKind::HexDigit));
                }
                self.columns.code.to_mut().extend_from_slice(&bytes);
            }
            _ => return Err(record.password.error(ErrorKind::Password)),
        }
        let code = CodeRange::new(start, self.columns.code.len());
        if code.of(&self.columns.code).len() > MAX_PASSWORD {
            return Err(record.password.error(ErrorKind::Password));
        }
        self.columns.passwords.push(PasswordRow { file_type, code });
        Ok(Admission::Admitted)
    }
}

/// Reads a SHA-1, or nothing.
fn sha1(field: Field<'_>) -> Result<Option<[u8; 20]>, Error> {
    let mut digest = [0; 20];
    match field.text.len() {
        0 => Ok(None),
        40 if body::decode_hex(field.text, &mut digest) => Ok(Some(digest)),
        40 => Err(field.error(ErrorKind::HexDigit)),
        _ => Err(field.error(ErrorKind::HashLength)),
    }
}

/// Reads `*`, `n` or `n-m`; in a range a 0 is an open end, unless both are.
fn range(field: Field<'_>) -> Result<SizeRange, Error> {
    if field.text == b"*" {
        return Ok(SizeRange::Any);
    }
    let number = |text: &[u8]| {
        let number = ast::number(text).ok_or(field.error(ErrorKind::ExpectedNumber))?;
        Ok(u64::from(number))
    };
    let mut ends = field.text.split(|&b| b == b'-');
    let (first, second) = (ends.next().unwrap_or_default(), ends.next());
    let low = number(first)?;
    let Some(second) = second else {
        let any = low == u64::from(u32::MAX);
        return Ok(if any { SizeRange::Any } else { SizeRange::Exactly(low) });
    };
    if first.is_empty() || second.is_empty() {
        return Err(field.error(ErrorKind::ExpectedNumber));
    }
    Ok(match (low, number(second)?) {
        (low, high) if low == high => SizeRange::Exactly(low),
        (low, 0) => SizeRange::Between(low, u64::MAX),
        (low, high) => SizeRange::Between(low, high),
    })
}

/// Reads `*`, `0` or `1`.
fn flag(field: Field<'_>) -> Result<Option<bool>, Error> {
    match field.text {
        b"*" => Ok(None),
        b"0" => Ok(Some(false)),
        b"1" => Ok(Some(true)),
        _ => Err(field.error(ErrorKind::Flag)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(format: Format, line: &str) -> Result<Admission, &'static str> {
        SetBuilder::new().line(format, 1, line.as_bytes()).map_err(|e| e.kind().code())
    }

    #[test]
    fn ranges_are_open_where_they_are_0() {
        let cdb = |size: &str| {
            let mut builder = SetBuilder::new();
            let line = format!("A:*:{size}:a:*:*:*:*:*:*");
            let admission = builder.line(Format::Cdb, 1, line.as_bytes());
            admission.map_err(|e| e.kind().code())?;
            let set = builder.finish();
            let range = set.containers().next().map(|c| c.container_size);
            range.ok_or("none")
        };
        assert_eq!(cdb("*"), Ok(SizeRange::Any));
        assert_eq!(cdb(""), Ok(SizeRange::Exactly(0)));
        assert_eq!(cdb("7"), Ok(SizeRange::Exactly(7)));
        assert_eq!(cdb("0-0"), Ok(SizeRange::Exactly(0)));
        assert_eq!(cdb("7-9"), Ok(SizeRange::Between(7, 9)));
        assert_eq!(cdb("7-0"), Ok(SizeRange::Between(7, u64::MAX)));
        assert_eq!(cdb("0-7"), Ok(SizeRange::Between(0, 7)));
        for bad in ["7-", "-7", "x", "1-x", "0x7", " 7"] {
            assert_eq!(cdb(bad), Err("expected-number"), "{bad}");
        }
    }

    #[test]
    fn container_lines() {
        use Admission::{Admitted, Skipped};
        assert_eq!(admit(Format::Cdb, "A:CL_TYPE_ZIP:*:a:*:*:1:1-2:x:"), Ok(Admitted));
        assert_eq!(admit(Format::Cdb, "A:*:*:*:*:*:*:*:*:*:17:216"), Ok(Admitted));
        assert_eq!(admit(Format::Cdb, "A:*:*:*:*:*:*:*:*:*:300"), Ok(Skipped(Skip::Newer)));
        assert_eq!(admit(Format::Cdb, "A:*:*:*:*:*:*:*:*:*:a"), Err("level"));
        assert_eq!(admit(Format::Cdb, "A:ZIP:*:a:*:*:*:*:*:*"), Err("file-type-unknown"));
        assert_eq!(admit(Format::Cdb, "A:*:*:a(:*:*:*:*:*:*"), Err("regex"));
        assert_eq!(admit(Format::Cdb, "A:*:*::*:*:*:*:*:*"), Err("regex"));
        assert_eq!(admit(Format::Cdb, "A:*:*:a:*:*:2:*:*:*"), Err("flag"));
        assert_eq!(admit(Format::Cdb, ":*:*:a:*:*:*:*:*:*"), Err("name-empty"));
        assert_eq!(admit(Format::Zmd, "A:0:a:1:*:00000000:*:1:*"), Ok(Admitted));
        assert_eq!(admit(Format::Zmd, "A:0:a:1-2:*:*:*:1:*"), Err("expected-number"));
        assert_eq!(admit(Format::Rmd, "A:0:a:1:*:123:*:1:*"), Err("hex-digit"));
    }

    #[test]
    fn phishing_lines() {
        use Admission::{Admitted, Skipped};
        for (format, line, expected) in [
            (Format::Pdb, "H:bank.com", Ok(Admitted)),
            (Format::Gdb, "H:bank.com", Ok(Admitted)),
            (Format::Pdb, "HX:bank.com:17-216", Ok(Admitted)),
            (Format::Pdb, "H:bank.com:17-20", Ok(Skipped(Skip::Obsolete))),
            (Format::Pdb, "R:.+\\.bank\\.com([/?].*)?", Ok(Admitted)),
            (Format::Pdb, "R:bank\\.com\\", Ok(Admitted)),
            (Format::Pdb, "R:.+", Err("regex")),
            (Format::Pdb, "R:bank(\\.au)?", Err("regex")),
            (Format::Pdb, "R:[a-z]+", Err("regex")),
            (Format::Pdb, "R:com+", Ok(Admitted)),
            (Format::Pdb, "H:", Err("name-empty")),
            (Format::Pdb, "M:a:b", Err("phishing-kind")),
            (Format::Wdb, "M:a:b", Ok(Admitted)),
            (Format::Wdb, "X:.+a:.+b", Ok(Admitted)),
            (Format::Wdb, "H:a", Err("phishing-kind")),
            (Format::Wdb, "a", Err("field-count")),
            (Format::Gdb, "S:P:00", Ok(Skipped(Skip::Unused))),
            (Format::Gdb, "S:F:00", Ok(Skipped(Skip::Unused))),
            (Format::Gdb, "S:F:zz", Err("hex-digit")),
            (Format::Gdb, "S:Q:00", Err("phishing-kind")),
        ] {
            assert_eq!(admit(format, line), expected, "{line}");
        }
        let digest = "0".repeat(64);
        assert_eq!(admit(Format::Gdb, &format!("S1:F:{digest}:17-")), Ok(Admitted));
    }

    #[test]
    fn settings_lines() {
        use Admission::{Admitted, Skipped};
        for (format, line, expected) in [
            (Format::Cfg, "PHISHING:0x0", Ok(Admitted)),
            (Format::Cfg, "PE:0x1:a", Ok(Skipped(Skip::Unused))),
            (Format::Cfg, "PE:0x1:13:23", Ok(Skipped(Skip::Obsolete))),
            (Format::Cfg, "PE:1", Err("flag")),
            (Format::Pwdb, "N;Engine:51-255,Container:CL_TYPE_ZIP;0;infected", Ok(Admitted)),
            (Format::Pwdb, "N;Engine:51-255;1;6161", Ok(Admitted)),
            (Format::Pwdb, "N;Engine:51-255;1;616", Err("password")),
            (Format::Pwdb, "N;Engine:51-255,Container:CL_TYPE_GZ;0;a", Err("attribute-target")),
            (Format::Pwdb, "N;;0;a", Err("attribute")),
            (Format::Pwdb, "N;Engine:300-400;0;a", Ok(Skipped(Skip::Newer))),
            (Format::Crb, "N;1;;;00;010001;1;1;0;0;c", Err("unsupported")),
            (Format::Crb, "N;0;;;00;010001;1;1;0;0;c", Ok(Admitted)),
            (Format::Crb, "N;0;;;;;1;1;0;0;c", Err("hash-length")),
            (Format::Crb, "N;1;a;;00;010001;1;1;0;0;c", Err("hash-length")),
            (Format::Crb, "N;1;a", Err("field-count")),
        ] {
            assert_eq!(admit(format, line), expected, "{line}");
        }
    }

    #[test]
    fn expressions_are_bounded_in_sum() {
        let mut builder = SetBuilder::new();
        let line = b"A:*:*:((a{100}){100}){2}:*:*:*:*:*:*";
        let admitted = (1..).take_while(|&n| builder.line(Format::Cdb, n, line).is_ok()).count();
        assert_eq!(admitted, MAX_TOTAL_EXPANSION / 20_000);
    }
}
