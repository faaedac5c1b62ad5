"""`reachy-kit demo`: from demonstrations to a learned behaviour on the robot's daemon, in one command."""

import re

from reachy_kit.runtime.inference.bundle import read_bundle


def test_a_miniature_demo(kit):
    result = kit.run("demo", "--episodes", 4, "--sim-episodes", 2, "--daemon-episodes", 1,
                     "--iterations", 2, "--json", "--out", "demo")  # fmt: skip
    assert result.code == 0, result
    made = kit.folder / "demo"

    evaluations = result.json["evaluations"]
    assert [one["policy"] for one in evaluations] == [
        "expert, sim",
        "imitation, sim",
        "reinforcement learning, sim",
        "imitation, daemon",
        "reinforcement learning, daemon",
    ]
    assert all(one["seeds"] == [0, 1] for one in evaluations[:3])
    on_daemon = evaluations[-1]
    assert on_daemon["seeds"] == [0]
    assert on_daemon["robot"].startswith("127.0.0.1:")
    assert {"period_p50", "period_p99"} <= on_daemon["loop_ms"].keys()
    assert {one["pairs"] for one in result.json["daemon_against_sim"].values()} == {1}

    for method, run in (("imitation", "run"), ("ppo", "run_rl")):
        bundle = read_bundle(made / f"look_at_{method}.bundle")
        assert (bundle.manifest.task, bundle.manifest.provenance["method"]) == ("look_at", method)
        assert bundle.manifest.provenance["episodes"] == 4
        assert (made / run / "pretrained_model/model.safetensors").is_file()

    page = (made / "report.html").read_text()
    pictures = re.findall(r'<img[^>]*\bsrc="([^"]*)"', page)
    assert len(pictures) >= 4
    assert all(picture.startswith("data:image/png;base64,iVBOR") for picture in pictures)
    assert not re.search(r"<(script|link|iframe|object)\b|url\(|@import|(src|href)\s*=\s*[\"']?(https?:)?//", page)
    assert "reinforcement learning, daemon" in page
