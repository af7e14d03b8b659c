"""Whose limb and whose pixels: repairs from the rendered ids of bodies that are known."""

from dataclasses import replace

import pytest
import torch

from huddle3d.people.identity import LIMBS, IdentityConfig, LimbRules, agree, in_words, render_ids, repair_identity
from huddle3d.people.identity import _rounds as room
from huddle3d.people.identity._limb_repair import repair_limbs
from huddle3d.scene.landmarks import LANDMARK_INDEX

ARM = {limb.name: limb for limb in LIMBS}


def repaired(scene, people, **options):
    return repair_identity(people, scene.bodies, scene.body.faces, IdentityConfig(**options))


def with_tables(scene, change):
    keypoints = scene.people.keypoints.clone()
    change(keypoints, scene.people.keypoints)
    return replace(scene.people, keypoints=keypoints)


def seen_uv(people, person, limb):
    return people.keypoints[person, [limb.middle, limb.end], :2]


def test_the_rendered_ids_are_the_true_masks(scene):
    seen = render_ids(scene.bodies, scene.body.faces, 320)
    for k, mask in enumerate(scene.people.masks):
        union = ((seen.ids == k) | mask).sum()
        assert float(((seen.ids == k) & mask).sum() / union) > 0.8, "bodies are thinner than their clothes, but no more"
    hidden = seen.alone[1] & (seen.ids == 0)
    assert bool(hidden.any()) and not bool((seen.alone[0] & (seen.ids == 1)).any()), "the left one stands nearer"
    uv, _ = scene.bodies.camera.project(scene.bodies.landmarks[1])
    torch.testing.assert_close(seen.joints[1], uv)


def test_what_is_right_is_left_alone(scene):
    people, changes = repaired(scene, scene.people)
    assert changes == () and people is scene.people


def test_people_without_masks_or_neighbours_are_left_alone(scene):
    blind = replace(scene.people, masks=torch.zeros_like(scene.people.masks))
    assert repaired(scene, blind)[1] == ()
    one = replace(scene.people, names=("person_0",), boxes=scene.people.boxes[:1], keypoints=scene.people.keypoints[:1], masks=scene.people.masks[:1])
    assert repaired(scene, one) == (one, ())


@pytest.mark.parametrize(("first", "second"), [("left arm", "right arm"), ("left arm", "left arm"), ("left leg", "right leg")])
def test_exchanged_limbs_are_given_back(scene, first, second):
    a, b = ARM[first], ARM[second]

    def exchange(new, old):
        new[0, a.rows], new[1, b.rows] = old[1, b.rows], old[0, a.rows]

    people, changes = repaired(scene, with_tables(scene, exchange))
    torch.testing.assert_close(seen_uv(people, 0, a), seen_uv(scene.people, 0, a))
    torch.testing.assert_close(seen_uv(people, 1, b), seen_uv(scene.people, 1, b))
    assert {(c.person, c.part, c.action, c.other, c.other_part) for c in changes} == {
        ("person_0", first, "given", "person_1", second),
        ("person_1", second, "given", "person_0", first),
    }
    moved = people.keypoints[0, a.middle, 2], people.keypoints[1, b.end, 2]
    assert all(0.5 < float(c) < 1 for c in moved), "what was moved counts less"
    assert people.keypoints[0, ARM["right arm"].end, 2] == 1
    for change in changes:
        assert in_words(change) in people.warnings
        assert change.person in in_words(change) and change.other in in_words(change)


