// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) SmoothNet contributors
/**
 * From a file's people to tracks, who is who, what is missing, and smoothing all of it.
 *
 * A track is {id, part, start, frames, joints, dims, data, scores, inFile, where}: data (frames, joints, dims) with NaN where
 * missing, scores (frames, joints) or null, inFile (frames, joints) of 0 and 1 or null (everywhere). What a recording is, see formats.js.
 */
import { FileError } from "./documents.js";
import { MAX_GAP, emptyPoints, isShown, shownPoints, uncutSpans } from "./gaps.js";
import { drain } from "./smoother.js";

const PLACES = 2 ** 26; // joints x frames that tracks may have place for

export function refuseSparse(name, places, written) {
  if (places > Math.max(PLACES, 100 * written)) {
    throw new FileError(`${name} holds ${written} joints, for which tracks would need ${places} places: one of its people has far more joints than the others, or its frames lie far apart`);
  }
}

/**
 * Tracks of detections {frame, id, parts: Map part -> {points, scores, dims, slots}}: by the ids of the file where every
 * detection has one, else by nearest pose; where no frame shows more than one person, all are one.
 */
export function makeTracks(name, detections) {
  detections = detections.filter((d) => d.parts.size);
  let ids = detections.map((d) => d.id);
  const pairs = new Set(detections.map((d) => `${d.frame} ${typeof d.id} ${d.id}`));
  if (ids.includes(null) || pairs.size < detections.length || onlyNumber(detections)) {
    const alone = new Set(detections.map((d) => d.frame)).size === detections.length;
    ids = alone ? detections.map(() => 0) : associate(detections);
  }
  const members = new Map();
  detections.forEach((detection, i) => {
    for (const part of detection.parts.keys()) {
      const key = JSON.stringify([part, ids[i]]);
      if (!members.has(key)) members.set(key, { part, id: ids[i], found: [] });
      members.get(key).found.push(detection);
    }
  });
  let written = 0, laidOut = 0;
  for (const d of detections) for (const { points, dims } of d.parts.values()) written += points.length / dims;
  const tracks = [];
  for (const { part, id, found } of members.values()) {
    let start = Infinity, end = 0, joints = 0;
    for (const d of found) {
      start = Math.min(start, d.frame);
      end = Math.max(end, d.frame + 1);
      joints = Math.max(joints, d.parts.get(part).points.length / d.parts.get(part).dims);
    }
    const dims = found[0].parts.get(part).dims, frames = end - start;
    laidOut += frames * joints;
    refuseSparse(name, laidOut, written);
    const track = { id, part, start, ...emptyPoints(frames, joints, dims), scores: null, inFile: new Uint8Array(frames * joints), where: Array.from({ length: frames }, () => []) };
    if (found.some((d) => d.parts.get(part).scores)) track.scores = new Float64Array(frames * joints).fill(NaN);
    for (const d of found) {
      const t = d.frame - start, { points, scores, slots } = d.parts.get(part);
      track.data.set(points, t * joints * dims);
      track.where[t] = slots;
      for (const slot of slots) track.inFile.fill(1, t * joints + slot.first, t * joints + slot.first + slot.count);
      if (scores) track.scores.set(scores, t * joints);
    }
    tracks.push(track);
  }
  refuseLengths(name, members.values());
  return tracks.sort((a, b) => (a.part < b.part ? -1 : a.part > b.part ? 1 : a.start - b.start));
}

/** Refuse lists of joints that are longer in one frame than in another, where nothing says which those are: lib/formats/detections.py. */
function refuseLengths(name, members) {
  const ofPart = new Map();
  for (const { part, found } of members) {
    const ofTrack = new Map();
    for (const { frame, parts } of found) for (const { first, count, named } of parts.get(part).slots) {
      if (!count || named) continue;
      const place = `${part} ${first}`;
      if (!ofTrack.has(place)) ofTrack.set(place, new Map());
      if (!ofTrack.get(place).has(count)) ofTrack.get(place).set(count, frame);
    }
    for (const [place, lengths] of ofTrack) {
      ofPart.set(place, new Map([...lengths, ...(ofPart.get(place) ?? [])]));
      if (lengths.size < 2 && ofPart.get(place).size < 3) continue;
      const [[a, frame], [b, other]] = lengths.size > 1 ? lengths : ofPart.get(place);
      throw new FileError(`${name}: frame ${frame} has a list of ${a} joints and frame ${other} one of ${b}, and nothing says which joints are left out; write every joint in every frame, with zeros where it was not found`);
    }
  }
}

