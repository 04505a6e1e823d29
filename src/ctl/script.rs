//! `script`: the plain shell script that does the same without nbkp. It needs no daemon.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::ctl::args::Common;
use crate::ctl::command_error::{CommandError, Exit};
use crate::ctl::config;
use crate::ctl::graph::run_order;
use crate::ctl::options::ScriptOptions;
use crate::ctl::output::Output;
use crate::formats::config::Colour;
use crate::formats::rsync::rules;
use crate::formats::script::{Recipe, Standpoint, script as written};
use crate::formats::text::{listed, printable};
use crate::model::{Configuration, End, EntryKind, Sync, SyncName, VolumeRoot};
use crate::os::causes::chain;
use crate::os::directory::{Directory, Kind};
use crate::os::entry;
use crate::os::files::{self, Readers};
use crate::os::rules_file;

/// Writes it.
pub fn script(options: &ScriptOptions, common: &Common, output: &mut Output) -> Result<Exit, CommandError> {
    let paths = config::paths(common, None)?;
    let configuration = match config::read_configuration(&paths)? {
        Ok(configuration) => configuration,
        Err(mistakes) => {
            output.complain_at_length(&mistakes.render(Colour::Styled));
            return Ok(Exit::Usage);
        }
    };
    let syncs = wanted(&configuration, &options.syncs)?;
    let file = (options.output != Path::new("-")).then_some(options.output.as_path());
    let target = file.map(place_of).transpose()?;
    let directory = target.as_ref().map(|(directory, _)| directory.as_path());
    let standpoint = Standpoint {
        source: directory.filter(|_| options.relative_source),
        destination: directory.filter(|_| options.relative_destination),
    };
    if directory.is_none() && (options.relative_source || options.relative_destination) {
        let why = "paths relative to the script need to know where it will lie: name a file with -o";
        return Err(CommandError::Usage(why.to_owned()));
    }
    one_drive(&configuration, &syncs, options)?;
    let recipe = Recipe {
        configuration: &configuration,
        syncs,
        standpoint,
        origin: &paths.config,
        version: env!("CARGO_PKG_VERSION"),
    };
    let text = written(&recipe);
    let Some((directory, name)) = &target else {
        return output.print_unchanged(&text).map(|()| Exit::Fine);
    };
    let failed = |error| CommandError::Failed(format!("could not {}", chain(&error)));
    let directory = Directory::open_root(directory).map_err(failed)?;
    files::hand_over(&directory, name, &text, Readers::AllToRun).map_err(failed)?;
    for sync in recipe.syncs.iter().filter(|sync| !sync.enabled) {
        output.remark(&format!("`{}` is disabled, and stands in the script as a comment", sync.name));
    }
    let shown = options.output.display().to_string();
    output.confirm(&format!("{} is written; `sh {0} --dry-run` shows what it would do", printable(&shown)))?;
    Ok(Exit::Fine)
}

/// The syncs in the order in which they run, with their rules one by one; all, where none is named.
fn wanted(configuration: &Configuration, names: &[SyncName]) -> Result<Vec<Sync>, CommandError> {
    let unknown =
        |name: &&SyncName| !configuration.syncs.keys().any(|known| known == *name || known.base() == name.as_str());
    if let Some(name) = names.iter().find(unknown) {
        return Err(CommandError::Usage(format!("no sync is called `{name}`; `nbkpctl list` shows all")));
    }
    let order = run_order(configuration);
    let is_wanted = |name: &&SyncName| {
        names.is_empty() || names.iter().any(|wanted| wanted == *name || name.base() == wanted.as_str())
    };
    let read = |file: &Path| rules_file::read_rules(file).map_err(|error| error.to_string());
    let syncs = order.iter().filter(is_wanted).filter_map(|name| configuration.syncs.get(name));
    let inlined = syncs.map(|sync| {
        let filters = rules::flat(&sync.filters, sync.filter_file.as_deref(), &read)
            .map_err(|error| CommandError::Failed(format!("sync `{}`: {error}", sync.name)))?;
        Ok(Sync { filters, filter_file: None, ..sync.clone() })
    });
    inlined.collect()
}

/// A script lies on one drive: paths that begin at it cannot lead to another.
fn one_drive(configuration: &Configuration, syncs: &[Sync], options: &ScriptOptions) -> Result<(), CommandError> {
    let relative = [(End::Source, options.relative_source), (End::Destination, options.relative_destination)];
    let ends = relative.into_iter().filter(|(_, is_relative)| *is_relative).map(|(end, _)| end);
    let drives: BTreeSet<_> = ends
        .flat_map(|end| syncs.iter().filter(|sync| sync.enabled).map(move |sync| &sync.place(end).volume))
        .filter(|name| {
            configuration.volumes.get(*name).is_some_and(|volume| matches!(volume.root, VolumeRoot::Drive(_)))
        })
        .map(ToString::to_string)
        .collect();
    if drives.len() > 1 {
        return Err(CommandError::Usage(format!(
            "a script lies on one drive, and these are several: {}; name the syncs of one of them",
            listed(drives.iter().map(String::as_str), "and")
        )));
    }
    Ok(())
}

/// The directory that a file lies in, without links, and its name.
pub(super) fn place_of(file: &Path) -> Result<(PathBuf, String), CommandError> {
    let shown = file.display().to_string();
    let name = file.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let name = name.ok_or_else(|| CommandError::Usage(format!("`{}` is no name of a file", printable(&shown))))?;
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = files::leads_to(parent).map_err(|error| {
        CommandError::Failed(format!("could not open the directory of {}: {error}", printable(&shown)))
    })?;
    let found = Directory::open_root(&directory).and_then(|place| place.kind_of(&name));
    let no_file = || {
        CommandError::Usage(format!(
            "{} is no file, and is not replaced by one; `-o -` writes to standard output",
            printable(&shown)
        ))
    };
    match found {
        // Such a link is what others know a stream by.
        Ok(Kind::Link) if is_of_the_system(&directory) || !leads_to_a_file(file) => Err(no_file()),
        // A link is replaced, and not what it leads to.
        Ok(Kind::Nothing | Kind::File | Kind::Link) => Ok((directory, name)),
        Ok(Kind::Directory | Kind::Special) => Err(no_file()),
        Err(error) => Err(CommandError::Failed(format!("could not {}", chain(&error)))),
    }
}

/// Whether the kernel or the device manager makes what lies in a directory, as it makes `/dev/stdout`.
fn is_of_the_system(directory: &Path) -> bool {
    directory == Path::new("/dev") || directory.starts_with("/proc") || directory.starts_with("/sys")
}

/// Whether a link leads to a file, or to where there is nothing yet.
fn leads_to_a_file(link: &Path) -> bool {
    let Ok(target) = files::leads_to(link) else { return true };
    !is_of_the_system(&target) && entry::look_at(&target).is_none_or(|found| found.kind == EntryKind::File)
}
