//! Scripts of Microsoft's script encoder.

use quahog_content::text::html::{self, HtmlViews};
use quahog_content::{Budget, Format, Limits, Shortfall};

use super::{parts, survives};

const ENCODED: &[u8] = b"#@~^ZwAAAA==W!x^DkKxP6`*~\t@#@&7k6PcC,@!P(~[LP4,@*~m*PPP.+O;Mx~J$;l4WLR9+:GR^E.+B~$EC4WTON\x7f:KRVbxVP@$PaEpP8@#@&8@#@&OhwAAA==^#~@";
const PLAIN: &[u8] = b"function f() {\r\n\tif (a < b && b > c) { return \"quahog-demo-lure, quahog-demo-link @ x\"; }\r\n}\r\n";

#[test]
fn encoded_scripts_are_decoded() {
    let (found, shortfall) = parts(Format::EncodedScript, ENCODED);
    assert_eq!((found.len(), shortfall), (1, None));
    assert_eq!(found[0].bytes(), PLAIN);
    // Two of them, with text around.
    let two = [b"x", ENCODED, b" y ", ENCODED, b"z"].concat();
    let (found, _) = parts(Format::EncodedScript, &two);
    assert!(found.len() == 2 && found.iter().all(|part| part.bytes() == PLAIN));
    // Without its end all that there is, and without a length nothing.
    let (found, _) = parts(Format::EncodedScript, &ENCODED[..60]);
    assert_eq!(found[0].bytes(), &PLAIN[..found[0].bytes().len()]);
    assert_eq!(
        parts(Format::EncodedScript, b"#@~^no length"),
        (vec![], Some(Shortfall::Malformed))
    );
    survives(Format::EncodedScript, ENCODED);
}

#[test]
fn html_hands_them_out() {
    let page = [b"<html><script language=JScript.Encode>", ENCODED, b"</script></html>"].concat();
    let mut views = HtmlViews::default();
    assert_eq!(html::normalize(&page, &Budget::new(Limits::default()), &mut views), None);
    assert_eq!(views.embedded.len(), 1);
    assert_eq!(views.embedded[0].bytes, PLAIN);
}
