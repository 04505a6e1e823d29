//! The course of a run whose destination is at a server: the same steps in the same order, those at the destination by
//! scripts. Its lock is held by each of them and given back in between, so that nothing that a broken connection left
//! behind can keep it; what the run left at the destination tells each whether another run has been there since.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::backup::copy::call::Copying;
use crate::backup::copy::{self, Copied, plan};
use crate::backup::job::{Job, RemoteEnd};
use crate::backup::place::marker::{self, Earlier};
use crate::backup::place::source::{Source, inlined, nested};
use crate::backup::place::there::{FarDestination, Intent, looking, word};
use crate::backup::run::{Course, rsync_here};
use crate::backup::session::stop::Stops;
use crate::backup::session::{LONG, SHORT, Server, Stoppable, failure as trouble};
use crate::backup::snapshots::prune;
use crate::backup::snapshots::recover::{self, Deed, FarShelf, candidates};
use crate::decide::guard::{self, Deletions};
use crate::decide::retention::Candidate;
use crate::formats::log;
use crate::formats::rsync::arguments::{Effect, Manner, Unfinished};
use crate::formats::ssh::answers::{self, Look};
use crate::formats::ssh::script;
use crate::model::{Conclusion, End, Interruption, Keep, Now, SnapshotKind, SnapshotName, Standing, Step, Sync};
use crate::os::clock;
use crate::os::confine::confine_to_nothing;
use crate::os::ssh::SshPlace;

/// What a run has at its destination.
pub(crate) struct Site<'a> {
    server: &'a Server,
    source: &'a Source<'a>,
    destination: &'a FarDestination,
    sync: &'a Sync,
    rsync: PathBuf,
    earlier: Earlier,
    marker: String,
    nested: Option<PathBuf>,
}

