# transfer SECONDS (which `timeout` ends it after), five words for a source, nine for a destination, the text of apart.sh
# or nothing, then rsync's arguments: proves what of both is here, and becomes rsync, with a root of its own where that
# can be had. A source: ROOT ITS-SENTINEL DIRECTORY ITS-SENTINEL DATA. A destination: ROOT ITS-SENTINEL DIRECTORY
# ITS-SENTINEL PLACE MAKE TOKEN MARKER TEXT. An empty root is not here; an empty token only looks, and with MAKE `share` it
# is read.
serving=1

# share: keeps everybody from pruning what is read.
share() {
    if own "$LOCK" && [ -r "$OWN/$LOCK" ] && command -v flock >/dev/null; then
        exec 8<"$OWN/$LOCK"
        flock -n -s 8 || say taken "$PWD/$OWN/$LOCK"
    fi
}

# numbers: what tells this directory from another.
numbers() { stat -c %d:%i .; }

# can_part: whether this account can give rsync a mount namespace of its own.
can_part() {
    [ "$(id -u)" = 0 ] && command -v pivot_root >/dev/null &&
        unshare --mount --propagation slave true 2>/dev/null </dev/null
}

command -v rsync >/dev/null || say tool rsync
from='' from_is='' to='' to_is='' use=read
if [ -n "$2" ]; then
    enter "$2" "$3" "$4" "$SOURCE_SENTINEL" "$5"
    if [ -n "$6" ]; then
        share
        below "$6" || say lost "$PWD/$6 is not there"
    fi
    from=$PWD from_is=$(numbers)
    exec 7<.
fi
if [ -n "$7" ]; then
    home
    enter "$7" "$8" "$9" "$DESTINATION_SENTINEL" "${10}"
    to=$PWD to_is=$(numbers)
    if [ -n "${13}" ]; then
        use='write'
        lock
        ours "${13}"
        own "${14}" || say lost "$PWD/$OWN/${14} is no regular file"
        tried sh -c 'printf %s "$2" >"$1"' sh "$OWN/${14}" "${15}"
        if [ -n "${12}" ]; then
            [ -d "$SNAPSHOTS" ] || tried mkdir "$SNAPSHOTS"
            [ -d "${11}" ] || tried mkdir -m 700 "${11}"
        fi
    elif [ "${12}" = share ]; then
        share
    fi
    below "${11}" || say lost "$PWD/${11} is not there"
    if [ -n "${13}" ]; then
        # Through a link of this name rsync would go on with files that lie elsewhere.
        find . -name "$PARTIAL" ! -type d -exec rm -f -- {} + >&2
    fi
fi
place=${11} apart=${16}
shift 16
# No alias of ~/.popt changes what these arguments mean.
HOME=/dev/null
export HOME
if [ -n "$apart" ] && can_part; then
    exec unshare --mount --propagation slave sh -c "$apart" nbkp "$from" "$from_is" "$to" "$to_is" "$place" "$use" "$@"
fi
exec rsync "$@"
