"""Recorded episodes become training windows; unsuitable datasets are refused."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.perception.features import units_of
from reachy_kit.runtime.recording.layout import DatasetLayout
from reachy_kit.runtime.safety import PROFILES
from reachy_kit.workflows.inputs.session import open_session
from reachy_kit.workflows.record import record_episodes
from reachy_policies.data.demonstrations import Demonstrations, load_demonstrations
from reachy_policies.data.windows import cut_windows, steps_around
from reachy_sim.tasks import variant_by_name

FEATURES = ("target_right", "target_below", "target_size", "target_visible", "target_age")


@pytest.fixture(scope="module")
def demonstrations(recorded_dataset):
    return load_demonstrations(recorded_dataset)


def counting(lengths: list[int]) -> Demonstrations:
    """Episodes whose every number is the index of its frame."""
    frames = sum(lengths)
    index = torch.arange(frames, dtype=torch.float32)[:, None]
    episode = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    features = index.repeat(1, 5)
    return Demonstrations(
        DatasetLayout("look_at", "", FEATURES, units_of(FEATURES), 25),
        index.repeat(1, 9),
        features,
        index.repeat(1, 9),
        index.repeat(1, 9),
        episode,
    )


def test_a_dataset_is_read_whole_and_in_order(demonstrations, recorded_dataset):
    info = json.loads((recorded_dataset / "meta/info.json").read_text())
    assert len(demonstrations.state) == info["total_frames"]
    assert demonstrations.episodes == list(range(info["total_episodes"]))
    assert demonstrations.layout.environment_state == FEATURES


def test_the_last_action_is_the_one_applied_the_step_before(demonstrations):
    same_episode = demonstrations.episode[1:] == demonstrations.episode[:-1]
    assert torch.equal(demonstrations.last_action[1:][same_episode], demonstrations.action[:-1][same_episode])


@pytest.fixture
def corrected_dataset(recorded_dataset, tmp_path):
    """The recorded dataset, as if a policy had driven episode 2 but for the frames 10 to 19."""
    root = tmp_path / "corrected"
    shutil.copytree(recorded_dataset, root)
    (file,) = root.glob("data/*/*.parquet")
    table = pq.read_table(file)
    frame, episode = table["frame_index"].to_numpy(), table["episode_index"].to_numpy()
    driven = pa.array((episode == 2) & (frame >= 10) & (frame < 20))
    place = table.column_names.index("kit.intervention")
    pq.write_table(table.set_column(place, table.schema.field(place), driven), file)
    return root


def test_of_an_episode_that_a_person_corrected_the_persons_actions_are_learned(corrected_dataset, recorded_dataset):
    both = load_demonstrations(recorded_dataset, corrected_dataset)
    assert cut_windows(both, range(8), 2, 4).state.shape[0] == int((both.episode < 8).sum())  # demonstrations, whole
    windows = cut_windows(both, [10], 2, 4)
    rows = torch.nonzero(both.episode == 10).squeeze(-1)[10:20]
    assert torch.equal(windows.action[:, 0], both.action[rows])
    assert windows.is_pad[:7].logical_not().all()  # what the policy did after the person is not learned
    assert windows.is_pad[7:].tolist() == [[False] * 3 + [True], [False] * 2 + [True] * 2, [False] + [True] * 3]


def test_windows_never_reach_into_the_next_episode():
    made = cut_windows(counting([4, 3]), [0, 1], n_obs_steps=2, chunk_size=3)
    assert made.state[:, :, 0].tolist() == [[0, 0], [0, 1], [1, 2], [2, 3], [4, 4], [4, 5], [5, 6]]
    assert made.action[:, :, 0].tolist() == [
        [0, 1, 2],
        [1, 2, 3],
        [2, 3, 3],
        [3, 3, 3],
        [4, 5, 6],
        [5, 6, 6],
        [6, 6, 6],
    ]
    assert made.is_pad.tolist()[2:4] == [[False, False, True], [False, True, True]]


@given(st.lists(st.integers(1, 12), min_size=1, max_size=5), st.integers(2, 4), st.integers(1, 9), st.data())
def test_every_frame_gives_one_window_of_its_own_episode(lengths, n_obs_steps, chunk_size, data):
    demonstrations = counting(lengths)
    chosen = data.draw(st.lists(st.sampled_from(range(len(lengths))), min_size=1, unique=True))
    made = cut_windows(demonstrations, chosen, n_obs_steps, chunk_size)
    frames = torch.nonzero(torch.isin(demonstrations.episode, torch.tensor(chosen))).squeeze(-1)
    assert made.state[:, -1, 0].tolist() == made.last_action[:, 0].tolist() == made.action[:, 0, 0].tolist()
    assert made.last_action[:, 0].tolist() == frames.tolist()
    own = demonstrations.episode[frames][:, None]
    assert (demonstrations.episode[made.state[..., 0].long()] == own).all()
    assert (demonstrations.episode[made.action[..., 0].long()] == own).all()
    steps = made.action[:, 1:, 0] - made.action[:, :-1, 0]
    assert torch.equal(steps == 0, made.is_pad[:, 1:])


@given(st.integers(1, 9), st.lists(st.integers(-5, 5), min_size=1, max_size=4), st.data())
def test_steps_around_others_stay_within_their_episode(length, offsets, data):
    first = data.draw(st.integers(0, 20))
    step = data.draw(st.integers(first, first + length - 1))
    steps, outside = steps_around(torch.tensor([step]), offsets, first, first + length - 1)
    assert steps[0].tolist() == [min(max(step + offset, first), first + length - 1) for offset in offsets]
    assert outside[0].tolist() == [not first <= step + offset < first + length for offset in offsets]


def test_only_the_chosen_episodes_are_cut():
    made = cut_windows(counting([4, 3]), [1], n_obs_steps=2, chunk_size=3)
    assert made.last_action[:, 0].tolist() == [4, 5, 6]


def test_frames_before_the_expert_moves_are_left_out_unless_the_target_is_hidden():
    still = counting([6])
    action = torch.zeros(6, 9)
    action[4:] = 1.0  # moves in the fifth frame
    visible = torch.zeros(6, 5)
    visible[2:, 3] = 1.0  # sees the target from the third on
    waiting = Demonstrations(still.layout, still.state, visible, torch.zeros(6, 9), action, still.episode)
    kept = cut_windows(waiting, [0], n_obs_steps=2, chunk_size=2, trim_idle=0.5)
    assert kept.state[:, -1, 0].tolist() == [0, 1, 4, 5]


@pytest.fixture
def damaged(recorded_dataset, tmp_path):
    return shutil.copytree(recorded_dataset, tmp_path / "copy")


def test_a_dataset_of_another_action_layout_is_refused(damaged):
    file = damaged / "meta/info.json"
    info = json.loads(file.read_text())
    info["features"]["action"]["names"][-1] = "tail.pos"
    file.write_text(json.dumps(info))
    with pytest.raises(RefusedError, match=r"action lacks left_antenna\.pos of a Reachy Mini; it has tail\.pos"):
        load_demonstrations(damaged)


def test_nan_in_a_recording_is_refused_by_frame(damaged):
    file = sorted(damaged.glob("data/**/*.parquet"))[0]
    table = pq.read_table(file)
    rows = table["observation.state"].to_pylist()
    rows[3][0] = float("nan")
    column = pa.array(rows, type=table.schema.field("observation.state").type)
    pq.write_table(
        table.set_column(
            table.schema.get_field_index("observation.state"), table.schema.field("observation.state"), column
        ),
        file,
    )
    with pytest.raises(RefusedError, match=r"observation\.state of frame 3"):
        load_demonstrations(damaged)


def test_a_single_episode_is_too_few_to_hold_one_out(tmp_path):
    look_at = variant_by_name("look_at")
    with open_session("sim", look_at, camera=False) as session:
        record_episodes(session, look_at, tmp_path / "one", episodes=1, hz=10, seed=0, camera=False)
    with pytest.raises(WrongUseError, match="at least 2"):
        load_demonstrations(tmp_path / "one")


def test_a_folder_without_a_dataset_is_refused(tmp_path):
    with pytest.raises(WrongUseError, match="not a reachy-kit dataset"):
        load_demonstrations(tmp_path)


@pytest.mark.parametrize("task", ["look_at", "track", "sound_orient", "dance"])
def test_a_recording_of_any_task_is_plausible(task, tmp_path):
    variant = variant_by_name(task)
    with open_session("sim", variant, camera=False) as session:
        record_episodes(session, variant, tmp_path / task, episodes=3, hz=10, seed=4, camera=False)
    assert load_demonstrations(tmp_path / task).episodes == [0, 1, 2]


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("edge", ["low", "high"])
def test_what_the_limiter_permits_is_plausible(name, edge, damaged):
    pose = getattr(PROFILES[name], edge)
    for file in damaged.glob("data/**/*.parquet"):
        table = pq.read_table(file)
        for key in ("observation.state", "action"):
            column = pa.array([pose.tolist()] * len(table), type=table.schema.field(key).type)
            table = table.set_column(table.schema.get_field_index(key), table.schema.field(key), column)
        pq.write_table(table, file)
    assert torch.allclose(load_demonstrations(damaged).state, torch.from_numpy(pose).float())
