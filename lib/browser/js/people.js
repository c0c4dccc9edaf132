// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) SmoothNet contributors
/** Formats that list people frame by frame as JSON: OpenPose, COCO and AlphaPose results, MMPose, MediaPipe, JSON lines. */
import { FileError, JsonDocument, decodeText, isNamed, numberStyle, timelineOf } from "./documents.js";
import { jointNumbers, placeOfScore, sampleRows } from "./meaning.js";
import { makeTracks, refuseSparse, refuseTurns } from "./tracks.js";
import { ARRAYS, LABELLED, POSITION } from "./words.js";

const OPENPOSE_KEYS = ["pose_keypoints", "face_keypoints", "hand_left_keypoints", "hand_right_keypoints"];
const OPENPOSE_PARTS = [
  ["2D", 2, 3, OPENPOSE_KEYS.map((key) => `${key}_2d`)],
  ["2D (version 0)", 2, 3, OPENPOSE_KEYS],
  ["3D", 3, 4, OPENPOSE_KEYS.map((key) => `${key}_3d`)],
];
const LANDMARK_KEYS = ["landmarks", "poseLandmarks", "pose_landmarks", "worldLandmarks", "poseWorldLandmarks", "pose_world_landmarks", "keypoints"];
const PEOPLE_KEYS = ["people", "instances"], SCORES_BESIDE = ["scores", "keypoint_scores"];
// What an entry says of itself: its frame, and whose it is.
const FRAME_KEYS = ["frame", "frame_id", "frame_idx", "frame_index", "frame_number", "image_id", "image", "image_path"];
const PERSON_KEYS = new Set(["track_id", "person_id", "body_id", "tracking_id", "user_id", "instance_id"]);
const ID_KEYS = new Set([...PERSON_KEYS, "id", "idx"]);

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const has = (object, key) => Object.hasOwn(object, key);

/** A flat or nested list of numbers, null as NaN. */
function numbersOf(values, where) {
  const flat = Array.isArray(values) ? values.flat(2) : [null, ""];
  const out = new Float64Array(flat.length);
  flat.forEach((value, i) => {
    if (value !== null && typeof value !== "number") throw new FileError(`${where} must hold numbers only, in lists of equal length`);
    out[i] = value ?? NaN;
  });
  return out;
}

/** Numbers of joints with `stride` each: coordinates, scores; a joint whose numbers are all 0 was not found. */
function splitScores(table, stride, dims) {
  const joints = table.length / stride, points = new Float64Array(joints * dims).fill(NaN);
  const scores = stride > dims ? new Float64Array(joints) : null;
  for (let k = 0; k < joints; k++) {
    const row = table.subarray(k * stride, (k + 1) * stride);
    if (row.some((v) => v !== 0)) points.set(row.subarray(0, dims), k * dims);
    if (scores) scores[k] = row[dims];
  }
  for (let i = 0; i < points.length; i++) if (!Number.isFinite(points[i])) points[i] = NaN;
  return { points, scores, dims };
}

/** A list of numbers in a document: `place(k, d)` of its tokens is found when the file is written. */
function numberSlot(document, path, first, count, stride) {
  return {
    document, first, count,
    places() {
      const flat = document.at(path).flat(2);
      return (k, d) => flat[k * stride + d];
    },
  };
}

/** Where x and y of a joint stand: in itself, or in an object of it, as PoseNet has them. */
const pointOf = (joint) => (isObject(joint) && !has(joint, "x") ? joint[Object.keys(joint).find((key) => isNamed(key, POSITION) && isObject(joint[key]))] : null) ?? joint;

/** The same for landmarks {x, y, z}. */
function landmarkSlot(document, path, count) {
  return {
    document, first: 0, count,
    places() {
      const list = document.at(path);
      return (k, d) => pointOf(list[k])?.["xyz"[d]];
    },
  };
}

