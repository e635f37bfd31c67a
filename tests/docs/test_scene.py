"""The runner itself: a page that is wrong fails."""

from collections.abc import Iterator

import pytest

from tests.docs.pages import Block
from tests.docs.scene import Scenario, Scene, scene


@pytest.fixture(scope="module")
def a_scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Give a terminal."""
    with scene(tmp_path_factory.mktemp("scene"), Scenario()) as one:
        yield one


def test_a_terminal_keeps_its_folder_and_its_variables(a_scene: Scene) -> None:
    """Commands of a page build on one another."""
    a_scene.play(Block("p.md", 1, ("mkdir -p there", "cd there", "export WORD=kept", "pwd", "cd .."), ""))
    a_scene.play(Block("p.md", 2, ('echo "$WORD"',), "kept\n"))


@pytest.mark.parametrize(
    ("command", "shown", "words"),
    [
        ("ls nowhere", "", "ended with 2"),
        ("no-such-command", "", "ended with 127"),
        ("echo sent 3 posts", "created posts\n", "is shown"),
        pytest.param("moderate backfill --nonsense", "", "ended with 2", marks=pytest.mark.slow),
        ("make nonsense", "", "no target nonsense"),
        ("pip install -e '.[nonsense]'", "", "no extra nonsense"),
        ("docker compose up nonsense", "", "no service nonsense"),
        ("docker build -f deploy/Dockerfile --target nonsense .", "", "no stage nonsense"),
        ("docker run -e MODERATE_NONSENSE=1 image", "", "no setting MODERATE_NONSENSE"),
        ("kubectl exec moderation-worker-0 -- moderate nonsense", "", "ended with 1"),
    ],
)
def test_a_command_that_does_not_do_as_its_page_says_fails(
    a_scene: Scene, command: str, shown: str, words: str
) -> None:
    """Whether it is run or handed to a double."""
    with pytest.raises(AssertionError, match=words):
        a_scene.play(Block("p.md", 1, (command,), shown))
