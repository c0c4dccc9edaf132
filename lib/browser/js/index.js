// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) SmoothNet contributors
/** Smooth human poses in a browser or in node: the network of the Python package smoothnet, the same numbers. */
import { Smoother as AnySmoother } from "./smoother.js";
import weights from "./weights.js";

export { FileError } from "./documents.js";
export { readFiles } from "./formats.js";
export { LineStream } from "./lines.js";
export { LAYOUTS } from "./meaning.js";
export { reportOf, reportTexts } from "./report.js";
export { Stream } from "./stream.js";
export { smoothTracks } from "./tracks.js";
export { weights };

/** A Smoother with the weights that come along, unless others are given. */
export class Smoother extends AnySmoother {
  constructor({ weights: own = weights, ...options } = {}) {
    super(own, options);
  }
}

/** Start smoothing frames as they come: `const smoother = live({ delay: 8 }); smoother.push(frame)`. See Stream for the options. */
export function live(options = {}) {
  return new Smoother(options.weights ? { weights: options.weights } : {}).stream(options);
}
