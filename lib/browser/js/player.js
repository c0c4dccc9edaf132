// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) SmoothNet contributors
/**
 * The player: poses before and after, played, turned and measured. Its elements are those of player.html, its look player.css.
 *
 * A clip is {title, frames, fps, first_frame, unit, dims, joints, sides, edges, edge_sides, trails, joint, series, curves, axes, view,
 * grid, yaw, pitch} as lib/visualize/page.py describes it; series and the lines of curves have `values`, Float64Array, NaN where missing.
 */

const OVERLAY = -2, BESIDE = -1; // what is shown, beside the numbers of series
const MISSING = -32768;

/** Numbers travel as base64 of little-endian int16: value = offset + scale * number, MISSING where there is none. */
export function unpackClip(clip) {
  const decode = (packed) => {
    const bytes = Uint8Array.from(atob(packed.data), (c) => c.charCodeAt(0));
    const view = new DataView(bytes.buffer), width = packed.scale.length;
    const values = new Float64Array(bytes.length / 2);
    for (let i = 0; i < values.length; i++) {
      const q = view.getInt16(2 * i, true);
      values[i] = q === MISSING ? NaN : packed.offset[i % width] + packed.scale[i % width] * q;
    }
    return { name: packed.name, role: packed.role, values };
  };
  return { ...clip, series: clip.series.map(decode), curves: clip.curves.map((c) => ({ ...c, lines: c.lines.map(decode) })) };
}

