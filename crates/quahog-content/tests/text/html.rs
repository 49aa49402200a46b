//! HTML: each rule of the views as a small document.
//!
//! The expectations are what clamscan 1.4.6 made of the documents; with
//! `QUAHOG_CLAMSCAN=1` the installed one is asked again, and about random
//! documents too.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use quahog_content::text::html::{DataUrl, HtmlViews, normalize};
use quahog_content::{Budget, Limits, Shortfall};

/// All documents begin with this, so that they are taken for HTML.
const START: &[u8] = b"<html>";

fn views(html: &[u8]) -> HtmlViews {
    let mut views = HtmlViews::default();
    assert_eq!(normalize(html, &Budget::new(Limits::default()), &mut views), None);
    views
}

fn document(body: &[u8]) -> Vec<u8> {
    [START, body].concat()
}

#[track_caller]
fn assert_views(table: &[(&[u8], &[u8], &[u8])]) {
    for &(body, nocomment, notags) in table {
        let views = views(&document(body));
        let case = body.escape_ascii();
        assert_eq!(
            views.nocomment.escape_ascii().to_string(),
            document(nocomment).escape_ascii().to_string(),
            "{case}"
        );
        assert_eq!(
            views.notags.escape_ascii().to_string(),
            notags.escape_ascii().to_string(),
            "{case}"
        );
    }
}

#[test]
fn text_is_folded() {
    assert_views(TEXT);
}

#[test]
fn tags_are_written_in_one_way() {
    assert_views(TAGS);
}

#[test]
fn declarations_are_removed() {
    assert_views(DECLARATIONS);
}

#[test]
fn references_are_resolved() {
    assert_views(REFERENCES);
}

#[test]
fn links_stand_in_the_text() {
    assert_views(LINKS);
    for (length, shown) in [(1022, 1022), (1023, 1022), (5000, 1022)] {
        let html = [b"<a href=\"", &b"u".repeat(length)[..], b"\">x"].concat();
        assert_eq!(views(&html).notags.len(), 1 + shown + 2);
    }
}

#[test]
fn code_has_no_white_space_and_is_no_text() {
    assert_views(CODE);
}

#[test]
fn scripts_are_written_anew() {
    for &(body, javascript) in SCRIPTS {
        let found = views(&document(body)).javascript.unwrap();
        assert_eq!(
            found.escape_ascii().to_string(),
            javascript.escape_ascii().to_string(),
            "{}",
            body.escape_ascii()
        );
    }
    assert_eq!(views(b"<html>no script").javascript, None);
    assert_eq!(views(b"<html><script> \n").javascript, None);
}

#[test]
fn views_are_used_again() {
    let mut views = views(b"<a href='data:a,b'>x<script>y</script>");
    let budget = Budget::new(Limits::default());
    assert_eq!(normalize(b"<b>x", &budget, &mut views), None);
    let expected =
        HtmlViews { nocomment: b"<b>x".into(), notags: b" x".into(), ..HtmlViews::default() };
    assert_eq!(views, expected);
}

#[test]
fn data_urls_are_handed_out() {
    let embedded = |html: &[u8]| views(html).embedded;
    let url =
        |declared: &str, bytes: &[u8]| DataUrl { declared: declared.into(), bytes: bytes.into() };
    for (html, expected) in [
        (
            &b"<img src=\"data:text/html;base64,SGVs bG8=\">"[..],
            vec![url("text/html;base64", b"Hello")],
        ),
        (b"<img src='data:a/b,X%20Y\"z'>", vec![url("a/b", b"X%20Y\"z")]),
        (b"<img src=data:a/b,XY>", vec![url("a/b", b"XY")]),
        (b"<p any='d&#97;ta:,x'>", vec![url("", b"x")]),
        (b"<p a='data:a,b'><p c='data:d,e", vec![url("a", b"b"), url("d", b"e")]),
        (b"<p a='data:b'>", vec![]),
        (b"<p a='DATA:a,b'>", vec![]),
        (b"<p a=' data:a,b'>", vec![]),
        (b"<p a='data:a", vec![]),
        (b"<p a='data:a;base64,!!!!'>", vec![url("a;base64", b"")]),
    ] {
        assert_eq!(embedded(html), expected, "{}", html.escape_ascii());
    }
    assert_eq!(views(b"<p a='data:b,c&lt;'>x").nocomment, b"<p a=\"data\"<>x");
}

