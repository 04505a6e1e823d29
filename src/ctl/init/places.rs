//! The places that a person names, looked at: a directory, a drive, a server.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::start::Start;
use crate::ctl::called::called;
use crate::ctl::command_error::CommandError;
use crate::decide::presence::DrivePresence;
use crate::decide::setup::{
    MachineSeen, SpotOnDrive, drive_at, family, is_misfit, kind_for, mount_of, place_on_drive, presence, used_mount,
    with_uuid,
};
use crate::formats::ssh::arguments;
use crate::formats::ssh::site::{self, DirectoryThere, SiteThere};
use crate::formats::text::{printable, shell_words};
use crate::model::{
    Access, BlockDevice, Cipher, Configuration, DeviceRole, DriveUuid, Endpoint, FilesystemFamily, FoundDrive,
    FoundPlace, FoundServer, Mount, Mounter, Route, ServerWay, SnapshotKind, Subdir, layout,
};
use crate::os::directory::{Directory, Errno};
use crate::os::process::{Bell, Wanted};
use crate::os::ssh::{self, SshPlace};
use crate::os::{disks, entry, environment, files, fstab, mounts, programs};

/// How long a new server may take to let us in.
const CONNECT: Duration = Duration::from_secs(5);
/// How long it may take to answer.
const ANSWER: Duration = Duration::from_secs(15);

/// What was seen of this machine.
pub(super) struct Vicinity {
    pub devices: Vec<BlockDevice>,
    pub mounts: Vec<Mount>,
    pub home: PathBuf,
}

impl Vicinity {
    /// Vicinity around. Where udev does not tell, there are directories and servers.
    pub fn take(start: &Start<'_>) -> Self {
        let home = files::leads_to(&start.paths.home).unwrap_or_else(|_| start.paths.home.clone());
        Self { devices: disks::enumerate().unwrap_or_default(), mounts: mounts::read().unwrap_or_default(), home }
    }

    /// The same, for decisions.
    pub fn seen(&self) -> MachineSeen<'_> {
        MachineSeen { devices: &self.devices, mounts: &self.mounts, home: &self.home }
    }
}

/// What is copied.
pub(super) struct Source {
    /// Where it is, for its name and for what is left out.
    pub path: PathBuf,
    /// As it comes into the configuration.
    pub place: FoundPlace,
}

/// Where copies go.
pub(super) struct CopyTarget {
    /// As it comes into the configuration.
    pub place: FoundPlace,
    /// In words.
    pub shown: String,
    /// What it can hold; `None` where it is not open.
    pub family: Option<FilesystemFamily>,
    /// The type of its filesystem, as far as it is known.
    pub fs_type: Option<String>,
    /// Where it is on this machine, as far as it is.
    pub at: Option<PathBuf>,
    /// The way to the server that it is on, and the directory there.
    pub there: Option<(Route, PathBuf)>,
    /// How much room is left, in bytes.
    pub free: Option<u64>,
}

impl CopyTarget {
    /// The kind of copies that is best there.
    pub fn best_kind(&self) -> Option<SnapshotKind> {
        self.family.map(kind_for)
    }

    /// Refuses a kind of copies that it is known not to hold.
    pub fn must_hold(&self, kind: SnapshotKind) -> Result<(), CommandError> {
        match self.fs_type.as_deref().filter(|fs_type| is_misfit(fs_type, kind)) {
            None => Ok(()),
            Some(fs_type) => Err(CommandError::Usage(format!(
                "{}: {} cannot hold copies with snapshots = \"{kind}\"; without --snapshots it is what does best \
                 there, or name another destination",
                self.shown,
                printable(fs_type)
            ))),
        }
    }
}

/// A source by its path.
pub(super) fn source(path: &Path, start: &Start<'_>, looks: &Vicinity) -> Result<Source, CommandError> {
    let path = absolute(path, start)?;
    let shown = shown(&path);
    let real = files::leads_to(&path)
        .map_err(|error| CommandError::Usage(format!("the source {shown} is not there: {error}; name another one")))?;
    if !real.is_dir() {
        return Err(CommandError::Usage(format!("the source {shown} is no directory; name the one that it lies in")));
    }
    let place = match drive_place(&real, looks) {
        Some(place) => on_drive(&place, Path::new(""), looks)?,
        None => FoundPlace::Directory(real.clone()),
    };
    Ok(Source { path: real, place })
}

