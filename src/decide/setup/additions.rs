//! What the answers of a person add to a configuration: what is there already is used again, and no name is given
//! twice.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::names;
use crate::model::{
    Additions, Cipher, Configuration, CredentialName, Drive, Endpoint, EndpointName, Filter, FoundDrive, FoundPlace,
    FoundServer, KeepRules, Mounter, Mounting, NameError, Place, Retention, Server, ServerWay, SnapshotKind, Subdir,
    SubdirError, Sync, SyncName, Vacancy, Volume, VolumeName, VolumeRoot, WhenDone,
};

/// How long a connection may take to come up.
const CONNECT: Duration = Duration::from_secs(10);
/// From what age on a copy is overdue: a week.
const OVERDUE: Duration = Duration::from_hours(7 * 24);
/// Which snapshots stay.
const KEPT: KeepRules = KeepRules { last: 0, hourly: 0, daily: 7, weekly: 4, monthly: 12, yearly: 0 };

/// What a person wants.
pub struct SyncWish<'a> {
    /// What is copied.
    pub source: &'a FoundPlace,
    /// Where that lies, for its name.
    pub path: &'a Path,
    /// The directory that gets a directory for the copies.
    pub destination: &'a FoundPlace,
    /// How history is kept.
    pub snapshots: SnapshotKind,
    /// What is left out.
    pub filters: Vec<Filter>,
    /// The name, if the person gave one.
    pub name: Option<SyncName>,
    /// What lies at the destination under a name.
    pub vacancy: &'a dyn Fn(&SyncName) -> Vacancy,
}

/// What became of a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drafted {
    /// A sync that is new.
    New(SyncName),
    /// The configuration has it already.
    Already(SyncName),
}

/// Why a wish makes no sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unplanned {
    /// The name is that of another sync.
    NameTaken(SyncName),
    /// Something that is no copy has the name at the destination.
    PlaceTaken(SyncName),
    /// It is set up, and keeps history in another way.
    OtherKind(SyncName, SnapshotKind),
    /// The copies would be copied.
    Inside(PathBuf, PathBuf),
    /// A path cannot be written into a configuration.
    Unwritable(PathBuf, String),
    /// No name could be made.
    Nameless(NameError),
}

impl fmt::Display for Unplanned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameTaken(name) => write!(f, "a sync is called `{name}` already; choose another name with --name"),
            Self::PlaceTaken(name) => write!(
                f,
                "the destination holds something already that is called `{name}` and is no copy of nbkp; choose \
                 another name with --name, or move it away"
            ),
            Self::OtherKind(name, kind) => write!(
                f,
                "`{name}` copies that there already, with snapshots = \"{kind}\"; change it in the configuration file, \
                 or name another destination"
            ),
            Self::Inside(destination, source) => write!(
                f,
                "the destination {} lies in the source {}, so that the copies would be copied; name a destination \
                 outside of it",
                destination.display(),
                source.display()
            ),
            Self::Unwritable(path, why) => {
                write!(f, "{} cannot be written into a configuration: {why}", path.display())
            }
            Self::Nameless(error) => write!(f, "{error}; choose a name with --name"),
        }
    }
}

impl From<NameError> for Unplanned {
    fn from(error: NameError) -> Self {
        Self::Nameless(error)
    }
}

/// A configuration that grows by one wish after another.
pub struct Planner {
    configuration: Configuration,
    home: PathBuf,
    additions: Additions,
}

impl Planner {
    /// Begins with what there is.
    #[must_use]
    pub fn new(configuration: Configuration, home: &Path) -> Self {
        Self { configuration, home: home.into(), additions: Additions::default() }
    }

    /// What came into it.
    #[must_use]
    pub fn additions(self) -> Additions {
        self.additions
    }

    /// Takes in a wish.
    pub fn take_in(&mut self, wish: SyncWish<'_>) -> Result<Drafted, Unplanned> {
        if let (FoundPlace::Directory(source), FoundPlace::Directory(destination)) = (wish.source, wish.destination)
            && destination.starts_with(source)
        {
            return Err(Unplanned::Inside(destination.clone(), source.clone()));
        }
        let source = self.source(wish.source)?;
        let destination = self.destination(wish.destination)?;
        if let Some(known) = self.same(&source, &destination) {
            return if known.snapshots == wish.snapshots {
                Ok(Drafted::Already(known.name.clone()))
            } else {
                Err(Unplanned::OtherKind(known.name.clone(), known.snapshots))
            };
        }
        let name = self.name(&wish, &destination)?;
        let destination = below(&destination, Path::new(name.as_str()))?;
        let sync = Sync {
            snapshots: wish.snapshots,
            keep: if wish.snapshots == SnapshotKind::None { Retention::All } else { Retention::Rules(KEPT) },
            max_age: Some(OVERDUE),
            filters: wish.filters,
            ..Sync::new(name.clone(), source, destination)
        };
        self.configuration.syncs.insert(name.clone(), sync.clone());
        self.additions.syncs.push(sync);
        Ok(Drafted::New(name))
    }

