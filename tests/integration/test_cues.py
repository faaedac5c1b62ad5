"""Cues on the robot's speaker: the maker's own REST interface, and a daemon without media."""

import threading
import wave
from types import SimpleNamespace

import pytest
import uvicorn

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.robots.daemon import DaemonAddress
from reachy_kit.runtime.robots.speaking.daemon_speaker import DaemonSpeaker
from reachy_kit.runtime.robots.speaking.local_speaker import LocalSpeaker
from reachy_kit.runtime.robots.speaking.speaker import opened_speaker
from reachy_kit.runtime.robots.speaking.tones import Cue


@pytest.fixture
def media_daemon(until):
    """The maker's routes of a daemon with media, whose speaker notes what it plays."""
    from fastapi import FastAPI
    from reachy_mini.daemon.app.dependencies import get_daemon
    from reachy_mini.daemon.app.routers import media

    played = []
    ready = threading.Event()
    ready.set()
    backend = SimpleNamespace(ready=ready, play_sound=played.append)
    daemon = SimpleNamespace(backend=backend, media_released=False, _media_server=object(), no_media=False)
    app = FastAPI()
    app.include_router(media.router, prefix="/api")
    app.dependency_overrides[get_daemon] = lambda: daemon
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield SimpleNamespace(address=DaemonAddress("127.0.0.1", port), played=played, daemon=daemon)
    server.should_exit = True
    thread.join()


def test_a_cue_reaches_the_robots_speaker_as_a_sound_file(media_daemon):
    speaker = DaemonSpeaker(media_daemon.address)
    assert speaker.is_available()
    for cue in (Cue.BEGIN, Cue.END, Cue.BEGIN):
        speaker.play(cue)
    names = [path.rpartition("/")[2] for path in media_daemon.played]
    assert names == ["reachy-kit-begin.wav", "reachy-kit-end.wav", "reachy-kit-begin.wav"]
    with wave.open(media_daemon.played[0]) as file:
        assert file.getnframes() == 3520


def test_a_daemon_without_media_has_no_speaker(media_daemon, daemon):
    media_daemon.daemon._media_server = None
    assert not DaemonSpeaker(media_daemon.address).is_available()
    assert not DaemonSpeaker(daemon.address).is_available()
    assert not DaemonSpeaker(DaemonAddress("127.0.0.1", 9)).is_available()


def test_a_daemon_that_ends_lets_the_speaker_fall_silent(until):
    with opened_speaker(DaemonSpeaker(DaemonAddress("127.0.0.1", 9))) as speaker:
        speaker.play(Cue.BEGIN)
        until(lambda: speaker.complaint)
    assert speaker.complaint.startswith("the speaker of 127.0.0.1:9 fell silent")


@pytest.mark.long
def test_a_robot_without_a_speaker_runs_in_silence(kit, daemon):
    run = kit.run("run", "idle", "--robot", daemon.address, "--seconds", 1, "--speaker", "robot")
    run.says(0)
    assert "this robot has no speaker here: its daemon runs without media" in run.err


SPEAKER = """
</usr/share/alsa/alsa.conf>
pcm.loudspeaker {{
    type file
    slave.pcm {{ type null }}
    file "{file}"
    format "raw"
    hint {{ show on description "virtual speaker" }}
}}
pcm.!default {{ type plug slave.pcm "loudspeaker" }}
"""


@pytest.fixture
def virtual_speaker(tmp_path, monkeypatch):
    """An ALSA device of this process' PortAudio that writes to a file."""
    import sounddevice

    config, file = tmp_path / "speaker.conf", tmp_path / "played.raw"
    config.write_text(SPEAKER.format(file=file))
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(config))
    sounddevice._terminate()
    sounddevice._initialize()
    return file


def test_a_cue_is_heard_from_a_speaker_of_this_computer(virtual_speaker):
    with opened_speaker(LocalSpeaker("default")) as speaker:
        speaker.play(Cue.BEGIN)
    assert speaker.complaint is None
    played = virtual_speaker.read_bytes()
    assert len(played) > 2 * 0.2 * 16_000 and any(played)


def test_a_speaker_that_does_not_exist_is_refused_with_those_that_do(virtual_speaker):
    with pytest.raises(WrongUseError, match=r"--speaker trombone: it does not exist; there are .*loudspeaker"):
        LocalSpeaker("trombone")
