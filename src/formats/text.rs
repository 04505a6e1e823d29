//! Text for people: names made safe for a terminal, sizes, spans of time.