    /// The sync that copies this into a directory there already.
    fn same(&self, source: &Place, destination: &Place) -> Option<&Sync> {
        let leads_there = |place: &Place| {
            let directory = place.subdir.as_path();
            let wanted = destination.subdir.as_path();
            place.volume == destination.volume && (directory == wanted || directory.parent() == Some(wanted))
        };
        self.configuration.syncs.values().find(|sync| sync.source == *source && leads_there(&sync.destination))
    }

    fn name(&self, wish: &SyncWish<'_>, destination: &Place) -> Result<SyncName, Unplanned> {
        let is_known = |name: &SyncName| self.configuration.syncs.keys().any(|known| known.base() == name.as_str());
        let is_written = |name: &SyncName| {
            let place = below(destination, Path::new(name.as_str()));
            place.is_ok_and(|place| self.configuration.syncs.values().any(|sync| sync.destination.overlaps(&place)))
        };
        if let Some(name) = &wish.name {
            return match (wish.vacancy)(name) {
                _ if is_known(name) || is_written(name) => Err(Unplanned::NameTaken(name.clone())),
                Vacancy::Taken => Err(Unplanned::PlaceTaken(name.clone())),
                Vacancy::Free | Vacancy::Copies | Vacancy::Unseen => Ok(name.clone()),
            };
        }
        let plain = names::of_directory(wish.path, &self.home);
        let longer = format!("{plain}-{}", destination.volume);
        let is_taken = |name: &SyncName| is_known(name) || is_written(name) || (wish.vacancy)(name) == Vacancy::Taken;
        Ok(names::free(&[plain, longer], is_taken)?)
    }

    fn source(&mut self, place: &FoundPlace) -> Result<Place, Unplanned> {
        let path = match place {
            FoundPlace::Directory(path) => path,
            FoundPlace::OnDrive(drive, subdir) => return Ok(self.on_drive(drive, subdir.clone())?),
            FoundPlace::OnServer(server, subdir) => return self.on_server(server, subdir),
        };
        let roots = self.configuration.volumes.values().filter_map(|volume| Some((&volume.name, directory(volume)?)));
        let around = roots.filter(|(_, root)| path.starts_with(root));
        let nearest = around.max_by_key(|(_, root)| root.components().count());
        let (volume, root) = if let Some((name, root)) = nearest {
            (name.clone(), root.to_owned())
        } else {
            let root = if path.starts_with(&self.home) { self.home.clone() } else { path.clone() };
            (self.new_directory(&root)?, root)
        };
        let subdir = subdir(path.strip_prefix(&root).unwrap_or(path))?;
        Ok(Place { volume, subdir })
    }

    fn destination(&mut self, place: &FoundPlace) -> Result<Place, Unplanned> {
        match place {
            FoundPlace::Directory(path) => {
                let known = self.configuration.volumes.values().find(|volume| directory(volume) == Some(path));
                let known = known.map(|volume| volume.name.clone());
                let volume = known.map_or_else(|| self.new_directory(path), Ok)?;
                Ok(Place { volume, subdir: Subdir::default() })
            }
            FoundPlace::OnDrive(drive, subdir) => Ok(self.on_drive(drive, subdir.clone())?),
            FoundPlace::OnServer(server, subdir) => self.on_server(server, subdir),
        }
    }

    fn new_directory(&mut self, root: &Path) -> Result<VolumeName, Unplanned> {
        if root.to_str().is_none_or(|text| text.contains(char::is_control)) {
            return Err(unwritable(root, SubdirError::Unsafe));
        }
        let name = names::of_directory(root, &self.home);
        Ok(self.new_volume(&[name], VolumeRoot::Directory(root.into()))?)
    }

    fn on_drive(&mut self, drive: &FoundDrive, subdir: Subdir) -> Result<Place, NameError> {
        let is_it = |volume: &&Volume| match &volume.root {
            VolumeRoot::Drive(known) => known.uuid == drive.uuid || Some(&known.uuid) == drive.inside.as_ref(),
            VolumeRoot::Directory(_) | VolumeRoot::Server(_) => false,
        };
        let known = self.configuration.volumes.values().find(is_it).map(|volume| volume.name.clone());
        let volume = match known {
            Some(name) => name,
            None => self.new_drive(drive)?,
        };
        Ok(Place { volume, subdir })
    }

