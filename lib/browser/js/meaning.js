// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) SmoothNet contributors
/**
 * What the numbers of arrays and tables without names mean: the part of lib/formats/meaning.py that concerns points.
 *
 * Where it is not clear, or where the numbers are rotations, the file is refused with a sentence that says what to do.
 */
import { FileError } from "./documents.js";
import { medianOf, quantile } from "./tracks.js";

/** What a user may say of the numbers of a joint: name -> {numbers, dims, score}. */
export const LAYOUTS = {
  "x, y": { numbers: 2, dims: 2, score: null },
  "x, y, z": { numbers: 3, dims: 3, score: null },
  "x, y, score": { numbers: 3, dims: 2, score: 2 },
  "x, y, z, score": { numbers: 4, dims: 3, score: 3 },
};
const HOLISTIC = new Set([0, 468, 478].flatMap((face) => [0, 21, 42].map((hands) => 132 + 3 * (face + hands))).filter((columns) => columns > 132));
const SAY = "say what the numbers of a joint are";
export const ROTATIONS = "these look like rotations, which only the command line smooths: smoothnet smooth FILE -o OUT";
const ENOUGH = 100000;

/** What the last axis of (N, numbers) holds: {numbers, dims, score}. */
export function jointNumbers(flat, numbers, where, layout = null) {
  if (layout) {
    const said = LAYOUTS[layout];
    if (said.numbers > numbers) throw new FileError(`${where}: its joints have ${numbers} numbers, "${layout}" needs ${said.numbers}`);
    return { ...said, numbers };
  }
  if (numbers <= 2) return { numbers, dims: numbers, score: null };
  const rows = sampleRows(flat, numbers);
  if (isRotation(rows, numbers)) throw new FileError(`${where}: ${ROTATIONS}`);
  if (numbers === 3 || numbers === 4) refuseScoreFirst(rows, where);
  if (numbers === 3) return thirdIsScore(rows, where) ? { ...LAYOUTS["x, y, score"] } : { ...LAYOUTS["x, y, z"] };
  if (numbers === 4) {
    const known = unmarked(rows, 4);
    if (lookLikeBoxes(rows)) throw new FileError(`${where} looks like boxes (left, top, right, bottom); if they are points, ${SAY}`);
    if (!mayBeScore(known.map((r) => r[3]))) throw new FileError(`${where}: the fourth number of a joint is no score; ${SAY}`);
    return { ...LAYOUTS["x, y, z, score"] };
  }
  throw new FileError(`${where}: each joint has ${numbers} numbers and nothing tells what they are; the command line can be told with --layout`);
}

/** Whether rows of four are left, top, right, bottom. */
export function lookLikeBoxes(rows) {
  const known = unmarked(rows, 4);
  return known.length > 2 && known.every((r) => r[2] > r[0] && r[3] > r[1]);
}

/** How many numbers of rows (T, N) make a joint, and what they are. */
export function flatRows(matrix, rows, columns, where, layout = null) {
  if (!layout && HOLISTIC.has(columns) && rows) { // 33 landmarks of x, y, z, visibility, then others of x, y, z
    const seen = Array.from({ length: rows * 33 }, (_, i) => matrix[Math.floor(i / 33) * columns + 3 + 4 * (i % 33)]).filter(Number.isFinite);
    if (seen.length && seen.every((v) => v >= 0 && v <= 1)) throw new FileError(`${where} looks like MediaPipe Holistic: 33 landmarks of x, y, z, visibility, then ${(columns - 132) / 3} of x, y, z; drop them as two files`);
  }
  if (!layout && columns === 322) throw new FileError(`${where} looks like Motion-X, whose 322 numbers are turns, expressions, shapes and a place; the command line says how to part them`);
  let meaning = layout ? LAYOUTS[layout] : null;
  if (!meaning) {
    if (tellsTime(matrix, rows, columns)) throw new FileError(`${where}: its first column counts the frames or tells their time; leave it out, or ${SAY}`);
    if (holdsLabels(matrix, rows, columns)) throw new FileError(`${where}: its last column holds whole numbers, as labels are; leave it out, or ${SAY}`);
    if (liesOnItsSide(matrix, rows, columns)) throw new FileError(`${where}: its values change more smoothly along its rows than from row to row, as if frames stood side by side; turn it, or ${SAY}`);
    for (const numbers of [9, 4, 7, 6]) {
      if (columns % numbers === 0 && matrix.length && isRotation(sampleRows(matrix, numbers), numbers)) throw new FileError(`${where}: ${ROTATIONS}`);
    }
    meaning = flatMeaning(matrix, rows, columns, where);
  }
  if (columns % meaning.numbers || !columns) throw new FileError(`${where}: ${columns} columns are not whole joints of ${meaning.numbers}; ${SAY}`);
  return meaning;
}

