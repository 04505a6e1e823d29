//! Volumes, groups, and where secrets come from.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;

use super::mistake::quoted;
use super::names::{Names, given};
use super::reader::{BadValue, Fields, Reading};
use super::words;
use crate::model::{
    CredentialProvider, Drive, DriveUuid, EndpointName, Group, GroupName, Mounting, RepositoryUrl, Server, Volume,
    VolumeName, VolumeRoot, WhenDone,
};

/// What may happen to a drive after a run, under the names of the file.
pub(super) const WHEN_DONE: [(&str, WhenDone); 4] = [
    ("leave", WhenDone::Leave),
    ("unmount", WhenDone::Unmount),
    ("lock", WhenDone::Lock),
    ("power-off", WhenDone::PowerOff),
];

/// All volumes.
pub(super) fn volumes(
    reading: &mut Reading<'_>,
    file: &Fields<'_>,
    endpoints: &Names<'_>,
) -> BTreeMap<VolumeName, Volume> {
    let mut volumes = BTreeMap::new();
    for (place, fields) in file.named(reading, "volumes") {
        let name = given::<VolumeName>(reading, &place);
        let root = root(reading, &fields, &place, endpoints);
        let repositories = repositories(reading, &fields);
        if let (Some(name), Some(root)) = (name, root) {
            volumes.insert(name.clone(), Volume { name, root, repositories });
        }
    }
    volumes
}

fn root(
    reading: &mut Reading<'_>,
    fields: &Fields<'_>,
    name: &Spanned<&str>,
    endpoints: &Names<'_>,
) -> Option<VolumeRoot> {
    let context = reading.context;
    let on_server = fields.get("ssh").is_some();
    let ssh = endpoints.references::<EndpointName>(reading, fields, "ssh");
    let path = fields
        .parsed(reading, "path", |text| if on_server { words::remote_path(text) } else { words::path(text, context) });
    let drive = drive(reading, fields);
    if on_server {
        let endpoints = ssh?;
        if fields.list(reading, "ssh").is_some_and(<[_]>::is_empty) {
            let problem = BadValue::new("`ssh` names no endpoint").help("name at least one of [ssh-endpoints]");
            reading.mistake(fields.place("ssh"), problem);
        }
        let path = path.map(Spanned::into_inner).unwrap_or_default();
        return Some(VolumeRoot::Server(Server { endpoints, path, drive }));
    }
    match (fields.get("path").is_some(), fields.get("drive").is_some()) {
        (true, true) => {
            let problem = BadValue::new("a volume has a `path` or a `drive`, not both");
            let help =
                format!("leave out `path`; a sync names a directory of the drive as \"{}:DIRECTORY\"", name.get_ref());
            reading.mistake(fields.place("path"), problem.help(help));
            None
        }
        (true, false) => path.map(|path| VolumeRoot::Directory(path.into_inner())),
        (false, true) => drive.map(VolumeRoot::Drive),
        (false, false) => {
            let problem = BadValue::new(format!("the volume {} is nowhere", quoted(name.get_ref())));
            let help = "write path = \"/DIRECTORY\", drive = \"UUID\", or ssh = [\"ENDPOINT\"]";
            reading.mistake(name.span(), problem.help(help));
            None
        }
    }
}

/// The repositories of a volume. Their mirrors lie in a directory of this machine, each under a name of its own.
fn repositories(reading: &mut Reading<'_>, fields: &Fields<'_>) -> Vec<RepositoryUrl> {
    if fields.get("git").is_none() {
        return Vec::new();
    }
    let context = reading.context;
    let read = |text: &str| {
        let address = match text.strip_prefix("~/") {
            Some(_) => words::path(text, context)?.display().to_string(),
            None => text.to_owned(),
        };
        address.parse::<RepositoryUrl>().map_err(|error| {
            BadValue::new(format!("{} is not the address of a repository: {error}", quoted(text))).help(
                "write it as `git clone` takes it: \"https://example.org/tool.git\", \"git@example.org:tool.git\"",
            )
        })
    };
    let found = fields.texts(reading, "git", read).unwrap_or_default();
    if fields.list(reading, "git").is_some_and(<[_]>::is_empty) {
        let problem = BadValue::new("`git` names no repository").help("name at least one, or leave it out");
        reading.mistake(fields.place("git"), problem);
    }
    for key in ["drive", "ssh"] {
        if fields.get(key).is_some() {
            let problem = BadValue::new(format!("a volume has `git` or `{key}`, not both"));
            let help = "mirrors lie in a directory of this machine, `path`; a sync copies them to where you like";
            reading.mistake(fields.place("git"), problem.help(help));
        }
    }
    let mut names = BTreeSet::new();
    for url in &found {
        let name = url.get_ref().mirror_name();
        if !names.insert(name.clone()) {
            let problem = BadValue::new(format!("two repositories would have the mirror {}", quoted(&name)));
            reading.mistake(url.span(), problem.help("give one of them a volume of its own, with another `path`"));
        }
    }
    found.into_iter().map(Spanned::into_inner).collect()
}

