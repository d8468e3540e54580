"""Clips: what is seen of an episode, and the files that come of it."""

import io
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
import strangers
from PIL import Image

import headstart as hs
from headstart.core.drawing import Disc, Drawing
from headstart.core.errors import InputError
from headstart.core.spaces import Image as Sight
from headstart.core.types import Task, spec, stack
from headstart.lab.checkpoint.policy import Policy
from headstart.lab.watch import clips
from headstart.lab.watch.clips import LAST_FRAME_MS, Clip, encode, first_frame, record_episode, save
from headstart.tasks.host import HostEnv
from headstart.tasks.pictures import picture, visible
from headstart.tasks.raster import COLOURS

KEY = jax.random.key(0)


class Drawn(probes.Corridor):
    """A corridor whose walker is a disc."""

    def draw(self, params, state):
        return Drawing((-1.0, -1.0), (self.length + 1.0, 1.0), (Disc((float(state), 0.0), 0.5, "body"),))


def filmed(task: Task, act: Callable[[Any], Any] = probes.right, **how: int) -> Clip:
    return record_episode(Policy(probes.player(act), {}, spec(stack([task]))), task, KEY, **how)


def dark(frame: np.ndarray) -> float:
    """Returns where the walker is, in cells."""
    return float(np.argwhere(frame.min(2) < 100)[:, 1].mean()) / frame.shape[1] * 7 - 1


def test_a_take_shows_the_whole_episode_and_its_end():
    take = filmed(probes.one(Drawn()), size=70)
    assert (take.frame_skip, take.steps, take.steps_shown, take.episode_return) == (1, 5, 5, 1.0)
    assert [frame.shape for frame in take.frames] == [(20, 70, 3)] * 6
    np.testing.assert_allclose([dark(frame) for frame in take.frames], range(6), atol=0.2)


def test_an_episode_too_long_is_seen_from_its_start_and_told_to_its_end():
    take = filmed(probes.one(Drawn(length=20)), most=4)
    assert (take.frame_skip, take.steps_shown, take.steps, take.episode_return) == (3, 9, 20, 1.0)
    assert len(take.frames) == 4


@pytest.mark.parametrize("kind", ["webp", "gif"])
def test_a_clip_is_an_animation_that_ends_with_a_pause(kind: str, tmp_path: pathlib.Path):
    take = filmed(probes.one(Drawn()), size=70)
    save([take, take], tmp_path / f"clip.{kind}")
    with Image.open(tmp_path / f"clip.{kind}") as image:
        assert (image.size, image.n_frames, image.info["loop"]) == ((70, 20), 12, 0)  # pyright: ignore[reportAttributeAccessIssue]
        shown = []
        for i in range(12):
            image.seek(i)
            image.load()
            shown.append((image.info["duration"], np.array(image.convert("RGB"))))
    assert [round(ms, -1) for ms, _ in shown] == [*[170 if kind == "webp" else 160] * 5, LAST_FRAME_MS] * 2
    assert dark(shown[5][1]) == pytest.approx(5.0, abs=0.2)


def test_a_strip_shows_the_first_and_the_last():
    take = filmed(probes.one(Drawn(length=20)), size=66)
    strip = np.array(Image.open(io.BytesIO(encode([take], ".png"))))
    assert strip.shape[1] == clips.STRIP_FRAMES * 66
    np.testing.assert_array_equal(strip[:, :66], take.frames[0])
    np.testing.assert_array_equal(strip[:, -66:], take.frames[-1])


def test_a_still_is_the_first_frame():
    take = filmed(probes.one(Drawn()), size=70)
    with Image.open(io.BytesIO(first_frame(encode([take], ".webp")))) as image:
        assert image.n_frames == 1  # pyright: ignore[reportAttributeAccessIssue]
        assert dark(np.array(image)) == pytest.approx(0.0, abs=0.2)


def test_what_has_no_drawing_shows_its_image_or_says_so():
    shades = probes.one(probes.Pixel(Sight((4, 4, 2), "uint8")))
    take = filmed(shades, size=40)
    assert take.frames[0].shape == (40, 40, 3)
    bits = probes.Pixel(Sight((4, 4, 2), "bool"))
    there = picture(bits, {}, jnp.array([0, 3]), 40)
    assert (there[:10, 30:] == 255).all()
    assert there.sum() == 100 * 3 * 255
    with pytest.raises(InputError, match=r"Corridor cannot be shown: it has no drawing"):
        visible(probes.one(probes.Corridor()))


class Clock(strangers.Clock):
    """Renders a picture that is brighter with each step; at `breaks_at`, nothing."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None):
        super().__init__(ends=3)
        self.render_mode = render_mode

    def render(self):
        return np.full((30, 60, 3), 50 * self.time, np.uint8)


class Blind(Clock):
    """Has no display to render with."""

    def render(self):
        raise OSError("no display")


def test_other_peoples_envs_render_themselves_and_are_given_back():
    task = probes.one(hs.host(Clock, horizon=9))
    take = filmed(task, size=30)
    assert (take.steps, take.episode_return) == (3, 6.0)
    assert [frame.shape for frame in take.frames] == [(15, 30, 3)] * 4
    assert [int(frame.max()) for frame in take.frames] == [0, 50, 100, 150]
    env = visible(task).env
    assert isinstance(env, HostEnv)
    assert env.pool.num_in_use == 0


def test_a_renderer_that_fails_is_told_in_a_sentence():
    task = probes.one(hs.host(Blind, horizon=9))
    with pytest.raises(InputError, match=r"Blind.* cannot render itself here: OSError: no display\.$"):
        filmed(task)
    assert visible(task).env.pool.num_in_use == 0  # pyright: ignore[reportAttributeAccessIssue]


def test_what_can_only_be_made_without_rendering_is_told_so():
    with pytest.raises(InputError, match="cannot be shown"):
        visible(probes.one(hs.host(strangers.Clock, horizon=9)))


def test_other_peoples_robots_are_drawn_without_their_renderer():
    """OpenGL that is not there may end the process: nothing is to ask for it."""
    task = probes.one(hs.host("HumanoidStandup-v5", horizon=4))
    assert visible(task).env == task.env
    take = filmed(task, lambda obs: jnp.zeros(task.env.action_space.size), size=90)
    assert (take.steps, max(take.frames[0].shape)) == (4, 90)
    assert {tuple(int(COLOURS[role][i : i + 2], 16) for i in (1, 3, 5)) for role in ("body", "limb", "far")} <= {
        tuple(pixel) for pixel in take.frames[0].reshape(-1, 3).tolist()
    }
    assert (take.frames[0] != take.frames[-1]).any()
