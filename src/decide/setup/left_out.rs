//! What does not belong in a backup: what programs make again by themselves.

use std::path::Path;

use crate::model::Filter;

/// Something that is proposed to be left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The pattern, as a rule of rsync.
    pub pattern: String,
    /// What it is, for people.
    pub what: &'static str,
}

impl Proposal {
    /// The filter.
    #[must_use]
    pub fn filter(&self) -> Filter {
        Filter::Exclude(self.pattern.clone())
    }
}

/// Below a home directory.
const OF_A_HOME: [(&str, &str); 14] = [
    (".cache/", CACHES),
    (".thumbnails/", CACHES),
    (".var/app/*/cache/", CACHES),
    ("snap/*/*/.cache/", CACHES),
    (".local/share/Trash/", TRASH),
    (".local/share/containers/", CONTAINERS),
    (".local/share/docker/", CONTAINERS),
    (".local/share/flatpak/", PACKAGES),
    (".cargo/registry/", PACKAGES),
    (".rustup/", PACKAGES),
    (".npm/", PACKAGES),
    (".gradle/caches/", PACKAGES),
    (".m2/repository/", PACKAGES),
    ("go/pkg/", PACKAGES),
];

/// In any directory.
const ANYWHERE: [(&str, &str); 6] = [
    ("node_modules/", BUILT),
    ("__pycache__/", BUILT),
    (".tox/", BUILT),
    (".venv/", BUILT),
    (".Trash-*/", TRASH),
    ("lost+found/", TRASH),
];

/// Below the root of a machine: what is no file on its disks.
const OF_A_MACHINE: [(&str, &str); 7] = [
    ("/proc/*", KERNEL),
    ("/sys/*", KERNEL),
    ("/dev/*", KERNEL),
    ("/run/*", KERNEL),
    ("/tmp/*", CACHES),
    ("/var/tmp/*", CACHES),
    ("/var/cache/*", CACHES),
];

const CACHES: &str = "caches";
const TRASH: &str = "trash";
const CONTAINERS: &str = "images of containers";
const PACKAGES: &str = "packages that can be had again";
const BUILT: &str = "what is built from other files";
const KERNEL: &str = "what only the running system has";
const COPIES: &str = "the copies themselves";

/// What is proposed to be left out of a source, in the order of the rules. `mounted` are the places below which the
/// copies lie.
#[must_use]
pub fn left_out(source: &Path, home: &Path, mounted: Option<&Path>) -> Vec<Proposal> {
    let named = |pattern: String, what| Proposal { pattern, what };
    let mut proposals = Vec::new();
    if let Some(pattern) = mounted.and_then(|mounted| anchored(mounted, source)).filter(|pattern| pattern != "/") {
        proposals.push(named(pattern, COPIES));
    }
    if source == Path::new("/") {
        proposals.extend(OF_A_MACHINE.map(|(pattern, what)| named(pattern.to_owned(), what)));
    }
    // A home that is not below the source has its caches elsewhere.
    if let Some(above) = anchored(home, source) {
        proposals.extend(OF_A_HOME.map(|(pattern, what)| named(format!("{above}{pattern}"), what)));
    }
    proposals.extend(ANYWHERE.map(|(pattern, what)| named(pattern.to_owned(), what)));
    proposals
}

/// A directory below a source as a pattern that fits it alone: `/ada/`; none where its name means something to rsync.
fn anchored(directory: &Path, source: &Path) -> Option<String> {
    let below = directory.strip_prefix(source).ok()?.to_str()?;
    let is_plain = !below.contains(['*', '?', '[', '\\']) && !below.contains(char::is_control);
    is_plain.then(|| if below.is_empty() { "/".to_owned() } else { format!("/{below}/") })
}
