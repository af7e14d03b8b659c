"""Networks of the hub: nothing comes unasked, what comes is checked, folders of the user's are taken as they are."""

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from huddle3d.errors import InputError, LicenceRequiredError, WeightsMissingError
from huddle3d.weights import TASKS, card, fetch_hub, folders_of, hub_digest, hub_folder, hub_models, hub_problems

NAME = "sam-vit-base"


def make_folder(folder: Path, family: str = "sam") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": family}))
    (folder / "preprocessor_config.json").write_text("{}")
    (folder / "run_me.py").write_text("raise SystemExit")
    (folder / "model.pt").write_bytes(b"pickle")
    save_file({"a": torch.zeros(3)}, folder / "model.safetensors")
    return folder


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HUDDLE3D_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HUDDLE3D_OFFLINE", raising=False)
    return tmp_path / "cache" / "weights"


def test_every_network_has_a_task_a_licence_and_a_card() -> None:
    for name, model in hub_models().items():
        assert model.task in TASKS and model.families and model.licence and model.who_may_use and model.megabytes > 0
        assert model.repo.count("/") == 1 and (model.revision == "main" or len(model.revision) == 40)
        assert f"`{name}`" in card(name) and model.repo.split("/")[0] in card(name), "the card is of this network"
    assert {m.task for m in hub_models().values()} == set(TASKS)


def test_a_folder_of_the_users_is_copied_without_what_could_run(tmp_path: Path, cache: Path) -> None:
    own = make_folder(tmp_path / "own")
    with pytest.raises(WeightsMissingError, match=f"models fetch {NAME}"):
        hub_folder(NAME)
    folder = fetch_hub(NAME, folder=own)
    assert folder == hub_folder(NAME) == cache / NAME
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "fetched.json", "model.safetensors", "preprocessor_config.json"]
    assert hub_folder(NAME, {NAME: own}) == own, "or used where it is"
    assert hub_digest(own) == hub_digest(folder)
    save_file({"a": torch.ones(3)}, folder / "model.safetensors")
    assert any("sha256" in p for p in hub_problems(hub_models()[NAME], folder)), "what changed since is noticed"
    assert hub_digest(own) != hub_digest(folder)
    fetch_hub(NAME, folder=own)
    assert not hub_problems(hub_models()[NAME], folder)


def test_other_folders_are_refused_and_leave_nothing(tmp_path: Path, cache: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder in (make_folder(tmp_path / "other", "vitpose"), empty, tmp_path / "absent"):
        with pytest.raises(WeightsMissingError, match=str(folder)):
            fetch_hub(NAME, folder=folder)
    index = make_folder(tmp_path / "index")
    (index / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../../secret.safetensors"}}))
    with pytest.raises(WeightsMissingError, match=r"no model\.safetensors"):
        fetch_hub(NAME, folder=index)
    assert not cache.exists() or list(cache.iterdir()) == []


def test_folders_are_named_well() -> None:
    assert folders_of([f"{NAME}=/x/y"]) == {NAME: Path("/x/y")}
    for wrong in ("x", "x=", "nothing=/x"):
        with pytest.raises(InputError):
            folders_of([wrong])
    with pytest.raises(InputError, match="twice"):
        folders_of([f"{NAME}=/x", f"{NAME}=/y"])


def test_offline_says_what_to_do_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUDDLE3D_OFFLINE", "1")
    with pytest.raises(WeightsMissingError, match=r"--folder FOLDER") as e:
        fetch_hub(NAME)
    assert "huggingface.co/facebook/sam-vit-base" in str(e.value)


class Hub:
    """Stands for the hub: one repository with one commit."""

    def __init__(self, source: Path, *, lie: bool = False) -> None:
        self.source, self.lie, self.asked = source, lie, []

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        hub = pytest.importorskip("huggingface_hub", reason="the extra `transformers` is not installed")
        monkeypatch.setattr(hub, "HfApi", lambda: SimpleNamespace(model_info=self.info))
        monkeypatch.setattr(hub, "hf_hub_download", self.download)

    def info(self, repo: str, *, revision: str, files_metadata: bool) -> SimpleNamespace:
        self.asked.append((repo, revision))
        rows = []
        for path in sorted(self.source.iterdir()):
            digest = hashlib.sha256(b"other" if self.lie else path.read_bytes()).hexdigest()
            lfs = SimpleNamespace(sha256=digest) if path.suffix == ".safetensors" else None
            rows.append(SimpleNamespace(rfilename=path.name, size=path.stat().st_size, lfs=lfs))
        return SimpleNamespace(sha="c" * 40, siblings=rows)

    def download(self, repo: str, name: str, *, revision: str, local_dir: Path) -> str:
        assert revision == "c" * 40, "files come from the commit that was asked about"
        self.asked.append(name)
        (Path(local_dir) / ".cache").mkdir(exist_ok=True)
        (Path(local_dir) / name).write_bytes((self.source / name).read_bytes())
        return str(Path(local_dir) / name)


def test_the_registered_revision_is_fetched_and_written_down(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hub = Hub(make_folder(tmp_path / "repo"))
    hub.install(monkeypatch)
    folder = fetch_hub(NAME)
    assert hub.asked == [("facebook/sam-vit-base", hub_models()[NAME].revision), "config.json", "model.safetensors", "preprocessor_config.json"]
    record = json.loads((folder / "fetched.json").read_text())
    assert record["repo"] == "facebook/sam-vit-base" and record["commit"] == "c" * 40 and len(record["files"]) == 3
    assert not (folder / ".cache").exists()
    fetch_hub(NAME)
    assert len(hub.asked) == 4, "what is here is not fetched again"
    fetch_hub(NAME, revision="v2")
    assert hub.asked[4] == ("facebook/sam-vit-base", "v2")


def test_what_the_hub_did_not_promise_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path) -> None:
    Hub(make_folder(tmp_path / "repo"), lie=True).install(monkeypatch)
    with pytest.raises(WeightsMissingError, match="another sha256"):
        fetch_hub(NAME)
    assert list(cache.iterdir()) == []


def test_refusals_of_the_hub_are_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="the extra `transformers` is not installed")
    from huggingface_hub import errors

    def fail(error: Exception) -> None:
        def info(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(hub, "HfApi", lambda: SimpleNamespace(model_info=info))

    fail(errors.OfflineModeIsEnabled("offline mode"))
    with pytest.raises(WeightsMissingError, match="offline mode"):
        fetch_hub(NAME)
    fail(ConnectionError("no route"))
    with pytest.raises(WeightsMissingError, match="no route"):
        fetch_hub(NAME)
    gated = errors.GatedRepoError.__new__(errors.GatedRepoError)
    gated.args = ("Access to model is restricted",)
    fail(gated)
    with pytest.raises(LicenceRequiredError, match="Accept it on that page") as e:
        fetch_hub("sapiens2-normal")
    assert e.value.exit_code == 5
