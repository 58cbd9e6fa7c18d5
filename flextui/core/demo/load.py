"""Who submits what on a day of the simulated fleet, and what those jobs then do on their nodes.

A day is made from its seed alone. What was up and running before the first hour comes first:
services, long gangs, what somebody forgot.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

HOUR = 3600.0
DAY = 24 * HOUR
PER_HOUR = (
    24, 16, 12, 10, 10, 14, 20, 34, 60, 56, 50, 44, 32, 44, 50, 50, 46, 38, 30, 26, 24, 22, 20, 22
)  # fmt: skip
"""Jobs submitted in each hour of a day."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a task does until it ends. `busy` and `memory` are parts of each of its devices."""

    style: str
    """train, serve, eval, prepare, notebook or idle"""
    run_s: float = inf
    code: int = 0
    busy: float = 0.9
    memory: float = 0.85
    last: tuple[str, ...] = ()
    """What it says on stderr in the end."""
    resumes: bool = False
    """Goes on from what it saved when it is started again."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A submission: seconds into the day, by whom, and the spec's text."""

    at: float
    owner: str
    name: str
    text: str
    work: Work


OOM = (
    "Traceback (most recent call last):",
    '  File "train.py", line 214, in <module>',
    "    loss.backward()",
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total "
    "capacity of 79.15 GiB of which 1.31 GiB is free.",
)
NO_DATA = (
    "Traceback (most recent call last):",
    '  File "prepare.py", line 88, in main',
    "    shards = sorted(glob(args.shards))[args.first]",
    "IndexError: list index out of range",
)
NO_ROUTE = (
    "ERROR: model server at 10.2.0.41:8000 refused the connection",
    "ERROR: giving up after 3 tries",
)


def _spec(name: str, project: str, run: str, resources: str, more: str = "") -> str:
    return (
        f"name: {name}\nproject: {project}\nrun: {json.dumps(run)}\n"
        f"resources: {{{resources}}}\n{more}"
    )


