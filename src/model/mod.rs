//! Floor 1: the nouns. They cannot fail, wait, be serialised or read a clock.
//!
//! An identifier is checked when it is made and never again; a variant holds exactly what is valid in that state.

mod announcement;
mod check;
mod check_rule;
mod checkup;
mod condition;
mod configuration;
mod day;
mod deleted;
mod disk_content;
mod finding;
mod forecast;
mod half_restored;
mod hands;
mod hardware;
mod hold;
mod holding;
mod keeping;
pub mod layout;
mod ledger;
mod monitoring;
mod name;
mod network;
mod now;
mod obstacle;
mod obstacle_code;
mod opening;
mod order;
mod outcome;
mod path_set;
mod permission;
mod place;
mod precedent;
mod probe;
mod repository;
mod run;
mod setup;
mod sight;
mod snapshot;
mod stand_in;
mod status;
mod step;
mod sync;
mod tidying;
mod transfer;
mod unclean;
mod version;
mod volume;
mod words;

pub use announcement::{Announcement, Button, Deeds, Matter, Notification, Subject, Weight};
pub use check::{CheckRecord, CheckReport, CheckWish, Damage, DamagedFile, Digest, FileFacts, Flawed, Unread};
pub use check_rule::{CheckProof, CheckRound, CheckRounds, CheckRule, CheckSums, SampleShare};
pub use checkup::{
    BarePoint, Confined, ContainerSight, DrivePlace, DriveSight, FileInForce, FileKind, FileSight, FstabLine, Guarded,
    HistorySight, Lingering, Locks, MountView, OtherUuid, OtherUuidKind, Owner, PolkitSight, ProgramVersion, Room,
    SecretSight, ServiceSight, Trial, Walls,
};
pub use condition::{BatteryRule, Conditions, Hours, MeteredRule};
pub use configuration::{Configuration, CredentialProvider, DaemonSettings, Endpoint, Group, Location, Notify, Route};
pub use day::{DaySum, Days, add_runs};
pub use deleted::{DeletedKind, DeletedNames};
pub use disk_content::{DiskContent, FormatWish, NewFilesystem, Storing};
pub use finding::{Area, Examined, Finding, FindingCode, Flaw, Mend, OthersRights, Severity, Verdict};
pub use forecast::{Consequence, Forecast, Foreseen, Supposition};
pub use half_restored::{HalfRestored, RestoreEnding, RestoreKey, RestoreStage, UnfinishedRestore};
pub use hands::Hands;
pub use hardware::{Hardware, Stranger};
pub use hold::{HoldReason, StandingHold, Writer};
pub use holding::Holding;
pub use keeping::{Fineness, Honours, Keeping, Letters, ODD_NANOSECONDS, ODD_SECONDS, Privileges, Rights};
pub use ledger::{Containers, Kinship, Ledger, Pause, Places};
pub use monitoring::{Monitoring, PingSign, PingUrl};
pub use name::{CredentialName, EndpointName, GroupName, LocationName, NameError, SyncName, VolumeName};
pub use network::{
    ActiveConnection, ChangeExtent, Connectivity, HostFault, HostTrouble, Link, LinkKind, Metered, NetworkSight,
    PowerSight,
};
pub use now::{BootTime, Now};
pub use obstacle::Obstacle;
pub use obstacle_code::ObstacleCode;
pub use opening::{Closed, DriveName, Held, HeldAt, HeldBy, Holder, Left, OpeningTrouble, Undo, Unmounted};
pub use order::{first_cycle, upstreams};
pub use outcome::{Conclusion, Failure, FailureKind, Interruption, NotDone, Outcome, Remedy};
pub use path_set::PathSet;
pub use permission::{AccountName, AccountNameError, Action, Gap, Permission};
pub use place::{End, Place, Subdir, SubdirError};
pub use precedent::Precedent;
pub use probe::{Beginning, EndKind, EndProbe, RemoteProbe, RemoteSight, ServerProbe, ServerSight, SoughtDrive, Ways};
pub use repository::{RefName, Refs, Repositories, RepositoryUrl, RepositoryUrlError};
pub use run::{Figures, HeavyDirectory, Progress, RunId, RunRecord, RunReport, Trigger};
pub use setup::{
    Additions, Cipher, FilesystemFamily, FoundDrive, FoundPlace, FoundServer, Intruding, MOST_INTRUDERS, Mounter,
    ServerWay, Vacancy,
};
pub use sight::{
    Absence, Access, BlockDevice, DeviceRole, EndFault, EndSight, Mount, MountId, Node, PresentVolume, ReachedVolume,
    SentinelFault, SentinelId, SyncSight, VolumeSight,
};
pub use snapshot::{KeepReason, Pruning, SnapshotName, SnapshotNameError, Standing, Weighing};
pub use stand_in::StandIn;
pub use status::{Checking, DaemonState, Freshness, RunningNow, Status, SyncState, SyncStatus, VolumeStatus};
pub use step::Step;
pub use sync::{
    CopyTraits, Every, Filter, Guard, HookCommand, Hooks, KeepRules, MountsBelow, Retention, RsyncOptions,
    RsyncSettings, SnapshotKind, Sync, Unchanged,
};
pub use tidying::{EntryIs, FreeSpace, SnapshotEntries, TidyDeed};
pub use transfer::{
    Complaint, Complaints, Deleting, Lack, Named, Obscured, Plight, ServerRefusal, Side, TransferEnd, Trouble,
};
pub use unclean::Unclean;
pub use version::{
    Among, CopyId, Earnest, EntryKind, EntryState, Existing, FindWish, HeldEntry, Remoteness, RestoreWish,
};
pub use volume::{
    Drive, DriveUuid, DriveUuidError, Mounting, Server, ServerKey, Volume, VolumeKind, VolumeRoot, WhenDone,
};
pub use words::Worded;
pub(crate) use words::words;
