//! The lines of `scan --json`: one object for each path.
//!
//! | key | |
//! |---|---|
//! | `path` | the path; bytes that are no UTF-8 become U+FFFD, and then `path_hex` has the bytes |
//! | `verdict` | `clean`, `infected`, `error` (with `error`), `skipped` (with `reason`) |
//! | `completeness` | `complete` or `incomplete`; then `missing` has the first gaps, `n_missing` counts all |
//! | `detections` | `name`, `object`, `view`, `offset`, `length`, `origin` (`database:line`) |
//! | `evidence` | `kind`, `object`: the first hundred; `n_evidence` counts all |
//! | `fingerprint`, `stats` | of the engine; of this scan |
//! | `tree` | with `--tree`: `name`, `type`, `declared`, `size`, `md5`, `sha1`, `sha256`, `flags` (kinds of evidence), `missing`, `children`; what is not known is left out |

use quahog::scan::{Digests, Node};
use quahog::{Completeness, Detection, Evidence, Missing, ScanReport, Verdict};
use serde_json::{Map, Value, json};

use super::{Outcome, What};

/// The object about a path, on one line.
pub(super) fn line(outcome: &Outcome) -> String {
    let mut object = Map::new();
    let shown = outcome.name.shown();
    object.insert("path".to_owned(), shown.to_string_lossy().into());
    if shown.to_str().is_none() {
        let bytes = shown.as_encoded_bytes();
        object.insert("path_hex".to_owned(), hex(bytes).into());
    }
    let rest = match &outcome.what {
        What::Scanned(report, read) => scanned(report, *read),
        What::Empty => json!({"verdict": "clean", "completeness": "complete", "detections": []}),
        What::Passed(why) => json!({"verdict": "skipped", "reason": why}),
        What::Failed(why) => json!({"verdict": "error", "error": why}),
    };
    if let Value::Object(rest) = rest {
        object.extend(rest);
    }
    Value::Object(object).to_string()
}

fn scanned(report: &ScanReport, read: u64) -> Value {
    let verdict = match report.verdict() {
        Verdict::Clean => "clean",
        Verdict::Infected(_) => "infected",
        Verdict::Unavailable => "error",
    };
    let (completeness, missing) = match report.completeness() {
        Completeness::Complete => ("complete", &[][..]),
        Completeness::Incomplete(missing) => ("incomplete", missing),
    };
    let stats = report.stats();
    let mut value = json!({
        "verdict": verdict,
        "completeness": completeness,
        "missing": missing.iter().map(gap).collect::<Vec<_>>(),
        "n_missing": report.n_missing(),
        "detections": report.detections().iter().map(detection).collect::<Vec<_>>(),
        "evidence": report.evidence().iter().map(evidence).collect::<Vec<_>>(),
        "n_evidence": report.n_evidence(),
        "fingerprint": report.fingerprint().map(|fingerprint| fingerprint.to_string()),
        "stats": {
            "bytes": read,
            "layers": stats.layers,
            "layer_bytes": stats.layer_bytes,
            "views": stats.views,
            "view_bytes": stats.view_bytes,
            "work": stats.work,
        },
    });
    if let (Value::Object(object), Some(tree)) = (&mut value, report.tree()) {
        object.insert("tree".to_owned(), node(tree));
    }
    value
}

fn evidence(evidence: &Evidence) -> Value {
    json!({"kind": evidence.kind.code(), "object": evidence.object})
}

/// An object and those inside of it; layers nest no deeper than the limits let
/// them.
fn node(node: &Node) -> Value {
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    if !node.name.is_empty() {
        put("name", node.name.as_str().into());
    }
    if let Some(file_type) = node.file_type {
        put("type", file_type.to_string().into());
    }
    if let Some(declared) = &node.declared {
        put("declared", declared.as_str().into());
    }
    put("size", node.size.into());
    if let Some(Digests { md5, sha1, sha256 }) = &node.digests {
        put("md5", hex(md5).into());
        put("sha1", hex(sha1).into());
        put("sha256", hex(sha256).into());
    }
    put("flags", node.flags.iter().map(|flag| flag.code()).collect());
    put("missing", node.missing.iter().map(|reason| reason.code()).collect());
    put("children", node.children.iter().map(self::node).collect());
    Value::Object(object)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn gap(missing: &Missing) -> Value {
    json!({"reason": missing.reason.code(), "object": missing.object})
}

fn detection(detection: &Detection) -> Value {
    json!({
        "name": detection.name(),
        "object": detection.object(),
        "view": detection.view(),
        "offset": detection.offset(),
        "length": detection.length(),
        "origin": format!("{}:{}", detection.source(), detection.line()),
    })
}
