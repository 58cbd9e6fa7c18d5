"""Durations and sizes: what is read, what is refused, how they print."""

from __future__ import annotations

import pytest

from flextui.core.model.problems import BadValue
from flextui.core.model.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("4h", 14_400),
        ("90m", 5_400),
        ("30s", 30),
        ("350ms", 0.35),
        ("2d12h", 216_000),
        ("1w", 604_800),
        ("1.5h", 5_400),
        ("4:00:00", 14_400),
        ("100:00:01", 360_001),
        ("1-00:00:00", 86_400),
        ("2-03:04:05", 183_845),
        (30, 30),
        (0.5, 0.5),
        ("30", 30),
        ("0s", 0),
        (" 5m ", 300),
    ],
)
def test_durations_that_are_read(text: str | float, seconds: float) -> None:
    assert parse_duration(text) == seconds


ODD = ["", "h", "4 hours", "10:00", "1-2", "1-24:00:00", "0:60:00", "4H", "-5s", "12h2d", "1h1h"]
ODDER = ["1e3s", "٣s", "5s\n6s", "9" * 400 + "s", -1, 1e300, float("nan"), float("inf"), True]


@pytest.mark.parametrize("text", [*ODD, *ODDER, 10**30])
def test_durations_that_are_refused(text: str | float) -> None:
    with pytest.raises(BadValue, match=r"duration|may be"):
        parse_duration(text)


def test_a_time_that_is_minutes_to_one_and_hours_to_another_is_named() -> None:
    with pytest.raises(BadValue, match="10:00 may be minutes or hours"):
        parse_duration("10:00")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64G", 64 * 10**9),
        ("64GB", 64 * 10**9),
        ("64Gi", 64 * 2**30),
        ("64GiB", 64 * 2**30),
        ("1.5GiB", 3 * 2**29),
        ("0.1G", 10**8),
        ("512 MiB", 2**29),
        ("100B", 100),
        ("100", 100),
        (100, 100),
        ("1KiB", 1024),
        ("1T", 10**12),
        ("1PiB", 2**50),
    ],
)
def test_sizes_that_are_read(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("64g", "64G"),
        ("64gb", "64GB"),
        ("64gib", "64GiB"),
        ("64 gi", "64 Gi"),
        *((text, "") for text in ("many", "", "-1G", "1X", "G", "1e9", "5GiBB")),
    ],
)
def test_sizes_that_are_refused(text: str, nearest: str) -> None:
    with pytest.raises(BadValue) as refused:
        parse_size(text)
    assert refused.value.nearest == nearest
    assert "64GiB" in refused.value.expected


@pytest.mark.parametrize("size", [-1, 2**62, "8E", True, 1.5])
def test_sizes_out_of_bounds_are_refused(size: int) -> None:
    with pytest.raises(BadValue):
        parse_size(size)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.35, "350ms"),
        (1.9, "1s"),
        (59.9, "59s"),
        (60, "1m"),
        (95, "1m35s"),
        (600, "10m"),
        (659, "10m"),
        (3600, "1h"),
        (7_800, "2h10m"),
        (86_399, "23h59m"),
        (273_600, "3d4h"),
        (400 * 86_400, "400d"),
        (-90, "-1m30s"),
        (float("inf"), "∞"),
    ],
)
def test_a_duration_prints_short(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0B"),
        (999, "999B"),
        (1000, "1000B"),
        (1024, "1KiB"),
        (3 * 2**29, "1.5GiB"),
        (80 * 2**30, "80GiB"),
        (1000 * 2**30, "1000GiB"),
        (2**40 - 1, "1TiB"),
        (2**40, "1TiB"),
        (85_899_345_920, "80GiB"),
        (-1024, "-1KiB"),
    ],
)
def test_a_size_prints_short(size: int, text: str) -> None:
    assert format_size(size) == text
