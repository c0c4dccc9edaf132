// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) SmoothNet contributors
/** Text tables with one row a frame or a row a person, CSV and OpenSim's TRC: lib/formats/{tables,plain_csv,long_csv,trc}.py. */
import { FileError, isNamed, numberStyle, timelineOf } from "./documents.js";
import { emptyPoints, isShown } from "./gaps.js";
import { flatRows, isRotation, lookLikeBoxes, ROTATIONS } from "./meaning.js";
import { peopleRecording } from "./people.js";
import { medianOf } from "./tracks.js";
import {
  CLOCKS, COPIES, FRAMES, IMAGES, INDICES, JOINTS, KINDS, NOTHING, NO_LENGTHS, NO_POINTS, NO_POINTS_ENDS, NO_POINT_IN, PEOPLE, RECORDINGS, SCORES, SENSORS, SOMEBODY,
  SUMMARIES, SURE_JOINTS, TIMES, UNITS, VIDEO_ENDINGS,
} from "./words.js";

const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i, UNBOUNDED = /^[+-]?(inf|infinity|nan)$/i;
const DECIMAL_COMMA = /^[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+$/; // 1,5 and 1.234,5
const TURNED = /^(.*?)(?:(?<![^ _.\-:/])|(?<=[a-z0-9])(?=[A-Z]))(?:[rR]|[rR]ot|ROT|[rR]otate|[eE]ul|[eE]uler|[aA]ng|[aA]ngle)[_.]?([xyzXYZ])$/;
const SEPARATORS = " \t_.-:/", LONGEST_NAME = 200, WIDEST = 2 ** 24; // columns of a table

const bareCell = (cell) => (cell ?? "").trim().replace(/^"+|"+$/g, "").trim();

function toNumber(text) {
  if (DECIMAL.test(text)) return Number(text);
  return UNBOUNDED.test(text) ? NaN : null;
}

function isNumberCell(cell) {
  const text = bareCell(cell);
  return NOTHING.has(text.toLowerCase()) ? text !== "" : toNumber(text) !== null;
}

/** The error for a cell that should be a number. */
function noNumber(name, line, column, text) {
  const advice = DECIMAL_COMMA.test(text) ? ", it has a comma for a decimal point; write points, as pandas does"
    : /^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$/.test(text) ? ", it has commas between thousands; write it without them"
    : text.includes("\u2212") ? ", its minus is another sign; write -"
    : line <= 10 ? "; remove lines that are no frames, such as units or a second line of names" : "";
  return new FileError(`${name}, line ${line}, column ${column}: "${text.slice(0, 60)}" is not a number${advice}`);
}

/** Lines with their ends, and how to make bytes of them again: what is no UTF-8 is taken byte by byte. */
function tableLines(file) {
  const mark = file.bytes[0] << 8 | file.bytes[1];
  if (mark === 0xfffe || mark === 0xfeff) throw new FileError(`${file.name} is text in UTF-16; save it as UTF-8 (in Excel: CSV UTF-8)`);
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
    for (let i = firstRow; i < lines.length; i++) if (lines[i].trim() && !lines[i].startsWith("#")) this.rows.push(i);
    this.cells = this.rows.map((i) => splitCells(lines[i], delimiter));
    this.frames = this.rows.map((_, i) => i);
    this.known = new Map();
    this.changes = new Map();
  }

  /** The number in a cell, NaN where it is empty or says so. */
  number(row, index, label) {
    const text = bareCell(this.cells[row][index]), value = NOTHING.has(text.toLowerCase()) ? NaN : toNumber(text);
    if (value === null) throw noNumber(this.name, this.rows[row] + 1, label, text);
    return Number.isFinite(value) ? value : NaN;
  }

  /** Numbers of a column, NaN where a cell is empty or says so. */
  column(index, label) {
    if (!this.known.has(index)) {
      this.known.set(index, Float64Array.from(this.cells, (_, row) => this.number(row, index, label)));
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

  /** The words of a column, without quotes. */
  words(index) {
    return this.cells.map((cells) => cells[index].trim().replace(/^"+|"+$/g, ""));
  }

  /** Take the frames of the rows from a column that numbers or names them; rows may stand in any order. */
  numberFrames(index, label) {
    const numeric = this.isNumeric(index), labels = numeric ? [...this.column(index, label)] : this.words(index), seen = new Set();
    if (numeric && !labels.every(Number.isFinite)) {
      const row = labels.findIndex((value, i) => !Number.isFinite(value) && this.cells[i].some(isNumberCell));
      if (row >= 0) throw new FileError(`${this.name}, line ${this.rows[row] + 1}: a row without a number in the column ${label}; number it, or remove it if it is no frame`);
      return;
    }
    labels.forEach((value, row) => {
      if (seen.has(value)) throw new FileError(`${this.name}, line ${this.rows[row] + 1}: a second row for frame ${value}; a table of several people needs a column person or track_id, or columns of its own for each`);
      seen.add(value);
    });
    if (numeric && !labels.every(Number.isInteger)) this.frames = ranksOf(labels);
    else {
      const frames = timelineOf(labels);
      this.frames = labels.map((value) => frames.get(value));
    }
  }

  /** Leave out rows without anything in them, as spreadsheets write below the last. */
  dropEmpty() {
    const filled = this.cells.flatMap((cells, row) => (cells.some((cell) => bareCell(cell)) ? [row] : []));
    this.rows = filled.map((row) => this.rows[row]);
    this.cells = filled.map((row) => this.cells[row]);
    this.frames = filled.map((_, i) => i);
  }

  /** Put the rows in the order of the times in a column, with gaps where an even clock leaves frames out. */
  orderRows(index, label) {
    const times = [...this.column(index, label)], back = times.findIndex((time, i) => i && time < times[i - 1]);
    if (!times.every(Number.isFinite)) return;
    if (back >= 0 && new Set(times).size < times.length) throw new FileError(`${this.name}, line ${this.rows[back] + 1}: ${label} goes back to ${Number(times[back].toPrecision(6))}; a table of several people needs a column track_id, several recordings need a file each`);
    const sorted = times.map((_, row) => row).sort((a, b) => times[a] - times[b] || a - b), frames = framesByTimes(sorted.map((row) => times[row]));
    sorted.forEach((row, i) => { this.frames[row] = frames[i]; });
  }

  /** Whether the words of a column come again; with the column `time`, and do so only in rows of another time, of which each may have several. */
  tellsApart(index, time = null) {
    const trimmed = (column) => this.cells.map((cells) => cells[column].trim());
    const words = trimmed(index), count = new Set(words).size;
    if (count < 2 || count > words.length / 2) return false;
    if (time === null) return true;
    const moments = trimmed(time), pairs = new Set(moments.map((moment, i) => JSON.stringify([moment, words[i]])));
    return new Set(moments).size < moments.length && pairs.size === moments.length;
  }

  get frameCount() {
    return this.frames.reduce((most, frame) => Math.max(most, frame + 1), 0);
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
        if (values.some((value) => value < 0)) return; // parameters of OpenFace are called p_0, too
        this.frames.forEach((frame, row) => { track.scores[frame * joints.length + k] = values[row]; });
      });
    }
    return track;
  }

  /** The file with changed coordinates. */
  changed(tracks, smoothed) {
    const habits = [], changes = [];
    tracks.forEach((track, n) => this.frames.forEach((frame, row) => track.where.forEach((columns, k) => columns.forEach((column, d) => {
      const i = (frame * track.joints + k) * track.dims + d, value = smoothed[n][i], place = this.place(row, column);
      if (Number.isFinite(track.data[i])) habits.push(this.token(place));
      if (Number.isFinite(value) && value !== track.data[i]) changes.push([place, value]);
    }))));
    const style = numberStyle(habits);
    this.changes = new Map(changes.map(([place, value]) => [place, style(value)]));
    return this.bytes(this.changedText());
  }

  // As of a JsonDocument: a place is a cell.

  place(row, column) {
    return row * WIDEST + column;
  }

  token(place) {
    return bareCell(this.cells[Math.floor(place / WIDEST)][place % WIDEST]);
  }

  /** The text with `changes`, place -> text: single cells are replaced, all else stays as it was. */
  changedText() {
    const lines = [...this.lines], changed = new Map();
    for (const [place, text] of this.changes) {
      const row = Math.floor(place / WIDEST);
      if (!changed.has(row)) changed.set(row, [...this.cells[row]]);
      const cells = changed.get(row), column = place % WIDEST, bare = this.token(place);
      while (cells.length <= column) cells.push("");
      cells[column] = bare ? cells[column].replace(bare, () => text) : text;
    }
    for (const [row, cells] of changed) {
      const line = lines[this.rows[row]];
      lines[this.rows[row]] = cells.join(this.delimiter) + line.slice(line.replace(/[\r\n]+$/, "").length);
    }
    return lines.join("");
  }
}

