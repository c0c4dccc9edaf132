// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) SmoothNet contributors
/** Text tables with one row a frame, CSV and OpenSim's TRC: lib/formats/{tables,plain_csv,trc}.py. */
import { FileError, numberStyle, timelineOf } from "./documents.js";
import { emptyPoints, isShown } from "./gaps.js";
import { flatRows, isRotation, ROTATIONS } from "./meaning.js";
import { medianOf } from "./tracks.js";

const NOTHING = new Set(["", "nan", "na", "n/a", "none", "null", "-nan", "nan(ind)", "-nan(ind)", "#n/a"]);
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i, UNBOUNDED = /^[+-]?(inf|infinity|nan)$/i;
const TIMES = new Set(["time", "t", "timestamp", "timestamps", "seconds", "sec", "time_s", "time(s)", "time (s)", "time_sec", "时间"]);
const FRAMES = new Set(["frame", "frames", "frame#", "frame_id", "frame_idx", "frame_index", "frame_number", "framenum", "帧", "帧号"]);
const INDICES = new Set(["", "unnamed: 0", "index", "idx", "id", "image_id", "person", "person_id", "track", "track_id", "time_ms", "timestamp_ms"]);
const NO_POINTS = new Set(["bbox", "box", "vel", "acc", "accel", "gyro", "force", "torque", "moment", "euler"]);
const SCORES = new Set(["score", "scores", "conf", "confidence", "likelihood", "visibility", "presence", "prob", "probability", "c", "p", "s", "置信度", "得分", "分数"]);
const SEPARATORS = " \t_.-:/", LONGEST_NAME = 200;

const bareCell = (cell) => (cell ?? "").trim().replace(/^"+|"+$/g, "").trim();

function toNumber(text) {
  if (DECIMAL.test(text)) return Number(text);
  return UNBOUNDED.test(text) ? NaN : null;
}

function isNumberCell(cell) {
  const text = bareCell(cell);
  return NOTHING.has(text.toLowerCase()) ? text !== "" : toNumber(text) !== null;
}

/** Lines with their ends, and how to make bytes of them again: what is no UTF-8 is taken byte by byte. */
function tableLines(file) {
  let text, bytes = (t) => new TextEncoder().encode(t);
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(file.bytes);
  } catch {
    text = Array.from({ length: Math.ceil(file.bytes.length / 8192) }, (_, i) => String.fromCharCode(...file.bytes.subarray(i * 8192, (i + 1) * 8192))).join("");
    bytes = (t) => Uint8Array.from(t, (c) => c.charCodeAt(0));
  }
  if (text.slice(0, 4096).includes("\0")) throw new FileError(`${file.name} is a binary file, not a table of text`);
  return { lines: text.match(/[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+/g) ?? [], bytes };
}

/** Cells of a line as they stand, quotes and blanks included, so that joining them gives the line back. */
function splitCells(line, delimiter) {
  const parts = line.replace(/[\r\n]+$/, "").split(delimiter);
  if (!line.includes('"')) return parts;
  const cells = [];
  let open = [];
  for (const part of parts) {
    open.push(part);
    if (((part.split('"').length - 1) % 2 === 1) === (open.length > 1)) {
      cells.push(open.join(delimiter));
      open = [];
    }
  }
  return open.length ? [...cells, open.join(delimiter)] : cells;
}

class CellTable {
  constructor(file, lines, bytes, delimiter, firstRow) {
    Object.assign(this, { name: file.name, lines, bytes, delimiter });
    this.rows = [];
    for (let i = firstRow; i < lines.length; i++) if (lines[i].trim()) this.rows.push(i);
    this.cells = this.rows.map((i) => splitCells(lines[i], delimiter));
    this.frames = this.rows.map((_, i) => i);
    this.known = new Map();
  }

  /** Numbers of a column, NaN where a cell is empty or says so. */
  column(index, label) {
    if (!this.known.has(index)) {
      this.known.set(index, Float64Array.from(this.cells, (cells, row) => {
        const text = bareCell(cells[index]), value = NOTHING.has(text.toLowerCase()) ? NaN : toNumber(text);
        if (value === null) throw new FileError(`${this.name}, line ${this.rows[row] + 1}, column ${label}: "${text.slice(0, 60)}" is not a number`);
        return Number.isFinite(value) ? value : NaN;
      }));
    }
    return this.known.get(index);
  }

  /** Whether most cells of a column are numbers (the odd bad cell is an error later). */
  isNumeric(index) {
    let numbers = 0, texts = 0;
    for (const cells of this.cells) {
      if (isNumberCell(cells[index])) numbers++;
      else if ((cells[index] ?? "").trim()) texts++;
    }
    return numbers > texts || (!this.cells.length && !texts);
  }

