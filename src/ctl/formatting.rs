//! `drives format`: the commands that make a drive ready for backups. It needs no daemon, and runs none of them.

use std::path::Path;

use crate::ctl::args::Common;
use crate::ctl::called::{called, paths_of};
use crate::ctl::command_error::{CommandError, Exit};
use crate::ctl::options::{FilesystemChoice, FormatOptions};
use crate::ctl::output::{Form, Output};
use crate::ctl::passphrases::storing;
use crate::decide::setup::{Planner, SyncWish};
use crate::formats::config::{self, Context};
use crate::formats::formatting::{format_json, format_page, format_steps};
use crate::formats::text::printable;
use crate::model::{
    Cipher, Configuration, CredentialProvider, FormatWish, FoundDrive, FoundPlace, Mounter, NewFilesystem,
    SnapshotKind, Subdir, Vacancy,
};
use crate::os::causes::chain;
use crate::os::environment::Paths;
use crate::os::{config_file, disk_content, files};

/// Prints them, unless the device is in use.
pub fn format(options: &FormatOptions, common: &Common, output: &mut Output) -> Result<Exit, CommandError> {
    if !options.print {
        let why = "nbkpctl formats nothing itself; with --print it prints the commands, for you to run";
        return Err(CommandError::Usage(why.to_owned()));
    }
    let disk = disk_content::look_closely(&options.device)
        .map_err(|error| CommandError::Usage(printable(&format!("could not {}", chain(&error))).into_owned()))?;
    if !disk.uses.is_empty() {
        return Err(CommandError::Usage(format!(
            "{} is in use: {}; if it is really this one, unmount it first, and look twice",
            printable(&options.device.display().to_string()),
            printable(&disk.uses.join(", "))
        )));
    }
    let wish = wish(options, common);
    let steps = format_steps(&disk, &wish);
    match output.form() {
        Form::Json => output.print_json(&format_json(&disk, &steps))?,
        Form::Text => output.print_as_it_is(&format_page(&disk, &steps))?,
    }
    Ok(Exit::Fine)
}

/// What the commands are to make, with the names that `init` will give.
fn wish(options: &FormatOptions, common: &Common) -> FormatWish {
    let label = options.label.to_string();
    // Without a session there may be no place for a socket; what is known is said all the same.
    let paths = paths_of(common).or_else(|_| crate::ctl::config::paths(common, None)).ok();
    let configuration = paths.as_ref().and_then(configured);
    let documents = paths.as_ref().map(|paths| paths.home.join("Documents"));
    let has_documents = documents.is_some_and(|path| files::leads_to(&path).is_ok_and(|path| path.is_dir()));
    let volume = match (&configuration, &paths) {
        (Some(configuration), Some(paths)) => volume_name(configuration, &paths.home, &label),
        (Some(_) | None, _) => None,
    };
    let volume = volume.unwrap_or_else(|| label.clone());
    let provider = configuration.map_or(CredentialProvider::SecretService, |configuration| configuration.credentials);
    FormatWish {
        filesystem: match options.filesystem {
            FilesystemChoice::Btrfs => NewFilesystem::Btrfs,
            FilesystemChoice::Ext4 => NewFilesystem::Ext4,
        },
        label,
        cipher: if options.plain { Cipher::Plain } else { Cipher::Luks },
        storing: storing(&provider, &volume, &volume),
        volume,
        source: if has_documents { "~/Documents".to_owned() } else { "~".to_owned() },
        client: paths.map_or_else(|| "nbkpctl".to_owned(), |paths| called("nbkpctl", &paths)),
    }
}

/// The configuration as it is; none where there is none yet, or one that `init` will complain of.
fn configured(paths: &Paths) -> Option<Configuration> {
    let context = Context { file: paths.config.clone(), home: paths.home.clone() };
    let file = config_file::read(&paths.config).map(|file| file.bytes).unwrap_or_default();
    config::parse_bytes(&file, &context).ok()
}

/// What `init` will call the drive: it is set up here as it will be there.
fn volume_name(configuration: &Configuration, home: &Path, label: &str) -> Option<String> {
    let drive = FoundDrive {
        // That of no drive: the one that it gets is not known yet.
        uuid: "00000000-0000-4000-8000-000000000000".parse().ok()?,
        inside: None,
        label: Some(label.to_owned()),
        encryption: Cipher::Luks,
        mounter: Mounter::Daemon,
    };
    let mut planner = Planner::new(configuration.clone(), home);
    let wish = SyncWish {
        source: &FoundPlace::Directory(home.to_owned()),
        path: home,
        destination: &FoundPlace::OnDrive(drive, Subdir::default()),
        snapshots: SnapshotKind::None,
        filters: Vec::new(),
        name: None,
        vacancy: &|_| Vacancy::Unseen,
    };
    planner.take_in(wish).ok()?;
    planner.additions().volumes.last().map(|volume| volume.name.to_string())
}
