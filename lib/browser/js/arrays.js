// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) SmoothNet contributors
/** NumPy files with points, .npy and .npz: lib/formats/arrays.py. Members that hold no points are copied as they are. */
import { FileError } from "./documents.js";
import { emptyPoints } from "./gaps.js";
import { ROTATIONS, flatRows, isRotation, jointNumbers, lookLikeBoxes, refuseAngles, refuseSecondAxisTime, sampleRows } from "./meaning.js";
import { CAMERA_NAMES, FPS_NAMES, NO_POSITION, NO_POSITION_WORDS, OTHER_WORDS, POINT_WORDS, POSITION_WORDS, ROTATION_NAMES, SCORE_WORDS } from "./words.js";

const LARGEST = 2 ** 29; // bytes that an .npz may unpack to
// Names of SMPL: lib/formats/smpl.py. A pose alone can be points; the company says that it is none.
const SMPL_POSE = /^(smplx?_|smplh_)?((full_?)?poses?|body_poses?|poses?_body|thetas?|(global|root)_orient|root_pose|rh)(_(world|w|global|cam|c|incam|camera))?$/i;
const SMPL_COMPANY = ["betas", "shape", "shapes", "trans", "transl", "gender", "mocap_framerate", "mocap_frame_rate", "smpl_trans"];
// Words that hold one of NO_POSITION by chance.
const BY_CHANCE = /(tri|rect|quadr)angl|resiz|boxer|boxing|(re|en)?inforc/g;
const BODY_JOINTS = [24, 23, 22, 21, 52, 51, 55, 54]; // of SMPL, SMPL-H and SMPL-X, with and without the root
const named = (name, words) => words.some((word) => name.toLowerCase().includes(word));
const sizeOf = (shape) => shape.reduce((a, b) => a * b, 1);

// ---- .npy ----

const NUMBER_TYPES = { // kind and bytes -> read, write of a DataView
  f8: ["getFloat64", "setFloat64"], f4: ["getFloat32", "setFloat32"], f2: [readHalf, writeHalf],
  i8: ["getBigInt64"], i4: ["getInt32"], i2: ["getInt16"], i1: ["getInt8"],
  u8: ["getBigUint64"], u4: ["getUint32"], u2: ["getUint16"], u1: ["getUint8"],
};

function readHalf(view, at, little) {
  const bits = view.getUint16(at, little), sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}

function writeHalf(view, at, value, little) {
  const size = Math.abs(value), sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  if (Number.isNaN(value)) return view.setUint16(at, 0x7e00, little);
  const exponent = Math.max(-14, Math.floor(Math.log2(size || 2 ** -30))), step = 2 ** (exponent - 10), steps = size / step;
  const even = Math.floor(steps) + (steps % 1 > 0.5 || (steps % 1 === 0.5 && Math.floor(steps) % 2) ? 1 : 0);
  const bits = size >= 65520 ? 0x7c00 : exponent === -14 && even < 1024 ? even : ((exponent + 14) << 10) + even;
  return view.setUint16(at, sign | bits, little);
}

/** Header and bytes of a .npy; null where it is none, or holds what no poses are. */
function parseNpy(bytes) {
  if (bytes.length < 12 || String.fromCharCode(...bytes.subarray(1, 6)) !== "NUMPY" || bytes[0] !== 0x93 || ![1, 2].includes(bytes[6])) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length), long = bytes[6] === 2;
  const length = long ? view.getUint32(8, true) : view.getUint16(8, true), start = (long ? 12 : 10) + length;
  const text = String.fromCharCode(...bytes.subarray(start - length, Math.min(start, start - length + 10000)));
  const descr = /'descr':\s*'([<>|=])([fiub])(\d+)'/.exec(text), shape = /'shape':\s*\(([\d,\sL]*)\)/.exec(text);
  if (!descr || !shape) return null;
  const dims = shape[1].split(",").filter((n) => n.trim()).map((n) => parseInt(n, 10)), type = descr[2] + descr[3];
  if (bytes.length - start !== sizeOf(dims) * Number(descr[3])) throw new FileError(`an array of shape (${dims.join(", ")}) needs ${sizeOf(dims) * Number(descr[3])} bytes, there are ${bytes.length - start}`);
  return { shape: dims, type, kind: descr[2], little: descr[1] !== ">", byColumns: /'fortran_order':\s*True/.test(text), bytes, start };
}