/** Whether so many columns are no whole joints of two or three numbers, but would be without one. */
const isOneOver = (columns) => columns > 3 && columns % 2 !== 0 && columns % 3 !== 0;

/** Whether the first column counts the frames or tells their time: lib/formats/meaning.py. */
function tellsTime(matrix, rows, columns) {
  if (rows < 10 || columns < 3) return false;
  const stepsOf = (c, n) => Array.from({ length: n - 1 }, (_, t) => matrix[(t + 1) * columns + c] - matrix[t * columns + c]), steps = stepsOf(0, rows);
  if (!steps.every((s) => s > 0 && Number.isFinite(s))) return false;
  for (let c = 1; c < columns; c++) {
    const others = stepsOf(c, Math.min(rows, 2000));
    if (others.every((s) => s > 0) || others.every((s) => s < 0)) return false;
  }
  const step = medianOf(steps), room = Math.max(0.02 * step, step > 5e-3 && step < 0.5 ? 1.1e-3 : 0);
  return steps.every((s) => Math.abs(s - step) <= room) || matrix[0] > 1e8 || isOneOver(columns);
}

/** Whether the last column has a few whole numbers for what is done: lib/formats/meaning.py. */
function holdsLabels(matrix, rows, columns) {
  if (columns < 5 || ((columns - 1) % 2 && (columns - 1) % 3)) return false;
  const valuesOf = (c, n) => new Set(Array.from({ length: n }, (_, t) => matrix[t * columns + c]));
  const labels = [...valuesOf(columns - 1, rows)], odd = isOneOver(columns), few = Math.min(rows, 2000);
  if (!labels.every(Number.isInteger) || labels.length < (odd ? 1 : 2) || labels.length > Math.min(20, rows / 5)) return false;
  return Array.from({ length: columns - 1 }, (_, c) => valuesOf(c, few))
    .every((values) => (odd ? values.size > 20 : [...values].some((v) => Number.isFinite(v) && !Number.isInteger(v))));
}

function flatMeaning(matrix, rows, columns, where) {
  const byCount = { 3: LAYOUTS["x, y, z"], 2: LAYOUTS["x, y"], 1: { numbers: 1, dims: 1, score: null } };
  if (!matrix.length) return byCount[[3, 2, 1].find((d) => columns % d === 0)];
  if (columns % 4 === 0) {
    const known = unmarked(sampleRows(matrix, 4), 4), last = known.map((r) => r[3]);
    const others = known.flatMap((r) => r.slice(0, 3));
    if (known.length && last.every((v) => v >= 0 && v <= 1) && others.some((v) => v < 0 || v > 1)) return LAYOUTS["x, y, z, score"];
  }
  if (columns % 3 === 0) {
    try {
      if (thirdIsScore(sampleRows(matrix, 3), where)) return LAYOUTS["x, y, score"];
    } catch (error) { // in a flat row it may also be that three numbers do not belong together
      if (columns % 2 || coherence(matrix, rows, columns, 3) >= coherence(matrix, rows, columns, 2)) throw error;
    }
  }
  refuseFours(matrix, rows, columns, where);
  refuseMore(matrix, rows, columns, where);
  if (columns % 3 === 0) refuseScoreFirst(sampleRows(matrix, 3), where);
  const possible = [3, 2].filter((dims) => columns % dims === 0);
  if (possible.length < 2) return byCount[possible[0] ?? 1];
  if (columns < 12 || rows < 16) return byCount[3];
  const three = coherence(matrix, rows, columns, 3), two = coherence(matrix, rows, columns, 2);
  if (Math.abs(three - two) > 0.1) return byCount[three > two ? 3 : 2];
  if (Math.max(three, two) < 0.1) return byCount[3];
  throw new FileError(`${where}: its ${columns} columns can be ${columns / 2} joints of x, y or ${columns / 3} of x, y, z; ${SAY}`);
}

