// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) SmoothNet contributors
/** Smooth frames as they come, with a chosen delay: lib/inference/stream.py. */
import { MAX_GAP, continueFrames, isShown, smoothWindow, windowWeight } from "./gaps.js";

/** A track between two long gaps: its newest W frames and what the windows so far say of them. */
class StreamSegment {
  constructor(network, step, now, joints, dims) {
    const W = network.window;
    Object.assign(this, { network, step, ran: -1, joints, dims, size: joints * dims, first: now, last: now, newest: now - 1 });
    this.frames = new Float64Array(W * this.size).fill(NaN);
    this.total = new Float64Array(W * this.size);
    this.weight = new Float64Array(W * joints);
    this.padded = null; // (K, D, W), output while there are fewer than W frames
  }

  get length() {
    return this.newest - this.first + 1;
  }

  /** Take the next frame; null if nobody was seen. */
  append(data) {
    this.newest++;
    this.padded = null;
    const { frames, total, weight, size, joints, dims } = this;
    frames.copyWithin(0, size);
    total.copyWithin(0, size);
    weight.copyWithin(0, joints);
    if (data) frames.set(data, frames.length - size);
    else frames.fill(NaN, frames.length - size);
    total.fill(0, total.length - size);
    weight.fill(0, weight.length - joints);
    for (let k = 0; k < joints; k++) if (isShown(frames, frames.length - size + k * dims, dims)) this.last = this.newest;
  }

  /** Whether the newest window is to be run now: see chosenWindows. */
  get due() {
    const W = this.network.window;
    return this.length <= W ? this.length === W : this.last === this.newest && this.newest - this.ran >= this.step;
  }

  /** Whether the newest window is to be run if nobody is seen in the next frame. */
  get waits() {
    return this.length > this.network.window && this.last === this.newest && this.ran < this.newest;
  }

  /** Run the network on the newest W frames, or on all frames up to the last that shows anything and what continues them. */
  evaluate(strength) {
    const { network, frames, size, joints, dims, length } = this, W = network.window, seen = this.last - this.first + 1;
    const data = length > W || seen === W ? frames : continueFrames(frames.subarray((W - length) * size), seen, size, W);
    const smoothed = smoothWindow(network, data, 0, joints, dims, strength);
    if (!smoothed.every(Number.isFinite)) throw new Error("the network gave what is no finite number; its weights may be damaged");
    if (length < W) {
      this.padded = smoothed;
      return;
    }
    const hurried = length > W && this.newest - this.ran < this.step;
    this.ran = this.newest;
    for (let k = 0; k < joints; k++) {
      const sure = windowWeight(isShown(frames, (W - 1) * size + k * dims, dims), length === W);
      for (let w = 0; w < W; w++) {
        const counts = hurried && w === 0 ? 0 : sure * network.taper[w];
        this.weight[w * joints + k] += counts;
        for (let d = 0; d < dims; d++) this.total[w * size + k * dims + d] += counts * smoothed[(k * dims + d) * W + w];
      }
    }
  }

  /** (K, D) of frame `number`, NaN where it was missing. */
  output(number, strength) {
    const { frames, size, dims, joints } = this, W = this.network.window, at = W + number - this.newest - 1;
    const out = new Float64Array(size);
    for (let k = 0; k < joints; k++) {
      const there = isShown(frames, at * size + k * dims, dims);
      for (let d = 0; d < dims; d++) {
        const c = k * dims + d, old = frames[at * size + c];
        const smoothed = this.padded ? this.padded[c * W + number - this.first] : this.total[at * size + c] / this.weight[at * joints + k];
        out[c] = !there ? NaN : strength < 1 ? old + strength * (smoothed - old) : smoothed;
      }
    }
    return out;
  }
}

/**
 * Smooths one person, or several with ids, frame by frame.
 *
 * A frame comes out `delay` frames after it went in, in the form in which it went in: arrays of arrays, landmarks {x, y, z},
 * {keypoints: ...}; several people are a Map id -> frame. What was missing comes back as it was.
 */
