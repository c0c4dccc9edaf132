// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) SmoothNet contributors
/**
 * The general smoother on typed arrays: the forward pass of lib/models/general.py, one window of one person at a time.
 *
 * Sizes, tables and constants come with the weights (see lib/browser/export.py); nothing here knows a window length.
 * All is computed in doubles, so that what differs from PyTorch is PyTorch's own rounding.
 */

const TINY = 1e-30; // keeps windows in which nothing moves away from 0 / 0
const LEAST_TRUST = 1e-3; // where nothing can be trusted, everything is trusted alike

/** Weights as weights.js has them -> a Network. Throws an Error where they are damaged. */
export function loadNetwork(file) {
  if (file?.format !== 1 || file.kind !== "general") throw new Error("these are not weights of the general smoother, format 1");
  const text = atob(file.data), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const view = new DataView(bytes.buffer), tensors = {};
  let at = 0;
  for (const [name, shape] of file.tensors) {
    const size = shape.reduce((a, b) => a * b, 1), values = new Float64Array(size);
    if (at + 4 * size > bytes.length) throw new Error("the weights are cut short");
    for (let i = 0; i < size; i++, at += 4) values[i] = view.getFloat32(at, true);
    tensors[name] = values;
  }
  if (at !== bytes.length) throw new Error("the weights are longer than they say");
  return new Network(file, tensors);
}

export class Network {
  constructor(file, tensors) {
    const W = file.window;
    this.window = W;
    this.step = file.step;
    this.taper = Float64Array.from(file.taper);
    this.strongest = file.strongest;
    this.file = file;
    this.tensors = tensors;
    this.hidden = tensors["encoder.bias"].length;
    this.blocks = file.blocks;
    this.narrow = this.blocks ? tensors["down.0.bias"].length : 0;
    this.knots = file.knots;
    this.members = file.bank.length + file.fits.length;
    this.sources = ["window", "trusted", "median"].map((name) => stackedSmoothers(file.bank.filter((row) => row[0] === name), W));
    this.moments = file.fits.map(([order, width]) => kernelMoments(W, width, 2 * order + 1));
    const rough = smootherMatrix(W, 3, 3).map((v) => -v);
    for (let i = 0; i < W; i++) rough[i * W + i] += 1;
    this.highPass = rough.map(Math.fround);
    this.places = Float64Array.from({ length: W }, (_, w) => ((file.knots - 1) * w) / (W - 1));
    this.room = null;
    this.bias = tensors["encoder.bias"]; // of the encoder, with what the frame rate adds
  }

  /** The same network told the frame rate; null or 0: unknown. bank.rate_features says what it is told. */
  at(fps) {
    if (!this.tensors["rate.weight"]) return this; // written before networks were told
    const rated = Object.create(this), [least, most] = this.file.rates, rate = this.tensors["rate.weight"];
    const octaves = fps ? Math.log2(Math.min(Math.max(fps, least), most) / this.file.usual_rate) : 0;
    rated.bias = this.tensors["encoder.bias"].map((bias, i) => (fps ? bias + rate[2 * i] + octaves * rate[2 * i + 1] : bias));
    rated.room = null;
    return rated;
  }

  /** Working memory for so many joints and coordinates; kept, for the next window has as many. */
  _memory(joints, dims) {
    if (this.room?.joints === joints && this.room.dims === dims) return this.room;
    const rows = Math.ceil((joints * dims) / 4) * 4, W = this.window, H = this.hidden; // see linear
    const some = (width, n = rows) => new Float64Array(n * width);
    const most = Math.max(...this.sources.map((s) => s.length / W));
    this.room = {
      joints, dims,
      x: some(W), filled: some(W), median: some(W), rough: some(W), trust: some(W), trusted: some(W), correction: some(W),
      features: some(3 * W + this.file.scalars), h: some(H), g: some(H), narrow: some(this.narrow),
      byJoint: some(H, joints + 4), byAxis: some(H, dims + 4), byBody: some(H, 4),
      toldJoint: some(H, joints + 4), toldAxis: some(H, dims + 4), toldBody: some(H, 4),
      logits: some(this.members * this.knots), bank: some(this.members * W), part: some(Math.max(most, 1) * W),
      m: some(5 * W), t: some(3 * W), noise: some(1), offset: some(1), place: some(1), bend: some(W), ordered: new Float64Array(W - 2),
      unit: new Float64Array(joints), raised: new Float64Array(dims), of: new Float64Array(joints), mixed: new Float64Array(this.members),
    };
    return this.room;
  }

