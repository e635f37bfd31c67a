"""The statistics, against scipy's own and against published figures."""

import numpy as np
import pytest

from worker.commands.diff.compare.statistics import (
    Bootstrap,
    bowker,
    elsewhere,
    holm,
    mcnemar,
    share_interval,
    stuart_maxwell,
)


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (5, 5), (3, 12), (121, 59), (40_000, 39_000)])
def test_mcnemar_is_the_exact_binomial_test(gained: int, lost: int) -> None:
    """The p of scipy's two-sided test of a fair coin; without any flip there is nothing to doubt."""
    from scipy import stats

    expected = stats.binomtest(gained, gained + lost, 0.5).pvalue if gained + lost else 1.0
    assert mcnemar(gained, lost) == mcnemar(lost, gained) == pytest.approx(expected, rel=1e-9)


def test_stuart_maxwell_and_bowker_give_the_published_figures() -> None:
    """Unaided vision of 7,477 women in four (Stuart 1955)."""
    from scipy import stats

    vision = np.array([[1520, 266, 124, 66], [234, 1512, 432, 78], [117, 362, 1772, 205], [36, 82, 179, 492]])
    rates, symmetry = stuart_maxwell(vision), bowker(vision)
    assert (round(rates.statistic, 2), rates.degrees_of_freedom) == (11.96, 3)
    assert rates.p == pytest.approx(stats.chi2.sf(11.957, 3), rel=1e-3)
    assert (round(symmetry.statistic, 2), symmetry.degrees_of_freedom) == (19.11, 6)
    assert symmetry.p == pytest.approx(stats.chi2.sf(19.107, 6), rel=1e-3)


def test_of_two_classes_stuart_maxwell_is_mcnemars_chi_squared() -> None:
    """(b - c)^2 / (b + c), one degree of freedom; a class that nobody says changes nothing."""
    found = stuart_maxwell(np.array([[90, 25, 0], [9, 80, 0], [0, 0, 0]]))
    assert (found.statistic, found.degrees_of_freedom) == (pytest.approx(16**2 / 34), 1)


def test_where_nothing_flips_no_test_doubts() -> None:
    """A diagonal matrix has p 1."""
    for test in (stuart_maxwell, bowker):
        assert (test(np.diag([5, 0, 7])).p, test(np.diag([5, 0, 7])).degrees_of_freedom) == (1.0, 0)


@pytest.mark.parametrize(
    "table", [(3, 40, 9, 4000), (0, 31, 2, 500), (12, 60, 30, 300), (900, 5000, 1200, 20_000), (5, 5, 0, 40)]
)
def test_elsewhere_is_fisher_where_posts_are_few_and_chi_squared_else(table: tuple[int, int, int, int]) -> None:
    """The p of scipy's tests on flips and the rest, here and elsewhere."""
    from scipy import stats

    flips, posts, other_flips, other_posts = table
    cells = [[flips, posts - flips], [other_flips, other_posts - other_flips]]
    expected = np.outer(np.sum(cells, 1), np.sum(cells, 0)) / np.sum(cells)
    known = (
        stats.fisher_exact(cells).pvalue
        if expected.min() < 5
        else stats.chi2_contingency(cells, correction=False).pvalue
    )
    assert elsewhere(*table) == pytest.approx(known, rel=1e-6)


def test_without_flips_nowhere_flips_more() -> None:
    """There is no difference to find."""
    assert elsewhere(0, 50, 0, 500) == 1.0


def test_holm_steps_down() -> None:
    """The smallest is multiplied by their number, the next by one less, and none gets below one before it."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@pytest.mark.parametrize(("some", "of"), [(1, 30), (17, 200), (2500, 100_000)])
def test_the_interval_of_a_share_is_that_of_posts_drawn_with_replacement(some: int, of: int) -> None:
    """The quantiles of the binomial distribution, as scipy has them, and as draws of posts give them."""
    from scipy import stats

    low, high, drawn = share_interval(some, of)
    assert drawn
    assert (low, high) == pytest.approx(tuple(stats.binom.ppf((0.025, 0.975), of, some / of) / of))
    draws = np.random.default_rng(1).binomial(of, some / of, 20_000) / of
    assert (low, high) == pytest.approx(np.quantile(draws, (0.025, 0.975)), abs=2.5 / of + 0.02 * some / of)


@pytest.mark.parametrize("of", [1, 30, 1000])
def test_where_none_flips_or_all_the_interval_is_the_exact_one(of: int) -> None:
    """Every draw would be the same, as if nothing were in doubt: Clopper and Pearson say how much is."""
    from scipy import stats

    exact = stats.binomtest(0, of).proportion_ci(0.95, method="exact")
    assert share_interval(0, of) == (0.0, pytest.approx(exact.high), False)
    assert share_interval(of, of) == (pytest.approx(1 - exact.high), 1.0, False)


def test_the_same_name_draws_the_same() -> None:
    """Whatever was drawn before; another name draws otherwise."""
    counts = np.array([5, 100, 20])
    assert (Bootstrap("a").draws(counts) == Bootstrap("a").draws(counts)).all()
    assert (Bootstrap("a").draws(counts) != Bootstrap("b").draws(counts)).any()
