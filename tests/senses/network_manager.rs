//! NetworkManager.