export class Stream {
  /**
   * @param network of a Smoother
   * @param options delay, 0 to W - 1 frames (W - 1); step, 1 to delay + 1 frames between runs of the network (its own where that loses
   *   next to nothing, with a delay near W - 1, else 1); maxGap (10), frames that somebody may be away and still be the
   *   same; strength (1); minScore, points with a lower score or visibility are missing; dims, 2 leaves z of landmarks alone
   */
  constructor(network, { delay = network.window - 1, maxGap = MAX_GAP, strength = 1, minScore = null, dims = null, step = null } = {}) {
    if (!(Number.isInteger(delay) && delay >= 0 && delay < network.window)) {
      throw new Error(`delay must be from 0 to ${network.window - 1} frames (window ${network.window}), not ${delay}`);
    }
    step ??= delay >= network.window - 1 - Math.floor(network.step / 2) ? network.step : 1;
    if (!(Number.isInteger(step) && step >= 1 && step <= delay + 1)) throw new Error(`step must be from 1 to ${delay + 1} frames (delay ${delay}), not ${step}`);
    if (!(maxGap >= 0)) throw new Error(`maxGap must be 0 frames or more, not ${maxGap}`);
    if (!(strength >= 0 && strength <= network.strongest)) throw new Error(`this network has strengths from 0 to ${network.strongest}, not ${strength}`);
    Object.assign(this, { network, delay, step, maxGap, strength, minScore, dims, named: null });
    this._reset();
  }

  _reset() {
    this.count = 0;
    this.waiting = []; // frames as they were pushed, read
    this.segments = new Map(); // id -> segments with frames still to come out
    this.shape = null;
  }

  /** Take the next frame (null: nobody was seen), give the one `delay` frames older; null for the first `delay` frames. */
  push(frame) {
    const read = this._read(frame), now = this.count, emitted = now - this.delay, W = this.network.window;
    this.count++;
    this.waiting.push({ frame, read });
    const rest = new Map(read);
    for (const [key, parts] of this.segments) {
      const newest = parts[parts.length - 1];
      if (newest.waits && !showsAny(rest.get(key))) newest.evaluate(this.strength);
      if (now - newest.last - 1 <= this.maxGap) {
        newest.append(rest.get(key)?.data ?? null);
        rest.delete(key);
      }
    }
    for (const [key, person] of rest) {
      const { data, joints, dims } = person;
      if (!showsAny(person)) continue;
      const segment = new StreamSegment(this.network, this.step, now, joints, dims);
      segment.append(data);
      if (!this.segments.has(key)) this.segments.set(key, []);
      this.segments.get(key).push(segment);
    }
    for (const part of this._all()) {
      const wanted = part.length < W
        ? part.padded === null && part.first <= emitted && emitted <= part.last
        : part.newest === now && part.due;
      if (wanted) part.evaluate(this.strength);
    }
    return emitted >= 0 ? this._emit(emitted) : null;
  }

  /** The frames that have not come out yet, at most `delay`; the stream starts anew. */
  flush() {
    for (const part of this._all()) if (part.length < this.network.window || part.waits) part.evaluate(this.strength);
    const rest = [];
    for (let i = Math.max(0, this.count - this.delay); i < this.count; i++) rest.push(this._emit(i));
    this._reset();
    return rest;
  }

  _all() {
    return [...this.segments.values()].flat();
  }

  /** The frame as a Map id -> what readFrame says; a single person's id is null. */
  _read(frame) {
    if (frame === null || frame === undefined) return new Map();
    this.named ??= frame instanceof Map;
    if (frame instanceof Map !== this.named) throw new Error(`frame ${this.count} of this stream must be ${this.named ? "a Map id -> joints" : "one person's joints"}`);
    const people = new Map();
    for (const [id, person] of this.named ? frame : [[null, frame]]) {
      const read = readFrame(person, this.minScore, this.dims);
      if (read === null) continue;
      this.shape ??= [read.joints, read.dims];
      if (read.joints !== this.shape[0] || read.dims !== this.shape[1]) {
        throw new Error(`frame ${this.count} has ${read.joints} joints x ${read.dims}, this stream takes ${this.shape.join(" x ")}`);
      }
      people.set(id, read);
    }
    return people;
  }

