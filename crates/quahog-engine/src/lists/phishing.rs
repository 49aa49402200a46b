//! Phishing: links that show another address than they lead to.
//!
//! [`check`] goes through one pair of addresses in the order of clamscan
//! 1.4.6: the list of hashes; what does not look like an address; pairs that
//! are allowed; pairs and hosts that are watched; and only then whether the
//! two registered domains differ.

use std::collections::HashSet;

use quahog_sig::model::{Phishing, UrlAlert};
use sha2::{Digest, Sha256};

use super::domain::{is_top_level, registered};
use super::link::{Link, LinkAlert, LinkKind, LinkOptions};
use super::patterns::Patterns;
use crate::engine::BuildError;
use crate::meter::{Interrupted, Meter};

/// The compiled phishing lists of a set.
#[derive(Debug, Default)]
pub(crate) struct PhishingLists {
    watched: Patterns,
    watched_hosts: HashSet<Box<[u8]>>,
    allowed: Patterns,
    allowed_hosts: HashSet<Box<[u8]>>,
    /// Sorted by digest.
    urls: Vec<([u8; 32], UrlAlert)>,
    is_empty: bool,
    is_off: bool,
}

impl PhishingLists {
    pub(crate) fn new(lists: Phishing<'_>) -> Result<PhishingLists, BuildError> {
        // Numbers do not matter: nobody asks which entry it was.
        let watched = Patterns::new(lists.watched().map(|regex| (0, regex)))?;
        let allowed = Patterns::new(lists.allowed().map(|regex| (0, regex)))?;
        let watched_hosts: HashSet<Box<[u8]>> = lists.watched_hosts().map(Box::from).collect();
        let allowed_hosts: HashSet<Box<[u8]>> = lists.allowed_hosts().map(Box::from).collect();
        let mut urls: Vec<_> = lists.urls().map(|url| (*url.digest, url.alert)).collect();
        urls.sort_unstable();
        urls.dedup();
        let is_empty = urls.is_empty()
            && watched_hosts.is_empty()
            && allowed_hosts.is_empty()
            && watched.n_passes() + allowed.n_passes() == 0;
        let is_off = lists.is_off();
        Ok(PhishingLists { watched, watched_hosts, allowed, allowed_hosts, urls, is_empty, is_off })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// What is said of a digest; that it is allowed outweighs the rest.
    fn url(&self, digest: &[u8; 32]) -> Option<UrlAlert> {
        let from = self.urls.partition_point(|(known, _)| known < digest);
        let same = self.urls.get(from..)?.iter().take_while(|(known, _)| known == digest);
        let mut alerts = same.map(|&(_, alert)| alert);
        let first = alerts.next()?;
        Some(alerts.fold(first, |first, alert| match alert {
            UrlAlert::Allowed => alert,
            _ => first,
        }))
    }
}

/// Judges a link by all lists together.
pub(crate) fn check(
    lists: &[&PhishingLists],
    link: &Link<'_>,
    options: LinkOptions,
    meter: &dyn Meter,
) -> Result<Option<LinkAlert>, Interrupted> {
    if lists.iter().any(|list| list.is_off) {
        return Ok(None);
    }
    let real = link.real.get(..MAX_URL).unwrap_or(link.real).trim_ascii();
    let shown = link.shown.get(..MAX_URL).unwrap_or(link.shown).trim_ascii();
    let passes: usize = lists.iter().map(|l| l.watched.n_passes() + l.allowed.n_passes()).sum();
    meter.tick((real.len() + shown.len() + 1) as u64 * (passes as u64 * 2 + 1))?;
    if !is_address(real) {
        return Ok(None);
    }
    if let Some(alert) = listed_url(lists, real, meter)? {
        return Ok(Some(alert));
    }
    if real == shown || shown.is_empty() || is_no_address(shown) {
        return Ok(None);
    }
    let shown = clean_shown(shown);
    let real = clean_real(real);
    // Words before an address do not hide it from the lists, nor do blanks in
    // it hide that it is one.
    let without_blanks: Vec<u8> = shown.iter().copied().filter(|b| *b != b' ').collect();
    if real == without_blanks || !looks_like_address(&without_blanks) {
        return Ok(None);
    }
    let pair = joined(&real, &shown);
    if lists.iter().any(|list| list.allowed.any(&pair)) {
        return Ok(None);
    }
    let (Some(real_host), Some(shown_host)) = (host_of(&real), host_of(&shown)) else {
        return Ok(None);
    };
    if real.starts_with(b"mailto:") || real_host.windows(2).any(|two| two == b"..") {
        return Ok(None);
    }
    let hosts = joined(real_host, shown_host);
    let bare = hosts.strip_suffix(b"/").unwrap_or(&hosts);
    let allowed =
        |list: &&PhishingLists| list.allowed.any(&hosts) || ends_in(&list.allowed_hosts, bare);
    if lists.iter().any(allowed) {
        return Ok(None);
    }
    let shown_alone = [shown_host, b"/"].concat();
    let host_watched = lists
        .iter()
        .any(|list| ends_in(&list.watched_hosts, shown_host) || list.watched.any(&shown_alone));
    let cloaked = real_host.iter().position(|&b| b == 1).is_some_and(|at| at + 1 < real_host.len());
    if cloaked && options.cloak {
        return Ok(Some(LinkAlert::CloakedNull));
    }
    let secure = |url: &[u8]| url.starts_with(b"https:");
    if link.kind == LinkKind::Text
        && secure(&shown)
        && !secure(&real)
        && (host_watched || options.ssl)
    {
        return Ok(Some(LinkAlert::SslSpoof));
    }
    let watched = host_watched || lists.iter().any(|list| list.watched.any(&pair));
    // Words before the address belong to no domain.
    let shown_name = shown_host.rsplit(|&b| b == b' ').next().unwrap_or_default();
    let spoofed = watched && registered(real_host) != registered(shown_name);
    Ok(spoofed.then_some(LinkAlert::SpoofedDomain))
}

/// Whether a list of hosts names this one, or one that it lies below.
fn ends_in(list: &HashSet<Box<[u8]>>, host: &[u8]) -> bool {
    if list.is_empty() {
        return false;
    }
    let begins = |at: usize| at == 0 || matches!(host.get(at - 1), Some(b'.' | b' '));
    (0..host.len()).filter(|&at| begins(at)).any(|at| list.contains(&host[at..]))
}

/// `real:shown/`, in which expressions are searched.
fn joined(real: &[u8], shown: &[u8]) -> Vec<u8> {
    [real, b":", shown.strip_suffix(b"/").unwrap_or(shown), b"/"].concat()
}

/// Whether where a link leads looks like an address at all: one of the schemes
/// that are known, or a host with a known top-level domain.
fn is_address(real: &[u8]) -> bool {
    let colon = real.iter().position(|&b| b == b':').unwrap_or(0);
    let (scheme, rest) = real.split_at(colon);
    let is_scheme = |known: &&[u8]| scheme.eq_ignore_ascii_case(known);
    let rest = match rest {
        // Browsers take either slash.
        [b':', b'/' | b'\\', b'/' | b'\\', ..] => return SCHEMES.iter().any(is_scheme),
        [b':', rest @ ..] if SCHEMES[..3].iter().any(is_scheme) => {
            rest.strip_prefix(b"/").unwrap_or(rest)
        }
        _ => real,
    };
    is_known_host(rest)
}

/// The rest of an address that begins with `scheme` and `://`.
fn after_scheme<'t>(text: &'t [u8], scheme: &[u8]) -> Option<&'t [u8]> {
    text.strip_prefix(scheme)?.strip_prefix(b"://")
}