/** The place of each number in their order; the same numbers share one. */
function ranksOf(values) {
  const order = new Map([...new Set(values)].sort((a, b) => a - b).map((value, rank) => [value, rank]));
  return values.map((value) => order.get(value));
}

/** Frames of rows by their times, which do not go back; those of an even clock leave gaps: lib/formats/timeline.py. */
function framesByTimes(times) {
  const steps = times.slice(1).map((time, i) => time - times[i]), usual = steps.length ? medianOf(steps) : 0, plain = times.map((_, i) => i);
  if (!(usual > 0) || steps.every((step) => Math.abs(step / usual - 1) <= 0.5)) return plain;
  const counts = steps.map((step) => Math.round(step / usual)), last = counts.reduce((a, b) => a + b, 0);
  const even = steps.every((step, i) => counts[i] >= 1 && Math.abs(step / usual - counts[i]) <= 0.25) && 2 * counts.filter((n) => n === 1).length > steps.length;
  if (!even || last - steps.length >= 9 * times.length + 10) return plain;
  let frame = 0;
  return [0, ...counts.map((count) => (frame += count))];
}

function tableRecording(format, file, table, tracks, more) {
  const save = async (smoothed) => [{ name: file.name, bytes: table.changed(tracks, smoothed) }];
  return { format, name: file.name, tracks, frameCount: table.frameCount, fps: null, names: null, notes: [], save, ...more };
}

