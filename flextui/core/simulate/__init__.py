"""A trace replayed with a virtual clock, through the very functions that decide live."""