impl Course<'_> {
    pub(crate) fn copy_to_server(&mut self, end: &RemoteEnd, place: &SshPlace) -> Result<(), Conclusion> {
        self.telling.step(Step::Prove);
        self.stops.check()?;
        let job = self.job;
        let sync = &job.sync;
        let here = Source::here(job)?;
        let server = Server::connect(job, (end, End::Destination), place, &mut self.stops)?;
        let source = here.map_or_else(|| Source::there(job, &server, &mut self.stops), Ok)?;
        self.telling.step(Step::Lock);
        let name = marker::name(sync.snapshots);
        let wanted = (end, &sync.destination, sync.snapshots);
        let destination = FarDestination::prove(&server, wanted, (Intent::Write, name), &mut self.stops)?;
        self.confined(confine_to_nothing())?;
        let rsync = match &source {
            Source::Here(..) => rsync_here()?,
            Source::There(..) => "rsync".into(),
        };
        let nested = nested(&source, &destination)?;
        let inlined = inlined(sync, &source)?;
        let marker = marker_text(&destination.look);
        let earlier = match &destination.look.marker {
            None => Earlier::Nothing,
            Some(found) => marker::earlier(found, &marker),
        };
        let site = Site {
            server: &server,
            source: &source,
            destination: &destination,
            sync: &inlined,
            rsync,
            earlier,
            marker,
            nested,
        };
        self.at_server(&site).inspect_err(|conclusion| self.settle(&site, conclusion))
    }

    fn at_server(&mut self, site: &Site<'_>) -> Result<(), Conclusion> {
        let kind = self.job.sync.snapshots;
        self.telling.step(Step::Recover);
        let kept = match kind {
            SnapshotKind::None => None,
            SnapshotKind::Btrfs | SnapshotKind::HardLink => {
                let (deeds, kept) = recover::recover(&site.destination.look, kind, self.started.wall);
                let warnings = self.tidy(site, Step::Recover, &deeds)?;
                self.warnings.extend(warnings);
                Some(kept)
            }
        };
        self.hook_before()?;
        self.telling.step(Step::Copy);
        let name = kept.as_ref().map(|kept| kept.next_name(self.started.wall));
        let copied = match (&kept, name, kind) {
            (Some(kept), Some(name), SnapshotKind::HardLink) => self.link_there(site, kept, name)?,
            (_, _, SnapshotKind::Btrfs) => self.copy_there(site, "staging", in_place(site.earlier))?,
            (_, _, SnapshotKind::None | SnapshotKind::HardLink) => {
                self.copy_there(site, "", Manner::Replace(plan::unfinished(site.earlier)))?
            }
        };
        self.telling.step(Step::Judge);
        self.stops.check()?;
        site.prove_source_again(self.job, &mut self.stops)?;
        self.forbid_empty(&copied)?;
        self.note(copied);
        self.publish_there(site, name)?;
        if let Some(kept) = &kept {
            self.prune_there(site, kept, name);
        }
        Ok(())
    }

    fn copy_there(&mut self, site: &Site<'_>, into: &str, manner: Manner) -> Result<Copied, Conclusion> {
        let plan = plan::plan(manner, site.destination.look.keeping(), site.earlier);
        let copying = site.copying(self.job.approved, site.writing(into, ""));
        let (job, report) = (self.job, (&self.telling, &mut self.figures));
        copy::copy(&copying, &plan, &mut self.stops, report, &|stops| site.prove_source_again(job, stops))
    }

    fn link_there(&mut self, site: &Site<'_>, kept: &FarShelf, name: SnapshotName) -> Result<Copied, Conclusion> {
        let mut bases: Vec<OsString> = match site.earlier {
            Earlier::Damaged => Vec::new(),
            Earlier::Nothing | Earlier::Trusted | Earlier::Doubtful => {
                kept.stale.iter().rev().map(|name| format!("../.stale-{name}").into()).collect()
            }
        };
        let unfinished = if bases.is_empty() { Unfinished::None } else { Unfinished::Possible };
        let newest = kept.newest(self.started.wall);
        bases.extend(newest.map(|newest| format!("../{newest}").into()));
        let plan = plan::plan(Manner::Link { bases, unfinished }, site.destination.look.keeping(), site.earlier);
        let hidden = format!("snapshots/.inprogress-{name}");
        let copying = site.copying(self.job.approved, site.writing(&hidden, "make"));
        let (job, report) = (self.job, (&self.telling, &mut self.figures));
        let proven = |stops: &mut Stops| site.prove_source_again(job, stops);
        let copied = copy::copy(&copying, &plan, &mut self.stops, report, &proven)?;
        if let Some(newest) = newest {
            self.guard_there(site, newest, unfinished, &copied)?;
        }
        Ok(copied)
    }

    /// Judges what a new directory lacks of the newest snapshot. The counts of rsync and of the log tell it for nothing;
    /// where they cannot, or tell of too much, rsync is asked what it would delete.
    fn guard_there(
        &mut self,
        site: &Site<'_>,
        newest: SnapshotName,
        unfinished: Unfinished,
        copied: &Copied,
    ) -> Result<(), Conclusion> {
        let guard = self.job.sync.guard;
        let seen = |deletions, before| Deletions { deletions, before, files_left: copied.regular_files };
        let records = log::parse(&site.destination.look.log);
        let counted = match unfinished {
            // What lay in an unfinished copy counts as there before for rsync, though it is in no snapshot.
            Unfinished::Possible => None,
            Unfinished::None => records.into_iter().rev().find(|record| record.snapshot == Some(newest)),
        };
        if let Some(record) = counted.filter(|record| record.entries > 0) {
            let kept = copied.figures.entries.saturating_sub(copied.created);
            let gone = record.entries.saturating_sub(kept);
            if guard::hold(guard, seen(gone, record.entries), self.job.approved).is_none() {
                self.figures.deletions = gone;
                return Ok(());
            }
        }
        let copying = site.copying(self.job.approved, site.looking(&format!("snapshots/{newest}")));
        let plan = plan::plan(Manner::Replace(Unfinished::None), site.destination.look.keeping(), Earlier::Nothing);
        let told = copy::call(&copying, &plan, Effect::Tell, &mut self.stops, &mut |_| {})?;
        copy::judged(&copying.way, &told)?;
        let gone = told.tally.deleted_items;
        self.figures.deletions = gone;
        match guard::hold(guard, seen(gone, copy::before(&told, gone)), self.job.approved) {
            Some(reason) => Err(Conclusion::Held(reason)),
            None => Ok(()),
        }
    }

    /// Flushes, commits and records, which is one script: what was begun is finished, unless the connection breaks.
    fn publish_there(&mut self, site: &Site<'_>, name: Option<SnapshotName>) -> Result<(), Conclusion> {
        self.stops.check()?;
        self.telling.step(Step::Flush);
        let standing = match (name, self.standing) {
            // Until its last line the log tells of a run that was cut short.
            (Some(_), Standing::Partial | Standing::Suspect) => {
                log::write(&self.account(name).ended(&Conclusion::Interrupted(Interruption::Killed)))
            }
            (_, Standing::Good) | (None, _) => String::new(),
        };
        let record = log::write(&self.account(name).ended(&Conclusion::Ok));
        let kind_of_snapshots = self.job.sync.snapshots;
        let mut words = site.destination.words.to_vec();
        words.push(site.server.token().to_owned());
        words.push(word(kind_of_snapshots).into());
        words.push(name.map(|name| name.to_string()).unwrap_or_default().into());
        words.extend([standing.into(), record.into(), marker::name(kind_of_snapshots).into()]);
        let said = site.server.ask(script::PUBLISH, &words, (Stoppable::No, LONG), &mut self.stops)?;
        let has = |wanted: &str| answers::lines(&said.output).any(|(word, _)| word == wanted);
        let step = match () {
            () if has("published") => Step::Record,
            () if answers::lines(&said.output).any(|line| line == ("step", b"commit".as_slice())) => Step::Commit,
            () => Step::Flush,
        };
        if has("published") {
            self.telling.step(Step::Record);
            self.snapshot = name;
        }
        let warnings = answers::lines(&said.output).filter(|(word, _)| *word == "warn");
        self.warnings.extend(warnings.map(|(_, text)| answers::shown(text)));
        let word = answers::last_word(&said.output);
        match (word, has("published")) {
            (None, true) if has("recorded") => Ok(()),
            (Some(word), true) => {
                self.warnings.push(format!("{}: {}", site.server.host(), word.text));
                Ok(())
            }
            (None, true) => {
                self.warnings.push(format!("{}: the run was not written to the log", site.server.host()));
                Ok(())
            }
            (Some(word), false) => Err(trouble::ended(site.server.host(), step, &word)),
            (None, false) => Err(trouble::gave_up(site.server.host(), step, &said)),
        }
    }

    fn prune_there(&mut self, site: &Site<'_>, kept: &FarShelf, made: Option<SnapshotName>) {
        self.telling.step(Step::Prune);
        // The backup is made: whatever goes wrong or is called off from here on is only told.
        let mut deeds: Vec<Deed> = kept.stale.iter().map(|name| Deed::Discard(format!(".stale-{name}"))).collect();
        if self.job.sync.keep != Keep::All {
            let now = Now { wall: clock::now().wall, ..self.started.clone() };
            let finished = with_made(&kept.complete, &site.destination.look.log, (made, self.standing));
            for victim in prune::victims(&finished, self.job.sync.keep, &now) {
                tracing::info!(nbkp.sync = %self.job.sync.name, "pruning the snapshot {}: {}", victim.name, victim.reason);
                deeds.push(Deed::Discard(victim.name.to_string()));
            }
        }
        match self.tidy(site, Step::Prune, &deeds) {
            Ok(warnings) => self.warnings.extend(warnings),
            Err(Conclusion::Interrupted(why)) => {
                self.warnings.push(format!("pruning was cut short: {why}; the next run goes on with it"));
            }
            Err(Conclusion::Failed(why)) => self.warnings.push(why.to_string()),
            Err(Conclusion::Skipped(obstacles)) => {
                self.warnings.extend(obstacles.iter().map(|obstacle| format!("nothing was pruned: {obstacle}")));
            }
            Err(Conclusion::Ok | Conclusion::Held(_)) => {}
        }
    }

    /// Puts the kept in order. Returns what could not be done and stands in nobody's way.
    fn tidy(&mut self, site: &Site<'_>, at: Step, deeds: &[Deed]) -> Result<Vec<String>, Conclusion> {
        recover::tidy(site.server, &site.destination.words, site.server.token(), (at, deeds), &mut self.stops)
    }

    /// Notes what a run is worth that was not finished. If the connection is lost, there is nobody to tell; what was
    /// noted before the copy says enough.
    fn settle(&mut self, site: &Site<'_>, conclusion: &Conclusion) {
        match conclusion {
            Conclusion::Interrupted(Interruption::Network(_) | Interruption::DestinationLost(_)) | Conclusion::Ok => {
                return;
            }
            Conclusion::Skipped(_) | Conclusion::Interrupted(_) | Conclusion::Failed(_) | Conclusion::Held(_) => {}
        }
        let record = log::write(&self.account(self.snapshot).ended(conclusion));
        let mut words = site.destination.words.to_vec();
        words.push(site.server.token().to_owned());
        words.push(marker::name(self.job.sync.snapshots).into());
        words.extend([marker::afterwards(site.earlier, conclusion).into(), record.into()]);
        // Whatever comes of it, the run is no success; history has it.
        let _unwritten = site.server.ask(script::SETTLE, &words, (Stoppable::No, SHORT), &mut self.stops);
    }
}