/** Write changed coordinates into the documents. */
function changeDocuments(documents, tracks, smoothed) {
  const changes = [], habits = [];
  tracks.forEach((track, n) => track.where.forEach((slots, t) => {
    for (const slot of slots) {
      const place = slot.places();
      for (let k = 0; k < slot.count; k++) for (let d = 0; d < track.dims; d++) {
        const i = (t * track.joints + slot.first + k) * track.dims + d, old = track.data[i], value = smoothed[n][i];
        if (Number.isFinite(old)) habits.push(slot.document.token(place(k, d)));
        if (Number.isFinite(value) && value !== old) changes.push([slot.document, place(k, d), value]);
      }
    }
  }));
  const style = numberStyle(habits);
  for (const document of documents) document.changes.clear();
  for (const [document, place, value] of changes) document.changes.set(place, style(value));
  return documents.map((document) => document.changedText());
}

/** How many frames a timeline spans. */
function spanOf(frames) {
  let count = 0;
  for (const frame of frames.values()) count = Math.max(count, frame + 1);
  return count;
}

export function peopleRecording(format, name, documents, detections, frameCount, more = {}) {
  const tracks = makeTracks(name, detections);
  const save = async (smoothed) => changeDocuments(documents, tracks, smoothed).map((text, i) => ({ name: documents[i].name, text }));
  return { format, name, tracks, frameCount, fps: null, names: null, notes: [], save, ...more };
}

// ---- OpenPose: files of one frame each, or one array of all ----

const isOpenpose = (value) => isObject(value) && Array.isArray(value.people) && !value.people.some((p) => isObject(p) && has(p, "keypoints"));

function openposeId(person) {
  const id = Array.isArray(person.person_id) ? person.person_id[0] : person.person_id;
  return Number.isInteger(id) && id >= 0 ? id : null;
}

/** @param entries [{document, path, people, label}] one a frame */
function readOpenpose(name, documents, entries) {
  const joints = new Map();
  let written = 0, persons = 0;
  const called = (label) => (typeof label === "number" ? `${name}, frame ${label}` : label);
  for (const { people, label } of entries) people.forEach((person, i) => {
    if (!isObject(person)) throw new FileError(`${called(label)}, person ${i} must be an object`);
    persons++;
    for (const [, , stride, keys] of OPENPOSE_PARTS) for (const key of keys) {
      const list = person[key] ?? [];
      if (!Array.isArray(list) || list.length % stride) throw new FileError(`${called(label)}, person ${i}, ${key}: these are not whole joints of ${stride} numbers`);
      joints.set(key, Math.max(joints.get(key) ?? 0, list.length / stride));
      written += list.length / stride;
    }
  });
  const all = [...joints.values()].reduce((a, b) => a + b, 0);
  refuseSparse(name, persons * all, written);
  const frames = timelineOf(entries.map((entry) => entry.label)), detections = [];
  for (const { document, path, people, label } of entries) people.forEach((person, i) => {
    const parts = new Map();
    for (const [part, dims, stride, keys] of OPENPOSE_PARTS) {
      const size = keys.reduce((sum, key) => sum + joints.get(key), 0), slots = [];
      const points = new Float64Array(size * dims).fill(NaN), scores = new Float64Array(size).fill(NaN);
      let first = 0;
      for (const key of keys) {
        if (person[key]?.length) {
          const found = splitScores(numbersOf(person[key], `${called(label)}, person ${i}, ${key}`), stride, dims);
          points.set(found.points, first * dims);
          scores.set(found.scores, first);
          slots.push(numberSlot(document, [...path, "people", i, key], first, found.scores.length, stride));
        }
        first += joints.get(key);
      }
      if (slots.length) parts.set(part, { points, scores, dims, slots });
    }
    detections.push({ frame: frames.get(label), id: openposeId(person), parts });
  });
  return peopleRecording("OpenPose JSON", name, documents, detections, spanOf(frames));
}

