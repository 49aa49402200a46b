//! Signatures in words: what a set says, for people to read.
//!
//! Input is the compiled model, not the text, so the words tell what quahog
//! makes of a line, rewritings and quirks included. Nothing is matched here, and
//! nothing reads the words back.
//!
//! ```
//! use quahog_sig::{Format, SetBuilder, words};
//!
//! let mut builder = SetBuilder::new();
//! builder.line(Format::Ndb, 1, b"Test.Gap:0:EOF-9:6162{2-4}6364").unwrap();
//! let set = builder.finish();
//! let lines = words::of_signature(&set, set.bodies().next().unwrap().id);
//! assert_eq!(lines[1], "start: 9 bytes before the end");
//! assert_eq!(lines[2], "part 1: 61 62 \"ab\"");
//! assert_eq!(lines[3], "part 2, 2 to 4 bytes later: 63 64 \"cd\"");
//! ```

use std::cmp::Ordering;
use std::fmt::Write as _;

use crate::body::{AnchorByte, CharClass, Element, Elements, Gap, Part, Pattern};
use crate::model::{
    Base, Block, ByteCompare, ByteOrder, Comparison, Container, DigestKind, Expression, HashEntry,
    HashedPart, MagicKind, NumberForm, NumberTest, Offset, Op, Pcre, Range, Sign, SizeRange,
    Subsignature, Target, UrlAlert, YaraString,
};
use crate::{SigId, SigKind, SignatureSet};

/// The most bytes of a literal, and branches of an alternate, that are shown.
const SHOWN_BYTES: usize = 64;
const SHOWN_BRANCHES: usize = 16;

/// What kind of signature it is, in a few words.
pub fn kind(kind: SigKind) -> String {
    match kind {
        SigKind::Body => "body signature".to_owned(),
        SigKind::Certificate => "blocked certificate of programs".to_owned(),
        SigKind::Container => "signature of container metadata".to_owned(),
        SigKind::Hash(digest) => format!("{} of a file", digest_name(digest)),
        SigKind::Logical => "logical signature".to_owned(),
        SigKind::PartHash(HashedPart::Imports, digest) => {
            format!("{} of the imports of a PE file", digest_name(digest))
        }
        SigKind::PartHash(HashedPart::Section, digest) => {
            format!("{} of a section of a PE file", digest_name(digest))
        }
        SigKind::Yara => "YARA rule".to_owned(),
    }
}

/// The name of a digest.
pub fn digest_name(kind: DigestKind) -> &'static str {
    match kind {
        DigestKind::Md5 => "MD5",
        DigestKind::Sha1 => "SHA-1",
        DigestKind::Sha256 => "SHA-256",
    }
}

/// What a signature says, a fact a line. An unknown identity says nothing.
pub fn of_signature(set: &SignatureSet, id: SigId) -> Vec<String> {
    let index = id.index();
    let said = match id.kind() {
        SigKind::Body => set.body(index).map(|body| {
            let mut lines = vec![target(body.target), start(body.offset)];
            lines.extend(pattern(body.pattern));
            lines
        }),
        SigKind::Certificate => set.certificates().nth(index).map(|rule| {
            let mut lines = vec!["searched in: the certificates of PE programs".to_owned()];
            lines.extend(certificate(rule.subject, rule.serial, rule.modulus));
            lines
        }),
        SigKind::Container => set.containers().nth(index).map(|entry| container(&entry)),
        SigKind::Hash(kind) => set.hashes(kind).get(index).map(|entry| vec![hash(kind, entry)]),
        SigKind::PartHash(part, kind) => {
            let entry = set.part_hashes(part, kind).get(index);
            entry.map(|entry| vec![hash(kind, entry)])
        }
        SigKind::Logical => set.logical(index).map(|logical| {
            let mut lines = block(logical.block);
            lines.push(format!("condition: {}", expression(logical.expression)));
            for (id, sub) in logical.subsignatures().enumerate() {
                lines.extend(labelled(&format!("[{id}] "), subsignature(sub)));
            }
            if logical.runs_program {
                lines.push("then: runs a program, which quahog does not execute".to_owned());
            }
            lines
        }),
        SigKind::Yara => set.yara_rule(index).map(|rule| {
            let mut lines = vec![target(Target::ANY)];
            let strings = rule.first_string..rule.first_string + rule.n_strings;
            for (number, string) in strings.enumerate() {
                let Some(string) = set.yara_string(string) else { continue };
                lines.extend(labelled(&format!("string {}: ", number + 1), yara_string(string)));
            }
            lines.push(format!("condition: a program of {} steps", rule.condition.steps().count()));
            if rule.private {
                lines.push("it is for other rules, and reports nothing".to_owned());
            }
            lines
        }),
    };
    said.unwrap_or_default()
}

