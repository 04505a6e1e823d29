//! Durations and sizes as a configuration writes them: `15m`, `7d`, `2M`.