/** Whether ids number the people of each frame, from 0 or 1, in an order that changes: lib/formats/detections.py. */
function onlyNumber(detections) {
  const byFrame = new Map();
  let first = Infinity;
  for (const { frame, id, parts } of detections) {
    const pose = parts.values().next().value;
    if (!Number.isInteger(id) || pose.points.length < 2 * pose.dims) return false; // single points cannot be matched
    byFrame.set(frame, (byFrame.get(frame) ?? new Map()).set(id, pose));
    first = Math.min(first, id);
  }
  if ((first !== 0 && first !== 1) || [...byFrame.values()].some((people) => Math.max(...people.keys()) - first + 1 > people.size)) return false;
  const frames = [...byFrame.keys()].sort((a, b) => a - b).slice(0, 2000).map((frame) => byFrame.get(frame));
  let steps = 0, swapped = 0;
  for (let t = 1; t < frames.length; t++) {
    const [before, now] = [frames[t - 1], frames[t]], shared = [...before.keys()].filter((id) => now.has(id)).sort((a, b) => a - b).slice(0, 10);
    const sizes = new Set([before, now].flatMap((people) => [...people.values()].map((pose) => `${pose.points.length} ${pose.dims}`)));
    if (shared.length < 2 || sizes.size > 1) continue;
    steps++;
    if (shared.some((b) => Math.min(...shared.filter((a) => a !== b).map((a) => meanApart(before.get(a), now.get(b)))) < meanApart(before.get(b), now.get(b)) / 4)) swapped++;
  }
  return swapped > Math.max(2, steps / 10);
}

/** The mean distance of the joints of two poses that both show; 0 where there are none. */
function meanApart(old, pose) {
  let sum = 0, count = 0;
  for (let i = 0; i < old.points.length; i += old.dims) {
    let square = 0;
    for (let d = 0; d < old.dims; d++) square += (pose.points[i + d] - old.points[i + d]) ** 2;
    if (Number.isFinite(square)) { sum += Math.sqrt(square); count++; }
  }
  return count ? sum / count : 0;
}

const MOST_IN_TURN = 8;

/** Refuse poses without ids, one a frame, of which every second (third, ...) goes on where another left off: lib/formats/frames.py. */
export function refuseTurns(name, detections) {
  const poses = detections.slice(0, 100).map((d) => d.parts.values().next().value);
  if (new Set(detections.map((d) => d.frame)).size < detections.length || detections.some((d) => d.id !== null)) return;
  if (new Set(poses.map((pose) => `${pose.points.length} ${pose.dims}`)).size !== 1) return;
  const apart = (lag) => poses.slice(lag).flatMap((pose, i) => {
    const lengths = [];
    for (let j = 0; j < pose.points.length; j += pose.dims) {
      const length = Math.hypot(...Array.from({ length: pose.dims }, (_, d) => pose.points[j + d] - poses[i].points[j + d]));
      if (Number.isFinite(length)) lengths.push(length);
    }
    return lengths;
  });
  for (let people = 2; people <= Math.min(Math.floor(poses.length / 4), MOST_IN_TURN); people++) {
    const [near, far] = [apart(people), apart(1)];
    if (near.length && far.length && medianOf(near) < medianOf(far) / 4) {
      throw new FileError(`${name}: each entry goes on where the one ${people} before it left off, as where ${people} people have entries in turn; give each a "frame"`);
    }
  }
}

/** Which points of a track are there: finite, and not of a low score. */
export function shownOf(track, minScore = null) {
  const found = shownPoints(track);
  if (minScore !== null && track.scores) for (let i = 0; i < found.length; i++) if (track.scores[i] < minScore) found[i] = 0;
  return found;
}

