"""Pure: the Snapshot that a core begins with, from what its store held."""

from __future__ import annotations

from dataclasses import replace

from flextui.core.livejobs import LiveJobs
from flextui.core.model.ids import TaskKey
from flextui.core.model.inventory import Inventory, NodeSpec
from flextui.core.model.journal import Journal
from flextui.core.model.state import Account, Mark, Meter, Node, NodeStatus, Now, Snapshot
from flextui.core.model.usage import HOUR, unsettled
from flextui.core.ports import Loaded, NodeRecord
from flextui.core.reduce.devices import declared_gpus
from flextui.core.scheduler.accounts import held_milli, used_at
from flextui.core.scheduler.demand import seen, shape_of_spec


def restored(loaded: Loaded, inventory: Inventory, now: Now) -> Snapshot:
    """The nodes of the inventory, unconnected, and every job the store gave."""
    by_job: dict[str, list[TaskKey]] = {}
    for task in loaded.tasks:
        by_job.setdefault(task.key.job, []).append(task.key)
    by_node: dict[str, set[str]] = {}
    for attempt in loaded.attempts:
        if attempt.state.live:
            by_node.setdefault(attempt.node, set()).add(attempt.id)
    nodes = {spec.name: _node(spec, loaded.nodes.get(spec.name), now) for spec in inventory.nodes}
    for name in by_node:
        if name not in nodes:
            nodes[name] = _gone(name, now)
    meters = _meters(loaded)
    index = LiveJobs()
    demand: dict[tuple[int, ...], float] = {}
    for job in sorted(loaded.jobs, key=lambda job: job.seq):
        index.put(None, job)
        demand.update(seen(demand, shape_of_spec(job.spec)))
    return Snapshot(
        revision=1,
        inventory=inventory,
        jobs={job.id: job for job in loaded.jobs if not job.state.ended},
        recent={job.id: job for job in loaded.jobs if job.state.ended},
        tasks={task.key: task for task in loaded.tasks},
        attempts={attempt.id: attempt for attempt in loaded.attempts},
        nodes=nodes,
        by_job={job: tuple(sorted(keys)) for job, keys in by_job.items()},
        by_node={name: frozenset(ids) for name, ids in by_node.items()},
        accounts=_accounts(loaded, inventory, meters, now),
        runtimes=dict(loaded.runtimes),
        demand=demand,
        reservations=dict(loaded.reservations),
        silences=dict(loaded.silences),
        meters=meters,
        named=index.named.share(),
        live_counts=index.counts.share(),
        journal=Journal(),
    )


def first_hour(inventory: Inventory, now: Now) -> int | None:
    """From which hour on the store is to tell of use: as far back as a quota looks."""
    window = inventory.quota_window
    return int((now.wall - window) // HOUR) if window else None


def _meters(loaded: Loaded) -> dict[str, Meter]:
    """Of the live attempts; one without a row has nothing in the rows of usage yet."""
    return {
        it.id: loaded.meters.get(it.id) or Meter(it.placed_at)
        for it in loaded.attempts
        if held_milli(it)
    }


def _accounts(
    loaded: Loaded, inventory: Inventory, meters: dict[str, Meter], now: Now
) -> dict[tuple[str, str], Account]:
    """Past use as it was written, and what live attempts hold: from that on, it is as if this
    core had never been away."""
    half_life, first = inventory.policy.half_life, first_hour(inventory, now)
    jobs = {job.id: job for job in loaded.jobs}
    accounts = {(it.project, it.user): it for it in loaded.accounts}
    hours = {key: dict(rows) for key, rows in loaded.hours.items()}
    for attempt in loaded.attempts:
        job = jobs.get(attempt.task.job)
        if attempt.id not in meters or job is None:
            continue
        key = (job.project, job.owner)
        account = accounts.get(key) or Account(*key, at=now.wall)
        accounts[key] = replace(account, gpus=account.gpus + held_milli(attempt))
        if first is not None:
            of_account = hours.setdefault(key, {})
            for row, used in unsettled(job, attempt, meters[attempt.id], now.wall):
                of_account[row.hour] = of_account.get(row.hour, 0.0) + used.held_s
    return {
        key: replace(
            account,
            used=used_at(account, now.wall, half_life),
            at=now.wall,
            hours={hour: it for hour, it in hours.get(key, {}).items() if hour >= (first or 0)},
        )
        for key, account in accounts.items()
    }


def _node(spec: NodeSpec, record: NodeRecord | None, now: Now) -> Node:
    node = Node(name=spec.name, spec=spec, status_at=now.wall)
    node = replace(node, gpus=declared_gpus(node))
    if record is None:
        return node
    return replace(
        node,
        host_id=record.host_id,
        root_path=record.root_path,
        root_id=record.root_id,
        drain=Mark(*record.drain) if record.drain else None,
        cordon=Mark(*record.cordon) if record.cordon else None,
        cordoned_gpus={uuid: Mark(*mark) for uuid, mark in record.cordoned_gpus.items()},
    )


def _gone(name: str, now: Now) -> Node:
    """A node that left the inventory while work of ours was on it: in sight until that is told."""
    return Node(
        name=name,
        spec=NodeSpec(host=name, name=name),
        status=NodeStatus.UNREACHABLE,
        reason=f"{name} isn't in the inventory any more: put it back, or declare it lost",
        status_at=now.wall,
    )
