// The plots: profiles over depth, layer by step, training curves.

// Okabe & Ito, "Color Universal Design", 2008; lighter where the page is dark.
const PALETTES = {
  light: ['#000000', '#e69f00', '#0072b2', '#d55e00', '#009e73', '#56b4e9',
    '#cc79a7', '#9a8c00'],
  dark: ['#ffffff', '#f2b134', '#4c9be8', '#ff7f4d', '#2fc596', '#a3dcff',
    '#e9a1cc', '#f0e442'],
};
// Beyond so many lines theory is drawn of the chosen one alone.
const MOST_WITH_THEORY = 16;
const DASHES = ['solid', 'dash', 'dot', 'dashdot'];
// Only buttons that ask nothing of a server.
const CONFIG = {
  responsive: true, displaylogo: false,
  modeBarButtons: [['toImage'], ['zoom2d', 'pan2d', 'resetScale2d']],
};

const css = name =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Plotly reads a subset of HTML in its labels; ours are plain text.
const plain = text => String(text)
  .replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

function axisOf(title, log, extra = {}) {
  return {
    title: {text: title, standoff: 10}, type: log ? 'log' : 'linear',
    exponentformat: 'power',
    gridcolor: css('--line'), linecolor: css('--line'), zeroline: false,
    automargin: true, ...extra,
  };
}

function layoutOf(xaxis, yaxis, extra = {}) {
  return {
    paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
    font: {color: css('--text'), size: 13}, hovermode: 'closest',
    hoverlabel: {
      bgcolor: css('--panel'), bordercolor: css('--line'), namelength: -1,
      font: {color: css('--text')},
    },
    margin: {l: 64, r: 16, t: 34, b: 48}, xaxis, yaxis,
    modebar: {bgcolor: 'rgba(0,0,0,0)', color: css('--muted'),
      activecolor: css('--accent')},
    legend: {orientation: 'h', y: -0.2, yanchor: 'top', x: 0},
    ...extra,
  };
}

// The style of a configuration: by its value of the facet chosen.
function styleOf(configuration) {
  const facet = FACETS.find(f => f.name === state.colour);
  const value = facetValue(configuration, facet.name);
  const at = facet.values.indexOf(value);
  const palette = PALETTES[isDark() ? 'dark' : 'light'];
  return {
    value, at,
    color: palette[at % palette.length],
    dash: DASHES[Math.floor(at / palette.length) % DASHES.length],
  };
}

function tracesOf(x, runsOf, log, isFaded = () => false) {
  const named = new Set();
  const configurations = shown()
    .map(c => ({c, style: styleOf(c)}))
    .sort((a, b) => a.style.at - b.style.at);
  return configurations.map(({c, style}) => {
    const y = median(runsOf(c));
    const isChosen = c === chosen();
    const first = !named.has(style.value);
    named.add(style.value);
    return {
      type: 'scatter', mode: x.length > 1 ? 'lines' : 'markers', x,
      // A logarithm has no zero.
      y: log ? y.map(value => value > 0 ? value : null) : y,
      name: plain(style.value), legendgroup: plain(style.value),
      showlegend: first, legendrank: style.at,
      opacity: isFaded(c) ? 0.4 : isChosen ? 1 : 0.85,
      line: {color: style.color, dash: style.dash, width: isChosen ? 5 : 1.7},
      hovertemplate: `${plain(nameOf(c))}<br>%{y:.3g}<extra></extra>`,
    };
  });
}

const statisticShown = () =>
  DATA.statistics.find(s => s.name === state.statistic);

// What theory says of a configuration in the view; undefined if nothing.
function theoryShown(configuration) {
  const drawn = DATA.steps[state.step] === 0 && (
    configuration === chosen() || shown().length <= MOST_WITH_THEORY);
  return drawn ? configuration.theory[state.statistic] : undefined;
}

// Thin and dark over the measured lines, which are faded.
function theoryTraces() {
  return shown().filter(theoryShown).map((c, i) => ({
    type: 'scatter', mode: 'lines', x: DATA.layers,
    y: theoryShown(c).map(y => typeof y === 'number' && y > 0 ? y : null),
    name: DATA.theoryLabel, legendgroup: DATA.theoryLabel,
    showlegend: i === 0, legendrank: 2000,
    line: {color: styleOf(c).color, dash: '5px,3px', width: 1.4},
    hovertemplate: `${plain(nameOf(c))}, ${DATA.theoryLabel}<br>%{y:.3g}`
      + '<extra></extra>',
  }));
}

