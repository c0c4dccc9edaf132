# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Missing points, gaps, several people, and the report on them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.formats.association import _pose_distances, associate
from lib.formats.recording import Recording, Track
from lib.inference import Smoother
from lib.inference.overlap import jumps
from lib.inference.tracks import Ready, smooth_recording
from lib.utils.gaps import spline, uncut


class Spy:
    """A smoother that adds 1 and notes what it was given."""

    def __init__(self):
        self.calls = []

    def __call__(self, points):
        self.calls.append(points.copy())
        return points + 1


def recording(points, scores=None, **options):
    return Recording("a", "npy", [Track(0, points, scores=scores, **options)], len(points))


def walk(frames=40, joints=3, dims=2):
    t = np.arange(frames)[:, None, None]
    return np.sin(t / 5 + np.arange(joints)[:, None] + np.arange(dims)) * 10


def test_a_whole_track_is_one_call():
    spy, points = Spy(), walk()
    (smoothed,), report = smooth_recording(recording(points), Ready(spy, window=8))
    np.testing.assert_array_equal(smoothed, points + 1)
    assert len(spy.calls) == 1
    assert (report.frames, report.tracks, report.points, report.missing) == (40, 1, 120, 0)
    assert (report.interpolated, report.filled, report.split, report.short) == (0, 0, 0, 0)


def test_missing_points_come_back_missing_and_are_never_given_as_numbers():
    spy, points = Spy(), walk()
    points[5:8, 1] = np.nan
    (smoothed,), report = smooth_recording(recording(points), Ready(spy))
    assert np.isnan(smoothed[5:8, 1]).all() and np.isfinite(smoothed[5:8, [0, 2]]).all()
    assert np.isnan(spy.calls[0][5:8, 1]).all()
    assert (report.missing, report.interpolated, report.filled, report.split) == (3, 3, 0, 0)


def test_low_scores_are_missing_and_unknown_scores_are_not():
    points, scores = walk(), np.full((40, 3), 0.9)
    scores[4, 0], scores[5, 0], scores[6, 0] = 0.29, 0.3, np.nan
    (smoothed,), report = smooth_recording(recording(points, scores), Ready(Spy()), min_score=0.3)
    np.testing.assert_array_equal(np.isnan(smoothed[3:8, 0, 0]), [False, True, False, False, False])
    assert report.missing == 1
    assert smooth_recording(recording(points, scores), Ready(Spy()))[1].missing == 0


@pytest.mark.parametrize(("gap", "calls", "split"), [(4, 1, 0), (5, 2, 3)])
def test_a_longer_gap_of_the_body_splits_the_track(gap, calls, split):
    spy, points = Spy(), walk()
    points[10 : 10 + gap] = np.nan
    _, report = smooth_recording(recording(points), Ready(spy), max_gap=4)
    assert len(spy.calls) == calls and report.split == split
    if calls == 2:
        np.testing.assert_array_equal(spy.calls[0], points[:10])
        np.testing.assert_array_equal(spy.calls[1], points[15:])
        assert report.interpolated == 0


def test_a_longer_gap_of_one_joint_splits_that_joint_alone():
    """Every side of the joint's gap is smoothed without the other; the rest of the body is smoothed whole."""
    points = walk()
    points[10:20, 1] = np.nan

    def mean_of_joint(given):
        return np.where(np.isfinite(given), np.nanmean(given, axis=0), np.nan)

    (smoothed,), report = smooth_recording(recording(points), Ready(mean_of_joint), max_gap=4)
    np.testing.assert_allclose(smoothed[:10, 1], np.tile(points[:10, 1].mean(axis=0), (10, 1)))
    np.testing.assert_allclose(smoothed[20:, 1], np.tile(points[20:, 1].mean(axis=0), (20, 1)))
    np.testing.assert_allclose(smoothed[:, 0], np.tile(points[:, 0].mean(axis=0), (40, 1)))
    assert np.isnan(smoothed[10:20, 1]).all()
    assert (report.split, report.interpolated, report.missing) == (1, 0, 10)


