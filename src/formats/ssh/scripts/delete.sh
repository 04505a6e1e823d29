# delete ROOT ITS-SENTINEL DIRECTORY ITS-SENTINEL TOKEN PLACE, then for each directory below the place: `other` or
# `directory`, its path, how many names follow, and these. Deletes what is no directory, or directories that are empty, and
# nothing else. `gone` tells how many; `refused` how many were not, and why.
serving=
enter "$1" "$2" "$3" "$DESTINATION_SENTINEL" "$4"
lock
ours "$5"
below "$6" || say lost "$PWD/$6 is not there"
place=$PWD
shift 6

# there NAME…: how many of them are there.
there() {
    count=0
    for name; do
        [ ! -e "$name" ] && [ ! -h "$name" ] || count=$((count + 1))
    done
    echo "$count"
}

# remove TOOL PATH…: removes them as far as it can, without a word.
remove() {
    case $1 in
        directory) shift && rmdir -- "$@" ;;
        other) shift && rm -f -- "$@" ;;
    esac
}

# each KIND NAME…: the same, and tells what came of it. Where a directory does not let its owner, it takes the right for
# as long: a backup keeps modes such as 0555. Its time is that of the original, and stays, too.
each() {
    kind=$1 mode=
    shift
    before=$(there "$@")
    [ "$before" -gt 0 ] || return 0
    if [ ! -w . ] && mode=$(stat -c %a .); then
        chmod u+w . 2>/dev/null || mode=
    fi
    changed=$(stat -c %y .) second=$(stat -c %Y .)
    remove "$kind" "$@" 2>/dev/null
    left=$(there "$@") refused=0 told=
    printf 'gone %s\n' "$((before - left))"
    if [ "$left" -gt 0 ]; then
        # Each has a reason of its own.
        for name; do
            { [ -e "$name" ] || [ -h "$name" ]; } || continue
            why=$(remove "$kind" "$name" 2>&1) && continue
            case $kind$why in
                # A directory in which something is kept stays.
                directory*[Nn]"ot empty") ;;
                *) refused=$((refused + 1)) told=${told:-$why} ;;
            esac
        done
    fi
    # busybox knows whole seconds.
    touch -m -d "$changed" . 2>/dev/null || touch -m -d "@$second" . 2>/dev/null
    [ -z "$mode" ] || chmod "$mode" .
    [ "$refused" -eq 0 ] ||
        printf 'refused %s %s\n' "$refused" "$(printf %s "$told" | tr '\n\t' '  ' | head -c 300)"
}

while [ $# -ge 3 ]; do
    kind=$1 parent=$2 count=$3
    shift 3
    names="" number=0
    while [ "$number" -lt "$count" ]; do
        number=$((number + 1))
        names="$names \"\${$number}\""
    done
    cd -- "$place" || say lost "$place is not there"
    # What went away with all that was in it needs nothing.
    if below "$parent"; then
        eval "each $kind $names"
    fi
    shift "$count"
done
exit 0
