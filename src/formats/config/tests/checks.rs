//! How often copies are read back.

use std::time::Duration;

use super::{read, refused, sync, with};
use crate::model::{CheckRule, SampleShare};

#[test]
fn how_often_copies_are_read_back_is_said_or_not() {
    let syncs = "[syncs.a]\nsource = 'laptop:a'\ndestination = 'usb:a'\n";
    let rule = |text: &str| sync(&read(&with(text)), "a").verify;
    assert_eq!(rule(syncs), None);
    let day = Duration::from_hours(24);
    let whole = CheckRule { every: day * 30, share: SampleShare::ALL };
    assert_eq!(rule(&format!("{syncs}verify = {{ every = '30d' }}\n")), Some(whole));
    let some = CheckRule { every: day, share: SampleShare::percent(5).expect("a share") };
    let of_defaults = format!("[defaults]\nverify = {{ every = '1d', sample = '5%' }}\n{syncs}");
    assert_eq!(rule(&of_defaults), Some(some));
    assert_eq!(rule(&format!("{of_defaults}verify = 'off'\n")), None);
    for (wrong, words) in [
        ("{ sample = '5%' }", ["does not say how often", "30d"]),
        ("{ every = '0s' }", ["must not be zero", ""]),
        ("{ every = '1d', sample = '0%' }", ["reads nothing", "5%"]),
        ("{ every = '1d', sample = '101%' }", ["is not a share", ""]),
        ("'daily'", ["off", ""]),
    ] {
        refused(&with(&format!("{syncs}verify = {wrong}\n")), &words);
    }
}