/** Whether the values of a table change much more smoothly along its rows, as if these were in time. */
function liesOnItsSide(matrix, rows, columns) {
  if (columns < 8 || rows < 2) return false;
  const [R, C] = [Math.min(rows, 512), Math.min(columns, 512)], known = [];
  for (let t = 0; t < R; t++) for (let c = 0; c < C; c++) if (Number.isFinite(matrix[t * columns + c])) known.push(matrix[t * columns + c]);
  if (!known.length) return false;
  const roughness = (along, step, across, beside) => {
    const lengths = [];
    for (let i = 0; i + (along > 2 ? 2 : 1) < along; i++) for (let j = 0; j < across; j++) {
      const at = i * step + j * beside, length = Math.abs(along > 2 ? matrix[at + 2 * step] - 2 * matrix[at + step] + matrix[at] : matrix[at + step] - matrix[at]);
      if (Number.isFinite(length)) lengths.push(length);
    }
    return lengths.length ? medianOf(lengths) / spreadOf(known) : Infinity;
  };
  const alongRows = roughness(C, 1, R, columns);
  return alongRows > 0 && alongRows < Math.min(0.3, 0.25 * roughness(R, columns, C, 1));
}

/** Refuse columns that fall into fours, whose last may be a score or a coordinate as all lie between 0 and 1. */
function refuseFours(matrix, rows, columns, where) {
  if (columns % 4 || columns < 12 || rows < 16) return;
  const last = matrix.filter((v, i) => i % 4 === 3 && Number.isFinite(v));
  if (!last.length || !last.every((v) => v >= 0 && v <= 1)) return;
  const others = [2, 3].filter((dims) => columns % dims === 0).map((dims) => coherence(matrix, rows, columns, dims));
  if (coherence(matrix, rows, columns, 4) > 0.1 + Math.max(...others)) throw new FileError(`${where}: its ${columns} columns look like ${columns / 4} joints of x, y, z and a score; ${SAY}`);
}

/** Refuse columns that go together by fours or fives: visibility and presence of BlazePose, a state behind x, y and z (lib/formats/meaning.py). */
function refuseMore(matrix, rows, columns, where) {
  const known = Math.max(0, ...[2, 3].filter((dims) => columns % dims === 0).map((dims) => coherence(matrix, rows, columns, dims)));
  for (const numbers of [4, 5]) {
    if (columns % numbers || columns < 5 * numbers || rows < 16) continue;
    if (coherence(matrix, rows, columns, numbers) <= 0.1 + known && !areStates(matrix, Math.min(rows, 500), columns, numbers)) continue;
    throw new FileError(`${where}: its ${columns} columns look like ${columns / numbers} joints of ${numbers} numbers; ${SAY}`);
  }
}

/** Whether the last of so many numbers is one of a few (tracked, inferred, not tracked) throughout, which the others are not. */
function areStates(matrix, rows, columns, numbers) {
  const states = new Set(), others = new Set();
  for (let i = 0; i < rows * columns; i++) if (Number.isFinite(matrix[i])) ((i % columns) % numbers === numbers - 1 ? states : others).add(matrix[i]);
  return states.size > 0 && states.size <= 3 && others.size > 60;
}

