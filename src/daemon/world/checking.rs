//! Copies that are read back by themselves: one at a time, when nothing is to be copied, and no longer than until
//! something is.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use crate::backup::check::order::{CheckEnding, CheckOrder, CheckTelling, EndedCheck};
use crate::daemon::messages::event::{Effect, Notice, Record};
use crate::daemon::world::World;
use crate::daemon::world::checks::{CheckPast, OPEN, REST, UnderWay};
use crate::daemon::world::drives::Phase;
use crate::daemon::world::opening::DriveReadiness;
use crate::daemon::world::plan::Outlook;
use crate::daemon::world::stage::{Initiative, LifeStage};
use crate::decide::checking::next_turn;
use crate::decide::rounds::{LastSlice, after_slice, finished, next_check, next_slice, outcome};
use crate::formats::text::check_sentence;
use crate::model::{
    BootTime, CheckRecord, CheckReport, CheckRule, CheckSums, Checking, Interruption, Now, Obstacle, Outcome,
    SampleShare, Sync, SyncName, Trigger, VolumeName,
};
use crate::os::history::Entry;

/// A check that could not be made is tried again after this, then after twice as long, and so on up to a day.
const AGAIN: Duration = Duration::from_hours(1);

impl World {
    /// The check under way.
    pub(crate) fn checking(&self) -> Option<Checking> {
        self.checks.shown()
    }

    /// Stops the check under way if something else comes first, or begins the next.
    pub(super) fn check_copies(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        self.checks.next = None;
        self.end_of_keeping_open(now);
        if let Some(check) = &self.checks.under_way {
            let rests = self.checks.past.get(&check.sync.name).is_some_and(|past| past.rests_until > now.boot);
            if rests || !self.comes_after_all_else(&check.sync, now) {
                effects.extend(self.checks.stop(Interruption::Cancelled, now.boot));
            }
            return;
        }
        let Some(name) = self.next_to_check(now) else {
            self.checks.kept_open = None;
            return;
        };
        self.checks.next = Some(name.clone());
        if self.opens_for(&name, effects) == DriveReadiness::Ready {
            self.begin_check(&name, now, effects);
        }
    }

    /// Once a drive that would be closed otherwise was open for long, all checks on it rest.
    fn end_of_keeping_open(&mut self, now: &Now) {
        let Some((volume, _)) = self.checks.kept_open.take_if(|(_, since)| since.after(OPEN) <= now.boot) else {
            return;
        };
        for sync in self.users_of_the_drive_of(&volume) {
            let past = self.checks.past.entry(sync).or_default();
            past.rests_until = past.rests_until.max(now.boot.after(REST));
        }
    }

    /// The syncs that use the drive that a volume is on.
    fn users_of_the_drive_of(&self, volume: &VolumeName) -> BTreeSet<SyncName> {
        let on_it = self.settings.on_the_drive_of(volume);
        on_it.iter().flat_map(|volume| self.settings.users_of(volume)).map(|sync| sync.name.clone()).collect()
    }

    /// When the copies of a sync are to be read back next, if nothing comes first.
    pub(super) fn check_due(&self, sync: &Sync, now: &Now) -> Option<Timestamp> {
        let success = self.histories.get(&sync.name).and_then(|history| history.last_success);
        let rounds = self.decisions.rounds_of(&sync.name);
        let due = next_check(sync.verify.filter(|_| sync.enabled)?, &rounds, success, now.wall)?;
        let rests = self.checks.past.get(&sync.name).map(|past| past.rests_until).filter(|rests| *rests > now.boot);
        let rested = rests.and_then(|rests| now.wall.checked_add(rests.since(now.boot)).ok());
        Some(rested.map_or(due, |rested| due.max(rested)))
    }