const signed = rate => (rate < 0 ? '\u2212' : '+') + Math.abs(rate).toFixed(3);

function theoryNote() {
  const c = chosen(), measured = number(c, 'rate_start');
  if (!shown().some(other => other.theory[state.statistic])) return '';
  if (DATA.steps[state.step] !== 0) {
    return 'At the first step: what theory says, besides.';
  }
  const few = shown().length <= MOST_WITH_THEORY;
  const parts = [`Thin and dashed: ${DATA.theoryLabel}` + (few ? ''
    : `, of the chosen configuration (of all of them once filters leave ${
      MOST_WITH_THEORY} or fewer)`)];
  if (c.theoryRate !== null && !Number.isNaN(measured)) {
    parts.push(`${nameOf(c)}: the cotangent changes by ${signed(c.theoryRate)
    } decades a layer, going backward, in theory, ${signed(measured)
    } as measured`);
  }
  return parts.join('. ') + '.';
}

function drawProfile() {
  const statistic = statisticShown();
  const traces = tracesOf(DATA.layers, c => c.cells.map(
    cell => layerValues(statistic, cell, state.step)), statistic.log,
  theoryShown).concat(theoryTraces());
  document.getElementById('theory').textContent = theoryNote();
  const layout = layoutOf(
    axisOf('layer', false, {dtick: DATA.layers.length > 12 ? undefined : 1}),
    axisOf(statistic.label, statistic.log, rangeOf(statistic)),
    {uirevision: statistic.name});
  return Plotly.react('profile', traces, layout, CONFIG);
}

// One range for all steps, so that moving the slider moves the lines alone.
function rangeOf(statistic) {
  if (!statistic.log) return {range: [-0.02, 1.02], tickformat: '.0%'};
  const ranges = shown().map(c => c.ranges[statistic.name]).filter(Boolean);
  const ends = ranges.length ? ranges : [[statistic.low, statistic.high]];
  const low = Math.min(...ends.map(range => range[0]));
  const high = Math.max(...ends.map(range => range[1]));
  const margin = 0.04 * (high - low) || 0.5;
  return {range: [low - margin, high + margin]};
}

function drawHeat() {
  const statistic = statisticShown();
  const cell = chosen().cells[state.cell];
  const columns = DATA.steps.map((_, step) =>
    layerValues(statistic, cell, step));
  const layers = DATA.layers.filter((_, i) =>
    columns.some(column => column[i] !== null));
  const pick = read => layers.map((_, i) =>
    columns.map(column => column[i] === null ? null : read(column[i])));
  const scaled = value => statistic.log ? Math.log10(value) : value;
  const known = value =>
    Number.isFinite(value) && (value > 0 || !statistic.log)
      ? scaled(value) : null;
  const special = value => !Number.isFinite(value) ? 1
    : value === 0 && statistic.log ? 0 : null;
  const common = {type: 'heatmap', x: DATA.steps, y: layers};
  const words = value => !Number.isFinite(value) ? 'not finite'
    : value === 0 ? 'zero' : Number(value).toPrecision(3);
  const hover = {
    customdata: pick(words), hovertemplate:
      'step %{x}, layer %{y}<br>%{customdata}<extra></extra>',
  };
  const scale = {
    title: {text: statistic.label, side: 'right'}, thickness: 14,
    ...(statistic.log ? {tickprefix: '10<sup>', ticksuffix: '</sup>'}
      : {tickformat: '.0%'}),
  };
  const traces = [
    {...common, ...hover, z: pick(known), colorscale: 'Cividis',
      colorbar: scale,
      ...(statistic.log ? {} : {zmin: 0, zmax: 1})},
    {...common, ...hover, z: pick(special), zmin: 0, zmax: 1, showscale: false,
      colorscale: [[0, '#8c8c8c'], [1, '#d62728']]},
  ];
  return Plotly.react('heat', traces,
    layoutOf(axisOf('step', false), axisOf('layer', false)), CONFIG);
}

function drawCurves() {
  const curve = DATA.curves.find(c => c.name === state.curve);
  const traces = tracesOf(DATA.curveSteps,
    c => c.cells.map(cell => curveValues(curve, cell)), curve.log);
  const values = traces.flatMap(trace => trace.y.filter(y => y !== null));
  const decades = curve.log && values.length > 0
    && Math.max(...values) > 100 * Math.min(...values);
  const yaxis = axisOf(curve.label, decades,
    curve.log ? {} : {tickformat: '.0%'});
  return Plotly.react('curves', traces, layoutOf(axisOf('step', false), yaxis,
    {uirevision: curve.name + decades}), CONFIG);
}