/** Several files dropped together: frames of OpenPose. */
export function readOpenposeFiles(files) {
  const documents = files.map((file) => new JsonDocument(file.name, decodeText(file.bytes, file.name)));
  documents.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const document of documents) {
    if (!isOpenpose(document.value)) throw new FileError(`${document.name} is not an OpenPose frame: it has no list "people"; other files are dropped one at a time`);
  }
  const stem = (name) => name.replace(/\.[^.]*$/, "").replace(/\d+(?=\D*$)/, "#");
  const sequences = new Set(documents.map((d) => stem(d.name)));
  if (sequences.size > 1) throw new FileError(`these files are of more than one sequence (${[...sequences].slice(0, 3).join(", ")}); drop the frames of one`);
  return readOpenpose(documents[0].name, documents, documents.map((document) => ({ document, path: [], people: document.value.people, label: document.name })));
}

// ---- one JSON file ----

/** Read a JSON file of poses in any of the known forms. */
export function readJson(file, layout = null) {
  const document = new JsonDocument(file.name, decodeText(file.bytes, file.name)), { value } = document;
  try {
    for (const reader of [asOpenpose, asMmpose, asResults, asLandmarks]) {
      const recording = reader(document, value, layout);
      if (recording) return recording;
    }
  } catch (error) {
    if (error instanceof RangeError) throw new FileError(`${file.name} is nested too deeply to be a file of poses`);
    throw error;
  }
  throw new FileError(`${file.name} is JSON, but no poses are found in it: known are OpenPose, COCO and AlphaPose results, MMPose predictions, and arrays of landmarks or of numbers, (frames, joints, coordinates)`);
}

function asOpenpose(document, value) {
  if (isOpenpose(value)) value = [value];
  else if (!Array.isArray(value) || !value.length || !value.every(isOpenpose)) return null;
  const path = (i) => (Array.isArray(document.value) ? [i] : []);
  const labels = value.map(labelOf), numbered = !labels.includes(null);
  return readOpenpose(document.name, [document], value.map((frame, i) => ({ document, path: path(i), people: frame.people, label: numbered ? labels[i] : i })));
}

function asMmpose(document, value) {
  const name = document.name, prefix = isObject(value) && Array.isArray(value.instance_info) ? ["instance_info"] : [];
  const items = prefix.length ? value.instance_info : value;
  if (!Array.isArray(items) || !items.every((item) => Array.isArray(item) || isObject(item))) return null;
  const known = (item) => (Array.isArray(item) ? Array.isArray(item[0]?.keypoints?.[0]) : Array.isArray(item.instances) && has(item, "frame_id"));
  if (!prefix.length && !items.some(known)) return null;
  const labels = items.map((item, i) => (Array.isArray(item) ? i : item.frame_id ?? i));
  const frames = timelineOf(labels), detections = [];
  items.forEach((item, n) => {
    const list = Array.isArray(item) ? item : item.instances, base = Array.isArray(item) ? [...prefix, n] : [...prefix, n, "instances"];
    if (!Array.isArray(list)) throw new FileError(`${name}, entry ${n}: "instances" must be a list`);
    list.forEach((instance, i) => {
      const where = `${name}, frame ${labels[n]}, instance ${i}`;
      if (!isObject(instance) || !has(instance, "keypoints")) throw new FileError(`${where} has no "keypoints"`);
      let rows = instance.keypoints;
      if (Array.isArray(rows) && rows.length === 1 && Array.isArray(rows[0]?.[0])) rows = rows[0];
      if (Array.isArray(rows) && !rows.length) return;
      const stride = Array.isArray(rows) ? rows[0]?.length : 0;
      if (![2, 3, 4].includes(stride) || rows.some((row) => row?.length !== stride)) throw new FileError(`${where}: keypoints must be a list of [x, y] or [x, y, z]`);
      const table = numbersOf(rows, `${where}, keypoints`), apart = instance.keypoint_scores ?? null;
      const dims = apart ? Math.min(stride, 3) : { 2: 2, 3: 2, 4: 3 }[stride];
      let found = splitScores(table, stride, dims);
      if (apart) {
        const scores = numbersOf(apart, `${where}, keypoint_scores`);
        if (scores.length !== rows.length) throw new FileError(`${where}: ${rows.length} keypoints but ${scores.length} keypoint_scores`);
        const joined = new Float64Array(rows.length * (dims + 1));
        rows.forEach((_, k) => joined.set([...table.subarray(k * stride, k * stride + dims), scores[k]], k * (dims + 1)));
        found = splitScores(joined, dims + 1, dims);
      }
      const id = instance.track_id ?? instance.instance_id ?? null;
      const slots = [numberSlot(document, [...base, i, "keypoints"], 0, rows.length, stride)];
      detections.push({ frame: frames.get(labels[n]), id: id !== -1 && ["number", "string"].includes(typeof id) ? id : null, parts: new Map([[`${dims}D`, { ...found, slots }]]) });
    });
  });
  const names = value.meta_info?.keypoint_id2name, keys = isObject(names) ? Object.keys(names) : [];
  return peopleRecording("MMPose predictions", name, [document], detections, spanOf(frames),
    { names: keys.length && keys.every((key) => /^\d+$/.test(key)) ? keys.sort((a, b) => a - b).map((key) => String(names[key])) : null });
}

