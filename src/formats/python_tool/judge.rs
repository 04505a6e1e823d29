//! What our own reader refuses becomes a comment with its reason: it has the last word on every line.

use crate::formats::config::{self, Context, Mistakes};
use crate::formats::python_tool::page::{Entries, Leaf, TomlKey, TomlLine, TomlPage};
use crate::formats::python_tool::readers;

/// Keys without which their table is nothing.
const VITAL: [&str; 9] = ["source", "destination", "path", "drive", "ssh", "host", "extends", "provider", "passphrase"];

/// Keys without which a sync would copy something else.
const WEIGHTY: [&str; 4] = ["filters", "filter-file", "rsync.options", "rsync.extra-options"];

/// The text that our reader takes. Each round makes at least one more line a comment, or
/// switches one more sync off, so that there is an end.
pub(super) fn judged(head: &[String], leaves: &mut [Leaf], context: &Context) -> Result<String, Mistakes> {
    loop {
        let page = TomlPage::of(head, leaves);
        let mistakes = match config::parse(&page.text, context) {
            Ok(configuration) if readers::switch_off(leaves, &configuration) == 0 => return Ok(page.text),
            Ok(_) => continue,
            Err(mistakes) => mistakes,
        };
        let mut changes = 0;
        for mistake in mistakes.to_list() {
            let reason = match &mistake.help {
                Some(help) => format!("{}; {help}", mistake.message),
                None => mistake.message.clone(),
            };
            let Some(origin) = page.origin(mistake.line) else { continue };
            let Some(leaf) = leaves.get_mut(origin.leaf).filter(|leaf| leaf.off.is_none()) else { continue };
            match origin.line.and_then(|line| leaf.lines.get_mut(line)) {
                Some(TomlLine::Key(key)) if !VITAL.contains(&key.name) => {
                    let is_weighty = WEIGHTY.contains(&key.name);
                    changes += usize::from(refuse(key, origin.entry, reason));
                    if is_weighty {
                        leaf.disable();
                    }
                }
                Some(_) | None => {
                    changes += 1;
                    leaf.off = Some(reason);
                }
            }
        }
        if changes == 0 {
            return Err(mistakes);
        }
    }
}

/// Makes a key or one of its entries a comment. Whether it was none before.
fn refuse(key: &mut TomlKey, entry: Option<usize>, reason: String) -> bool {
    let refused = match (&mut key.value, entry) {
        (Entries::Many(values), Some(at)) => values.get_mut(at).map(|(_, refused)| refused),
        (Entries::One(_) | Entries::Many(_), _) => Some(&mut key.refused),
    };
    refused.is_some_and(|refused| refused.replace(reason).is_none())
}
