//! Pictures, and logical signatures of what they look like.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use quahog_content::{Budget, Limits, picture};

use crate::Case;
use crate::dice::Dice;

/// A PNG, its hash, and hashes that are nearly so.
pub(crate) fn case(seed: u64) -> Case {
    let mut dice = Dice::new(seed);
    let input = if dice.one_in(4) { bitmap_in_gif(&mut dice) } else { png(&mut dice) };
    let budget = Budget::new(Limits::default());
    let hash = picture::hash(&input, &budget).unwrap_or(0x0123_4567_89ab_cdef);
    let near = hash ^ 1 << dice.below(64);
    let mut lines = vec![
        format!("Picture;Engine:150-255,Target:5;0;fuzzy_img#{hash:016x}"),
        format!("Near;Engine:150-255,Target:5;0;fuzzy_img#{near:016x}#0"),
        format!("Any;Engine:150-255,Target:0;0|1;fuzzy_img#{hash:016x}#0;fuzzy_img#{near:016x}"),
        format!(
            "Count;Engine:150-255,Target:5;0=1&1=0;fuzzy_img#{hash:016X};fuzzy_img#{near:016x}"
        ),
    ];
    if dice.one_in(10) {
        let tail = dice.of(&["#1", "0", "#", "#0#1", "::i"]);
        lines.push(format!("Odd;Engine:150-255,Target:5;0;fuzzy_img#{hash:016x}{tail}"));
    }
    Case { files: vec![("case.ldb".to_owned(), lines.join("\n") + "\n")], input }
}

/// A shade for each place: some order and some noise.
fn shades(dice: &mut Dice) -> impl FnMut(usize, usize) -> usize + use<> {
    let (a, b, c) = (dice.below(9), dice.below(9), 1 + dice.below(40));
    let mut noise = Dice::new(dice.below(1 << 30) as u64);
    move |x, y| (x * a * 3 + y * b * 5 + (x / c) * 90 + (y / c) * 40 + noise.below(24)) & 0xff
}

fn png(dice: &mut Dice) -> Vec<u8> {
    // Depth and kind of colour, then samples for a pixel.
    let (depth, colour, samples) =
        dice.of(&[(8, 0, 1), (8, 2, 3), (8, 6, 4), (8, 4, 2), (16, 2, 3), (1, 0, 1), (8, 3, 1)]);
    let (width, height) = (1 + dice.below(90), 1 + dice.below(90));
    let mut shade = shades(dice);
    let mut rows = Vec::new();
    for y in 0..height {
        rows.push(0);
        if depth == 1 {
            let byte = |at: usize, shade: &mut dyn FnMut(usize, usize) -> usize| {
                (0..8).fold(0, |byte, bit| byte << 1 | u8::from(shade(at * 8 + bit, y) > 127))
            };
            rows.extend((0..width.div_ceil(8)).map(|at| byte(at, &mut shade)));
            continue;
        }
        for x in 0..width {
            for sample in 0..samples {
                // 256 shades fit.
                rows.push(shade(x + sample * 7, y) as u8);
                if depth == 16 {
                    rows.push(x as u8);
                }
            }
        }
    }
    let mut deflated = ZlibEncoder::new(Vec::new(), Compression::default());
    deflated.write_all(&rows).expect("memory has room");
    let deflated = deflated.finish().expect("memory has room");
    let mut header = Vec::new();
    header.extend_from_slice(&(width as u32).to_be_bytes());
    header.extend_from_slice(&(height as u32).to_be_bytes());
    header.extend_from_slice(&[depth, colour, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut file, b"IHDR", &header);
    if colour == 3 {
        let palette: Vec<u8> = (0..256 * 3).map(|_| dice.below(256) as u8).collect();
        chunk(&mut file, b"PLTE", &palette);
        if dice.one_in(2) {
            chunk(&mut file, b"tRNS", &[0, 128, 255]);
        }
    }
    chunk(&mut file, b"IDAT", &deflated);
    chunk(&mut file, b"IEND", b"");
    file
}

fn chunk(file: &mut Vec<u8>, kind: &[u8; 4], bytes: &[u8]) {
    file.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    let mut sum = flate2::Crc::new();
    sum.update(kind);
    sum.update(bytes);
    file.extend_from_slice(kind);
    file.extend_from_slice(bytes);
    file.extend_from_slice(&sum.sum().to_be_bytes());
}

/// A GIF whose codes are all of nine bits, so nothing is compressed.
fn bitmap_in_gif(dice: &mut Dice) -> Vec<u8> {
    let (width, height) = (1 + dice.below(60), 1 + dice.below(60));
    let mut file = dice.of(&[b"GIF89a", b"GIF87a"]).to_vec();
    let size = [width as u8, 0, height as u8, 0];
    file.extend_from_slice(&size);
    file.extend_from_slice(&[0xf7, 0, 0]);
    file.extend((0..256 * 3).map(|_| dice.below(256) as u8));
    file.extend_from_slice(&[0x2c, 0, 0, 0, 0]);
    file.extend_from_slice(&size);
    file.extend_from_slice(&[0, 8]);
    let mut shade = shades(dice);
    let (mut bits, mut n_bits, mut codes) = (0_u32, 0, Vec::new());
    let mut put = |code: u32, codes: &mut Vec<u8>| {
        bits |= code << n_bits;
        n_bits += 9;
        while n_bits >= 8 {
            codes.push(bits as u8);
            bits >>= 8;
            n_bits -= 8;
        }
    };
    for at in 0..width * height {
        // Cleared before codes grow to ten bits.
        if at % 200 == 0 {
            put(256, &mut codes);
        }
        put(shade(at % width, at / width) as u32, &mut codes);
    }
    put(257, &mut codes);
    put(0, &mut codes);
    for block in codes.chunks(255) {
        file.push(block.len() as u8);
        file.extend_from_slice(block);
    }
    file.extend_from_slice(&[0, 0x3b]);
    file
}