function asResults(document, value) {
  if (!Array.isArray(value) || !isObject(value[0]) || !has(value[0], "image_id") || !has(value[0], "keypoints")) return null;
  const alpha = typeof value[0].image_id === "string" || has(value[0], "idx") || has(value[0], "box");
  const labels = value.map((result, i) => {
    const label = isObject(result) ? result.image_id : null;
    if (!["number", "string"].includes(typeof label)) throw new FileError(`${document.name}, result ${i}: "image_id" must be a number or a name`);
    return label;
  });
  const frames = timelineOf(labels), detections = [];
  value.forEach((result, i) => {
    const where = `${document.name}, result ${i} (image ${labels[i]}), keypoints`, numbers = numbersOf(result.keypoints, where);
    if (numbers.length % 3) throw new FileError(`${where}: must be x1, y1, score1, x2, ...`);
    if (!numbers.length) return;
    let id = result[alpha ? "idx" : "track_id"] ?? null;
    while (Array.isArray(id)) id = id[0] ?? null;
    const slots = [numberSlot(document, [i, "keypoints"], 0, numbers.length / 3, 3)];
    detections.push({ frame: frames.get(labels[i]), id: ["number", "string"].includes(typeof id) ? id : null, parts: new Map([["2D", { ...splitScores(numbers, 3, 2), slots }]]) });
  });
  return peopleRecording(alpha ? "AlphaPose results" : "COCO results", document.name, [document], detections, spanOf(frames));
}

/** What numbers or names the frame of an entry, null where it says nothing: lib/formats/frames.py. */
function labelOf(value) {
  const label = isObject(value) ? FRAME_KEYS.map((key) => value[key]).find((v) => typeof v === "string" || Number.isInteger(v)) : undefined;
  return label ?? null;
}

/** Whose joints an entry holds, null where it does not say: lib/formats/json_frames.py. */
function idOf(value) {
  // Beside landmarks an id may count frames.
  const words = isObject(value) && has(value, "keypoints") ? ID_KEYS : PERSON_KEYS;
  const key = isObject(value) ? Object.keys(value).find((k) => isNamed(k, words)) : undefined;
  const id = Array.isArray(value?.[key]) && value[key].length === 1 ? value[key][0] : value?.[key];
  return typeof id === "string" || (Number.isInteger(id) && id >= 0) ? id : null;
}

/** The labels of all entries, or their places where one has none; people who follow one another without labels are refused. */
function labelsOf(name, labels, ids) {
  if (!labels.includes(null)) return labels;
  if (new Set(ids).size > 1) throw new FileError(`${name}: entries of several people that do not say their frame; give each a "frame"`);
  return labels.map((_, i) => i);
}

/** A joint of a list: {x, y}, [x, y], or null. */
const isJoint = (joint) => joint === null || (isObject(joint) && typeof pointOf(joint).x === "number") || (Array.isArray(joint) && joint.length > 0 && joint.length <= 4 && joint.every((v) => v === null || typeof v === "number"));

