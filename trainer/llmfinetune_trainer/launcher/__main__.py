"""`python -m llmfinetune_trainer.launcher`: a pod's torchrun agent, and the process that workers come from.

Under this name multiprocessing runs the module in no child again.
"""

import sys

from llmfinetune_trainer.launcher import zygote


def main() -> int:
    """Runs the agent; its own imports come after the start of the other process, which has more of them."""
    zygote.start()
    from llmfinetune_trainer.launcher import agent

    return agent.main()


if __name__ == "__main__":
    sys.exit(main())
