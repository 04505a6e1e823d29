# sizes ROOT ITS-SENTINEL DIRECTORY FILE ITS-TEXT PLACE PATH…: tells the size, the mode in hexadecimal digits, and the name of
# each of these entries below the place.
serving=
enter "$1" "$2" "$3" "$4" "$5"
below "$6" || say lost "$PWD/$6 is not there"
shift 6
printf '%s\000' "$@" | xargs -0 stat -c 'size %s %f %n' -- 2>/dev/null
exit 0
