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
# as long: a backup keeps modes such as 0555.
each() {
    kind=$1
    shift
    before=$(there "$@")
    why=$(remove "$kind" "$@" 2>&1)
    left=$(there "$@")
    if [ "$left" -gt 0 ] && [ ! -w . ] && mode=$(stat -c %a .) && chmod u+w . 2>/dev/null; then
        why=$(remove "$kind" "$@" 2>&1)
        chmod "$mode" .
        left=$(there "$@")
    fi
    printf 'gone %s\n' "$((before - left))"
    [ "$left" -gt 0 ] || return 0
    # A directory in which something is kept stays.
    case $kind$why in
        directory*[Nn]"ot empty"*) return 0 ;;
    esac
    printf 'refused %s %s\n' "$left" "$(printf %s "$why" | tr '\n\t' '  ' | head -c 300)"
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