// ---- who is who: lib/formats/association.py ----
const GATE = 1, MEMORY = 30, CROWD = 300;

function associate(detections) {
  const frames = new Map(), ids = new Array(detections.length), association = new Association();
  detections.forEach((d, i) => frames.set(d.frame, [...(frames.get(d.frame) ?? []), i]));
  for (const frame of [...frames.keys()].sort((a, b) => a - b)) {
    const here = frames.get(frame);
    association.step(frame, here.map((i) => detections[i].parts.values().next().value)).forEach((id, n) => { ids[here[n]] = id; });
  }
  return ids;
}

/** Gives poses {points, dims} without ids the number of a track: the nearest pose of the frames before, one to one. */
export class Association {
  constructor() {
    this.count = 0;
    this.seen = new Map(); // track -> [frame, pose]
  }

  step(frame, poses) {
    if (poses.length > CROWD) throw new FileError(`frame ${frame} shows ${poses.length} people without ids, too many to tell apart`);
    for (const [track, [last]] of this.seen) if (frame - last > MEMORY) this.seen.delete(track);
    const tracks = [...this.seen.keys()], known = tracks.map((t) => this.seen.get(t)[1]);
    const costs = poses.map((pose) => known.map((old) => poseDistance(old, pose)));
    const matched = new Map();
    if (tracks.length && poses.length) {
      // Pairs beyond the gate all cost the same, far more than any match.
      assignment(costs.map((row) => row.map((cost) => (cost <= GATE ? cost : 1e6 * GATE)))).forEach(([r, c]) => {
        if (costs[r][c] <= GATE) matched.set(r, tracks[c]);
      });
    }
    return poses.map((pose, i) => {
      const track = matched.get(i) ?? this.count++;
      if (pose.points.some((_, at) => at % pose.dims === 0 && isShown(pose.points, at, pose.dims))) this.seen.set(track, [frame, pose]);
      return track;
    });
  }
}

/** Mean distance of the joints that both show over the body size of the old pose; Infinity where they cannot be compared. */
function poseDistance(old, pose) {
  const dims = old.dims, joints = (p) => p.points.length / p.dims;
  if (pose.dims !== dims) return Infinity;
  const shown = (p) => Array.from({ length: joints(p) }, (_, k) => isShown(p.points, k * dims, dims));
  const a = shown(old), b = shown(pose);
  const centre = (p, there) => Array.from({ length: dims }, (_, d) => {
    let sum = 0, count = 0;
    there.forEach((ok, k) => { if (ok) { sum += p.points[k * dims + d]; count++; } });
    return sum / Math.max(count, 1);
  });
  if (!a.includes(true) || !b.includes(true)) return Infinity;
  const middle = centre(old, a), other = centre(pose, b);
  let square = 0, apart = 0, shared = 0;
  a.forEach((ok, k) => {
    if (!ok) return;
    let length = 0;
    for (let d = 0; d < dims; d++) {
      square += (old.points[k * dims + d] - middle[d]) ** 2;
      if (b[k]) length += (old.points[k * dims + d] - pose.points[k * dims + d]) ** 2;
    }
    if (b[k]) { apart += Math.sqrt(length); shared++; }
  });
  const size = Math.sqrt(square / a.filter(Boolean).length);
  const distance = shared ? apart / shared : Math.hypot(...middle.map((m, d) => m - other[d]));
  const cost = size > 0 ? distance / size : distance === 0 ? 0 : Infinity;
  return Number.isNaN(cost) ? Infinity : cost;
}

