//! One under way and one owed: how questions that cost something are coalesced.
//!
//! A question is answered by a flight that departs after it was asked. What is asked while a flight is under way waits
//! for the next one, since that flight may have passed already what the question is about.

/// The number of a question. It is given once, when the question is asked; a later question has a higher one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// The questions to one neighbour, of which at most one flight is under way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flight {
    /// How many questions were asked.
    asked: u64,
    /// How many of them are answered once the flight that is under way lands.
    under_way: Option<u64>,
    /// How many of them are answered.
    answered: u64,
}

impl Flight {
    /// Asks; the ticket tells later whether that was answered.
    pub fn ask(&mut self) -> Ticket {
        self.asked = self.asked.saturating_add(1);
        Ticket(self.asked)
    }

    /// Whether a flight is owed and none is under way.
    #[must_use]
    pub fn can_depart(&self) -> bool {
        self.under_way.is_none() && self.is_awaited()
    }

    /// Departs with all that was asked so far, if it can.
    #[must_use]
    pub fn depart(&mut self) -> Departure {
        if !self.can_depart() {
            return Departure::No;
        }
        self.under_way = Some(self.asked);
        Departure::Yes
    }

    /// The flight that was under way has landed: what it departed with is answered.
    pub fn land(&mut self) {
        self.answered = self.answered.max(self.under_way.take().unwrap_or(0));
    }

    /// The flight that was under way has brought nothing that counts: what it departed with is owed again.
    pub fn lose(&mut self) {
        self.under_way = None;
    }

    /// All that was asked so far is answered without a flight.
    pub fn answer_at_once(&mut self) {
        self.answered = self.asked;
    }

    /// Whether this question is answered.
    #[must_use]
    pub fn has_answered(&self, ticket: Ticket) -> bool {
        ticket.0 <= self.answered
    }

    /// Whether a question is not answered yet.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.answered < self.asked
    }

    /// Whether any question was ever answered.
    #[must_use]
    pub fn has_landed(&self) -> bool {
        self.answered > 0
    }
}

/// Whether a flight departs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// It does, with all that was asked so far.
    Yes,
    /// One is under way, or nothing is owed.
    No,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_asked_under_way_waits_for_the_next() {
        let mut flight = Flight::default();
        let first = flight.ask();
        assert_eq!(flight.depart(), Departure::Yes);
        let (second, third) = (flight.ask(), flight.ask());
        assert_eq!(flight.depart(), Departure::No, "one is under way");
        flight.land();
        assert!(flight.has_answered(first) && !flight.has_answered(second));
        assert_eq!((flight.depart(), flight.depart()), (Departure::Yes, Departure::No), "one is owed for both");
        flight.land();
        assert!(flight.has_answered(third) && !flight.is_awaited());
        assert_eq!(flight.depart(), Departure::No, "nothing is owed");
    }

    #[test]
    fn what_is_lost_is_owed_again() {
        let mut flight = Flight::default();
        let ticket = flight.ask();
        assert_eq!(flight.depart(), Departure::Yes);
        flight.lose();
        assert!(flight.can_depart() && !flight.has_answered(ticket) && !flight.has_landed());
        flight.answer_at_once();
        assert!(!flight.can_depart() && flight.has_answered(ticket));
    }

    #[test]
    fn what_lands_without_a_departure_answers_nothing() {
        let mut flight = Flight::default();
        let ticket = flight.ask();
        flight.land();
        assert!(!flight.has_answered(ticket));
    }

    proptest! {
        #[test]
        fn a_question_is_answered_by_a_flight_that_departs_after_it(steps in proptest::collection::vec(0..4u8, 0..60)) {
            let mut flight = Flight::default();
            let mut waiting: Vec<(Ticket, Option<usize>)> = Vec::new();
            let (mut departures, mut in_the_air) = (0, None);
            for step in steps {
                match step {
                    0 => waiting.push((flight.ask(), None)),
                    1 => if flight.depart() == Departure::Yes {
                        prop_assert_eq!(in_the_air, None, "two are under way");
                        departures += 1;
                        in_the_air = Some(departures);
                        for (_, by) in &mut waiting {
                            *by = by.or(Some(departures));
                        }
                    },
                    2 => {
                        flight.land();
                        if let Some(landed) = in_the_air.take() {
                            for (ticket, by) in waiting.extract_if(.., |(_, by)| *by == Some(landed)) {
                                prop_assert!(flight.has_answered(ticket), "{ticket:?}, which departed with {by:?}");
                            }
                        }
                    },
                    _ => {
                        flight.lose();
                        if let Some(lost) = in_the_air.take() {
                            for (_, by) in waiting.iter_mut().filter(|(_, by)| *by == Some(lost)) {
                                *by = None;
                            }
                        }
                    },
                }
                prop_assert!(waiting.iter().all(|(ticket, _)| !flight.has_answered(*ticket)), "answered too early");
                prop_assert_eq!(flight.is_awaited(), !waiting.is_empty());
            }
        }
    }
}
