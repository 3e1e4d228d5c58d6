"""The dashboard for Grafana and the alert rules for Prometheus."""

import json
import os
import re
import shutil
import subprocess

import pytest
from commands import ROOT

from logwatch_monitis.agent.metrics import FIGURES

DIRECTORY = ROOT / "packaging" / "observability"


@pytest.mark.parametrize("name", ["grafana.json", "alerts.yaml"])
def test_every_metric_named_there_exists(name):
    """Dashboards and rules ask for nothing that the agent does not tell."""
    known = {figure.name for figure in FIGURES}
    known |= {f"{f.name}_bucket" for f in FIGURES if f.kind == "histogram"}
    asked = set(re.findall(r"logwatch_\w+", (DIRECTORY / name).read_text("utf-8")))

    assert asked
    assert asked <= known


def test_the_dashboard_is_json_with_panels_apart():
    """Each panel has a number of its own and at least one question."""
    panels = json.loads((DIRECTORY / "grafana.json").read_bytes())["panels"]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(target["expr"] for panel in panels for target in panel["targets"])


def test_every_metric_is_documented():
    """The page on operations has a row of each metric with type, labels and meaning."""
    page = (ROOT / "docs" / "operations.rst").read_text("utf-8")
    for figure in FIGURES:
        cells = (f"``{figure.name}``", figure.kind, ", ".join(figure.labels) or "none", figure.text)
        assert "   * - " + "\n     - ".join(cells) + "\n" in page


@pytest.mark.real
@pytest.mark.skipif(
    not shutil.which("promtool") and "CI" not in os.environ, reason="promtool is not installed"
)
@pytest.mark.parametrize("words", [("check", "alerts.yaml"), ("test", "alerts_test.yaml")])
def test_prometheus_takes_the_rules(words):
    """The rules are well formed, and fire when they should and not when they should not."""
    command, name = words
    done = subprocess.run(
        ["promtool", command, "rules", name], cwd=DIRECTORY, capture_output=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