/** Pairs [row, column] of the smallest sum of costs, by shortest augmenting paths (Hungarian method). */
function assignment(costs) {
  if (costs.length > costs[0].length) {
    return assignment(costs[0].map((_, c) => costs.map((row) => row[c]))).map(([c, r]) => [r, c]);
  }
  const n = costs.length, m = costs[0].length, u = new Float64Array(n + 1), v = new Float64Array(m + 1);
  const owner = new Int32Array(m + 1), way = new Int32Array(m + 1);
  for (let row = 1; row <= n; row++) {
    owner[0] = row;
    let column = 0;
    const least = new Float64Array(m + 1).fill(Infinity), used = new Uint8Array(m + 1);
    do {
      used[column] = 1;
      const i = owner[column];
      let delta = Infinity, next = 0;
      for (let j = 1; j <= m; j++) {
        if (used[j]) continue;
        const reduced = costs[i - 1][j - 1] - u[i] - v[j];
        if (reduced < least[j]) { least[j] = reduced; way[j] = column; }
        if (least[j] < delta) { delta = least[j]; next = j; }
      }
      for (let j = 0; j <= m; j++) {
        if (used[j]) { u[owner[j]] += delta; v[j] -= delta; } else least[j] -= delta;
      }
      column = next;
    } while (owner[column]);
    for (; column; column = way[column]) owner[column] = owner[way[column]];
  }
  const pairs = [];
  for (let j = 1; j <= m; j++) if (owner[j]) pairs.push([owner[j] - 1, j - 1]);
  return pairs;
}

// ---- marks of missing points: lib/formats/missing.py ----

/** Make NaN what 0, -1 or a number far outside of all others marks as missing. */
export function markMissing(tracks) {
  const counts = new Map();
  for (const track of tracks) if (track.dims > 1) {
    for (let i = 0; i < track.data.length; i += track.dims) {
      const value = track.data[i];
      if (track.data.subarray(i, i + track.dims).every((v) => v === value)) counts.set(value, (counts.get(value) ?? 0) + 1);
    }
  }
  const often = [...counts].filter(([v, n]) => n > 1 && v !== 0 && v !== -1).sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, 4);
  for (const value of [...[0, -1].filter((mark) => counts.has(mark)), ...often.map(([v]) => v)]) {
    const others = otherPoints(tracks, value);
    for (const track of tracks) {
      standsApart(track, value, others).forEach((gone, i) => { if (gone) track.data.fill(NaN, i * track.dims, (i + 1) * track.dims); });
    }
  }
}

function otherPoints(tracks, value) {
  const { dims } = tracks[0], columns = Array.from({ length: dims }, () => []);
  for (const { data } of tracks) for (let i = 0; i < data.length; i += dims) {
    if (isShown(data, i, dims) && data.subarray(i, i + dims).some((v) => v !== value)) for (let d = 0; d < dims; d++) columns[d].push(data[i + d]);
  }
  if (!columns[0].length) return { extent: 0, outside: true, far: false, apart: false };
  const sorted = columns.map((c) => Float64Array.from(c).sort()), last = columns[0].length - 1;
  const low = sorted.map((c) => c[0]), high = sorted.map((c) => c[last]), extent = Math.max(...low.map((l, d) => high[d] - l));
  const outside = low.every((l, d) => value < l || value > high[d]);
  const far = outside && low.every((l, d) => Math.max(l - value, value - high[d]) > extent);
  return { extent, outside, far, apart: sorted.every((c) => value < quantile(c, 0.02) || value > quantile(c, 0.98)) };
}

/** Quantile of sorted numbers, linear between two. */
export function quantile(sorted, q) {
  const place = (sorted.length - 1) * q, low = Math.floor(place), high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (place - low) * (sorted[high] - sorted[low]);
}