#[test]
fn an_empty_budget_ends_the_work() {
    let budget = Budget::new(Limits { fuel: 100_000, ..Limits::default() });
    let mut views = HtmlViews::default();
    let shortfall = normalize(&b"x".repeat(200_000), &budget, &mut views);
    assert_eq!((shortfall, views.nocomment.len()), (Some(Shortfall::Fuel), 65_536));
}

/// Twice the document takes about twice the time, whatever it repeats.
#[test]
fn hostile_documents_take_linear_time() {
    for (start, unit) in [
        ("", "<"),
        ("", "<a href=\""),
        ("", "<a href='x y>"),
        ("", "&"),
        ("", "&#"),
        ("", "&a"),
        ("<p a=", "&lt"),
        ("", "\u{e9} "),
        ("", "<script>"),
        ("", "<script>;</script>"),
        ("", "<p a='data:;base64,eHh4'>"),
        ("<script>", "</"),
        ("<script>", "function(){"),
        ("<script>", "function f(a){var a"),
        ("<script>", "function f(){}"),
        ("<script>", "var a,a;"),
        ("<script>", "'a'+"),
        ("<script>", "\\'"),
        ("<script>", "eval(unescape('%"),
        ("<script>", "eval('a;');"),
        ("<script>", "/*"),
        ("<script>", "1.5"),
    ] {
        let time = |length: usize| {
            let html = [start.as_bytes(), &unit.as_bytes().repeat(length / unit.len())].concat();
            crate::busy_time(|| {
                let views = views(&html);
                let sum = views.nocomment.len()
                    + views.notags.len()
                    + views.javascript.map_or(0, |j| j.len());
                assert!(sum < 6 * html.len() + 100, "{start}{unit}");
            })
        };
        time(10_000);
        let (once, twice) = (time(100_000), time(200_000));
        assert!(twice < once * 3 + Duration::from_millis(300), "{start}{unit}: {once:?} {twice:?}");
    }
}

/// Pieces that make documents which touch many rules.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![
        b"a",
        b"B",
        b" ",
        b"\n",
        b"\r",
        b"\t",
        b"<",
        b">",
        b"\"",
        b"'",
        b"=",
        b"/",
        b"!",
        b"&",
        b";",
        b"#",
        b"&amp;",
        b"&#65;",
        b"&#x41;",
        b"&foo;",
        b"&#8364;",
        b"<b>",
        b"</b>",
        b"<a href=\"",
        b"<img src=",
        b"\">",
        b"<!--",
        b"-->",
        b"\xe9",
        b"\xe3\x80\x82",
        b"\x01",
        b"\0",
        b"<style>",
        b"</style>",
        b"<script>",
        b"</script>",
        b"var A;",
        b"A=1.50",
        b"data:",
        b",",
        b"(",
        b"{",
        b"}",
        b"function f(",
        b"\\",
        b"\xe9\xe9\xe9\xe9",
    ];
    prop::sample::select(pieces).prop_map(<[u8]>::to_vec)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300),
                              pieces in prop::collection::vec(piece(), 0..60)) {
        for html in [&bytes[..], &pieces.concat()] {
            let views = views(html);
            prop_assert!(!views.nocomment.iter().any(u8::is_ascii_uppercase) || html.contains(&b'&'));
            prop_assert!(views.nocomment.len() <= 2 * html.len() + 1);
        }
    }
}

