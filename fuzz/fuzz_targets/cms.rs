#![no_main]
//! Whatever stands in a `.sign` file or among the anchors, reading them ends
//! without a panic, and nothing made up verifies without an anchor.
//!
//! The first byte chooses whether the input is the text or the DER inside it.

use libfuzzer_sys::fuzz_target;
use quahog_cvd::detached::Anchors;

fuzz_target!(|data: &[u8]| {
    let Some((&mode, data)) = data.split_first() else { return };
    let none = Anchors::new();
    match mode % 3 {
        0 => assert!(none.verify(data, b"file", 1_792_000_000).is_err()),
        1 => {
            let text = format!("#clamsign-1.0\n230::pkcs7-pem:{}\n", base64(data));
            assert!(none.verify(text.as_bytes(), b"file", 1_792_000_000).is_err());
        }
        _ => {
            let lines = base64(data);
            let lines: Vec<_> = lines.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
            let text = format!(
                "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
                lines.join("\n")
            );
            let mut anchors = Anchors::new();
            assert_eq!(anchors.add_pem(text.as_bytes()).is_ok(), !anchors.is_empty());
        }
    }
});

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut three = [0; 3];
        three[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}
