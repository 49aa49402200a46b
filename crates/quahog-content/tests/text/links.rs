//! Links: each rule as a small document. What clamscan 1.4.6 does otherwise is
//! said where it is.

use std::ops::ControlFlow;

use proptest::prelude::*;
use quahog_content::text::links::{Link, links};
use quahog_content::{Budget, Limits, Shortfall};

fn pairs(html: &[u8]) -> Vec<(String, String, bool)> {
    let budget = Budget::new(Limits::default());
    let mut found = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let shortfall = links(html, &budget, &mut |link: Link<'_>| {
        found.push((text(link.real), text(link.shown), link.is_text));
        ControlFlow::Continue(())
    });
    assert_eq!(shortfall, None);
    found
}

/// The pairs of a document, as `real>shown`, with `*` where no text of an `a` shows.
fn list(html: &str) -> Vec<String> {
    let form = |(real, shown, text)| format!("{real}>{shown}{}", if text { "" } else { "*" });
    pairs(html.as_bytes()).into_iter().map(form).collect()
}

#[test]
fn an_address_is_paired_with_its_text() {
    for html in [
        "<a href=\"r\">s</a>",
        "<A\nHREF = 'r' >\n s\t</A>",
        "<a class=x href=r>s",
        "<p><a href=r><b>s</b></p></a>",
        "< a href=r>s</ a>",
        "<a href=r href=t>s</a>",
        "<a href=r><script>x</script>s<style>y</style></a>",
        "<a href='&#114;'>&#x73;</a>",
        "<a href=r>s<!-- x --></a>",
        "<a/>t<a href=r>s</a> after",
        "<script><a href=x>y</a></script><a href=r>s</a>",
    ] {
        assert_eq!(list(html), ["r>s"], "{html}");
    }
    assert_eq!(list("<a href=a>b<a href=c>d</a>"), ["a>b", "c>d"]);
    assert_eq!(list("<a href=a>b &lt; c &copy &unknown; 1<2</a>"), ["a>b < c © &unknown; 1<2"]);
    assert_eq!(list("<a name=x>y</a><link href=a>b</link><area href=c>d"), [""; 0]);
}

#[test]
fn titles_pictures_and_forms_make_pairs() {
    assert_eq!(list("<a title=t href=r>s</a>"), ["r>t*", "r>s"]);
    assert_eq!(list("<a href=r><img src=i></a>"), ["r>i*", "r>"]);
    assert_eq!(list("<a href=r><iframe src=i></iframe>"), ["r>i*", "r>"]);
    assert_eq!(list("<a href=r><img dynsrc=i alt=x lowsrc=y></a>"), ["r>i*", "r>"]);
    assert_eq!(list("<form action=f><a href=r>s</a></form>"), ["f>r*", "r>s"]);
    assert_eq!(list("<form action=f><img src=i></form><img src=j>"), ["f>i*"]);
    assert_eq!(list("<form action=f></form><a href=r>s</a>"), ["r>s"]);
    assert_eq!(list("<a href=r><form action=f></form></a>"), ["r>"]);
}

#[test]
fn long_texts_are_cut_and_blanks_do_not_make_them_long() {
    let long = format!("<a href=r>{}s</a>", " ".repeat(5_000));
    assert_eq!(list(&long), ["r>s"]);
    let long = format!("<a href={0}>{0}</a>", "x".repeat(5_000));
    assert_eq!(list(&long), [format!("{0}>{0}", "x".repeat(1_024))]);
}

#[test]
fn a_break_and_the_budget_end_the_search() {
    let html = b"<a href=r>s</a>".repeat(100);
    let mut n = 0;
    let shortfall = links(&html, &Budget::new(Limits::default()), &mut |_| {
        n += 1;
        if n == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((n, shortfall), (3, None));
    let tired = Budget::new(Limits { fuel: 100, ..Limits::default() });
    assert_eq!(links(&html, &tired, &mut |_| ControlFlow::Continue(())), Some(Shortfall::Fuel));
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_their_end(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "<", ">", "a", " ", "href", "=", "'", "\"", "/", "<a href=", "</a>", "<form action=",
                "<img src=", "&", ";", "#", "x41", "!", "<script>", "</script", "\0", "\u{e9}", "title",
            ]),
            0..60,
        )
    ) {
        for (real, _, _) in pairs(pieces.concat().as_bytes()) {
            prop_assert!(!real.is_empty() && real.len() <= 1_024);
        }
    }
}
