"""Shows a fine-tune from an empty machine to an adapter (`demo run`), and the way back (`demo down`)."""

import argparse
import sys
from pathlib import Path

from demo.cluster import ClusterError
from demo.down import down
from demo.follow import FineTuneFailedError
from demo.run import run
from devcluster.errors import DevClusterError

REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> int:
    """Runs the command; returns 0 on success, 1 where the fine-tune failed, 2 where the cluster did."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "run", help="bring up or find a cluster, install the operator, fine-tune a real model"
    )
    commands.add_parser("down", help="remove what `run` made")
    command = parser.parse_args().command
    try:
        run(REPOSITORY) if command == "run" else down(REPOSITORY)
    except (FineTuneFailedError, TimeoutError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except (ClusterError, DevClusterError) as error:
        print(f"demo: {error}", file=sys.stderr)
        if hint := getattr(error, "hint", ""):
            print(f"  hint: {hint}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