/** At most ENOUGH rows, evenly taken. */
export function sampleRows(flat, numbers) {
  const count = Math.floor(flat.length / numbers), stride = Math.max(1, Math.ceil(count / ENOUGH)), rows = [];
  for (let i = 0; i < count; i += stride) rows.push(Array.from(flat.subarray(i * numbers, (i + 1) * numbers)));
  return rows;
}

/** Rows that are there and no mark of missing points, which is one number throughout. */
function unmarked(rows) {
  return rows.filter((row) => row.every(Number.isFinite) && row.some((v) => v !== row[0]));
}

const mayBeScore = (values) => values.every((v) => v >= 0 && v <= 100);

function spreadOf(values) {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length);
}

/** Whether numbers lie between 0 and 1, most of them at the upper end, as scores do. */
function crowdsBelowOne(values) {
  let low = Infinity, top = -Infinity;
  for (const v of values) { low = Math.min(low, v); top = Math.max(top, v); }
  return low >= 0 && top > 0.6 && top <= 1 && low < top && medianOf(values) >= 0.8 * top;
}

/** Refuse rows of three or four numbers whose first is a score by its values, as the last is not: lib/formats/meaning.py. */
function refuseScoreFirst(rows, where) {
  if (scoreIsFirst(unmarked(rows))) throw new FileError(`${where}: the first number of a joint may be a score by its values; write it last, or ${SAY}`);
}

function scoreIsFirst(known) {
  if (known.length < 8 || !crowdsBelowOne(known.map((r) => r[0])) || crowdsBelowOne(known.map((r) => r.at(-1)))) return false;
  return known[0].length === 4 || Math.min(...[1, 2].map((d) => spreadOf(known.map((r) => r[d])))) > 10; // in metres it may be a coordinate
}

/** Which of three numbers is clearly a score, "first" or "third"; null where all may be coordinates. */
export function placeOfScore(rows) {
  if (scoreIsFirst(unmarked(rows))) return "first";
  try {
    return thirdIsScore(rows, "") ? "third" : null;
  } catch { // it may be either
    return null;
  }
}

/** Whether the third of three numbers is a score beside x and y, rather than z. */
function thirdIsScore(rows, where) {
  const known = unmarked(rows);
  if (!known.length || !mayBeScore(known.map((r) => r[2]))) return false;
  const [x, y, third] = [0, 1, 2].map((d) => known.map((r) => r[d]));
  let least = Infinity, top = -Infinity;
  for (const v of third) { least = Math.min(least, v); top = Math.max(top, v); }
  const narrow = Math.min(spreadOf(x), spreadOf(y)), pixels = narrow > 10, middle = medianOf(third), spread = spreadOf(third);
  const crowded = 0.8 * top > 0 && 0.8 * top <= middle; // scores crowd at their upper end, coordinates do not
  if (pixels && (top <= 2 || crowded || spread < 0.02 * narrow)) return true;
  if ((top > 1 && !pixels) || spread === 0 || known.length < 8) return false;
  if (top <= 1 && crowded && top > 0.9 && Math.max(medianOf(x), medianOf(y)) < 0.8) return true;
  throw new FileError(`${where}: the third number of a joint, from ${least.toPrecision(4)} to ${top.toPrecision(4)}, may be a coordinate or a score; ${SAY}`);
}