/// Asks the installed clamscan.
#[test]
fn clamscan_makes_the_same_views() {
    if std::env::var_os("QUAHOG_CLAMSCAN").is_none_or(|value| value != "1") {
        println!("skipped: set QUAHOG_CLAMSCAN=1 to compare with the installed clamscan");
        return;
    }
    let tables = [TEXT, TAGS, DECLARATIONS, REFERENCES, LINKS, CODE];
    let bodies = tables.iter().flat_map(|table| table.iter().map(|case| case.0));
    let mut documents: Vec<_> =
        bodies.chain(SCRIPTS.iter().map(|case| case.0)).map(document).collect();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let random = prop::collection::vec(piece(), 1..14);
    for _ in 0..500 {
        let pieces = random.new_tree(&mut runner).unwrap().current().concat();
        // Scripts and payloads of nonsense are not alike in every detail.
        let has = |what: &[u8]| pieces.windows(what.len()).any(|window| window == what);
        if !has(b"<script") && !has(b"data:") {
            documents.push(document(&pieces));
        }
    }
    documents.sort_unstable();
    // clamscan looks at equal documents only once.
    documents.dedup();
    let found = ask_clamscan(&documents);
    assert!(found.len() * 10 > documents.len() * 9, "clamscan answered for {} only", found.len());
    for (nth, theirs) in found {
        let html = &documents[nth];
        let ours = views(html);
        let view = |name: &str| theirs.get(name).map(|view| view.escape_ascii().to_string());
        let case = html.escape_ascii();
        assert_eq!(
            Some(ours.nocomment.escape_ascii().to_string()),
            view("nocomment.html"),
            "{case}"
        );
        assert_eq!(Some(ours.notags.escape_ascii().to_string()), view("notags.html"), "{case}");
        let ours = ours.javascript.map(|view| view.escape_ascii().to_string());
        assert_eq!(ours, view("javascript"), "{case}");
    }
}

type Views = BTreeMap<String, Vec<u8>>;

/// The views that clamscan leaves in its temporary folder, by document.
fn ask_clamscan(documents: &[Vec<u8>]) -> BTreeMap<usize, Views> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("clamscan-html");
    // A run that failed may have left it.
    let _ = fs::remove_dir_all(&folder);
    let (input, work) = (folder.join("input"), folder.join("work"));
    fs::create_dir_all(&input).unwrap();
    fs::create_dir_all(&work).unwrap();
    let database = folder.join("x.ndb");
    fs::write(&database, "T.A:3:*:7a7a7a7a7a7a7a31\n").unwrap();
    for (nth, html) in documents.iter().enumerate() {
        fs::write(input.join(format!("q{nth:06}")), html).unwrap();
    }
    let status = Command::new("clamscan")
        .args(["--no-summary", "--leave-temps", "-d"])
        .arg(&database)
        .arg(format!("--tempdir={}", work.display()))
        .arg(&input)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(&work).unwrap() {
        let path = entry.unwrap().path();
        // Folders are called like `<time>-q000017.<digits>`.
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some((_, rest)) = name.split_once("-q") else { continue };
        let nth: usize = rest[..6].parse().unwrap();
        let mut folders = vec![];
        for layer in folders_in(&path) {
            folders.extend(folders_in(&layer).into_iter().filter(|folder| {
                folder.file_name().unwrap().to_string_lossy().starts_with("html-tmp")
            }));
        }
        if let [html] = &folders[..] {
            let files = fs::read_dir(html).unwrap().map(|entry| entry.unwrap().path());
            let views = files.filter(|path| path.is_file()).map(|path| {
                (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap())
            });
            found.insert(nth, views.collect());
        }
    }
    fs::remove_dir_all(&folder).unwrap();
    found
}

