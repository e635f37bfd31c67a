"""The comparison, again and again as topics grow."""

import asyncio
import signal
from dataclasses import dataclass

from worker.commands.diff.compare.report import Report
from worker.commands.diff.session import Session
from worker.commands.diff.show.showing import Show


@dataclass(frozen=True)
class Follow:
    """Compares again until it is told to stop.

    Args:
        show: shows each report.
        seconds: between two comparisons.
    """

    show: Show
    seconds: float

    async def run(self, session: Session, report: Report) -> Report:
        """Compare until SIGINT or SIGTERM comes; return the last report.

        Args:
            session: which has read once.
            report: of that first reading.
        """
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        try:
            self.show.one(report)
            while not await self._stopped(stop):
                if await session.read():
                    report = await session.report()
                    self.show.one(report)
            return report
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def _stopped(self, stop: asyncio.Event) -> bool:
        try:
            await asyncio.wait_for(stop.wait(), self.seconds)
        except TimeoutError:
            return False
        return True
