//! A copy of the world to try events on: nobody waits in it, and nothing that it answers is carried out.

use crate::daemon::world::World;
use crate::daemon::world::announcements::Announcements;
use crate::daemon::world::drive_requests::DriveRequests;
use crate::daemon::world::looks::Looks;

impl World {
    /// The copy. Questions to servers that are under way are answered in it by nothing new.
    pub(super) fn shadow(&self) -> Self {
        let mut shadow = Self {
            initiative: self.initiative,
            stage: self.stage,
            started: self.started,
            settings: self.settings.clone(),
            shortcomings: self.shortcomings.clone(),
            decisions: self.decisions.clone(),
            volumes: self.volumes.clone(),
            drives: self.drives.clone(),
            network: self.network.clone(),
            servers: self.servers.clone(),
            power: self.power,
            suspension: self.suspension.clone(),
            histories: self.histories.clone(),
            requests: self.requests.without_those_who_wait(),
            drive_requests: DriveRequests::default(),
            runs: self.runs.clone(),
            plan: self.plan.clone(),
            announcements: Announcements::default(),
            checks: self.checks.clone(),
            looks: Looks::default(),
            first_look: self.first_look,
            leftovers: self.leftovers.clone(),
            dice: self.dice.clone(),
        };
        shadow.servers.land_all();
        shadow
    }
}
