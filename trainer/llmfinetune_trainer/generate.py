"""Answers prompts with a base model, an adapter on it, or both: greedy, with a key-value cache."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from peft import PeftModel
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, GenerationConfig

from llmfinetune_trainer.checkpoint.adapter_files import CONFIG
from llmfinetune_trainer.config.run import RuntimeConfig
from llmfinetune_trainer.data.formats import ChatMessage
from llmfinetune_trainer.data.templates import alpaca_prompt
from llmfinetune_trainer.data.tokenizer import chat_renderer, load_tokenizer
from llmfinetune_trainer.engine.backend import choose_backend
from llmfinetune_trainer.engine.machine import this_machine
from llmfinetune_trainer.errors import data_error, user_error
from llmfinetune_trainer.model.load import whole
from llmfinetune_trainer.model.lora import of_peft_alone

Template = Literal["auto", "alpaca", "chat", "plain"]


class Question(NamedTuple):
    """One prompt before its template: an instruction and, for the Alpaca template, an input to it."""

    instruction: str
    input: str = ""


class Answer(NamedTuple):
    """What the model said: without the adapter (`before`) and with it (`after`), as far as asked for."""

    question: str
    before: str | None
    after: str | None


class Generator:
    """A loaded model that answers several questions at a time."""

    def __init__(self, model_path: Path, *, adapter: Path | None, template: Template) -> None:
        if adapter is not None:
            _require_adapter(adapter)
        self._tokenizer, self._model = _load(model_path)
        self._peft = None if adapter is None else _with_adapter(self._model, adapter)
        self._render_chat = chat_renderer(self._tokenizer)
        has_chat = bool(self._tokenizer.chat_template)
        self._template = template if template != "auto" else "chat" if has_chat else "alpaca"

    def answer(self, questions: Sequence[Question], *, max_tokens: int, compare: bool) -> list[Answer]:
        """Answers with the adapter if there is one; `compare` also answers without it."""
        prompts = [self._prompt(question) for question in questions]
        before: Sequence[str | None] = [None] * len(prompts)
        after: Sequence[str | None] = [None] * len(prompts)
        if self._peft is None:
            before = self._generate(prompts, max_tokens)
        else:
            after = self._generate(prompts, max_tokens)
            if compare:
                with self._peft.disable_adapter():
                    before = self._generate(prompts, max_tokens)
        return [Answer(q.instruction, b, a) for q, b, a in zip(questions, before, after, strict=True)]

    def _prompt(self, question: Question) -> str:
        match self._template:
            case "alpaca":
                return alpaca_prompt(question.instruction, question.input)
            case "chat":
                text = (
                    f"{question.instruction}\n\n{question.input}" if question.input else question.instruction
                )
                return self._render_chat([ChatMessage("user", text)], True)
        return question.instruction

    @torch.inference_mode()
    def _generate(self, prompts: Sequence[str], max_tokens: int) -> list[str]:
        # a chat template writes its own special tokens; tokenising adds those of plain text
        inputs = self._tokenizer(
            list(prompts), padding=True, return_tensors="pt", add_special_tokens=self._template != "chat"
        ).to(self._model.device)
        output = self._model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            generation_config=self._generation_config(max_tokens),
        )
        answers = output[:, inputs["input_ids"].shape[1] :]
        texts: list[str] = self._tokenizer.batch_decode(answers, skip_special_tokens=True)
        return [text.strip() for text in texts]

    def _generation_config(self, max_tokens: int) -> GenerationConfig:
        ends = {self._tokenizer.eos_token_id, *_as_list(self._model.generation_config.eos_token_id)} - {None}
        return GenerationConfig(
            max_new_tokens=max_tokens,
            do_sample=False,
            use_cache=True,
            eos_token_id=sorted(ends),
            pad_token_id=self._tokenizer.pad_token_id,
        )


def read_questions(path: Path) -> list[Question]:
    """Reads JSON Lines of `{"instruction": …, "input": …}`; `question` and `prompt` are instructions too.

    Raises:
        RunError: it cannot be read, or a line is something else.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise data_error(
            "QuestionsUnreadable", f"cannot read {path}: {error}", hint="name a readable file in UTF-8"
        ) from None
    questions = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            questions.append(_question(line, where=f"{path}, line {number}"))
    return questions


def _question(line: str, *, where: str) -> Question:
    try:
        row = json.loads(line)
        instruction = next(row[key] for key in ("instruction", "question", "prompt") if key in row)
        return Question(str(instruction), str(row.get("input") or ""))
    except (ValueError, TypeError, StopIteration):
        raise data_error(
            "QuestionUnreadable", f"{where} is no question", hint='write one {"instruction": "…"} a line'
        ) from None


def _require_adapter(directory: Path) -> None:
    if not (directory / CONFIG).is_file():
        raise user_error(
            "AdapterNotFound",
            f"there is no adapter in {directory}",
            hint=f"name a directory with {CONFIG}, as peft saves it, such as output/adapter of a workspace",
        )


def _with_adapter(model: Any, directory: Path) -> PeftModel:
    try:
        with of_peft_alone():
            return PeftModel.from_pretrained(model, str(directory)).eval()
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        raise user_error(
            "AdapterUnfit",
            f"the adapter in {directory} cannot be put on this model: {error}",
            hint="give the model that it was trained on",
        ) from error


def _load(model_path: Path) -> tuple[Any, Any]:
    """Tokenizer and model from a directory or a GGUF file."""
    if not model_path.exists():
        raise user_error("ModelNotFound", f"no model at {model_path}", hint="name a directory or a GGUF file")
    backend = choose_backend(RuntimeConfig(), precision="auto", machine=this_machine())
    if model_path.is_file():
        where: dict[str, Any] = {
            "pretrained_model_name_or_path": model_path.parent,
            "gguf_file": model_path.name,
        }
        tokenizer = load_gguf_tokenizer(model_path)
    else:
        where = {"pretrained_model_name_or_path": model_path, "local_files_only": True}
        tokenizer = load_tokenizer(model_path)
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    loaded = AutoModelForCausalLM.from_pretrained(**where, dtype=backend.dtype, output_loading_info=True)
    return tokenizer, whole(loaded, model_path).eval().to(backend.device)


def load_gguf_tokenizer(path: Path) -> Any:
    """The tokenizer inside of a GGUF file."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)


def _as_list(value: int | list[int] | None) -> list[int]:
    return value if isinstance(value, list) else [] if value is None else [value]
