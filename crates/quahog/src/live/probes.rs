//! Probes: what a candidate is tried on.
//!
//! Harmless mails of many forms, EICAR's test file, inputs that make a matcher
//! work, and samples that are made from the candidate itself: for a signature
//! whose pattern can be written out, the bytes that it must find.

use quahog_engine::{Engine, Layer, Look, Scratch, Unmetered};
use quahog_sig::SigId;
use quahog_sig::body::{Element, Pattern};
use quahog_sig::model::{Base, FileType, Offset, Op, Subsignature, Target};

/// EICAR's test file, put together at run time so that no scanner finds it in
/// this library.
pub(crate) fn eicar() -> Vec<u8> {
    let halves = ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"];
    halves.concat().into_bytes()
}

/// Harmless mails, with a name each. No signature may find anything in them.
pub(crate) fn harmless() -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: &str, text: String| all.push((name.to_owned(), text.into_bytes()));
    let head = |subject: &str| {
        format!(
            "Received: from mx.example.org (mx.example.org [192.0.2.7]) by mail.example.com with \
             ESMTPS id 4Xk2m1; Tue, 3 Mar 2026 09:14:07 +0100\r\nFrom: Anna Beispiel \
             <anna@example.org>\r\nTo: team@example.com\r\nSubject: {subject}\r\nMessage-ID: \
             <20260303.4711@example.org>\r\nMIME-Version: 1.0\r\n"
        )
    };
    let prose = "Dear all,\r\n\r\nthe minutes of yesterday's meeting are below. Please send \
                 corrections until Friday.\r\nThe budget for the second quarter is 12,400 EUR; \
                 travel stays as it is.\r\n\r\nBest regards\r\nAnna\r\n-- \r\nExample Ltd, 1 Main \
                 Street, https://www.example.org/contact?ref=mail\r\n";
    add(
        "plain",
        format!("{}Content-Type: text/plain; charset=utf-8\r\n\r\n{prose}", head("Minutes")),
    );
    add("short", format!("{}\r\nok\r\n", head("Re: lunch?")));
    add(
        "html",
        format!(
            "{}Content-Type: text/html; charset=utf-8\r\n\r\n<!DOCTYPE html><html><head><title>News\
             </title><style>p {{ color: #333 }}</style><script>var a = 1; function f(x) {{ return \
             x + a; }}</script></head><body><h1>News</h1><p>Our shop is <b>closed</b> on Monday. \
             <a href=\"https://www.example.org/news\">Read more</a></p><img src=\"cid:logo\" \
             width=\"1\" height=\"1\"></body></html>\r\n",
            head("News")
        ),
    );
    add(
        "alternative",
        format!(
            "{}Content-Type: multipart/alternative; boundary=\"b1\"\r\n\r\n--b1\r\nContent-Type: \
             text/plain\r\n\r\n{prose}--b1\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: \
             quoted-printable\r\n\r\n<p>Dear all,=20</p><p>gr=C3=BC=C3=9Fe</p>\r\n--b1--\r\n",
            head("=?utf-8?Q?Gr=C3=BC=C3=9Fe?=")
        ),
    );
    // Attachments of common types, base64 of plausible first bytes and filler.
    for (kind, name, magic) in [
        (
            "application/pdf",
            "invoice.pdf",
            &b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\n"[..],
        ),
        (
            "image/png",
            "logo.png",
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x10\x08\x06\0\0\0",
        ),
        ("image/jpeg", "photo.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0H\0H\0\0"),
        ("image/gif", "dot.gif", b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff"),
        ("application/msword", "letter.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0\0\0\0\0\0\0"),
        (
            "text/csv",
            "list.csv",
            b"name;amount;date\r\nA;12,50;2026-03-03\r\nB;7,00;2026-03-04\r\n",
        ),
        ("text/calendar", "invite.ics", b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\n"),
        ("application/octet-stream", "data.bin", b"\0\0\0\0\x01\0\0\0\x02\0\0\0\xff\xff\xff\xff"),
    ] {
        let mut bytes = magic.to_vec();
        let mut state = 0x2545_f491_4f6c_dd1du64;
        while bytes.len() < 6_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            match bytes.len() % 512 {
                0..=99 => bytes.push(0),
                100..=199 => bytes.push(b' '),
                // A byte of the state.
                _ => bytes.push((state >> 24) as u8),
            }
        }
        add(
            name,
            format!(
                "{}Content-Type: multipart/mixed; boundary=\"=_x7\"\r\n\r\n--=_x7\r\nContent-Type: \
                 text/plain\r\n\r\n{prose}--=_x7\r\nContent-Type: {kind}; name=\"{name}\"\r\n\
                 Content-Disposition: attachment; filename=\"{name}\"\r\n\
                 Content-Transfer-Encoding: base64\r\n\r\n{}--=_x7--\r\n",
                head("Attached"),
                base64(&bytes)
            ),
        );
    }
    add(
        "forwarded",
        format!(
            "{}Content-Type: message/rfc822\r\n\r\n{}Content-Type: text/plain\r\n\r\n{prose}",
            head("Fwd: Minutes"),
            head("Minutes")
        ),
    );
    add(
        "bounce",
        format!(
            "{}Content-Type: multipart/report; report-type=delivery-status; boundary=b9\r\n\r\n\
             --b9\r\n\r\nUser unknown\r\n--b9\r\nContent-Type: message/delivery-status\r\n\r\n\
             Reporting-MTA: dns; mx.example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n--b9--\r\n",
            head("Undelivered Mail Returned to Sender")
        ),
    );
    let filler: String = (0..2_000)
        .map(|n| format!("{n:05} the quick brown fox jumps over the lazy dog\r\n"))
        .collect();
    add("long", format!("{}Content-Type: text/plain\r\n\r\n{filler}", head("A long text")));
    // No mails, but what stands in them.
    all.push(("zeros".to_owned(), vec![0; 8_192]));
    all.push(("blanks".to_owned(), vec![b' '; 8_192]));
    all.push(("all bytes".to_owned(), (0..16_384u32).map(|n| (n % 256) as u8).collect()));
    all
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len() * 3 / 2);
    for line in bytes.chunks(57) {
        for group in line.chunks(3) {
            let word = group.iter().fold(0u32, |word, &byte| word << 8 | u32::from(byte));
            let word = word << (8 * (3 - group.len()));
            for at in 0..4 {
                let digit = DIGITS[(word >> (18 - 6 * at)) as usize & 63];
                text.push(if at <= group.len() { char::from(digit) } else { '=' });
            }
        }
        text.push_str("\r\n");
    }
    text
}