/** Frames a second from a column of seconds, null where it is none, as where it holds milliseconds or counts. */
function rateOf(times) {
  const steps = [];
  for (let i = 1; i < times.length; i++) if (times[i] > times[i - 1]) steps.push(times[i] - times[i - 1]);
  if (!steps.length || medianOf(steps) >= 1) return null;
  return Number((1 / medianOf(steps)).toFixed(4));
}

// ---- CSV ----

/** [joint, "x" | "y" | "z" | "score"] of a column name: nose_x, noseX, x3, "Left hip.z", nose_conf, x; null: another kind. */
export function columnRole(name) {
  name = name.trim().replace(/[[(]([xyzXYZ])[\])]$/, "_$1"); // nose[x]
  if (name.startsWith("('") && name.endsWith("')")) name = [...name.matchAll(/'([^']*)'/g)].map((word) => word[1]).join("_"); // ('nose', 'x')
  if (!name || name.length > LONGEST_NAME || isNoLength(name)) return null;
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
  const end = name.lastIndexOf("_");
  if (end >= 0 && UNITS.has(name.slice(end + 1).toLowerCase())) return name.slice(0, end);
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
  if (numbers.length < 2 || !["", ".0"].some((end) => numbers.every((v, i) => v === `${i}${end}`))) return false;
  const below = lines.slice(top + 1).find((line) => line.trim());
  if (below === undefined) return withIndex;
  const cells = splitCells(below, delimiter).map(bareCell);
  if (withIndex) return cells[0] !== "";
  if (numbers.length === 2) return cells.some((cell) => !/^-*\d+$/.test(cell)) && cells[0] !== "1"; // one point, which may well begin at (0, 1)
  const row = cells.map(toNumber); // a row of data may count too, but then the next counts as well
  return row.some((value, i) => i > 0 && (value === null || row[i - 1] === null || value - row[i - 1] !== 1));
}

/** Whether the first row is one of data that has a text in it: lib/formats/plain_csv.py. */
function isRow(first, lines, top, delimiter) {
  const below = lines.slice(top + 1).find((line) => line.trim()), numbers = first.map(toNumber).filter((value) => value !== null);
  const counts = numbers.every((value, i) => Number.isInteger(value) && (!i || numbers[i - 1] < value));
  if (below === undefined || counts || 2 * numbers.length <= first.length) return false;
  const cells = splitCells(below, delimiter);
  return first.length === cells.length && first.every((cell, i) => isNumberCell(cell) === isNumberCell(cells[i]));
}

/** Whether what has x and y can be a point by its name: no box, no velocity, no angles (lib/formats/plain_csv.py). */
function isPoint(joint) {
  const words = nameWords(joint.replace(/([a-z])(?=[A-Z])/g, "$1 "));
  return !words.some((word) => NO_POINTS.has(word) || NO_POINTS.has(word.replace(/s$/, "")) || NO_POINTS_ENDS.some((end) => word.endsWith(end)));
}

function nameWords(name) {
  return name.toLowerCase().split(/[ \t_.\-:/]+/).filter(Boolean);
}

/** Whether a column, by its name and its joint's, is of the same point as others of these, which stays: nose_norm_x or raw_nose_x beside nose_x. */
function copiesAmong(names) {
  const known = new Set(names), roles = names.map(columnRole).filter((role) => role?.[1] === "x");
  const places = new Set(roles.map(([joint]) => nameWords(joint).join(" ")));
  return (name, joint) => {
    const bare = withoutUnit(name);
    return (bare !== name && known.has(bare)) || othersOf(nameWords(joint)).some((words) => places.has(words.join(" ")));
  };
}

/** Whose copy a joint of such a name would be. */
function othersOf(words) {
  const first = words.findIndex((word) => !COPIES.has(word));
  const rest = first < 0 ? [] : words.slice(first, words.findLastIndex((word) => !COPIES.has(word)) + 1);
  const others = rest.length < words.length ? [rest] : [];
  if (words.length > 1 && KINDS.has(words.at(-1))) others.push(...["x", "p"].map((place) => [...words.slice(0, -1), place])); // Hips-V-x beside Hips-X-x
  return others;
}

/** The unit in brackets behind a column's name. */
function unitOf(name) {
  return /[[(]([^[\]()]+)[\])]\s*$/.exec(name)?.[1].trim();
}

/** Whether a column's name has a unit in brackets behind it that no position has. */
function isNoLength(name) {
  const unit = unitOf(name);
  return unit !== undefined && (NO_LENGTHS.has(unit) || unit.includes("/") || unit.includes("s^-"));
}

/** Whether a column of numbers has an axis and is called a rotation, a velocity, a force or the like. */
function isNoPlace(name) {
  if (isNoLength(name)) return true;
  const role = columnRole(name), joint = role ? role[0] : /[xyz]$/i.test(name) ? name : "";
  return joint !== "" && !isPoint(joint);
}

