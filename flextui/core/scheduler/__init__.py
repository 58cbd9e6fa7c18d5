"""Pure decisions: what must change, where, and why not. See README.md for the words."""
