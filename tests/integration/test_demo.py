"""`reachy-kit demo`: from demonstrations to a learned behaviour on the robot's daemon, in one command."""

import re

from reachy_kit.bundle import read_bundle


def test_a_miniature_demo(kit):
    result = kit.run("demo", "--episodes", 4, "--sim-episodes", 2, "--daemon-episodes", 1, "--json", "--out", "demo")
    assert result.code == 0, result
    made = kit.folder / "demo"

    expert, in_sim, on_daemon = result.json["evaluations"]
    assert [one["policy"] for one in (expert, in_sim, on_daemon)] == [
        "expert, sim",
        "imitation, sim",
        "imitation, daemon",
    ]
    assert expert["seeds"] == in_sim["seeds"] == [0, 1]
    assert on_daemon["seeds"] == [0]
    assert on_daemon["robot"].startswith("127.0.0.1:")
    assert {"period_p50", "period_p99"} <= on_daemon["loop_ms"].keys()
    assert result.json["daemon_against_sim"]["pairs"] == 1

    bundle = read_bundle(made / "look_at.bundle")
    assert bundle.manifest.task == "look_at"
    assert bundle.manifest.provenance["episodes"] == 4
    assert (made / "run/pretrained_model/model.safetensors").is_file()

    page = (made / "report.html").read_text()
    pictures = re.findall(r'<img[^>]*\bsrc="([^"]*)"', page)
    assert len(pictures) >= 4
    assert all(picture.startswith("data:image/png;base64,iVBOR") for picture in pictures)
    assert not re.search(r"<(script|link|iframe|object)\b|url\(|@import|(src|href)\s*=\s*[\"']?(https?:)?//", page)
    assert "imitation, daemon" in page
