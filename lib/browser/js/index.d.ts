// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) SmoothNet contributors

/** Weights as weights.js has them; `smoothnet page -o weights.js --checkpoint CKPT` writes others. */
export interface Weights {
  format: 1;
  kind: "general";
  window: number;
  step: number;
  taper: number[];
  strongest: number;
  data: string;
  [setting: string]: unknown;
}
export const weights: Weights;

/** Points of one person: data is (frames, joints, dims), NaN where missing. */
export interface Points {
  frames: number;
  joints: number;
  dims: number;
  data: Float64Array;
}
/** The same as nested arrays; null (or NaN) where missing. */
export type NestedPoints = (number | null)[][][];

export interface SmoothOptions {
  /** 0 gives the input, 1 what the network says (default), up to 4 smoother. */
  strength?: number;
  /** Frames per second, which the network makes use of; null: unknown. */
  fps?: number | null;
  /** Frames between windows; the network's own by default. */
  step?: number;
  /** Frames without any point that are bridged (10); longer gaps split the recording. */
  maxGap?: number;
}
export interface AsyncOptions extends SmoothOptions {
  /** Told the share that is done, 0 to 1. */
  progress?: ((share: number) => void) | null;
  /** Stops the work: the promise is rejected. */
  signal?: AbortSignal | null;
}

export class Smoother {
  constructor(options?: { weights?: Weights; strength?: number; fps?: number | null });
  /** Frames that the network sees at once. */
  readonly window: number;
  smooth<T extends Points | NestedPoints>(points: T, options?: SmoothOptions): T;
  /** The same a few milliseconds at a time, so that the page stays alive. */
  smoothAsync<T extends Points | NestedPoints>(points: T, options?: AsyncOptions): Promise<T>;
  stream(options?: StreamOptions): Stream;
}

/** A landmark of MediaPipe, a keypoint of TensorFlow.js, or anything with x and y; what else it has comes back as it was. */
export interface Landmark {
  x: number;
  y: number;
  z?: number;
  visibility?: number;
  score?: number;
}
export type Joints = (Landmark | null)[] | ((number | null)[] | null)[];
export type Person = Joints | { keypoints: Joints };
/** One person, several by id, or nobody. */
export type Frame = Person | Map<unknown, Person> | null | undefined;

export interface StreamOptions {
  /** A frame comes out so many frames after it went in: 0 to window - 1 (default, the smoothest). */
  delay?: number;
  /** Frames between runs of the network, 1 to delay + 1; by default its own where that loses next to nothing, else 1. */
  step?: number | null;
  strength?: number;
  /** Frames per second; null: unknown. */
  fps?: number | null;
  /** Frames that somebody may be away and still be the same (10). */
  maxGap?: number;
  /** Points with a lower score or visibility count as missing. */
  minScore?: number | null;
  /** 2 leaves the z of landmarks alone. */
  dims?: 2 | 3 | null;
}
export class Stream {
  readonly delay: number;
  /** Take the next frame; the one `delay` frames older comes back in its own form, null for the first `delay` frames. */
  push<T extends Frame>(frame: T): T | null;
  /** The frames that have not come out yet; the stream starts anew. */
  flush(): Frame[];
}
/** A stream with the weights that come along. */
export function live(options?: StreamOptions & { weights?: Weights }): Stream;

/** Frames as JSON: {"keypoints": ...}, {"people": [{"id", "keypoints"}]} or bare joints. */
export class LineStream {
  constructor(stream: Stream);
  /** Text or parsed; undefined for the first `delay` lines. */
  push(line: unknown): unknown;
  flush(): unknown[];
}

export interface Track extends Points {
  id: string | number;
  part: string;
  start: number;
  scores: Float64Array | null;
}
export interface Recording {
  format: string;
  name: string;
  tracks: Track[];
  frameCount: number;
  fps: number | null;
  names: string[] | null;
  notes: string[];
  /** The files in the form they had, with only coordinates changed. */
  save(smoothed: Float64Array[]): Promise<{ name: string; text?: string; bytes?: Uint8Array }[]>;
}
/** What the user can mend: one sentence. */
export class FileError extends Error {}
/** Names for `layout`: what the numbers of a joint are. */
export const LAYOUTS: Record<string, { numbers: number; dims: number; score: number | null }>;
export function readFiles(files: { name: string; bytes: Uint8Array }[], options?: { layout?: string | null }): Promise<Recording>;
export function smoothTracks(smoother: Smoother, recording: Recording, options?: AsyncOptions & { minScore?: number | null }): Promise<Float64Array[]>;

/** What smoothing did to one part of a recording, in the unit of the file; jitter is the mean second difference before and after, per frame². */
export interface PartReport {
  /** Of the recording. */
  frames: number;
  /** How far points moved: RMS, 95th percentile, maximum. */
  moved: [number, number, number] | null;
  jitter: [number, number] | null;
  /** Jitter before as a share of the body's size; above .6 these are hardly joints that move. */
  leaps: number;
  /** Of what was removed with itself 1/30 s later, and RMS of what is smooth in it as a share of the body's size. */
  correlation: number;
  slow: number;
}
export function reportOf(recording: Recording, smoothed: Float64Array[], fps?: number | null): Map<string, PartReport>;
/** Sentences for people, and a warning or null. */
export function reportTexts(parts: Map<string, PartReport>, fps?: number | null): [string[], string | null];
