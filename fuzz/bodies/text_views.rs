//! Views of any text end without a panic and are at most a small multiple of
//! it; plain text in two chunks gives the view of the whole.

use quahog_content::text::html::{self, HtmlViews};
use quahog_content::text::plain::{self, Normalizer};
use quahog_content::{Budget, Limits};

pub(crate) fn run(data: &[u8]) {
    let Some((&cut, text)) = data.split_first() else { return };

    let mut whole = Vec::new();
    plain::normalize(text, &mut whole);
    assert!(whole.len() <= text.len());
    let (first, second) = text.split_at(usize::from(cut).min(text.len()));
    let (mut normalizer, mut chunked) = (Normalizer::new(), Vec::new());
    normalizer.push(first, &mut chunked);
    normalizer.push(second, &mut chunked);
    assert_eq!(whole, chunked);

    let mut views = HtmlViews::default();
    let budget = Budget::new(Limits::default());
    assert_eq!(html::normalize(text, &budget, &mut views), None);
    // A name at the end is resolved without `;`: `&ap` becomes `&#x2248;`.
    assert!(views.nocomment.len() <= 2 * text.len() + 2);
    assert!(views.notags.len() <= 2 * text.len() + 1);
    let embedded: usize = views.embedded.iter().map(|url| url.bytes.len()).sum();
    assert!(embedded <= 2 * text.len());
    if let Some(javascript) = &views.javascript {
        assert!(javascript.len() <= 8 * text.len() + 64);
    }
}
