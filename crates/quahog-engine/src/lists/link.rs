//! Links of messages: what is asked of the lists, and what they answer.

/// A link of a message: where it leads, and what it shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Link<'l> {
    /// Where it leads.
    pub real: &'l [u8],
    /// What it shows: text, or another address.
    pub shown: &'l [u8],
    /// What shows it.
    pub kind: LinkKind,
}

/// What shows where a link leads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LinkKind {
    /// Text.
    Text,
    /// A title, a picture, a frame, or the form around it.
    Other,
}

/// What is reported even of links that no list watches.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LinkOptions {
    /// Links that show `https:` and lead elsewhere.
    pub ssl: bool,
    /// Links that hide where they lead.
    pub cloak: bool,
}

/// What is wrong with a link.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum LinkAlert {
    /// A list of hashes blocks where it leads.
    Blocked,
    /// There is a NUL in where it leads.
    CloakedNull,
    /// A list of hashes suspects it of malware.
    Malware,
    /// A list of hashes suspects it of phishing.
    Phishing,
    /// It shows another domain than it leads to.
    SpoofedDomain,
    /// It shows `https:` and leads elsewhere.
    SslSpoof,
}

impl LinkAlert {
    /// The name that is reported.
    pub fn name(self) -> &'static str {
        match self {
            LinkAlert::Blocked => "Heuristics.Phishing.URL.Blocked",
            LinkAlert::CloakedNull => "Heuristics.Phishing.Email.Cloaked.Null",
            LinkAlert::Malware => {
                "Heuristics.Safebrowsing.Suspected-malware_safebrowsing.clamav.net"
            }
            LinkAlert::Phishing => {
                "Heuristics.Safebrowsing.Suspected-phishing_safebrowsing.clamav.net"
            }
            LinkAlert::SpoofedDomain => "Heuristics.Phishing.Email.SpoofedDomain",
            LinkAlert::SslSpoof => "Heuristics.Phishing.Email.SSL-Spoof",
        }
    }
}
