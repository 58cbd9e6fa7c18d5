"""What flextui talks about, as frozen values.

Every other part depends on these modules and they depend on none, so that a spec or an
inventory means the same to a screen, to a command, to the engine and to the scheduler. They
are pure: text goes in, values or problems come out. The one exception is `document.read_file`.

This package imports nothing by itself: a command that needs units alone does not pay for YAML.
"""
