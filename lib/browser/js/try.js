// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) SmoothNet contributors
/** The page to try it: a file in, before and after in the player, the smoothed file out; and poses as they come. */
import { crc32, makeZip } from "./arrays.js";
import { makeClip } from "./clip.js";
import { FileError } from "./documents.js";
import { readFiles } from "./formats.js";
import { emptyPoints } from "./gaps.js";
import { LineStream } from "./lines.js";
import { LAYOUTS } from "./meaning.js";
import { createPlayer } from "./player.js";
import { reportOf, reportTexts } from "./report.js";
import { Smoother } from "./smoother.js";
import { readFrame } from "./stream.js";
import { smoothTracks } from "./tracks.js";
import weights from "./weights.js";

const byId = (id) => document.getElementById(id);
const player = createPlayer(), smoother = new Smoother(weights);
const LIVE_FRAMES = 300, LIVE_PAUSE = 100; // frames that are shown; milliseconds between two drawings
let opened = null; // {files, recording, smoothed}
let running = null; // AbortController of the smoothing under way

/** @param doubt what people must look at before they use the result */
function say(text, wrong = false, doubt = null) {
  byId("status").textContent = text;
  byId("doubt").textContent = doubt ? `Warning: ${doubt}.` : "";
  byId("status").classList.toggle("wrong", wrong);
}

/** What went wrong, in a sentence. */
function complain(error) {
  if (!(error instanceof FileError)) console.error(error);
  say(error instanceof FileError ? error.message : `this went wrong in the page, not in your file: ${error.message}`, true);
}

async function openFiles(files) {
  closeLive();
  say(`Reading ${files[0]?.name ?? "nothing"} …`);
  try {
    const read = await Promise.all([...files].map(async (file) => ({ name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) })));
    byId("columns").value = "";
    await openRead(read);
  } catch (error) {
    complain(error);
  }
}

async function openRead(files) {
  const numbers = files.length === 1 && /\.(csv|tsv|npy|npz)$/i.test(files[0].name);
  byId("columns-setting").hidden = !numbers;
  try {
    const recording = await readFiles(files, { layout: byId("columns").value || null });
    opened = { files, recording, smoothed: null, fps: recording.fps };
  } catch (error) {
    opened = { files, recording: null, smoothed: null };
    byId("settings").hidden = !numbers;
    byId("player").hidden = true;
    byId("download").disabled = true;
    throw error;
  }
  byId("settings").hidden = false;
  byId("drop").classList.add("small");
  byId("fps").value = opened.recording.fps ?? 30;
  await smoothOpened(true);
}

/** Smooth what is open with the strength of the slider; what was under way stops. */
async function smoothOpened(fresh = false) {
  if (!opened?.recording) return;
  running?.abort();
  const mine = (running = new AbortController()), { recording } = opened, strength = Number(byId("strength").value);
  byId("progress").hidden = false;
  byId("download").disabled = true;
  const start = performance.now();
  try {
    const progress = (share) => { byId("progress").value = share; };
    const smoothed = await smoothTracks(smoother, recording, { strength, fps: opened.fps, progress, signal: mine.signal });
    if (mine.signal.aborted) return;
    opened.smoothed = smoothed;
    showClip(fresh);
    const [sentences, warning] = reportTexts(reportOf(recording, smoothed, opened.fps), opened.fps);
    say(describe(recording, sentences, performance.now() - start), false, warning);
    byId("download").disabled = false;
  } catch (error) {
    if (!mine.signal.aborted) complain(error);
  }
  if (running === mine) byId("progress").hidden = true;
}

function showClip(fresh) {
  const { recording, smoothed } = opened;
  const fps = Number(byId("fps").value), clip = makeClip({ ...recording, fps: fps > 0 && fps <= 1000 ? fps : 30 }, smoothed);
  byId("player").hidden = false;
  if (fresh) player.load(clip, innerWidth >= 720 ? "beside" : "overlay");
  else player.update(clip);
}

function describe(recording, sentences, milliseconds) {
  const { tracks } = recording, joints = Math.max(...tracks.map((t) => t.joints)), dims = Math.max(...tracks.map((t) => t.dims));
  const people = new Set(tracks.map((t) => t.id)).size, missing = tracks.reduce((sum, t) => sum + t.data.filter(Number.isNaN).length / t.dims, 0);
  const words = [`${recording.format}: ${recording.frameCount} frames × ${joints} joints, ${"x y z".slice(0, 2 * dims - 1)}`, people === 1 ? "1 person" : `${people} people`];
  if (missing) words.push(`${missing} points missing`);
  if (!opened.fps) words.push("the file does not say its frame rate: say it below if you know it");
  return [...words, ...recording.notes, ...sentences, `smoothed in ${(milliseconds / 1000).toFixed(1)} s`].join(" · ");
}

