//! One signature in words: what quahog makes of a line.

use quahog_engine::explain;
use quahog_sig::{
    Admission, Diagnostic, FLEVEL, Format, Grammar, Line, Programs, PuaFilter, SetBuilder, Skip,
    words,
};

/// What quahog makes of a line, or of a rule or program.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decoded {
    /// The format that it was read as.
    pub format: Format,
    /// The name of the signature; empty for an entry of a list.
    pub name: String,
    /// What kind of signature it is, in a few words.
    pub kind: String,
    /// What it says, a fact a line.
    pub words: Vec<String>,
    /// What a scan searches for to find it, a line each.
    pub plan: Vec<String>,
}

/// The formats that a line may be of, the most telling first. Those that differ
/// by what their entries are for, and not by their form, stand for each other.
const FORMS: [Format; 14] = [
    Format::Ldb,
    Format::Hdb,
    Format::Mdb,
    Format::Cdb,
    Format::Idb,
    Format::Ftm,
    Format::Crb,
    Format::Pwdb,
    Format::Ndb,
    Format::Wdb,
    Format::Gdb,
    Format::Cfg,
    Format::Zmd,
    Format::Db,
];

/// The format that a text is of, by its form.
///
/// Where it is of none, that of which it is a bad line, as far as can be told.
pub fn guess_format(text: &[u8]) -> Format {
    if text.starts_with(b"ClamBC") {
        return Format::Cbc;
    }
    let first = text.trim_ascii_start();
    let rule: [&[u8]; 5] = [b"rule ", b"private ", b"global ", b"import ", b"/*"];
    if rule.iter().any(|word| first.starts_with(word)) {
        return Format::Yar;
    }
    let line = text.split(|&b| b == b'\n').next().unwrap_or_default().trim_ascii_end();
    let mut fields = line.split(|&b| b == b';').skip(1);
    if fields.next().is_some_and(|block| block.split(|&b| b == b',').any(is_target)) {
        return Format::Ldb;
    }
    // What leaves a line out may be none of that, if the form is another.
    let is_of = |format: &&Format| {
        let admission = SetBuilder::new().line(**format, 1, line);
        admission.is_ok_and(|a| !matches!(a, Admission::Skipped(_)))
    };
    if let Some(&format) = FORMS.iter().find(is_of) {
        return format;
    }
    let count = |byte: u8| line.iter().filter(|&&b| b == byte).count();
    match (count(b';'), count(b':')) {
        (2.., _) => Format::Ldb,
        (_, 3..) => Format::Ndb,
        (_, 2) => Format::Hdb,
        (_, 1) if line.windows(3).any(|w| w == b":0x") => Format::Cfg,
        (_, 1) => Format::Pdb,
        _ if line.contains(&b'=') => Format::Db,
        _ => Format::Ign2,
    }
}

fn is_target(attribute: &[u8]) -> bool {
    attribute.starts_with(b"Target:")
}

/// Says in words what quahog makes of a signature: a line, or a whole rule or
/// program. All kinds of signatures are read, whatever a load would leave out.
///
/// # Errors
///
/// The text is malformed, or holds what is not known or not implemented.
pub fn decode(format: Format, text: &[u8]) -> Result<Vec<Decoded>, Box<Diagnostic>> {
    let pua = PuaFilter { enabled: true, ..PuaFilter::default() };
    let mut builder = SetBuilder::new().pua(pua).programs(Programs::Everybody);
    let source = format!("a line of .{}", format.extension());
    let diagnostic =
        |number, line: &[u8], error| Box::new(Diagnostic::new(&source, number, line, error));
    let mut skipped = None;
    if format.is_document() {
        let mut failed = None;
        builder.document(format, text, &mut |entry| match entry.outcome {
            Ok(Admission::Skipped(skip)) => skipped = Some(skip),
            Ok(_) => {}
            Err(error) => {
                let Line { number, text } = entry.line;
                failed.get_or_insert_with(|| diagnostic(number, text, error));
            }
        });
        if let Some(failed) = failed {
            return Err(failed);
        }
    } else {
        let line = text.split(|&b| b == b'\n').next().unwrap_or_default().trim_ascii_end();
        match builder.line(format, 1, line) {
            Ok(Admission::Skipped(skip)) => skipped = Some(skip),
            Ok(_) => {}
            Err(error) => return Err(diagnostic(1, line, error)),
        }
    }
    let set = builder.finish();
    let mut decoded: Vec<Decoded> = set
        .ids()
        .map(|id| Decoded {
            format,
            name: String::from_utf8_lossy(&set.name(id)).into_owned(),
            kind: words::kind(id.kind()),
            words: words::of_signature(&set, id),
            plan: explain::plan(&set, id),
        })
        .collect();
    let lists = words::of_lists(&set);
    if !lists.is_empty() || decoded.is_empty() {
        let words = match skipped {
            Some(skip) => vec![left_out(skip)],
            None if format.grammar() == Grammar::Ignore => {
                vec!["leaves out the signatures of this name".to_owned()]
            }
            None => lists,
        };
        let kind = format!("entry of a .{}", format.extension());
        decoded.push(Decoded { format, name: String::new(), kind, words, plan: Vec::new() });
    }
    Ok(decoded)
}

fn left_out(skip: Skip) -> String {
    match skip {
        Skip::Newer => format!("left out: it is for engines of a level above {FLEVEL}"),
        Skip::Obsolete => format!("left out: it is for engines of a level below {FLEVEL}"),
        _ => "left out: it has no use".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_form() {
        for (line, format) in [
            ("A=616263", Format::Db),
            ("A:0:*:616263", Format::Ndb),
            ("A:1:EP+0:6162??63:51:255", Format::Ndb),
            ("A;Target:0;0;6161", Format::Ldb),
            ("0123456789abcdef0123456789abcdef:7:A", Format::Hdb),
            ("512:0123456789abcdef0123456789abcdef:A", Format::Mdb),
            ("A:CL_TYPE_ZIP:*:a:*:*:*:*:*:*", Format::Cdb),
            ("0:0:504b0304:Zip:CL_TYPE_ANY:CL_TYPE_ZIP", Format::Ftm),
            ("A;Engine:81-255;0;secret", Format::Pwdb),
            ("H:bank.example", Format::Gdb),
            ("M:a.example:b.example", Format::Wdb),
            ("PE:0x1", Format::Cfg),
            ("rule A { condition: true }", Format::Yar),
            ("ClamBCafh", Format::Cbc),
            ("A;Target:0;0;616", Format::Ldb),
            ("A:0:*:616", Format::Ndb),
        ] {
            assert_eq!(guess_format(line.as_bytes()), format, "{line}");
        }
    }

    #[test]
    fn a_line_is_told_as_parsed_and_as_compiled() {
        let decoded = decode(Format::Ldb, b"A;Target:0;0&1;6162637a;2020").unwrap();
        assert_eq!(decoded[0].name, "A");
        assert_eq!(decoded[0].words[1], "condition: [0] and [1]");
        assert!(decoded[0].plan[0].starts_with("found by: the literal \"abcz\""), "{decoded:?}");
        let error = decode(Format::Ndb, b"A:0:*:616").unwrap_err();
        assert!(error.render().contains('^'), "{}", error.render());
        let newer = decode(Format::Ndb, b"A:0:*:what:300").unwrap();
        assert_eq!(newer[0].words, ["left out: it is for engines of a level above 216"]);
        let program = b"ClamBCa\nBC.A.{B};Engine:56-255,Target:0;0;616263\nTedf\n";
        assert!(decode(Format::Cbc, program).unwrap()[0].words.last().unwrap().contains("program"));
    }
}
