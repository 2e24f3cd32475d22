"""The files for clusters are of the form that those who read them expect."""

import ast
import json
import re
import subprocess

import yaml

from xtreme_dag.program.commands.run import command


def test_the_batch_script_is_a_script_and_names_options_that_there_are(repository):
    script = repository / "deploy" / "slurm" / "study.sh"
    assert subprocess.run(["bash", "-n", script], capture_output=True, check=False).returncode == 0
    ast.parse((repository / "deploy" / "slurm" / "workers.py").read_text())
    options = {name for parameter in command.params for name in parameter.opts}
    called = next(line for line in script.read_text().splitlines() if line.startswith("xtreme-dag run"))
    assert set(re.findall(r"--[a-z]+", called)) <= options


def test_the_job_template_declares_what_it_uses(repository):
    template = json.loads((repository / "deploy" / "kubernetes" / "job-template.json").read_text())
    used = set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(template["job_configuration"])))
    assert used == set(template["variables"]["properties"])


def test_the_cluster_is_one_of_the_operator(repository):
    cluster = yaml.safe_load((repository / "deploy" / "kubernetes" / "dask-cluster.yaml").read_text())
    assert (cluster["apiVersion"], cluster["kind"]) == ("kubernetes.dask.org/v1", "DaskCluster")
    assert set(cluster["spec"]) == {"scheduler", "worker"}
    port = cluster["spec"]["scheduler"]["spec"]["containers"][0]["ports"][0]
    assert f"xtreme-dag-scheduler:{port['containerPort']}" in (repository / "docs" / "operation.md").read_text()