async function download() {
  try {
    const written = await opened.recording.save(opened.smoothed);
    const bytes = (file) => file.bytes ?? new TextEncoder().encode(file.text);
    let name = written[0].name, content = bytes(written[0]);
    if (written.length > 1) { // many files go as one
      name = `${name.replace(/[_-]?\d*[_-]?(keypoints)?\.json$/i, "") || "frames"}.zip`;
      content = makeZip(written.map((file) => {
        const packed = bytes(file), rawName = new TextEncoder().encode(file.name);
        return { rawName, flags: 0x800, method: 0, crc: crc32(packed), size: packed.length, time: 0x21 << 16, external: 0, packed };
      }));
    }
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content]));
    link.download = `smoothed_${name}`.replace(/[^\p{L}\p{N}._ ()-]/gu, "_");
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  } catch (error) {
    complain(error);
  }
}

/** A figure that walks, with the errors of an estimator: noise, and a wrist that jumps. */
function exampleFile() {
  const frames = 150, rows = [];
  let seed = 7;
  const random = () => { seed = (seed * 16807) % 2147483647; return seed / 2147483647; };
  const noise = (size) => size * (random() + random() + random() - 1.5);
  for (let t = 0; t < frames; t++) {
    const s = (2 * Math.PI * t) / 32, joints = [];
    const at = (x, y, z) => joints.push([x, y, z]);
    const up = 0.96 + 0.02 * Math.cos(2 * s), leg = (side, phase) => {
      const swing = 0.42 * Math.sin(s + phase), bend = 0.55 * Math.max(0, Math.sin(s + phase + 1.1));
      const knee = [side * 0.1, up - 0.44 * Math.cos(swing), 0.44 * Math.sin(swing)];
      return [[side * 0.1, up, 0], knee, [side * 0.1, knee[1] - 0.43 * Math.cos(swing - bend), knee[2] + 0.43 * Math.sin(swing - bend)]];
    };
    const arm = (side, phase) => {
      const swing = 0.45 * Math.sin(s + phase), elbow = [side * 0.22, up + 0.5 - 0.28 * Math.cos(swing), 0.28 * Math.sin(swing)];
      return [[side * 0.19, up + 0.5, 0], elbow, [side * 0.23, elbow[1] - 0.25 * Math.cos(swing + 0.4), elbow[2] + 0.25 * Math.sin(swing + 0.4)]];
    };
    at(0, up, 0);
    for (const p of [...leg(-1, Math.PI), ...leg(1, 0)]) at(...p);
    at(0, up + 0.25, 0.01); at(0, up + 0.52, 0.01); at(0, up + 0.6, 0.09); at(0, up + 0.72, 0.02);
    for (const p of [...arm(1, Math.PI), ...arm(-1, 0)]) at(...p);
    const jump = t % 29 === 11 ? 0.16 : 0;
    rows.push(joints.map((p, k) => p.map((v, d) => Number((v + (d === 1 ? -0.05 : 0) + noise(0.022) + (k === 13 ? jump : 0)).toFixed(4)))));
  }
  return { name: "example.json", bytes: new TextEncoder().encode(JSON.stringify(rows)) };
}

// ---- live ----

let live = null; // {lines, history, waiting, timer, socket}

function startLive() {
  const delay = Math.max(0, Math.min(smoother.window - 1, Math.round(Number(byId("delay").value)) || 0));
  running?.abort();
  opened = null;
  byId("settings").hidden = true;
  live = { lines: new LineStream(smoother.stream({ delay, strength: Number(byId("strength").value) })), history: [], waiting: [], timer: null, socket: null, shown: false, count: 0 };
}

function closeLive() {
  live?.socket?.close();
  clearTimeout(live?.timer);
  live = null;
  byId("listen").textContent = "Connect";
}

/** Take a frame, as JSON text or as it is; gives the smoothed one that the delay allows. */
function pushLive(frame) {
  if (!live) startLive();
  const out = live.lines.push(frame);
  live.waiting.push(typeof frame === "string" ? JSON.parse(frame) : frame);
  live.count++;
  if (out === undefined) return undefined;
  live.history.push([peopleOf(live.waiting.shift()), peopleOf(out)]);
  if (live.history.length > LIVE_FRAMES) live.history.shift();
  live.timer ??= setTimeout(drawLive, LIVE_PAUSE);
  return out;
}

