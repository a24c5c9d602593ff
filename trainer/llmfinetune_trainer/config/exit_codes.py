"""Exit codes of the trainer's commands.

The training operator (restartPolicy ExitCode) replaces a pod that ended with 128 or more,
and fails the job below that.
"""

from typing import Final

OK: Final = 0
USER_ERROR: Final = 2
"""The manifest, the data or the model is at fault: trying again changes nothing."""
INTERNAL: Final = 3
"""A defect of this program."""
DIVERGED: Final = 4
"""The loss became NaN or infinite."""
DISK_FULL: Final = 5
"""The volume has no room left."""
RETRYABLE: Final = 138
"""Lost a peer or the network: the next try may succeed."""
PREEMPTED: Final = 143
"""Told to stop (SIGTERM); a checkpoint was written."""
