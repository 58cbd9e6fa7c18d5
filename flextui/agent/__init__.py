"""What runs on a node: the agent, its spawner and one supervisor per attempt.

This package needs the standard library of Python 3.8 and nothing else, and imports itself only
relatively: it travels to a node as a zipapp in which it is called ``flextui_agent``. One process
each, for reasons that failures taught:

* the **agent** talks to the core and may die at any time: ``session`` over ``channel``, ``wire``
  and ``loop``; ``hello``, ``root`` and ``driver`` say where state lies and who drives; ``requests``
  is what the core may ask for, ``starts``, ``registry`` and ``tail`` what becomes of it;
* a search in logs runs in a child of the agent: ``search`` by grep in the words of ``ere``, read by
  ``searches``; the ``shelf`` serves the core's own copies of logs in the same way;
* the **spawner** is forked before anything could make forking unsafe, and only forks, after a
  ``rehearsal`` that makes supervisors smaller;
* a **supervisor** owns one attempt and outlives agent, connection and core: ``start`` brings it up
  exactly once, its child becomes the ``workload``, ``supervisor`` keeps it with ``logs``,
  ``memory``, ``lease`` and ``claims``, ``teller`` says what is on disk;
* a child of the agent asks NVML, where calls may hang: ``gpus`` over ``device``, ``slices``,
  ``holders`` and ``topology``; the agent's ``telemetry`` and ``sample`` keep it by ``nvml`` and
  add ``usage`` and ``activity`` of the attempts.

``attempt`` and ``records`` are the layout on disk, ``procs`` what the kernel knows of processes.
"""

VERSION = "0.1.0"
PROTOCOL = 1
"""The one version of the wire that this agent speaks (docs/dev/agent-protocol.md)."""

FORMAT = 1
"""The version of the layout on disk."""