  /** Take the frames of the rows from a column that numbers them. */
  numberFrames(index, label) {
    const numbers = [...this.column(index, label)], again = numbers.findIndex((v, i) => i > 0 && v === numbers[i - 1]);
    if (again > 0) throw new FileError(`${this.name}, line ${this.rows[again] + 1}: a second row for frame ${numbers[again]}; a table of several people needs columns of its own for each`);
    if (!numbers.length || !numbers.every(Number.isInteger)) return;
    const frames = timelineOf(numbers), order = numbers.map((v) => frames.get(v));
    if (order.every((v, i) => !i || v > order[i - 1])) this.frames = order;
  }

  get frameCount() {
    return this.frames.length ? this.frames.at(-1) + 1 : 0;
  }

  /** A track of the columns `joints`, a list of columns for each. */
  track(joints, scores, names, part = "points") {
    const count = this.frameCount, dims = joints[0].length;
    if (count * joints.length > Math.max(2 ** 26, 100 * this.rows.length * joints.length)) throw new FileError(`${this.name}: its frame numbers lie too far apart`);
    const track = { id: 0, part, start: 0, ...emptyPoints(count, joints.length, dims), scores: null, inFile: new Uint8Array(count * joints.length), where: joints };
    joints.forEach((columns, k) => columns.forEach((column, d) => {
      const values = this.column(column, `${column + 1} (${names[k]})`);
      this.frames.forEach((frame, row) => { track.data[(frame * joints.length + k) * dims + d] = values[row]; });
    }));
    for (const frame of this.frames) track.inFile.fill(1, frame * joints.length, (frame + 1) * joints.length);
    for (let i = 0; i < track.data.length; i += dims) if (!isShown(track.data, i, dims)) track.data.fill(NaN, i, i + dims);
    if (scores.some((column) => column !== null)) {
      track.scores = new Float64Array(count * joints.length).fill(NaN);
      scores.forEach((column, k) => {
        if (column === null) return;
        const values = this.column(column, `${column + 1} (score of ${names[k]})`);
        this.frames.forEach((frame, row) => { track.scores[frame * joints.length + k] = values[row]; });
      });
    }
    return track;
  }

  /** The file with changed coordinates: single cells are replaced, all else stays byte for byte. */
  changed(tracks, smoothed) {
    const habits = [], changes = new Map();
    tracks.forEach((track, n) => this.frames.forEach((frame, row) => track.where.forEach((columns, k) => columns.forEach((column, d) => {
      const i = (frame * track.joints + k) * track.dims + d, value = smoothed[n][i];
      if (Number.isFinite(track.data[i])) habits.push(bareCell(this.cells[row][column]));
      if (!Number.isFinite(value) || value === track.data[i]) return;
      if (!changes.has(row)) changes.set(row, new Map());
      changes.get(row).set(column, value);
    }))));
    const style = numberStyle(habits), lines = [...this.lines];
    for (const [row, columns] of changes) {
      const cells = [...this.cells[row]], line = lines[this.rows[row]];
      for (const [column, value] of columns) {
        while (cells.length <= column) cells.push("");
        const bare = bareCell(cells[column]);
        cells[column] = bare ? cells[column].replace(bare, () => style(value)) : style(value);
      }
      lines[this.rows[row]] = cells.join(this.delimiter) + line.slice(line.replace(/[\r\n]+$/, "").length);
    }
    return this.bytes(lines.join(""));
  }
}

function tableRecording(format, file, table, tracks, more) {
  const save = async (smoothed) => [{ name: file.name, bytes: table.changed(tracks, smoothed) }];
  return { format, name: file.name, tracks, frameCount: table.frameCount, fps: null, names: null, notes: [], save, ...more };
}

/** Frames a second from a column of seconds, null where it is none. */
function rateOf(times) {
  const steps = [];
  for (let i = 1; i < times.length; i++) if (times[i] > times[i - 1]) steps.push(times[i] - times[i - 1]);
  return steps.length ? Number((1 / medianOf(steps)).toFixed(4)) : null;
}

// ---- CSV ----

/** [joint, "x" | "y" | "z" | "score"] of a column name: nose_x, noseX, x3, "Left hip.z", nose_conf, x; null: another kind. */
export function columnRole(name) {
  name = name.trim();
  if (!name || name.length > LONGEST_NAME) return null;
  if (["x", "y", "z"].includes(name.toLowerCase())) return ["", name.toLowerCase()];
  return suffixed(name) ?? suffixed(withoutUnit(name)) ?? camelCase(name) ?? prefixed(name);
}

function axisWord(word) {
  word = word.toLowerCase();
  return ["x", "y", "z"].includes(word) ? word : SCORES.has(word) ? "score" : null;
}

const strip = (text, left = true) => {
  let a = 0, b = text.length;
  while (left && a < b && SEPARATORS.includes(text[a])) a++;
  while (b > a && SEPARATORS.includes(text[b - 1])) b--;
  return text.slice(a, b);
};