/** Numbers of a .npy in C order, Float64Array. */
function npyNumbers(array) {
  const read = NUMBER_TYPES[array.type]?.[0], width = Number(array.type.slice(1)), count = sizeOf(array.shape);
  if (!read) throw new FileError(`numbers of the type ${array.type} are not known`);
  const view = new DataView(array.bytes.buffer, array.bytes.byteOffset + array.start), values = new Float64Array(count);
  const get = typeof read === "function" ? (at) => read(view, at, array.little) : (at) => Number(view[read](at, array.little));
  for (let i = 0; i < count; i++) values[i] = get(i * width);
  return array.byColumns ? reordered(values, array.shape, false) : values;
}

/** C order -> Fortran order, or back. */
function reordered(values, shape, toColumns) {
  const out = new Float64Array(values.length), strides = [];
  let stride = 1;
  for (const n of shape) { strides.push(stride); stride *= n; } // of Fortran order
  const index = shape.map(() => 0);
  for (let c = 0; c < values.length; c++) {
    let f = 0;
    for (let a = 0; a < shape.length; a++) f += index[a] * strides[a];
    if (toColumns) out[f] = values[c];
    else out[c] = values[f];
    for (let a = shape.length - 1; a >= 0 && ++index[a] === shape[a]; a--) index[a] = 0;
  }
  return out;
}

/** A .npy of these numbers, of the shape and order of `array`. */
function makeNpy(array, values, type) {
  const width = Number(type.slice(1)), tuple = array.shape.length === 1 ? `${array.shape[0]},` : array.shape.join(", ");
  let header = `{'descr': '${array.little ? "<" : ">"}${type}', 'fortran_order': ${array.byColumns ? "True" : "False"}, 'shape': (${tuple}), }`;
  header += " ".repeat(63 - ((10 + header.length) % 64)) + "\n";
  const bytes = new Uint8Array(10 + header.length + values.length * width), view = new DataView(bytes.buffer);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]);
  view.setUint16(8, header.length, true);
  for (let i = 0; i < header.length; i++) bytes[10 + i] = header.charCodeAt(i);
  const write = NUMBER_TYPES[type][1], ordered = array.byColumns ? reordered(values, array.shape, true) : values;
  for (let i = 0, at = 10 + header.length; i < ordered.length; i++, at += width) {
    if (typeof write === "function") write(view, at, ordered[i], array.little);
    else view[write](at, ordered[i], array.little);
  }
  return bytes;
}

/** Whole numbers would bring the jitter back when the smoothed ones were rounded to them; so would a coarse type. */
function writtenType(array, values) {
  if (array.kind !== "f") return Number(array.type.slice(1)) > 2 ? "f8" : "f4";
  if (array.type === "f8" || !values.length) return array.type;
  const known = values.filter(Number.isFinite), sizes = known.map(Math.abs).sort();
  if (!known.length) return array.type;
  const step = sizes[Math.floor(0.9 * (sizes.length - 1))] * (array.type === "f4" ? 2 ** -23 : 2 ** -10);
  const mean = known.reduce((a, b) => a + b, 0) / known.length, spread = Math.sqrt(known.reduce((a, b) => a + (b - mean) ** 2, 0) / known.length);
  return spread > 0 && spread < 1e3 * step ? "f8" : array.type;
}

// ---- zip ----

async function throughStream(bytes, stream, most = Infinity) {
  const reader = new Blob([bytes]).stream().pipeThrough(stream).getReader(), parts = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > most) {
      await reader.cancel();
      throw new FileError("a member is larger than the archive says");
    }
    parts.push(value);
  }
  const out = new Uint8Array(size);
  size = 0;
  for (const part of parts) { out.set(part, size); size += part.length; }
  return out;
}