/// Whether a text is no address for want of the signs of one, whatever is dropped
/// from it and undone in it.
fn is_no_address(text: &[u8]) -> bool {
    // PERF: the text of most links is words.
    let has = |signs: &[u8]| text.iter().any(|byte| signs.contains(&(byte & 0x7f)));
    !(has(b".%") || has(b":") && has(b"/\\"))
}

/// Whether a text looks like an address: a host with a known top-level domain,
/// with or without a word and a colon before it; behind a known scheme any host.
fn looks_like_address(text: &[u8]) -> bool {
    if let Some(rest) = SCHEMES.iter().find_map(|scheme| after_scheme(text, scheme)) {
        return !rest.is_empty();
    }
    if let Some(mail) = text.strip_prefix(b"mailto:") {
        return host_of(mail).is_some_and(is_known_host);
    }
    let rest = without_word(text);
    is_known_host(rest.strip_prefix(b"//").unwrap_or(rest))
}

/// Whether a text begins with a host of a known top-level domain.
fn is_known_host(text: &[u8]) -> bool {
    let end = text.iter().position(|b| matches!(b, b'/' | b'?'));
    let host = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
    let Some(dot) = host.iter().rposition(|&b| b == b'.') else { return false };
    dot > 0
        && host.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && is_top_level(host.get(dot + 1..).unwrap_or_default())
}

