//! Whether entries are still there: what the script is told, and what it answers.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use super::answers::lines;
use super::calls::{ProvenEnd, ScriptCall};
use super::script;
use crate::model::layout::SOURCE_SENTINEL;

/// `presence.sh`, at a source.
#[derive(Debug, Clone, Copy)]
pub struct PresenceCall<'a> {
    /// The source.
    pub end: &'a ProvenEnd,
    /// The directory of it that is meant; empty for all of it.
    pub place: &'a Path,
    /// Paths below that.
    pub paths: &'a [&'a Path],
}

impl PresenceCall<'_> {
    /// The call. What no line can hold is not asked for.
    #[must_use]
    pub fn call(&self) -> ScriptCall {
        let [root, volume, directory, text] = self.end.words();
        let words = [root, volume, directory, OsStr::new(SOURCE_SENTINEL), text, self.place.as_os_str()];
        let mut call = ScriptCall::new(script::PRESENCE, words);
        let asked = self.paths.iter().filter(|path| !path.as_os_str().as_bytes().contains(&b'\n'));
        call.words.extend(asked.map(|path| Path::new(".").join(path).into_os_string()));
        call
    }
}

/// What a server tells. Of what is in neither set it is not known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourcePresence {
    /// What is there, whatever it is.
    pub there: BTreeSet<PathBuf>,
    /// What is not.
    pub gone: BTreeSet<PathBuf>,
    /// The directories that could not be looked into; empty for the place itself.
    pub shut: BTreeSet<PathBuf>,
}

/// Reads the answer.
#[must_use]
pub fn presence(answer: &[u8]) -> SourcePresence {
    let mut told = SourcePresence::default();
    for (word, text) in lines(answer) {
        let among = match word {
            "there" => &mut told.there,
            "gone" => &mut told.gone,
            "shut" => &mut told.shut,
            _ => continue,
        };
        let path = if text == b"." { Some(&[][..]) } else { text.strip_prefix(b"./") };
        among.extend(path.map(|path| PathBuf::from(OsString::from_vec(path.to_vec()))));
    }
    told
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
    use std::process::{Command, Stdio};

    use super::*;

    /// What the script says to an ordinary user, whoever runs this.
    fn told(call: &ScriptCall, shell: &[&str]) -> SourcePresence {
        told_behind(&[], call, shell)
    }

    /// The same where these words begin the command.
    #[expect(clippy::disallowed_methods, reason = "the test asks a real shell")]
    fn told_behind(before: &[&str], call: &ScriptCall, shell: &[&str]) -> SourcePresence {
        let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        let is_root = rustix::process::geteuid().is_root();
        let nobody = nobody.iter().filter(|_| is_root);
        let words: Vec<&str> = before.iter().chain(nobody).chain(shell).copied().collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg("-s");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&script::text(call.script, &call.words)).unwrap();
        let answer = script::answer(&child.wait_with_output().unwrap().stdout);
        let script::Answer::Whole(0, said) = answer else { panic!("{answer:?}") };
        presence(&said)
    }

    #[test]
    fn a_directory_that_cannot_be_looked_into_says_nothing_of_what_is_in_it() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        for name in [".nbkp-vol", "d/.nbkp-src", "d/-a b", "d/shut/in", "d/through/in", "d/plain"] {
            fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), "").unwrap();
        }
        symlink("nowhere", at("d/link")).unwrap();
        let mode = |name: &str, mode| fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        mode("", 0o755);
        if rustix::process::geteuid().is_root() {
            chown(at("d/shut"), Some(65534), None).unwrap();
            chown(at("d/through"), Some(65534), None).unwrap();
        }
        mode("d/shut", 0o600);
        mode("d/through", 0o300);
        let (root, empty) = (place.path().to_owned(), || "".into());
        let end = ProvenEnd { root, volume: empty(), directory: "d".into(), end: empty() };
        let asked = "-a b|link|gone|lost/x/y|shut/in|shut/x|shut/x/y|through/in|through/x|plain/x|link/x|a\nb";
        let paths: Vec<&Path> = asked.split('|').map(Path::new).collect();
        let call = PresenceCall { end: &end, place: Path::new(""), paths: &paths }.call();
        let set = |text: &str| text.split('|').map(PathBuf::from).collect::<BTreeSet<_>>();
        for shell in [&["sh"][..], &["bash"], &["busybox", "sh"]] {
            let told = told(&call, shell);
            assert_eq!(told.there, set("-a b|link|through/in"), "{shell:?}");
            assert_eq!(told.gone, set("gone|lost/x/y|through/x|plain/x|link/x"), "{shell:?}");
            assert_eq!(told.shut, set("shut"), "{shell:?}");
        }
        // Nothing of what is there comes to nothing.
        mode("d/shut", 0o700);
        let call = PresenceCall { end: &end, place: Path::new("shut"), paths: &[Path::new("in"), Path::new("x")] };
        let open = told(&call.call(), &["sh"]);
        assert_eq!((open.there, open.gone, open.shut), (set("in"), set("x"), BTreeSet::new()));
        assert_eq!(presence(b"shut .\ngone /etc\nx ./y\n").shut, set(""));
        assert!(presence(b"shut .\ngone /etc\nx ./y\n").gone.is_empty());
    }
    #[test]
    fn what_a_dead_mount_hides_is_not_gone() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        for name in [".nbkp-vol", "d/.nbkp-src", "d/dead/in", "d/through/dead/in", "d/.dead too/in", "d/*", "d/plain"] {
            fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), "").unwrap();
        }
        let mode = |name: &str, mode| fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        mode("", 0o755);
        mode("d/through", 0o711);
        let (root, empty) = (place.path().to_owned(), || "".into());
        let end = ProvenEnd { root, volume: empty(), directory: "d".into(), end: empty() };
        let asked = "dead|dead/in|dead/a/b|.dead too/in|through/dead/in|through/x|gone|deader/x|plain|*";
        let paths: Vec<&Path> = asked.split('|').map(Path::new).collect();
        let call = PresenceCall { end: &end, place: Path::new(""), paths: &paths }.call();
        // Nobody serves these, and whoever looks at them learns that.
        let mounts = "for at in dead 'through/dead' '.dead too'; do exec 3<>/dev/fuse &&
            mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 dead \"$0/$at\" && exec 3<&- || exit; done
            exec \"$@\"";
        let own = if rustix::process::geteuid().is_root() { "-m" } else { "-rm" };
        let directory = at("d");
        let before = ["unshare", own, "sh", "-c", mounts, directory.to_str().unwrap()];
        let set = |text: &str| text.split('|').map(PathBuf::from).collect::<BTreeSet<_>>();
        for shell in [&["sh"][..], &["bash"], &["busybox", "sh"]] {
            let told = told_behind(&before, &call, shell);
            assert_eq!(told.shut, set("dead|.dead too|through/dead"), "{shell:?}");
            assert_eq!(told.there, set("plain|*"), "{shell:?}");
            assert_eq!(told.gone, set("through/x|gone|deader/x"), "{shell:?}");
        }
    }
}
