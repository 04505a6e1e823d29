//! What would become of each sync, once something has happened that is only supposed.

use crate::daemon::world::World;
use crate::daemon::world::candidates::gives_way;
use crate::daemon::world::plan::Outlook;
use crate::daemon::world::runs::Run;
use crate::daemon::world::volumes::is_away;
use crate::decide::due::Due;
use crate::formats::text;
use crate::model::{Consequence, Foreseen, Interruption, Now, Obstacle, Supposition, SyncName, VolumeName};

/// What is done at once.
#[derive(Debug, Default)]
pub(super) struct AtOnce {
    pub(super) started: Vec<SyncName>,
    pub(super) stopped: Vec<(SyncName, Interruption)>,
}

impl World {
    /// What became of each sync in the copy of the world in which this has happened.
    pub(super) fn fates(&self, what: &Supposition, shadow: &Self, deeds: &AtOnce, now: &Now) -> Vec<Foreseen> {
        let first: Vec<&SyncName> = deeds.started.iter().chain(shadow.plan.queue()).collect();
        let names = self.settings.configuration().syncs.keys();
        let rest = names.filter(|name| !first.contains(name));
        let order: Vec<&SyncName> = first.iter().copied().chain(rest).collect();
        let mut all: Vec<Foreseen> =
            order.into_iter().map(|name| self.fate(name, what, (shadow, deeds), now)).collect();
        all.sort_by_key(|foreseen| foreseen.fate);
        all
    }

    fn fate(&self, name: &SyncName, what: &Supposition, (shadow, deeds): (&Self, &AtOnce), now: &Now) -> Foreseen {
        let told = |fate, reasons| Foreseen { sync: name.clone(), fate, after: None, reasons };
        let stopped = deeds.stopped.iter().find(|(sync, _)| sync == name).map(|(_, why)| why);
        if let Some(run) = self.runs.get(name) {
            let why = stopped.or(run.told_to_stop()).cloned().or_else(|| self.ends_by_itself(run, what, shadow));
            return why.map_or_else(
                || told(Consequence::GoesOn, Vec::new()),
                |why| told(Consequence::Interrupted, vec![why.to_string()]),
            );
        }
        if deeds.started.contains(name) {
            return told(Consequence::Starts, Vec::new());
        }
        if let Some(candidate) = shadow.plan.candidates().get(name) {
            if shadow.suspension.is_near() {
                return told(Consequence::Stays, vec!["it would wait until the machine wakes".to_owned()]);
            }
            let after = candidate.ready_at.since(now.boot);
            return Foreseen { after: (!after.is_zero()).then_some(after), ..told(Consequence::Starts, Vec::new()) };
        }
        told(Consequence::Stays, shadow.why_it_stays(name, now))
    }

    /// Why a run would end that nobody tells to stop: at a server, or on what a hook mounted, it notices by itself.
    fn ends_by_itself(&self, run: &Run, what: &Supposition, shadow: &Self) -> Option<Interruption> {
        let (source, destination) = (&run.sync.source.volume, &run.sync.destination.volume);
        match what {
            Supposition::Unplug(volume) => {
                let on_it = self.settings.on_the_drive_of(volume);
                let lost = |end: &VolumeName| on_it.contains(end).then(|| self.pulled_out(end));
                let source = lost(source).map(Interruption::SourceLost);
                source.or_else(|| lost(destination).map(Interruption::DestinationLost))
            }
            Supposition::Leave | Supposition::Join(_) => {
                let is_lost = |end: &VolumeName| {
                    let sight = shadow.volumes.get(end).map(|state| &state.sight);
                    self.settings.is_on_server(end) && (*what == Supposition::Leave || sight.is_some_and(is_away))
                };
                let is_cut_off = is_lost(source) || is_lost(destination);
                is_cut_off.then(|| Interruption::Network("its server is out of reach".into()))
            }
            Supposition::Plug(_) | Supposition::Sleep | Supposition::Metered | Supposition::Unmetered => None,
        }
    }

    fn pulled_out(&self, volume: &VolumeName) -> String {
        match self.host_of(volume) {
            Some(host) => format!("drive `{volume}` was pulled out of `{host}`"),
            None => format!("drive `{volume}` was pulled out"),
        }
    }

    fn why_it_stays(&self, name: &SyncName, now: &Now) -> Vec<String> {
        let Some(prospect) = self.plan.prospects().get(name) else { return Vec::new() };
        let firm: Vec<&Obstacle> = Outlook::obstacles(prospect).filter(|found| !gives_way(found, None)).collect();
        if !firm.is_empty() {
            return firm.into_iter().map(ToString::to_string).collect();
        }
        vec![match prospect.due {
            Due::At(at) => format!("no copy is due before {}", text::wall_time(at, &now.zone)),
            Due::NextAppearance => "its copy of this appearance is made".to_owned(),
            Due::Now(_) => "its places were not looked at yet".to_owned(),
        }]
    }
}