/// Schemes whose addresses are looked at, whatever their host.
const SCHEMES: [&[u8]; 4] = [b"http", b"https", b"ftp", b"mailto"];

/// Text without words and a colon before it; a number behind them is a port.
fn without_word(text: &[u8]) -> &[u8] {
    let in_word = |byte: &&u8| byte.is_ascii_alphabetic() || **byte == b' ';
    let word = text.iter().take_while(in_word).count();
    match text.get(word..) {
        Some([b':', next, ..]) if word > 0 && !next.is_ascii_digit() => {
            text.get(word + 1..).unwrap_or_default()
        }
        _ => text,
    }
}

/// What both addresses go through: seven bits, no control characters, no
/// `&lt;` and `&gt;`, no `%xx`; then only scheme, user and host of them stay. Blanks
/// of a real address are dropped before what `%20` stands for is one.
fn clean(text: &[u8], blanks: bool) -> Vec<u8> {
    let mut bytes: Vec<u8> = text
        .iter()
        .map(|&byte| match byte & 0x7f {
            0..0x20 | 0x7f => b' ',
            b'\\' => b'/',
            b'<' | b'>' | b'"' | b';' => b' ',
            plain => plain,
        })
        .collect();
    bytes.retain(|&b| blanks || b != b' ');
    for reference in [&b"&lt"[..], b"&gt"] {
        while let Some(at) = bytes.windows(3).position(|three| three == reference) {
            bytes.drain(at..at + 3);
        }
    }
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes.as_slice();
    while let Some((&byte, after)) = rest.split_first() {
        match (byte, after) {
            (b'%', [high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                let digit = |digit: u8| char::from(digit).to_digit(16).unwrap_or(0);
                // Two digits are below 256.
                let value = (digit(*high) * 16 + digit(*low)) as u8;
                plain.push(value.max(1));
                rest = after;
            }
            _ => {
                plain.push(byte);
                rest = after;
            }
        }
    }
    let scheme = plain.windows(3).position(|three| three == b"://").map_or(0, |at| at + 3);
    let tail = plain.get(scheme..).unwrap_or_default();
    let end = tail.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(tail.len());
    let authority = tail.get(..end).unwrap_or_default();
    // A colon behind a user's name begins the port; without a scheme there is
    // none to drop.
    let user = authority.iter().rposition(|&b| b == b'@').unwrap_or(0);
    let host = authority.get(user..).unwrap_or_default();
    let port = host.iter().position(|&b| b == b':').filter(|_| scheme > 0);
    plain.truncate(scheme + port.map_or(end, |at| user + at));
    plain.make_ascii_lowercase();
    plain
}

fn clean_real(real: &[u8]) -> Vec<u8> {
    let fragment = real.iter().position(|&b| b == b'#').unwrap_or(real.len());
    clean(real.get(..fragment).unwrap_or_default(), false)
}

fn clean_shown(shown: &[u8]) -> Vec<u8> {
    let shown = clean(shown, true);
    let start = shown.iter().position(u8::is_ascii_alphanumeric).unwrap_or(shown.len());
    let end = shown.iter().rposition(u8::is_ascii_alphanumeric).map_or(start, |at| at + 1);
    shown.get(start..end.max(start)).unwrap_or_default().to_vec()
}

/// The host of an address: behind `://`, and behind a user's name, up to
/// a port or path.
fn host_of(url: &[u8]) -> Option<&[u8]> {
    let rest = match url.windows(3).position(|three| three == b"://") {
        Some(at) => url.get(at + 3..)?,
        None => without_word(url),
    };
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
    let authority = rest.get(..end)?;
    let after_user = authority.iter().rposition(|&b| b == b'@').map_or(0, |at| at + 1);
    let host = authority.get(after_user..)?;
    let end = host.iter().position(|&b| b == b':').unwrap_or(host.len());
    let host = host.get(..end)?;
    (!host.is_empty()).then_some(host)
}

/// What the list of hashes says of where a link leads: the first digest that
/// is listed, unless any of them is allowed.
fn listed_url(
    lists: &[&PhishingLists],
    real: &[u8],
    meter: &dyn Meter,
) -> Result<Option<LinkAlert>, Interrupted> {
    if lists.iter().all(|list| list.urls.is_empty()) {
        return Ok(None);
    }
    let url = Canonical::new(real);
    let mut alert = None;
    for host in url.hosts() {
        for path in url.paths() {
            meter.tick((host.len() + path.len()) as u64 * HASHING)?;
            let digest = Sha256::new().chain_update(host).chain_update(path).finalize().into();
            for said in lists.iter().filter_map(|list| list.url(&digest)) {
                let said = match said {
                    UrlAlert::Allowed => return Ok(None),
                    UrlAlert::Blocked => LinkAlert::Blocked,
                    UrlAlert::Malware => LinkAlert::Malware,
                    UrlAlert::Phishing => LinkAlert::Phishing,
                };
                alert = alert.or(Some(said));
            }
        }
    }
    Ok(alert)
}

/// An address in the form that digests are made of: no scheme, user, port or
/// fragment; `%xx` undone as often as it occurs, and written again where a
/// byte is not printable.
struct Canonical {
    host: Vec<u8>,
    path: Vec<u8>,
}

impl Canonical {
    fn new(real: &[u8]) -> Canonical {
        let start = real.windows(3).position(|three| three == b"://").map_or(0, |at| at + 3);
        let rest = real.get(start..).unwrap_or_default();
        let end = rest.iter().position(|&b| b == b'#').unwrap_or(rest.len());
        let rest = escape(&unescape(rest.get(..end).unwrap_or_default()));
        let slash = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
        let (host, path) = rest.split_at(slash);
        let host = host.rsplit(|&b| b == b'@').next().unwrap_or_default();
        let host = host.split(|&b| b == b':').next().unwrap_or_default();
        let host = host.trim_ascii().to_ascii_lowercase();
        let dots = |host: &[u8]| -> Vec<u8> {
            let labels = host.split(|&b| b == b'.').filter(|label| !label.is_empty());
            labels.collect::<Vec<_>>().join(&b'.')
        };
        Canonical { host: dots(&host), path: path.to_vec() }
    }

    /// The host, and up to four of its suffixes of two labels and more.
    fn hosts(&self) -> Vec<&[u8]> {
        let host = self.host.as_slice();
        let mut hosts = vec![host];
        let digits = host.iter().all(|b| b.is_ascii_digit() || *b == b'.');
        if digits {
            return hosts;
        }
        let dots: Vec<usize> =
            host.iter().enumerate().filter(|(_, b)| **b == b'.').map(|(at, _)| at).collect();
        let n_suffixes = dots.len().saturating_sub(1);
        for &dot in dots.iter().skip(n_suffixes.saturating_sub(4)).take(n_suffixes.min(4)) {
            hosts.push(host.get(dot + 1..).unwrap_or_default());
        }
        hosts
    }

    /// The path with its query, without, and up to four of its folders.
    fn paths(&self) -> Vec<&[u8]> {
        let path = self.path.as_slice();
        let mut paths = vec![path];
        let plain = path.iter().position(|&b| b == b'?').map_or(path, |at| &path[..at]);
        if plain.len() < path.len() {
            paths.push(plain);
        }
        let slashes = plain.iter().enumerate().filter(|(_, b)| **b == b'/');
        for (at, _) in slashes.take(4) {
            let folder = &plain[..=at];
            if folder != path && folder != plain {
                paths.push(folder);
            }
        }
        paths
    }
}

/// Undoes `%xx` until nothing is left to undo, in at most a few rounds.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut text: Vec<u8> = text.to_vec();
    for _ in 0..ROUNDS {
        let mut next = Vec::with_capacity(text.len());
        let mut rest = text.as_slice();
        while let Some((&byte, after)) = rest.split_first() {
            let pair =
                after.first_chunk::<2>().filter(|pair| pair.iter().all(u8::is_ascii_hexdigit));
            match pair {
                Some([high, low]) if byte == b'%' => {
                    let digit = |digit: u8| char::from(digit).to_digit(16).unwrap_or(0);
                    // Two digits are below 256.
                    next.push((digit(*high) * 16 + digit(*low)) as u8);
                    rest = after.get(2..).unwrap_or_default();
                }
                _ => {
                    next.push(byte);
                    rest = after;
                }
            }
        }
        if next.len() == text.len() {
            break;
        }
        text = next;
    }
    text
}

