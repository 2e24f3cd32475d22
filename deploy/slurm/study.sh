#!/bin/bash
# Runs a study on Slurm: this job has the Dask scheduler and the driver, workers are jobs of their own (workers.py).
#
#   sbatch deploy/slurm/study.sh STUDY [OPTION of `xtreme-dag run`]...
#
# Needs: xtreme-dag[dask,s3] and dask-jobqueue in the environment that is active when this is submitted; a mirror, or a
# home on a file system that all nodes see; PREFECT_API_URL of a server that the nodes reach. WORKERS is how many.
#SBATCH --job-name=xtreme-dag
#SBATCH --cpus-per-task=2
#SBATCH --mem=8G
#SBATCH --time=7-00:00:00
#SBATCH --output=xtreme-dag-%j.log
set -euo pipefail

: "${PREFECT_API_URL:?names the API of a Prefect server that the nodes reach}"
address_file=$(mktemp)
python "${SLURM_SUBMIT_DIR:-.}/deploy/slurm/workers.py" "$address_file" "${WORKERS:-4}" &
workers=$!
trap 'kill "$workers" 2>/dev/null; wait "$workers"; rm -f "$address_file"' EXIT
until [ -s "$address_file" ]; do
    kill -0 "$workers"
    sleep 1
done
xtreme-dag run "$@" --engine dask --address "$(cat "$address_file")"
