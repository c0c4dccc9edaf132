// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) SmoothNet contributors
/**
 * Points, missing points and windows: lib/utils/gaps.py and lib/inference/overlap.py.
 *
 * Points of one person are {frames, joints, dims, data}, data a Float64Array (frames, joints, dims), NaN where missing.
 */

export const MAX_GAP = 10; // frames in a row without any point that are bridged
const UNSURE = 1e-9; // weight of the first window where it holds a point's last value; squared: of later windows

export function emptyPoints(frames, joints, dims) {
  return { frames, joints, dims, data: new Float64Array(frames * joints * dims).fill(NaN) };
}

/** Whether the point that starts at `at` is there: all its coordinates are finite. */
export function isShown(data, at, dims) {
  for (let d = 0; d < dims; d++) if (!Number.isFinite(data[at + d])) return false;
  return true;
}

/** (frames, joints) of 0 and 1. */
export function shownPoints(points) {
  const { frames, joints, dims, data } = points, found = new Uint8Array(frames * joints);
  for (let i = 0; i < found.length; i++) found[i] = isShown(data, i * dims, dims) ? 1 : 0;
  return found;
}

/** Spans [first, last) of found frames that no gap of more than maxGap frames separates. */
export function uncutSpans(length, found, maxGap) {
  const spans = [];
  let first = -1, last = -1;
  for (let t = 0; t < length; t++) {
    if (!found(t)) continue;
    if (first >= 0 && t - last > maxGap + 1) {
      spans.push([first, last + 1]);
      first = t;
    }
    if (first < 0) first = t;
    last = t;
  }
  if (first >= 0) spans.push([first, last + 1]);
  return spans;
}

/**
 * First frames of the windows of L >= W frames, as [start, hurried]: lib/inference/overlap.py says which, and why those before
 * their turn, hurried, count nothing for their first frame.
 *
 * @param shown frame -> whether it shows any point
 */
export function chosenWindows(length, shown, window, step) {
  const starts = [[0, false]];
  let whole = true;
  for (let t = 0; t < length; t++) whole &&= shown(t);
  for (let end = window; end < length; end++) {
    const due = end - (starts[starts.length - 1][0] + window - 1) >= step, alone = end + 1 === length || !shown(end + 1);
    if ((whole || shown(end)) && (due || alone)) starts.push([end - window + 1, !due]);
  }
  return starts;
}

/** Fewer than W frames of `size` numbers, continued to W by point reflection about the last frame, again and again. */
export function continueFrames(data, length, size, window) {
  const out = new Float64Array(window * size).fill(NaN);
  out.set(data.subarray(0, length * size));
  for (let have = length; have < window;) {
    const more = Math.min(Math.max(have - 1, 1), window - have), last = have - 1;
    for (let i = 1; i <= more; i++) for (let c = 0; c < size; c++) {
      out[(last + i) * size + c] = length === 1 ? out[c] : 2 * out[last * size + c] - out[(last - i) * size + c];
    }
    have += more;
  }
  return out;
}

/**
 * The window of W frames from `first` on, through the network.
 *
 * Missing points are interpolated between their neighbours in the window, or hold the nearest one.
 * @returns (K, D, W) Float64Array
 */
export function smoothWindow(network, data, first, joints, dims, strength) {
  const W = network.window, size = joints * dims, window = new Float64Array(size * W);
  let shown = null;
  for (let k = 0; k < joints; k++) {
    const there = [];
    for (let w = 0; w < W; w++) if (isShown(data, (first + w) * size + k * dims, dims)) there.push(w);
    if (there.length < W) shown ??= new Float64Array(joints).fill(1);
    if (!there.length) {
      shown[k] = 0;
      continue;
    }
    for (let w = 0, next = 0; w < W; w++) {
      while (next < there.length && there[next] < w) next++;
      const after = there[Math.min(next, there.length - 1)], before = next > 0 && after !== w ? there[next - 1] : after;
      const share = after > before ? (w - before) / (after - before) : 0;
      for (let d = 0; d < dims; d++) {
        const a = data[(first + before) * size + k * dims + d], b = data[(first + after) * size + k * dims + d];
        window[(k * dims + d) * W + w] = a + share * (b - a);
      }
    }
  }
  return network.smooth(window, joints, dims, shown, Math.max(strength, 1));
}

/** How much a window counts for a point, by whether its last frame shows it. */
export function windowWeight(lastShown, firstWindow) {
  return lastShown ? 1 : firstWindow ? UNSURE : UNSURE * UNSURE;
}
