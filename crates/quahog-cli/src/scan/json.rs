//! The lines of `scan --json`: one object for each path.
//!
//! | key | |
//! |---|---|
//! | `path` | the path; bytes that are no UTF-8 become U+FFFD, and then `path_hex` has the bytes |
//! | `verdict` | `clean`, `infected`, `error` (with `error`), `skipped` (with `reason`) |
//! | `completeness` | `complete` or `incomplete`; then `missing` has the first gaps, `n_missing` counts all |
//! | `detections` | `name`, `object`, `view`, `offset`, `length`, `origin` (`database:line`) |
//! | `fingerprint`, `stats` | of the engine; of this scan |

use quahog::{Completeness, Detection, Missing, ScanReport, Verdict};
use serde_json::{Map, Value, json};

use super::{Outcome, What};

/// The object about a path, on one line.
pub(super) fn line(outcome: &Outcome) -> String {
    let mut object = Map::new();
    let shown = outcome.name.shown();
    object.insert("path".to_owned(), shown.to_string_lossy().into());
    if shown.to_str().is_none() {
        let bytes = shown.as_encoded_bytes();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        object.insert("path_hex".to_owned(), hex.into());
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
    json!({
        "verdict": verdict,
        "completeness": completeness,
        "missing": missing.iter().map(gap).collect::<Vec<_>>(),
        "n_missing": report.n_missing(),
        "detections": report.detections().iter().map(detection).collect::<Vec<_>>(),
        "fingerprint": report.fingerprint().map(|fingerprint| fingerprint.to_string()),
        "stats": {
            "bytes": read,
            "layers": stats.layers,
            "layer_bytes": stats.layer_bytes,
            "views": stats.views,
            "view_bytes": stats.view_bytes,
        },
    })
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