/// A destination by what a person calls it: a path, `HOST:DIR`, or a UUID.
pub(super) fn target(text: &str, start: &Start<'_>, looks: &Vicinity) -> Result<CopyTarget, CommandError> {
    if text.chars().any(char::is_control) || text.is_empty() {
        return Err(CommandError::Usage(format!("`{}` is no destination", printable(text))));
    }
    let (before, behind) = text.split_once(':').unwrap_or((text, ""));
    if let Ok(uuid) = before.parse::<DriveUuid>()
        && (text == before || with_uuid(&uuid, &looks.devices).is_some())
        && !Path::new(text).exists()
    {
        return by_uuid(&uuid, behind, start, looks);
    }
    if before.is_empty() || before.contains('/') || !text.contains(':') {
        return by_path(&absolute(Path::new(text), start)?, looks);
    }
    on_server(before, behind, start)
}

fn absolute(path: &Path, start: &Start<'_>) -> Result<PathBuf, CommandError> {
    let path = match path.strip_prefix("~") {
        Ok(below) => start.paths.home.join(below),
        Err(_) => path.to_owned(),
    };
    Ok(environment::absolute(&path)?)
}

fn shown(path: &Path) -> String {
    printable(&path.display().to_string()).into_owned()
}

fn by_path(path: &Path, looks: &Vicinity) -> Result<CopyTarget, CommandError> {
    let around = path.ancestors().find_map(|above| Some((above, files::leads_to(above).ok()?)));
    let (above, real) =
        around.ok_or_else(|| CommandError::Usage(format!("the destination {} is not there", shown(path))))?;
    let rest = path.strip_prefix(above).unwrap_or(Path::new(""));
    if !real.is_dir() {
        return Err(CommandError::Usage(format!("{} is no directory; name another destination", shown(&real))));
    }
    let whole = if rest.as_os_str().is_empty() { real.clone() } else { real.join(rest) };
    let mount = mount_of(&real, &looks.mounts);
    let drive = mount.and_then(|mount| drive_at(mount, &looks.seen()));
    if mount.is_some_and(|mount| mount.access == Access::ReadOnly) {
        return Err(CommandError::Usage(format!("{} is mounted read-only; name another destination", shown(&real))));
    }
    writable(&real)?;
    let place = match drive_place(&real, looks) {
        // A directory that is missing on a drive is made there.
        Some(place) => on_drive(&place, rest, looks)?,
        None if rest.as_os_str().is_empty() => FoundPlace::Directory(real.clone()),
        None => {
            let made = shell_words(&making(&whole));
            let why = format!("the destination {} is not there; make it first: `{}`", shown(&whole), printable(&made));
            return Err(CommandError::Usage(why));
        }
    };
    // By FUSE several are called alike.
    let fs_type = drive.and_then(filesystem).or(mount.map(|mount| mount.fs_type.as_str()));
    Ok(CopyTarget {
        place,
        shown: shown(&whole),
        family: fs_type.map(family),
        fs_type: fs_type.map(str::to_owned),
        free: room(&real),
        there: None,
        at: Some(whole),
    })
}

/// Copies need a place of their own. A drive that was just formatted belongs to root.
fn writable(directory: &Path) -> Result<(), CommandError> {
    let Ok(opened) = Directory::open_root(directory) else { return Ok(()) };
    match entry::forbids_writing(&opened) {
        Some(Errno::ACCESS | Errno::PERM) => {
            let name = shown(directory);
            Err(CommandError::Usage(format!(
                "you may not write to {name}; if it is yours, `sudo chown \"$USER\": {}` lets you, and else name \
                 another destination",
                printable(&shell_words(&[directory.into()]))
            )))
        }
        Some(_) | None => Ok(()),
    }
}

