"""Every command, the module that has it, and its line in `flextui --help`: so that help is there at
once, and a command is imported when it is named."""

from __future__ import annotations

from typing import NamedTuple


class Listed(NamedTuple):
    """A command as help lists it: the first sentence of its own; empty where it isn't listed."""

    module: str
    summary: str


COMMANDS = {
    "submit": Listed("submit", "Hand in jobs."),
    "plan": Listed("submit", "Tell what submitting would do."),
    "validate": Listed("submit", "Read spec files and tell every mistake."),
    "run": Listed("run", "Run a command as a batch job and follow it."),
    "edit": Listed("edit", "Change a job."),
    "rollback": Listed("edit", "Bring an earlier revision of a job back."),
    "rerun": Listed("submit", "Run a batch job again."),
    "jobs": Listed("jobs", "List jobs."),
    "services": Listed("jobs", "List services."),
    "show": Listed("jobs", "Show a job, its tasks and attempts."),
    "why": Listed("jobs", "Tell why a job isn't running."),
    "wait": Listed("jobs", "Wait until jobs end."),
    "queue": Listed("queue", "List what waits, in order."),
    "placement": Listed("placement", "Show which job holds which GPU."),
    "problems": Listed("problems", "List everything that is wrong now."),
    "silence": Listed("silence", "Hear no more of problems that are known."),
    "unsilence": Listed("silence", "Hear of silenced problems again."),
    "logs": Listed("logs", "Show what jobs print."),
    "stop": Listed("act", "Stop jobs."),
    "restart": Listed("act", "Stop and start jobs anew."),
    "scale": Listed("act", "Set how many replicas a service has."),
    "priority": Listed("act", "Set a job's priority."),
    "hold": Listed("act", "Start nothing more of jobs."),
    "release": Listed("act", "Let held jobs start again."),
    "nodes": Listed("nodes", "List the nodes."),
    "gpus": Listed("nodes", "List the GPUs."),
    "drain": Listed("operate", "Empty a node."),
    "undrain": Listed("operate", "Give a drained node work again."),
    "cordon": Listed("operate", "Give a node, or one GPU, no new work."),
    "uncordon": Listed("operate", "Undo a cordon."),
    "takeover": Listed("operate", "Drive nodes that another core drives."),
    "declare-lost": Listed("operate", "Confirm that a node is gone."),
    "reserve": Listed("reserve", "Keep nodes or GPUs for somebody."),
    "unreserve": Listed("reserve", "End a reservation."),
    "reservations": Listed("reserve", "List reservations and maintenance."),
    "check": Listed("check", "Check that nodes are fit for work."),
    "shell": Listed("shell", "A shell on a node."),
    "exec": Listed("shell", "A program inside a running attempt."),
    "events": Listed("events", "Show what happened, and who did what."),
    "history": Listed("history", "Show what a node or a job used of late."),
    "revisions": Listed("revisions", "Show a job's specs over time."),
    "simulate": Listed("simulate", "Replay a trace, or the fleet's own past, under a policy."),
    "usage": Listed("usage", "Tell GPU hours: held, used and wasted."),
    "schema": Listed("admin", "Print the spec's JSON Schema."),
    "whoami": Listed("admin", "Tell who the core says you are."),
    "completion": Listed("admin", "Print what makes the shell complete commands and names."),
    "shutdown": Listed("admin", "End the core; jobs go on running."),
    "web": Listed("web", "Serve the terminal to a browser."),
    "bridge": Listed("bridge", ""),
}

LATER = {
    "forward": "`ssh -L` to its node reaches a port of it",
    "fetch": "`flextui exec JOB -- cat FILE` prints a file of what runs",
    "secret": "keep them in a file on the nodes that `run:` reads",
    "import": "write a job spec: docs/spec.md",
    "backup": "copy the state directory while no core runs",
    "restore": "copy the state directory while no core runs",
    "service": "let your service manager run `flextui --headless`",
}
"""Commands that there will be, and what does it meanwhile."""
