"""Sources, each played by a thread of its own; one of them is current and delivers.

A source that is asked for opens while the current one plays on, and takes over when it has
opened; only a source with the current one's title waits until that one is closed, because it
is likely the same device. So a stream that cannot be reached never freezes the picture.

A live source that fails is waited for, where that was asked for (``returning.py``): the fallback
plays meanwhile, and the source takes over again by itself, unless a person has chosen another.

Locking: all fields are guarded by ``_changed``. Sources are called with no lock held, except
``interrupt``, which does not block.
"""

from __future__ import annotations

import dataclasses
import enum
import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from twinlens.app.core.session.events import Away, SourceFailed, SourceOpened
from twinlens.app.core.session.meters import Clock, RateMeter
from twinlens.app.core.session.news import NewsBox
from twinlens.app.core.session.returning import Returning
from twinlens.app.core.session.source import Source, SourceInfo
from twinlens.app.core.session.turning import Turns
from twinlens.app.core.session.types import Frame
from twinlens.app.core.workers import CancelToken, Worker, Workers
from twinlens.engine.errors import CancelledError, SourceError, TwinlensError

_log = logging.getLogger(__name__)
_INTERRUPT_AGAIN_S = 0.1


class _Handed(enum.Enum):
    """What became of a frame."""

    ON = "handed on"
    TURN = "another one is wanted first"
    NO = "nobody wants it: the player is retired"


class _Player:
    """One source and its thread; fields are guarded by the deck's lock."""

    def __init__(
        self, source: Source, id: int, *, is_fallback: bool, since_s: float | None = None
    ) -> None:
        self.source = source
        self.title = source.title
        self.id = id
        self.is_fallback = is_fallback
        self.since_s = since_s  # when it failed; None for one that is no return
        self.info: SourceInfo | None = None
        self.retired = False
        self.credit = 0
        # Steps that were asked for, how many there were; whether a frame was handed on.
        self.turn = self.steps = 0
        self.shown = False
        self.worker: Worker | None = None


