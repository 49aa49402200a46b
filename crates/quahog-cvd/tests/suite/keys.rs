//! Keys as files, and what a source may sign.

use std::process::Command;

use quahog_cvd::write::SigningKeys;
use quahog_cvd::{KeyError, Limits, Rule, Source, Trust, TrustStore};

use crate::forge::{NDB, verify_with};
use crate::testkit;

/// What openssl writes when it is given these words and this input.
fn openssl(words: &str, input: &[u8]) -> Option<Vec<u8>> {
    use std::io::Write as _;
    let mut child = Command::new("openssl")
        .args(words.split(' '))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .map_err(|_| println!("skipped: openssl is not installed"))
        .ok()?;
    child.stdin.take().unwrap().write_all(input).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "openssl {words}");
    Some(done.stdout)
}

#[test]
fn keys_of_openssl_are_read_sign_and_verify() {
    let Some(small) = openssl("genrsa 1024", b"") else { return };
    let large = openssl("genrsa 2048", b"").unwrap();
    let third = openssl("genrsa -traditional 2048", b"").unwrap();
    let public = |key: &[u8]| openssl("rsa -pubout", key).unwrap();
    for private in
        [vec![&*small, &*large], vec![&*small, &*large, &*third], vec![&*large, &*third, &*small]]
    {
        let keys = SigningKeys::parse(&private.concat()).unwrap();
        let mut text = b"# ours\nname: example.org\n\nprefix: Example.\n".to_vec();
        private.iter().for_each(|key| text.extend(public(key)));
        let source = Source::parse(&text).unwrap();
        assert_eq!((source.name(), source.prefix()), (Some("example.org"), "Example."));
        assert!(!source.is_overriding());
        let store = TrustStore::official().with(source);
        let file = testkit::builder("mini", &[("mini.ndb", NDB)]).cvd(&keys).unwrap();
        let verified = verify_with(file, "mini.cvd", &store, &Limits::default()).unwrap();
        assert_eq!(verified.trust(), &Trust::Source("example.org".into()));
        assert_eq!(store.source(verified.trust()).unwrap().prefix(), "Example.");
    }
    let private = |keys: &[&[u8]]| SigningKeys::parse(&keys.concat()).unwrap_err();
    assert_eq!(private(&[&small]), KeyError::Number);
    assert_eq!(private(&[&large, &third]), KeyError::Number);
    assert_eq!(private(&[&small, &small, &large]), KeyError::Number);
    assert_eq!(private(&[&small, &public(&large)]), KeyError::Form);
    assert_eq!(private(&[b"no keys"]), KeyError::Number);
    assert_eq!(private(&[&small, &large[..large.len() / 2]]), KeyError::Form);
    let locked = openssl("rsa -aes128 -passout pass:x", &large).unwrap();
    assert_eq!(private(&[&small, &locked]), KeyError::Form);

    let keys = [public(&small), public(&large)].concat();
    let refused = |head: &str| Source::parse(&[head.as_bytes(), &keys].concat()).err();
    assert_eq!(refused("name: a\nprefix: A.\n"), None);
    assert_eq!(refused("prefix: A.\noverriding: yes\nname: a\n"), None);
    for head in [
        "",
        "name: a\n",
        "prefix: A.\n",
        "name:\nprefix: A.\n",
        "name: a b\nprefix: A.\n",
        "name: a\nprefix: A.\nprefix: B.\n",
        "name: a\nprefix: A.\noverriding: perhaps\n",
        "name: a\nprefix: A.\nkey: x\n",
        "name: a\nprefix\n",
        "name: \u{e4}\nprefix: A.\n",
    ] {
        assert_eq!(refused(head), Some(KeyError::Text), "{head:?}");
    }
    assert_eq!(Source::parse(b"name: a\nprefix: A.\n").err(), Some(KeyError::Number));
}

#[test]
fn a_source_signs_no_official_database_unless_it_may() {
    let source = || testkit::signing_keys().source("own").unwrap();
    let modest = TrustStore::official().with(source().overriding(false));
    let mighty = TrustStore::official().with(source().overriding(true));
    for name in quahog_cvd::trust::OFFICIAL_DATABASES {
        for name in [(*name).to_owned(), name.to_uppercase()] {
            let members = [("x.ndb", NDB)];
            let files = [
                (testkit::cvd(&name, &members), format!("{name}.cvd")),
                (testkit::cld(&name, &members), format!("{name}.cld")),
            ];
            for (file, name) in files {
                let limits = Limits::default();
                let error = verify_with(file.clone(), &name, &modest, &limits).unwrap_err();
                assert_eq!(error.rule(), Rule::OfficialName);
                assert!(verify_with(file, &name, &mighty, &limits).is_ok());
            }
        }
    }
    // Unsigned files are the operator's own word, whatever they are called.
    let file = testkit::cud("daily", &[("x.ndb", NDB)]);
    assert!(verify_with(file, "daily.cud", &modest, &Limits::default()).is_ok());
}
