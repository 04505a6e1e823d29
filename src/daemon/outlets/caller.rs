//! Tells programs outside: curl, which reports runs, and the hooks of copies that are overdue. Neither waits for the
//! other, and no run for any of them.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::backup::errands::overdue::{self, OverdueCall};
use crate::daemon::messages::call::Call;
use crate::decide::backoff;
use crate::model::{PingSign, PingUrl, Remedy};
use crate::os::causes::chain;
use crate::os::ping;

/// So many addresses that do not answer are remembered.
const WAITING: usize = 64;

/// So many hooks of copies that are overdue run at once.
const HOOKS: usize = 4;

/// The name of what is missing where reports do not arrive.
const PING: &str = "ping";

/// Makes calls until nobody orders any more, and then those that are left, once.
pub async fn make_calls(mut orders: mpsc::Receiver<Call>, troubles: mpsc::Sender<(&'static str, Option<String>)>) {
    let (mut pings, mut hooks) = (Pings::default(), JoinSet::new());
    loop {
        let is_last = tokio::select! {
            order = orders.recv() => match order {
                Some(Call::Ping(url, sign)) => {
                    pings.add(url, sign);
                    false
                }
                Some(Call::Overdue(call)) => {
                    if hooks.len() >= HOOKS {
                        hooks.join_next().await;
                    }
                    hooks.spawn_blocking(move || tell_of_overdue(&call));
                    false
                }
                None => true,
            },
            () = pings.next_try() => false,
            Some(_ended) = hooks.join_next() => continue,
        };
        let told = pings.send().await;
        if is_last {
            return;
        }
        if let Some(trouble) = told {
            // The dispatcher is there, or all of this ends.
            let _ = troubles.send((PING, trouble)).await;
        }
    }
}

fn tell_of_overdue(call: &OverdueCall) {
    if let Err(problem) = overdue::tell_of_overdue(call) {
        tracing::warn!(NBKP_SYNC = call.sync.as_str(), "{}: {problem}", call.sync);
    }
}

/// Reports that did not arrive yet, in the order in which they were to: of each address the newest word about an end,
/// and a beginning only behind it.
#[derive(Debug, Default)]
struct Pings {
    waiting: Vec<(PingUrl, PingSign)>,
    failures: u32,
    again: Option<Instant>,
}

impl Pings {
    fn add(&mut self, url: PingUrl, sign: PingSign) {
        // What was to be said of an earlier run is told by the end of this one.
        self.waiting.retain(|(known, earlier)| *known != url || (sign == PingSign::Start && *earlier != sign));
        self.waiting.push((url, sign));
        if self.waiting.len() > WAITING {
            self.waiting.remove(0);
        }
    }

    async fn next_try(&self) {
        match self.again {
            Some(moment) => sleep_until(moment).await,
            None => std::future::pending().await,
        }
    }

    /// Sends what waits. Says how that stands if anything was sent: what does not arrive, or that all has.
    async fn send(&mut self) -> Option<Option<String>> {
        if self.waiting.is_empty() {
            return None;
        }
        let waiting = std::mem::take(&mut self.waiting);
        let sent = tokio::task::spawn_blocking(move || send_all(waiting)).await;
        let (left, trouble) = sent.unwrap_or_default();
        self.waiting = left;
        if self.waiting.is_empty() {
            (self.failures, self.again) = (0, None);
        } else {
            self.failures = self.failures.saturating_add(1);
            self.again = Some(Instant::now() + backoff::wait(self.failures, Remedy::TryAgain, 0));
        }
        Some(trouble)
    }
}

/// Tells what is left, and why. Behind an address that does not answer, nothing else is sent to it.
fn send_all(waiting: Vec<(PingUrl, PingSign)>) -> (Vec<(PingUrl, PingSign)>, Option<String>) {
    let (mut left, mut trouble): (Vec<(PingUrl, PingSign)>, _) = (Vec::new(), None);
    for (url, sign) in waiting {
        let is_silent = left.iter().any(|(known, _)| *known == url);
        match if is_silent { Ok(()) } else { ping::report(&url, sign) } {
            Ok(()) if is_silent => left.push((url, sign)),
            Ok(()) => {}
            Err(error) => {
                trouble = Some(format!("could not {}; it is tried again", chain(&error)));
                left.push((url, sign));
            }
        }
    }
    (left, trouble)
}

/// How long the daemon waits at its end for what is being told.
pub const LAST_CALLS: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_run_stands_for_what_was_not_told_before() {
        let url = |name: &str| PingUrl::new(&format!("https://hc.example.org/{name}")).unwrap();
        let mut pings = Pings::default();
        for sign in [PingSign::Start, PingSign::Failure, PingSign::Start, PingSign::Success, PingSign::Start] {
            pings.add(url("a"), sign);
        }
        pings.add(url("b"), PingSign::Failure);
        pings.add(url("a"), PingSign::Start);
        let a = |sign| (url("a"), sign);
        let expected = vec![a(PingSign::Success), (url("b"), PingSign::Failure), a(PingSign::Start)];
        assert_eq!(pings.waiting, expected);
        (0..200).for_each(|number| pings.add(url(&number.to_string()), PingSign::Success));
        assert_eq!(pings.waiting.len(), WAITING);
    }
}
