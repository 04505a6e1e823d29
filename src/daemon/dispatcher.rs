//! The one loop that owns all state.