/** Whether a column tells the time by its name, in whatever unit: time, timestamp_ms, Time [s], Timestamp (ms). */
function isTime(name) {
  return isNamed(name, TIMES) || isNamed(name, CLOCKS) || (/[\])]\s*$/.test(name) && isNamed(withoutUnit(name), TIMES));
}

/** Whether a column tells the time in seconds, or does not say its unit. */
function isSeconds(name) {
  return isNamed(name, TIMES) || (isTime(name) && /^(s|secs?|seconds?)$/i.test(unitOf(name) ?? ""));
}

/** Refuse rows of several recordings, and rows of means and the like below the frames. */
function refuseOthers(table, names) {
  const several = names.findIndex((name, column) => isNamed(name, RECORDINGS) && table.tellsApart(column)
    && (!isNamed(name, IMAGES) || table.cells.every((cells) => VIDEO_ENDINGS.some((end) => bareCell(cells[column]).toLowerCase().endsWith(end)))));
  if (several >= 0) throw new FileError(`${table.name}: rows are of several recordings, by the column ${names[several]}; give each a file of its own`);
  for (let row = Math.max(table.cells.length - 9, 1); row < table.cells.length; row++) {
    table.cells[row].forEach((cell, column) => {
      const word = bareCell(cell).toLowerCase();
      if (!SUMMARIES.has(word) || bareCell(table.cells[0][column]).toLowerCase() === word) return;
      throw new FileError(`${table.name}, line ${table.rows[row] + 1}: ${word} in the column ${names[column] || column + 1}: rows that sum up others are no frames; remove them`);
    });
  }
}

/** What parts the cells of a line: of comma, semicolon and tab the one that parts it into most. */
function delimiterOf(line) {
  if (/[;\t]/.test(line)) line = line.replace(/(?<=\d),(?=\d)/g, ""); // decimal points of 1,5;2,5
  return [",", ";", "\t"].reduce((best, d) => (line.split(d).length > line.split(best).length ? d : best));
}

