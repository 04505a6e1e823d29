//! Floor 2: judgement. Same inputs, same answer: no I/O, no clock, no log.

pub mod backoff;
pub mod chains;
pub mod checking;
pub mod diagnosis;
pub mod due;
pub mod flight;
pub mod forecast;
pub mod guard;
pub mod judge;
pub mod locations;
pub mod obstacles;
pub mod permission;
pub mod plights;
pub mod presence;
pub mod queue;
pub mod reach;
pub mod refs;
pub mod retention;
pub mod rounds;
pub mod setup;
pub mod strangers;
pub mod tidying;
pub mod versions;
