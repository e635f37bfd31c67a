"""The model behind mosec, which puts the requests of a moment into one batch, as its documentation has it."""

from typing import Any

import work
from mosec import Server, Worker


class Labels(Worker):
    """A post's labels, three JSON texts."""

    def __init__(self) -> None:
        super().__init__()
        self._label = work.make_labeller()

    def forward(self, posts: list[dict[str, Any]]) -> list[list[str]]:
        """Label a batch."""
        return [[label.decode() for label in labels] for _, labels in self._label(posts)]


if __name__ == "__main__":
    server = Server()
    server.append_worker(Labels, num=1, max_batch_size=work.BATCH, max_wait_time=10)
    server.run()