/** The members of a zip: [{name, method, size, crc, packed, time, external}]. */
function zipMembers(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let end = bytes.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50 && end > bytes.length - 65558) end--;
  if (end < 0 || view.getUint32(end, true) !== 0x06054b50) throw new FileError("it is no zip archive");
  const members = [];
  let at = view.getUint32(end + 16, true), total = 0;
  for (let n = view.getUint16(end + 10, true); n > 0; n--) {
    if (view.getUint32(at, true) !== 0x02014b50) throw new FileError("its list of members is damaged");
    const [flags, method] = [view.getUint16(at + 8, true), view.getUint16(at + 10, true)];
    const [crc, packed, size] = [16, 20, 24].map((i) => view.getUint32(at + i, true));
    const [nameSize, extraSize, commentSize] = [28, 30, 32].map((i) => view.getUint16(at + i, true)), local = view.getUint32(at + 42, true);
    const rawName = bytes.slice(at + 46, at + 46 + nameSize), name = new TextDecoder().decode(rawName);
    if (flags & 1) throw new FileError("it is encrypted");
    if (method !== 0 && method !== 8) throw new FileError(`${name} is packed in a way that is not known (${method})`);
    if (packed === 0xffffffff || size === 0xffffffff || (total += size) > LARGEST) throw new FileError("it unpacks to more than 512 MB; use the command line");
    if (view.getUint32(local, true) !== 0x04034b50) throw new FileError("one of its members is damaged");
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    if (start + packed > bytes.length) throw new FileError("it is cut short");
    members.push({ name, rawName, flags: flags & 0x800, method, crc, size, time: view.getUint32(at + 12, true), external: view.getUint32(at + 38, true), packed: bytes.subarray(start, start + packed) });
    at += 46 + nameSize + extraSize + commentSize;
  }
  return members;
}

