//! `find`: what is found is printed as it is found.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

use crate::ctl::client::Connection;
use crate::ctl::command_error::{CommandError, Exit};
use crate::ctl::options::FindOptions;
use crate::ctl::output::{Detail, Form, Output};
use crate::ctl::render;
use crate::formats::json;
use crate::formats::pattern::NamePattern;
use crate::formats::text::printable;
use crate::formats::wire::{FindEnd, FindNews, Flow, FoundEntry, Mode, Request};
use crate::model::{Among, Now};
use crate::os::clock;

/// `find`.
pub fn find(connection: &mut Connection, output: &mut Output, options: FindOptions) -> Result<Exit, CommandError> {
    let FindOptions { pattern, deleted, sync } = options;
    NamePattern::parse(&pattern).map_err(CommandError::Usage)?;
    let among = if deleted { Among::Deleted } else { Among::All };
    let request = Request::Find { pattern: pattern.clone(), deleted: among, syncs: sync.into_iter().collect() };
    connection.send(&request, Mode::More)?;
    let (now, spinner) = (clock::now(), spinner(output));
    let mut printed = 0_u64;
    let end: FindEnd = loop {
        let reply = connection.next()?;
        if reply.flow == Flow::Ends {
            break reply.decode()?;
        }
        let news: FindNews = reply.decode()?;
        if let (Some(spinner), Some(names)) = (&spinner, news.names) {
            let at = news.snapshot.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
            let sync = news.sync.as_deref().unwrap_or_default();
            spinner.set_message(printable(&format!("{sync}{at}: {names} names looked at")).into_owned());
            spinner.tick();
        }
        if news.found.is_empty() {
            continue;
        }
        let text = match output.form() {
            Form::Json => documents(&news.found, printed),
            Form::Text => lines(&news.found, &now, output.detail()),
        };
        printed = printed.saturating_add(u64::try_from(news.found.len()).unwrap_or(0));
        match (&spinner, output.form()) {
            (Some(spinner), _) => spinner.suspend(|| output.print(&text))?,
            (None, Form::Text) => output.print(&text)?,
            (None, Form::Json) => output.print_as_it_is(&text)?,
        }
    };
    if let Some(spinner) = spinner {
        spinner.finish_and_clear();
    }
    match output.form() {
        Form::Json => {
            // The document was begun with the first entry.
            let begun = if printed == 0 { "{\"found\":[" } else { "" };
            let rest = json::text(&end);
            let rest = rest.strip_prefix('{').unwrap_or(&rest);
            output.print_json(&format!("{begun}],{rest}"))?;
        }
        Form::Text => output.print(&render::find::end(&end, &pattern, among, &now, output.detail()))?,
    }
    Ok(if end.count > 0 { Exit::Fine } else { Exit::Failed })
}

fn documents(found: &[FoundEntry], printed: u64) -> String {
    let mut text = String::new();
    for (at, entry) in found.iter().enumerate() {
        text.push_str(if printed == 0 && at == 0 { "{\"found\":[" } else { "," });
        text.push_str(&json::text(entry));
        text.push('\n');
    }
    text
}

fn lines(found: &[FoundEntry], now: &Now, detail: Detail) -> String {
    found.iter().map(|entry| render::find::entry(entry, now, detail)).collect()
}

/// A sign of life, where somebody sees it.
fn spinner(output: &Output) -> Option<ProgressBar> {
    let is_seen = output.form() == Form::Text && output.detail() != Detail::Brief && std::io::stderr().is_terminal();
    // A template that is wrong would only look worse.
    let style =
        || ProgressStyle::with_template("{spinner} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    is_seen.then(|| ProgressBar::new_spinner().with_style(style()))
}
