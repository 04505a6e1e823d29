//! `config`: the configuration file, checked and shown here, without a daemon.

use std::path::{Path, PathBuf};

use crate::ctl::args::{Common, ConfigCommand};
use crate::ctl::command_error::{CommandError, Exit};
use crate::ctl::output::{Form, Output};
use crate::formats::config::{self, Colour, Context, Mistakes};
use crate::formats::json;
use crate::formats::text::{count, printable};
use crate::model::Configuration;
use crate::os::config_file;
use crate::os::environment::{self, PathOptions, Paths};

/// Checks or shows the configuration.
pub fn config(command: ConfigCommand, common: &Common, output: &mut Output) -> Result<Exit, CommandError> {
    match command {
        ConfigCommand::Check { file } => check(&paths(common, file)?, output),
        ConfigCommand::Show => show(&paths(common, None)?, output),
        ConfigCommand::Schema => output.print(&config::schema()).map(|()| Exit::Fine),
    }
}

/// Where the configuration is. The other paths need not be known here.
pub(super) fn paths(common: &Common, file: Option<PathBuf>) -> Result<Paths, CommandError> {
    let config = file.or_else(|| common.config.clone());
    let options = PathOptions { config, socket: Some(PathBuf::new()), state_dir: Some(PathBuf::new()) };
    Ok(environment::paths(&options)?)
}

fn check(paths: &Paths, output: &mut Output) -> Result<Exit, CommandError> {
    let file = paths.config.display().to_string();
    let read = read_configuration(paths)?;
    match output.form() {
        Form::Json => {
            let mistakes = read.as_ref().map_or_else(Mistakes::to_list, |_| &[]);
            output.print_json(&json::checked(&file, mistakes))?;
        }
        Form::Text => match &read {
            Ok(configuration) => output.confirm(&praise(&paths.config, configuration))?,
            Err(mistakes) => output.complain_at_length(&mistakes.render(Colour::Styled)),
        },
    }
    Ok(if read.is_ok() { Exit::Fine } else { Exit::Usage })
}

fn praise(file: &Path, configuration: &Configuration) -> String {
    let number = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    let syncs = count(number(configuration.syncs.len()), "sync");
    let volumes = count(number(configuration.volumes.len()), "volume");
    format!("{} has no mistakes: {syncs}, {volumes}", printable(&file.display().to_string()))
}

fn show(paths: &Paths, output: &mut Output) -> Result<Exit, CommandError> {
    let configuration = match read_configuration(paths)? {
        Ok(configuration) => configuration,
        Err(mistakes) => {
            output.complain_at_length(&mistakes.render(Colour::Styled));
            return Ok(Exit::Usage);
        }
    };
    let text = config::show(&configuration);
    match output.form() {
        Form::Text => output.print(&text)?,
        Form::Json => {
            let unreadable = || CommandError::Failed("could not write the configuration as JSON".to_owned());
            output.print_json(&json::of_toml(&text).ok_or_else(unreadable)?)?;
        }
    }
    Ok(Exit::Fine)
}

/// Reads the configuration.
pub(super) fn read_configuration(paths: &Paths) -> Result<Result<Configuration, Mistakes>, CommandError> {
    let bytes = config_file::read(&paths.config)?;
    let context = Context { file: paths.config.clone(), home: paths.home.clone() };
    Ok(config::parse_bytes(&bytes, &context))
}
