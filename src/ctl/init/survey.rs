//! Where copies could go: the drives that are in, and the servers that the user's ssh knows, which are asked while a
//! person reads.

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use super::places::{self, Vicinity};
use super::start::Start;
use crate::decide::setup::is_eligible;
use crate::formats::text::{printable, size};
use crate::model::{BlockDevice, DeviceRole, Route};
use crate::os::deadline::Deadline;
use crate::os::ssh::SshPlace;
use crate::os::ssh::named::named_hosts;
use crate::os::{clock, state_dir};

/// No more servers than these are asked.
const MOST_SERVERS: usize = 16;
/// How long a person waits at most for those that have not answered when they are shown.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How often it is looked whether they have.
const BETWEEN: Duration = Duration::from_millis(20);
/// Where copies go on a server if nothing else is said: below the home directory of the account.
const PLACE_THERE: &str = "backups";

/// A place that is proposed.
pub(super) struct Offer {
    /// What it is, as it would be typed.
    pub text: String,
    /// What a person is shown.
    pub shown: String,
    /// Whether it can be had now.
    pub is_ready: bool,
}

/// The drives that could hold copies.
pub(super) fn eligible_drives(looks: &Vicinity) -> Vec<Offer> {
    let eligible = |device: &&BlockDevice| is_eligible(device, &looks.seen());
    let mut seen = Vec::new();
    let mut offers = Vec::new();
    for device in looks.devices.iter().filter(eligible) {
        // A filesystem on several devices is one.
        if seen.contains(&&device.uuid) {
            continue;
        }
        seen.push(&device.uuid);
        offers.push(drive(device, looks));
    }
    offers.sort_by_key(|offer| !offer.is_ready);
    offers
}

fn drive(device: &BlockDevice, looks: &Vicinity) -> Offer {
    let name = device.label.clone().unwrap_or_else(|| device.node.display().to_string());
    let mount = places::used(device, looks);
    let kind = match &device.role {
        DeviceRole::Filesystem(kind) | DeviceRole::OnMembers(kind) => kind.clone(),
        DeviceRole::Unlocked { filesystem, .. } => format!("{filesystem}, encrypted"),
        DeviceRole::Container => "encrypted, closed".to_owned(),
        DeviceRole::Member | DeviceRole::MemberInside(_) => "a part of something larger".to_owned(),
    };
    let free = mount.and_then(|mount| state_dir::room(&mount.point));
    let free = free.map(|room| format!(", {} free", size(room.bytes))).unwrap_or_default();
    let place = mount.map_or_else(|| ", not mounted".to_owned(), |mount| format!(", {}", mount.point.display()));
    Offer {
        text: mount.map_or_else(|| device.uuid.to_string(), |mount| mount.point.display().to_string()),
        shown: printable(&format!("{name}  {}{free}, {kind}{place}", size(device.size))).into_owned(),
        is_ready: mount.is_some(),
    }
}

/// How much room a server has, as far as it tells; or why it does not answer.
type Answer = Result<Option<u64>, String>;

/// Servers that are being asked.
pub(super) struct Survey {
    hosts: Vec<String>,
    told: Receiver<(usize, Answer)>,
    heard: Vec<Option<Answer>>,
}

impl Survey {
    /// Asks the servers of the configuration and of the user's ssh, each in a thread of its own.
    pub fn begin(start: &Start<'_>) -> Self {
        let endpoints = &start.configuration.endpoints;
        let mut hosts: Vec<String> = endpoints.keys().map(ToString::to_string).collect();
        let is_known = |host: &String| endpoints.values().any(|endpoint| endpoint.host == *host);
        hosts.extend(named_hosts(&start.paths.home).into_iter().filter(|host| !is_known(host)));
        hosts.truncate(MOST_SERVERS);
        let (tell, told) = sync_channel(MOST_SERVERS);
        let place = SshPlace::new(start.paths.runtime_dir());
        for (number, host) in hosts.iter().enumerate() {
            let Ok((_, route)) = places::way(host, &start.configuration) else { continue };
            let (tell, place) = (tell.clone(), place.clone());
            let asks = move || {
                // Nobody may be listening any more.
                let _ = tell.send((number, room_at(&route, &place)));
            };
            // What is not asked has not answered.
            let _ = std::thread::Builder::new().name("survey".into()).spawn(asks);
        }
        let heard = hosts.iter().map(|_| None).collect();
        Self { hosts, told, heard }
    }

    /// What they said so far; those that are still silent get a moment more.
    pub fn offers(&mut self) -> Vec<Offer> {
        let deadline = Deadline::after(PATIENCE);
        loop {
            while let Ok((number, answer)) = self.told.try_recv() {
                if let Some(heard) = self.heard.get_mut(number) {
                    *heard = Some(answer);
                }
            }
            if self.heard.iter().all(Option::is_some) || deadline.has_passed() {
                break;
            }
            clock::wait(BETWEEN);
        }
        let mut offers: Vec<_> =
            self.hosts.iter().zip(&self.heard).map(|(host, heard)| server(host, heard.as_ref())).collect();
        offers.sort_by_key(|offer| !offer.is_ready);
        offers
    }
}

fn room_at(route: &Route, place: &SshPlace) -> Answer {
    places::asked(route, Path::new(""), place).map(|site| site.free)
}

fn server(host: &str, heard: Option<&Answer>) -> Offer {
    let told = match heard {
        Some(Ok(free)) => free.map_or_else(|| "answers".to_owned(), |free| format!("answers, {} free", size(free))),
        Some(Err(why)) => why.split(';').next().unwrap_or(why).to_owned(),
        None => "has not answered yet".to_owned(),
    };
    let text = format!("{host}:{PLACE_THERE}");
    Offer { shown: printable(&format!("{text}  {told}")).into_owned(), text, is_ready: matches!(heard, Some(Ok(_))) }
}