const isPose = (list) => Array.isArray(list) && list.every(isJoint) && list.some((joint) => joint !== null);

const MOST_PEOPLE = 8; // of MediaPipe in a file of one frame, lib/formats/mediapipe.py: so few lists of landmarks may be people or frames
const FRAME_LISTS = ["frames", "poses", "results", "data"], INSIDE = ["data", "results", "predictions"]; // lists, or objects that hold one

/** The way to the list of frames in an object, null where there is none: under "frames" or the like, or where ARRAYS have all poses. */
function framesIn(value) {
  const key = FRAME_LISTS.find((k) => Array.isArray(value[k]));
  if (key !== undefined) return [key];
  const holds = (list) => {
    const first = Array.isArray(list) ? list.find((item) => item?.length) : undefined;
    return first !== undefined && (isPose(first) || (Array.isArray(first) && first.some(isPose)));
  };
  if (LANDMARK_KEYS.some((k) => k !== "keypoints" && Array.isArray(value[k]) && value[k].length <= MOST_PEOPLE && value[k].flat().some(isObject))) return null;
  for (const [path, holder] of [[[], value], ...INSIDE.map((k) => [[k], value[k]])]) {
    const found = isObject(holder) ? Object.keys(holder).find((k) => isNamed(k, ARRAYS) && holds(holder[k])) : undefined;
    if (found !== undefined) return [...path, found];
  }
  return null;
}

/** Lists of landmarks {x, y, z, visibility} or of [x, y, z]: a list a frame, bare or under a known key, of one person or several. */
function asLandmarks(document, value, layout) {
  const name = document.name, prefix = isObject(value) ? framesIn(value) : [];
  if (prefix === null) return null;
  for (const key of prefix) value = value[key];
  if (!Array.isArray(value) || !value.length) return null;
  const poses = [], owners = [], faults = [], isWrapped = (person) => isObject(person) && isObject(person.pose) && !has(person, "keypoints"); // by ml5
  value.forEach((frame, t) => {
    const path = [...prefix, t];
    if (isWrapped(frame)) {
      path.push("pose");
      frame = frame.pose;
    }
    let list = frame;
    if (isObject(frame)) {
      const key = LANDMARK_KEYS.find((k) => Array.isArray(frame[k]));
      if (key === undefined) return;
      path.push(key);
      list = frame[key];
    }
    const before = poses.length;
    if (isPose(list)) {
      poses.push({ t, path, list, owner: frame });
      owners.push(idOf(frame));
    } else if (Array.isArray(list)) list.forEach((inner, i) => {
      if (isPose(inner)) poses.push({ t, path: [...path, i], list: inner, owner: null });
      const [person, to] = isWrapped(inner) ? [inner.pose, [i, "pose", "keypoints"]] : [inner, [i, "keypoints"]];
      if (isObject(person) && isPose(person.keypoints)) poses.push({ t, path: [...path, ...to], list: person.keypoints, owner: person });
    });
    // A text among the numbers of a frame would make all of it missing.
    if (poses.length === before && Array.isArray(list) && list.flat(2).some((item) => typeof item === "string")) faults.push(t);
  });
  if (!poses.length) return null;
  if (faults.length) throw new FileError(`${name}, frame ${faults[0]} must hold numbers only, in lists of equal length`);
  const said = value.map(labelOf);
  // "poses" are the people of a frame as well as those of one person.
  if (prefix[0] === "poses" && said.includes(null) && poses.some(({ owner }) => isObject(owner))) owners.push(null, "another");
  const labels = labelsOf(name, said, owners), frames = timelineOf(labels), kinds = kindsOf(name, poses.map(({ list }) => list), layout);
  const rows = rowsByLabel(poses.map(({ list }) => list));
  const detections = poses.map(({ t, path, list, owner }) => {
    const scores = isObject(owner) ? SCORES_BESIDE.map((key) => owner[key]).find(Array.isArray) : undefined;
    const beside = scores?.length === list.length ? numbersOf(scores, `${name}, frame ${labels[t]}, scores`) : null;
    const [part, found] = byLabel(posePart(document, path, list, kinds), document, path, list, rows, beside);
    return { frame: frames.get(labels[t]), id: idOf(owner), parts: new Map([[part, found]]) };
  });
  if (said.includes(null)) refuseTurns(name, detections);
  const fps = prefix.length && typeof document.value.fps === "number" ? document.value.fps : null;
  const names = rows && [...rows.keys()].every((label) => typeof label === "string") ? [...rows.keys()] : null;
  return peopleRecording("landmarks in JSON", name, [document], detections, spanOf(frames), { fps, names });
}

