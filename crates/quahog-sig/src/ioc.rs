//! OpenIOC documents: XML whose hashes of files are signatures.
//!
//! [`hashes`] finds the content of each item of an indicator; which operators
//! and conditions stand around it makes no difference (clamscan 1.4.6). What
//! comes out is a [line](lines) of hashes of files of any size, named after
//! the document. One pass, no tree: what is malformed ends it, or is no hash.

use memchr::memchr;
use memchr::memmem;

/// The hashes of a document, with the lines on which they stand, from 1.
pub fn hashes(document: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    Reader { document, at: 0, line: 1, counted: 0, indicators: 0, items: 0 }
}

/// The lines of a hash database that a document amounts to, with the numbers
/// of the lines that they come from.
///
/// ```
/// let document = b"<ioc><Indicator>\n<IndicatorItem><Content type='md5'>
///     6b875428a97a85cab2f19f595921545d</Content></IndicatorItem></Indicator></ioc>";
/// let lines: Vec<_> = quahog_sig::ioc::lines("x.ioc", document).collect();
/// let hash = "6b875428a97a85cab2f19f595921545d";
/// assert_eq!(lines, [(2, format!("{hash}:*:x.ioc.{hash}:73"))]);
/// ```
pub fn lines(file_name: &str, document: &[u8]) -> impl Iterator<Item = (u32, String)> {
    // A colon would end the name.
    let name = file_name.replace([':', '\n', '\r', '\0'], "_");
    hashes(document).filter_map(move |(line, hash)| {
        // Items may hold other things than hashes.
        let is_hash = matches!(hash.len(), 32 | 40 | 64) && hash.iter().all(u8::is_ascii_hexdigit);
        let hash = std::str::from_utf8(hash).ok().filter(|_| is_hash)?;
        Some((line, format!("{hash}:*:{name}.{hash}:73")))
    })
}

struct Reader<'d> {
    document: &'d [u8],
    at: usize,
    line: u32,
    /// Up to where lines are counted.
    counted: usize,
    indicators: u32,
    items: u32,
}

impl<'d> Iterator for Reader<'d> {
    type Item = (u32, &'d [u8]);

    fn next(&mut self) -> Option<(u32, &'d [u8])> {
        loop {
            let rest = self.document.get(self.at..)?;
            let tag = rest.get(memchr(b'<', rest)?..)?;
            let start = self.document.len() - tag.len();
            for (open, close) in [(&b"<!--"[..], &b"-->"[..]), (b"<![CDATA[", b"]]>")] {
                if tag.starts_with(open) {
                    self.at = start + memmem::find(tag, close)? + close.len();
                }
            }
            if self.at > start {
                continue;
            }
            let end = start + memchr(b'>', tag)?;
            self.at = end + 1;
            let tag = self.document.get(start + 1..end)?;
            if tag.ends_with(b"/") {
                continue;
            }
            let (closes, name) = match tag.strip_prefix(b"/") {
                Some(name) => (true, name),
                None => (false, tag),
            };
            let name_end = name.iter().position(u8::is_ascii_whitespace);
            let name = name.get(..name_end.unwrap_or(name.len()))?;
            let counter = match name {
                b"Indicator" => &mut self.indicators,
                b"IndicatorItem" => &mut self.items,
                b"Content" if !closes && self.indicators > 0 && self.items > 0 => {
                    let text = self.content()?;
                    let passed = self.document.get(self.counted..start).unwrap_or_default();
                    let lines = memchr::memchr_iter(b'\n', passed).count();
                    self.counted = start;
                    self.line = self.line.saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
                    return Some((self.line, text));
                }
                _ => continue,
            };
            *counter = if closes { counter.saturating_sub(1) } else { counter.saturating_add(1) };
        }
    }
}

impl<'d> Reader<'d> {
    /// The text up to the next tag, without blanks around it.
    fn content(&mut self) -> Option<&'d [u8]> {
        let rest = self.document.get(self.at..)?.trim_ascii_start();
        let text = match rest.strip_prefix(b"<![CDATA[") {
            Some(text) => text.get(..memmem::find(text, b"]]>")?)?,
            None => rest.get(..memchr(b'<', rest)?)?,
        };
        Some(text.trim_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(document: &str) -> Vec<(u32, String)> {
        let text = |hash: &[u8]| String::from_utf8_lossy(hash).into_owned();
        hashes(document.as_bytes()).map(|(line, hash)| (line, text(hash))).collect()
    }

    #[test]
    fn content_of_items_of_indicators_is_found() {
        let item = |text: &str| format!("<IndicatorItem id='x'>\n<Content>{text}</Content>");
        let document = format!("<Indicator op='AND'>{} \n{}", item(" aa "), item("<![CDATA[bb]]>"));
        assert_eq!(found(&document), [(2, "aa".into()), (4, "bb".into())]);
        assert_eq!(found(&item("aa")), []);
        assert_eq!(found("<Indicator><Content>aa</Content>"), []);
        assert_eq!(found("<Indicator><!-- <IndicatorItem> --><Content>aa</Content>"), []);
        assert_eq!(found("<Indicator/><IndicatorItem><Content>aa</Content>"), []);
        for cut in 0..document.len() {
            assert!(found(&document[..cut]).len() <= 2);
        }
    }

    #[test]
    fn only_hashes_make_lines() {
        let document = "<Indicator><IndicatorItem><Content>zz</Content>";
        assert_eq!(lines("a.ioc", document.as_bytes()).count(), 0);
    }
}
