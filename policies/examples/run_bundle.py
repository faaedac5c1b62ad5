"""A bundle on recorded observations, with numpy and onnxruntime alone: python run_bundle.py x.bundle observed.npz."""

import json
import sys
import zipfile

import numpy as np
import onnxruntime

bundle, observed = zipfile.ZipFile(sys.argv[1]), dict(np.load(sys.argv[2]))  # input → array (decisions, …)
chunk, *corrections = graphs = json.loads(bundle.read("manifest.json"))["graphs"]
models = {graph["file"]: onnxruntime.InferenceSession(bundle.read(graph["file"])) for graph in graphs}


def run(graph, now, base_action=None):
    """Run a graph for the decision `now`; before the first observation stands the first one."""
    feeds = {}
    for name, entry in graph["inputs"].items():
        rows = [max(now + step, 0) for step in entry["steps"]]
        unobserved = entry["value"] if base_action is None else base_action
        values = observed[name][rows] if rows else np.broadcast_to(unobserved, entry["shape"])
        feeds[name] = np.float32(values).reshape(entry["shape"])
    return models[graph["file"]].run(["action"], feeds)[0][0]


plans, m = [], chunk["temporal_ensemble_coeff"]
for now in range(len(observed["state"])):
    if now % chunk["n_action_steps"] == 0:
        plans.append((now, run(chunk, now)))
    averaged = plans[-1:] if m is None else plans[-chunk["chunk_size"] :]
    weights = np.exp(-(m or 0) * np.arange(len(averaged)))  # of the oldest plan first
    action = np.average([plan[now - made] for made, plan in averaged], axis=0, weights=weights)
    for graph in corrections:
        action = run(graph, now, action)
    print(json.dumps(action.tolist()))  # targets (9,), before any limiter