def test_a_cut_joint_goes_in_as_one_joint_a_piece_beside_the_whole_body():
    spy, points = Spy(), walk()
    points[10:20, 1] = np.nan
    (smoothed,), _ = smooth_recording(recording(points), Ready(spy), max_gap=4)
    (call,) = spy.calls
    assert call.shape == (40, 4, 2)
    np.testing.assert_array_equal(call[:, [0, 3]], points[:, [0, 2]])
    np.testing.assert_array_equal(call[:10, 1], points[:10, 1])
    np.testing.assert_array_equal(call[20:, 2], points[20:, 1])
    assert np.isnan(call[10:, 1]).all() and np.isnan(call[:20, 2]).all()
    np.testing.assert_array_equal(smoothed, points + 1)


@pytest.mark.parametrize(("window", "joints"), [(11, 3), (12, 4)])
def test_pieces_that_no_window_sees_together_share_a_joint(window, joints):
    """The gap is 10 frames: 11 frames reach from its last frame before to the last of the gap, 12 over it."""
    spy, points = Spy(), walk()
    points[10:20, 1] = np.nan
    (smoothed,), _ = smooth_recording(recording(points), Ready(spy, window=window), max_gap=4)
    assert spy.calls[0].shape == (40, joints, 2)
    np.testing.assert_array_equal(smoothed, points + 1)


def test_joints_that_come_late_or_leave_early_cost_no_extra_call():
    spy, points = Spy(), walk()
    points[:15, 1] = np.nan
    points[30:, 2] = np.nan
    (smoothed,), report = smooth_recording(recording(points), Ready(spy), max_gap=4)
    assert len(spy.calls) == 1 and report.split == 0 and report.interpolated == 0
    np.testing.assert_array_equal(np.isnan(smoothed), np.isnan(points))


def test_fill_draws_a_line_over_short_gaps_only():
    points = walk()
    points[5:8, 0] = np.nan
    points[20:30, 1] = np.nan
    points[:2, 2] = np.nan
    (smoothed,), report = smooth_recording(recording(points), Ready(Spy()), max_gap=4, fill=True)
    share = np.array([[0.25], [0.5], [0.75]])
    np.testing.assert_allclose(smoothed[5:8, 0], (points[4, 0] + share * (points[8, 0] - points[4, 0])) + 1)
    assert np.isnan(smoothed[20:30, 1]).all() and np.isnan(smoothed[:2, 2]).all()
    assert (report.interpolated, report.filled, report.missing) == (3, 3, 15)


@pytest.mark.parametrize("gap", [False, True])
def test_coordinates_that_never_move_stay(gap):
    """A picture's depth of 0 came back as noise: Sports2D's .trc, TrackMate in 2D, a root that all others refer to."""
    points = np.concatenate([walk(), np.zeros((*walk().shape[:2], 1))], axis=2)
    points[:, 2, 0] = 7.5
    if gap:
        points[5:8, 0] = np.nan
    (smoothed,), _ = smooth_recording(recording(points), Ready(Spy()), max_gap=4)
    wanted = points + 1
    wanted[..., 2], wanted[:, 2, 0] = points[..., 2], 7.5
    np.testing.assert_array_equal(smoothed, wanted)


@pytest.mark.parametrize("frames", [0, 1, 2, 5])
def test_short_clips(frames):
    points = walk(frames)
    (smoothed,), report = smooth_recording(recording(points), Ready(Spy(), window=8))
    np.testing.assert_array_equal(smoothed, points + 1)
    assert report.short == (3 if frames else 0) and report.frames == frames
    assert report.text()


def test_nobody_at_all():
    spy = Spy()
    (smoothed,), report = smooth_recording(recording(np.full((6, 3, 2), np.nan)), Ready(spy))
    assert np.isnan(smoothed).all() and not spy.calls and report.missing == 18
    assert smooth_recording(Recording("a", "npy", [], 0), Ready(spy))[0] == []


def test_rotations_have_a_smoother_of_their_own():
    points, other = Spy(), Spy()
    smooth_recording(recording(walk(dims=6), kind="rotations"), Ready(points, other))
    assert len(other.calls) == 1 and not points.calls


