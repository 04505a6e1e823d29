//! `init`: from nothing to the first backup, and later to the next one.
//!
//! Everything is looked at and checked before anything is written. What is written is one file, at one stroke; what
//! comes behind it (the service, what both ends need) can be done again by the same command.

mod act;
mod answers;
mod done;
mod draft;
mod places;
mod questions;
mod start;
mod survey;
mod tell;
mod vacancy;

use std::os::unix::net::UnixStream;

use crate::ctl::called::called;
use crate::ctl::command_error::{CommandError, Exit};
use crate::ctl::options::InitOptions;
use crate::ctl::output::{Detail, Form, Output};
use crate::formats::config::{self, Colour, Context};
use crate::model::StandIn;
use crate::os::config_file::{self, ConfigFileError};
use crate::os::environment::Paths;
use crate::os::terminal;

use answers::answered;
use draft::Draft;
use places::Vicinity;
use questions::Consent;
use start::Start;

/// Sets up what the options or the answers of a person say.
pub fn init(
    options: &InitOptions,
    paths: &Paths,
    output: &mut Output,
    alone: impl FnOnce(&Paths, StandIn) -> Result<UnixStream, (u8, String)>,
) -> Result<Exit, CommandError> {
    let asks = !options.yes;
    if asks && (output.form() == Form::Json || !terminal::has_person()) {
        return Err(CommandError::Usage(without_a_person(output.form())));
    }
    let file = match config_file::read(&paths.config) {
        Ok(file) => Some(file.bytes),
        Err(ConfigFileError::Missing(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let context = Context { file: paths.config.clone(), home: paths.home.clone() };
    let configuration = match config::parse_bytes(file.as_deref().unwrap_or_default(), &context) {
        Ok(configuration) => configuration,
        Err(mistakes) => {
            output.complain_at_length(&mistakes.render(Colour::Styled));
            let client = called("nbkpctl", paths);
            output
                .complain(&format!("nothing was changed; mend the configuration file, and call `{client} init` again"));
            return Ok(Exit::Usage);
        }
    };
    let start = Start { paths, file, configuration, context };
    let looks = Vicinity::take(&start);
    let answers =
        if asks { questions::asked(options, &start, &looks, output)? } else { answered(options, &start, &looks)? };
    let draft = match Draft::new(&start, &answers, &looks)? {
        Ok(draft) => draft,
        Err(mistakes) => {
            output.complain_at_length(&mistakes.render(Colour::Styled));
            output.complain("nothing was written");
            return Ok(Exit::Usage);
        }
    };
    if asks || (output.form() == Form::Text && output.detail() != Detail::Brief) {
        output.print(&tell::draft(&draft, &answers, paths))?;
    }
    if asks && !draft.additions.is_empty() && questions::go_ahead(output)? == Consent::No {
        output.confirm("nothing was changed")?;
        return Ok(Exit::Fine);
    }
    act::set_up(&draft, &start, &answers, options, output, alone)
}

fn without_a_person(form: Form) -> String {
    let why = match form {
        Form::Json => "with --json nothing is asked",
        Form::Text => "`init` asks its questions on a terminal, and there is none",
    };
    format!(
        "{why}; answer by options instead: nbkpctl init --yes --source DIR --destination DIR|HOST:DIR|UUID, and, if \
         you like, --snapshots btrfs|hard-link|none, --name NAME, --no-enable"
    )
}
