//! Mirrors of repositories: fetched before they are copied, so that nothing that was in one is lost because it is
//! deleted or rewritten there.
//!
//! What is fetched comes to a place of its own first ([`INCOMING`]); then what would be lost gets a name below
//! [`refs::KEPT`], and then the mirror becomes what its repository is. One that is killed at any point goes on with the
//! next run.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::backup::failure::{could_not, failure, of_directory, of_process};
use crate::backup::job::{Job, JobEnd};
use crate::backup::session::stop::Stops;
use crate::decide::refs::{self, INCOMING};
use crate::formats::git;
use crate::formats::text::printable;
use crate::model::{FailureKind, NotDone, Refs, Repositories, RepositoryUrl, Step};
use crate::os::directory::{Directory, Errno, Kind, Reach};
use crate::os::files::Readers;
use crate::os::process::{self, Ended, Launch, Leftovers, Stream};
use crate::os::{clock, files, guards, programs};

/// So much of an answer of git is kept, in bytes: the refs of a repository with some hundred thousand of them.
const MOST: usize = 64 << 20;
/// So often a call is made again once locks of a dead git are taken away.
const TRIES: usize = 100;
/// A lock that is this old is nobody's: no git of ours runs there, and one of a person's is faster.
const LOCKED_FOR: Duration = Duration::from_hours(1);

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct MirrorsFetched {
    /// What could not be had.
    pub(crate) warnings: Vec<String>,
    /// Repositories of which there is no mirror at all.
    pub(crate) missing: usize,
    /// As long as it is held nobody else fetches there.
    pub(crate) lock: Option<OwnedFd>,
}

/// Fetches the repositories of a job's source, if it has any. One that cannot be had keeps none of the others. It must
/// be called before the thread confines itself.
pub(crate) fn renew(job: &Job, stops: &mut Stops) -> Result<MirrorsFetched, NotDone> {
    let (Some(repositories), JobEnd::Here(end)) = (&job.repositories, &job.source) else {
        return Ok(MirrorsFetched::default());
    };
    let volume = &job.sync.source.volume;
    let Some(program) = programs::find_program("git") else {
        let why = format!("git was not found, which fetches the repositories of volume `{volume}`");
        return Err(failure(Step::Fetch, FailureKind::ToolMissing, why));
    };
    let root = Directory::open_root(&end.root).map_err(|error| of_directory(Step::Fetch, &error))?;
    let Some(lock) = files::lock_directory(&root).map_err(|error| of_directory(Step::Fetch, &error))? else {
        let why = format!("another program fetches the repositories of volume `{volume}` at the moment");
        return Err(failure(Step::Fetch, FailureKind::Other, why));
    };
    if guards::is_open_to_users(&end.root) {
        // Whoever may write there says what git does.
        let why = format!(
            "{} can be changed by other users, so nothing is fetched there: make it yours alone (`chmod go-w`, \
             `chown`), or name another `path` for volume `{volume}`",
            end.root.display()
        );
        return Err(failure(Step::Fetch, FailureKind::Permission, why));
    }
    let mut fetched = MirrorsFetched { lock: Some(lock), ..MirrorsFetched::default() };
    let mut git = Git { program, root: &root, environment: environment(), stops };
    let of_user = git.run(git::ask_ssh(), None)?.unwrap_or_default();
    let ssh = git::ssh_command(&String::from_utf8_lossy(&of_user));
    git.environment.extend(ssh.map(|command| ("GIT_SSH_COMMAND".to_owned(), command.into())));
    for url in &repositories.urls {
        let mut mirror = Mirror { name: url.mirror_name(), url, git: &mut git };
        if let Some(why) = mirror.follow(repositories)?.err() {
            let is_there = refs::has_any(&mirror.refs()?.unwrap_or_default());
            let so = if is_there { "its mirror is copied as it was before" } else { "there is no mirror of it yet" };
            fetched.warnings.push(format!("the repository {url} could not be fetched: {}; {so}", printable(&why)));
            fetched.missing = fetched.missing.saturating_add(usize::from(!is_there));
        }
    }
    Ok(fetched)
}

/// A mirror that is worked on. What is wrong with it is told as a text; an `Err` ends the run.
struct Mirror<'a, 'g> {
    name: String,
    url: &'a RepositoryUrl,
    git: &'a mut Git<'g>,
}

