// The theme, the table, and the picture of a page on an X-ray.

const DATA = JSON.parse(document.getElementById('data').textContent);
const byId = id => document.getElementById(id);

byId('theme').onclick = () => {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === 'dark'
    : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
};

// The table: sorted by its headings, filtered by text.

const body = document.querySelector('#table tbody');
const rows = [...body.rows];

function filter() {
  const text = byId('filter').value.toLowerCase();
  let shown = 0;
  for (const row of rows) {
    row.hidden = !row.textContent.toLowerCase().includes(text)
      || (byId('flagged').checked && !row.dataset.verdict);
    shown += !row.hidden;
  }
  byId('count').textContent = `${shown} of ${rows.length} rows shown`;
}

function sort(column, descending) {
  const value = row => {
    const {value} = row.cells[column].dataset;
    return value === undefined ? row.cells[column].textContent : Number(value);
  };
  // What has no value goes last, whatever the direction.
  const missing = x => (typeof x === 'number' ? Number.isNaN(x) : !x);
  const compare = (a, b) =>
    missing(a) - missing(b)
    || (missing(a) ? 0 : (descending ? -1 : 1) * (
      typeof a === 'number' ? (a > b) - (a < b) : a.localeCompare(b)));
  const keyed = rows.map(row => [value(row), row]);
  keyed.sort(([a], [b]) => compare(a, b));
  body.append(...keyed.map(([, row]) => row));
}

const headings = [...document.querySelectorAll('#table thead th')];

function mark(chosen, direction) {
  for (const heading of headings) {
    heading.setAttribute('aria-sort', heading === chosen ? direction : 'none');
  }
}

headings.forEach((heading, column) => {
  heading.querySelector('button').onclick = () => {
    // Numbers are first sorted from the largest, words from the first.
    const last = heading.getAttribute('aria-sort');
    const descending = last === 'none'
      ? heading.dataset.kind === 'number' : last === 'ascending';
    sort(column, descending);
    mark(heading, descending ? 'descending' : 'ascending');
  };
});

byId('order').onclick = () => {
  body.append(...rows);
  mark(null);
};
byId('filter').oninput = filter;
byId('flagged').onchange = filter;
mark(null);
filter();

function choose(index) {
  byId('filter').value = '';
  byId('flagged').checked = false;
  filter();
  for (const row of rows) row.removeAttribute('aria-current');
  rows[index].setAttribute('aria-current', 'true');
  rows[index].scrollIntoView({block: 'center'});
}

// The picture: panels over depth, drawn anew at each width.

const LEFT = 46, RIGHT = 8, HEIGHT = 130, TITLE = 26, BELOW = 10;
const LABEL_EVERY = 13, LABEL_LETTER = 6.4, MOST_TICKS = 5,
  FEW_DECADES = 2;
const n = DATA.names.length;
let width = 0, cursor = null, chosen = -1;

function node(name, attributes, text) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, value);
  }
  if (text !== undefined) made.textContent = text;
  return made;
}

const across = i => LEFT + (width - LEFT - RIGHT) * (i + 0.5) / n;
const finite = x => typeof x === 'number';

function scale(panel) {
  if (!panel.log) return {low: 0, high: 1, of: x => x};
  const values = panel.series.flatMap(series => series.values)
    .filter(x => finite(x) && x > 0).map(Math.log10);
  // Without spreading: a page may have more values than a call has arguments.
  const low = values.reduce((a, b) => Math.min(a, b), values[0] ?? 0);
  const high = values.reduce((a, b) => Math.max(a, b), values[0] ?? 0);
  const room = Math.max(0.08 * (high - low), 0.5);
  return {low: low - room, high: high + room, of: Math.log10};
}

function ticks({low, high}, log) {
  if (!log) return [0, 0.5, 1].map(x => [x, `${100 * x}%`]);
  const apart = Math.max(Math.ceil((high - low) / MOST_TICKS), 1);
  const factors = high - low < FEW_DECADES ? [1, 2, 5] : [1];
  const found = [];
  for (let i = Math.floor(low / apart) * apart; i <= high; i += apart) {
    for (const factor of factors) {
      found.push([i + Math.log10(factor), `${factor}e${i}`]);
    }
  }
  return found.filter(([at]) => low <= at && at <= high);
}

function drawSeries(svg, series, panel, {low, high, of}, top) {
  const down = x => top + HEIGHT * (1 - (x - low) / (high - low));
  const place = i => `${across(i).toFixed(1)} `
    + down(of(series.values[i])).toFixed(1);
  const all = [...series.values.keys()];
  const shown = all.filter(i => finite(series.values[i])
    && (!panel.log || series.values[i] > 0));
  const trunk = shown.filter(i => series.joined && DATA.cuts[i]);
  const stroke = {class: 'series', stroke: `var(--${series.colour})`};
  svg.append(node('path', {...stroke, 'stroke-width': 1.3,
    d: trunk.length ? 'M' + trunk.map(place).join('L') : ''}));
  svg.append(node('path', {...stroke, 'stroke-width': n > 150 ? 3 : 5,
    d: shown.map(i => `M${place(i)}h0`).join('')}));
  if (!panel.log) return;
  const mark = (i, y, text) => svg.append(node('text', {
    x: across(i), y, 'text-anchor': 'middle',
    style: `fill: var(--${series.colour})`}, text));
  for (const i of all) {
    if (series.values[i] === 0) mark(i, top + HEIGHT - 2, '▼');
    if (typeof series.values[i] === 'string') mark(i, top + 9, '×');
  }
}

