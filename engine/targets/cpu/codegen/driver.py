"""The generated code around the kernels: in which order they run, and who does which part.

Each thread has a share of every kernel's work and claims it part by part from a counter; a thread
whose share is used up goes on with the others', so that a thread that another program keeps from
running holds nobody up for longer than the part that it has. A counter holds the number of the
run in its upper half: a thread that comes late finds a later number and leaves. Nobody waits at a
barrier that all must reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llvmlite import ir

from twinlens.engine.targets.cpu.codegen.emit import I32, I64, PTR, VOID, Emitter, Value, i64
from twinlens.engine.targets.cpu.codegen.isa import Isa

#: Byte offsets in the shared state: number of the run, range of kernels, threads; and bytes from
#: the range of runs with an even number to that of the odd ones.
GO, FIRST, LAST, THREADS = 0, 8, 16, 24
RANGE = 24
#: Bytes of the state's head, and of each counter: a cache line. A kernel has a counter of parts
#: that are done, and one of claimed parts for each thread.
LINE = 64

#: Symbol of the operating system's "let somebody else run".
YIELD = "twinlens_yield"

# Parts per thread: enough that a delayed thread holds up little, few enough to claim quickly.
_PARTS = 4
# Looks at a counter before the processor is given to somebody else.
_SPINS = 1500


def state_size(kernels: int, threads: int) -> int:
    """Bytes of shared state."""
    return LINE * (kernels * (threads + 1) + 1)


@dataclass(frozen=True)
class _Claim:
    """A part that was claimed, and where the code goes on.

    Attributes:
        value: the part.
        count: how many parts of the share were claimed before, an open phi.
        again: claims another.
        none: nothing is left to claim.
    """

    value: Value
    count: Value
    again: ir.Block
    none: ir.Block


class Driver:
    """Writes ``run`` and ``serve`` into a module.

    Args:
        module: has the kernels.
        isa: what the code is for.
        kernels: the kernels' functions, in order.
        units: how many units each has.
        parts: most parts that each is worth being cut into.
    """

    def __init__(
        self,
        module: ir.Module,
        isa: Isa,
        kernels: Sequence[ir.Function],
        units: Sequence[int],
        parts: Sequence[int],
    ) -> None:
        self.module, self.isa = module, isa
        self.functions = self._table("kernels", PTR, kernels)
        self.units = self._table("units", I64, [i64(n) for n in units])
        self.parts = self._table("parts", I64, [i64(n) for n in parts])

    def _table(self, name: str, element: ir.Type, values: Sequence[Value]) -> ir.GlobalVariable:
        type_ = ir.ArrayType(element, len(values))
        table = ir.GlobalVariable(self.module, type_, name)
        table.linkage = "internal"
        table.global_constant = True
        table.initializer = ir.Constant(type_, list(values))
        return table

    def _function(self, name: str, result: ir.Type, arguments: Sequence[ir.Type]) -> Emitter:
        function = ir.Function(self.module, ir.FunctionType(result, list(arguments)), name)
        return Emitter(self.module, function, self.isa)

    def write(self) -> None:
        """Write both functions."""
        body = self._work(self._step())
        self._run(body)
        self._serve(body)

    def _entry(self, e: Emitter, table: ir.GlobalVariable, index: Value, type_: ir.Type) -> Value:
        return e.load(e.at(table, e.mul(index, 8)), type_, 8)

    def _call(self, e: Emitter, index: Value, arguments: Sequence[Value]) -> None:
        kind = ir.FunctionType(VOID, [PTR, I64, I64, I64])
        # A pointer with its type: llvmlite reads there what the call takes.
        pointer = self._entry(e, self.functions, index, kind.as_pointer())
        e.b.call(pointer, list(arguments))

    def _pause(self, e: Emitter) -> None:
        triple = str(self.module.triple)
        if triple.startswith(("x86_64", "i386", "i686")):
            e.intrinsic("llvm.x86.sse2.pause", VOID)
        elif triple.startswith(("aarch64", "arm64")):
            e.intrinsic("llvm.aarch64.hint", VOID, ir.Constant(I32, 1))

    def _step(self) -> ir.Function:
        """``step(table, state, thread, epoch, threads, index)``: claim parts of one kernel.

        A thread takes the parts of its own share first, which read what it wrote itself in the
        kernel before, then what is left of the others' shares. Answers 1 when all of the kernel's
        parts are done, 0 when the run is over.
        """
        e = self._function("step", I64, [PTR, PTR, *[I64] * 4])
        e.function.linkage = "internal"
        table, state, thread, epoch, threads, index = e.function.args
        b = e.b
        block = e.add(b.mul(index, e.mul(e.add(threads, 1), LINE)), LINE)
        done = e.at(state, block)
        most = e.least(self._entry(e, self.parts, index, I64), e.mul(threads, _PARTS))
        units = self._entry(e, self.units, index, I64)
        names = ("wait", "leave", "finish")
        wait, leave, finish = map(e.function.append_basic_block, names)
        with e.loop(0, threads) as turn:
            owner = b.srem(e.add(thread, turn.index), threads)
            first, last = (
                b.sdiv(e.add(b.mul(most, n), e.add(threads, -1)), threads)
                for n in (owner, e.add(owner, 1))
            )
            counter = e.at(done, e.mul(e.add(owner, 1), LINE))
            part = self._claim(e, counter, epoch, first, last, leave)
            low = b.sdiv(b.mul(units, part.value), most)
            high = b.sdiv(b.mul(units, b.add(part.value, i64(1))), most)
            self._call(e, index, [table, thread, low, high])
            part.count.add_incoming(b.add(part.count, i64(1)), b.block)
            b.branch(part.again)
            b.position_at_end(part.none)
            # Told once for all parts: each time costs the other threads their copy of the line.
            with e.when(b.icmp_signed(">", part.count, i64(0))):
                b.atomic_rmw("add", done, part.count, "acq_rel")
        b.branch(wait)
        b.position_at_end(wait)
        self._wait(e, state, done, epoch, most, leave, finish)
        b.position_at_end(leave)
        b.ret(i64(0))
        b.position_at_end(finish)
        b.ret(i64(1))
        return e.function

    def _claim(
        self, e: Emitter, counter: Value, epoch: Value, first: Value, last: Value, leave: ir.Block
    ) -> _Claim:
        """Claim one part of a share; the builder then stands where a part was claimed.

        A counter of an earlier run counts as zero, so that nobody has to reset it; one of a later
        run means that this run is over.
        """
        b = e.b
        names = ("look", "ours", "try", "compute", "none")
        look, ours, attempt, compute, none = map(e.function.append_basic_block, names)
        before = b.block
        b.branch(look)
        b.position_at_end(look)
        count = b.phi(I64)
        count.add_incoming(i64(0), before)
        count.add_incoming(count, attempt)
        seen = b.load_atomic(counter, "acquire", 8, typ=I64)
        behind = b.trunc(b.sub(epoch, b.lshr(seen, i64(32))), I32)
        b.cbranch(b.icmp_signed("<", behind, ir.Constant(I32, 0)), leave, ours)
        b.position_at_end(ours)
        current = b.icmp_signed("==", behind, ir.Constant(I32, 0))
        taken = b.select(current, b.and_(seen, i64(0xFFFFFFFF)), i64(0))
        part = b.add(first, taken)
        b.cbranch(b.icmp_signed("<", part, last), attempt, none)
        b.position_at_end(attempt)
        following = b.or_(b.shl(epoch, i64(32)), b.add(taken, i64(1)))
        swapped = b.cmpxchg(counter, seen, following, "acq_rel", "acquire")
        b.cbranch(b.extract_value(swapped, 1), compute, look)
        b.position_at_end(compute)
        return _Claim(part, count, look, none)

    def _wait(
        self,
        e: Emitter,
        state: Value,
        done: Value,
        epoch: Value,
        parts: Value,
        leave: ir.Block,
        finish: ir.Block,
    ) -> None:
        """Wait until others have finished their parts; go to ``leave`` if the run is over."""
        b = e.b
        before = b.block
        check, again, tired, rest = map(
            e.function.append_basic_block, ("check", "again", "tired", "rest")
        )
        b.branch(check)
        b.position_at_end(check)
        spins = b.phi(I64)
        spins.add_incoming(i64(0), before)
        ready = b.load_atomic(done, "acquire", 8, typ=I64)
        b.cbranch(b.icmp_unsigned(">=", ready, parts), finish, again)
        b.position_at_end(again)
        number = b.load_atomic(e.at(state, GO), "acquire", 8, typ=I64)
        self._pause(e)
        more = b.add(spins, i64(1))
        b.cbranch(b.icmp_unsigned("!=", number, epoch), leave, tired)
        b.position_at_end(tired)
        spins.add_incoming(more, tired)
        b.cbranch(b.icmp_unsigned(">", more, i64(_SPINS)), rest, check)
        b.position_at_end(rest)
        e.intrinsic(YIELD, I32)
        spins.add_incoming(more, rest)
        b.branch(check)

    def _work(self, step: ir.Function) -> ir.Function:
        """``work(table, state, thread, epoch, threads, first, last)``: take part in a run."""
        e = self._function("work", VOID, [PTR, PTR, *[I64] * 5])
        e.function.linkage = "internal"
        table, state, thread, epoch, threads, first, last = e.function.args
        leave = e.function.append_basic_block("leave")
        with e.loop(first, last) as turn:
            goes_on = e.b.call(step, [table, state, thread, epoch, threads, turn.index])
            following = e.function.append_basic_block("following")
            e.b.cbranch(e.b.icmp_signed("!=", goes_on, i64(0)), following, leave)
            e.b.position_at_end(following)
        e.b.branch(leave)
        e.b.position_at_end(leave)
        e.b.ret_void()
        return e.function

    def _range(self, e: Emitter, state: Value, epoch: Value) -> Value:
        """Where a run's range of kernels is: two places take turns."""
        return e.at(state, e.b.mul(e.b.and_(epoch, i64(1)), i64(RANGE)))

    def _run(self, work: ir.Function) -> None:
        """``run(table, state, threads, first, last)``: one run of a range of kernels."""
        e = self._function("run", VOID, [PTR, PTR, I64, I64, I64])
        table, state, threads, first, last = e.function.args
        b = e.b
        with b.if_else(b.icmp_signed("==", threads, i64(1))) as (alone, together):
            with alone, e.loop(first, last) as turn:
                units = self._entry(e, self.units, turn.index, I64)
                self._call(e, turn.index, [table, i64(0), i64(0), units])
            with together:
                epoch = b.and_(b.add(e.load(state, I64, 8), i64(1)), i64(0xFFFFFFFF))
                stride = e.mul(e.add(threads, 1), LINE)
                with e.loop(first, last) as turn:
                    done = e.at(state, e.add(b.mul(turn.index, stride), LINE))
                    # A helper that comes late from the run before may still look at it.
                    e.store_atomic(i64(0), done)
                call = self._range(e, state, epoch)
                for value, place in ((first, FIRST), (last, LAST), (threads, THREADS)):
                    b.atomic_rmw("xchg", e.at(call, place), value, "release")
                # What was stored above is seen by whoever sees the new number.
                b.atomic_rmw("xchg", e.at(state, GO), epoch, "acq_rel")
                b.call(work, [table, state, i64(0), epoch, threads, first, last])
        b.ret_void()

    def _serve(self, work: ir.Function) -> None:
        """``serve(table, state, thread, seen, spins)``: help with runs until none comes.

        Answers the number of the last run that it saw.
        """
        e = self._function("serve", I64, [PTR, PTR, I64, I64, I64])
        table, state, thread, seen, spins = e.function.args
        b = e.b
        before = b.block
        look, ask, help_, again, leave = map(
            e.function.append_basic_block, ("look", "ask", "help", "again", "leave")
        )
        b.branch(look)
        b.position_at_end(look)
        last_seen, count = b.phi(I64), b.phi(I64)
        last_seen.add_incoming(seen, before)
        count.add_incoming(i64(0), before)
        epoch = b.load_atomic(state, "acquire", 8, typ=I64)
        b.cbranch(b.icmp_unsigned("!=", epoch, last_seen), ask, again)
        b.position_at_end(ask)
        call = self._range(e, state, epoch)
        first, last, threads = (
            b.load_atomic(e.at(call, place), "acquire", 8, typ=I64)
            for place in (FIRST, LAST, THREADS)
        )
        # Still the same run: then nobody has begun to write the range of the one after the next.
        # Kernels of another range would take this run's number for a later one's.
        same = b.icmp_unsigned("==", b.load_atomic(state, "acquire", 8, typ=I64), epoch)
        last_seen.add_incoming(last_seen, ask)
        count.add_incoming(count, ask)
        b.cbranch(same, help_, look)
        b.position_at_end(help_)
        b.call(work, [table, state, thread, epoch, threads, first, last])
        last_seen.add_incoming(epoch, help_)
        count.add_incoming(i64(0), help_)
        b.branch(look)
        b.position_at_end(again)
        self._pause(e)
        more = b.add(count, i64(1))
        last_seen.add_incoming(last_seen, again)
        count.add_incoming(more, again)
        b.cbranch(b.icmp_unsigned("<", more, spins), look, leave)
        b.position_at_end(leave)
        b.ret(last_seen)
