"""Thousands of records of a mirror on S3 (a moto server in this process): listed, and looked up from a pack.

    python -m bench.mirror [--records 10000]

Wall seconds, and CPU seconds of this process, the server's work included. Prints JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import time

import fsspec
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

from xtreme_dag.engine.digests import tree_digest
from xtreme_dag.engine.mirror import Mirror, record_path
from xtreme_dag.engine.records import SCHEMA, record_text


def record(number: int) -> dict[str, object]:
    """A record of the size that an evaluation has."""
    files = {"scores.json": ("ab" * 32, 300), "predictions.parquet": ("cd" * 32, number)}
    texts = {
        "kind": "evaluate",
        "function": "a:b",
        "host": "h",
        "git_commit": "",
        "started": "2026-01-01T00:00:00+00:00",
    }
    return {
        "schema": SCHEMA, "key": hashlib.sha256(str(number).encode()).hexdigest(), "digest": tree_digest(files),
        "files": {name: list(entry) for name, entry in files.items()}, "code": "ef" * 32, "name": f"evaluate[{number}]",
        **texts, "params": {"x": list(range(40))}, "inputs": {}, "libraries": {}, "options": {}, "figures": {},
        "seconds": 1.0, "peak_memory_bytes": 1,
    }  # fmt: skip


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=10_000)
    given = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_DEFAULT_REGION": "us-east-1"}  # fmt: skip
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir("bench-mirror")
    # Straight into the server: what is measured is reading.
    stored = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    keys = []
    for number in range(given.records):
        content = record(number)
        keys.append(str(content["key"]))
        stored.put_object("bench-mirror", f"store/{record_path(keys[-1])}", record_text(content).encode())
    found: dict[str, object] = {"records": given.records}

    def measured(name: str, work) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        found[name] = {"wall s": round(time.perf_counter() - wall, 1), "CPU s": round(time.process_time() - cpu, 1)}

    url = "s3://bench-mirror/store"
    measured("listing", lambda: Mirror(url).known())
    measured("a pack of all, made", lambda: Mirror(url).pack())

    def looked_up() -> None:
        assert len(Mirror(url).read_all(keys)) == given.records

    measured("listing and looking up from the pack", looked_up)
    server.stop()
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
