//! The effective configuration as TOML: defaults filled in, `extends` resolved, groups kept. Read again, it is the
//! same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write as _};
use std::path::Path;

use toml::{Table, Value};

use crate::formats::config::daemon::NOTIFY;
use crate::formats::config::volumes::WHEN_DONE;
use crate::formats::duration;
use crate::model::{
    BatteryRule, CheckRule, Configuration, CredentialProvider, Drive, Endpoint, Every, Filter, Guard, HookCommand,
    KeepRules, Location, MeteredRule, Monitoring, Mounting, MountsBelow, PingUrl, Retention, RsyncOptions, Sync,
    Volume, VolumeName, VolumeRoot,
};

/// The effective configuration as TOML.
#[must_use]
pub fn show(configuration: &Configuration) -> String {
    let mut page = Page::default();
    let settings = &configuration.daemon;
    page.title("daemon");
    page.line("max-parallel", whole(settings.max_parallel));
    page.line("settle", text(duration::format(settings.settle)));
    page.line("grace", text(duration::format(settings.grace)));
    page.line("notify", text(named(&NOTIFY, &settings.notify)));
    for (name, location) in &configuration.locations {
        page.title(format_args!("locations.{}", key(name)));
        self::location(&mut page, location);
    }
    for (name, endpoint) in &configuration.endpoints {
        page.title(format_args!("ssh-endpoints.{}", key(name)));
        self::endpoint(&mut page, endpoint);
    }
    for (name, volume) in &configuration.volumes {
        page.title(format_args!("volumes.{}", key(name)));
        self::volume(&mut page, volume);
    }
    for (name, group) in &configuration.groups {
        page.title(format_args!("groups.{}", key(name)));
        page.line("volumes", texts(&group.volumes));
    }
    page.title("credentials");
    credentials(&mut page, &configuration.credentials);
    let Monitoring { textfile, ping } = &configuration.monitoring;
    if textfile.is_some() || ping.is_some() {
        page.title("monitoring");
        page.maybe("textfile", textfile.as_deref().map(path));
        page.maybe("ping", ping.as_ref().map(|ping| text(ping.as_str())));
    }
    for (name, copies) in copies(configuration) {
        let Some(sync) = copies.first() else { continue };
        page.title(format_args!("syncs.{}", key(name)));
        let members: BTreeSet<_> = copies.iter().map(|copy| &copy.destination.volume).collect();
        let destination = destination(configuration, sync, &members);
        self::sync(&mut page, sync, &destination);
    }
    page.text
}

/// The syncs under their names in the file, each with its copies.
fn copies(configuration: &Configuration) -> BTreeMap<&str, Vec<&Sync>> {
    let mut copies: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (name, sync) in &configuration.syncs {
        copies.entry(name.base()).or_default().push(sync);
    }
    copies
}

/// The place that a sync writes: on a volume, or on the group that has exactly these members.
fn destination(configuration: &Configuration, sync: &Sync, members: &BTreeSet<&VolumeName>) -> String {
    if sync.name.base() == sync.name.as_str() {
        return sync.destination.to_string();
    }
    let same = configuration.groups.values().find(|group| group.volumes.iter().collect::<BTreeSet<_>>() == *members);
    match same {
        Some(group) => format!("{}:{}", group.name, sync.destination.subdir.as_path().display()),
        None => sync.destination.to_string(),
    }
}

/// The text so far.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn title(&mut self, title: impl Display) {
        let space = if self.text.is_empty() { "" } else { "\n" };
        let _ = writeln!(self.text, "{space}[{title}]");
    }

    fn line(&mut self, key: &str, value: impl Display) {
        let _ = writeln!(self.text, "{key} = {value}");
    }

    fn maybe(&mut self, key: &str, value: Option<Value>) {
        if let Some(value) = value {
            self.line(key, value);
        }
    }
}

