"""Clips of episodes, and the files that they are saved in."""

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
from headstart.core.spaces import Image as ImageSpace
from headstart.core.types import Task, spec, stack
from headstart.lab.checkpoint.policy import Policy
from headstart.lab.watch import clips
from headstart.lab.watch.clips import LAST_FRAME_MS, Clip, encode, first_frame, record_episode, save
from headstart.tasks.host import HostEnv
from headstart.tasks.pictures import picture, visible
from headstart.tasks.raster import COLOURS

KEY = jax.random.key(0)


class DrawnCorridor(probes.Corridor):
    """A corridor whose walker is a disc."""

    def draw(self, params, state):
        return Drawing((-1.0, -1.0), (self.length + 1.0, 1.0), (Disc((float(state), 0.0), 0.5, "body"),))


def record(task: Task, act: Callable[[Any], Any] = probes.right, **options: int) -> Clip:
    return record_episode(Policy(probes.player(act), {}, spec(stack([task]))), task, KEY, **options)


def walker_position(frame: np.ndarray) -> float:
    """Returns the place of the walker, in cells."""
    return float(np.argwhere(frame.min(2) < 100)[:, 1].mean()) / frame.shape[1] * 7 - 1


def test_clip_shows_the_complete_episode():
    clip = record(probes.one(DrawnCorridor()), size=70)
    assert (clip.frame_skip, clip.steps, clip.steps_shown, clip.episode_return) == (1, 5, 5, 1.0)
    assert [frame.shape for frame in clip.frames] == [(20, 70, 3)] * 6
    np.testing.assert_allclose([walker_position(frame) for frame in clip.frames], range(6), atol=0.2)


def test_long_episode_is_shown_from_its_start_and_counted_to_its_end():
    clip = record(probes.one(DrawnCorridor(length=20)), max_frames=4)
    assert (clip.frame_skip, clip.steps_shown, clip.steps, clip.episode_return) == (3, 9, 20, 1.0)
    assert len(clip.frames) == 4


@pytest.mark.parametrize("kind", ["webp", "gif"])
def test_clip_is_an_animation_that_ends_with_a_pause(kind: str, tmp_path: pathlib.Path):
    clip = record(probes.one(DrawnCorridor()), size=70)
    save([clip, clip], tmp_path / f"clip.{kind}")
    with Image.open(tmp_path / f"clip.{kind}") as image:
        assert (image.size, image.n_frames, image.info["loop"]) == ((70, 20), 12, 0)  # pyright: ignore[reportAttributeAccessIssue]
        frames = []
        for i in range(12):
            image.seek(i)
            image.load()
            frames.append((image.info["duration"], np.array(image.convert("RGB"))))
    assert [round(ms, -1) for ms, _ in frames] == [*[170 if kind == "webp" else 160] * 5, LAST_FRAME_MS] * 2
    assert walker_position(frames[5][1]) == pytest.approx(5.0, abs=0.2)


def test_strip_shows_the_first_and_the_last_frame():
    clip = record(probes.one(DrawnCorridor(length=20)), size=66)
    strip = np.array(Image.open(io.BytesIO(encode([clip], ".png"))))
    assert strip.shape[1] == clips.STRIP_FRAMES * 66
    np.testing.assert_array_equal(strip[:, :66], clip.frames[0])
    np.testing.assert_array_equal(strip[:, -66:], clip.frames[-1])


def test_first_frame_of_an_animation():
    clip = record(probes.one(DrawnCorridor()), size=70)
    with Image.open(io.BytesIO(first_frame(encode([clip], ".webp")))) as image:
        assert image.n_frames == 1  # pyright: ignore[reportAttributeAccessIssue]
        assert walker_position(np.array(image)) == pytest.approx(0.0, abs=0.2)


def test_image_observations_are_shown_and_other_envs_without_drawing_refused():
    task = probes.one(probes.Pixel(ImageSpace((4, 4, 2), "uint8")))
    clip = record(task, size=40)
    assert clip.frames[0].shape == (40, 40, 3)
    bits = probes.Pixel(ImageSpace((4, 4, 2), "bool"))
    image = picture(bits, {}, jnp.array([0, 3]), 40)
    assert (image[:10, 30:] == 255).all()
    assert image.sum() == 100 * 3 * 255
    with pytest.raises(InputError, match=r"Corridor cannot be shown: it has no drawing"):
        visible(probes.one(probes.Corridor()))


class RenderedClock(strangers.Clock):
    """An env that renders an image that is brighter with each step."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None):
        super().__init__(ends=3)
        self.render_mode = render_mode

    def render(self):
        return np.full((30, 60, 3), 50 * self.time, np.uint8)


class ClockWithoutDisplay(RenderedClock):
    """An env whose renderer fails."""

    def render(self):
        raise OSError("no display")


def test_host_envs_render_themselves_and_are_closed():
    task = probes.one(hs.host(RenderedClock, horizon=9))
    clip = record(task, size=30)
    assert (clip.steps, clip.episode_return) == (3, 6.0)
    assert [frame.shape for frame in clip.frames] == [(15, 30, 3)] * 4
    assert [int(frame.max()) for frame in clip.frames] == [0, 50, 100, 150]
    env = visible(task).env
    assert isinstance(env, HostEnv)
    assert env.pool.num_in_use == 0


def test_failed_renderer_is_reported():
    task = probes.one(hs.host(ClockWithoutDisplay, horizon=9))
    with pytest.raises(InputError, match=r"ClockWithoutDisplay.* cannot render itself here: OSError: no display\.$"):
        record(task)
    assert visible(task).env.pool.num_in_use == 0  # pyright: ignore[reportAttributeAccessIssue]


def test_host_env_without_render_mode_is_refused():
    with pytest.raises(InputError, match="cannot be shown"):
        visible(probes.one(hs.host(strangers.Clock, horizon=9)))


def test_host_robots_are_drawn_without_their_renderer():
    """Missing OpenGL may end the process, so nothing may use it."""
    task = probes.one(hs.host("HumanoidStandup-v5", horizon=4))
    assert visible(task).env == task.env
    clip = record(task, lambda obs: jnp.zeros(task.env.action_space.size), size=90)
    assert (clip.steps, max(clip.frames[0].shape)) == (4, 90)
    assert {tuple(int(COLOURS[role][i : i + 2], 16) for i in (1, 3, 5)) for role in ("body", "limb", "far")} <= {
        tuple(pixel) for pixel in clip.frames[0].reshape(-1, 3).tolist()
    }
    assert (clip.frames[0] != clip.frames[-1]).any()
