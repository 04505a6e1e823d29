//! Volumes that hold mirrors of repositories.

use super::{read, refused, with};
use crate::model::VolumeKind;

const CODE: &str = "[volumes.code]\ngit = ['git@example.org:ada/notes.git', '/srv/tool']\npath = '/srv/mirrors'\n";

#[test]
fn a_volume_names_the_repositories_whose_mirrors_it_holds() {
    let sync = "[syncs.code]\nsource = 'code:'\ndestination = 'usb:code'\n";
    let configuration = read(&with(&format!("{CODE}{sync}")));
    let volume = configuration.volumes.values().find(|volume| volume.name.as_str() == "code").expect("it is there");
    assert_eq!(volume.kind(), VolumeKind::Git);
    let mirrors: Vec<_> = volume.repositories.iter().map(crate::model::RepositoryUrl::mirror_name).collect();
    assert_eq!(mirrors, ["notes.git", "tool.git"]);
    let shown = crate::formats::config::show::show(&configuration);
    assert!(shown.contains("git = [\"git@example.org:ada/notes.git\", \"/srv/tool\"]"), "{shown}");
}

#[test]
fn what_cannot_be_a_mirror_is_refused() {
    let code = |old: &str, new: &str| with(&CODE.replace(old, new));
    for (text, words) in [
        (code("'/srv/tool'", "'ext::sh'"), ["is not the address of a repository", "git clone"]),
        (code("'/srv/tool'", "'https://a:b@example.org/tool'"), ["holds a password", "credential helper"]),
        (
            code("'/srv/tool'", "'/other/notes/'"),
            ["two repositories would have the mirror `notes.git`", "another `path`"],
        ),
        (
            code("path = '/srv/mirrors'", "drive = '2d577679-a7b6-429d-8250-3d0d80e034df'"),
            ["`git` or `drive`", "`path`"],
        ),
        (code("path = '/srv/mirrors'\n", ""), ["is nowhere", ""]),
        (code("['git@example.org:ada/notes.git', '/srv/tool']", "[]"), ["`git` names no repository", ""]),
        (
            with(&format!("{CODE}[syncs.a]\nsource = 'code:notes.git'\ndestination = 'usb:a'\n")),
            ["are copied together", "source = \"code:\""],
        ),
        (
            with(&format!("{CODE}[syncs.a]\nsource = 'laptop:a'\ndestination = 'code:a'\n")),
            ["which nothing else may write", "another destination"],
        ),
    ] {
        refused(&text, &words);
    }
}