/// What a set says beside its signatures: lists, types, passwords, icons.
pub fn of_lists(set: &SignatureSet) -> Vec<String> {
    let mut lines = Vec::new();
    for kind in DigestKind::ALL {
        let allowed = set.allowed(kind).iter();
        lines.extend(allowed.map(|e| format!("never reports a file with {}", hash(kind, e))));
    }
    for rule in set.trusted() {
        let name = rule.name.escape_ascii();
        lines.push(format!("trusts PE programs that are signed by this certificate ({name})"));
        lines.extend(certificate(rule.subject, rule.serial, rule.modulus));
        let uses = [
            (rule.uses.code, "for signing programs"),
            (rule.uses.time, "for saying when they were signed"),
            (rule.uses.issuing, "for signing other certificates to these ends"),
        ];
        lines.extend(uses.iter().filter(|(is, _)| *is).map(|(_, what)| (*what).to_owned()));
        if rule.not_before > 0 {
            let since = rule.not_before;
            lines.push(format!("for none that is valid from before {since} seconds after 1970"));
        }
    }
    for magic in set.magics() {
        let how = match magic.kind {
            MagicKind::Bytes => "bytes at a fixed place",
            MagicKind::Partition => "bytes that mark a partition",
            MagicKind::Pattern => "a pattern in text, or where nothing else is known",
        };
        lines.push(format!("a file is CL_TYPE_{} by {how}", magic.file_type.name()));
        lines.push(start(magic.offset));
        lines.extend(pattern(magic.pattern));
    }
    let phishing = set.phishing();
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let listed = |verb: &str, what: &str, bytes: &[u8]| format!("{verb} {what} {}", text(bytes));
    lines.extend(phishing.watched().map(|r| listed("watches links `real:shown` by", "/", r.text)));
    lines.extend(phishing.watched_hosts().map(|h| listed("watches links that show", "host", h)));
    lines.extend(phishing.allowed().map(|r| listed("allows links `real:shown` by", "/", r.text)));
    lines.extend(phishing.allowed_hosts().map(|h| listed("allows links between", "hosts", h)));
    for url in phishing.urls() {
        let what = match url.alert {
            UrlAlert::Allowed => "allows",
            UrlAlert::Blocked => "blocks",
            UrlAlert::Malware => "suspects of malware",
            UrlAlert::Phishing => "suspects of phishing",
        };
        lines.push(format!("{what} addresses with SHA-256 {}", hex(url.digest)));
    }
    if phishing.is_off() {
        lines.push("links are not looked at".to_owned());
    }
    for password in set.passwords() {
        let archives = match password.file_type {
            Some(file_type) => format!("CL_TYPE_{}", file_type.name()),
            None => "all".to_owned(),
        };
        lines.push(format!("password for {archives} archives: {}", text(password.bytes)));
    }
    for icon in set.icons() {
        lines.push(format!(
            "an icon of {0} x {0} pixels in the groups {1} and {2}, by its areas of colour, \
             brightness and edges",
            icon.metrics.size,
            text(icon.groups[0]),
            text(icon.groups[1])
        ));
    }
    lines
}

fn certificate(subject: &[u8; 20], serial: Option<&[u8; 20]>, modulus: &[u8]) -> Vec<String> {
    let mut lines = vec![format!("SHA-1 of the subject: {}", hex(subject))];
    lines.extend(serial.map(|digest| format!("SHA-1 of the serial number: {}", hex(digest))));
    lines.push(format!("modulus of the key: {}", literal(modulus)));
    lines
}

