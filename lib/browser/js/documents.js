// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) SmoothNet contributors
/** JSON documents: read whole, changed number by number, so that every other byte stays as it was; number styles. */

/** What a user can mend: one sentence. */
export class FileError extends Error {}

// Strings are matched first so that digits inside them are never taken for numbers.
const SCALAR = /"[^"\\]*(?:\\[^][^"\\]*)*"|(-?\d[\d.eE+-]*|-?Infinity|NaN|null)/g;

export function decodeText(bytes, name) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new FileError(`${name} is not UTF-8 text`);
  }
}

export class JsonDocument {
  constructor(name, text) {
    this.name = name;
    this.text = text;
    this.changes = new Map();
    this.spans = null;
    const bare = text.replace(/^\ufeff/, "");
    try {
      try {
        this.value = JSON.parse(bare);
      } catch (error) {
        if (!/NaN|Infinity/.test(bare)) throw error; // which Python writes and JSON does not know
        this.value = JSON.parse(bare.replace(SCALAR, (whole, number) => (number && /[NI]/.test(number) ? "null" : whole)));
      }
    } catch (error) {
      throw new FileError(`${name} is not valid JSON: ${error.message}`);
    }
  }

  /** Start and end of every number; the parsed document with each number's place in that list where the number was. */
  _tokenize() {
    if (this.spans) return;
    this.spans = [];
    let end = 0;
    const pieces = [];
    for (const match of this.text.matchAll(SCALAR)) {
      if (match[1] === undefined) continue;
      pieces.push(this.text.slice(end, match.index), String(this.spans.length));
      end = match.index + match[0].length;
      this.spans.push([match.index, end]);
    }
    this.places = JSON.parse(pieces.join("").replace(/^\ufeff/, "") + this.text.slice(end));
  }

  /** The part of the document at a path, numbers replaced by their places. */
  at(path) {
    this._tokenize();
    return path.reduce((value, key) => value[key], this.places);
  }

  token(place) {
    return this.text.slice(...this.spans[place]);
  }

  changedText() {
    const pieces = [];
    let end = 0;
    for (const place of [...this.changes.keys()].sort((a, b) => a - b)) {
      const [start, stop] = this.spans[place];
      pieces.push(this.text.slice(end, start), this.changes.get(place));
      end = stop;
    }
    return pieces.join("") + this.text.slice(end);
  }
}

const NUMBER_FORM = /^\s*[+-]?(\d*)(?:\.(\d*))?([eE][+-]?\d+)?\s*$/;

/** How to write a number so that it looks like the coordinates of a file: lib/formats/numbers.py. */
export function numberStyle(tokens) {
  const step = Math.max(1, Math.floor(tokens.length / 20000)), seen = new Map();
  let exponents = false;
  for (let i = 0; i < tokens.length; i += step) {
    const match = NUMBER_FORM.exec(tokens[i]);
    if (!match || !(match[1] || match[2])) continue;
    const fraction = match[2] ?? "", digits = (match[1] + fraction).replace(/^0+/, "").length;
    seen.set(`${digits} ${fraction.length}`, [digits, fraction.length]);
    exponents ||= match[3] !== undefined;
  }
  const pairs = [...seen.values()], decimals = new Set(pairs.map((p) => p[1]));
  const mostDigits = Math.max(0, ...pairs.map((p) => p[0])), mostDecimals = Math.max(0, ...decimals);
  if (mostDigits >= 15 || !pairs.length) return shortest;
  if (exponents) return (v) => general(v, mostDigits);
  if (mostDecimals === 0) return (v) => shortest(Number(v.toFixed(3)));
  if (decimals.size === 1) return (v) => v.toFixed(mostDecimals);
  if (new Set(pairs.filter((p) => p[0] === mostDigits).map((p) => p[1])).size > 1) return (v) => general(v, mostDigits);
  return (v) => shortest(Number(v.toFixed(mostDecimals)));
}

function shortest(value) {
  const text = String(value);
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}

function general(value, digits) {
  const text = value.toPrecision(Math.max(1, Math.min(100, digits)));
  return text.includes(".") ? text.replace(/\.?0+(e|$)/, "$1") : text;
}

/** BodyID, "Body ID" and body-id as body_id. */
const spelt = (name) => name.trim().replace(/(?<=[a-z])(?=[A-Z])|[\s_-]+/g, "_").toLowerCase();

/** Whether a column or a key has one of these names, however it is spelt: track_id, TrackID, "Track ID". */
export const isNamed = (name, words) => words.has(name.toLowerCase()) || words.has(spelt(name));

/** Frame number of each label (number or file name), from 0: lib/formats/timeline.py. */
export function timelineOf(labels) {
  const unique = [...new Set(labels)], numbers = unique.map(lastNumber);
  if (numbers.includes(null) || new Set(numbers).size < unique.length) return new Map(unique.map((label, frame) => [label, frame]));
  const first = numbers.reduce((a, b) => Math.min(a, b), Infinity), last = numbers.reduce((a, b) => Math.max(a, b), -Infinity);
  let step = 0;
  for (const number of numbers) for (let a = number - first, b = step; ; [a, b] = [b, a % b]) if (!b) { step = a; break; }
  step = Math.max(step, 1);
  if (unique.length && Math.floor((last - first) / step) >= 10 * unique.length + 10) { // pictures, not frames of one video
    const order = new Map([...numbers].sort((a, b) => a - b).map((number, frame) => [number, frame]));
    return new Map(unique.map((label, i) => [label, order.get(numbers[i])]));
  }
  return new Map(unique.map((label, i) => [label, Math.floor((numbers[i] - first) / step)]));
}

function lastNumber(label) {
  if (typeof label === "number") return Number.isSafeInteger(label) ? label : null;
  const digits = String(label).replace(/^.*\//, "").replace(/(.)\.[^.]*$/, "$1").match(/\d+/g);
  return digits && digits.at(-1).length < 16 ? Number(digits.at(-1)) : null;
}
