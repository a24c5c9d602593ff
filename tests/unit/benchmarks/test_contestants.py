"""Who takes part, and the process that runs them."""

import json
import sys
from pathlib import Path

import pytest
from benchmarks.trainers.contestants import PEERS, QUICK, chosen_peers, read_tuned
from benchmarks.trainers.environments import REQUIREMENTS
from benchmarks.trainers.process import ContestantError, LineWatcher, run_process
from benchmarks.trainers.workload import ALL_LINEAR, Job, Workload


def test_every_peer_has_a_locked_environment_and_a_module() -> None:
    for peer in PEERS:
        assert (REQUIREMENTS / f"{peer.environment}.txt").exists(), peer.name
        assert (REQUIREMENTS.parent / "peers" / f"{peer.module}.py").exists(), peer.name


def test_requirements_are_pinned_by_hash_and_name_no_host() -> None:
    for path in REQUIREMENTS.glob("*.txt"):
        text = path.read_text(encoding="utf-8")
        assert "--hash=sha256:" in text
        assert "://" not in text


def test_names_are_unique_and_the_quick_ones_exist() -> None:
    names = [peer.name for peer in PEERS]
    assert len(set(names)) == len(names)
    assert [peer.name for peer in chosen_peers(list(QUICK))] == list(QUICK)


def test_an_unknown_name_lists_those_that_exist() -> None:
    with pytest.raises(ValueError, match="no peer nobody; there are huggingface-padded"):
        chosen_peers(["nobody"])


def test_tuned_settings_belong_to_peers_and_were_tried() -> None:
    by_name = {peer.name: peer for peer in PEERS}
    for name, record in read_tuned().items():
        assert record["best"] in [trial["options"] for trial in record["tried"]]
        assert record["best"]["micro_batch"] in by_name[name].micro_batches


def test_a_job_is_read_as_it_was_written(tmp_path: Path) -> None:
    job = Job(
        model="m",
        samples="s",
        initial_adapter="a",
        output="o",
        workload=Workload(adapter="all-linear"),
        options={"micro_batch": 2},
    )
    job.save(tmp_path / "job.json")
    assert Job.load(tmp_path / "job.json") == job
    assert job.workload.targets == ALL_LINEAR


def test_a_process_tells_its_memory_and_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "b = bytearray(64 << 20); print('done')"]
    ended = run_process(command, log=tmp_path / "log", threads=1)
    assert ended.peak_rss_bytes > 64 << 20
    assert (tmp_path / "log").read_text() == "done\n"


def test_a_failing_process_is_told_by_the_end_of_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no GPU found')"]
    with pytest.raises(ContestantError, match="exit code 1: no GPU found"):
        run_process(command, log=tmp_path / "log", threads=1)


def test_a_process_that_hangs_is_killed(tmp_path: Path) -> None:
    with pytest.raises(ContestantError, match="killed after 0 s"):
        run_process(
            [sys.executable, "-c", "import time; time.sleep(60)"],
            log=tmp_path / "log",
            threads=1,
            timeout=0.2,
        )


def test_lines_are_timed_as_they_appear_and_half_a_line_waits(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with LineWatcher(path) as watcher:
        path.write_text(json.dumps({"step": 1}) + "\n" + '{"step"')
    assert [line["step"] for line in watcher.lines] == [1]
    assert watcher.lines[0]["time"] > 0
