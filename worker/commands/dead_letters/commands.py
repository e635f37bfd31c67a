"""The work of `moderate dead-letters list` and `show`."""

import sys

import click

from worker.broker.positions import Position
from worker.broker.range_reader import connected_reader
from worker.commands.dead_letters import listing as listings
from worker.commands.dead_letters import showing
from worker.commands.dead_letters.letters import Letter
from worker.commands.dead_letters.question import Question, progress_over
from worker.commands.dead_letters.reading import Joiner, find_letters, read_letters
from worker.errors import FatalError

_SHOWN_LETTERS = 10


async def list_letters(question: Question, *, kind: str, as_json: bool) -> None:
    """Count the letters and print the counts."""
    listing, joiner = listings.Listing(kind), Joiner()
    async with connected_reader(question.links) as consumer:
        ranges = await question.ranges(consumer)
        ledger = await question.ledger(consumer, [source.partition for source in ranges])
        with progress_over(ranges) as progress:
            async for letter in read_letters(consumer, ranges, joiner):
                progress.update(len(letter.offsets))
                if question.selection.matches(letter):
                    listing.add(letter, replayed=ledger.entry(letter) is not None)
    if as_json:
        offsets = {source.partition: [part.since, part.until] for source, part in ranges.items()}
        about = {
            "topic": question.kafka.dead_letter_topic,
            "by": kind,
            "offsets": offsets,
            "incomplete": joiner.incomplete,
        }
        click.echo(listings.as_json(listing, about, question.limit))
        return
    for line in listings.lines_of(listing, question.limit):
        click.echo(line)
    if joiner.incomplete:
        click.echo(f"{joiner.incomplete} letters or parts of letters lack other parts, and are left out")


async def show_letters(question: Question, place: Position | None, *, raw: bool, as_json: bool) -> None:
    """Print one letter, or those that are selected.

    Args:
        question: what letters must be.
        place: of the letter, or of its post.
        raw: write the bytes of the one letter.
        as_json: print for a program.

    Raises:
        FatalError: there is none, or there are several where one is asked for.
    """
    topic = question.kafka.dead_letter_topic
    wanted = 1 if raw else question.limit or _SHOWN_LETTERS
    async with connected_reader(question.links) as consumer:
        if place is not None:
            letters = find_letters(question.links, consumer, topic, place)
        else:
            letters = read_letters(consumer, await question.ranges(consumer))
        found: list[Letter] = []
        async for letter in letters:
            if question.selection.matches(letter):
                found.append(letter)
                if len(found) > wanted:
                    break
        if not found:
            raise FatalError(f"no dead letter {f'at {place}' if place else f'on {topic} that the options select'}")
        if raw:
            _write_raw(found)
            return
        ledger = await question.ledger(consumer, sorted({letter.position.partition for letter in found}))
    for number, letter in enumerate(found[:wanted]):
        if as_json:
            click.echo(showing.as_json(letter, ledger.entry(letter)))
        else:
            click.echo("\n" * bool(number), nl=False)
            showing.print_letter(letter, ledger.entry(letter))
    if len(found) > wanted and not as_json:
        click.echo(f"\nthere are more than these {wanted} (--limit)")


def _write_raw(letters: list[Letter]) -> None:
    if len(letters) > 1:
        raise FatalError(f"--raw writes one dead letter, and {letters[0].position} is not the only one that is meant")
    sys.stdout.buffer.write(letters[0].value or b"")
    sys.stdout.buffer.flush()
