"""Pure: facts and commands folded into the state. Nothing here waits, sleeps or does I/O."""