impl Site<'_> {
    fn prove_source_again(&self, job: &Job, stops: &mut Stops) -> Result<(), Conclusion> {
        match self.source {
            Source::Here(source, end) => source.prove_again(job, end),
            Source::There(source, end) => source.prove_again(self.server, job, end, stops),
        }
    }

    fn copying(&self, approved: Option<u64>, destination: [OsString; 9]) -> Copying<'_> {
        let [_, _, _, _, into, ..] = &destination;
        let at = self.destination.at.join(into);
        let way = self.source.way(self.server, (destination, at), "./");
        Copying { rsync: &self.rsync, sync: self.sync, approved, way, nested: self.nested.as_deref() }
    }

    /// The words of `transfer.sh` for a destination that is written.
    fn writing(&self, into: &str, make: &str) -> [OsString; 9] {
        let [root, volume, directory, text] = self.destination.words.clone();
        let name = marker::name(self.sync.snapshots).into();
        let note = marker::while_copying(self.earlier, &self.marker).into();
        [root, volume, directory, text, into.into(), make.into(), self.server.token().to_owned(), name, note]
    }

    /// The same for one that is only compared.
    fn looking(&self, into: &str) -> [OsString; 9] {
        looking(self.destination, into)
    }
}

/// The same with the one just made, of which the log as it was read does not tell. It need not be the newest: the clock
/// may have been wrong before.
fn with_made(
    complete: &[SnapshotName],
    log: &[u8],
    (made, standing): (Option<SnapshotName>, Standing),
) -> Vec<Candidate> {
    let names: Vec<_> = complete.iter().copied().chain(made).collect();
    let mut candidates = candidates(&names, log);
    if let Some(new) = candidates.iter_mut().find(|candidate| Some(candidate.name) == made) {
        new.standing = standing;
    }
    candidates
}