/** Bring the page's player to life; gives {load, update, go}. */
export function createPlayer() {
  const $ = (id) => document.getElementById(id);
  let clip = null, D = 0, K = 0, T = 0, series = [], curves = [], options = [];
  const state = { frame: 0, shown: 0, playing: false, clock: 0, yaw: 0, pitch: 0, zoom: 1, joint: 0 };
  const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const label = (value) => !isFinite(value) ? "–" : Math.abs(value) >= 100 ? value.toFixed(1) : value.toFixed(2);

  function fitted(canvas) {  // a context whose unit is one CSS pixel
    const ratio = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
    const w = Math.max(1, Math.round(box.width * ratio)), h = Math.max(1, Math.round(box.height * ratio));
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
    const g = canvas.getContext("2d");
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, box.width, box.height);
    return [g, box.width, box.height];
  }

  // ---- poses ----
  function camera(width, height) {
    const cy = Math.cos(state.yaw), sy = Math.sin(state.yaw), cp = Math.cos(state.pitch), sp = Math.sin(state.pitch);
    const scale = state.zoom * Math.min(width / clip.view.width, height / clip.view.height) * 0.83, c = clip.view.centre;
    return (p) => {  // p in the clip's axes: right, up, to the viewer
      const x = p[0] - c[0], y = p[1] - c[1], z = p[2] - c[2];
      const across = cy * x + sy * z, back = -sy * x + cy * z;
      return [width / 2 + scale * across, height / 2 + 14 - scale * (cp * y - sp * back), sp * y + cp * back];
    };
  }
  function upright(s, frame, joint) {
    const i = (frame * K + joint) * D, v = s.values, a = clip.axes;
    if (D === 2) return [v[i], -v[i + 1], 0];
    return a.map((row) => row[0] * v[i] + row[1] * v[i + 1] + row[2] * v[i + 2]);
  }
  function drawPoses() {
    const [g, width, height] = fitted($("stage"));
    const over = state.shown === OVERLAY, panels = over ? [series] : (state.shown === BESIDE ? series : [series[state.shown]]).map((s) => [s]);
    const w = width / panels.length;
    panels.forEach((together, k) => {
      g.save();
      g.beginPath(); g.rect(k * w, 0, w, height); g.clip(); g.translate(k * w, 0);
      together.forEach((s, n) => drawPose(g, s, w, height, over, n === 0));
      g.restore();
      together.forEach((s, n) => {
        g.fillStyle = colour(s.role); g.fillRect(k * w + 16, 17 + 24 * n, 11, 11);
        g.fillStyle = colour("ink"); g.font = "600 15px system-ui, sans-serif"; g.textBaseline = "alphabetic"; g.textAlign = "left";
        g.fillText(capital(s.name), k * w + 34, 28 + 24 * n);
        g.fillStyle = colour("faint"); g.font = "13px system-ui, sans-serif";
        const means = curves.flatMap((c) => c.means[s.name] === undefined ? [] : [`${c.name} ${label(c.means[s.name])} ${c.unit}`]);
        while (means.length > 1 && g.measureText(means.join("   ")).width > w - 32) means.pop();
        if (means.length && !over) g.fillText(means.join("   "), k * w + 16, 49, w - 32);
      });
      if (k) { g.fillStyle = colour("paper"); g.fillRect(k * w - 3, 0, 6, height); }
    });
  }
  function drawPose(g, s, width, height, over, first) {
    const project = camera(width, height);
    const path = (points) => { g.beginPath(); points.forEach((p, i) => (i ? g.lineTo(p[0], p[1]) : g.moveTo(p[0], p[1]))); g.stroke(); };
    g.lineCap = g.lineJoin = "round";
    if (D === 3 && first) {
      g.strokeStyle = colour("grid"); g.lineWidth = 1;
      const { step, count, floor, centre } = clip.grid;
      for (let i = -count; i <= count; i++) {
        const a = i * step, r = count * step;
        path([[centre[0] + a, floor, centre[1] - r], [centre[0] + a, floor, centre[1] + r]].map(project));
        path([[centre[0] - r, floor, centre[1] + a], [centre[0] + r, floor, centre[1] + a]].map(project));
      }
    }
    const own = colour(s.role), side = over ? { left: own, right: own, middle: own } : { left: colour("left"), right: colour("right"), middle: colour("middle") };
    const thick = Math.max(2, Math.min(5, Math.min(width, height) / 100)) * (clip.edges.length > 28 ? 0.8 : 1) * (over ? 0.8 : 1);
    const past = Math.max(2, Math.round(0.6 * clip.fps));
    for (const j of clip.trails) {  // the path of hands and feet shows jitter even in a still picture
      let last = null;
      for (let f = Math.max(0, state.frame - past); f <= state.frame; f++) {
        const p = project(upright(s, f, j));
        if (last && isFinite(p[0]) && isFinite(last[0])) {
          g.strokeStyle = side[clip.sides[j]]; g.lineWidth = 1.4; g.globalAlpha = 0.1 + 0.6 * (f - state.frame + past) / past;
          path([last, p]);
        }
        last = p;
      }
    }
    g.globalAlpha = over && s.role === "input" ? 0.75 : 1;
    const points = clip.joints.map((_, j) => project(upright(s, state.frame, j)));
    const there = points.map((p) => isFinite(p[0]) && isFinite(p[1]));
    clip.edges.map((e, i) => [e, i]).filter(([e]) => there[e[0]] && there[e[1]])
      .sort(([a], [b]) => points[a[0]][2] + points[a[1]][2] - points[b[0]][2] - points[b[1]][2])
      .forEach(([e, i]) => { g.strokeStyle = side[clip.edge_sides[i]]; g.lineWidth = thick; path([points[e[0]], points[e[1]]]); });
    points.forEach((p, j) => {
      if (!there[j]) return;
      g.fillStyle = side[clip.sides[j]];
      g.beginPath(); g.arc(p[0], p[1], thick * (clip.edges.length ? 0.85 : 1.2), 0, 7); g.fill();
      if (j === state.joint) { g.strokeStyle = colour("ink"); g.lineWidth = 1.5; g.beginPath(); g.arc(p[0], p[1], thick * 0.85 + 4, 0, 7); g.stroke(); }
    });
    g.globalAlpha = 1;
    if (!there.some(Boolean) && first) {
      g.fillStyle = colour("faint"); g.font = "14px system-ui, sans-serif"; g.textAlign = "center";
      g.fillText("no person in this frame", width / 2, height / 2);
    }
  }

  // ---- curves ----
  function niceStep(span, count) {
    const raw = span / count, power = 10 ** Math.floor(Math.log10(raw));
    return [1, 2, 2.5, 5, 10].map((m) => m * power).reduce((a, b) => (Math.abs(a - raw) < Math.abs(b - raw) ? a : b));
  }
  const decimals = (step) => Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) + (/^2\.5/.test(step.toExponential()) ? 1 : 0);
  const charts = [];
  function addChart(parent, title, lines, fromZero) {
    const figure = document.createElement("figure"), caption = document.createElement("figcaption");
    const canvas = document.createElement("canvas"), heading = document.createElement("b");
    heading.textContent = title; caption.append(heading);
    const readings = lines.map((l) => {
      const span = document.createElement("span"), swatch = document.createElement("i"), value = document.createElement("span");
      swatch.style.background = `var(--${l.role})`;
      span.append(swatch, l.name + " ", value); caption.append(span);
      return value;
    });
    canvas.setAttribute("role", "img"); canvas.setAttribute("aria-label", title + " over time");
    figure.append(caption, canvas); parent.append(figure);
    const chart = { canvas, lines, fromZero, readings, still: document.createElement("canvas"), parent };
    const seek = (event) => {
      const box = canvas.getBoundingClientRect();
      go(Math.floor((event.clientX - box.left - chart.left) / (chart.right - chart.left) * T));
    };
    canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); seek(event); });
    canvas.addEventListener("pointermove", (event) => { if (event.buttons) seek(event); });
    charts.push(chart);
  }
  function layChart(chart) {  // everything but the cursor, drawn once
    const [, width, height] = fitted(chart.canvas);
    chart.still.width = chart.canvas.width; chart.still.height = chart.canvas.height;
    const g = chart.still.getContext("2d"), ratio = window.devicePixelRatio || 1;
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    let low = Infinity, high = -Infinity;
    for (const l of chart.lines) for (const v of l.values) if (isFinite(v)) { low = Math.min(low, v); high = Math.max(high, v); }
    if (!(low <= high)) { low = 0; high = 1; }
    if (chart.fromZero) low = Math.min(0, low);
    const span = high - low || Math.abs(high) || 1, step = niceStep(span, 3);
    low -= chart.fromZero ? 0 : 0.05 * span; high += 0.05 * span;
    g.font = "11.5px system-ui, sans-serif";
    const ticks = [], digits = decimals(step);
    for (let t = Math.ceil(low / step - 1e-9); t * step <= high; t++) ticks.push(t * step);
    const gutter = Math.max(...ticks.map((t) => g.measureText(t.toFixed(digits)).width), 8) + 9;
    Object.assign(chart, { left: gutter, right: width - 4, top: 6, bottom: height - 20, low, high });
    chart.x = (f) => chart.left + (chart.right - chart.left) * (f + 0.5) / T;
    chart.y = (v) => chart.bottom - (chart.bottom - chart.top) * (v - low) / (high - low);
    g.strokeStyle = colour("rule"); g.fillStyle = colour("faint"); g.lineWidth = 1; g.textAlign = "right"; g.textBaseline = "middle";
    for (const t of ticks) {
      const y = Math.round(chart.y(t)) + 0.5;
      g.beginPath(); g.moveTo(chart.left, y); g.lineTo(chart.right, y); g.stroke();
      g.fillText(t.toFixed(digits), chart.left - 7, y);
    }
    const start = clip.first_frame / clip.fps, seconds = T / clip.fps, stride = niceStep(seconds, Math.max(2, width / 95));
    g.textAlign = "center"; g.textBaseline = "top";
    for (let t = Math.ceil(start / stride - 1e-9) * stride; t <= start + seconds; t += stride) {
      const x = chart.x((t - start) * clip.fps - 0.5), text = (t + 0).toFixed(decimals(stride)) + " s";
      if (x + g.measureText(text).width / 2 <= width) g.fillText(text, x, chart.bottom + 6);
    }
    g.lineJoin = "round";
    for (const l of chart.lines) {
      g.strokeStyle = colour(l.role); g.lineWidth = l.role === "input" ? 1.4 : 1.9;
      g.beginPath();
      let pen = false;
      for (let f = 0; f < T; f++) {
        if (!isFinite(l.values[f])) { pen = false; continue; }
        if (pen) g.lineTo(chart.x(f), chart.y(l.values[f])); else g.moveTo(chart.x(f), chart.y(l.values[f]));
        pen = true;
      }
      g.stroke();
    }
  }
  function drawCursor(chart) {
    if (!chart.x) return;  // not laid out yet
    const [g] = fitted(chart.canvas), ratio = window.devicePixelRatio || 1;
    g.drawImage(chart.still, 0, 0, chart.still.width / ratio, chart.still.height / ratio);
    const x = chart.x(state.frame);
    g.strokeStyle = colour("faint"); g.lineWidth = 1;
    g.beginPath(); g.moveTo(x, chart.top); g.lineTo(x, chart.bottom); g.stroke();
    chart.lines.forEach((l, k) => {
      const v = l.values[state.frame];
      chart.readings[k].textContent = label(v);
      if (!isFinite(v)) return;
      g.fillStyle = colour(l.role); g.beginPath(); g.arc(x, chart.y(v), 4, 0, 7); g.fill();
    });
  }
  function jointCharts() {
    clearCharts($("joint-charts"));
    for (let d = 0; d < D; d++) {
      const lines = series.map((s) => ({ name: s.name, role: s.role, values: Float64Array.from({ length: T }, (_, f) => s.values[(f * K + state.joint) * D + d]) }));
      addChart($("joint-charts"), "xyz"[d] + (clip.unit ? ", " + clip.unit : ""), lines, false);
    }
  }

  // ---- what the user does ----
  function draw() {
    drawPoses();
    charts.forEach(drawCursor);
    $("seek").value = state.frame;
    $("now").textContent = `frame ${clip.first_frame + state.frame} · ${((clip.first_frame + state.frame) / clip.fps).toFixed(2)} s`;
  }
  function layout() { if (!clip) return; charts.forEach(layChart); draw(); }
  function go(frame) { state.frame = Math.max(0, Math.min(T - 1, frame)); state.clock = state.frame / clip.fps; draw(); }
  function play(on) {
    state.playing = on;
    $("play").textContent = on ? "Pause" : "Play";
    $("play").setAttribute("aria-pressed", String(on));
    if (!on) return;
    if (state.frame === T - 1) state.frame = 0;
    state.clock = state.frame / clip.fps;
    let last = performance.now();
    const tick = (time) => {
      if (!state.playing) return;
      state.clock += Math.max(0, time - last) / 1000 * Number($("speed").value);
      last = time;
      if (state.clock >= T / clip.fps) state.clock = 0;
      const frame = Math.min(T - 1, Math.floor(state.clock * clip.fps + 1e-6));
      if (frame !== state.frame) { state.frame = frame; draw(); }
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }
  function show(which) {
    state.shown = which;
    [...$("choice").children].forEach((b) => b.setAttribute("aria-pressed", String(Number(b.dataset.which) === which)));
    draw();
  }
  function resetView() { state.yaw = clip.yaw; state.pitch = clip.pitch; state.zoom = 1; draw(); }
  function turn(dx, dy) {
    if (D === 2) return;
    state.yaw += dx; state.pitch = Math.max(-1.5, Math.min(1.5, state.pitch + dy)); draw();
  }
  function theme(name) {
    document.documentElement.dataset.theme = name;
    $("theme").textContent = name === "dark" ? "Light" : "Dark";
  }

  /** Show a clip from its start; `shown`: a number of its series, "overlay" or "beside" at first. */
  function load(given, shown = null) {
    play(false);
    const renewed = clip !== null;
    clip = given;
    ({ dims: D, frames: T, series, curves } = clip);
    K = clip.joints.length;
    const smoothed = Math.max(0, series.findIndex((s) => s.role === "smoothed"));
    Object.assign(state, { frame: 0, clock: 0, yaw: clip.yaw, pitch: clip.pitch, zoom: 1, joint: clip.joint });
    state.shown = { overlay: OVERLAY, beside: BESIDE }[shown] ?? (series.length > 1 && innerWidth >= 720 ? BESIDE : smoothed);
    $("title").textContent = clip.title;
    $("facts").textContent = `${T} frames · ${(T / clip.fps).toFixed(2)} s · ${clip.fps} fps` + (D === 3 ? ` · grid ${clip.grid.step} ${clip.unit || "units"}` : "");
    $("seek").max = T - 1;
    options = series.map((s, i) => [capital(s.name), i]);
    if (series.length > 1) options.push(["Side by side", BESIDE], ["Overlay", OVERLAY]);
    $("choice").replaceChildren(...options.map(([text, which]) => {
      const b = document.createElement("button");
      b.type = "button"; b.textContent = text; b.dataset.which = which;
      b.addEventListener("click", () => show(which));
      return b;
    }));
    const sides = new Set(clip.sides);
    $("key").replaceChildren(...["left", "right", "middle"].filter((side) => sides.size > 1 && sides.has(side)).map((side) => {
      const item = document.createElement("span"), dot = document.createElement("i");
      dot.style.background = `var(--${side})`;
      item.append(dot, side === "middle" ? side : side + " of the body");
      return item;
    }));
    $("joint").replaceChildren(...clip.joints.map((name, j) => {
      const option = document.createElement("option");
      option.value = j; option.textContent = name.replaceAll("_", " ");
      return option;
    }));
    $("joint").value = state.joint;
    $("stage").classList.toggle("turns", D === 3);
    $("reset").hidden = D === 2;
    $("hint").innerHTML = "<kbd>Space</kbd> play or pause · <kbd>←</kbd> <kbd>→</kbd> one frame, with <kbd>Shift</kbd> ten · <kbd>1</kbd> … <kbd>" + options.length +
      "</kbd> choose the poses · <kbd>+</kbd> <kbd>−</kbd> zoom · click a curve to go there" + (D === 3 ? " · drag the poses to turn them, <kbd>R</kbd> resets" : "");
    curveCharts();
    jointCharts();
    show(state.shown);
    if (renewed) layout();
  }
  /** New numbers of the same clip: the frame, the view and the joint stay. */
  function update(given) {
    clip = given;
    ({ series, curves } = clip);
    curveCharts();
    jointCharts();
    layout();
  }
  function curveCharts() {
    clearCharts($("curves"));
    for (const c of curves) if (c.lines.length) addChart($("curves"), `${c.name}, ${c.unit}`, c.lines, true);
  }
  function clearCharts(parent) {
    parent.replaceChildren();
    for (let i = charts.length - 1; i >= 0; i--) if (charts[i].parent === parent) charts.splice(i, 1);
  }

  $("joint").addEventListener("change", () => { state.joint = Number($("joint").value); jointCharts(); layout(); });
  $("play").addEventListener("click", () => play(!state.playing));
  $("seek").addEventListener("input", () => go(Number($("seek").value)));
  $("reset").addEventListener("click", resetView);
  $("theme").addEventListener("click", () => { theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"); layout(); });
  const fingers = new Map();
  let spread = 0;
  $("stage").addEventListener("pointerdown", (e) => { $("stage").setPointerCapture(e.pointerId); fingers.set(e.pointerId, [e.clientX, e.clientY]); spread = 0; });
  for (const kind of ["pointerup", "pointercancel"]) $("stage").addEventListener(kind, (e) => { fingers.delete(e.pointerId); spread = 0; });
  $("stage").addEventListener("pointermove", (e) => {
    const old = fingers.get(e.pointerId);
    if (!old) return;
    fingers.set(e.pointerId, [e.clientX, e.clientY]);
    if (fingers.size === 1) turn((e.clientX - old[0]) * 0.01, (e.clientY - old[1]) * 0.01);
    else {
      const [a, b] = [...fingers.values()], now = Math.hypot(a[0] - b[0], a[1] - b[1]);
      if (spread) { state.zoom = Math.max(0.3, Math.min(8, state.zoom * now / spread)); draw(); }
      spread = now;
    }
  });
  document.addEventListener("keydown", (e) => {
    if (!clip || e.ctrlKey || e.metaKey || e.altKey || e.target.tagName === "SELECT" || e.target.tagName === "SUMMARY") return;
    if (e.target.tagName === "INPUT" && e.target.id !== "seek") return;
    const onButton = e.target.tagName === "BUTTON", onSeek = e.target.id === "seek";
    const step = e.shiftKey ? 10 : 1;
    const onStage = e.target.id === "stage";
    const actions = {
      " ": () => { if (onButton) return true; play(!state.playing); },
      ArrowLeft: () => { if (onSeek) return true; if (onStage && e.shiftKey) turn(-0.1, 0); else go(state.frame - step); },
      ArrowRight: () => { if (onSeek) return true; if (onStage && e.shiftKey) turn(0.1, 0); else go(state.frame + step); },
      ArrowUp: () => { if (!onStage) return true; turn(0, -0.1); },
      ArrowDown: () => { if (!onStage) return true; turn(0, 0.1); },
      Home: () => go(0), End: () => go(T - 1), r: resetView,
      "+": () => { state.zoom = Math.min(8, state.zoom * 1.1); draw(); }, "-": () => { state.zoom = Math.max(0.3, state.zoom / 1.1); draw(); },
    };
    const number = Number(e.key);
    if (e.key in actions) { if (!actions[e.key]()) e.preventDefault(); }
    else if (number >= 1 && number <= options.length) show(options[number - 1][1]);
  });
  theme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  new ResizeObserver(() => { if (clip) layout(); }).observe(document.querySelector("main"));
  return { load, update, go, state };
}