function standsApart(track, value, others) {
  const { frames, joints, dims, data } = track, same = new Uint8Array(frames * joints), gone = new Uint8Array(frames * joints);
  for (let i = 0; i < same.length; i++) same[i] = data.subarray(i * dims, (i + 1) * dims).every((v) => v === value) ? 1 : 0;
  if (!same.includes(1)) return gone;
  const usual = value === 0 || value === -1, several = joints > 1;
  if (!usual && others.far) return same;
  for (let t = 0; t < frames; t++) {
    let whole = true;
    for (let k = 0; k < joints; k++) whole &&= same[t * joints + k] === 1 || data.subarray((t * joints + k) * dims, (t * joints + k + 1) * dims).every(Number.isNaN);
    if (whole && several && (value === 0 || others.outside || joints > 2)) for (let k = 0; k < joints; k++) gone[t * joints + k] = same[t * joints + k];
  }
  const paths = Array.from({ length: joints }, (_, k) => {
    const marked = [], shown = [];
    for (let t = 0; t < frames; t++) {
      const i = t * joints + k;
      if (same[i]) { if (!gone[i]) marked.push(t); } else if (isShown(data, i * dims, dims)) shown.push(t);
    }
    return { marked, shown };
  });
  const crowded = paths.filter(({ marked, shown }) => marked.length && !shown.length).length > 2; // than can be in one place
  paths.forEach(({ marked, shown }, k) => {
    if (!marked.length) return;
    const take = shown.length ? jumpsTo(track, k, marked, shown, value, others.extent) : several && usual && (crowded || others.apart);
    if (take) for (const t of marked) gone[t * joints + k] = 1;
  });
  return gone;
}

/** Whether a joint goes to the mark and back in steps that it does not make otherwise. */
function jumpsTo(track, k, marked, shown, value, extent) {
  const { joints, dims, data } = track, at = (t) => (t * joints + k) * dims;
  const length = (t, other) => Math.hypot(...Array.from({ length: dims }, (_, d) => data[at(t) + d] - (other === null ? value : data[at(other) + d])));
  const steps = [];
  for (let i = 1; i < shown.length; i++) if (shown[i] === shown[i - 1] + 1) steps.push(length(shown[i], shown[i - 1]));
  let next = 0;
  const nearest = marked.map((t) => {
    while (next < shown.length && shown[next] < t) next++;
    const after = Math.min(next, shown.length - 1), before = Math.max(after - 1, 0);
    return Math.min(length(shown[after], null), length(shown[before], null));
  });
  let usual = steps.length ? 5 * medianOf(steps) : 0;
  // Rounded positions rest, and leap to where others are.
  if (value !== 0 && value !== -1 && steps.length) usual = Math.max(usual, 2 * quantile(Float64Array.from(steps).sort(), 0.95));
  return medianOf(nearest) > Math.max(usual, 0.02 * extent);
}

export function medianOf(values) {
  return quantile(Float64Array.from(values).sort(), 0.5);
}

/** Points of x, y and a depth of 0, where it was not measured, become missing: the depth is otherwise far from 0, and leaps there. */
export function markWithoutDepth(tracks) {
  for (const { frames, joints, dims, data } of tracks) if (dims === 3) for (let k = 0; k < joints; k++) {
    const shown = [], zeros = [], at = (t) => (t * joints + k) * 3 + 2, known = [], steps = [];
    for (let t = 0; t < frames; t++) if (data[at(t)] === 0) zeros.push(t); else if (Number.isFinite(data[at(t)])) shown.push(t);
    if (!zeros.length || shown.length < 5) continue;
    for (const t of shown) known.push(data[at(t)]);
    const sorted = Float64Array.from(known).sort(), low = quantile(sorted, 0.02), high = quantile(sorted, 0.98);
    if ((low < 0 && high > 0) || Math.min(Math.abs(low), Math.abs(high)) < 0.25 * Math.abs(quantile(sorted, 0.5))) continue;
    for (let i = 1; i < shown.length; i++) if (shown[i] === shown[i - 1] + 1) steps.push(Math.abs(known[i] - known[i - 1]));
    let next = 0;
    const nearest = zeros.map((t) => {
      while (next < shown.length && shown[next] < t) next++;
      const after = Math.min(next, shown.length - 1);
      return Math.min(Math.abs(known[after]), Math.abs(known[Math.max(after - 1, 0)]));
    });
    if (medianOf(nearest) > 3 * (steps.length ? quantile(Float64Array.from(steps).sort(), 0.95) : 0)) {
      for (const t of zeros) data.fill(NaN, at(t) - 2, at(t) + 1);
    }
  }
}