fn labelled(label: &str, lines: Vec<String>) -> Vec<String> {
    let indent = " ".repeat(label.len());
    let labels = std::iter::once(label).chain(std::iter::repeat(indent.as_str()));
    labels.zip(lines).map(|(label, line)| format!("{label}{line}")).collect()
}

/// The layers that a target stands for.
pub fn target(target: Target) -> String {
    let what = match target {
        Target::ANY => "every file and view",
        Target::PE => "PE programs",
        Target::OLE2 => "OLE2 documents",
        Target::HTML => "normalised HTML",
        Target::MAIL => "messages as they are",
        Target::GRAPHICS => "pictures",
        Target::ELF => "ELF programs",
        Target::TEXT => "normalised text",
        Target::MACH_O => "Mach-O programs",
        Target::PDF => "PDF documents",
        Target::SWF => "Flash files",
        Target::JAVA => "Java classes",
        Target::OTHER => "binary data of no known type",
        _ => "nothing that quahog hands out",
    };
    format!("searched in: {what} (target {})", target.number())
}

fn start(offset: Offset) -> String {
    format!("start: {}", self::offset(offset))
}

/// Where a match may start.
pub fn offset(offset: Offset) -> String {
    let mut words = match offset.base {
        Base::Any => return "anywhere".to_owned(),
        Base::Macro(group) => return format!("nowhere alone: a member of macro group {group}"),
        Base::VersionInfo => "at a key of the version information".to_owned(),
        Base::Absolute(at) => format!("at byte {at}"),
        Base::End(before) => format!("{before} bytes before the end"),
        Base::Entry(by) => format!("at the entry point {by:+}"),
        Base::Section { index, offset } => format!("{offset} bytes into section {index}"),
        Base::WholeSection(index) => format!("in section {index}"),
        Base::LastSection(offset) => format!("{offset} bytes into the last section"),
    };
    if offset.shift > 0 {
        let _ = write!(words, ", or up to {} bytes later", offset.shift);
    }
    words
}

/// A body pattern, a part a line.
pub fn pattern(pattern: Pattern<'_>) -> Vec<String> {
    let (mut lines, only) = (Vec::new(), pattern.parts().len() == 1);
    for (number, part) in pattern.parts().enumerate() {
        let gap = part.gap.map_or_else(String::new, |gap| format!(", {}", self::gap(gap)));
        let label = if only { "bytes".to_owned() } else { format!("part {}{gap}", number + 1) };
        lines.push(format!("{label}: {}", self::part(part)));
    }
    if pattern.nocase() {
        lines.push("letters match in either case".to_owned());
    }
    lines
}

fn gap(gap: Gap) -> String {
    match (gap.min, gap.max) {
        (0, u32::MAX) => "anywhere later".to_owned(),
        (min, u32::MAX) => format!("{min} or more bytes later"),
        (min, max) if min == max => format!("{min} bytes later"),
        (min, max) => format!("{min} to {max} bytes later"),
    }
}

fn part(part: Part<'_>) -> String {
    let mut words = Vec::new();
    let anchor = |byte: AnchorByte| {
        let AnchorByte { value, mask, min, max } = byte;
        let byte = match mask {
            0xff => format!("{value:02x}"),
            0xf0 => format!("{:x}?", value >> 4),
            0x0f => format!("?{:x}", value & 15),
            _ => "any byte".to_owned(),
        };
        format!("({byte} at a distance of {min} to {max} bytes)")
    };
    words.extend(part.left_byte.map(anchor));
    words.extend(part.left_class.map(|class| format!("(after {})", self::class(class, false))));
    words.push(elements(part.elements()));
    words.extend(
        part.right_class
            .map(|(class, negated)| format!("(before {})", self::class(class, negated))),
    );
    words.extend(part.right_byte.map(anchor));
    words.join(" ")
}

fn class(class: CharClass, negated: bool) -> String {
    let not = if negated { "anything but " } else { "" };
    let what = match class.letter() {
        'B' => "a boundary of a word in a path or address",
        'L' => "an end of line",
        _ => "no letter or digit",
    };
    format!("{not}{what}")
}

