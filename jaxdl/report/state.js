// The state of the view, kept in the address: what is filtered, what is shown.

const FACETS = [
  ...DATA.axes,
  {
    name: 'verdict',
    values: [...new Set(DATA.configurations.map(c => c.verdict))],
  },
  {name: 'learned', values: ['yes', 'no']},
];
// A facet's key in the address; axes may have any name, also one used below.
const KEYS = new Map(FACETS.map((facet, i) =>
  [facet.name, i < DATA.axes.length ? `axis.${facet.name}` : facet.name]));

const state = {
  filters: new Map(FACETS.map(facet => [facet.name, new Set()])),
  sort: '', descending: false, statistic: DATA.statistics[0].name,
  step: DATA.steps.length - 1, colour: '', row: 0, cell: 0,
  curve: DATA.curves[0].name, theme: '',
};

function facetValue(configuration, name) {
  if (name in configuration.values) return configuration.values[name];
  if (name === 'verdict') return configuration.verdict;
  return 2 * configuration.learnedSeeds > configuration.seeds ? 'yes' : 'no';
}

function passes(configuration) {
  return FACETS.every(({name}) => {
    const wanted = state.filters.get(name);
    return !wanted.size || wanted.has(facetValue(configuration, name));
  });
}

function shown() {
  return DATA.configurations.filter(passes);
}

function chosen() {
  return DATA.configurations[state.row];
}

function readAddress() {
  const entries = new URLSearchParams(location.hash.slice(1));
  for (const {name, values} of FACETS) {
    const wanted = entries.getAll(KEYS.get(name));
    state.filters.set(name, new Set(wanted.filter(v => values.includes(v))));
  }
  const among = (key, allowed, otherwise) =>
    allowed.includes(entries.get(key)) ? entries.get(key) : otherwise;
  const index = (key, count, otherwise) => {
    const value = Number.parseInt(entries.get(key), 10);
    return value >= 0 && value < count ? value : otherwise;
  };
  const sort = entries.get('sort') || '';
  state.descending = sort.startsWith('-');
  state.sort = sort.replace(/^-/, '');
  state.statistic = among('show', DATA.statistics.map(s => s.name),
    DATA.statistics[0].name);
  state.curve = among('curve', DATA.curves.map(c => c.name),
    DATA.curves[0].name);
  state.colour = among('colour', FACETS.map(f => f.name),
    DATA.axes.length ? DATA.axes[0].name : 'verdict');
  state.step = index('step', DATA.steps.length, DATA.steps.length - 1);
  state.row = index('row', DATA.configurations.length,
    Math.max(DATA.configurations.findIndex(passes), 0));
  state.cell = index('cell', chosen().cells.length, 0);
  state.theme = among('theme', ['light', 'dark'], '');
}

function writeAddress() {
  const entries = new URLSearchParams();
  for (const [name, wanted] of state.filters) {
    for (const value of wanted) entries.append(KEYS.get(name), value);
  }
  if (state.sort) {
    entries.set('sort', (state.descending ? '-' : '') + state.sort);
  }
  entries.set('show', state.statistic);
  entries.set('step', state.step);
  entries.set('colour', state.colour);
  entries.set('row', state.row);
  entries.set('cell', state.cell);
  entries.set('curve', state.curve);
  if (state.theme) entries.set('theme', state.theme);
  try {
    history.replaceState(null, '', '#' + entries);
  } catch (error) {
    // A sandboxed frame keeps its address to itself; the view works all the
    // same, it only cannot be shared.
    if (error.name !== 'SecurityError') throw error;
  }
}

function isDark() {
  if (state.theme) return state.theme === 'dark';
  return matchMedia('(prefers-color-scheme: dark)').matches;
}
