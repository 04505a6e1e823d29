//! `drives format`: the commands that make a drive ready for backups. It needs no daemon, and runs none of them.

use crate::ctl::command_error::{CommandError, Exit};
use crate::ctl::options::{FilesystemChoice, FormatOptions};
use crate::ctl::output::{Form, Output};
use crate::formats::formatting::{format_json, format_page, format_steps};
use crate::formats::text::printable;
use crate::model::{Cipher, FormatWish, NewFilesystem};
use crate::os::causes::chain;
use crate::os::disk_content;

/// Prints them, unless the device is in use.
pub fn format(options: &FormatOptions, output: &mut Output) -> Result<Exit, CommandError> {
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
    let wish = FormatWish {
        filesystem: match options.filesystem {
            FilesystemChoice::Btrfs => NewFilesystem::Btrfs,
            FilesystemChoice::Ext4 => NewFilesystem::Ext4,
        },
        label: options.label.to_string(),
        cipher: if options.plain { Cipher::Plain } else { Cipher::Luks },
    };
    let steps = format_steps(&disk, &wish);
    match output.form() {
        Form::Json => output.print_json(&format_json(&disk, &steps))?,
        Form::Text => output.print_as_it_is(&format_page(&disk, &steps))?,
    }
    Ok(Exit::Fine)
}