def standing() -> Iterator[Planned]:
    """What stands before the day begins, and what goes wrong by itself."""
    train = "torchrun --nnodes $NNODES train.py --config configs/{}.yaml"
    yield Planned(0, "bob", "llama-pretrain", _spec(
        "llama-pretrain", "language", train.format("llama-34b"),
        "gpus: 8, gpu_model: h100, cpus: 96, memory: 1TiB",
        "nodes: 3\npriority: 80\npreempt: resume\ntime_limit: 2d\n",
    ), Work("train", 31 * HOUR, busy=0.96, memory=0.93, resumes=True))  # fmt: skip
    yield Planned(60, "grace", "vit-huge", _spec(
        "vit-huge", "vision", train.format("vit-huge"),
        "gpus: 8, gpu_model: a100, gpu_memory: 70GiB, cpus: 64, memory: 512GiB",
        "nodes: 2\npriority: 60\npreempt: resume\ntime_limit: 20h\n",
    ), Work("train", 15.5 * HOUR, busy=0.9, memory=0.78, resumes=True))  # fmt: skip
    for name, count, gpu, memory in (
        ("chat-api", 8, "l40s", 0.82), ("embed", 4, "l40s", 0.31), ("rerank", 2, "rtx3090", 0.6),
        ("whisper", 3, "l40s", 0.44),
    ):  # fmt: skip
        yield Planned(90, "web", name, _spec(
            name, "platform", f"python -m serve --model {name} --port 8000",
            f"gpus: 1, gpu_model: {gpu}, cpus: 4, memory: 24GiB",
            f"type: service\ncount: {count}\npriority: 70\n",
        ), Work("serve", busy=0.55, memory=memory))  # fmt: skip
    yield Planned(2 * HOUR, "heidi", "asr-large", _spec(
        "asr-large", "speech", train.format("asr-large"),
        "gpus: 8, gpu_model: v100, cpus: 64, memory: 256GiB", "priority: 55\ntime_limit: 16h\n",
    ), Work("train", 13 * HOUR, busy=0.88, memory=0.9))  # fmt: skip
    yield Planned(4.2 * HOUR, "dan", "debug-detr", _spec(
        "debug-detr", "vision", "sleep infinity  # tmux, back after lunch",
        "gpus: 4, gpu_model: a100, cpus: 16, memory: 128GiB",
        "time_limit: 2d\nidle: {gpu_below: 5, for: 10m, then: warn}\n",
    ), Work("idle", busy=0.0, memory=0.22))  # fmt: skip
    yield Planned(7.4 * HOUR, "carol", "course-notebook", _spec(
        "course-notebook", "teaching", "jupyter lab --no-browser --ip 127.0.0.1",
        "gpu_share: 0.5, cpus: 4, memory: 32GiB",
        "interactive: true\nwhere: {use: notebooks}\ntime_limit: 8h\n",
    ), Work("notebook", 8 * HOUR, busy=0.3, memory=0.4))  # fmt: skip
    yield Planned(8.1 * HOUR, "bob", "llama-pretrain-2", _spec(
        "llama-pretrain-2", "language", train.format("llama-34b-v2"),
        "gpus: 8, gpu_model: h100, gpu_memory: 80GiB, cpus: 96, memory: 1TiB",
        "nodes: 4\npriority: 75\npreempt: resume\ntime_limit: 1d\n",
    ), Work("train", 20 * HOUR, busy=0.96, memory=0.93, resumes=True))  # fmt: skip
    yield Planned(8.35 * HOUR, "yuki", "video-mae", _spec(
        "video-mae", "vision", train.format("video-mae"),
        "gpus: 8, gpu_model: a100, gpu_memory: 70GiB, cpus: 64, memory: 512GiB",
        "nodes: 2\npriority: 55\npreempt: resume\ntime_limit: 12h\n",
    ), Work("train", 9 * HOUR, busy=0.91, memory=0.7, resumes=True))  # fmt: skip
    yield Planned(8.62 * HOUR, "web", "chat-gw", _spec(
        "chat-gw", "platform", "python -m gateway --upstream chat-api", "cpus: 1, memory: 2GiB",
        "type: service\ncount: 2\nrestart: {attempts: 4, within: 30m, delay: 20s, backoff: 2}\n",
    ), Work("serve", 95.0, code=3, last=NO_ROUTE))  # fmt: skip
    yield Planned(8.7 * HOUR, "tom", "homework-3", _spec(
        "homework-3", "teaching", "python solve.py --epochs 200",
        "gpus: 6, gpu_model: [a100, v100], cpus: 16, memory: 64GiB", "time_limit: 6h\n",
    ), Work("train", 5 * HOUR))  # fmt: skip


def day(seed: int, number: int) -> list[Planned]:
    """The submissions of a day, in their order. The first day's has `standing` in it."""
    random_ = random.Random(f"{seed} day {number}")
    found = list(standing()) if number == 0 else []
    for hour, count in enumerate(PER_HOUR):
        for _ in range(count):
            at = (hour + random_.random()) * HOUR
            found.append(random_.choices(_MAKERS, _OFTEN)[0](random_, at))
    return sorted(found, key=lambda it: it.at)


# ── kinds of work ──────────────────────────────────────────────────────────────────────────────

_PROJECT = {
    "bob": "language", "eve": "language", "ines": "language", "dan": "vision", "grace": "vision",
    "yuki": "vision", "heidi": "speech", "noor": "speech", "carol": "teaching", "tom": "teaching",
}  # fmt: skip


