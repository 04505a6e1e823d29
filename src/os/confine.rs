//! Confinement of a thread and its children to one directory (landlock(7)).
