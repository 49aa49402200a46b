//! `build`: a container of the files in a folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, bail};
use quahog::cvd::write::{Builder, SigningKeys};
use quahog::cvd::{Cvd, Kind, Limits, TrustStore};
use quahog::database::{SystemIo, publish};
use quahog::sig::{Format, Lines};

use crate::console::{Console, escape};
use crate::{Exit, trust};

/// Builds a .cud of the databases in a folder, or a .cvd signed with your own key
///
/// The database is called what the file is called: `example.cud` holds `example`.
/// Every file in the folder becomes a member; COPYING is the licence text, and an
/// .info of an unpacked container is made anew. Equal files, version and time
/// give an equal container.
///
/// The key file holds RSA keys in PEM: one of 1024 bits for the header, one of
/// 2048 bits for what is inside, and another if patches have a key of their own:
/// `openssl genrsa 1024; openssl genrsa 2048`.
///
/// Exit code: 0, or 2 if something went wrong; the file is then as it was.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The folder with the databases
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The file, a .cud or with --key a .cvd; one that is there is replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The file with the private keys
    #[arg(long, value_name = "KEY")]
    key: Option<PathBuf>,
    /// The version
    #[arg(long, value_name = "N", default_value_t = 1)]
    cvd_version: u32,
    /// The functionality level to recommend
    #[arg(long, value_name = "N", default_value_t = 0)]
    flevel: u32,
    /// Who builds
    #[arg(long, value_name = "NAME", default_value = "quahog")]
    builder: String,
    /// When it is built, in seconds since 1970; by default now
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH")]
    build_time: Option<u64>,
}

pub(crate) fn run(options: &Options, console: &mut Console) -> anyhow::Result<Exit> {
    let Options { folder, out, key, cvd_version, flevel, builder, build_time } = options;
    let name = trust::name_of(out);
    let kind = Kind::of(&name);
    let keys = match (kind, key) {
        (Some(Kind::Cud), None) => None,
        (Some(Kind::Cvd), Some(path)) => Some(read_keys(path)?),
        (Some(Kind::Cvd), None) => bail!("{}: a .cvd is signed: give --key", out.display()),
        (Some(Kind::Cud), Some(_)) => bail!("{}: a .cud is not signed: drop --key", out.display()),
        _ => bail!("{}: expected the name of a .cud or .cvd", out.display()),
    };
    let database = name.rsplit_once('.').map_or("", |(stem, _)| stem);
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map(|d| d.as_secs());
    let mut container = Builder::new(database)
        .version(*cvd_version)
        .flevel(*flevel)
        .builder(builder)
        .build_time(build_time.map_or_else(now, Ok).unwrap_or(0));

    console.begin("reading files");
    let members = members(folder)?;
    let (mut n_members, mut n_signatures) = (0, 0);
    for (path, name) in members {
        let bytes = trust::read(&path);
        let bytes = bytes.map_err(|why| anyhow::anyhow!("{}: {why}", path.display()))?;
        if name == "COPYING" {
            container = container.copying(&bytes);
            continue;
        }
        n_signatures += match Format::from_file_name(&name) {
            Some(format) if !format.is_counted() => 0,
            // Of bytecode a file is one, and so is a catalogue.
            Some(Format::Cbc | Format::Cat) => 1,
            _ => {
                let lines = Lines::new(&bytes);
                lines.filter(|line| !line.is_blank() && !line.is_comment()).count()
            }
        };
        n_members += 1;
        container = container.member(&name, &bytes);
    }
    container = container.signatures(u32::try_from(n_signatures).unwrap_or(u32::MAX));
    console.end();
    console.begin("packing");
    let named = || out.display().to_string();
    let file = match &keys {
        None => container.cud(),
        Some(keys) => container.cvd(keys),
    };
    let file = file.with_context(named)?;
    // Its members are unpacked again below.
    drop(container);
    console.end();

    // What we could not read ourselves is not written.
    let mut store = TrustStore::empty();
    if let Some(keys) = &keys {
        store = store.with(keys.source("own")?.overriding(true));
    }
    Cvd::open(file.clone().into(), &name)
        .and_then(|cvd| cvd.verify(&store, &Limits::default()))
        .with_context(named)?;
    publish(&SystemIo, out, &file)?;
    console.line(&format!(
        "{}: {} bytes, {n_members} members, {n_signatures} signatures",
        escape(out),
        file.len()
    ))?;
    Ok(Exit::Fine)
}

/// Reads private keys.
pub(crate) fn read_keys(path: &Path) -> anyhow::Result<SigningKeys> {
    let text = trust::read(path).map_err(|why| anyhow::anyhow!("{}: {why}", path.display()))?;
    SigningKeys::parse(&text).with_context(|| path.display().to_string())
}

/// The files in the folder, in the order in which publishers store them.
fn members(folder: &Path) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let named = || folder.display().to_string();
    let mut members = Vec::new();
    for entry in fs::read_dir(folder).with_context(named)? {
        let path = entry.with_context(named)?.path();
        let name = trust::name_of(&path);
        if name.ends_with(".info") {
            continue;
        }
        let Some(rank) = rank(&name) else {
            // Leaving it out in silence would be worse than this.
            bail!("{}: not a database by its extension", path.display());
        };
        members.push((rank, path, name));
    }
    members.sort();
    Ok(members.into_iter().map(|(_, path, name)| (path, name)).collect())
}

/// Where a file of this name stands; `None` if it cannot be a member.
fn rank(name: &str) -> Option<usize> {
    if name == "COPYING" {
        return Some(0);
    }
    let format = Format::from_file_name(name)?;
    let known = ORDER.iter().position(|extension| *extension == format.extension());
    Some(1 + known.unwrap_or(ORDER.len()))
}

const ORDER: &[&str] = &[
    "cfg", "ign", "ign2", "ftm", "db", "hdb", "hdu", "hsb", "hsu", "mdb", "mdu", "msb", "msu",
    "ndb", "ndu", "ldb", "ldu", "sdb", "zmd", "rmd", "idb", "fp", "sfp", "gdb", "pdb", "wdb",
    "crb", "cdb", "imp",
];
