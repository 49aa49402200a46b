//! Calendars and address cards: attachments in base64.

use quahog_content::Format;

use super::{part_of, parts};

pub(super) fn sample() -> Vec<u8> {
    b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:no QUJD\r\n\
      ATTACH;FMTTYPE=application/octet-stream;ENCODING=BASE64;VALUE=BINARY;X-FILENAME=\"a.exe\":\r\n \
      TVogcGF\r\n\t5bG9hZCE=\r\nATTACH:data:text/plain;base64,c2Vjb25k\r\nEND:VEVENT\r\n"
        .to_vec()
}

#[test]
fn attachments_are_decoded() {
    let (found, shortfall) = parts(Format::Calendar, &sample());
    assert_eq!(shortfall, None);
    assert_eq!(part_of(&found, b"MZ payload!").name(), "a.exe");
    part_of(&found, b"second");
    assert_eq!(found.len(), 2);
    for head in ["PHOTO;ENCODING=b;TYPE=JPEG", "PHOTO;JPEG;BASE64", "KEY;encoding=base64"] {
        let card = format!("BEGIN:VCARD\n{head}:\n c2Vj\n b25k\n\nEND:VCARD");
        assert_eq!(parts(Format::Calendar, card.as_bytes()).0[0].bytes(), b"second", "{head}");
    }
}

#[test]
fn they_are_told_by_their_first_line() {
    assert_eq!(Format::recognize(&sample()), Some(Format::Calendar));
    assert_eq!(Format::recognize(b"\xef\xbb\xbf\r\nbegin:vcard\r\n"), Some(Format::Calendar));
    assert_eq!(Format::recognize(b"ActiveMime\0"), Some(Format::ActiveMime));
    assert_eq!(Format::recognize(b"BEGIN:VC"), None);
}
