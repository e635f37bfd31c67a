"""One partition of posts and the partitions of the same number of all outputs, gone through side by side.

Both stand in the order of the posts' offsets, so at each offset the heads of the outputs are all that there is of it.
"""

import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping

from worker.broker.positions import Position
from worker.commands.audit.judging import Found, Judge
from worker.commands.audit.outputs import Output, Outputs, Reader
from worker.commands.audit.tally import Tally
from worker.commands.audit.terms import Fault

# Of posts without a label: so many are remembered, in case it comes behind those of later posts.
_MOST_REMEMBERED = 10_000
_BETWEEN_SAVES = 50_000


class Join:
    """Judges the offsets of one partition.

    Args:
        posts: the reader of the posts.
        outputs: by topic, those of labels first, in the order in which the judge wants them.
        judge: of single records.
        tally: where it is counted.
        begin: offset from which on the partition is audited.
        may_be_gone: by topic, why an output may have been taken away whatever its offset; None where it was not.
    """

    def __init__(
        self,
        posts: Reader,
        outputs: Mapping[str, Outputs],
        judge: Judge,
        tally: Tally,
        *,
        begin: int,
        may_be_gone: Mapping[str, str | None],
    ) -> None:
        self._posts = posts
        self._outputs = outputs
        self._judge = judge
        self._tally = tally
        self._begin = begin
        self._may_be_gone = may_be_gone
        self._missing: OrderedDict[int, None] = OrderedDict()
        self._expired_before: dict[str, float] = {}

    async def run(self, settled: int, save: Callable[[], Awaitable[None]]) -> None:
        """Judge every offset from the posts' first one to before `settled`.

        Args:
            settled: what is before it is committed, and its outputs are within the readers' ends.
            save: called now and then, when all that was read is judged.
        """
        for topic, outputs in self._outputs.items():
            if outputs.lost:
                head = await outputs.head()
                self._expired_before[topic] = math.inf if head is None else head.source
        since, judged = self._posts.next_offset, 0
        while (record := await self._posts.record()) is not None:
            await self._pass(since, record.offset)
            found = {topic: await self._found(topic, record.offset) for topic in self._outputs}
            outcome, faults = self._judge.of(record, found)
            self._tally.add(outcome)
            for fault in faults:
                self._note(fault)
            self._posts.take()
            since = record.offset + 1
            judged += 1
            if judged % _BETWEEN_SAVES == 0:
                await save()
        await self._pass(since, max(since, settled))

    async def strangers(self) -> None:
        """Say of every output that it is of no post: the posts topic has no partition of this number."""
        await self._pass(0, 0, until=math.inf)

    async def _found(self, topic: str, offset: int) -> Found:
        outputs = self._outputs[topic]
        expired = offset < self._expired_before.get(topic, 0)
        found = Found(may_be_gone="expired" if expired else self._may_be_gone[topic])
        while (head := await outputs.head()) is not None and head.source <= offset:
            outputs.take()
            if head.source == offset:
                found.add(head)
            elif head.source >= self._known_from:
                self._stray(topic, head, offset)
        return found

    async def _pass(self, since: int, before: int, *, until: float | None = None) -> None:
        """Pass over offsets without a record, and the outputs that are of them or of earlier ones."""
        gone = min(max(self._posts.gone_until, since), before)
        self._tally.add("gone", gone - since)
        self._tally.add("no_record", before - gone)
        for outputs in self._outputs.values():
            while (head := await outputs.head()) is not None and head.source < (before if until is None else until):
                outputs.take()
                if head.source >= self._known_from:
                    self._stray(outputs.topic, head, since)

    @property
    def _known_from(self) -> int:
        """Outputs of earlier posts are not looked at."""
        return max(self._begin, self._posts.gone_until)

    def _stray(self, topic: str, output: Output, since: int) -> None:
        post = Position(self._posts.source.topic, self._posts.source.partition, output.source)
        if output.source >= since:
            if (fault := self._judge.of_no_record(post, topic, output)) is not None:
                self._tally.fault(fault)
        elif output.source in self._missing:
            self._tally.fault(Fault("late", post, f"an output on {topic} behind those of later posts", (output.at,)))
        else:
            says = f"one more output on {topic}, behind those of later posts"
            self._tally.fault(Fault("doubled", post, says, (output.at,)))

    def _note(self, fault: Fault) -> None:
        self._tally.fault(fault)
        if fault.kind == "missing" and fault.post is not None:
            self._missing[fault.post.offset] = None
            if len(self._missing) > _MOST_REMEMBERED:
                self._missing.popitem(last=False)
