// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) SmoothNet contributors
/** Smooth a recording that is there as a whole: lib/inference/smoother.py. */
import { MAX_GAP, chosenWindows, continueFrames, emptyPoints, isShown, shownPoints, smoothWindow, uncutSpans, windowWeight } from "./gaps.js";
import { loadNetwork } from "./network.js";
import { Stream } from "./stream.js";

const SLICE = 12; // milliseconds of work between two looks at what the user does

export class Smoother {
  /**
   * @param weights the default export of weights.js, or of a file written by `smoothnet page`
   * @param options.strength 0 gives the input back, 1 what the network says, up to 4 smoother
   * @param options.fps frames per second of what is smoothed; null: unknown
   */
  constructor(weights, { strength = 1, fps = null } = {}) {
    this.network = loadNetwork(weights).at(fps);
    this.window = this.network.window;
    this.strength = checkStrength(this.network, strength);
  }

  /**
   * Smooth one person's recording.
   *
   * @param points nested arrays [[[x, y], ...], ...] (frames, joints, coordinates), null or NaN where missing,
   *   or {frames, joints, dims, data}
   * @param options strength; fps; step, frames between windows (the network's own by default); maxGap, frames without any point that are
   *   bridged (10)
   * @returns the same form; NaN (null in nested arrays) where the input was missing
   */
  smooth(points, options = {}) {
    const [read, restore] = readRecordingPoints(points), work = this.steps(read, options);
    for (;;) {
      const { done, value } = work.next();
      if (done) return restore(value);
    }
  }

  /** The same, a few milliseconds at a time: the page stays alive. `options.progress` is told the share that is done. */
  async smoothAsync(points, options = {}) {
    const [read, restore] = readRecordingPoints(points);
    return restore(await drain(this.steps(read, options), read.frames, options));
  }

  /** A generator that yields the number of frames done after each window and returns the smoothed points. */
  *steps(points, { strength = this.strength, fps, step = this.network.step, maxGap = MAX_GAP } = {}) {
    checkStrength(this.network, strength);
    const network = this._told(fps);
    if (!(Number.isInteger(step) && step >= 1)) throw new Error(`step must be at least 1 frame, not ${step}`);
    const { frames, joints, dims, data } = points, size = joints * dims;
    const found = shownPoints(points), result = emptyPoints(frames, joints, dims);
    const anything = (t) => found.subarray(t * joints, (t + 1) * joints).includes(1);
    for (const [first, last] of uncutSpans(frames, anything, maxGap)) {
      const segment = data.slice(first * size, last * size);
      for (let i = 0; i < (last - first) * joints; i++) if (!found[first * joints + i]) segment.fill(NaN, i * dims, (i + 1) * dims);
      const smoothed = yield* smoothSegment(network, segment, last - first, joints, dims, step, strength);
      for (let i = 0; i < segment.length; i++) {
        const s = Number.isNaN(segment[i]) ? NaN : smoothed[i];
        if (!Number.isNaN(segment[i]) && !Number.isFinite(s)) throw new Error("the network gave what is no finite number; its weights may be damaged");
        result.data[first * size + i] = strength < 1 ? segment[i] + strength * (s - segment[i]) : s;
      }
    }
    return result;
  }

  /** The network, told another frame rate than the smoother's where one is given. */
  _told(fps) {
    return fps === undefined ? this.network : this.network.at(fps);
  }

  /** Start smoothing frames as they come; see Stream. The delay is W - 1 frames if not given, the step the network's own where that loses next to nothing. */
  stream({ fps, ...options } = {}) {
    return new Stream(this._told(fps), { strength: this.strength, ...options });
  }
}

/** Run a generator of windows without keeping the page from anything else. */
export async function drain(work, frames, { progress = null, signal = null } = {}) {
  let done = 0;
  for (;;) {
    const until = performance.now() + SLICE;
    do {
      const next = work.next();
      if (next.done) return next.value;
      done += next.value;
    } while (performance.now() < until);
    progress?.(Math.min(1, done / Math.max(1, frames)));
    await new Promise((resolve) => setTimeout(resolve, 0));
    signal?.throwIfAborted();
  }
}

export function checkStrength(network, strength) {
  if (!(strength >= 0 && strength <= network.strongest)) {
    throw new Error(`this network has strengths from 0 to ${network.strongest}, not ${strength}`);
  }
  return strength;
}

/** The mean over all windows of one piece of a recording, (L, K, D) with NaN. */
function* smoothSegment(network, segment, length, joints, dims, step, strength) {
  const W = network.window, size = joints * dims, padded = Math.max(length, W);
  const data = length < W ? continueFrames(segment, length, size, W) : segment;
  const total = new Float64Array(padded * size), weight = new Float64Array(padded * joints);
  step = Math.min(step, W); // so that every frame is covered
  const anybody = (t) => { for (let k = 0; k < joints; k++) if (isShown(data, t * size + k * dims, dims)) return true; return false; };
  let seen = W; // frames of the first window up to the last that shows anybody; it goes on from there
  while (length >= W && !anybody(seen - 1)) seen--;
  const begin = seen < W ? continueFrames(data, seen, size, W) : data;
  for (const [start, hurried] of chosenWindows(padded, anybody, W, step)) {
    const smoothed = smoothWindow(network, start ? data : begin, start, joints, dims, strength);
    for (let k = 0; k < joints; k++) {
      const sure = windowWeight(isShown(data, (start + W - 1) * size + k * dims, dims), start === 0);
      for (let w = 0; w < W; w++) {
        const counts = hurried && w === 0 ? 0 : sure * network.taper[w];
        weight[(start + w) * joints + k] += counts;
        for (let d = 0; d < dims; d++) total[(start + w) * size + k * dims + d] += counts * smoothed[(k * dims + d) * W + w];
      }
    }
    yield step;
  }
  for (let i = 0; i < total.length; i++) total[i] /= weight[Math.floor(i / dims)];
  return total;
}

/** Points in the form of this package, and the way back to the caller's form. */
function readRecordingPoints(points) {
  if (points?.data instanceof Float64Array) {
    if (points.data.length !== points.frames * points.joints * points.dims) throw new Error("data must hold frames x joints x dims numbers");
    return [points, (smoothed) => smoothed];
  }
  if (!Array.isArray(points)) throw new Error("points must be (frames, joints, dims): nested arrays, or {frames, joints, dims, data}");
  const joints = points[0]?.length ?? 0, dims = points[0]?.[0]?.length ?? 0;
  const read = emptyPoints(points.length, joints, dims);
  points.forEach((frame, t) => {
    if (frame?.length !== joints || frame.some((joint) => joint?.length !== dims)) throw new Error(`frame ${t} has another shape than the first, ${joints} joints x ${dims}`);
    frame.forEach((joint, k) => joint.forEach((value, d) => { read.data[(t * joints + k) * dims + d] = value ?? NaN; }));
  });
  return [read, (smoothed) => points.map((frame, t) => frame.map((_, k) => Array.from({ length: dims }, (_, d) => {
    const value = smoothed.data[(t * joints + k) * dims + d];
    return Number.isNaN(value) ? null : value;
  })))];
}