def test_exchanged_limbs_are_given_back_when_the_bodies_followed_them(scene):
    """The fit pulls arms to the key points it gets: then only the masks tell."""
    a, b = ARM["right arm"], ARM["left arm"]  # the outer ones: both show
    seen = render_ids(scene.bodies, scene.body.faces, 320)
    joints = seen.joints.clone()
    joints[0, a.rows], joints[1, b.rows] = seen.joints[1, b.rows], seen.joints[0, a.rows]
    followed = replace(seen, joints=joints, bones=seen.bones * 3)  # long arms reach anywhere

    def exchange(new, old):
        new[0, a.rows], new[1, b.rows] = old[1, b.rows], old[0, a.rows]

    people, changes = repair_limbs(with_tables(scene, exchange), followed, LimbRules(), 2)
    torch.testing.assert_close(seen_uv(people, 0, a), seen_uv(scene.people, 0, a))
    torch.testing.assert_close(seen_uv(people, 1, b), seen_uv(scene.people, 1, b))
    assert [c.action for c in changes] == ["given", "given"]

    def guessed(new, old):  # hidden arms lie in each other's masks, too
        exchange(new, old)
        new[0, a.rows, 2] = new[1, b.rows, 2] = 0.3

    assert repair_limbs(with_tables(scene, guessed), followed, LimbRules(), 2)[1] == []


def test_a_limb_that_the_other_has_already_is_dropped(scene):
    limb = ARM["left arm"]

    def copy(new, old):
        new[0, limb.rows] = old[1, limb.rows]

    people, changes = repaired(scene, with_tables(scene, copy))
    assert [(c.person, c.part, c.action, c.other) for c in changes] == [("person_0", "left arm", "dropped", "person_1")]
    assert not people.keypoints[0, limb.rows, 2].any()
    assert torch.equal(people.keypoints[1], scene.people.keypoints[1])


def test_a_limb_that_the_other_lacks_is_given(scene):
    limb = ARM["right arm"]

    def take(new, old):
        new[1, limb.rows] = old[0, limb.rows]
        new[0, limb.rows, 2] = 0

    people, changes = repaired(scene, with_tables(scene, take))
    assert [(c.person, c.action, c.other) for c in changes] == [("person_1", "given", "person_0")]
    torch.testing.assert_close(seen_uv(people, 0, limb), seen_uv(scene.people, 0, limb))
    assert not people.keypoints[1, limb.rows, 2].any()


def claimed_by_both(scene, limb):
    """The second person's limb given to both, and the bodies as a fit leaves them that has followed."""

    def copy(new, old):
        new[0, limb.rows] = old[1, limb.rows]

    seen = render_ids(scene.bodies, scene.body.faces, 320)
    joints = seen.joints.clone()
    joints[0, limb.rows] = seen.joints[1, limb.rows]
    return with_tables(scene, copy), replace(seen, joints=joints)


def test_a_limb_that_both_claim_goes_to_the_one_whose_mask_it_is_on(scene):
    limb = ARM["left arm"]  # the second person's outer one
    claimed, seen = claimed_by_both(scene, limb)
    masks = claimed.masks.clone()
    masks[1] |= masks[0]  # also where the first one's upper arm is told to be
    masks[0] = False
    people, changes = repair_limbs(replace(claimed, masks=masks), seen, LimbRules(), 2)
    assert [(c.person, c.action) for c in changes] == [("person_0", "dropped")]
    assert not people.keypoints[0, limb.rows, 2].any() and torch.equal(people.keypoints[1], claimed.keypoints[1])


@pytest.mark.parametrize(("limb", "doubted"), [("left leg", {"person_0", "person_1"}), ("left arm", set())])
def test_linked_arms_are_believed_and_two_legs_on_one_place_count_less(scene, limb, doubted):
    claimed, seen = claimed_by_both(scene, ARM[limb])
    unknown = replace(claimed, masks=torch.zeros_like(claimed.masks))
    people, changes = repair_limbs(unknown, seen, LimbRules(), 2)
    assert {c.person for c in changes if c.action == "doubted"} == doubted and len(changes) == len(doubted)
    assert float(people.keypoints[0, ARM[limb].end, 2]) == float(people.keypoints[1, ARM[limb].end, 2]) == (0.5 if doubted else 1.0)


