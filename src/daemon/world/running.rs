//! Runs, from their start to what is learnt from them.

use std::collections::BTreeSet;

use crate::backup::news::Liveness;
use crate::daemon::messages::call::Call;
use crate::daemon::messages::event::{Effect, Notice, Record};
use crate::daemon::messages::look::Scope;
use crate::daemon::world::World;
use crate::daemon::world::drives::News;
use crate::daemon::world::histories::{Chance, ComesUp};
use crate::daemon::world::runs::{Headway, Run};
use crate::daemon::world::servers::Asked;
use crate::daemon::world::stage::Initiative;
use crate::model::{
    Conclusion, Configuration, End, EndSight, Kinship, Now, Outcome, PingSign, Places, RunId, RunRecord, RunReport,
    Sync, SyncName, Trigger, VolumeSight,
};
use crate::os::history::Entry;

impl World {
    pub(super) fn new_run_id(&mut self, now: &Now) -> RunId {
        RunId::new(now.wall, self.dice.u16(..))
    }

    pub(super) fn start(&mut self, name: &SyncName, now: &Now, effects: &mut Vec<Effect>) {
        let id = self.new_run_id(now);
        let trigger = self.histories.get(name).and_then(|history| history.queued_by).unwrap_or(Trigger::Schedule);
        let Some(sync) = self.settings.configuration().syncs.get(name) else { return };
        let Some(job) = self.job(sync, id.clone(), trigger) else { return };
        let ping = sync.ping.clone();
        let run = Run::new(&job, self.settings.resources(sync), self.settings.places(sync), now);
        self.close_after(&job.sync);
        self.runs.begin(run);
        self.plan.take_out(name);
        effects.push(Effect::Start(Box::new(job)));
        effects.push(Effect::Record(Record::Run(Entry::Began {
            run: id.clone(),
            sync: name.clone(),
            trigger,
            started: now.wall,
        })));
        effects.extend(ping.map(|url| Effect::Call(Call::Ping(url, PingSign::Start))));
        effects.push(Effect::Tell(Notice::RunStarted { run: id, sync: name.clone(), trigger }));
    }

    pub(super) fn run_ended(&mut self, report: &RunReport, now: &Now, effects: &mut Vec<Effect>) {
        let Some((run, record)) = self.runs.end(report, now) else { return };
        if run.standing == Headway::LeftBehind {
            effects.push(Effect::Tell(Notice::Returned(record.run.clone(), record.sync.clone(), record.outcome)));
            self.tell_left_behind(effects);
            // What came of it was told when it was left. That it is a copy all the same, or asks for a person, is news.
            if matches!(record.outcome, Outcome::Interrupted | Outcome::Failed | Outcome::Skipped) {
                self.look_behind(&record.sync, record.outcome);
                return;
            }
        }
        let news = self.news_of(&record, &report.conclusion);
        match &report.conclusion {
            Conclusion::Ok => self.learn(&run, report),
            Conclusion::Held(reason) => {
                if !self.decisions.outdates(&run, reason) {
                    self.decisions.hold_sync(&record.sync, reason.clone(), now.wall);
                }
            }
            Conclusion::Skipped(_) | Conclusion::Interrupted(_) | Conclusion::Failed(_) => {}
        }
        if !report.earlier.is_empty() {
            effects.push(Effect::Record(Record::Run(Entry::Recalled(report.earlier.clone()))));
        }
        self.run_is_over((&run.sync, &run.places), (record, news), &report.conclusion, now, effects);
    }

    /// Whether history has to know of a run: one that nobody asked for, and that is held for what the last one was held
    /// for, asks no new question.
    fn news_of(&self, record: &RunRecord, conclusion: &Conclusion) -> News {
        let Conclusion::Held(reason) = conclusion else { return News::Yes };
        let before = self.decisions.ledger().held.get(&record.sync);
        let last = self.histories.get(&record.sync).and_then(|history| history.last_run.as_ref());
        let is_known = before.is_some_and(|before| before.reason.is_like(reason))
            && last.is_some_and(|last| last.outcome == Outcome::Held);
        if is_known && record.trigger != Trigger::Request { News::No } else { News::Yes }
    }

    /// Whether a run gets on. One that cannot be ended is over for the world: whoever waits for it is answered, and
    /// only its places are not free.
    pub(super) fn run_lives(
        &mut self,
        sync: &SyncName,
        run: &RunId,
        life: Liveness,
        now: &Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(why) = self.runs.lives(sync, run, life) else { return };
        effects.extend(self.runs.stop(sync, why.clone()));
        let Some(left) = self.runs.leave_behind(sync, why, now) else { return };
        self.run_is_over((&left.sync, &left.places), (left.record, News::Yes), &left.conclusion, now, effects);
        self.tell_left_behind(effects);
        self.refuse_to_close_what_is_stuck();
    }

    fn tell_left_behind(&mut self, effects: &mut Vec<Effect>) {
        effects.extend(self.shortcomings.note("runs", self.runs.left_behind()).map(Effect::Tell));
    }

