//! Detached signatures: the published ones, and chains made with openssl.

use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use quahog_cvd::detached::{Anchors, name_for};
use quahog_cvd::{Error, Rule};

use crate::genuine::files;

/// A day in October 2026, within the validity of the published certificates.
const NOW: u64 = 1_792_000_000;
const YEAR: u64 = 31_557_600;

fn certificate(name: &str) -> Option<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/real");
    std::fs::read(folder.join("clamav-test-series").join(name)).ok()
}

fn anchors(names: &[&str]) -> Anchors {
    let mut anchors = Anchors::new();
    for name in names {
        let text = certificate(name).expect("certificates lie beside the files");
        assert!(anchors.add_pem(&text).unwrap() > 0);
    }
    anchors
}

/// Name, bytes and signature of each published file.
fn signed() -> Vec<(String, Bytes, Bytes)> {
    let signs = files("clamav-test-series", "sign");
    let of = |name: &str| signs.iter().find(|(sign, _)| *sign == format!("{name}.sign"));
    let all = [files("clamav-test-series", "cvd"), files("clamav-test-series", "cdiff")].concat();
    all.into_iter().map(|(name, file)| (name.clone(), file, of(&name).unwrap().1.clone())).collect()
}

fn rule<T>(result: Result<T, Error>) -> Option<Rule> {
    result.err().map(|error| error.rule())
}

#[test]
fn published_signatures_hold_under_their_own_anchors_and_no_other() {
    let all = signed();
    if all.is_empty() {
        return;
    }
    assert_eq!(all.len(), 11);
    for (name, file, sign) in &all {
        for good in [
            &["clamav-test-root.crt"][..],
            &["intermediate-test.crt"],
            &["signing-test.crt"],
            &["clamav.crt", "clamav-test-root.crt"],
        ] {
            let signer = anchors(good).verify(sign, file, NOW);
            let signer = signer.unwrap_or_else(|error| panic!("{name}, {good:?}: {error}"));
            assert!(signer.subject().contains("CN=ClamAV TEST"), "{}", signer.subject());
            assert!(signer.signed_at().unwrap() < NOW);
        }
        // The production root, and nobody at all.
        assert_eq!(rule(anchors(&["clamav.crt"]).verify(sign, file, NOW)), Some(Rule::SignChain));
        assert_eq!(rule(Anchors::new().verify(sign, file, NOW)), Some(Rule::SignChain));
        // Before and after the validity.
        let test = anchors(&["clamav-test-root.crt"]);
        for then in [0, NOW - 2 * YEAR, NOW + 9 * YEAR, u64::MAX] {
            assert_eq!(rule(test.verify(sign, file, then)), Some(Rule::SignTime), "{then}");
        }
    }
    // The signature of another file.
    let test = anchors(&["clamav-test-root.crt"]);
    assert_eq!(rule(test.verify(&all[0].2, &all[1].1, NOW)), Some(Rule::SignDigest));
}

#[test]
fn no_byte_of_the_file_is_free() {
    let Some((_, file, sign)) = signed().into_iter().next() else { return };
    let test = anchors(&["clamav-test-root.crt"]);
    // Time text and builder of the header are among them.
    for at in (0..512).step_by(7).chain((512..file.len()).step_by(101)) {
        let mut bad = file.to_vec();
        bad[at] ^= 1 << (at % 8);
        assert_eq!(rule(test.verify(&sign, &bad, NOW)), Some(Rule::SignDigest), "byte {at}");
    }
    let longer = [&file[..], b" "].concat();
    assert_eq!(rule(test.verify(&sign, &longer, NOW)), Some(Rule::SignDigest));
}

/// Every byte of the DER: attributes, chain, signature and what holds them.
#[test]
fn no_byte_of_the_signature_is_free() {
    let Some((_, file, sign)) = signed().into_iter().next() else { return };
    let test = anchors(&["clamav-test-root.crt"]);
    let text = std::str::from_utf8(&sign).unwrap();
    let line = text.lines().nth(1).unwrap();
    let (front, base64) = line.split_at("230::pkcs7-pem:".len());
    let step = if std::env::var_os("QUAHOG_TEST_FULL").is_some() { 1 } else { 5 };
    let mut rules = std::collections::HashMap::new();
    for at in (0..base64.len()).step_by(step) {
        let mut bad = base64.as_bytes().to_vec();
        bad[at] = if bad[at] == b'A' { b'Q' } else { b'A' };
        let bad = format!("#clamsign-1.0\n{front}{}\n", String::from_utf8(bad).unwrap());
        let rule = rule(test.verify(bad.as_bytes(), &file, NOW));
        *rules.entry(rule.unwrap_or_else(|| panic!("character {at} is free"))).or_insert(0) += 1;
    }
    for rule in [Rule::SignDer, Rule::SignChain, Rule::SignSignature, Rule::SignDigest] {
        assert!(rules.contains_key(&rule), "{rule:?} never: {rules:?}");
    }
    for cut in (0..base64.len()).step_by(step * 4) {
        let bad = format!("#clamsign-1.0\n{front}{}\n", &base64[..cut]);
        assert!(test.verify(bad.as_bytes(), &file, NOW).is_err(), "cut to {cut}");
    }
}

