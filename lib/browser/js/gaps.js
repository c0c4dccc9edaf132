// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) SmoothNet contributors
/**
 * Points, missing points and windows: lib/utils/gaps.py and lib/inference/overlap.py.
 *
 * Points of one person are {frames, joints, dims, data}, data a Float64Array (frames, joints, dims), NaN where missing.
 */

export const MAX_GAP = 10; // frames in a row without any point that are bridged
const JUMP = 3; // so many times as far as in as many frames elsewhere in the window: then a joint did not go there
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

/** Where a joint comes back from a gap somewhere else: first frames behind it, of the frames that show it in a window. */
function jumps(there, distance) {
  const behind = [];
  for (let i = 1; i < there.length; i++) {
    const h = there[i] - there[i - 1];
    if (h === 1) continue;
    let most = -1;
    for (let j = 0; j + h < there.length; j++) {
      if (there[j + h] - there[j] === h) most = Math.max(most, distance(there[j], there[j + h]));
    }
    if (most >= 0 && distance(there[i - 1], there[i]) > JUMP * most) behind.push(there[i]);
  }
  return behind;
}

/**
 * The window of W frames from `first` on, through the network.
 *
 * Missing points are interpolated between their neighbours in the window, or hold the nearest one. A joint that leaps in a
 * gap goes in as one joint a piece: lib/inference/overlap.py.
 * @returns (K, D, W) Float64Array
 */
export function smoothWindow(network, data, first, joints, dims, strength) {
  const W = network.window, size = joints * dims, columns = []; // of a column: joint, frames that show it, [from, to) it is for
  const value = (w, k, d) => data[(first + w) * size + k * dims + d];
  let all = true;
  for (let k = 0; k < joints; k++) {
    const there = [];
    for (let w = 0; w < W; w++) if (isShown(data, (first + w) * size + k * dims, dims)) there.push(w);
    all &&= there.length === W;
    const distance = (a, b) => {
      let sum = 0;
      for (let d = 0; d < dims; d++) sum += (value(b, k, d) - value(a, k, d)) ** 2;
      return Math.sqrt(sum);
    };
    const ends = there.length < W ? [...jumps(there, distance), W] : [W];
    ends.forEach((to, i) => {
      const from = i ? ends[i - 1] : 0;
      columns.push({ k, from, to, there: there.filter((w) => w >= from && w < to) });
    });
  }
  const window = new Float64Array(columns.length * dims * W), shown = all ? null : new Float64Array(columns.length).fill(1);
  columns.forEach(({ k, there }, column) => {
    if (!there.length) {
      shown[column] = 0;
      return;
    }
    for (let w = 0, next = 0; w < W; w++) {
      while (next < there.length && there[next] < w) next++;
      const after = there[Math.min(next, there.length - 1)], before = next > 0 && after !== w ? there[next - 1] : after;
      const share = after > before ? (w - before) / (after - before) : 0;
      for (let d = 0; d < dims; d++) {
        const a = value(before, k, d), b = value(after, k, d);
        window[(column * dims + d) * W + w] = a + share * (b - a);
      }
    }
  });
  const smoothed = network.smooth(window, columns.length, dims, shown, Math.max(strength, 1));
  if (columns.length === joints) return smoothed;
  const out = new Float64Array(size * W);
  columns.forEach(({ k, from, to }, column) => {
    for (let d = 0; d < dims; d++) {
      const row = (column * dims + d) * W;
      out.set(smoothed.subarray(row + from, row + to), (k * dims + d) * W + from);
    }
  });
  return out;
}

/** How much a window counts for a point, by whether its last frame shows it. */
export function windowWeight(lastShown, firstWindow) {
  return lastShown ? 1 : firstWindow ? UNSURE : UNSURE * UNSURE;
}
