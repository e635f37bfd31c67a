"""A lane's credit: few suspects where the model is slow, none held up behind a slow picture."""

from worker.intake.credit import Credit


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def commit(credit: Credit, held: int, settled: int, *, full: bool = True) -> int:
    if full:
        credit.note_full()
    wanted = credit.next(held=held, settled=settled)
    credit.stands(wanted)
    return wanted


def test_a_lane_that_waits_five_seconds_for_each_slow_picture_gets_the_credit_to_go_on_meanwhile() -> None:
    clock = Clock()
    credit = Credit(1024, seconds=6.0, clock=clock)
    for _ in range(5):
        clock.now += 5.0
        commit(credit, credit.standing, credit.standing)
    assert credit.standing == 1024


def test_a_young_lane_is_judged_by_its_pace_and_not_by_what_it_has_done_yet() -> None:
    """Fourteen posts a second are more than 64 within the time: that shows after three seconds, not after ten."""
    clock = Clock()
    credit = Credit(1024, seconds=6.0, clock=clock)
    while credit.standing == 64:
        clock.now += 0.5
        commit(credit, credit.standing, 7)
    assert clock.now == 2.5


def test_a_slow_model_leaves_few_suspects() -> None:
    clock = Clock()
    credit = Credit(1024, seconds=6.0, clock=clock)
    for _ in range(600):
        clock.now += 0.1
        commit(credit, credit.standing, 1)  # ten posts a second: sixty within the time
    assert credit.standing == 64


def test_many_small_commits_in_a_moment_are_no_fast_model() -> None:
    clock = Clock()
    credit = Credit(1024, seconds=6.0, clock=clock)
    for _ in range(10):
        clock.now += 0.001
        commit(credit, credit.standing, 2)
    assert credit.standing == 64


def test_an_idle_lane_gives_its_credit_back() -> None:
    clock = Clock()
    credit = Credit(1024, seconds=6.0, clock=clock)
    for _ in range(4):
        clock.now += 0.1
        commit(credit, credit.standing, credit.standing)
    assert credit.standing == 1024
    for _ in range(4):
        clock.now += 60
        commit(credit, 1, 1, full=False)
    assert credit.standing == 64


def test_it_never_falls_below_what_is_in_the_window() -> None:
    credit = Credit(1024, seconds=6.0, clock=Clock())
    credit.stands(512)
    assert credit.next(held=400, settled=10) == 390
