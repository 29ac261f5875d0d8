"""Works the real window at random for long, with faults, and says whether it holds.

Run: ``python tests/bench/soak_window.py --minutes 60 --seed 1 --faults-every 60 [--out FOLDER]``.
Needs Xvfb and xdotool. Engines flip; models (bundled, made, broken) and sources (clip, pictures, a
numbered video, a damaged one, a missing one) change; sheets and views open and close; keys and
drops come; and every so often an engine's host is killed or stopped, the source's host is killed,
or the model that runs is replaced on disk.

Each minute ends calm: one model, one engine, the clip, no sheet. What is measured there (memory,
handles, threads, processes, latency) is of the same state each time, so that its slope is growth
and not what happens to be loaded. A line a minute, then PASS or FAIL and why; ``--out`` gets
``samples.csv``, ``minutes.csv``, ``faults.csv`` and ``curves.png``.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil

from helpers.hosted import exists
from helpers.live_window import LiveWindow, live_window
from helpers.numbered import LEVELS, level_of, level_reader
from helpers.soak_curves import draw_curves
from helpers.soak_materials import Materials, labelled, replace_model
from twinlens.engine.targets.cache import FOLDER
from twinlens.models.identify.kept import VARIABLE

PROBE = Path(__file__).parents[1] / "helpers" / "soak_probe.py"
BASE_MODEL, BASE_ENGINE, BASE_SOURCE = "twinlens-208", "layers-cpu", "clip"
ENGINES = ("layers-cpu", "vision")
SHEETS = ("o", "shift+e", "l", "v", "comma", "question", "shift+m")
PAIRS = ("m", "b", "space", "t")
"""Keys that undo what they did when pressed again."""
SINGLES = ("e", "c", "1", "2")
CALM_S, SAMPLE_S, BACK_S, LEAST_MINUTE_S = 4.0, 5.0, 45.0, 30.0
FAULT_BACK_S = 40.0
WARM_SHARE, SLOPE_MB_H = 0.25, 1.0
FAULTY = ("disorder", "misread", "misdrawn", "mislabelled", "behind", "surprises")


class Soak:
    """One window, what is done to it, and what is measured of it."""

    def __init__(self, window: LiveWindow, dice: random.Random, materials: Materials) -> None:
        self.window, self.dice, self.materials = window, dice, materials
        self.begun_s = time.monotonic()
        self.samples: list[dict[str, float]] = []
        self.minutes: list[dict[str, Any]] = []
        self.faults: list[dict[str, Any]] = []
        self.wrong: list[str] = []
        self.done = self.grabs = 0
        self.fault_number = dice.randrange(8)
        self.sampled_s = 0.0

    # --- what is asked of the window ------------------------------------------------------------

    def ask(self, word: str) -> dict[str, Any]:
        self.window.send(word)
        return self.window.wait_for(word, 30)

    def until(self, holds: Callable[[dict[str, Any]], Any], within_s: float) -> bool:
        deadline_s = time.monotonic() + within_s
        while not holds(self.ask("state")):
            if time.monotonic() > deadline_s:
                return False
            time.sleep(0.1)
        return True

    def sample(self) -> dict[str, float]:
        """Memory in MB, handles, threads and processes of the whole tree."""
        root = psutil.Process(self.window.pid)
        total = dict.fromkeys(("pss", "uss", "window", "fds", "threads", "processes"), 0.0)
        for process in (root, *root.children(recursive=True)):
            try:
                memory = process.memory_full_info()
                fds, threads = process.num_fds(), process.num_threads()
            except psutil.Error:  # it has ended meanwhile
                continue
            total["pss"] += memory.pss / 1e6
            total["uss"] += memory.uss / 1e6
            total["window"] += memory.uss / 1e6 if process.pid == root.pid else 0.0
            total["fds"] += fds
            total["threads"] += threads
            total["processes"] += 1
        return {"t_s": time.monotonic() - self.begun_s, **total}

    def sample_now_and_then(self) -> None:
        if time.monotonic() - self.sampled_s >= SAMPLE_S:
            self.sampled_s = time.monotonic()
            self.samples.append(self.sample())

    # --- random work ----------------------------------------------------------------------------

    def work(self) -> None:
        acts = (self.flip, self.model, self.source, self.sheet, self.keys, self.drop)
        self.dice.choices(acts, (5, 3, 3, 4, 3, 2))[0]()
        self.done += 1
        time.sleep(self.dice.uniform(0.05, 0.8))

    def flip(self) -> None:
        for _ in range(self.dice.randint(1, 6)):
            self.window.send(f"engine {self.dice.choice(ENGINES)}")
            time.sleep(self.dice.uniform(0.02, 0.4))

    def model(self) -> None:
        self.window.send(f"model {self.dice.choice(self.materials.models)}")

    def source(self) -> None:
        self.window.send(f"source {self.dice.choice(self.materials.sources)}")

    def sheet(self) -> None:
        self.window.press(self.dice.choice(SHEETS))
        time.sleep(self.dice.uniform(0.1, 0.6))
        self.window.press("Escape")

    def keys(self) -> None:
        if self.dice.random() < 0.5:
            self.window.press(self.dice.choice(SINGLES))
            return
        key = self.dice.choice(PAIRS)
        self.window.press(key)
        time.sleep(self.dice.uniform(0.1, 0.6))
        self.window.press(key)

    def drop(self) -> None:
        self.window.send(f"drop {self.dice.choice(self.materials.drops)}")
        time.sleep(self.dice.uniform(0.3, 1.0))
        self.window.press("Escape")

    def check_numbers(self) -> None:
        """Let the numbered video be read for some seconds, by a random engine."""
        self.window.send(f"engine {self.dice.choice(ENGINES)}")
        self.window.send(f"model {self.materials.reader}")
        self.window.send(f"source {self.materials.numbered}")
        self.until(lambda now: now["answered_by"] == "levels", BACK_S)
        self.window.press("shift+Escape")
        for _ in range(8):
            time.sleep(0.5)
            self.check_screen()

    def check_screen(self) -> None:
        """The number on the real screen is one of those that the stage says it has painted."""
        before = self.ask("state")
        grabbed = self.window.grab()
        after = self.ask("state")
        seen = grabbed[grabbed.shape[0] // 2 - 4 :, grabbed.shape[1] // 2 - 4 :][:8, :8]
        # What was painted last may not have reached the screen yet.
        painted = after["painted"] - before["painted"] + 3
        if before["source"] != str(self.materials.numbered) or len(after["trail"]) < painted:
            return
        trail = after["trail"][-painted:]
        number = level_of(seen)
        if None in trail or painted >= LEVELS:
            return
        self.grabs += 1
        if number not in trail:
            self.wrong.append(f"{self.now_s:.0f} s: {number} on the screen, painted {trail}")

    # --- faults ---------------------------------------------------------------------------------

    def fault(self) -> None:
        """The next kind of fault; all come in turn."""
        kinds = (
            *(self.kill_engine, self.stop_engine, self.kill_source, self.replace),
            *(self.stop_source, self.kill_both, self.kill_spare, self.stop_spare),
        )
        act = kinds[self.fault_number % len(kinds)]
        self.fault_number += 1
        begun_s = time.monotonic()
        what, back = act()
        took_s = time.monotonic() - begun_s
        at_s = begun_s - self.begun_s
        self.faults.append({"t_s": at_s, "fault": what, "back_s": took_s, "back": back})
        if not back:
            self.wrong.append(f"{what} at {at_s:.0f} s: not back within {FAULT_BACK_S:.0f} s")

    def strike(self, which: str, number: int) -> bool:
        """Send a signal to a host; whether another one serves in time, and answers go on."""
        now = self.ask("state")
        pid = now["hosts"][which]
        if pid is None:
            return True  # nothing is there to be struck
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return True
        seen = "answers" if which == "engine" else "painted"
        if not self.until(lambda now: now["hosts"][which] not in (None, pid), FAULT_BACK_S):
            return False
        before = self.ask("state")[seen]
        return self.until(lambda now: now[seen] > before, FAULT_BACK_S)

    def kill_engine(self) -> tuple[str, bool]:
        return "engine killed", self.strike("engine", signal.SIGKILL)

    def stop_engine(self) -> tuple[str, bool]:
        # A model of its own: one that hangs twice is not loaded any more that day.
        fresh = self.materials.fresh()
        self.window.send(f"source {BASE_SOURCE}")
        self.window.send(f"model {fresh}")
        self.until(lambda now: now["answered_by"] == fresh.stem, BACK_S)
        time.sleep(1)
        return "engine stopped (with loading)", self.strike("engine", signal.SIGSTOP)

    def kill_source(self) -> tuple[str, bool]:
        return "source killed", self.strike("source", signal.SIGKILL)

    def stop_source(self) -> tuple[str, bool]:
        return "source stopped", self.strike("source", signal.SIGSTOP)

    def kill_both(self) -> tuple[str, bool]:
        pid = self.ask("state")["hosts"]["source"]
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        back = self.strike("engine", signal.SIGKILL)
        before = self.ask("state")["painted"]
        return "engine and source killed", back and self.until(
            lambda now: now["painted"] > before, FAULT_BACK_S
        )

    def kill_spare(self) -> tuple[str, bool]:
        return "spare killed (with loading)", self.strike_spare(signal.SIGKILL)

    def stop_spare(self) -> tuple[str, bool]:
        return "spare stopped (with loading)", self.strike_spare(signal.SIGSTOP)

    def strike_spare(self, number: int) -> bool:
        """Send a signal to what waits; whether the next model answers in time all the same."""
        self.window.send(f"source {BASE_SOURCE}")
        time.sleep(2.5)  # the next one is started a second after a load
        for child in psutil.Process(self.window.pid).children():
            if child.pid not in self.ask("state")["hosts"].values():
                child.send_signal(number)
        fresh = self.materials.fresh()
        self.window.send(f"model {fresh}")
        return self.until(lambda now: now["answered_by"] == fresh.stem, FAULT_BACK_S)

    def replace(self) -> tuple[str, bool]:
        fresh = self.materials.fresh()
        self.window.send(f"source {BASE_SOURCE}")
        self.window.send(f"model {fresh}")
        self.until(lambda now: now["answered_by"] == fresh.stem, BACK_S)
        replace_model(fresh)
        before = self.ask("state")["answers"]
        self.window.send("engine vision")
        self.window.send("engine layers-cpu")
        went_on = self.until(lambda now: now["answers"] > before + 3, FAULT_BACK_S)
        return "model replaced (with loading)", went_on

    # --- minutes --------------------------------------------------------------------------------

    def calm(self) -> None:
        """Come back to the state that is measured."""
        self.window.press("shift+Escape")
        self.window.send(f"engine {BASE_ENGINE}")
        # Another model before, so that nothing of this one is kept from flips.
        self.window.send(f"model {self.materials.reader}")
        self.until(lambda now: now["answered_by"] == "levels" and not now["loading"], BACK_S)
        self.window.send(f"source {BASE_SOURCE}")
        self.window.send(f"engine {BASE_ENGINE}")
        self.window.send(f"model {BASE_MODEL}")
        if self.ask("state")["paused"]:
            self.window.press("space")
        if not self.until(self.is_calm, BACK_S):
            self.wrong.append(f"{self.now_s:.0f} s: not calm, but {self.ask('state')}")
        before = self.ask("state")["answers"]
        if not self.until(lambda now: now["answers"] > before + 5, BACK_S):
            self.wrong.append(f"{self.now_s:.0f} s: no answers, {self.ask('state')}")

    @property
    def now_s(self) -> float:
        return time.monotonic() - self.begun_s

    def is_calm(self, now: dict[str, Any]) -> bool:
        return (
            now["source"] == BASE_SOURCE
            and now["engine"] == BASE_ENGINE
            and now["answered_by"] == now["model"]
            and now["model"] != "levels"
            and not now["loading"]
            and not now["sheet"]
        )

    def measure(self, minute: int, busy: dict[str, Any]) -> None:
        """What the calm state takes, and what the minute before it saw."""
        first = self.minutes[0]["processes"] if self.minutes else 4
        deadline_s = time.monotonic() + 5
        while self.sample()["processes"] != first and time.monotonic() < deadline_s:
            time.sleep(0.3)  # a spare one is on its way, or one still ends
        self.ask("tally")
        time.sleep(CALM_S)
        calm = self.ask("tally")
        least = min((self.sample() for _ in range(3)), key=lambda one: one["pss"])
        row = {
            "minute": minute,
            **least,
            "calm_p50": calm["latency_p50"],
            "calm_p95": calm["latency_p95"],
            "calm_painted": calm["painted"],
            **{f"busy_{key}": busy[key] for key in busy if key not in ("event", "wrong")},
            "load": os.getloadavg()[0],
            "acts": self.done,
            "faults": len(self.faults),
        }
        self.minutes.append(row)
        known = len(self.wrong)
        for one in (busy, calm):
            self.wrong += [f"minute {minute}: {words}" for words in one["wrong"]]
            self.wrong += [f"minute {minute}: {n} {k}" for k in FAULTY if (n := one[k])]
        print(
            f"{time.strftime('%H:%M:%S')} min {minute:3} PSS {row['pss']:7.1f} "
            f"USS {row['uss']:7.1f} (window {row['window']:6.1f}) MB, "
            f"{row['fds']:.0f} fds, {row['threads']:.0f} threads, "
            f"{row['processes']:.0f} processes; p95 {calm['latency_p95']:5.1f} ms calm "
            f"{busy['latency_p95']:6.1f} busy; {busy['painted']} drawn, {busy['answers']} answers, "
            f"{busy['read']} read, wrong {sum(busy[k] for k in FAULTY)}; answer behind p95 "
            f"{busy['age_p95']:.0f} max {busy['age_max']:.0f} ms, of another source "
            f"{busy['foreign_max']:.0f} ms; {self.grabs} grabs, {self.done} acts, "
            f"{len(self.faults)} faults",
            flush=True,
        )
        for words in self.wrong[known:]:
            print(f"    {words}", flush=True)

    def run(self, minutes: float, faults_every: float) -> None:
        end_s = self.begun_s + 60 * minutes
        next_fault_s = time.monotonic() + faults_every
        minute = 0
        while time.monotonic() < end_s - LEAST_MINUTE_S:
            minute += 1
            self.ask("tally")
            calm_s = min(end_s, self.begun_s + 60 * minute) - 14
            self.check_numbers()
            while time.monotonic() < calm_s:
                self.work()
                self.sample_now_and_then()
                if time.monotonic() > next_fault_s:
                    next_fault_s = time.monotonic() + faults_every
                    self.fault()
            busy = self.ask("tally")
            self.calm()
            self.measure(minute, busy)


def slope(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Slope of the line through (hours, value), and its standard error."""
    if len(points) < 3:
        return 0.0, float("inf")
    fit = statistics.linear_regression(*zip(*points, strict=True))
    left = sum((y - fit.slope * x - fit.intercept) ** 2 for x, y in points)
    mean = statistics.fmean(x for x, _ in points)
    spread = sum((x - mean) ** 2 for x, _ in points)
    return fit.slope, (left / (len(points) - 2) / spread) ** 0.5


