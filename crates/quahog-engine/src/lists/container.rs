//! Container metadata: what a container says of a part.

use quahog_sig::model::Container;
use quahog_sig::{SigId, SignatureSet};

use super::patterns::Patterns;
use crate::context::{Layer, PartEntry};
use crate::engine::BuildError;
use crate::meter::{Interrupted, Meter};

/// The compiled signatures of container metadata.
#[derive(Debug, Default)]
pub(crate) struct Containers {
    names: Patterns,
    /// Signatures that are for any name.
    nameless: Vec<u32>,
}

impl Containers {
    pub(crate) fn new(set: &SignatureSet) -> Result<Containers, BuildError> {
        // The set holds less than 2^29 rows of a kind.
        let rows = || set.containers().enumerate().map(|(row, entry)| (row as u32, entry.pattern));
        let names = rows().filter_map(|(row, pattern)| Some((row, pattern?)));
        let nameless = rows().filter(|(_, pattern)| pattern.is_none()).map(|(row, _)| row);
        Ok(Containers { names: Patterns::new(names)?, nameless: nameless.collect() })
    }

    /// Calls `hit` for each signature that matches, in the order of the lines.
    pub(crate) fn scan(
        &self,
        set: &SignatureSet,
        container: &Layer<'_>,
        entry: &PartEntry<'_>,
        meter: &dyn Meter,
        mut hit: impl FnMut(SigId),
    ) -> Result<(), Interrupted> {
        if set.containers().len() == 0 {
            return Ok(());
        }
        let name = entry.name;
        let work = (name.len() + 1) * self.names.n_passes() + self.nameless.len() + 1;
        meter.tick(work as u64)?;
        let mut rows = self.nameless.clone();
        self.names.matching(name, |row| rows.push(row));
        rows.sort_unstable();
        let mut entries = set.containers();
        let mut next = 0;
        for row in rows {
            // `nth` counts from where the last one ended.
            let Some(signature) = entries.nth((row - next) as usize) else { break };
            next = row + 1;
            if fits(&signature, container, entry) {
                hit(signature.id);
            }
        }
        Ok(())
    }
}

fn fits(signature: &Container<'_>, container: &Layer<'_>, entry: &PartEntry<'_>) -> bool {
    signature.file_type.is_none_or(|wanted| container.file_type().fits(wanted))
        && signature.container_size.allows(container.bytes().len() as u64)
        && signature.packed_size.allows(entry.packed_size)
        && signature.size.allows(entry.size)
        && signature.encrypted.is_none_or(|encrypted| encrypted == entry.encrypted)
        && signature.position.allows(entry.position)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Unmetered;
    use quahog_sig::model::FileType;
    use quahog_sig::{Format, SetBuilder};

    fn hits(lines: &[&str], entry: &PartEntry<'_>) -> Vec<usize> {
        let mut builder = SetBuilder::new();
        for (at, line) in lines.iter().enumerate() {
            builder.line(Format::Cdb, at as u32 + 1, line.as_bytes()).unwrap();
        }
        let set = builder.finish();
        let containers = Containers::new(&set).unwrap();
        let container = Layer::new(b"container", FileType::ZIP, None);
        let mut found = Vec::new();
        let hit = |id: SigId| found.push(id.index());
        containers.scan(&set, &container, entry, &Unmetered, hit).unwrap();
        found
    }

    #[test]
    fn every_condition_counts() {
        let entry = PartEntry {
            name: b"dir/invoice.exe",
            packed_size: 10,
            size: 20,
            encrypted: true,
            position: 3,
        };
        for (line, expected) in [
            ("A:*:*:*:*:*:*:*:*:*", true),
            ("A:CL_TYPE_ZIP:9:\\.exe$:10:20:1:3:*:*", true),
            ("A:CL_TYPE_ANY:1-9:e:9-10:20-0:*:1-3:*:*", true),
            ("A:CL_TYPE_RAR:*:*:*:*:*:*:*:*", false),
            ("A:*:8:*:*:*:*:*:*:*", false),
            ("A:*:*:\\.EXE$:*:*:*:*:*:*", false),
            ("A:*:*:*:11:*:*:*:*:*", false),
            ("A:*:*:*:*:0-19:*:*:*:*", false),
            ("A:*:*:*:*:*:0:*:*:*", false),
            ("A:*:*:*:*:*:*:1-2:*:*", false),
        ] {
            assert_eq!(hits(&[line], &entry).len() == 1, expected, "{line}");
        }
    }

    #[test]
    fn hits_come_in_the_order_of_the_lines() {
        let lines = ["A:*:*:x:*:*:*:*:*:*", "B:*:*:*:*:*:*:*:*:*", "C:*:*:[x]:*:*:*:*:*:*"];
        assert_eq!(hits(&lines, &PartEntry { name: b"x", ..PartEntry::default() }), [0, 1, 2]);
        assert_eq!(hits(&lines, &PartEntry::default()), [1]);
    }
}
