//! Completions and manual pages, made from the command line's own description.

use std::io::Write as _;

use clap::builder::Resettable;
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use crate::ctl::args::Arguments;
use crate::ctl::command_error::{CommandError, Exit};
use crate::ctl::options::Shell;
use crate::ctl::output::Output;
use crate::formats::config::manual_page;

/// `completions`.
pub fn completions(shell: Shell, output: &mut Output) -> Result<Exit, CommandError> {
    let mut command = Arguments::command();
    let mut script = Vec::new();
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    clap_complete::generate(shell, &mut command, "nbkpctl", &mut script);
    output.print_unchanged(&script).map(|()| Exit::Fine)
}

/// `man`.
pub fn manual(about: Option<&str>, output: &mut Output) -> Result<Exit, CommandError> {
    if about == Some("nbkp.toml") {
        let page = manual_page(env!("CARGO_PKG_VERSION"));
        return output.print_unchanged(page.as_bytes()).map(|()| Exit::Fine);
    }
    let mut command = Arguments::command();
    // This gives every command its full name and the options that all of them have.
    command.build();
    let (command, title) = match about {
        None => (command, "nbkpctl".to_owned()),
        Some(name) => {
            let unknown =
                || CommandError::Usage(format!("nbkpctl has no command {name:?}; `nbkpctl --help` shows all"));
            let found = command.get_subcommands().find(|command| command.get_name() == name).ok_or_else(unknown)?;
            (found.clone(), format!("nbkpctl-{name}"))
        }
    };
    let mut page = Vec::new();
    Man::new(command).title(title).render(&mut page).map_err(CommandError::Output)?;
    output.print_unchanged(&page).map(|()| Exit::Fine)
}

/// Prints the page of nbkpd(8): its options, and what else there is to say. Returns the exit code.
#[must_use]
pub fn print_page_of_daemon(command: Command) -> u8 {
    // What it is asked by itself is nobody's command, and the signals have a place of their own.
    let command = command.mut_subcommands(|command| command.hide(true)).after_help(Resettable::Reset);
    let mut page = Vec::new();
    let made = Man::new(command).section("8").render(&mut page);
    let page = String::from_utf8_lossy(&page).replace(" [\\fIsubcommands\\fR]", "") + include_str!("nbkpd.8");
    u8::from(made.and_then(|()| std::io::stdout().write_all(page.as_bytes())).is_err())
}
