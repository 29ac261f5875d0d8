"""What threads share in generated code is read and written whole, and in an order that holds."""

from __future__ import annotations

import re

from helpers.cpu_check import each_isa
from helpers.cpu_nets import everything
from twinlens.engine.targets.cpu.codegen import compiler
from twinlens.engine.targets.cpu.kernels.base import Op
from twinlens.engine.targets.cpu.plan.lower import Lowering
from twinlens.engine.targets.cpu.plan.rules import RULES


def function(text: str, name: str) -> str:
    """The lines of one function."""
    found = re.search(rf'^define [^\n]*@"{name}"\(.*?^}}', text, re.MULTILINE | re.DOTALL)
    assert found, name
    return found.group()


@each_isa()
def test_the_driver_stores_nothing_that_others_read_by_halves(isa):
    lowered = Lowering(everything(0), isa).translate(RULES)
    ops = [step for step in lowered.steps if isinstance(step, Op)]
    constants = compiler.Constants.plan([[a.nbytes for a in op.constants(isa)] for op in ops])
    text = compiler.build(ops, constants, isa)
    stores = 0
    for name in ("run", "serve", "work", "step"):
        for line in function(text, name).splitlines():
            if re.match(r"\s*store ", line):
                stores += 1
                assert re.match(r"\s*store atomic i64 .* release, align 8", line), line
    assert stores == 1