async function unpacked(member) {
  const bytes = member.method === 0 ? member.packed : await throughStream(member.packed, new DecompressionStream("deflate-raw"), member.size);
  if (bytes.length !== member.size || crc32(bytes) !== member.crc) throw new FileError(`${member.name} is damaged`);
  return bytes;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

export function crc32(bytes) {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = CRC_TABLE[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

export function makeZip(members) {
  const parts = [], central = [];
  let at = 0;
  for (const m of members) {
    const common = new Uint8Array(26), v = new DataView(common.buffer);
    [[20, 0], [m.flags, 2], [m.method, 4]].forEach(([value, i]) => v.setUint16(i, value, true));
    [[m.time, 6], [m.crc, 10], [m.packed.length, 14], [m.size, 18]].forEach(([value, i]) => v.setUint32(i, value, true));
    v.setUint16(22, m.rawName.length, true);
    const tail = new Uint8Array(14), t = new DataView(tail.buffer);
    t.setUint32(6, m.external, true);
    t.setUint32(10, at, true);
    parts.push(Uint8Array.of(0x50, 0x4b, 3, 4), common, m.rawName, m.packed);
    central.push(Uint8Array.of(0x50, 0x4b, 1, 2, 20, 0), common, tail, m.rawName);
    at += 30 + m.rawName.length + m.packed.length;
  }
  const size = central.reduce((sum, part) => sum + part.length, 0), end = new Uint8Array(22), e = new DataView(end.buffer);
  end.set([0x50, 0x4b, 5, 6]);
  e.setUint16(8, members.length, true);
  e.setUint16(10, members.length, true);
  e.setUint32(12, size, true);
  e.setUint32(16, at, true);
  const all = [...parts, ...central, end], out = new Uint8Array(at + size + 22);
  at = 0;
  for (const part of all) { out.set(part, at); at += part.length; }
  return out;
}

// ---- recordings ----

export async function readNumpy(file, layout = null) {
  try {
    return await readArrays(file, layout);
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) throw new FileError(`${file.name} is not a readable NumPy file: it is damaged`);
    if (error instanceof FileError && !error.message.startsWith(file.name)) throw new FileError(`${file.name} is not a readable NumPy file: ${error.message}`);
    throw error;
  }
}

async function readArrays(file, layout) {
  const whole = file.bytes[0] === 0x93 ? parseNpy(file.bytes) : null;
  if (file.bytes[0] === 0x93 && !whole) throw new FileError("it is damaged, or holds Python objects, which are never unpickled");
  const zip = whole ? null : zipMembers(file.bytes), arrays = new Map();
  if (whole) arrays.set("", whole);
  else for (const member of zip) {
    const array = member.name.endsWith(".npy") ? parseNpy(await unpacked(member)) : null;
    if (array) arrays.set(member.name.slice(0, -4), array);
  }
  const poses = [...arrays].filter(([n, a]) => SMPL_POSE.test(n) && a.kind === "f" && a.shape.length > 1 && a.shape.at(-1) % 3 === 0).map(([n]) => n);
  if (poses.length && (SMPL_COMPANY.some((n) => arrays.has(n)) || poses.some((n) => !/^(full_?)?poses?$/i.test(n)))) {
    throw new FileError(`${file.name} holds body parameters (SMPL), whose rotations only the command line smooths: smoothnet smooth FILE -o OUT`);
  }
  const tracks = [], notes = [];
  const chosen = pointArrays(arrays), boxes = chosen.filter((n) => !named(n, POSITION_WORDS) && areBoxes(arrays.get(n)));
  const usable = boxes.length === chosen.length ? chosen : chosen.filter((n) => !boxes.includes(n)), anyNamed = usable.some((n) => named(n, POSITION_WORDS));
  for (const name of usable) {
    try {
      tracks.push(...arrayTracks(file.name, arrays, name, layout));
    } catch (error) { // what cannot be told is left alone beside what has the points
      if (!(error instanceof FileError) || !anyNamed || named(name, POSITION_WORDS)) throw error;
    }
  }
  if (!tracks.length) {
    const found = [...arrays].map(([n, a]) => `${n || "array"} (${a.shape.join(", ")})`).join(", ");
    throw new FileError(`${file.name} holds no array of points: needed are numbers of shape (T, K, D), (T, K*D) or (T, P, K, D), found ${found || "nothing that can be read without unpickling"}`);
  }
  let fps = null;
  for (const name of FPS_NAMES) if (arrays.has(name) && sizeOf(arrays.get(name).shape) === 1 && fps === null) fps = npyNumbers(arrays.get(name))[0];
  const save = async (smoothed) => {
    const results = new Map();
    tracks.forEach((track, n) => {
      if (!results.has(track.where.name)) results.set(track.where.name, track.where.values.slice());
      const target = results.get(track.where.name), { dims } = track;
      for (let i = 0; i < track.data.length; i += dims) {
        if (!smoothed[n].subarray(i, i + dims).every(Number.isFinite)) continue;
        if (smoothed[n].subarray(i, i + dims).some((v, d) => v !== track.data[i + d])) for (let d = 0; d < dims; d++) target[track.where.place(i / dims) + d] = smoothed[n][i + d];
      }
    });
    const npy = (name) => makeNpy(arrays.get(name), results.get(name), writtenType(arrays.get(name), tracks.find((t) => t.where.name === name).where.values));
    if (whole) return [{ name: file.name, bytes: npy("") }];
    const members = [];
    for (const member of zip) {
      const name = member.name.endsWith(".npy") ? member.name.slice(0, -4) : null;
      if (name === null || !results.has(name)) { members.push(member); continue; }
      const bytes = npy(name), packed = member.method === 0 ? bytes : await throughStream(bytes, new CompressionStream("deflate-raw"));
      members.push({ ...member, packed, size: bytes.length, crc: crc32(bytes) });
    }
    return [{ name: file.name, bytes: makeZip(members) }];
  };
  const frameCount = Math.max(...tracks.map((track) => track.frames));
  return { format: whole ? "NumPy .npy" : "NumPy .npz", name: file.name, tracks, frameCount, fps, names: null, notes, save };
}

/** Whether the name says that they are positions, no rotations. */
const saysPoints = (name) => named(name, POINT_WORDS) && !named(name, ROTATION_NAMES);

/** The arrays that hold positions, by shape and name. */
function pointArrays(arrays) {
  const cameras = [...arrays.keys()].some(saysPoints) ? CAMERA_NAMES : new Set();
  const moves = (n) => n.replace(/([a-z])(?=[A-Z])/g, "$1_").toLowerCase().split("_").some((word) => NO_POSITION_WORDS.has(word)); // body_lin_vel_w
  const usable = (n) => !named(n, SCORE_WORDS) && !named(n.toLowerCase().replace(BY_CHANCE, ""), NO_POSITION) && !moves(n) && !cameras.has(n.toLowerCase());
  const shapes = new Map([...arrays].filter(([n, a]) => "fiu".includes(a.kind) && usable(n)).map(([n, a]) => [n, a.shape]));
  if (shapes.has("")) return [2, 3, 4].includes(shapes.get("").length) ? [""] : [];
  for (const name of [...shapes.keys()]) if (!named(name, POSITION_WORDS) && named(name, [...OTHER_WORDS, ...ROTATION_NAMES])) shapes.delete(name);
  const spatial = [...shapes.keys()].filter((n) => [3, 4].includes(shapes.get(n).length) && shapes.get(n).at(-1) >= 1 && shapes.get(n).at(-1) <= 4);
  const flat = [...shapes.keys()].filter((n) => shapes.get(n).length === 2), called = flat.filter((n) => named(n, POSITION_WORDS));
  if (spatial.length) {
    const frames = new Set(spatial.flatMap((n) => shapes.get(n).slice(0, 2)));
    return [...shapes.keys()].filter((n) => spatial.includes(n) || (called.includes(n) && frames.has(shapes.get(n)[0])));
  }
  return called.length ? called : flat.length === 1 ? flat : [];
}

/** Whether the last axis holds left, top, right, bottom. */
function areBoxes(array) {
  return array.shape.length > 1 && array.shape.at(-1) === 4 && lookLikeBoxes(sampleRows(npyNumbers(array), 4));
}

function arrayTracks(fileName, arrays, name, layout) {
  const array = arrays.get(name), where = `${fileName}, ${name || "array"}`, values = npyNumbers(array);
  let { shape } = array;
  if (shape.length === 4 && [2, 3].includes(shape[0]) && shape[1] >= 8 && [17, 18, 20, 25].includes(shape[2]) && [1, 2].includes(shape[3])) {
    throw new FileError(`${where}, shape (${shape.join(", ")}), may be C, T, V, M of ST-GCN, which the command line reads: smoothnet smooth FILE -o OUT; or put the frames first`);
  }
  if (!layout && shape.length > 2 && shape.at(-1) === 3 && shape.at(-2) === 3 && isRotation(sampleRows(values, 9), 9)) throw new FileError(`${where}: ${ROTATIONS}`);
  let meaning;
  if (shape.length === 2) {
    meaning = flatRows(values, shape[0], shape[1], where, layout);
    shape = [shape[0], shape[1] / meaning.numbers, meaning.numbers];
  } else {
    if (!layout) refuseSecondAxisTime(values, shape, where);
    meaning = jointNumbers(values, shape.at(-1), where, layout);
  }
  const people = shape.length === 4 ? shape[1] : 1, [frames, joints, numbers] = [shape[0], shape.at(-2), shape.at(-1)], { dims, score } = meaning;
  const beside = score === null ? scoresBeside(arrays, name, shape) : null, tracks = [];
  for (let p = 0; p < people; p++) {
    const place = (i) => ((Math.floor(i / joints) * people + p) * joints + (i % joints)) * numbers;
    const track = { id: p, part: name || "points", start: 0, ...emptyPoints(frames, joints, dims), scores: null, inFile: null, where: { name, values, place } };
    if (score !== null || beside) track.scores = new Float64Array(frames * joints);
    for (let i = 0; i < frames * joints; i++) {
      const at = place(i);
      if (track.scores) track.scores[i] = beside ? beside[at / numbers] : values[at + score];
      const point = values.subarray(at, at + dims);
      if (point.every(Number.isFinite) && !(track.scores?.[i] === 0 && point.every((v) => v === 0))) track.data.set(point, i * dims);
    }
    tracks.push(track);
  }
  const asked = layout === null && !saysPoints(name) && numbers === 3 && dims === 3;
  if (asked) for (const track of tracks) refuseAngles(where, track, named(name, ["pose"]) ? BODY_JOINTS : undefined);
  return tracks;
}

/** The numbers of an array of scores beside this one. */
function scoresBeside(arrays, of, shape) {
  const wanted = shape.slice(0, -1).join(), fitting = [...arrays].filter(([n, a]) => named(n, SCORE_WORDS) && "fiu".includes(a.kind) && a.shape.join() === wanted);
  if (!fitting.length) return null;
  const words = new Set(of.toLowerCase().split("_")), common = ([n]) => n.toLowerCase().split("_").filter((w) => words.has(w)).length;
  return npyNumbers(fitting.reduce((best, entry) => (common(entry) > common(best) ? entry : best))[1]);
}