function drawPanel(svg, panel, top) {
  const range = scale(panel);
  const base = top + HEIGHT;
  svg.append(node('text', {class: 'title', x: 2, y: top - 9}, panel.title));
  panel.series.forEach(({title, colour}, i) => {
    if (panel.named) {
      svg.append(node('text', {x: width - RIGHT - 78 * i, y: top - 9,
        'text-anchor': 'end', style: `fill: var(--${colour})`}, `● ${title}`));
    }
  });
  for (const [at, text] of ticks(range, panel.log)) {
    const y = base - HEIGHT * (at - range.low) / (range.high - range.low);
    svg.append(
      node('line', {class: 'grid', x1: LEFT, x2: width - RIGHT, y1: y, y2: y}),
      node('text', {class: 'tick', x: LEFT - 5, y: y + 4,
        'text-anchor': 'end'}, text));
  }
  DATA.verdicts.forEach((verdict, i) => {
    if (!verdict) return;
    const breadth = Math.max((width - LEFT - RIGHT) / n, 3);
    svg.append(node('rect', {class: 'span', x: across(i) - breadth / 2, y: top,
      width: breadth, height: HEIGHT}));
  });
  for (const series of panel.series) drawSeries(svg, series, panel, range, top);
  svg.append(node('line', {class: 'axis-line', x1: LEFT, x2: width - RIGHT,
    y1: base, y2: base}));
}

function drawLabels(svg, top) {
  let longest = 0;
  const apart = Math.max(Math.ceil(LABEL_EVERY * n / (width - LEFT - RIGHT)), 1);
  const labelled = [];
  const wanted = i => DATA.verdicts[i] ? 0 : i % (n - 1 || 1) ? 2 : 1;
  const order = [...DATA.names.keys()].sort((a, b) =>
    wanted(a) - wanted(b) || DATA.cuts[b] - DATA.cuts[a] || a - b);
  for (const i of order) {
    if (labelled.some(j => Math.abs(i - j) < apart)) continue;
    labelled.push(i);
    longest = Math.max(longest, DATA.labels[i].length);
    svg.append(node('text', {
      class: DATA.verdicts[i] ? 'label flagged' : 'label',
      'text-anchor': 'end',
      transform: `translate(${across(i) + 3} ${top + 6}) rotate(-90)`,
    }, DATA.labels[i]));
  }
  return longest * LABEL_LETTER;
}

function draw() {
  const picture = byId('picture');
  width = Math.max(picture.clientWidth, 280);
  const each = TITLE + HEIGHT + BELOW;
  const svg = node('svg', {'aria-hidden': 'true'});
  DATA.panels.forEach((panel, i) => drawPanel(svg, panel, i * each + TITLE));
  const bottom = each * DATA.panels.length;
  const height = bottom + drawLabels(svg, bottom - BELOW);
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  cursor = node('line', {class: 'cursor', y1: TITLE, y2: bottom - BELOW,
    visibility: 'hidden'});
  svg.append(cursor);
  svg.onpointermove = event => point(nearest(event));
  svg.onclick = event => choose(nearest(event));
  picture.replaceChildren(svg);
  if (chosen >= 0) point(chosen);
  picture.dataset.drawn = 'yes';
}

function nearest(event) {
  const box = byId('picture').getBoundingClientRect();
  const share = (event.clientX - box.left - LEFT) / (width - LEFT - RIGHT);
  return Math.min(Math.max(Math.floor(share * n), 0), n - 1);
}

function point(index) {
  chosen = index;
  for (const end of ['x1', 'x2']) cursor.setAttribute(end, across(index));
  cursor.setAttribute('visibility', 'visible');
  const cells = [...rows[index].cells].slice(1)
    .map((cell, i) => [headings[i + 1].dataset.title, cell.textContent.trim()])
    .filter(([, text]) => text).map(([name, text]) => `${name} ${text}`);
  byId('point').textContent = [`${DATA.names[index]}: `, cells.join(' · ')]
    .join('');
}

if (n) {
  byId('picture').onkeydown = event => {
    const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (event.key === 'Enter' && chosen >= 0) choose(chosen);
    if (!step) return;
    event.preventDefault();
    point(Math.min(Math.max(chosen + step, 0), n - 1));
  };
  draw();
  new ResizeObserver(() => {
    const now = Math.max(byId('picture').clientWidth, 280);
    if (now !== width) draw();
  }).observe(byId('picture'));
}
