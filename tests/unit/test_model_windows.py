"""Reservations and maintenance: when they hold, for whom, and what contradicts what."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest

from flextui.core.model.inventory import Maintenance, Reservation, read_inventory
from flextui.core.model.problems import BadInput
from flextui.core.model.windows import Window, first_overlap

NODES = "nodes: [{host: gpu1}, {host: gpu2}]\nprojects: {vision: {members: [bob]}}\n"
HOUR = 3600.0
DAY = 24 * HOUR


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def window(**fields: object) -> Window:
    return Window.model_validate({"name": "w", "nodes": "all", "timezone": "UTC", **fields})


def reservation(**fields: object) -> Reservation:
    given = {"name": "r", "nodes": "all", "for": "bob", "timezone": "UTC", **fields}
    return Reservation.model_validate(given)


def spans(it: Window, after: str, count: int = 3) -> list[tuple[str, str]]:
    zone = ZoneInfo(it.timezone or "UTC")
    shown = [
        tuple(f"{datetime.fromtimestamp(edge, zone):%m-%dT%H:%M}" for edge in span)
        for span in islice(it.spans(at(after, it.timezone or "UTC")), count)
    ]
    return [(start, end) for start, end in shown]


def the_problem(text: str) -> str:
    with pytest.raises(BadInput) as caught:
        read_inventory(NODES + text, "i.yaml")
    (only,) = caught.value.problems
    return str(only).removeprefix("i.yaml:")


def test_everything_that_is_written_is_kept() -> None:
    fleet = read_inventory(
        NODES
        + """
reservations:
  - name: class
    for: ["project:vision", "group:staff", eve]
    nodes: [gpu1]
    gpus: [0, 1]
    from: 2026-02-02T09:00
    to: 2026-02-02T12:00
    every: weekdays
    until: 2026-07-01
    timezone: Europe/Berlin
maintenance:
  - {name: patch, nodes: all, from: "2026-02-03T22:00:00+01:00", to: 4h, every: week}
