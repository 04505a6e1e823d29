//! `config`: the configuration file, checked and shown here, without a daemon.

use std::path::{Path, PathBuf};

use crate::ctl::args::Common;
use crate::ctl::command_error::{CommandError, Exit};
use crate::ctl::options::ConfigCommand;
use crate::ctl::output::{Form, Output};
use crate::decide::strangers::{self, Plugged};
use crate::formats::config::{self, Checked, Colour, Context, Doubt, Mistakes, Surroundings};
use crate::formats::json;
use crate::formats::python_tool::{self, Imported};
use crate::formats::text::{count, printable};
use crate::model::{Configuration, Containers, FileSight};
use crate::os::config_file::{self, ConfigFileError};
use crate::os::environment::{self, PathOptions, Paths};
use crate::os::{disks, guards, mounts, rules_file};

/// Checks or shows the configuration.
pub fn config(command: ConfigCommand, common: &Common, output: &mut Output) -> Result<Exit, CommandError> {
    match command {
        ConfigCommand::Check { file } => check(&paths(common, file)?, output),
        ConfigCommand::Show => show(&paths(common, None)?, output),
        ConfigCommand::Example => output.print_as_it_is(config::FIRST).map(|()| Exit::Fine),
        ConfigCommand::Schema => output.print_as_it_is(&config::schema()).map(|()| Exit::Fine),
        ConfigCommand::Import { file } => import(&file, &paths(common, None)?, output),
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
    let checked = checked(paths)?;
    match output.form() {
        Form::Json => {
            let mistakes = checked.as_ref().map_or_else(Mistakes::to_list, |_| &[]);
            let warnings = checked.as_ref().map_or_else(|_| &[][..], |checked| checked.warnings.to_list());
            output.print_json(&json::checked(&file, mistakes, warnings))?;
        }
        Form::Text => match &checked {
            Ok(checked) => {
                output.complain_at_length(&checked.warnings.render(Colour::Styled));
                output.confirm(&praise(&paths.config, checked))?;
            }
            Err(mistakes) => output.complain_at_length(&mistakes.render(Colour::Styled)),
        },
    }
    Ok(if checked.is_ok() { Exit::Fine } else { Exit::Usage })
}

/// Reads the configuration, and looks around for what it most likely does not mean.
fn checked(paths: &Paths) -> Result<Result<Checked, Mistakes>, CommandError> {
    let read = config_file::inspect(&paths.config)?;
    let context = Context { file: paths.config.clone(), home: paths.home.clone() };
    let (devices, others) = (disks::enumerate().unwrap_or_default(), disks::other_uuids().unwrap_or_default());
    let mounts = mounts::read().unwrap_or_default();
    let plugged = Plugged { devices: &devices, others: &others, mounts: &mounts };
    let around = Surroundings {
        drive: &|uuid, claimed| {
            let found = strangers::suspicion(uuid, &plugged, &Containers::new(), claimed)?;
            Some(Doubt { message: found.message, help: found.fix })
        },
        rules: &|file| rules_file::read_rules(file).map_err(|error| error.to_string()),
        is_there: &|path| matches!(guards::inspect(path), FileSight::There(_)),
    };
    let checked = config::check(&read.bytes, &context, &around);
    match (&checked, read.distrust) {
        (Ok(found), Some(distrust)) if environment::is_root() || found.configuration.names_programs() => {
            Err(ConfigFileError::Untrusted(paths.config.clone(), distrust).into())
        }
        _ => Ok(checked),
    }
}

fn praise(file: &Path, checked: &Checked) -> String {
    let number = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    let syncs = count(number(checked.configuration.syncs.len()), "sync");
    let volumes = count(number(checked.configuration.volumes.len()), "volume");
    let file = file.display().to_string();
    let file = printable(&file);
    match checked.warnings.to_list().len() {
        0 => format!("{file} has no mistakes: {syncs}, {volumes}"),
        warnings => format!("{file} can be used, with {}: {syncs}, {volumes}", count(number(warnings), "warning")),
    }
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
        Form::Text => output.print_as_it_is(&text)?,
        Form::Json => {
            let unreadable = || CommandError::Failed("could not write the configuration as JSON".to_owned());
            output.print_json(&json::of_toml(&text).ok_or_else(unreadable)?)?;
        }
    }
    Ok(Exit::Fine)
}

/// Prints what the configuration of the Python tool is in our words, or nothing but its mistakes.
fn import(file: &Path, paths: &Paths, output: &mut Output) -> Result<Exit, CommandError> {
    let (bytes, name) = if file == Path::new("-") {
        (config_file::read_input()?, Path::new("standard input"))
    } else {
        let read = config_file::inspect(file).map_err(|error| {
            if let ConfigFileError::Missing(path) = error {
                let where_it_is = "the Python tool has its configuration in ~/.config/nbkp/config.yaml";
                return CommandError::Usage(format!("there is no file {}; {where_it_is}", path.display()));
            }
            error.into()
        });
        (read?.bytes, file)
    };
    let context = Context { file: name.to_owned(), home: paths.home.clone() };
    let imported = python_tool::import(&bytes, &context);
    match (output.form(), &imported) {
        (Form::Json, Ok(Imported { text, left_out })) => output.print_json(&json::imported(text, left_out))?,
        (Form::Json, Err(mistakes)) => {
            output.print_json(&json::checked(&name.display().to_string(), mistakes.to_list(), &[]))?;
        }
        (Form::Text, Ok(Imported { text, left_out })) => {
            output.print_as_it_is(text)?;
            if !left_out.is_empty() {
                let things = count(u64::try_from(left_out.len()).unwrap_or(u64::MAX), "thing");
                output.remark(&format!("{things} left out: the comments that begin with `Left out` tell why"));
            }
        }
        (Form::Text, Err(mistakes)) => output.complain_at_length(&mistakes.render(Colour::Styled)),
    }
    Ok(if imported.is_ok() { Exit::Fine } else { Exit::Usage })
}

/// Reads the configuration.
pub(super) fn read_configuration(paths: &Paths) -> Result<Result<Configuration, Mistakes>, CommandError> {
    let read = config_file::read(&paths.config)?;
    let context = Context { file: paths.config.clone(), home: paths.home.clone() };
    Ok(config::parse_bytes(&read.bytes, &context))
}
