//! Copies that are read back by themselves: one at a time, when nothing is to be copied, and no longer than until
//! something is.

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
use crate::decide::rounds::{LastSlice, after_slice, next_check, next_slice};
use crate::formats::text::damaged_copies;
use crate::model::{
    CheckRecord, CheckReport, CheckRound, CheckRule, Checking, Interruption, Now, Obstacle, Outcome, SampleShare, Sync,
    SyncName, Trigger, VolumeName,
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
        if let Some(check) = &self.checks.under_way {
            if self.comes_after_all_else(&check.sync, now) {
                let name = check.sync.name.clone();
                if self.is_open_for_long(&name, now) {
                    self.checks.past.entry(name).or_default().rests_until = now.boot.after(REST);
                } else {
                    return;
                }
            }
            effects.extend(self.checks.stop(Interruption::Cancelled, now.boot));
            return;
        }
        let Some(name) = self.next_to_check(now) else {
            self.checks.since = None;
            return;
        };
        if self.is_open_for_long(&name, now) {
            self.checks.since = None;
            self.checks.past.entry(name).or_default().rests_until = now.boot.after(REST);
            return;
        }
        self.checks.next = Some(name.clone());
        if self.opens_for(&name, effects) == DriveReadiness::Ready {
            self.begin_check(&name, now, effects);
        }
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

    /// The sync whose copy has waited longest to be read back.
    fn next_to_check(&self, now: &Now) -> Option<SyncName> {
        let due = |sync: &Sync| {
            let due = self.check_due(sync, now).filter(|due| *due <= now.wall)?;
            self.comes_after_all_else(sync, now).then(|| (due, sync.name.clone()))
        };
        let is_ours = self.initiative == Initiative::Own;
        let syncs = is_ours.then(|| self.settings.configuration().syncs.values()).into_iter().flatten();
        syncs.filter_map(due).min().map(|(_, name)| name)
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

    /// Whether a drive of a sync has been kept open for checks for long, which would be closed otherwise.
    fn is_open_for_long(&self, sync: &SyncName, now: &Now) -> bool {
        let Some(sync) = self.settings.configuration().syncs.get(sync) else { return false };
        let is_ours = |volume: &VolumeName| matches!(self.drives.phase(volume), Phase::Open(_));
        let is_ours = [&sync.source.volume, &sync.destination.volume].into_iter().any(is_ours);
        is_ours && self.checks.since.is_some_and(|since| since.after(OPEN) <= now.boot)
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
        self.checks.since.get_or_insert(now.boot);
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
                *past = CheckPast { rests_until: past.rests_until, ..CheckPast::default() };
                self.slice_read(&check, &report, now, effects);
            }
            CheckEnding::Stopped => past.last = LastSlice::CutShort,
            CheckEnding::Failed(why) => {
                let wait = AGAIN.saturating_mul(1 << past.failures.min(5)).min(Duration::from_hours(24));
                past.failures = past.failures.saturating_add(1);
                past.rests_until = past.rests_until.max(now.boot.after(wait));
                if past.trouble.replace(why.clone()).as_ref() != Some(&why) {
                    let read = CheckRound { began: check.started, read: 0, files: 0, bytes: 0, damaged: 0 };
                    keep(record(&check, &read, Some(why), now), effects);
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
        let Some(rule) = check.sync.verify else { return };
        let rounds = self.decisions.rounds_of(name);
        let (rounds, over) = after_slice(rounds, rule, (check.share, report), (check.started, now.wall));
        self.decisions.note_rounds(name, rounds);
        if let Some(round) = over {
            let error = (round.damaged > 0).then(|| damaged_copies(name, round.damaged));
            keep(record(check, &round, error, now), effects);
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
            let mut rounds = self.decisions.rounds_of(&record.sync);
            (rounds.finished, rounds.under_way) = (Some(record.finished), None);
            self.decisions.note_rounds(&record.sync, rounds);
        }
        keep(record, effects);
    }
}

/// Whether copies may be read in spite of what keeps a sync from running.
fn allows_checks(obstacle: &Obstacle) -> bool {
    matches!(
        obstacle,
        Obstacle::Held(_)
            | Obstacle::BackingOff { .. }
            | Obstacle::NoSpace { .. }
            | Obstacle::ReadOnly { .. }
            | Obstacle::UpstreamFailed { .. }
    )
}

fn record(check: &UnderWay, round: &CheckRound, error: Option<String>, now: &Now) -> CheckRecord {
    CheckRecord {
        run: check.run.clone(),
        sync: check.sync.name.clone(),
        trigger: Trigger::Schedule,
        started: round.began.min(now.wall),
        finished: now.wall,
        outcome: if error.is_none() { Outcome::Ok } else { Outcome::Failed },
        files: round.files,
        bytes: round.bytes,
        damaged: round.damaged,
        error,
    }
}

fn keep(record: CheckRecord, effects: &mut Vec<Effect>) {
    effects.push(Effect::Tell(Notice::CheckEnded(Box::new(record.clone()))));
    effects.push(Effect::Record(Record::Run(Entry::Checked(Box::new(record)))));
}