fn by_uuid(uuid: &DriveUuid, below: &str, start: &Start<'_>, looks: &Vicinity) -> Result<CopyTarget, CommandError> {
    let device = with_uuid(uuid, &looks.devices).ok_or_else(|| {
        let client = called("nbkpctl", start.paths);
        let why = format!("no drive with the UUID {uuid} is plugged in; plug it in, or see `{client} drives`");
        CommandError::Failed(why)
    })?;
    if let DrivePresence::Ambiguous { devices } = presence(device, &looks.seen()) {
        let nodes: Vec<_> = devices.iter().map(|node| node.display().to_string()).collect();
        let why = format!("several devices carry the UUID {uuid}: {}; unplug all but one", nodes.join(", "));
        return Err(CommandError::Usage(why));
    }
    let mount = used(device, looks);
    let below: Subdir = below.trim_start_matches('/').parse().map_err(|error: crate::model::SubdirError| {
        CommandError::Usage(format!("`{}` is no directory of a drive: {error}", printable(below)))
    })?;
    if let Some(mount) = mount.filter(|mount| mount.root != Path::new("/")) {
        // A part of it is known by its path.
        return by_path(&mount.point.join(below.as_path()), looks);
    }
    let at = mount.map(|mount| mount.point.join(below.as_path()));
    if let Some(at) = &at {
        at.ancestors().find_map(|above| files::leads_to(above).ok()).map_or(Ok(()), |there| writable(&there))?;
    }
    let name = device.label.clone().unwrap_or_else(|| device.node.display().to_string());
    Ok(CopyTarget {
        place: FoundPlace::OnDrive(found_drive(device, looks)?, below),
        shown: at.as_deref().map_or_else(|| format!("the drive {}", printable(&name)), shown),
        family: filesystem(device).map(family),
        fs_type: filesystem(device).map(str::to_owned),
        free: mount.and_then(|mount| room(&mount.point)),
        there: None,
        at,
    })
}

fn filesystem(device: &BlockDevice) -> Option<&str> {
    match &device.role {
        DeviceRole::Filesystem(kind) | DeviceRole::Unlocked { filesystem: kind, .. } | DeviceRole::OnMembers(kind) => {
            Some(kind)
        }
        DeviceRole::Container | DeviceRole::Member | DeviceRole::MemberInside(_) => None,
    }
}

/// The mount that the daemon takes for a drive.
pub(super) fn used<'a>(device: &BlockDevice, looks: &'a Vicinity) -> Option<&'a Mount> {
    used_mount(device, &looks.seen(), &is_marked)
}

/// Whether a mount was prepared before.
fn is_marked(mount: &Mount) -> bool {
    entry::look_at(&mount.point.join(layout::VOLUME_SENTINEL)).is_some()
}

/// Where a directory lies on a drive, if the daemon will come to the very same there.
fn drive_place<'a>(real: &Path, looks: &'a Vicinity) -> Option<SpotOnDrive<'a>> {
    let place = place_on_drive(real, &looks.seen(), &is_marked)?;
    let identity = |path: &Path| Directory::open_root(path).ok()?.identity().ok();
    let (here, there) = (identity(real)?, identity(&place.mount.point.join(&place.below))?);
    ((here.device, here.inode) == (there.device, there.inode)).then_some(place)
}

fn on_drive(place: &SpotOnDrive<'_>, rest: &Path, looks: &Vicinity) -> Result<FoundPlace, CommandError> {
    let below: PathBuf = place.below.components().chain(rest.components()).collect();
    let unwritable = |why: &str| {
        let path = shown(&place.mount.point.join(&below));
        CommandError::Usage(format!("{path} cannot be written into a configuration: {why}"))
    };
    let text = below.to_str().ok_or_else(|| unwritable("it is no UTF-8"))?;
    let below = text.parse().map_err(|error: crate::model::SubdirError| unwritable(&error.to_string()))?;
    Ok(FoundPlace::OnDrive(found_drive(place.device, looks)?, below))
}

fn found_drive(device: &BlockDevice, looks: &Vicinity) -> Result<FoundDrive, CommandError> {
    let (uuid, inside, encryption) = match &device.role {
        DeviceRole::Filesystem(_) => (&device.uuid, None, Cipher::Plain),
        DeviceRole::Unlocked { container, .. } => (container, Some(device.uuid.clone()), Cipher::Luks),
        DeviceRole::Container => (&device.uuid, None, Cipher::Luks),
        DeviceRole::Member | DeviceRole::MemberInside(_) | DeviceRole::OnMembers(_) => {
            return Err(CommandError::Usage(format!(
                "{} is a part of LVM or RAID; open and mount it yourself, and name the directory where it is mounted",
                device.node.display()
            )));
        }
    };
    Ok(FoundDrive {
        uuid: uuid.clone(),
        inside,
        label: device.label.clone(),
        encryption,
        mounter: mounter(device, encryption, looks),
    })
}

/// Nobody but the daemon opens a container before a run, unless the system does.
fn mounter(device: &BlockDevice, cipher: Cipher, looks: &Vicinity) -> Mounter {
    let has_udisks = || programs::find_program("udisksctl").is_some();
    if !fstab::places_of(device, &looks.devices).is_empty() {
        return Mounter::Others;
    }
    match cipher {
        Cipher::Plain if !has_udisks() => Mounter::Others,
        Cipher::Plain | Cipher::Luks => Mounter::Daemon,
    }
}