/// The drive of a volume, and the keys that make sense for a drive only.
fn drive(reading: &mut Reading<'_>, fields: &Fields<'_>) -> Option<Drive> {
    let uuid = fields.parsed(reading, "drive", |text| {
        text.parse::<DriveUuid>().map_err(|error| {
            BadValue::new(format!("{} is not the UUID of a drive", quoted(text))).help(error.to_string())
        })
    });
    if fields.get("ssh").is_none() {
        reading.drives.extend(uuid.clone());
    }
    let mount = fields.switch(reading, "mount");
    let passphrase = fields.parsed(reading, "passphrase", words::name);
    let when_done = fields.choice(reading, "when-done", &WHEN_DONE);
    if fields.get("drive").is_none() {
        for key in ["mount", "passphrase", "when-done"] {
            if fields.get(key).is_some() {
                let problem = BadValue::new(format!("`{key}` is for a volume with `drive`"));
                reading.mistake(fields.place(key), problem.help("leave it out, or name the drive: drive = \"UUID\""));
            }
        }
    } else if passphrase.is_some() && mount != Some(true) && (mount.is_some() || fields.get("mount").is_none()) {
        let problem = BadValue::new("`passphrase` is of no use without `mount = true`");
        reading.mistake(fields.place("passphrase"), problem.help("add mount = true, or leave out `passphrase`"));
    }
    let mounting = if mount == Some(true) {
        Mounting::ForTheRun { passphrase: passphrase.map(Spanned::into_inner) }
    } else {
        Mounting::Elsewhere
    };
    Some(Drive { uuid: uuid?.into_inner(), mounting, when_done: when_done.unwrap_or(WhenDone::Leave) })
}

/// All groups.
pub(super) fn groups(reading: &mut Reading<'_>, file: &Fields<'_>, volumes: &Names<'_>) -> BTreeMap<GroupName, Group> {
    let mut groups = BTreeMap::new();
    for (place, fields) in file.named(reading, "groups") {
        let name = given::<GroupName>(reading, &place);
        let members = volumes.references::<VolumeName>(reading, &fields, "volumes");
        let written = fields.get("volumes").is_some();
        if !written || fields.list(reading, "volumes").is_some_and(<[_]>::is_empty) {
            let problem = BadValue::new(format!("the group {} has no volumes", quoted(place.get_ref())));
            reading.mistake(place.span(), problem.help("write volumes = [\"VOLUME\", …]"));
        }
        if volumes.contain(place.get_ref()) {
            let problem = BadValue::new(format!("{} is both a volume and a group", quoted(place.get_ref())));
            reading.mistake(place.span(), problem.help("give the group another name"));
        }
        if let (Some(name), Some(members)) = (name, members) {
            groups.insert(name.clone(), Group { name, volumes: members });
        }
    }
    groups
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Provider {
    SecretService,
    Command,
    File,
    Environment,
}

const PROVIDERS: [(&str, Provider); 4] = [
    ("secret-service", Provider::SecretService),
    ("command", Provider::Command),
    ("file", Provider::File),
    ("env", Provider::Environment),
];

/// Where secrets come from.
pub(super) fn credentials(reading: &mut Reading<'_>, file: &Fields<'_>) -> CredentialProvider {
    let Some(fields) = file.table(reading, "credentials") else { return CredentialProvider::SecretService };
    let context = reading.context;
    let provider = fields.choice(reading, "provider", &PROVIDERS);
    let command = fields.texts(reading, "command", |text| Ok(text.to_owned()));
    if let Some([program]) = command.as_deref()
        && program.get_ref().contains(' ')
        && !program.get_ref().starts_with('/')
    {
        let message = format!("no program is called {}: a command is a list", quoted(program.get_ref()));
        reading.doubt(program.span(), BadValue::new(message).help(words::as_list(program.get_ref())));
    }
    let command = command.map(|words| words.into_iter().map(Spanned::into_inner).collect::<Vec<_>>());
    // A command beside another provider is a choice kept for later: it is checked, and not used.
    let command = command.and_then(|command| match words::command(&command, context) {
        Ok(read) => read.map(|read| std::iter::once(read.program).chain(read.arguments).collect::<Vec<_>>()),
        Err(problem) => {
            reading.mistake(fields.place("command"), problem);
            None
        }
    });
    match provider {
        Some(Provider::Command) => {
            let written = fields.list(reading, "command").is_some_and(|words| !words.is_empty());
            if !written && fields.get("command").is_none_or(|_| command.is_none()) {
                let problem = BadValue::new("the credential provider \"command\" has no `command`");
                reading.mistake(
                    fields.place("provider"),
                    problem.help("write command = [\"pass\", \"show\", \"nbkp/{id}\"]"),
                );
            }
            CredentialProvider::Command(command.unwrap_or_default())
        }
        Some(Provider::File) => CredentialProvider::File,
        Some(Provider::Environment) => CredentialProvider::Environment,
        Some(Provider::SecretService) | None => CredentialProvider::SecretService,
    }
}
