// The table of configurations, the overview map, and the filters.

const percent = (value, digits = 0) =>
  Number.isNaN(value) ? '–' : (100 * value).toFixed(digits);

function decades(value, bound) {
  if (Number.isNaN(value)) return '–';
  if (!Number.isFinite(value)) return '−∞';
  return (bound ? '<' : '') + value.toFixed(1).replace('-', '−');
}

function accuracyText(c) {
  const [, low, high] = c.numbers.test_accuracy;
  const spread = c.seeds > 1 && low !== null
    ? ' ±' + (50 * (high - low)).toFixed(1) : '';
  return percent(number(c, 'test_accuracy'), 1) + spread;
}

function rate(c) {
  const end = number(c, 'rate_end');
  return Number.isNaN(end) ? number(c, 'rate_start') : end;
}

function firstNotFinite(c) {
  const step = number(c, 'nonfinite_step');
  if (Number.isNaN(step)) return '–';
  return `step ${step}, layer ${number(c, 'nonfinite_layer')} ${c.direction}`;
}

const share = (name, title) => ({
  key: name, title, sort: c => number(c, name),
  text: c => percent(number(c, name)),
});

const decadesAt = (when, bound) => ({
  key: `decades_${when}`, title: `decades, ${when}`,
  sort: c => number(c, `decades_${when}`),
  text: c => decades(number(c, `decades_${when}`), c[bound]),
});

const ALL_COLUMNS = [
  ...DATA.axes.map(axis => ({
    key: `axis.${axis.name}`, title: axis.name, left: true, axis: true,
    sort: c => axis.values.indexOf(c.values[axis.name]),
    text: c => c.values[axis.name],
  })),
  {
    key: 'verdict', title: 'verdict', left: true, sort: c => c.verdict,
    text: c => c.verdict
      + (c.verdictSeeds < c.seeds ? ` ${c.verdictSeeds}/${c.seeds}` : ''),
    style: c => `verdict ${c.verdict}`,
  },
  {
    key: 'test_accuracy', title: 'test acc %',
    sort: c => number(c, 'test_accuracy'), text: accuracyText,
  },
  decadesAt('start', 'boundStart'),
  decadesAt('end', 'boundEnd'),
  {
    key: 'rate', title: 'per layer', sort: rate,
    text: c => Number.isNaN(rate(c)) ? '–'
      : rate(c).toFixed(3).replace('-', '−'),
  },
  share('dead_worst', 'dead %'),
  share('saturated_worst', 'saturated %'),
  share('clip_bound', 'clip bound %'),
  share('clip_removed', 'removed %'),
  {
    key: 'loss', title: 'final loss', sort: c => number(c, 'loss'),
    text: c => Number.isFinite(number(c, 'loss'))
      ? number(c, 'loss').toPrecision(3) : '–',
  },
  {
    key: 'nonfinite_step', title: 'first not finite', left: true,
    sort: c => number(c, 'nonfinite_step'), text: firstNotFinite,
  },
];
// Columns that say nothing of any configuration are left out.
const COLUMNS = ALL_COLUMNS.filter(column =>
  DATA.configurations.some(c => column.text(c) !== '–'));

function compare(a, b) {
  if (typeof a === 'string') return a.localeCompare(b);
  // What has no value goes last, whatever the direction.
  if (Number.isNaN(a) || Number.isNaN(b)) return 0;
  return a === b ? 0 : a < b ? -1 : 1;
}

function sorted(configurations) {
  const column = COLUMNS.find(c => c.key === state.sort);
  if (!column) return configurations;
  const sign = state.descending ? -1 : 1;
  const missing = c => Number.isNaN(column.sort(c)) ? 1 : 0;
  return [...configurations].sort((a, b) =>
    missing(a) - missing(b) || sign * compare(column.sort(a), column.sort(b)));
}

function drawHead(update) {
  const row = element('tr');
  const first = element('th', {class: 'left', scope: 'col'},
    element('button', {type: 'button', 'aria-label': 'best first'},
      element('span', {class: 'narrow'}, 'configuration'),
      element('span', {class: 'wide', title: 'best first'}, '↺')));
  first.firstChild.onclick = () => { state.sort = ''; update(); };
  row.append(first);
  for (const column of COLUMNS) {
    const direction = state.sort === column.key
      ? (state.descending ? 'descending' : 'ascending') : 'none';
    const mark = {ascending: ' ▲', descending: ' ▼', none: ''}[direction];
    const button = element('button', {type: 'button'}, column.title + mark);
    button.onclick = () => {
      const same = state.sort === column.key;
      // Numbers are first sorted from the largest, choices in their order.
      state.descending = same ? !state.descending : !column.left;
      state.sort = column.key;
      update();
      document.querySelector(`[data-key="${CSS.escape(column.key)}"] button`)
        .focus();
    };
    const names = (column.left ? 'left ' : '') + (column.axis ? 'wide' : '');
    row.append(element('th', {
      class: names, scope: 'col', 'aria-sort': direction,
      'data-key': column.key,
    }, button));
  }
  document.querySelector('#table thead').replaceChildren(row);
}

