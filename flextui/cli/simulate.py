"""simulate: what a trace, or the fleet's own past, would have been under another policy."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from flextui.cli import output, simulate_input
from flextui.cli.output import Failure
from flextui.cli.verb import Place, json_option, verb

if TYPE_CHECKING:
    from flextui.core.simulate.trace import Box, Trace

_FORMATS = ("openb", "muri", "philly", "history")
_POLICIES = ("fifo", "priority", "fair-share", "shortest")
_BACKFILLS = ("none", "easy", "conservative")
_COST = "60s"


def _duration(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Seconds of a duration such as 60s or 7d."""
    if value is None:
        return None
    from flextui.core.model.problems import BadValue
    from flextui.core.model.units import parse_duration

    try:
        return parse_duration(value)
    except BadValue as error:
        raise click.BadParameter(str(error), ctx, param) from error


def _moment(ctx: click.Context, param: click.Parameter, value: str | None) -> float | str | None:
    """A calendar time, or so long after the trace began."""
    if value is None:
        return None
    from flextui.core.model.moments import parse_time, unix_time
    from flextui.core.model.problems import BadValue
    from flextui.core.model.units import parse_duration

    try:
        found = parse_time(value)
        return parse_duration(value) if found is None else f"{unix_time(found):f}"
    except BadValue as error:
        raise click.BadParameter(str(error), ctx, param) from error


