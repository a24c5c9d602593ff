"""What each command does, in a few lines each; errors become a message, a hint and an exit code."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict
from pathlib import Path

from devcluster import components, doctor
from devcluster.apiserver import ApiServer
from devcluster.arguments import IMAGES, parser
from devcluster.command import tail
from devcluster.errors import DevClusterError, ExitCode, NotRunningError
from devcluster.gobuild import GoBuilder
from devcluster.images.build import build_image, builds_with_docker
from devcluster.layout import Layout
from devcluster.lock import exclusive
from devcluster.progress import Progress
from devcluster.providers.base import Provider, Status, status_of
from devcluster.providers.choose import choose, provider_of, record_provider, this_machine
from devcluster.providers.embedded import EmbeddedProvider

GROUPS = {
    "control-plane": components.API_SERVER_ONLY,
    "cluster": components.CLUSTER,
    "all": tuple(components.ALL.values()),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = parser().parse_args(arguments)
    try:
        return COMMANDS[options.command](options, Layout.from_environment())
    except DevClusterError as error:
        print(f"devcluster: {error}", file=sys.stderr)
        if error.hint:
            print(f"  hint: {error.hint}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def chosen_provider(options: argparse.Namespace, layout: Layout, *, announce: bool) -> Provider:
    """Return the provider that the command addresses; say which and why where a person wants to know."""
    choice = choose(options.provider, this_machine(layout))
    if announce:
        print(f"provider: {choice.name} ({choice.reason})", file=sys.stderr)
    return provider_of(choice.name, layout)


def up(options: argparse.Namespace, layout: Layout) -> int:
    """Bring the cluster up."""
    provider, with_kwok = chosen_provider(options, layout, announce=True), "kwok" in options.extras
    provider.prepare(with_kwok=with_kwok)
    with cluster_lock(layout):
        record_provider(layout, provider.name)  # first, so that `down` finds what an `up` that fails leaves
        provider.up(with_kwok=with_kwok)
    kubeconfig = provider.kubeconfig()
    print(f"cluster: up\nprovider: {provider.name}")
    if kubeconfig is not None:
        print(f"use it: export KUBECONFIG={kubeconfig}")
    return ExitCode.OK


def down(options: argparse.Namespace, layout: Layout) -> int:
    """Take the cluster down."""
    with cluster_lock(layout):
        provider = chosen_provider(options, layout, announce=True)
        provider.down(keep_data=options.keep_data)
        layout.provider_record.unlink(missing_ok=True)
    print("cluster: down")
    return ExitCode.OK


def status(options: argparse.Namespace, layout: Layout) -> int:
    """Show what runs."""
    found = status_of(chosen_provider(options, layout, announce=False))
    print(json.dumps(asdict(found), indent=1) if options.output == "json" else status_text(found))
    return ExitCode.OK if found.running else ExitCode.NOT_RUNNING


def status_text(found: Status) -> str:
    """Return a status in lines."""
    lines = [f"provider: {found.provider}", f"running: {'yes' if found.running else 'no'}"]
    if found.running:
        lines += [
            f"kubeconfig: {found.kubeconfig or 'your own'} (context {found.context})",
            f"nodes ready: {found.nodes_ready} of {found.nodes}",
            f"training-operator: {'available' if found.training_operator else 'not available'}",
        ]
    if found.processes:
        lines.append(f"processes: {', '.join(found.processes)}")
    return "\n".join(lines)


def kubeconfig(options: argparse.Namespace, layout: Layout) -> int:
    """Print where the kubeconfig lies."""
    provider = chosen_provider(options, layout, announce=False)
    path = provider.kubeconfig()
    if path is not None and not path.exists():
        raise NotRunningError("no cluster is up", hint="python3 -m devcluster up")
    print(path or os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
    return ExitCode.OK


def restart(options: argparse.Namespace, layout: Layout) -> int:
    """End a program and start it again."""
    with cluster_lock(layout):
        EmbeddedProvider(layout).cluster.restart(options.component)
    return ExitCode.OK


def node(options: argparse.Namespace, layout: Layout) -> int:
    """Add the second node, lose it or remove it."""
    provider = EmbeddedProvider(layout)
    with cluster_lock(layout):
        if options.action == "add":
            print(f"node: {provider.add_node()} is ready")
        elif options.action == "lose":
            provider.cluster.lose_node()
            print("node: lost")
        else:
            provider.cluster.remove_node()
            print("node: removed")
    return ExitCode.OK


def logs(options: argparse.Namespace, layout: Layout) -> int:
    """Print the end of a log."""
    path = layout.logs / f"{options.component}.log"
    if not path.exists():
        known = ", ".join(sorted(each.stem for each in layout.logs.glob("*.log"))) or "none, no cluster is up"
        raise NotRunningError(f"there is no log of {options.component!r}", hint=f"logs: {known}")
    print(tail(path.read_text(errors="replace"), options.lines))
    return ExitCode.OK


def build_images(options: argparse.Namespace, layout: Layout) -> int:
    """Build the images named, or both."""
    wanted = options.images or list(IMAGES)
    unknown = set(wanted) - set(IMAGES)
    if unknown:
        raise DevClusterError(f"no image is called {', '.join(unknown)}", hint=f"one of: {', '.join(IMAGES)}")
    provider = chosen_provider(options, layout, announce=False)
    progress = Progress(len(wanted))
    for name in wanted:
        build_image(name, layout, progress, with_docker=builds_with_docker(provider.name))
    return ExitCode.OK


def load_image(options: argparse.Namespace, layout: Layout) -> int:
    """Make images available to the cluster."""
    provider = chosen_provider(options, layout, announce=False)
    progress = Progress(len(options.images))
    with cluster_lock(layout):
        for name in options.images:
            with progress.step(f"loading {name}"):
                provider.load_image(name)
    return ExitCode.OK


def build(options: argparse.Namespace, layout: Layout) -> int:
    """Build programs into the cache."""
    wanted: dict[str, components.Component] = {}
    for name in options.components:
        found = GROUPS[name] if name in GROUPS else (components.by_name(name),)
        wanted.update((component.name, component) for component in found)
    builder = GoBuilder(layout)
    builder.ensure(wanted.values(), Progress(len(builder.missing(wanted.values()))))
    return ExitCode.OK


def apiserver(options: argparse.Namespace, layout: Layout) -> int:
    """Serve the API until interrupted."""
    with ApiServer(with_controller_manager=not options.without_controller_manager, layout=layout) as server:
        print(server.kubeconfig, flush=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            signal.pause()
    return ExitCode.OK


def cluster_lock(layout: Layout) -> AbstractContextManager[None]:
    """Return the lock that keeps two runs from changing the cluster at once."""
    return exclusive(layout.cache / "cluster.lock", "another run of devcluster")


COMMANDS: dict[str, Callable[[argparse.Namespace, Layout], int]] = {
    "up": up,
    "down": down,
    "status": status,
    "kubeconfig": kubeconfig,
    "restart": restart,
    "node": node,
    "logs": logs,
    "build-images": build_images,
    "load-image": load_image,
    "build": build,
    "apiserver": apiserver,
    "doctor": doctor.command,
}