    /// The sync whose copy has waited longest to be read: each has its turn, however long their rounds are. Those of
    /// the drive that is kept open come first, so that none is opened and closed for each slice.
    fn next_to_check(&self, now: &Now) -> Option<SyncName> {
        let kept = self.checks.kept_open.as_ref().map(|(volume, _)| self.users_of_the_drive_of(volume));
        let is_elsewhere = |sync: &Sync| kept.as_ref().is_some_and(|kept| !kept.contains(&sync.name));
        let due = |sync: &Sync| {
            let due = self.check_due(sync, now).filter(|due| *due <= now.wall)?;
            let began = self.checks.past.get(&sync.name).map(|past| past.began);
            self.comes_after_all_else(sync, now).then(|| (is_elsewhere(sync), began, due, sync.name.clone()))
        };
        let is_ours = self.initiative == Initiative::Own;
        let syncs = is_ours.then(|| self.settings.configuration().syncs.values()).into_iter().flatten();
        syncs.filter_map(due).min().map(|(.., name)| name)
    }

    /// Whether nothing is to be copied, and a sync could be: then its copies may be read.
    fn comes_after_all_else(&self, sync: &Sync, now: &Now) -> bool {
        let is_time = self.stage == LifeStage::Working && !self.suspension.is_near() && self.runs.is_empty();
        let is_quiet = self.plan.candidates().values().all(|candidate| candidate.ready_at > now.boot);
        let is_as_it_was = || self.settings.configuration().syncs.get(&sync.name) == Some(sync);
        let prospect = self.plan.prospects().get(&sync.name);
        let may_be = |prospect: &Outlook| prospect.ready_at <= now.boot && prospect.obstacles().all(allows_checks);
        is_time && is_quiet && is_as_it_was() && sync.verify.is_some() && prospect.is_some_and(may_be)
    }

    /// The drive of a sync that we keep open, or could not close, by its volume.
    fn drive_of_ours(&self, sync: &Sync) -> Option<VolumeName> {
        let is_ours = |volume: &&VolumeName| match self.drives.phase(volume) {
            Phase::Open(_) | Phase::Stuck { .. } => true,
            Phase::Idle
            | Phase::Opening(_)
            | Phase::Awaited(..)
            | Phase::Closing
            | Phase::ClosedByAnotherName
            | Phase::Settling(_) => false,
        };
        [&sync.source.volume, &sync.destination.volume].into_iter().find(is_ours).cloned()
    }

    fn begin_check(&mut self, name: &SyncName, now: &Now, effects: &mut Vec<Effect>) {
        let run = self.new_run_id(now);
        let Some(sync) = self.settings.configuration().syncs.get(name).cloned() else { return };
        let Some(rule) = sync.verify else { return };
        let rounds = self.decisions.rounds_of(name);
        let last = self.checks.past.get(name).map_or(LastSlice::Whole, |past| past.last);
        let share = next_slice(rule, &rounds, last);
        let seen = self.as_seen(&sync, run.clone());
        let turn = seen.turn.unwrap_or_else(|| self.dice.u8(0..100));
        if rounds.under_way.is_none() {
            effects.push(Effect::Tell(Notice::CheckStarted(run.clone(), name.clone(), rule.share)));
        }
        self.checks.next = None;
        let ours = self.drive_of_ours(&sync);
        let is_kept = |(kept, _): &(VolumeName, BootTime)| {
            ours.as_ref().is_some_and(|ours| self.settings.on_the_drive_of(ours).contains(kept))
        };
        let since = self.checks.kept_open.take().filter(is_kept).map_or(now.boot, |(_, since)| since);
        self.checks.kept_open = ours.map(|ours| (ours, since));
        self.checks.past.entry(name.clone()).or_default().began = now.boot;
        let order = CheckOrder { run: run.clone(), seen, share, turn };
        effects.push(Effect::Check(Box::new(order)));
        let (started, told) = (now.wall, None);
        self.checks.under_way = Some(UnderWay { run, sync, started, share, turn, files: 0, bytes: 0, told });
    }

    /// A check tells something.
    pub(super) fn check_told(&mut self, telling: CheckTelling, now: &Now, effects: &mut Vec<Effect>) {
        match telling {
            CheckTelling::Progress(run, progress) => {
                if let Some(check) = self.checks.under_way.as_mut().filter(|check| check.run == run) {
                    (check.files, check.bytes) = (progress.files, progress.bytes);
                }
            }
            CheckTelling::Ended(ended) => self.check_ended(*ended, now, effects),
        }
    }

