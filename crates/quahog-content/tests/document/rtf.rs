//! RTF: objects and pictures.

use quahog_content::{Format, Limits, Shortfall};

use super::{ole, part_of, parts, parts_within};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An object in OLE 1 form.
fn object(class: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x01\x05\0\0\x02\0\0\0".to_vec();
    bytes.extend((class.len() as u32 + 1).to_le_bytes());
    bytes.extend(class.bytes().chain([0]));
    bytes.extend([0; 8]);
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes
}

fn package() -> Vec<u8> {
    object("Package", &ole::native("a.exe", b"MZ payload")[4..])
}

pub(super) fn sample() -> Vec<u8> {
    let package = hex(&package());
    let file = hex(&object("Equation.3", &ole::compound(&[("x", b"y")])));
    format!(
        "{{\\rtf1 text {{\\object\\objemb{{\\*\\objdata {package}}}}}{{\\pict\\pngblip 8950}}\
         {{\\object{{\\*\\objdata {file}}}}}{{\\object{{\\*\\objdata \\bin4 \x01\x02}}x}}}}}}"
    )
    .into_bytes()
}

#[test]
fn objects_and_pictures_are_parts() {
    let (found, shortfall) = parts(Format::Rtf, &sample());
    assert_eq!(shortfall, None);
    assert_eq!(part_of(&found, b"MZ payload").name(), "a.exe");
    assert_eq!(part_of(&found, &ole::compound(&[("x", b"y")])).name(), "Equation.3");
    assert_eq!(part_of(&found, b"\x89P").name, None);
    assert_eq!(part_of(&found, b"\x01\x02}x").name, None);
    assert_eq!(found.len(), 4);
}

#[test]
fn what_word_reads_past_hides_nothing() {
    let package = hex(&package());
    let (first, second) = package.split_at(31);
    for (name, data) in [
        ("lines", format!("{first}\r\n \t{second}")),
        ("upper case", package.to_uppercase()),
        ("a control word", format!("{first}\\par {second}")),
        ("an unknown group", format!("{first}{{\\*\\unknown 41424344}}{second}")),
        ("a group", format!("{{{first}}}{second}")),
        ("letters that are no digits", format!("{first}xyz\u{1}{second}")),
        ("an empty bin", format!("{first}{{\\bin0}}{second}")),
        ("a symbol with digits", format!("{first}\\'41{second}")),
    ] {
        let text = format!("{{\\rtf1{{\\object{{\\*\\objdata {data}}}}}}}");
        let (found, _) = parts(Format::Rtf, text.as_bytes());
        assert!(found.iter().any(|part| part.bytes() == b"MZ payload"), "{name}");
    }
}

#[test]
fn an_object_without_an_end_or_a_form_is_handed_out() {
    let (found, _) = parts(Format::Rtf, b"{\\rtf1{\\object{\\*\\objdata 4d5a90");
    part_of(&found, b"MZ\x90");
    let file = ole::compound(&[("x", b"y")]);
    let bytes = [b"junk before".as_slice(), &file].concat();
    let (found, _) = parts(Format::Rtf, format!("{{\\objdata {}", hex(&bytes)).as_bytes());
    part_of(&found, &bytes);
    part_of(&found, &file);
}

#[test]
fn groups_may_be_deep_and_objects_long() {
    let deep =
        [&b"{\\rtf1"[..], &b"{".repeat(200_000), b"\\objdata 4d5a", &b"}".repeat(300_000)].concat();
    assert_eq!(parts(Format::Rtf, &deep).0.len(), 1);
    let long = [b"{\\objdata ".as_slice(), &b"41".repeat(10_000)].concat();
    let limits = Limits { part_bytes: 1000, ..Limits::default() };
    let (found, _) = parts_within(Format::Rtf, &long, limits);
    assert_eq!(found[0].bytes(), [b'A'; 1000]);
    assert_eq!(found[0].shortfall, Some(Shortfall::PartBytes));
}
