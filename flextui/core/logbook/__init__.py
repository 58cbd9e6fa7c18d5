"""How logs are read by people: lines with their times, merged over any selection, in pages.

Pure but for `reader`, which asks a client for what the pages need. The screens and the command
line share it.
"""