/** Unit quaternions, rotation matrices, two columns of one, or a point with a quaternion. */
export function isRotation(rows, numbers) {
  const known = rows.filter((row) => row.every(Number.isFinite) && row.some((v) => v !== 0)).slice(0, 2000);
  if (!known.length || known.length < 0.5 * Math.min(rows.length, 2000)) return false;
  const near = (value, goal) => Math.abs(value - goal) < 0.02, dot = (a, b) => a.reduce((sum, v, i) => sum + v * b[i], 0);
  const unit = (v) => near(dot(v, v), 1);
  if (numbers === 4) return known.every(unit);
  if (numbers === 7) return known.every((r) => unit(r.slice(3))) || known.every((r) => unit(r.slice(0, 4)));
  if (numbers === 9) return known.every((r) => [0, 3, 6].every((i) => unit(r.slice(i, i + 3))) && near(dot(r.slice(0, 3), r.slice(3, 6)), 0) && near(dot(r.slice(0, 3), r.slice(6)), 0));
  const pairs = (r) => [[[r[0], r[2], r[4]], [r[1], r[3], r[5]]], [r.slice(0, 3), r.slice(3)]];
  return numbers === 6 && [0, 1].some((form) => known.every((r) => { const [a, b] = pairs(r)[form]; return unit(a) && unit(b) && near(dot(a, b), 0); }));
}

/** How much every `dims`-th column belongs together: by where they lie, and by how they move. */
function coherence(matrix, rows, allColumns, dims) {
  const T = Math.min(rows, 4000), N = Math.min(allColumns, 240), counts = new Map(), values = [];
  let low = Infinity, high = -Infinity;
  for (let t = 0; t < T; t++) for (let c = 0; c < N; c++) {
    const v = matrix[t * allColumns + c];
    if (Number.isFinite(v)) { low = Math.min(low, v); high = Math.max(high, v); }
    counts.set(v, (counts.get(v) ?? 0) + 1);
  }
  const marks = new Set([0]);
  for (const end of [low, high]) if ((counts.get(end) ?? 0) > 2) marks.add(end);
  for (let c = 0; c < N; c++) {
    const column = Float64Array.from({ length: T }, (_, t) => { const v = matrix[t * allColumns + c]; return Number.isFinite(v) && !marks.has(v) ? v : NaN; });
    if (column.some((v) => !Number.isNaN(v))) values.push({ column, phase: c % dims });
  }
  const phases = Array.from({ length: dims }, (_, p) => p);
  if (values.length < 2 * dims || phases.some((p) => !values.some((v) => v.phase === p))) return 0;
  const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length;
  for (const v of values) v.mean = mean([...v.column].filter((x) => !Number.isNaN(x)));
  const middle = mean(values.map((v) => v.mean));
  let between = 0, total = 0;
  for (const p of phases) { const own = values.filter((v) => v.phase === p).map((v) => v.mean); between += (mean(own) - middle) ** 2 * own.length; }
  for (const v of values) total += (v.mean - middle) ** 2;
  const byPlace = total > 0 ? between / total - (dims - 1) / (values.length - 1) : 0;
  const moving = [];
  for (const v of values) {
    const steps = Float64Array.from({ length: T - 1 }, (_, t) => { const s = v.column[t + 1] - v.column[t]; return Number.isNaN(s) ? 0 : s; });
    const m = mean(steps), deviation = Math.sqrt(mean(steps.map((s) => (s - m) ** 2)));
    if (deviation > 0) moving.push({ steps: steps.map((s) => (s - m) / deviation), phase: v.phase });
  }
  if (moving.length < 2 * dims) return Math.max(byPlace, 0);
  let same = 0, sames = 0, other = 0, others = 0;
  moving.forEach((a, i) => moving.forEach((b, j) => {
    if (i === j) return;
    let sum = 0;
    for (let t = 0; t < T - 1; t++) sum += a.steps[t] * b.steps[t];
    if (a.phase === b.phase) { same += sum / (T - 1); sames++; } else { other += sum / (T - 1); others++; }
  }));
  return Math.max(byPlace, 0) + Math.max(same / sames - other / others, 0);
}