/// Inputs of `size` bytes that make a matcher work: repetitions, and what the
/// candidate looks for, over and over.
pub(crate) fn adversarial(engine: &Engine, size: usize) -> Vec<(String, Vec<u8>)> {
    let fill = |unit: &[u8]| -> Vec<u8> {
        unit.iter().copied().cycle().take(if unit.is_empty() { 0 } else { size }).collect()
    };
    let mut all = vec![
        ("one letter".to_owned(), fill(b"A")),
        ("zeros and ones".to_owned(), fill(b"\0\x01")),
        ("tags".to_owned(), fill(b"<a href='http://a/'><b ")),
        ("boundaries".to_owned(), fill(b"Content-Type: multipart/mixed; boundary=a\n\n--a\n")),
    ];
    // The literals of the dearest signatures, and first halves of others.
    let mut dear: Vec<(f64, Vec<u8>)> = Vec::new();
    for segment in engine.segments() {
        for cost in quahog_engine::costs(segment.signatures()).take(200_000) {
            if let Some(literal) = cost.literal.filter(|literal| !literal.is_empty()) {
                dear.push((cost.places, literal));
                if dear.len() > 512 {
                    dear.sort_by(|a, b| b.0.total_cmp(&a.0));
                    dear.truncate(256);
                }
            }
        }
    }
    dear.sort_by(|a, b| b.0.total_cmp(&a.0));
    if let Some((_, literal)) = dear.first() {
        all.push(("its dearest literal".to_owned(), fill(literal)));
    }
    let mut mixed = Vec::new();
    for (_, literal) in dear.iter().take(256) {
        mixed.extend_from_slice(literal);
    }
    all.push(("its literals".to_owned(), fill(&mixed)));
    all
}

/// What a synthetic sample showed.
pub(crate) struct Sampled {
    /// Samples made, and those that were found, by kind.
    pub(crate) body: (usize, usize),
    pub(crate) logical: (usize, usize),
    /// The first signature whose sample was not found.
    pub(crate) missed: Option<String>,
}

/// Writes out up to `most` signatures of each kind, spread over the candidate,
/// and looks whether it finds them.
pub(crate) fn sample(engine: &Engine, most: usize) -> Sampled {
    let mut sampled = Sampled { body: (0, 0), logical: (0, 0), missed: None };
    let mut scratch = Scratch::default();
    for (number, segment) in engine.segments().iter().enumerate() {
        let set = segment.signatures();
        let step = (set.bodies().len() / most.max(1)).max(1);
        for body in set.bodies().step_by(step).take(most) {
            let Some(sample) = of_body(body.offset, body.pattern, body.target) else { continue };
            sampled.body.0 += 1;
            if found(engine, number, body.id, body.target, &sample, &mut scratch) {
                sampled.body.1 += 1;
            } else {
                missed(&mut sampled, &set.name(body.id));
            }
        }
        let step = (set.logicals().len() / most.max(1)).max(1);
        for logical in set.logicals().step_by(step).take(most) {
            let plain = logical.block.file_size.is_none()
                && logical.block.entry_point.is_none()
                && logical.block.n_sections.is_none()
                && logical.block.container.is_none()
                && logical.block.intermediates.is_empty()
                && logical.block.icon_groups.iter().all(Option::is_none)
                && logical
                    .expression
                    .ops()
                    .all(|op| matches!(op, Op::Push { comparison: None, .. } | Op::And | Op::Or));
            let mut sample = Vec::new();
            let written = plain
                && logical.subsignatures().all(|sub| match sub {
                    Subsignature::Hex { offset: Offset::ANY, pattern, second: None } => {
                        write(pattern, &mut sample).is_some()
                    }
                    _ => false,
                });
            if !written || sample.len() > MAX_SAMPLE {
                continue;
            }
            let target = logical.block.target;
            sampled.logical.0 += 1;
            if found(engine, number, logical.id, target, &sample, &mut scratch) {
                sampled.logical.1 += 1;
            } else {
                missed(&mut sampled, &set.name(logical.id));
            }
        }
    }
    sampled
}

