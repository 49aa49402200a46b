//! What is wrong with a line, and where.

use std::fmt;
use std::ops::Range;

/// A range of bytes in a line, from 0.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The bytes from `start` up to, and without, `end`.
    ///
    /// Positions past 4 GiB are cut: a line is never that long.
    pub fn new(start: usize, end: usize) -> Span {
        let cut = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Span { start: cut(start), end: cut(end.max(start)) }
    }

    /// The same range counted from a start that lies `by` bytes earlier.
    pub fn shifted(self, by: usize) -> Span {
        Span::new(self.start as usize + by, self.end as usize + by)
    }

    /// The first byte.
    pub fn start(self) -> usize {
        self.start as usize
    }

    /// The byte after the last one.
    pub fn end(self) -> usize {
        self.end as usize
    }

    /// The range, for indexing.
    pub fn range(self) -> Range<usize> {
        self.start()..self.end()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

/// Why a line of a database was left out, and where.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{kind} (bytes {span})")]
pub struct Error {
    kind: ErrorKind,
    span: Span,
}

impl Error {
    /// An error of `kind` at `span`.
    pub fn new(kind: ErrorKind, span: Span) -> Error {
        Error { kind, span }
    }

    /// What is wrong.
    pub fn kind(self) -> ErrorKind {
        self.kind
    }

    /// Where, in the line.
    pub fn span(self) -> Span {
        self.span
    }

    /// The same error in a text that holds the old one from byte `by` on.
    pub fn shifted(self, by: usize) -> Error {
        Error { kind: self.kind, span: self.span.shifted(by) }
    }
}

/// What an error means for its source.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Severity {
    /// The line breaks the rules of its format.
    Malformed,
    /// The frame is sound, but a word in it is not known.
    Unknown,
    /// The line is sound and understood, and cannot be run here.
    Unsupported,
}

