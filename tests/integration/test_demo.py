"""`reachy-kit demo`: from demonstrations to a learned behaviour on the robot's daemon, in one command."""

import re

from reachy_kit.runtime.inference.bundle import read_bundle


def test_a_miniature_demo(kit):
    result = kit.run("demo", "--episodes", 4, "--sim-episodes", 2, "--daemon-episodes", 1,
                     "--iterations", 2, "--json", "--out", "demo")  # fmt: skip
    assert result.code == 0, result
    folder = kit.folder / "demo"

    evaluations = result.json["evaluations"]
    assert [evaluation["policy"] for evaluation in evaluations] == [
        "expert, sim",
        "imitation, sim",
        "rl, sim",
        "imitation, daemon",
        "rl, daemon",
    ]
    assert all(evaluation["seeds"] == [0, 1] for evaluation in evaluations[:3])
    on_daemon = evaluations[-1]
    assert on_daemon["seeds"] == [0]
    assert on_daemon["robot"].startswith("127.0.0.1:")
    assert {"nominal_ms", "p50_ms", "p99_ms", "late_ticks", "slowdown"} == on_daemon["rate"].keys()
    assert {pair["pairs"] for pair in result.json["daemon_against_sim"].values()} == {1}

    for method, run in (("imitation", "run"), ("ppo", "run_rl")):
        bundle = read_bundle(folder / f"look_at_{method}.bundle")
        assert (bundle.manifest.task, bundle.manifest.provenance["method"]) == ("look_at", method)
        assert bundle.manifest.provenance["episodes"] == 4
        assert (folder / run / "pretrained_model/model.safetensors").is_file()

    page = (folder / "report.html").read_text()
    images = re.findall(r'<img[^>]*\bsrc="([^"]*)"', page)
    assert len(images) >= 4
    assert all(image.startswith("data:image/png;base64,iVBOR") for image in images)
    assert not re.search(r"<(script|link|iframe|object)\b|url\(|@import|(src|href)\s*=\s*[\"']?(https?:)?//", page)
    assert "rl, daemon" in page
