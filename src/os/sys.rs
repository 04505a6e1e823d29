//! System calls that no library wraps safely. The only file with unsafe code.