    fn run_is_over(
        &mut self,
        (sync, places): (&Sync, &Places),
        (record, news): (RunRecord, News),
        conclusion: &Conclusion,
        now: &Now,
        effects: &mut Vec<Effect>,
    ) {
        let comes_up = if self.network.comes_up(now.boot) { ComesUp::Yes } else { ComesUp::No };
        let chance = Chance { jitter: self.dice.u16(..), comes_up };
        self.histories.remember(&record, conclusion, sync, chance, now);
        for volume in [&sync.source.volume, &sync.destination.volume] {
            self.drives.note_outcome(&self.settings.on_the_drive_of(volume), record.outcome);
        }
        let configured = self.settings.configuration().syncs.get(&record.sync);
        if configured.is_some_and(|sync| places.kinship(&self.settings.places(sync)) == Kinship::Other) {
            // The configuration has moved the sync meanwhile.
            self.histories.begin_anew(&record.sync);
        }
        self.requests.ran(&record);
        effects.extend(ping(sync, record.outcome).map(Effect::Call));
        self.look_behind(&record.sync, record.outcome);
        effects.push(Effect::Tell(Notice::RunEnded(Box::new(record.clone()))));
        effects.push(Effect::Record(Record::Run(match news {
            News::Yes => Entry::Ended(Box::new(record)),
            News::No => Entry::Forgotten(record.run),
        })));
    }

    /// Learns the ids of sentinels that were seen for the first time, and ends an approval that was used.
    fn learn(&mut self, run: &Run, report: &RunReport) {
        let sync = &run.sync;
        self.decisions.end_approvals(&sync.name);
        self.decisions.let_go(&sync.name);
        self.decisions.note_mended(&sync.name, &report.mended);
        self.decisions.note_copied(&sync.name, &run.places);
        if let Some(writer) = &report.writer {
            self.decisions.accept_writer(&sync.name, writer);
        }
        if let Some(submounts) = &report.submounts {
            self.decisions.note_submounts(&sync.name, submounts);
        }
        // What a look sees of such a source may be what lies below that which the hook mounts.
        let is_hooked = self.settings.may_be_mounted(sync);
        for place in [&sync.source, &sync.destination].into_iter().skip(usize::from(is_hooked)) {
            if let Some(Some(id)) = self.volumes.get(&place.volume).and_then(|state| state.sight.proven_id()) {
                self.decisions.learn_volume_id(&place.volume, id);
            }
            if let Some(VolumeSight::Present(present)) = self.volumes.get(&place.volume).map(|state| &state.sight)
                && let Some(hardware) = &present.hardware
            {
                self.decisions.learn_encryption(&place.volume, hardware);
            }
        }
        if let Some(ends) = self.volumes.ends(&sync.name) {
            let ends = [(End::Source, &ends.source), (End::Destination, &ends.destination)];
            for (end, sight) in ends.into_iter().skip(usize::from(is_hooked)) {
                if let EndSight::Ready { id: Some(id) } = sight {
                    self.decisions.learn_end_id(&sync.name, end, id);
                }
            }
        }
    }

    /// Takes in which syncs there are, and where they lead. Whoever only looks does not write down since when.
    pub(super) fn learn_syncs(&mut self, configuration: &Configuration, now: &Now) {
        for name in configuration.syncs.keys() {
            self.forget_other_places(name);
        }
        if self.initiative == Initiative::Own {
            let syncs = configuration.syncs.values();
            let known = syncs.map(|sync| (sync.name.clone(), self.settings.places(sync).roots)).collect();
            self.decisions.note_known(&known, now.wall);
        }
    }

    /// Where a sync leads elsewhere now, there is no copy yet.
    fn forget_other_places(&mut self, name: &SyncName) {
        let Some(sync) = self.settings.configuration().syncs.get(name) else { return };
        let kinship = self.decisions.settle_for(name, self.settings.places(sync));
        if kinship == Kinship::Other {
            self.histories.begin_anew(name);
        }
    }

    /// Looks again at what a run may have changed: its own places if it did not end well, and the syncs that read what
    /// it wrote.
    fn look_behind(&mut self, name: &SyncName, outcome: Outcome) {
        let readers = self
            .settings
            .upstreams()
            .iter()
            .filter(|(_, upstreams)| upstreams.contains(name))
            .map(|(reader, _)| reader);
        let mut again: BTreeSet<SyncName> = readers.cloned().collect();
        if outcome != Outcome::Ok {
            again.insert(name.clone());
        }
        if !again.is_empty() {
            self.ask_servers(&Asked::Of(again.iter().cloned().collect()));
            self.looks.ask(Scope::syncs(again));
        }
    }
}

/// What the address of a sync is told of such an end. What goes on by itself is told when it has.
fn ping(sync: &Sync, outcome: Outcome) -> Option<Call> {
    let sign = match outcome {
        Outcome::Ok => PingSign::Success,
        Outcome::Failed | Outcome::Held => PingSign::Failure,
        Outcome::Skipped | Outcome::Interrupted => return None,
    };
    Some(Call::Ping(sync.ping.clone()?, sign))
}
