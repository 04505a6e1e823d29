//! `drives polkit`: the smallest rule that lets a daemon without a session mount its drives, here or on a server. It
//! needs no daemon.

use crate::ctl::args::Common;
use crate::ctl::command_error::{CommandError, Exit};
use crate::ctl::config;
use crate::ctl::output::{Form, Output};
use crate::decide::permission::{permission, permission_at};
use crate::formats::config::Colour;
use crate::formats::polkit;
use crate::formats::text::printable;
use crate::model::{AccountName, BlockDevice, Configuration, Permission, Route, ServerKey, VolumeName, VolumeRoot};
use crate::os::causes::chain;
use crate::os::{account, disks, environment, hosts};

/// Prints the rule for whoever asks; with a volume, that for the account at the server of this volume.
pub fn polkit(common: &Common, volume: Option<&VolumeName>, output: &mut Output) -> Result<Exit, CommandError> {
    if environment::is_root() && volume.is_none() {
        let sentence =
            "root needs no rule: udisks2 lets it do everything; call this as the user whose nbkpd mounts drives";
        return without_rule("root", sentence, output);
    }
    let configuration = match config::read_configuration(&config::paths(common, None)?)? {
        Ok(configuration) => configuration,
        Err(mistakes) => {
            output.complain_at_length(&mistakes.render(Colour::Styled));
            return Ok(Exit::Usage);
        }
    };
    let (name, permission) = match volume {
        None => (own_name()?, permission(&configuration, &plugged_in(output))),
        Some(volume) => {
            let server = server_of(&configuration, volume)?;
            (account_at(&configuration, &server)?, permission_at(&configuration, &server))
        }
    };
    if name == "root" {
        return without_rule("root", "ssh enters as root, which needs no rule: udisks2 lets it do everything", output);
    }
    let user: AccountName = name.parse().map_err(|_| CommandError::Failed(unwritable(&name)))?;
    if permission.uuids.is_empty() {
        for gap in &permission.gaps {
            output.remark(&printable(&gap.to_string()));
        }
        let place = if volume.is_none() { "here" } else { "there" };
        let sentence = format!("no drive has `mount = true`, so no rule is needed {place}");
        return without_rule(user.as_str(), &sentence, output);
    }
    let rule = polkit::rule(&user, &permission);
    match output.form() {
        Form::Json => output.print_json(&polkit::json(user.as_str(), &permission, &rule))?,
        Form::Text => {
            output.print_as_it_is(&rule)?;
            for gap in &permission.gaps {
                output.remark(&printable(&gap.to_string()));
            }
        }
    }
    Ok(Exit::Fine)
}

fn own_name() -> Result<String, CommandError> {
    account::own_name().map_err(|error| CommandError::Failed(format!("could not {}", chain(&error))))
}

fn plugged_in(output: &mut Output) -> Vec<BlockDevice> {
    disks::enumerate().unwrap_or_else(|error| {
        output.complain(&format!("could not {}; what is plugged in is not known", chain(&error)));
        Vec::new()
    })
}

fn server_of(configuration: &Configuration, volume: &VolumeName) -> Result<ServerKey, CommandError> {
    match configuration.volumes.get(volume).map(|volume| &volume.root) {
        Some(VolumeRoot::Server(server)) => Ok(server.key()),
        Some(VolumeRoot::Directory(_) | VolumeRoot::Drive(_)) => {
            Err(CommandError::Failed(format!("volume `{volume}` is on no server; leave out `--volume`")))
        }
        None => Err(CommandError::Failed(format!("no volume is called `{volume}`; `nbkpctl list` shows all"))),
    }
}

/// The account that ssh enters: the one that the endpoints name, or else that of `~/.ssh/config`.
fn account_at(configuration: &Configuration, server: &ServerKey) -> Result<String, CommandError> {
    let routes: Vec<Route> = server.0.iter().filter_map(|endpoint| configuration.route(endpoint)).collect();
    let named = routes.iter().find_map(|route| route.endpoint.user.clone());
    let asked = || routes.first().and_then(hosts::account);
    named.or_else(asked).ok_or_else(|| {
        let endpoint = server.0.first().map(ToString::to_string).unwrap_or_default();
        CommandError::Failed(format!(
            "nobody knows which account ssh enters; write `user` into [ssh-endpoints.{endpoint}]"
        ))
    })
}

fn without_rule(user: &str, sentence: &str, output: &mut Output) -> Result<Exit, CommandError> {
    match output.form() {
        Form::Json => output.print_json(&polkit::json(user, &Permission::default(), ""))?,
        // Standard output may be on its way into a file of rules.
        Form::Text => output.remark(sentence),
    }
    Ok(Exit::Fine)
}

fn unwritable(name: &str) -> String {
    format!(
        "the name of your account, {:?}, holds characters that are not written into a rule; let an administrator write \
         one for your user (polkit(8) has examples)",
        printable(name)
    )
}
