//! How far a copy is. rsync reckons with all that the source holds, as if nothing of it were there already.

use crate::model::{Progress, Step};

/// What rsync tells of how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RsyncProgress {
    /// Bytes of file data that were sent or compared.
    pub bytes: u64,
    /// Bytes a second.
    pub rate: u64,
    /// Seconds until all that the source holds were sent.
    pub seconds: Option<u64>,
    /// How many entries are still to be checked, of how many; not before all of them are listed.
    pub checked: Option<(u64, u64)>,
}

/// What is left, by the entries that are not checked yet.
#[derive(Debug, Default)]
pub struct CopyPace {
    checked: Option<(u64, u64)>,
}

impl CopyPace {
    /// How far the copy is. What is left is no more than all that the source holds, and where much of it is there
    /// already, no more than what the entries so far cost.
    pub fn progress(&mut self, told: RsyncProgress) -> Progress {
        let RsyncProgress { bytes, rate, seconds, checked } = told;
        self.checked = checked.or(self.checked);
        let unknown = Progress { step: Step::Copy, percent: None, bytes, rate, eta_seconds: None };
        let Some((left, of)) = self.checked else { return unknown };
        let Some(done) = of.checked_sub(left).filter(|done| *done > 0) else { return unknown };
        let by_entries = u128::from(bytes) * u128::from(left) / u128::from(done);
        let at_most = seconds.map_or(u128::MAX, |seconds| u128::from(seconds) * u128::from(rate));
        let rest = by_entries.min(at_most);
        let percent = if bytes == 0 {
            u128::from(done) * 100 / u128::from(of)
        } else {
            u128::from(bytes) * 100 / (u128::from(bytes) + rest)
        };
        let eta_seconds = rest.checked_div(u128::from(rate)).and_then(|seconds| u64::try_from(seconds).ok());
        Progress { percent: u8::try_from(percent).ok(), eta_seconds, ..unknown }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_already_is_not_waited_for() {
        let mut pace = CopyPace::default();
        // A new file of 10 MB in a tree of 100 GB: rsync would have it last for three hours.
        let told = RsyncProgress { bytes: 5_000_000, rate: 10_000_000, seconds: Some(10_000), checked: None };
        assert_eq!((pace.progress(told).percent, pace.progress(told).eta_seconds), (None, None));
        let told = RsyncProgress { bytes: 10_000_000, checked: Some((100, 1100)), ..told };
        let progress = pace.progress(told);
        assert_eq!((progress.percent, progress.eta_seconds), (Some(90), Some(0)));
        // In the middle of the next file, of which it tells no entries.
        let told = RsyncProgress { bytes: 1_010_000_000, checked: None, ..told };
        assert_eq!(pace.progress(told).eta_seconds, Some(10));
        // A first copy, with what is large at its end.
        let told = RsyncProgress { bytes: 1000, rate: 1000, seconds: Some(5), checked: Some((1, 2)) };
        assert_eq!(pace.progress(told).eta_seconds, Some(1));
        let told = RsyncProgress { bytes: 1000, rate: 1000, seconds: Some(5), checked: Some((99, 100)) };
        assert_eq!(pace.progress(told).eta_seconds, Some(5), "no more than there is");
        let told = RsyncProgress { bytes: 0, rate: 0, seconds: None, checked: Some((1, 4)) };
        assert_eq!((pace.progress(told).percent, pace.progress(told).eta_seconds), (Some(75), None));
        let told = RsyncProgress { bytes: 7, rate: 0, seconds: None, checked: Some((0, 0)) };
        assert_eq!(pace.progress(told).percent, None);
    }
}
