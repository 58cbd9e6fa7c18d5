"""Effects: SSH and local node sessions, the SQLite store, paths. They implement core.ports."""