def test_jitter_is_the_mean_acceleration_of_what_was_found():
    points = np.zeros((6, 1, 2))
    points[:, 0, 0] = [0, 3, 0, 100, 0, 0]
    scores = np.array([[1.0], [1], [1], [0], [1], [1]])
    _, report = smooth_recording(recording(points, scores), Ready(lambda given: given / 2), min_score=0.5)
    assert report.jitter == {"points": (6.0, 3.0)}  # |0 - 2 * 3 + 0| at the one frame with both neighbours
    assert "jitter 6 -> 3 per frame^2 (-50 %)" in report.text()
    assert "jitter 600 -> 300 per s^2" in report.text(fps=10)


def test_report_says_what_was_done():
    points = walk()
    points[5:8, 1] = np.nan
    points[20:32, 2] = np.nan
    text = smooth_recording(recording(points), Ready(Spy(), window=12), max_gap=4, fill=True)[1].text()
    for part in (
        "40 frames, 1 track, 15 of 120 points missing (12.5 %)",
        "3 of them bridged for the smoothing and 3 filled in",
        "1 longer gap split tracks",
        "1 piece shorter than the window padded",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("found", "max_gap", "pieces"),
    [
        ("", 2, []),
        ("..", 2, []),
        ("x", 2, [(0, 1)]),
        (".xx..x.", 2, [(1, 6)]),
        (".xx...x.", 2, [(1, 3), (6, 7)]),
        ("x.x", 0, [(0, 1), (2, 3)]),
    ],
)
def test_uncut(found, max_gap, pieces):
    assert uncut(np.array([c == "x" for c in found], dtype=bool), max_gap) == pieces


# ---------------------------------------------------------------------------------------------- association

BODY = np.array([[0, 0], [0, 2], [1, 1], [-1, 1]], dtype=float)


def test_people_keep_their_numbers_in_any_order():
    rng = np.random.default_rng(0)
    frames, poses, truth = [], [], []
    for t in range(30):
        people = [BODY + at for at in np.array([[0.1 * t, 0], [5 - 0.1 * t, 2.2], [0, 20]])]
        for person in rng.permutation(3):
            if t == 10 and person == 1:
                continue  # not seen for a frame
            frames.append(t)
            poses.append(people[person] + rng.normal(scale=0.05, size=BODY.shape))
            truth.append(int(person))
    tracks = associate(frames, poses)
    assert len(set(zip(tracks, truth, strict=True))) == 3 == len(set(tracks))


def test_someone_far_away_is_someone_else():
    assert associate([0, 1, 2], [BODY, BODY + 0.5, BODY + 5]) == [0, 0, 1]


def test_someone_away_for_long_is_someone_else():
    assert associate([0, 30], [BODY, BODY]) == [0, 0]
    assert associate([0, 31], [BODY, BODY]) == [0, 1]


def test_association_is_free_of_the_unit():
    frames, poses = [0, 0, 1, 1], [BODY, BODY + 4, BODY + 3.8, BODY + 0.2]
    assert associate(frames, poses) == associate(frames, [pose * 1000 + 7 for pose in poses]) == [0, 1, 1, 0]


def test_association_with_missing_joints():
    upper, lower, nobody = BODY.copy(), BODY.copy(), np.full((4, 2), np.nan)
    upper[:2], lower[2:] = np.nan, np.nan
    assert associate([0, 1, 2], [upper, lower, BODY[:3]]) == [0, 0, 0]
    assert associate([0, 1, 2], [BODY, nobody, BODY]) == [0, 1, 0]


def distance(old, new):
    """The mean distance of the joints both show, over the old pose's size."""
    in_old, in_new = (np.isfinite(pose).all(axis=1) for pose in (old, new))
    if not in_old.any() or not in_new.any() or old.shape[1] != new.shape[1]:
        return np.inf
    size = np.sqrt(((old[in_old] - old[in_old].mean(0)) ** 2).sum(1).mean())
    joints = min(len(old), len(new))
    both = in_old[:joints] & in_new[:joints]
    if both.any():
        apart = np.linalg.norm(old[:joints][both] - new[:joints][both], axis=1).mean()
    else:
        apart = np.linalg.norm(old[in_old].mean(0) - new[in_new].mean(0))
    return apart / size if size else 0.0 if apart == 0 else np.inf


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), people=st.integers(0, 4), tracks=st.integers(0, 4), holes=st.floats(0, 0.9))
def test_costs_of_pairs(seed, people, tracks, holes):
    rng = np.random.default_rng(seed)

    def pose():
        points = rng.integers(0, 4, (rng.integers(1, 6), rng.choice([2, 2, 2, 3]))).astype(float)
        points[rng.random(len(points)) < holes, rng.integers(points.shape[1])] = rng.choice([np.nan, np.inf])
        return points

    old, new = [pose() for _ in range(tracks)], [pose() for _ in range(people)]
    expected = np.array([[distance(a, b) for a in old] for b in new]).reshape(people, tracks)
    np.testing.assert_allclose(_pose_distances(old, new), expected, atol=1e-12)


