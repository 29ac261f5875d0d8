"""Peers in turns: all of them within each round, so that a busy machine slows all alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

from peers.process import Hog, PeerError, Worker, convert
from peers.runners import PEERS
from peers.worker import SGEMM, SGEMM_FLOPS

#: What ratios refer to.
REFERENCE = "ort"
# A difference to the reference, over its largest value, beyond which fp32 is another network.
_FP32_LIMIT = 1e-3
# Threads that spin for work sleep after this long; what goes on longer is shown as idle CPU.
_SETTLE_S = 0.03


@dataclass(frozen=True)
class Case:
    """What a table is about."""

    net: str
    threads: int
    load: bool


@dataclass(frozen=True)
class Difference:
    """How a peer's answers differ from the reference's.

    Attributes:
        largest: of all outputs.
        relative: root mean square of the difference over that of the signal: of the answers
            themselves, or, for random networks, which answer nearly the same to everything, of
            what distinguishes them.
        top1: share of inputs with the reference's best output; of random networks' outputs the
            mean answer is taken away before.
        wrong: further away than rounding explains, or, except in fp32, than chance.
    """

    largest: float
    relative: float
    top1: float
    wrong: bool


@dataclass
class Row:
    """One peer's figures in one case; ``failure`` says why there are none.

    ``ratio`` is the median over rounds of its time over the reference's in that round;
    ``used_s`` processor time between its turns, which are ``idle_s`` apart altogether.
    """

    peer: str
    failure: str = ""
    turns: list[list[float]] = field(default_factory=list)
    difference: Difference | None = None
    ratio: float | None = None
    used_s: float = 0.0
    idle_s: float = 0.0

    @property
    def median_ms(self) -> float:
        """Of all runs."""
        return median(ms for turn in self.turns for ms in turn)

    @property
    def best_ms(self) -> float:
        """Median of the fastest turn: what a busy machine disturbed least."""
        return min(median(turn) for turn in self.turns)

    @property
    def idle(self) -> float:
        """Share of a core that it burnt between its turns."""
        return self.used_s / self.idle_s if self.idle_s else 0.0


@dataclass
class Table:
    """All peers' figures in one case, and the machine's peak in the same rounds."""

    case: Case
    rows: dict[str, Row]
    peak_gflops: float
    hog: float | None


def paired(one: Row, other: Row) -> float:
    """Median over rounds of one peer's time over another's."""
    rounds = zip(one.turns, other.turns, strict=True)
    return median(median(a) / median(b) for a, b in rounds)


def compare(expected: np.ndarray, got: np.ndarray, random: bool, exact: bool) -> Difference:
    """Compare answers, (inputs, outputs) each; see ``Difference``."""
    typical = expected.mean(axis=0) if random else np.zeros_like(expected[0])
    difference = got - expected
    largest = float(np.abs(difference).max())
    relative = float(np.sqrt(np.mean(difference**2) / np.mean((expected - typical) ** 2)))
    limit = _FP32_LIMIT * float(np.abs(expected).max())
    return Difference(
        largest=largest,
        relative=relative,
        top1=float(np.mean((got - typical).argmax(axis=1) == (expected - typical).argmax(axis=1))),
        # Written so that an answer that is no number is wrong, too.
        wrong=not (largest <= limit if exact else relative <= 1),
    )


def prepare(net: str, peers: Sequence[str], folder: Path) -> dict[str, str]:
    """Make a network's files; returns the reason by peer whose files could not be made."""
    convert(net, "model", folder)
    failures: dict[str, str] = {}
    made: dict[str, str] = {}
    for peer in peers:
        for kind in PEERS[peer].files:
            if kind not in made:
                try:
                    convert(net, kind, folder)
                    made[kind] = ""
                except PeerError as why:
                    made[kind] = str(why)
            if made[kind]:
                failures[peer] = made[kind]
                break
    return failures


class Field:
    """All workers for one network and number of threads.

    Args:
        net: its name.
        threads: of every peer.
        peers: ids; the reference is among them.
        failures: reason by peer that is left out.
        folder: the network's files.
        random: whether the network's weights are.
    """

    def __init__(
        self,
        net: str,
        threads: int,
        peers: Sequence[str],
        failures: dict[str, str],
        folder: Path,
        random: bool,
    ) -> None:
        self.net, self.threads, self.peers = net, threads, peers
        self._folder, self._random = folder, random
        self._failures = dict(failures)
        self._workers: dict[str, Worker] = {}
        self._differences: dict[str, Difference] = {}
        for peer in (SGEMM, *peers):
            if peer in failures:
                continue
            try:
                self._workers[peer] = Worker(peer, folder, threads)
            except PeerError as why:
                self._failures[peer] = str(why)
        self._check()

    def _check(self) -> None:
        expected = self._answers(REFERENCE)
        for peer in self.peers:
            if peer in self._workers and expected is not None:
                answers = self._answers(peer)
                if answers is not None and answers.shape != expected.shape:
                    self._drop(peer, f"answers {answers.shape}, not {expected.shape}")
                elif answers is not None:
                    exact = PEERS[peer].precision == "fp32"
                    self._differences[peer] = compare(expected, answers, self._random, exact)

    def _answers(self, peer: str) -> np.ndarray | None:
        path = self._folder / f"answers-{peer}-{self.threads}.npy"
        if peer not in self._workers:
            return None
        try:
            self._workers[peer].ask("check", path=str(path))
        except PeerError as why:
            self._drop(peer, str(why))
            return None
        return np.load(path)

    def _drop(self, peer: str, reason: str) -> None:
        self._failures[peer] = reason
        self._workers.pop(peer).close()

    def measure(self, load: bool, rounds: int, seconds: float) -> Table:
        """Run all peers in turns.

        Args:
            load: whether another process takes a quarter of a core meanwhile.
            rounds: turns of each peer; every other round goes the other way.
            seconds: that a turn's timed runs take.
        """
        rows = {peer: Row(peer, difference=self._differences.get(peer)) for peer in self.peers}
        peak = Row(SGEMM)
        hog = Hog() if load else None
        try:
            for number in range(rounds):
                order = list(self._workers)
                for peer in order if number % 2 == 0 else reversed(order):
                    self._turn(peer, peak if peer == SGEMM else rows[peer], seconds)
        finally:
            share = hog.close() if hog else None
        for peer, row in rows.items():
            row.failure = self._failures.get(peer, "")
        reference = rows[REFERENCE]
        for row in rows.values():
            if not row.failure and not reference.failure:
                row.ratio = paired(row, reference)
        best = min((median(turn) for turn in peak.turns), default=float("nan"))
        return Table(Case(self.net, self.threads, load), rows, SGEMM_FLOPS / best / 1e6, share)

    def _turn(self, peer: str, row: Row, seconds: float) -> None:
        try:
            answer = self._workers[peer].ask("turn", seconds=seconds, settle=_SETTLE_S)
        except PeerError as why:
            self._drop(peer, str(why))
            return
        row.turns.append(answer["ms"])
        used_s, idle_s = answer["idle"]
        # Two turns one behind the other, where rounds change direction, tell nothing.
        if idle_s > _SETTLE_S:
            row.used_s += used_s
            row.idle_s += idle_s

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers.values():
            worker.close()
        self._workers = {}
