"""Stage functions without a model, for the proof of exact resume: one that keeps its promise and one that does not."""

import json
import time


def counting(params, inputs, context):
    """Adds numbers, with a checkpoint after each; killed at any moment it goes on from there."""
    state = context.scratch / "state.json"
    step, total = json.loads(state.read_text()) if state.is_file() else (0, 0)
    if step:
        context.log(f"resumed at step {step} of {params['steps']}")
    while step < params["steps"]:
        step, total = step + 1, total + step**2
        fresh = context.scratch / "fresh.json"
        fresh.write_text(json.dumps([step, total]))
        fresh.replace(state)
        context.progress(step, params["steps"])
        time.sleep(0.02)
    (context.out / "total.json").write_text(json.dumps(total))


def forgetful(params, inputs, context):
    """Counts its attempts, and writes how many it took."""
    attempts = context.scratch / "attempts"
    count = int(attempts.read_text()) + 1 if attempts.is_file() else 1
    attempts.write_text(str(count))
    for step in range(params["steps"]):
        context.progress(step + 1, params["steps"])
        time.sleep(0.02)
    (context.out / "attempts.json").write_text(json.dumps(count))
    (context.out / "same.json").write_text("1")
