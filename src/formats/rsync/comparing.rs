//! How rsync is called to tell what differs between two copies.

use std::ffi::OsString;

use crate::formats::rsync::output::ITEM_FORMAT;
use crate::model::{Fineness, Keeping, Rights};

/// The options of such a call; behind them come `--`, the newer copy and the older one, each with a slash at its end.
#[must_use]
pub fn compare_options(keeping: Keeping) -> Vec<OsString> {
    let mut options: Vec<OsString> = ["-a", "--dry-run", "--delete", "--no-h"].map(OsString::from).to_vec();
    if keeping.rights == Rights::Fixed {
        // What such a filesystem says of owners and modes is true of nothing.
        options.extend(["--no-perms", "--no-owner", "--no-group"].map(OsString::from));
    }
    match keeping.times {
        Fineness::Nanoseconds => options.push("--modify-window=-1".into()),
        Fineness::Seconds => {}
        Fineness::TwoSeconds => options.push("--modify-window=2".into()),
    }
    options.push(format!("--out-format={ITEM_FORMAT}").into());
    options
}
