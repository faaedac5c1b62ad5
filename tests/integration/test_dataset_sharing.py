"""The Hub without a network: what is uploaded, the card, and what is said when it does not answer."""

import shutil
from types import SimpleNamespace

import httpx
import pytest
from huggingface_hub.errors import RevisionNotFoundError
from huggingface_hub.utils import filter_repo_objects

from reachy_kit.dataset.reading import open_for_reading
from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_kit.workflows.datasets.conversion import convert_dataset
from reachy_kit.workflows.datasets.dataset_summary import draw_episode, summarize_dataset
from reachy_kit.workflows.datasets.hub_sharing import pull_dataset, push_dataset
from reachy_kit.workflows.inputs.reporter import SilentReporter

from .older_format import write_v21
from .saved_episodes import files


class FolderHub:
    """The Hub's client, with a folder for the Hub: no test reaches the real one."""

    def __init__(self, folder):
        self.folder, self.private, self.tags = folder, {}, {}

    def create_repo(self, repository, private, exist_ok, **given):
        assert exist_ok or repository not in self.private
        self.private.setdefault(repository, private)
        (self.folder / repository).mkdir(parents=True, exist_ok=True)
        return f"hub/{repository}"

    def repo_info(self, repository, **given):
        return SimpleNamespace(private=self.private[repository])

    def upload_file(self, path_or_fileobj, path_in_repo, repo_id, **given):
        (self.folder / repo_id / path_in_repo).write_bytes(path_or_fileobj)

    def upload_folder(self, folder_path, repo_id, ignore_patterns=None, delete_patterns=None, **given):
        repository = self.folder / repo_id
        if delete_patterns:
            for name in filter_repo_objects(files(repository), allow_patterns=delete_patterns):
                (repository / name).unlink()
        for name in filter_repo_objects(files(folder_path), ignore_patterns=ignore_patterns):
            (repository / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder_path / name, repository / name)

    def create_tag(self, repository, tag, exist_ok=False, **given):
        assert exist_ok or tag not in self.tags
        self.tags.setdefault(tag, files(self.folder / repository))

    def delete_tag(self, repository, tag, **given):
        if tag not in self.tags:
            raise RevisionNotFoundError("no such tag", response=httpx.Response(404, request=httpx.Request("GET", "x:")))
        del self.tags[tag]

    def snapshot_download(self, repository, local_dir, **given):
        shutil.copytree(self.folder / repository, local_dir, dirs_exist_ok=True)


def test_a_dataset_is_shared_privately_with_a_card_and_comes_back(recorded_dataset, tmp_path):
    hub = FolderHub(tmp_path / "hub")
    shared = push_dataset(recorded_dataset, "me/look_at", hub=hub)
    assert (shared.private, hub.private["me/look_at"]) == (True, True)
    assert hub.tags == {"v3.0": files(tmp_path / "hub/me/look_at")}
    card = (tmp_path / "hub/me/look_at/README.md").read_text()
    for words in ('"LeRobot"', "reachy_mini", "Look at the ball", "target_right (rad)", "8, 704 frames"):
        assert words in card
    assert "license" not in card
    assert not (recorded_dataset / "README.md").exists()
    pulled = pull_dataset("me/look_at", tmp_path / "back", hub=hub)
    assert len(open_for_reading(pulled.dataset).episodes) == 8
    assert not hasattr(pulled, "private")


def test_what_was_forgotten_is_gone_from_where_readers_look(recorded_dataset, tmp_path):
    data, hub, notes = shutil.copytree(recorded_dataset, tmp_path / "data"), FolderHub(tmp_path / "hub"), []
    (data / "videos").mkdir(exist_ok=True)
    (data / "videos/face.mp4").write_bytes(b"a face")
    reporter = SilentReporter()
    reporter.note = notes.append
    push_dataset(data, "me/look_at", hub=hub, reporter=reporter)
    assert "videos/face.mp4" in hub.tags["v3.0"]
    assert notes == []
    (data / "videos/face.mp4").unlink()
    push_dataset(data, "me/look_at", hub=hub, reporter=reporter)
    assert set(hub.tags["v3.0"]) == {*files(data), "README.md"}
    assert "history of me/look_at keeps what was pushed before" in notes[0]