/** The people of a frame: Map id -> {joints, dims, data}. */
function peopleOf(value) {
  const list = value?.people ?? value?.instances;
  if (!list) { const read = readFrame(value?.keypoints || Array.isArray(value) ? value : null); return new Map(read ? [["0", read]] : []); }
  return new Map(list.map((person, i) => [String(person.id ?? person.track_id ?? i), readFrame(person)]).filter(([, read]) => read));
}

function drawLive() {
  if (!live) return;
  live.timer = null;
  const ids = [...new Set(live.history.flatMap(([before]) => [...before.keys()]))], frames = live.history.length;
  if (!ids.length) return;
  const tracks = [], smoothed = [];
  for (const id of ids) {
    const { joints, dims } = live.history.find(([before]) => before.has(id))[0].get(id), pair = [emptyPoints(frames, joints, dims), emptyPoints(frames, joints, dims)];
    live.history.forEach((both, t) => both.forEach((people, i) => { if (people.get(id)?.data.length === joints * dims) pair[i].data.set(people.get(id).data, t * joints * dims); }));
    tracks.push({ id, part: "points", start: 0, ...pair[0], scores: null });
    smoothed.push(pair[1].data);
  }
  const clip = makeClip({ name: "Live", tracks, fps: 30, names: null }, smoothed);
  byId("player").hidden = false;
  if (live.shown) player.update(clip);
  else player.load(clip, "overlay");
  live.shown = true;
  player.go(clip.frames - 1);
  say(`Live: ${live.count} frames`);
}

function connect() {
  if (live?.socket) {
    closeLive();
    say("Disconnected");
    return;
  }
  const address = byId("address").value.trim() || byId("address").placeholder;
  if (!/^wss?:\/\//i.test(address)) throw new FileError("the address of a WebSocket starts with ws:// or wss://");
  closeLive();
  startLive();
  const mine = live, socket = (live.socket = new WebSocket(address));
  byId("listen").textContent = "Disconnect";
  say(`Connecting to ${address} …`);
  socket.onopen = () => say("Connected, waiting for poses");
  socket.onmessage = async ({ data }) => {
    try {
      const text = typeof data === "string" ? data : await data.text();
      for (const line of text.split("\n")) if (line.trim() && live === mine) pushLive(line);
    } catch (error) {
      complain(error instanceof FileError ? error : new FileError(error.message));
      socket.close();
    }
  };
  socket.onerror = () => { if (live === mine) say(`no WebSocket answers at ${address}`, true); };
  socket.onclose = () => {
    if (live !== mine) return;
    live.socket = null;
    byId("listen").textContent = "Connect";
  };
}

// ---- what the user does ----

for (const name of Object.keys(LAYOUTS)) byId("columns").append(new Option(name, name));
byId("strength").max = smoother.network.strongest;
byId("delay").max = smoother.window - 1;
byId("file").addEventListener("change", () => { if (byId("file").files.length) openFiles(byId("file").files); byId("file").value = ""; });
for (const kind of ["dragenter", "dragover"]) document.addEventListener(kind, (event) => { event.preventDefault(); byId("drop").classList.add("over"); });
for (const kind of ["dragleave", "drop"]) document.addEventListener(kind, () => byId("drop").classList.remove("over"));
document.addEventListener("drop", (event) => { event.preventDefault(); if (event.dataTransfer.files.length) openFiles(event.dataTransfer.files); });
byId("example").addEventListener("click", () => { closeLive(); byId("columns").value = ""; openRead([exampleFile()]).catch(complain); });
byId("strength").addEventListener("input", () => {
  byId("strength-now").textContent = Number(byId("strength").value).toFixed(1);
  smoothOpened();
});
byId("columns").addEventListener("change", () => openRead(opened.files).catch(complain));
byId("fps").addEventListener("change", () => {
  if (!opened?.recording) return;
  const fps = Number(byId("fps").value);
  opened.fps = fps > 0 && fps <= 1000 ? fps : opened.recording.fps;
  smoothOpened();
});
byId("download").addEventListener("click", download);
byId("connect").addEventListener("submit", (event) => {
  event.preventDefault();
  try { connect(); } catch (error) { complain(error); }
});
window.smoothnet = { push: pushLive, close: closeLive, smoother };
