//! The demonstration mails, and what becomes of mail in general.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::{Folder, testdata};

#[test]
fn of_the_demonstration_mails_the_infected_ones_are_found() {
    let folder = Folder::new();
    let mails = testdata("mail");
    let done = folder.run(["scan", "--no-summary", "-i", mails.to_str().unwrap()], b"");
    assert_eq!(done.code, Some(1), "{}", done.err);
    let found: BTreeSet<&str> = done
        .lines()
        .iter()
        .map(|line| {
            assert!(line.ends_with(" FOUND"), "{line}");
            let (path, _) = line.rsplit_once(": ").unwrap();
            path.rsplit_once(['/', '\\']).unwrap().1
        })
        .collect();
    let infected: BTreeSet<String> = fs::read_dir(mails)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("infected-"))
        .collect();
    assert!(infected.len() >= 4);
    assert_eq!(found, infected.iter().map(String::as_str).collect());
}

#[test]
fn the_object_says_where_in_the_mail_it_was() {
    let folder = Folder::new();
    folder.write("db/e.hdb", "44d88612fea8a8f36de82e1278abb02f:68:Eicar\n");
    let found = |mail: &str| {
        let path = testdata("mail").join(mail);
        let done = folder.run(["scan", "-d", "db", "--json", path.to_str().unwrap()], b"");
        let json: Value = serde_json::from_str(&done.out).unwrap();
        json["detections"][0]["object"].as_str().unwrap().to_owned()
    };
    assert!(found("infected-zip.eml").ends_with("documents.zip!tools/setup.com"));
    assert!(found("infected-base64.eml").ends_with("invoice.com"));
    assert!(found("infected-gzip.eml").contains("backup.log.gz!"));
    assert!(found("infected-forwarded.eml").contains("!readme.com"));
}

#[test]
fn what_opens_mail_and_archives_can_be_switched_off() {
    let folder = Folder::new();
    folder.write("db/e.hdb", "44d88612fea8a8f36de82e1278abb02f:68:Eicar\n");
    let scan = |mail: &str, option: &str| {
        let path = testdata("mail").join(mail);
        let path = path.to_str().unwrap();
        folder.run(["scan", "-d", "db", "--no-summary", option, path], b"").code
    };
    assert_eq!(scan("infected-base64.eml", "--scan-archive=no"), Some(1));
    assert_eq!(scan("infected-base64.eml", "--scan-mail=no"), Some(0));
    assert_eq!(scan("infected-zip.eml", "--scan-mail"), Some(1));
    assert_eq!(scan("infected-zip.eml", "--scan-archive=no"), Some(0));
}

#[test]
fn a_mail_is_taken_for_one_if_the_caller_says_so() {
    let folder = Folder::with_database();
    // Without a header line that says "mail" to a scanner.
    folder.write(
        "mail",
        "X-Odd: yes\nContent-Type: multipart/mixed; boundary=q\n\n--q\n\
         Content-Transfer-Encoding: base64\n\nYWxwaGEh\n--q--\n",
    );
    folder.quahog("scan -d db --no-summary mail").is(0, &["mail: OK"]);
    let done = folder.quahog("scan -d db --no-summary --assume mail mail");
    done.is(1, &["mail: Test.Alpha.UNOFFICIAL FOUND"]);
    folder.quahog("scan -d db --assume letter mail").fails("invalid value 'letter'");
}

#[test]
fn weak_names_wait_for_strong_ones_unless_told_otherwise() {
    let folder = Folder::new();
    folder.write("db/a.ndb", "PUA.Weak:0:*:7765616b776f7264\nStrong:0:*:7374726f6e67776f7264\n");
    // Attachments come before the message that they are in.
    folder.write(
        "mail",
        "From: a@a.example\nTo: b@b.example\nSubject: strongword\nMIME-Version: 1.0\n\
         Content-Type: multipart/mixed; boundary=q\n\n--q\n\
         Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n\
         d2Vha3dvcmQ=\n--q--\n",
    );
    let done = folder.quahog("scan -d db --no-summary mail");
    done.is(1, &["mail: Strong.UNOFFICIAL FOUND"]);
    let done = folder.quahog("scan -d db --no-summary --heuristic-scan-precedence mail");
    done.is(1, &["mail: PUA.Weak.UNOFFICIAL FOUND"]);
}

#[test]
fn normalised_forms_can_be_switched_off() {
    let folder = Folder::new();
    // Target 7 is normalised text, target 3 normalised HTML: both in lower case.
    folder.write("db/a.ndb", "Text:7:*:6d7920776f7264\n");
    folder.write("hd/a.ndb", "Html:3:*:3c703e6d7920776f72643c2f703e\n");
    folder.write("text", "MY    WORD, and some more of it\n");
    folder.write("page", "<html><body><P>My Word</P></body></html>\n");
    folder.quahog("scan -d db --no-summary text").is(1, &["text: Text.UNOFFICIAL FOUND"]);
    folder.quahog("scan -d db --no-summary --normalize=no text").is(0, &["text: OK"]);
    folder.quahog("scan -d hd --no-summary page").is(1, &["page: Html.UNOFFICIAL FOUND"]);
    folder.quahog("scan -d hd --no-summary --scan-html=no page").is(0, &["page: OK"]);
}