impl Mirror<'_, '_> {
    /// Makes it what its repository is now.
    fn follow(&mut self, repositories: &Repositories) -> Result<Result<(), String>, NotDone> {
        if let Err(why) = self.make() {
            return Ok(Err(why));
        }
        // One whose making was cut short is made whole by that.
        if let Err(why) = self.said(git::init(&self.name))? {
            return Ok(Err(why));
        }
        let (refs, head) = match self.fetched()? {
            Ok(fetched) => fetched,
            Err(why) => return Ok(Err(why)),
        };
        let onward = self.onward(&refs)?;
        let now = clock::now().wall;
        let changes = refs::changes(&refs, &onward, now);
        if changes.kept > 0 {
            tracing::info!("{}: {} refs were deleted or rewritten there, and are kept", self.name, changes.kept);
        }
        let old = refs::outlived(&refs, repositories.kept_for, (repositories.last_copied, now));
        for part in [changes.first, changes.then, old] {
            if let Err(why) = self.change(&part)? {
                return Ok(Err(why));
            }
        }
        // One without any pack has no index, and needs none.
        let _indexed = self.said(git::index(&self.name))?;
        match head.filter(|branch| refs.contains_key(branch.replacen("refs/", INCOMING, 1).as_bytes())) {
            Some(branch) => Ok(self.said(git::set_head(&self.name, &branch))?.map(drop)),
            None => Ok(Ok(())),
        }
    }

    /// Makes its directory, if there is none, and sees to it that nothing in it leads git elsewhere.
    fn make(&self) -> Result<(), String> {
        let (root, found) = (self.git.root, self.git.root.path_of(&self.name));
        root.create_directory(&self.name, 0o755).map_err(|error| could_not(&error))?;
        if root.kind_of(&self.name).map_err(|error| could_not(&error))? != Kind::Directory {
            return Err(format!("{} is no directory; move it away", found.display()));
        }
        if guards::is_open_to_users(&found) {
            return Err(format!("{} can be changed by other users; make it yours alone", found.display()));
        }
        let tidied = root.open_below(Path::new(&self.name), Reach::SameMount).and_then(|mirror| {
            for (below, name) in git::DETOURS {
                match mirror.open_below(Path::new(below), Reach::SameMount) {
                    Ok(directory) => drop(directory.remove_file(name)?),
                    Err(error) if error.cause() == Errno::NOENT => {}
                    Err(error) => return Err(error),
                }
            }
            // What says the same already is left alone, so that it is no change to be copied.
            let said = files::read_small(&mirror, "config", 4096);
            if said.is_ok_and(|said| said == git::CONFIG.as_bytes()) {
                return Ok(());
            }
            files::hand_over(&mirror, "config", git::CONFIG.as_bytes(), Readers::All)
        });
        tidied.map_err(|error| could_not(&error))
    }

    /// Fetches all that its repository has. Returns all refs of the mirror, and the branch to begin with.
    fn fetched(&mut self) -> Result<Result<(Refs, Option<String>), String>, NotDone> {
        let left = self.refs()?.map(|refs| refs::left_over(&refs)).unwrap_or_default();
        if let Err(why) = self.change(&left)? {
            return Ok(Err(why));
        }
        if let Err(why) = self.said(git::fetch(&self.name, self.url, INCOMING))? {
            return Ok(Err(why));
        }
        let (told, refs) = match (self.said(git::ask_there(&self.name, self.url))?, self.refs()?) {
            (Ok(told), Ok(refs)) => (told, refs),
            (Err(why), _) | (_, Err(why)) => return Ok(Err(why)),
        };
        let (names, head) = git::there(&told);
        // git calls it a success where it was refused what a shallow repository has, which would look like deletions.
        Ok(match refs::missing(&names, &refs) {
            0 => Ok((refs, head)),
            missing => Err(format!(
                "{missing} of its refs did not come: it is a shallow clone (`git fetch --unshallow` makes it whole), \
                 or was changed meanwhile"
            )),
        })
    }

    /// Its refs, with those that were fetched.
    fn refs(&mut self) -> Result<Result<Refs, String>, NotDone> {
        Ok(self.said(git::ask_refs(&self.name))?.map(|told| git::refs(&told)))
    }