/** Refuse an array (A, B, K, D) or (A, B, D) whose second axis is clearly the time: its values change much more smoothly along it. */
export function refuseSecondAxisTime(data, shape, where) {
  const [first, second] = shape, size = shape.slice(2).reduce((a, b) => a * b, 1), D = shape.at(-1);
  if (second < 8 || first < 2) return;
  const roughness = (along, stride, across, step) => {
    const lengths = [];
    for (let i = 0; i + 2 < along; i++) for (let j = 0; j < across; j++) for (let k = 0; k < size; k += D) {
      let square = 0;
      for (let d = 0; d < D; d++) {
        const at = i * stride + j * step + k + d;
        square += (data[at + 2 * stride] - 2 * data[at + stride] + data[at]) ** 2;
      }
      if (Number.isFinite(square)) lengths.push(Math.sqrt(square));
    }
    return lengths.length ? medianOf(lengths) : Infinity;
  };
  const n = Math.min(first, 256), m = Math.min(second, 256);
  const alongFirst = roughness(n, second * size, m, size), alongSecond = roughness(m, size, n, second * size);
  const known = data.filter(Number.isFinite).slice(0, 200000).sort(), spread = known.length ? quantile(known, 0.9) - quantile(known, 0.1) : 0;
  if (alongSecond > 0 && alongSecond < 0.5 * alongFirst && alongSecond < 0.3 * spread) {
    throw new FileError(`${where}, shape (${shape.join(", ")}): its values change more smoothly along the second axis, as if that were the time; put the frames first, as in (frames, joints, coordinates)`);
  }
}

// ---- angles that stand where positions do: lib/formats/angles.py ----

const ANGLE_WORDS = /^(rotations?|rot|euler\w*|angles?|orientations?|rpy|.*(旋转|角度|欧拉).*)$/;

/** Refuse points whose first number counts the joints, [0, x, y], [1, x, y], ...: lib/formats/meaning.py. */
export function refuseNumbered(name, { data, frames, joints, dims }) {
  if (dims !== 3 || joints < 3) return;
  const whole = Array.from({ length: Math.min(frames, 150) }, (_, t) => t).filter((t) => Array.from({ length: joints }, (_, k) => data[(t * joints + k) * 3]).every(Number.isFinite));
  const counts = (start) => whole.every((t) => Array.from({ length: joints }, (_, k) => data[(t * joints + k) * 3]).every((v, k) => v === start + k));
  if (whole.length > 1 && (counts(0) || counts(1))) throw new FileError(`${name}: the first number of each joint counts the joints; leave it out, or ${SAY} if it is a position`);
}

const DERIVATIVES = /^(velocit(y|ies)|accelerations?|reprojection)$/;

/** The words of a file's name. */
const wordsOf = (name) => name.replace(/\.[^.]*$/, "").replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase().split(/[^\p{L}]+/u);

/** Refuse velocities and the like by the file's name, where joints lie no further from one another than each moves. */
export function refuseDerivatives(name, tracks) {
  const word = wordsOf(name).find((w) => DERIVATIVES.test(w));
  if (!word || !tracks.length || !tracks.every(mayBeDerivatives)) return;
  throw new FileError(`${name} holds no positions, by "${word}" in its name; smooth the positions that they come from, or ${SAY} if they are positions`);
}

function mayBeDerivatives({ data, frames, joints, dims }) {
  const width = joints * dims, poses = Array.from({ length: Math.min(frames, 5000) }, (_, t) => data.subarray(t * width, (t + 1) * width)).filter((pose) => pose.every(Number.isFinite));
  if (joints < 2 || poses.length < 2) return true;
  const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length, deviation = (list) => { const m = mean(list); return Math.sqrt(mean(list.map((v) => (v - m) ** 2))); };
  return Array.from({ length: dims }, (_, d) => d).every((d) => {
    const paths = Array.from({ length: joints }, (_, k) => poses.map((pose) => pose[k * dims + d]));
    return deviation(paths.map(mean)) < mean(paths.map(deviation));
  });
}

