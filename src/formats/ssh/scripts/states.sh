# states ROOT ITS-SENTINEL DIRECTORY ITS-SENTINEL PARENT NAME COPY…: tells how an entry is in each of these copies below
# the destination, where it is reached through no link.
serving=
enter "$1" "$2" "$3" "$DESTINATION_SENTINEL" "$4"
top=$PWD parent=$5 name=$6
shift 6
for copy; do
    cd -P -- "$top" 2>/dev/null || say lost "$top is not there"
    below "$copy" && below "$parent" || continue
    [ -e "./$name" ] || [ -h "./$name" ] || continue
    printf 'copy %s\n' "$copy"
    TZ=UTC0 stat -c 'state %f %s %y' -- "./$name"
    [ ! -h "./$name" ] || printf 'target %s\n' "$(readlink -- "./$name")"
done
exit 0