    /// The pairs of what moved of which the second holds all of the first.
    fn onward(&mut self, refs: &Refs) -> Result<BTreeSet<(String, String)>, NotDone> {
        let mut onward = BTreeSet::new();
        for (before, after) in refs::moved(refs) {
            // Whatever is no commit is an answer, too: it is kept.
            if self.said(git::is_onward(&self.name, &before, &after))?.is_ok() {
                onward.insert((before, after));
            }
        }
        Ok(onward)
    }

    /// Changes refs at one stroke.
    fn change(&mut self, orders: &[Vec<u8>]) -> Result<Result<(), String>, NotDone> {
        if orders.is_empty() {
            return Ok(Ok(()));
        }
        let text: Vec<u8> = orders.iter().flat_map(|order| order.iter().copied().chain([b'\n'])).collect();
        Ok(self.git.run(git::update(&self.name), Some(&text))?.map(drop))
    }

    fn said(&mut self, arguments: Vec<OsString>) -> Result<Result<Vec<u8>, String>, NotDone> {
        self.git.run(arguments, None)
    }
}

/// git, in the directory of the mirrors.
struct Git<'a> {
    program: PathBuf,
    root: &'a Directory,
    environment: Vec<(String, OsString)>,
    stops: &'a mut Stops,
}

fn environment() -> Vec<(String, OsString)> {
    let fixed = git::ENVIRONMENT.map(|(name, value)| (name.to_owned(), value.into()));
    let of_others = [programs::session_environment(), programs::proxy_environment(), programs::ssh_environment()];
    of_others.into_iter().flatten().chain(fixed).collect()
}

impl Git<'_> {
    /// Runs git, and returns what it said, or what it complained of. What a git that was killed has locked is unlocked.
    fn run(&mut self, arguments: Vec<OsString>, input: Option<&[u8]>) -> Result<Result<Vec<u8>, String>, NotDone> {
        for _ in 1..TRIES {
            let (ended, errors) = self.once(arguments.clone(), input)?;
            let lock = git::lock_in_the_way(&errors).filter(|_| ended.is_err());
            if !lock.is_some_and(|lock| self.unlock(&lock)) {
                return Ok(ended);
            }
        }
        Ok(self.once(arguments, input)?.0)
    }

    /// Takes away a lock that is nobody's, and all old ones beside it. Whether one is gone.
    fn unlock(&self, lock: &Path) -> bool {
        // git names it without links, or from where it stands.
        let real = files::leads_to(self.root.path()).unwrap_or_else(|_| self.root.path().to_owned());
        let below = lock.strip_prefix(&real).or_else(|_| lock.strip_prefix(".")).ok();
        below.is_some_and(|below| files::remove_locks(self.root, below, LOCKED_FOR).is_ok_and(|gone| gone > 0))
    }

    /// Also returns all that it said of errors.
    fn once(
        &mut self,
        arguments: Vec<OsString>,
        input: Option<&[u8]>,
    ) -> Result<(Result<Vec<u8>, String>, String), NotDone> {
        let failed = |cause: std::io::Error| {
            failure(Step::Fetch, FailureKind::Resource, format!("could not start git: {cause}"))
        };
        let input = input.map(files::in_memory).transpose().map_err(failed)?;
        let (program, environment) = (self.program.clone(), self.environment.clone());
        let launch = Launch { program, arguments, environment, input, leftovers: Leftovers::End };
        let running = process::start(launch, Some(self.root)).map_err(|error| of_process(Step::Fetch, &error))?;
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let heard = |stream: Stream, bytes: &[u8]| {
            let (kept, most) = match stream {
                Stream::Output => (&mut output, MOST),
                Stream::Errors => (&mut errors, 64 << 10),
            };
            if kept.len() < most {
                kept.extend_from_slice(bytes);
            }
        };
        let bell = self.stops.bell.share().map_err(failed)?;
        let ended = running.listen(&bell, heard, || self.stops.wanted());
        let ended = ended.map_err(|error| of_process(Step::Fetch, &error))?;
        self.stops.check()?;
        let errors = String::from_utf8_lossy(&errors).into_owned();
        let ended = match ended {
            Ended::Code(0) if output.len() < MOST => Ok(output),
            Ended::Code(0) => Err("it has more refs than can be looked at".to_owned()),
            Ended::Code(code) => Err(git::complaint(&errors).unwrap_or_else(|| format!("git ended with code {code}"))),
            Ended::Signal(signal) => Err(format!("git was ended by signal {signal}")),
        };
        Ok((ended, errors))
    }
}
