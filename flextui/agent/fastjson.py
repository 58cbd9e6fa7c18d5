"""JSON by the interpreter's own C code, without the json package around it.

`import json` compiles regular expressions that the C scanner and encoder never use: 6 ms of
processor time and half a megabyte in every agent. The pieces used here have kept their form from
Python 3.8 on; an interpreter without them gets the json package.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Tuple

_WHITESPACE = " \t\n\r"


class _Rules:
    """What the C scanner asks for: the defaults of json.loads."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    array_hook = None
    parse_float = float
    parse_int = int
    memo: dict[str, str] = {}

    @staticmethod
    def parse_constant(name: str) -> float:
        raise ValueError("%s is not JSON" % name)


def _unknown(value: Any) -> Any:
    raise TypeError("%s is not JSON" % type(value).__name__)


def _from_c() -> Tuple[Callable[[Any], str], Callable[[str], Any]]:
    import _json

    scan = _json.make_scanner(_Rules())  # type: ignore[arg-type]
    encoder = _json.make_encoder(
        None, _unknown, _json.encode_basestring, None, ":", ",", False, False, False
    )

    def dumps(value: Any) -> str:
        return "".join(encoder(value, 0))

    def loads(text: str) -> Any:
        start, end = 0, len(text)
        while start < end and text[start] in _WHITESPACE:
            start += 1
        try:
            value, stop = scan(text, start)
        except StopIteration:
            raise ValueError("no JSON at character %d" % start) from None
        except RecursionError:
            raise ValueError("JSON nested too deeply") from None
        if text[stop:].strip(_WHITESPACE):
            raise ValueError("more than one JSON value, from character %d" % stop)
        return value

    if loads(dumps([{"a": [1, 2.5, None, True, 'é"\n']}])) != [{"a": [1, 2.5, None, True, 'é"\n']}]:
        raise ValueError("this interpreter's _json works differently")
    return dumps, loads


def _from_package() -> Tuple[Callable[[Any], str], Callable[[str], Any]]:
    import json

    encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return encoder.encode, json.loads


try:
    dumps, loads = _from_c()
except (ImportError, AttributeError, TypeError, ValueError):
    dumps, loads = _from_package()
