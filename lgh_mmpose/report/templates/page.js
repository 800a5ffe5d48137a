(function () {
  'use strict';
  const report = JSON.parse(document.getElementById('report-data').textContent);
  const options = {responsive: true, displayModeBar: false};
  const byId = (id) => document.getElementById(id);

  // colours come from the style sheet, which knows dark from light
  function color(name) {
    return getComputedStyle(document.documentElement)
      .getPropertyValue(name).trim();
  }

  function themed(layout) {
    const out = JSON.parse(JSON.stringify(layout));
    const axis = {
      color: color('--muted'), gridcolor: color('--grid'),
      zerolinecolor: color('--grid'), linecolor: color('--line'),
    };
    out.font = Object.assign({}, out.font, {color: color('--text')});
    out.paper_bgcolor = out.plot_bgcolor = 'rgba(0,0,0,0)';
    out.hoverlabel = {
      bgcolor: color('--panel'), bordercolor: color('--line'),
      font: {color: color('--text')},
    };
    for (const key of Object.keys(out)) {
      if (/^[xy]axis\d*$/.test(key)) Object.assign(out[key], axis);
    }
    if (out.scene) {
      for (const key of ['xaxis', 'yaxis', 'zaxis']) {
        out.scene[key].color = color('--muted');
        out.scene[key].gridcolor = color('--line');
        out.scene[key].zerolinecolor = color('--line');
      }
    }
    return out;
  }

  function drawCharts() {
    for (const [id, chart] of Object.entries(report.charts)) {
      Plotly.react(id, chart.data, themed(chart.layout), options);
    }
  }

  const hand = byId('hand3d');
  const picker = byId('sample-picker');
  const samples = report.samples;
  let current = 0;

  function drawHand() {
    Plotly.react(hand, samples[current].traces, themed(report.scene), options);
  }

  function svgElement(name, attributes) {
    const node = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const [key, value] of Object.entries(attributes)) {
      node.setAttribute(key, value);
    }
    return node;
  }

  function skeleton(points, colors, width, name) {
    const group = svgElement('g', {class: name});
    for (const [a, b] of report.links) {
      if (!points[a] || !points[b]) continue;
      group.append(svgElement('line', {
        x1: points[a][0], y1: points[a][1], x2: points[b][0], y2: points[b][1],
        stroke: colors[b], 'stroke-width': width, 'stroke-linecap': 'round',
      }));
    }
    points.forEach((point, k) => {
      if (!point) return;
      group.append(svgElement('circle', {
        cx: point[0], cy: point[1], r: width, fill: colors[k],
      }));
    });
    return group;
  }

  function drawOverlay() {
    const sample = samples[current];
    const svg = byId('sample-overlay');
    // pixel centres are at integers: the edge of the picture is at -0.5
    const [w, h] = sample.size;
    svg.setAttribute('viewBox', `-0.5 -0.5 ${w} ${h}`);
    svg.replaceChildren();
    const unit = Math.max(w, h) / 200;
    if (byId('show-truth').checked) {
      const white = report.colors.map(() => '#ffffff');
      const dark = report.colors.map(() => '#333333');
      svg.append(skeleton(sample.truth, dark, 2 * unit, 'rim'));
      svg.append(skeleton(sample.truth, white, unit, 'truth'));
    }
    if (byId('show-prediction').checked) {
      svg.append(
        skeleton(sample.prediction, report.colors, 1.6 * unit, 'prediction'));
    }
  }

  function show(index) {
    current = (index + samples.length) % samples.length;
    const sample = samples[current];
    picker.value = String(current);
    byId('sample-title').textContent = sample.title;
    const image = byId('sample-image');
    image.src = sample.image;
    image.alt = sample.alt;
    hand.setAttribute('aria-label', sample.alt3d);
    const rows = byId('sample-joints');
    rows.replaceChildren();
    sample.joints.forEach((cells) => {
      const row = document.createElement('tr');
      cells.forEach((text, i) => {
        const cell = document.createElement(i ? 'td' : 'th');
        if (i) cell.className = 'number'; else cell.scope = 'row';
        cell.textContent = text;
        row.append(cell);
      });
      rows.append(row);
    });
    drawOverlay();
    drawHand();
  }

  function look(eye, up) {
    Plotly.relayout(hand, {
      'scene.camera.eye': eye,
      'scene.camera.up': up || {x: 0, y: 0, z: 1},
    });
  }

  function turn(azimuth, elevation) {
    const {x, y, z} = hand.layout.scene.camera.eye;
    const radius = Math.hypot(x, y, z);
    const limit = Math.PI / 2 - .05;
    const angle = Math.atan2(y, x) + azimuth * Math.PI / 180;
    const height = Math.max(-limit, Math.min(
      limit, Math.asin(z / radius) + elevation * Math.PI / 180));
    look({
      x: radius * Math.cos(height) * Math.cos(angle),
      y: radius * Math.cos(height) * Math.sin(angle),
      z: radius * Math.sin(height),
    });
  }

  const keys = {
    ArrowLeft: [-15, 0], ArrowRight: [15, 0],
    ArrowUp: [0, 15], ArrowDown: [0, -15],
  };
  hand.addEventListener('keydown', (event) => {
    if (!keys[event.key]) return;
    event.preventDefault();
    turn(...keys[event.key]);
  });
  const views = {
    'view-camera': [{x: 0, y: -1.9, z: 0}],
    'view-side': [{x: 1.9, y: 0, z: 0}],
    'view-top': [{x: 0, y: 0, z: 1.9}, {x: 0, y: 1, z: 0}],
  };
  for (const [id, view] of Object.entries(views)) {
    byId(id).addEventListener('click', () => look(...view));
  }
  byId('turn-left').addEventListener('click', () => turn(-15, 0));
  byId('turn-right').addEventListener('click', () => turn(15, 0));
  byId('previous').addEventListener('click', () => show(current - 1));
  byId('next').addEventListener('click', () => show(current + 1));
  picker.addEventListener('change', () => show(Number(picker.value)));
  for (const id of ['show-truth', 'show-prediction']) {
    byId(id).addEventListener('change', drawOverlay);
  }
  window.matchMedia('(prefers-color-scheme: dark)').addEventListener(
    'change', () => { drawCharts(); drawHand(); });

  drawCharts();
  show(0);
}());