/** What the numbers of joints that are lists of three or four are, told from all of the file: numbers a joint -> {dims, score}. */
function kindsOf(name, lists, layout) {
  const rows = new Map();
  for (const list of lists) for (const joint of list) if (Array.isArray(joint) && joint.length > 2) {
    if (!rows.has(joint.length)) rows.set(joint.length, []);
    for (const value of joint) rows.get(joint.length).push(value ?? NaN);
  }
  return new Map([...rows].map(([numbers, flat]) => [numbers, jointNumbers(Float64Array.from(flat), numbers, name, layout)]));
}

/** What the objects of a list say that they are, by the first of LABELLED under which each has its own; null where none. */
function labelsIn(list) {
  for (const key of LABELLED) {
    const labels = list.map((joint) => (isObject(joint) ? joint[key] : undefined));
    if (labels.every((label) => typeof label === "string" || Number.isInteger(label)) && new Set(labels).size === labels.length) return labels;
  }
  return null;
}

/** Where joints that say which they are stand in all frames, label -> row; null where they do not: lib/formats/frames.py. */
function rowsByLabel(lists) {
  const labelled = lists.map(labelsIn).filter(Boolean), longest = labelled.reduce((a, b) => (b.length > a.length ? b : a), []);
  const rows = new Map([...new Set([longest, ...labelled].flat())].map((label, row) => [label, row]));
  return labelled.length && rows.size <= 2 * longest.length ? rows : null; // others number the points themselves
}

/** What posePart gives, with the scores that stand `beside` it, and joints that say which they are in the rows of rowsByLabel. */
function byLabel([part, found], document, path, list, rows, beside) {
  found.scores ??= beside;
  const labels = rows && labelsIn(list), places = labels?.map((label) => rows.get(label)), { dims } = found;
  if (!labels) return [part, found];
  found.slots[0].named = true;
  if (places.every((row, k) => row === k)) return [part, found];
  const size = Math.max(...places) + 1, lay = (values, step) => {
    const whole = new Float64Array(size * step).fill(NaN);
    places.forEach((row, k) => whole.set(values.subarray(k * step, (k + 1) * step), row * step));
    return whole;
  };
  const slots = places.map((first, k) => ({ document, first, count: 1, named: true, places: () => { const joint = pointOf(document.at(path)[k]); return (_, d) => joint["xyz"[d]]; } }));
  return [part, { points: lay(found.points, dims), scores: found.scores && lay(found.scores, 1), dims, slots }];
}

/** The points of a list of joints, [part, {points, scores, dims, slots}]; `kinds`: see kindsOf. */
function posePart(document, path, list, kinds = null) {
  const first = list.find((joint) => joint !== null) ?? [], objects = isObject(first);
  const kind = kinds?.get(first.length) ?? { dims: Math.max(2, first.length), score: null };
  const dims = objects ? (list.every((joint) => joint === null || typeof pointOf(joint).z === "number") ? 3 : 2) : kind.dims;
  const points = new Float64Array(list.length * dims).fill(NaN), scores = new Float64Array(list.length).fill(NaN);
  list.forEach((joint, k) => {
    if (joint === null) return;
    for (let d = 0; d < dims; d++) points[k * dims + d] = (objects ? pointOf(joint)["xyz"[d]] : joint[d]) ?? NaN;
    if (objects) scores[k] = joint.score ?? joint.visibility ?? NaN;
    else if (kind.score !== null) scores[k] = joint[kind.score] ?? NaN;
    if (!objects && joint.length !== first.length) throw new FileError(`${document.name}: joints must have the same number of coordinates throughout`);
  });
  const slot = objects ? landmarkSlot(document, path, list.length) : numberSlot(document, path, 0, list.length, Math.max(dims, first.length));
  if (!objects && list.includes(null)) slot.places = () => { const rows = document.at(path); return (k, d) => rows[k]?.[d]; };
  return [`${dims}D`, { points, scores: scores.every(Number.isNaN) ? null : scores, dims, slots: [slot] }];
}