    fn new_drive(&mut self, drive: &FoundDrive) -> Result<VolumeName, NameError> {
        let label = drive.label.as_deref().and_then(names::simple).unwrap_or_else(|| "drive".to_owned());
        let name: VolumeName = self.free_volume(&[label])?;
        // The passphrase is called like the drive.
        let passphrase: Option<CredentialName> = match drive.encryption {
            Cipher::Luks => Some(name.as_str().parse()?),
            Cipher::Plain => None,
        };
        let mounting = match drive.mounter {
            Mounter::Others => Mounting::Elsewhere,
            Mounter::Daemon => Mounting::ForTheRun { passphrase },
        };
        let root = Drive { uuid: drive.uuid.clone(), mounting, when_done: WhenDone::Leave };
        self.new_volume(&[name.to_string()], VolumeRoot::Drive(root))
    }

    fn on_server(&mut self, server: &FoundServer, subdir: &Subdir) -> Result<Place, Unplanned> {
        let endpoint = match &server.way {
            ServerWay::Known(endpoint) => endpoint.clone(),
            ServerWay::New { user, host } => self.endpoint(user.as_deref(), host)?,
        };
        let around = self.configuration.volumes.values().filter_map(|volume| match &volume.root {
            VolumeRoot::Server(known) if known.drive.is_none() && known.endpoints.contains(&endpoint) => {
                Some((&volume.name, server.root.strip_prefix(&known.path).ok()?))
            }
            VolumeRoot::Server(_) | VolumeRoot::Directory(_) | VolumeRoot::Drive(_) => None,
        });
        // A path below the home directory of the account has nothing to do with one from the root on.
        let mut around = around.filter(|(_, rest)| !rest.is_absolute());
        if let Some((name, rest)) = around.next() {
            let whole = self::subdir(&rest.join(subdir.as_path()))?;
            return Ok(Place { volume: name.clone(), subdir: whole });
        }
        let candidates = [endpoint.to_string(), names::of_directory(&server.root, Path::new(""))];
        let server = Server { endpoints: vec![endpoint], path: server.root.clone(), drive: None };
        let volume = self.new_volume(&candidates, VolumeRoot::Server(server))?;
        Ok(Place { volume, subdir: subdir.clone() })
    }

    /// The endpoint that leads to a host, which is made if there is none.
    fn endpoint(&mut self, user: Option<&str>, host: &str) -> Result<EndpointName, NameError> {
        let leads_there = |endpoint: &&Endpoint| endpoint.host == host && endpoint.user.as_deref() == user;
        if let Some(known) = self.configuration.endpoints.values().find(leads_there) {
            return Ok(known.name.clone());
        }
        let candidate = names::simple(host).unwrap_or_else(|| "server".to_owned());
        let is_taken = |name: &EndpointName| self.configuration.endpoints.contains_key(name);
        let name: EndpointName = names::free(&[candidate], is_taken)?;
        let endpoint = Endpoint::plain(name.clone(), host.to_owned(), user.map(str::to_owned), CONNECT);
        self.configuration.endpoints.insert(name.clone(), endpoint.clone());
        self.additions.endpoints.push(endpoint);
        Ok(name)
    }

    /// Volumes and groups share their names, since a sync may name either.
    fn free_volume(&self, candidates: &[String]) -> Result<VolumeName, NameError> {
        let is_taken = |name: &VolumeName| {
            let is_group = self.configuration.groups.keys().any(|group| group.as_str() == name.as_str());
            is_group || self.configuration.volumes.contains_key(name)
        };
        names::free(candidates, is_taken)
    }

    fn new_volume(&mut self, candidates: &[String], root: VolumeRoot) -> Result<VolumeName, NameError> {
        let name = self.free_volume(candidates)?;
        let volume = Volume { name: name.clone(), root, repositories: Vec::new() };
        self.configuration.volumes.insert(name.clone(), volume.clone());
        self.additions.volumes.push(volume);
        Ok(name)
    }
}

fn directory(volume: &Volume) -> Option<&PathBuf> {
    match &volume.root {
        VolumeRoot::Directory(path) => Some(path),
        VolumeRoot::Drive(_) | VolumeRoot::Server(_) => None,
    }
}

fn below(place: &Place, more: &Path) -> Result<Place, Unplanned> {
    Ok(Place { volume: place.volume.clone(), subdir: subdir(&place.subdir.as_path().join(more))? })
}

fn subdir(path: &Path) -> Result<Subdir, Unplanned> {
    let text = path.to_str().ok_or_else(|| unwritable(path, SubdirError::Unsafe))?;
    text.parse().map_err(|error| unwritable(path, error))
}

fn unwritable(path: &Path, error: SubdirError) -> Unplanned {
    let why = match path.to_str() {
        None => "its name is no UTF-8".to_owned(),
        Some(_) => error.to_string(),
    };
    Unplanned::Unwritable(path.into(), why)
}