/** Which line is the header: the first that is neither blank nor a comment, or the comment right above rows of numbers (numpy.savetxt). */
function headerAt(lines) {
  let comment = -1;
  for (let i = 0; i < lines.length; i++) {
    if (!i && /^\ufeff?"?sep=[,;\t|]?"?$/i.test(lines[i].trim())) continue; // by which Excel parts the cells
    if (/^\ufeff?\s*#/.test(lines[i])) comment = i;
    else if (lines[i].trim()) {
      const delimiter = delimiterOf(lines[i]), cells = splitCells(lines[i], delimiter);
      const numbers = cells.every((cell) => isNumberCell(cell) || !cell.trim());
      return comment >= 0 && numbers && splitCells(lines[comment], delimiter).length === cells.length ? comment : i;
    }
  }
  return comment;
}

/** Joints that have x and y twice, in small letters and in capitals: pixels x_0 and millimetres X_0 of OpenFace. */
function alsoInCapitals(names) {
  const spelt = new Set(names.map((name) => name.trim())), joints = new Set();
  for (const name of spelt) {
    const role = name === name.toLowerCase() && name !== name.toUpperCase() && spelt.has(name.toUpperCase()) ? columnRole(name) : null;
    if (role && ["x", "y"].includes(role[1])) joints.add(role[0]);
  }
  return joints;
}

/** Whether x1, y1, x2, y2 are all that has a number for a name, and always the corners of boxes; refused where they are all there is. */
function refuseBoxes(table, joints) {
  const numbered = [...joints.keys()].filter((name) => /^\d+$/.test(name)).sort();
  const columns = numbered.flatMap((name) => ["x", "y"].map((axis) => joints.get(name).get(axis)));
  if (numbered.join() !== "1,2" || columns.includes(undefined) || numbered.some((name) => joints.get(name).has("z"))) return;
  const values = columns.map((column) => table.column(column, String(column + 1)));
  if (!lookLikeBoxes(Array.from(values[0], (_, t) => values.map((list) => list[t])))) return;
  throw new FileError(`${table.name}: columns x1, y1, x2, y2 hold boxes (left, top, right, bottom), no joints; if they are two points, call them a_x, a_y, b_x, b_y`);
}

/** Take out of the joints what is no coordinate of theirs, and give its columns: z that never has a number, x and y of a box. */
function dropOthers(table, names, joints) {
  const dropped = [], spelt = new Set(names.map((name) => name.toLowerCase())), box = joints.get(""), has = (own, axes) => [...axes].every((axis) => own?.has(axis));
  const isEmpty = (column) => !table.column(column, names[column]).some(Number.isFinite);
  const drop = (own, axis) => { dropped.push(own.get(axis)); own.delete(axis); };
  for (const own of joints.values()) if (has(own, "xyz") && isEmpty(own.get("z")) && !isEmpty(own.get("x"))) drop(own, "z");
  const others = [...joints].some(([joint, own]) => joint && has(own, "xy"));
  if (others && has(box, "xy") && (["w", "h"].every((name) => spelt.has(name)) || ["width", "height"].every((name) => spelt.has(name)))) {
    for (const axis of "xyz") if (box.has(axis)) drop(box, axis);
  }
  return dropped;
}

export function readCsv(file, layout = null) {
  const { lines, bytes } = tableLines(file), top = headerAt(lines);
  if (top < 0) throw new FileError(`${file.name} is empty; a .csv needs one row a frame`);
  const delimiter = delimiterOf(lines[top]);
  const first = splitCells(lines[top].replace(/^\ufeff?\s*#/, ""), delimiter).map((cell) => bareCell(cell.trim().replace(/^\ufeff/, "")));
  first.forEach((cell, column) => { // no header would be called that
    if (DECIMAL_COMMA.test(cell)) throw noNumber(file.name, top + 1, column + 1, cell);
  });
  const header = (!first.every((cell) => isNumberCell(cell) || !cell) || countedHeader(first, lines, top, delimiter)) && !isRow(first, lines, top, delimiter);
  const table = new CellTable(file, lines, bytes, delimiter, header ? top + 1 : top);
  table.cells.forEach((cells, row) => {
    if (cells.length !== first.length) throw new FileError(`${file.name}, line ${table.rows[row] + 1}: ${cells.length} cells where the first line has ${first.length}${first.length <= cells.length / 2 ? "; remove lines above the names of the columns" : ""}`);
  });
  if (header && first.some((name) => isNamed(name, FRAMES) || isNamed(name, IMAGES) || isTime(name))) table.dropEmpty();
  const names = header ? first : first.map(() => "");
  if (header) refuseOthers(table, names);
  const people = header && rowsOfPeople(table, names);
  if (people) {
    dropOthers(table, names, people.joints);
    refuseBoxes(table, people.joints);
    return readPeople(file, table, people);
  }
  const { joints, plain, fps } = sortColumns(table, names, header, layout !== null);
  if (!layout && joints.size > 1 && [...joints.keys()].every((joint) => SENSORS.has(joint.toLowerCase()))) { // a_x, a_y, a_z, g_x, ...
    throw noPositions(file.name, names[Math.min(...joints.values().next().value.values())]);
  }
  if (header && !layout) plain.push(...dropOthers(table, names, joints));
  for (const column of layout ? [] : plain) { // w beside x, y, z
    const name = withoutUnit(names[column].trim()), columns = /w$/i.test(name) ? joints.get(strip(name.slice(0, -1))) : null; // q_RS_w []
    if (!["x", "y", "z"].every((axis) => columns?.has(axis))) continue;
    const four = [column, ...["x", "y", "z"].map((axis) => columns.get(axis))].map((c) => table.column(c, names[c]));
    if (isRotation(Array.from(four[0], (_, t) => four.map((values) => values[t])), 4)) throw new FileError(`${file.name}: ${ROTATIONS}`);
  }
  if (!layout) refuseBoxes(table, joints);
  if (!layout && joints.size === 1) names.forEach((name, column) => { // rows of a joint each, whose frames no column numbers
    if (!header || !isNamed(name, JOINTS)) return;
    if (table.tellsApart(column)) throw new FileError(`${file.name}: rows are of several joints, by the column ${name}, and no column numbers the frames; add a column frame`);
    const words = table.words(column);
    if (isNamed(name, SURE_JOINTS) && words.length > 1 && new Set(words).size === words.length) throw new FileError(`${file.name} holds one pose: its rows are joints, by the column ${name}; poses of several frames are smoothed, with a column frame`);
  });
  const bodies = bodiesOf(joints);
  if (bodies.length && !layout) {
    const tracks = bodies.map(({ part, columns, scores, order }) => table.track(columns, scores, order, part));
    const turns = plain.filter((column) => isNoPlace(names[column]));
    const notes = turns.length ? [`columns such as ${names[turns[0]]} are left as they are (rotations, velocities and the like)`] : [];
    return tableRecording("CSV", file, table, tracks, { fps, names: tracks.length === 1 ? bodies[0].order : null, notes });
  }
  for (const columns of joints.values()) for (const column of columns.values()) if (table.isNumeric(column)) plain.push(column);
  plain.sort((a, b) => a - b);
  const sensors = header && plain.every((column) => SENSORS.has(names[column].slice(0, -1).toLowerCase()));
  const noPoints = layout ? [] : plain.filter((column) => sensors || isNoPlace(names[column])), rest = plain.filter((column) => !noPoints.includes(column));
  // The size of a pupil beside gazes is no position either, nor a clock beside accelerations.
  if (noPoints.length && !rest.some((column) => /[xyzuvw\d]$/i.test(names[column]))) throw noPositions(file.name, names[noPoints[0]]);
  return plainColumns(file, table, names, rest, fps, layout);
}

function noPositions(file, name) {
  return new FileError(`${file}: columns such as ${name} hold no positions by their names (rotations, velocities, sizes and the like); if they do, say what the numbers of a joint are`);
}

/** The columns by what they are, the rows put in the order of time. */
function sortColumns(table, names, header, said) {
  const joints = new Map(), plain = [], texts = [], frames = [], times = [], who = [], indices = [];
  const capital = header ? alsoInCapitals(names) : new Set();
  const isAgain = copiesAmong(names);
  let fps = null;
  names.forEach((name, column) => {
    const role = header ? columnRole(name) : null;
    const isOf = (...sets) => header && sets.some((words) => isNamed(name, words));
    if (header && isTime(name)) {
      if (!table.isNumeric(column)) return;
      times.push(column);
      if (isSeconds(name)) {
        const moments = new Set(table.column(column, name)); // of a clock of whole seconds they give no rate
        fps = moments.size > table.rows.length / 2 ? rateOf(Float64Array.from(moments).sort()) : null;
      }
    } else if (isOf(FRAMES)) {
      if (table.isNumeric(column) || new Set(table.cells.map((cells) => cells[column])).size === table.rows.length) frames.push(column);
    } else if (isOf(IMAGES)) {
      if (new Set(table.cells.map((cells) => cells[column])).size === table.rows.length) frames.push(column);
    } else if (isOf(PEOPLE, new Set(["id", "idx"]))) who.push(column);
    else if (header && INDICES.has(name.toLowerCase())) indices.push(column);
    else if (role && isPoint(role[0]) && (said || !isAgain(name, role[0]))) {
      const what = role[1], joint = capital.has(role[0]) && name !== name.toLowerCase() ? `${role[0]} 3D` : role[0];
      if (!joints.has(joint)) joints.set(joint, new Map());
      if (!joints.get(joint).has(what)) joints.get(joint).set(what, column);
      else if (said || what === "score") plain.push(column); // visibility and presence
      else throw new FileError(`${table.name}: two columns stand for ${what} of ${joint || "the point"}; say what the numbers of a joint are if they are joints one after the other`);
    } else (table.isNumeric(column) ? plain : texts).push(column);
  });
  const point = joints.get(""), score = plain.findIndex((column) => names[column].length > 1 && isNamed(names[column], SCORES));
  if (score >= 0 && !said && point?.has("x") && point.has("y") && !point.has("score")) point.set("score", ...plain.splice(score, 1)); // of x, y, likelihood
  if (header) setFrames(table, names, frames, times, who, [...texts, ...plain]);
  if (!frames.length && !times.length && indices.length && table.isNumeric(indices[0])) { // pandas' index: rows that were dropped are missing frames
    const numbers = table.column(indices[0], "1");
    if (numbers.every(Number.isInteger) && new Set(numbers).size === numbers.length) table.numberFrames(indices[0], "1");
  }
  return { joints, plain, fps };
}

/** Put the rows in the order of their frames, or of their times where no column numbers the frames; several people are refused. */
function setFrames(table, names, frames, times, who, others) {
  const several = frames.length ? undefined : who.find((column) => table.tellsApart(column));
  if (several !== undefined) throw new FileError(`${table.name}: ${names[several]} names several people, and no column numbers the frames; add a column frame, or give each person a file`);
  if (frames.length) table.numberFrames(frames[0], names[frames[0]]);
  else if (times.length) {
    const [time] = times;
    table.orderRows(time, names[time]);
    const differs = others.find((column) => table.tellsApart(column, time));
    if (differs !== undefined) throw new FileError(`${table.name}: rows of one ${names[time]} differ in ${names[differs] || "a nameless column"}; name that column track_id if it tells people, else remove it`);
  }
}

/** Joints of the same unit and axes: [{part, axes, order, columns, scores}]. */
function bodiesOf(joints) {
  const groups = new Map();
  for (const [name, roles] of joints) {
    if (!roles.has("x") || !roles.has("y")) continue;
    const axes = roles.has("z") ? "xyz" : "xy", part = `${axes.length}D${name.toLowerCase().includes("world") ? " world" : ""}`;
    if (!groups.has(part)) groups.set(part, { part, axes, order: [], columns: [], scores: [] });
    const body = groups.get(part);
    body.order.push(name);
    body.columns.push([...axes].map((axis) => roles.get(axis)));
    body.scores.push(roles.get("score") ?? null);
  }
  return [...groups.values()].sort((a, b) => (a.part < b.part ? -1 : 1));
}

// ---- several rows a frame: lib/formats/long_csv.py ----

function pointRole(name) {
  const role = columnRole(name);
  return role && isPoint(role[0]) ? role : null;
}

/** The columns of a table with a row a person, {frame, time, people, joints}; null where each frame has one row. */
function rowsOfPeople(table, names) {
  const people = [], rowsOfJoints = [], joints = new Map(), isAgain = copiesAmong(names);
  let frame = null, numbered = false, time = null;
  const add = (joint, what, column) => {
    if (!joints.has(joint)) joints.set(joint, new Map());
    const roles = joints.get(joint);
    if (roles.has(what)) return false;
    roles.set(what, column);
    return true;
  };
  names.forEach((name, column) => {
    const lowered = name.toLowerCase(), found = NO_POINT_IN.some((word) => lowered.includes(word)) ? null : pointRole(name);
    const role = found && !isAgain(name, found[0]) ? found : null;
    const number = isNamed(name, FRAMES);
    if ((number || isNamed(name, IMAGES)) && (frame === null || (!numbered && number))) [frame, numbered] = [column, number]; // a number before the name of a file
    else if (isTime(name) && time === null) time = column;
    else if (isNamed(name, SOMEBODY)) people.push(column);
    else if (isNamed(name, JOINTS)) rowsOfJoints.push(column);
    else if (!(SCORES.has(lowered) && add("", "score", column)) && role) add(...role, column);
  });
  const isPlace = (joint) => joints.get(joint)?.has("x") && joints.get(joint).has("y"), when = frame ?? time;
  const long = rowsOfJoints.length > 0 && isPlace(joints.has("") ? "" : "world");
  if (when === null || ![...joints.keys()].some(isPlace) || !(long || people.length || frame !== null)) return null;
  if (long) throw new FileError(`${table.name} has a row a point, which the command line reads: smoothnet smooth FILE -o OUT`);
  const labels = table.cells.map((cells) => cells[when]), count = new Set(labels).size, found = { frame, time, seconds: time !== null && isSeconds(names[time]), people, joints };
  // People who follow one another are people too.
  if (count === labels.length) return people.some((column) => isNamed(names[column], PEOPLE) && table.tellsApart(column)) ? found : null;
  if (count === 1 && !isNumberCell(labels[0])) return null; // a video's name in all rows numbers no frame
  return people.length || labels.some((label) => !isNumberCell(label)) ? found : null;
}

/** A row a person. */
function readPeople(file, table, { frame, time, seconds: told, people, joints }) {
  const seconds = time === null ? [] : table.words(time).map((text) => toNumber(text.trim()) ?? NaN);
  const untold = frame === null ? seconds.findIndex(Number.isNaN) : -1;
  if (untold >= 0) throw new FileError(`${file.name}, line ${table.rows[untold] + 1}: no time in seconds; give every row one, or a frame`);
  const labels = frame === null ? ranksOf(seconds) : table.words(frame).map((text) => {
    const number = toNumber(text.trim());
    return Number.isInteger(number) ? number : text;
  });
  const frames = timelineOf(labels), bodies = bodiesOf(joints), who = people.map((column) => table.words(column));
  const detections = labels.map((label, row) => {
    const parts = new Map();
    for (const { part, axes, order, columns, scores } of bodies) {
      const dims = axes.length, points = new Float64Array(order.length * dims);
      columns.forEach((places, k) => places.forEach((column, d) => { points[k * dims + d] = table.number(row, column, `${order[k]} ${axes[d]}`); }));
      for (let i = 0; i < points.length; i += dims) if (!isShown(points, i, dims)) points.fill(NaN, i, i + dims);
      const scored = scores.some((column) => column !== null);
      const found = scored ? Float64Array.from(scores, (column) => (column === null ? NaN : toNumber(bareCell(table.cells[row][column])) ?? NaN)) : null;
      const slot = { document: table, first: 0, count: order.length, places: () => (k, d) => table.place(row, columns[k][d]) };
      parts.set(part, { points, scores: found, dims, slots: [slot] });
    }
    const words = who.map((column) => column[row]);
    const id = words.length === 1 && /^\d{1,9}$/.test(words[0]) ? Number(words[0]) : words.join("/");
    return { frame: frames.get(label), id: words.some(Boolean) ? id : null, parts };
  });
  const moments = Float64Array.from(new Set(seconds)).sort(), count = detections.reduce((most, d) => Math.max(most, d.frame + 1), 0);
  const recording = peopleRecording("CSV", file.name, [table], detections, count, {
    fps: told ? rateOf(moments) : null, names: bodies.length === 1 ? bodies[0].order : null,
  });
  const save = recording.save;
  recording.save = async (smoothed) => (await save(smoothed)).map(({ name, text }) => ({ name, bytes: table.bytes(text) }));
  return recording;
}

const SEVERAL = /^['"([\s]*[+-]?[\d.]+(e[+-]?\d+)?([\s,;]+[+-]?[\d.]+(e[+-]?\d+)?)+['")\]\s]*$/; // (1.5, 2.5) in one cell

/** Columns without names for their joints: a leading one that counts or tells the time goes, the rest is a matrix. */
function plainColumns(file, table, names, plain, fps, layout) {
  const notes = [], named = names.some(Boolean);
  const isId = (column) => { const values = table.column(column, String(column + 1)); return values.length > 2 && values.every((v) => v === Math.round(values[0])); };
  if (!named) {
    refuseRowsOfSeveral(table, plain);
    if (plain.length > 1 && isId(plain[0]) && constantStep(table.column(plain[1], "2")) === 1) {
      plain = plain.slice(1);
      notes.push("the first column taken for an id");
    }
  }
  if (plain.length) {
    const leading = table.column(plain[0], "1"), step = constantStep(leading);
    const counts = step === 1 && (leading[0] === 0 || leading[0] === 1 || leading.length >= 10);
    const gaps = step === null && !named && plain.length > 1 ? framesWithGaps(leading) : null;
    if (counts || (step !== null && step > 0 && step < 1 && leading.length >= 10)) {
      plain = plain.slice(1);
      fps = counts ? fps : rateOf(leading);
      notes.push(`the ${notes.length ? "next" : "first"} column taken for ${counts ? "a count of the rows" : "the time"}`);
      if (!named && plain.length > 1 && isId(plain[0]) && !isId(plain[1])) {
        plain = plain.slice(1);
        notes.push("the column behind it for an id");
      }
    } else if (gaps) {
      [table.frames, plain] = [gaps, plain.slice(1)];
      notes.push("the first column taken for the frame or the time");
    }
  }
  if (!plain.length) {
    const [cells = []] = table.cells, at = cells.findIndex((cell) => SEVERAL.test(cell));
    if (at >= 0) throw new FileError(`${file.name}: a cell of the column ${names[at] || "?"} holds several numbers, ${cells[at].trim()}; write each into a column of its own, such as nose_x, nose_y`);
    throw new FileError(`${file.name} has no columns of coordinates (such as nose_x, nose_y) that hold numbers`);
  }
  if (!layout) refuseUnknown(table, plain.map((column) => names[column]));
  const rows = table.rows.length, matrix = new Float64Array(rows * plain.length);
  plain.forEach((column, c) => table.column(column, `${column + 1} ${names[column]}`.trim()).forEach((value, row) => { matrix[row * plain.length + c] = value; }));
  const { numbers, dims, score } = flatRows(matrix, rows, plain.length, file.name, layout);
  const joints = Array.from({ length: plain.length / numbers }, (_, k) => plain.slice(k * numbers, (k + 1) * numbers));
  const labels = joints.map((columns, k) => names[columns[0]] || `joint ${k}`);
  const track = table.track(joints.map((columns) => columns.slice(0, dims)), joints.map((columns) => (score === null ? null : columns[score])), labels);
  return tableRecording("CSV", file, table, [track], { fps, notes });
}

/** Refuse tables without names whose first column counts frames with several rows each, and the boxes of MOTChallenge. */
function refuseRowsOfSeveral(table, plain) {
  const values = plain.map((column) => table.column(column, String(column + 1))), [first] = values;
  if (!first) return;
  const boxes = plain.length === 10 && values.slice(-3).every((column) => column.every((v) => v === -1));
  const steps = Array.from(first.subarray(1), (v, i) => v - first[i]);
  const counts = new Set(steps).size === 2 && steps.every((s) => s === 0 || s === 1) && first.every(Number.isInteger);
  if (!boxes && !(counts && new Set(first).size <= first.length / 2)) return;
  throw new FileError(`${table.name} has ${boxes ? "boxes of MOTChallenge" : "several rows of each frame, by its first column"}; name its columns in a first line, such as frame,track_id,x,y`);
}

/** The frames of rows by a column that counts or tells the time and leaves some out; null where it does neither. */
function framesWithGaps(values) {
  const steps = Array.from(values.subarray(1), (v, i) => v - values[i]);
  if (values.length < 10 || !steps.every((s) => s > 0)) return null;
  const step = medianOf(steps), off = 0.02 + (step < 0.5 ? 2e-3 / step : 0);
  if (!(step <= 1) || steps.some((s) => Math.abs(s / step - Math.round(s / step)) >= off)) return null;
  const frames = framesByTimes([...values]);
  return frames.at(-1) >= frames.length ? frames : null;
}

/** Refuse columns whose names differ and do not say which is x, y or z (elbow_flexion, theta), or that are rotations by their names. */
function refuseUnknown(table, names) {
  const kinds = new Set(names.map((name) => name.replace(/\d+/g, ""))), turns = new Map();
  for (const name of names) {
    const found = TURNED.exec(name.trim()), joint = found && strip(found[1]);
    if (found) turns.set(joint, new Map([...(turns.get(joint) ?? []), [found[2].toLowerCase(), name]]));
  }
  const turned = [...turns.values()].find((axes) => axes.size === 3)?.get("x");
  if (turned) throw new FileError(`${table.name}: columns such as ${turned} are rotations by their names, not smoothed as positions; if they are positions, say what the numbers of a joint are`);
  const unknown = new FileError(`${table.name}: nothing says which of the columns ${names.slice(0, 4).join(", ")}${names.length > 4 ? ", ..." : ""} is x, y or z; call them nose_x, nose_y and so on, or say what the numbers of a joint are`);
  // Where most names end in no letter or number of an axis: JawOpen.
  if (names.every(Boolean) && kinds.size > 2 && 2 * names.filter((name) => /[xyzuvw\d]$/i.test(name)).length < names.length) throw unknown;
  if (kinds.size < 2) return;
  // Names may go on in each joint as coordinates do: head_px, head_py; nose_1, nose_2.
  const goesOn = [2, 3].some((dims) => names.length % dims === 0 && ["xy", "xyz", "uv", "01", "12", "012", "123"].some((ends) => ends.length === dims && names.every((name, i) => name.at(-1)?.toLowerCase() === ends[i % dims])));
  if (!goesOn) throw unknown;
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