/// What makes a directory.
fn making(directory: &Path) -> [OsString; 3] {
    ["mkdir".into(), "-p".into(), directory.into()]
}

fn room(path: &Path) -> Option<u64> {
    crate::os::state_dir::room(path).map(|room| room.bytes)
}

/// The way to a host as a person names it, with or without an account before it.
pub(super) fn way(named: &str, configuration: &Configuration) -> Result<(ServerWay, Route), CommandError> {
    let bad = || {
        CommandError::Usage(format!(
            "`{}` is no host; write it as ssh takes it: HOST:DIR or USER@HOST:DIR",
            printable(named)
        ))
    };
    let (user, host) = named.rsplit_once('@').map_or((None, named), |(user, host)| (Some(user), host));
    let is_word = |word: &str| !word.is_empty() && !word.starts_with('-') && !word.contains(char::is_whitespace);
    if !is_word(host) || !user.is_none_or(is_word) {
        return Err(bad());
    }
    let leads_there = |endpoint: &&Endpoint| {
        endpoint.name.as_str() == named || (endpoint.host == host && endpoint.user.as_deref() == user)
    };
    let known = configuration.endpoints.values().find(leads_there);
    if let Some(endpoint) = known
        && let Some(route) = configuration.route(&endpoint.name)
    {
        return Ok((ServerWay::Known(endpoint.name.clone()), route));
    }
    let name = "new".parse().map_err(|_| bad())?;
    let endpoint = Endpoint::plain(name, host.to_owned(), user.map(str::to_owned), CONNECT);
    let way = ServerWay::New { user: user.map(str::to_owned), host: host.to_owned() };
    Ok((way, Route { endpoint, hops: Vec::new() }))
}

/// Asks a server for one of its directories; why it does not tell, as a sentence with what to do.
pub(super) fn asked(route: &Route, directory: &Path, place: &SshPlace) -> Result<SiteThere, String> {
    let call = site::call(directory);
    let bell = Bell::new().map_err(|error| format!("could not ask {}: {error}", route.endpoint.host))?;
    let words: &[OsString] = &call.words;
    let said = ssh::ask(route, place, (call.script, words), ANSWER, &bell, || Wanted::GoOn);
    let said = said.map_err(|fault| format!("{fault}; {}", fault.hint()))?;
    site::site(&said.output).ok_or_else(|| format!("`{}` answers in a way that makes no sense", route.endpoint.host))
}

fn on_server(named: &str, directory: &str, start: &Start<'_>) -> Result<CopyTarget, CommandError> {
    let (way, route) = way(named, &start.configuration)?;
    let directory = directory.strip_prefix("~/").unwrap_or(directory);
    let directory = Path::new(if directory == "~" { "" } else { directory });
    let seen = asked(&route, directory, &SshPlace::new(start.paths.runtime_dir())).map_err(CommandError::Failed)?;
    let name = printable(&format!("{named}:{}", directory.display())).into_owned();
    let (root, below) = match seen.directory {
        DirectoryThere::Open => (directory, Path::new("")),
        DirectoryThere::Missing if directory.is_relative() => (Path::new(""), directory),
        DirectoryThere::Missing => {
            let made = arguments::typed(&route, &making(directory));
            let why = format!("{name} is not there; make it first: `{}`", printable(&made));
            return Err(CommandError::Usage(why));
        }
        DirectoryThere::Closed => {
            return Err(CommandError::Usage(format!("{name} is no directory that the account there may enter")));
        }
    };
    if !seen.is_writable {
        return Err(CommandError::Usage(format!(
            "the account at `{named}` may not write to {}; name a directory of its own, or give it this one",
            directory.display()
        )));
    }
    let below: Subdir = below.to_str().unwrap_or_default().parse().map_err(|error: crate::model::SubdirError| {
        CommandError::Usage(format!("{name} cannot be written into a configuration: {error}"))
    })?;
    Ok(CopyTarget {
        place: FoundPlace::OnServer(FoundServer { way, root: root.into() }, below),
        shown: name,
        family: Some(seen.fs_type.as_deref().map_or(FilesystemFamily::Posix, family)),
        fs_type: seen.fs_type,
        free: seen.free,
        there: Some((route, directory.into())),
        at: None,
    })
}