function suffixed(name) {
  const cut = Math.max(...[...SEPARATORS].map((s) => name.lastIndexOf(s)));
  const joint = strip(name.slice(0, cut + 1), false), what = axisWord(name.slice(cut + 1));
  return joint && what ? [strip(joint), what] : null;
}

function withoutUnit(name) {
  const starts = [name.indexOf("("), name.indexOf("[")].filter((i) => i > 0);
  return starts.length && ")]".includes(name.at(-1)) ? name.slice(0, Math.min(...starts)).trimEnd() : name;
}

function camelCase(name) {
  return "XYZ".includes(name.at(-1)) && /[a-z0-9)]/.test(name.at(-2) ?? "") ? [strip(name.slice(0, -1)), name.at(-1).toLowerCase()] : null;
}

function prefixed(name) {
  const word = name.replace(/\d+$/, ""), numbered = word !== name && axisWord(strip(word, false));
  if (numbered) return [name.slice(word.length), numbered];
  const cuts = [...SEPARATORS].map((s) => name.indexOf(s)).filter((i) => i > 0), cut = cuts.length ? Math.min(...cuts) : 0;
  const what = cut ? axisWord(name.slice(0, cut)) : null, joint = strip(name.slice(cut));
  return what && joint ? [joint, what] : null;
}

function countedHeader(first, lines, top, delimiter) {
  const withIndex = !first[0], numbers = withIndex ? first.slice(1) : first;
  if (numbers.length < 2 || numbers.some((v, i) => v !== String(i))) return false;
  const below = lines.slice(top + 1).find((line) => line.trim());
  if (below === undefined) return withIndex;
  const cells = splitCells(below, delimiter).map(bareCell);
  if (withIndex) return cells[0] !== "";
  return cells.some((cell) => !/^-*\d+$/.test(cell)) && !(numbers.length === 2 && cells[0] === "1");
}

/** Whether what has x and y can be a point by its name: no box, no velocity (lib/formats/plain_csv.py). */
function isPoint(joint) {
  return !joint.toLowerCase().split(/[ \t_.\-:/]+/).some((word) => NO_POINTS.has(word) || /(angles|velocity|velocities|accelerations?)$/.test(word));
}

export function readCsv(file, layout = null) {
  const { lines, bytes } = tableLines(file), top = lines.findIndex((line) => line.trim());
  if (top < 0) throw new FileError(`${file.name} is empty; a .csv needs one row a frame`);
  const delimiter = [",", ";", "\t"].reduce((best, d) => (lines[top].split(d).length > lines[top].split(best).length ? d : best));
  const first = splitCells(lines[top], delimiter).map((cell) => bareCell(cell.trim().replace(/^\ufeff/, "")));
  const header = !first.every((cell) => isNumberCell(cell) || !cell) || countedHeader(first, lines, top, delimiter);
  const table = new CellTable(file, lines, bytes, delimiter, header ? top + 1 : top);
  table.cells.forEach((cells, row) => {
    if (cells.length !== first.length) throw new FileError(`${file.name}, line ${table.rows[row] + 1}: ${cells.length} cells where the first line has ${first.length}`);
  });
  const names = header ? first : first.map(() => ""), joints = new Map(), plain = [];
  let fps = null;
  names.forEach((name, column) => {
    const lowered = name.toLowerCase(), role = header ? columnRole(name) : null;
    if (header && TIMES.has(lowered)) { if (table.isNumeric(column)) fps = rateOf(table.column(column, name)); }
    else if (header && FRAMES.has(lowered)) { if (table.isNumeric(column)) table.numberFrames(column, name); }
    else if (header && INDICES.has(lowered)) return;
    else if (role && isPoint(role[0])) {
      const [joint, what] = role;
      if (!joints.has(joint)) joints.set(joint, new Map());
      if (joints.get(joint).has(what)) throw new FileError(`${file.name}: two columns stand for ${what} of ${joint || "the point"}`);
      joints.get(joint).set(what, column);
    } else if (table.isNumeric(column)) plain.push(column);
  });
  for (const column of layout ? [] : plain) { // w beside x, y, z
    const columns = /w$/i.test(names[column]) ? joints.get(strip(names[column].slice(0, -1))) : null;
    if (!["x", "y", "z"].every((axis) => columns?.has(axis))) continue;
    const four = [column, ...["x", "y", "z"].map((axis) => columns.get(axis))].map((c) => table.column(c, names[c]));
    if (isRotation(Array.from(four[0], (_, t) => four.map((values) => values[t])), 4)) throw new FileError(`${file.name}: ${ROTATIONS}`);
  }
  const groups = new Map();
  for (const [name, columns] of joints) {
    if (!columns.has("x") || !columns.has("y")) continue;
    const axes = columns.has("z") ? "xyz" : "xy";
    groups.set(axes, [...(groups.get(axes) ?? []), name]);
  }
  if (groups.size && !layout) {
    const tracks = [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([axes, order]) => table.track(
      order.map((name) => [...axes].map((axis) => joints.get(name).get(axis))),
      order.map((name) => joints.get(name).get("score") ?? null), order, `${axes.length}D`));
    return tableRecording("CSV", file, table, tracks, { fps, names: tracks.length === 1 ? [...groups.values()][0] : null });
  }
  for (const columns of joints.values()) for (const column of columns.values()) if (table.isNumeric(column)) plain.push(column);
  return plainColumns(file, table, names, plain.sort((a, b) => a - b), fps, layout);
}

