"""What runs on a node: the agent, its spawner and one supervisor per attempt.

This package needs the standard library of Python 3.8 and nothing else, and imports itself only
relatively: it travels to a node as a zipapp in which it is called ``flextui_agent``. One process
each, for reasons that failures taught:

* the **agent** (``session``) talks to the core and may die at any time;
* the **spawner** is forked before anything could make forking unsafe, and only forks;
* a **supervisor** owns one attempt and outlives agent, connection and core.
"""

VERSION = "0.1.0"
PROTOCOL = 1
"""The one version of the wire that this agent speaks (docs/dev/agent-protocol.md)."""

FORMAT = 1
"""The version of the layout on disk."""
