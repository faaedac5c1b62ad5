"""The last episode can be taken back: afterwards the recording is as if it had never been, wherever that is killed."""

import os

import pytest

from reachy_kit.dataset.lerobot_writer import LeRobotWriter
from reachy_kit.dataset.reading import open_for_reading
from reachy_kit.runtime.recording.episode_files import EpisodeFiles
from reachy_kit.runtime.recording.labels import EpisodeLabels

from .saved_episodes import CAMERA, LABELS, STATE, episode, files, killed_at, require_episodes, write


@pytest.mark.parametrize("before", [0, 2])
def test_an_episode_that_was_taken_back_leaves_no_trace_in_those_that_follow(before, tmp_path):
    plain, changed = tmp_path / "plain", tmp_path / "changed"
    write(plain, range(before + 1), CAMERA)
    with LeRobotWriter(changed, CAMERA) as writer:
        for index in range(before):
            writer.write(episode(index, CAMERA), LABELS)
        writer.write(episode(4, CAMERA), EpisodeLabels("Another task."))
        writer.take_back()
        assert writer.episodes == before
        assert len(writer.seeds) == before
        writer.write(episode(before, CAMERA), LABELS)
    require_episodes(changed, before + 1, CAMERA)
    assert files(changed) == files(plain)


def test_the_only_episode_of_a_session_that_was_taken_back_is_gone_for_the_next_session(tmp_path):
    with LeRobotWriter(tmp_path / "data", STATE) as writer:
        writer.write(episode(3), LABELS)
        writer.take_back()
    with LeRobotWriter(tmp_path / "data", STATE) as writer:
        assert (writer.episodes, writer.seeds) == (0, frozenset())
        writer.write(episode(0), LABELS)
    require_episodes(tmp_path / "data", 1)


@pytest.mark.parametrize("moments", [(4, 12, 20, 28), pytest.param(range(60), marks=pytest.mark.soak)])
def test_a_kill_while_it_is_taken_back_costs_no_other_episode(moments, tmp_path):
    counts = set()
    for number in moments:
        root = tmp_path / str(number)
        write(root, [0, 1], CAMERA)

        def work(root=root):
            writer = LeRobotWriter(root, CAMERA)
            writer.write(episode(2, CAMERA), LABELS)
            writer.take_back()
            os._exit(0)

        killed = killed_at(number, work)
        with LeRobotWriter(root, CAMERA) as writer:
            counts.add(writer.episodes)
            assert writer.episodes in (2, 3)
        require_episodes(root, writer.episodes, CAMERA)
        assert len(open_for_reading(root).episodes) == writer.episodes
        if not killed:
            break
    assert 2 in counts


def test_episode_files_are_taken_back_too(tmp_path):
    sink = EpisodeFiles(tmp_path / "plain", STATE)
    sink.write(episode(0), LABELS)
    before = files(tmp_path / "plain")
    sink.write(episode(1), LABELS)
    sink.take_back()
    assert sink.episodes == 1
    assert files(tmp_path / "plain") == before
    assert EpisodeFiles(tmp_path / "plain", STATE).episodes == 1
