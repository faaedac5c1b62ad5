"""sound_orient and dance: ambiguous bearings, timing, and costs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachy_kit.runtime.geometry import pose_from_vector, wrap_angle
from reachy_kit.runtime.interface import ANTENNA_REST, BODY_YAW, NEUTRAL, PITCH, YAW
from reachy_sim.tasks import variant_by_name
from reachy_sim.tasks.dance import DANCE, NOD, SWING, DanceScenario
from reachy_sim.tasks.sound_orient import SOUND_ORIENT, SoundScenario
from reachy_sim.tasks.task import View

DT = 0.04


def view(states):
    poses = pose_from_vector(states)
    return View(states, poses[..., :3, :3], poses[..., :3, 3])


def outcomes(task, scenario, states, dt=DT):
    """The outcomes of (steps, N, 9) states."""
    progress, count = task.begin(states[0]), states.shape[1]
    return [
        task.evaluate(progress, scenario, np.full(count, dt * step), view(state), np.full(count, dt if step else 0.0))
        for step, state in enumerate(states)
    ], progress


def facing(yaw, body=None):
    state = NEUTRAL.copy()
    state[[YAW, BODY_YAW]] = yaw, yaw if body is None else body
    return state


# Sound


def speaker(*directions, **times):
    one = np.ones(len(directions))
    times = {"talk": 1.0, "pause": 0.5, "begins": 0.2} | times
    return SoundScenario(
        np.tile(NEUTRAL, (len(one), 1)),
        np.array(directions),
        one,
        *(one * times[name] for name in ("talk", "pause", "begins")),
    )


angles = st.floats(-np.pi, np.pi)


@given(head=st.floats(-2.5, 2.5), right=angles)
def test_an_ear_cannot_tell_front_from_back(head, right):
    scenario = speaker(head - right, head - (np.pi - right))
    (ahead, behind), _ = SOUND_ORIENT.sighting(scenario, np.ones(2), view(np.array([facing(head)] * 2)))
    np.testing.assert_allclose(ahead, behind, atol=1e-7)
    assert abs(ahead[0]) <= np.pi / 2
    assert np.sin(ahead[0]) == pytest.approx(np.sin(right), abs=1e-7)


@given(head=st.floats(-2.5, 2.5), right=angles)
def test_the_error_knows_front_from_back(head, right):
    scenario, states = speaker(head - right), np.array([[facing(head)]])
    [outcome], _ = outcomes(SOUND_ORIENT, scenario, states)
    assert outcome.error[0] == pytest.approx(abs(wrap_angle(right)), abs=1e-7)


def test_turning_tells_front_from_back():
    def heard(head):
        return SOUND_ORIENT.sighting(speaker(0.5, np.pi - 0.5), np.ones(2), view(np.array([facing(head)] * 2)))[0][:, 0]

    ahead, behind = heard(0.2) - heard(0.0)
    assert ahead == pytest.approx(0.2)
    assert behind == pytest.approx(-0.2)


def test_a_speaker_pauses_between_bursts():
    times = np.arange(0, 4, 0.01)
    speaking = np.array([SOUND_ORIENT.shown(speaker(0.0), np.array([time]))[0] for time in times])
    expected = (times >= 0.2 - 1e-9) & ((times - 0.2 + 1e-9) % 1.5 < 1.0)
    assert (speaking == expected).mean() > 0.99
    _, present = SOUND_ORIENT.sighting(speaker(0.0, 0.0, begins=2.0), np.ones(2), view(np.array([facing(0)] * 2)))
    assert not present.any()


def test_a_near_speaker_is_louder():
    scenario = speaker(0.3, 0.3)
    scenario.distance = np.array([0.6, 2.0])
    values, _ = SOUND_ORIENT.sighting(scenario, np.ones(2), view(np.array([facing(0)] * 2)))
    assert values[0, 1] > 2 * values[1, 1]


def test_facing_the_speaker_upright_with_the_body_earns_everything_and_succeeds_in_a_second():
    steps, _ = outcomes(SOUND_ORIENT, speaker(0.7), np.array([[facing(0.7)]] * 40))
    assert sum(steps[-1].terms.values()) == pytest.approx([1.0])
    assert [step.just_succeeded[0] for step in steps].index(True) == round(SOUND_ORIENT.hold / DT)
    assert sum(step.just_succeeded[0] for step in steps) == 1


@pytest.mark.parametrize(
    ("state", "term"),
    [
        (facing(0.2), "face"),
        (facing(0.7, body=0.0), "body"),
        (np.where(np.arange(9) == PITCH, 0.3, facing(0.7)), "level"),
    ],
    ids=["elsewhere", "twisted", "nodding"],
)
def test_every_fault_costs_its_own_term(state, term):
    right, _ = outcomes(SOUND_ORIENT, speaker(0.7), np.array([[facing(0.7)]] * 2))
    wrong, _ = outcomes(SOUND_ORIENT, speaker(0.7), np.array([[state]] * 2))
    for name, value in wrong[-1].terms.items():
        assert (value < right[-1].terms[name] - 0.02) == (name == term), name


def test_turning_fast_costs_reward():
    def calm(speed):
        states = np.array([[facing(0.0)], [facing(speed * DT)]])
        return outcomes(SOUND_ORIENT, speaker(0.0), states)[0][-1].terms["calm"][0]

    assert calm(0.0) == 0.0
    assert calm(2.0) == pytest.approx(4 * calm(1.0))
    assert calm(2.0) < -0.05


# Dance


def beat(tempo, phase=0.2, drift=0.0):
    one = np.ones(len(tempo))
    return DanceScenario(np.tile(NEUTRAL, (len(one), 1)), np.array(tempo), drift * one, phase * one)


def danced(scenario, shift=0.0, size=1.0, seconds=6.0, dt=DT):
    """States (steps, N, 9) of a robot that nods and swings with the beat, late by a share of it."""
    states = []
    for step in range(round(seconds / dt) + 1):
        swing = size * np.cos(2 * np.pi * (DANCE.beats(scenario, np.full(len(scenario.tempo), dt * step)) - shift))
        state = np.tile(NEUTRAL, (len(swing), 1))
        state[:, PITCH] = NOD * swing
        state[:, 7], state[:, 8] = ANTENNA_REST[0] - SWING * swing, ANTENNA_REST[1] + SWING * swing
        states.append(state)
    return np.array(states)


TEMPOS = [0.8, 1.2, 1.6, 2.0, 2.4]


def test_a_perfect_nod_earns_nearly_everything_and_succeeds():
    scenario = beat(TEMPOS)
    steps, progress = outcomes(DANCE, scenario, danced(scenario))
    late = np.mean([sum(step.terms.values()) for step in steps[75:]], axis=0)
    assert (late[1:] > 0.94).all()
    assert late[0] > 0.85  # so slow a beat is hardly averaged
    assert (late <= 1.0).all()
    assert progress.succeeded.all()


def test_no_dance_in_antiphase_succeeds():
    scenario = beat(TEMPOS)
    steps, progress = outcomes(DANCE, scenario, danced(scenario, shift=0.5))
    assert not progress.succeeded.any()
    assert (np.mean([sum(step.terms.values()) for step in steps[75:]], axis=0) < 0.05).all()


@pytest.mark.parametrize("shift", [-0.2, -0.1, 0.05, 0.1, 0.2])
def test_the_error_is_how_far_the_nod_is_from_the_beat(shift):
    scenario = beat([1.2, 1.6, 2.0])
    steps, progress = outcomes(DANCE, scenario, danced(scenario, shift))
    found = np.mean([step.error for step in steps[75:]], axis=0)
    np.testing.assert_allclose(found, 2 * np.pi * abs(shift), atol=0.25)
    assert (progress.succeeded == (abs(shift) < 0.12)).all()


@pytest.mark.parametrize("size", [0.0, 0.3])
def test_a_too_small_nod_has_the_largest_error(size):
    scenario = beat([1.2, 1.6])
    steps, progress = outcomes(DANCE, scenario, danced(scenario, size=size))
    assert all((step.error == np.pi).all() for step in steps[75:])
    assert not progress.succeeded.any()


def test_standing_still_earns_less_than_a_small_nod_and_that_less_than_a_whole_one():
    scenario = beat([1.6])
    earned = [
        np.mean([sum(step.terms.values()) for step in outcomes(DANCE, scenario, danced(scenario, size=size))[0][50:]])
        for size in (0.0, 0.6, 1.0)
    ]
    assert earned == sorted(earned)
    assert earned[0] < 0.1


def test_jerks_cost_reward():
    scenario = beat([1.6])
    states = danced(scenario)
    shaken = states.copy()
    shaken[::2, :, PITCH] += np.deg2rad(1.0)
    smooth, rough = (
        np.mean([step.terms["smooth"] for step in outcomes(DANCE, scenario, one)[0][2:]]) for one in (states, shaken)
    )
    assert -0.02 < smooth < 0
    assert rough < 4 * smooth


def test_a_beat_that_speeds_up_is_sensed_as_it_is():
    scenario = beat([1.2], drift=0.1)
    early, late = (DANCE.sighting(scenario, np.array([time]), view(np.array([NEUTRAL])))[0][0] for time in (0.0, 5.0))
    assert early[2] == pytest.approx(1.2)
    assert late[2] == pytest.approx(1.7)
    angle = 2 * np.pi * (0.2 + 1.2 * 5 + 0.5 * 0.1 * 25)
    np.testing.assert_allclose(late[:2], [np.sin(angle), np.cos(angle)], atol=1e-9)


@pytest.mark.parametrize(("name", "low", "high"), [("training", 1.2, 2.0), ("fast", 2.0, 2.4), ("slow", 0.8, 1.2)])
def test_variants_dance_to_other_tempos(name, low, high):
    task = variant_by_name("dance", name).task
    scenario = task.scenario(np.random.default_rng(0).random((200, len(task.spans))))
    assert low <= scenario.tempo.min() < scenario.tempo.max() <= high
    assert np.ptp(scenario.tempo) > 0.8 * (high - low)
