// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) SmoothNet contributors
// Runs what tests/unit/test_browser.py asks for: node browser.mjs JOB.json > ANSWER.json
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";

const job = JSON.parse(readFileSync(process.argv[2], "utf-8"));
const { LineStream, Smoother, Stream, readFiles, reportOf, reportTexts, smoothTracks } = await import(pathToFileURL(job.module));
const weights = job.weights ? (await import(pathToFileURL(job.weights))).default : undefined;

function streamed(stream, frames) {
  const out = frames.map((frame) => stream.push(frame)).slice(stream.delay);
  return [...out, ...stream.flush()];
}

const opened = (paths) => paths.map((path) => ({ name: basename(path), bytes: new Uint8Array(readFileSync(path)) }));

const tasks = {
  smooth: ({ points, options }) => new Smoother({ weights }).smooth(points, options),
  stream: ({ points, options }) => streamed(new Smoother({ weights }).stream(options), points),
  lines: ({ lines, options }) => {
    const stream = new LineStream(new Smoother({ weights }).stream(options));
    const out = lines.map((line) => stream.push(line)).filter((line) => line !== undefined);
    return [...out, ...stream.flush()];
  },
  read: async ({ paths, options }) => {
    const { tracks, fps, frameCount } = await readFiles(opened(paths), { layout: options?.layout ?? null });
    const list = (values) => values && [...values];
    return { fps, frames: frameCount, tracks: tracks.map((t) => ({ ...t, data: list(t.data), scores: list(t.scores), inFile: null, where: null })) };
  },
  // Files smoothed (or, with `keep`, written as they were read; with `plus`, with that added to all coordinates) into a folder.
  file: async ({ paths, folder, keep, plus, options }) => {
    const recording = await readFiles(opened(paths), { layout: options?.layout ?? null });
    const smoother = new Smoother({ weights, strength: options?.strength ?? 1 });
    const smoothed = keep || plus ? recording.tracks.map((track) => track.data.map((value) => value + (plus ?? 0))) : await smoothTracks(smoother, recording, { minScore: options?.minScore ?? null, fps: recording.fps });
    mkdirSync(folder, { recursive: true });
    for (const { name, text, bytes } of await recording.save(smoothed)) writeFileSync(join(folder, name), bytes ?? text);
    const { format, fps, names, frameCount, notes } = recording;
    const report = reportOf(recording, smoothed, fps), parts = Object.fromEntries(report), [, warning] = reportTexts(report, fps);
    return { format, fps, names, notes, parts, warning, frames: frameCount, tracks: recording.tracks.map((t) => [t.frames, t.joints, t.dims]) };
  },
};

const answers = [];
for (const { task, ...arguments_ } of job.tasks) {
  try {
    answers.push({ value: (await tasks[task](arguments_)) ?? null });
  } catch (error) {
    answers.push({ error: error.message, kind: error.constructor.name, stack: error.stack });
  }
}
process.stdout.write(JSON.stringify(answers));
