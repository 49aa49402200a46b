//! What a source may say: its own signatures, and nothing about others'.
//!
//! The official publisher and the operator's own files may say everything. A
//! source that the operator added defines signatures whose names begin with its
//! prefix, and may leave those out again. Lists that allow files, trust
//! certificates, watch links or tell file types would change what *others* detect,
//! so they are not its to publish, unless it is
//! [overriding](quahog_cvd::Source::overriding).

use quahog_cvd::{Source, TrustStore};
use quahog_sig::ast::Ignore;
use quahog_sig::{Format, Grammar};

/// The rules for the lines of one file.
#[derive(Clone, Debug, Default)]
pub(super) struct Confinement {
    /// What names must begin with; `None` for who may say everything.
    prefix: Option<Box<[u8]>>,
    /// Nothing is allowed by its MD5 or SHA-1.
    fips: bool,
}

impl Confinement {
    /// Of a file that nobody signed: the operator's word.
    pub(super) fn of_operator(fips: bool) -> Confinement {
        Confinement { prefix: None, fips }
    }

    /// Of a container that is trusted like this.
    pub(super) fn of(store: &TrustStore, trust: &quahog_cvd::Trust, fips: bool) -> Confinement {
        let confined = store.source(trust).filter(|source| !source.is_overriding());
        Confinement { prefix: confined.map(Source::prefix).map(|p| p.as_bytes().into()), fips }
    }

    /// Whether a file of this format may be read at all.
    pub(super) fn admits(&self, format: Format) -> bool {
        // A format that is not known here is not known to be harmless.
        self.prefix.is_none()
            || format.grammar() == Grammar::Ignore
            || name_field(format.grammar()).is_some()
    }

    /// Whether all lines of a format may be read, whatever they say.
    pub(super) fn admits_all(&self, format: Format) -> bool {
        self.prefix.is_none() && !(self.fips && format.grammar() == Grammar::AllowHash)
    }

    /// Whether a line may be read.
    pub(super) fn admits_line(&self, format: Format, line: &[u8]) -> bool {
        let grammar = format.grammar();
        if self.fips && grammar == Grammar::AllowHash {
            let digest = line.split(|b| *b == b':').next().unwrap_or_default();
            // What is no digest at all is for the reader to refuse.
            if matches!(digest.len(), 32 | 40) {
                return false;
            }
        }
        let Some(prefix) = &self.prefix else { return true };
        let begins = |name: &[u8]| {
            name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
        };
        match (grammar, name_field(grammar)) {
            // Without a prefix nothing says which names are its own.
            (Grammar::Ignore, _) => match Ignore::parse(line) {
                Ok(entry) => !prefix.is_empty() && begins(entry.name),
                Err(_) => true, // a bad line has no effect, and is reported as bad
            },
            (_, Some((separator, index))) => match line.split(|b| *b == separator).nth(index) {
                Some(name) => begins(name),
                None => true, // the same
            },
            _ => false,
        }
    }
}

/// The separator and the place of the name, in the lines that define signatures.
fn name_field(grammar: Grammar) -> Option<(u8, usize)> {
    Some(match grammar {
        Grammar::Container | Grammar::Extended | Grammar::Icon | Grammar::ZipRar => (b':', 0),
        Grammar::FileHash | Grammar::ImportHash | Grammar::SectionHash => (b':', 2),
        Grammar::Logical => (b';', 0),
        Grammar::Simple => (b'=', 0),
        _ => return None,
    })
}