  /**
   * Smooth one window.
   *
   * @param windows (K, D, W) Float64Array without NaN
   * @param shown (K) of 0 and 1: joints that have values at all; null: all
   * @param strength 1 what was trained; above 1 smoother, up to `strongest`
   * @returns (K, D, W) Float64Array
   */
  smooth(windows, joints, dims, shown = null, strength = 1) {
    const r = this._memory(joints, dims), W = this.window, C = joints * dims, T = this.tensors, H = this.hidden;
    const slope = this.file.slope, members = this.members, knots = this.knots;
    const weight = jointShares(joints, shown);
    this._features(windows, r, weight);

    linear(r.features, C, T["encoder.weight"], this.bias, r.h);
    leaky(r.h, slope);
    for (let b = 0; b < this.blocks; b++) {
      meanOver(r, weight, H);
      linear(r.byJoint, joints, T[`contexts.${b}.0.weight`], null, r.toldJoint, H);
      linear(r.byAxis, dims, T[`contexts.${b}.1.weight`], null, r.toldAxis, H);
      linear(r.byBody, 1, T[`contexts.${b}.2.weight`], null, r.toldBody, H);
      for (let k = 0, c = 0; k < joints; k++) for (let d = 0; d < dims; d++, c++) for (let i = 0; i < H; i++) {
        const told = r.toldJoint[k * H + i] + r.toldAxis[d * H + i] + r.toldBody[i];
        r.h[c * H + i] += told < 0 ? slope * told : told;
      }
      linear(r.h, C, T[`down.${b}.weight`], T[`down.${b}.bias`], r.narrow);
      leaky(r.narrow, slope);
      linear(r.narrow, C, T[`up.${b}.weight`], T[`up.${b}.bias`], r.g);
      for (let i = 0; i < C * H; i++) r.h[i] += r.g[i];
    }
    linear(r.h, C, T["mixture.weight"], T["mixture.bias"], r.logits);
    linear(r.h, C, T["trust.weight"], T["trust.bias"], r.trust);
    linear(r.h, C, T["correction.weight"], T["correction.bias"], r.correction);
    this._bank(r, C);

    const result = new Float64Array(C * W), lean = Math.max(strength - 1, 0);
    for (let c = 0; c < C; c++) {
      const logits = r.logits.subarray(c * members * knots, (c + 1) * members * knots);
      for (let j = 0; j < knots; j++) {
        let most = -Infinity, sum = 0;
        for (let m = 0; m < members; m++) most = Math.max(most, (logits[m * knots + j] += lean * this.file.lean[m]));
        for (let m = 0; m < members; m++) sum += logits[m * knots + j] = Math.exp(logits[m * knots + j] - most);
        for (let m = 0; m < members; m++) logits[m * knots + j] /= sum;
      }
      const unit = r.unit[(c / dims) | 0];
      for (let w = 0; w < W; w++) {
        const j = Math.min(Math.floor(this.places[w]), knots - 2), f = this.places[w] - j; // between two knots
        let value = r.correction[c * W + w];
        for (let m = 0; m < members; m++) {
          value += ((1 - f) * logits[m * knots + j] + f * logits[m * knots + j + 1]) * r.bank[(c * members + m) * W + w];
        }
        result[c * W + w] = (value * unit) / r.raised[c % dims] + r.offset[c];
      }
    }
    return result;
  }

