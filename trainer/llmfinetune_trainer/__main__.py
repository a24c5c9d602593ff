"""`python -m llmfinetune_trainer` is `llmfinetune`."""

import sys

from llmfinetune_trainer.cli import main

sys.exit(main())
