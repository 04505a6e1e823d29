//! The destination of a run at a server: each step there is a script. Its lock is held by each of them and given back
//! in between, so that nothing that a broken connection left behind can keep it; what the run left at the destination
//! tells each whether another run has been there since. So each proves the destination by itself.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::rc::Rc;

use crate::backup::job::{Job, RemoteEnd};
use crate::backup::news::Telling;
use crate::backup::place::look::FarDestination;
use crate::backup::place::marker::{self, Earlier};
use crate::backup::place::publication::{Account, Publication, Published};
use crate::backup::place::way::{FarTarget, Spot};
use crate::backup::session::stop::Stops;
use crate::backup::session::{LONG, SHORT, Session, Stoppable, failure as trouble};
use crate::backup::snapshots::sent::{self, Answered};
use crate::decide::tidying::Remains;
use crate::formats::log::{self, LogRecord};
use crate::formats::ssh::answers::{self, Look};
use crate::formats::ssh::calls::{Begins, Intent, PublishCall, SettleCall, Usage};
use crate::formats::ssh::links::LinksCall;
use crate::formats::writer::WriterLine;
use crate::model::{
    Conclusion, HoldReason, Interruption, NotDone, SnapshotKind, Standing, Step, TidyDeed, Writer, layout,
};

/// A destination that is proven, and in which the run left its name.
#[derive(Debug)]
pub(crate) struct ThereDestination {
    far: FarDestination,
    kind: SnapshotKind,
    earlier: Earlier,
    note: String,
}

impl ThereDestination {
    /// Looks at it, tries its lock, and leaves the name of the run.
    pub(crate) fn lock(
        server: Rc<Session>,
        job: &Job,
        (end, ours): (&RemoteEnd, &Writer),
        stops: &mut Stops,
    ) -> Result<Self, NotDone> {
        let kind = job.sync.snapshots;
        let known = job.writers.iter().chain([&ours.id]).map(String::as_str).collect::<Vec<_>>().join(" ");
        let intent = Intent::Write { known: &known, writer: &WriterLine(ours).to_string() };
        let far = FarDestination::prove(server, (end, &job.sync.destination, kind), intent, stops).map_err(|why| {
            // Whose it is, the script tells; whether that is known, it was told.
            if let NotDone::Held(HoldReason::ForeignWriter { writer, .. }) = why {
                return NotDone::Held(HoldReason::ForeignWriter { writer, here: ours.host.clone() });
            }
            why
        })?;
        let text = note(&far.look);
        let earlier = far.look.marker.as_ref().map_or(Earlier::Nothing, |found| marker::earlier(found, &text));
        let note = marker::while_copying(earlier, &text).to_owned();
        Ok(Self { far, kind, earlier, note })
    }

    /// What an earlier copy left. That one is under way is noted by the script that becomes rsync.
    pub(crate) fn begin(&self) -> Earlier {
        self.earlier
    }

    /// What was looked at.
    pub(crate) fn far(&self) -> &FarDestination {
        &self.far
    }

