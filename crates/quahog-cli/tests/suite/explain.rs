//! `decode` and `explain`.

use crate::Folder;

#[test]
fn a_signature_is_told_in_words() {
    let folder = Folder::new();
    let decode = |line: &str| {
        let done = folder.run(["decode", line], b"");
        assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{line}");
        done.out
    };
    assert_eq!(
        decode("Test.Gap:6:EP+4,8:6162{2-4}63(64|6566)6768"),
        "Test.Gap: body signature (.ndb)\n    \
             searched in: ELF programs (target 6)\n    \
             start: at the entry point +4, or up to 8 bytes later\n    \
             part 1: 61 62 \"ab\"\n    \
             part 2, 2 to 4 bytes later: 63 (64 | 65 66 \"ef\") 67 68 \"gh\"\n    \
             found by: the literal \"ab\", met about once in 1000 bytes\n"
    );
    let told = decode("A;Engine:81-255,Target:0;0&1>2;616263::i;6465");
    assert!(told.contains("condition: [0] and count of [1] > 2\n"), "{told}");
    assert!(told.contains("letters match in either case\n"), "{told}");
    let rule = folder.run(["decode", "-"], b"rule A { strings: $a = \"xyz\" condition: $a }");
    assert!(rule.out.starts_with("YARA.A: YARA rule (.yar)\n"), "{rule:?}");
}

#[test]
fn a_bad_line_shows_the_place() {
    let folder = Folder::new();
    let done = folder.run(["decode", "A:0:*:616"], b"");
    done.fails("^");
    let done = folder.run(["decode", "--format=hdb", "A:7:N"], b"");
    done.fails("a line of .hdb");
    folder.run(["decode", "--format=exe", "A"], b"").fails("no extension of a database");
}

/// The lines about files, not those about the signature.
fn looks(out: &str) -> Vec<String> {
    let about = |line: &&str| {
        line.starts_with("mail") || line.starts_with("    +") || line.starts_with("    -")
    };
    out.lines().filter(about).map(|line| line.trim().to_owned()).collect()
}

#[test]
fn a_match_is_explained_to_the_byte() {
    let folder = Folder::new();
    folder.write(
        "d/a.ldb",
        "T;Engine:81-255,Target:3;0&1;48656c6c6f::i;0/w.rld/\n\
         Never;Engine:81-255,Target:3;0&1;48656c6c6f::i;0:776f726c64\n\
         Two;Engine:81-255,Target:3,FileSize:1-5;0;68656c6c6f*776f{2-2}6421\n",
    );
    folder.write("d/a.hdb", "0123456789abcdef0123456789abcdef:7:Hash\n");
    folder.write("d/a.cdb", "Entry:CL_TYPE_MAIL:*:exe$:*:*:*:*:*:*\n");
    folder.write("d/a.cbc", "ClamBCa\nBC.T.{A};Engine:56-255,Target:3;0;776f726c64\nTedf\n");
    folder.write(
        "mail",
        "From: a@b.example\nTo: x@y.example\nSubject: q\nMIME-Version: 1.0\n\
         Content-Type: text/html; name=\"a.html\"\n\n<html><b>Hello</b> world</html>",
    );
    let explain = |name: &str| {
        folder.quahog(&format!("explain mail --signature {name} -d d --bytecode-unsigned"))
    };
    let done = explain("T.UNOFFICIAL");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(
        done.out.starts_with("T.UNOFFICIAL: logical signature from a.ldb, line 1\n"),
        "{done:?}"
    );
    assert_eq!(
        looks(&done.out)[..5],
        [
            "mail!a.html (CL_TYPE_HTML, html) matches",
            "+ searched in: normalised HTML (target 3)",
            "+ [0] matches at 9, bytes 9 to 14: \"hello\"",
            "+ [1] the regular expression matches at 18, bytes 18 to 23: \"world\"",
            "+ condition: [0] and [1]",
        ]
    );
    let done = explain("Never");
    assert_eq!(done.code, Some(1), "{done:?}");
    let elsewhere = "- [1] stands at 18, but must start at byte 0 (here that is 0 to 0), bytes 18 to 23: \"world\"";
    assert!(looks(&done.out).iter().any(|line| line == elsewhere), "{done:?}");
    let done = explain("Two");
    let lines = looks(&done.out);
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(lines.iter().any(|line| line.starts_with("- the size of the file is")), "{lines:?}");
    let begun = "- [0] parts 1 to 2 of 3 match at 9; the next one does not stand where it must, bytes 9 to 20: \"hello</b>wo\"";
    assert!(lines.iter().any(|line| line == begun), "{lines:?}");
    let done = explain("Hash");
    assert!(looks(&done.out).iter().any(|line| line.starts_with("- its MD5 is ")), "{done:?}");
    let done = explain("Entry");
    let name = "- its name is \"a.html\"".to_owned();
    assert!(looks(&done.out).contains(&name), "{done:?}");
    let done = explain("BC.T.{A}");
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.out.contains("may match"), "{done:?}");
    explain("Nobody").fails("no signature is called Nobody");
    let done = explain("Heuristics.Phishing.Email.SpoofedDomain");
    done.is(1, &["no heuristic of this name was met"]);
}
