"""The result: an adapter that plain peft loads, a model card, lineage, and last the result manifest."""

import importlib.metadata
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from peft import LoraConfig as PeftLoraConfig
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import Tensor

from llmfinetune_trainer.atomic import atomic_directory, write_atomically
from llmfinetune_trainer.config.layout import ADAPTER, MERGED, Layout
from llmfinetune_trainer.config.messages import Result, RuntimeFacts
from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.data.prepared import Prepared
from llmfinetune_trainer.merge import LINEAGE, merge
from llmfinetune_trainer.perplexity import perplexity
from llmfinetune_trainer.sources.digest import digest_files

WEIGHTS = "adapter_model.safetensors"
PACKAGES = ("llmfinetune", "torch", "transformers", "peft", "safetensors")


def export(
    layout: Layout,
    *,
    config: RunConfig,
    prepared: Prepared,
    adapter: Mapping[str, Tensor],
    peft_config: PeftLoraConfig,
    runtime: RuntimeFacts,
    outcome: Mapping[str, Any],
    config_digest: str,
    on_progress: Callable[[float], None],
) -> Result:
    """Writes the adapter's directory, the merged model if the configuration wants one, and then the result
    manifest, each whole or not at all.

    Args:
        adapter: weights by the names that peft saves.
        outcome: fields of `Result` that training knows: attempt, steps, loss, eval_loss, eval_loss_before.
        on_progress: told which share of a merge is done.
    """
    lineage = _lineage(config, prepared, runtime=runtime, config_digest=config_digest)
    with atomic_directory(layout.adapter) as directory:
        peft_config.base_model_name_or_path = prepared.base_model_name
        peft_config.revision = (
            None if prepared.base_revision.startswith("sha256:") else prepared.base_revision
        )
        peft_config.inference_mode = True
        peft_config.save_pretrained(str(directory))
        save_file(dict(adapter), directory / WEIGHTS, metadata={"format": "pt"})
        (directory / LINEAGE).write_text(json.dumps(lineage, indent=2) + "\n", encoding="utf-8")
        (directory / "README.md").write_text(_model_card(config, prepared, outcome), encoding="utf-8")
    if config.output.merge:
        merge(
            prepared.model_path,
            layout.merged,
            adapter=adapter,
            peft_config=peft_config,
            lineage=lineage,
            on_progress=on_progress,
        )
    result = Result(
        adapter=ADAPTER,
        sha256=files_digest(layout.adapter),
        merged=MERGED if config.output.merge else None,
        merged_sha256=files_digest(layout.merged) if config.output.merge else None,
        base_revision=prepared.base_revision,
        **outcome,
    )
    write_atomically(layout.result, result.model_dump_json(by_alias=True, indent=2) + "\n")
    return result


def finished_result(layout: Layout, *, attempt: str, config_digest: str, wants_merged: bool) -> Result | None:
    """The result of this attempt and configuration, if it is on the volume and whole."""
    try:
        result = Result.model_validate_json(layout.result.read_text(encoding="utf-8"))
        lineage = json.loads((layout.adapter / LINEAGE).read_text(encoding="utf-8"))
        belongs = result.attempt == attempt and lineage["configDigest"] == config_digest
        whole = result.sha256 == files_digest(layout.adapter)
        if wants_merged:
            whole = whole and result.merged_sha256 == files_digest(layout.merged)
        return result if belongs and whole else None
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return None


def files_digest(directory: Path) -> str:
    """Digest over a result's files, as `Result.sha256` documents it."""
    files = {path.relative_to(directory).as_posix(): path for path in directory.rglob("*") if path.is_file()}
    return f"sha256:{digest_files(files)}"


def _lineage(
    config: RunConfig, prepared: Prepared, *, runtime: RuntimeFacts, config_digest: str
) -> dict[str, Any]:
    return {
        "base": {
            "name": prepared.base_model_name,
            "revision": prepared.base_revision,
            "quantization": config.model.quantization,
        },
        "dataset": prepared.facts.model_dump(mode="json", by_alias=True),
        "template": prepared.template,
        "configDigest": config_digest,
        "config": config.model_dump(mode="json", by_alias=True, exclude={"model": {"token_secret_ref"}}),
        "runtime": runtime.model_dump(mode="json", by_alias=True),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _model_card(config: RunConfig, prepared: Prepared, outcome: Mapping[str, Any]) -> str:
    lora, training, facts = config.method.lora, config.training, prepared.facts
    return f"""---
base_model: {json.dumps(prepared.base_model_name)}
library_name: peft
pipeline_tag: text-generation
tags: [lora, llmfinetune]
---
# {config.name}

A LoRA adapter for `{prepared.base_model_name}` (revision `{prepared.base_revision}`){_quantized(config)}.

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM

base = AutoModelForCausalLM.from_pretrained({json.dumps(prepared.base_model_name)})
model = PeftModel.from_pretrained(base, "path/to/this/directory")
```

| | |
|---|---|
| Data | `{config.dataset.source}`: {facts.rows} samples, {facts.tokens} tokens, \
{facts.supervised_tokens} supervised |
| Data digest | `{facts.digest}` |
| Adapter | rank {lora.rank}, alpha {lora.alpha:g}, dropout {lora.dropout:g}, \
on {", ".join(lora.target_modules)} |
| Training | {outcome["steps"]} steps of {training.batch_size} samples, \
learning rate {training.learning_rate:g}, {training.schedule}, seed {training.seed} |
| Training loss | {outcome["loss"]:.4f} |
{_evaluation_row(outcome)}
The whole configuration and the versions of all programs are in `{LINEAGE}`.
"""


def _quantized(config: RunConfig) -> str:
    return f", trained on it in {config.model.quantization}" if config.model.quantization else ""


def _evaluation_row(outcome: Mapping[str, Any]) -> str:
    before, after = outcome.get("eval_loss_before"), outcome.get("eval_loss")
    if after is None:
        return ""
    was = "" if before is None else f" (before: {before:.4f}, perplexity {perplexity(before):.4g})"
    return f"| Held-out loss | {after:.4f}, perplexity {perplexity(after):.4g}{was} |\n"
