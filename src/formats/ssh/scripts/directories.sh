# directories ROOT ITS-SENTINEL DIRECTORY FILE ITS-TEXT PLACE FOLLOW PATH…: tells by number which of these paths below the
# place are directories, reached through no link; through any, if FOLLOW is not empty.
serving=
enter "$1" "$2" "$3" "$4" "$5"
below "$6" || say lost "$PWD/$6 is not there"
follow=$7 number=0
shift 7
for path; do
    number=$((number + 1))
    [ -d "./$path" ] || continue
    [ -n "$follow" ] || { [ ! -h "./$path" ] && (below "$path"); } || continue
    printf 'directory %s\n' "$number"
done
exit 0
