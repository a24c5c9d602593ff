"""The command line: what can be asked, and the words that explain it."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

DESCRIPTION = """\
A real Kubernetes for development, tests and the demo.

Providers (--provider, or the variable LLMFINETUNE_PROVIDER):
  kubeconfig  the cluster of your current kubectl context
  kind        a cluster in Docker, where kind and a Docker daemon are there; LLMFINETUNE_KIND_IMAGE names
              another node image than kind's own
  embedded    one node, or two, on this Linux machine, built from Go modules and Debian packages; needs root
  auto        a cluster that an earlier `up` made, else the first of the three that is usable (default)
"""
EPILOG = """\
examples:
  python3 -m devcluster up                       bring a cluster up and say which provider was taken
  python3 -m devcluster build-images             build llmfinetune/operator:dev and llmfinetune/trainer:dev
  python3 -m devcluster load-image llmfinetune/operator:dev
  export KUBECONFIG=$(python3 -m devcluster kubeconfig)
  python3 -m devcluster logs kubelet
  python3 -m devcluster node add                 a second node, with the images of the first
  python3 -m devcluster down

exit codes: 0 done, 1 failed, 2 wrong usage, 3 something is missing on this machine, 4 another run holds the
cluster, 5 no cluster runs, 6 not ready in time
"""
IMAGES = ("operator", "trainer")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    root = argparse.ArgumentParser(
        prog="python3 -m devcluster",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _cluster_commands(commands)
    _image_commands(commands)
    _other_commands(commands)
    return root


def _command(commands: "Commands", name: str, text: str, *, provider: bool = True) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    if provider:
        choices = ("auto", "kubeconfig", "kind", "embedded")
        command.add_argument(
            "--provider", choices=choices, default="auto", help="which cluster (default: auto)"
        )
    return command


def _cluster_commands(commands: "Commands") -> None:
    up = _command(commands, "up", "bring the cluster up, with training-operator in it")
    up.add_argument(
        "--with", dest="extras", action="append", choices=("kwok",), default=[], help="simulated nodes"
    )
    down = _command(commands, "down", "end the cluster and undo what it changed on this machine")
    down.add_argument(
        "--keep-data", action="store_true", help="keep objects, volumes and images for the next up"
    )
    status = _command(commands, "status", "say what runs; exit code 5 when nothing does")
    status.add_argument("--output", choices=("text", "json"), default="text")
    _command(commands, "kubeconfig", "print the path of the cluster's kubeconfig")
    restart = _command(
        commands, "restart", "end one program of the embedded cluster and start it again", provider=False
    )
    restart.add_argument("component", help="for example kube-apiserver")
    node = _command(
        commands, "node", "add a second node to the embedded cluster, or end it again", provider=False
    )
    node.add_argument(
        "action",
        choices=("add", "remove", "lose"),
        help="add: start it, also after it was lost; remove: drain it and remove all of it; "
        "lose: end it without a goodbye, as a power failure would",
    )
    logs = _command(commands, "logs", "print a program's log", provider=False)
    logs.add_argument("component", help="for example kubelet")
    logs.add_argument("--lines", type=int, default=100, help="how many of the last lines (default: 100)")


def _image_commands(commands: "Commands") -> None:
    build = _command(commands, "build-images", "build the project's images")
    build.add_argument("images", nargs="*", metavar="IMAGE", help="operator, trainer; none means both")
    load = _command(commands, "load-image", "make locally built images available to the cluster")
    load.add_argument("images", nargs="+", metavar="NAME", help="for example llmfinetune/operator:dev")


def _other_commands(commands: "Commands") -> None:
    build = _command(commands, "build", "build programs into the cache without starting them", provider=False)
    build.add_argument(
        "components", nargs="+", metavar="COMPONENT", help="a program, or control-plane, cluster, all"
    )
    server = _command(
        commands, "apiserver", "serve only the API until interrupted, for tests", provider=False
    )
    server.add_argument("--without-controller-manager", action="store_true")
    doctor = _command(
        commands, "doctor", "say what this machine has and lacks for each provider", provider=False
    )
    doctor.add_argument("--output", choices=("text", "json"), default="text")