  /** The window in units of its noise (r.x), that unit for each joint (r.unit), and the features of every channel. */
  _features(windows, r, weight) {
    const { joints, dims, x, place, offset, bend } = r, W = this.window, C = joints * dims, S = this.file.scalars;
    for (let c = 0; c < C; c++) {
      let sum = 0;
      for (let w = 0; w < W; w++) sum += windows[c * W + w];
      offset[c] = sum / W;
      for (let w = 0; w < W; w++) x[c * W + w] = windows[c * W + w] - offset[c];
    }
    const centre = new Float64Array(dims);
    for (let c = 0; c < C; c++) centre[c % dims] += offset[c] * weight[(c / dims) | 0];
    const reach = new Float64Array(dims);
    for (let c = 0; c < C; c++) {
      place[c] = weight[(c / dims) | 0] > 0 ? offset[c] - centre[c % dims] : 0;
      let most = Math.max(reach[c % dims], Math.abs(place[c]));
      for (let i = c * W; i < (c + 1) * W; i++) most = Math.max(most, Math.abs(x[i]));
      reach[c % dims] = most;
    }
    const peak = Math.max(...reach) + TINY; // squares stay in range, whatever the unit
    for (let i = 0; i < C * W; i++) x[i] /= peak;
    for (let c = 0; c < C; c++) place[c] /= peak;

    const lower = (W - 3) >> 1, upper = (W - 2) >> 1;
    r.of.fill(0);
    for (let c = 0; c < C; c++) {
      const at = c * W;
      bend[at] = bend[at + W - 1] = 0;
      for (let w = 1; w < W - 1; w++) {
        bend[at + w] = x[at + w + 1] - x[at + w] - (x[at + w] - x[at + w - 1]);
        r.ordered[w - 1] = Math.abs(bend[at + w]);
      }
      r.ordered.sort();
      let median = 0;
      for (let i = lower; i <= upper; i++) median += r.ordered[i];
      r.noise[c] = median / (upper - lower + 1) / this.file.median_of_normal;
      r.of[(c / dims) | 0] += r.noise[c] / dims;
    }
    this._withoutWild(r, weight);
    this._raise(r, weight, reach.map((most) => most / peak));

    // The body's size: RMS distance of the joints from their centroid.
    const middle = new Float64Array(dims * W);
    for (let c = 0; c < C; c++) for (let w = 0; w < W; w++) middle[(c % dims) * W + w] += (x[c * W + w] + place[c]) * weight[(c / dims) | 0];
    let size = 0, motion = 0;
    for (let c = 0; c < C; c++) {
      let far = 0, moved = 0;
      for (let w = 0; w < W; w++) {
        const v = x[c * W + w], p = v + place[c] - middle[(c % dims) * W + w];
        far += p * p;
        moved += v * v;
      }
      size += (far / W) * weight[(c / dims) | 0];
      motion += (moved / W) * weight[(c / dims) | 0];
    }
    size = Math.sqrt(size + (size < 1e-6 * motion ? motion : 0) + TINY);

    let body = this.file.noise_floor * size;
    for (let k = 0; k < joints; k++) body += r.of[k] * weight[k];
    for (let k = 0; k < joints; k++) r.unit[k] = 0.9 * r.of[k] + 0.1 * body;
    for (let c = 0; c < C; c++) {
      const unit = r.unit[(c / dims) | 0];
      for (let i = c * W; i < (c + 1) * W; i++) { x[i] /= unit; bend[i] /= unit; }
    }
    linear(x, C, this.highPass, null, r.rough, W);
    for (let c = 0; c < C; c++) {
      const f = c * (3 * W + S), unit = r.unit[(c / dims) | 0];
      let bent = 0, square = 0;
      for (let w = 0; w < W; w++) {
        const i = c * W + w;
        r.features[f + w] = signedLog(x[i]);
        r.features[f + W + w] = signedLog(r.rough[i]);
        r.features[f + 2 * W + w] = signedLog(bend[i]);
        bent += Math.abs(bend[i]);
        square += x[i] * x[i];
      }
      r.features[f + 3 * W] = Math.log(r.noise[c] / unit + 0.01);
      r.features[f + 3 * W + 1] = Math.log(bent / (W - 2) + 0.01);
      r.features[f + 3 * W + 2] = Math.log(square / W + 0.01);
      r.features[f + 3 * W + 3] = Math.log(unit / body);
      r.features[f + 3 * W + 4] = Math.log(body / size);
    }
    for (let k = 0; k < joints; k++) r.unit[k] *= peak;
  }