#[test]
fn lines_are_chosen_by_level() {
    let Some((_, file, sign)) = signed().into_iter().next() else { return };
    let test = anchors(&["clamav-test-root.crt"]);
    let base64 = std::str::from_utf8(&sign).unwrap().trim_end().rsplit(':').next().unwrap();
    let rule = |text: &str| {
        let text = text.replace("GOOD", base64);
        rule(test.verify(text.as_bytes(), &file, NOW))
    };
    assert_eq!(rule("#clamsign-1.0\n230::pkcs7-pem:GOOD\n"), None);
    assert_eq!(rule("#clamsign-1.0\r\n\n# note\n230:230:pkcs7-pem:GOOD"), None);
    // U20: a line for others does not decide, the next one does.
    assert_eq!(rule("#clamsign-1.0\n231::pkcs7-pem:AAAA\n230::pkcs7-pem:GOOD\n"), None);
    assert_eq!(
        rule("#clamsign-1.0\n230::pkcs7-pem:AAAA\n230::pkcs7-pem:GOOD\n"),
        Some(Rule::SignDer)
    );
    for text in [
        "#clamsign-1.0\n",
        "#clamsign-1.0\n231::pkcs7-pem:GOOD\n",
        "#clamsign-1.0\n230:229:pkcs7-pem:GOOD\n",
    ] {
        assert_eq!(rule(text), Some(Rule::SignLevel), "{text}");
    }
    for text in [
        "",
        "#clamsign\n230::pkcs7-pem:GOOD\n",
        "#clamsign-1.1\n230::pkcs7-pem:GOOD\n",
        "230::pkcs7-pem:GOOD\n",
        "#clamsign-1.0\n229::pkcs7-pem:GOOD\n",
        "#clamsign-1.0\n::pkcs7-pem:GOOD\n",
        "#clamsign-1.0\n230:pkcs7-pem:GOOD\n",
        "#clamsign-1.0\n+230::pkcs7-pem:GOOD\n",
        "#clamsign-1.0\n230::pkcs7:GOOD\n",
        "#clamsign-1.0\n230::pkcs7-pem:GOOD:x\n",
        "#clamsign-1.0\n230::pkcs7-pem:GOOD \n",
        "#clamsign-1.0\nx\n230::pkcs7-pem:GOOD\n",
    ] {
        assert_eq!(rule(text), Some(Rule::SignForm), "{text}");
    }
    let long = format!("#clamsign-1.0\n{}", "#\n".repeat(200_000));
    assert_eq!(rule(&long), Some(Rule::SignBytes));
}

#[test]
fn names_are_those_of_the_updater() {
    assert_eq!(name_for("daily.cvd", 27_000), "daily-27000.cvd.sign");
    assert_eq!(name_for("daily-27000.cvd", 27_000), "daily-27000.cvd.sign");
    assert_eq!(name_for("my-db.CVD", 7), "my-7.cvd.sign");
    assert_eq!(name_for("test-2.cdiff", 2), "test-2.cdiff.sign");
}

