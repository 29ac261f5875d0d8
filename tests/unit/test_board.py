"""The board: ink where a hand went, undone and wiped, and the square that a network looks at."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinlens.app.core.drawing.board import Board
from twinlens.app.core.drawing.digits import STROKES, drawn
from twinlens.app.sources import Drawing, open_source
from twinlens.engine.image import PixelFormat


def pixels(board: Board) -> np.ndarray:
    return board.look().buffer.rows()[..., 0]


def test_a_press_is_a_dot_and_a_move_a_line() -> None:
    board = Board(100, 60, brush=10)
    assert pixels(board).min() == 255
    board.press(30, 30)
    dot = pixels(board)
    assert dot[30, 30] == 0
    assert dot[30, 40] == 255
    # As much ink as a circle of that width, edges that are partly covered counted as such.
    assert (255 - dot.astype(float)).sum() / 255 == pytest.approx(np.pi * 25, rel=0.02)
    board.move(70, 30)
    line = pixels(board)
    assert (line[30, 30:71] == 0).all()
    assert (line[:24] == 255).all()
    assert (line[36:] == 255).all()
    soft = Board(100, 60, brush=10)
    soft.draw([(30, 30.25), (70, 30.25)])
    assert list(pixels(soft)[[24, 25, 26, 34, 35], 50]) == [255, 64, 0, 0, 191]


def test_moves_without_a_press_draw_nothing() -> None:
    board = Board(100, 60)
    board.move(30, 30)
    board.press(10, 10)
    board.lift()
    before = pixels(board).copy()
    board.move(90, 50)
    assert (pixels(board) == before).all()


def test_undo_goes_back_stroke_by_stroke() -> None:
    board = Board(100, 60, brush=6)
    states = []
    for stroke in ([(10, 10), (90, 10)], [(10, 30)], [(5, 55), (50, 20), (95, 55)]):
        states.append(pixels(board).copy())
        board.draw(stroke)
    for state in states[::-1]:
        assert board.undo()
        assert (pixels(board) == state).all()
    assert board.empty
    assert not board.undo()


def test_clear_wipes_everything() -> None:
    board = Board(100, 60)
    change = board.change
    board.clear()
    assert board.change == change, "there was nothing to wipe"
    board.draw([(10, 10), (50, 50)])
    board.clear()
    assert board.empty
    assert pixels(board).min() == 255
    board.move(60, 60)
    assert board.empty


places = st.tuples(st.floats(-500, 1500), st.floats(-500, 1500))


@given(st.lists(st.lists(places, min_size=1, max_size=4), max_size=4))
def test_the_square_is_inside_and_holds_the_ink_where_it_can(
    strokes: list[list[tuple[float, float]]],
) -> None:
    board = Board(320, 180)
    for stroke in strokes:
        board.draw(stroke)
    region = board.region()
    side = region.width * 320
    assert side == pytest.approx(region.height * 180)
    assert 90 - 1e-6 <= side <= 180 + 1e-6
    ink_y, ink_x = np.nonzero(pixels(board) < 128)
    if ink_x.size and max(np.ptp(ink_x), np.ptp(ink_y)) < 120:
        left, top = region.x * 320, region.y * 180
        assert left - 1 <= ink_x.min() <= ink_x.max() <= left + side + 1
        assert top - 1 <= ink_y.min() <= ink_y.max() <= top + side + 1


def test_the_square_follows_a_digit_with_mnists_margins() -> None:
    board = Board(1280, 720)
    for stroke in STROKES["8"]:
        board.draw([(500 + 320 * x, 150 + 400 * y) for x, y in stroke])
    region = board.region()
    height = 400 * (0.96 - 0.06) + board.brush
    assert region.height * 720 == pytest.approx(height * 1.4, rel=0.02)
    assert (region.x + region.width / 2) * 1280 == pytest.approx(500 + 160, abs=12)
    assert Board().region().height == 1.0


def test_ten_digits_differ_and_stand_in_the_middle() -> None:
    boards = {digit: drawn(digit) for digit in STROKES}
    assert set(boards) == set("0123456789")
    seen = {board.look().buffer.data.tobytes() for board in boards.values()}
    assert len(seen) == 10
    for board in boards.values():
        y, x = np.nonzero(pixels(board) < 128)
        assert 320 < x.min() < x.max() < 960
        assert 60 < y.min() < y.max() < 660


def test_the_source_delivers_what_is_drawn_newest_first() -> None:
    source = open_source("drawing")
    assert isinstance(source, Drawing)
    info = source.open()
    assert (info.kind, info.width, info.height, info.live) == ("drawing", 1280, 720, True)
    first = source.read()
    assert first is not None
    assert first.buffer.format is PixelFormat.GRAY8
    assert first.buffer.rows().min() == 255
    for x in range(100, 400, 10):
        source.board.press(x, 300)
    second = source.read()
    assert second is not None
    assert (second.index, second.buffer.rows().min()) == (1, 0)
    third = source.read()  # a board at rest is shown again, not left behind
    assert third is not None
    assert (third.buffer.rows() == second.buffer.rows()).all()
    assert second.captured_s <= third.captured_s <= time.perf_counter()
    source.close()


def test_a_waiting_read_is_interrupted() -> None:
    source = Drawing()
    source.open()
    assert source.read() is not None
    got: list[object] = []
    reader = threading.Thread(target=lambda: got.append(source.read()))
    source.interrupt()
    reader.start()
    reader.join(5)
    assert got == [None]


def test_another_thread_may_draw_while_pictures_are_taken() -> None:
    board = Board(320, 180)

    def scribble() -> None:
        for number in range(200):
            board.draw([(number, 20), (number, 160)])
            if number % 3 == 0:
                board.undo()

    hand = threading.Thread(target=scribble)
    hand.start()
    counts = []
    while hand.is_alive():
        look = board.look()
        counts.append(look.change)
        assert look.buffer.width == 320
    hand.join()
    assert counts == sorted(counts)
    assert board.strokes == 200 - 67