fn elements(elements: Elements<'_>) -> String {
    let mut words = Vec::new();
    for element in elements {
        words.push(match element {
            Element::Literal(bytes) => literal(bytes),
            Element::Skip(1) => "any byte".to_owned(),
            Element::Skip(count) => format!("any {count} bytes"),
            Element::High(value) => format!("{:x}?", value >> 4),
            Element::Low(value) => format!("?{:x}", value & 15),
            Element::Class { class, negated } => format!("({})", self::class(class, negated)),
            Element::Set { bytes, negated } => {
                let not = if negated { "none of " } else { "one of " };
                let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("({not}{})", few(&bytes))
            }
            Element::Fixed(alternate) => {
                let not = if alternate.negated { "none of " } else { "one of " };
                let strings: Vec<_> = alternate.strings().map(literal).collect();
                format!("({not}{})", few(&strings))
            }
            Element::Branches(branches) => {
                let branches: Vec<_> = branches.iter().map(self::elements).collect();
                format!("({})", few(&branches))
            }
            // A matter of how ClamAV ends a file, not of what is looked for.
            Element::Cut { .. } => continue,
        });
    }
    words.join(" ")
}

fn few(branches: &[String]) -> String {
    let mut text = branches[..branches.len().min(SHOWN_BRANCHES)].join(" | ");
    if branches.len() > SHOWN_BRANCHES {
        let _ = write!(text, " | and {} more", branches.len() - SHOWN_BRANCHES);
    }
    text
}

fn literal(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(SHOWN_BYTES)];
    let pairs: Vec<_> = shown.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut text = pairs.join(" ");
    let readable = |b: &u8| b.is_ascii_graphic() || *b == b' ';
    if shown.len() > 1 && shown.iter().all(readable) {
        let _ = write!(text, " \"{}\"", String::from_utf8_lossy(shown));
    }
    if bytes.len() > shown.len() {
        let _ = write!(text, " and {} bytes more", bytes.len() - shown.len());
    }
    text
}

