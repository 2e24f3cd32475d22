"""Workers of a study as Slurm jobs: `python workers.py FILE COUNT` keeps so many until it is ended.

FILE receives the address of the scheduler. What a job asks for is below: change it to what your cluster has.
"""

import signal
import sys
from pathlib import Path

from dask_jobqueue import SLURMCluster

GPUS = 1

cluster = SLURMCluster(
    cores=1,  # threads of a worker: it runs so many stages side by side
    processes=1,
    job_cpu=8,
    memory="32GB",
    walltime="24:00:00",
    # A worker leaves before its job is killed; its stage goes on elsewhere from its checkpoint.
    worker_extra_args=[
        "--lifetime",
        "23h",
        "--lifetime-stagger",
        "10m",
        *(["--resources", f"GPU={GPUS}"] if GPUS else []),
    ],
    job_extra_directives=[f"--gres=gpu:{GPUS}"] if GPUS else [],
    # A home on the node's own disk; artifacts go through the mirror. Leave it out where the home is shared.
    job_script_prologue=["export XTREME_DAG_HOME=${TMPDIR:-/tmp}/xtreme-dag-home"],
)
cluster.adapt(minimum_jobs=1, maximum_jobs=int(sys.argv[2]))
Path(sys.argv[1]).write_text(cluster.scheduler_address)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: sys.exit(0))
signal.pause()
