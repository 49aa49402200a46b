//! Which files are looked at.

use crate::Folder;

fn tree() -> Folder {
    let folder = Folder::with_database();
    folder.write("in/sub/alpha.txt", "alpha\n");
    folder.write("in/sub/deep/alpha.txt", "alpha\n");
    folder
}

const TOP: [&str; 4] = [
    "in/alpha.txt: Test.Alpha.UNOFFICIAL FOUND",
    "in/both.txt: Test.Alpha.UNOFFICIAL FOUND",
    "in/clean.txt: OK",
    "in/empty.txt: Empty file",
];

#[test]
fn a_folder_is_its_files_and_below_it_only_on_demand() {
    let folder = tree();
    folder.quahog("scan -d db --no-summary in").is(1, &TOP);
    let deep = "in/sub/deep/alpha.txt: Test.Alpha.UNOFFICIAL FOUND";
    let sub = "in/sub/alpha.txt: Test.Alpha.UNOFFICIAL FOUND";
    let all = [&TOP[..], &[sub, deep]].concat();
    folder.quahog("scan -d db --no-summary -r in").is(1, &all);
    folder.quahog("scan -d db --no-summary --recursive=yes in").is(1, &all);
    folder.quahog("scan -d db --no-summary --recursive=no in").is(1, &TOP);
    folder.quahog("scan -d db --no-summary -r --max-dir-recursion=1 in").is(1, &TOP);
    let two = [&TOP[..], &[sub]].concat();
    folder.quahog("scan -d db --no-summary -r --max-dir-recursion=2 in").is(1, &two);
    folder.quahog("scan -d db --no-summary -r --max-dir-recursion=0 in").is(0, &[]);
    folder.quahog("scan -d db --no-summary -r --cross-fs=no in").is(1, &all);
}

#[test]
fn without_a_path_the_current_folder_is_scanned() {
    let folder = Folder::with_database();
    folder.write("alpha", "alpha\n");
    let done = folder.quahog("scan -d db --no-summary");
    let [line] = done.lines()[..] else { panic!("{done:?}") };
    assert!(line.ends_with("alpha: Test.Alpha.UNOFFICIAL FOUND"), "{line}");
}

#[test]
fn files_are_left_out_by_pattern() {
    let folder = tree();
    let done = folder.quahog("scan -d db --no-summary -r --exclude=both --exclude=ean in");
    done.is(
        1,
        &[
            TOP[0],
            "in/both.txt: Excluded",
            "in/clean.txt: Excluded",
            TOP[3],
            "in/sub/alpha.txt: Test.Alpha.UNOFFICIAL FOUND",
            "in/sub/deep/alpha.txt: Test.Alpha.UNOFFICIAL FOUND",
        ],
    );
    let done = folder.quahog("scan -d db --no-summary --include=n/c.*t$ --exclude=CLEAN in");
    done.is(
        0,
        &[
            "in/alpha.txt: Excluded",
            "in/both.txt: Excluded",
            "in/clean.txt: OK",
            "in/empty.txt: Excluded",
        ],
    );
    let done = folder.quahog("scan -d db --no-summary --exclude=clean in/clean.txt");
    done.is(0, &["in/clean.txt: Excluded"]);
    let done = folder.quahog("scan -d db --exclude=( in");
    done.fails("ERROR: --exclude is no regular expression: unclosed group");
}

#[test]
fn folders_are_left_out_by_pattern() {
    let folder = tree();
    let sub = "in/sub/alpha.txt: Test.Alpha.UNOFFICIAL FOUND";
    let done = folder.quahog("scan -d db --no-summary -r --exclude-dir=deep in");
    done.is(1, &[&TOP[..], &[sub, "in/sub/deep: Excluded"]].concat());
    let done = folder.quahog("scan -d db --no-summary -r --include-dir=deep in");
    done.is(0, &["in: Excluded"]);
    let done = folder.quahog("scan -d db --no-summary --include-dir=nope in/clean.txt");
    done.is(0, &["in/clean.txt: OK"]);
}

#[test]
fn a_list_names_the_files() {
    let folder = Folder::with_database();
    folder.write("list", "in/clean.txt\r\n\nin/alpha.txt");
    let lines = ["in/clean.txt: OK", "in/alpha.txt: Test.Alpha.UNOFFICIAL FOUND"];
    folder.quahog("scan -d db --no-summary -f list").is(1, &lines);
    let done = folder.quahog("scan -d db --no-summary --file-list=list in/both.txt");
    assert_eq!(done.lines(), lines);
    assert!(done.err.starts_with("WARNING: only files from --file-list"), "{}", done.err);
    let done = folder.run(["scan", "-d", "db", "--no-summary", "-f", "-"], b"in/clean.txt\n");
    done.is(0, &lines[..1]);
    folder.quahog("scan -d db -f nowhere").fails("ERROR: --file-list: nowhere: ");
}

