# settle ROOT ITS-SENTINEL DIRECTORY ITS-SENTINEL TOKEN MARKER TEXT DOUBT LOG: notes what a copy that was not finished is worth to
# the next, and that it was not. An empty text leaves the marker as it is; it says DOUBT
# if flushing fails.
serving=
enter "$1" "$2" "$3" "$DESTINATION_SENTINEL" "$4"
lock
ours "$5"
if own "$6" && [ -e "$OWN/$6" ]; then
    if ! sync -f .; then
        # What is lost looks whole for as long as the kernel remembers it.
        printf '%s' "$8" >"$OWN/$6"
    elif [ -n "$7" ]; then
        printf '%s' "$7" >"$OWN/$6"
    fi
fi
if [ -n "$9" ] && own "$LOG"; then
    if [ -s "$OWN/$LOG" ] && [ -n "$(tail -c 1 "$OWN/$LOG")" ]; then
        echo >>"$OWN/$LOG"
    fi
    printf '%s\n' "$9" >>"$OWN/$LOG" && sync "$OWN/$LOG"
fi
exit 0
