"""A progress bar over an archive: posts, their rate, and the time left by the bytes that are read."""

from __future__ import annotations

from collections.abc import Iterator

from tqdm import tqdm

from mmorient.archive.labelling import Labelled
from mmorient.archive.reading import Archive, Place


def with_progress(
    labelled: Iterator[Labelled], archive: Archive, start: Place, *, quiet: bool | None
) -> Iterator[Labelled]:
    """Pass on what comes and show how far it is.

    Args:
        labelled: From ``start`` on.
        archive: Of which the bytes are known, where it is files.
        start: Where this run began.
        quiet: Show nothing; None shows it on a terminal only.
    """
    if archive.standard_input:
        with tqdm(unit=" posts", disable=quiet) as bar:
            for one in labelled:
                yield one
                bar.update(len(one.lines) + len(one.refused))
        return
    posts = 0
    with tqdm(total=archive.bytes, unit="B", unit_scale=True, unit_divisor=1024, disable=quiet) as bar:
        for one in labelled:
            yield one
            posts += len(one.lines)
            if posts == len(one.lines) and start != Place():
                # What an earlier run has read cost this run no time.
                bar.initial = bar.n = one.read_bytes
            bar.update(one.read_bytes - bar.n)
            seconds = bar.format_dict["elapsed"]
            bar.set_postfix_str(f"{posts:,} posts, {posts / seconds:.0f} posts/s" if seconds else "", refresh=False)