fn missed(sampled: &mut Sampled, name: &[u8]) {
    sampled.missed.get_or_insert_with(|| String::from_utf8_lossy(name).into_owned());
}

/// The longest sample.
const MAX_SAMPLE: usize = 64 << 10;

fn of_body(offset: Offset, pattern: Pattern<'_>, target: Target) -> Option<Vec<u8>> {
    // Where a program would be needed around it, nothing is written.
    if target.is_executable() && offset != Offset::ANY {
        return None;
    }
    let mut sample = Vec::new();
    match offset.base {
        Base::Any => {}
        Base::Absolute(at) if at as usize <= MAX_SAMPLE => sample.resize(at as usize, 0x20),
        _ => return None,
    }
    write(pattern, &mut sample)?;
    // Too small a layer is not looked at.
    while sample.len() < quahog_engine::MIN_LAYER {
        sample.push(0x20);
    }
    (sample.len() <= MAX_SAMPLE).then_some(sample)
}

/// Appends bytes that the pattern finds; `None` where that takes more thought
/// than writing it out, as with classes and what must not stand somewhere.
fn write(pattern: Pattern<'_>, to: &mut Vec<u8>) -> Option<()> {
    for (number, part) in pattern.parts().enumerate() {
        if number > 0 {
            let gap = part.gap?;
            let least = usize::try_from(gap.min).ok().filter(|&least| least <= MAX_SAMPLE)?;
            to.resize(to.len() + least, 0x20);
        }
        let alone = part.left_byte.is_none() && part.left_class.is_none();
        if !alone || part.right_byte.is_some() || part.right_class.is_some() {
            return None;
        }
        for element in part.elements() {
            match element {
                Element::Literal(bytes) => to.extend_from_slice(bytes),
                Element::Skip(n) if n as usize <= MAX_SAMPLE => {
                    to.resize(to.len() + n as usize, 0x20);
                }
                Element::High(byte) | Element::Low(byte) => to.push(byte),
                Element::Set { bytes, negated: false } => to.push(*bytes.first()?),
                Element::Fixed(alternate) if !alternate.negated => {
                    to.extend_from_slice(alternate.strings().next()?);
                }
                Element::Cut { .. } => {}
                _ => return None,
            }
        }
    }
    Some(())
}

/// Whether the engine finds a signature of its own in a sample.
fn found(
    engine: &Engine,
    segment: usize,
    id: SigId,
    target: Target,
    sample: &[u8],
    scratch: &mut Scratch,
) -> bool {
    let (file_type, look) = match target {
        Target::HTML => (FileType::HTML, Look::Html),
        Target::TEXT => (FileType::TEXT_ASCII, Look::Text),
        Target::MAIL => (FileType::MAIL, Look::Raw),
        Target::PE => (FileType::MSEXE, Look::Raw),
        Target::OLE2 => (FileType::MSOLE2, Look::Raw),
        Target::GRAPHICS => (FileType::PNG, Look::Raw),
        Target::ELF => (FileType::ELF, Look::Raw),
        Target::MACH_O => (FileType::MACHO, Look::Raw),
        Target::PDF => (FileType::PDF, Look::Raw),
        Target::SWF => (FileType::SWF, Look::Raw),
        Target::JAVA => (FileType::JAVA, Look::Raw),
        _ => (FileType::BINARY_DATA, Look::Raw),
    };
    let layer = Layer::new(sample, file_type, None);
    let mut hits = Vec::new();
    // Nothing calls an unmetered scan off.
    let _ = engine.scan(&layer, look, scratch, &Unmetered, &mut hits);
    hits.iter().any(|hit| hit.segment == segment && hit.id == id)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use quahog_sig::{Format, SetBuilder};

    #[test]
    fn samples_of_sound_signatures_are_found() {
        let mut builder = SetBuilder::new();
        for line in [
            "A:0:*:68656c6c6f",
            "B:0:16:68656c6c6f??6a",
            "C:7:*:6162{4-8}6364*6566",
            "D:3:*:(6162|6364)65666768",
            "E:1:*:4d5a9?00ff",
        ] {
            builder.line(Format::Ndb, 1, line.as_bytes()).unwrap();
        }
        for line in ["F;Target:0;0&1;616263;646566", "G;Target:7;(0|1)&2;6162;6364;6566"] {
            builder.line(Format::Ldb, 1, line.as_bytes()).unwrap();
        }
        let sampled = sample(&Engine::new(builder.finish()).unwrap(), 64);
        assert_eq!(sampled.missed, None);
        assert_eq!((sampled.body, sampled.logical), ((5, 5), (2, 2)));
    }
}
