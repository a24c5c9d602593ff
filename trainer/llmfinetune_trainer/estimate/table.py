"""An estimate for people."""

from collections.abc import Iterator

from llmfinetune_trainer.config.quantity import memory_text
from llmfinetune_trainer.estimate.result import Estimate

_NAMES = {
    "libraries": "Python and libraries",
    "base": "base weights",
    "adapters": "adapters and gradients",
    "optimizer": "optimizer and checkpoint",
    "activations": "activations",
    "work": "buffers",
    "logits": "logits chunk",
    "data": "data",
    "agent": "launcher and torchrun",
}


def table(estimate: Estimate) -> str:
    """Memory by part, work, time, and the split of batches, in lines."""
    return "\n".join([*_memory(estimate), "", *_work(estimate), "", *_split(estimate)])


def _memory(estimate: Estimate) -> Iterator[str]:
    yield f"memory of a worker ({estimate.engine} engine, {estimate.precision})"
    for part in estimate.memory:
        if part.bytes:
            yield _line(_NAMES[part.name], memory_text(part.bytes))
    yield _line("total", memory_text(estimate.memory_bytes))
    yield _line("limit", f"{memory_text(estimate.limit_bytes)}  ({estimate.limit_source})")


def _work(estimate: Estimate) -> Iterator[str]:
    per_token = estimate.flops_per_step / estimate.tokens_per_step
    yield f"work of a step ({estimate.total_steps} steps)"
    yield _line("tokens", f"{estimate.tokens_per_step:,.0f}, {estimate.supervised_per_step:,.0f} with loss")
    yield _line(
        "operations", f"{estimate.flops_per_step / 1e12:.2f} TFLOP, {per_token / 1e9:.2f} GFLOP a token"
    )
    if estimate.seconds_per_step is None or estimate.total_seconds is None:
        return
    rate = estimate.tokens_per_step / estimate.seconds_per_step
    workers = "1 worker" if estimate.workers == 1 else f"{estimate.workers} workers"
    yield _line(
        "time",
        f"{estimate.seconds_per_step:.2f} s, {rate:,.0f} tokens/s ({workers}, {estimate.threads} threads)",
    )
    yield _line("whole run", duration(estimate.total_seconds))


def _split(estimate: Estimate) -> Iterator[str]:
    how = ", activations computed again" if estimate.recompute else ""
    yield "recommended"
    yield _line("runtime.microBatchTokens", f"{estimate.micro_batch_tokens}{how}")
    yield _line("micro-batches of a worker", f"{estimate.micro_batches:.1f} a step")
    yield _line("workers.replicas", f"up to {estimate.recommended_workers}")


def duration(seconds: float) -> str:
    """Seconds as people say them: 42 s, 12 min, 3 h 05 min."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def _line(name: str, value: str) -> str:
    return f"  {name:<27}{value}"
