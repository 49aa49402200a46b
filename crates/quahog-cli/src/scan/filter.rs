//! Which paths are passed over for their names.

use std::path::Path;

use anyhow::anyhow;
use regex::bytes::{RegexSet, RegexSetBuilder};

use super::options::FileOptions;

/// The four lists of patterns. As in clamscan they are searched in the path as
/// it is shown, anywhere in it, and case counts.
#[derive(Default)]
pub(super) struct Filter {
    files: Pair,
    folders: Pair,
}

#[derive(Default)]
struct Pair {
    exclude: RegexSet,
    include: RegexSet,
}

impl Filter {
    /// # Errors
    ///
    /// A pattern is no regular expression. clamscan passes over such an option;
    /// here nothing is scanned that somebody meant to leave out.
    pub(super) fn new(options: &FileOptions) -> anyhow::Result<Filter> {
        Ok(Filter {
            files: Pair {
                exclude: compile("--exclude", &options.exclude)?,
                include: compile("--include", &options.include)?,
            },
            folders: Pair {
                exclude: compile("--exclude-dir", &options.exclude_dir)?,
                include: compile("--include-dir", &options.include_dir)?,
            },
        })
    }

    pub(super) fn takes_file(&self, path: &Path) -> bool {
        self.files.takes(path)
    }

    pub(super) fn takes_folder(&self, path: &Path) -> bool {
        self.folders.takes(path)
    }
}

impl Pair {
    fn takes(&self, path: &Path) -> bool {
        let path = path.as_os_str().as_encoded_bytes();
        let included = self.include.is_empty() || self.include.is_match(path);
        included && !self.exclude.is_match(path)
    }
}

fn compile(option: &str, patterns: &[String]) -> anyhow::Result<RegexSet> {
    // Paths are bytes, so a dot is a byte too.
    let set = RegexSetBuilder::new(patterns).unicode(false).build();
    set.map_err(|error| {
        // The message draws the pattern; its last line says what is wrong.
        let text = error.to_string();
        let reason = text.lines().next_back().unwrap_or_default();
        let reason = reason.strip_prefix("error: ").unwrap_or(reason);
        anyhow!("{option} is no regular expression: {reason}")
    })
}