/// A name as a key: bare, unless it holds a dot.
fn key(name: impl Display) -> String {
    let name = name.to_string();
    if name.contains('.') { text(name).to_string() } else { name }
}

fn text(text: impl Display) -> Value {
    Value::String(text.to_string())
}

fn texts<T: Display>(list: &[T]) -> Value {
    Value::Array(list.iter().map(text).collect())
}

fn path(path: &Path) -> Value {
    text(path.display())
}

fn whole(number: impl TryInto<i64>) -> Value {
    Value::Integer(number.try_into().unwrap_or(i64::MAX))
}

fn location(page: &mut Page, location: &Location) {
    for (key, list) in [
        ("ssids", &location.ssids),
        ("connections", &location.connections),
        ("gateways", &location.gateways),
        ("subnets", &location.subnets),
    ] {
        if !list.is_empty() {
            page.line(key, texts(list));
        }
    }
}

fn endpoint(page: &mut Page, endpoint: &Endpoint) {
    page.line("host", text(&endpoint.host));
    page.maybe("port", endpoint.port.map(whole));
    page.maybe("user", endpoint.user.as_ref().map(text));
    page.maybe("key", endpoint.key.as_deref().map(path));
    page.line("locations", texts(&endpoint.locations));
    page.line("proxy-jump", texts(&endpoint.proxy_jump));
    page.line("connect-timeout", text(duration::format(endpoint.connect_timeout)));
    page.maybe("known-hosts", endpoint.known_hosts.as_deref().map(path));
    page.line("options", texts(&endpoint.options));
}

fn volume(page: &mut Page, volume: &Volume) {
    match &volume.root {
        VolumeRoot::Directory(directory) => {
            if !volume.repositories.is_empty() {
                page.line("git", texts(&volume.repositories));
            }
            page.line("path", path(directory));
        }
        VolumeRoot::Drive(drive) => self::drive(page, drive),
        VolumeRoot::Server(server) => {
            page.line("ssh", texts(&server.endpoints));
            if !server.path.as_os_str().is_empty() {
                page.line("path", path(&server.path));
            }
            if let Some(drive) = &server.drive {
                self::drive(page, drive);
            }
        }
    }
}

fn drive(page: &mut Page, drive: &Drive) {
    page.line("drive", text(&drive.uuid));
    match &drive.mounting {
        Mounting::Elsewhere => page.line("mount", Value::Boolean(false)),
        Mounting::ForTheRun { passphrase } => {
            page.line("mount", Value::Boolean(true));
            page.maybe("passphrase", passphrase.as_ref().map(text));
        }
    }
    page.line("when-done", text(named(&WHEN_DONE, &drive.when_done)));
}

fn credentials(page: &mut Page, provider: &CredentialProvider) {
    let name = match provider {
        CredentialProvider::SecretService => "secret-service",
        CredentialProvider::Command(_) => "command",
        CredentialProvider::File => "file",
        CredentialProvider::Environment => "env",
    };
    page.line("provider", text(name));
    if let CredentialProvider::Command(command) = provider {
        page.line("command", texts(command));
    }
}

fn sync(page: &mut Page, sync: &Sync, destination: &str) {
    page.line("source", text(&sync.source));
    page.line("destination", text(destination));
    page.line("enabled", Value::Boolean(sync.enabled));
    page.line("snapshots", text(sync.snapshots.as_str()));
    page.line("keep", keep(sync.keep));
    page.line("every", text(every(sync.every)));
    page.line("max-age", sync.max_age.map_or_else(|| text("off"), |age| text(duration::format(age))));
    page.line("after", Value::Array(sync.after.iter().map(text).collect()));
    page.line("filters", Value::Array(sync.filters.iter().map(filter).collect()));
    page.maybe("filter-file", sync.filter_file.as_deref().map(path));
    page.line("one-file-system", Value::Boolean(sync.mounts == MountsBelow::LeftOut));
    page.line("unchanged", text(sync.unchanged.as_str()));
    page.line("rsync", rsync(sync));
    page.line("when", when(sync));
    let max_delete = match sync.guard {
        Guard::Off => text("off"),
        Guard::MaxDelete(share) => text(format_args!("{share}%")),
    };
    page.line("guard", table([("max-delete", Some(max_delete))]));
    let hooks = sync.hooks.named().map(|(key, hook)| (key.to_owned(), command(hook)));
    page.line("hooks", Value::Table(hooks.collect::<Table>()));
    page.line("verify", verify(sync.verify));
    page.line("ping", text(sync.ping.as_ref().map_or("off", PingUrl::as_str)));
}