def test_a_public_repository_gets_nothing_unasked(recorded_dataset, tmp_path):
    hub = FolderHub(tmp_path / "hub")
    hub.create_repo("me/look_at", private=False, exist_ok=False)
    with pytest.raises(RefusedError, match=r"me/look_at is public on the Hub.*--public"):
        push_dataset(recorded_dataset, "me/look_at", hub=hub)
    assert files(tmp_path / "hub") == {}
    assert not push_dataset(recorded_dataset, "me/look_at", public=True, licence="mit", hub=hub).private
    hub.create_repo("me/secret", private=True, exist_ok=False)
    hub.tags.clear()
    assert push_dataset(recorded_dataset, "me/secret", public=True, licence="mit", hub=hub).private


def test_what_is_told_about_people_is_said_before_the_upload(image_dataset, tmp_path):
    notes = []
    reporter = SilentReporter()
    reporter.note = notes.append
    push_dataset(
        image_dataset, "me/look_at", public=True, licence="cc-by-4.0", hub=FolderHub(tmp_path), reporter=reporter
    )
    assert "observation.images.head" in notes[0]


@pytest.mark.parametrize(
    ("share", "error", "words"),
    [
        (lambda data, out: push_dataset(data, "look_at"), WrongUseError, "lacks the owner"),
        (lambda data, out: push_dataset(data, "a b/c"), WrongUseError, "is not a name on the Hub"),
        (lambda data, out: push_dataset(data, "me/it", public=True), WrongUseError, "needs a licence"),
        (lambda data, out: push_dataset(out, "me/it"), WrongUseError, "does not exist"),
        (lambda data, out: push_dataset(data, "me/it"), KitError, "cannot be reached for me/it"),
        (lambda data, out: pull_dataset("me/it", out), KitError, "cannot be reached for me/it"),
        (lambda data, out: pull_dataset("me/it", data), WrongUseError, "exists. Choose another folder"),
    ],
)
def test_what_cannot_be_shared_is_said_in_a_line(share, error, words, recorded_dataset, tmp_path):
    with pytest.raises(error, match=words):
        share(recorded_dataset, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_dataset_is_pulled_and_shown(kit, recorded_dataset):
    hub = f"""
import shutil
from huggingface_hub import HfApi
HfApi.snapshot_download = lambda self, name, local_dir, **given: shutil.copytree(
    {str(recorded_dataset)!r}, local_dir, dirs_exist_ok=True
)
"""
    pulled = kit.run("dataset", "pull", "me/look_at", "--out", "it", before=hub)
    assert pulled.out == "me/look_at is in it. Next: reachy-kit dataset show it\n", pulled


# --- conversion and pictures --------------------------------------------------------------------------------------


def test_the_older_format_becomes_v3(recorded_dataset, tmp_path):
    old = write_v21(tmp_path / "old", recorded_dataset)
    with pytest.raises(RefusedError, match=r"format v2\.1.*dataset convert"):
        open_for_reading(old)
    assert convert_dataset(old, tmp_path / "new").episodes == 8
    new, original = open_for_reading(tmp_path / "new"), open_for_reading(recorded_dataset)
    assert (new.column("action") == original.column("action")).all()
    assert new.layout.task == "look_at"


def test_episode_files_and_back(image_dataset, tmp_path):
    assert convert_dataset(image_dataset, tmp_path / "files", to_files=True).episodes == 2
    assert convert_dataset(tmp_path / "files", tmp_path / "back").source == "episode files"
    back, original = open_for_reading(tmp_path / "back"), open_for_reading(image_dataset)
    for key in ("action", "kit.seed", "kit.capture_time", "next.success"):
        assert (back.column(key) == original.column(key)).all()


def test_an_episode_as_a_picture_and_a_dataset_as_a_summary(image_dataset, tmp_path):
    drawn = draw_episode(image_dataset, 1, tmp_path / "episode.png")
    assert (tmp_path / "episode.png").read_bytes().startswith(b"\x89PNG")
    summary = summarize_dataset(image_dataset)
    assert summary.episodes[1] == drawn
    assert (summary.task, summary.fps, summary.cameras) == ("look_at", 10, ("observation.images.head",))
    with pytest.raises(WrongUseError, match="has no episode 7"):
        draw_episode(image_dataset, 7, tmp_path / "other.png")
    (tmp_path / "notes.png").write_text("mine")
    with pytest.raises(RefusedError, match="is not a PNG image"):
        draw_episode(image_dataset, 0, tmp_path / "notes.png")
