//! `completions` and `man`: what the command line says of itself, for shells
//! and for `man`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::Exit;
use crate::arguments::Arguments;
use crate::console::Console;

/// Prints the completion script of a shell
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsOptions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Writes the man pages, one for each verb
#[derive(Debug, clap::Args)]
pub(crate) struct ManOptions {
    /// The folder, which must exist; pages of the same name are replaced
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(crate) fn completions(
    options: &CompletionsOptions,
    console: &mut Console,
) -> anyhow::Result<Exit> {
    // Into memory first: the generator panics when its output is closed.
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Arguments::command(), "quahog", &mut script);
    console.line(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Fine)
}

pub(crate) fn man(options: &ManOptions) -> anyhow::Result<Exit> {
    clap_mangen::generate_to(Arguments::command(), &options.folder)
        .with_context(|| options.folder.display().to_string())?;
    Ok(Exit::Fine)
}
