"""~/.ssh/config: which hosts there are, and when the inventory's defaults apply."""

from __future__ import annotations

from flextui.core.model.inventory import Defaults, NodeSpec
from flextui.core.model.sshconfig import SshConfig, SshHost, Target, parse, target

CONFIG = """
# the lab
Host gpu1 gpu2
    HostName %h.lab.example
    User=alice
    IdentityFile ~/.ssh/lab
    ProxyJump jump

Host jump
    hostname "jump.lab.example"
    Port 2222

Host gpu* !gpu2
    Port = 2200
    User never-first
    IdentityFile ~/.ssh/second

Match host *.lab.example
    IdentityAgent /run/agent

Match exec "test -f /x"
    User never

Host *
    ProxyCommand none
"""


def test_the_first_value_counts_and_keys_add_up() -> None:
    assert parse(CONFIG).lookup("gpu1") == SshHost(
        alias="gpu1",
        hostname="gpu1.lab.example",
        user="alice",
        port=2200,
        identity_files=("~/.ssh/lab", "~/.ssh/second"),
        proxy_jump="jump",
        proxy_command="none",
        identity_agent="/run/agent",
    )


def test_a_negated_pattern_keeps_a_host_out() -> None:
    assert parse(CONFIG).lookup("gpu2").port is None
    assert parse(CONFIG).lookup("gpu3").port == 2200


def test_match_looks_at_the_name_that_is_connected_to() -> None:
    assert parse(CONFIG).lookup("jump").identity_agent == "/run/agent"


def test_an_unknown_host_is_itself() -> None:
    found = parse(CONFIG).lookup("other")
    assert (found.hostname, found.user, found.port) == ("other", None, None)


def test_aliases_are_the_names_without_wildcards() -> None:
    assert parse(CONFIG).aliases == ("gpu1", "gpu2", "jump")


def test_included_files_keep_to_the_block_they_are_included_in() -> None:
    files = {"lab": "Host a\n Port 1\nHost *\n User all\n", "more": "Include lab\n"}
    config = parse("Host a b\n Include more\n Port 9\nHost c\n Port 3\n", lambda it: [files[it]])
    assert (config.lookup("a").port, config.lookup("a").user) == (1, "all")
    assert (config.lookup("b").port, config.lookup("b").user) == (9, "all")
    assert (config.lookup("c").port, config.lookup("c").user) == (3, None)


def test_a_file_that_includes_itself_ends() -> None:
    def itself(pattern: str) -> list[str]:
        return ["Port 7\nInclude itself\n"]

    assert parse("Include itself\n", itself).lookup("a").port == 7


def test_what_is_odd_is_left_to_the_ssh_library() -> None:
    config = parse('Host\nHost "a\nPort many\nUser\nMatch\nMatch host\nMatch all\nUser x\n=\n')
    assert config.lookup("a").port is None
    assert config.lookup("a").user == "x"


def test_a_nodes_own_words_come_before_the_config_and_that_before_the_defaults() -> None:
    config = parse("Host known\n User configured\n Port 2200\n")
    defaults = Defaults(user="lab", port=22)
    assert target(NodeSpec(host="known"), defaults, config) == Target("known", None, None)
    assert target(NodeSpec(host="other"), defaults, config) == Target("other", "lab", 22)
    own = NodeSpec(host="known", user="me", port=1)
    assert target(own, defaults, config) == Target("known", "me", 1)
    assert target(NodeSpec(host="x"), Defaults(), SshConfig()) == Target("x", None, None)
