//! `drives polkit`: the smallest rule that lets a daemon without a session mount its drives. It needs no daemon.

use crate::ctl::args::Common;
use crate::ctl::config;
use crate::ctl::output::{Form, Output};
use crate::ctl::problem::{Exit, Problem};
use crate::decide::permission::permission;
use crate::formats::config::Colour;
use crate::formats::polkit;
use crate::formats::text::printable;
use crate::model::{AccountName, Permission};
use crate::os::{account, disks, environment};

/// Prints the rule for whoever asks.
pub fn polkit(common: &Common, output: &mut Output) -> Result<Exit, Problem> {
    if environment::is_root() {
        let sentence =
            "root needs no rule: udisks2 lets it do everything; call this as the user whose nbkpd mounts drives";
        return without_rule("root", sentence, output);
    }
    let name = account::own_name().map_err(|error| Problem::Failed(format!("could not {error}")))?;
    let user: AccountName = name.parse().map_err(|_| Problem::Failed(unwritable(&name)))?;
    let configuration = match config::read(&config::paths(common, None)?)? {
        Ok(configuration) => configuration,
        Err(mistakes) => {
            output.complain_at_length(&mistakes.render(Colour::Styled));
            return Ok(Exit::Usage);
        }
    };
    let devices = disks::enumerate().unwrap_or_else(|error| {
        output.complain(&format!("could not {error}; what is plugged in is not known"));
        Vec::new()
    });
    let permission = permission(&configuration, &devices);
    if permission.uuids.is_empty() {
        return without_rule(user.as_str(), "no drive has `mount = true`, so no rule is needed", output);
    }
    let rule = polkit::rule(&user, &permission);
    match output.form() {
        Form::Json => output.print_json(&polkit::json(user.as_str(), &permission, &rule))?,
        Form::Text => {
            output.print(&rule)?;
            for gap in &permission.gaps {
                output.remark(&printable(&gap.to_string()));
            }
        }
    }
    Ok(Exit::Fine)
}

fn without_rule(user: &str, sentence: &str, output: &mut Output) -> Result<Exit, Problem> {
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
         one for your user, after the example on the page on polkit",
        printable(name)
    )
}
