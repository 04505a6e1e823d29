# sums ROOT ITS-SENTINEL DIRECTORY FILE ITS-TEXT PLACE PATH…: tells by number the SHA-256 of each of these files below the
# place, or why it cannot be read.
serving=
enter "$1" "$2" "$3" "$4" "$5"
below "$6" || say lost "$PWD/$6 is not there"
shift 6
command -v sha256sum >/dev/null || say failed "the program sha256sum is missing there, and contents are compared by it"
# Whatever else wants the processor or the disk goes first.
{ renice -n 19 -p $$ && ionice -c 3 -p $$; } >/dev/null 2>&1
number=0
for path; do
    number=$((number + 1))
    if [ -h "./$path" ] || [ ! -f "./$path" ]; then
        continue
    elif [ ! -r "./$path" ]; then
        printf 'forbidden %s\n' "$number"
    elif told=$({ sha256sum <"./$path"; } 2>&1); then
        printf 'sum %s %s\n' "$number" "${told%% *}"
    else
        printf 'broken %s %s\n' "$number" "$(printf %s "$told" | tr '\n\t' '  ' | head -c 300)"
    fi
done
exit 0
