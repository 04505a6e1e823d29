//! Mirrors of repositories: fetched, copied, and nothing of them lost that its repository lets go.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::drive::Filesystem::Ext4;
use crate::common::mini_host::{MiniHost, array};

/// A repository of somebody else's, with a way to change it.
struct Forge {
    bare: PathBuf,
    work: PathBuf,
}

/// Calls git in a directory, which must go well. Returns what it said.
#[track_caller]
fn git(directory: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.arg("-C").arg(directory).args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]).args(arguments);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_AUTHOR_DATE", "2026-11-22T17:30:00Z");
    let done = command.output().unwrap();
    assert!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

impl Forge {
    fn new(at: &Path, name: &str) -> Self {
        let forge = Self { bare: at.join(format!("{name}.git")), work: at.join(format!("{name}-work")) };
        std::fs::create_dir_all(&forge.work).unwrap();
        git(at, &["init", "--quiet", "--bare", "--initial-branch=trunk", forge.bare.to_str().unwrap()]);
        git(&forge.work, &["init", "--quiet", "--initial-branch=trunk"]);
        git(&forge.work, &["remote", "add", "origin", forge.bare.to_str().unwrap()]);
        forge.commit("first");
        forge
    }

    /// Commits on the branch that is checked out, and pushes it. Returns the commit.
    fn commit(&self, what: &str) -> String {
        std::fs::write(self.work.join("file"), what).unwrap();
        git(&self.work, &["add", "."]);
        git(&self.work, &["commit", "--quiet", "-m", what]);
        git(&self.work, &["push", "--quiet", "origin", "HEAD"]);
        git(&self.work, &["rev-parse", "HEAD"])
    }
}

/// A machine with a volume of mirrors of these repositories, which are copied to a drive.
fn configured(host: &MiniHost, repositories: &[&str], more: &str) -> String {
    let listed = repositories.iter().map(|url| format!("\"{url}\"")).collect::<Vec<_>>().join(", ");
    format!(
        "[volumes.code]\ngit = [{listed}]\npath = \"{}\"\n[syncs.code]\nsource = \"code:\"\ndestination = \
         \"usb:code\"\nsnapshots = \"hard-link\"\n{more}",
        host.root.join("mirrors/of/code").display()
    )
}

/// The refs of a repository that begin like this, with their objects.
fn refs(repository: &Path, below: &str) -> Vec<(String, String)> {
    let told = git(repository, &["for-each-ref", "--format=%(refname) %(objectname)", below]);
    told.lines().filter_map(|line| line.split_once(' ')).map(|(name, id)| (name.to_owned(), id.to_owned())).collect()
}

/// The warnings of the newest run.
fn warnings(host: &MiniHost) -> String {
    array(&host.history("code")[0]["warnings"]).iter().filter_map(|text| text.as_str()).collect::<Vec<_>>().join("; ")
}

pub fn are_fetched_and_what_they_let_go_is_kept(host: &MiniHost) {
    let notes = Forge::new(&host.root, "notes");
    let nas = host.server("nas");
    let tool = Forge::new(&nas.root, "tool");
    nas.join();
    let (ground, address) = (host.root.join("nas"), nas.address());
    let ssh = git_ssh(&nas.endpoint());
    std::fs::write(host.home().join(".gitconfig"), format!("[core]\n\tsshCommand = {ssh}\n")).unwrap();
    let over_ssh = format!("ssh://root@{address}{}", tool.bare.display());
    let mut usb = host.drive("usb", Ext4);
    let config = configured(host, &[notes.bare.to_str().unwrap(), &over_ssh], "");
    host.configure(&host.config().drive(&usb).also(&config));
    host.ctl(&["config", "check"]).exits(0);
    let _daemon = host.start();
    usb.plug();
    host.ctl(&["prepare", "code"]).exits(0).says("mirrors/of/code");
    host.ctl(&["run", "code", "--wait"]).exits(0);
    assert_eq!(warnings(host), "", "{}", ground.display());
    let copy = |name: &str| usb.destination("code").latest().path.join(name);
    for (forge, name) in [(&notes, "notes.git"), (&tool, "tool.git")] {
        assert_eq!(refs(&copy(name), "refs/"), refs(&forge.bare, "refs/"));
        assert_eq!(git(&copy(name), &["symbolic-ref", "HEAD"]), "refs/heads/trunk");
    }
    let clone = host.root.join("clone");
    git(&host.root, &["clone", "--quiet", copy("notes.git").to_str().unwrap(), clone.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(clone.join("file")).unwrap(), "first");

    // A branch that is deleted and one that is rewritten are had under the time at which that was seen.
    git(&notes.work, &["checkout", "--quiet", "-b", "idea"]);
    let idea = notes.commit("an idea");
    git(&notes.work, &["checkout", "--quiet", "trunk"]);
    let second = notes.commit("second");
    host.ctl(&["run", "code", "--wait"]).exits(0);
    assert!(refs(&copy("notes.git"), "refs/nbkp").is_empty(), "what moves on loses nothing");
    let names = usb.destination("code").snapshots();
    let packs = |snapshot: &str| {
        let place = usb.destination("code").snapshot(snapshot).path.join("notes.git/objects/pack");
        let names = std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with("pack-")).collect::<BTreeSet<_>>()
    };
    let (before, after) = (packs(&names[0]), packs(names.last().unwrap()));
    assert!(!before.is_empty() && before.is_subset(&after) && before != after, "{before:?} {after:?}");
    git(&notes.work, &["push", "--quiet", "origin", ":idea"]);
    git(&notes.work, &["commit", "--quiet", "--amend", "-m", "second, rewritten"]);
    git(&notes.work, &["push", "--quiet", "--force", "origin", "trunk"]);
    host.ctl(&["run", "code", "--wait"]).exits(0);
    let kept = refs(&copy("notes.git"), "refs/nbkp");
    let kept: Vec<_> = kept.iter().map(|(name, id)| (name.splitn(4, '/').last().unwrap(), id.as_str())).collect();
    assert_eq!(kept, [("heads/idea", idea.as_str()), ("heads/trunk", second.as_str())]);
    assert_eq!(refs(&copy("notes.git"), "refs/heads"), refs(&notes.bare, "refs/heads"));
    git(&copy("notes.git"), &["fsck", "--strict"]);

    // One that cannot be had is a warning, and the others go on.
    nas.leave();
    let third = notes.commit("third");
    host.ctl(&["run", "code", "--wait"]).exits(0);
    let told = warnings(host);
    assert!(told.contains(&over_ssh) && told.contains("its mirror is copied as it was before"), "{told}");
    assert!(!told.contains("notes.git"), "{told}");
    assert_eq!(git(&copy("notes.git"), &["rev-parse", "trunk"]), third);
    assert_eq!(refs(&copy("tool.git"), "refs/"), refs(&tool.bare, "refs/"));
}

