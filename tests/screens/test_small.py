"""Twenty cells by five lines: every place shows of its list, every question how it is answered."""

from __future__ import annotations

from tests.screens.kit import running, shown, until

SMALL = (20, 5)
PLACES = {
    "1": "gpu1", "1 j enter": "●", "4": "gpu1", "2": "j2", "2 enter": "run",
    "2 enter t": "█", "2 enter i": "name", "2 enter d": "j", "3": "node.lo", "6": "web/chat",
    "7": "gpu", "8": "llama", "5": "shown", "n": "An example",
}  # fmt: skip
PROMPTS = {
    "2 s": ["Stop", "y yes"], "2 p": ["Priority", "50"], "1 d": ["Drain", "y yes", "type"],
    ":": ["fleet", "1 of"], ": s t o": ["stop", "sto"], "2 / t r": ["tr ", "of 4"],
    "2 f j j j": ["▸ ["], "n ctrl+t j j": ["gang"], "2 ?": ["jobs"], "2 o": ["i id"],
}  # fmt: skip


async def test_a_place_shows_its_list() -> None:
    async with running(size=SMALL) as (app, pilot, _, _):
        for keys, seen in PLACES.items():
            await pilot.press(*keys.split())
            await until(pilot, lambda seen=seen: seen in "\n".join(shown(app).splitlines()[1:-1]))
            await pilot.press("escape", "escape", "escape")


async def test_a_question_shows_how_it_is_answered() -> None:
    async with running(size=SMALL) as (app, pilot, _, _):
        for keys, (first, *others) in PROMPTS.items():
            await pilot.press(*keys.split())
            await until(pilot, lambda first=first: first in shown(app))
            assert any(it in shown(app) for it in others or [""]), (keys, shown(app))
            await pilot.press("escape", "escape", "escape")


async def test_what_will_happen_can_be_read_to_its_end() -> None:
    async with running(size=SMALL) as (app, pilot, _, _):
        await pilot.press("2", "s")
        await until(pilot, lambda: "y yes" in shown(app))
        assert "SIGKILL" not in shown(app)
        await pilot.press(*["down"] * 12)
        await until(pilot, lambda: "SIGKILL" in shown(app))
        assert "y yes" in shown(app)