  /** Raise axes whose noise is far below that of the loudest, such as a depth in metres beside pixels (r.raised). */
  _raise(r, weight, reach) {
    const { joints, dims, x, place, bend, raised } = r, W = this.window, { apart, most_raised } = this.file;
    const noise = new Float64Array(dims);
    for (let c = 0; c < joints * dims; c++) noise[c % dims] += r.noise[c] * weight[(c / dims) | 0];
    const loudest = Math.max(...noise), widest = Math.max(...reach);
    for (let d = 0; d < dims; d++) {
      const most = Math.min(loudest / Math.max(apart * noise[d], TINY), widest / Math.max(reach[d], TINY));
      raised[d] = Math.min(Math.max(most, 1), most_raised);
    }
    r.of.fill(0);
    for (let c = 0; c < joints * dims; c++) {
      const by = raised[c % dims];
      for (let i = c * W; i < (c + 1) * W; i++) { x[i] *= by; bend[i] *= by; }
      place[c] *= by;
      r.noise[c] *= by;
      r.of[(c / dims) | 0] += r.noise[c] / dims;
    }
  }

  /** Leave joints whose noise (r.of) is wild little weight in means over the body: one that was seen wrongly is no measure for the others. */
  _withoutWild(r, weight) {
    const { joints, dims, place } = r, far = new Float64Array(joints), { wild_noise, wild_share, nearly_none } = this.file;
    for (let c = 0; c < joints * dims; c++) far[(c / dims) | 0] += place[c] * place[c];
    const geometric = (values) => {
      let mean = 0, logs = 0;
      for (let k = 0; k < joints; k++) mean += values[k] * weight[k];
      for (let k = 0; k < joints; k++) logs += Math.log(values[k] + nearly_none * mean + TINY) * weight[k];
      return Math.exp(logs);
    };
    const most = Math.max(wild_noise * geometric(r.of), wild_share * Math.sqrt(geometric(far)));
    let sum = 0;
    for (let k = 0; k < joints; k++) sum += weight[k] *= Math.min(most / Math.max(r.of[k], TINY), 1) ** 4;
    for (let k = 0; k < joints; k++) weight[k] /= Math.max(sum, TINY);
  }

  /** Every member's version of the window, (C, members, W), into r.bank. */
  _bank(r, C) {
    const W = this.window, members = this.members, fixed = this.file.bank.length, { trust, trusted, x } = r;
    for (let i = 0; i < C * W; i++) {
      trust[i] = 1 / (1 + Math.exp(-trust[i])) + LEAST_TRUST;
      trusted[i] = trust[i] * x[i];
    }
    this.file.fits.forEach(([order], f) => localFits(r, C, W, this.moments[f], order, this.file.ridge, (fixed + f) * W, members * W));
    const fill = (fixed + this.file.fill) * W;
    for (let c = 0; c < C; c++) for (let w = 0; w < W; w++) {
      const fit = r.bank[c * members * W + fill + w], i = c * W + w;
      r.filled[i] = fit + Math.min(trust[i], 1) * (x[i] - fit);
    }
    runningMedians(x, r.median, C, W);
    let first = 0;
    [x, r.filled, r.median].forEach((source, s) => {
      const width = this.sources[s].length / W;
      linear(source, C, this.sources[s], null, r.part, W);
      for (let c = 0; c < C; c++) r.bank.set(r.part.subarray(c * width, (c + 1) * width), c * members * W + first);
      first += width;
    });
  }
}

