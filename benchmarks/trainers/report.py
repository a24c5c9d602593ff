"""The comparison as people read it: a table, and a plot."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

STEADY = 0.85
"""A quiet machine's slowest matrix product, as a share of its fastest."""
HEADINGS = (
    "contestant",
    "tokens/s",
    "min-max",
    "of peak",
    "peak RSS",
    "first step",
    "loss",
    "mixes",
    "ours is",
)


def table(result: Mapping[str, Any]) -> str:
    """The result as text, fastest first."""
    rows = [("ours", result["ours"]), *result["peers"].items()]
    good = sorted(
        (row for row in rows if "tokens_per_second" in row[1]), key=lambda row: -row[1]["tokens_per_second"]
    )
    lines = _aligned([HEADINGS, *(_cells(name, value) for name, value in good)])
    lines += [f"{name}: {value['error']}" for name, value in rows if "error" in value]
    return "\n".join([_speed(result), *lines])


def _speed(result: Mapping[str, Any]) -> str:
    """The machine's speed during the run, and a warning where something else used the processor too."""
    if not result["gemm_gflops"]:
        return "matrix product: not measured"
    low, high = result["gemm_gflops_min"], result["gemm_gflops_max"]
    line = (
        f"matrix product 2048³ in bf16: median {result['gemm_gflops']:.0f} GFLOP/s, {low:.0f} to {high:.0f}"
    )
    if low < STEADY * high:
        line += "; the machine was not quiet, so shares of the peak and small differences mean little"
    return line


def _cells(name: str, value: Mapping[str, Any]) -> tuple[str, ...]:
    ratio = value.get("ours_is_faster_by")
    return (
        name,
        f"{value['tokens_per_second']:.0f}",
        f"{value['tokens_per_second_min']:.0f}-{value['tokens_per_second_max']:.0f}",
        f"{value['peak_share']:.0%}",
        f"{value['peak_rss_bytes'] / 1e9:.1f} GB",
        f"{value['first_step_seconds']:.1f} s",
        ""
        if value.get("loss") is None
        else f"{value['loss']:.4f}" + ("" if value["loss_kind"] == "held-out" else "*"),
        "yes" if value.get("mixes_documents") else "no",
        "" if ratio is None else f"{ratio:.1f}x",
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def plot(result: Mapping[str, Any], path: Path) -> None:
    """Throughput with its spread, and memory, as bars; fastest on top."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [("ours", result["ours"]), *result["peers"].items()]
    rows = sorted(
        (row for row in rows if "tokens_per_second" in row[1]), key=lambda row: row[1]["tokens_per_second"]
    )
    if not rows:
        return
    figure, (speed, memory) = pyplot.subplots(1, 2, sharey=True, figsize=(11, 1.4 + 0.42 * len(rows)))
    names = [name + (" (mixes documents)" if value.get("mixes_documents") else "") for name, value in rows]
    colors = [
        "#1b7f4d" if name == "ours" else "#c58b2b" if value.get("mixes_documents") else "#6b7b8c"
        for name, value in rows
    ]
    values = [value["tokens_per_second"] for _, value in rows]
    spread = [
        [v["tokens_per_second"] - v["tokens_per_second_min"] for _, v in rows],
        [v["tokens_per_second_max"] - v["tokens_per_second"] for _, v in rows],
    ]
    bars = speed.barh(names, values, xerr=spread, color=colors, error_kw={"ecolor": "#333333", "capsize": 3})
    speed.bar_label(
        bars, [f"{v['tokens_per_second']:.0f} ({v['peak_share']:.0%})" for _, v in rows], padding=6
    )
    speed.set_xlabel("useful tokens/s (share of the matrix product's peak)")
    speed.set_xlim(0, 1.3 * max(value["tokens_per_second_max"] for _, value in rows))
    bars = memory.barh(names, [value["peak_rss_bytes"] / 1e9 for _, value in rows], color=colors)
    memory.bar_label(bars, fmt="%.1f", padding=4)
    memory.set_xlabel("peak RSS, GB")
    memory.margins(x=0.15)
    for axes in (speed, memory):
        axes.spines[["top", "right"]].set_visible(False)
    work = result["workload"]
    figure.suptitle(
        f"{work['model']}, LoRA r={work['rank']} on {', '.join(work['targets'])}, bf16, "
        f"{work['batch_size']} samples a step, {work['threads']} threads",
        fontsize=10,
    )
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
