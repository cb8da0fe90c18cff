//! `tintype completions` and `tintype man`: what a shell and `man` know of the command line, made from the command line.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;

use super::{Cli, DONE, FAILED};

/// Print what a shell needs to complete tintype's commands and options.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tintype completions bash > ~/.local/share/bash-completion/completions/tintype
  tintype completions zsh > \"${fpath[1]}/_tintype\"
  tintype completions fish > ~/.config/fish/completions/tintype.fish

A shell that is open already knows of it once it is started anew.")]
pub struct CompletionsArgs {
    /// Which shell
    shell: Shell,
}

/// Print the manual page, or write those of all commands into a folder.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tintype man | man -l -
  tintype man --out ~/.local/share/man/man1      tintype(1), tintype-serve(1), ...")]
pub struct ManArgs {
    /// Folder for the pages; it is made if it is missing
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub fn completions(args: &CompletionsArgs) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tintype", &mut script);
    print(&script)
}

pub fn man(args: &ManArgs) -> u8 {
    let pages = pages();
    match &args.out {
        None => print(&pages[0].1),
        Some(folder) => write(folder, &pages),
    }
}

/// Name and text of each page, tintype(1) first.
fn pages() -> Vec<(String, Vec<u8>)> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    add(command, &mut pages);
    pages
}

fn add(command: Command, pages: &mut Vec<(String, Vec<u8>)>) {
    // `help` says what its neighbours' pages say.
    let inner = command.get_subcommands().filter(|inner| inner.get_name() != "help").cloned().collect::<Vec<_>>();
    let said = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let examples = said.strip_prefix("Examples:\n").unwrap_or(&said);
    let page = clap_mangen::Man::new(command.after_help(None::<&'static str>)).date("");
    let text = text(&page, examples).expect("memory can be written to");
    pages.push((page.get_filename(), text));
    for command in inner {
        add(command, pages);
    }
}

/// A page whose examples stay in their lines.
fn text(page: &clap_mangen::Man, examples: &str) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    page.render(&mut text)?;
    if !examples.is_empty() {
        let examples = examples.replace('\\', "\\e").replace('-', "\\-").replace('\n', "\n\\&");
        writeln!(text, ".SH EXAMPLES\n.nf\n\\&{examples}\n.fi")?;
    }
    Ok(text)
}

fn write(folder: &Path, pages: &[(String, Vec<u8>)]) -> u8 {
    let all = || {
        std::fs::create_dir_all(folder)?;
        pages.iter().try_for_each(|(name, text)| std::fs::write(folder.join(name), text))
    };
    match all() {
        Ok(()) => {
            eprintln!("{} pages in {}", pages.len(), folder.display());
            DONE
        }
        Err(error) => {
            eprintln!("tintype: cannot write to {}: {error}", folder.display());
            FAILED
        }
    }
}

/// To stdout; a reader that has gone away (`| head`) wants no more.
fn print(text: &[u8]) -> u8 {
    match std::io::stdout().lock().write_all(text) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("tintype: cannot write to stdout: {error}");
            FAILED
        }
        _ => DONE,
    }
}
