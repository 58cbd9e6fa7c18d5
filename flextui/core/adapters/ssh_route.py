"""The way to a node as the SSH configuration has it: the machine and the jump hosts before it."""

from __future__ import annotations

from dataclasses import dataclass

from flextui.core.adapters.ssh_config import ClientConfig, ConfigError, HostOptions
from flextui.core.model.inventory import Defaults, NodeSpec


@dataclass(frozen=True, slots=True)
class Hop:
    """One machine on the way, the node last."""

    options: HostOptions
    via: tuple[HostOptions, ...]

    @property
    def key(self) -> tuple[str, int, str, tuple[tuple[str, int], ...]]:
        options = self.options
        return options.host, options.port, options.user, tuple((v.host, v.port) for v in self.via)


class Routes:
    """Finds ways; call from any one thread at a time."""

    def __init__(self, defaults: Defaults) -> None:
        self._defaults = defaults
        self._config = ClientConfig()

    def to(self, node: NodeSpec) -> Hop:
        """Raises ConfigError."""
        options = self._config.lookup(
            node.host.strip("[]"),
            user=node.user,
            port=node.port,
            default_user=self._defaults.user,
            default_port=self._defaults.port,
        )
        return Hop(options, self._jumps_of(options, set()))

    def _jumps_of(self, options: HostOptions, seen: set[str]) -> tuple[HostOptions, ...]:
        """The chain of jump hosts, the first to connect to first."""
        written = options.one("proxyjump")
        if written is None or written.lower() == "none":
            return ()
        if written in seen:
            raise ConfigError(f"ProxyJump {written} of {options.alias} leads back to itself")
        hops = [self._jump(part) for part in written.replace(" ", "").split(",") if part]
        return (*self._jumps_of(hops[0], seen | {written}), *hops)

    def _jump(self, written: str) -> HostOptions:
        user, _, place = written.removeprefix("ssh://").rpartition("@")
        host, colon, port = place.rpartition(":")
        if not colon or not port.isdigit() or (":" in host and not host.startswith("[")):
            host, port = place, ""
        return self._config.lookup(
            host.strip("[]"), user=user or None, port=int(port) if port else None
        )