fn escape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        if byte <= b' ' || byte >= 0x7f || matches!(byte, b'#' | b'%') {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            out.push(byte);
        }
    }
    out
}

/// Bytes of an address that are looked at.
const MAX_URL: usize = 1_024;

/// Rounds of undoing `%xx`.
const ROUNDS: usize = 8;

/// What a byte of a digest costs.
const HASHING: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Unmetered;
    use quahog_sig::{Format, SetBuilder};

    fn judge(lines: &[(Format, &str)], real: &str, shown: &str) -> Option<LinkAlert> {
        let mut builder = SetBuilder::new();
        for (format, line) in lines {
            builder.line(*format, 1, line.as_bytes()).unwrap();
        }
        let set = builder.finish();
        let lists = PhishingLists::new(set.phishing()).unwrap();
        let link = Link { real: real.as_bytes(), shown: shown.as_bytes(), kind: LinkKind::Text };
        check(&[&lists], &link, LinkOptions::default(), &Unmetered).unwrap()
    }

    proptest::proptest! {
        #[test]
        fn what_has_no_sign_of_an_address_is_none(
            shown in r"(https?|mailto|www|[a-z]{1,3}|&lt|\x{ae}|\x{ba}|[:/%.\\ \x{0}a-d0-9]){1,12}",
        ) {
            let mut shown = shown.into_bytes();
            // Bytes above seven bits, too.
            shown.iter_mut().filter(|byte| **byte == b'd').for_each(|byte| *byte = b'.' | 0x80);
            let clean: Vec<u8> = clean_shown(&shown).into_iter().filter(|b| *b != b' ').collect();
            proptest::prop_assert!(!(is_no_address(&shown) && looks_like_address(&clean)));
        }
    }

    #[test]
    fn watched_hosts_are_protected() {
        let bank = [(Format::Pdb, "H:mybank.com")];
        let evil = "http://evil.example.net/";
        for (real, shown, alert) in [
            (evil, "www.mybank.com", Some(LinkAlert::SpoofedDomain)),
            (evil, "WWW.MyBank.COM/login", Some(LinkAlert::SpoofedDomain)),
            (evil, "w w w.mybank.com", Some(LinkAlert::SpoofedDomain)),
            (evil, "https://www.mybank.com", Some(LinkAlert::SslSpoof)),
            (evil, "notmybank.com", None),
            (evil, "Click here", None),
            ("http://x.mybank.com/", "www.mybank.com", None),
            ("mailto:a@b.com", "www.mybank.com", None),
            ("http://1.2.3.4/", "www.mybank.com", Some(LinkAlert::SpoofedDomain)),
            (
                "http://www.mybank.com%00.evil.net/",
                "www.mybank.com",
                Some(LinkAlert::SpoofedDomain),
            ),
            ("http://www.mybank.com/", "https://www.mybank.com", Some(LinkAlert::SslSpoof)),
            ("https://www.mybank.com/", "http://www.mybank.com", None),
            ("HTTP:\\\\evil.net/", "www.mybank.com", Some(LinkAlert::SpoofedDomain)),
            (
                "http://www.mybank.com:80@evil.net/",
                "www.mybank.com",
                Some(LinkAlert::SpoofedDomain),
            ),
            (evil, "a@www.mybank.com", None),
            // As clamscan 1.4.6 has it.
            (evil, "mailto:a@www.mybank.com", Some(LinkAlert::SpoofedDomain)),
            (evil, "mailto:www.mybank.com:80/x", Some(LinkAlert::SpoofedDomain)),
            (evil, "mailto:a@www.mybank.zz", None),
            (evil, "visit mailto:www.mybank.com/x now", Some(LinkAlert::SpoofedDomain)),
            (evil, "go: www.mybank.com!", Some(LinkAlert::SpoofedDomain)),
            ("gopher://evil.example.net", "www.mybank.com", None),
            ("http://www.mybank.com@evil.net/", "www.mybank.com", Some(LinkAlert::SpoofedDomain)),
        ] {
            assert_eq!(judge(&bank, real, shown), alert, "{real} shown as {shown}");
        }
    }

    #[test]
    fn allowed_pairs_outweigh_watched_hosts() {
        let pairs = |allow| {
            let lines = [(Format::Pdb, "H:mybank.com"), (Format::Wdb, allow)];
            judge(&lines, "http://evil.example.net/", "www.mybank.com")
        };
        for allow in [
            "M:evil.example.net:www.mybank.com",
            "X:.+\\.example\\.net([/?].*)?:.+\\.mybank\\.com([/?].*)?",
            "X:^evil\\.example\\.net:www\\.mybank\\.com",
            "X:^http://evil\\.example\\.net:www\\.mybank\\.com",
        ] {
            assert_eq!(pairs(allow), None, "{allow}");
        }
        for other in [
            "M:example.net:mybank.com",
            "M:vil.example.net:www.mybank.com",
            "X:.+\\.example\\.net",
            "X:^http://evil\\.example\\.net/:www\\.mybank\\.com",
        ] {
            assert_eq!(pairs(other), Some(LinkAlert::SpoofedDomain), "{other}");
        }
    }

    /// Expressions see scheme and host of both, and no port (clamscan 1.4.6).
    #[test]
    fn ports_are_no_part_of_a_pair() {
        let watched = |list| {
            judge(&[(Format::Pdb, list)], "http://example.net:99/x", "http://mybank.com:8080/y.")
        };
        for (list, is_watched) in [
            ("R:.+:https?://mybank\\.com", true),
            ("R:http://example\\.net:https?://mybank\\.com", true),
            ("R:.+:https?://mybank\\.com:8080", false),
            ("R:http://example\\.net:99:https?://mybank\\.com", false),
        ] {
            assert_eq!(watched(list).is_some(), is_watched, "{list}");
        }
        let allow = "X:http://example\\.net:http://mybank\\.com";
        let lines = [(Format::Pdb, "H:mybank.com"), (Format::Wdb, allow)];
        assert_eq!(judge(&lines, "http://example.net:99/x", "http://mybank.com:80"), None);
    }

    #[test]
    fn addresses_on_a_list_of_hashes() {
        let hash = |text: &str| {
            let digest = Sha256::digest(text.as_bytes());
            digest.iter().map(|b| format!("{b:02x}")).collect::<String>()
        };
        let judge = |listed: &str, real: &str| {
            let line = format!("S1:F:{}", hash(listed));
            judge(&[(Format::Gdb, &line)], real, "").is_some()
        };
        assert!(judge("evil.example.net/", "http://evil.example.net/"));
        assert!(judge("example.net/", "http://evil.example.net/"));
        assert!(!judge("net/", "http://evil.example.net/"));
        assert!(judge("example.net/a/", "http://u@EVIL.example.net:80/a/b/C?d#e"));
        assert!(judge("example.net/a/b/C", "http://evil.example.net/a/b/C?d"));
        assert!(judge("example.net/a/b/C?d", "http://evil.example.net/%61/b/%2543?d"));
        assert!(!judge("example.net/a/b/c", "http://evil.example.net/a/b/C"));
        assert!(!judge("evil.example.net", "http://evil.example.net/"));
    }

    #[test]
    fn a_switch_turns_all_off() {
        let lines = [(Format::Pdb, "H:mybank.com"), (Format::Cfg, "PHISHING:0x0")];
        assert_eq!(judge(&lines, "http://evil.example.net/", "www.mybank.com"), None);
    }
}
