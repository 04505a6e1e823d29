# What all scripts begin with, behind the names of what lies at a destination (`model/layout.rs`). They run in the shell
# of a server, which may be dash, busybox or another POSIX shell.
: "${OWN:?}" "${SNAPSHOTS:?}" "${STAGING:?}" "${IN_PROGRESS:?}" "${STALE:?}" "${TRASH:?}"
unset CDPATH
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
# No variable changes what rsync's arguments mean.
unset POSIXLY_CORRECT RSYNC_CHECKSUM_LIST RSYNC_COMPRESS_LIST RSYNC_ICONV RSYNC_MAX_ALLOC RSYNC_OLD_ARGS RSYNC_PARTIAL_DIR \
    RSYNC_PROTECT_ARGS

# home: goes where relative paths are meant from, wherever the login shell went.
home() { cd -- "${HOME:-/}" 2>/dev/null || cd / || exit 1; }
home

# say WORD TEXT: tells that this script ends here, and why. A script that serves as rsync's server speaks on standard
# error, where nothing else can pass for it.
say() {
    if [ -n "$serving" ]; then
        printf 'nbkp: %s %s\n' "$1" "$2" >&2
    else
        printf '%s %s\n' "$1" "$2"
    fi
    exit 1
}

# below DIRECTORY: goes into a directory below this one, through no link.
below() {
    [ -n "$1" ] || return 0
    above=${PWD%/}
    cd -P -- "./$1" 2>/dev/null || return 1
    [ "$PWD" = "$above/$1" ]
}

# sentinel FILE TEXT: makes sure that a sentinel is the one that was seen.
sentinel() {
    [ ! -h "$1" ] && [ -f "$1" ] || say lost "$PWD/$1 is missing"
    [ "$(head -c 4097 -- "$1")" = "$2" ] || say lost "$PWD/$1 is another one than before"
}

# enter ROOT ITS-SENTINEL DIRECTORY FILE ITS-TEXT: goes to one end of a sync and proves it.
enter() {
    cd -P -- "$1" 2>/dev/null || say lost "$1 is not there"
    sentinel "$VOLUME_SENTINEL" "$2"
    below "$3" || say lost "$1/$3 is not there"
    sentinel "$4" "$5"
}

# own FILE: whether a file in our own directory can be used: it is none yet, or a regular one that has no second name.
own() {
    [ ! -h "$OWN" ] && [ -d "$OWN" ] && [ ! -h "$OWN/$1" ] &&
        { [ ! -e "$OWN/$1" ] || { [ -f "$OWN/$1" ] && [ "$(stat -c %h "$OWN/$1" 2>/dev/null)" -le 1 ]; }; }
}

# lock: takes the lock of a destination for as long as this shell and its children live. What the step before started may
# still be about to end.
lock() {
    own "$LOCK" || say lost "$PWD/$OWN/$LOCK is no regular file"
    exec 9<>"$OWN/$LOCK"
    for _ in 1 2 3 4 5; do
        flock -n 9 && return
        sleep 1
    done
    say taken "$PWD/$OWN/$LOCK"
}

# ours TOKEN: makes sure that nobody else has written here since this run began.
ours() {
    own "$WRITER" && [ "$(head -c 256 "$OWN/$WRITER" 2>/dev/null)" = "$1" ] ||
        say superseded "another run has written to $PWD since this one began"
}

# tried COMMAND…: does something and tells what went wrong with it, in one line.
tried() {
    why=$("$@" 2>&1) && return
    say failed "$1: $(printf %s "$why" | tr '\n\t' '  ' | head -c 500)"
}

# room: tells what is left on the filesystem here, in KiB, and in inodes where it counts them.
room() {
    printf 'free %s\n' "$(df -Pk . | { read -r _ && read -r _ _ _ free _ && printf %s "$free"; })"
    printf 'inodes %s\n' "$(stat -f -c '%c %d' . | { read -r all left && [ "$all" -gt 0 ] && printf %s "$left"; })"
}
