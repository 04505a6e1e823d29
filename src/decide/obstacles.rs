//! All that stands in the way of a sync.
