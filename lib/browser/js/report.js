// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) SmoothNet contributors
/** What smoothing did to a recording, in numbers and in words: lib/inference/report.py. */
import { shownPoints } from "./gaps.js";
import { quantile } from "./tracks.js";

const MOTION_SECONDS = 1 / 30, MOTION_CORRELATION = 0.5, MOTION_SIZE = 0.01, LEAPS = 0.6, TELLING = 50;

/**
 * Each part of a recording -> {frames, moved: [RMS, at 95 %, most] or null, jitter: [before, after] or null (per frame^2), leaps,
 * correlation, slow}. What the words mean, see lib/inference/report.py.
 *
 * @param smoothed for each track an array like its data
 */
export function reportOf(recording, smoothed, fps = null) {
  const lag = fps ? Math.max(1, Math.round(MOTION_SECONDS * fps)) : 1, parts = new Map();
  recording.tracks.forEach((track, n) => {
    if (!parts.has(track.part)) parts.set(track.part, { moved: [], before: 0, after: 0, bends: 0, body: [0, 0, 0], square: 0, product: 0, sizes: 0 });
    addTrack(parts.get(track.part), track, smoothed[n], lag);
  });
  return new Map([...parts].map(([name, sums]) => [name, { frames: recording.frameCount, ...partOf(sums) }]));
}

function addTrack(sums, { frames, joints, dims, data }, values, lag) {
  const found = shownPoints({ frames, joints, dims, data }), row = joints * dims, size = bodySize({ frames, joints, dims, data }, found);
  const bend = (x, i) => {
    let square = 0;
    for (let d = 0; d < dims; d++) square += (x[i + d - row] - 2 * x[i + d] + x[i + d + row]) ** 2;
    return Math.sqrt(square);
  };
  let before = 0, bends = 0, square = 0, product = 0, pairs = 0;
  for (let t = 0; t < frames; t++) for (let k = 0; k < joints; k++) {
    const point = t * joints + k, i = point * dims;
    if (!found[point]) continue;
    let moved = 0;
    for (let d = 0; d < dims; d++) moved += (values[i + d] - data[i + d]) ** 2;
    sums.moved.push(Math.sqrt(moved));
    if (t > 0 && t < frames - 1 && found[point - joints] && found[point + joints]) {
      before += bend(data, i);
      sums.after += bend(values, i);
      bends++;
    }
    const then = i + lag * row;
    if (t + lag >= frames || !found[point + lag * joints]) continue;
    pairs++;
    for (let d = 0; d < dims; d++) {
      const a = values[i + d] - data[i + d], b = values[then + d] - data[then + d];
      square += (a * a + b * b) / 2;
      product += a * b;
    }
  }
  sums.before += before;
  sums.bends += bends;
  sums.square += square;
  sums.product += product;
  sums.sizes += size ** 2 * pairs;
  if (joints > 2 && dims > 1) [before, size ** 2 * bends, bends].forEach((value, at) => { sums.body[at] += value; });
}

/** RMS distance of the joints found from their centroid; of a single joint, from its mean over time. */
function bodySize({ frames, joints, dims, data }, found) {
  const alone = joints === 1, groups = alone ? 1 : frames, members = alone ? frames : joints;
  let square = 0, count = 0;
  for (let g = 0; g < groups; g++) {
    const points = [];
    for (let m = 0; m < members; m++) if (found[g * members + m]) points.push((g * members + m) * dims);
    for (let d = 0; d < dims; d++) {
      const middle = points.reduce((sum, i) => sum + data[i + d], 0) / Math.max(points.length, 1);
      for (const i of points) square += (data[i + d] - middle) ** 2;
    }
    count += points.length;
  }
  return Math.sqrt(square / Math.max(count, 1));
}

function partOf({ moved, before, after, bends, body, square, product, sizes }) {
  const sorted = Float64Array.from(moved).sort(), squares = sorted.reduce((sum, v) => sum + v * v, 0);
  return {
    moved: sorted.length ? [Math.sqrt(squares / sorted.length), quantile(sorted, 0.95), sorted[sorted.length - 1]] : null,
    jitter: bends ? [before / bends, after / bends] : null,
    leaps: body[2] >= TELLING && body[1] > 0 ? body[0] / Math.sqrt(body[1] * body[2]) : 0,
    correlation: square > 0 ? product / square : 0,
    slow: sizes > 0 ? Math.sqrt(Math.max(product, 0) / sizes) : 0,
  };
}

const short = (value) => String(Number(value.toPrecision(3)));

/** What people read of it: [sentences, a warning or null]. */
export function reportTexts(parts, fps = null) {
  const sentences = [];
  for (const [name, { moved, jitter }] of parts) {
    const of = parts.size > 1 ? ` (${name})` : "";
    if (moved) sentences.push(`moved${of} by ${short(moved[0])} (RMS), ${short(moved[1])} at 95 %, ${short(moved[2])} at most`);
    if (!jitter) continue;
    const [before, after] = jitter.map((value) => value * (fps ? fps ** 2 : 1));
    const change = before > 0 ? ` (${after < before ? "−" : "+"}${Math.round(100 * Math.abs(after / before - 1))} %)` : "";
    sentences.push(`jitter${of} ${short(before)} → ${short(after)} per ${fps ? "s²" : "frame²"}${change}`);
  }
  return [sentences, warningOf([...parts])];
}

function warningOf(named) {
  const parts = named.map(([, part]) => part);
  const leaps = Math.max(0, ...parts.map((part) => part.leaps));
  if (leaps > LEAPS) {
    return `its joints leap by ${Math.round(100 * leaps)} % of the body's size in each frame, as where lists have them in changing order or rows are no frames; look whether the result can be right`;
  }
  const seen = parts.some(({ moved }) => moved);
  if (seen && parts[0].frames < 3) return "one or two frames show no motion, so there is nothing to smooth; give all frames of the recording";
  if (seen && !parts.some(({ jitter, moved }) => jitter || moved?.[2] > 0)) {
    return "nobody is seen in three frames running, so nothing was smoothed; look whether the file says in each frame who is who";
  }
  const lost = named.filter(([, { correlation, slow }]) => correlation > MOTION_CORRELATION && slow > MOTION_SIZE);
  if (!lost.length) return null;
  const [name, worst] = lost.reduce((a, b) => (b[1].slow > a[1].slow ? b : a));
  return `what was removed${named.length > 1 ? ` (${name})` : ""} looks like motion rather than noise (it changes slowly, correlation ${worst.correlation.toFixed(2)} over 1/30 s, and is ${(100 * worst.slow).toFixed(1)} % of the body's size); smooth less with the strength`;
}