/** Shares of the joints in means over the body. */
function jointShares(joints, shown) {
  const weight = shown ? Float64Array.from(shown) : new Float64Array(joints).fill(1);
  const count = Math.max(weight.reduce((a, b) => a + b, 0), 1);
  return weight.map((v) => v / count);
}

/** Means of h (C, H): over a joint's coordinates, over the joints' same coordinate, over all. */
function meanOver(r, weight, H) {
  const { joints, dims, h, byJoint, byAxis, byBody } = r;
  byJoint.fill(0);
  byAxis.fill(0);
  byBody.fill(0);
  for (let k = 0, c = 0; k < joints; k++) for (let d = 0; d < dims; d++, c++) for (let i = 0; i < H; i++) {
    byJoint[k * H + i] += h[c * H + i] / dims;
    byAxis[d * H + i] += h[c * H + i] * weight[k];
  }
  for (let d = 0; d < dims; d++) for (let i = 0; i < H; i++) byBody[i] += byAxis[d * H + i] / dims;
}

/**
 * y (n, out) = x (n, in) w (out, in)' + bias. `width`, in, is needed where there is no bias to tell out by.
 * Four rows and two columns at once keep their sums in registers; the rows of x and y are padded to a multiple of four.
 */
function linear(x, n, w, bias, y, width = w.length / bias.length) {
  const outs = w.length / width;
  for (let r = 0; r < n; r += 4) {
    const x0 = r * width, x1 = x0 + width, x2 = x1 + width, x3 = x2 + width;
    const y0 = r * outs, y1 = y0 + outs, y2 = y1 + outs, y3 = y2 + outs;
    let o = 0;
    for (; o + 1 < outs; o += 2) {
      const a = o * width, b = a + width;
      const p = bias === null ? 0 : bias[o], q = bias === null ? 0 : bias[o + 1];
      let s0 = p, s1 = p, s2 = p, s3 = p, t0 = q, t1 = q, t2 = q, t3 = q;
      for (let i = 0; i < width; i++) {
        const u = w[a + i], v = w[b + i], e = x[x0 + i], f = x[x1 + i], g = x[x2 + i], h = x[x3 + i];
        s0 += u * e; s1 += u * f; s2 += u * g; s3 += u * h;
        t0 += v * e; t1 += v * f; t2 += v * g; t3 += v * h;
      }
      y[y0 + o] = s0; y[y1 + o] = s1; y[y2 + o] = s2; y[y3 + o] = s3;
      y[y0 + o + 1] = t0; y[y1 + o + 1] = t1; y[y2 + o + 1] = t2; y[y3 + o + 1] = t3;
    }
    for (; o < outs; o++) {
      const a = o * width, p = bias === null ? 0 : bias[o];
      let s0 = p, s1 = p, s2 = p, s3 = p;
      for (let i = 0; i < width; i++) {
        const u = w[a + i];
        s0 += u * x[x0 + i]; s1 += u * x[x1 + i]; s2 += u * x[x2 + i]; s3 += u * x[x3 + i];
      }
      y[y0 + o] = s0; y[y1 + o] = s1; y[y2 + o] = s2; y[y3 + o] = s3;
    }
  }
}

function leaky(values, slope) {
  for (let i = 0; i < values.length; i++) if (values[i] < 0) values[i] *= slope;
}

/** asinh, in the form that the network was trained with. */
function signedLog(x) {
  return Math.sign(x) * Math.log(Math.abs(x) + Math.sqrt(x * x + 1));
}