def test_a_part_of_a_mask_is_given_back(scene):
    masks = scene.people.masks.clone()
    rows = torch.arange(masks.shape[1])[:, None]
    knee = float(scene.people.keypoints[1, LANDMARK_INDEX["right_knee"], 1])
    shins = masks[1] & (rows > knee)
    masks[1] &= ~shins
    masks[0] |= shins
    people, changes = repaired(scene, replace(scene.people, masks=masks))
    assert {(c.person, c.part, c.action, c.other) for c in changes} == {("person_0", "part of the mask", "given", "person_1")}
    back = people.masks[1] & shins
    assert float(back.sum() / shins.sum()) > 0.5, "a rim as wide as clothes stays"
    assert not bool((people.masks[0] & people.masks[1]).any())
    assert bool((people.masks.any(0) == scene.people.masks.any(0)).all()), "no pixel is lost"
    assert float((people.masks[0] & scene.people.masks[0]).sum()) == float(scene.people.masks[0].sum())


def test_a_part_that_holds_key_points_of_its_owner_is_named_and_left(scene):
    masks = scene.people.masks.clone()
    rows = torch.arange(masks.shape[1])[:, None]
    shins = masks[1] & (rows > float(scene.people.keypoints[1, LANDMARK_INDEX["right_knee"], 1]))
    masks[1] &= ~shins
    masks[0] |= shins
    keypoints = scene.people.keypoints.clone()
    ankles = [LANDMARK_INDEX["left_ankle"], LANDMARK_INDEX["right_ankle"]]
    keypoints[0, [LANDMARK_INDEX["left_ear"], LANDMARK_INDEX["right_ear"]]] = keypoints[1, ankles]
    people, changes = repaired(scene, replace(scene.people, masks=masks, keypoints=keypoints))
    assert "left" in {c.action for c in changes}
    assert "not decided" in " ".join(people.warnings)


def test_exchanged_masks_are_exchanged_back(scene):
    people, changes = repaired(scene, replace(scene.people, masks=scene.people.masks.flip(0), boxes=scene.people.boxes.flip(0)))
    assert torch.equal(people.masks, scene.people.masks)
    assert [(c.person, c.part, c.action, c.other) for c in changes] == [
        ("person_0", "mask", "exchanged", "person_1"),
        ("person_1", "mask", "exchanged", "person_0"),
    ]
    inside = people.keypoints[..., :2] + 1e-3
    assert bool(((inside >= people.boxes[:, None, :2]) & (inside <= people.boxes[:, None, 2:] + 1)).all(-1)[:, :17].all())


def test_rounds_go_on_until_nothing_contradicts(scene, monkeypatch):
    limb = ARM["left arm"]

    def exchange(new, old):
        new[0, limb.rows], new[1, limb.rows] = old[1, limb.rows], old[0, limb.rows]

    calls = []

    def fit(photo, people, config, *, body, start, seed, progress):
        calls.append((people, start))
        return replace(start, confidence=start.confidence / 2)

    monkeypatch.setattr(room, "fit", fit)
    told = []
    options = {"body": scene.body, "progress": lambda f, note="": told.append(f)}
    wrong = with_tables(scene, exchange)
    done = agree(scene.photo, wrong, scene.bodies, IdentityConfig(rounds=4), None, **options)
    assert len(calls) == 1, "after the first repair nothing contradicts"
    torch.testing.assert_close(seen_uv(calls[0][0], 0, limb), seen_uv(scene.people, 0, limb))
    assert calls[0][1] is scene.bodies and float(done.bodies.confidence[0]) == 0.5
    assert {c.round for c in done.changes} == {2} and told[-1] == 1
    same = agree(scene.photo, scene.people, scene.bodies, IdentityConfig(rounds=2), None, **options)
    assert len(calls) == 1 and same.bodies is scene.bodies and same.people is scene.people and same.changes == ()
    once = agree(scene.photo, wrong, scene.bodies, IdentityConfig(rounds=1), None, **options)
    assert len(calls) == 1 and once.people is wrong


