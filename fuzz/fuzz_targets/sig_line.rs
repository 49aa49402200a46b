#![no_main]
//! Any line of any format is admitted whole or leaves the set as it was; its
//! error lies inside the line and can be drawn; its syntax gives the text back.
use libfuzzer_sys::fuzz_target;
use quahog_sig::ast::Record;
use quahog_sig::{Diagnostic, Format, Lines, PuaFilter, SetBuilder};

const FORMATS: [Format; 9] = [
    Format::Db,
    Format::Fp,
    Format::Ftm,
    Format::Hsb,
    Format::Ign2,
    Format::Ldb,
    Format::Ldu,
    Format::Ndb,
    Format::Ndu,
];

fuzz_target!(|data: &[u8]| {
    let Some((&first, text)) = data.split_first() else { return };
    let format = FORMATS[usize::from(first) % FORMATS.len()];
    let pua = PuaFilter { enabled: true, ..PuaFilter::default() };
    let mut builder = SetBuilder::new().pua(pua);
    builder.source("fuzz", false);
    let mut admitted = 0;
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
    assert!(builder.finish().len() <= admitted);
});