#[test]
fn anchors_are_certificates_in_pem() {
    for bad in
        [&b""[..], b"no block", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
    {
        assert_eq!(rule(Anchors::new().add_pem(bad)), Some(Rule::Certificate));
    }
}

/// A folder in which openssl works.
struct Authority(PathBuf);

impl Authority {
    fn new(name: &str) -> Option<Authority> {
        if Command::new("openssl").arg("version").output().is_err() {
            println!("skipped: openssl is not installed");
            return None;
        }
        let path = std::env::temp_dir().join(format!("quahog-cvd-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Some(Authority(path))
    }

    fn openssl(&self, line: &str) {
        let done =
            Command::new("openssl").args(line.split_whitespace()).current_dir(&self.0).output();
        let done = done.unwrap();
        assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// A certificate `name.crt` with these extensions, signed by `by` or itself.
    fn certify(&self, name: &str, by: Option<&str>, extensions: &str) {
        std::fs::write(self.0.join("ext"), extensions).unwrap();
        self.openssl(&format!("genrsa -out {name}.key 2048"));
        self.openssl(&format!("req -new -key {name}.key -subj /CN={name} -out {name}.csr"));
        let by = match by {
            None => format!("-signkey {name}.key"),
            Some(by) => format!("-CA {by}.crt -CAkey {by}.key -CAcreateserial"),
        };
        self.openssl(&format!(
            "x509 -req -in {name}.csr {by} -days 3650 -sha256 -extfile ext -out {name}.crt"
        ));
    }

    /// The text of a `.sign` file, made with the options.
    fn sign(&self, signer: &str, options: &str) -> Vec<u8> {
        std::fs::write(self.0.join("file"), FILE).unwrap();
        self.openssl(&format!(
            "cms -sign -binary -in file -signer {signer}.crt -inkey {signer}.key -outform DER \
             -out out.der {options}"
        ));
        self.openssl("base64 -A -in out.der -out out.b64");
        let base64 = std::fs::read_to_string(self.0.join("out.b64")).unwrap();
        format!("#clamsign-1.0\n230::pkcs7-pem:{base64}\n").into_bytes()
    }

    fn verify(&self, anchor: &str, sign: &[u8]) -> Option<Rule> {
        let mut anchors = Anchors::new();
        anchors.add_pem(&std::fs::read(self.0.join(format!("{anchor}.crt"))).unwrap()).unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        rule(anchors.verify(sign, FILE, now.as_secs()))
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const FILE: &[u8] = b"whatever a container holds";
const CA: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n";
const LEAF: &str =
    "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=codeSigning\n";

/// What a chain and a signature may look like.
#[test]
fn chains_of_our_own() {
    let Some(made) = Authority::new("chain") else { return };
    made.certify("root", None, CA);
    made.certify("middle", Some("root"), CA);
    made.certify("leaf", Some("middle"), LEAF);
    let with_middle = "-certfile middle.crt";
    let good = made.sign("leaf", with_middle);
    for anchor in ["root", "middle", "leaf"] {
        assert_eq!(made.verify(anchor, &good), None, "{anchor}");
    }
    assert_eq!(made.verify("root", &made.sign("leaf", "")), Some(Rule::SignChain));
    assert_eq!(made.verify("middle", &made.sign("leaf", "")), None);
    let by_key = made.sign("leaf", &format!("{with_middle} -keyid"));
    // The leaf has no key identifier unless openssl gives it one.
    assert!(matches!(made.verify("root", &by_key), None | Some(Rule::SignSigner)));
    for digest in ["sha384", "sha512"] {
        assert_eq!(
            made.verify("root", &made.sign("leaf", &format!("{with_middle} -md {digest}"))),
            None
        );
    }
    for (options, rule) in [
        ("-md sha1", Rule::SignAlgorithm),
        ("-md md5", Rule::SignAlgorithm),
        ("-md sha224", Rule::SignAlgorithm),
        ("-noattr", Rule::SignDer),
        ("-nodetach", Rule::SignDer),
        ("-nocerts", Rule::SignSigner),
        ("-keyopt rsa_padding_mode:pss", Rule::SignAlgorithm),
        ("-signer root.crt -inkey root.key", Rule::SignDer),
    ] {
        let sign = made.sign("leaf", &format!("{with_middle} {options}"));
        assert_eq!(made.verify("root", &sign), Some(rule), "{options}");
    }

    // Who may not sign certificates, and who may not sign databases.
    let refused = |name: &str, by: &str, extensions: &str| {
        made.certify(name, Some(by), extensions);
        let certfile = if by == "root" { String::new() } else { format!("-certfile {by}.crt") };
        made.verify("root", &made.sign(name, &certfile))
    };
    assert_eq!(refused("direct", "root", LEAF), None);
    assert_eq!(refused("bare", "root", "basicConstraints=CA:FALSE\n"), None);
    assert_eq!(refused("below", "direct", LEAF), Some(Rule::SignChain));
    assert_eq!(refused("tls", "root", "extendedKeyUsage=serverAuth\n"), Some(Rule::SignSigner));
    assert_eq!(refused("crypt", "root", "keyUsage=keyEncipherment\n"), Some(Rule::SignSigner));
    let constrained = format!("{LEAF}1.2.3.4=critical,DER:0500\n");
    assert_eq!(refused("odd", "root", &constrained), Some(Rule::SignSigner));
    let remark = format!("{LEAF}1.2.3.4=DER:0500\n");
    assert_eq!(refused("remark", "root", &remark), None);
    made.certify("short", Some("root"), "basicConstraints=critical,CA:TRUE,pathlen:0\n");
    made.certify("deep", Some("short"), CA);
    made.certify("end", Some("deep"), LEAF);
    let sign = made.sign("end", "-certfile short.crt");
    assert_eq!(made.verify("short", &sign), Some(Rule::SignChain));
    // A certificate of another root with the same name.
    let sign = made.sign("direct", "");
    made.certify("root", None, CA);
    assert_eq!(made.verify("root", &sign), Some(Rule::SignChain));
}
