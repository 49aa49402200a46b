//! The load report for machines: one JSON object, with stable names.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::{Counts, FileReport, LoadReport, MemberReport, Outcome};

impl Serialize for LoadReport {
    /// `files`, `counts`, `diagnostics` and `refused_for_cost`. A diagnostic has
    /// the origin (`source`, `line`, `column`), the stable `code`, its
    /// `severity` and a `message`.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut report = to.serialize_struct("LoadReport", 4)?;
        report.serialize_field("counts", &self.counts())?;
        report.serialize_field("files", &self.files)?;
        let diagnostics: Vec<_> = self.diagnostics.iter().map(Shown).collect();
        report.serialize_field("diagnostics", &diagnostics)?;
        report.serialize_field("refused_for_cost", &self.refused)?;
        report.end()
    }
}

/// A diagnostic in the report.
struct Shown<'d>(&'d quahog_sig::Diagnostic);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Shown(diagnostic) = self;
        let kind = diagnostic.error.kind();
        let mut shown = to.serialize_struct("Diagnostic", 6)?;
        shown.serialize_field("source", &diagnostic.source)?;
        shown.serialize_field("line", &diagnostic.line)?;
        shown.serialize_field("column", &diagnostic.column())?;
        shown.serialize_field("code", kind.code())?;
        let severity = match kind.severity() {
            quahog_sig::Severity::Malformed => "malformed",
            quahog_sig::Severity::Unknown => "unknown",
            quahog_sig::Severity::Unsupported => "unsupported",
        };
        shown.serialize_field("severity", severity)?;
        shown.serialize_field("message", &kind.to_string())?;
        shown.end()
    }
}

impl Serialize for FileReport {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut file = to.serialize_struct("FileReport", 7)?;
        file.serialize_field("path", &self.path.to_string_lossy())?;
        let (outcome, reason, trust, version) = match &self.outcome {
            Outcome::Loaded { trust, header } => {
                let version = header.as_ref().map(|header| header.version());
                ("loaded", None, Some(trust.to_string()), version)
            }
            Outcome::Refused { reason, replaced: false } => ("refused", Some(reason), None, None),
            Outcome::Refused { reason, replaced: true } => ("replaced", Some(reason), None, None),
            Outcome::PassedOver { reason } => ("passed-over", Some(reason), None, None),
        };
        file.serialize_field("outcome", outcome)?;
        file.serialize_field("reason", &reason)?;
        file.serialize_field("trust", &trust)?;
        file.serialize_field("version", &version)?;
        file.serialize_field("counts", &self.counts())?;
        file.serialize_field("members", &self.members)?;
        file.end()
    }
}

impl Serialize for MemberReport {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut member = to.serialize_struct("MemberReport", 3)?;
        member.serialize_field("name", &self.name)?;
        member.serialize_field("format", &self.format.map(quahog_sig::Format::extension))?;
        member.serialize_field("counts", &self.counts)?;
        member.end()
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut counts = to.serialize_struct("Counts", 17)?;
        for (name, value) in [
            ("lines", self.lines),
            ("blank", self.blank),
            ("comments", self.comments),
            ("admitted", self.admitted),
            ("odd", self.odd),
            ("not_executed", self.not_executed),
            ("ignored", self.ignored),
            ("newer", self.newer),
            ("obsolete", self.obsolete),
            ("pua", self.pua),
            ("unused", self.unused),
            ("untrusted", self.untrusted),
            ("malformed", self.malformed),
            ("unknown", self.unknown),
            ("unsupported", self.unsupported),
            ("not_read", self.not_read),
            ("refused_for_cost", self.refused),
        ] {
            counts.serialize_field(name, &value)?;
        }
        counts.end()
    }
}