def _weights(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> dict[str, float]:
    """Weights of projects: NAME=2."""
    weights = {}
    for text in value:
        name, _, weight = text.partition("=")
        try:
            weights[name] = float(weight)
        except ValueError:
            weights[name] = 0.0
        if not name or not 0 < weights[name] <= 1e6:
            raise click.BadParameter(f"'{text}': expected PROJECT=WEIGHT, such as a=2", ctx, param)
    return weights


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the options say of how to decide."""

    policies: tuple[str, ...]
    backfill: str | None
    durations: str
    cost_s: float | None
    no_preemption: bool
    half_life: float | None
    longest_wait: float | None


@verb(
    "simulate",
    "flextui simulate --policy fair-share --policy shortest",
    "flextui simulate --export march.jsonl",
    "flextui simulate trace.csv --format muri --nodes 8x8 --policy shortest",
    "flextui simulate pods.csv --nodes nodes.csv --experiment packing --seed 42",
    short_help="Replay a trace, or the fleet's own past, under a policy.",
)
@click.argument("trace", required=False, metavar="[TRACE]", type=click.Path())
@click.option("--history", is_flag=True, help="The fleet's own past (without TRACE: the default).")
@click.option(
    "--format", "form", type=click.Choice(_FORMATS), help="Of TRACE; else known by its first line."
)
@click.option(
    "--nodes",
    metavar="NODES",
    help="8x8 (8 nodes of 8 GPUs), 8x8:a100, a CSV of nodes, or an inventory with its GPUs. "
    "A history has its own.",
)
@click.option(
    "--experiment",
    type=click.Choice(("replay", "packing")),
    default="replay",
    show_default=True,
    help="replay: as it came; packing: how full the nodes get.",
)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    type=click.Choice(_POLICIES),
    help="The order of the queue; more than one are compared. [default: the history's own, or "
    "priority]",
)
@click.option(
    "--backfill",
    type=click.Choice(_BACKFILLS),
    help="[default: the history's own, or easy]",
)
@click.option(
    "--durations",
    type=click.Choice(("known", "unknown")),
    default="unknown",
    show_default=True,
    help="known: each job's time limit is its true run time; unknown: none is given.",
)
@click.option(
    "--preemption-cost",
    metavar="DURATION",
    callback=_duration,
    help=f"What resumed work takes to get back to where it was. [default: {_COST}]",
)
@click.option(
    "--no-preemption",
    is_flag=True,
    help="Nothing that runs makes room. [default: the history's own; it does in other traces]",
)
@click.option("--half-life", metavar="DURATION", callback=_duration, help="Of past use.")
@click.option("--longest-wait", metavar="DURATION", callback=_duration, help="Under shortest.")
@click.option(
    "--weight",
    "weights",
    metavar="PROJECT=N",
    multiple=True,
    callback=_weights,
    help="A project's part of the fleet, next to others'. [default: 1]",
)
@click.option("--from", "since", metavar="TIME", callback=_moment, help="Jobs submitted from then.")
@click.option("--to", "until", metavar="TIME", callback=_moment, help="Jobs submitted before then.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="The first so many jobs.")
@click.option("--seed", type=int, default=42, show_default=True, help="Of packing.")
@click.option(
    "--export", type=click.Path(), metavar="FILE",
    help="Write the fleet's own past to a file ('-': stdout).",
)  # fmt: skip
@json_option
def simulate(
    place: Place,
    trace: str | None,
    history: bool,
    form: str | None,
    nodes: str | None,
    experiment: str,
    seed: int,
    export: str | None,
    as_json: bool,
    weights: dict[str, float],
    since: float | str | None,
    until: float | str | None,
    limit: int | None,
    policies: tuple[str, ...],
    backfill: str | None,
    durations: str,
    preemption_cost: float | None,
    no_preemption: bool,
    half_life: float | None,
    longest_wait: float | None,
) -> None:
    """Replay a trace under a policy: how long jobs would have waited, and how busy the GPUs.

    The very functions that decide live decide here, on a clock that jumps from event to event.
    Without TRACE it replays the fleet's own past, as far back as it is kept (policy: log_keep).
    """
    if (history or export) and trace:
        raise click.UsageError("--history and --export are of this fleet; TRACE is another's")
    if no_preemption and preemption_cost is not None:
        raise click.UsageError("--no-preemption costs nothing: leave --preemption-cost out")
    if export is not None:
        simulate_input.export(place, export)
        return
    found = simulate_input.read(place, trace, form)
    boxes = simulate_input.boxes(found, nodes)
    found = simulate_input.cut(found, since, until, limit)
    found = replace(found, projects={**found.projects, **weights})
    asked = _Asked(
        policies, backfill, durations, preemption_cost, no_preemption, half_life, longest_wait
    )
    _settle_memory()
    if experiment == "packing":
        _pack(found, boxes, seed, asked, as_json)
    else:
        _replay(found, boxes, asked, as_json)


def _settle_memory() -> None:
    """What is there by now stays: the collector needn't walk it, as in a core."""
    import gc

    gc.collect()
    gc.freeze()
    gc.set_threshold(500_000, 20, 20)  # nobody waits for an answer meanwhile


# ── what is done with it ───────────────────────────────────────────────────────────────────────


def _policy(trace: Trace, asked: _Asked, queue: str | None) -> dict[str, Any]:
    """The policy to decide by: that of the history, or of an inventory that says nothing, with
    what was asked for."""
    known = trace.settings.get("policy")
    policy = dict(known) if known is not None else {"preemption": True}
    if queue is not None:
        policy["queue"] = queue
    if asked.backfill is not None:
        policy["backfill"] = {"none": False}.get(asked.backfill, asked.backfill)
    if asked.no_preemption or asked.cost_s is not None:
        policy["preemption"] = not asked.no_preemption
    if asked.half_life is not None:
        policy["half_life"] = asked.half_life
    if asked.longest_wait is not None:
        policy["longest_wait"] = asked.longest_wait
    return policy


def _pack(trace: Trace, boxes: tuple[Box, ...], seed: int, asked: _Asked, as_json: bool) -> None:
    from flextui.cli import simulated
    from flextui.core.simulate.figures import packing_figures
    from flextui.core.simulate.packing import pack

    queue = asked.policies[-1] if asked.policies else None
    if not any(box.gpus for box in boxes):
        raise Failure(output.INPUT, "the nodes have no GPU to pack")
    figures = packing_figures(pack(trace, boxes, seed, _policy(trace, asked, queue)), seed)
    if as_json:
        output.document(figures)
    else:
        output.lines(simulated.packing(trace, len(boxes), figures))


def _replay(trace: Trace, boxes: tuple[Box, ...], asked: _Asked, as_json: bool) -> None:
    from flextui.cli import simulated
    from flextui.core.simulate.figures import replay_figures
    from flextui.core.simulate.replay import Options, Replay
    from flextui.core.simulate.trace import untimed

    if not trace.timed:
        raise untimed(trace)
    cost = 60.0 if asked.cost_s is None else asked.cost_s
    told = []
    for queue in asked.policies or (None,):
        options = Options(_policy(trace, asked, queue), asked.durations == "known", cost)
        replay = Replay(trace, boxes, options, _progress(len(trace.jobs)))
        told.append(replay_figures(replay.run()))
        _clear_progress()
    for note in trace.notes:
        output.say(f"flextui: {note}")
    if as_json:
        output.document(told[0] if len(told) == 1 else told)
    elif len(told) == 1:
        output.lines(simulated.replay(told[0]))
    else:
        output.lines(simulated.compared(told))


def _progress(jobs: int) -> Any:
    """Tells a person how far it is."""
    if not output.is_terminal(sys.stderr):
        return lambda done: None

    def tell(done: int) -> None:
        sys.stderr.write(f"\r{done:,} of {jobs:,} jobs submitted")
        sys.stderr.flush()

    return tell


def _clear_progress() -> None:
    if output.is_terminal(sys.stderr):
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