function range(c, key) {
  const numbers = c.numbers[key];
  if (!numbers || c.seeds < 2 || numbers[1] === null) return '';
  return `${numbers[1]} to ${numbers[2]} over ${c.seeds} seeds`;
}

function drawBody(choose) {
  const rows = sorted(shown()).map(c => {
    const index = DATA.configurations.indexOf(c);
    const selected = index === state.row;
    const button = element('button',
      {type: 'button', 'aria-label': nameOf(c)},
      element('span', {class: 'narrow'}, nameOf(c)),
      element('span', {class: 'wide', 'aria-hidden': 'true'}, '›'));
    const row = element('tr', selected ? {'aria-current': 'true'} : {},
      element('th', {class: 'left', scope: 'row'}, button));
    for (const column of COLUMNS) {
      const names = [column.left ? 'left' : '', column.axis ? 'wide' : '',
        column.style ? column.style(c) : ''];
      const cell = element('td', {class: names.join(' ').trim()},
        column.text(c));
      if (range(c, column.key)) cell.title = range(c, column.key);
      row.append(cell);
    }
    row.onclick = () => choose(index);
    return row;
  });
  document.querySelector('#table tbody').replaceChildren(...rows);
  document.getElementById('count').textContent =
    `${rows.length} of ${DATA.configurations.length} configurations shown.`;
}

function drawChips(update) {
  const groups = FACETS.filter(facet => facet.values.length > 1).map(facet => {
    const group = element('fieldset', {class: 'axis'},
      element('legend', {}, facet.name));
    const wanted = state.filters.get(facet.name);
    for (const value of facet.values) {
      const chip = element('button',
        {type: 'button', 'aria-pressed': wanted.has(value)}, value);
      chip.onclick = () => {
        if (!wanted.delete(value)) wanted.add(value);
        chip.setAttribute('aria-pressed', wanted.has(value));
        update();
      };
      group.append(chip);
    }
    return group;
  });
  document.getElementById('chips').replaceChildren(...groups);
  document.getElementById('filters').hidden = !groups.length;
}

// Points of cividis, from 0 to 1.
const CIVIDIS = [[0, 34, 78], [18, 53, 112], [59, 73, 108], [87, 93, 109],
  [112, 113, 115], [138, 134, 121], [165, 156, 116], [195, 179, 105],
  [225, 204, 85], [254, 232, 56]];

function cividis(value) {
  const at = Math.min(Math.max(value, 0), 1) * (CIVIDIS.length - 1);
  const low = Math.min(Math.floor(at), CIVIDIS.length - 2);
  const mix = (a, b) => Math.round(a + (b - a) * (at - low));
  return CIVIDIS[low].map((a, i) => mix(a, CIVIDIS[low + 1][i]));
}

const LETTERS = {healthy: 'H', saturated: 'S', vanishing: 'V', exploding: 'E',
  dead: 'D', diverged: 'N', unmeasured: '?'};

function mapButton(c, choose) {
  const index = DATA.configurations.indexOf(c);
  const accuracy = number(c, 'test_accuracy');
  const button = element('button', {
    type: 'button', 'aria-pressed': index === state.row,
    title: `${nameOf(c)}: ${c.verdict}`,
  }, `${percent(accuracy)} ${LETTERS[c.verdict]}`);
  if (!Number.isNaN(accuracy)) {
    button.style.background = `rgb(${cividis(accuracy)})`;
    button.style.color = accuracy < 0.45 ? '#fff' : '#000';
  }
  button.onclick = () => choose(index);
  return button;
}

function drawMap(choose) {
  const rowAxis = DATA.axes.find(axis => axis.name === DATA.rowAxis);
  const rest = DATA.axes.filter(axis => axis !== rowAxis);
  const keyOf = c => JSON.stringify(rest.map(axis => c.values[axis.name]));
  const rank = c => rest.map(axis => axis.values.indexOf(c.values[axis.name]));
  const order = (a, b) => {
    const at = rank(a).findIndex((value, i) => value !== rank(b)[i]);
    return at < 0 ? 0 : rank(a)[at] - rank(b)[at];
  };
  const columns = [...new Set([...DATA.configurations].sort(order).map(keyOf))];
  const head = rest.map((axis, i) => element('tr', {},
    element('th', {class: 'axis-name', scope: 'row'}, axis.name),
    ...columns.map(key => element('th', {}, JSON.parse(key)[i]))));
  const values = rowAxis ? rowAxis.values : [''];
  const body = values.map(value => element('tr', {},
    element('th', {scope: 'row'}, value),
    ...columns.map(key => {
      const c = DATA.configurations.find(c => keyOf(c) === key
        && (!rowAxis || c.values[rowAxis.name] === value));
      return c ? element('td', {class: passes(c) ? '' : 'out'},
        mapButton(c, choose)) : element('td');
    })));
  document.getElementById('map').replaceChildren(element('table', {},
    element('thead', {}, ...head), element('tbody', {}, ...body)));
  const present = new Set(DATA.configurations.map(c => c.verdict));
  document.getElementById('map-key').textContent = Object.entries(LETTERS)
    .filter(([verdict]) => present.has(verdict))
    .map(([verdict, letter]) => `${letter} ${verdict}`).join(', ');
  document.getElementById('map-section').hidden =
    DATA.configurations.length < 2;
}
