"""How often a view is sent: at once when little changes, seldom when all changes all the time."""

from flextui.core.embedded import BURST, FRAME_S, Frames


def sent(frames: Frames, at: float, changes: int) -> list[float]:
    """When each goes out of so many changes, one as soon as the last is gone."""
    times = []
    for _ in range(changes):
        at += frames.delay(at)
        times.append(at)
    return times


def test_after_quiet_a_few_changes_go_out_at_once() -> None:
    assert sent(Frames(), 100.0, BURST) == [100.0] * BURST


def test_what_changes_all_the_time_goes_out_at_an_even_pace() -> None:
    times = sent(Frames(), 100.0, BURST + 3)[BURST:]
    assert times == [100.0 + FRAME_S * number for number in (1, 2, 3)]


def test_a_change_a_second_never_waits() -> None:
    frames = Frames()
    assert all(frames.delay(100.0 + second) == 0.0 for second in range(50))


def test_quiet_saves_up_no_more_than_one_burst() -> None:
    frames = Frames()
    sent(frames, 100.0, 50)
    times = sent(frames, 1000.0, BURST + 1)
    assert times == [*[1000.0] * BURST, 1000.0 + FRAME_S]
