//! Top-level domains, as far as clamscan 1.4.6 knows them.
//!
//! The tables were found by trying every label of two and three letters, and
//! longer ones that were in use. They are kept as they are: a newer domain in
//! them would only make more text look like an address, and a link to a host
//! of an unknown domain is an address already by its `http://`.

/// Whether this is the last label of a host name, in small letters.
pub(super) fn is_top_level(label: &[u8]) -> bool {
    is_country(label) || lists(GENERIC, label) || lists(TRIAL, label)
}

/// Whether this is the code of a country, in small letters.
pub(super) fn is_country(label: &[u8]) -> bool {
    label.len() == 2 && lists(COUNTRIES, label)
}

/// The part of a host name that somebody registered: the last two labels, or
/// three below a country's `co.uk` and the like.
pub(super) fn registered(host: &[u8]) -> &[u8] {
    let mut dots = host.iter().enumerate().rev().filter(|(_, b)| **b == b'.').map(|(at, _)| at);
    let (Some(last), Some(second)) = (dots.next(), dots.next()) else { return host };
    let top = host.get(last + 1..).unwrap_or_default();
    let below = host.get(second + 1..last).unwrap_or_default();
    let from = match dots.next() {
        Some(third) if is_country(top) && is_top_level(below) => third + 1,
        None if is_country(top) && is_top_level(below) => 0,
        _ => second + 1,
    };
    host.get(from..).unwrap_or_default()
}

fn lists(table: &[&str], label: &[u8]) -> bool {
    table.binary_search_by(|known| known.as_bytes().cmp(label)).is_ok()
}

#[rustfmt::skip]
static COUNTRIES: &[&str] = &[
    "ac", "ad", "ae", "af", "ag", "ai", "al", "am", "an", "ao", "aq", "ar", "as", "at", "au", "aw",
    "ax", "az", "ba", "bb", "bd", "be", "bf", "bg", "bh", "bi", "bj", "bm", "bn", "bo", "br", "bs",
    "bt", "bv", "bw", "by", "bz", "ca", "cc", "cd", "cf", "cg", "ch", "ci", "ck", "cl", "cm", "cn",
    "co", "cr", "cu", "cv", "cx", "cy", "cz", "de", "dj", "dk", "dm", "do", "dz", "ec", "ee", "eg",
    "er", "es", "et", "eu", "fi", "fj", "fk", "fm", "fo", "fr", "ga", "gb", "gd", "ge", "gf", "gg",
    "gh", "gi", "gl", "gm", "gn", "gp", "gq", "gr", "gs", "gt", "gu", "gw", "gy", "hk", "hm", "hn",
    "hr", "ht", "hu", "id", "ie", "il", "im", "in", "io", "iq", "ir", "is", "it", "je", "jm", "jo",
    "jp", "ke", "kg", "kh", "ki", "km", "kn", "kp", "kr", "kw", "ky", "kz", "la", "lb", "lc", "li",
    "lk", "lr", "ls", "lt", "lu", "lv", "ly", "ma", "mc", "md", "me", "mg", "mh", "mk", "ml", "mm",
    "mn", "mo", "mp", "mq", "mr", "ms", "mt", "mu", "mv", "mw", "mx", "my", "mz", "na", "nc", "ne",
    "nf", "ng", "ni", "nl", "no", "np", "nr", "nu", "nz", "om", "pa", "pe", "pf", "pg", "ph", "pk",
    "pl", "pm", "pn", "pr", "ps", "pt", "pw", "py", "qa", "re", "ro", "rs", "ru", "rw", "sa", "sb",
    "sc", "sd", "se", "sg", "sh", "si", "sj", "sk", "sl", "sm", "sn", "so", "sr", "st", "su", "sv",
    "sy", "sz", "tc", "td", "tf", "tg", "th", "tj", "tk", "tl", "tm", "tn", "to", "tp", "tr", "tt",
    "tv", "tw", "tz", "ua", "ug", "uk", "us", "uy", "uz", "va", "vc", "ve", "vg", "vi", "vn", "vu",
    "wf", "ws", "ye", "yt", "yu", "za", "zm", "zw",
];

#[rustfmt::skip]
static GENERIC: &[&str] = &[
    "aero", "arpa", "asia", "biz", "cat", "com", "coop", "edu", "gov", "info", "int", "jobs", "mil",
    "mobi", "museum", "name", "net", "org", "pro", "tel", "travel",
];

/// Names in other scripts that were tried in 2007.
#[rustfmt::skip]
static TRIAL: &[&str] = &[
    "xn--0zwm56d", "xn--11b5bs3a9aj6g", "xn--80akhbyknj4f", "xn--9t4b11yi5a", "xn--deba0ad",
    "xn--g6w251d", "xn--hgbk6aj7f53bba", "xn--hlcj6aya9esc7a", "xn--jxalpdlp", "xn--kgbechtv",
    "xn--zckzah",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        for table in [COUNTRIES, GENERIC, TRIAL] {
            assert!(table.is_sorted());
        }
    }

    #[test]
    fn registered_names_have_two_labels_or_three() {
        for (host, expected) in [
            ("www.bank.com", "bank.com"),
            ("a.b.bank.co.uk", "bank.co.uk"),
            ("bank.co.uk", "bank.co.uk"),
            ("www.bank.example.uk", "example.uk"),
            ("co.uk", "co.uk"),
            ("com", "com"),
            ("", ""),
            ("a..", "."),
        ] {
            assert_eq!(registered(host.as_bytes()), expected.as_bytes(), "{host}");
        }
    }
}
