//! Writes seeds for the fuzz targets that walk messages, archives, documents,
//! pictures and texts: `cargo run -p quahog --example seeds -- fuzz/corpus`
//!
//! They are small forms of what testkit makes to be slow or large, behind the
//! byte by which a target picks a format.
use std::path::PathBuf;

use quahog_content::Format;
use quahog_testkit::builders::attack::attacks;
use quahog_testkit::builders::bomb;
use quahog_testkit::builders::mail::{Encoding, Part, message};
use quahog_testkit::builders::zip::{Member, zip};

/// Bytes of a seed, about.
const LEN: usize = 700;

/// A picture of one dot.
const GIF: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0\x3a\x7e\x9b\x55\
    \0\0\0\nIDATx\x9cc`\0\0\0\x02\0\x01\x48\xaf\xa4\x71\0\0\0\0IEND\xaeB`\x82";
const TIFF: &[u8] = b"II*\0\x08\0\0\0\x01\0\0\x01\x03\0\x01\0\0\0\x01\0\0\0\0\0\0\0";
const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xd9";

/// The format that bytes of a name that begins so are of.
fn format_of(name: &str) -> Option<Format> {
    Some(match name.split(' ').next()? {
        "zip" | "42.zip" => Format::Zip,
        "gzip" => Format::Gzip,
        "bzip2" => Format::Bzip2,
        "xz" => Format::Xz,
        "lzma" => Format::Lzma,
        "zstd" => Format::Zstd,
        "lz4" => Format::Lz4,
        "7z" => Format::SevenZ,
        "tar" | "sparse" => Format::Tar,
        "cpio" => Format::Cpio,
        "ar" => Format::Ar,
        "lha" => Format::Lha,
        "pdf" => Format::Pdf,
        "rtf" => Format::Rtf,
        "ole" => Format::Ole2,
        "xml" => Format::XmlOffice,
        "calendar" => Format::Calendar,
        "tnef" => Format::Tnef,
        _ => return None,
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(std::env::args().nth(1).ok_or("usage: seeds FOLDER")?);
    let mut count = 0;
    let mut write = |target: &str, name: &str, bytes: &[&[u8]]| -> std::io::Result<()> {
        let folder = root.join(target);
        std::fs::create_dir_all(&folder)?;
        count += 1;
        std::fs::write(folder.join(format!("seed-{}", name.replace(' ', "-"))), bytes.concat())
    };
    let small = attacks().into_iter().map(|a| (a.name, a.is_message, (a.make)(LEN)));
    let packed = [
        ("gzip", bomb::gzip(1000)),
        ("bzip2", bomb::bzip2(1000)),
        ("xz", bomb::xz(1000)),
        ("lzma", bomb::lzma(1000)),
        ("zstd", bomb::zstd(1000)),
        ("lz4", bomb::lz4(1000)),
        ("7z", bomb::sevenz(1000)),
        ("42.zip", bomb::forty_two(1, 2, 1000)),
        ("zip of overlaps", bomb::overlapping_zip(3, 1000)),
        ("zip of all", zip(&[Member::stored("a.txt", b"abc"), Member::deflated("b", b"abcabc")])),
        ("sparse tar", bomb::sparse_tar()),
        ("gzip quine", bomb::quine()),
        ("pdf", bomb::pdf(&[(1000, 2)])),
        ("pdf chain", bomb::pdf_chain(1000)),
    ];
    for (name, is_message, bytes) in small.chain(packed.map(|(name, bytes)| (name, false, bytes))) {
        // The walk takes all; its first byte says what it is told of them.
        write("scan_message", name, &[&[2 | u8::from(is_message)], &bytes])?;
        let text = name.starts_with("html") || name.starts_with("script");
        if text {
            write("text_views", name, &[&[7], &bytes])?;
        }
        let format = if is_message { Some(Format::Mail) } else { format_of(name) };
        for (target, formats) in [("archives", Format::ARCHIVES), ("documents", Format::OTHERS)] {
            // Far fewer formats than a byte has values.
            if let Some(at) = formats.iter().position(|&one| Some(one) == format) {
                write(target, name, &[&[at as u8], &bytes])?;
            }
        }
    }
    let parts = [
        Part::text("hello\n"),
        Part::attachment("a.gif", GIF, Encoding::Base64),
        Part::attachment("a.bin", b"\x01\xfe", Encoding::QuotedPrintable),
        Part::rfc822("inner", Part::html("<p>hello</p>")),
    ];
    write("scan_message", "every part", &[&[3], &message("x", &Part::mixed(parts))])?;
    for (at, (name, picture)) in
        [("gif", GIF), ("jpeg", JPEG), ("png", PNG), ("tiff", TIFF)].into_iter().enumerate()
    {
        write("pictures", name, &[&[at as u8], picture])?;
    }
    println!("{count} seeds in {}", root.display());
    Ok(())
}
