# facts ROOT ITS-SENTINEL DIRECTORY FILE ITS-TEXT PLACE PATH…: tells how each of these files below the place is.
serving=
enter "$1" "$2" "$3" "$4" "$5"
below "$6" || say lost "$PWD/$6 is not there"
shift 6
TZ=UTC0
export TZ
printf '%s\000' "$@" | xargs -0 stat -c 'fact %f %s %d %i %Z %y %n' -- 2>/dev/null
exit 0
