// The data: unpacking what page_data.py packed.

const DATA = JSON.parse(document.getElementById('data').textContent);
const NO_VALUE = 0, ZERO = 1, NOT_FINITE = 2, NAMED_CODES = 3;

// Unpacks on first use.
function codes(packed) {
  if (!packed.codes) {
    const text = atob(packed.data);
    const bytes = Uint8Array.from(text, character => character.charCodeAt(0));
    packed.codes = packed.bytes === 1 ? bytes : new Uint16Array(bytes.buffer);
    delete packed.data;
  }
  return packed.codes;
}

// A number, Infinity for what is not finite, null for no value.
function valueOf(packed, code) {
  if (code === NO_VALUE) return null;
  if (code === ZERO) return 0;
  if (code === NOT_FINITE) return Infinity;
  const most = (packed.bytes === 1 ? 255 : 65535) - NAMED_CODES;
  const span = packed.high - packed.low;
  const scaled = packed.low + span * (code - NAMED_CODES) / most;
  return packed.log ? 10 ** scaled : scaled;
}

function layerValues(statistic, cell, step) {
  const layers = DATA.layers.length;
  const start = (cell * DATA.steps.length + step) * layers;
  const part = codes(statistic).subarray(start, start + layers);
  return Array.from(part, code => valueOf(statistic, code));
}

function curveValues(curve, cell) {
  const steps = DATA.curveSteps.length;
  const part = codes(curve).subarray(cell * steps, (cell + 1) * steps);
  return Array.from(part, code => valueOf(curve, code));
}

// The median over runs, position by position; null where none is finite.
function median(runs) {
  return runs[0].map((_, i) => {
    const known = runs.map(run => run[i])
      .filter(value => value !== null && Number.isFinite(value))
      .sort((a, b) => a - b);
    if (!known.length) return null;
    const half = known.length / 2;
    return (known[Math.ceil(half) - 1] + known[Math.floor(half)]) / 2;
  });
}

function nameOf(configuration) {
  const parts = Object.values(configuration.values);
  return parts.join(' · ') || 'the only configuration';
}

// The median of a column of the table, as a number.
function number(configuration, name) {
  const value = configuration.numbers[name][0];
  if (value === null) return NaN;
  return value === '-inf' ? -Infinity : value === 'inf' ? Infinity : value;
}

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}
