// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) SmoothNet contributors
/** Live poses as lines of JSON, as from a WebSocket: lib/inference/lines.py. */
import { FileError } from "./documents.js";
import { readFrame } from "./stream.js";
import { Association } from "./tracks.js";

/**
 * Smooths frames written as JSON: {"keypoints": [...], "scores": [...]}, {"people": [{"id": 7, "keypoints": ...}]}, or bare joints.
 *
 * The first line decides between one person and several. People without ids are matched from frame to frame.
 */
export class LineStream {
  constructor(stream) {
    this.stream = stream;
    this.key = undefined;
    this.count = 0;
    this.waiting = [];
    this.association = new Association();
  }

  /** Take a line (or its parsed value); gives the value `delay` lines older with smoothed coordinates, or undefined. */
  push(line) {
    let value = line;
    if (typeof line === "string") {
      try {
        value = JSON.parse(line);
      } catch (error) {
        throw new FileError(`line ${this.count + 1} is not valid JSON: ${error.message}`);
      }
    }
    const object = value !== null && typeof value === "object" && !Array.isArray(value);
    const key = object ? ["people", "instances"].find((k) => Object.hasOwn(value, k)) ?? null : null;
    if (object && key === null && !Array.isArray(value.keypoints ?? [])) throw new FileError(`line ${this.count + 1}: keypoints must be a list`);
    this.key ??= value === null ? undefined : key !== null;
    if (value !== null && this.key !== (key !== null)) throw new FileError(`line ${this.count + 1} is not of the form of the first line (one person or several)`);
    this.waiting.push({ value, key });
    const frame = key === null ? (object && !value.keypoints?.length ? null : value) : this._people(value[key] ?? []);
    this.count++;
    const out = this.stream.push(frame);
    return this.waiting.length > this.stream.delay ? this._line(out) : undefined;
  }

  /** The lines that have not come out yet. */
  flush() {
    return this.stream.flush().map((out) => this._line(out));
  }

  _people(people) {
    if (!Array.isArray(people) || !people.every((p) => p !== null && typeof p === "object")) throw new FileError(`line ${this.count + 1}: people must be a list of objects`);
    let ids = people.map((p) => p.id ?? p.track_id ?? p.person_id ?? null);
    if (ids.includes(null) || new Set(ids).size < ids.length) {
      const reads = people.map((p) => readFrame(p.keypoints ? p : null)), shown = people.map((_, i) => i).filter((i) => reads[i]);
      const tracks = this.association.step(this.count, shown.map((i) => ({ points: reads[i].data, dims: reads[i].dims })));
      ids = people.map((_, i) => (reads[i] ? `track ${tracks[shown.indexOf(i)]}` : null));
    }
    const frame = new Map();
    people.forEach((person, i) => { if (person.keypoints?.length) frame.set(ids[i], person); });
    return frame;
  }

  _line(out) {
    const { value, key } = this.waiting.shift();
    if (key === null) return out ?? value;
    const people = [...(out instanceof Map ? out.values() : [])];
    let next = 0;
    return { ...value, [key]: (value[key] ?? []).map((person) => (person.keypoints?.length ? people[next++] : person)) };
  }
}