// What Kalidokit, VRM and Unity turn: a bone between two joints, not a joint.
const BONE = /(upper|lower)[ _.]?(arm|leg)/i;

/** Refuse points that are angles: by the names of the file or of its joints where their values can be, or by their values alone where they leap by whole turns. */
export function refuseNamedAngles(name, tracks, joints) {
  tracks = tracks.filter((track) => track.dims === 3);
  const shown = (track) => track.data.filter(Number.isFinite);
  if (!tracks.length || !tracks.every((track) => shown(track).length && shown(track).every((v) => Math.abs(v) <= 360))) return;
  const word = wordsOf(name).find((w) => ANGLE_WORDS.test(w));
  const radians = (track) => track.joints > 2 && shown(track).every((v) => Math.abs(v) <= 7) && wholePoses(track).length > 4 && steadiness(wholePoses(track), track.joints) > 0.2;
  const bone = tracks.every(radians) ? joints?.find((joint) => BONE.test(joint)) : undefined;
  if (!tracks.some(wrapsAround) && !bone && !(word && tracks.every(mayBeAngles))) return;
  const sign = word ? `by "${word}" in its name` : bone ? `by bones such as ${bone} that keep no length` : "by leaps of a whole turn";
  throw new FileError(`${name} holds angles, ${sign}, which are not smoothed as positions; if they are positions, ${SAY}`);
}

/** Whether a number leaps by a whole turn, back and forth between both ends of -180 to 180 or 0 to 360. */
function wrapsAround({ data, frames, joints }) {
  const width = joints * 3, rows = Math.min(frames, 5000);
  for (let c = 0; c < width; c++) {
    const values = Array.from({ length: rows }, (_, t) => data[t * width + c]), known = values.filter(Number.isFinite);
    const steps = values.slice(1).map((v, t) => v - values[t]).filter(Number.isFinite);
    if (steps.filter((step) => Math.abs(step) > 300).length < 2) continue;
    const low = known.reduce((a, b) => Math.min(a, b)), high = known.reduce((a, b) => Math.max(a, b));
    const ends = (low >= -180 && low < -150 && high > 150 && high <= 180) || (low >= 0 && low < 30 && high > 330 && high <= 360);
    if (ends && steps.every((step) => Math.abs(step - 360 * Math.round(step / 360)) < 60)) return true;
  }
  return false;
}

/** The first poses that show all joints. */
function wholePoses({ data, frames, joints }) {
  const poses = [];
  for (let t = 0; t < frames && poses.length < 2000; t++) {
    const pose = data.subarray(t * joints * 3, (t + 1) * joints * 3);
    if (pose.every(Number.isFinite)) poses.push(pose);
  }
  return poses;
}

/** Refuse (T, joints, 3) of SMPL's joint counts that can be its axis-angle pose: bones keep their length, angles do not. */
export function refuseAngles(where, track, counts = [24, 52, 55]) {
  if (track.dims !== 3 || !counts.includes(track.joints)) return;
  const poses = wholePoses(track);
  if (poses.length < 5 || poses.some((pose) => pose.some((v) => Math.abs(v) > 7)) || steadiness(poses, track.joints) < 0.2) return;
  throw new FileError(`${where}: ${track.joints} x 3 numbers can be joints or the axis-angle pose of SMPL; ${SAY} if they are joints`);
}

/** Whether joints keep no distance from one another, as they would on bones; too few say nothing. */
function mayBeAngles(track) {
  const poses = wholePoses(track), { joints } = track;
  if (joints < 3 || poses.length < 5) return true;
  const far = poses.some((pose) => pose.some((v) => Math.abs(v) > 7));
  return steadiness(poses, joints) > (far ? 0.03 : 0.2);
}