/** Columns without names for their joints: a leading one that counts or tells the time goes, the rest is a matrix. */
function plainColumns(file, table, names, plain, fps, layout) {
  const notes = [];
  if (plain.length) {
    const leading = table.column(plain[0], "1"), step = constantStep(leading);
    const counts = step === 1 && (leading[0] === 0 || leading[0] === 1 || leading.length >= 10);
    if (counts || (step !== null && step > 0 && step < 1 && leading.length >= 10)) {
      plain = plain.slice(1);
      fps = counts ? fps : rateOf(leading);
      notes.push(`the first column taken for ${counts ? "a count of the rows" : "the time"}`);
    }
  }
  if (!plain.length) throw new FileError(`${file.name} has no columns of coordinates (such as nose_x, nose_y) that hold numbers`);
  const rows = table.rows.length, matrix = new Float64Array(rows * plain.length);
  plain.forEach((column, c) => table.column(column, `${column + 1} ${names[column]}`.trim()).forEach((value, row) => { matrix[row * plain.length + c] = value; }));
  const { numbers, dims, score } = flatRows(matrix, rows, plain.length, file.name, layout);
  const joints = Array.from({ length: plain.length / numbers }, (_, k) => plain.slice(k * numbers, (k + 1) * numbers));
  const labels = joints.map((columns, k) => names[columns[0]] || `joint ${k}`);
  const track = table.track(joints.map((columns) => columns.slice(0, dims)), joints.map((columns) => (score === null ? null : columns[score])), labels);
  return tableRecording("CSV", file, table, [track], { fps, notes });
}

/** By how much a column grows from row to row, if always by the same (up to rounding). */
function constantStep(values) {
  const steps = Array.from(values.subarray(1), (v, i) => v - values[i]);
  if (steps.length < 2 || !steps.every((s) => Number.isFinite(s) && s > 0)) return null;
  const step = medianOf(steps);
  return steps.every((s) => Math.abs(s - step) <= Math.max(0.02 * step, step < 0.5 ? 2e-3 : 0)) ? step : null;
}

// ---- TRC ----

export function readTrc(file) {
  const { lines, bytes } = tableLines(file);
  if (lines.length < 5 || !lines[0].replace(/^\ufeff/, "").startsWith("PathFileType")) throw new FileError(`${file.name} is not a .trc file: its first line must start with PathFileType`);
  const keys = lines[1].trim().split(/\s+/), values = lines[2].trim().split(/\s+/), at = keys.indexOf("DataRate");
  const fps = at < 0 || values[at] === undefined ? null : toNumber(values[at]);
  if (fps === null && at >= 0 && values[at] !== undefined) throw new FileError(`${file.name}, line 3: DataRate "${values[at]}" is not a number`);
  const labels = splitCells(lines[3], "\t").map((cell) => cell.trim());
  const columns = labels.map((_, i) => i).filter((i) => i >= 2 && labels[i]);
  if (!columns.length) throw new FileError(`${file.name}, line 4 names no markers (tab-separated, behind Frame# and Time)`);
  if (columns.some((column) => (column - 2) % 3)) throw new FileError(`${file.name}, line 4: each marker must span three columns (X, Y, Z)`);
  const table = new CellTable(file, lines, bytes, "\t", 5), width = columns.at(-1) + 3;
  table.cells.forEach((cells, row) => {
    if (cells.slice(width).some((cell) => cell.trim())) throw new FileError(`${file.name}, line ${table.rows[row] + 1}: ${cells.length} cells, the markers of line 4 need ${width}`);
  });
  if (table.isNumeric(0)) table.numberFrames(0, labels[0]);
  const names = columns.map((column) => labels[column]);
  const track = table.track(columns.map((column) => [column, column + 1, column + 2]), columns.map(() => null), names);
  for (let i = 0; i < track.data.length; i += 3) if (track.data[i] === 0 && track.data[i + 1] === 0 && track.data[i + 2] === 0) track.data.fill(NaN, i, i + 3);
  return tableRecording("TRC", file, table, [track], { fps, names });
}