class CaptureDeck:
    """Plays sources and hands on the current one's frames.

    Args:
        workers: runs them.
        news: gets frames and events.
        deliver: gets each frame, under the deck's lock; must not block or call back.
        opened: called when another source took over, likewise.
        ended: called with the title of a current source that came to its end, likewise.
        fallback: makes the source that plays when nothing else does; None leaves it dark.
        reconnect: wait for a live source that failed, and let it take over again.
        clock: the clock of ``Frame.captured_s``.
    """

    def __init__(
        self,
        workers: Workers,
        news: NewsBox,
        *,
        deliver: Callable[[Frame], object],
        opened: Callable[[], object],
        ended: Callable[[str], object],
        fallback: Callable[[], Source] | None = None,
        reconnect: bool = False,
        clock: Clock = time.perf_counter,
    ) -> None:
        self.meter = RateMeter(clock=clock)
        self._workers = workers
        self._news = news
        self._deliver = deliver
        self._opened = opened
        self._ended = ended
        self._fallback = fallback
        self._reconnect = reconnect
        self._clock = clock
        self._changed = threading.Condition()
        self._players: list[_Player] = []
        self._current: _Player | None = None
        self._pending: _Player | None = None
        self._returning: _Player | None = None
        self._damaged, self._remark = 0, ""
        self._info: SourceInfo | None = None
        self._paused = False
        self._stopping = False
        self._next_id = 0

    @property
    def info(self) -> SourceInfo | None:
        """What the source that delivered last really delivers."""
        with self._changed:
            return self._info

    @property
    def paused(self) -> bool:
        """Whether frames are held back."""
        with self._changed:
            return self._paused

    @property
    def away(self) -> Away | None:
        """The source that is waited for."""
        with self._changed:
            waited = self._returning
            if waited is None or waited.since_s is None:
                return None
            return Away(waited.title, max(0.0, self._clock() - waited.since_s))

    @property
    def damaged(self) -> int:
        """Pictures of the source in use that could not be decoded."""
        with self._changed:
            return self._damaged

    @property
    def remark(self) -> str:
        """What is wrong with the picture; empty for nothing."""
        with self._changed:
            return self._remark

    def use(self, source: Source) -> None:
        """Open a source and let it take over; a newer one supersedes one that still opens."""
        with self._changed:
            if self._returning is not None:
                self._retire(self._returning)
        self._play(source, is_fallback=False)

    def set_paused(self, paused: bool) -> None:
        """Hold frames back, or let them through again."""
        with self._changed:
            if paused == self._paused:
                return
            self._paused = paused
            for player in self._players:
                player.credit = player.turn = 0
            self._changed.notify_all()

    def step(self, by: int = 1) -> bool:
        """Let exactly one new frame through while paused, or go back by one.

        A still is one step, however long it is shown.

        Args:
            by: 1 or -1.

        Returns:
            Whether there will be one: not unless it is paused, and only pictures can go back.
        """
        with self._changed:
            player = self._current
            if not self._paused or player is None:
                return False
            source = player.source
            turns = isinstance(source, Turns)
            if by < 0 and not (isinstance(source, Turns) and source.goes_back):
                return False
            player.turn += by if turns else 0
            player.credit += 1
            player.steps += 1
            self._changed.notify_all()
            return True

    def request_stop(self) -> None:
        """Make all threads end; returns at once."""
        with self._changed:
            self._stopping = True
            for player in self._players:
                self._retire(player)

    def _play(
        self,
        source: Source,
        *,
        is_fallback: bool,
        since_s: float | None = None,
        after: _Player | None = None,
    ) -> None:
        """Open a source on a thread of its own.

        Args:
            source: the source.
            is_fallback: it is what plays when nothing else does.
            since_s: when it failed, if it is waited for.
            after: the player of the same source that failed and closed it.
        """
        with self._changed:
            if self._stopping:
                return
            if since_s is None and self._pending is not None:
                self._retire(self._pending)
            player = _Player(source, self._next_id, is_fallback=is_fallback, since_s=since_s)
            self._next_id += 1
            same = [p for p in self._players if p.title == player.title and p is not after]
            for other in same:
                self._retire(other)
            if since_s is None:
                self._pending = player
            else:
                self._returning = player
            self._players.append(player)
            player.worker = self._workers.start(
                f"twinlens-capture-{player.id}",
                partial(self._run, player, same),
                wake=partial(self._end, player),
            )

    def _retire(self, player: _Player) -> None:
        player.retired = True
        if player is self._current:
            self._current = None
        if player is self._pending:
            self._pending = None
        if player is self._returning:
            self._returning = None
        player.source.interrupt()
        self._changed.notify_all()

    def _end(self, player: _Player) -> None:
        """Make a player's thread end; again and again, see ``Worker``."""
        with self._changed:
            if not player.retired:
                self._retire(player)
            player.source.interrupt()

    def _run(self, player: _Player, before: list[_Player], token: CancelToken) -> None:
        del token  # Its worker's wake-up retires the player under the lock it waits with.
        failure: TwinlensError | None = None
        try:
            if self._wait_for_device(player, before):
                self._read_all(player)
        except CancelledError:
            pass  # It is being ended, and so are we.
        except TwinlensError as error:
            failure = error
        except Exception as error:  # noqa: BLE001
            # A driver's or source's bug ends here, at the thread's boundary: the window says
            # so and the fallback plays; a thread that dies silently would freeze the picture.
            _log.exception("source %s failed unexpectedly", player.title)
            failure = SourceError(
                f"{player.title} failed unexpectedly: {type(error).__name__}: {error}",
                hint="Choose another source, or try this one again.",
            )
        finally:
            self._close(player)
        if failure is not None:
            self._fail(player, failure)
        self._news.notify()
        with self._changed:
            self._players.remove(player)
            self._changed.notify_all()

    def _wait_for_device(self, player: _Player, before: list[_Player]) -> bool:
        """Wait until these have closed; False when the player is retired meanwhile."""
        with self._changed:
            while not player.retired and any(p in self._players for p in before):
                for other in before:
                    other.source.interrupt()
                self._changed.wait(_INTERRUPT_AGAIN_S)
            return not player.retired

    def _read_all(self, player: _Player) -> None:
        info = player.source.open()
        if not self._take_over(player, info):
            return
        self._news.notify()
        while (frame := player.source.read()) is not None:
            handed = self._hand_on(player, frame, live=info.live)
            if handed is _Handed.TURN and not self._turn(player):
                handed = self._hand_on(player, frame, live=info.live)
            if handed is _Handed.NO:
                return
            self._news.notify()
        with self._changed:
            if player is self._current:
                self._current = None
                self._ended(player.title)

    def _take_over(self, player: _Player, info: SourceInfo) -> bool:
        with self._changed:
            if player.retired:
                return False
            for other in (self._current, self._pending):
                if other is not None and other is not player:
                    self._retire(other)
            self._current, self._pending = player, None
            if player is self._returning:
                self._returning = None
            self._info = player.info = info
            self._damaged, self._remark = 0, ""
            self.meter.reset()
            # A paused picture still changes to the new source's first frame.
            player.credit = int(self._paused)
            self._opened()
            self._news.put_event(SourceOpened(info, _asked_for(player.source)))
            return True

    def _turn(self, player: _Player) -> bool:
        """Take the steps that were asked for; False where the frame at hand is the next one."""
        with self._changed:
            by, player.turn, shown = player.turn, 0, player.shown
        source = player.source
        return shown and isinstance(source, Turns) and source.turn(by)

    def _hand_on(self, player: _Player, frame: Frame, *, live: bool) -> _Handed:
        """Hand on a frame, now or when pause allows it."""
        with self._changed:
            if live and self._paused and not player.credit and not player.retired:
                # A live source is read on while paused: what it buffers would be stale later.
                return _Handed.ON
            held = self._paused and not player.credit
            self._changed.wait_for(lambda: player.retired or not self._paused or player.credit)
            if player.retired:
                return _Handed.NO
            if player.turn:
                return _Handed.TURN
            if self._paused:
                player.credit -= 1
            # For a frame that was held back, latency counts from when it was let through.
            captured_s = self._clock() if held else frame.captured_s
            player.shown = True
            scene = frame.scene + player.steps
            frame = dataclasses.replace(
                frame, source_id=player.id, captured_s=captured_s, scene=scene
            )
            self.meter.tick()
            self._damaged, self._remark = frame.damaged, frame.remark
            self._news.put_frame(frame)
            self._deliver(frame)
            return _Handed.ON

    def _fail(self, player: _Player, error: TwinlensError) -> None:
        with self._changed:
            if player.retired:
                return
            if player is self._current:
                self._current = None
            if player is self._pending:
                self._pending = None
            playing = self._current or self._pending
            fallback = None if playing or player.is_fallback else self._fallback
            returns = self._returns(player, error, playing)
            self._news.put_event(
                SourceFailed(
                    player.title,
                    error,
                    fallback=fallback is not None,
                    playing=playing.title if playing else None,
                    returning=returns,
                    source=_asked_for(player.source),
                )
            )
        if fallback is not None:
            self._start_fallback(fallback)
        if returns:
            before = player.source
            source = before.source if isinstance(before, Returning) else before
            self._play(Returning(source), is_fallback=False, since_s=self._clock(), after=player)

    def _returns(self, player: _Player, error: TwinlensError, playing: _Player | None) -> bool:
        """Whether a failed source is waited for: it is live, and nothing else was chosen."""
        if not self._reconnect or player.is_fallback or (playing and not playing.is_fallback):
            return False
        if player.info is not None:
            return player.info.live
        return isinstance(error, SourceError) and error.passing

    def _start_fallback(self, fallback: Callable[[], Source]) -> None:
        try:
            source = fallback()
        except TwinlensError as error:
            with self._changed:
                self._news.put_event(SourceFailed("clip", error, fallback=False))
            return
        self._play(source, is_fallback=True)

    def _close(self, player: _Player) -> None:
        try:
            player.source.close()
        except Exception:  # noqa: BLE001
            # Nothing can be done about a device that fails while it is released.
            _log.warning("closing %s failed", player.title, exc_info=True)


def _asked_for(source: Source) -> Source:
    """The source that was given, also where it is on its way back."""
    return source.source if isinstance(source, Returning) else source