fn folders_in(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

/// Body, `nocomment` without the start, `notags`.
const TEXT: &[(&[u8], &[u8], &[u8])] = &[
    (b"Hello  \t World ", b"hello world", b" hello world "),
    (b"a<b>x</b>  y", b"a<b>x</b>y", b" a x y"),
    (b"a <b> x </b> y", b"a <b>x </b>y", b" a x y"),
    (b"a\x00B\x01C", b"ab\x01c", b" ab c"),
    (b"a\rb", b"ab", b" ab"),
    (b"\xe3\x80\x82A\xef\xbc\x8eB\xef\xb9\x92C", b".a.b.c", b" .a.b.c"),
    (b"caf\xe9 X", b"caf\xe9 x", b" caf\x00 x"),
    (
        b"\xc3\xa9t\xc3\xa9 \xe2\x82\xac X",
        b"\xc3\xa9t\xc3\xa9 \xe2\x82\xac x",
        b" \xc3\xc3t\xc3\xc3 \xe2\x82\x82x",
    ),
    (b"x\xe9", b"x", b" x"),
    (b"A \xa0 B c", b"a \xa0 b c", b" a \x00b c"),
];
const TAGS: &[(&[u8], &[u8], &[u8])] = &[
    (
        b"<p  Class = \"A'B\"  ID='x\"y'  foo  bar = Baz>",
        b"<p class=\"a\"b\" id=\"x\"y\" foo bar=baz>",
        b" ",
    ),
    (b"</P  >x", b"</p>x", b" x"),
    (b"< a>x", b"<a>x", b" x"),
    (b"<><\tb>x", b"<><b>x", b" x"),
    (b"<a\"b\">c", b"<a\"b\">c", b" c"),
    (b"<p a=\"\"b>x", b"<p a=\"\" b>x", b" x"),
    (b"<p a=\"b\"/>x", b"<p a=\"b\" />x", b" x"),
    (b"<p a=b/ >x", b"<p a=b/>x", b" x"),
    (b"<p a='c>d'>x", b"<p a=\"c>d\">x", b" x"),
    (b"<p a=\"b>c>d", b"<p a=\"b>c>d", b" d"),
    (b"<p a=\"b  C d=\"e\">f", b"<p a=\"b c d=\"e\">f", b" f"),
    (b"<p a=\"b\tc\">x", b"<p a=\"b\tc\">x", b" x"),
    (b"<p a=x'y\"z>w", b"<p a=x\"y\"z>w", b" w"),
    (b"<p a=\"\xe9\">x", b"<p a=\"\">x", b" x"),
    (b"<p a=\"\xe9b\">x", b"<p a=\"\xe9b\">x", b" x"),
    (b"<p a=\"\xe9\" c=\"d\">x", b"<p a=\"\" c=\"\xe9d\">x", b" x"),
    (b"<b c=\"d", b"<b c=\"d", b" "),
    (b"<", b"<", b" "),
];
const DECLARATIONS: &[(&[u8], &[u8], &[u8])] = &[
    (b"a<!-- x > y -->b", b"ay -->b", b" a y -->b"),
    (b"a <!-- x --> b", b"a b", b" a b"),
    (b"a<!DOCTYPE x>b", b"ab", b" a b"),
    (b"a<!x", b"a", b" a "),
    (b"< !x>b", b"b", b" b"),
];
const REFERENCES: &[(&[u8], &[u8], &[u8])] = &[
    (b"a&#65;b&#x42;", b"aabb", b" a b "),
    (b"&#65 B", b"A b", b" b"),
    (b"&#65B", b"Ab", b" b"),
    (b"&#128;&#254;&#255;&#256;&#65536;x&#65601;", b"\x80\xfe&#x00ff;&#x0100;xA", b" x "),
    (b"a&#0;b", b"a\x00b", b" a b"),
    (
        b"&amp;&AMP;&lt;&nbsp;&euro;&eacute;&Eacute;&foo;&boxDR;",
        b"&&amp;<\xa0&#x20ac;\xe9\xc9&foo;&#x2554;",
        b" ",
    ),
    (b"&amp x", b"&amp x", b" x"),
    (b"&Foo Bar", b"&foo bar", b" bar"),
    (b"x &am", b"x &am", b" x "),
    (b"x &lt", b"x <", b" x "),
    (b"x &#6", b"x ", b" x "),
    (b"&lt;b&gt;", b"<b>", b" b "),
    (b"&#12345678901234567890;", b"\x15;", b" ;"),
    (b"&#65.x", b"A.x", b" .x"),
    (b"&&amp;;", b"&&;", b" ;"),
    (b"<p t=\"&lt;&#65;&euro;\">", b"<p t=\"<a&#x20ac;\">", b" "),
    (b"&#12290;", b".", b" "),
    (b"&a.b;", b"&a.b;", b" .b;"),
];
const LINKS: &[(&[u8], &[u8], &[u8])] = &[
    (b"w<a href=\"U V\">x", b"w<a href=\"u v\">x", b" w U V x"),
    (b"<a href=\"A?X=1&Y=2\">x", b"<a href=\"a?x=1&y=2\">x", b" A?X=1&y=2 x"),
    (b"<a href=X&FooBar;Y>x", b"<a href=x&foobar;y>x", b" X&foobar;Y x"),
    (b"<a href=\"abc&#0;def\">x", b"<a href=\"abc\x00def\">x", b" ab x"),
    (b"<a href=abc&#0;def>x", b"<a href=abc\x00def>x", b" abc x"),
    (b"<a href=\"&#0;def\">x", b"<a href=\"\x00def\">x", b" x"),
    (b"w<a href=\"U\">", b"w<a href=\"u\">", b" w "),
    (b"<a href=\"U\"><img src=\"V\">x", b"<a href=\"u\"><img src=\"v\">x", b" U V x"),
    (b"<a href=\"ab cd ef\">x", b"<a href=\"ab cd ef\">x", b" ab c x"),
    (b"<a src=V HREF=W href=Q>x", b"<a src=v href=w href=q>x", b" W x"),
    (
        b"<a href=\"U&#65;&amp;&euro;&#8364;V\">x",
        b"<a href=\"ua&&#x20ac;&#x20ac;v\">x",
        b" UA&&#x20ac;\xacV x",
    ),
    (b"<img src=\"CID:X\">z", b"<img src=\"cid:x\">z", b" CID:X z"),
    (b"<area href=\"U\">z", b"<area href=\"u\">z", b" z"),
    (b"<a href=\"\">z", b"<a href=\"\">z", b" z"),
    (b"<a href=\"x>y\">z", b"<a href=\"x>y\">z", b" x>y z"),
];
const CODE: &[(&[u8], &[u8], &[u8])] = &[
    (b"<script>a</'Q'b>'r'", b"<script>a</'q'b>\"r\"", b" "),
    (b"<style>a</B'q' 'r'", b"<style>a</b'q'\"r\"", b" "),
    (b"<script>var A = 'B c';</script> d", b"<script>vara=\"bc\";</script>d", b" d"),
    (b"<style> B { x : 'y' } </style> c", b"<style>b{x:\"y\"}</style>c", b" c"),
    (b"<script>a<b</script>c", b"<script>a<b</script>c", b" c"),
    (b"<script>a<</script>b</script>c", b"<script>a<</script>b</script>c", b" c"),
    (b"<script>a</SCRIPT >b", b"<script>a</script>b", b" >b"),
    (b"<script>a</scriptx></script>b", b"<script>a</scriptx></script>b", b" b"),
    (b"<script>a< /script>b", b"<script>a</script>b", b" b"),
    (b"<script><!--a > b--></script>c", b"<script><!--a>b--></script>c", b" c"),
    (b"<style>a</script>b c", b"<style>a</script>b c", b" b c"),
    (b"<script>a</style>b</script>c", b"<script>a</style>b</script>c", b" c"),
    (b"<script>&lt;&#65;&x</script>c", b"<script><a&x</script>c", b" c"),
    (b"<script/>A b</script>", b"<script/>a b</script>", b" a b "),
    (b"<script>", b"<script>", b" "),
    (b"<script> </script>x", b"<script></script>x", b" x"),
    (b"<script>\xe9 a</script>b", b"<script>\xe9a</script>b", b" \x00b"),
    (b"<script>a;b", b"<script>a;b", b" "),
];
/// Body, `javascript`.
const SCRIPTS: &[(&[u8], &[u8])] = &[
    (
        b"<script>var A=\"Ab\"+\"cD\"; alert( A )</script>",
        b"<script>var n000=\"abcd\";alert(n000)</script>",
    ),
    (b"<script>a/*c*/b//d\nE</script>", b"<script>a b e</script>"),
    (b"<script>// c d\ne</script>", b"<script>c d e</script>"),
    (
        b"<script>var A,B=2,C;A+B+C+D</script>",
        b"<script>var n000,n001=2,n002;n000+n001+n002+d</script>",
    ),
    (
        b"<script>function Foo(X,Y){return X+Y+Z}Foo(1)</script>",
        b"<script>function n000(n001,n002){return n001+n002+z}foo(1)</script>",
    ),
    (
        b"<script>function f(a){function g(a){return a}return a}a</script>",
        b"<script>function n000(n001){function n002(n003){return n003}return n001}a</script>",
    ),
    (b"<script>x=1;var x;x</script>", b"<script>n000=1;var n000;n000</script>"),
    (b"<script>a.A;var A;A.A</script>", b"<script>a.a;var n000;n000.a</script>"),
    (b"<script>var o={A:1,B:2},C</script>", b"<script>var n000={a:1,b:2},n001</script>"),
    (b"<script>var x=[1,{B:4}],C;</script>", b"<script>var n000=[1,{b:4}],n001;</script>"),
    (b"<script>{var A,B}C,D;C</script>", b"<script>{var n000,b}c,n001;c</script>"),
    (b"<script>function(){var A=1,B;}</script>", b"<script>function(){var n000=1,b;}</script>"),
    (b"<script>var if A</script>", b"<script>var if n000</script>"),
    (b"<script>\"a\"+\"b\"+c+\"d\"+'e'</script>", b"<script>\"ab\"+c+\"de\"</script>"),
    (b"<script>\"a\"++\"b\"</script>", b"<script>\"a\"++\"b\"</script>"),
    (
        b"<script>\"\\x41\\u00e9\\n\\\"\\'\\q\\0\"</script>",
        b"<script>\"a\xc3\xa9 \"'q\x01\"</script>",
    ),
    (
        b"<script>unescape(\"%41%u20ac%zz%00\")</script>",
        b"<script>\"a\xe2\x82\xac%zz\x01\"</script>",
    ),
    (b"<script>unescape(\"%41\"+b)</script>", b"<script>\"a\"b)</script>"),
    (b"<script>x.unescape(\"%41\")</script>", b"<script>x.unescape(\"%41\")</script>"),
    (b"<script>x;eval(\"a;b;\");y</script>", b"<script>x;a;b;y</script>"),
    (b"<script>eval(\"var A;\");A</script>", b"<script>var n000;n000</script>"),
    (
        b"<script>1.50+00.5+017+12345678901+123456789.5+0.00001</script>",
        b"<script>1.5+0.5+17+-539222987+1.23457e+08+1e-05</script>",
    ),
    (b"<script>5a a5 1 2</script>", b"<script>5 a a5 1 2</script>"),
    (b"<script>a\\b \\c \\u0041</script>", b"<script>a b  c \\0041</script>"),
    (b"<script>((a</script>", b"<script>((a</script>))</script>"),
    (b"<script>\"open</script>", b"<script>\"open</script>\"</script>"),
    (b"<script>a#b@c`d~e^f</script>", b"<script>a b c d~e^f</script>"),
    (b"<script>\"A\tB\"</script>", b"<script>\"a b\"</script>"),
    (
        b"<script>var A;A</script>x<script language=vbscript>Dim A : B</script>",
        b"<script>var n000;n000</script>\n<script>dim a:b</script>",
    ),
];

#[test]
fn files_in_style_sheets_are_handed_out() {
    let cases: [(&[u8], &[&[u8]]); 7] = [
        (b"<style>a{b:url(data:image/gif;base64,R0lG)}</style>", &[b"GIF"]),
        (b"<p style=\"b:url('data:a/b;base64,R0lG')\">", &[b"GIF"]),
        (b"<style>URL(  \"  data: im blah g ; base64  ,  R0 lG\")", &[b"GIF"]),
        (b"<p style='b:url(&quot;data:a/b;base64,R0lG&quot;)'>", &[b"GIF"]),
        (b"<style>url(data:a/b,R0lG) url(x.gif) url(data:;base64,R0lG", &[b"GIF"]),
        (b"<style>curl(x) url(data:base64) url(data:a;base64,) url", &[]),
        (b"<img src=data:a;base64,R0lG><style>url(data:a;base64,UE5H)", &[b"GIF", b"PNG"]),
    ];
    for (html, expected) in cases {
        let found: Vec<_> = views(html).embedded.into_iter().map(|url| url.bytes).collect();
        assert_eq!(found, expected, "{}", html.escape_ascii());
    }
}
