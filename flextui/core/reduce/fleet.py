"""Commands about nodes: drain, cordon, declare lost, take over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flextui.core.authorize import admins_only
from flextui.core.commands import CommandError, Cordon, DeclareLost, Drain, TakeOver
from flextui.core.draft import Draft
from flextui.core.model.problems import nearest, quote
from flextui.core.model.state import Identity, Mark, Node, NodeStatus
from flextui.core.reduce.jobs import Answer, soon


def drain(draft: Draft, who: Identity, admin: bool, command: Drain) -> Answer:
    """No new work; batch finishes, services move."""
    admins_only("drain nodes", admin)
    node = find_node(draft, command.node)
    at = soon(draft.now.wall, command.after_s)
    mark = Mark(who.user, at, command.why) if command.on else None
    sooner = mark is not None and node.drain is not None and mark.at < node.drain.at
    if (mark is None) != (node.drain is None) or sooner:
        draft.put_node(replace(node, drain=mark), durable=True)
        verb = "drained" if command.on else "undrained"
        draft.note(
            f"audit.{verb}",
            _because(f"{node.name} {verb}", command.why),
            actor=who.user,
            node=node.name,
        )
    return lambda _: {"node": node.name}


def cordon(draft: Draft, who: Identity, admin: bool, command: Cordon) -> Answer:
    """No new work on a node, or on one of its devices."""
    admins_only("cordon nodes and GPUs", admin)
    node = find_node(draft, command.node)
    verb = "cordoned" if command.on else "uncordoned"
    mark = Mark(who.user, draft.now.wall, command.why)
    uuid = None
    if command.gpu is None:
        if command.on != (node.cordon is not None):
            draft.put_node(replace(node, cordon=mark if command.on else None), durable=True)
            draft.note(
                f"audit.{verb}",
                _because(f"{node.name} {verb}", command.why),
                actor=who.user,
                node=node.name,
            )
    else:
        uuid = find_gpu(node, command.gpu)
        if command.on != (uuid in node.cordoned_gpus):
            marks = {key: old for key, old in node.cordoned_gpus.items() if key != uuid}
            if command.on:
                marks[uuid] = mark
            draft.put_node(replace(node, cordoned_gpus=marks), durable=True)
            draft.note(
                f"audit.{verb}",
                _because(f"{node.name} GPU {uuid} {verb}", command.why),
                actor=who.user,
                node=node.name,
            )
    return lambda _: {"node": node.name, "gpu": uuid}


def declare_lost(draft: Draft, who: Identity, admin: bool, command: DeclareLost) -> Answer:
    """The operator vouches that a silent node is gone, and with it what ran there.

    A node whose state folder is missing starts with a new one: what was known of it is dropped.
    """
    admins_only("declare a node lost", admin)
    node = find_node(draft, command.node)
    if node.status in (NodeStatus.READY, NodeStatus.OBSERVED):
        raise CommandError("input", f"{node.name} answers: drain or cordon it instead")
    forget = node.status is NodeStatus.UNREACHABLE
    lost = replace(node, declared_lost=True, status=NodeStatus.LOST)
    if lost.down_mono is None:
        lost = replace(lost, down_mono=draft.now.mono)
    if forget:
        lost = replace(lost, host_id="", root_path="", root_id="")
        draft.order(node.name, "reopen")
    draft.put_node(lost, durable=forget)
    draft.note("audit.declared_lost", f"{node.name} declared lost", actor=who.user, node=node.name)
    return lambda _: {"node": node.name}


def take_over(draft: Draft, who: Identity, admin: bool, command: TakeOver) -> Answer:
    """Become the driver of nodes that another core drives."""
    admins_only("take nodes over", admin)
    nodes = [find_node(draft, name) for name in dict.fromkeys(command.nodes)]
    if not nodes:
        nodes = [it for it in draft.nodes.values() if it.status is NodeStatus.OBSERVED]
    for node in nodes:
        draft.order(node.name, "take_over")
        draft.note(
            "audit.takeover",
            _because(f"{node.name} taken over", f"from {node.driver}"),
            actor=who.user,
            node=node.name,
        )
    names = [node.name for node in nodes]
    return lambda _: {"nodes": names}


def find_node(draft: Draft, name: str) -> Node:
    """The node of that name. Raises `CommandError` (input)."""
    node = draft.nodes.get(name)
    if node is None:
        raise no_such_node(name, list(draft.nodes))
    return node


def no_such_node(name: str, names: Sequence[str]) -> CommandError:
    """The error for a name that isn't in the inventory."""
    like = nearest(name, names)
    text = f"there is no node {quote(name)}" + (f"; did you mean {like}?" if like else "")
    return CommandError("input", text, candidates=(like,) if like else ())


def find_gpu(node: Node, selector: str) -> str:
    """The UUID of a node's GPU, from its index or UUID; a slice has a UUID only, its index means
    the GPU that it is cut from. Raises `CommandError` (input)."""
    for gpu in node.gpus:
        if selector == gpu.uuid:
            return gpu.uuid
        if selector in (str(gpu.index), gpu.parent):
            return gpu.parent or gpu.uuid
    if selector in node.cordoned_gpus:
        return selector
    known = ", ".join(sorted({str(gpu.index) for gpu in node.gpus}, key=int)) or "none known"
    raise CommandError("input", f"{node.name} has no GPU {quote(selector)} (it has {known})")


def _because(text: str, why: str) -> str:
    return f"{text}: {why}" if why else text
