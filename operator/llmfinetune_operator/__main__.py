"""`python -m llmfinetune_operator`."""

from llmfinetune_operator.main import main

main()
