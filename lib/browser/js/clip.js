// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) SmoothNet contributors
/** From a recording before and after to a clip for the player: lib/visualize/{clip,sources,page}.py and lib/dataset/skeletons.py. */
import { isShown } from "./gaps.js";
import { CANDIDATES, LIMBS, MIDDLE_NAMES, SKELETONS } from "./skeletons.js";
import { medianOf, quantile, shownOf } from "./tracks.js";

const DEFAULT_RATE = 30, YAW = (-28 * Math.PI) / 180, PITCH = (14 * Math.PI) / 180;
const UPPER = ["head", "nose", "face", "neck"], LOWER = ["ankle", "foot", "toe", "heel"];

/** Which tracks of a recording are drawn: the one that is most to see, and its like. */
export function drawnTracks(recording) {
  const count = (track) => shownOf(track).reduce((a, b) => a + b, 0);
  const rank = (track) => [track.dims === 2 || track.dims === 3 ? 1 : 0, track.joints > 1 ? 1 : 0, count(track)];
  let main = null, best = null;
  for (const track of recording.tracks) {
    const here = rank(track), better = best === null ? 1 : here.map((v, i) => v - best[i]).find((v) => v) ?? 0;
    if (better > 0) [main, best] = [track, here];
  }
  const alike = recording.tracks.filter((t) => t.part === main.part && t.joints === main.joints && t.dims === main.dims);
  return { main, numbers: alike.map((t) => recording.tracks.indexOf(t)) };
}

