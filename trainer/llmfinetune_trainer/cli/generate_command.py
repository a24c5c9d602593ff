"""`llmfinetune generate`: asks a model with and without its adapter."""

import argparse
import json
from pathlib import Path
from typing import get_args

from llmfinetune_trainer.config import exit_codes
from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.errors import user_error
from llmfinetune_trainer.generate import Answer, Generator, Question, Template, read_questions
from llmfinetune_trainer.merge import LINEAGE


def run(options: argparse.Namespace) -> int:
    """Prints the answers; as JSON, one line with a list of {question, before, after}."""
    model, adapter = model_and_adapter(options)
    if options.questions is not None:
        questions = read_questions(options.questions)
    else:
        questions = [Question(prompt) for prompt in options.prompt]
    template = options.template if options.template != "auto" else trained_template(adapter or model)
    generator = Generator(model, adapter=adapter, template=template)
    answers = generator.answer(questions, max_tokens=options.max_tokens, compare=options.compare)
    if options.output == "json":
        print(json.dumps([answer._asdict() for answer in answers]))  # noqa: T201 - this is the output
    else:
        print("\n\n".join(map(_shown, answers)))  # noqa: T201 - this is the output
    return exit_codes.OK


def model_and_adapter(options: argparse.Namespace) -> tuple[Path, Path | None]:
    """What `--model`, `--adapter` and `--workspace` name together.

    Raises:
        RunError: they name no model.
    """
    adapter: Path | None = options.adapter
    if options.workspace is not None:
        adapter = adapter or Layout(options.workspace).adapter
    if options.model is not None:
        return options.model, adapter
    if options.workspace is None:
        raise user_error(
            "ModelNotNamed", "no model is named", hint="give --model, or --workspace of a training run"
        )
    return _prepared_model(Layout(options.workspace)), adapter


def trained_template(directory: Path) -> Template:
    """Template of the prompts that an adapter or merged model was trained on; `auto` where nothing tells."""
    try:
        noted = json.loads((directory / LINEAGE).read_text(encoding="utf-8")).get("template")
    except (OSError, ValueError, AttributeError):
        return "auto"
    return next((template for template in get_args(Template) if template == noted), "auto")


def _prepared_model(layout: Layout) -> Path:
    """The model of a workspace, by the configuration that its result was trained with."""
    from llmfinetune_trainer.config.run import RunConfig
    from llmfinetune_trainer.data.prepared import open_prepared

    try:
        lineage = json.loads((layout.adapter / LINEAGE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise user_error(
            "NoResult",
            f"{layout.root} holds no finished adapter",
            hint="run `llmfinetune train` first, or give --model",
        ) from None
    return open_prepared(RunConfig.model_validate(lineage["config"]), layout).model_path


def _shown(answer: Answer) -> str:
    lines = [f"Q: {answer.question}"]
    if answer.before is not None:
        lines.append(f"without adapter: {answer.before}")
    if answer.after is not None:
        lines.append(f"with adapter: {answer.after}")
    return "\n".join(lines)
