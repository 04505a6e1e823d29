//! Sentinel files: empty, or `id = "<uuid>"`.