  /** Frame `number` in its own form, and forget the segments that end with it. */
  _emit(number) {
    const { frame, read } = this.waiting.shift(), smoothed = new Map();
    for (const [key, parts] of [...this.segments]) {
      for (const part of [...parts]) {
        if (part.first <= number && number <= part.last && read.has(key)) smoothed.set(key, part.output(number, this.strength));
        if (number >= part.last && this.count - 1 - part.last > this.maxGap) parts.splice(parts.indexOf(part), 1);
      }
      if (!parts.length) this.segments.delete(key);
    }
    const restored = (key, person) => (smoothed.has(key) ? read.get(key).restore(smoothed.get(key)) : person);
    if (frame instanceof Map) return new Map([...frame].map(([id, person]) => [id, restored(id, person)]));
    return frame === null || frame === undefined ? null : restored(null, frame);
  }
}

/** Whether a frame of one person, as readFrame gives it, shows any point. */
function showsAny(person) {
  if (!person) return false;
  for (let k = 0; k < person.joints; k++) if (isShown(person.data, k * person.dims, person.dims)) return true;
  return false;
}

const SCORE_KEYS = ["score", "visibility"];

/**
 * One person of one frame, in any of the forms that push takes.
 *
 * @returns {joints, dims, data, restore}, data (K, D) with NaN, restore: data -> the form; null where nobody is there
 */
export function readFrame(frame, minScore = null, wanted = null) {
  if (frame === null || frame === undefined) return null;
  if (!Array.isArray(frame)) {
    if (Array.isArray(frame.keypoints)) {
      const scores = frame.scores ?? frame.keypoint_scores ?? null;
      const read = readFrame(frame.keypoints, minScore, wanted);
      if (read === null) return null;
      if (minScore !== null && scores !== null) {
        if (!Array.isArray(scores) || scores.length !== read.joints) throw new Error("there must be one score a joint");
        scores.forEach((s, k) => { if (typeof s === "number" && s < minScore) read.data.fill(NaN, k * read.dims, (k + 1) * read.dims); });
      }
      return { ...read, restore: (data) => ({ ...frame, keypoints: read.restore(data) }) };
    }
    throw new Error("a frame must be joints [[x, y], ...] or [{x, y}, ...], an object with keypoints, or null");
  }
  if (!frame.length) return null;
  const objects = frame.some((joint) => joint !== null && typeof joint === "object" && !Array.isArray(joint) && !ArrayBuffer.isView(joint));
  const known = frame.filter((joint) => joint !== null && joint !== undefined);
  if (!known.length) return null;
  const dims = Math.min(wanted ?? 3, objects ? (known.every((joint) => typeof joint.z === "number") ? 3 : 2) : known[0]?.length ?? 0);
  if (dims < 1 || (!objects && (known[0].length > 3 || known.some((joint) => joint?.length !== known[0].length)))) {
    throw new Error("joints must be [[x, y], ...] or [[x, y, z], ...], all alike");
  }
  const data = new Float64Array(frame.length * dims).fill(NaN), axes = ["x", "y", "z"];
  frame.forEach((joint, k) => {
    if (joint === null || joint === undefined) return;
    const score = objects ? SCORE_KEYS.map((key) => joint[key]).find((value) => typeof value === "number") : undefined;
    if (minScore !== null && score < minScore) return;
    const values = Array.from({ length: dims }, (_, d) => (objects ? joint[axes[d]] : joint[d]) ?? NaN);
    if (values.some((value) => typeof value !== "number")) throw new Error(`joint ${k} must hold numbers`);
    if (values.every(Number.isFinite)) data.set(values, k * dims);
  });
  const restore = (smoothed) => frame.map((joint, k) => {
    if (!isShown(smoothed, k * dims, dims)) return joint;
    const values = [...smoothed.subarray(k * dims, (k + 1) * dims)];
    if (!objects) return [...values, ...[...joint].slice(dims)];
    return { ...joint, ...Object.fromEntries(values.map((value, d) => [axes[d], value])) };
  });
  return { joints: frame.length, dims, data, restore };
}