/// How ssh is called for the endpoint of a server, as git takes it.
fn git_ssh(endpoint: &str) -> String {
    let value = |key: &str| {
        let line = endpoint.lines().find_map(|line| line.strip_prefix(&format!("{key} = \""))).unwrap();
        line.trim_end_matches('"').to_owned()
    };
    format!("ssh -F none -i {} -o UserKnownHostsFile={} -o ConnectTimeout=3", value("key"), value("known-hosts"))
}

pub fn that_were_never_had_are_missing_and_locks_of_the_dead_go(host: &MiniHost) {
    let notes = Forge::new(&host.root, "notes");
    let nowhere = host.root.join("nowhere.git");
    let mut usb = host.drive("usb", Ext4);
    let config = configured(host, &[notes.bare.to_str().unwrap(), nowhere.to_str().unwrap()], "keep = { daily = 1 }\n");
    host.configure(&host.config().drive(&usb).also(&config));
    let _daemon = host.start();
    usb.plug();
    host.ctl(&["prepare", "code"]).exits(0);
    host.ctl(&["run", "code", "--wait"]).exits(0);
    let told = warnings(host);
    assert!(
        told.contains("nowhere.git could not be fetched") && told.contains("there is no mirror of it yet"),
        "{told}"
    );
    let snapshots = host.ctl(&["snapshots", "code", "--json"]).exits(0).json();
    assert_eq!(snapshots["snapshots"][0]["standing"], "partial", "{snapshots}");

    // Locks that a git left which was killed are taken away, and those of one that may be alive are not.
    let mirror = host.root.join("mirrors/of/code/notes.git");
    let lock = mirror.join("refs/heads/trunk.lock");
    let others = ["config.lock", "HEAD.lock", "refs/nbkp-incoming/heads/trunk.lock"].map(|lock| mirror.join(lock));
    for lock in others.iter().chain([&lock]) {
        std::fs::create_dir_all(lock.parent().unwrap()).unwrap();
        std::fs::write(lock, "").unwrap();
    }
    for lock in &others {
        crate::common::run("touch", &[&"-d", &"2 hours ago", lock]);
    }
    let second = notes.commit("second");
    host.ctl(&["run", "code", "--wait"]).exits(0);
    assert!(warnings(host).contains("trunk.lock': File exists"), "{}", warnings(host));
    crate::common::run("touch", &[&"-d", &"2 hours ago", &lock]);
    host.ctl(&["run", "code", "--wait"]).exits(0);
    assert!(others.iter().chain([&lock]).all(|lock| !lock.exists()));
    assert!(!warnings(host).contains("notes.git"), "{}", warnings(host));
    assert_eq!(git(&mirror, &["rev-parse", "trunk"]), second);

    // What was let go for longer than any copy is kept goes with them.
    let old = "refs/nbkp/20200101T000000Z/heads/old";
    git(&mirror, &["update-ref", old, &second]);
    host.ctl(&["run", "code", "--wait"]).exits(0);
    assert!(refs(&mirror, "refs/nbkp").is_empty());
}

