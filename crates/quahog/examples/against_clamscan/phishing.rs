//! Messages with links, and lists of links that are watched or allowed.

use crate::Case;
use crate::dice::Dice;

const HOSTS: [&str; 12] = [
    "www.mybank.com",
    "mybank.com",
    "login.mybank.com",
    "evil.example.net",
    "example.net",
    "10.1.2.3",
    "mybank.co.uk",
    "www.other.co.uk",
    "mybank.com.evil.org",
    "xn--bank-1.de",
    "notmybank.com",
    "user@mybank.com",
];

/// A message in HTML, and lists over the hosts in it.
pub(crate) fn case(seed: u64) -> Case {
    let mut dice = Dice::new(seed);
    let mut body = String::new();
    for _ in 0..1 + dice.below(3) {
        body.push_str(&link(&mut dice));
        body.push_str(dice.of(&["", " and ", "<br>\n"]));
    }
    let kind = dice.of(&["text/html", "text/html", "text/html; charset=utf-8", "text/plain"]);
    let head = "From: a@b.c\nSubject: x\nMIME-Version: 1.0\n";
    let html = format!("<html><body>{body}</body></html>\n");
    let input = if dice.one_in(4) {
        let parts = "Content-Type: multipart/alternative; boundary=b\n\n--b\n\
                     Content-Type: text/plain\n\nhello\n--b\n";
        format!("{head}{parts}Content-Type: {kind}\n\n{html}\n--b--\n")
    } else {
        format!("{head}Content-Type: {kind}\n\n{html}")
    };
    let mut pdb = String::new();
    for _ in 0..1 + dice.below(3) {
        pdb.push_str(&watched(&mut dice));
        pdb.push_str(dice.of(&["", "", "", ":1-", ":1-300", ":300-400", ":1-100"]));
        pdb.push('\n');
    }
    let mut wdb = String::new();
    for _ in 0..dice.below(3) {
        wdb.push_str(&allowed(&mut dice));
        wdb.push('\n');
    }
    let mut files = vec![("case.pdb".to_owned(), pdb)];
    if !wdb.is_empty() {
        files.push(("case.wdb".to_owned(), wdb));
    }
    // Something has to be a signature.
    files.push(("case.ndb".to_owned(), "Never:0:*:6e657665727365656e\n".to_owned()));
    Case { files, input: input.into_bytes() }
}

/// Schemes in capitals are none to clamscan, and are to quahog.
fn address(dice: &mut Dice) -> String {
    let scheme = dice.of(&["http://", "http://", "https://", "ftp://", "mailto:", ""]);
    let host = dice.of(&HOSTS);
    let host = if dice.one_in(5) { host.to_uppercase() } else { host.to_owned() };
    let rest = dice.of(&["", "", "/", "/a/b?c=d", ":8080/x", "/%6dybank", "/#top", "?q"]);
    format!("{scheme}{host}{rest}")
}

fn link(dice: &mut Dice) -> String {
    let (real, shown) = (address(dice), address(dice));
    let text = match dice.below(8) {
        0 => "Click here".to_owned(),
        1 => format!("visit {shown} now"),
        2 => format!("<b>{shown}</b>"),
        3 => format!(" {shown} "),
        4 => format!("{shown}."),
        _ => shown.clone(),
    };
    let quote = dice.of(&["\"", "'", "\""]);
    match dice.below(9) {
        0 => format!("<a href={quote}{real}{quote} title={quote}{shown}{quote}>x</a>"),
        1 => format!("<a href={quote}{real}{quote}><img src={quote}{shown}{quote}></a>"),
        2 => format!(
            "<form action={quote}{real}{quote}><a href={quote}{shown}{quote}>{text}</a></form>"
        ),
        3 => format!("<A HREF={real}>{text}</A>"),
        _ => format!("<a href={quote}{real}{quote}>{text}</a>"),
    }
}

fn host(dice: &mut Dice) -> &'static str {
    let host = dice.of(&HOSTS);
    host.strip_prefix("user@").unwrap_or(host)
}

fn pattern(dice: &mut Dice) -> String {
    let host = host(dice).replace('.', "\\.");
    match dice.below(4) {
        0 => format!(".+\\.{host}"),
        1 => format!("https?://{host}"),
        2 => format!("(.+\\.)?{host}([/?].*)?"),
        _ => format!(".*{host}"),
    }
}

fn watched(dice: &mut Dice) -> String {
    match dice.below(8) {
        0 => format!("R:{}:{}", pattern(dice), pattern(dice)),
        1 => format!("R:.+:{}", pattern(dice)),
        2 => format!("X:{}", host(dice)),
        _ => format!("H:{}", host(dice)),
    }
}

fn allowed(dice: &mut Dice) -> String {
    match dice.below(5) {
        0 => format!("X:{}:{}", pattern(dice), pattern(dice)),
        1 => format!("Y:{}", pattern(dice)),
        2 => format!("X:.+:{}", pattern(dice)),
        _ => format!("M:{}:{}", host(dice), host(dice)),
    }
}