fn hash(kind: DigestKind, entry: HashEntry<'_>) -> String {
    let size = match entry.size {
        Some(size) => format!("of {size} bytes"),
        None => "of any size".to_owned(),
    };
    format!("{} {}, {size}", digest_name(kind), hex(entry.digest))
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a layer must be for a logical signature, a condition a line.
pub fn block(block: &Block) -> Vec<String> {
    let range = |what: &str, range: Range| format!("{what}: {} to {}", range.min, range.max);
    let mut lines = vec![target(block.target)];
    lines.extend(block.file_size.map(|r| range("size of the file", r)));
    lines.extend(block.entry_point.map(|r| range("offset of the entry point", r)));
    lines.extend(block.n_sections.map(|r| range("number of sections", r)));
    lines.extend(block.container.map(|t| format!("directly inside: CL_TYPE_{}", t.name())));
    if !block.intermediates.is_empty() {
        let names: Vec<_> = block.intermediates.iter().map(|t| t.name()).collect();
        lines.push(format!("inside, from the outside in: {}", names.join(" > ")));
    }
    for (number, group) in block.icon_groups.iter().enumerate() {
        let Some(group) = group else { continue };
        lines.push(format!("an icon like one of group {}: {}", number + 1, group.escape_ascii()));
    }
    lines.extend(block.handler.map(|t| format!("then scanned as: CL_TYPE_{}", t.name())));
    lines
}

fn comparison(comparison: Comparison) -> String {
    let sign = match comparison.sign {
        Sign::Equal => '=',
        Sign::Less => '<',
        Sign::More => '>',
    };
    format!("{sign} {}", comparison.value)
}

/// A logical expression, with the grouping that ClamAV gives it.
pub fn expression(expression: Expression<'_>) -> String {
    let mut stack: Vec<String> = Vec::new();
    for op in expression.ops() {
        let mut pop = || stack.pop().unwrap_or_default();
        let words = match op {
            Op::Push { id, comparison: None } => format!("[{id}]"),
            Op::Push { id, comparison: Some(c) } => format!("count of [{id}] {}", comparison(c)),
            Op::And | Op::Or => {
                // The right side is compiled first.
                let (left, right) = (pop(), pop());
                let word = if op == Op::And { "and" } else { "or" };
                format!("({left} {word} {right})")
            }
            Op::Group { comparison: c, distinct } => {
                let group = pop();
                let from = if distinct > 0 {
                    format!(" from {distinct} or more of them")
                } else {
                    String::new()
                };
                format!("(count of {group}{from} {})", comparison(c))
            }
        };
        stack.push(words);
    }
    let text = stack.pop().unwrap_or_default();
    // The outermost parentheses tell nothing.
    let inner = text.strip_prefix('(').and_then(|inner| inner.strip_suffix(')'));
    inner.filter(|inner| is_balanced(inner)).unwrap_or(&text).to_owned()
}

fn is_balanced(text: &str) -> bool {
    let mut depth = 0i32;
    text.bytes().all(|byte| {
        depth += i32::from(byte == b'(') - i32::from(byte == b')');
        depth >= 0
    })
}

/// A subsignature, one or more lines.
pub fn subsignature(sub: Subsignature<'_>) -> Vec<String> {
    match sub {
        Subsignature::Hex { offset, pattern, second } => {
            let mut lines = Vec::new();
            if offset != Offset::ANY {
                lines.push(start(offset));
            }
            lines.extend(self::pattern(pattern));
            if let Some(second) = second {
                lines.extend(labelled("or ", self::pattern(second)));
            }
            lines
        }
        Subsignature::ByteCompare(compare) => vec![byte_compare(&compare)],
        Subsignature::FuzzyImage(hash) => {
            vec![format!("a picture with the perceptual hash {hash:016x}")]
        }
        Subsignature::Macro(found) => vec![format!(
            "a member of macro group {}, {} to {} bytes after a hit of the subsignature before",
            found.group, found.min, found.max
        )],
        Subsignature::Pcre(pcre) => self::pcre(&pcre),
    }
}

fn pcre(pcre: &Pcre<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    if pcre.offset != Offset::ANY {
        lines.push(start(pcre.offset));
    }
    let text = pcre.text.escape_ascii();
    lines.push(format!("regular expression: /{text}/{}", pcre.flags.letters()));
    lines.push(format!("it runs if: {}", expression(pcre.trigger)));
    lines
}

fn byte_compare(compare: &ByteCompare) -> String {
    let form = match compare.form {
        Some(NumberForm::Automatic) => "a number in text (0x means hexadecimal)",
        Some(NumberForm::Binary) => "a binary number",
        Some(NumberForm::Decimal) => "a decimal number in text",
        Some(NumberForm::Hexadecimal) => "a hexadecimal number in text",
        None => "a number of no form, which never matches",
    };
    let order = match compare.order {
        Some(ByteOrder::Big) => "big-endian",
        Some(ByteOrder::Little) => "little-endian",
        None => "of no byte order, so it never matches",
    };
    let test = |test: NumberTest| {
        let sign = match test.ordering {
            Ordering::Less => '<',
            Ordering::Equal => '=',
            Ordering::Greater => '>',
        };
        format!("{sign} {}", test.value)
    };
    let exact = if compare.exact { ", nothing else in the field" } else { "" };
    let second = compare.second.map_or_else(String::new, |t| format!(" and {}", test(t)));
    format!(
        "{form} ({order}{exact}) of {} bytes, {:+} bytes from the last hit of [{}], is {}{second}",
        compare.len,
        compare.offset,
        compare.reference,
        test(compare.first)
    )
}

fn yara_string(string: YaraString<'_>) -> Vec<String> {
    match string {
        YaraString::Regex(text) => vec![format!("regular expression /{}/", text.escape_ascii())],
        YaraString::Pattern { pattern, second } => {
            let mut lines = self::pattern(pattern);
            if let Some(second) = second {
                lines.extend(labelled("or ", self::pattern(second)));
            }
            lines
        }
    }
}

fn container(entry: &Container<'_>) -> Vec<String> {
    let range = |range: SizeRange| match range {
        SizeRange::Any => None,
        SizeRange::Exactly(only) => Some(only.to_string()),
        SizeRange::Between(low, u64::MAX) => Some(format!("{low} or more")),
        SizeRange::Between(low, high) => Some(format!("{low} to {high}")),
    };
    let mut lines = vec![match entry.file_type {
        Some(file_type) => format!("entries of: CL_TYPE_{}", file_type.name()),
        None => "entries of: every container".to_owned(),
    }];
    let pattern = entry.pattern.map(|regex| String::from_utf8_lossy(regex.text).into_owned());
    let encrypted = entry.encrypted.map(|yes| if yes { "yes" } else { "no" }.to_owned());
    for (what, value) in [
        ("name contains", pattern),
        ("size of the container", range(entry.container_size)),
        ("size in the container", range(entry.packed_size)),
        ("size", range(entry.size)),
        ("encrypted", encrypted),
        ("position", range(entry.position)),
    ] {
        lines.extend(value.map(|value| format!("{what}: {value}")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Format, SetBuilder};

    fn words(format: Format, line: &str) -> String {
        let mut builder = SetBuilder::new();
        builder.line(format, 1, line.as_bytes()).expect("a good line");
        let set = builder.finish();
        let mut lines = Vec::new();
        for id in set.ids() {
            lines.extend(of_signature(&set, id));
        }
        lines.extend(of_lists(&set));
        lines.join("\n")
    }

    #[test]
    fn patterns_are_told_part_by_part() {
        let said = words(Format::Ndb, "A:6:EP+5,10:6161??6?(62|63)64*(B)6566!(6768|696a){9}41");
        assert_eq!(
            said,
            "searched in: ELF programs (target 6)\n\
             start: at the entry point +5, or up to 10 bytes later\n\
             part 1: 61 61 \"aa\" any byte 6? (one of 62 | 63) 64\n\
             part 2, anywhere later: (after a boundary of a word in a path or address) \
             65 66 \"ef\" (none of 67 68 \"gh\" | 69 6a \"ij\") any 9 bytes 41"
        );
    }

    #[test]
    fn expressions_show_how_they_are_grouped() {
        let said = |expression: &str| {
            let line = format!("A;Target:0;{expression};6161;6262;6363");
            let said = words(Format::Ldb, &line);
            let condition = said.lines().find_map(|line| line.strip_prefix("condition: "));
            condition.unwrap().to_owned()
        };
        assert_eq!(said("0&1|2"), "[0] and ([1] or [2])");
        assert_eq!(said("(0&1|2)"), "([0] and [1]) or [2]");
        assert_eq!(
            said("(0|1|2)>2,2"),
            "count of (([0] or [1]) or [2]) from 2 or more of them > 2"
        );
        assert_eq!(said("(0&1)|2=0"), "([0] and [1]) or count of [2] = 0");
    }

    #[test]
    fn every_kind_has_words() {
        for (format, line, expected) in [
            (Format::Ldb, "A;Target:0;1;6161;0(>>2#hb2#=0x1f)", "is = 31"),
            (Format::Ldb, "A;Target:0;1;6161;6,2:0/ab+/gi", "regular expression: /ab+/gi"),
            (Format::Ldb, "A;Target:0;1;6161;${1-2}3$", "member of macro group 3"),
            (Format::Ldb, "A;Target:5;0;fuzzy_img#af2ad01ed42993c7", "hash af2ad01ed42993c7"),
            (Format::Ldb, "A;Engine:81-255,Target:0,Container:CL_TYPE_ZIP;0;6161", "CL_TYPE_ZIP"),
            (Format::Hdb, "0123456789abcdef0123456789abcdef:7:A", "of 7 bytes"),
            (Format::Mdb, "512:0123456789abcdef0123456789abcdef:A", "of 512 bytes"),
            (Format::Fp, "0123456789abcdef0123456789abcdef:7:A", "never reports a file with MD5"),
            (Format::Cdb, "A:CL_TYPE_ZIP:*:exe$:*:5-9:1:*:*:*", "size: 5 to 9"),
            (Format::Pdb, "H:bank.example", "watches links that show host bank.example"),
            (Format::Wdb, "M:a.example:b.example", "hosts a.example:b.example"),
            (Format::Pwdb, "A;Engine:81-255;0;infected", "archives: infected"),
            (Format::Ftm, "0:0:504b0304:Zip:CL_TYPE_ANY:CL_TYPE_ZIP", "a file is CL_TYPE_ZIP"),
            (Format::Cfg, "PHISHING:0x0", "links are not looked at"),
        ] {
            let said = words(format, line);
            assert!(said.contains(expected), "{line}: {said}");
        }
    }
}