def test_a_run_of_two_rounds_repairs_resumes_and_reports(scene, tmp_path, monkeypatch):
    from huddle3d.people import (
        CanonicalConfig,
        CarveConfig,
        Given,
        PaintConfig,
        PartialConfig,
        PeopleConfig,
        RunStore,
        outputs,
        pipeline,
        read_run,
        reconstruct,
        run_photo,
    )
    from huddle3d.people._identity_report import identity_section

    limb = ARM["left arm"]

    def exchange(new, old):
        new[0, limb.rows], new[1, limb.rows] = old[1, limb.rows], old[0, limb.rows]

    fits = []

    def fit(photo, people, config, **options):
        fits.append(options.get("start"))
        return replace(scene.bodies, warnings=(f"fit {len(fits)}",))

    monkeypatch.setattr(pipeline, "fit", fit)
    monkeypatch.setattr(room, "fit", fit)
    monkeypatch.setattr(outputs, "_FRAMES", 2)
    config = PeopleConfig(
        identity=IdentityConfig(rounds=2),
        canonical=CanonicalConfig(size=96, partial=PartialConfig(iterations=2, size=64)),
        carve=CarveConfig(iterations=1, size=64, refresh=1),
        paint=PaintConfig(texture_size=128),
    )
    wrong = with_tables(scene, exchange)
    stages, resumed = [], []

    class Names:
        def begin(self, stage, index, total):
            stages.append((stage, index, total))
            return lambda fraction, note="": None

        def end(self, record):
            resumed.append(record.resumed)

    given = {"body": scene.body, "listener": Names()}
    folder = tmp_path / "run"
    result = run_photo(scene.photo, folder, config, given=Given(people=wrong), **given)
    again = reconstruct(scene.photo, config, people=wrong, store=RunStore(folder), **given)
    assert len(fits) == 2 and fits[0] is None and fits[1] is not None
    assert stages[:3] == [("fit", 1, 8), ("repair", 2, 8), ("canonical", 3, 8)] and stages[:7] == stages[7:]
    assert resumed == [False] * 7 + [True] * 7 and again.changes == result.changes
    assert result.bodies.warnings == ("fit 2",) and torch.equal(result.perceived.keypoints, wrong.keypoints)
    torch.testing.assert_close(seen_uv(result.people2d, 0, limb), seen_uv(scene.people, 0, limb))
    page = (folder / "report.html").read_text()
    assert "Whose is whose" in page and "given to" in page and "before the repair" in page
    assert in_words(result.changes[0]) in page
    bodies, people, _, _ = read_run(folder)
    assert bodies.warnings == ("fit 2",) and torch.equal(people.keypoints, result.people2d.keypoints)
    named = identity_section(replace(result, people2d=wrong, perceived=None, changes=())).render()
    assert "is probably of" in named and "--config.identity.rounds 2" in named
    fine = identity_section(replace(result, people2d=scene.people, perceived=None, changes=())).render()
    assert "No limb" in fine and "1.00" in fine and "guess)" not in fine


@pytest.mark.parametrize(("width", "height"), [(853, 1280), (1280, 853), (301, 1500), (3, 700)])
def test_the_report_shows_photos_of_any_shape(scene, width, height):
    from huddle3d.people._identity_report import owners_picture

    photo = replace(scene.photo, image=torch.full((height, width, 3), 0.5))
    people = replace(scene.people, masks=torch.zeros(2, height, width, dtype=torch.bool))
    bodies = replace(scene.bodies, camera=scene.bodies.camera.resized(width, height))
    shown = owners_picture(photo, people, bodies, scene.body.faces)
    assert max(shown.shape[:2]) == 640 and abs(shown.shape[0] / height - shown.shape[1] / width) < 1 / width
