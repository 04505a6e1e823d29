# traps ROOT ITS-SENTINEL DIRECTORY FILE ITS-TEXT PLACE NAME…: tells what has one of these names below the place, and is
# neither a file nor a directory, nor a link to one.
serving=
enter "$1" "$2" "$3" "$4" "$5"
below "$6" || say lost "$PWD/$6 is not there"
shift 6
for name; do
    find . -name "$name" ! -type f ! -type d -exec sh -c '
        for path; do
            [ ! -e "$path" ] || [ -f "$path" ] || [ -d "$path" ] || printf "trap %s\n" "$path"
        done' sh {} + 2>/dev/null
done
exit 0
