// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) SmoothNet contributors
/** From dropped files to a recording, and back: the forms that need no Python. */
import { readNumpy } from "./arrays.js";
import { FileError } from "./documents.js";
import { doubtFeatures, doubtOnePose, refuseDerivatives, refuseNamedAngles, refuseNumbered, refuseRowsOfJoints } from "./meaning.js";
import { readJson, readJsonLines, readOpenposeFiles } from "./people.js";
import { readCsv, readTrc } from "./tables.js";
import { markAbsurd, markMissing, markWithoutDepth } from "./tracks.js";

const MOST_BYTES = 2 ** 28, FARTHEST = 1e15;
const PYTHON_ONLY = { // ending -> what it is
  h5: "DeepLabCut or other HDF5 files", hdf5: "HDF5 files", pkl: "pickles", pickle: "pickles", pt: "PyTorch files", pth: "PyTorch files",
  bvh: "BVH files", c3d: "C3D files", mat: "MATLAB files", mp4: "videos: run a pose estimator first, then drop its poses", mov: "videos", avi: "videos",
};

/**
 * Read files of poses.
 *
 * @param files [{name, bytes: Uint8Array}], one file, or the frames of OpenPose together
 * @param options.layout what the numbers of a joint are where the file does not say, a key of LAYOUTS
 * @returns {format, name, tracks, frameCount, fps, names, notes, save}: `await save(smoothed)` gives the files in the form they
 *   had, [{name, bytes or text}], with only coordinates changed; smoothed has an array like `data` for each track
 * @throws FileError: one sentence for the user
 */
export async function readFiles(files, { layout = null } = {}) {
  if (!files.length) throw new FileError("drop a file of poses");
  const size = files.reduce((sum, file) => sum + file.bytes.length, 0);
  if (size > MOST_BYTES) throw new FileError(`${files[0].name} is too large for the page (${Math.round(size / 2 ** 20)} MB, it takes 256 MB); use the command line: smoothnet smooth FILE -o OUT`);
  const recording = await readerOf(files, layout);
  if (!(recording.fps >= 1e-3 && recording.fps <= 1e6)) recording.fps = null;
  if (!recording.tracks.length) throw new FileError(`${recording.name} holds nobody: ${recording.frameCount} frames without a point`);
  const parts = new Map();
  for (const track of recording.tracks) parts.set(track.part, [...(parts.get(track.part) ?? []), track]);
  for (const tracks of parts.values()) {
    markMissing(tracks);
    markWithoutDepth(tracks);
    markAbsurd(tracks);
  }
  if (!layout && !/^(OpenPose|COCO|AlphaPose|MMPose|TRC)/.test(recording.format)) {
    refuseDerivatives(files[0].name, recording.tracks);
    refuseNamedAngles(files[0].name, recording.tracks, recording.names);
  }
  if (!layout) recording.tracks.forEach((track) => refuseNumbered(files[0].name, track));
  if (!layout && /^(CSV|NumPy)/.test(recording.format)) {
    const { tracks } = recording, [track] = tracks;
    if (tracks.length === 1) refuseRowsOfJoints(files[0].name, track);
    recording.notes.push(...tracks.flatMap(doubtFeatures), ...(tracks.length === 1 && recording.format.startsWith("NumPy") ? doubtOnePose(track) : []));
  }
  let any = false;
  for (const { data } of recording.tracks) for (let i = 0; i < data.length; i++) {
    if (Math.abs(data[i]) > FARTHEST) throw new FileError(`${recording.name}: a coordinate is ${data[i].toPrecision(3)}; no recording reaches that far; check the file, or scale it`);
    any ||= Number.isFinite(data[i]);
  }
  if (!any) throw new FileError(`${recording.name} holds no points: everything in it is missing`);
  return recording;
}

async function readerOf(files, layout) {
  if (files.length > 1) {
    const json = files.filter((file) => /\.json$/i.test(file.name));
    if (json.length < files.length) throw new FileError("drop one file at a time; only the JSON frames of OpenPose go together");
    return readOpenposeFiles(json);
  }
  const [file] = files, ending = /\.([^./\\]*)$/.exec(file.name)?.[1].toLowerCase() ?? "";
  if (!file.bytes.length) throw new FileError(`${file.name} is empty`);
  const start = String.fromCharCode(...file.bytes.subarray(0, 16)).replace(/^\u00ef\u00bb\u00bf/, "");
  if (start.startsWith("PathFileType")) return readTrc(file);
  if (ending === "npy" || ending === "npz") return readNumpy(file, layout);
  if (ending === "jsonl" || ending === "ndjson") return readJsonLines(file);
  if (ending === "json") return readJson(file, layout);
  if (ending === "trc") return readTrc(file);
  if (ending === "csv" || ending === "tsv") {
    if (/^(scorer|"scorer")[,;\t]/.test(new TextDecoder().decode(file.bytes.subarray(0, 64)))) throw new FileError(`${file.name} is a table of DeepLabCut, which the command line reads: smoothnet smooth FILE -o OUT`);
    return readCsv(file, layout);
  }
  if (Object.hasOwn(PYTHON_ONLY, ending)) throw new FileError(`${file.name}: the page does not read ${PYTHON_ONLY[ending]}`);
  throw new FileError(`${file.name} is in no form that the page knows: OpenPose, COCO, MMPose or landmark JSON, JSON lines (.jsonl), .csv, .trc, .npy, .npz`);
}
