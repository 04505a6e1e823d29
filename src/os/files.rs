//! Files read with a bound and replaced in one step.