pub fn say_nothing_of_how_they_are_fetched(host: &MiniHost) {
    let notes = Forge::new(&host.root, "notes");
    let (evil, ran) = (Forge::new(&host.root, "evil"), host.root.join("ran"));
    let mut usb = host.drive("usb", Ext4);
    let config = configured(host, &[notes.bare.to_str().unwrap()], "");
    host.configure(&host.config().drive(&usb).also(&config));
    let _daemon = host.start();
    usb.plug();
    host.ctl(&["prepare", "code"]).exits(0);
    host.ctl(&["run", "code", "--wait"]).exits(0);

    // What stands in a mirror of forged origin leads git nowhere.
    let mirror = host.root.join("mirrors/of/code/notes.git");
    let program = format!("touch {}", ran.display());
    let url = notes.bare.to_str().unwrap();
    for (key, value) in [
        (format!("remote.{url}.uploadpack"), program.as_str()),
        ("core.alternateRefsCommand".to_owned(), &program),
        (format!("url.{}.insteadOf", evil.bare.display()), url),
    ] {
        git(&mirror, &["config", &key, value]);
    }
    std::fs::write(mirror.join("objects/info/alternates"), evil.bare.join("objects").to_str().unwrap()).unwrap();
    // Names are bytes, a tag that moves is rewritten, and what hides a rewriting is not believed.
    git(&notes.work, &["tag", "-a", "v1", "-m", "the first"]);
    git(&notes.work, &["push", "--quiet", "origin", "v1"]);
    let odd = std::ffi::OsStr::from_bytes(b"refs/heads/caf\xe9");
    let first = git(&notes.bare, &["rev-parse", "trunk"]);
    let done = Command::new("git").arg("-C").arg(&notes.bare).arg("update-ref").arg(odd).arg(&first).status();
    assert!(done.unwrap().success());
    host.ctl(&["run", "code", "--wait"]).exits(0);
    assert_eq!(warnings(host), "");
    assert!(!ran.exists() && !mirror.join("objects/info/alternates").exists());
    let tag = git(&mirror, &["rev-parse", "v1"]);
    let second = notes.commit("second");
    git(&notes.work, &["tag", "-f", "-a", "v1", "-m", "the first, again"]);
    git(&notes.work, &["push", "--quiet", "--force", "origin", "v1"]);
    host.ctl(&["run", "code", "--wait"]).exits(0);
    let kept = || refs(&mirror, "refs/nbkp").into_iter().map(|(_, id)| id).collect::<BTreeSet<_>>();
    assert_eq!(kept(), [tag].into());
    git(&notes.work, &["commit", "--quiet", "--amend", "-m", "another second"]);
    let rewritten = git(&notes.work, &["rev-parse", "HEAD"]);
    git(&notes.work, &["push", "--quiet", "origin", "HEAD:refs/heads/aside"]);
    git(&notes.work, &["replace", "--graft", &rewritten, &second]);
    git(&notes.work, &["push", "--quiet", "origin", "refs/replace/*"]);
    host.ctl(&["run", "code", "--wait"]).exits(0);
    git(&notes.work, &["push", "--quiet", "--force", "origin", "trunk"]);
    host.ctl(&["run", "code", "--wait"]).exits(0);
    assert!(kept().contains(&second), "{:?} {second}", kept());

    // A shallow one holds too little, and what git leaves out of it is no deletion.
    std::fs::rename(&notes.bare, host.root.join("whole.git")).unwrap();
    notes_made_shallow(host, &notes);
    let before = refs(&mirror, "refs/heads");
    host.ctl(&["run", "code", "--wait"]).exits(0);
    assert!(warnings(host).contains("shallow clone"), "{}", warnings(host));
    assert_eq!(refs(&mirror, "refs/heads"), before);

    // Where others may write, git would do what they want.
    let place = mirror.parent().unwrap();
    std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o777)).unwrap();
    host.ctl(&["run", "code", "--wait"]).exits(1);
    let last = host.history("code")[0].clone();
    assert!(last["error"].as_str().unwrap().contains("can be changed by other users"), "{last}");
}

/// Puts a shallow clone in the place of a repository, with a commit more.
fn notes_made_shallow(host: &MiniHost, notes: &Forge) {
    let whole = format!("file://{}", host.root.join("whole.git").display());
    let to = notes.bare.to_str().unwrap();
    git(&notes.work, &["push", "--quiet", &whole, "HEAD:refs/heads/trunk", "--force"]);
    std::fs::write(notes.work.join("file"), "more").unwrap();
    git(&notes.work, &["commit", "--quiet", "-a", "-m", "more"]);
    git(&notes.work, &["push", "--quiet", &whole, "HEAD:refs/heads/trunk"]);
    git(&host.root, &["clone", "--quiet", "--bare", "--depth=1", &whole, to]);
}
