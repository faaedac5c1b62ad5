"""A film of several policies: its frames, and both files that it becomes."""

import io

import av
import numpy as np
import pytest

from reachy_kit.runtime.interface import TaskError
from reachy_policies.evaluation.report.film_files import MP4, WEBP, FilmEncoder, encode_mp4
from reachy_policies.evaluation.report.side_by_side_film import FilmColumn, SideBySideFilm

SHAPE, COUNT, FPS = (80, 160, 3), 5, 12.5
COLOURS = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]
ERRORS = [np.full(COUNT, value) for value in (3.0, 12.0, 90.0)]


@pytest.fixture(scope="module")
def frames():
    columns = [
        FilmColumn(name, "1 of 2", errors, np.arange(COUNT) / FPS) for name, errors in zip("abc", ERRORS, strict=True)
    ]
    film = SideBySideFilm("heading", columns, SHAPE, TaskError("gaze error"), 8.0, FPS, "remark")
    images = [np.full(SHAPE, colour, dtype=np.uint8) for colour in COLOURS]
    return [film.frame(index, images) for index in range(COUNT)]


def test_each_policy_has_its_image_in_a_column_of_its_own(frames):
    row = frames[0][120]
    colours, starts = np.unique(row, axis=0, return_index=True)
    order = [tuple(colours[index]) for index in np.argsort(starts)]
    assert order == [(255, 255, 255), *COLOURS]
    assert all((row == colour).all(axis=1).sum() == SHAPE[1] for colour in COLOURS)


def test_the_curves_grow_and_errors_beyond_the_axis_stay_on_it(frames):
    plots = [frame[frame.shape[0] - 160 :] for frame in frames]
    changed = [(plot != plots[-1]).any(axis=2) for plot in plots[:-1]]
    thirds = [np.array_split(each, 3, axis=1) for each in changed]
    assert all(part.any() for parts in thirds for part in parts)
    assert [each.sum() for each in changed] == sorted((each.sum() for each in changed), reverse=True)


@pytest.mark.parametrize(("form", "codec"), [(MP4, "h264"), (WEBP, None)])
def test_a_film_holds_every_frame(frames, form, codec):
    encoder = FilmEncoder(form, FPS)
    for frame in frames:
        encoder.add(frame)
    content = encoder.finish()
    if codec is None:  # FFmpeg writes animated WebP and cannot read it
        assert (content[:4], content[8:12], content.count(b"ANMF")) == (b"RIFF", b"WEBP", COUNT)
        return
    with av.open(io.BytesIO(content)) as film:
        stream = film.streams.video[0]
        assert (stream.codec_context.name, stream.average_rate) == (codec, FPS)
        decoded = [frame.to_ndarray(format="rgb24") for frame in film.decode(stream)]
    assert len(decoded) == COUNT
    assert np.abs(decoded[-1].astype(int) - frames[-1]).mean() < 5


def test_a_film_without_frames_is_an_error():
    with pytest.raises(ValueError, match="at least one frame"):
        encode_mp4([], FPS)