    fn check_ended(&mut self, ended: EndedCheck, now: &Now, effects: &mut Vec<Effect>) {
        let Some(check) = self.checks.under_way.take_if(|check| check.run == ended.run) else { return };
        let name = &check.sync.name;
        // What was read lies elsewhere than where the sync leads now.
        if self.settings.configuration().syncs.get(name) != Some(&check.sync) {
            return;
        }
        let past = self.checks.past.entry(name.clone()).or_default();
        match ended.end {
            CheckEnding::Read(report) => {
                *past = CheckPast { rests_until: past.rests_until, began: past.began, ..CheckPast::default() };
                self.slice_read(&check, &report, now, effects);
            }
            CheckEnding::Stopped => past.last = LastSlice::CutShort,
            CheckEnding::Failed(why) => {
                let wait = AGAIN.saturating_mul(1 << past.failures.min(5)).min(Duration::from_hours(24));
                past.failures = past.failures.saturating_add(1);
                past.rests_until = past.rests_until.max(now.boot.after(wait));
                if past.trouble.replace(why.clone()).as_ref() != Some(&why) {
                    let error = Some(format!("the copy could not be read back: {why}"));
                    let none = record(&check, check.started, CheckSums::default(), now);
                    keep(CheckRecord { outcome: Outcome::Failed, error, ..none }, effects);
                }
            }
        }
    }

    /// A slice was read: what is damaged is told at once, and the round once it is over.
    fn slice_read(&mut self, check: &UnderWay, report: &CheckReport, now: &Now, effects: &mut Vec<Effect>) {
        let name = &check.sync.name;
        self.decisions.note_check(report, check.share, next_turn(check.share, check.turn));
        if !report.damaged.is_empty() {
            effects.push(Effect::Tell(Notice::Damaged(name.clone(), report.damaged.clone())));
        }
        if !report.doubtful.is_empty() {
            effects.push(Effect::Tell(Notice::SourceDoubted(name.clone(), report.doubtful.clone())));
        }
        let Some(rule) = check.sync.verify else { return };
        let (rounds, over) = (self.decisions.rounds_of(name), (check.started, now.wall));
        let (rounds, over) = after_slice(rounds, rule, (check.share, report), over);
        self.decisions.note_rounds(name, rounds);
        if let Some(round) = over {
            keep(record(check, round.began, round.sums, now), effects);
        }
    }

    /// A person had copies of a sync read back: that is as good as a round, if it read as much of the newest.
    pub(super) fn checked_by_hand(
        &mut self,
        record: CheckRecord,
        of_newest: Option<SampleShare>,
        effects: &mut Vec<Effect>,
    ) {
        let rule = self.settings.configuration().syncs.get(&record.sync).and_then(|sync| sync.verify);
        if rule.is_some_and(|CheckRule { share: wanted, .. }| of_newest >= Some(wanted)) {
            let rounds = self.decisions.rounds_of(&record.sync);
            self.decisions.note_rounds(&record.sync, finished(&rounds, &record.sums, record.finished));
        }
        keep(record, effects);
    }
}

/// Whether copies may be read in spite of what keeps a sync from running.
fn allows_checks(obstacle: &Obstacle) -> bool {
    matches!(
        obstacle,
        Obstacle::Held(_)
            | Obstacle::Unrestored(_)
            | Obstacle::BackingOff { .. }
            | Obstacle::NoSpace { .. }
            | Obstacle::ReadOnly { .. }
            | Obstacle::UpstreamFailed { .. }
    )
}

fn record(check: &UnderWay, began: Timestamp, sums: CheckSums, now: &Now) -> CheckRecord {
    CheckRecord {
        run: check.run.clone(),
        sync: check.sync.name.clone(),
        trigger: Trigger::Schedule,
        started: began.min(now.wall),
        finished: now.wall,
        outcome: outcome(&sums),
        sums,
        error: check_sentence(&check.sync.name, &sums),
    }
}

fn keep(record: CheckRecord, effects: &mut Vec<Effect>) {
    effects.push(Effect::Tell(Notice::CheckEnded(Box::new(record.clone()))));
    effects.push(Effect::Record(Record::Run(Entry::Checked(Box::new(record)))));
}