""",
        "i.yaml",
    )
    (lesson,) = fleet.reservations
    assert (lesson.name, lesson.for_) == ("class", ("project:vision", "group:staff", "eve"))
    assert (lesson.nodes, lesson.gpus) == (("gpu1",), (0, 1))
    assert (lesson.from_, lesson.to) == ("2026-02-02T09:00:00", "2026-02-02T12:00:00")
    assert (lesson.every, lesson.until) == ("weekdays", "2026-07-01T00:00:00")
    (patch,) = fleet.maintenance
    assert (patch.nodes, patch.to, patch.every) == ("all", 14_400.0, "week")
    assert read_inventory(fleet.to_text(), "i.yaml") == fleet


def test_what_it_is_about() -> None:
    one = reservation(nodes=["gpu1"], gpus=[0], **{"from": "2026-01-01", "to": "1h"})
    assert (one.covers("gpu1"), one.covers("gpu2")) == (True, False)
    assert (one.holds(0), one.holds(1)) == (True, False)
    whole = reservation(**{"from": "2026-01-01", "to": "1h"})
    assert whole.covers("gpu2")
    assert whole.holds(9)


def test_whom_it_is_for() -> None:
    kept = reservation(
        **{"for": ["bob", "group:staff", "project:vision"], "from": "2026-01-01", "to": "1h"}
    )
    assert kept.admits("bob", (), "")
    assert kept.admits("eve", ("users", "staff"), "")
    assert kept.admits("eve", (), "vision")
    assert not kept.admits("eve", ("vision",), "speech")
    assert not kept.admits("vision", (), "staff")


def test_once_is_once() -> None:
    once = window(**{"from": "2026-02-02T09:00", "to": "2026-02-02T12:00"})
    assert spans(once, "2026-01-01") == [("02-02T09:00", "02-02T12:00")]
    assert once.next_span(at("2026-02-02T11:59")) == (
        at("2026-02-02T09:00"),
        at("2026-02-02T12:00"),
    )
    assert once.next_span(at("2026-02-02T12:00")) is None


def test_every_day_week_and_weekday() -> None:
    daily = window(**{"from": "2026-02-02T22:00", "to": "4h", "every": "day"})
    assert spans(daily, "2026-02-10T01:00") == [
        ("02-09T22:00", "02-10T02:00"),
        ("02-10T22:00", "02-11T02:00"),
        ("02-11T22:00", "02-12T02:00"),
    ]
    weekly = window(**{"from": "2026-02-02T09:00", "to": "2d", "every": "week"})
    assert spans(weekly, "2026-02-05", 2) == [
        ("02-09T09:00", "02-11T09:00"),
        ("02-16T09:00", "02-18T09:00"),
    ]
    workdays = window(**{"from": "2026-01-31T09:00", "to": "1h", "every": "weekdays"})
    assert spans(workdays, "2026-02-05T10:00") == [  # from a Saturday on, and after a Thursday
        ("02-06T09:00", "02-06T10:00"),
        ("02-09T09:00", "02-09T10:00"),
        ("02-10T09:00", "02-10T10:00"),
    ]
    assert spans(workdays, "2025-01-01", 1) == [("02-02T09:00", "02-02T10:00")]


def test_until_ends_it() -> None:
    few = window(
        **{"from": "2026-02-02T09:00", "to": "1h", "every": "day", "until": "2026-02-04T09:00"}
    )
    assert spans(few, "2026-01-01", 9) == [
        ("02-02T09:00", "02-02T10:00"),
        ("02-03T09:00", "02-03T10:00"),
    ]


def test_it_stays_at_nine_when_the_clocks_change() -> None:
    daily = window(
        **{
            "from": "2026-01-01T09:00",
            "to": "1h",
            "every": "day",
            "timezone": "Europe/Berlin",
        }
    )
    assert spans(daily, "2026-03-28T12:00", 2) == [
        ("03-29T09:00", "03-29T10:00"),
        ("03-30T09:00", "03-30T10:00"),
    ]
    starts = [start for start, _ in islice(daily.spans(at("2026-03-28")), 3)]
    assert [later - start for start, later in pairwise(starts)] == [
        23 * HOUR,
        DAY,
    ]


def test_a_time_with_its_own_zone_means_that_instant() -> None:
    one = window(**{"from": "2026-02-02T09:00:00+02:00", "to": "1h", "timezone": None})
    assert one.next_span(0.0) == (
        datetime(2026, 2, 2, 7, tzinfo=UTC).timestamp(),
        datetime(2026, 2, 2, 8, tzinfo=UTC).timestamp(),
    )


@pytest.mark.parametrize(
    ("one", "other", "first"),
    [
        ({"from": "2026-02-02T09:00"}, {"from": "2026-02-02T09:30"}, "2026-02-02T09:30"),
        ({"from": "2026-02-02T09:00"}, {"from": "2026-02-02T10:00"}, None),
        ({"from": "2026-02-02T09:00", "every": "day"}, {"from": "2026-02-09T09:59"}, "2026-02-09T"),
        ({"from": "2026-02-02T09:00", "every": "day"}, {"from": "2026-02-01T09:00"}, None),
        (
            {"from": "2026-02-02T09:00", "every": "week"},
            {"from": "2026-01-06T09:00", "every": "weekdays"},
            "2026-02-02T09:00",
        ),
        (
            {"from": "2026-02-07T09:00", "every": "week"},
            {"from": "2026-01-06T09:00", "every": "weekdays"},
            None,
        ),
        (
            {"from": "2026-02-02T09:00", "every": "day", "until": "2026-02-05"},
            {"from": "2026-02-05T09:00", "every": "day"},
            None,
        ),
        (  # an hour apart in winter, at once in the weeks when only one has changed its clocks
            {"from": "2026-01-05T10:00", "every": "week", "timezone": "Europe/Berlin"},
            {"from": "2026-01-05T05:00", "every": "week", "timezone": "America/New_York"},
            "2026-03-09T",
        ),
    ],
)
def test_windows_that_meet(one: dict[str, str], other: dict[str, str], first: str | None) -> None:
    pair = window(**{"to": "1h", **one}), window(**{"to": "1h", **other})
    for a, b in (pair, pair[::-1]):
        meets = first_overlap(a, b)
        assert (meets is None) == (first is None)
        if meets is not None and first is not None:
            assert datetime.fromtimestamp(meets[0], UTC).isoformat().startswith(first)


def test_only_the_same_device_is_a_conflict() -> None:
    time = {"from": "2026-02-02T09:00", "to": "1h"}
    one = reservation(nodes=["gpu1"], gpus=[0], **time)
    assert one.conflict(reservation(nodes=["gpu1"], gpus=[1], **time)) is None
    assert one.conflict(reservation(nodes=["gpu2"], **time)) is None
    assert one.conflict(reservation(nodes=["gpu1"], **time)) is not None
    assert one.conflict(reservation(nodes="all", gpus=[0], **time)) is not None


R = "{name: a, for: bob, nodes: gpu1, from: 2026-02-02T09:00, to: 1h}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"reservations: [{R[:-1]}, gpus: []}}]", "gpus is a list; expected at least one GPU"),
        (
            "reservations: [{name: a, for: [], nodes: all, from: 2026-02-02, to: 1h}]",
            "3:31: reservations[0].for is a list; expected at least one user, group:NAME or proj",
        ),
        (
            "reservations: [{name: a, for: 'x y', nodes: all, from: 2026-02-02, to: 1h}]",
            "3:31: reservations[0].for is 'x y'; expected a user, group:NAME or project:NAME",
        ),
        (
            "reservations: [{name: a, for: 'project:tts', nodes: all, from: 2026-02-02, to: 1h}]",
            "3:31: there is no project 'tts'; expected a project of this file",
        ),
        (
            "reservations: [{name: a, for: bob, nodes: [gpu1, gpu3], from: 2026-02-02, to: 1h}]",
            "3:50: there is no node 'gpu3'; expected a node of this file; did you mean 'gpu",
        ),
        (
            "reservations: [{name: a, for: bob, nodes: [], from: 2026-02-02, to: 1h}]",
            "3:43: reservations[0].nodes is a list; expected all, or a list of nodes",
        ),
        (
            "reservations: [{name: a, for: bob, nodes: all, from: now, to: 1h}]",
            "3:54: reservations[0].from is 'now'; expected a time such as 2026-01-31T09:30",
        ),
        (
            "reservations: [{name: a, for: bob, nodes: all, from: 2026-02-02, to: 2026-02-01}]",
            "3:70: reservations[0].to: it ends before it begins; expected later than from, 2026",
        ),
        (
            "reservations: [{name: a, for: bob, nodes: all, from: 2026-02-02, to: 0s}]",
            "3:70: reservations[0].to: it ends before it begins",
        ),
        (
            "maintenance: [{name: a, nodes: all, from: 2026-02-02, to: 25h, every: day}]",
            "3:59: maintenance[0].to: it comes again every day before it has ended; expected at",
        ),
        (
            "maintenance: [{name: a, nodes: all, from: 2026-02-02, to: 1h, every: month}]",
            "maintenance[0].every is 'month'; expected one of day, week, weekdays",
        ),
        (
            "maintenance: [{name: a, nodes: all, from: 2026-02-02, to: 1h, until: 2026-03-01}]",
            "3:70: maintenance[0].until: it doesn't come again; expected every: day, week or we",
        ),
        (
            "maintenance: [{name: a, nodes: all, from: 2026-02-02, to: 1h, timezone: Mars/Base}]",
            "3:73: maintenance[0].timezone: there is no time zone 'Mars/Base' here; expected an",
        ),
        (
            f"reservations: [{R}, {R.replace('name: a', 'name: b')}]",
            "the reservation 'b' keeps what 'a' (line 3) keeps already, from 2026-02-02T09:00; e",
        ),
        (
            f"reservations: [{R}]\nmaintenance: [{R.replace('for: bob, ', '')}]",
            "4:22: the name 'a' is used twice; expected another name than in line 3",
        ),
    ],
)
def test_one_mistake_gives_one_problem_at_its_place(text: str, problem: str) -> None:
    assert problem in the_problem(text)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(BadInput) as caught:
        read_inventory(NODES + "reservations: [{}]", "i.yaml")
    told = [str(it) for it in caught.value.problems]
    assert [it.split("'")[1] for it in told] == ["for", "from", "name", "nodes", "to"]


def test_maintenance_may_meet_a_reservation() -> None:
    text = NODES + f"reservations: [{R}]\nmaintenance: [{R.replace('a, for: bob', 'm')}]"
    assert isinstance(read_inventory(text, "i.yaml").maintenance[0], Maintenance)
