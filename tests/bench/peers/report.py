"""Tables of what was measured: one per case, a summary, and all of it as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from peers.rounds import Row, Table, paired
from peers.runners import PEERS

# Medians of one run differ by so much from those of the next: neither is ahead.
_LEVEL = 0.03


def table_text(table: Table, macs: int) -> str:
    """One case: every peer's median, ratio to ONNX Runtime, share of the peak, difference."""
    case = table.case
    title = f"{case.net}, {case.threads} thread{'s' if case.threads > 1 else ''}, "
    title += f"beside {table.hog:.2f} of a core of other work" if table.hog else "quiet"
    lines = [
        f"## {title} ({macs / 1e6:.0f} M MACs, SGEMM peak {table.peak_gflops:.0f} GFLOP/s)",
        f"{'':22}{'ms':>9}{'best ms':>9}{'÷ ORT':>8}{'% peak':>8}"
        f"{'max diff':>10}{'rel rms':>9}{'top-1':>7}",
    ]
    for peer, row in table.rows.items():
        about = f"{PEERS[peer].title:16}{PEERS[peer].precision:6}"
        if row.failure:
            lines.append(f"{about}  -- {row.failure}")
            continue
        share = 2e-6 * macs / row.median_ms / table.peak_gflops
        ratio = f"{row.ratio:8.2f}" if row.ratio else f"{'':8}"
        lines.append(
            f"{about}{row.median_ms:9.3f}{row.best_ms:9.3f}{ratio}{share:8.0%}{_difference(row)}"
        )
    return "\n".join(lines)


def _difference(row: Row) -> str:
    found = row.difference
    if found is None:
        return ""
    notes = [] if row.idle < 0.05 else [f"burns {row.idle:.2f} of a core between turns"]
    if found.wrong:
        notes.insert(0, "NOT THE SAME NETWORK")
    text = f"{found.largest:10.1e}{found.relative:9.1e}{found.top1:7.0%}"
    return text + "".join(f"  {note}" for note in notes)


def summary_text(tables: Sequence[Table]) -> str:
    """A line per case: our time over the best peer's, per precision; what is behind, flagged."""
    heads = ("fp32", "bf16", "int8")
    lines = [
        "## Summary: layers-cpu ÷ the best fp32 peer, ÷ OpenVINO in bf16 and int8",
        f"{'':36}" + "".join(f"{head:30}" for head in heads),
    ]
    behind = []
    for table in tables:
        case = table.case
        name = f"{case.net}, {case.threads} thr, {'load' if case.load else 'quiet'}"
        cells = []
        for precision, ratio, rival in duels(table):
            mark = "" if ratio <= 1 else " level" if ratio <= 1 + _LEVEL else " BEHIND"
            cells.append(f"{ratio:.2f} {rival}{mark}")
            if mark:
                behind.append(f"{name}, {precision}: {ratio:.2f} of {rival}{mark}")
            # The cells stay under their heads where a precision is missing.
            cells += [""] * (heads.index(precision) + 1 - len(cells))
        lines.append(f"{name:36}" + "".join(f"{cell:30}" for cell in cells))
    lines.append("")
    lines.append("Not ahead:" if behind else "Ahead on every row.")
    return "\n".join([*lines, *(f"- {line}" for line in behind)])


def duels(table: Table) -> Iterator[tuple[str, float, str]]:
    """(precision, our time over the rival's, rival): best peer in fp32, OpenVINO elsewhere."""
    good = {
        peer: row
        for peer, row in table.rows.items()
        if not row.failure and not (row.difference and row.difference.wrong)
    }
    for precision in ("fp32", "bf16", "int8"):
        own = "ours" if precision == "fp32" else f"ours-{precision}"
        if precision == "fp32":
            rivals = [p for p in good if PEERS[p].precision == "fp32" and PEERS[p].library]
        else:
            rivals = [p for p in good if p == f"openvino-{precision}"]
        if own in good and rivals:
            ratios = {rival: paired(good[own], good[rival]) for rival in rivals}
            rival = max(ratios, key=ratios.__getitem__)
            yield precision, ratios[rival], PEERS[rival].title


def as_json(tables: Sequence[Table], macs: dict[str, int], facts: dict[str, object]) -> dict:
    """Everything, for machines."""
    return {
        **facts,
        "tables": [
            {
                **asdict(table.case),
                "macs": macs[table.case.net],
                "sgemm_gflops": table.peak_gflops,
                "hog": table.hog,
                "rows": [_row(table, row) for row in table.rows.values()],
                "duels": [
                    {"precision": precision, "ratio": round(ratio, 4), "rival": rival}
                    for precision, ratio, rival in duels(table)
                ],
            }
            for table in tables
        ],
    }


def _row(table: Table, row: Row) -> dict[str, object]:
    peer = PEERS[row.peer]
    result: dict[str, object] = {"peer": row.peer, "title": peer.title, "precision": peer.precision}
    if row.failure:
        return {**result, "failure": row.failure}
    difference = None if row.difference is None else asdict(row.difference)
    return {
        **result,
        "median_ms": row.median_ms,
        "best_ms": row.best_ms,
        "ratio": row.ratio,
        "idle": row.idle,
        "difference": difference,
        "turns_ms": row.turns,
    }
