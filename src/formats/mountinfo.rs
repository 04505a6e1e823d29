//! The mount table: `proc_pid_mountinfo(5)`.
