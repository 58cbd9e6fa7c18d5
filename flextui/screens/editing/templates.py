"""Specs to begin with: one for each kind of work, ready to submit once a line is changed."""

from __future__ import annotations

from typing import NamedTuple


class Template(NamedTuple):
    """A spec to begin with."""

    name: str
    word: str
    text: str


EXAMPLE = """\
# An example, ready to submit: press Ctrl-s. Other templates: Ctrl-t.
name: hello
run: |
  echo "hello from $(hostname), task $FLEXTUI_TASK, GPUs: ${CUDA_VISIBLE_DEVICES:-none}"
  for i in $(seq 1 20); do echo "step $i of 20"; sleep 1; done
resources: {cpus: 1}
time_limit: 10m
"""

_TRAINING = """\
# A training run: it ends by itself, and is tried again when it fails.
name: train
run: python train.py --epochs 90
workdir: ~/project
env:
  LR: "0.1"
resources:
  gpus: 1
  gpu_memory: 24GiB
  cpus: 8
  memory: 32GiB
time_limit: 1-00:00:00
restart:
  on: failure
  attempts: 3
  within: 1h
preempt: restart        # resume, if it goes on from its own checkpoints
idle:
  for: 30m
  then: warn
"""

_GANG = """\
# One run over several nodes: all at once, or not at all. resources are for each node.
name: pretrain
nodes: 2
run: >-
  torchrun --nnodes $NNODES --node-rank $NODE_RANK --nproc-per-node 8
  --rdzv-endpoint $MASTER_ADDR:$MASTER_PORT train.py
workdir: ~/project
resources:
  gpus: 8
  gpu_memory: 40GiB
  cpus: 32
  memory: 256GiB
where:
  placement: spread
time_limit: 3-00:00:00
preempt: resume
"""

_SERVICE = """\
# A service: it stays up, is restarted when it ends, and moves when its node is lost.
name: chat-api
type: service
count: 2
run: [./serve, --port, "8000"]
workdir: /srv/chat
resources:
  gpus: 1
  gpu_memory: 24GiB
  cpus: 4
  memory: 24GiB
where:
  placement: spread
restart:
  on: always
  attempts: 5
  within: 10m
on_node_loss:
  then: reschedule
  after: 90s
  fence: true
grace: 10s
"""

_INTERACTIVE = """\
# Somebody works in it: a notebook, a shell. Its GPUs are given back when nobody does.
name: notebook
interactive: true
run: exec jupyter lab --no-browser --ip 127.0.0.1 --port 8888
resources:
  gpus: 1
  cpus: 4
  memory: 16GiB
time_limit: 8h
idle:
  gpu_below: 5
  for: 1h
  then: stop
"""

_SHARE = """\
# A part of one GPU, for work that doesn't fill it. The box says `gpus: {share: true}`.
name: small
run: python embed.py
workdir: ~/project
resources:
  gpu_share: 10GiB
  cpus: 2
  memory: 8GiB
time_limit: 4h
"""

_SYSTEM = """\
# One on every node that fits: exporters, caches.
name: exporter
type: system
run: exec ./node_exporter
workdir: /opt/exporter
resources:
  cpus: 0.1
  memory: 64MiB
where:
  not:
    kind: desk
"""

TEMPLATES = (
    Template("example", "a first job, ready to submit", EXAMPLE),
    Template("training", "runs to its end, tried again when it fails", _TRAINING),
    Template("gang", "one run over several nodes, all at once", _GANG),
    Template("service", "stays up, moves when its node is lost", _SERVICE),
    Template("interactive", "a notebook or a shell", _INTERACTIVE),
    Template("share", "a part of one GPU", _SHARE),
    Template("system", "one on every node", _SYSTEM),
)
