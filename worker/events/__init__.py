"""Events out: numbers for the log, and the sender."""
