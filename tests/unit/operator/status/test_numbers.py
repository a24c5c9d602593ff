"""Numbers in a status are short decimal text."""

import re

import pytest

from llmfinetune_operator.status.numbers import decimal, percent, perplexity

DECIMALS = {
    1.83456: "1.835",
    2.0: "2",
    2e-4: "0.0002",
    1.4e-5: "1.4e-05",
    352.31: "352.3",
    0.0: "0",
    -1.5: "-1.5",
}
NUMBER = re.compile(r"^-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?$")


@pytest.mark.parametrize(("value", "text"), DECIMALS.items())
def test_four_significant_digits(value: float, text: str) -> None:
    assert decimal(value) == text
    assert NUMBER.match(text)


def test_perplexity_is_the_exponential_and_never_infinite() -> None:
    assert perplexity(1.0) == "2.718"
    assert perplexity(10_000.0) is None


@pytest.mark.parametrize(
    ("step", "total", "done"), [(0, 0, 0), (999, 1000, 99), (1000, 1000, 100), (5, 4, 100)]
)
def test_percent_is_whole_and_reaches_100_only_at_the_end(step: int, total: int, done: int) -> None:
    assert percent(step, total) == done