/** Single coordinates of another magnitude than all others (one 1e30 among pixels) make their point missing. */
export function markAbsurd(tracks) {
  const values = [];
  for (const { data, dims } of tracks) for (let i = 0; i < data.length; i += dims) if (isShown(data, i, dims)) for (let d = 0; d < dims; d++) values.push(data[i + d]);
  if (values.length < 20) return;
  const sorted = Float64Array.from(values).sort();
  if (Math.max(Math.abs(sorted[0]), Math.abs(sorted.at(-1))) <= 1e6) return;
  const middle = quantile(sorted, 0.5), scale = Math.max(quantile(sorted, 0.9) - quantile(sorted, 0.1), 1e-3 * Math.abs(middle));
  if (!(scale > 0 && scale < Infinity)) return;
  for (const { data, dims } of tracks) for (let i = 0; i < data.length; i += dims) {
    if (data.subarray(i, i + dims).some((v) => Math.abs(v - middle) > 1e4 * scale && Math.abs(v) > 1e6)) data.fill(NaN, i, i + dims);
  }
}

// ---- smoothing: lib/inference/tracks.py ----

/**
 * Smooth every track of a recording, a few milliseconds at a time.
 *
 * @param options as Smoother.smooth, with minScore, progress (share done) and signal (of an AbortController)
 * @returns for each track an array like its data, NaN where nothing is to be written
 */
export async function smoothTracks(smoother, recording, { minScore = null, maxGap = MAX_GAP, progress = null, signal = null, ...options } = {}) {
  const total = recording.tracks.reduce((sum, track) => sum + track.frames, 0), smoothed = [];
  let before = 0;
  for (const track of recording.tracks) {
    const report = progress && ((share) => progress((before + share * track.frames) / Math.max(1, total)));
    smoothed.push(await drain(trackSteps(smoother, track, shownOf(track, minScore), maxGap, options), track.frames, { progress: report, signal }));
    before += track.frames;
  }
  progress?.(1);
  return smoothed;
}

function* trackSteps(smoother, track, found, maxGap, options) {
  const { frames, joints, dims, data } = track, result = new Float64Array(data.length).fill(NaN);
  const anything = (t) => found.subarray(t * joints, (t + 1) * joints).includes(1);
  for (const [begin, end] of uncutSpans(frames, anything, maxGap)) {
    // A joint that is cut inside goes in as one joint a piece; pieces that no window sees together share one.
    const columns = [];
    for (let k = 0; k < joints; k++) {
      const lists = [];
      for (const span of uncutSpans(end - begin, (t) => found[(begin + t) * joints + k], maxGap)) {
        const free = lists.find((list) => span[0] - list.at(-1)[1] >= smoother.window - 1);
        if (free) free.push(span);
        else lists.push([span]);
      }
      for (const spans of lists) columns.push([k, spans]);
    }
    const body = emptyPoints(end - begin, columns.length, dims);
    const each = (act) => columns.forEach(([k, spans], c) => {
      for (const [first, last] of spans) for (let t = first; t < last; t++) {
        if (found[(begin + t) * joints + k]) act((t * columns.length + c) * dims, ((begin + t) * joints + k) * dims);
      }
    });
    each((to, from) => body.data.set(data.subarray(from, from + dims), to));
    const smoothed = yield* smoother.steps(body, { ...options, maxGap });
    each((from, to) => result.set(smoothed.data.subarray(from, from + dims), to));
  }
  keepStill(track, found, result);
  return result;
}

/** Put back a coordinate of a joint that is one number wherever it was found, as the depth of a picture. */
function keepStill({ frames, joints, dims, data }, found, result) {
  for (let c = 0; c < joints * dims; c++) {
    const width = joints * dims;
    let place = null, still = true, shown = 0;
    for (let t = 0; t < frames && still; t++) if (found[t * joints + Math.floor(c / dims)]) {
      place ??= data[t * width + c];
      still = data[t * width + c] === place;
      shown++;
    }
    if (still && shown > 1) for (let i = c; i < frames * width; i += width) if (Number.isFinite(result[i])) result[i] = place;
  }
}
