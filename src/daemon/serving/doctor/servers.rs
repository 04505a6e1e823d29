//! Whether servers do what runs need of them beside what each look at them tells.

use std::collections::BTreeSet;

use crate::backup::errands::hands::whose;
use crate::backup::session::stop;
use crate::daemon::serving::doctor::premises::Premises;
use crate::decide::diagnosis::{hands, volumes};
use crate::decide::reach;
use crate::formats::rsync::chosen::follows_links;
use crate::model::{Absence, End, Examined, Obstacle, ServerKey, Volume, VolumeRoot};
use crate::os::enclosure;
use crate::os::ssh::SshPlace;
use crate::os::ssh::shared::admits_several_sessions;

/// Servers that are within reach and admit one session for each connection.
pub(crate) fn sessions(known: &Premises) -> Vec<Examined> {
    let place = SshPlace::new(known.paths.runtime_dir());
    let locations: BTreeSet<_> = known.status.locations.iter().cloned().collect();
    let wanted = |volume: &&Volume| {
        known.configuration.syncs.values().any(|sync| sync.enabled && sync.uses(&volume.name))
            && is_reached(known, volume)
    };
    let mut tried = BTreeSet::new();
    let mut examined = Vec::new();
    for volume in known.configuration.volumes.values().filter(wanted) {
        let VolumeRoot::Server(server) = &volume.root else { continue };
        if !tried.insert(&server.endpoints) {
            continue;
        }
        let routes = reach::routes(&ServerKey(server.endpoints.clone()), &known.configuration, &locations);
        // By the first way that leads there, as a run.
        let answer = routes.iter().find_map(|route| Some((route, admits_several_sessions(route, &place)?)));
        if let Some((route, false)) = answer {
            examined.push(volumes::one_session(&volume.name, &route.endpoint.host));
        }
    }
    examined
}

/// In whose hands the ends at servers are, and what holds rsync there. What cannot be proven is told of by its volume.
pub(crate) fn hands(known: &Premises) -> Vec<Examined> {
    let place = SshPlace::new(known.paths.runtime_dir());
    let Ok((_teller, mut stops)) = stop::pair() else { return Vec::new() };
    let mut examined = Vec::new();
    for seen in known.seen.iter().filter(|seen| seen.sync.enabled && !follows_links(&seen.sync.rsync)) {
        for which in [End::Source, End::Destination] {
            if let Ok(Some((host, hands))) = whose(seen, which, &place, &mut stops) {
                examined.push(hands::at_a_server(&seen.sync, which, &host, &hands));
            }
        }
    }
    examined
}

/// Syncs that have links followed.
pub(crate) fn links(known: &Premises) -> Vec<Examined> {
    let is_root = enclosure::tried().is_root;
    let syncs = known.configuration.syncs.values();
    let following = syncs.filter(|sync| sync.enabled && follows_links(&sync.rsync));
    following.map(|sync| hands::links_followed(sync, is_root)).collect()
}

/// Whether a server answered: one that did not is told of by its volume.
fn is_reached(known: &Premises, volume: &Volume) -> bool {
    let is_away = |obstacle: &Obstacle| {
        matches!(obstacle, Obstacle::VolumeAbsent { absence: Absence::Host(_) | Absence::Elsewhere, .. })
    };
    let seen = known.status.volumes.iter().find(|seen| seen.name == volume.name);
    seen.is_some_and(|seen| !seen.obstacles.iter().any(is_away))
}
