"""A take's video: as many frames as were added, whatever the encoder's speed, and the encoder that a computer has."""

import threading

import av
import numpy as np
import pytest

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.recording.video.h264 import SOFTWARE, H264Encoder, fastest_encoder
from reachy_kit.runtime.recording.video.take_video import VideoEncoder

SHAPE = (48, 64, 3)


def grey(level):
    return np.full(SHAPE, level, dtype=np.uint8)


def levels(path):
    """Mean brightness of each of a video's frames."""
    with av.open(str(path)) as video:
        return [frame.to_ndarray(format="rgb24").mean() for frame in video.decode(video=0)]


class HeldUpEncoder(H264Encoder):
    """An encoder whose stream opens only when it may: the images wait until then."""

    def __init__(self):
        super().__init__(SOFTWARE.codec, SOFTWARE.options)
        object.__setattr__(self, "may_open", threading.Event())

    def open_stream(self, output, shape, fps):
        self.may_open.wait()
        return SOFTWARE.open_stream(output, shape, fps)


def test_a_video_holds_every_image_in_order(tmp_path):
    encoder = VideoEncoder(tmp_path / "take.mp4", SHAPE, 25)
    for level in range(0, 200, 10):
        encoder.add(grey(level))
    video = encoder.finish()
    assert (video.frames, video.dropped) == (20, 0)
    np.testing.assert_allclose(levels(video.path), np.arange(0, 200, 10), atol=3)
    assert [thumbnail.mean() for thumbnail in video.thumbnails] == list(range(0, 200, 10))


def test_a_full_queue_drops_images_but_never_shortens_the_video(tmp_path):
    held = HeldUpEncoder()
    encoder = VideoEncoder(tmp_path / "take.mp4", SHAPE, 25, held, wait=False, queue_bytes=0)
    for level in range(0, 200, 10):
        encoder.add(grey(level))
    held.may_open.set()
    video = encoder.finish()
    assert (video.frames, video.dropped) == (20, 12)
    np.testing.assert_allclose(levels(video.path), [*range(0, 80, 10), *[70] * 12], atol=3)


def test_a_simulated_clock_waits_for_the_encoder(tmp_path):
    encoder = VideoEncoder(tmp_path / "take.mp4", SHAPE, 25, queue_bytes=0)
    for level in range(200):
        encoder.add(grey(level))
    assert (encoder.finish().frames, encoder.dropped) == (200, 0)


def test_a_camera_slower_than_the_loop_repeats_its_frame(tmp_path):
    encoder = VideoEncoder(tmp_path / "take.mp4", SHAPE, 50, wait=False, queue_bytes=0)
    first, second = grey(40), grey(120)
    for image in (first, first, second, second, second):
        encoder.add(image)
    video = encoder.finish()
    assert (video.frames, video.dropped) == (5, 0)
    np.testing.assert_allclose(levels(video.path), [40, 40, 120, 120, 120], atol=3)


def test_a_long_take_keeps_few_images_for_its_statistics(tmp_path):
    encoder = VideoEncoder(tmp_path / "take.mp4", SHAPE, 25)
    for index in range(3000):
        encoder.add(grey(index // 15))
    video = encoder.finish()
    assert video.frames == 3000
    assert 500 <= len(video.thumbnails) <= 1024
    assert [image[0, 0, 0] for image in video.thumbnails] == [4 * index // 15 for index in range(len(video.thumbnails))]


def test_a_discarded_take_leaves_no_file(tmp_path):
    encoder = VideoEncoder(tmp_path / "take.mp4", SHAPE, 25)
    encoder.add(grey(0))
    encoder.discard()
    encoder.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_takes_no_more_ends_the_take_in_one_line(tmp_path):
    (tmp_path / "take.mp4").symlink_to("/dev/full")
    encoder = VideoEncoder(tmp_path / "take.mp4", SHAPE, 25)
    with pytest.raises(KitError, match=r"No space left on device.*make room"):
        for level in range(250):
            encoder.add(grey(level))
        encoder.finish()
    with pytest.raises(KitError, match="cannot be written"):
        encoder.finish()


def test_without_an_encoder_in_hardware_the_one_of_every_computer_is_taken():
    assert fastest_encoder(SHAPE, 25, ("no_such_encoder",)) == SOFTWARE


def test_an_encoder_that_works_here_is_taken_and_gives_every_frame(tmp_path):
    chosen = fastest_encoder(SHAPE, 25, ("no_such_encoder", "libopenh264"))  # it opens here, as hardware does elsewhere
    assert chosen.codec == "libopenh264"
    encoder = VideoEncoder(tmp_path / "take.mp4", SHAPE, 25, chosen, wait=False)
    for level in range(0, 200, 10):
        encoder.add(grey(level))
    video = encoder.finish()
    assert video.frames == len(levels(video.path)) == 20
