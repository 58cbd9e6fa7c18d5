"""The test bench: machines made of namespaces, GPUs made of a file.

Tests that need a real ``sshd``, a link that can be cut or a GPU that falls off the bus take them
from here. docs/dev/testing.md shows how.
"""