#[test]
fn standard_input_is_scanned() {
    let folder = Folder::with_database();
    let scan = |input| folder.run(["scan", "-d", "db", "--no-summary", "-"], input);
    scan(b"so much for alpha").is(1, &["stdin: Test.Alpha.UNOFFICIAL FOUND"]);
    scan(b"so much").is(0, &["stdin: OK"]);
    scan(b"").is(0, &["stdin: OK"]);
}

#[test]
fn what_cannot_be_scanned_is_an_error_unless_something_was_found() {
    let folder = Folder::with_database();
    let done = folder.quahog("scan -d db --no-summary nowhere in/clean.txt");
    assert_eq!((done.code, done.out.as_str()), (Some(2), "in/clean.txt: OK\n"));
    assert_eq!(done.err, "nowhere: No such file or directory ERROR\n");
    let done = folder.quahog("scan -d db --no-summary nowhere in/alpha.txt");
    assert_eq!(done.code, Some(1));
    let done = folder.quahog("scan -d db --quiet nowhere");
    done.fails("nowhere: No such file or directory ERROR");
    let done = folder.quahog("scan -d db nowhere");
    assert!(done.out.contains("\nTotal errors: 1\n"));
}

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn links_are_followed_as_far_as_asked() {
        let folder = Folder::with_database();
        folder.write("in/sub/alpha.txt", "alpha\n");
        symlink("../in/alpha.txt", folder.path("in/to-file")).unwrap();
        symlink("sub", folder.path("in/to-folder")).unwrap();
        symlink("nowhere", folder.path("in/to-nothing")).unwrap();
        let scan = |options: &str| folder.quahog(&format!("scan -d db --no-summary {options}"));

        let ends = |options: &str| {
            let done = scan(options);
            let line = |word: &str| {
                let found = done.out.lines().filter(|line| line.contains(word));
                found.map(ToOwned::to_owned).collect::<Vec<_>>()
            };
            (line("to-file"), line("to-folder"), line("to-nothing"))
        };
        let passed = |name: &str| vec![format!("in/{name}: Symbolic link")];
        let (file, to_folder, nothing) = ends("-r in");
        assert_eq!((file, to_folder), (passed("to-file"), passed("to-folder")));
        assert_eq!(nothing, passed("to-nothing"));
        let (file, to_folder, _) = ends("-r --follow-file-symlinks=2 in");
        assert_eq!(file, ["in/to-file: Test.Alpha.UNOFFICIAL FOUND"]);
        assert_eq!(to_folder, passed("to-folder"));
        let (file, to_folder, _) = ends("-r --follow-dir-symlinks=2 in");
        assert_eq!(file, passed("to-file"));
        assert_eq!(to_folder, ["in/to-folder/alpha.txt: Test.Alpha.UNOFFICIAL FOUND"]);

        scan("in/to-file").is(1, &["in/to-file: Test.Alpha.UNOFFICIAL FOUND"]);
        scan("in/to-folder").is(1, &["in/to-folder/alpha.txt: Test.Alpha.UNOFFICIAL FOUND"]);
        scan("--follow-file-symlinks=0 in/to-file").is(0, &["in/to-file: Symbolic link"]);
        scan("--follow-dir-symlinks=0 in/to-folder").is(0, &["in/to-folder: Symbolic link"]);
        scan("in/to-nothing").fails("in/to-nothing: No such file or directory ERROR");
        scan("--follow-dir-symlinks=3 in").fails("invalid value '3'");
    }

    #[test]
    fn a_folder_is_not_entered_inside_itself() {
        let folder = Folder::with_database();
        for name in ["a", "b"] {
            symlink("..", folder.path("in").join(name)).unwrap();
            symlink(".", folder.path("in").join(format!("{name}{name}"))).unwrap();
        }
        let options = "scan -d db --no-summary -r --follow-dir-symlinks=2";
        let done = folder.quahog(&format!("{options} --max-dir-recursion=4000000000 in"));
        assert_eq!(done.code, Some(1));
        // Each of the two links leads out of `in`, where all is seen once more.
        assert!(done.lines().len() < 30, "{}", done.out);
    }

    #[test]
    fn only_regular_files_are_read() {
        let folder = Folder::with_database();
        let _socket = UnixListener::bind(folder.path("in/socket")).unwrap();
        folder.quahog("scan -d db --no-summary in").is(1, &TOP);
        let done = folder.quahog("scan -d db --no-summary in/socket");
        done.fails("in/socket: Not supported file type ERROR");
        let done = folder.quahog("scan -d db --no-summary /dev/null");
        done.fails("/dev/null: Not supported file type ERROR");
    }

    #[test]
    fn a_file_that_may_not_be_read_is_an_error() {
        let folder = Folder::with_database();
        let closed = fs::Permissions::from_mode(0o000);
        fs::set_permissions(folder.path("in/clean.txt"), closed).unwrap();
        if fs::read(folder.path("in/clean.txt")).is_ok() {
            println!("skipped: this user may read everything");
            return;
        }
        let done = folder.quahog("scan -d db --no-summary in/clean.txt");
        done.fails("in/clean.txt: Access denied ERROR");
    }
}