/** How much the distance of a joint to its best other one changes, of all its motion to it: the median over the joints. */
function steadiness(poses, joints) {
  const spread = (list) => { const m = list.reduce((a, b) => a + b, 0) / list.length; return list.reduce((a, b) => a + (b - m) ** 2, 0) / list.length; };
  const steadiest = Array.from({ length: joints }, (_, a) => {
    let best = Infinity;
    for (let b = 0; b < joints; b++) {
      const apart = [0, 1, 2].map((d) => poses.map((pose) => pose[b * 3 + d] - pose[a * 3 + d]));
      const motion = Math.sqrt(apart.reduce((sum, list) => sum + spread(list), 0));
      if (motion > 1e-9) best = Math.min(best, Math.sqrt(spread(poses.map((_, t) => Math.hypot(...apart.map((list) => list[t]))))) / motion);
    }
    return best;
  });
  return steadiest.every((v) => v === Infinity) ? 0 : medianOf(steadiest);
}

// ---- rows that are joints, not frames ----

/** The points of one joint, and whether they leap from row to row as the joints of a pose do. */
function scattered({ data, frames, dims }) {
  const rows = Array.from({ length: Math.min(frames, 4000) }, (_, t) => data.subarray(t * dims, (t + 1) * dims)), known = rows.filter((row) => row.every(Number.isFinite));
  const spread = Math.sqrt(Array.from({ length: dims }, (_, d) => {
    const mean = known.reduce((sum, row) => sum + row[d], 0) / Math.max(known.length, 1);
    return known.reduce((sum, row) => sum + (row[d] - mean) ** 2, 0) / Math.max(known.length, 1);
  }).reduce((a, b) => a + b));
  const bends = rows.slice(2).map((row, t) => Math.hypot(...Array.from(row, (v, d) => v - 2 * rows[t + 1][d] + rows[t][d])));
  return [rows, spread > 0 && finiteMedian(bends) > 0.5 * spread];
}

const finiteMedian = (lengths) => (lengths.some(Number.isFinite) ? medianOf(lengths.filter(Number.isFinite)) : Infinity);

/** Refuse one joint that leaps from row to row, and goes on where it was some rows before: joints of a frame one below the other. */
export function refuseRowsOfJoints(name, track) {
  if (track.joints !== 1 || track.dims < 2 || track.frames < 24) return;
  const [rows, leaps] = scattered(track);
  if (!leaps) return;
  const apart = Array.from({ length: Math.min(Math.floor(rows.length / 3), 150) }, (_, i) => (
    finiteMedian(rows.slice(i + 1).map((row, t) => Math.hypot(...Array.from(row, (v, d) => v - rows[t][d]))))));
  const nearest = Math.min(...apart), least = apart.findIndex((length) => length <= 1.2 * nearest);
  if (apart[least] < apart[0] / 10 && track.frames % (least + 1) === 0) { // a joint that goes round is less regular
    throw new FileError(`${name}: each row goes on where the row ${least + 1} before it left off, as if ${least + 1} joints of each frame stood one below the other; give a row a frame`);
  }
}

// ---- what is smoothed, but said aloud ----

const FEATURES = { 263: "HumanML3D", 251: "KIT-ML" };

/** What to say of an array of one joint whose rows lie like the joints of one pose: lib/formats/meaning.py. */
export function doubtOnePose(track) {
  if (track.joints !== 1 || track.dims < 2 || track.frames < 8 || track.frames > 150 || !scattered(track)[1]) return [];
  return [`taken for one joint in ${track.frames} frames, but its rows lie as ${track.frames} joints of one pose do: if it is one, there is nothing to smooth; give all frames, (frames, joints, numbers)`];
}

/** What to say of numbers that make no whole joints of two or three. */
export function doubtFeatures({ joints, dims }) {
  if (dims !== 1 || joints < 20) return [];
  const like = joints in FEATURES ? ` as those of ${FEATURES[joints]} are,` : "";
  return [`${joints} numbers a frame are no whole joints, so each is smoothed by itself: where they are features,${like} velocities and turns no longer fit what is smoothed; smooth the positions and make them anew`];
}