def leaping(gap: int, leap: float, frames: int = 60) -> np.ndarray:
    """Three joints that walk slowly; the middle one is away for `gap` frames and comes back `leap` further on."""
    rng = np.random.default_rng(3)
    points = (
        np.linspace(0, 20, frames)[:, None, None] + rng.normal(0, 0.5, (frames, 3, 2)) + [[0, 0], [30, 50], [0, 90]]
    )
    points[30:, 1, 0] += leap
    points[30 - gap : 30, 1] = np.nan
    return points


@pytest.mark.parametrize("gap", [1, 4, 9])
def test_a_bridge_over_a_leap_does_not_bend_its_ends(gap):
    points = leaping(gap, 250.0)
    smoothed = Smoother.from_checkpoint()(points)
    assert np.array_equal(np.isnan(smoothed), np.isnan(points))
    beside = [*range(25 - gap, 30 - gap), *range(30, 35)]
    assert (
        np.abs(smoothed[beside, 1] - points[beside, 1]).max() < 3
    )  # pixels; noise is 0.5, the straight bridge gave 15
    stream = Smoother.from_checkpoint().stream()
    frames = [stream.push(frame) for frame in points][stream.delay :] + stream.flush()
    np.testing.assert_allclose(np.stack(frames), smoothed, atol=1e-3)


def test_what_moves_on_through_a_gap_is_no_leap():
    t = np.arange(60.0)
    windows = np.stack([20 * t, np.sin(t / 3) * 40, np.full(60, 7.0)])[None, :, None]
    shown = np.ones((1, 3, 60), bool)
    for joint, gap in ((0, 9), (1, 5), (2, 9)):
        shown[0, joint, 20 : 20 + gap] = False
    assert not jumps(windows, shown).any()
    windows[0, 2, 0, 29:] = 8.0  # what never moved comes back elsewhere
    assert np.argwhere(jumps(windows, shown)).tolist() == [[0, 2, 29]]
    shown[0, 2, :20] &= np.arange(20) % 2 == 0
    shown[0, 2, 36:] = False
    assert not jumps(windows, shown).any()  # no run that long: nothing is known of how far it gets


def arc(frames: int = 60) -> np.ndarray:
    """A joint on a circle and two at rest, with a gap where the circle turns."""
    t = np.arange(frames) / 8
    points = np.stack([np.stack([100 * np.cos(t), 100 * np.sin(t)], 1), np.zeros((frames, 2)), np.ones((frames, 2))], 1)
    points[26:34, 0] = np.nan
    return points


def test_a_spline_goes_round_where_a_line_cuts_the_corner():
    true = np.stack([100 * np.cos(np.arange(60) / 8), 100 * np.sin(np.arange(60) / 8)], 1)[26:34]
    smoother = Smoother.from_checkpoint()
    errors = {}
    for fill in (True, "linear", "spline", "network"):
        (values,), report = smooth_recording(recording(arc()), Ready(smoother, window=smoother.window), fill=fill)
        errors[fill] = np.linalg.norm(values[26:34, 0] - true, axis=1).max()
        assert report.filled == 8
    assert errors[True] == errors["linear"] > 5 * errors["spline"] and errors["linear"] > 3 * errors["network"]


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=30))
def test_splines_keep_what_is_known_and_stay_near_it(numbers):
    x = np.array([np.nan if n is None else n for n in numbers])[:, None]
    good = np.isfinite(x)
    filled = spline(x)
    assert np.isfinite(filled).all() and np.array_equal(filled[good], x[good])
    if good.any():
        span = x[good].max() - x[good].min()
        assert (filled >= x[good].min() - span / 2 - 1e-6).all() and (filled <= x[good].max() + span / 2 + 1e-6).all()
    else:
        assert not filled.any()
