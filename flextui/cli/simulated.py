"""How the figures of a simulation read on a terminal. Pure, but for what the terminal can show."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from flextui.cli import chart, output
from flextui.cli.table import Cell, Column, render
from flextui.cli.text import count
from flextui.core.simulate.trace import Trace
from flextui.screens import format as fmt

_HEIGHT = 8
_WIDTH = 60


def packing(trace: Trace, nodes: int, figures: dict[str, Any]) -> list[str]:
    """A packing experiment."""
    allocated = [had for _, had in figures["curve"]]
    asciis = chart.plain()
    rows = chart.columns(_sampled(allocated, _WIDTH), 1.0, _HEIGHT, ascii_only=asciis)
    foot = f"{figures['decisions']:,} tasks, one after the other: {figures['asked_percent']:.0f} %"
    return [
        f"{trace.name}: {nodes:,} nodes, {figures['gpus']:,} GPUs, seed {figures['seed']}",
        "",
        f"allocated    {figures['allocated_percent']:.2f} % of GPUs",
        f"unallocated  {figures['unallocated_gpus']:,.1f} GPUs: {figures['free_whole_gpus']:,.0f} "
        f"whole, {figures['free_parts_gpus']:,.1f} in parts",
        f"placed       {figures['placed']:,} of {figures['decisions']:,} tasks, "
        f"{figures['decisions_per_second']:,} decisions a second",
        "",
        *chart.framed(rows, "100 %", "0", f"{foot} of the GPUs asked for", ascii_only=asciis),
    ]


def _sampled(values: Sequence[float], most: int) -> list[float]:
    """At most so many of them, evenly."""
    if len(values) <= most:
        return list(values)
    return [values[at * len(values) // most] for at in range(most)]


# ── a replay ───────────────────────────────────────────────────────────────────────────────────


def replay(figures: dict[str, Any]) -> list[str]:
    """One replay in full."""
    lines = [_head(figures), "", *_times(figures), "", *_course(figures), "", *_use(figures)]
    accounts = figures["fairness"]["accounts"]
    if len(accounts) > 1:
        lines += ["", *_accounts(figures)]
    lines += [f"{count(it['jobs'], 'job')} refused: {it['why']}" for it in figures["refusals"]]
    return lines


def _head(figures: dict[str, Any]) -> str:
    cost = figures["preemption_cost_s"]
    parts = [
        f"{figures['nodes']:,} nodes, {figures['gpus']:,} GPUs",
        f"{figures['jobs']:,} jobs",
        f"{figures['policy']}, backfill {figures['backfill']}",
        f"durations {figures['durations']}",
        "no preemption" if cost is None else f"preemption costs {fmt.long_span(cost)}",
    ]
    return " · ".join(parts) if not chart.plain() else ", ".join(parts)


def _times(figures: dict[str, Any]) -> list[str]:
    """Completion and waiting, as simulated, as it was, and by the number of GPUs."""
    columns = [Column(""), *(Column(it, right=True) for it in ("JOBS", *_HEADS))]
    rows: list[list[Cell | str]] = [
        ["completion", f"{figures['ended']:,}", *_spans(figures, "jct")],
        ["waiting", f"{figures['ended']:,}", *_spans(figures, "wait")],
    ]
    really = figures["really"]
    if really is not None:
        rows.append(["really waited", f"{really['jobs']:,}", *_spans(really, "wait")])
    for group in figures["waits_by_gpus"]:
        name = f"  {count_of(group['gpus'])}"
        rows.append([name, f"{group['jobs']:,}", *_spans(group, "wait")])
    return _table(columns, rows)


_HEADS = ("AVERAGE", "MEDIAN", "P99", "LONGEST")


def _spans(figures: dict[str, Any], what: str) -> list[Cell | str]:
    keys = (f"average_{what}_s", f"median_{what}_s", f"p99_{what}_s", f"longest_{what}_s")
    return [fmt.long_span(figures[key]) if key in figures else "" for key in keys]


def count_of(gpus: float) -> str:
    """`no GPU`, `0.5 GPU`, `4 GPUs`."""
    if not gpus:
        return "no GPU"
    return f"{gpus:g} GPU" + ("s" if gpus > 1 else "")


def _course(figures: dict[str, Any]) -> list[str]:
    """GPUs in use and waited for, over time."""
    course = figures["course"]
    if not course:
        return []
    asciis = chart.plain()
    busy = [point["busy_gpus"] for point in course]
    waiting = [point["waiting_gpus"] for point in course]
    most = max(waiting)
    end = fmt.long_span(figures["makespan_s"])
    foot = f"{'0':<{max(1, len(busy) - len(end))}}{end}"
    rows = chart.columns(busy, figures["gpus"], _HEIGHT, ascii_only=asciis)
    return [
        "GPUs in use",
        *chart.framed(rows, f"{figures['gpus']:,}", "0", foot, ascii_only=asciis),
        f"GPUs waited for, at most {most:,.0f} on average of a column",
        *chart.framed(
            chart.columns(waiting, most, 4, ascii_only=asciis),
            f"{most:,.0f}",
            "0",
            foot,
            ascii_only=asciis,
        ),
    ]


def _use(figures: dict[str, Any]) -> list[str]:
    fairness = figures["fairness"]
    lines = [
        f"makespan     {fmt.long_span(figures['makespan_s'])}",
        f"utilisation  {figures['utilisation_percent']:.1f} % of GPU time; while jobs waited, "
        f"{figures['idle_while_waiting_percent']:.1f} % was idle",
    ]
    if figures["preemption_cost_s"] is not None:
        lines.append(
            f"preemptions  {figures['preemptions']:,}, which cost "
            f"{figures['preemption_overhead_percent']:.2f} % of the GPU time in use"
        )
    lines.append(
        f"fairness     {fairness['error_percent']:.1f} % of what was due wasn't given when wanted; "
        f"in the long run {fairness['jain_index']:.3f} (1: all alike)"
    )
    left = [(figures["never_ended"], "never ended"), (figures["refused"], "refused")]
    lines += [f"{count(number, 'job')} {what}" for number, what in left if number]
    return lines


def _accounts(figures: dict[str, Any]) -> list[str]:
    heads = ("WEIGHT", "JOBS", "GPU HOURS", "DUE", "SHORT", "AVERAGE WAIT", "LONGEST")
    columns = [Column("PROJECT"), *(Column(it, right=True) for it in heads)]
    rows: list[list[Cell | str]] = [
        [
            it["account"],
            f"{it['weight']:g}",
            f"{it['jobs']:,}",
            f"{it['gpu_hours']:,.0f}",
            f"{it['due_gpu_hours']:,.0f}",
            f"{it['short_gpu_hours']:,.0f}",
            fmt.long_span(it["average_wait_s"]),
            fmt.long_span(it["longest_wait_s"]),
        ]
        for it in figures["fairness"]["accounts"]
    ]
    return _table(columns, rows)


# ── several ────────────────────────────────────────────────────────────────────────────────────


def compared(told: Sequence[dict[str, Any]]) -> list[str]:
    """Several policies on the same trace, a line each."""
    first = told[0]
    heads = ("AVERAGE JCT", "P99 JCT", "AVERAGE WAIT", "LONGEST WAIT", "MAKESPAN", "USE", "UNFAIR")
    columns = [Column("POLICY"), *(Column(it, right=True) for it in heads)]
    rows: list[list[Cell | str]] = []
    really = first["really"]
    if really is not None:
        rows.append(["as it was", *_compared(really), "", "", ""])
    for it in told:
        rows.append(
            [
                it["policy"],
                *_compared(it),
                fmt.long_span(it["makespan_s"]),
                f"{it['utilisation_percent']:.1f}%",
                f"{it['fairness']['error_percent']:.1f}%",
            ]
        )
    head = _head({**first, "policy": f"{len(told)} policies"})
    return [head, "", *_table(columns, rows)]


def _compared(figures: dict[str, Any]) -> list[str]:
    keys = ("average_jct_s", "p99_jct_s", "average_wait_s", "longest_wait_s")
    return [fmt.long_span(figures[key]) for key in keys]


def _table(columns: Sequence[Column], rows: Sequence[Sequence[Cell | str]]) -> list[str]:
    colour = output.colour_on(sys.stdout)
    return render(columns, rows, width=output.width(), colour=colour)
