"""Nothing grows while an environment runs for long."""

import subprocess
import sys

import pytest

SOAK = """
import sys, gymnasium, psutil, reachy_sim, numpy as np
envs = gymnasium.make_vec("ReachyMini/Track-v0", num_envs=4, tier=sys.argv[1], threads=2, autoreset_mode="SameStep")
envs.reset(seed=0)
rng, process = np.random.default_rng(0), psutil.Process()
for step in range(int(sys.argv[2]) // 4):
    envs.step(0.2 * rng.standard_normal((4, 9)))
    if step in (int(sys.argv[2]) // 40, int(sys.argv[2]) // 4 - 1):
        print(process.memory_info().rss)
"""


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("tier", ["kinematic", "physics"])
def test_resident_memory_is_flat_over_a_hundred_thousand_steps(tier):
    done = subprocess.run(
        [sys.executable, "-c", SOAK, tier, "100000"], capture_output=True, text=True, check=True, timeout=880
    )
    early, late = map(int, done.stdout.split())
    assert late - early < 4e6