def _finetune(random_: random.Random, at: float) -> Planned:
    owner = random_.choice(("eve", "ines", "dan", "grace", "yuki", "noor"))
    model = random_.choice(("llama-8b", "qwen-7b", "mistral", "siglip", "detr", "whisper"))
    name = f"{random_.choice(('sft', 'lora', 'dpo'))}-{model}-{random_.randrange(1, 30)}"
    gpus = random_.choice((1, 2, 4, 4, 8))
    card = random_.choice(("a100", "a100", "[a100, h100]", "[l40s, a100]", "[v100, a100]"))
    hours = random_.choice((3, 5, 8, 12, 20))
    run_s = random_.uniform(0.3, 0.95) * hours * HOUR
    text = _spec(
        name, _PROJECT[owner], f"python finetune.py --model {model} --lr 2e-5",
        f"gpus: {gpus}, gpu_model: {card}, cpus: {gpus * 4}, memory: {gpus * 32}GiB",
        f"priority: {random_.choice((40, 50, 50, 60))}\ntime_limit: {hours}h\npreempt: resume\n",
    )  # fmt: skip
    if random_.random() < 0.12:
        work = Work("train", random_.uniform(90, 1500), 1, memory=0.98, last=OOM)
    else:
        busy, memory = random_.uniform(0.6, 0.97), random_.uniform(0.4, 0.95)
        work = Work("train", run_s, busy=busy, memory=memory, resumes=True)
    return Planned(at, owner, name, text, work)


def _trial(random_: random.Random, at: float) -> Planned:
    owner = random_.choice(("dan", "yuki", "tom", "heidi"))
    name = f"sweep-lr-{random_.randrange(100):02}"
    text = _spec(
        name, _PROJECT[owner], f"python sweep.py --trial {random_.randrange(1000)}",
        "gpus: 1, gpu_model: [rtx4090, rtx3090], cpus: 4, memory: 16GiB",
        "priority: 30\ntime_limit: 3h\n",
    )  # fmt: skip
    work = Work("train", random_.uniform(600, 9000), busy=random_.uniform(0.5, 0.9), memory=0.6)
    return Planned(at, owner, name, text, work)


def _evaluation(random_: random.Random, at: float) -> Planned:
    owner = random_.choice(("bob", "eve", "ines", "grace"))
    name = f"eval-{random_.choice(('mmlu', 'gsm8k', 'coco', 'ade20k', 'hellaswag'))}"
    text = _spec(
        name, _PROJECT[owner], "python evaluate.py --checkpoint latest",
        "gpus: 1, cpus: 4, memory: 24GiB", "priority: 65\ntime_limit: 1h\n",
    )  # fmt: skip
    work = Work("eval", random_.uniform(200, 2400), busy=0.75, memory=0.5)
    return Planned(at, owner, name, text, work)


def _preparation(random_: random.Random, at: float) -> Planned:
    owner = random_.choice(("ines", "noor", "carol"))
    name = f"shards-{random_.randrange(1, 40):02}"
    text = _spec(
        name, _PROJECT[owner], "python prepare.py --shards /data/raw",
        "cpus: 12, memory: 48GiB", "priority: 45\ntime_limit: 4h\nrestart: {on: failure}\n",
    )  # fmt: skip
    if random_.random() < 0.08:
        return Planned(at, owner, name, text, Work("prepare", 40.0, 1, last=NO_DATA))
    return Planned(at, owner, name, text, Work("prepare", random_.uniform(400, 6000)))


def _notebook(random_: random.Random, at: float) -> Planned:
    owner = random_.choice(("carol", "tom", "yuki", "heidi"))
    text = _spec(
        "notebook", _PROJECT[owner], "jupyter lab --no-browser --ip 127.0.0.1",
        "gpu_share: 0.25, cpus: 2, memory: 16GiB",
        "interactive: true\nwhere: {use: notebooks}\ntime_limit: 8h\n"
        "idle: {gpu_below: 5, for: 2h, then: stop}\n",
    )  # fmt: skip
    work = Work("notebook", random_.uniform(1, 6) * HOUR, busy=0.35, memory=0.2)
    return Planned(at, owner, "notebook", text, work)


_MAKERS = (_finetune, _trial, _evaluation, _preparation, _notebook)
_OFTEN = (8, 11, 6, 3, 1)
