//! `verify`.

use crate::ctl::bars::ProgressView;
use crate::ctl::client::Connection;
use crate::ctl::command_error::{CommandError, Exit};
use crate::ctl::options::VerifyOptions;
use crate::ctl::output::{Form, Output};
use crate::ctl::render;
use crate::formats::json;
use crate::formats::wire::{CheckEnd, CheckNews, Flow, Mode, Request, RunningEntry};
use crate::model::Step;

/// `verify`: with exit code 1 if something is damaged, or could not be read.
pub fn verify(connection: &mut Connection, output: &mut Output, options: VerifyOptions) -> Result<Exit, CommandError> {
    let VerifyOptions { syncs, sample, snapshot } = options;
    connection.send(&Request::Verify { syncs, sample, snapshot }, Mode::More)?;
    let mut view = ProgressView::new(output);
    let end: CheckEnd = loop {
        let reply = connection.next()?;
        if reply.flow == Flow::Ends {
            break reply.decode()?;
        }
        view.show(&[running(reply.decode()?)], output)?;
    };
    view.finish();
    match output.form() {
        Form::Json => output.print_json(&json::text(&end))?,
        Form::Text => output.print(&render::checks::checked(&end, sample, output.detail()))?,
    }
    let is_sound = end.checked.iter().all(|copy| copy.damaged.is_empty() && copy.doubtful.is_empty());
    Ok(if is_sound && end.problems.is_empty() { Exit::Fine } else { Exit::Failed })
}

fn running(news: CheckNews) -> RunningEntry {
    RunningEntry {
        sync: news.sync,
        run: String::new(),
        step: Step::Judge.into(),
        percent: None,
        bytes: news.bytes,
        rate: 0,
        eta_seconds: None,
        still_seconds: None,
        bygone: None,
    }
}
