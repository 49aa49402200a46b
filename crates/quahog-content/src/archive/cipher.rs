//! The traditional encryption of zip: three keys that every byte changes.
//!
//! It is no secret to whoever knows the password, and to others not much of
//! one. Passwords come from databases; nothing is guessed here.

/// The state of the cipher.
#[derive(Clone, Debug)]
pub(super) struct Cipher {
    keys: [u32; 3],
}

/// Bytes before the data, of which the last tells whether a password fits.
pub(super) const HEADER: usize = 12;

impl Cipher {
    pub(super) fn new(password: &[u8]) -> Cipher {
        let mut cipher = Cipher { keys: [0x1234_5678, 0x2345_6789, 0x3456_7890] };
        password.iter().for_each(|&byte| cipher.update(byte));
        cipher
    }

    /// Decrypts bytes in place.
    pub(super) fn decrypt(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            let mixed = (self.keys[2] | 2) & 0xffff;
            // The second lowest of four bytes.
            *byte ^= (mixed.wrapping_mul(mixed ^ 1) >> 8) as u8;
            self.update(*byte);
        }
    }

    fn update(&mut self, plain: u8) {
        let [first, second, third] = &mut self.keys;
        *first = crc_step(*first, plain);
        *second = second.wrapping_add(*first & 0xff).wrapping_mul(134_775_813).wrapping_add(1);
        *third = crc_step(*third, (*second >> 24) as u8);
    }
}

/// One byte of a CRC-32, without what begins and ends one.
fn crc_step(crc: u32, byte: u8) -> u32 {
    crc >> 8 ^ TABLE[((crc ^ u32::from(byte)) & 0xff) as usize]
}

static TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0xedb8_8320 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_make_a_crc() {
        let crc = b"123456789".iter().fold(!0, |crc, &byte| crc_step(crc, byte));
        assert_eq!(!crc, 0xcbf4_3926);
    }
}