/** Median of 5 frames, the ends repeated. */
function runningMedians(x, out, C, W) {
  for (let c = 0; c < C; c++) for (let w = 0; w < W; w++) {
    const at = (i) => x[c * W + Math.max(0, Math.min(W - 1, i))];
    const a = at(w - 2), b = at(w - 1), d = at(w + 1), e = at(w + 2);
    const low = Math.max(Math.min(a, b), Math.min(d, e)), high = Math.min(Math.max(a, b), Math.max(d, e));
    out[c * W + w] = Math.max(Math.min(low, high), Math.min(Math.max(low, high), at(w)));
  }
}

/** Polynomials fitted around every frame, each frame weighted by its trust, into r.bank from `first` on. */
function localFits(r, C, W, moments, order, ridge, first, stride) {
  const { m, t, trust, trusted, bank } = r, P = 2 * order + 1, Q = order + 1;
  linear(trust, C, moments, null, m, W);
  linear(trusted, C, moments.subarray(0, Q * W * W), null, t, W);
  for (let c = 0; c < C; c++) for (let w = 0; w < W; w++) {
    const i = c * P * W + w, j = c * Q * W + w, m0 = m[i];
    const m1 = m[i + W] / m0, m2 = m[i + 2 * W] / m0, t0 = t[j] / m0, t1 = t[j + W] / m0;
    const a = m2 - m1 * m1 + ridge, p = t1 - m1 * t0;
    let value;
    if (order === 1) value = t0 - (m1 * p) / a;
    else {
      const m3 = m[i + 3 * W] / m0, m4 = m[i + 4 * W] / m0;
      const b = m3 - m1 * m2, d = m4 - m2 * m2 + ridge, q = t[j + 2 * W] / m0 - m2 * t0;
      value = t0 - (m1 * (p * d - q * b) + m2 * (q * a - p * b)) / (a * d - b * b);
    }
    bank[c * stride + first + w] = value;
  }
}

/** (powers W, W): row p W + w holds kernel x time^p of the frames around w, time in widths. */
function kernelMoments(W, width, powers) {
  const rows = new Float64Array(powers * W * W);
  for (let p = 0; p < powers; p++) for (let w = 0; w < W; w++) for (let i = 0; i < W; i++) {
    const time = (i - w) / width;
    rows[(p * W + w) * W + i] = Math.fround(Math.exp(-0.5 * time * time) * time ** p);
  }
  return rows;
}

/** The smoothers of some rows of the bank, one below the other: (rows W, W). */
function stackedSmoothers(rows, W) {
  const stacked = new Float64Array(rows.length * W * W);
  rows.forEach(([, order, amount], i) => stacked.set(smootherMatrix(W, order, amount).map(Math.fround), i * W * W));
  return stacked;
}

/** (I + amount D'D)^-1, D the differences of that order, by Gauss-Jordan: the matrix is positive definite. */
function smootherMatrix(W, order, amount) {
  const D = [1];
  for (let n = 0; n < order; n++) {
    D.push(0);
    for (let i = D.length - 1; i > 0; i--) D[i] = D[i - 1] - D[i];
    D[0] = -D[0];
  }
  const a = new Float64Array(W * W), inverse = new Float64Array(W * W);
  for (let i = 0; i < W; i++) a[i * W + i] = inverse[i * W + i] = 1;
  for (let row = 0; row + order < W; row++) for (let i = 0; i <= order; i++) for (let j = 0; j <= order; j++) {
    a[(row + i) * W + row + j] += amount * D[i] * D[j];
  }
  for (let p = 0; p < W; p++) {
    const scale = 1 / a[p * W + p];
    for (let j = 0; j < W; j++) { a[p * W + j] *= scale; inverse[p * W + j] *= scale; }
    for (let i = 0; i < W; i++) {
      const f = a[i * W + p];
      if (i === p || f === 0) continue;
      for (let j = 0; j < W; j++) { a[i * W + j] -= f * a[p * W + j]; inverse[i * W + j] -= f * inverse[p * W + j]; }
    }
  }
  return inverse;
}
