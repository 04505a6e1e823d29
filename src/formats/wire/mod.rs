//! The language of the socket: Varlink messages (varlink.org), JSON objects that end with a NUL byte.
//!
//! What is in here outlives a release: keys and methods are added, never changed. `org.nbkp.Daemon.varlink` describes
//! all of it to programs; a test holds the description and the code together.

mod call;
mod checking;
mod diagnosis;
mod error;
mod forecast;
mod frame;
mod interface;
mod listing;
mod moment;
mod parameters;
mod past;
mod request;
mod restoring;
mod results;
mod status;
mod term;

pub use call::{BadMessage, Flow, MethodCall, Mode, Parameters, Reply, reply_frame};
pub use checking::{CheckEnd, CheckNews, CheckedCopy, DamagedEntry};
pub use diagnosis::{Diagnosis, FindingEntry, Mended, TestedEntry};
pub use error::CallError;
pub use forecast::{ForecastEntry, ForecastReply, supposed, supposition};
pub use frame::{Deframer, FrameTooLong, MAX_DEPTH, MAX_REPLY, MAX_REQUEST, nests_within};
pub use interface::{DESCRIPTION, INTERFACE, SERVICE_DESCRIPTION, SERVICE_INTERFACE};
pub use listing::{DriveEntry, Drives, GroupEntry, Listing, SyncEntry, VolumeEntry};
pub use moment::Moment;
pub use parameters::HistoryLimit;
pub use past::{DayEntry, HeavyEntry, HistoryReply, SourceCopies, SyncTally};
pub use request::{Effort, METHODS, Method, Request};
pub use restoring::{
    BareCopies, BareListing, FindEnd, FindNews, FoundEntry, RestoreEnd, RestoreNews, RestoreProblem, RestoredEntry,
    UnreachedCopies, VersionEntry, Versions, WholeRestore,
};
pub use results::{
    AcceptedSync, Approved, Cancelled, ClosedDrive, Condition, DiffSummary, DoneReply, InterfaceDescription, Mounted,
    Prepared, PreparedSync, PreviewEnd, PreviewLine, PreviewLineKind, Pruned, PrunedSnapshot, RestoreAwaited, RunEnd,
    RunProgress, ServiceInfo, SnapshotEntry, Snapshots, SyncProblem, WholePreview, Why,
};
pub use status::{
    CheckingEntry, DaemonInfo, Network, ObstacleEntry, RunEntry, RunningEntry, StatusReply, SyncStatusEntry, VERIFY,
    VolumeStatusEntry,
};
pub use term::Term;