/// What is wrong with a line.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ErrorKind {
    /// A branch of an alternate that may not be empty is.
    #[error("empty branch in an alternate")]
    AlternateEmpty,
    /// More than 15 parentheses inside one alternate.
    #[error("more than 15 parentheses inside one alternate")]
    AlternateNested,
    /// A negated alternate whose branches differ in length or hold wildcards.
    #[error("this alternate cannot be negated")]
    AlternateNegated,
    /// A single byte tied to a part by `[n-m]` is misplaced.
    #[error("`[..]` must tie one byte to a part")]
    AnchorMisplaced,
    /// An attribute of a target description block is not `Key:value`.
    #[error("attribute is not `Key:value`")]
    Attribute,
    /// An attribute that is only legal in other targets.
    #[error("attribute is not legal in this target")]
    AttributeTarget,
    /// An attribute that needs `Engine:` with a minimum of at least 51.
    #[error("attribute needs `Engine:51-255` or higher")]
    AttributeLevel,
    /// An attribute this version does not know.
    #[error("unknown attribute")]
    AttributeUnknown,
    /// A line that is empty.
    #[error("blank line")]
    Blank,
    /// A byte compare that is not `ref(>>off#opts len#cmp)`: what is wrong.
    #[error("malformed byte compare: {0}")]
    ByteCompare(&'static str),
    /// A comparison after a group that has no operator of its own.
    #[error("comparison after a group without an operator")]
    ComparisonOfGroup,
    /// A bytecode file without its two first lines.
    #[error("expected `ClamBC..`, and the line that triggers the program")]
    BytecodeHeader,
    /// Another byte was required here, such as the `}` of a gap.
    #[error("expected `{}`", char::from(*.0))]
    Expected(u8),
    /// The expression is deeper than 256 parentheses.
    #[error("expression nested too deeply")]
    ExpressionDepth,
    /// A number was required here.
    #[error("expected a number")]
    ExpectedNumber,
    /// An operand of the expression is missing.
    #[error("expected a subsignature number or a group")]
    ExpectedOperand,
    /// Too few or too many fields.
    #[error("wrong number of fields")]
    FieldCount,
    /// A file type name this version does not know.
    #[error("unknown file type")]
    FileTypeUnknown,
    /// A pattern for a target whose prefilter finds fewer than two bytes in it.
    #[error("fewer than two bytes to filter by before a long alternate")]
    FilterTooShort,
    /// In a hex string of a rule: one byte on its own beside a jump.
    #[error("one byte on its own beside a jump")]
    HexByteAlone,
    /// Not a hexadecimal digit (or `?`, `(`, `{`, ... where a pattern allows them).
    #[error("expected a hexadecimal digit")]
    HexDigit,
    /// A digest of a length that no digest has.
    #[error("digest must have 32, 40 or 64 digits")]
    HashLength,
    /// The metrics of an icon are not 124 digits, or of another size.
    #[error("icon metrics must be 124 digits of size 10, 18 or 20")]
    IconMetrics,
    /// A number among the metrics of an icon that no icon of that size has.
    #[error("no icon of this size has such metrics")]
    IconRange,
    /// A distance between picture hashes other than 0.
    #[error("distance of a picture hash must be 0")]
    ImageDistance,
    /// A word in a condition that names nothing.
    #[error("unknown identifier")]
    IdentifierUnknown,
    /// The functionality level is no number.
    #[error("functionality level is no number")]
    Level,
    /// A modifier other than i, w, f and a.
    #[error("unknown modifier")]
    Modifier,
    /// The name is empty.
    #[error("empty name")]
    NameEmpty,
    /// A byte that may not stand in a line.
    #[error("NUL in a line")]
    Nul,
    /// A number does not fit.
    #[error("number out of range")]
    NumberRange,
    /// An offset that no format allows.
    #[error("malformed offset")]
    Offset,
    /// An offset into an executable in a target that has none.
    #[error("offset is not legal in this target")]
    OffsetTarget,
    /// Parentheses that do not pair.
    #[error("unbalanced parenthesis")]
    Parenthesis,
    /// A part without two adjacent exact bytes.
    #[error("part has no two adjacent fixed bytes")]
    PartTooShort,
    /// A part of more than 65,535 elements.
    #[error("part has more than 65,535 elements")]
    PartTooLong,
    /// A plain pattern of fewer than three bytes where three are required.
    #[error("plain pattern is shorter than three bytes")]
    PatternTooShort,
    /// The trigger of a regular expression names itself or a later one.
    #[error("trigger names its own or a later subsignature")]
    PcreTrigger,
    /// A regular expression that PCRE2 refuses: what is wrong.
    #[error("malformed regular expression: {0}")]
    Regex(&'static str),
    /// A regular expression that is none.
    #[error("malformed regular expression")]
    RegexSyntax,
    /// A rule of the name of one before it.
    #[error("a rule of this name stands before")]
    RuleDuplicate,
    /// In strict mode: a rule that ClamAV does not run, though it could be.
    #[error("ClamAV does not run a rule with {0}")]
    RuleRefused(&'static str),
    /// A rule that breaks the grammar, and how.
    #[error("{0}")]
    RuleSyntax(&'static str),
    /// A string of the name of one before it.
    #[error("a string of this name stands before")]
    StringDuplicate,
    /// A string of no bytes.
    #[error("empty string")]
    StringEmpty,
    /// A name of a string that the rule does not have.
    #[error("unknown string")]
    StringUnknown,
    /// A string that the condition never speaks of.
    #[error("string that the condition does not use")]
    StringUnused,
    /// The number of subsignatures is not what the expression asks for.
    #[error("number of subsignatures differs from the expression")]
    SubsignatureCount,
    /// A list of phishing entries does not know this kind.
    #[error("unknown kind of entry")]
    PhishingKind,
    /// A flag that is neither 0 nor 1 nor `*`, or a word of flags that is none.
    #[error("malformed flag")]
    Flag,
    /// A password that cannot be read.
    #[error("malformed password")]
    Password,
    /// A size of 0, or of 4,294,967,295 and more.
    #[error("size must be `*` or 1 to 4294967294")]
    Size,
    /// The target is no number.
    #[error("target is no number")]
    Target,
    /// A target description block without `Target`.
    #[error("no `Target` in the target description block")]
    TargetMissing,
    /// Longer than the line reader allows.
    #[error("line is too long")]
    TooLong,
    /// Sound, but not implemented in this version: what is named.
    #[error("{0} is not implemented yet")]
    Unsupported(&'static str),
}

impl ErrorKind {
    /// A stable name, for reports and test data.
    pub fn code(self) -> &'static str {
        match self {
            ErrorKind::AlternateEmpty => "alternate-empty",
            ErrorKind::AlternateNested => "alternate-nested",
            ErrorKind::AlternateNegated => "alternate-negated",
            ErrorKind::AnchorMisplaced => "anchor-misplaced",
            ErrorKind::Attribute => "attribute",
            ErrorKind::AttributeTarget => "attribute-target",
            ErrorKind::AttributeLevel => "attribute-level",
            ErrorKind::AttributeUnknown => "attribute-unknown",
            ErrorKind::Blank => "blank",
            ErrorKind::ByteCompare(_) => "byte-compare",
            ErrorKind::BytecodeHeader => "bytecode-header",
            ErrorKind::ComparisonOfGroup => "comparison-of-group",
            ErrorKind::Expected(_) => "expected",
            ErrorKind::ExpressionDepth => "expression-depth",
            ErrorKind::ExpectedNumber => "expected-number",
            ErrorKind::ExpectedOperand => "expected-operand",
            ErrorKind::FieldCount => "field-count",
            ErrorKind::FileTypeUnknown => "file-type-unknown",
            ErrorKind::FilterTooShort => "filter-too-short",
            ErrorKind::HexByteAlone => "hex-byte-alone",
            ErrorKind::HexDigit => "hex-digit",
            ErrorKind::HashLength => "hash-length",
            ErrorKind::IconMetrics => "icon-metrics",
            ErrorKind::IconRange => "icon-range",
            ErrorKind::ImageDistance => "image-distance",
            ErrorKind::IdentifierUnknown => "identifier-unknown",
            ErrorKind::Level => "level",
            ErrorKind::Modifier => "modifier",
            ErrorKind::NameEmpty => "name-empty",
            ErrorKind::Nul => "nul",
            ErrorKind::NumberRange => "number-range",
            ErrorKind::Offset => "offset",
            ErrorKind::OffsetTarget => "offset-target",
            ErrorKind::Parenthesis => "parenthesis",
            ErrorKind::PartTooShort => "part-too-short",
            ErrorKind::PartTooLong => "part-too-long",
            ErrorKind::PatternTooShort => "pattern-too-short",
            ErrorKind::PcreTrigger => "pcre-trigger",
            ErrorKind::Regex(_) => "regex",
            ErrorKind::RegexSyntax => "regex-syntax",
            ErrorKind::RuleDuplicate => "rule-duplicate",
            ErrorKind::RuleRefused(_) => "rule-refused",
            ErrorKind::RuleSyntax(_) => "rule-syntax",
            ErrorKind::StringDuplicate => "string-duplicate",
            ErrorKind::StringEmpty => "string-empty",
            ErrorKind::StringUnknown => "string-unknown",
            ErrorKind::StringUnused => "string-unused",
            ErrorKind::SubsignatureCount => "subsignature-count",
            ErrorKind::PhishingKind => "phishing-kind",
            ErrorKind::Flag => "flag",
            ErrorKind::Password => "password",
            ErrorKind::Size => "size",
            ErrorKind::Target => "target",
            ErrorKind::TargetMissing => "target-missing",
            ErrorKind::TooLong => "too-long",
            ErrorKind::Unsupported(_) => "unsupported",
        }
    }

    /// What the error means for its source.
    pub fn severity(self) -> Severity {
        match self {
            ErrorKind::AttributeUnknown
            | ErrorKind::FileTypeUnknown
            | ErrorKind::IdentifierUnknown => Severity::Unknown,
            ErrorKind::Unsupported(_) => Severity::Unsupported,
            _ => Severity::Malformed,
        }
    }
}

/// An error with the place that it was found at.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// The database: a file name, or `container/member`.
    pub source: String,
    /// The number of the line, from 1.
    pub line: u32,
    /// The first bytes of the line, enough to show what is meant.
    pub text: Vec<u8>,
    /// What is wrong.
    pub error: Error,
}

/// How much of a line a diagnostic keeps around the error.
const CONTEXT: usize = 60;

impl Diagnostic {
    /// A diagnostic that keeps the part of `line` around the error.
    pub fn new(source: &str, number: u32, line: &[u8], error: Error) -> Diagnostic {
        let from = error.span.start().saturating_sub(CONTEXT).min(line.len());
        let to = error.span.end().max(from).saturating_add(CONTEXT).min(from + 3 * CONTEXT);
        let text = line.get(from..to.min(line.len())).unwrap_or_default().to_vec();
        Diagnostic { source: source.to_owned(), line: number, text, error }
    }

    /// The column of the error, from 1.
    pub fn column(&self) -> usize {
        self.error.span.start() + 1
    }

    /// Draws the position, the message, the line and carets below the error.
    ///
    /// Bytes that are not printable ASCII are drawn as `.`: no line of a
    /// database can put control characters on a terminal.
    pub fn render(&self) -> String {
        let from = self.error.span.start().saturating_sub(CONTEXT);
        let show = |b: &u8| if (0x20..0x7f).contains(b) { char::from(*b) } else { '.' };
        let text: String = self.text.iter().map(show).collect();
        let indent = self.error.span.start() - from;
        let carets = (self.error.span.end() - self.error.span.start()).clamp(1, 40);
        format!(
            "{}:{}:{}: {}\n    {}\n    {}{}",
            self.source,
            self.line,
            self.column(),
            self.error.kind,
            text,
            " ".repeat(indent),
            "^".repeat(carets)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_points_at_its_bytes() {
        let error = Error::new(ErrorKind::HexDigit, Span::new(7, 8));
        let line = b"A:0:*:6x61\x1b[0m";
        let diagnostic = Diagnostic::new("a.ndb", 3, line, error);
        assert_eq!(
            diagnostic.render(),
            "a.ndb:3:8: expected a hexadecimal digit\n    A:0:*:6x61.[0m\n           ^"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_error() {
        let mut line = vec![b'6'; 10_000];
        line[5_000] = b'x';
        let error = Error::new(ErrorKind::HexDigit, Span::new(5_000, 5_001));
        let rendered = Diagnostic::new("a", 1, &line, error).render();
        let lines: Vec<&str> = rendered.lines().collect();
        assert_eq!(lines[1].find('x'), lines[2].find('^'));
        assert!(rendered.len() < 400);
    }
}
