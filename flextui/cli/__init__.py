"""The command line: one small module per command group, over the same client as the screens.

Starting it is quick on purpose: a group's module is imported when one of its commands is named,
Textual never, and what reads specs or speaks SSH only by the commands that do so.
"""
