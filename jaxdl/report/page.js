// Wiring: what is chosen changes the state, the state is drawn.

const byId = id => document.getElementById(id);

function options(id, entries, selected) {
  byId(id).replaceChildren(...entries.map(([value, label]) => {
    const option = element('option', {value}, label);
    option.selected = String(value) === String(selected);
    return option;
  }));
}

function drawControls() {
  options('statistic', DATA.statistics.map(s => [s.name, s.label]),
    state.statistic);
  options('colour', FACETS.map(f => [f.name, f.name]), state.colour);
  options('curve', DATA.curves.map(c => [c.name, c.label]), state.curve);
  options('chosen', DATA.configurations.map((c, i) => [i, nameOf(c)]),
    state.row);
  options('cell', chosen().cells.map((cell, i) => [i, DATA.cells[cell]]),
    state.cell);
  byId('step').max = DATA.steps.length - 1;
  byId('step').value = state.step;
  byId('step').setAttribute('aria-valuetext', `step ${DATA.steps[state.step]}`);
  byId('step-name').textContent = DATA.steps[state.step];
  byId('evidence').textContent = evidence(chosen());
  if (state.theme) document.documentElement.dataset.theme = state.theme;
  else delete document.documentElement.dataset.theme;
}

function evidence(c) {
  const layer = number(c, 'layer'), since = number(c, 'since');
  const parts = [`${nameOf(c)}: ${c.verdict}`];
  if (!Number.isNaN(since)) parts.push(`since step ${since}`);
  if (!Number.isNaN(layer)) parts.push(`at layer ${layer}`);
  if (c.verdictStart !== c.verdict) {
    parts.push(`${c.verdictStart} at the start`);
  }
  return parts.join(', ') + '. Grey is exactly zero, red is not finite.';
}

function choose(row) {
  state.row = row;
  state.cell = 0;
  draw();
}

function draw() {
  writeAddress();
  drawControls();
  drawMap(choose);
  drawHead(draw);
  drawBody(choose);
  const plots = [drawProfile(), drawHeat(), drawCurves()];
  Promise.all(plots).then(() => {
    document.documentElement.dataset.drawn = 'yes';
  });
}

function onChange(id, change, event = 'change') {
  byId(id).addEventListener(event, () => {
    change(byId(id).value);
    draw();
  });
}

function start() {
  readAddress();
  drawChips(draw);
  draw();
}

onChange('statistic', value => { state.statistic = value; });
onChange('colour', value => { state.colour = value; });
onChange('curve', value => { state.curve = value; });
onChange('chosen', value => { state.row = Number(value); state.cell = 0; });
onChange('cell', value => { state.cell = Number(value); });
onChange('step', value => { state.step = Number(value); }, 'input');
onChange('first', () => { state.step = 0; }, 'click');
onChange('last', () => { state.step = DATA.steps.length - 1; }, 'click');
onChange('theme', () => { state.theme = isDark() ? 'light' : 'dark'; },
  'click');
onChange('clear', () => {
  for (const wanted of state.filters.values()) wanted.clear();
  drawChips(draw);
}, 'click');
addEventListener('hashchange', start);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
start();
