//! Inputs of fuzz targets that once failed, and a few that once were new: each
//! is given to what the target runs. Those of `match_agrees` run beside the
//! engine.

macro_rules! replay {
    ($($target:ident $path:literal)*) => {$(
        #[path = $path]
        mod $target;
    )*

        #[test]
        fn inputs_of_fuzz_targets_hold() {
            $(each(stringify!($target), $target::run);)*
        }
    };
}

replay! {
    exe "../../../../fuzz/bodies/exe.rs"
    lists "../../../../fuzz/bodies/lists.rs"
    logic "../../../../fuzz/bodies/logic.rs"
    regex "../../../../fuzz/bodies/regex.rs"
    sig_line "../../../../fuzz/bodies/sig_line.rs"
    text_views "../../../../fuzz/bodies/text_views.rs"
    yara "../../../../fuzz/bodies/yara.rs"
}

/// Runs a body on all files of `fuzz/regressions/<target>`; which one it was
/// is printed where a test fails.
fn each(target: &str, run: fn(&[u8])) {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/regressions");
    let entries = std::fs::read_dir(format!("{root}/{target}")).expect("inputs of each target");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no inputs of {target}");
    for path in paths {
        println!("{}", path.display());
        run(&std::fs::read(&path).expect("a readable input"));
    }
}