fn table<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let fields = fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Table(fields.collect::<Table>())
}

fn every(every: Every) -> String {
    match every {
        Every::Appearance => "0s".to_owned(),
        Every::Interval(interval) => duration::format(interval),
    }
}

fn keep(keep: Retention) -> Value {
    let Retention::Rules(KeepRules { last, hourly, daily, weekly, monthly, yearly }) = keep else { return text("all") };
    let counts = [
        ("last", last),
        ("hourly", hourly),
        ("daily", daily),
        ("weekly", weekly),
        ("monthly", monthly),
        ("yearly", yearly),
    ];
    table(counts.map(|(key, count)| (key, (count > 0).then(|| whole(count)))))
}

fn verify(rule: Option<CheckRule>) -> Value {
    let Some(CheckRule { every, share }) = rule else { return text("off") };
    let sample = text(format_args!("{}%", share.as_percent()));
    table([("every", Some(text(duration::format(every)))), ("sample", Some(sample))])
}

fn filter(filter: &Filter) -> Value {
    match filter {
        Filter::Exclude(pattern) => table([("exclude", Some(text(pattern)))]),
        Filter::Include(pattern) => table([("include", Some(text(pattern)))]),
        Filter::Merge(file) => table([("merge", Some(path(file)))]),
        Filter::DirMerge(name) => table([("dir-merge", Some(text(name)))]),
        Filter::Rule(rule) => text(rule.display()),
    }
}

fn rsync(sync: &Sync) -> Value {
    let rsync = &sync.rsync;
    let options = match &rsync.options {
        RsyncOptions::Default => None,
        RsyncOptions::Replaced(options) => Some(texts(options)),
    };
    let bandwidth = rsync.bandwidth.map_or_else(|| text("off"), |bytes| text(duration::format_size(bytes)));
    table([
        ("compress", Some(Value::Boolean(rsync.compress))),
        ("checksum", Some(Value::Boolean(rsync.checksum))),
        ("sparse", Some(Value::Boolean(rsync.kept.sparse))),
        ("hard-links", Some(Value::Boolean(rsync.kept.hard_links))),
        ("bandwidth", Some(bandwidth)),
        ("options", options),
        ("extra-options", Some(texts(&rsync.extra_options))),
    ])
}

fn when(sync: &Sync) -> Value {
    let metered = match sync.when.metered {
        MeteredRule::Avoid => false,
        MeteredRule::Allow => true,
    };
    let battery = match sync.when.battery {
        BatteryRule::Any => text("any"),
        BatteryRule::Mains => text("ac"),
        BatteryRule::AtLeast(share) => text(format_args!("{share}%")),
    };
    let hours = sync.when.hours.map_or_else(|| text("any"), text);
    table([("metered", Some(Value::Boolean(metered))), ("battery", Some(battery)), ("hours", Some(hours))])
}

fn command(command: &HookCommand) -> Value {
    Value::Array(std::iter::once(&command.program).chain(&command.arguments).map(text).collect())
}

/// The name under which the file knows a value.
fn named<T: PartialEq>(choices: &[(&'static str, T)], value: &T) -> &'static str {
    choices.iter().find(|(_, choice)| choice == value).map_or("", |(name, _)| name)
}