fn in_place(earlier: Earlier) -> Manner {
    match earlier {
        Earlier::Nothing | Earlier::Trusted | Earlier::Doubtful => Manner::InPlace,
        Earlier::Damaged => Manner::Replace(plan::unfinished(earlier)),
    }
}

/// What is noted at the destination while a copy is under way.
fn marker_text(look: &Look) -> String {
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
    fn the_one_just_made_is_known_beside_one_of_the_future() {
        let [old, made, ahead] = ["2026-11-21T17:30:00.000Z", "2026-11-22T17:30:00.000Z", "2099-01-01T00:00:00.000Z"]
            .map(|name| name.parse::<SnapshotName>().unwrap());
        let found = with_made(&[old, ahead], b"", (Some(made), Standing::Partial));
        let found: Vec<_> = found.iter().map(|candidate| (candidate.name, candidate.standing)).collect();
        assert_eq!(found, [(old, Standing::Good), (made, Standing::Partial), (ahead, Standing::Good)]);
    }

    #[test]
    fn a_drive_that_was_pulled_and_put_back_is_not_trusted() {
        let look = |medium| Look { boot: "b".into(), device: 0x801, medium, ..Look::default() };
        let found = marker_text(&look(Some(7)));
        let earlier = |medium| marker::earlier(found.as_bytes(), &marker_text(&look(medium)));
        assert_eq!(earlier(Some(7)), Earlier::Trusted);
        assert_eq!(earlier(Some(8)), Earlier::Doubtful);
        assert_eq!(earlier(None), Earlier::Doubtful);
    }
}
