//! Any line of any format, which the first byte names, is admitted whole or
//! leaves the set as it was; its error lies inside the line and can be drawn; its
//! syntax gives the text back, and what was admitted has words. Plain hashes that are
//! read many at a time are those that are read one by one.

use quahog_sig::ast::Record;
use quahog_sig::{Diagnostic, Format, Lines, Programs, PuaFilter, SetBuilder, words};

const FORMATS: [Format; 33] = [
    Format::Db,
    Format::Fp,
    Format::Ftm,
    Format::Hsb,
    Format::Ign2,
    Format::Ldb,
    Format::Ldu,
    Format::Ndb,
    Format::Ndu,
    Format::Cbc,
    Format::Cdb,
    Format::Cfg,
    Format::Crb,
    Format::Gdb,
    Format::Hdb,
    Format::Hdu,
    Format::Hsu,
    Format::Idb,
    Format::Ign,
    Format::Imp,
    Format::Mdb,
    Format::Mdu,
    Format::Msb,
    Format::Msu,
    Format::Pdb,
    Format::Pwdb,
    Format::Rmd,
    Format::Sdb,
    Format::Sfp,
    Format::Wdb,
    Format::Yar,
    Format::Yara,
    Format::Zmd,
];

/// Holds `data` to that.
pub(crate) fn run(data: &[u8]) {
    let Some((&first, text)) = data.split_first() else { return };
    let format = FORMATS[usize::from(first) % FORMATS.len()];
    let pua = PuaFilter { enabled: true, ..PuaFilter::default() };
    let mut builder = SetBuilder::new().pua(pua.clone()).programs(Programs::Everybody);
    builder.source("fuzz", false);
    let mut admitted = 0;
    if format.is_document() {
        builder.document(format, text, &mut |entry| {
            if let Err(error) = entry.outcome {
                let line = entry.line;
                let _ = Diagnostic::new("fuzz", line.number, line.text, error).render();
            }
        });
        return say(&builder);
    }
    for line in Lines::new(text) {
        let record = match Record::parse(format, line.text) {
            Ok(Record::Extended(record)) => Some(record.to_string()),
            Ok(Record::FileHash(record)) => Some(record.to_string()),
            Ok(Record::Logical(record)) => Some(record.to_string()),
            Ok(Record::Magic(record)) => Some(record.to_string()),
            Ok(Record::Simple(record)) => Some(record.to_string()),
            _ => None,
        };
        if let (Some(again), Ok(text)) = (record, std::str::from_utf8(line.text)) {
            assert_eq!(again, text);
        }
        let before = builder.clone().finish();
        match builder.line(format, line.number, line.text) {
            Ok(_) => admitted += 1,
            Err(error) => {
                assert!(error.span().end() <= line.text.len() + 1, "{error}");
                let _ = Diagnostic::new("fuzz", line.number, line.text, error).render();
                assert_eq!(builder.clone().finish().digest(), before.digest());
            }
        }
    }
    say(&builder);
    let set = builder.finish();
    assert!(set.len() <= admitted);
    let mut lines = Lines::new(text);
    if lines.have_nul() {
        return;
    }
    let mut builder = SetBuilder::new().pua(pua).programs(Programs::Everybody);
    builder.source("fuzz", false);
    loop {
        builder.plain_hashes(format, &mut lines);
        let Some(line) = lines.next() else { break };
        let _ = builder.line(format, line.number, line.text);
    }
    let again = builder.finish();
    assert_eq!((again.len(), again.digest()), (set.len(), set.digest()));
}

/// Puts everything that was admitted into words.
fn say(builder: &SetBuilder) {
    let set = builder.clone().finish();
    for id in set.ids() {
        assert!(!words::of_signature(&set, id).is_empty());
    }
    let _ = words::of_lists(&set);
}
