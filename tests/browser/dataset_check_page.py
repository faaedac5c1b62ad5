"""The picture of a dataset's check in reachy_kit/dataset/README.md: a recording that faults were put into.

Try it: .venv/bin/python tests/browser/dataset_check_page.py policies/images/dataset_check.png
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from playwright.sync_api import sync_playwright

REACHY_KIT = Path(sys.executable).with_name("reachy-kit")
EPISODES = 20
YAW = 5


def spoil(table: Path) -> None:
    """A stall in episode 3, a trembling hand in 7, a limp motor in 11 and 12, a late start in 15."""
    rows = pq.read_table(table)
    episode = rows["episode_index"].to_numpy()
    columns = {key: np.array(rows[key].to_pylist()) for key in ("action", "observation.state", "kit.capture_time")}
    frame = rows["frame_index"].to_numpy()
    columns["kit.capture_time"][(episode == 3) & (frame > 40)] += 0.4
    columns["action"][episode == 7, YAW] += 0.03 * (-1.0) ** frame[episode == 7]
    for index in (11, 12):
        columns["observation.state"][episode == index, YAW] = columns["observation.state"][episode == index, YAW][0]
    for key in ("action", "observation.state"):
        late = columns[key][episode == 15]
        columns[key][episode == 15] = np.concatenate([late[:1].repeat(50, 0), late[:-50]])
    for key, values in columns.items():
        column = rows.schema.field(key)
        place = rows.schema.get_field_index(key)
        rows = rows.set_column(place, column, pa.array(values.tolist(), type=column.type))
    pq.write_table(rows, table)


def take(out: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        record = [REACHY_KIT, "record", "--episodes", str(EPISODES), "--out", "look_at"]
        subprocess.run(record, cwd=folder, check=True)
        (table,) = Path(folder, "look_at").glob("data/*/*.parquet")
        spoil(table)
        check = [REACHY_KIT, "dataset", "check", "look_at", "--fix", "--html", "check.html"]
        subprocess.run(check, cwd=folder, check=True)
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--headless", "--no-sandbox", "--disable-gpu"]
            )
            page = chromium.new_page(viewport={"width": 1000, "height": 800})
            page.goto(f"file://{folder}/check.html")
            page.screenshot(path=out, full_page=True)
            chromium.close()


if __name__ == "__main__":
    take(Path(sys.argv[1]))
