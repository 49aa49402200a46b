//! Counts pairs and triples of bytes in files and writes the model of how rare
//! they are: `cargo run --release -p quahog-engine --example gram_model -- OUT
//! FILE...`. Every file weighs the same. The model of the crate was made from
//! one file of each kind of data that mail consists of: text, HTML, messages as
//! they are sent, decoded attachments, and programs for two systems.
use std::path::PathBuf;

const PAIRS: usize = 1 << 14;
const TRIPLES: usize = 1 << 17;

/// The seven bits that are left of a byte when bit 5 is set.
fn bits(byte: u8) -> usize {
    usize::from(byte & 0x1f | byte >> 1 & 0x60)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let Some(out) = arguments.next() else {
        return Err("usage: gram_model OUT FILE...".into());
    };
    let files: Vec<_> = arguments.collect();
    let mut frequencies = vec![0f64; PAIRS + TRIPLES];
    for file in &files {
        let data = std::fs::read(file)?;
        let each = 1.0 / (data.len().max(1) * files.len()) as f64;
        for window in data.windows(3) {
            let [a, b, c] = [window[0], window[1], window[2]].map(bits);
            frequencies[a << 7 | b] += each;
            let key = (a << 14 | b << 7 | c) as u32;
            frequencies[PAIRS + (key.wrapping_mul(0x9e37_79b1) >> 15) as usize] += each;
        }
        println!("{}: {} bytes", file.display(), data.len());
    }
    // Eighths of a bit. What was never seen is taken for somewhat rarer than
    // what was seen once in 32 MiB.
    let cost = |p: f64| (-8.0 * (p + 2f64.powi(-26)).log2()).round().clamp(0.0, 255.0) as u8;
    let model: Vec<u8> = frequencies.into_iter().map(cost).collect();
    std::fs::write(&out, model)?;
    Ok(())
}