    /// A place in it that is to be written.
    pub(crate) fn target(&self, spot: Spot) -> FarTarget<'_> {
        let begins = match spot {
            Spot::New(_) => Begins::Anew,
            Spot::Whole | Spot::Staging | Spot::Finished(_) | Spot::FirstCopy => Begins::AsItIs,
        };
        let (run, marker) = (self.far.server.token(), layout::marker(self.kind));
        let usage = Usage::Written { begins, run, marker, note: &self.note };
        FarTarget { usage, ..compared(&self.far, spot) }
    }

    /// Has deeds carried out.
    pub(crate) fn carry_out(&self, deeds: (Step, &[TidyDeed]), stops: &mut Stops) -> Result<Answered, NotDone> {
        let run = Some(self.far.server.token());
        sent::carry_out(&self.far.server, (&self.far.end, run), deeds, stops)
    }

    /// The symbolic links in each of these entries of `snapshots`. One that cannot be looked through is left out.
    pub(crate) fn links(
        &self,
        names: &[String],
        stops: &mut Stops,
    ) -> Result<Vec<(String, BTreeSet<PathBuf>)>, NotDone> {
        let call = LinksCall { end: &self.far.end, run: self.far.server.token(), names };
        Ok(answers::links(&self.far.server.told(&call.call(), (Step::Copy, LONG), stops)?))
    }

    /// What the log said of snapshots when it was looked at.
    pub(crate) fn records(&self) -> Vec<LogRecord> {
        log::records(&self.far.look.log)
    }

    /// Flushes, commits and records, which is one script: what was begun is finished, unless the connection breaks.
    pub(crate) fn publish(
        &self,
        publication: &Publication<'_>,
        telling: &mut Telling,
        stops: &mut Stops,
    ) -> Result<Published, NotDone> {
        stops.check()?;
        telling.step(Step::Flush);
        let standing = match (publication.name, publication.standing) {
            // Until its last line the log tells of a run that was cut short.
            (name @ Some(_), Standing::Partial | Standing::Suspect) => {
                log::record_line(&(publication.account)(name, &Conclusion::Interrupted(Interruption::Killed)))
            }
            (_, Standing::Good) | (None, _) => String::new(),
        };
        let call = PublishCall {
            end: &self.far.end,
            run: self.far.server.token(),
            kind: self.kind,
            name: publication.name,
            standing: &standing,
            record: &log::record_line(&(publication.account)(publication.name, &Conclusion::Ok)),
            marker: layout::marker(self.kind),
            doubt: marker::DOUBTFUL,
            log_limit: log::LIMIT,
            log_kept: log::CUT_TO,
        };
        let said = self.far.server.ask(&call.call(), (Stoppable::No, LONG), stops)?;
        let host = self.far.server.host();
        let has = |wanted: &str| answers::lines(&said.output).any(|(word, _)| word == wanted);
        let word = answers::last_word(&said.output);
        if !has("published") {
            let committing = answers::lines(&said.output).any(|line| line == ("step", b"commit".as_slice()));
            let step = if committing { Step::Commit } else { Step::Flush };
            return Err(match word {
                Some(word) => trouble::ended(host, step, &word),
                None => trouble::gave_up(host, step, &said),
            });
        }
        telling.step(Step::Record);
        let warnings = answers::lines(&said.output).filter(|(word, _)| *word == "warn");
        let warnings = warnings.map(|(_, text)| answers::shown(text)).collect();
        let recorded = match word {
            Some(word) => Err(format!("{host}: {}", word.text)),
            None if has("recorded") => Ok(()),
            None => Err(format!("{host}: the run was not written to the log")),
        };
        Ok(Published { recorded, warnings })
    }

    /// Notes what a run is worth that was not finished, and tells the log how it truly ended. If the connection is
    /// lost, there is nobody to tell; what was noted before the copy says enough.
    pub(crate) fn settle(&self, (why, truth): (&NotDone, &NotDone), account: Account<'_>, stops: &mut Stops) {
        if let NotDone::Interrupted(Interruption::Network(_) | Interruption::DestinationLost(_)) = why {
            return;
        }
        let record = log::record_line(&account(None, &Conclusion::from(Err(truth.clone()))));
        let call = SettleCall {
            end: &self.far.end,
            run: self.far.server.token(),
            marker: layout::marker(self.kind),
            note: marker::afterwards(self.earlier, why),
            doubt: marker::DOUBTFUL,
            record: &record,
        };
        // Whatever comes of it, the run is no success; history has it.
        let _unwritten = self.far.server.ask(&call.call(), (Stoppable::No, SHORT), stops);
    }
}

/// A place in a destination that is only looked at.
pub(crate) fn compared(far: &FarDestination, spot: Spot) -> FarTarget<'_> {
    let (place, into) = spot.path();
    FarTarget { server: &far.server, end: &far.end, at: &far.at, place, into, usage: Usage::Compared }
}

/// What lies there, as it was looked at.
pub(crate) fn leftovers(far: &FarDestination) -> Remains {
    let Look { entries, latest, links, .. } = &far.look;
    Remains { entries: entries.clone(), latest: latest.clone(), links: links.clone() }
}

/// What is noted at the destination while a copy is under way.
fn note(look: &Look) -> String {
    marker::text(&look.boot, device(look.device), look.medium)
}

/// The number of a device as Linux takes it apart: `makedev(3)`.
fn device(number: u64) -> (u32, u32) {
    let part = |number: u64| u32::try_from(number & 0xffff_ffff).unwrap_or_default();
    let major = ((number >> 8) & 0xfff) | ((number >> 32) & !0xfff);
    let minor = (number & 0xff) | ((number >> 12) & !0xff & 0xffff_ffff);
    (part(major), part(minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drive_that_was_pulled_and_put_back_is_not_trusted() {
        let look = |medium| Look { boot: "b".into(), device: 0x801, medium, ..Look::default() };
        let found = note(&look(Some(7)));
        let earlier = |medium| marker::earlier(found.as_bytes(), &note(&look(medium)));
        assert_eq!(earlier(Some(7)), Earlier::Trusted);
        assert_eq!(earlier(Some(8)), Earlier::Doubtful);
        assert_eq!(earlier(None), Earlier::Doubtful);
    }
}
