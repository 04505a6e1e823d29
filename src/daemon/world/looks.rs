//! The looks at this machine: one under way at most, and one more owed.

use crate::daemon::messages::look::{LookCause, Scope};
use crate::decide::flight::{Departure, Flight, Ticket};

/// The looks at this machine.
#[derive(Debug, Default)]
pub(super) struct Looks {
    flight: Flight,
    /// What the next look is to cover.
    owed: Scope,
    /// What the one under way covers.
    under_way: Scope,
}

impl Looks {
    /// Asks for a look at this. The ticket is answered by a look that begins after now.
    pub(super) fn ask(&mut self, scope: Scope) -> Ticket {
        self.owed.join(scope);
        self.flight.ask()
    }

    /// Whether a look can begin.
    pub(super) fn can_begin(&self) -> bool {
        self.flight.can_depart()
    }

    /// Begins the look that is owed, and says what it covers; `None` if one is under way, or none is owed.
    pub(super) fn begin(&mut self) -> Option<Scope> {
        match self.flight.depart() {
            Departure::Yes => {
                self.under_way = std::mem::take(&mut self.owed);
                Some(self.under_way.clone())
            }
            Departure::No => None,
        }
    }

    /// A look was taken.
    pub(super) fn taken(&mut self, cause: LookCause) {
        match cause {
            LookCause::Asked => self.flight.land(),
            // Nobody asked for it.
            LookCause::Belated => {}
        }
    }

    /// A look was taken of a configuration that is in force no longer: it is owed again.
    pub(super) fn taken_in_vain(&mut self, cause: LookCause) {
        match cause {
            LookCause::Asked => {
                self.flight.lose();
                self.owed.join(std::mem::take(&mut self.under_way));
            }
            LookCause::Belated => {}
        }
    }

    /// Whether a look has answered this.
    pub(super) fn has_answered(&self, ticket: Ticket) -> bool {
        self.flight.has_answered(ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_was_taken_in_vain_is_taken_again_with_what_came_since() {
        let mut looks = Looks::default();
        looks.ask(Scope::mounts());
        assert_eq!(looks.begin(), Some(Scope::mounts()));
        let ticket = looks.ask(Scope::blocks());
        assert_eq!(looks.begin(), None);
        looks.taken_in_vain(LookCause::Asked);
        let mut both = Scope::blocks();
        both.join(Scope::mounts());
        assert_eq!(looks.begin(), Some(both));
        looks.taken(LookCause::Belated);
        assert!(!looks.has_answered(ticket));
        looks.taken(LookCause::Asked);
        assert!(looks.has_answered(ticket) && !looks.can_begin());
    }
}