/** The clip of a recording and its smoothed tracks. */
export function makeClip(recording, smoothed) {
  const { main, numbers } = drawnTracks(recording), flat = main.dims === 1, dims = flat ? 2 : main.dims;
  const { series, start, people } = onOneTimeline(recording, numbers, smoothed, flat);
  const frames = series[0].length / (people * main.joints * dims), joints = main.joints * people;
  const unit = guessUnit(main), skeleton = severalPeople(findSkeleton(main, recording.names), people);
  const axes = dims === 3 ? viewingAxes(series[1], joints, skeleton) : [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
  const names = ["input", "smoothed"], view = extentOf(series, dims, axes);
  const sides = skeleton.joints.map(sideOf), step = dims === 3 ? niceStep(Math.max(...view.size), 6) : 0;
  return {
    title: recording.name + (["", "points", "2D", "3D"].includes(main.part) ? "" : ` · ${main.part}`),
    frames, fps: recording.fps ?? DEFAULT_RATE, first_frame: start, unit, dims, joints: skeleton.joints, sides, edges: skeleton.edges,
    edge_sides: skeleton.edges.map(([a, b]) => { const lateral = new Set([sides[a], sides[b]].filter((s) => s !== "middle")); return lateral.size === 1 ? [...lateral][0] : "middle"; }),
    trails: trailJoints(skeleton.joints, main.joints, people), joint: changedMost(series, joints, dims),
    series: names.map((name, i) => ({ name, role: name, values: series[i] })),
    curves: motionCurves(series, frames, joints, dims, unit),
    axes, view: { centre: view.centre, width: view.size[0], height: view.size[1] },
    grid: dims === 3 ? { step, count: 5, floor: view.floor, centre: [view.centre[0], view.centre[2]] } : null,
    yaw: dims === 3 ? YAW : 0, pitch: dims === 3 ? PITCH : 0,
  };
}

/** Tracks as one series (frames, joints of all, dims); those that share no frame share their columns. One number is drawn over the joints. */
function onOneTimeline(recording, numbers, smoothed, flat) {
  const tracks = numbers.map((n) => recording.tracks[n]), ends = [], places = [];
  const start = Math.min(...tracks.map((t) => t.start)), stop = Math.max(...tracks.map((t) => t.start + t.frames));
  for (const n of [...numbers].sort((a, b) => recording.tracks[a].start - recording.tracks[b].start)) {
    const track = recording.tracks[n], free = ends.findIndex((end) => end <= track.start), place = free < 0 ? ends.length : free;
    ends[place] = track.start + track.frames;
    places.push([n, place]);
  }
  const { joints } = tracks[0], dims = flat ? 2 : tracks[0].dims, all = joints * ends.length;
  const series = [0, 1].map(() => new Float64Array((stop - start) * all * dims).fill(NaN));
  for (const [n, place] of places) {
    const track = recording.tracks[n];
    [track.data, smoothed[n]].forEach((data, s) => {
      for (let t = 0; t < track.frames; t++) for (let k = 0; k < joints; k++) for (let d = 0; d < track.dims; d++) {
        const to = ((track.start - start + t) * all + place * joints + k) * dims, value = data[(t * joints + k) * track.dims + d];
        if (flat) { series[s][to] = Number.isNaN(value) ? NaN : k; series[s][to + 1] = value; } else series[s][to + d] = value;
      }
    });
  }
  return { series, start, people: ends.length };
}

// ---- skeletons ----

const sideOf = (joint) => { const first = joint.split("_")[0]; return first === "left" || first === "right" ? first : "middle"; };

function findSkeleton(track, names) {
  if (names && names.length === track.joints) {
    const named = skeletonFromNames(names);
    if (2 * named.edges.length >= named.joints.length) return named;
  }
  const likely = (CANDIDATES[`${track.joints} x ${track.dims}`] ?? []).map((name) => [name, meanEdge(SKELETONS[name], track)]);
  if (!likely.length) return { joints: names?.length === track.joints ? names : Array.from({ length: track.joints }, (_, k) => `joint ${k}`), edges: [] };
  const shortest = likely.reduce((a, b) => (b[1] < a[1] ? b : a));
  return SKELETONS[shortest[1] < 0.8 * likely[0][1] ? shortest[0] : likely[0][0]];
}

function meanEdge(skeleton, { frames, joints, dims, data }) {
  let sum = 0, count = 0;
  for (let t = 0; t < frames; t++) for (const [a, b] of skeleton.edges) {
    let square = 0;
    for (let d = 0; d < dims; d++) square += (data[(t * joints + a) * dims + d] - data[(t * joints + b) * dims + d]) ** 2;
    if (Number.isFinite(square)) { sum += Math.sqrt(square); count++; }
  }
  return count ? sum / count : Infinity;
}

/** RBigToe, right_big_toe and "Right Big Toe" -> right_big_toe. */
function canonicalJoint(name) {
  const words = (name.match(/[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+/g) ?? []).map((word) => word.toLowerCase());
  for (const side of ["left", "right"]) for (const at of [0, words.length - 1]) {
    if (words.length > 1 && [side, side[0]].includes(words[at])) return [side, ...words.filter((_, i) => i !== at)].join("_");
  }
  return words.join("_") || name;
}

function skeletonFromNames(names) {
  let joints = names.map(canonicalJoint);
  if (new Set(joints).size < joints.length) joints = [...names];
  const number = new Map(joints.map((name, k) => [name, k]));
  const [pelvis, neck, head] = MIDDLE_NAMES.map((group) => group.find((name) => number.has(name)));
  const pairs = [[pelvis, neck], [neck, head], ...MIDDLE_NAMES[2].filter((n) => n !== head).map((n) => [head, n])];
  for (const side of ["left", "right"]) {
    pairs.push(...LIMBS.map(([a, b]) => [`${side}_${a}`, `${side}_${b}`]));
    pairs.push([neck, `${side}_shoulder`], [pelvis, `${side}_hip`], ["nose", `${side}_eye`]);
    if (neck === undefined || pelvis === undefined) pairs.push([`${side}_shoulder`, `${side}_hip`]);
  }
  if (neck === undefined) pairs.push(["left_shoulder", "right_shoulder"]);
  if (pelvis === undefined) pairs.push(["left_hip", "right_hip"]);
  return { joints, edges: pairs.filter(([a, b]) => number.has(a) && number.has(b)).map(([a, b]) => [number.get(a), number.get(b)]) };
}

function severalPeople({ joints, edges }, people) {
  if (people === 1) return { joints, edges };
  const each = Array.from({ length: people }, (_, p) => p);
  return {
    joints: each.flatMap((p) => joints.map((name) => `${name} (${p + 1})`)),
    edges: each.flatMap((p) => edges.map(([a, b]) => [a + p * joints.length, b + p * joints.length])),
  };
}

function trailJoints(names, joints, people) {
  const ends = names.map((_, k) => k).filter((k) => /(wrist|ankle)$|^(left|right)_foot$/.test(names[k].replace(/ \(\d+\)$/, "")));
  return ends.length ? ends.slice(0, 4 * people) : names.map((_, k) => k).slice(0, 4);
}

/** The joint that smoothing moved most. */
function changedMost([input, smoothed], joints, dims) {
  const square = new Float64Array(joints), count = new Float64Array(joints);
  for (let i = 0; i < input.length; i += dims) {
    const k = (i / dims) % joints;
    if (!isShown(input, i, dims) || !isShown(smoothed, i, dims)) continue;
    for (let d = 0; d < dims; d++) square[k] += (smoothed[i + d] - input[i + d]) ** 2;
    count[k]++;
  }
  return square.reduce((best, value, k) => (value / Math.max(1, count[k]) > square[best] / Math.max(1, count[best]) ? k : best), 0);
}

// ---- where the body stands ----

/** Rows right, up, to the viewer: up is the axis nearest to the way from feet to head, right the body's left. */
function viewingAxes(data, joints, skeleton) {
  const mean = (chosen) => {
    const sum = [0, 0, 0];
    let count = 0;
    for (let t = 0; t < data.length / (3 * joints); t++) for (const k of chosen) {
      const at = (t * joints + k) * 3;
      if (!isShown(data, at, 3)) continue;
      for (let d = 0; d < 3; d++) sum[d] += data[at + d];
      count++;
    }
    return sum.map((v) => v / count); // NaN where none is there
  };
  const which = (test) => skeleton.joints.map((_, k) => k).filter((k) => test(skeleton.joints[k]));
  const minus = (a, b) => a.map((v, d) => v - b[d]);
  const direction = minus(mean(which((n) => UPPER.some((w) => n.includes(w)))), mean(which((n) => LOWER.some((w) => n.includes(w)))));
  let axis = 1, sign = -1;
  if (direction.every(Number.isFinite) && direction.some((v) => v)) {
    axis = direction.reduce((best, v, d) => (Math.abs(v) > Math.abs(direction[best]) ? d : best), 0);
    sign = Math.sign(direction[axis]);
  }
  const up = [0, 0, 0];
  up[axis] = sign;
  let right = minus(mean(which((n) => sideOf(n) === "left")), mean(which((n) => sideOf(n) === "right")));
  right[axis] = 0;
  const length = Math.hypot(...right);
  right = length > 1e-9 ? right.map((v) => v / length) : [axis !== 0 ? 1 : 0, axis !== 0 ? 0 : 1, 0];
  return [right, up, [right[1] * up[2] - right[2] * up[1], right[2] * up[0] - right[0] * up[2], right[0] * up[1] - right[1] * up[0]]];
}

/** Middle and size (right, up, depth) of what is shown, but for the most distant points; the width covers the poses from every side. */
function extentOf(series, dims, axes) {
  const columns = [[], [], []], stride = dims * Math.max(1, Math.ceil((series.length * series[0].length) / dims / 200000));
  for (const data of series) for (let i = 0; i < data.length; i += stride) {
    if (!isShown(data, i, dims)) continue;
    const p = data.subarray(i, i + dims);
    if (dims === 3) axes.forEach((row, a) => columns[a].push(row[0] * p[0] + row[1] * p[1] + row[2] * p[2]));
    else { columns[0].push(p[0]); columns[1].push(-p[1]); columns[2].push(0); }
  }
  const sorted = columns.map((c) => Float64Array.from(c.length ? c : [0]).sort());
  const low = sorted.map((c) => quantile(c, 0.005)), high = sorted.map((c) => quantile(c, 0.995));
  const size = low.map((l, a) => Math.max(high[a] - l, 1e-9)), floor = quantile(sorted[1], 0.002);
  if (dims === 3) {
    size[0] = size[2] = Math.hypot(size[0], size[2]) * 0.8;
    size[1] *= 1.1;
  }
  if (Math.max(...size) < 1e-8) size.fill(1);
  return { centre: low.map((l, a) => (l + high[a]) / 2), size, floor };
}

function niceStep(span, count) {
  const raw = Math.max(span, 1e-12) / count, power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 2.5, 5, 10].map((m) => m * power).reduce((a, b) => (Math.abs(b - raw) < Math.abs(a - raw) ? b : a));
}

/** The likeliest unit from the height of a pose: m or mm in 3D, px in 2D; "" where neither is plausible. */
function guessUnit({ frames, joints, dims, data }) {
  const heights = [];
  for (let t = 0; t < frames; t++) {
    let most = -1;
    for (let d = 0; d < dims; d++) {
      let low = Infinity, high = -Infinity;
      for (let k = 0; k < joints; k++) {
        const at = (t * joints + k) * dims;
        if (isShown(data, at, dims)) { low = Math.min(low, data[at + d]); high = Math.max(high, data[at + d]); }
      }
      most = Math.max(most, high - low);
    }
    if (most >= 0) heights.push(most);
  }
  const size = heights.length ? medianOf(heights) : 0;
  if (dims !== 3) return dims === 2 && size > 10 ? "px" : "";
  return size > 0.2 && size < 5 ? "m" : size > 200 && size < 5000 ? "mm" : "";
}

// ---- curves ----

/** How much each series jitters, and how far smoothing moved it; means over the joints that are there. */
function motionCurves(series, frames, joints, dims, unit) {
  const [factor, shown] = unit === "m" ? [1000, "mm"] : [1, unit || "unit"], size = joints * dims;
  const overJoints = (length) => Float64Array.from({ length: frames }, (_, t) => {
    let sum = 0, count = 0;
    for (let k = 0; k < joints; k++) {
      let square = 0;
      for (let d = 0; d < dims; d++) square += length(t, k * dims + d) ** 2;
      if (Number.isFinite(square)) { sum += Math.sqrt(square); count++; }
    }
    return count ? (factor * sum) / count : NaN;
  });
  const bend = (v) => overJoints((t, c) => (t > 0 && t < frames - 1 ? v[(t + 1) * size + c] - 2 * v[t * size + c] + v[(t - 1) * size + c] : NaN));
  const curve = (name, of, lines) => {
    const means = {};
    for (const { name: key, values } of lines) {
      const known = values.filter((v) => !Number.isNaN(v));
      if (known.length) means[key] = known.reduce((a, b) => a + b, 0) / known.length;
    }
    return { name, unit: of, means, lines };
  };
  const lines = ["input", "smoothed"].map((name, i) => ({ name, role: name, values: bend(series[i]) }));
  const moved = overJoints((t, c) => series[1][t * size + c] - series[0][t * size + c]);
  return [curve("Acceleration", `${shown}/frame²`, lines), curve("Moved by smoothing", shown, [{ name: "smoothed", role: "smoothed", values: moved }])];
}