def verdict(soak: Soak) -> list[str]:
    """What was wrong, and the slopes, printed."""
    wrong = list(soak.wrong)
    warm = soak.minutes[int(len(soak.minutes) * WARM_SHARE) :]
    for name, unit, limit in (
        ("pss", "MB", SLOPE_MB_H),
        ("uss", "MB", SLOPE_MB_H),
        ("window", "MB", SLOPE_MB_H),
        ("fds", "", 1.0),
        ("threads", "", 1.0),
        ("processes", "", 1.0),
        ("calm_p95", "ms", 5.0),
    ):
        grows, error = slope([(row["t_s"] / 3600, row[name]) for row in warm])
        print(f"{name:10} {grows:+9.1f} ± {error:.1f} {unit}/h over {len(warm)} minutes")
        if grows - 2 * error > limit:
            wrong.append(f"{name} grows by {grows:.1f} ± {error:.1f} {unit}/h")
    return wrong


def write(soak: Soak, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name, rows in (
        ("samples", soak.samples),
        ("minutes", soak.minutes),
        ("faults", soak.faults),
    ):
        if rows:
            with (out / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
    draw_curves(soak.samples, soak.minutes, soak.faults, out / "curves.png")


def close(window: LiveWindow, errors: Path) -> list[str]:
    """Close the window; what was wrong with that, or stands on standard error."""
    children = [child.pid for child in psutil.Process(window.pid).children(recursive=True)]
    code = window.close()
    wrong = [f"exit code {code}"] if code else []
    deadline_s = time.monotonic() + 2
    while any(map(exists, children)) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    wrong += [f"process {pid} is left" for pid in children if exists(pid)]
    text = errors.read_text(encoding="utf-8", errors="replace")
    if "Traceback" in text or "Fatal" in text:
        wrong.append(f"on standard error: {text[:3000]}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults-every", type=float, default=60, help="seconds")
    parser.add_argument("--out", type=Path, help="folder for the tables and the curves")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ[VARIABLE] = str(folder / "recipes")
        os.environ[FOLDER] = str(folder / "plans")
        reader = labelled(level_reader(folder / "levels.onnx"))
        materials = Materials(folder, reader, random.Random(args.seed + 1))
        (folder / "window").mkdir()
        with live_window(
            folder / "window",
            source=BASE_SOURCE,
            model=BASE_MODEL,
            engine=BASE_ENGINE,
            hosts=True,
            probe=PROBE,
        ) as window:
            soak = Soak(window, random.Random(args.seed), materials)
            died = []
            try:
                soak.run(args.minutes, args.faults_every)
                died = close(window, folder / "window" / "stderr.txt")
            except AssertionError as error:
                died = [f"after {soak.now_s:.0f} s: {error}"]
        for row in soak.faults:
            print(f"{row['t_s']:7.1f} s  {row['fault']:30} back after {row['back_s']:.2f} s")
        wrong = died + (verdict(soak) if soak.minutes else ["no minute was ended"])
        if args.out:
            write(soak, args.out)
    for words in wrong:
        print(f"  {words}")
    print("FAIL" if wrong else "PASS", f"(seed {args.seed}, {soak.done} acts)")
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