// ---- JSON lines ----

/** Lines of JSON, one frame each, as `smoothnet smooth --stream` takes them. */
export function readJsonLines(file) {
  const lines = decodeText(file.bytes, file.name).split(/(?<=\n)/), documents = [], detections = [], labels = [], owners = [];
  const add = (document, frame, id, path, list, scores, where) => {
    if (!Array.isArray(list) || list.every((joint) => joint === null)) return;
    if (!list.every((joint) => joint === null || Array.isArray(joint) || isObject(joint))) throw new FileError(`${where}: keypoints must be [[x, y], ...] or [[x, y, z], ...]`);
    list.forEach((joint) => { if (Array.isArray(joint)) numbersOf(joint, where); });
    if (list.some((joint) => joint?.length > 3)) throw new FileError(`${where}: keypoints must be [[x, y], ...] or [[x, y, z], ...]`);
    const [part, found] = posePart(document, path, list);
    if (scores !== undefined && scores !== null) found.scores = numbersOf(scores, `${where}, scores`);
    if (found.scores && found.scores.length !== list.length) throw new FileError(`${where}: there must be one score a joint`);
    detections.push({ frame, id, parts: new Map([[part, found]]) });
  };
  let frame = 0;
  lines.forEach((line, number) => {
    const where = `${file.name}, line ${number + 1}`;
    if (!line.trim()) {
      documents.push({ name: file.name, changes: new Map(), changedText: () => line });
      return;
    }
    const document = new JsonDocument(where, line), { value } = document;
    documents.push(document);
    const key = isObject(value) ? PEOPLE_KEYS.find((k) => has(value, k)) : undefined;
    if (key !== undefined) {
      const people = value[key] ?? [];
      if (!Array.isArray(people) || !people.every(isObject)) throw new FileError(`${where}: "${key}" must be a list of objects`);
      people.forEach((person, i) => add(document, frame, person.id ?? person.track_id ?? person.person_id ?? null, [key, i, "keypoints"], person.keypoints, person.scores ?? person.keypoint_scores, where));
    } else if (isObject(value) && has(value, "keypoints")) {
      owners.push(idOf(value));
      add(document, frame, owners.at(-1), ["keypoints"], value.keypoints, value.scores ?? value.keypoint_scores, where);
    } else if (Array.isArray(value) || value === null) add(document, frame, null, [], value, null, where);
    else throw new FileError(`${where} must be an object with "keypoints" or "people", or a list of joints`);
    labels.push(labelOf(value));
    frame++;
  });
  const names = labelsOf(file.name, labels, owners), frames = timelineOf(names);
  for (const detection of detections) detection.frame = frames.get(names[detection.frame]);
  if (labels.includes(null)) refuseTurns(file.name, detections);
  const recording = peopleRecording("JSON lines", file.name, documents, detections, spanOf(frames));
  const place = placeOfScore(recording.tracks.filter(({ dims }) => dims === 3).flatMap(({ data }) => sampleRows(data, 3)));
  if (place !== null) throw new FileError(`${file.name}: the ${place} number of a joint is a score by its values; write {"keypoints": [[x, y], ...], "scores": [...]} a line`);
  const save = recording.save;
  recording.save = async (smoothed) => [{ name: file.name, text: (await save(smoothed)).map((part) => part.text).join("") }];
  return recording;
}
